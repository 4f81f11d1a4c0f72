//! Messages, the outbox and what was received, as rows of the vault.

use hearken_proto::payload::Blob;
use hearken_proto::time::{UnixDay, UnixMillis};
use rusqlite::{Connection, OptionalExtension, Row, params};

use crate::contact::ContactId;
use crate::message::{Message, MessageId, MessageKind, MessageState, Notice};
use crate::vault::VaultError;

/// Days for which the hash of a received blob is kept: a day longer than a relay keeps the blob.
pub(crate) const SEEN_DAYS: u32 = hearken_proto::limits::SKIPPED_DAYS_MAX;

/// A cell of the outbox.
pub(crate) struct OutboxCell {
    pub(crate) seq: i64,
    pub(crate) blob: Blob,
    pub(crate) message: Option<MessageId>,
}

const MESSAGE_COLUMNS: &str =
    "contact, id, from_me, kind, missing, text, sent_at, received_at, state";

fn id16(bytes: &[u8]) -> Result<[u8; 16], VaultError> {
    bytes.try_into().map_err(|_| VaultError::damaged_record())
}

fn message_of(row: &Row<'_>) -> Result<Message, VaultError> {
    let contact: Vec<u8> = row.get(0)?;
    let id: Vec<u8> = row.get(1)?;
    Ok(Message {
        contact: ContactId::from_bytes(id16(&contact)?),
        id: MessageId::from_bytes(id16(&id)?),
        from_me: row.get(2)?,
        kind: match row.get::<_, i64>(3)? {
            0 => MessageKind::Text,
            1 => MessageKind::Gap { missing: row.get(4)? },
            2 => MessageKind::Notice(Notice::Joined),
            3 => MessageKind::Notice(Notice::SecondClaim),
            4 => MessageKind::Notice(Notice::Unsent),
            5 => MessageKind::Notice(Notice::Restored),
            _ => return Err(VaultError::damaged_record()),
        },
        text: row.get(5)?,
        sent_at: UnixMillis(row.get(6)?),
        received_at: row.get::<_, Option<u64>>(7)?.map(UnixMillis),
        state: match row.get::<_, i64>(8)? {
            0 => MessageState::Queued,
            1 => MessageState::Sent,
            _ => MessageState::Received,
        },
    })
}

fn collect(
    db: &Connection,
    sql: &str,
    parameters: impl rusqlite::Params,
) -> Result<Vec<Message>, VaultError> {
    let mut statement = db.prepare_cached(sql)?;
    let mut rows = statement.query(parameters)?;
    let mut messages = Vec::new();
    while let Some(row) = rows.next()? {
        messages.push(message_of(row)?);
    }
    Ok(messages)
}

/// Stores a message. `false` when it is there already.
pub(crate) fn insert(
    db: &Connection,
    message: &Message,
    sealed: bool,
    shown: bool,
) -> Result<bool, VaultError> {
    let (kind, missing) = match message.kind {
        MessageKind::Text => (0, 0),
        MessageKind::Gap { missing } => (1, missing),
        MessageKind::Notice(Notice::Joined) => (2, 0),
        MessageKind::Notice(Notice::SecondClaim) => (3, 0),
        MessageKind::Notice(Notice::Unsent) => (4, 0),
        MessageKind::Notice(Notice::Restored) => (5, 0),
    };
    let state = match message.state {
        MessageState::Queued => 0,
        MessageState::Sent => 1,
        MessageState::Received => 2,
    };
    let changed = db
        .prepare_cached(&format!(
            "INSERT INTO message ({MESSAGE_COLUMNS}, sealed, shown)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11) ON CONFLICT DO NOTHING"
        ))?
        .execute(params![
            &message.contact.as_bytes()[..],
            &message.id.as_bytes()[..],
            message.from_me,
            kind,
            missing,
            message.text,
            message.sent_at.0,
            message.received_at.map(|at| at.0),
            state,
            sealed,
            shown
        ])?;
    Ok(changed == 1)
}

/// Adds to the newest line of a conversation where that is a gap nobody has seen. `false` where it is not.
pub(crate) fn widen_gap(
    db: &Connection,
    contact: ContactId,
    missing: u32,
) -> Result<bool, VaultError> {
    let changed = db
        .prepare_cached(
            "UPDATE message SET missing = missing + ?2
         WHERE seq = (SELECT max(seq) FROM message WHERE contact = ?1) AND kind = 1 AND shown = 0",
        )?
        .execute(params![&contact.as_bytes()[..], missing])?;
    Ok(changed == 1)
}

pub(crate) fn message(db: &Connection, id: MessageId) -> Result<Option<Message>, VaultError> {
    Ok(collect(
        db,
        &format!("SELECT {MESSAGE_COLUMNS} FROM message WHERE id = ?1 AND from_me = 1"),
        [&id.as_bytes()[..]],
    )?
    .pop())
}

/// Whether a line that came has this id: a text, or the gap that stands for one that was given up.
pub(crate) fn has_come(
    db: &Connection,
    contact: ContactId,
    id: MessageId,
) -> Result<bool, VaultError> {
    Ok(db
        .prepare_cached("SELECT 1 FROM message WHERE contact = ?1 AND id = ?2 AND from_me = 0")?
        .query_row(params![&contact.as_bytes()[..], &id.as_bytes()[..]], |_| Ok(()))
        .optional()?
        .is_some())
}

/// Messages that came and were not shown, oldest first.
pub(crate) fn unshown(db: &Connection) -> Result<Vec<Message>, VaultError> {
    collect(db, &format!("SELECT {MESSAGE_COLUMNS} FROM message WHERE shown = 0 ORDER BY seq"), [])
}

/// What a person has seen is not shown again, unless it has changed since: a gap that became wider.
pub(crate) fn mark_shown(db: &Connection, shown: &Message) -> Result<(), VaultError> {
    let missing = match shown.kind {
        MessageKind::Gap { missing } => missing,
        _ => 0,
    };
    db.prepare_cached(
        "UPDATE message SET shown = 1
         WHERE contact = ?1 AND id = ?2 AND from_me = 0 AND missing = ?3",
    )?
    .execute(params![&shown.contact.as_bytes()[..], &shown.id.as_bytes()[..], missing])?;
    Ok(())
}

/// The newest `limit` lines of a conversation, oldest first.
pub(crate) fn history(
    db: &Connection,
    contact: ContactId,
    limit: usize,
) -> Result<Vec<Message>, VaultError> {
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let mut messages = collect(
        db,
        &format!(
            "SELECT {MESSAGE_COLUMNS} FROM message WHERE contact = ?1 ORDER BY seq DESC LIMIT ?2"
        ),
        params![&contact.as_bytes()[..], limit],
    )?;
    messages.reverse();
    Ok(messages)
}

// --- sending ----------------------------------------------------------------------------------

/// Own messages that are not ciphertext yet, oldest first, of one contact.
pub(crate) fn unsealed(db: &Connection, contact: ContactId) -> Result<Vec<Message>, VaultError> {
    collect(
        db,
        &format!(
            "SELECT {MESSAGE_COLUMNS} FROM message WHERE contact = ?1 AND sealed = 0 ORDER BY seq"
        ),
        [&contact.as_bytes()[..]],
    )
}

pub(crate) fn mark_sealed(
    db: &Connection,
    contact: ContactId,
    id: MessageId,
) -> Result<(), VaultError> {
    db.prepare_cached(
        "UPDATE message SET sealed = 1 WHERE contact = ?1 AND id = ?2 AND from_me = 1",
    )?
    .execute(params![&contact.as_bytes()[..], &id.as_bytes()[..]])?;
    Ok(())
}

pub(crate) fn mark_sent(
    db: &Connection,
    contact: ContactId,
    id: MessageId,
) -> Result<(), VaultError> {
    db.prepare_cached(
        "UPDATE message SET state = max(state, 1) WHERE contact = ?1 AND id = ?2 AND from_me = 1",
    )?
    .execute(params![&contact.as_bytes()[..], &id.as_bytes()[..]])?;
    Ok(())
}

pub(crate) fn push_outbox(
    db: &Connection,
    contact: ContactId,
    blob: &[u8],
    message: Option<MessageId>,
) -> Result<(), VaultError> {
    db.prepare_cached("INSERT INTO outbox (contact, blob, message) VALUES (?1, ?2, ?3)")?.execute(
        params![&contact.as_bytes()[..], blob, message.as_ref().map(|id| &id.as_bytes()[..])],
    )?;
    Ok(())
}

/// The next cells of a contact's outbox behind `after`.
pub(crate) fn outbox(
    db: &Connection,
    contact: ContactId,
    after: i64,
    limit: usize,
) -> Result<Vec<OutboxCell>, VaultError> {
    let mut statement = db.prepare_cached(
        "SELECT seq, blob, message FROM outbox WHERE contact = ?1 AND seq > ?2 ORDER BY seq LIMIT ?3",
    )?;
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let rows = statement.query_map(params![&contact.as_bytes()[..], after, limit], |row| {
        Ok((row.get::<_, i64>(0)?, row.get::<_, Vec<u8>>(1)?, row.get::<_, Option<Vec<u8>>>(2)?))
    })?;
    rows.map(|row| {
        let (seq, blob, message) = row?;
        Ok(OutboxCell {
            seq,
            blob: Blob::try_from(blob.as_slice()).map_err(|_| VaultError::damaged_record())?,
            message: message.map(|id| id16(&id)).transpose()?.map(MessageId::from_bytes),
        })
    })
    .collect()
}

pub(crate) fn outbox_len(db: &Connection, contact: ContactId) -> Result<u32, VaultError> {
    Ok(db
        .prepare_cached("SELECT count(*) FROM outbox WHERE contact = ?1")?
        .query_row([&contact.as_bytes()[..]], |row| row.get(0))?)
}

pub(crate) fn remove_from_outbox(db: &Connection, seq: i64) -> Result<(), VaultError> {
    db.prepare_cached("DELETE FROM outbox WHERE seq = ?1")?.execute([seq])?;
    Ok(())
}

// --- receiving --------------------------------------------------------------------------------

/// Whether this blob came before.
pub(crate) fn is_seen(
    db: &Connection,
    contact: ContactId,
    hash: &[u8; 32],
) -> Result<bool, VaultError> {
    Ok(db
        .prepare_cached("SELECT 1 FROM seen WHERE contact = ?1 AND hash = ?2")?
        .query_row(params![&contact.as_bytes()[..], &hash[..]], |_| Ok(()))
        .optional()?
        .is_some())
}

pub(crate) fn mark_seen(
    db: &Connection,
    contact: ContactId,
    hash: &[u8; 32],
    today: UnixDay,
) -> Result<(), VaultError> {
    db.prepare_cached("INSERT OR IGNORE INTO seen (contact, hash, day) VALUES (?1, ?2, ?3)")?
        .execute(params![&contact.as_bytes()[..], &hash[..], today.0])?;
    Ok(())
}

/// Drops hashes of blobs that no relay holds any more.
pub(crate) fn sweep_seen(db: &Connection, today: UnixDay) -> Result<(), VaultError> {
    db.prepare_cached("DELETE FROM seen WHERE day < ?1")?
        .execute([today.0.saturating_sub(SEEN_DAYS)])?;
    Ok(())
}

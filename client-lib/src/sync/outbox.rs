//! What is to go out and what came, as rows of the vault: contents that wait for keys, exact ciphertexts that wait for a
//! relay, and hashes of blobs received.

use hearken_proto::payload::Blob;
use hearken_proto::time::UnixDay;
use rand_core::CryptoRng;
use rusqlite::{Connection, OptionalExtension, params};
use zeroize::Zeroizing;

use super::keys::{self, KeyName};
use crate::contact::ContactId;
use crate::conversation::ThreadId;
use crate::message::MessageId;
use crate::vault::VaultError;

/// Days for which the hash of a received blob is kept: a day longer than a relay keeps the blob.
pub(crate) const SEEN_DAYS: u32 = hearken_proto::limits::SKIPPED_DAYS_MAX;

/// A cell of the outbox.
pub(crate) struct OutboxCell {
    pub(crate) seq: i64,
    pub(crate) blob: Blob,
    pub(crate) message: Option<MessageId>,
}

/// A content that waits to be sealed.
pub(crate) struct Waiting {
    pub(crate) seq: i64,
    pub(crate) message: MessageId,
    pub(crate) body: Zeroizing<Vec<u8>>,
}

pub(crate) fn id16(bytes: &[u8]) -> Result<[u8; 16], VaultError> {
    bytes.try_into().map_err(|_| VaultError::damaged_record())
}

// --- contents that wait for keys ----------------------------------------------------------------

/// Keeps a content until it can be sealed. `about`: the message that it changes; `ends`: the day on which its words are to be
/// gone.
pub(crate) fn wait(
    tx: &Connection,
    thread: ThreadId,
    message: MessageId,
    about: Option<MessageId>,
    body: &[u8],
    ends: Option<UnixDay>,
    rng: &mut (impl CryptoRng + ?Sized),
) -> Result<(), VaultError> {
    let sealed = match ends {
        Some(day) => &keys::seal(tx, KeyName::Day(day), message.as_bytes(), body, rng)?[..],
        None => body,
    };
    tx.prepare_cached(
        "INSERT INTO waiting (thread, message, about, body, key_day) VALUES (?1, ?2, ?3, ?4, ?5)",
    )?
    .execute(params![
        &thread.as_bytes()[..],
        &message.as_bytes()[..],
        about.as_ref().map(|about| &about.as_bytes()[..]),
        sealed,
        ends.map(|day| day.0)
    ])?;
    Ok(())
}

/// Contents of a conversation that wait, in order. One whose key is gone is gone.
pub(crate) fn waiting(db: &Connection, thread: ThreadId) -> Result<Vec<Waiting>, VaultError> {
    let mut statement = db.prepare_cached(
        "SELECT seq, message, body, key_day FROM waiting WHERE thread = ?1 ORDER BY seq",
    )?;
    let mut rows = statement.query([&thread.as_bytes()[..]])?;
    let mut all = Vec::new();
    while let Some(row) = rows.next()? {
        let message: Vec<u8> = row.get(1)?;
        let message = MessageId::from_bytes(id16(&message)?);
        let body = Zeroizing::new(row.get::<_, Vec<u8>>(2)?);
        let body = match row.get::<_, Option<u32>>(3)? {
            None => Some(body),
            Some(day) => keys::open(db, KeyName::Day(UnixDay(day)), message.as_bytes(), &body)?,
        };
        if let Some(body) = body {
            all.push(Waiting { seq: row.get(0)?, message, body });
        }
    }
    Ok(all)
}

pub(crate) fn has_waiting(db: &Connection, thread: ThreadId) -> Result<bool, VaultError> {
    Ok(db
        .prepare_cached("SELECT EXISTS (SELECT 1 FROM waiting WHERE thread = ?1)")?
        .query_row([&thread.as_bytes()[..]], |row| row.get(0))?)
}

pub(crate) fn remove_waiting(tx: &Connection, seq: i64) -> Result<(), VaultError> {
    tx.prepare_cached("DELETE FROM waiting WHERE seq = ?1")?.execute([seq])?;
    Ok(())
}

/// Takes back a message that has not been sealed, and what was to change it. `false` where there is none.
pub(crate) fn take_back(
    tx: &Connection,
    thread: ThreadId,
    message: MessageId,
) -> Result<bool, VaultError> {
    let changed = tx
        .prepare_cached("DELETE FROM waiting WHERE thread = ?1 AND message = ?2")?
        .execute(params![&thread.as_bytes()[..], &message.as_bytes()[..]])?;
    if changed > 0 {
        tx.prepare_cached("DELETE FROM waiting WHERE thread = ?1 AND about = ?2")?
            .execute(params![&thread.as_bytes()[..], &message.as_bytes()[..]])?;
    }
    // A file is told of once the relay has it.
    let file = tx
        .prepare_cached("DELETE FROM file WHERE thread = ?1 AND message = ?2 AND stage = 0")?
        .execute(params![&thread.as_bytes()[..], &message.as_bytes()[..]])?;
    Ok(changed + file > 0)
}

/// Whether something of a content has not been taken by a relay yet.
pub(crate) fn is_on_its_way(db: &Connection, message: MessageId) -> Result<bool, VaultError> {
    Ok(db
        .prepare_cached(
            "SELECT EXISTS (SELECT 1 FROM outbox WHERE message = ?1)
                 OR EXISTS (SELECT 1 FROM waiting WHERE message = ?1)
                 OR EXISTS (SELECT 1 FROM file WHERE message = ?1 AND stage = 0)",
        )?
        .query_row([&message.as_bytes()[..]], |row| row.get(0))?)
}

// --- ciphertexts that wait for a relay ------------------------------------------------------------

pub(crate) fn push(
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
pub(crate) fn cells(
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

pub(crate) fn len(db: &Connection, contact: ContactId) -> Result<u32, VaultError> {
    Ok(db
        .prepare_cached("SELECT count(*) FROM outbox WHERE contact = ?1")?
        .query_row([&contact.as_bytes()[..]], |row| row.get(0))?)
}

pub(crate) fn remove(db: &Connection, seq: i64) -> Result<(), VaultError> {
    db.prepare_cached("DELETE FROM outbox WHERE seq = ?1")?.execute([seq])?;
    Ok(())
}

// --- receiving ------------------------------------------------------------------------------------

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

//! The lines of conversations as rows of the vault.
//!
//! A line is hidden where its time is up, where it was deleted here, and where it is a reaction to what is not to be seen.
//! Words that are to be gone lie sealed under the key of their day ([`super::keys`]). A line that was deleted or is gone
//! stays as an empty row for as long as a relay may bring it again.

use hearken_proto::time::{UnixDay, UnixMillis};
use rand_core::CryptoRng;
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::keys::{self, KeyName};
use super::outbox::{SEEN_DAYS, id16};
use crate::consent::ConsentState;
use crate::conversation::{PersonId, ThreadId, ThreadKind};
use crate::message::{FileInfo, Message, MessageId, MessageKind, MessageState, Notice, Reaction};
use crate::vault::VaultError;

/// Kinds of rows that are spoken of outside of [`kind_of`].
pub(crate) const TEXT: i64 = 0;
const GAP: i64 = 1;
pub(crate) const REACTION: i64 = 6;
pub(crate) const DELETED: i64 = 7;
const TIME_UP_UNSENT: i64 = 11;
pub(crate) const FILE: i64 = 14;
pub(crate) const GONE: i64 = 13;

const COLUMNS: &str = "thread, (SELECT thread.kind FROM thread WHERE thread.id = message.thread), id,
    author, kind, missing, text, key_day, target, ord, edited, expires_at, sent_at, received_at, state";

/// Not gone, and its time is not up at ?1.
const ALIVE: &str = "kind <> 13 AND (expires_at IS NULL OR expires_at > ?1)";
/// Of a reaction: what it is to can be seen.
const TARGET_ALIVE: &str = "EXISTS (SELECT 1 FROM message AS of WHERE of.thread = message.thread
    AND of.id = message.target AND of.kind IN (0, 14) AND (of.expires_at IS NULL OR of.expires_at > ?1))";

fn kind_of(kind: MessageKind) -> (i64, u32) {
    match kind {
        MessageKind::Text => (TEXT, 0),
        MessageKind::File => (FILE, 0),
        MessageKind::Gap { missing } => (GAP, missing),
        MessageKind::Reaction { withdrawn } => (REACTION, u32::from(withdrawn)),
        MessageKind::Consent(state) => (12, state.number()),
        MessageKind::Notice(notice) => match notice {
            Notice::Joined => (2, 0),
            Notice::SecondClaim => (3, 0),
            Notice::Unsent => (4, 0),
            Notice::Restored => (5, 0),
            Notice::Deleted => (DELETED, 0),
            Notice::NeedsNewer => (8, 0),
            Notice::Timer { seconds } => (9, seconds.unwrap_or(0)),
            Notice::NotTheirs => (10, 0),
            Notice::TimeUpUnsent => (TIME_UP_UNSENT, 0),
        },
    }
}

fn kind_from(kind: i64, missing: u32) -> Result<MessageKind, VaultError> {
    Ok(match kind {
        TEXT => MessageKind::Text,
        FILE => MessageKind::File,
        GAP => MessageKind::Gap { missing },
        2 => MessageKind::Notice(Notice::Joined),
        3 => MessageKind::Notice(Notice::SecondClaim),
        4 => MessageKind::Notice(Notice::Unsent),
        5 => MessageKind::Notice(Notice::Restored),
        REACTION => MessageKind::Reaction { withdrawn: missing > 0 },
        DELETED => MessageKind::Notice(Notice::Deleted),
        8 => MessageKind::Notice(Notice::NeedsNewer),
        9 => MessageKind::Notice(Notice::Timer { seconds: (missing > 0).then_some(missing) }),
        10 => MessageKind::Notice(Notice::NotTheirs),
        TIME_UP_UNSENT => MessageKind::Notice(Notice::TimeUpUnsent),
        12 => {
            MessageKind::Consent(ConsentState::of(missing).ok_or_else(VaultError::damaged_record)?)
        }
        _ => return Err(VaultError::damaged_record()),
    })
}

const fn state_of(state: MessageState) -> i64 {
    match state {
        MessageState::Queued => 0,
        MessageState::Sent => 1,
        MessageState::Received => 2,
        MessageState::Delivered => 3,
    }
}

pub(crate) fn thread_kind(stored: i64) -> Result<ThreadKind, VaultError> {
    match stored {
        0 => Ok(ThreadKind::Contact),
        _ => Err(VaultError::damaged_record()),
    }
}

fn id_of<T>(bytes: Option<Vec<u8>>, of: fn([u8; 16]) -> T) -> Result<Option<T>, VaultError> {
    bytes.map(|bytes| Ok(of(id16(&bytes)?))).transpose()
}

/// `None`: its words went with their key.
fn message_of(db: &Connection, row: &Row<'_>) -> Result<Option<Message>, VaultError> {
    let thread: Vec<u8> = row.get(0)?;
    let id: Vec<u8> = row.get(2)?;
    let (thread, id) = (ThreadId::from_bytes(id16(&thread)?), MessageId::from_bytes(id16(&id)?));
    let text = match row.get::<_, Option<u32>>(7)? {
        None => row.get(6)?,
        Some(day) => {
            let sealed: Vec<u8> = row.get(6)?;
            let day = KeyName::Day(UnixDay(day));
            let Some(words) = keys::open(db, day, id.as_bytes(), &sealed)? else {
                return Ok(None);
            };
            let words = core::str::from_utf8(&words).map_err(|_| VaultError::damaged_record())?;
            words.to_owned()
        }
    };
    let kind = kind_from(row.get(4)?, row.get(5)?)?;
    let file = if kind == MessageKind::File { super::files::find(db, thread, id)? } else { None };
    Ok(Some(Message {
        thread,
        with: thread_kind(row.get(1)?)?,
        id,
        author: id_of(row.get(3)?, PersonId::from_bytes)?,
        kind,
        file: file.map(|file| FileInfo {
            size: file.size,
            media_type: file.media_type,
            state: file.stage.state(),
        }),
        text,
        target: id_of(row.get(8)?, MessageId::from_bytes)?,
        order: row.get(9)?,
        edited: row.get(10)?,
        expires_at: row.get::<_, Option<u64>>(11)?.map(UnixMillis),
        reactions: Vec::new(),
        sent_at: UnixMillis(row.get(12)?),
        received_at: row.get::<_, Option<u64>>(13)?.map(UnixMillis),
        state: match row.get::<_, i64>(14)? {
            0 => MessageState::Queued,
            1 => MessageState::Sent,
            3 => MessageState::Delivered,
            _ => MessageState::Received,
        },
    }))
}

fn collect(
    db: &Connection,
    sql: &str,
    parameters: impl rusqlite::Params,
) -> Result<Vec<Message>, VaultError> {
    let mut messages = Vec::new();
    each(db, sql, parameters, |message| {
        messages.push(message);
        true
    })?;
    Ok(messages)
}

/// Gives the lines of a query to `take`, until that says no.
fn each(
    db: &Connection,
    sql: &str,
    parameters: impl rusqlite::Params,
    mut take: impl FnMut(Message) -> bool,
) -> Result<(), VaultError> {
    let mut statement = db.prepare_cached(sql)?;
    let mut rows = statement.query(parameters)?;
    while let Some(row) = rows.next()? {
        if let Some(message) = message_of(db, row)?
            && !take(message)
        {
            break;
        }
    }
    Ok(())
}

/// Stores a line. `false` when its id is there already in the conversation, whosever it is.
pub(crate) fn insert(
    db: &Connection,
    message: &Message,
    shown: bool,
    rng: &mut (impl CryptoRng + ?Sized),
) -> Result<bool, VaultError> {
    let (kind, missing) = kind_of(message.kind);
    let day = message.expires_at.map(UnixMillis::day);
    let sealed = seal_words(db, message.id, &message.text, day, rng)?;
    let changed = db
        .prepare_cached(
            "INSERT INTO message (thread, id, author, kind, missing, text, key_day, target, ord, edited,
                 expires_at, sent_at, received_at, state, shown)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15)
             ON CONFLICT DO NOTHING",
        )?
        .execute(params![
            &message.thread.as_bytes()[..],
            &message.id.as_bytes()[..],
            message.author.as_ref().map(|author| &author.as_bytes()[..]),
            kind,
            missing,
            sealed,
            day.map(|day| day.0),
            message.target.as_ref().map(|target| &target.as_bytes()[..]),
            message.order,
            message.edited,
            message.expires_at.map(|at| at.0),
            message.sent_at.0,
            message.received_at.map(|at| at.0),
            state_of(message.state),
            shown
        ])?;
    Ok(changed == 1)
}

/// Words as they are stored: in the clear, or under the key of the day on which they end.
fn seal_words(
    tx: &Connection,
    id: MessageId,
    words: &str,
    day: Option<UnixDay>,
    rng: &mut (impl CryptoRng + ?Sized),
) -> Result<rusqlite::types::Value, VaultError> {
    Ok(match day {
        None => words.to_owned().into(),
        Some(day) => {
            keys::seal(tx, KeyName::Day(day), id.as_bytes(), words.as_bytes(), rng)?.into()
        }
    })
}

/// Adds to the newest line of a conversation where that is a gap nobody has seen. `false` where it is not.
pub(crate) fn widen_gap(
    db: &Connection,
    thread: ThreadId,
    missing: u32,
) -> Result<bool, VaultError> {
    let changed = db
        .prepare_cached(
            "UPDATE message SET missing = missing + ?2
         WHERE seq = (SELECT max(seq) FROM message WHERE thread = ?1) AND kind = 1 AND shown = 0",
        )?
        .execute(params![&thread.as_bytes()[..], missing])?;
    Ok(changed == 1)
}

/// What is known of a line whatever became of it, without its words.
#[derive(Clone, Copy)]
pub(crate) struct Known {
    pub(crate) seq: i64,
    pub(crate) author: Option<PersonId>,
    pub(crate) kind: i64,
    pub(crate) order: u64,
    pub(crate) key_day: Option<UnixDay>,
    pub(crate) expires_at: Option<UnixMillis>,
}

impl Known {
    /// Whether it can be read at `now`.
    pub(crate) fn is_text(&self, now: UnixMillis) -> bool {
        self.kind == TEXT && self.is_readable(now)
    }

    /// Whether it is a text or a file that can be seen at `now`.
    pub(crate) fn is_readable(&self, now: UnixMillis) -> bool {
        [TEXT, FILE].contains(&self.kind) && self.expires_at.is_none_or(|at| at > now)
    }
}

pub(crate) fn known(
    db: &Connection,
    thread: ThreadId,
    id: MessageId,
) -> Result<Option<Known>, VaultError> {
    let row = db
        .prepare_cached(
            "SELECT seq, author, kind, ord, key_day, expires_at FROM message WHERE thread = ?1 AND id = ?2",
        )?
        .query_row(params![&thread.as_bytes()[..], &id.as_bytes()[..]], |row| {
            Ok((
                row.get(0)?,
                row.get::<_, Option<Vec<u8>>>(1)?,
                row.get(2)?,
                row.get(3)?,
                row.get::<_, Option<u32>>(4)?,
                row.get::<_, Option<u64>>(5)?,
            ))
        })
        .optional()?;
    let Some((seq, author, kind, order, key_day, expires_at)) = row else { return Ok(None) };
    Ok(Some(Known {
        seq,
        author: id_of(author, PersonId::from_bytes)?,
        kind,
        order,
        key_day: key_day.map(UnixDay),
        expires_at: expires_at.map(UnixMillis),
    }))
}

/// A line that can be seen.
pub(crate) fn message(
    db: &Connection,
    thread: ThreadId,
    id: MessageId,
    now: UnixMillis,
) -> Result<Option<Message>, VaultError> {
    Ok(collect(
        db,
        &format!("SELECT {COLUMNS} FROM message WHERE {ALIVE} AND thread = ?2 AND id = ?3"),
        params![now.0, &thread.as_bytes()[..], &id.as_bytes()[..]],
    )?
    .pop())
}

/// The conversations in which this side wrote something under this id: one, or none.
pub(crate) fn thread_of_own(
    db: &Connection,
    id: MessageId,
) -> Result<Option<ThreadId>, VaultError> {
    let thread: Option<Vec<u8>> = db
        .prepare_cached("SELECT thread FROM message WHERE id = ?1 AND author IS NULL")?
        .query_row([&id.as_bytes()[..]], |row| row.get(0))
        .optional()?;
    id_of(thread, ThreadId::from_bytes)
}

/// Texts and files that can be seen whose id begins with these hexadecimal digits; a few of them.
pub(crate) fn matching(
    db: &Connection,
    thread: Option<ThreadId>,
    prefix: &str,
    now: UnixMillis,
) -> Result<Vec<Message>, VaultError> {
    collect(
        db,
        &format!(
            "SELECT {COLUMNS} FROM message WHERE {ALIVE} AND kind IN (0, 14)
             AND (?2 IS NULL OR thread = ?2) AND substr(lower(hex(id)), 1, length(?3)) = ?3
             ORDER BY seq LIMIT 10"
        ),
        params![now.0, thread.as_ref().map(|thread| &thread.as_bytes()[..]), prefix],
    )
}

/// Lines that came or changed and were not shown, oldest first.
pub(crate) fn unshown(db: &Connection, now: UnixMillis) -> Result<Vec<Message>, VaultError> {
    collect(
        db,
        &format!(
            "SELECT {COLUMNS} FROM message WHERE shown = 0 AND {ALIVE} AND (kind <> 6 OR {TARGET_ALIVE})
             ORDER BY seq"
        ),
        [now.0],
    )
}

/// What a person has seen is not shown again, unless it has changed since: a gap that became wider, words that were replaced.
pub(crate) fn mark_shown(db: &Connection, shown: &Message) -> Result<(), VaultError> {
    let (kind, missing) = kind_of(shown.kind);
    db.prepare_cached(
        "UPDATE message SET shown = 1
         WHERE thread = ?1 AND id = ?2 AND kind = ?3 AND missing = ?4 AND ord = ?5",
    )?
    .execute(params![
        &shown.thread.as_bytes()[..],
        &shown.id.as_bytes()[..],
        kind,
        missing,
        shown.order
    ])?;
    Ok(())
}

/// The newest `limit` lines of a conversation, oldest first.
pub(crate) fn history(
    db: &Connection,
    thread: ThreadId,
    limit: usize,
    now: UnixMillis,
) -> Result<Vec<Message>, VaultError> {
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let mut messages = collect(
        db,
        &format!(
            "SELECT {COLUMNS} FROM message WHERE thread = ?2 AND {ALIVE}
                 AND (kind <> 6 OR (missing = 0 AND text <> '' AND {TARGET_ALIVE}))
             ORDER BY seq DESC LIMIT ?3"
        ),
        params![now.0, &thread.as_bytes()[..], limit],
    )?;
    messages.reverse();
    add_reactions(db, &mut messages)?;
    Ok(messages)
}

/// Gives every text that can be seen to `take`, oldest first, until that says no.
pub(crate) fn each_text(
    db: &Connection,
    now: UnixMillis,
    take: impl FnMut(Message) -> bool,
) -> Result<(), VaultError> {
    let sql = format!("SELECT {COLUMNS} FROM message WHERE kind = 0 AND {ALIVE} ORDER BY seq");
    each(db, &sql, [now.0], take)
}

/// Puts what people think beside what they think it of.
pub(crate) fn add_reactions(db: &Connection, messages: &mut [Message]) -> Result<(), VaultError> {
    let any: bool = db
        .prepare_cached("SELECT EXISTS (SELECT 1 FROM message WHERE kind = 6)")?
        .query_row([], |row| row.get(0))?;
    if !any {
        return Ok(());
    }
    let mut statement = db.prepare_cached(
        "SELECT author, text FROM message
         WHERE thread = ?1 AND target = ?2 AND kind = 6 AND missing = 0 AND text <> '' ORDER BY seq",
    )?;
    let said =
        |message: &&mut Message| [MessageKind::Text, MessageKind::File].contains(&message.kind);
    for message in messages.iter_mut().filter(said) {
        let mut rows =
            statement.query(params![&message.thread.as_bytes()[..], &message.id.as_bytes()[..]])?;
        while let Some(row) = rows.next()? {
            let author = id_of(row.get(0)?, PersonId::from_bytes)?;
            let author = message.with.author(author);
            message.reactions.push(Reaction { author, emoji: row.get(1)? });
        }
    }
    Ok(())
}

pub(crate) fn mark_sent(db: &Connection, id: MessageId) -> Result<(), VaultError> {
    db.prepare_cached(
        "UPDATE message SET state = 1 WHERE id = ?1 AND author IS NULL AND state = 0",
    )?
    .execute([&id.as_bytes()[..]])?;
    Ok(())
}

/// The other side has it. `false` where that was known, or it is none of this side's.
pub(crate) fn mark_delivered(
    db: &Connection,
    thread: ThreadId,
    id: MessageId,
) -> Result<bool, VaultError> {
    let changed = db
        .prepare_cached(
            "UPDATE message SET state = 3
             WHERE thread = ?1 AND id = ?2 AND author IS NULL AND state IN (0, 1)",
        )?
        .execute(params![&thread.as_bytes()[..], &id.as_bytes()[..]])?;
    Ok(changed == 1)
}

/// Other words for a text, which end when the ones before did.
pub(crate) fn replace_text(
    tx: &Connection,
    id: MessageId,
    known: &Known,
    words: &str,
    order: u64,
    rng: &mut (impl CryptoRng + ?Sized),
) -> Result<(), VaultError> {
    let sealed = seal_words(tx, id, words, known.key_day, rng)?;
    tx.prepare_cached(
        "UPDATE message SET text = ?2, ord = ?3, edited = 1, shown = (author IS NULL) WHERE seq = ?1",
    )?
    .execute(params![known.seq, sealed, order])?;
    Ok(())
}

/// Takes a line's words, and what people thought of them. It stays as a row of `kind`: [`DELETED`], which is shown, or
/// [`GONE`], which is not.
pub(crate) fn erase(
    tx: &Connection,
    thread: ThreadId,
    id: MessageId,
    kind: i64,
    order: u64,
) -> Result<(), VaultError> {
    tx.prepare_cached(
        "UPDATE message SET kind = ?3, text = '', key_day = NULL, target = NULL, edited = 0, missing = 0,
             ord = ?4, shown = (author IS NULL OR ?3 = 13), expires_at = iif(?3 = 13, expires_at, NULL)
         WHERE thread = ?1 AND id = ?2",
    )?
    .execute(params![&thread.as_bytes()[..], &id.as_bytes()[..], kind, order])?;
    tx.prepare_cached("DELETE FROM message WHERE thread = ?1 AND target = ?2 AND kind = 6")?
        .execute(params![&thread.as_bytes()[..], &id.as_bytes()[..]])?;
    Ok(())
}

/// What is up at `now` goes: lines first, at the end of a day the keys of what ended on it. Own words that were not sent
/// become a line that says so.
pub(crate) fn sweep(tx: &Connection, now: UnixMillis) -> Result<(), VaultError> {
    let mut statement = tx.prepare_cached(
        "SELECT thread, id, state FROM message
         WHERE expires_at <= ?1 AND kind NOT IN (7, 11, 13) ORDER BY expires_at",
    )?;
    let rows = statement.query_map([now.0], |row| {
        Ok((row.get::<_, Vec<u8>>(0)?, row.get::<_, Vec<u8>>(1)?, row.get::<_, i64>(2)?))
    })?;
    for row in rows.collect::<Result<Vec<_>, _>>()? {
        let (thread, id) =
            (ThreadId::from_bytes(id16(&row.0)?), MessageId::from_bytes(id16(&row.1)?));
        let unsent = super::outbox::take_back(tx, thread, id)?;
        erase(tx, thread, id, if unsent { TIME_UP_UNSENT } else { GONE }, 0)?;
    }
    for day in keys::days_before(tx, now.day())? {
        keys::destroy(tx, KeyName::Day(day))?;
    }
    let kept = UnixDay(now.day().0.saturating_sub(SEEN_DAYS)).start();
    tx.prepare_cached(
        "DELETE FROM message WHERE kind = 13 AND max(coalesce(expires_at, 0), coalesce(received_at, sent_at)) < ?1",
    )?
    .execute([kept.0])?;
    Ok(())
}

/// Whether [`sweep`] would change anything that matters at `now`.
pub(crate) fn is_sweep_due(db: &Connection, now: UnixMillis) -> Result<bool, VaultError> {
    let up: bool = db
        .prepare_cached(
            "SELECT EXISTS (SELECT 1 FROM message WHERE expires_at <= ?1 AND kind NOT IN (7, 11, 13))",
        )?
        .query_row([now.0], |row| row.get(0))?;
    Ok(up || !keys::days_before(db, now.day())?.is_empty())
}

/// When the next line is up.
pub(crate) fn next_end(db: &Connection) -> Result<Option<UnixMillis>, VaultError> {
    let end: Option<u64> = db
        .prepare_cached(
            "SELECT min(expires_at) FROM message WHERE expires_at IS NOT NULL AND kind NOT IN (7, 11, 13)",
        )?
        .query_row([], |row| row.get(0))?;
    Ok(end.map(UnixMillis))
}

//! Receipts: that a message has come, told to its author later.
//!
//! Never at once, so that nobody learns from one when somebody's program was at the network: a receipt rides on the next
//! thing that is said, as long as that needs no cell more for it, or goes with the first network command one to ten minutes
//! after the message came, drawn at random when it came. Deliberately not here: that somebody has read it.

use hearken_proto::time::UnixMillis;
use rand_core::CryptoRng;
use rusqlite::{Connection, params};

use super::{Head, check_may_say, own_head, say};
use crate::conversation::ThreadId;
use crate::error::ClientError;
use crate::message::MessageId;
use crate::sync::content::{Body, RECEIPTS_MAX, Receipts};
use crate::sync::messages;
use crate::sync::outbox::id16;
use crate::vault::VaultError;

const MINUTE_MS: u64 = 60_000;
/// The least and the most that a receipt waits, in milliseconds.
const WAIT_MS_MIN: u64 = MINUTE_MS;
const WAIT_MS_MAX: u64 = 10 * MINUTE_MS;

/// A message came: its receipt is due some minutes from now, where this conversation has receipts.
pub(super) fn note(
    tx: &Connection,
    head: &Head,
    rng: &mut (impl CryptoRng + ?Sized),
) -> Result<(), VaultError> {
    // What remains of 2^64 modulo the span is a bias below 2^-40.
    let wait = WAIT_MS_MIN + rng.next_u64() % (WAIT_MS_MAX - WAIT_MS_MIN + 1);
    tx.prepare_cached(
        "INSERT OR IGNORE INTO receipt (thread, message, due)
         SELECT id, ?2, ?3 FROM thread WHERE id = ?1 AND receipts = 1",
    )?
    .execute(params![
        &head.thread.as_bytes()[..],
        &head.id.as_bytes()[..],
        head.now.0.saturating_add(wait)
    ])?;
    Ok(())
}

/// Takes receipts that came with a content. `false` where they are none.
pub(super) fn take(tx: &Connection, thread: ThreadId, receipts: &[u8]) -> Result<bool, VaultError> {
    let (ids, rest) = receipts.as_chunks::<16>();
    if !rest.is_empty() || ids.len() > RECEIPTS_MAX {
        return Ok(false);
    }
    for id in ids {
        messages::mark_delivered(tx, thread, MessageId::from_bytes(*id))?;
    }
    Ok(true)
}

/// Receipts of a conversation that fit into `room` bytes, whether due or not, to go with what is said.
pub(crate) fn ride(tx: &Connection, thread: ThreadId, room: usize) -> Result<Vec<u8>, VaultError> {
    draw(tx, thread, u64::MAX >> 1, (room / 16).min(RECEIPTS_MAX))
}

fn draw(
    tx: &Connection,
    thread: ThreadId,
    until: u64,
    count: usize,
) -> Result<Vec<u8>, VaultError> {
    if count == 0 {
        return Ok(Vec::new());
    }
    let mut statement = tx.prepare_cached(
        "SELECT message FROM receipt WHERE thread = ?1 AND due <= ?2 ORDER BY due LIMIT ?3",
    )?;
    let count = i64::try_from(count).unwrap_or(i64::MAX);
    let rows = statement
        .query_map(params![&thread.as_bytes()[..], until, count], |row| row.get::<_, Vec<u8>>(0))?;
    let ids = rows.collect::<Result<Vec<_>, _>>()?;
    for id in &ids {
        tx.prepare_cached("DELETE FROM receipt WHERE thread = ?1 AND message = ?2")?
            .execute(params![&thread.as_bytes()[..], id])?;
    }
    Ok(ids.concat())
}

/// Has the receipts go out that are due, of every conversation that can be written to.
pub(crate) fn queue_due(
    tx: &Connection,
    now: UnixMillis,
    rng: &mut (impl CryptoRng + ?Sized),
) -> Result<(), VaultError> {
    let mut statement = tx.prepare_cached("SELECT DISTINCT thread FROM receipt WHERE due <= ?1")?;
    let rows = statement.query_map([now.0], |row| row.get::<_, Vec<u8>>(0))?;
    for thread in rows.collect::<Result<Vec<_>, _>>()? {
        let thread = ThreadId::from_bytes(id16(&thread)?);
        let with = match check_may_say(tx, thread) {
            Ok(with) => with,
            Err(ClientError::Vault(error)) => return Err(error),
            // Nobody who was blocked is told anything.
            Err(_) => {
                tx.prepare_cached("DELETE FROM receipt WHERE thread = ?1")?
                    .execute([&thread.as_bytes()[..]])?;
                continue;
            }
        };
        loop {
            let receipts = draw(tx, thread, now.0, RECEIPTS_MAX)?;
            if receipts.is_empty() {
                break;
            }
            let head = own_head(thread, with, 0, 0, now, rng);
            say(tx, &head, 0, receipts, Body::Receipts(Receipts {}), rng)?;
        }
    }
    Ok(())
}

/// When the next receipt is due.
pub(crate) fn due_at(db: &Connection) -> Result<Option<UnixMillis>, VaultError> {
    let due: Option<u64> =
        db.prepare_cached("SELECT min(due) FROM receipt")?.query_row([], |row| row.get(0))?;
    Ok(due.map(UnixMillis))
}

/// Whether this side receipts what comes in a conversation.
pub(crate) fn set_receipts(tx: &Connection, thread: ThreadId, on: bool) -> Result<(), ClientError> {
    super::kind(tx, thread)?.ok_or(ClientError::UnknownContact)?;
    tx.prepare_cached("UPDATE thread SET receipts = ?2 WHERE id = ?1")?
        .execute(params![&thread.as_bytes()[..], on])?;
    if !on {
        tx.prepare_cached("DELETE FROM receipt WHERE thread = ?1")?
            .execute([&thread.as_bytes()[..]])?;
    }
    Ok(())
}

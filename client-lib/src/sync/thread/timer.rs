//! The timer of a conversation: how long what is written from here on stays.
//!
//! Whoever sets it sets it for everybody: the change travels as a content, and of two the one with the greater order
//! holds, everywhere. A message carries the timer under which it was written, so it does not depend on who had heard of a
//! change. Its time is counted at each side by that side's clock: from when it was written at the author's, from when it
//! came at the others'. It is hidden when its time is up, and its key is destroyed at the end of that day (UTC).

use hearken_proto::time::{DAY_MS, UnixMillis};
use rand_core::CryptoRng;
use rusqlite::{Connection, params};

use super::{Head, Taken, check_may_say, next_order, own_head, say};
use crate::conversation::ThreadId;
use crate::error::ClientError;
use crate::message::{Message, MessageId, MessageKind, Notice};
use crate::sync::content::{self, Body};
use crate::sync::messages;
use crate::vault::VaultError;

/// The longest timer, in seconds: a year.
pub(crate) const TIMER_S_MAX: u32 = 365 * 86_400;

/// How far ahead of this clock an order is taken: nobody can set a timer that no later one replaces.
const AHEAD_MS_MAX: u64 = DAY_MS;

/// When something is gone that stays for so long from `now` on; 0: never.
pub(super) fn end_of(seconds: u32, now: UnixMillis) -> Option<UnixMillis> {
    (seconds > 0).then(|| UnixMillis(now.0.saturating_add(u64::from(seconds) * 1_000)))
}

/// The timer of a conversation, in seconds; `None` where what is written stays.
pub(crate) fn timer(db: &Connection, thread: ThreadId) -> Result<Option<u32>, VaultError> {
    let seconds: u32 = db
        .prepare_cached("SELECT coalesce(max(timer_s), 0) FROM thread WHERE id = ?1")?
        .query_row([&thread.as_bytes()[..]], |row| row.get(0))?;
    Ok((seconds > 0).then_some(seconds))
}

/// Sets the timer for everybody from here on.
pub(crate) fn set_timer(
    tx: &Connection,
    thread: ThreadId,
    seconds: Option<u32>,
    now: UnixMillis,
    rng: &mut (impl CryptoRng + ?Sized),
) -> Result<MessageId, ClientError> {
    let with = check_may_say(tx, thread)?;
    let seconds = seconds.unwrap_or(0);
    if seconds > TIMER_S_MAX {
        return Err(ClientError::TimerInvalid);
    }
    let last: u64 = tx
        .prepare_cached("SELECT timer_order FROM thread WHERE id = ?1")?
        .query_row([&thread.as_bytes()[..]], |row| row.get(0))?;
    let order = next_order(tx, thread, now)?.max(last.saturating_add(1));
    let head = own_head(thread, with, order, 0, now, rng);
    store(tx, &head, seconds)?;
    head.notice(tx, Notice::Timer { seconds: (seconds > 0).then_some(seconds) }, rng)?;
    say(tx, &head, 0, Vec::new(), Body::Timer(content::Timer { seconds }), rng)?;
    Ok(head.id)
}

pub(super) fn take(
    tx: &Connection,
    head: &Head,
    timer: content::Timer,
    rng: &mut (impl CryptoRng + ?Sized),
) -> Result<Taken, VaultError> {
    let order = head.order.min(head.now.0.saturating_add(AHEAD_MS_MAX));
    let head = Head { order, ..*head };
    let seconds = timer.seconds.min(TIMER_S_MAX);
    let last: u64 = tx
        .prepare_cached("SELECT timer_order FROM thread WHERE id = ?1")?
        .query_row([&head.thread.as_bytes()[..]], |row| row.get(0))?;
    // Two that were set at once under one order: the shorter one, at every side.
    let current = super::timer(tx, head.thread)?.unwrap_or(u32::MAX);
    let asked = if seconds == 0 { u32::MAX } else { seconds };
    if order < last || (order == last && asked >= current) {
        return Ok(Taken::Lines(Vec::new()));
    }
    store(tx, &head, seconds)?;
    let kind = MessageKind::Notice(Notice::Timer { seconds: (seconds > 0).then_some(seconds) });
    let line: Message = head.line(kind, "", None);
    Ok(messages::insert(tx, &line, false, rng)?.then_some(line).into())
}

fn store(tx: &Connection, head: &Head, seconds: u32) -> Result<(), VaultError> {
    tx.prepare_cached("UPDATE thread SET timer_s = ?2, timer_order = ?3 WHERE id = ?1")?
        .execute(params![&head.thread.as_bytes()[..], seconds, head.order])?;
    Ok(())
}

//! Edits and deletions: what an author makes of a message that they wrote.
//!
//! Only the author's count; anybody else's change nothing and are shown as an attempt. Of two edits the one that the author
//! made last holds, and a deletion holds against every edit, in whichever order they come. One of a message that has not
//! come waits for it, the last of each author and message, 64 an author. A message that was deleted for all stays as a
//! line that says so; one that was deleted here is gone without a word. Neither can take back what somebody has read.

use hearken_proto::limits::TEXT_MAX;
use hearken_proto::time::{UnixDay, UnixMillis};
use rand_core::CryptoRng;
use rusqlite::{Connection, OptionalExtension, params};

use super::{Head, Taken, check_may_say, next_order, own_head, say};
use crate::conversation::ThreadId;
use crate::error::ClientError;
use crate::message::{MessageId, Notice};
use crate::sync::content::{self, Body, Deletion, Edit};
use crate::sync::keys::{self, KeyName};
use crate::sync::messages::{self, DELETED, GONE, Known};
use crate::sync::outbox::{self, SEEN_DAYS};
use crate::vault::VaultError;

/// Edits and deletions of one person in one conversation that wait for their message.
const EARLY_MAX: u32 = 64;

/// Replaces the words of a message of this side, at every side.
pub(crate) fn edit(
    tx: &Connection,
    thread: ThreadId,
    target: MessageId,
    text: &str,
    now: UnixMillis,
    rng: &mut (impl CryptoRng + ?Sized),
) -> Result<MessageId, ClientError> {
    let with = check_may_say(tx, thread)?;
    let known = own(tx, thread, target, now)?;
    if !known.is_text(now) {
        return Err(ClientError::UnknownMessage);
    }
    let order = next_order(tx, thread, now)?.max(known.order.saturating_add(1));
    let left_s = known.expires_at.map_or(0, |at| {
        let seconds = at.since(now).as_secs().saturating_add(1);
        u32::try_from(seconds).unwrap_or(u32::MAX)
    });
    let head = own_head(thread, with, order, left_s, now, rng);
    messages::replace_text(tx, target, &known, text, order, rng)?;
    let body = Edit { target: target.as_bytes().to_vec(), text: text.to_owned() };
    say(tx, &head, left_s, Vec::new(), Body::Edit(body), rng)?;
    Ok(head.id)
}

/// Deletes a message of this side at every side. `None` where it had not been sent: then nobody is told.
pub(crate) fn delete_for_all(
    tx: &Connection,
    thread: ThreadId,
    target: MessageId,
    now: UnixMillis,
    rng: &mut (impl CryptoRng + ?Sized),
) -> Result<Option<MessageId>, ClientError> {
    let with = check_may_say(tx, thread)?;
    let known = own(tx, thread, target, now)?;
    let order = next_order(tx, thread, now)?.max(known.order.saturating_add(1));
    let is_unsent = outbox::take_back(tx, thread, target)?;
    messages::erase(tx, thread, target, DELETED, order)?;
    if is_unsent {
        return Ok(None);
    }
    let head = own_head(thread, with, order, 0, now, rng);
    let body = Body::Deletion(Deletion { target: target.as_bytes().to_vec() });
    say(tx, &head, 0, Vec::new(), body, rng)?;
    Ok(Some(head.id))
}

/// Deletes a message on this side. One that was not sealed yet does not go out.
pub(crate) fn delete_here(
    tx: &Connection,
    thread: ThreadId,
    target: MessageId,
    now: UnixMillis,
) -> Result<(), ClientError> {
    let known = messages::known(tx, thread, target)?.filter(|known| known.is_readable(now));
    let known = known.ok_or(ClientError::UnknownMessage)?;
    outbox::take_back(tx, thread, target)?;
    messages::erase(tx, thread, target, GONE, known.order)?;
    Ok(())
}

fn own(
    tx: &Connection,
    thread: ThreadId,
    target: MessageId,
    now: UnixMillis,
) -> Result<Known, ClientError> {
    let known = messages::known(tx, thread, target)?.filter(|known| known.is_readable(now));
    let known = known.ok_or(ClientError::UnknownMessage)?;
    if known.author.is_some() { Err(ClientError::NotYours) } else { Ok(known) }
}

pub(super) fn take_edit(
    tx: &Connection,
    head: &Head,
    edit: &Edit,
    rng: &mut (impl CryptoRng + ?Sized),
) -> Result<Taken, VaultError> {
    let Some(target) = content::message_id(&edit.target) else { return Ok(Taken::Malformed) };
    if edit.text.is_empty() || edit.text.len() > TEXT_MAX {
        return Ok(Taken::Malformed);
    }
    match messages::known(tx, head.thread, target)? {
        None => {
            keep_early(tx, head, target, Some(&edit.text), rng)?;
            Ok(Taken::Lines(Vec::new()))
        }
        Some(known) if known.author != head.author => {
            Ok(head.notice(tx, Notice::NotTheirs, rng)?.into())
        }
        Some(known) if known.is_text(head.now) && head.order > known.order => {
            messages::replace_text(tx, target, &known, &edit.text, head.order, rng)?;
            Ok(messages::message(tx, head.thread, target, head.now)?.into())
        }
        Some(_) => Ok(Taken::Lines(Vec::new())),
    }
}

pub(super) fn take_deletion(
    tx: &Connection,
    head: &Head,
    deletion: &Deletion,
    rng: &mut (impl CryptoRng + ?Sized),
) -> Result<Taken, VaultError> {
    let Some(target) = content::message_id(&deletion.target) else { return Ok(Taken::Malformed) };
    match messages::known(tx, head.thread, target)? {
        None => {
            keep_early(tx, head, target, None, rng)?;
            Ok(Taken::Lines(Vec::new()))
        }
        Some(known) if known.author != head.author => {
            Ok(head.notice(tx, Notice::NotTheirs, rng)?.into())
        }
        Some(known) if known.is_readable(head.now) => {
            messages::erase(tx, head.thread, target, DELETED, head.order)?;
            Ok(messages::message(tx, head.thread, target, head.now)?.into())
        }
        Some(_) => Ok(Taken::Lines(Vec::new())),
    }
}

/// Keeps what somebody made of a message that has not come. `None`: a deletion.
fn keep_early(
    tx: &Connection,
    head: &Head,
    target: MessageId,
    text: Option<&str>,
    rng: &mut (impl CryptoRng + ?Sized),
) -> Result<(), VaultError> {
    let Some(author) = head.author else { return Ok(()) };
    let (thread, author) = (&head.thread.as_bytes()[..], &author.as_bytes()[..]);
    let before: Option<(u64, bool)> = tx
        .prepare_cached(
            "SELECT ord, deletes FROM early WHERE thread = ?1 AND author = ?2 AND target = ?3",
        )?
        .query_row(params![thread, author, &target.as_bytes()[..]], |row| {
            Ok((row.get(0)?, row.get(1)?))
        })
        .optional()?;
    if before.is_some_and(|(order, deletes)| deletes || (text.is_some() && order >= head.order)) {
        return Ok(());
    }
    let day = text.and(head.expires_at).map(UnixMillis::day);
    let words = text.unwrap_or_default();
    let stored: rusqlite::types::Value = match day {
        None => words.to_owned().into(),
        Some(day) => {
            keys::seal(tx, KeyName::Day(day), target.as_bytes(), words.as_bytes(), rng)?.into()
        }
    };
    tx.prepare_cached(
        "INSERT OR REPLACE INTO early (thread, author, target, ord, deletes, text, key_day, day)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
    )?
    .execute(params![
        thread,
        author,
        &target.as_bytes()[..],
        head.order,
        text.is_none(),
        stored,
        day.map(|day| day.0),
        head.now.day().0
    ])?;
    tx.prepare_cached(
        "DELETE FROM early WHERE seq IN (SELECT seq FROM early WHERE thread = ?1 AND author = ?2
             ORDER BY seq DESC LIMIT -1 OFFSET ?3)",
    )?
    .execute(params![thread, author, EARLY_MAX])?;
    Ok(())
}

/// A message came: what its author had made of it before it did.
pub(super) fn apply_early(
    tx: &Connection,
    head: &Head,
    rng: &mut (impl CryptoRng + ?Sized),
) -> Result<(), VaultError> {
    let Some(author) = head.author else { return Ok(()) };
    let key = params![&head.thread.as_bytes()[..], &author.as_bytes()[..], &head.id.as_bytes()[..]];
    let row = tx
        .prepare_cached(
            "SELECT ord, deletes, text, key_day FROM early WHERE thread = ?1 AND author = ?2 AND target = ?3",
        )?
        .query_row(key, |row| {
            let day: Option<u32> = row.get(3)?;
            let words = match day {
                None => row.get::<_, String>(2)?.into_bytes(),
                Some(_) => row.get::<_, Vec<u8>>(2)?,
            };
            Ok((row.get::<_, u64>(0)?, row.get::<_, bool>(1)?, words, day))
        })
        .optional()?;
    let Some((order, deletes, words, day)) = row else { return Ok(()) };
    tx.prepare_cached("DELETE FROM early WHERE thread = ?1 AND author = ?2 AND target = ?3")?
        .execute(key)?;
    if deletes {
        return messages::erase(tx, head.thread, head.id, DELETED, order);
    }
    let words = match day {
        None => Some(words.into()),
        Some(day) => keys::open(tx, KeyName::Day(UnixDay(day)), head.id.as_bytes(), &words)?,
    };
    let Some(words) = words else { return Ok(()) };
    let words = core::str::from_utf8(&words).map_err(|_| VaultError::damaged_record())?;
    let known =
        messages::known(tx, head.thread, head.id)?.filter(|known| known.kind == messages::TEXT);
    let Some(known) = known else { return Ok(()) };
    messages::replace_text(tx, head.id, &known, words, order, rng)
}

/// Drops what waits for messages that no relay holds.
pub(crate) fn sweep_early(tx: &Connection, today: UnixDay) -> Result<(), VaultError> {
    tx.prepare_cached("DELETE FROM early WHERE day < ?1")?
        .execute([today.0.saturating_sub(SEEN_DAYS)])?;
    Ok(())
}

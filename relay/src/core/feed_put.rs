//! `FeedPut`: an entry at the end of a feed, once, in the order in which its writer put them.
//!
//! Guarantees: positions are given in the commit that makes the entry durable, each above all before it, so that nothing
//! ever appears below an entry that was read; an entry put again while it is kept changes nothing; one that names an
//! object is taken only where that object is complete, no other entry names it, and the feed was not restored from a
//! backup, and object and entry then live equally long. What is refused for good holds nothing back behind it.

use hearken_proto::ids::{FeedId, ObjectId, PutId};
use hearken_proto::limits::FEED_NAMING_RESERVE;
use hearken_proto::time::{UnixDay, UnixMillis};
use hearken_proto::wire::Reason;
use rand_core::CryptoRng;

use super::command::{Answer, Blocked, CommandContext, FeedPut, Watched};
use super::feed::{find, load, save};
use super::feed_rows::{FeedRow, SeenEntry, aad, entry_key, seen_entry_key};
use super::object_named;
use super::put::out_of_order;
use super::rows::{Kind, due_key};
use crate::store::{Space, StoreError, Transaction};

/// Appends an entry, or says why not.
pub(super) fn put(
    tx: &mut Transaction<'_>,
    context: &mut CommandContext,
    now: UnixMillis,
    rng: &mut dyn CryptoRng,
    put: FeedPut,
) -> Result<Answer, StoreError> {
    let today = now.day();
    let feed = find(tx, &put.writer)?;
    let row = match &feed {
        Some(feed) => load(tx, feed)?.filter(|row| !row.is_over(today)),
        None => None,
    };
    let (true, Some(feed), Some(mut row)) = (put.permit.proven, feed, row) else {
        return Ok(Answer::Refused(Reason::NotYours));
    };
    let is_seen = |put_id: &PutId| Ok(seen(tx, &feed, &row, put_id)?.is_some());
    if let Some(reason) = out_of_order(context, put.session, &put.before, is_seen)? {
        return Ok(Answer::Refused(reason));
    }
    if let Some(found) = seen(tx, &feed, &row, &put.put_id)? {
        context.blocked.remove(&put.session);
        let same = found.names == put.names;
        return Ok(if same { Answer::Done } else { Answer::Refused(Reason::Mismatch) });
    }
    if let Some(reason) = refused_for_now(context, today, &row, &put) {
        context.blocked.insert(put.session, Blocked { put_id: put.put_id, reason });
        return Ok(Answer::Refused(reason));
    }
    let day = UnixDay(today.0.saturating_add(row.kind.entry_days()));
    if let Some(object) = &put.names
        && let Some(reason) = name(tx, context, now, rng, &row, object, day)?
    {
        context.blocked.remove(&put.session);
        return Ok(Answer::Refused(reason));
    }
    let after = row.newest;
    // After a restore above every position given before it: a cursor never stands above a later entry.
    let position = row.newest.max(tx.first_position()) + 1;
    let blob = &put.blob.as_bytes()[..];
    let sealed = context.day_keys.seal(day, &aad(&feed, position), blob, rng)?;
    let seen = SeenEntry { incarnation: row.incarnation, names: put.names };
    tx.put(Space::Day(day), &entry_key(&feed, position), sealed);
    tx.put(Space::Day(day), &seen_entry_key(&feed, &put.put_id), seen.encode());
    row.prune(today);
    row.append(day, position);
    came(tx, today, &feed, &mut row);
    save(tx, &feed, &row);
    // As of a mailbox: where the commit fails, the next one names this one among those before it.
    context.blocked.remove(&put.session);
    let watched = Watched::Feed(feed);
    Ok(Answer::Stored { watched, after, position, blob: Some(put.blob), touch: false })
}

/// Why an entry must wait, if it must.
fn refused_for_now(
    context: &CommandContext,
    today: UnixDay,
    row: &FeedRow,
    put: &FeedPut,
) -> Option<Reason> {
    let reserve = if put.names.is_some() { FEED_NAMING_RESERVE } else { 0 };
    let entries_max = row.kind.entries_max(context.limits.feed_entries_max);
    let entries_max = entries_max.saturating_add(reserve);
    if !put.permit.open {
        Some(Reason::NotAdmitted)
    } else if !put.permit.room {
        Some(Reason::NoRoom)
    } else if row.entries(today) >= entries_max {
        Some(Reason::Full)
    } else {
        None
    }
}

/// Has the entry name its object, or says why it cannot.
fn name(
    tx: &mut Transaction<'_>,
    context: &CommandContext,
    now: UnixMillis,
    rng: &mut dyn CryptoRng,
    row: &FeedRow,
    object: &ObjectId,
    day: UnixDay,
) -> Result<Option<Reason>, StoreError> {
    if row.made_in != tx.first_position() {
        return Ok(Some(Reason::Restored));
    }
    object_named::name(tx, &context.day_keys, now, rng, object, day)
}

/// What the feed remembers of this entry, where it was given it and the day in which that expires still lives.
fn seen(
    tx: &Transaction<'_>,
    feed: &FeedId,
    row: &FeedRow,
    put_id: &PutId,
) -> Result<Option<SeenEntry>, StoreError> {
    let key = seen_entry_key(feed, put_id);
    for at in row.days.iter().rev() {
        let Some(bytes) = tx.read(Space::Day(at.day), &key)? else { continue };
        let found = SeenEntry::decode(&bytes)?;
        if found.incarnation == row.incarnation {
            return Ok(Some(found));
        }
    }
    Ok(None)
}

/// Notes the day of the last entry.
fn came(tx: &mut Transaction<'_>, today: UnixDay, feed: &FeedId, row: &mut FeedRow) {
    if row.last_day < today {
        tx.delete(Space::Rows, &due_key(Kind::FeedIdle, row.last_day.0, feed.as_bytes()));
        tx.put(Space::Rows, &due_key(Kind::FeedIdle, today.0, feed.as_bytes()), Vec::new());
        row.last_day = today;
    }
}

//! A feed's life in the store: made and ended. Putting is in `feed_put.rs`, reading in `feed_read.rs`.
//!
//! Guarantees: a feed that is missing, has ended or is another's is one answer; none that was ever written to is ended
//! by anybody, so that no holder of its keys takes from the others what they have not read. Deliberately not: readers.
//! A feed knows nothing of who reads, and reading changes nothing.

use hearken_proto::ids::{FeedId, FeedWriterId};
use hearken_proto::time::UnixMillis;
use hearken_proto::wire::Reason;
use rand_core::CryptoRng;

use super::command::{Answer, FeedCreate, Permit};
use super::config::CommandLimits;
use super::feed_rows::{FeedRow, entry_key, feeds_key};
use super::rows::{Kind, due_key, key, read_id, read_total};
use crate::store::{Space, StoreError, Transaction, life};

/// The row of a feed, whether or not it has ended.
pub(super) fn load(tx: &Transaction<'_>, feed: &FeedId) -> Result<Option<FeedRow>, StoreError> {
    let bytes = tx.read(Space::Rows, &key(Kind::Feed, feed.as_bytes()))?;
    bytes.map(|bytes| FeedRow::decode(&bytes)).transpose()
}

/// Writes the row of a feed.
pub(super) fn save(tx: &mut Transaction<'_>, feed: &FeedId, row: &FeedRow) {
    tx.put(Space::Rows, &key(Kind::Feed, feed.as_bytes()), row.encode());
}

/// The feed that a writer's id stands for.
pub(super) fn find(
    tx: &Transaction<'_>,
    writer: &FeedWriterId,
) -> Result<Option<FeedId>, StoreError> {
    let bytes = tx.read(Space::Rows, &key(Kind::FeedWriter, writer.as_bytes()))?;
    bytes.map(|bytes| read_id(&bytes).map(FeedId::from_bytes)).transpose()
}

/// `FeedCreate`: makes the feed, or changes nothing where it is there with the same keys and kind.
pub(super) fn create(
    tx: &mut Transaction<'_>,
    limits: &CommandLimits,
    now: UnixMillis,
    rng: &mut dyn CryptoRng,
    create: &FeedCreate,
) -> Result<Answer, StoreError> {
    let FeedCreate { feed, writer, kind, permit } = create;
    let today = now.day();
    let found = load(tx, feed)?;
    if !permit.proven {
        return Ok(Answer::Refused(Reason::NotYours));
    }
    if let Some(row) = found.as_ref().filter(|row| !row.is_over(today)) {
        let same = row.writer == *writer && row.kind == *kind;
        return Ok(if same { Answer::Done } else { Answer::Refused(Reason::Mismatch) });
    }
    if !permit.admitted {
        return Ok(Answer::Refused(Reason::NotAdmitted));
    }
    if !permit.worked {
        return Ok(Answer::Refused(Reason::ProofOfWork));
    }
    // One that has ended, which the sweep has not come to yet.
    if let Some(row) = found {
        remove(tx, feed, &row)?;
    }
    let feeds = read_total(tx.read(Space::Rows, &feeds_key())?.as_deref())?;
    if !permit.room || feeds >= limits.feeds_max {
        return Ok(Answer::Refused(Reason::NoRoom));
    }
    if find(tx, writer)?.is_some() {
        return Ok(Answer::Refused(Reason::Mismatch));
    }
    let mut incarnation = [0; 8];
    rng.fill_bytes(&mut incarnation);
    let row = FeedRow {
        writer: *writer,
        kind: *kind,
        incarnation,
        made_in: tx.first_position(),
        newest: life::position_on(tx.first_position(), today),
        dropped: 0,
        last_day: today,
        days: Vec::new(),
    };
    save(tx, feed, &row);
    tx.put(Space::Rows, &key(Kind::FeedWriter, writer.as_bytes()), feed.as_bytes().to_vec());
    tx.put(Space::Rows, &due_key(Kind::FeedIdle, today.0, feed.as_bytes()), Vec::new());
    tx.put(Space::Rows, &feeds_key(), (feeds + 1).to_be_bytes().to_vec());
    Ok(Answer::Done)
}

/// `FeedDelete`: ends a feed that nothing was ever put into.
pub(super) fn delete(
    tx: &mut Transaction<'_>,
    now: UnixMillis,
    feed: FeedId,
    permit: Permit,
) -> Result<Answer, StoreError> {
    let row = load(tx, &feed)?.filter(|row| !row.is_over(now.day()));
    let (true, Some(row)) = (permit.proven, row) else {
        return Ok(Answer::Refused(Reason::NotYours));
    };
    if row.was_written() {
        return Ok(Answer::Refused(Reason::Mismatch));
    }
    remove(tx, &feed, &row)?;
    Ok(Answer::Done)
}

/// Removes a feed with everything that leads to it.
pub(super) fn remove(
    tx: &mut Transaction<'_>,
    feed: &FeedId,
    row: &FeedRow,
) -> Result<(), StoreError> {
    for at in &row.days {
        let (from, to) = (entry_key(feed, at.first), entry_key(feed, at.last.saturating_add(1)));
        tx.delete_range(Space::Day(at.day), &from, &to, at.entries as usize)?;
    }
    tx.delete(Space::Rows, &key(Kind::FeedWriter, row.writer.as_bytes()));
    tx.delete(Space::Rows, &due_key(Kind::FeedIdle, row.last_day.0, feed.as_bytes()));
    tx.delete(Space::Rows, &key(Kind::Feed, feed.as_bytes()));
    let feeds = read_total(tx.read(Space::Rows, &feeds_key())?.as_deref())?;
    tx.put(Space::Rows, &feeds_key(), feeds.saturating_sub(1).to_be_bytes().to_vec());
    Ok(())
}

//! Reads of a feed: `FeedGet`, the beginning of a watch and its pushes, over committed rows.
//!
//! Guarantees: entries in the order of their positions, none twice, none that has expired, and never one behind an
//! entry that the reader has not seen and cannot see any more: that is a gap, and said. Deliberately not: a reader's
//! cursor. It comes with the question and is kept nowhere.

use hearken_proto::ids::FeedId;
use hearken_proto::payload::Blob;
use hearken_proto::time::UnixDay;
use hearken_proto::wire::Reason;

use super::command::Answer;
use super::feed_rows::{FeedDay, FeedRow, aad, entry_key};
use super::rows::{Kind, corrupt, key, position_of};
use crate::store::{DayKeys, Space, Store, StoreError};

/// At most `max` entries after a position.
pub(super) fn get(
    store: &dyn Store,
    keys: &DayKeys,
    feed: FeedId,
    after: u64,
    max: u32,
    today: UnixDay,
    proven: bool,
) -> Result<Answer, StoreError> {
    let Some(row) = load(store, &feed, today, proven)? else {
        return Ok(Answer::Refused(Reason::NotYours));
    };
    if !is_whole_after(store, &feed, &row, after, today)? {
        return Ok(Answer::Refused(Reason::Gap));
    }
    let max = max as usize;
    let mut days: Vec<&FeedDay> = row.live(today).filter(|at| at.last > after).collect();
    days.sort_by_key(|at| at.first);
    let mut blobs: Vec<(u64, Blob)> = Vec::new();
    for at in days {
        // Days overlap only where the relay's clock went back; then their entries are merged by position.
        if blobs.get(max.saturating_sub(1)).is_some_and(|(position, _)| *position < at.first) {
            break;
        }
        match read_day(store, keys, &feed, at, after, max)? {
            Some(found) => blobs.extend(found),
            // The day ended between the row and here, and others may be there behind it.
            None => return Ok(Answer::Refused(Reason::Gap)),
        }
        blobs.sort_by_key(|(position, _)| *position);
        blobs.truncate(max);
    }
    Ok(Answer::Blobs { blobs, touch: false })
}

/// At most `max` entries of one day; `None` where its entries are gone.
fn read_day(
    store: &dyn Store,
    keys: &DayKeys,
    feed: &FeedId,
    at: &FeedDay,
    after: u64,
    max: usize,
) -> Result<Option<Vec<(u64, Blob)>>, StoreError> {
    let from = entry_key(feed, at.first.max(after.saturating_add(1)));
    let to = entry_key(feed, at.last.saturating_add(1));
    let rows = store.range(Space::Day(at.day), &from, &to, max)?;
    let mut found = Vec::with_capacity(rows.len());
    for row in &rows {
        let position = position_of(&row.key)?;
        match keys.open_sealed(at.day, &aad(feed, position), &row.value) {
            Ok(plain) => {
                let blob =
                    Blob::try_from(&plain[..]).map_err(|_| corrupt("a sealed entry's length"))?;
                found.push((position, blob));
            }
            Err(StoreError::Expired) => return Ok(None),
            Err(error) => return Err(error),
        }
    }
    let reaches_end = found.last().is_some_and(|(position, _)| *position == at.last);
    Ok((reaches_end || found.len() == max).then_some(found))
}

/// What a reader is told when it begins to watch.
pub(super) fn watch(
    store: &dyn Store,
    feed: FeedId,
    after: u64,
    today: UnixDay,
    proven: bool,
) -> Result<Answer, StoreError> {
    let Some(row) = load(store, &feed, today, proven)? else {
        return Ok(Answer::Refused(Reason::NotYours));
    };
    if !is_whole_after(store, &feed, &row, after, today)? {
        return Ok(Answer::Refused(Reason::Gap));
    }
    let newest = row.newest_after(after, today);
    Ok(Answer::Watching { claims_refused: 0, claimed: true, newest })
}

/// Whether everything that was ever put behind `after` is there, and `after` is where a reader can have come to.
fn is_whole_after(
    store: &dyn Store,
    feed: &FeedId,
    row: &FeedRow,
    after: u64,
    today: UnixDay,
) -> Result<bool, StoreError> {
    let dropped = row.dropped(today);
    // Where nothing was dropped, `dropped` is the start, which is where a reader without a cursor stands.
    if after == dropped || after == row.newest {
        return Ok(true);
    }
    if after < dropped || after > row.newest {
        return Ok(false);
    }
    // In between a position may never have been given, or in a life of the store that a restore took back.
    for at in row.live(today).filter(|at| (at.first..=at.last).contains(&after)) {
        if store.read(Space::Day(at.day), &entry_key(feed, after))?.is_some() {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Looks the feed up whether or not its key was proven, so that both take the same time.
fn load(
    store: &dyn Store,
    feed: &FeedId,
    today: UnixDay,
    proven: bool,
) -> Result<Option<FeedRow>, StoreError> {
    let bytes = store.read(Space::Rows, &key(Kind::Feed, feed.as_bytes()))?;
    let row = bytes.map(|bytes| FeedRow::decode(&bytes)).transpose()?;
    Ok(row.filter(|row| proven && !row.is_over(today)))
}

//! Reads of a mailbox: `Get`, `Watch` and its pushes, over committed rows.
//!
//! Guarantees: blobs in the order of their positions, none twice, none whose hour is over; reads begin behind what was
//! acknowledged, so a mailbox that has passed many blobs on is read as fast as a fresh one.

use hearken_proto::ids::RecvId;
use hearken_proto::payload::Blob;
use hearken_proto::time::UnixHour;
use hearken_proto::wire::Reason;

use super::command::Answer;
use super::put::aad;
use super::rows::{
    BlobRow, Kind, MailboxDay, MailboxRow, blob_key, blobs_end, corrupt, key, position_of,
};
use crate::store::{DayKeys, Space, Store, StoreError};

/// At most `max` blobs after a position.
pub(super) fn get(
    store: &dyn Store,
    keys: &DayKeys,
    mailbox: RecvId,
    after: u64,
    max: u32,
    hour: UnixHour,
    proven: bool,
) -> Result<Answer, StoreError> {
    let Some(row) = load(store, &mailbox, proven)? else {
        return Ok(Answer::Refused(Reason::NotYours));
    };
    let max = max as usize;
    let after = after.max(row.head);
    let mut blobs: Vec<(u64, Blob)> = Vec::new();
    let mut days: Vec<&MailboxDay> =
        row.days.iter().filter(|at| at.day >= hour.day() && at.blobs > 0).collect();
    days.sort_by_key(|at| at.first);
    for at in days {
        // Days overlap only where the relay's clock went back; then their blobs are merged by position.
        if blobs.get(max.saturating_sub(1)).is_some_and(|(position, _)| *position < at.first) {
            break;
        }
        read_day(store, keys, &mailbox, at, after, max, hour, &mut blobs)?;
        blobs.sort_by_key(|(position, _)| *position);
        blobs.truncate(max);
    }
    Ok(Answer::Blobs { blobs, touch: row.reader_day < hour.day() })
}

#[allow(clippy::too_many_arguments, reason = "one step of `get`, whose every local it needs")]
fn read_day(
    store: &dyn Store,
    keys: &DayKeys,
    mailbox: &RecvId,
    at: &MailboxDay,
    after: u64,
    max: usize,
    hour: UnixHour,
    blobs: &mut Vec<(u64, Blob)>,
) -> Result<(), StoreError> {
    let mut from = at.first.max(after.saturating_add(1));
    let mut found = 0;
    while found < max {
        let rows =
            store.range(Space::Day(at.day), &blob_key(mailbox, from), &blobs_end(mailbox), max)?;
        for row in &rows {
            let position = position_of(&row.key)?;
            from = position.saturating_add(1);
            let BlobRow { goes, sealed } = BlobRow::decode(&row.value)?;
            if hour >= goes || found == max {
                continue;
            }
            match keys.open_sealed(at.day, &aad(mailbox, position), sealed) {
                Ok(plain) => {
                    let blob = Blob::try_from(&plain[..])
                        .map_err(|_| corrupt("a sealed blob's length"))?;
                    blobs.push((position, blob));
                    found += 1;
                }
                // The day ended between the row and here.
                Err(StoreError::Expired) => return Ok(()),
                Err(error) => return Err(error),
            }
        }
        if rows.len() < max {
            return Ok(());
        }
    }
    Ok(())
}

/// What a reader is told when it begins to watch.
pub(super) fn watch(
    store: &dyn Store,
    mailbox: RecvId,
    after: u64,
    hour: UnixHour,
    proven: bool,
) -> Result<Answer, StoreError> {
    let Some(row) = load(store, &mailbox, proven)? else {
        return Ok(Answer::Refused(Reason::NotYours));
    };
    Ok(Answer::Watching {
        claims_refused: row.claims_refused,
        claimed: row.sender.is_some(),
        newest: row.newest_after(after, hour),
    })
}

/// Looks the mailbox up whether or not its key was proven, so that both take the same time.
fn load(
    store: &dyn Store,
    mailbox: &RecvId,
    proven: bool,
) -> Result<Option<MailboxRow>, StoreError> {
    let bytes = store.read(Space::Rows, &key(Kind::Mailbox, mailbox.as_bytes()))?;
    let row = bytes.map(|bytes| MailboxRow::decode(&bytes)).transpose()?;
    Ok(row.filter(|_| proven))
}

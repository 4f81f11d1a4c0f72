//! `Put`: a blob into a mailbox, once, in the order in which its sender put them.
//!
//! Guarantees: a blob put again while its day lives changes nothing, acknowledged or not; after a refusal every later
//! `Put` of that session is refused until the refused one comes again, even where later ones were on their way when it
//! was refused, or the commit that held it failed.

use hearken_proto::ids::{PutId, RecvId};
use hearken_proto::limits::BLOB_TTL_DAYS;
use hearken_proto::time::{UnixHour, UnixMillis};
use hearken_proto::wire::Reason;
use rand_core::CryptoRng;

use super::command::{Answer, Blocked, CommandContext, Put, SessionNumber, Watched};
use super::mailbox::{find, load, save};
use super::rows::{BlobRow, Kind, MailboxDay, MailboxRow, blob_key, seen_key};
use crate::store::{Space, StoreError, Transaction};

/// Stores a blob, or says why not.
pub(super) fn put(
    tx: &mut Transaction<'_>,
    context: &mut CommandContext,
    now: UnixMillis,
    rng: &mut dyn CryptoRng,
    put: Put,
) -> Result<Answer, StoreError> {
    let mailbox = find(tx, Kind::Sender, put.sender.as_bytes())?;
    let row = match &mailbox {
        Some(mailbox) => load(tx, mailbox)?,
        None => None,
    };
    let (true, Some(mailbox), Some(row)) = (put.permit.proven, mailbox, row) else {
        return Ok(Answer::Refused(Reason::NotYours));
    };
    let is_seen = |put_id: &PutId| seen(tx, &mailbox, &row, put_id);
    if let Some(reason) = out_of_order(context, put.session, &put.before, is_seen)? {
        return Ok(Answer::Refused(reason));
    }
    if seen(tx, &mailbox, &row, &put.put_id)? {
        context.blocked.remove(&put.session);
        return Ok(Answer::Done);
    }
    let refused = if !put.permit.open {
        Some(Reason::NotAdmitted)
    } else if !put.permit.room {
        Some(Reason::NoRoom)
    } else if row.blobs(now.day()) >= context.limits.mailbox_blobs_max {
        Some(Reason::Full)
    } else {
        None
    };
    if let Some(reason) = refused {
        context.blocked.insert(put.session, Blocked { put_id: put.put_id, reason });
        return Ok(Answer::Refused(reason));
    }
    let (after, touch) = (row.newest, row.reader_day < now.day());
    let position = store(tx, context, now, rng, mailbox, row, &put)?;
    // Where the commit fails after this, the next `Put` names this one among those before it, and it is not there.
    context.blocked.remove(&put.session);
    let watched = Watched::Mailbox(mailbox);
    Ok(Answer::Stored { watched, after, position, blob: Some(put.blob), touch })
}

/// Why a blob must wait for an earlier one of its session, if it must: `before` are those that are not known to be
/// stored, in order.
pub(super) fn out_of_order(
    context: &mut CommandContext,
    session: SessionNumber,
    before: &[PutId],
    is_seen: impl Fn(&PutId) -> Result<bool, StoreError>,
) -> Result<Option<Reason>, StoreError> {
    // The last is stored only where all before it are.
    if before.last().is_none_or(|last| matches!(is_seen(last), Ok(true))) {
        return Ok(None);
    }
    for earlier in before {
        if !is_seen(earlier)? {
            // What an earlier batch remembered may be of one whose commit failed: only the rows say what is next.
            let blocked = context.blocked.get(&session);
            let blocked = blocked.filter(|blocked| blocked.put_id == *earlier);
            let reason = blocked.map_or(Reason::Busy, |blocked| blocked.reason);
            context.blocked.insert(session, Blocked { put_id: *earlier, reason });
            return Ok(Some(reason));
        }
    }
    Ok(None)
}

/// Whether the mailbox was given this blob and the day in which it expires still lives.
fn seen(
    tx: &Transaction<'_>,
    mailbox: &RecvId,
    row: &MailboxRow,
    put_id: &PutId,
) -> Result<bool, StoreError> {
    let key = seen_key(mailbox, put_id);
    for at in row.days.iter().rev() {
        if tx.read(Space::Day(at.day), &key)?.is_some_and(|found| found == row.incarnation) {
            return Ok(true);
        }
    }
    Ok(false)
}

fn store(
    tx: &mut Transaction<'_>,
    context: &CommandContext,
    now: UnixMillis,
    rng: &mut dyn CryptoRng,
    mailbox: RecvId,
    mut row: MailboxRow,
    put: &Put,
) -> Result<u64, StoreError> {
    let last_hour = UnixHour(now.hour().0.saturating_add(BLOB_TTL_DAYS * 24));
    let goes = UnixHour(last_hour.0.saturating_add(1));
    let day = last_hour.day();
    // After a restore above every position given before it: a cursor never stands above a later blob.
    let position = row.newest.max(tx.first_position()) + 1;
    let (aad, blob) = (aad(&mailbox, position), &put.blob.as_bytes()[..]);
    let row_bytes = context.day_keys.seal_behind(&BlobRow::head(goes), day, &aad, blob, rng)?;
    let space = Space::Day(day);
    tx.put(space, &blob_key(&mailbox, position), row_bytes);
    tx.put(space, &seen_key(&mailbox, &put.put_id), row.incarnation.to_vec());
    // A time to the millisecond of what a client did, in a row of its own.
    #[cfg(hearken_planted)]
    if hearken_proto::planted::is("relay-leaks") {
        tx.put(space, &[b"z", &now.0.to_be_bytes()[..]].concat(), Vec::new());
    }
    row.newest = position;
    row.newest_goes = goes;
    row.days.retain(|at| at.day >= now.day());
    match row.days.iter_mut().find(|at| at.day == day) {
        Some(at) => at.blobs += 1,
        None => row.days.push(MailboxDay { day, first: position, blobs: 1 }),
    }
    save(tx, &mailbox, &row);
    Ok(position)
}

/// What a blob at rest is bound to: its mailbox and position.
pub(super) fn aad(mailbox: &RecvId, position: u64) -> Vec<u8> {
    [&mailbox.as_bytes()[..], &position.to_be_bytes()].concat()
}

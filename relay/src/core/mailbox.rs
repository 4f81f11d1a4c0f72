//! A mailbox's life in the store: made, claimed, acknowledged, deleted. Putting is in `put.rs`, reading in
//! `mailbox_read.rs`.
//!
//! Guarantees: a claim sets the sender once; what was acknowledged is never read again; a mailbox that is missing, has
//! expired or is another's is one answer.

use hearken_proto::ids::{ClaimId, RecvId, SendId};
use hearken_proto::time::{UnixDay, UnixMillis};
use hearken_proto::wire::Reason;
use rand_core::CryptoRng;

use super::command::{Answer, Create, Permit};
use super::config::CommandLimits;
use super::rows::{
    Kind, MailboxRow, blob_key, blobs_end, due_key, key, read_id, read_total, total_key,
};
use crate::store::{Space, StoreError, Transaction, life};

/// The row of a mailbox.
pub(super) fn load(
    tx: &Transaction<'_>,
    mailbox: &RecvId,
) -> Result<Option<MailboxRow>, StoreError> {
    let bytes = tx.read(Space::Rows, &key(Kind::Mailbox, mailbox.as_bytes()))?;
    bytes.map(|bytes| MailboxRow::decode(&bytes)).transpose()
}

/// Writes the row of a mailbox.
pub(super) fn save(tx: &mut Transaction<'_>, mailbox: &RecvId, row: &MailboxRow) {
    tx.put(Space::Rows, &key(Kind::Mailbox, mailbox.as_bytes()), row.encode());
}

/// The mailbox that a sender or claim id stands for.
pub(super) fn find(
    tx: &Transaction<'_>,
    kind: Kind,
    id: &[u8; 32],
) -> Result<Option<RecvId>, StoreError> {
    let bytes = tx.read(Space::Rows, &key(kind, id))?;
    bytes.map(|bytes| read_id(&bytes).map(RecvId::from_bytes)).transpose()
}

/// `Create`: makes the mailbox, or changes nothing where it is there with the same keys.
pub(super) fn create(
    tx: &mut Transaction<'_>,
    limits: &CommandLimits,
    now: UnixMillis,
    rng: &mut dyn CryptoRng,
    create: &Create,
) -> Result<Answer, StoreError> {
    let Create { mailbox, claim, sender, permit } = create;
    let found = load(tx, mailbox)?;
    if !permit.proven {
        return Ok(Answer::Refused(Reason::NotYours));
    }
    if let Some(row) = found {
        return create_again(tx, now, mailbox, row, *claim, *sender);
    }
    if !permit.admitted {
        return Ok(Answer::Refused(Reason::NotAdmitted));
    }
    if !permit.worked {
        return Ok(Answer::Refused(Reason::ProofOfWork));
    }
    let mailboxes = read_total(tx.read(Space::Rows, &total_key())?.as_deref())?;
    if !permit.room || mailboxes >= limits.mailboxes_max {
        return Ok(Answer::Refused(Reason::NoRoom));
    }
    if !index(tx, mailbox, *claim, *sender)? {
        return Ok(Answer::Refused(Reason::Mismatch));
    }
    let today = now.day();
    let start = life::position_on(tx.first_position(), today);
    let mut incarnation = [0; 8];
    rng.fill_bytes(&mut incarnation);
    let row = MailboxRow {
        claim: *claim,
        sender: *sender,
        claims_refused: 0,
        incarnation,
        head: start,
        newest: start,
        newest_goes: now.hour(),
        reader_day: today,
        days: Vec::new(),
    };
    save(tx, mailbox, &row);
    tx.put(Space::Rows, &due_key(Kind::Idle, today.0, mailbox.as_bytes()), Vec::new());
    tx.put(Space::Rows, &total_key(), (mailboxes + 1).to_be_bytes().to_vec());
    Ok(Answer::Done)
}

fn create_again(
    tx: &mut Transaction<'_>,
    now: UnixMillis,
    mailbox: &RecvId,
    mut row: MailboxRow,
    claim: Option<ClaimId>,
    sender: Option<SendId>,
) -> Result<Answer, StoreError> {
    let same = match (claim, sender) {
        (Some(claim), _) => row.claim == Some(claim),
        (None, Some(sender)) if row.sender.is_none() => {
            // A relay restored from before the claim: the reader says who its sender was.
            if !index(tx, mailbox, None, Some(sender))? {
                return Ok(Answer::Refused(Reason::Mismatch));
            }
            row.sender = Some(sender);
            save(tx, mailbox, &row);
            true
        }
        (None, sender) => row.sender == sender,
    };
    if !same {
        return Ok(Answer::Refused(Reason::Mismatch));
    }
    came(tx, now.day(), mailbox, row);
    Ok(Answer::Done)
}

/// Makes the ids of claim and sender lead to the mailbox. `false`, and nothing changes, where one leads to another.
fn index(
    tx: &mut Transaction<'_>,
    mailbox: &RecvId,
    claim: Option<ClaimId>,
    sender: Option<SendId>,
) -> Result<bool, StoreError> {
    let ids = [
        claim.map(|id| key(Kind::Claim, id.as_bytes())),
        sender.map(|id| key(Kind::Sender, id.as_bytes())),
    ];
    for key in ids.iter().flatten() {
        if tx.read(Space::Rows, key)?.is_some_and(|found| found != mailbox.as_bytes()) {
            return Ok(false);
        }
    }
    for key in ids.iter().flatten() {
        tx.put(Space::Rows, key, mailbox.as_bytes().to_vec());
    }
    Ok(true)
}

/// `Claim`: sets the sender, once.
pub(super) fn claim(
    tx: &mut Transaction<'_>,
    claim: ClaimId,
    sender: SendId,
    permit: Permit,
) -> Result<Answer, StoreError> {
    let mailbox = find(tx, Kind::Claim, claim.as_bytes())?;
    let row = match &mailbox {
        Some(mailbox) => load(tx, mailbox)?,
        None => None,
    };
    let (true, Some(mailbox), Some(mut row)) = (permit.proven, mailbox, row) else {
        return Ok(Answer::Refused(Reason::NotYours));
    };
    match row.sender {
        Some(set) if set == sender => Ok(Answer::Done),
        #[cfg(hearken_planted)]
        Some(_) if hearken_proto::planted::is("claim-overwrites") => {
            index(tx, &mailbox, None, Some(sender))?;
            row.sender = Some(sender);
            save(tx, &mailbox, &row);
            Ok(Answer::Done)
        }
        Some(_) => {
            row.claims_refused = row.claims_refused.saturating_add(1);
            save(tx, &mailbox, &row);
            Ok(Answer::Refused(Reason::Claimed))
        }
        None if !permit.open => Ok(Answer::Refused(Reason::NotAdmitted)),
        None if index(tx, &mailbox, None, Some(sender))? => {
            row.sender = Some(sender);
            save(tx, &mailbox, &row);
            Ok(Answer::Done)
        }
        None => Ok(Answer::Refused(Reason::Mismatch)),
    }
}

/// `Ack`: unlinks every blob up to `cursor`.
pub(super) fn ack(
    tx: &mut Transaction<'_>,
    now: UnixMillis,
    mailbox: RecvId,
    cursor: u64,
    permit: Permit,
) -> Result<Answer, StoreError> {
    let row = load(tx, &mailbox)?;
    let (true, Some(mut row)) = (permit.proven, row) else {
        return Ok(Answer::Refused(Reason::NotYours));
    };
    // A position never given cannot have been read: what comes there later must stay.
    let cursor = cursor.min(row.newest);
    let today = now.day();
    if cursor > row.head {
        row.days.retain(|at| at.day >= today);
        for at in &mut row.days {
            // What stood at the head is gone itself.
            let from = blob_key(&mailbox, at.first.max(row.head));
            let to = blob_key(&mailbox, cursor + 1);
            let gone = tx.delete_range(Space::Day(at.day), &from, &to, at.blobs as usize)?;
            at.blobs = at.blobs.saturating_sub(u32::try_from(gone).unwrap_or(u32::MAX));
        }
        row.head = cursor;
        save(tx, &mailbox, &row);
    }
    came(tx, today, &mailbox, row);
    Ok(Answer::Done)
}

/// Notes that the reader came, once a day.
pub(super) fn touch(
    tx: &mut Transaction<'_>,
    now: UnixMillis,
    mailbox: RecvId,
) -> Result<Answer, StoreError> {
    if let Some(row) = load(tx, &mailbox)? {
        came(tx, now.day(), &mailbox, row);
    }
    Ok(Answer::Done)
}

fn came(tx: &mut Transaction<'_>, today: UnixDay, mailbox: &RecvId, mut row: MailboxRow) {
    if row.reader_day >= today {
        return;
    }
    tx.delete(Space::Rows, &due_key(Kind::Idle, row.reader_day.0, mailbox.as_bytes()));
    tx.put(Space::Rows, &due_key(Kind::Idle, today.0, mailbox.as_bytes()), Vec::new());
    row.reader_day = today;
    save(tx, mailbox, &row);
}

/// `Delete` of a mailbox by its reader.
pub(super) fn delete(
    tx: &mut Transaction<'_>,
    mailbox: RecvId,
    permit: Permit,
) -> Result<Answer, StoreError> {
    let row = load(tx, &mailbox)?;
    let (true, Some(row)) = (permit.proven, row) else {
        return Ok(Answer::Refused(Reason::NotYours));
    };
    remove(tx, &mailbox, &row)?;
    Ok(Answer::Done)
}

/// Removes a mailbox with everything that leads to it.
pub(super) fn remove(
    tx: &mut Transaction<'_>,
    mailbox: &RecvId,
    row: &MailboxRow,
) -> Result<(), StoreError> {
    for at in &row.days {
        let from = blob_key(mailbox, at.first);
        tx.delete_range(Space::Day(at.day), &from, &blobs_end(mailbox), at.blobs as usize)?;
    }
    if let Some(claim) = row.claim {
        tx.delete(Space::Rows, &key(Kind::Claim, claim.as_bytes()));
    }
    if let Some(sender) = row.sender {
        tx.delete(Space::Rows, &key(Kind::Sender, sender.as_bytes()));
    }
    tx.delete(Space::Rows, &due_key(Kind::Idle, row.reader_day.0, mailbox.as_bytes()));
    tx.delete(Space::Rows, &key(Kind::Mailbox, mailbox.as_bytes()));
    let mailboxes = read_total(tx.read(Space::Rows, &total_key())?.as_deref())?;
    tx.put(Space::Rows, &total_key(), mailboxes.saturating_sub(1).to_be_bytes().to_vec());
    Ok(())
}

//! Deletes what is due: mailboxes whose reader stayed away, feeds whose last entry is long ago, objects whose hour is
//! over. A little at a time, so that no group commit grows by it.
//!
//! Blobs and entries are not here: they go with their day's space and key.

use hearken_proto::ids::{FeedId, ObjectId, RecvId};
use hearken_proto::limits::{FEED_IDLE_DAYS, MAILBOX_IDLE_DAYS};
use hearken_proto::time::UnixMillis;

use super::command::Answer;
use super::rows::{Kind, ObjectRow, due_prefix, end_of, key, read_due_key};
use super::{feed, mailbox};
use crate::store::{Space, StoreError, Transaction};

/// Mailboxes deleted in one command.
const MAILBOXES_STEP: usize = 32;
/// Feeds deleted in one command.
const FEEDS_STEP: usize = 32;
/// Objects looked at in one command.
const OBJECTS_STEP: usize = 8;
/// Chunks of one object deleted in one command: a megabyte.
const CHUNKS_STEP: usize = 512;

/// One step; `more` says that there is more to do at once.
pub(super) fn sweep(tx: &mut Transaction<'_>, now: UnixMillis) -> Result<Answer, StoreError> {
    let mailboxes = sweep_mailboxes(tx, now)?;
    let feeds = sweep_feeds(tx, now)?;
    let objects = sweep_objects(tx, now)?;
    Ok(Answer::Swept { more: mailboxes || feeds || objects })
}

fn sweep_mailboxes(tx: &mut Transaction<'_>, now: UnixMillis) -> Result<bool, StoreError> {
    let first_kept = now.day().0.saturating_sub(MAILBOX_IDLE_DAYS);
    let due = tx.range(
        Space::Rows,
        &due_prefix(Kind::Idle, 0),
        &due_prefix(Kind::Idle, first_kept),
        MAILBOXES_STEP,
    )?;
    for row in &due {
        let (day, id) = read_due_key(&row.key)?;
        let mailbox = RecvId::from_bytes(id);
        tx.delete(Space::Rows, &row.key);
        if let Some(found) = mailbox::load(tx, &mailbox)?
            && found.reader_day.0 <= day
        {
            mailbox::remove(tx, &mailbox, &found)?;
        }
    }
    Ok(due.len() == MAILBOXES_STEP)
}

fn sweep_feeds(tx: &mut Transaction<'_>, now: UnixMillis) -> Result<bool, StoreError> {
    let first_kept = now.day().0.saturating_sub(FEED_IDLE_DAYS);
    let due = tx.range(
        Space::Rows,
        &due_prefix(Kind::FeedIdle, 0),
        &due_prefix(Kind::FeedIdle, first_kept),
        FEEDS_STEP,
    )?;
    for row in &due {
        let (day, id) = read_due_key(&row.key)?;
        let feed = FeedId::from_bytes(id);
        tx.delete(Space::Rows, &row.key);
        if let Some(found) = feed::load(tx, &feed)?
            && found.last_day.0 <= day
        {
            feed::remove(tx, &feed, &found)?;
        }
    }
    Ok(due.len() == FEEDS_STEP)
}

fn sweep_objects(tx: &mut Transaction<'_>, now: UnixMillis) -> Result<bool, StoreError> {
    let hour = now.hour().0;
    let due = tx.range(
        Space::Rows,
        &due_prefix(Kind::ObjectGoes, 0),
        &due_prefix(Kind::ObjectGoes, hour.saturating_add(1)),
        OBJECTS_STEP,
    )?;
    let mut more = due.len() == OBJECTS_STEP;
    for index_row in &due {
        let (goes, id) = read_due_key(&index_row.key)?;
        let object = ObjectId::from_bytes(id);
        let row_key = key(Kind::Object, object.as_bytes());
        let row = match tx.read(Space::Rows, &row_key)? {
            Some(bytes) => ObjectRow::decode(&bytes)?,
            None => {
                tx.delete(Space::Rows, &index_row.key);
                continue;
            }
        };
        if row.goes.0 != goes {
            tx.delete(Space::Rows, &index_row.key);
            continue;
        }
        let mut left = false;
        for kind in [Kind::Chunk, Kind::ChunkHash] {
            let from = key(kind, object.as_bytes());
            let space = Space::Day(row.space);
            left |= tx.delete_range(space, &from, &end_of(&from), CHUNKS_STEP)? == CHUNKS_STEP;
        }
        if left {
            more = true;
        } else {
            tx.delete(Space::Rows, &row_key);
            tx.delete(Space::Rows, &index_row.key);
        }
    }
    Ok(more)
}

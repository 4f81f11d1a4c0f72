//! An object that an entry of a feed names: it lives exactly as long as that entry, and no other names it.
//!
//! Guarantees: only what is complete is named, once; the object's key is sealed anew under the entry's day and its
//! chunks moved to a day's space that lasts as long, in the commit of the entry. Chunks are sealed under the object's
//! own key, so they move as they are.

use hearken_proto::ids::ObjectId;
use hearken_proto::limits::FEED_OBJECT_CHUNKS_MAX;
use hearken_proto::time::{UnixDay, UnixHour, UnixMillis};
use hearken_proto::wire::Reason;
use rand_core::CryptoRng;

use super::object::{keep_until, load};
use super::object_key::ObjectKey;
use super::rows::{Kind, chunk_key, corrupt};
use crate::store::{DayKeys, Space, StoreError, Transaction};

/// Makes the object live until the end of `day`. A reason where it cannot be named; nothing changes then.
pub(super) fn name(
    tx: &mut Transaction<'_>,
    keys: &DayKeys,
    now: UnixMillis,
    rng: &mut dyn CryptoRng,
    object: &ObjectId,
    day: UnixDay,
) -> Result<Option<Reason>, StoreError> {
    let Some(mut row) = load(tx, object, now.hour())?.filter(|row| row.complete) else {
        return Ok(Some(Reason::NoObject));
    };
    if row.named {
        return Ok(Some(Reason::Named));
    }
    if row.chunks > FEED_OBJECT_CHUNKS_MAX {
        return Ok(Some(Reason::Malformed));
    }
    let object_key = match ObjectKey::open(keys, row.key_day, object, &row.sealed_key) {
        Err(StoreError::Expired) => return Ok(Some(Reason::NoObject)),
        opened => opened?,
    };
    if row.space < day {
        move_chunks(tx, object, row.chunks, row.space, day)?;
        row.space = day;
    }
    row.named = true;
    let goes = UnixHour(day.0.saturating_add(1).saturating_mul(24));
    keep_until(tx, keys, rng, object, row, &object_key, goes)?;
    Ok(None)
}

fn move_chunks(
    tx: &mut Transaction<'_>,
    object: &ObjectId,
    chunks: u32,
    from: UnixDay,
    to: UnixDay,
) -> Result<(), StoreError> {
    for index in 0..chunks {
        for kind in [Kind::Chunk, Kind::ChunkHash] {
            let key = chunk_key(kind, object, index);
            let value = tx.read(Space::Day(from), &key)?;
            let value = value.ok_or_else(|| corrupt("a complete object"))?;
            tx.put(Space::Day(to), &key, value);
            tx.delete(Space::Day(from), &key);
        }
    }
    Ok(())
}

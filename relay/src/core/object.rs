//! An object's life in the store: declared, filled chunk by chunk, complete once its root matches, gone at its hour.
//!
//! Guarantees: nothing of an object is readable before it is complete; a repeated chunk changes nothing; an unfinished
//! object goes an hour after its last chunk. Hours are counted up: an object lives at least as long as was said.

use std::sync::LazyLock;

use hearken_proto::ids::ObjectId;
use hearken_proto::limits::OBJECT_UNFINISHED_HOURS;
use hearken_proto::object::{Root, chunk_hash};
use hearken_proto::time::{UnixDay, UnixHour, UnixMillis};
use hearken_proto::wire::Reason;
use rand_core::CryptoRng;

use super::command::{Answer, Chunk, Declaration, Permit};
use super::object_key::ObjectKey;
use super::rows::{Kind, ObjectRow, chunk_key, corrupt, due_key, end_of, key};
use crate::store::{DayKeys, Space, StoreError, Transaction};

/// Hours in which an object must be complete: its chunks lie in the space of the last day that it can reach.
const UPLOAD_HOURS_MAX: u32 = 24;
/// About what the sealed key of an object is long: a nonce (24), the key (32) and a tag (16).
const SEALED_KEY_LEN: usize = 72;
/// Hashes read at once when a root is checked.
const HASHES_STEP: usize = 512;

/// The row of an object that is there.
pub(super) fn load(
    tx: &Transaction<'_>,
    object: &ObjectId,
    hour: UnixHour,
) -> Result<Option<ObjectRow>, StoreError> {
    let bytes = tx.read_uncached(Space::Rows, &key(Kind::Object, object.as_bytes()))?;
    let row = row_of(bytes.as_deref())?;
    Ok(Some(row).filter(|row| hour < row.goes))
}

/// The row of an object as it was read; where there is none, one that went long ago: a row is decoded either way, so
/// that what has gone and what never was take the same time.
pub(super) fn row_of(bytes: Option<&[u8]>) -> Result<ObjectRow, StoreError> {
    static ABSENT: LazyLock<Vec<u8>> = LazyLock::new(|| {
        let row = ObjectRow {
            chunks: 0,
            root: [0; 32],
            ttl_hours: 0,
            space: UnixDay(0),
            received: 0,
            complete: false,
            named: false,
            goes: UnixHour(0),
            key_day: UnixDay(0),
            sealed_key: vec![0; SEALED_KEY_LEN],
        };
        row.encode()
    });
    ObjectRow::decode(bytes.unwrap_or(&ABSENT))
}

/// The first step of `ObjectPut`: says what will come.
pub(super) fn declare(
    tx: &mut Transaction<'_>,
    keys: &DayKeys,
    now: UnixMillis,
    rng: &mut dyn CryptoRng,
    object: ObjectId,
    declaration: Declaration,
    permit: Permit,
) -> Result<Answer, StoreError> {
    let hour = now.hour();
    let found = load(tx, &object, hour)?;
    if !permit.proven {
        return Ok(Answer::Refused(Reason::NotYours));
    }
    let Declaration { chunks, root, ttl_hours } = declaration;
    if let Some(row) = found {
        let same = row.chunks == chunks && row.root == root && row.ttl_hours == ttl_hours;
        return Ok(if same { Answer::Done } else { Answer::Refused(Reason::Mismatch) });
    }
    let refused = [
        (permit.admitted, Reason::NotAdmitted),
        (permit.worked, Reason::ProofOfWork),
        (permit.room, Reason::NoRoom),
    ];
    if let Some((_, reason)) = refused.into_iter().find(|(holds, _)| !holds) {
        return Ok(Answer::Refused(reason));
    }
    // What an earlier object of this id left, which the sweep has not come to yet, must not count as received.
    forget_chunks(tx, &object)?;
    let goes = unfinished_until(hour);
    let key_day = last_day(goes);
    let row = ObjectRow {
        chunks,
        root,
        ttl_hours,
        space: UnixHour(hour.0.saturating_add(ttl_hours + UPLOAD_HOURS_MAX)).day(),
        received: 0,
        complete: false,
        named: false,
        goes,
        key_day,
        sealed_key: ObjectKey::generate(rng).seal(keys, key_day, &object, rng)?,
    };
    save(tx, &object, &row);
    tx.put(Space::Rows, &due_key(Kind::ObjectGoes, goes.0, object.as_bytes()), Vec::new());
    Ok(Answer::Done)
}

/// The second step of `ObjectPut`: a chunk. The last one makes the object complete, if all match the root.
pub(super) fn put_chunk(
    tx: &mut Transaction<'_>,
    keys: &DayKeys,
    now: UnixMillis,
    rng: &mut dyn CryptoRng,
    chunk: &Chunk,
) -> Result<Answer, StoreError> {
    let Chunk { object, index, blob, permit } = chunk;
    let hour = now.hour();
    let row = load(tx, object, hour)?;
    let (true, Some(mut row)) = (permit.proven, row) else {
        return Ok(Answer::Refused(Reason::NotYours));
    };
    if *index >= row.chunks {
        return Ok(Answer::Refused(Reason::Malformed));
    }
    let space = Space::Day(row.space);
    let hash = chunk_hash(blob);
    let hash_key = chunk_key(Kind::ChunkHash, object, *index);
    if let Some(found) = tx.read(space, &hash_key)? {
        let same = found == hash;
        return Ok(if same { Answer::Done } else { Answer::Refused(Reason::Mismatch) });
    }
    let finished_goes = UnixHour(hour.0.saturating_add(row.ttl_hours + 1));
    if row.complete || last_day(finished_goes) > row.space {
        return Ok(Answer::Refused(Reason::Mismatch));
    }
    // A repetition was answered above: what is there was acknowledged.
    if !permit.open {
        return Ok(Answer::Refused(Reason::NotAdmitted));
    }
    if !permit.room {
        return Ok(Answer::Refused(Reason::NoRoom));
    }
    let object_key = ObjectKey::open(keys, row.key_day, object, &row.sealed_key)?;
    let sealed = object_key.seal_chunk(object, *index, blob, rng)?;
    tx.put(space, &chunk_key(Kind::Chunk, object, *index), sealed);
    tx.put(space, &hash_key, hash.to_vec());
    row.received += 1;
    if row.received < row.chunks {
        keep_until(tx, keys, rng, object, row, &object_key, unfinished_until(hour))?;
        return Ok(Answer::Done);
    }
    if root_of(tx, object, &row)? != row.root {
        forget_chunks_of(tx, object, row.space)?;
        row.received = 0;
        keep_until(tx, keys, rng, object, row, &object_key, unfinished_until(hour))?;
        return Ok(Answer::Refused(Reason::Mismatch));
    }
    row.complete = true;
    keep_until(tx, keys, rng, object, row, &object_key, finished_goes)?;
    Ok(Answer::Done)
}

/// `Delete` of an object by its writer. Its chunks are unreadable at once, and go with the sweep. What an entry of a feed
/// names is not deleted: it is its readers' as well.
pub(super) fn delete(
    tx: &mut Transaction<'_>,
    now: UnixMillis,
    object: ObjectId,
    permit: Permit,
) -> Result<Answer, StoreError> {
    let hour = now.hour();
    let row = load(tx, &object, hour)?;
    let (true, Some(mut row)) = (permit.proven, row) else {
        return Ok(Answer::Refused(Reason::NotYours));
    };
    if row.named {
        return Ok(Answer::Refused(Reason::Named));
    }
    tx.delete(Space::Rows, &due_key(Kind::ObjectGoes, row.goes.0, object.as_bytes()));
    row.goes = hour;
    row.sealed_key = Vec::new();
    tx.put(Space::Rows, &due_key(Kind::ObjectGoes, row.goes.0, object.as_bytes()), Vec::new());
    save(tx, &object, &row);
    Ok(Answer::Done)
}

/// Writes the row with another end, its key sealed until then.
pub(super) fn keep_until(
    tx: &mut Transaction<'_>,
    keys: &DayKeys,
    rng: &mut dyn CryptoRng,
    object: &ObjectId,
    mut row: ObjectRow,
    object_key: &ObjectKey,
    goes: UnixHour,
) -> Result<(), StoreError> {
    if goes != row.goes {
        tx.delete(Space::Rows, &due_key(Kind::ObjectGoes, row.goes.0, object.as_bytes()));
        tx.put(Space::Rows, &due_key(Kind::ObjectGoes, goes.0, object.as_bytes()), Vec::new());
        row.goes = goes;
    }
    let key_day = last_day(goes);
    if key_day != row.key_day {
        row.sealed_key = object_key.seal(keys, key_day, object, rng)?;
        row.key_day = key_day;
    }
    save(tx, object, &row);
    Ok(())
}

fn save(tx: &mut Transaction<'_>, object: &ObjectId, row: &ObjectRow) {
    tx.put(Space::Rows, &key(Kind::Object, object.as_bytes()), row.encode());
}

fn root_of(
    tx: &Transaction<'_>,
    object: &ObjectId,
    row: &ObjectRow,
) -> Result<[u8; 32], StoreError> {
    let mut root = Root::new();
    let mut from = key(Kind::ChunkHash, object.as_bytes());
    let end = end_of(&from);
    loop {
        let hashes = tx.range(Space::Day(row.space), &from, &end, HASHES_STEP)?;
        for hash in &hashes {
            let hash = hash.value.as_slice().try_into().map_err(|_| corrupt("a chunk's hash"))?;
            root.push(&hash);
        }
        let Some(last) = hashes.last() else { return Ok(root.finish()) };
        from.clone_from(&last.key);
        from.push(0);
    }
}

/// Deletes what an object of this id that has gone left behind.
fn forget_chunks(tx: &mut Transaction<'_>, object: &ObjectId) -> Result<(), StoreError> {
    let key = key(Kind::Object, object.as_bytes());
    let Some(bytes) = tx.read(Space::Rows, &key)? else { return Ok(()) };
    let row = ObjectRow::decode(&bytes)?;
    forget_chunks_of(tx, object, row.space)?;
    tx.delete(Space::Rows, &due_key(Kind::ObjectGoes, row.goes.0, object.as_bytes()));
    tx.delete(Space::Rows, &key);
    Ok(())
}

fn forget_chunks_of(
    tx: &mut Transaction<'_>,
    object: &ObjectId,
    space: UnixDay,
) -> Result<(), StoreError> {
    for kind in [Kind::Chunk, Kind::ChunkHash] {
        let from = key(kind, object.as_bytes());
        tx.delete_range(Space::Day(space), &from, &end_of(&from), usize::MAX / 2)?;
    }
    Ok(())
}

/// The hour from which an object whose chunk came in `hour` is not there: at least an hour later.
fn unfinished_until(hour: UnixHour) -> UnixHour {
    UnixHour(hour.0.saturating_add(OBJECT_UNFINISHED_HOURS + 1))
}

/// The day in which the last hour before `goes` lies: its key is needed until then.
fn last_day(goes: UnixHour) -> UnixDay {
    UnixHour(goes.0.saturating_sub(1)).day()
}

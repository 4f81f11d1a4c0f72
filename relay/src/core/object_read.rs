//! `ObjectGet`: chunks of a complete object, for whoever knows its id.

use hearken_proto::ids::ObjectId;
use hearken_proto::time::UnixHour;
use hearken_proto::wire::Reason;

use super::command::Answer;
use super::object::row_of;
use super::object_key::ObjectKey;
use super::rows::{Kind, chunk_key, corrupt, key};
use crate::store::{DayKeys, Space, Store, StoreError};

/// At most `max` chunks from `first` on. Missing, unfinished and expired are one answer.
pub(super) fn get(
    store: &dyn Store,
    keys: &DayKeys,
    object: ObjectId,
    first: u32,
    max: u32,
    hour: UnixHour,
) -> Result<Answer, StoreError> {
    // An entry of a feed that names the object between row and chunk may have moved its chunks, once.
    match read(store, keys, object, first, max, hour) {
        Err(StoreError::Corrupt { .. }) => read(store, keys, object, first, max, hour),
        answer => answer,
    }
}

fn read(
    store: &dyn Store,
    keys: &DayKeys,
    object: ObjectId,
    first: u32,
    max: u32,
    hour: UnixHour,
) -> Result<Answer, StoreError> {
    let missing = Ok(Answer::Refused(Reason::NotYours));
    let bytes = store.read_uncached(Space::Rows, &key(Kind::Object, object.as_bytes()))?;
    let row = row_of(bytes.as_deref())?;
    if !row.complete || hour >= row.goes {
        return missing;
    }
    let object_key = match ObjectKey::open(keys, row.key_day, &object, &row.sealed_key) {
        Err(StoreError::Expired) => return missing,
        opened => opened?,
    };
    let mut blobs = Vec::new();
    for index in first..row.chunks.min(first.saturating_add(max)) {
        let sealed = store
            .read(Space::Day(row.space), &chunk_key(Kind::Chunk, &object, index))?
            .ok_or_else(|| corrupt("a complete object"))?;
        blobs.push(object_key.open_chunk(&object, index, &sealed)?);
    }
    Ok(Answer::Chunks { first, chunks: row.chunks, blobs })
}

//! The relay's storage, below its commands: ordered rows in two kinds of space, and durable batches.
//!
//! Guarantees, of every engine behind [`Store`]: a read sees committed batches only; [`Store::commit`] is all or
//! nothing and durable when it returns `Ok`; after `Err` nothing of the batch is visible, now or after a restart; bytes
//! that are not what was written are reported, never returned.
//!
//! Deliberately not here: what rows mean (the core's commands decide), encryption (values of [`Space::Day`] arrive
//! sealed by [`day_keys`]), and expiry by an engine's own clock, which is never trusted.

pub mod batch;
pub mod committer;
#[cfg(test)]
mod conformance;
pub mod day_keys;
pub mod error;
#[cfg(test)]
pub(crate) mod fixture;
pub mod fjall;
pub mod frozen;
pub mod key_files;
pub mod life;
pub mod memory;
pub mod reader;
pub mod transaction;

use std::collections::BTreeMap;

use hearken_proto::time::UnixDay;

pub use self::fjall::{FjallConfig, FjallStore};
pub use batch::{Command, run_batch};
pub use committer::{Committer, CommitterParts};
pub use day_keys::DayKeys;
pub use error::StoreError;
pub use frozen::Frozen;
pub use key_files::KeyFolder;
pub use memory::MemoryStore;
pub use reader::{Query, Reader};
pub use transaction::{Savepoint, Transaction};

/// Longest key in bytes: two ids, a kind and two positions fit with room to spare.
pub const KEY_LEN_MAX: usize = 128;
/// Longest value in bytes. A sealed blob is 2,440; rows are far smaller.
pub const VALUE_LEN_MAX: usize = 65_536;

/// Where a row lives. Keys of different spaces never meet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Space {
    /// Small rows that outlive days: mailboxes, indexes, object descriptions.
    Rows,
    /// Sealed blobs that expire on this UTC day, and all go at once by [`Store::drop_day`].
    Day(UnixDay),
}

/// A key and its value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// At most [`KEY_LEN_MAX`] bytes, ordered bytewise.
    pub key: Vec<u8>,
    /// At most [`VALUE_LEN_MAX`] bytes.
    pub value: Vec<u8>,
}

/// Writes that become visible and durable together. The last write of a key wins.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Batch {
    /// By space and key; `None` deletes.
    writes: BTreeMap<Space, BTreeMap<Vec<u8>, Option<Vec<u8>>>>,
}

impl Batch {
    /// Sets a row.
    pub fn put(&mut self, space: Space, key: Vec<u8>, value: Vec<u8>) {
        self.writes.entry(space).or_default().insert(key, Some(value));
    }

    /// Deletes a row; one that is not there is no error.
    pub fn delete(&mut self, space: Space, key: Vec<u8>) {
        self.writes.entry(space).or_default().insert(key, None);
    }

    /// Whether there is nothing to commit.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.writes.values().all(BTreeMap::is_empty)
    }

    /// The number of rows set or deleted.
    #[must_use]
    pub fn len(&self) -> usize {
        self.writes.values().map(BTreeMap::len).sum()
    }

    /// Every write, by space and key: the value, or `None` where the row is deleted.
    pub fn writes(&self) -> impl Iterator<Item = (Space, &[u8], Option<&[u8]>)> {
        self.writes.iter().flat_map(|(space, rows)| {
            rows.iter().map(|(key, value)| (*space, key.as_slice(), value.as_deref()))
        })
    }
}

/// The few totals that a store knows of itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StoreTotals {
    /// Bytes on disk, journals included; for an engine in memory, bytes of keys and values.
    pub disk_bytes: u64,
    /// Expiry days that have a space.
    pub days: u32,
    /// Batches committed since the store was opened.
    pub commits: u64,
}

/// An engine. One process, any number of reading threads, writes from one thread at a time (engines serialise more).
pub trait Store: Send + Sync {
    /// The value of a key, committed state only.
    ///
    /// # Errors
    /// [`StoreError::Io`], [`StoreError::Corrupt`], [`StoreError::Unavailable`].
    fn read(&self, space: Space, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError>;

    /// As [`Store::read`], past whatever the engine keeps in memory of rows that were read or written before: for rows
    /// whose presence must not show in how long that takes.
    ///
    /// # Errors
    /// As [`Store::read`].
    fn read_uncached(&self, space: Space, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        self.read(space, key)
    }

    /// At most `limit` rows with `from <= key < to`, in ascending order of keys, committed state only. Rows deleted
    /// before `from` cost nothing: begin at a cursor, never at a first key. Empty where `from >= to`.
    ///
    /// # Errors
    /// As [`Store::read`].
    fn range(
        &self,
        space: Space,
        from: &[u8],
        to: &[u8],
        limit: usize,
    ) -> Result<Vec<Row>, StoreError>;

    /// Makes the whole batch durable and visible, or nothing of it. A [`Space::Day`] not there yet is made.
    ///
    /// # Errors
    /// [`StoreError::Full`] and [`StoreError::Io`]: nothing of the batch is visible, now or after a restart.
    /// [`StoreError::Unavailable`]: as before, and an earlier failure persists.
    fn commit(&self, batch: Batch) -> Result<(), StoreError>;

    /// Drops the space of a day with all its rows; one that is not there is no error. Destroy the day's key first.
    ///
    /// # Errors
    /// As [`Store::commit`]; the space may then still be there.
    fn drop_day(&self, day: UnixDay) -> Result<(), StoreError>;

    /// Moves a day's rows out of the journal: to be called once when its last write is past, since an idle space that
    /// was never flushed keeps every later journal from being given back.
    ///
    /// # Errors
    /// As [`Store::commit`]; nothing is lost.
    fn flush_day(&self, day: UnixDay) -> Result<(), StoreError>;

    /// The days that have a space, ascending.
    fn days(&self) -> Vec<UnixDay>;

    /// Totals for `stats`.
    fn totals(&self) -> StoreTotals;

    /// Gives disk back that deleted rows still take, where the store is at rest. To be called every few seconds, on a
    /// thread that may wait: it takes as long as rewriting a day's rows does. Reads and commits go on meanwhile.
    fn tidy(&self) {}

    /// Whether there is room for new blobs. Where there is not, [`Transaction`] refuses them one by one, so that
    /// acknowledgements and expiry in the same batch still get through and make room.
    fn has_room(&self) -> bool;

    /// What positions begin with: raised by a restore, so that a cursor never stands above a later blob.
    fn generation(&self) -> u16;

    /// Where the positions of this life of the store begin: [`life`] says how a restore chooses it.
    fn first_position(&self) -> u64 {
        first_position(self.generation())
    }

    /// All rows as they are at this moment, for a backup.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] after a failure, and from an engine that has no such view.
    fn freeze(&self) -> Result<Box<dyn Frozen>, StoreError> {
        Err(StoreError::Unavailable)
    }
}

/// The first key after all keys that begin with `prefix`; `None` where there is none (a prefix of `0xff` bytes).
#[must_use]
pub fn prefix_end(prefix: &[u8]) -> Option<Vec<u8>> {
    let mut end = prefix.to_vec();
    while let Some(last) = end.pop() {
        if last < u8::MAX {
            end.push(last + 1);
            return Some(end);
        }
    }
    None
}

/// `prefix` ‖ position as u64 BE: keys of one prefix are in the order of their positions.
#[must_use]
pub fn position_key(prefix: &[u8], position: u64) -> Vec<u8> {
    let mut key = Vec::with_capacity(prefix.len() + 8);
    key.extend_from_slice(prefix);
    key.extend_from_slice(&position.to_be_bytes());
    key
}

/// The first position of a store generation: generation u16 ‖ 48 zero bits. Positions of a later generation are all
/// above those of an earlier one, and 2^48 commits take longer than a relay lives.
#[must_use]
pub fn first_position(generation: u16) -> u64 {
    u64::from(generation) << 48
}

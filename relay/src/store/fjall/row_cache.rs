//! Small rows in memory: those written or read last, so that a `Put` does not look its mailbox up in the tables again.
//!
//! Guarantees: what is found is what is committed, never what a commit under way writes, nor what one replaced; memory
//! is bounded. Deliberately not: rows of a day (blobs are read once), and rows that are not there.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::store::{Batch, Space};

/// Bytes of keys and values in each of the two halves.
const HALF_BYTES: usize = 4 << 20;
/// What a row costs beside its bytes: two vectors and a slot of the table.
const ROW_OVERHEAD: usize = 96;

/// The rows. What was not asked for while the newer half filled goes.
#[derive(Default)]
pub(super) struct RowCache {
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    newer: HashMap<Vec<u8>, Vec<u8>>,
    older: HashMap<Vec<u8>, Vec<u8>>,
    newer_bytes: usize,
    /// Raised before a commit writes: what was read before then may be replaced.
    commits: u64,
}

/// What a reader that found nothing in here must show to leave what it found elsewhere.
#[derive(Clone, Copy)]
pub(super) struct Missed(u64);

impl RowCache {
    pub(super) fn find(&self, key: &[u8]) -> Result<Vec<u8>, Missed> {
        let mut inner = self.lock();
        if let Some(value) = inner.newer.get(key) {
            return Ok(value.clone());
        }
        match inner.older.remove_entry(key) {
            Some((key, value)) => {
                inner.insert(key, value.clone());
                Ok(value)
            }
            None => Err(Missed(inner.commits)),
        }
    }

    /// Leaves a committed row that was read since it was missed here; nothing where a commit came in between.
    pub(super) fn leave(&self, missed: Missed, key: &[u8], value: &[u8]) {
        let mut inner = self.lock();
        if inner.commits == missed.0 {
            inner.insert(key.to_vec(), value.to_vec());
        }
    }

    /// A batch is about to be committed: its rows are not what they were, nor yet what they will be.
    pub(super) fn begin(&self, batch: &Batch) {
        let mut inner = self.lock();
        inner.commits += 1;
        for (_, key, _) in batch.writes().filter(|(space, _, _)| *space == Space::Rows) {
            inner.newer.remove(key);
            inner.older.remove(key);
        }
    }

    /// The batch is committed and visible.
    pub(super) fn end(&self, batch: &Batch) {
        let mut inner = self.lock();
        // Whoever missed one of its rows meanwhile may have read what it replaced.
        inner.commits += 1;
        for (_, key, value) in batch.writes().filter(|(space, _, _)| *space == Space::Rows) {
            match value {
                Some(value) => inner.insert(key.to_vec(), value.to_vec()),
                None => {
                    inner.newer.remove(key);
                    inner.older.remove(key);
                }
            }
        }
    }

    /// Forgets everything: the engine is opened anew.
    pub(super) fn clear(&self) {
        let mut inner = self.lock();
        *inner = Inner { commits: inner.commits + 1, ..Inner::default() };
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn insert(&mut self, key: Vec<u8>, value: Vec<u8>) {
        self.newer_bytes += key.len() + value.len() + ROW_OVERHEAD;
        self.older.remove(&key);
        self.newer.insert(key, value);
        if self.newer_bytes > HALF_BYTES {
            self.older = std::mem::take(&mut self.newer);
            self.newer_bytes = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use hearken_proto::time::UnixDay;

    use super::*;

    fn batch(key: &[u8], value: Option<&[u8]>) -> Batch {
        let mut batch = Batch::default();
        match value {
            Some(value) => batch.put(Space::Rows, key.to_vec(), value.to_vec()),
            None => batch.delete(Space::Rows, key.to_vec()),
        }
        batch
    }

    #[test]
    fn a_row_is_found_as_it_was_committed_last_and_not_at_all_while_it_is_being_written() {
        let cache = RowCache::default();
        let missed = cache.find(b"a").unwrap_err();
        cache.leave(missed, b"a", b"1");
        assert_eq!(cache.find(b"a").ok().unwrap(), b"1");
        let second = batch(b"a", Some(b"2"));
        cache.begin(&second);
        assert!(cache.find(b"a").is_err());
        cache.end(&second);
        assert_eq!(cache.find(b"a").ok().unwrap(), b"2");
        let gone = batch(b"a", None);
        cache.begin(&gone);
        cache.end(&gone);
        assert!(cache.find(b"a").is_err());
    }

    #[test]
    fn what_was_read_before_a_commit_ends_is_not_left_after_it() {
        let cache = RowCache::default();
        let before = cache.find(b"a").unwrap_err();
        let written = batch(b"b", Some(b"1"));
        cache.begin(&written);
        let during = cache.find(b"a").unwrap_err();
        cache.leave(before, b"a", b"old");
        assert!(cache.find(b"a").is_err());
        cache.end(&written);
        cache.leave(during, b"a", b"old");
        assert!(cache.find(b"a").is_err());
    }

    #[test]
    fn rows_of_a_day_are_not_kept_and_an_engine_opened_anew_begins_with_none() {
        let cache = RowCache::default();
        let mut written = batch(b"row", Some(b"1"));
        written.put(Space::Day(UnixDay(1)), b"blob".to_vec(), vec![1]);
        cache.end(&written);
        assert!(cache.find(b"row").is_ok() && cache.find(b"blob").is_err());
        cache.clear();
        assert!(cache.find(b"row").is_err());
    }

    #[test]
    fn rows_beyond_the_bound_push_out_those_that_nobody_asked_for() {
        let cache = RowCache::default();
        let value = vec![0; 1 << 20];
        cache.end(&batch(b"asked for", Some(b"1")));
        cache.end(&batch(b"not asked for", Some(b"1")));
        for key in 0..20_u8 {
            cache.end(&batch(&[key], Some(&value)));
            assert!(cache.find(b"asked for").is_ok());
        }
        assert!(cache.find(b"not asked for").is_err());
        let inner = cache.lock();
        assert!(inner.newer.len() + inner.older.len() <= 12);
    }
}

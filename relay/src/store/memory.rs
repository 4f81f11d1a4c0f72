//! The engine's twin in memory, for simulations and tests: the semantics of [`Store`], and failures on demand.
//!
//! Guarantees: passes the same suite as the engine on disk; deterministic. A clone is a second handle to the same
//! state, so a test keeps one while the relay under test is dropped. Deliberately not: limits on memory.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use hearken_proto::time::{UnixDay, UnixMillis};

use super::frozen::{Frozen, page_of};
use super::{Batch, Row, Space, Store, StoreError, StoreTotals, first_position, life};

/// Rows in memory. Everything committed counts as durable.
#[derive(Clone, Debug, Default)]
pub struct MemoryStore {
    state: Arc<Mutex<State>>,
}

#[derive(Clone, Debug, Default)]
struct State {
    spaces: BTreeMap<Space, BTreeMap<Vec<u8>, Vec<u8>>>,
    first_position: u64,
    commits: u64,
    /// The number of coming commits that fail, and how.
    failures: Option<(u32, StoreError)>,
    /// Whether [`Store::has_room`] says no.
    full: bool,
    /// Rows that `read` and `range` handed out or looked at, for tests of work done.
    rows_read: u64,
    ranges: u64,
    /// Where syncs are left out: what was durable when that began.
    synced: Option<Box<State>>,
}

impl MemoryStore {
    /// An empty store of generation 0.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A separate store with a copy of what is durable now: what a copy of the data folder would hold.
    #[must_use]
    pub fn snapshot(&self) -> Self {
        let state = self.lock();
        let mut copy = state.synced.as_deref().unwrap_or(&state).clone();
        copy.failures = None;
        Self { state: Arc::new(Mutex::new(copy)) }
    }

    /// What a restart after a power cut finds: committed batches, and no failure that was asked for. Handles from
    /// before keep their own, cut-off state, so a relay that was not dropped cannot write past its death.
    #[must_use]
    pub fn crash(&self) -> Self {
        let survivor = self.snapshot();
        let mut state = self.lock();
        state.failures = Some((u32::MAX, StoreError::Stopped));
        survivor
    }

    /// What a restore from `backup` leaves: its rows, in a generation above its own.
    #[must_use]
    pub fn restored_from(backup: &Self) -> Self {
        let restored = backup.snapshot();
        {
            let mut state = restored.lock();
            let generation = u16::try_from(state.first_position >> 48).unwrap_or(u16::MAX);
            state.first_position = first_position(generation.saturating_add(1));
        }
        restored
    }

    /// What a restore from `backup` at `now` leaves: its rows, in a life that begins above every earlier one.
    #[must_use]
    pub fn restored_at(backup: &Self, now: UnixMillis) -> Self {
        let restored = backup.snapshot();
        {
            let mut state = restored.lock();
            state.first_position = life::restored(state.first_position, now);
        }
        restored
    }

    /// Plants a fault: from here on what is committed is visible and not durable, so that a crash loses it.
    pub fn leave_syncs_out(&self) {
        let mut state = self.lock();
        state.synced = Some(Box::new(state.clone()));
    }

    /// Makes the next `count` commits fail with `error`; zero makes commits work again.
    pub fn fail_commits(&self, count: u32, error: StoreError) {
        self.lock().failures = (count > 0).then_some((count, error));
    }

    /// Makes [`Store::has_room`] answer `!full`.
    pub fn set_full(&self, full: bool) {
        self.lock().full = full;
    }

    /// Rows that reads and ranges handed out since the store was made.
    #[must_use]
    pub fn rows_read(&self) -> u64 {
        self.lock().rows_read
    }

    /// Ranges that were asked for since the store was made.
    #[must_use]
    pub fn ranges(&self) -> u64 {
        self.lock().ranges
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // A panic of another test thread cannot leave the state half-written: each mutation is one assignment or a
        // loop of infallible inserts.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn take_failure(&mut self) -> Result<(), StoreError> {
        let Some((count, error)) = self.failures.take() else { return Ok(()) };
        let left = if count == u32::MAX { count } else { count - 1 };
        self.failures = (left > 0).then(|| (left, error.clone()));
        Err(error)
    }
}

impl Store for MemoryStore {
    fn read(&self, space: Space, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        let mut state = self.lock();
        state.rows_read += 1;
        Ok(state.spaces.get(&space).and_then(|rows| rows.get(key)).cloned())
    }

    fn range(
        &self,
        space: Space,
        from: &[u8],
        to: &[u8],
        limit: usize,
    ) -> Result<Vec<Row>, StoreError> {
        if from >= to {
            return Ok(Vec::new());
        }
        let mut state = self.lock();
        state.ranges += 1;
        let rows: Vec<Row> = state
            .spaces
            .get(&space)
            .into_iter()
            .flat_map(|rows| rows.range::<[u8], _>((Bound::Included(from), Bound::Excluded(to))))
            .take(limit)
            .map(|(key, value)| Row { key: key.clone(), value: value.clone() })
            .collect();
        state.rows_read += rows.len() as u64;
        Ok(rows)
    }

    fn commit(&self, batch: Batch) -> Result<(), StoreError> {
        let mut state = self.lock();
        state.take_failure()?;
        for (space, writes) in batch.writes {
            let rows = state.spaces.entry(space).or_default();
            for (key, value) in writes {
                match value {
                    Some(value) => rows.insert(key, value),
                    None => rows.remove(&key),
                };
            }
        }
        state.commits += 1;
        Ok(())
    }

    fn drop_day(&self, day: UnixDay) -> Result<(), StoreError> {
        let mut state = self.lock();
        state.take_failure()?;
        state.spaces.remove(&Space::Day(day));
        Ok(())
    }

    fn flush_day(&self, _day: UnixDay) -> Result<(), StoreError> {
        Ok(())
    }

    fn days(&self) -> Vec<UnixDay> {
        let state = self.lock();
        state
            .spaces
            .keys()
            .filter_map(|space| match space {
                Space::Rows => None,
                Space::Day(day) => Some(*day),
            })
            .collect()
    }

    fn totals(&self) -> StoreTotals {
        let days = u32::try_from(self.days().len()).unwrap_or(u32::MAX);
        let state = self.lock();
        let bytes = state
            .spaces
            .values()
            .flatten()
            .map(|(key, value)| (key.len() + value.len()) as u64)
            .sum();
        StoreTotals { disk_bytes: bytes, days, commits: state.commits }
    }

    fn has_room(&self) -> bool {
        !self.lock().full
    }

    fn generation(&self) -> u16 {
        u16::try_from(self.first_position() >> 48).unwrap_or(u16::MAX)
    }

    fn first_position(&self) -> u64 {
        self.lock().first_position
    }

    fn freeze(&self) -> Result<Box<dyn Frozen>, StoreError> {
        Ok(Box::new(FrozenMemory(self.snapshot())))
    }
}

/// A snapshot that nobody else has a handle to.
struct FrozenMemory(MemoryStore);

impl Frozen for FrozenMemory {
    fn days(&self) -> Vec<UnixDay> {
        self.0.days()
    }

    fn page(
        &self,
        space: Space,
        after: Option<&[u8]>,
        bytes: usize,
    ) -> Result<Vec<Row>, StoreError> {
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        let state = self.0.lock();
        let rows = state.spaces.get(&space).into_iter();
        let rows = rows.flat_map(|rows| rows.range::<[u8], _>((from, Bound::Unbounded)));
        let rows = rows.map(|(key, value)| Ok(Row { key: key.clone(), value: value.clone() }));
        page_of(rows, bytes)
    }
}

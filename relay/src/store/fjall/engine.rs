//! One opening of fjall: its keyspaces, and the snapshot that reads see.
//!
//! Guarantees: a panic or an error of the library becomes a [`StoreError`]; memory and journals are bounded by the
//! constants below. Deliberately not here: what to do after a failure (the store above drops this and opens anew).

use std::collections::BTreeMap;
use std::ops::Bound;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use ::fjall::{
    AbstractTree, Database, Error, Keyspace, KeyspaceCreateOptions, LsmError, PersistMode,
    Readable, Snapshot,
};
use hearken_proto::time::UnixDay;

use super::folder::RESTORE;
use super::journal::{COMMIT_KEY, CommitRecord};
use crate::store::frozen::page_of;
use crate::store::key_files::sync_folder;
use crate::store::{Batch, Row, Space, StoreError};

/// Blocks of tables kept in memory. The system's own page cache does the rest.
const CACHE_BYTES: u64 = 8 << 20;
/// One keyspace's memtable is moved to disk beyond this.
const MEMTABLE_BYTES: u64 = 8 << 20;
/// All active memtables together: beyond it the largest is moved to disk, however many days are live.
const MEMTABLES_BYTES: u64 = 16 << 20;
/// Journals that are kept before keyspaces that pin the oldest are moved to disk. The library's least.
const JOURNALS_BYTES: u64 = 64 << 20;
/// One for memtables, one that compacts, and one that takes the requests to compact which come meanwhile and finds
/// nothing to do: the first puts them back into the queue that it takes them from, without waiting, and burns a core
/// for as long as nobody else takes them (fjall 3.1, `worker_pool.rs`).
const WORKERS: usize = 3;
/// Open table files.
const FILES_MAX: usize = 256;
/// The library sleeps without end at 4 sealed memtables, even when the threads that would flush them are dead; so a
/// commit waits before it comes to that, where it can see the death.
const SEALED_MAX: usize = 3;
/// As [`SEALED_MAX`], of the 30 runs at level 0 at which the library stops.
const RUNS_MAX: usize = 20;

/// What a blob's row takes in a table, for what deleted ones still take.
const BLOB_BYTES: u64 = 2_500;
/// Less than this of deleted rows is left to the library, which merges tables when there are more of them.
const GARBAGE_MIN: u64 = 32 << 20;

const ROWS: &str = "rows";
const COMMITS: &str = "commits";
const DAY_PREFIX: &str = "day-";

/// Keyspaces before the database: the library stops its threads when the last handle to the database goes.
pub(super) struct Engine {
    snapshot: RwLock<Arc<Snapshot>>,
    rows: Keyspace,
    commits: Keyspace,
    days: BTreeMap<UnixDay, Keyspace>,
    /// By day, rows deleted since its tables were last merged into one run: some of them were of tables.
    deleted: Mutex<BTreeMap<UnixDay, u64>>,
    /// This opening's own: a snapshot of another one means nothing here.
    opening: Arc<()>,
    db: Database,
}

/// One moment of one opening. It keeps nothing open.
pub(super) struct Moment {
    snapshot: Arc<Snapshot>,
    opening: Arc<()>,
}

/// Why a commit did not come about.
pub(super) enum CommitFailure {
    /// The library refused before it wrote anything: its background threads failed earlier.
    Poisoned,
    /// Something may have reached the journal.
    Undecided(StoreError),
}

/// A day's tables, apart from their engine so that no commit waits while they are merged. They keep the journal open.
pub(super) struct Tables(Keyspace);

impl Tables {
    /// Merges them into one run without what was deleted. Takes as long as rewriting what is left.
    pub(super) fn merge(&self) -> Result<(), StoreError> {
        guarded("a table of the store", || self.0.major_compact())
    }
}

impl Engine {
    pub(super) fn open(path: &Path) -> Result<Self, StoreError> {
        guarded("the store's engine files", || {
            let db = Database::builder(path)
                .cache_size(CACHE_BYTES)
                .max_cached_files(Some(FILES_MAX))
                .max_journaling_size(JOURNALS_BYTES)
                .worker_threads(WORKERS)
                .manual_journal_persist(true)
                .open()?;
            let rows = db.keyspace(ROWS, options)?;
            let commits = db.keyspace(COMMITS, options)?;
            let mut days = BTreeMap::new();
            for name in db.list_keyspace_names() {
                let day = name.strip_prefix(DAY_PREFIX).and_then(|day| day.parse().ok());
                if let Some(day) = day {
                    days.insert(UnixDay(day), db.keyspace(&name, options)?);
                }
            }
            let deleted = days.iter().map(|(day, of)| (*day, of.tree.tombstone_count())).collect();
            let (snapshot, deleted) = (RwLock::new(Arc::new(db.snapshot())), Mutex::new(deleted));
            Ok(Self { snapshot, rows, commits, days, deleted, opening: Arc::new(()), db })
        })
        .and_then(|engine| sync_name(&engine.rows).map(|()| engine))
    }

    /// The number of the last commit; zero where there was none.
    pub(super) fn last_commit(&self) -> Result<u64, StoreError> {
        let Some(value) = guarded("the last commit", || self.commits.get(COMMIT_KEY))? else {
            return Ok(0);
        };
        CommitRecord::from_bytes(&value)
            .map(|record| record.number)
            .ok_or_else(|| corrupt("the last commit"))
    }

    pub(super) fn read(&self, space: Space, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        let Some(keyspace) = self.keyspace(space) else { return Ok(None) };
        let snapshot = self.snapshot();
        guarded("a table of the store", || Ok(snapshot.get(keyspace, key)?.map(|v| v.to_vec())))
    }

    pub(super) fn range(
        &self,
        space: Space,
        from: &[u8],
        to: &[u8],
        limit: usize,
    ) -> Result<Vec<Row>, StoreError> {
        let Some(keyspace) = self.keyspace(space) else { return Ok(Vec::new()) };
        let snapshot = self.snapshot();
        guarded("a table of the store", || {
            snapshot
                .range(keyspace, from..to)
                .take(limit)
                .map(|row| {
                    let (key, value) = row.into_inner()?;
                    Ok(Row { key: key.to_vec(), value: value.to_vec() })
                })
                .collect()
        })
    }

    /// What is committed now, to be read for longer.
    pub(super) fn moment(&self) -> Moment {
        Moment { snapshot: self.snapshot(), opening: Arc::clone(&self.opening) }
    }

    /// Rows as they were at a moment; see [`crate::store::Frozen::page`].
    pub(super) fn page(
        &self,
        moment: &Moment,
        space: Space,
        after: Option<&[u8]>,
        bytes: usize,
    ) -> Result<Vec<Row>, StoreError> {
        if !Arc::ptr_eq(&self.opening, &moment.opening) {
            return Err(StoreError::Unavailable);
        }
        let Some(keyspace) = self.keyspace(space) else { return Ok(Vec::new()) };
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        guarded("a table of the store", || {
            let rows = moment.snapshot.range::<&[u8], _>(keyspace, (from, Bound::Unbounded));
            let rows = rows.map(|row| {
                let (key, value) = row.into_inner()?;
                Ok(Row { key: key.to_vec(), value: value.to_vec() })
            });
            page_of(rows, bytes)
        })
    }

    /// Whether all days of a batch have their keyspace.
    pub(super) fn has_days_of(&self, batch: &Batch) -> bool {
        batch.writes().all(|(space, _, _)| self.keyspace(space).is_some())
    }

    /// Makes the keyspaces of days that a batch is the first to write.
    pub(super) fn make_days_of(&mut self, batch: &Batch) -> Result<(), StoreError> {
        for (space, _, _) in batch.writes() {
            if let Space::Day(day) = space
                && !self.days.contains_key(&day)
            {
                let name = format!("{DAY_PREFIX}{}", day.0);
                let keyspace = guarded("the list of days", || self.db.keyspace(&name, options))?;
                sync_name(&keyspace)?;
                self.days.insert(day, keyspace);
            }
        }
        Ok(())
    }

    /// Writes and syncs one batch as commit `number`.
    pub(super) fn commit(&self, batch: &Batch, number: u64) -> Result<(), CommitFailure> {
        self.wait_for_flushes()?;
        let record = CommitRecord { number, seqno_min: self.db.seqno() };
        let mut writes = ::fjall::OwnedWriteBatch::with_capacity(self.db.clone(), batch.len() + 1)
            .durability(Some(PersistMode::SyncData));
        for (space, key, value) in batch.writes() {
            let Some(keyspace) = self.keyspace(space) else {
                return Err(CommitFailure::Undecided(StoreError::Unavailable));
            };
            match value {
                Some(value) => writes.insert(keyspace, key, value),
                None => writes.remove(keyspace, key),
            }
        }
        // Last, where the journal's scan looks for it.
        writes.insert(&self.commits, COMMIT_KEY, record.to_bytes());
        match caught(|| writes.commit()) {
            Ok(Ok(())) => {}
            Ok(Err(Error::Poisoned)) => return Err(CommitFailure::Poisoned),
            Ok(Err(error)) => {
                return Err(CommitFailure::Undecided(translated("the journal", &error)));
            }
            Err(Panicked) => return Err(CommitFailure::Undecided(corrupt("the journal"))),
        }
        self.refresh_snapshot();
        self.note_deleted(batch);
        self.bound_memory();
        Ok(())
    }

    /// A day whose tables are mostly deleted rows. The library merges tables when more come; after a drain none do.
    pub(super) fn untidy_day(&self) -> Option<UnixDay> {
        self.refresh_snapshot();
        let mut deleted = self.deleted.lock().unwrap_or_else(PoisonError::into_inner);
        self.days.iter().find_map(|(day, keyspace)| {
            let garbage = deleted.get(day)?.saturating_mul(BLOB_BYTES);
            let is_untidy = garbage >= GARBAGE_MIN && garbage >= keyspace.tree.disk_space() / 3;
            is_untidy.then(|| deleted.remove(day)).map(|_| *day)
        })
    }

    /// Whether all of a day that [`Engine::flush_day`] was to move into tables is there. The library's own call that waits
    /// for it waits without end where the threads that would do it are dead. Not while a commit is under way.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] where they are.
    pub(super) fn is_flushed(&self, day: UnixDay) -> Result<bool, StoreError> {
        self.db.persist(PersistMode::Buffer).map_err(|_| StoreError::Unavailable)?;
        Ok(self.days.get(&day).is_none_or(|keyspace| keyspace.sealed_memtable_count() == 0))
    }

    pub(super) fn tables_of(&self, day: UnixDay) -> Option<Tables> {
        self.days.get(&day).cloned().map(Tables)
    }

    /// Has the library look for tables that nothing needs any more.
    pub(super) fn let_go(&self) -> Result<(), StoreError> {
        self.refresh_snapshot();
        guarded("the list of tables", || self.commits.rotate_memtable().map(drop))
    }

    fn note_deleted(&self, batch: &Batch) {
        let mut deleted = self.deleted.lock().unwrap_or_else(PoisonError::into_inner);
        for (space, _, value) in batch.writes() {
            if let (Space::Day(day), None) = (space, value) {
                *deleted.entry(day).or_default() += 1;
            }
        }
    }

    /// Makes reads see what was committed last, and lets tables go that only the former snapshot held.
    pub(super) fn refresh_snapshot(&self) {
        let fresh = Arc::new(self.db.snapshot());
        *self.snapshot.write().unwrap_or_else(PoisonError::into_inner) = fresh;
    }

    pub(super) fn drop_day(&mut self, day: UnixDay) -> Result<(), StoreError> {
        let Some(keyspace) = self.days.get(&day).cloned() else { return Ok(()) };
        guarded("the list of days", || self.db.delete_keyspace(keyspace))?;
        self.days.remove(&day);
        self.refresh_snapshot();
        Ok(())
    }

    pub(super) fn flush_day(&self, day: UnixDay) -> Result<(), StoreError> {
        self.refresh_snapshot();
        match self.days.get(&day) {
            Some(keyspace) => guarded("the list of days", || keyspace.rotate_memtable().map(drop)),
            None => Ok(()),
        }
    }

    pub(super) fn days(&self) -> Vec<UnixDay> {
        self.days.keys().copied().collect()
    }

    /// Reads every row of every keyspace; answers how many there are.
    pub(super) fn read_all(&self) -> Result<u64, StoreError> {
        let snapshot = self.snapshot();
        let keyspaces = [&self.rows, &self.commits].into_iter().chain(self.days.values());
        guarded("a table of the store", || {
            let mut rows = 0;
            for keyspace in keyspaces {
                for row in snapshot.iter(keyspace) {
                    row.into_inner()?;
                    rows += 1;
                }
            }
            Ok(rows)
        })
    }

    /// Moves everything into tables and waits for it.
    #[cfg(test)]
    pub(super) fn flush_everything(&self) -> Result<(), StoreError> {
        let mut keyspaces = self.keyspaces();
        guarded("a table of the store", || {
            keyspaces.try_for_each(Keyspace::rotate_memtable_and_wait)
        })
    }

    /// Above every sequence number given, if everything is on disk and no background thread failed.
    pub(super) fn settled(&self) -> Option<u64> {
        self.db.persist(PersistMode::SyncAll).is_ok().then(|| self.db.seqno())
    }

    fn keyspace(&self, space: Space) -> Option<&Keyspace> {
        match space {
            Space::Rows => Some(&self.rows),
            Space::Day(day) => self.days.get(&day),
        }
    }

    fn keyspaces(&self) -> impl Iterator<Item = &Keyspace> {
        [&self.rows, &self.commits].into_iter().chain(self.days.values())
    }

    fn snapshot(&self) -> Arc<Snapshot> {
        Arc::clone(&self.snapshot.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn wait_for_flushes(&self) -> Result<(), CommitFailure> {
        let behind = |keyspace: &Keyspace| {
            keyspace.sealed_memtable_count() >= SEALED_MAX
                || keyspace.tree.l0_run_count() >= RUNS_MAX
        };
        while self.keyspaces().any(behind) {
            if self.db.persist(PersistMode::Buffer).is_err() {
                return Err(CommitFailure::Poisoned);
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        Ok(())
    }

    fn bound_memory(&self) {
        let sizes: Vec<(u64, &Keyspace)> =
            self.keyspaces().map(|k| (k.tree.active_memtable().size(), k)).collect();
        let total: u64 = sizes.iter().map(|(size, _)| size).sum();
        let largest = sizes.into_iter().max_by_key(|(size, _)| *size);
        if let Some((size, keyspace)) = largest
            && (total > MEMTABLES_BYTES || size > MEMTABLE_BYTES)
        {
            // A failure shows at the next commit, as one of the background's.
            let _ = caught(|| keyspace.rotate_memtable());
        }
    }
}

/// Makes the names of the keyspaces' folders durable. The library syncs what is in them, and not what they are called: after
/// a power cut it would pass over what its journal holds for a keyspace that has no folder, without a word.
fn sync_name(keyspace: &Keyspace) -> Result<(), StoreError> {
    let failed = |error: std::io::Error| StoreError::io("making the store", &error);
    keyspace.path().parent().map_or(Ok(()), sync_folder).map_err(failed)
}

fn options() -> KeyspaceCreateOptions {
    KeyspaceCreateOptions::default()
        .max_memtable_size(2 * MEMTABLE_BYTES)
        .manual_journal_persist(true)
}

/// A call of the library unwound.
struct Panicked;

/// The library asserts on bytes from disk in places; an assertion is an answer like any other here. What unwinds is
/// dropped as a whole by the caller, so no half-changed state is looked at again.
fn caught<T>(call: impl FnOnce() -> T) -> Result<T, Panicked> {
    catch_unwind(AssertUnwindSafe(call)).map_err(|_| Panicked)
}

fn guarded<T>(what: &str, call: impl FnOnce() -> ::fjall::Result<T>) -> Result<T, StoreError> {
    match caught(call) {
        Ok(result) => result.map_err(|error| translated(what, &error)),
        Err(Panicked) => Err(corrupt(what)),
    }
}

fn corrupt(what: &str) -> StoreError {
    StoreError::Corrupt { what: what.to_owned(), advice: RESTORE }
}

fn translated(what: &str, error: &Error) -> StoreError {
    match error {
        Error::Io(error) | Error::Storage(LsmError::Io(error)) => match error.kind() {
            // A file that the engine's own lists name is not there, ends early, or is read at a place that cannot be.
            std::io::ErrorKind::NotFound
            | std::io::ErrorKind::UnexpectedEof
            | std::io::ErrorKind::InvalidInput
            | std::io::ErrorKind::InvalidData => corrupt(what),
            _ => StoreError::io("reading or writing the store", error),
        },
        Error::Poisoned => StoreError::Unavailable,
        _ => corrupt(what),
    }
}

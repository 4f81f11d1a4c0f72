//! The engine on disk: fjall 3, one keyspace for rows and one for each expiry day.
//!
//! Guarantees: those of [`Store`]. A commit is in the journal, synced (`fdatasync`), before it returns. After a failed
//! write the library refuses everything that follows, so the store closes it, cuts what was refused off the journal
//! (see `journal`), and opens it anew, all before the refusal is given: a refused batch can never reappear. Where
//! opening fails too, reads and commits answer [`StoreError::Unavailable`], and commits try again, once a second.
//!
//! The data folder: `lock` (against a second process), `store-format` (format and generation, checksummed), `engine/`
//! (fjall's), `clean-stop` (only while no process runs). Keys are other folders' affair.
//!
//! Two duties of the process: SIGXFSZ must not have its default effect, else a file-size limit kills instead of
//! refusing; and days whose last write is past are to be flushed (see [`Store::flush_day`]).

mod bytes;
mod engine;
mod folder;
#[doc(hidden)]
pub mod fuzzing;
mod journal;
mod manifests;
mod row_cache;
#[cfg(test)]
pub(crate) mod test_support;
#[cfg(test)]
mod tests_damage;
#[cfg(test)]
mod tests_process;
#[cfg(test)]
mod tests_tidy;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::{Duration, Instant};

use hearken_proto::time::UnixDay;

use self::engine::{CommitFailure, Engine, Moment};
use self::folder::{CleanStop, DataFolder, RESTORE};
use self::row_cache::RowCache;
use super::key_files::sync_folder;
use super::{
    Batch, Frozen, KEY_LEN_MAX, Row, Space, Store, StoreError, StoreTotals, VALUE_LEN_MAX,
};

/// Free disk space below which new blobs are refused, so that what frees space (acknowledgements, expiry) and what the
/// engine moves in the background (some 40 MiB of memtables, tables of 64 MiB being merged) still have room.
const RESERVE_BYTES: u64 = 256 << 20;
/// What the engine's threads write at once at the least: a memtable, and lists of tables.
const BACKGROUND_BYTES: u64 = 16 << 20;
/// The least time between two attempts to open the engine anew.
const REOPEN_INTERVAL: Duration = Duration::from_secs(1);
/// How long the library's threads may take to let go of the journal.
const CLOSE_WAIT_MAX: Duration = Duration::from_secs(10);
/// Between two looks whether a memtable has become a table.
const FLUSH_LOOK: Duration = Duration::from_millis(10);

/// Commits between two looks of a store that is at rest: a relay that takes many blobs should not wait for tables that
/// are merged meanwhile.
const QUIET_COMMITS_MAX: u64 = 256;

/// What an operator or a test may set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FjallConfig {
    /// Free disk space in bytes below which new blobs are refused; 256 MiB.
    pub reserve_bytes: u64,
    /// The least time between two attempts to open the engine anew after a failure in the background; 1 s.
    pub reopen_interval: Duration,
}

impl Default for FjallConfig {
    fn default() -> Self {
        Self { reserve_bytes: RESERVE_BYTES, reopen_interval: REOPEN_INTERVAL }
    }
}

/// The store in a folder.
pub struct FjallStore {
    engine: Arc<EngineSlot>,
    rows: RowCache,
    /// Commits when it was last looked whether there is something to tidy.
    tidying: Mutex<u64>,
    /// Tables are being merged, and the journal stays open until they are.
    merging: AtomicBool,
    /// One commit, drop or flush at a time.
    writer: Mutex<Writer>,
    first_position: u64,
    config: FjallConfig,
    folder: DataFolder,
}

/// The engine; `None` after a failure, until it can be opened again, and once the store is dropped.
type EngineSlot = RwLock<Option<Engine>>;

struct Writer {
    /// The last commit that was accepted: nothing above it may be in the journal at an opening.
    last_commit: u64,
    commits: u64,
    reopened: Option<Instant>,
}

impl FjallStore {
    /// Opens the store in `data`, made where there is none, and locks the folder.
    ///
    /// # Errors
    /// [`StoreError::Locked`], [`StoreError::Corrupt`] (nothing was changed), [`StoreError::Incompatible`],
    /// [`StoreError::Io`], [`StoreError::Full`].
    pub fn open(data: &Path, config: FjallConfig) -> Result<Self, StoreError> {
        Self::open_or_begin(data, config, 0)
    }

    /// Makes a store whose positions begin at `first_position`, in a folder that holds none, and locks the folder.
    ///
    /// # Errors
    /// Those of [`FjallStore::open`]; [`StoreError::Corrupt`] where the folder holds a store already.
    pub fn begin(
        data: &Path,
        config: FjallConfig,
        first_position: u64,
    ) -> Result<Self, StoreError> {
        let store = Self::open_or_begin(data, config, first_position)?;
        // Of a life of its own where there was one.
        if store.first_position == first_position { Ok(store) } else { Err(corrupt("the folder")) }
    }

    fn open_or_begin(
        data: &Path,
        config: FjallConfig,
        first_position: u64,
    ) -> Result<Self, StoreError> {
        let folder = DataFolder::lock(data)?;
        let engine_folder = folder.engine();
        let known = folder.first_position()?;
        let clean = folder.clean_stop()?;
        let (engine, last_commit) = if known.is_some() {
            let scanned = journal::check(&engine_folder, clean, None)?;
            manifests::check(&engine_folder)?;
            let engine = Engine::open(&engine_folder)?;
            let last = engine.last_commit()?;
            // Everything in the journals must have come through the engine's own reading of them.
            let expected = scanned.or(clean.map(|clean| clean.commit));
            if expected.is_some_and(|expected| expected != last) {
                return Err(corrupt("the store's engine files"));
            }
            (engine, last)
        } else {
            (Self::create_engine(&engine_folder)?, 0)
        };
        if known.is_none() {
            // Written last, when the engine's own name is durable: an engine without it holds nothing that was ever
            // acknowledged, and it without an engine would be a store that has lost one.
            sync_folder(folder.path())
                .map_err(|error| StoreError::io("making the store", &error))?;
            folder.set_first_position(first_position)?;
        }
        folder.clear_clean_stop()?;
        Ok(Self {
            engine: Arc::new(RwLock::new(Some(engine))),
            rows: RowCache::default(),
            tidying: Mutex::new(0),
            merging: AtomicBool::new(false),
            writer: Mutex::new(Writer { last_commit, commits: 0, reopened: None }),
            first_position: known.unwrap_or(first_position),
            config,
            folder,
        })
    }

    /// Reads every row, so that damage in tables that nobody asked for shows too; answers how many rows there are.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] at the first damage; [`StoreError::Io`].
    pub fn verify(&self) -> Result<u64, StoreError> {
        self.with_engine(Engine::read_all)
    }

    /// The data folder.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    fn create_engine(engine_folder: &Path) -> Result<Engine, StoreError> {
        if engine_folder.exists() {
            // Either a first start that was cut short, or a format file that was lost: then there are commits.
            let holds_commits = journal::check(engine_folder, None, None)
                .map_or(true, |last_commit| last_commit.is_some());
            if holds_commits {
                return Err(corrupt("store-format"));
            }
            fs::remove_dir_all(engine_folder)
                .map_err(|error| StoreError::io("making the store", &error))?;
        }
        Engine::open(engine_folder)
    }

    fn with_engine<T>(
        &self,
        call: impl FnOnce(&Engine) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        call_open(&self.engine, call)
    }

    fn with_engine_mut<T>(
        &self,
        call: impl FnOnce(&mut Engine) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let mut engine = self.engine.write().unwrap_or_else(PoisonError::into_inner);
        call(engine.as_mut().ok_or(StoreError::Unavailable)?)
    }

    fn writer(&self) -> MutexGuard<'_, Writer> {
        self.writer.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_open(&self) -> bool {
        self.engine.read().unwrap_or_else(PoisonError::into_inner).is_some()
    }

    /// Closes the engine, cuts off what was not accepted, opens it anew.
    fn reopen(&self, writer: &mut Writer) -> Result<(), StoreError> {
        let mut slot = self.engine.write().unwrap_or_else(PoisonError::into_inner);
        *slot = None;
        self.rows.clear();
        writer.reopened = Some(Instant::now());
        // Not waited for with the locks held: it may take minutes.
        if self.merging.load(Ordering::Acquire) {
            return Err(StoreError::Unavailable);
        }
        let engine_folder = self.folder.engine();
        wait_until_closed(&engine_folder)?;
        journal::check(&engine_folder, None, Some(writer.last_commit))?;
        manifests::check(&engine_folder)?;
        let engine = Engine::open(&engine_folder)?;
        if engine.last_commit()? != writer.last_commit {
            return Err(corrupt("the store's engine files"));
        }
        *slot = Some(engine);
        Ok(())
    }

    fn try_commit(&self, batch: &Batch, number: u64) -> Result<(), CommitFailure> {
        let made = self.with_engine(|engine| Ok(engine.has_days_of(batch)));
        if made == Ok(false) {
            self.with_engine_mut(|engine| engine.make_days_of(batch))
                .map_err(CommitFailure::Undecided)?;
        }
        let engine = self.engine.read().unwrap_or_else(PoisonError::into_inner);
        let Some(engine) = engine.as_ref() else { return Err(CommitFailure::Poisoned) };
        self.rows.begin(batch);
        engine.commit(batch, number)?;
        self.rows.end(batch);
        Ok(())
    }

    /// Commits a batch whose rows fit; what failed is not there afterwards.
    fn write(&self, writer: &mut Writer, batch: &Batch) -> Result<(), StoreError> {
        let number = writer.last_commit + 1;
        let mut failure = self.try_commit(batch, number);
        if matches!(failure, Err(CommitFailure::Poisoned)) {
            // Nothing of the batch was written, so it may be tried after an opening; the opening not too often.
            if writer
                .reopened
                .is_some_and(|reopened| reopened.elapsed() < self.config.reopen_interval)
            {
                return Err(self.background_failure());
            }
            self.reopen(writer).inspect_err(|_| {
                tracing::error!("the store could not be opened again after a failure");
            })?;
            tracing::error!("the store failed in the background and was opened anew");
            failure = self.try_commit(batch, number);
        }
        match failure {
            Ok(()) => {
                writer.last_commit = number;
                writer.commits += 1;
                Ok(())
            }
            Err(CommitFailure::Poisoned) => Err(self.background_failure()),
            Err(CommitFailure::Undecided(error)) => {
                if self.reopen(writer).is_err() {
                    tracing::error!("the store could not be opened again after a failed write");
                }
                Err(error)
            }
        }
    }

    /// Rewrites a day's tables without what was deleted.
    fn tidy_day(&self, day: UnixDay) -> Result<(), StoreError> {
        self.flush_day(day)?;
        // Nothing of the engine is held meanwhile: whoever opens it anew waits for its last handle.
        while !self.is_flushed(day)? {
            std::thread::sleep(FLUSH_LOOK);
        }
        let tables = self.with_engine(|engine| {
            let tables = engine.tables_of(day);
            self.merging.store(tables.is_some(), Ordering::Release);
            Ok(tables)
        })?;
        let Some(tables) = tables else { return Ok(()) };
        let merged = tables.merge();
        drop(tables);
        self.merging.store(false, Ordering::Release);
        merged.and_then(|()| self.let_go())
    }

    fn is_flushed(&self, day: UnixDay) -> Result<bool, StoreError> {
        let _writer = self.writer();
        self.with_engine(|engine| engine.is_flushed(day))
    }

    /// Lets the library give back tables that were merged: it does so when it has seen a commit and moves rows to a table.
    fn let_go(&self) -> Result<(), StoreError> {
        self.write(&mut self.writer(), &Batch::default())?;
        self.with_engine(Engine::let_go)
    }

    fn has_free(&self, bytes: u64) -> bool {
        // Where the system does not say, the write itself will.
        rustix::fs::statvfs(self.folder.path())
            .map_or(true, |disk| disk.f_bavail.saturating_mul(disk.f_frsize) >= bytes)
    }

    /// The cause of a background failure, as far as it can be told afterwards.
    fn background_failure(&self) -> StoreError {
        let room = self.has_free(self.config.reserve_bytes.max(BACKGROUND_BYTES));
        if room { StoreError::Unavailable } else { StoreError::Full }
    }
}

impl Store for FjallStore {
    fn read(&self, space: Space, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        self.with_engine(|engine| {
            if space != Space::Rows {
                return engine.read(space, key);
            }
            // Under the engine's lock, so that nothing of a closed engine is found or left.
            match self.rows.find(key) {
                Ok(value) => Ok(Some(value)),
                Err(missed) => {
                    let value = engine.read(space, key)?;
                    if let Some(value) = &value {
                        self.rows.leave(missed, key, value);
                    }
                    Ok(value)
                }
            }
        })
    }

    fn read_uncached(&self, space: Space, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        self.with_engine(|engine| engine.read(space, key))
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
        self.with_engine(|engine| engine.range(space, from, to, limit))
    }

    fn commit(&self, batch: Batch) -> Result<(), StoreError> {
        let mut writer = self.writer();
        if batch.is_empty() {
            return Ok(());
        }
        let fits = |(_, key, value): (Space, &[u8], Option<&[u8]>)| {
            !key.is_empty()
                && key.len() <= KEY_LEN_MAX
                && value.is_none_or(|value| value.len() <= VALUE_LEN_MAX)
        };
        if !batch.writes().all(fits) {
            return Err(StoreError::Io {
                action: "writing the store",
                kind: std::io::ErrorKind::InvalidInput,
            });
        }
        self.write(&mut writer, &batch)
    }

    fn drop_day(&self, day: UnixDay) -> Result<(), StoreError> {
        let mut writer = self.writer();
        if !self.is_open() {
            self.reopen(&mut writer)?;
        }
        self.with_engine_mut(|engine| engine.drop_day(day))
    }

    fn flush_day(&self, day: UnixDay) -> Result<(), StoreError> {
        let _writer = self.writer();
        self.with_engine(|engine| engine.flush_day(day))
    }

    fn days(&self) -> Vec<UnixDay> {
        self.with_engine(|engine| Ok(engine.days())).unwrap_or_default()
    }

    fn totals(&self) -> StoreTotals {
        let writer = self.writer();
        let _ = self.with_engine(|engine| {
            engine.refresh_snapshot();
            Ok(())
        });
        StoreTotals {
            disk_bytes: disk_bytes(&self.folder.engine()),
            days: u32::try_from(self.days().len()).unwrap_or(u32::MAX),
            commits: writer.commits,
        }
    }

    fn tidy(&self) {
        // One at a time: it may take longer than until the next.
        let Ok(mut looked) = self.tidying.try_lock() else { return };
        let commits = self.writer().commits;
        let is_quiet = commits.saturating_sub(*looked) <= QUIET_COMMITS_MAX;
        *looked = commits;
        if !is_quiet {
            return;
        }
        while let Ok(Some(day)) = self.with_engine(|engine| Ok(engine.untidy_day())) {
            if let Err(error) = self.tidy_day(day) {
                tracing::warn!(%error, "tables could not be merged; nothing is lost");
                return;
            }
        }
    }

    fn generation(&self) -> u16 {
        u16::try_from(self.first_position >> 48).unwrap_or(u16::MAX)
    }

    fn first_position(&self) -> u64 {
        self.first_position
    }

    fn freeze(&self) -> Result<Box<dyn Frozen>, StoreError> {
        let (moment, days) = self.with_engine(|engine| Ok((engine.moment(), engine.days())))?;
        Ok(Box::new(FrozenFjall { engine: Arc::clone(&self.engine), moment, days }))
    }

    fn has_room(&self) -> bool {
        self.has_free(self.config.reserve_bytes)
    }
}

/// A moment of the store. It does not keep the engine open: where that was closed or opened anew since, the moment is
/// lost.
struct FrozenFjall {
    engine: Arc<EngineSlot>,
    moment: Moment,
    days: Vec<UnixDay>,
}

impl Frozen for FrozenFjall {
    fn days(&self) -> Vec<UnixDay> {
        self.days.clone()
    }

    fn page(
        &self,
        space: Space,
        after: Option<&[u8]>,
        bytes: usize,
    ) -> Result<Vec<Row>, StoreError> {
        call_open(&self.engine, |engine| engine.page(&self.moment, space, after, bytes))
    }
}

fn call_open<T>(
    slot: &EngineSlot,
    call: impl FnOnce(&Engine) -> Result<T, StoreError>,
) -> Result<T, StoreError> {
    let engine = slot.read().unwrap_or_else(PoisonError::into_inner);
    call(engine.as_ref().ok_or(StoreError::Unavailable)?)
}

impl Drop for FjallStore {
    fn drop(&mut self) {
        let commit = self.writer().last_commit;
        let mut slot = self.engine.write().unwrap_or_else(PoisonError::into_inner);
        let Some(engine) = slot.take() else { return };
        let settled = engine.settled();
        drop(engine);
        if let Some(seqno) = settled
            && wait_until_closed(&self.folder.engine()).is_ok()
        {
            // Without the mark the next opening trusts all but the last commit's bytes.
            let _ = self.folder.set_clean_stop(CleanStop { commit, seqno });
        }
    }
}

fn corrupt(what: &str) -> StoreError {
    StoreError::Corrupt { what: what.to_owned(), advice: RESTORE }
}

/// Waits until no thread of this process holds a journal: the library's last thread lets go of it, and writes what it
/// had buffered, a moment after the database is dropped.
fn wait_until_closed(engine_folder: &Path) -> Result<(), StoreError> {
    let folder = fs::canonicalize(engine_folder)
        .map_err(|error| StoreError::io("closing the store", &error))?;
    let begun = Instant::now();
    while holds_journal(&folder) {
        if begun.elapsed() > CLOSE_WAIT_MAX {
            return Err(StoreError::Unavailable);
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    Ok(())
}

fn holds_journal(engine_folder: &Path) -> bool {
    let Ok(open_files) = fs::read_dir("/proc/self/fd") else {
        // No such list on this system: give the thread the moment that it needs.
        std::thread::sleep(Duration::from_millis(50));
        return false;
    };
    open_files.flatten().filter_map(|entry| fs::read_link(entry.path()).ok()).any(|path| {
        path.starts_with(engine_folder) && path.extension().is_some_and(|end| end == "jnl")
    })
}

/// Bytes that a folder really occupies: journals are made larger than they are filled.
fn disk_bytes(folder: &Path) -> u64 {
    let mut bytes = 0;
    let mut folders: Vec<PathBuf> = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            match entry.metadata() {
                Ok(meta) if meta.is_dir() => folders.push(entry.path()),
                Ok(meta) => bytes += occupied(&meta),
                Err(_) => {}
            }
        }
    }
    bytes
}

#[cfg(unix)]
fn occupied(meta: &fs::Metadata) -> u64 {
    std::os::unix::fs::MetadataExt::blocks(meta) * 512
}

#[cfg(not(unix))]
fn occupied(meta: &fs::Metadata) -> u64 {
    meta.len()
}

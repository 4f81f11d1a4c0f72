//! A store in a temporary folder, and copies of folders: what tests of the engine on disk share.

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};
use std::{fs, io};

use tempfile::TempDir;

use super::{FjallConfig, FjallStore};
use crate::store::Store;
use crate::store::fixture::Fixture;

/// No reserve, since a test machine's disk may be nearly full, and no waiting between openings.
pub(super) const TEST_CONFIG: FjallConfig =
    FjallConfig { reserve_bytes: 0, reopen_interval: Duration::ZERO };

pub(crate) struct FjallFixture {
    /// Before its folder, so that it is closed before the folder goes.
    store: Option<FjallStore>,
    folder: TempDir,
}

pub(super) fn open(folder: &Path) -> FjallStore {
    open_when_free(folder).unwrap()
}

/// A child that another test is just forking has the lock's descriptor too until it executes its program, so a lock
/// that was let go a moment ago may seem to be held.
pub(super) fn open_when_free(folder: &Path) -> Result<FjallStore, crate::store::StoreError> {
    let mut opened = FjallStore::open(folder, TEST_CONFIG);
    for _ in 0..500 {
        if !matches!(opened, Err(crate::store::StoreError::Locked { .. })) {
            break;
        }
        std::thread::sleep(Duration::from_millis(10));
        opened = FjallStore::open(folder, TEST_CONFIG);
    }
    opened
}

impl Fixture for FjallFixture {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        Self { store: Some(open(folder.path())), folder }
    }

    fn store(&self) -> &dyn Store {
        self.store.as_ref().unwrap()
    }

    fn restart(&mut self) {
        self.store = None;
        self.store = Some(open(self.folder.path()));
    }

    fn crash(&mut self) {
        let copy = tempfile::tempdir().unwrap();
        copy_folder(self.folder.path(), copy.path());
        self.store = Some(open(copy.path()));
        self.folder = copy;
    }
}

/// Copies a folder as it lies on disk at one moment: again, if the engine's threads changed it meanwhile.
pub(super) fn copy_folder(from: &Path, to: &Path) {
    loop {
        let before = listing(from);
        if try_copy(from, to).is_ok() && before.is_ok() && listing(from).ok() == before.ok() {
            return;
        }
        let _ = fs::remove_dir_all(to);
    }
}

/// Paths, lengths and times of last change.
fn listing(folder: &Path) -> io::Result<Vec<(PathBuf, u64, SystemTime)>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let meta = entry.metadata()?;
        found.push((entry.path(), meta.len(), meta.modified()?));
        if meta.is_dir() {
            found.extend(listing(&entry.path())?);
        }
    }
    found.sort();
    Ok(found)
}

fn try_copy(from: &Path, to: &Path) -> io::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let (path, copy) = (entry.path(), to.join(entry.file_name()));
        if path.is_dir() { try_copy(&path, &copy)? } else { copy_file(&path, &copy)? }
    }
    Ok(())
}

/// Leaves the zeros out at the end of a journal made larger than it is filled, which a disk would not hold either.
fn copy_file(from: &Path, to: &Path) -> io::Result<()> {
    let content = fs::read(from)?;
    let used = content.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
    fs::write(to, &content[..used])?;
    fs::OpenOptions::new().write(true).open(to)?.set_len(content.len() as u64)
}

//! A store in a temporary folder, and copies of folders: what tests of the engine on disk share.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::fs;
use std::path::Path;
use std::time::Duration;

use tempfile::TempDir;

use super::{FjallConfig, FjallStore};
use crate::store::Store;
use crate::store::conformance::Fixture;

/// No reserve, since a test machine's disk may be nearly full, and no waiting between openings.
pub(super) const TEST_CONFIG: FjallConfig =
    FjallConfig { reserve_bytes: 0, reopen_interval: Duration::ZERO };

pub(in crate::store) struct FjallFixture {
    /// Before its folder, so that it is closed before the folder goes.
    store: Option<FjallStore>,
    folder: TempDir,
}

pub(super) fn open(folder: &Path) -> FjallStore {
    FjallStore::open(folder, TEST_CONFIG).unwrap()
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

/// Copies a folder as it lies on disk. Files that vanish meanwhile were being replaced.
pub(super) fn copy_folder(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let (path, name) = entry.map(|entry| (entry.path(), entry.file_name())).unwrap();
        if path.is_dir() {
            copy_folder(&path, &to.join(name));
        } else {
            copy_file(&path, &to.join(name));
        }
    }
}

/// Leaves the zeros out at the end of a journal made larger than it is filled, which a disk would not hold either.
fn copy_file(from: &Path, to: &Path) {
    let content = fs::read(from).unwrap();
    let used = content.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
    fs::write(to, &content[..used]).unwrap();
    fs::OpenOptions::new().write(true).open(to).unwrap().set_len(content.len() as u64).unwrap();
}

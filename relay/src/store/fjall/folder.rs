//! What lies beside the engine in the data folder: the lock, the format file, the mark of a clean stop.
//!
//! Guarantees: one process at a time; a format file that is not as written is reported; a mark that is not as written
//! counts as absent, which only costs the certainty that the last commit is undamaged. Deliberately not here: the keys.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use crate::store::key_files::{make_folder, sync_folder};
use crate::store::{StoreError, first_position};

/// The format that this program reads and writes.
pub(super) const FORMAT: u16 = 1;

const LOCK_FILE: &str = "lock";
const FORMAT_FILE: &str = "store-format";
const CLEAN_FILE: &str = "clean-stop";
const ENGINE_FOLDER: &str = "engine";
const CHECK_LEN: usize = 8;

/// What operators are told when bytes on disk are wrong.
pub(super) const RESTORE: &str =
    "stop the relay, keep a copy of the folder, and restore the newest backup";

/// The data folder, locked for as long as this lives.
#[derive(Debug)]
pub(super) struct DataFolder {
    path: PathBuf,
    _lock: File,
}

/// What a clean stop left on record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct CleanStop {
    /// The number of the last commit; zero where there was none.
    pub(super) commit: u64,
    /// Above every sequence number that the engine gave.
    pub(super) seqno: u64,
}

impl DataFolder {
    /// Makes the folder where it is absent, and locks it.
    pub(super) fn lock(path: &Path) -> Result<Self, StoreError> {
        let failed = |error: io::Error| StoreError::io("opening the data folder", &error);
        make_folder(path).map_err(failed)?;
        let lock = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(path.join(LOCK_FILE))
            .map_err(failed)?;
        match lock.try_lock() {
            Ok(()) => Ok(Self { path: path.to_owned(), _lock: lock }),
            Err(TryLockError::WouldBlock) => Err(StoreError::Locked { folder: path.to_owned() }),
            Err(TryLockError::Error(error)) => Err(failed(error)),
        }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn engine(&self) -> PathBuf {
        self.path.join(ENGINE_FOLDER)
    }

    /// Where the store's positions begin; `None` where the folder holds no store yet.
    pub(super) fn first_position(&self) -> Result<Option<u64>, StoreError> {
        let Some(content) = self.read(FORMAT_FILE)? else { return Ok(None) };
        let damaged = || StoreError::Corrupt { what: FORMAT_FILE.to_owned(), advice: RESTORE };
        let body = checked(b"hearken/1 store format", &content).ok_or_else(damaged)?;
        let (format, rest) = body.split_first_chunk::<2>().ok_or_else(damaged)?;
        let found = u16::from_be_bytes(*format);
        if found != FORMAT {
            return Err(StoreError::Incompatible { found, known: FORMAT });
        }
        match *rest {
            // As written before restores: the generation alone.
            [g0, g1] => Ok(Some(first_position(u16::from_be_bytes([g0, g1])))),
            _ => rest.try_into().map(|rest| Some(u64::from_be_bytes(rest))).map_err(|_| damaged()),
        }
    }

    pub(super) fn set_first_position(&self, first_position: u64) -> Result<(), StoreError> {
        self.set_format(FORMAT, first_position)
    }

    pub(super) fn set_format(&self, format: u16, first_position: u64) -> Result<(), StoreError> {
        let mut body = format.to_be_bytes().to_vec();
        body.extend_from_slice(&first_position.to_be_bytes());
        self.replace(FORMAT_FILE, &with_check(b"hearken/1 store format", &body))
    }

    pub(super) fn clean_stop(&self) -> Result<Option<CleanStop>, StoreError> {
        let Some(content) = self.read(CLEAN_FILE)? else { return Ok(None) };
        let mark = checked(b"hearken/1 clean stop", &content).and_then(|body| {
            let (commit, seqno) = body.split_first_chunk::<8>()?;
            Some(CleanStop {
                commit: u64::from_be_bytes(*commit),
                seqno: u64::from_be_bytes(seqno.try_into().ok()?),
            })
        });
        Ok(mark)
    }

    pub(super) fn set_clean_stop(&self, mark: CleanStop) -> Result<(), StoreError> {
        let mut body = mark.commit.to_be_bytes().to_vec();
        body.extend_from_slice(&mark.seqno.to_be_bytes());
        self.replace(CLEAN_FILE, &with_check(b"hearken/1 clean stop", &body))
    }

    /// To be done before the first commit: from then on the mark would not be true.
    pub(super) fn clear_clean_stop(&self) -> Result<(), StoreError> {
        match fs::remove_file(self.path.join(CLEAN_FILE)) {
            Ok(()) => sync_folder(&self.path),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(error),
        }
        .map_err(|error| StoreError::io("opening the store", &error))
    }

    fn read(&self, name: &str) -> Result<Option<Vec<u8>>, StoreError> {
        match fs::read(self.path.join(name)) {
            Ok(content) => Ok(Some(content)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(StoreError::io("opening the store", &error)),
        }
    }

    fn replace(&self, name: &str, content: &[u8]) -> Result<(), StoreError> {
        let (path, unfinished) = (self.path.join(name), self.path.join(format!("{name}.new")));
        let write = || -> io::Result<()> {
            let mut file = File::create(&unfinished)?;
            file.write_all(content)?;
            file.sync_all()?;
            fs::rename(&unfinished, &path)?;
            sync_folder(&self.path)
        };
        write().map_err(|error| StoreError::io("writing the store's format", &error))
    }
}

fn check_of(label: &[u8], body: &[u8]) -> [u8; CHECK_LEN] {
    let digest = Sha256::new_with_prefix(label).chain_update(body).finalize();
    let mut check = [0; CHECK_LEN];
    check.copy_from_slice(&digest[..CHECK_LEN]);
    check
}

fn with_check(label: &[u8], body: &[u8]) -> Vec<u8> {
    let mut content = check_of(label, body).to_vec();
    content.extend_from_slice(body);
    content
}

pub(super) fn checked<'a>(label: &[u8], content: &'a [u8]) -> Option<&'a [u8]> {
    let (check, body) = content.split_first_chunk::<CHECK_LEN>()?;
    (*check == check_of(label, body)).then_some(body)
}

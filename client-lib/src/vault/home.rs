//! The home folder, and whose turn it is with it.
//!
//! Two files are locked with the system's own file locks, which end with the process that holds them, however it ends:
//! `home.lock` by the process that has the home, and `home.wait`, shared, by every process that waits for it. So a
//! holder can see that somebody waits ([`HomeLock::someone_waits`]) and give way. Neither file is ever removed: a lock
//! on a removed file would keep nobody out.
//!
//! The holder writes its process id and name into `home.lock`, for whoever waits in vain. What is read there is only
//! a name to show: the lock decides.
//!
//! Not covered: file systems without locks, where taking the home is an error.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::Path;
use std::time::{Duration, Instant};

use super::error::VaultError;
use super::files;

const LOCK_FILE: &str = "home.lock";
const WAIT_FILE: &str = "home.wait";

/// How often a waiting process tries again.
const TRY_EVERY: Duration = Duration::from_millis(50);

/// The most of a holder's name that is kept, in bytes.
const HOLDER_LEN_MAX: usize = 200;

/// The home, held by this process until this is dropped or the process ends.
#[derive(Debug)]
pub struct HomeLock {
    // Both locks end when their files are closed.
    _lock: File,
    wait: File,
}

impl HomeLock {
    /// Takes the home `folder`, which is made if it is not there (mode 0700), waiting for `wait` at most and letting the
    /// holder know that somebody waits. `who` is what others are told has it, such as the name of the command.
    ///
    /// Blocks the thread.
    ///
    /// # Errors
    /// [`VaultError::HomeBusy`] after the wait, [`VaultError::Storage`].
    pub fn acquire(folder: &Path, wait: Duration, who: &str) -> Result<Self, VaultError> {
        let begun = Instant::now();
        if let Some(lock) = Self::try_acquire(folder, who)? {
            return Ok(lock);
        }
        let waiting = HomeWait::begin(folder)?;
        loop {
            let waited = begun.elapsed();
            if let Some(lock) = waiting.try_acquire(who)? {
                return Ok(lock);
            }
            if waited >= wait {
                return Err(VaultError::HomeBusy { holder: waiting.holder() });
            }
            std::thread::sleep(TRY_EVERY.min(wait.saturating_sub(waited)));
        }
    }

    /// Takes the home if nobody has it.
    ///
    /// # Errors
    /// [`VaultError::Storage`].
    pub fn try_acquire(folder: &Path, who: &str) -> Result<Option<Self>, VaultError> {
        files::make_private_folder(folder)?;
        let lock = open(folder, LOCK_FILE)?;
        if !try_lock(&lock)? {
            return Ok(None);
        }
        // Only a name to show: a disk without room for it is no reason to keep the home closed.
        let _ = write_holder(&lock, who);
        Ok(Some(Self { _lock: lock, wait: open(folder, WAIT_FILE)? }))
    }

    /// Whether another process waits for the home.
    #[must_use]
    pub fn someone_waits(&self) -> bool {
        match self.wait.try_lock() {
            // Held for an instant only; who comes to wait meanwhile tries again.
            Ok(()) => {
                let _ = self.wait.unlock();
                false
            }
            Err(TryLockError::WouldBlock) => true,
            Err(TryLockError::Error(_)) => false,
        }
    }
}

/// A place in front of the home: as long as this exists, its holder sees that somebody waits.
#[derive(Debug)]
pub struct HomeWait {
    folder: std::path::PathBuf,
    wait: File,
}

impl HomeWait {
    /// Begins to wait.
    ///
    /// # Errors
    /// [`VaultError::Storage`].
    pub fn begin(folder: &Path) -> Result<Self, VaultError> {
        files::make_private_folder(folder)?;
        Ok(Self { folder: folder.to_path_buf(), wait: open(folder, WAIT_FILE)? })
    }

    /// Takes the home if nobody has it, else is seen waiting from here on.
    ///
    /// # Errors
    /// [`VaultError::Storage`].
    pub fn try_acquire(&self, who: &str) -> Result<Option<HomeLock>, VaultError> {
        // Fails only while a holder looks; then the next try shows.
        match self.wait.try_lock_shared() {
            Ok(()) | Err(TryLockError::WouldBlock) => {}
            Err(TryLockError::Error(error)) => return Err(error.into()),
        }
        HomeLock::try_acquire(&self.folder, who)
    }

    /// Who has the home: its process id and what it calls itself.
    #[must_use]
    pub fn holder(&self) -> String {
        read_holder(&self.folder).unwrap_or_else(|| String::from("another process"))
    }
}

fn open(folder: &Path, name: &str) -> Result<File, VaultError> {
    let mut options: OpenOptions = files::private();
    Ok(options.read(true).create(true).truncate(false).open(folder.join(name))?)
}

fn try_lock(file: &File) -> Result<bool, VaultError> {
    match file.try_lock() {
        Ok(()) => Ok(true),
        Err(TryLockError::WouldBlock) => Ok(false),
        Err(TryLockError::Error(error)) => Err(error.into()),
    }
}

fn write_holder(mut lock: &File, who: &str) -> io::Result<()> {
    let mut line = format!("{} (process {})", printable(who), std::process::id());
    line.push('\n');
    lock.set_len(0)?;
    lock.seek(SeekFrom::Start(0))?;
    lock.write_all(line.as_bytes())
}

fn read_holder(folder: &Path) -> Option<String> {
    let mut bytes = Vec::new();
    let limit = HOLDER_LEN_MAX as u64 + 64;
    File::open(folder.join(LOCK_FILE)).ok()?.take(limit).read_to_end(&mut bytes).ok()?;
    let line = printable(String::from_utf8_lossy(&bytes).trim_end());
    (!line.is_empty()).then_some(line)
}

/// What is safe to show on a terminal.
fn printable(text: &str) -> String {
    let mut shown = String::new();
    for letter in text.chars().filter(|letter| !letter.is_control()) {
        if shown.len() + letter.len_utf8() > HOLDER_LEN_MAX {
            break;
        }
        shown.push(letter);
    }
    shown
}

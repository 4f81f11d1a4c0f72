//! Where a restore builds, and the step that makes the folder of it.
//!
//! A folder that is not there is built beside, in `.NAME.restoring/data`, and renamed: one step. One that is there and
//! empty may be a mount point, or lie in a folder that this account cannot write, so it is built inside, in
//! `.restoring/data`, and its files are moved up. While `.restoring` is there the folder is no relay: `serve` refuses
//! it, and the next restore sweeps it. So an interruption at any point leaves either nothing that anybody would serve,
//! or the whole. The folder that is there is locked, with the lock of `init` and `serve`, before it is touched.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use super::RestoreError;
use crate::folder::{Content, Folder, FolderError, LOCK_FILE, RELAY_CONTENT, RESTORING};
use crate::new_file::folder_of;
use crate::store::StoreError;
use crate::store::key_files::{self, sync_folder};

const DATA: &str = "data";

/// A restore under way. Dropped unfinished, it leaves the folder as it was.
pub(super) struct Stage {
    target: PathBuf,
    stage: PathBuf,
    /// Folders above the stage that were made for it, the deepest first.
    above: Vec<PathBuf>,
    /// The target was there.
    inside: bool,
    is_finished: bool,
    /// Of the target where that was there, else of the stage.
    _lock: File,
}

impl Stage {
    /// Takes the folder for this restore, and sweeps what an interrupted one left.
    pub(super) fn begin(folder: &Folder) -> Result<Self, RestoreError> {
        refuse_content(folder)?;
        Self::take(folder)
    }

    /// Of a folder that a moment ago had nothing in it.
    pub(super) fn take(folder: &Folder) -> Result<Self, RestoreError> {
        let target = folder.path().to_owned();
        let inside = target.is_dir();
        let mut above = Vec::new();
        let (stage, lock) = if inside {
            // The lock before anything is made, and asked again behind it: whoever had it may have made a relay.
            let lock = lock(&target)?;
            refuse_content(folder)?;
            (target.join(RESTORING), lock)
        } else {
            let stage = beside(&target)?;
            above = missing_above(&stage);
            let locked = make_folder(&stage).and_then(|()| lock(&stage));
            // Where another restore has it, it is not empty, and stays.
            (stage.clone(), locked.inspect_err(|_| remove_empty(&stage, &above))?)
        };
        // From here on it is this restore's.
        let stage = Self { target, stage, above, inside, is_finished: false, _lock: lock };
        stage.sweep()?;
        make_folder(&stage.data())?;
        Ok(stage)
    }

    /// Where to build.
    pub(super) fn data(&self) -> PathBuf {
        self.stage.join(DATA)
    }

    /// Makes the folder of what was built.
    pub(super) fn finish(mut self) -> Result<(), RestoreError> {
        let data = self.data();
        sync_folder(&data).map_err(failed)?;
        if self.inside {
            for name in RELAY_CONTENT.iter().filter(|name| **name != LOCK_FILE) {
                let from = data.join(name);
                if from.try_exists().map_err(failed)? {
                    fs::rename(from, self.target.join(name)).map_err(failed)?;
                }
            }
            sync_folder(&self.target).map_err(failed)?;
        } else {
            fs::rename(&data, &self.target).map_err(|error| match error.kind() {
                // Made by somebody else meanwhile.
                io::ErrorKind::DirectoryNotEmpty | io::ErrorKind::NotADirectory => {
                    RestoreError::NotEmpty
                }
                _ => failed(error),
            })?;
        }
        self.is_finished = true;
        fs::remove_dir_all(&self.stage).map_err(failed)?;
        sync_folder(folder_of(&self.stage)).map_err(failed)
    }

    /// Removes all that a restore makes, but for the stage and the lock. In the target there is nothing else, since it
    /// was empty or held an interrupted restore when the lock was taken, and nothing is made there without the lock.
    fn sweep(&self) -> Result<(), RestoreError> {
        remove(&self.data())?;
        if self.inside {
            for name in RELAY_CONTENT.iter().filter(|name| **name != LOCK_FILE) {
                remove(&self.target.join(name))?;
            }
        }
        Ok(())
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        if self.is_finished {
            return;
        }
        // What stays is swept by the next restore.
        let swept = self.sweep().is_ok();
        if swept && fs::remove_dir_all(&self.stage).is_ok() {
            remove_empty(&self.stage, &self.above);
            if self.inside {
                let _ = fs::remove_file(self.target.join(LOCK_FILE));
            }
        }
    }
}

fn refuse_content(folder: &Folder) -> Result<(), RestoreError> {
    match folder.content()? {
        Content::Nothing | Content::Restoring => Ok(()),
        Content::Relay | Content::Unfinished | Content::Foreign => Err(RestoreError::NotEmpty),
    }
}

/// `.NAME.restoring` beside the folder.
fn beside(target: &Path) -> Result<PathBuf, RestoreError> {
    let name = target.file_name().ok_or(RestoreError::Io(io::ErrorKind::InvalidInput))?;
    let mut hidden = std::ffi::OsString::from(".");
    hidden.push(name);
    hidden.push(RESTORING);
    Ok(target.with_file_name(hidden))
}

fn make_folder(path: &Path) -> Result<(), RestoreError> {
    key_files::make_folder(path).map_err(failed)
}

/// The folders above a path that are not there, the deepest first.
fn missing_above(path: &Path) -> Vec<PathBuf> {
    let missing = |path: &&Path| !path.as_os_str().is_empty() && !path.exists();
    path.ancestors().skip(1).take_while(missing).map(Path::to_owned).collect()
}

/// Removes folders, each in the next, up to the first that is not empty.
fn remove_empty(innermost: &Path, above: &[PathBuf]) {
    let _ = fs::remove_dir(innermost);
    let _ = above.iter().try_for_each(fs::remove_dir);
}

fn lock(path: &Path) -> Result<File, RestoreError> {
    Folder::new(path).lock().map_err(|error| match error {
        FolderError::Key(StoreError::Locked { .. }) => RestoreError::UnderWay,
        other => other.into(),
    })
}

fn remove(path: &Path) -> Result<(), RestoreError> {
    let removed = match fs::symlink_metadata(path) {
        Ok(found) if found.is_dir() => fs::remove_dir_all(path),
        Ok(_) => fs::remove_file(path),
        Err(error) => Err(error),
    };
    match removed {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other.map_err(failed),
    }
}

fn failed(error: io::Error) -> RestoreError {
    RestoreError::Io(error.kind())
}

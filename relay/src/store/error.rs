//! What can go wrong below the relay's commands, in one enum for every engine.
//!
//! Guarantees: no variant carries a key, a value, an id or a time; [`StoreError::Corrupt`] names a file of the data
//! folder and says what the operator does next. Deliberately not here: what a *command* refuses (a full mailbox, a
//! wrong key): those are outcomes, not errors.

use std::io;
use std::path::PathBuf;

/// Why the store, or the key files beside it, could not do what it was asked.
///
/// `Clone`, since one failed group commit is the answer to every command in it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The disk (or the process's file-size limit or quota) has no room. Nothing of the batch is visible or durable;
    /// the same batch may be tried again once there is room.
    #[error("the disk that holds the store is full")]
    Full,
    /// The system refused to read or write. Nothing of a batch that failed so is visible or durable.
    #[error("{action} failed: {kind}")]
    Io {
        /// What was being done, in words.
        action: &'static str,
        /// The system's reason.
        kind: io::ErrorKind,
    },
    /// Bytes on disk are not those that were written. They were not used.
    #[error("{what} is damaged; {advice}")]
    Corrupt {
        /// The file, relative to the data folder, or the part of the store.
        what: String,
        /// What the operator does next.
        advice: &'static str,
    },
    /// Another process has the data folder open.
    #[error("{} is in use by another process; stop that one first", folder.display())]
    Locked {
        /// The folder.
        folder: PathBuf,
    },
    /// The folder was written by a version of this program that this one does not know.
    #[error(
        "the store has format {found}, this program knows {known}; use the program that wrote it"
    )]
    Incompatible {
        /// The format on disk.
        found: u16,
        /// The format that this program reads and writes.
        known: u16,
    },
    /// The key of that expiry day is destroyed, or its day is over: what it sealed is gone for good.
    #[error("the key of that expiry day is destroyed")]
    Expired,
    /// An earlier failure left the engine closed, and it could not be opened again yet. Every operation tries anew.
    #[error("the store is closed after a failure and could not be opened again yet")]
    Unavailable,
    /// The committer or reader has ended.
    #[error("the store is shutting down")]
    Stopped,
    /// The bounded queue in front of the committer or reader is full.
    #[error("too many commands are waiting for the store")]
    Busy,
}

impl StoreError {
    /// The error for what the system answered while `action` was done; a lack of room becomes [`StoreError::Full`].
    #[must_use]
    pub fn io(action: &'static str, error: &io::Error) -> Self {
        if is_lack_of_room(error.kind()) {
            Self::Full
        } else {
            Self::Io { action, kind: error.kind() }
        }
    }
}

/// ENOSPC, EDQUOT and EFBIG (`RLIMIT_FSIZE`) all mean that the operator must make room.
pub(crate) fn is_lack_of_room(kind: io::ErrorKind) -> bool {
    matches!(
        kind,
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge
    )
}

//! Why a vault did not open, or did not do what it was asked.

use std::io;

/// What is damaged, so that advice can name it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Damage {
    /// The slot file is there and is not what was written: its length, its checksum or a field of its header is wrong.
    Slots,
    /// The vault's folder is there without its slot file. The database cannot be read without it.
    SlotsMissing,
    /// The database failed a check of its pages, or is not the one that the slots belong to.
    Database,
    /// The slot file is there without its database.
    DatabaseMissing,
    /// What was given is not a whole copy of a vault.
    Copy,
    /// A row of the database holds what this program never writes.
    Record,
}

/// Why a home or a vault refused. No variant holds a secret.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum VaultError {
    /// There is no vault in this home.
    #[error("there is no vault in this home")]
    NoVault,
    /// What stands in the vault's place in this home holds what no vault does; it is left as it is.
    #[error("what is in the vault's place is not a vault")]
    NotAVault,
    /// There is a vault in this home; it is left as it is.
    #[error("there is a vault in this home already")]
    AlreadyExists,
    /// There is a file of this name already; it is left as it is.
    #[error("there is a file of this name already")]
    FileExists,
    /// A copy inside of the vault's folder would go with it.
    #[error("a copy inside of the vault would go with it")]
    InsideVault,
    /// No slot opens with this phrase.
    #[error("the passphrase is wrong")]
    WrongPassphrase,
    /// A passphrase has at least one byte.
    #[error("a passphrase cannot be empty")]
    PassphraseEmpty,
    /// The cost of trying a phrase is outside of what is accepted.
    #[error("the cost of trying a phrase is out of bounds")]
    KdfCostOutOfBounds,
    /// There is not enough free memory to try a phrase.
    #[error("not enough memory to try the passphrase")]
    OutOfMemory,
    /// Another process kept the home for as long as was waited.
    #[error("another process has this home: {holder}")]
    HomeBusy {
        /// Its process id and what it calls itself.
        holder: String,
    },
    /// Files of the vault are not what was written. Nothing in them is believed; a copy made earlier has to be put in
    /// their place.
    #[error("the vault is damaged")]
    Damaged {
        /// Which part.
        what: Damage,
    },
    /// The vault was written by a later version.
    #[error("the vault was written by a later version")]
    TooNew,
    /// This build has no SQLCipher, so it would write in the clear.
    #[error("this build cannot encrypt a vault")]
    NotEncrypted,
    /// There is no room left on the disk; what was stored before is whole.
    #[error("there is no room left on the disk")]
    DiskFull,
    /// A file or folder could not be read or written.
    #[error("the home could not be read or written")]
    Storage(#[source] io::Error),
    /// The database refused an operation.
    #[error("the database of the vault refused an operation")]
    Database(#[source] rusqlite::Error),
}

impl VaultError {
    /// A row that this program never wrote.
    #[must_use]
    pub const fn damaged_record() -> Self {
        Self::Damaged { what: Damage::Record }
    }
}

impl From<io::Error> for VaultError {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::DiskFull,
            _ => Self::Storage(error),
        }
    }
}

impl From<rusqlite::Error> for VaultError {
    fn from(error: rusqlite::Error) -> Self {
        use rusqlite::{Error, ErrorCode};
        match &error {
            Error::SqliteFailure(failure, _) => match failure.code {
                ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase => {
                    Self::Damaged { what: Damage::Database }
                }
                ErrorCode::DiskFull => Self::DiskFull,
                _ => Self::Database(error),
            },
            // A value of another type or range than the one that was written.
            Error::FromSqlConversionFailure(..)
            | Error::IntegralValueOutOfRange(..)
            | Error::Utf8Error(..)
            | Error::InvalidColumnType(..) => Self::damaged_record(),
            _ => Self::Database(error),
        }
    }
}

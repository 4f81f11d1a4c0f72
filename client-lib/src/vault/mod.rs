//! The vault: everything that is kept on the device, in one encrypted database inside the home folder.
//!
//! ```text
//! home/               0700
//!   home.lock         whose turn it is (see [`HomeLock`])
//!   home.wait         who waits
//!   vault/            0700; made whole under another name, then renamed
//!     slots           the data key, sealed under each phrase
//!     store.db        SQLCipher under the data key
//! ```
//!
//! Guarantees: a vault is there whole or not at all, whenever a process is killed while making one; what a transaction
//! committed is durable; damaged files are an error, told apart from a wrong passphrase, and never read as truth;
//! nothing is written in the clear, to temporary files neither.
//!
//! Deliberately not: tables of its own (the caller brings migrations), a claim of hidden volumes, protection against
//! an older copy of the whole folder being put back, or against who controls the device while the vault is open.
//!
//! Whoever opens a vault holds the [`HomeLock`] of its home for as long; the vault does not take it itself, so that a
//! long-running process can [`Vault::suspend`], give way, and [`Suspended::resume`] without asking for the phrase again.

mod backup;
mod data_key;
mod database;
mod destroy;
mod error;
mod files;
#[doc(hidden)]
pub mod fuzzing;
mod home;
mod in_memory;
mod kdf_cost;
mod phrase;
pub mod process;
mod slots;
#[cfg(test)]
mod tests;

use std::fmt;
use std::fs;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use rand_core::CryptoRng;
use rusqlite::{Connection, Transaction, TransactionBehavior};

pub use self::backup::CopyStatements;
pub use self::data_key::{DATA_KEY_LEN, DataKey};
pub use self::error::{Damage, VaultError};
pub use self::home::{HomeLock, HomeWait};
pub use self::kdf_cost::KdfCost;
pub use self::phrase::RecoveryPhrase;
use self::slots::{Header, Opened, Positions, SLOT_FILE_LEN, SlotFile, SlotKind};

const VAULT_FOLDER: &str = "vault";
/// A vault in the making. What a killed process left of one was never a vault, and is removed by the next.
const UNFINISHED_FOLDER: &str = "vault.unfinished";
const SLOT_FILE: &str = "slots";
const UNFINISHED_SLOT_FILE: &str = "slots.unfinished";
const DATABASE_FILE: &str = "store.db";
/// The database of a copy while it is made or read.
const COPY_DATABASE_FILE: &str = "copy.db";

/// An open vault.
pub struct Vault {
    database: Connection,
    /// What opens it again; nothing for one in memory.
    origin: Option<Origin>,
}

/// Where a vault lies, and the key to it.
struct Origin {
    folder: PathBuf,
    key: DataKey,
    header: Header,
    positions: Positions,
}

impl Vault {
    /// Whether `home` has a vault, damaged or not.
    #[must_use]
    pub fn exists(home: &Path) -> bool {
        // A folder that cannot be looked into is no reason to make another one.
        home.join(VAULT_FOLDER).try_exists().unwrap_or(true)
    }

    /// Makes a vault in `home` (made if it is not there) with a passphrase of at least one byte, taken byte for byte, at
    /// `cost` a guess; applies `migrations`. The recovery phrase is given once and stored nowhere.
    ///
    /// # Errors
    /// [`VaultError::AlreadyExists`], [`VaultError::PassphraseEmpty`], [`VaultError::DiskFull`], [`VaultError::Storage`].
    pub fn create(
        home: &Path,
        passphrase: &[u8],
        cost: KdfCost,
        migrations: &'static [&'static str],
        rng: &mut (impl CryptoRng + ?Sized),
    ) -> Result<(Self, RecoveryPhrase), VaultError> {
        if Self::exists(home) {
            return Err(VaultError::AlreadyExists);
        }
        let key = DataKey::generate(rng);
        let recovery = RecoveryPhrase::generate(rng)?;
        let (slots, positions) =
            SlotFile::create(cost, passphrase, recovery.as_str().as_bytes(), &key, rng)?;
        let folder = home.join(VAULT_FOLDER);
        build(home, &folder, &slots, &key, migrations)?;
        let origin = Origin { folder, key, header: *slots.header(), positions };
        Ok((origin.open(migrations)?, recovery))
    }

    /// Opens the vault in `home` with the passphrase or the recovery phrase, and applies what is missing of `migrations`.
    ///
    /// # Errors
    /// [`VaultError::NoVault`], [`VaultError::WrongPassphrase`], [`VaultError::Damaged`], [`VaultError::TooNew`],
    /// [`VaultError::Storage`].
    pub fn open(
        home: &Path,
        phrase: &[u8],
        migrations: &'static [&'static str],
    ) -> Result<Self, VaultError> {
        let folder = home.join(VAULT_FOLDER);
        let slots = read_slots(&folder)?;
        let Opened { key, positions } = slots.open(phrase)?;
        Origin { folder, key, header: *slots.header(), positions }.open(migrations)
    }

    /// A vault that is nowhere but in memory, for tests and simulations.
    ///
    /// # Errors
    /// [`VaultError::Database`] when a migration is wrong.
    pub fn open_in_memory(migrations: &'static [&'static str]) -> Result<Self, VaultError> {
        Ok(Self { database: database::open_in_memory(migrations)?, origin: None })
    }

    /// The database, for reading.
    #[must_use]
    pub const fn database(&self) -> &Connection {
        &self.database
    }

    /// Does `work` in one transaction: durable when this returns success, without a trace when it returns an error.
    ///
    /// # Errors
    /// What `work` returns, and [`VaultError`] as such when the database refuses.
    pub fn transaction<T, E: From<VaultError>>(
        &mut self,
        work: impl FnOnce(&Transaction<'_>) -> Result<T, E>,
    ) -> Result<T, E> {
        let tx = self
            .database
            .transaction_with_behavior(TransactionBehavior::Immediate)
            .map_err(VaultError::from)?;
        let value = work(&tx)?;
        tx.commit().map_err(VaultError::from)?;
        Ok(value)
    }

    /// The key of the database, for a test that reads its pages; `None` for a vault in memory.
    #[cfg(test)]
    pub(crate) fn data_key(&self) -> Option<&[u8; data_key::DATA_KEY_LEN]> {
        self.origin.as_ref().map(|origin| origin.key.as_bytes())
    }

    /// Replaces the passphrase. The recovery phrase stays as it is. After a kill either the old one or the new one holds.
    ///
    /// # Errors
    /// [`VaultError::PassphraseEmpty`], [`VaultError::Damaged`], [`VaultError::DiskFull`], [`VaultError::Storage`];
    /// the old passphrase holds then. Nothing is done in a vault in memory.
    pub fn change_passphrase(
        &mut self,
        new: &[u8],
        rng: &mut (impl CryptoRng + ?Sized),
    ) -> Result<(), VaultError> {
        let Some(Origin { folder, key, header, positions }) = &self.origin else { return Ok(()) };
        let mut slots = read_slots(folder)?;
        if slots.header() != header {
            return Err(VaultError::Damaged { what: Damage::Slots });
        }
        slots.set(SlotKind::Passphrase, new, key, *positions, rng)?;
        replace_slots(folder, &slots, rng)
    }

    /// Closes the database and keeps what opens it again, so that the home can be given away for a while.
    #[must_use]
    pub fn suspend(self) -> Suspended {
        match self.origin {
            Some(origin) => Suspended(Rest::OnDisk(origin)),
            None => Suspended(Rest::InMemory(self.database)),
        }
    }
}

impl fmt::Debug for Vault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { database: _, origin: _ } = self;
        f.write_str("Vault(..)")
    }
}

/// A vault whose files are closed and whose key is still in memory.
pub struct Suspended(Rest);

enum Rest {
    OnDisk(Origin),
    InMemory(Connection),
}

impl Suspended {
    /// Opens the vault again, without the phrase. The home's lock is held again by then. Holds too when the passphrase
    /// was changed meanwhile.
    ///
    /// # Errors
    /// As [`Vault::open`], but for a wrong passphrase.
    pub fn resume(self, migrations: &'static [&'static str]) -> Result<Vault, VaultError> {
        match self.0 {
            Rest::InMemory(database) => Ok(Vault { database, origin: None }),
            Rest::OnDisk(origin) => {
                if read_slots(&origin.folder)?.header() == &origin.header {
                    origin.open(migrations)
                } else {
                    // Another vault took its place.
                    Err(VaultError::Damaged { what: Damage::Slots })
                }
            }
        }
    }
}

impl fmt::Debug for Suspended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(_) = self;
        f.write_str("Suspended(..)")
    }
}

impl Origin {
    fn open(self, migrations: &[&str]) -> Result<Vault, VaultError> {
        let path = self.folder.join(DATABASE_FILE);
        if !path.try_exists()? {
            return Err(VaultError::Damaged { what: Damage::DatabaseMissing });
        }
        let database = database::open(&path, &self.key, migrations)?;
        Ok(Vault { database, origin: Some(self) })
    }
}

/// Makes the whole vault under another name and gives it its own at the end, so the rename is the one moment at which
/// it comes into being. Everything in it is durable before.
fn build(
    home: &Path,
    folder: &Path,
    slots: &SlotFile,
    key: &DataKey,
    migrations: &[&str],
) -> Result<(), VaultError> {
    let unfinished = home.join(UNFINISHED_FOLDER);
    if unfinished.try_exists()? {
        fs::remove_dir_all(&unfinished)?;
    }
    files::make_private_folder(&unfinished)?;
    // SQLite would make the file readable for everyone that the folder lets in.
    let path = unfinished.join(DATABASE_FILE);
    files::write_new(&path, &[])?;
    database::create(&path, key, migrations)?;
    files::write_new(&unfinished.join(SLOT_FILE), &slots.to_bytes())?;
    files::sync_folder(&unfinished)?;
    fs::rename(&unfinished, folder)?;
    files::sync_folder(home)?;
    // The home may have been made by a process that was ended before it could make the name durable.
    files::sync_name(home)?;
    Ok(())
}

fn read_slots(folder: &Path) -> Result<SlotFile, VaultError> {
    let file = match fs::File::open(folder.join(SLOT_FILE)) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Err(if folder.try_exists()? {
                VaultError::Damaged { what: Damage::SlotsMissing }
            } else {
                VaultError::NoVault
            });
        }
        Err(error) => return Err(error.into()),
    };
    let mut bytes = Vec::with_capacity(SLOT_FILE_LEN + 1);
    file.take(SLOT_FILE_LEN as u64 + 1).read_to_end(&mut bytes)?;
    SlotFile::parse(&bytes)
}

/// Puts another slot file in the place of the one that is there. The old one is whole until the new one is durable;
/// only then are its bytes overwritten, as far as the disk lets them be.
fn replace_slots(
    folder: &Path,
    slots: &SlotFile,
    rng: &mut (impl CryptoRng + ?Sized),
) -> Result<(), VaultError> {
    let path = folder.join(SLOT_FILE);
    let unfinished = folder.join(UNFINISHED_SLOT_FILE);
    let mut old = fs::OpenOptions::new().write(true).open(&path)?;
    files::remove_if_there(&unfinished)?;
    files::write_new(&unfinished, &slots.to_bytes())?;
    fs::rename(&unfinished, &path)?;
    files::sync_folder(folder)?;
    let mut noise = [0; SLOT_FILE_LEN];
    rng.fill_bytes(&mut noise);
    let _ = old.write_all(&noise).and_then(|()| old.sync_all());
    Ok(())
}

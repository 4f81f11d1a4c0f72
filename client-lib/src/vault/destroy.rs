//! The end of a vault: its slots are overwritten, so that nothing opens it any more, and then its files go.
//!
//! Guarantees: from the moment at which the slots are overwritten neither phrase opens what is left, whenever the process
//! is killed, and the same call made again finishes. A folder that is not a vault, whatever its name, is not touched: only
//! files that a vault has go, and where anything else is, nothing does. Deliberately not: erasing from disks that keep old
//! blocks (flash, copy-on-write file systems), from swap, or from copies made by [`Vault::backup`].

use std::fs;
use std::io::{self, Seek, SeekFrom, Write};
use std::path::Path;

use rand_core::CryptoRng;

use super::error::VaultError;
use super::slots::SLOT_FILE_LEN;
use super::{COPY_DATABASE_FILE, DATABASE_FILE, SLOT_FILE, UNFINISHED_SLOT_FILE};
use super::{UNFINISHED_FOLDER, VAULT_FOLDER, Vault};
use super::{files, read_slots};

/// Everything that a vault's folder ever holds, in the order in which it goes: the database last, since a folder without
/// slots is known as a vault by it.
const FILES: [&str; 6] =
    [UNFINISHED_SLOT_FILE, SLOT_FILE, COPY_DATABASE_FILE, JOURNALS[0], JOURNALS[1], DATABASE_FILE];
/// Those that SQLite makes beside its databases.
const JOURNALS: [&str; 2] = ["copy.db-journal", "store.db-journal"];

impl Vault {
    /// Destroys the vault in `home`, whose lock the caller holds. `phrase` is the passphrase or the recovery phrase; it
    /// is not looked at where the slots are damaged or gone, since nothing opens such a vault.
    ///
    /// # Errors
    /// [`VaultError::NoVault`], [`VaultError::WrongPassphrase`], [`VaultError::TooNew`], [`VaultError::NotAVault`] where
    /// the folder holds what no vault does: nothing is touched then. [`VaultError::Storage`]: it may be destroyed in
    /// part; do it again.
    pub fn destroy(
        home: &Path,
        phrase: &[u8],
        rng: &mut (impl CryptoRng + ?Sized),
    ) -> Result<(), VaultError> {
        let (folder, unfinished) = (home.join(VAULT_FOLDER), home.join(UNFINISHED_FOLDER));
        check_is_ours(&folder)?;
        check_is_ours(&unfinished)?;
        match read_slots(&folder) {
            Ok(slots) => drop(slots.open(phrase)?),
            Err(VaultError::Damaged { .. }) => check_was_a_vault(&folder)?,
            Err(error) => return Err(error),
        }
        for name in [SLOT_FILE, UNFINISHED_SLOT_FILE] {
            overwrite(&folder.join(name), rng)?;
        }
        remove(&folder)?;
        remove(&unfinished)?;
        Ok(files::sync_folder(home)?)
    }
}

/// Refuses a folder that holds anything but the files of a vault, and a link to one: what it leads to may serve elsewhere,
/// and removing the link would leave it whole.
fn check_is_ours(folder: &Path) -> Result<(), VaultError> {
    if folder.symlink_metadata().is_ok_and(|found| found.is_symlink()) {
        return Err(VaultError::NotAVault);
    }
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) if error.kind() == io::ErrorKind::NotADirectory => {
            return Err(VaultError::NotAVault);
        }
        entries => entries?,
    };
    for entry in entries {
        let entry = entry?;
        let is_known = FILES.iter().any(|name| entry.file_name() == *name);
        if !is_known || !entry.file_type()?.is_file() {
            return Err(VaultError::NotAVault);
        }
    }
    Ok(())
}

/// Where the slots say nothing, it is the database beside them that says that this was a vault. Without it there may be what
/// a destruction leaves that a power cut interrupts, which undoes any of the removals: overwritten slots, and journals.
fn check_was_a_vault(folder: &Path) -> Result<(), VaultError> {
    if folder.join(DATABASE_FILE).try_exists()? {
        return Ok(());
    }
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name();
        let is_overwritten = name == SLOT_FILE && entry.metadata()?.len() == SLOT_FILE_LEN as u64;
        if !is_overwritten && !JOURNALS.iter().any(|journal| name == *journal) {
            return Err(VaultError::NotAVault);
        }
    }
    Ok(())
}

/// Removes the files of a vault and then their folder.
fn remove(folder: &Path) -> Result<(), VaultError> {
    for name in FILES {
        files::remove_if_there(&folder.join(name))?;
    }
    match fs::remove_dir(folder) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error.into()),
        _ => Ok(()),
    }
}

/// Overwrites a slot file in place, durably.
fn overwrite(path: &Path, rng: &mut (impl CryptoRng + ?Sized)) -> Result<(), VaultError> {
    let mut file = match fs::OpenOptions::new().write(true).open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        file => file?,
    };
    let mut noise = [0; SLOT_FILE_LEN];
    rng.fill_bytes(&mut noise);
    file.seek(SeekFrom::Start(0))?;
    file.write_all(&noise)?;
    file.sync_all()?;
    Ok(())
}

//! The end of a vault: its slots are overwritten, so that nothing opens it any more, and then its files go.
//!
//! Guarantees: from the moment at which the slots are overwritten neither phrase opens what is left, whenever the process
//! is killed, and the same call made again finishes. Deliberately not: erasing from disks that keep old blocks (flash,
//! copy-on-write file systems), from swap, or from copies made by [`Vault::backup`].

use std::fs;
use std::io::{self, Seek, SeekFrom, Write};
use std::path::Path;

use rand_core::CryptoRng;

use super::error::VaultError;
use super::slots::SLOT_FILE_LEN;
use super::{SLOT_FILE, UNFINISHED_FOLDER, UNFINISHED_SLOT_FILE, VAULT_FOLDER, Vault};
use super::{files, read_slots};

impl Vault {
    /// Destroys the vault in `home`, whose lock the caller holds. `phrase` is the passphrase or the recovery phrase; it
    /// is not looked at where the slots are damaged or gone, since nothing opens such a vault.
    ///
    /// # Errors
    /// [`VaultError::NoVault`], [`VaultError::WrongPassphrase`]: nothing is touched then. [`VaultError::Storage`]: it may
    /// be destroyed in part; do it again.
    pub fn destroy(
        home: &Path,
        phrase: &[u8],
        rng: &mut (impl CryptoRng + ?Sized),
    ) -> Result<(), VaultError> {
        let folder = home.join(VAULT_FOLDER);
        match read_slots(&folder) {
            Ok(slots) => drop(slots.open(phrase)?),
            Err(VaultError::Damaged { .. }) => {}
            Err(error) => return Err(error),
        }
        for name in [SLOT_FILE, UNFINISHED_SLOT_FILE] {
            overwrite(&folder.join(name), rng)?;
        }
        for folder in [folder, home.join(UNFINISHED_FOLDER)] {
            match fs::remove_dir_all(folder) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error.into()),
                _ => {}
            }
        }
        Ok(files::sync_folder(home)?)
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

//! A copy of a vault in one file, and a vault made from one.
//!
//! ```text
//! "HKCOPY01" 8 | salt 32 | slot file 916 | database, SQLCipher | SHA-256 of everything before 32
//! ```
//!
//! The database is written by the caller's own statements and holds what they copy, under a key made from the vault's
//! data key and the salt. The slot file is that of the vault, so the file opens with the phrases that the vault had
//! when it was made, and keeps opening with them whatever the passphrase becomes. The checksum tells damage from a wrong
//! passphrase; every page has a MAC of its own.
//!
//! Guarantees: nothing in the clear on the disk; a file is there whole or not at all, and none that was there is written
//! over; a vault made from one is there whole or not at all.
//!
//! Deliberately not: hiding from whoever has an old copy, and the passphrase that it was made under, the data key, which
//! the vault still uses. A copy is as secret as the vault.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use hkdf::Hkdf;
use rand_core::CryptoRng;
use rusqlite::{Connection, params};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use super::data_key::{DATA_KEY_LEN, DataKey};
use super::error::{Damage, VaultError};
use super::slots::{Opened, SLOT_FILE_LEN, SlotFile};
use super::{COPY_DATABASE_FILE, DATABASE_FILE, Origin, SLOT_FILE, Vault};
use super::{UNFINISHED_FOLDER, VAULT_FOLDER};
use super::{database, files, read_slots};

const MAGIC: &[u8; 8] = b"HKCOPY01";
const SALT_LEN: usize = 32;
const CHECKSUM_LEN: usize = 32;
const KEY_LABEL: &[u8] = b"hearken/1 vault copy";
/// Says that a database is a copy and not a vault: "HKVC".
const APPLICATION_ID: i32 = 0x484b_5643;
/// What is written beside a copy until it is whole is called after it, with so many random bytes and this behind: never a
/// file that is there already. What a killed process left of one stays, and is of no use.
const UNFINISHED_SUFFIX: &str = ".unfinished";
const UNFINISHED_RANDOM_LEN: usize = 8;
const BUFFER_LEN: usize = 64 * 1024;

/// The statements of the caller, who alone knows what the tables mean. In both, `copy` is the database of the copy.
#[derive(Clone, Copy, Debug)]
pub struct CopyStatements {
    /// Makes the tables of the copy and fills them from the vault's.
    pub backup: &'static str,
    /// Fills the vault's fresh tables from those of the copy. Runs in one transaction.
    pub restore: &'static str,
    /// The number of this set of tables, raised with every change of them.
    pub version: u32,
}

impl Vault {
    /// Writes a copy to `file`, which is not there yet; readable by its owner alone.
    ///
    /// # Errors
    /// [`VaultError::FileExists`], [`VaultError::InsideVault`], [`VaultError::DiskFull`], [`VaultError::Storage`],
    /// [`VaultError::Damaged`]; nothing is left at `file` then. [`VaultError::NoVault`] for one in memory.
    pub fn backup(
        &mut self,
        file: &Path,
        statements: CopyStatements,
        rng: &mut (impl CryptoRng + ?Sized),
    ) -> Result<(), VaultError> {
        let Some(Origin { folder, key, .. }) = &self.origin else {
            return Err(VaultError::NoVault);
        };
        if file.symlink_metadata().is_ok() {
            return Err(VaultError::FileExists);
        }
        check_is_outside(file, folder)?;
        let mut salt = [0; SALT_LEN];
        rng.fill_bytes(&mut salt);
        let slots = read_slots(folder)?;
        let pages = folder.join(COPY_DATABASE_FILE);
        files::remove_if_there(&pages)?;
        files::write_new(&pages, &[])?;
        let written = copy_rows(&self.database, &pages, &copy_key(key, &salt)?, statements)
            .and_then(|()| write_whole(file, &salt, &slots, &pages, rng));
        files::remove_if_there(&pages)?;
        written
    }

    /// Makes a vault in `home` from a copy, which opens with either phrase that it was made under.
    ///
    /// # Errors
    /// [`VaultError::AlreadyExists`], [`VaultError::WrongPassphrase`], [`VaultError::Damaged`] when it is no whole copy,
    /// [`VaultError::TooNew`], [`VaultError::DiskFull`], [`VaultError::Storage`]; no vault is made then.
    pub fn restore(
        home: &Path,
        copy: impl Read,
        phrase: &[u8],
        migrations: &'static [&'static str],
        statements: CopyStatements,
    ) -> Result<Self, VaultError> {
        if Self::exists(home) {
            return Err(VaultError::AlreadyExists);
        }
        let unfinished = home.join(UNFINISHED_FOLDER);
        remove_folder_if_there(&unfinished)?;
        let made = rebuild(home, &unfinished, copy, phrase, migrations, statements);
        if made.is_err() {
            // What stays, should this fail too, is removed by the next that is made.
            let _ = remove_folder_if_there(&unfinished);
        }
        made?.open(migrations)
    }
}

/// Copies the rows into a database of their own.
fn copy_rows(
    database: &Connection,
    pages: &Path,
    key: &DataKey,
    statements: CopyStatements,
) -> Result<(), VaultError> {
    attach(database, pages, key)?;
    let copied = fill(database, statements);
    // Detached whatever happened: the vault goes on.
    let detached = database.execute_batch("DETACH DATABASE copy;");
    copied?;
    Ok(detached?)
}

fn fill(database: &Connection, statements: CopyStatements) -> Result<(), VaultError> {
    // Nobody reads it before it is whole, so it needs no journal that could lie about.
    database.execute_batch(&format!(
        "PRAGMA copy.journal_mode = MEMORY;
         PRAGMA copy.synchronous = FULL;
         BEGIN IMMEDIATE;
         PRAGMA copy.application_id = {APPLICATION_ID};
         PRAGMA copy.user_version = {};",
        statements.version
    ))?;
    match database.execute_batch(statements.backup) {
        Ok(()) => Ok(database.execute_batch("COMMIT;")?),
        Err(error) => {
            let _ = database.execute_batch("ROLLBACK;");
            Err(error.into())
        }
    }
}

fn attach(database: &Connection, pages: &Path, key: &DataKey) -> Result<(), VaultError> {
    let path = pages.to_str().ok_or_else(|| io::Error::from(io::ErrorKind::InvalidFilename))?;
    let literal = database::key_literal(key);
    database.execute("ATTACH DATABASE ?1 AS copy KEY ?2", params![path, literal.as_str()])?;
    Ok(())
}

/// Puts the parts into one file under another name, and gives it its own when it is durable.
fn write_whole(
    file: &Path,
    salt: &[u8; SALT_LEN],
    slots: &SlotFile,
    pages: &Path,
    rng: &mut (impl CryptoRng + ?Sized),
) -> Result<(), VaultError> {
    let mut random = [0; UNFINISHED_RANDOM_LEN];
    rng.fill_bytes(&mut random);
    let mut name = file.file_name().ok_or(VaultError::FileExists)?.to_owned();
    name.push(format!(".{}{UNFINISHED_SUFFIX}", data_encoding::HEXLOWER.encode(&random)));
    let unfinished = file.with_file_name(name);
    let out = files::private().create_new(true).open(&unfinished)?;
    let written = write_parts(out, salt, slots, pages).and_then(|()| {
        if file.symlink_metadata().is_ok() {
            return Err(VaultError::FileExists);
        }
        fs::rename(&unfinished, file)?;
        Ok(files::sync_folder(folder_of(file))?)
    });
    if written.is_err() {
        let _ = files::remove_if_there(&unfinished);
    }
    written
}

/// Refuses a copy where it would go with the vault, or with the next that is made.
fn check_is_outside(file: &Path, vault: &Path) -> Result<(), VaultError> {
    let above = folder_of(file).canonicalize()?;
    let home = folder_of(vault).canonicalize()?;
    let place = above.join(file.file_name().ok_or(VaultError::FileExists)?);
    let is_inside = [VAULT_FOLDER, UNFINISHED_FOLDER]
        .iter()
        .any(|name| place.starts_with(home.join(name)) || above == home.join(name));
    if is_inside || above.starts_with(vault.canonicalize()?) {
        return Err(VaultError::InsideVault);
    }
    Ok(())
}

fn folder_of(file: &Path) -> &Path {
    match file.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}

fn write_parts(
    mut out: File,
    salt: &[u8; SALT_LEN],
    slots: &SlotFile,
    pages: &Path,
) -> Result<(), VaultError> {
    let mut digest = Sha256::new();
    let mut write = |bytes: &[u8]| {
        digest.update(bytes);
        out.write_all(bytes)
    };
    write(MAGIC)?;
    write(salt)?;
    write(&slots.to_bytes())?;
    let mut pages = File::open(pages)?;
    let mut buffer = vec![0; BUFFER_LEN];
    loop {
        let read = pages.read(&mut buffer)?;
        let Some(bytes) = buffer.get(..read).filter(|bytes| !bytes.is_empty()) else { break };
        write(bytes)?;
    }
    out.write_all(&digest.finalize())?;
    out.sync_all()?;
    Ok(())
}

/// Makes the whole vault in `unfinished` and renames it.
fn rebuild(
    home: &Path,
    unfinished: &Path,
    mut copy: impl Read,
    phrase: &[u8],
    migrations: &[&str],
    statements: CopyStatements,
) -> Result<Origin, VaultError> {
    let mut head = [0; MAGIC.len() + SALT_LEN + SLOT_FILE_LEN];
    read_whole(&mut copy, &mut head)?;
    let damaged = || VaultError::Damaged { what: Damage::Copy };
    let (magic, rest) = head.split_first_chunk::<8>().ok_or_else(damaged)?;
    let (salt, slots) = rest.split_first_chunk::<SALT_LEN>().ok_or_else(damaged)?;
    if magic != MAGIC {
        return Err(damaged());
    }
    let slots = SlotFile::parse(slots).map_err(|_| damaged())?;
    let Opened { key, positions } = slots.open(phrase)?;

    files::make_private_folder(unfinished)?;
    let pages = unfinished.join(COPY_DATABASE_FILE);
    extract(copy, &head, &pages)?;
    let path = unfinished.join(DATABASE_FILE);
    files::write_new(&path, &[])?;
    database::create(&path, &key, migrations)?;
    let mut fresh = database::open(&path, &key, migrations)?;
    take_rows(&mut fresh, &pages, &copy_key(&key, salt)?, statements)?;
    fresh.close().map_err(|(_, error)| error)?;
    fs::remove_file(&pages)?;
    files::write_new(&unfinished.join(SLOT_FILE), &slots.to_bytes())?;
    files::sync_folder(unfinished)?;
    let folder: PathBuf = home.join(VAULT_FOLDER);
    fs::rename(unfinished, &folder)?;
    files::sync_folder(home)?;
    // The home may have been made by a process that was ended before it could make the name durable.
    files::sync_name(home)?;
    Ok(Origin { folder, key, header: *slots.header(), positions })
}

/// Writes the database of a copy to a file of its own, and checks the checksum over everything.
fn extract(mut copy: impl Read, head: &[u8], pages: &Path) -> Result<(), VaultError> {
    let mut out = files::private().create_new(true).open(pages)?;
    let mut digest = Sha256::new_with_prefix(head);
    // The last bytes are the checksum; which ones are last shows at the end.
    let mut held = Vec::with_capacity(BUFFER_LEN + CHECKSUM_LEN);
    let mut buffer = vec![0; BUFFER_LEN];
    loop {
        let read = match copy.read(&mut buffer) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            read => read?,
        };
        held.extend_from_slice(buffer.get(..read).unwrap_or_default());
        let sure = held.len().saturating_sub(CHECKSUM_LEN);
        digest.update(&held[..sure]);
        out.write_all(&held[..sure])?;
        held.drain(..sure);
        if read == 0 {
            break;
        }
    }
    if digest.finalize()[..] != held[..] {
        return Err(VaultError::Damaged { what: Damage::Copy });
    }
    Ok(())
}

/// Fills a fresh database from that of a copy, after every page of it was checked.
fn take_rows(
    fresh: &mut Connection,
    pages: &Path,
    key: &DataKey,
    statements: CopyStatements,
) -> Result<(), VaultError> {
    let damaged = || VaultError::Damaged { what: Damage::Copy };
    attach(fresh, pages, key).map_err(|_| damaged())?;
    let id: i32 = fresh
        .query_row("PRAGMA copy.application_id", [], |row| row.get(0))
        .map_err(|_| damaged())?;
    if id != APPLICATION_ID {
        return Err(damaged());
    }
    let version: u32 = fresh.query_row("PRAGMA copy.user_version", [], |row| row.get(0))?;
    if version > statements.version {
        return Err(VaultError::TooNew);
    }
    let sound: String = fresh
        .query_row("PRAGMA copy.integrity_check(1)", [], |row| row.get(0))
        .map_err(|_| damaged())?;
    if sound != "ok" {
        return Err(damaged());
    }
    let tx = fresh.transaction()?;
    tx.execute_batch(statements.restore)?;
    tx.commit()?;
    fresh.execute_batch("DETACH DATABASE copy;")?;
    Ok(())
}

fn read_whole(copy: &mut impl Read, into: &mut [u8]) -> Result<(), VaultError> {
    match copy.read_exact(into) {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
            Err(VaultError::Damaged { what: Damage::Copy })
        }
        read => Ok(read?),
    }
}

fn remove_folder_if_there(folder: &Path) -> Result<(), VaultError> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error.into()),
        _ => Ok(()),
    }
}

fn copy_key(key: &DataKey, salt: &[u8; SALT_LEN]) -> Result<DataKey, VaultError> {
    let mut bytes = Zeroizing::new([0; DATA_KEY_LEN]);
    Hkdf::<Sha256>::new(Some(salt), key.as_bytes())
        .expand(KEY_LABEL, &mut bytes[..])
        .map_err(|_| VaultError::KdfCostOutOfBounds)?;
    Ok(DataKey::from_slice(&bytes))
}

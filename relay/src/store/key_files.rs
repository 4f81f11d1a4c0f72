//! A folder of secret keys, one file each, outside the storage engine: written once, read, destroyed.
//!
//! Guarantees: when [`KeyFolder::create`] returns, file and folder entry are synced, so a key is never used before a
//! power cut could no longer lose it; a file is complete or absent, never half a key; a damaged one is reported, never
//! used; [`KeyFolder::destroy`] overwrites, syncs, unlinks and syncs the folder, and one that was interrupted counts as
//! done. Files are readable by their owner only.
//!
//! Deliberately not promised: that a drive's own wear levelling, or a copy-on-write file system's snapshot, keeps no
//! older copy of an overwritten block. Whoever backs the folder up keeps what it held.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use super::StoreError;

/// `HKK` and the format's number.
const MAGIC: [u8; 4] = *b"HKK\x01";
/// First bytes of the SHA-256 over label and secret: finds damage, and 64 bits cannot be searched back to a key of 256.
const CHECK_LEN: usize = 8;
/// Longest secret in bytes: an expanded seal key fits.
const SECRET_LEN_MAX: usize = 4_096;
/// A file that is being written: never read, swept at the next opening.
const UNFINISHED: &str = ".new";

/// A folder of key files. Names are made by the program: letters, digits and `-`.
#[derive(Clone, Debug)]
pub struct KeyFolder {
    folder: PathBuf,
}

impl KeyFolder {
    /// Opens the folder, made if absent, and finishes what an interruption left: half-written and half-destroyed files
    /// go.
    ///
    /// # Errors
    /// [`StoreError::Io`], [`StoreError::Full`].
    pub fn open(folder: &Path) -> Result<Self, StoreError> {
        let failed = |error: io::Error| StoreError::io("opening the folder of keys", &error);
        make_folder(folder).map_err(failed)?;
        let keys = Self { folder: folder.to_owned() };
        for name in keys.entries().map_err(failed)? {
            let path = keys.folder.join(&name);
            let interrupted = name.ends_with(UNFINISHED)
                || fs::read(&path).map_err(failed)?.iter().all(|byte| *byte == 0);
            if interrupted {
                erase(&path).map_err(failed)?;
            }
        }
        sync_folder(&keys.folder).map_err(failed)?;
        Ok(keys)
    }

    /// Writes a key that is not there yet, and syncs file and folder.
    ///
    /// # Errors
    /// [`StoreError::Io`] with `AlreadyExists` where the name is taken, and with `InvalidInput` where `name` or
    /// `secret` is not what this folder holds; [`StoreError::Full`]. The key is then not there and must not be used.
    pub fn create(&self, name: &str, secret: &[u8]) -> Result<(), StoreError> {
        let failed = |error: io::Error| StoreError::io("writing a key file", &error);
        if secret.len() > SECRET_LEN_MAX {
            return Err(failed(io::ErrorKind::InvalidInput.into()));
        }
        let path = self.path(name).map_err(failed)?;
        if path.try_exists().map_err(failed)? {
            return Err(failed(io::ErrorKind::AlreadyExists.into()));
        }
        let unfinished = self.folder.join(format!("{name}{UNFINISHED}"));
        let written = write_synced(&unfinished, &content_of(secret))
            .and_then(|()| fs::rename(&unfinished, &path))
            .and_then(|()| sync_folder(&self.folder));
        if let Err(error) = written {
            // Best effort: the sweep at the next opening does the same, and a key under its own name was never used.
            let _ = erase(&unfinished);
            let _ = erase(&path);
            return Err(failed(error));
        }
        Ok(())
    }

    /// The key of that name; `None` where there is none, or where it was destroyed.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] where the file is not what was written; [`StoreError::Io`].
    pub fn read(&self, name: &str) -> Result<Option<Zeroizing<Vec<u8>>>, StoreError> {
        let failed = |error: io::Error| StoreError::io("reading a key file", &error);
        let content = match fs::read(self.path(name).map_err(failed)?) {
            Ok(content) => Zeroizing::new(content),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(failed(error)),
        };
        if content.iter().all(|byte| *byte == 0) {
            return Ok(None);
        }
        secret_of(&content).map(Some).ok_or_else(|| StoreError::Corrupt {
            what: format!("key file {name}"),
            advice: "restore it from the newest backup; what it sealed cannot be read without it",
        })
    }

    /// Overwrites, syncs, unlinks, and syncs the folder. A key that is not there is no error.
    ///
    /// # Errors
    /// [`StoreError::Io`]: the key may still be there; do it again.
    pub fn destroy(&self, name: &str) -> Result<(), StoreError> {
        let failed = |error: io::Error| StoreError::io("destroying a key file", &error);
        erase(&self.path(name).map_err(failed)?)
            .and_then(|()| sync_folder(&self.folder))
            .map_err(failed)
    }

    /// The names of the keys that are there, in ascending order.
    ///
    /// # Errors
    /// [`StoreError::Io`].
    pub fn names(&self) -> Result<Vec<String>, StoreError> {
        let mut names =
            self.entries().map_err(|error| StoreError::io("listing key files", &error))?;
        names.retain(|name| !name.ends_with(UNFINISHED));
        Ok(names)
    }

    fn entries(&self) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in fs::read_dir(&self.folder)? {
            let entry = entry?;
            if entry.file_type()?.is_file()
                && let Ok(name) = entry.file_name().into_string()
            {
                names.push(name);
            }
        }
        names.sort_unstable();
        Ok(names)
    }

    fn path(&self, name: &str) -> io::Result<PathBuf> {
        let plain = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
        if name.is_empty() || !plain {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        Ok(self.folder.join(name))
    }
}

/// A key file's content.
pub(crate) fn content_of(secret: &[u8]) -> Zeroizing<Vec<u8>> {
    let mut content = Zeroizing::new(Vec::with_capacity(MAGIC.len() + CHECK_LEN + secret.len()));
    content.extend_from_slice(&MAGIC);
    content.extend_from_slice(&checksum(secret));
    content.extend_from_slice(secret);
    content
}

/// The secret in a key file's content; `None` where that is not what was written.
pub(crate) fn secret_of(content: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    content
        .strip_prefix(&MAGIC)
        .and_then(|rest| rest.split_at_checked(CHECK_LEN))
        .filter(|(check, secret)| *check == checksum(secret))
        .map(|(_, secret)| Zeroizing::new(secret.to_vec()))
}

fn checksum(secret: &[u8]) -> [u8; CHECK_LEN] {
    let digest = Sha256::new_with_prefix(b"hearken/1 key file").chain_update(secret).finalize();
    let mut check = [0; CHECK_LEN];
    check.copy_from_slice(&digest[..CHECK_LEN]);
    check
}

fn write_synced(path: &Path, content: &[u8]) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(path)?;
    file.write_all(content)?;
    file.sync_all()
}

/// Overwrites with zeros, syncs, unlinks. The caller syncs the folder.
fn erase(path: &Path) -> io::Result<()> {
    let mut file = match OpenOptions::new().write(true).open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    let len = usize::try_from(file.metadata()?.len()).unwrap_or(usize::MAX);
    file.write_all(&vec![0; len.min(SECRET_LEN_MAX + MAGIC.len() + CHECK_LEN)])?;
    file.sync_all()?;
    fs::remove_file(path)
}

/// Makes a folder's entries durable.
pub(crate) fn sync_folder(folder: &Path) -> io::Result<()> {
    // Only Unix can open a folder and sync it; elsewhere the file system orders entries itself.
    if cfg!(unix) { File::open(folder)?.sync_all() } else { Ok(()) }
}

/// Makes a folder that only its owner may enter, with those above it, and makes their names durable. The folder's own name
/// is made durable even where it is there: whoever made it may have been ended before that.
pub(crate) fn make_folder(folder: &Path) -> io::Result<()> {
    let missing = |path: &&Path| !path.as_os_str().is_empty() && !path.exists();
    let made = folder.ancestors().take_while(missing).count();
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(folder)?;
    for path in folder.ancestors().take(made.max(1)) {
        let Some(above) = path.parent() else { continue };
        let above = if above.as_os_str().is_empty() { Path::new(".") } else { above };
        match sync_folder(above) {
            // Whoever may not read the folder above cannot sync it.
            Err(error) if error.kind() != io::ErrorKind::PermissionDenied => return Err(error),
            _ => {}
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_read_back_after_the_folder_is_opened_again() {
        let temp = tempfile::tempdir().unwrap();
        let folder = temp.path().join("keys");
        KeyFolder::open(&folder).unwrap().create("seal-1", b"a secret").unwrap();
        let keys = KeyFolder::open(&folder).unwrap();
        assert_eq!(keys.read("seal-1").unwrap().unwrap().as_slice(), b"a secret");
        assert_eq!(keys.names().unwrap(), ["seal-1"]);
        assert!(keys.read("seal-2").unwrap().is_none());
    }

    #[test]
    fn a_key_is_written_once() {
        let temp = tempfile::tempdir().unwrap();
        let keys = KeyFolder::open(temp.path()).unwrap();
        keys.create("seal-1", b"first").unwrap();
        assert!(matches!(
            keys.create("seal-1", b"second"),
            Err(StoreError::Io { kind: io::ErrorKind::AlreadyExists, .. })
        ));
        assert_eq!(keys.read("seal-1").unwrap().unwrap().as_slice(), b"first");
    }

    #[test]
    fn names_that_leave_the_folder_are_refused() {
        let temp = tempfile::tempdir().unwrap();
        let keys = KeyFolder::open(temp.path()).unwrap();
        for name in ["", "..", "../outside", "a/b", ".hidden", "a.new"] {
            assert!(keys.create(name, b"secret").is_err(), "{name:?} was taken");
        }
    }

    #[test]
    fn every_flipped_bit_of_a_key_file_is_found() {
        let temp = tempfile::tempdir().unwrap();
        let keys = KeyFolder::open(temp.path()).unwrap();
        keys.create("seal-1", &[7; 32]).unwrap();
        let path = temp.path().join("seal-1");
        let good = fs::read(&path).unwrap();
        for bit in 0..good.len() * 8 {
            let mut bad = good.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            fs::write(&path, &bad).unwrap();
            assert!(matches!(keys.read("seal-1"), Err(StoreError::Corrupt { .. })), "bit {bit}");
        }
        for len in 1..good.len() {
            fs::write(&path, &good[..len]).unwrap();
            assert!(matches!(keys.read("seal-1"), Err(StoreError::Corrupt { .. })), "{len} bytes");
        }
    }

    #[test]
    fn a_destroyed_key_is_overwritten_before_it_is_unlinked() {
        let temp = tempfile::tempdir().unwrap();
        let keys = KeyFolder::open(temp.path()).unwrap();
        keys.create("day-1", &[7; 32]).unwrap();
        // A second name for the same bytes on disk shows what the unlinked file holds.
        let witness = temp.path().join("witness");
        fs::hard_link(temp.path().join("day-1"), &witness).unwrap();
        assert!(fs::read(&witness).unwrap().ends_with(&[7; 32]));
        keys.destroy("day-1").unwrap();
        assert!(fs::read(&witness).unwrap().iter().all(|byte| *byte == 0));
        assert!(keys.read("day-1").unwrap().is_none());
        keys.destroy("day-1").unwrap();
    }

    #[test]
    fn what_an_interruption_left_is_swept_at_the_next_opening() {
        let temp = tempfile::tempdir().unwrap();
        let keys = KeyFolder::open(temp.path()).unwrap();
        keys.create("day-1", &[7; 32]).unwrap();
        fs::write(temp.path().join("day-2.new"), [9; 20]).unwrap();
        fs::write(temp.path().join("day-3"), [0; 44]).unwrap();
        assert!(keys.read("day-3").unwrap().is_none(), "an overwritten key counts as destroyed");
        let keys = KeyFolder::open(temp.path()).unwrap();
        assert_eq!(keys.names().unwrap(), ["day-1"]);
        assert_eq!(fs::read_dir(temp.path()).unwrap().count(), 1);
    }

    #[cfg(unix)]
    #[test]
    fn key_files_are_their_owners_only() {
        use std::os::unix::fs::PermissionsExt;
        let temp = tempfile::tempdir().unwrap();
        let folder = temp.path().join("keys");
        KeyFolder::open(&folder).unwrap().create("day-1", &[7; 32]).unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&folder.join("day-1")), 0o600);
        assert_eq!(mode(&folder), 0o700);
    }
}

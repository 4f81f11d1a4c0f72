//! A file that appears whole and synced under its name, or not at all, and never replaces another.
//!
//! Where the system can, it has no name until it is finished, so that not even a power cut leaves a half-written one
//! behind; elsewhere it is written under a name of its own beside the final one, and removed when it is dropped
//! unfinished. Readable and writable by its owner only (0600) from the first byte.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::fd::AsRawFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use data_encoding::HEXLOWER;
use getrandom::SysRng;
use rand_core::TryRng;
use rustix::fs::{AtFlags, CWD, Mode, OFlags, RenameFlags, linkat, openat, renameat_with};
use rustix::io::Errno;

use crate::store::key_files::sync_folder;

/// A file that is being written.
#[derive(Debug)]
pub(crate) struct NewFile {
    file: File,
    /// Its name while it is not finished; `None` where it has none.
    unfinished: Option<PathBuf>,
    name: PathBuf,
}

impl NewFile {
    /// Begins a file that is to be called `name`.
    ///
    /// # Errors
    /// `AlreadyExists` where there is something of that name; what the system says.
    pub(crate) fn create(name: &Path) -> io::Result<Self> {
        refuse_existing(name)?;
        let open = OFlags::TMPFILE | OFlags::WRONLY | OFlags::CLOEXEC;
        match openat(CWD, folder_of(name), open, Mode::RUSR | Mode::WUSR) {
            Ok(file) if Path::new("/proc/self/fd").is_dir() => {
                Ok(Self { file: file.into(), unfinished: None, name: name.to_owned() })
            }
            // Not every file system has files without a name, and each says so in its own way; what is really wrong
            // with the folder shows here too.
            _ => Self::create_named(name),
        }
    }

    fn create_named(name: &Path) -> io::Result<Self> {
        let mut random = [0; 8];
        SysRng.try_fill_bytes(&mut random).map_err(|_| io::ErrorKind::Other)?;
        let mut unfinished = OsString::from(".");
        unfinished.push(name.file_name().ok_or(io::ErrorKind::InvalidInput)?);
        unfinished.push(format!(".{}.unfinished", HEXLOWER.encode(&random)));
        let unfinished = folder_of(name).join(unfinished);
        let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&unfinished)?;
        Ok(Self { file, unfinished: Some(unfinished), name: name.to_owned() })
    }

    /// Syncs the file and gives it its name.
    ///
    /// # Errors
    /// `AlreadyExists` where something of that name came meanwhile; what the system says. Nothing is left then.
    pub(crate) fn finish(self) -> io::Result<()> {
        self.finish_with(sync_folder)
    }

    fn finish_with(mut self, sync_folder: fn(&Path) -> io::Result<()>) -> io::Result<()> {
        self.file.sync_all()?;
        match &self.unfinished {
            None => {
                let open = format!("/proc/self/fd/{}", self.file.as_raw_fd());
                linkat(CWD, open, CWD, &self.name, AtFlags::SYMLINK_FOLLOW)?;
            }
            Some(unfinished) => {
                rename_to_new(unfinished, &self.name)?;
                self.unfinished = None;
            }
        }
        // A name that a power cut may take back is none.
        sync_folder(folder_of(&self.name)).inspect_err(|_| drop(fs::remove_file(&self.name)))
    }
}

impl Write for NewFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl Drop for NewFile {
    fn drop(&mut self) {
        if let Some(unfinished) = &self.unfinished {
            let _ = fs::remove_file(unfinished);
        }
    }
}

fn rename_to_new(from: &Path, to: &Path) -> io::Result<()> {
    match renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE) {
        // Not known to every file system.
        Err(Errno::INVAL | Errno::NOSYS | Errno::NOTSUP) => {
            fs::hard_link(from, to)?;
            fs::remove_file(from).inspect_err(|_| drop(fs::remove_file(to)))
        }
        other => Ok(other?),
    }
}

fn refuse_existing(name: &Path) -> io::Result<()> {
    match fs::symlink_metadata(name) {
        Ok(_) => Err(io::ErrorKind::AlreadyExists.into()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    }
}

/// The folder in which a file of that name lies.
pub(crate) fn folder_of(name: &Path) -> &Path {
    match name.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    type Create = fn(&Path) -> io::Result<NewFile>;
    const WAYS: [Create; 2] = [NewFile::create, NewFile::create_named];

    #[test]
    fn a_file_is_not_there_before_it_is_finished_and_then_its_owners_only() {
        for create in WAYS {
            let folder = tempfile::tempdir().unwrap();
            let name = folder.path().join("backup");
            let mut file = create(&name).unwrap();
            file.write_all(b"whole").unwrap();
            assert!(!name.exists());
            file.finish().unwrap();
            assert_eq!(fs::read(&name).unwrap(), b"whole");
            assert_eq!(fs::metadata(&name).unwrap().permissions().mode() & 0o777, 0o600);
            assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
        }
    }

    #[test]
    fn an_unfinished_file_leaves_nothing() {
        for create in WAYS {
            let folder = tempfile::tempdir().unwrap();
            let mut file = create(&folder.path().join("backup")).unwrap();
            file.write_all(b"half").unwrap();
            drop(file);
            assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
        }
    }

    #[test]
    fn a_file_whose_name_could_not_be_made_durable_leaves_nothing() {
        for create in WAYS {
            let folder = tempfile::tempdir().unwrap();
            let mut file = create(&folder.path().join("backup")).unwrap();
            file.write_all(b"whole").unwrap();
            let failed = file.finish_with(|_| Err(io::ErrorKind::StorageFull.into()));
            assert_eq!(failed.unwrap_err().kind(), io::ErrorKind::StorageFull);
            assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
        }
    }

    #[test]
    fn nothing_is_replaced_not_even_what_came_meanwhile() {
        for create in WAYS {
            let folder = tempfile::tempdir().unwrap();
            let name = folder.path().join("backup");
            let mut file = create(&name).unwrap();
            file.write_all(b"second").unwrap();
            fs::write(&name, b"first").unwrap();
            assert_eq!(file.finish().unwrap_err().kind(), io::ErrorKind::AlreadyExists);
            assert_eq!(NewFile::create(&name).unwrap_err().kind(), io::ErrorKind::AlreadyExists);
            assert_eq!(fs::read(&name).unwrap(), b"first");
            assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
        }
        let folder = tempfile::tempdir().unwrap();
        let link = folder.path().join("link");
        std::os::unix::fs::symlink("nowhere", &link).unwrap();
        assert_eq!(NewFile::create(&link).unwrap_err().kind(), io::ErrorKind::AlreadyExists);
    }
}

//! Where needles are looked for: files with their names, and when they were written.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Bytes to look through.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// Where they are.
    pub name: String,
    /// The bytes.
    pub bytes: Vec<u8>,
}

impl Place {
    /// Of a text, such as a log.
    #[must_use]
    pub fn of_text(name: &str, text: &str) -> Self {
        Self { name: name.to_owned(), bytes: text.as_bytes().to_vec() }
    }
}

/// Every file below a folder, and the list of their names as one more place. A file that goes while this looks is left
/// out; so are sockets.
///
/// # Errors
/// When a folder or a file cannot be read for another reason.
pub fn folder(path: &Path) -> io::Result<Vec<Place>> {
    let mut places = Vec::new();
    let mut names = String::new();
    for file in files(path)? {
        let name = file.strip_prefix(path).unwrap_or(&file).display().to_string();
        match fs::read(&file) {
            Ok(bytes) => places.push(Place { name: name.clone(), bytes }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => return Err(error),
        }
        names.push_str(&name);
        names.push('\n');
    }
    places.push(Place::of_text("the names of the files", &names));
    Ok(places)
}

/// A file and the moment at which it was last written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileTime {
    /// The file's name below its folder.
    pub name: String,
    /// Its modification time.
    pub written: SystemTime,
}

/// When each file below a folder was last written.
///
/// # Errors
/// When a folder cannot be read.
pub fn written_at(path: &Path) -> io::Result<Vec<FileTime>> {
    let mut times = Vec::new();
    for file in files(path)? {
        let Ok(metadata) = fs::metadata(&file) else { continue };
        let seconds = u64::try_from(metadata.mtime()).unwrap_or(0);
        let nanos = u32::try_from(metadata.mtime_nsec()).unwrap_or(0);
        let name = file.strip_prefix(path).unwrap_or(&file).display().to_string();
        times.push(FileTime { name, written: UNIX_EPOCH + Duration::new(seconds, nanos) });
    }
    Ok(times)
}

fn files(path: &Path) -> io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    let mut folders = vec![path.to_owned()];
    while let Some(folder) = folders.pop() {
        let entries = match fs::read_dir(&folder) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound && folder != path => continue,
            Err(error) => return Err(error),
        };
        for entry in entries {
            let entry = entry?;
            match entry.file_type() {
                Ok(kind) if kind.is_dir() => folders.push(entry.path()),
                Ok(kind) if kind.is_file() => files.push(entry.path()),
                _ => {}
            }
        }
    }
    files.sort();
    Ok(files)
}

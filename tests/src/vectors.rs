//! Where the test data is that cannot be committed: the folder that `HEARKEN_VECTORS` names.
//!
//! A test that wants it asks [`file()`] and, where there is none, runs what is committed; that it was skipped is printed
//! past the test harness, so that a run without the folder never looks like a run with it.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

/// Name of the environment variable: the absolute path of the folder.
pub const VARIABLE: &str = "HEARKEN_VECTORS";

/// The folder, where the variable names one. Prints one line where it does not.
///
/// # Panics
/// When the variable names something that is not a folder: a mistyped path must not pass for "no data".
#[must_use]
pub fn folder(wanted: &str) -> Option<PathBuf> {
    let Some(folder) = std::env::var_os(VARIABLE).filter(|folder| !folder.is_empty()) else {
        // Not `eprintln!`, which the harness keeps to itself when a test passes.
        let _ = writeln!(std::io::stderr(), "skipped: needs {VARIABLE}: {wanted}");
        return None;
    };
    let folder = PathBuf::from(folder);
    assert!(folder.is_dir(), "{VARIABLE} names no folder: {}", folder.display());
    Some(folder)
}

/// The text of `path` in the folder, where the variable names one.
///
/// # Panics
/// When the folder is there and the file is not, or is not UTF-8.
#[must_use]
pub fn file(path: &str) -> Option<String> {
    folder(path).map(|folder| read(&folder.join(path)))
}

/// The text of a sample that is committed under `tests/vectors/`.
///
/// # Panics
/// When there is none of that name.
#[must_use]
pub fn sample(name: &str) -> String {
    read(&Path::new(env!("CARGO_MANIFEST_DIR")).join("vectors").join(name))
}

fn read(path: &Path) -> String {
    match fs::read_to_string(path) {
        Ok(text) => text,
        // The tests of this workspace are its only callers.
        Err(error) => unreachable!("{}: {error}", path.display()),
    }
}

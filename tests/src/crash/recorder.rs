//! Builds the preload library that records (`tests/crash/record.c`), and says how a process is run under it.

use std::ffi::OsString;
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use anyhow::{Context, Result, bail};

use super::record::Record;

const SOURCE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/crash/record.c");

/// The library, built once a process.
///
/// # Errors
/// Where there is no C compiler, or the system is not one that the library knows.
pub fn library() -> Result<&'static Path> {
    static LIBRARY: OnceLock<Result<(tempfile::TempDir, PathBuf), String>> = OnceLock::new();
    let built = LIBRARY.get_or_init(|| build().map_err(|error| format!("{error:#}")));
    built.as_ref().map(|(_, path)| &**path).map_err(|error| anyhow::anyhow!("{error}"))
}

fn build() -> Result<(tempfile::TempDir, PathBuf)> {
    let folder = tempfile::tempdir()?;
    let library = folder.path().join("record.so");
    let compiler = std::env::var_os("CC").unwrap_or_else(|| "cc".into());
    let output = Command::new(compiler)
        .args(["-O2", "-Wall", "-Wextra", "-Werror", "-fPIC", "-shared", "-o"])
        .arg(&library)
        .arg(SOURCE)
        .stdin(Stdio::null())
        .output()
        .context("needs a C compiler")?;
    if !output.status.success() {
        bail!("the recorder does not build: {}", String::from_utf8_lossy(&output.stderr));
    }
    Ok((folder, library))
}

/// A wall clock that stands ahead of the machine's, and can be set while processes run by it.
#[derive(Debug)]
pub struct Clock(PathBuf);

impl Clock {
    /// Makes the clock in `file`.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn make(file: &Path, ahead_ms: i64) -> Result<Self> {
        File::create_new(file)?.write_all(&ahead_ms.to_le_bytes())?;
        Ok(Self(file.canonicalize()?))
    }

    /// The clock that stands in `file`.
    ///
    /// # Errors
    /// When it is not there.
    pub fn open(file: &Path) -> Result<Self> {
        Ok(Self(file.canonicalize()?))
    }

    /// Sets the clock, at once for every process that runs by it.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn set(&self, ahead_ms: i64) -> Result<()> {
        let file = OpenOptions::new().write(true).open(&self.0)?;
        Ok(file.write_all_at(&ahead_ms.to_le_bytes(), 0)?)
    }

    /// What the environment of a process must hold to run by this clock.
    ///
    /// # Errors
    /// As [`library`].
    pub fn environment(&self) -> Result<Vec<(&'static str, OsString)>> {
        let library = library()?.as_os_str().to_owned();
        Ok(vec![("LD_PRELOAD", library), ("HEARKEN_CLOCK_SHIFT", self.0.clone().into())])
    }
}

/// A record in the making, of processes that work below one folder.
#[derive(Debug)]
pub struct Recorder {
    root: PathBuf,
    record: PathBuf,
}

impl Recorder {
    /// Begins a record in `file` of what happens below `root`.
    ///
    /// # Errors
    /// When the file cannot be made.
    pub fn begin(root: &Path, file: &Path) -> Result<Self> {
        File::create_new(file)?;
        Ok(Self { root: root.canonicalize()?, record: file.canonicalize()? })
    }

    /// What the environment of a process must hold, beside a clock's, to be recorded as `who`. Such a process can start no
    /// other.
    #[must_use]
    pub fn environment(&self, who: char) -> Vec<(&'static str, OsString)> {
        vec![
            ("HEARKEN_RECORD", self.record.clone().into_os_string()),
            ("HEARKEN_RECORD_ROOT", self.root.clone().into_os_string()),
            ("HEARKEN_RECORD_WHO", who.to_string().into()),
        ]
    }

    /// What was recorded so far. To be called when no recorded process runs.
    ///
    /// # Errors
    /// As [`Record::read`].
    pub fn read(&self) -> Result<Record> {
        Record::read(&self.record, &self.root)
    }
}

//! A backup: a relay's identity, configuration, notice, day keys and rows, as they are at one moment, in one file.
//!
//! [`Source`] makes the bytes, a piece at a time, of a store that may be serving; [`write()`] puts bytes from anywhere
//! into a file, checking each as a restore would. Guarantees: the rows are of one moment, between two commits; every
//! row's day key is in it, unless the day is over; memory is bounded by two pieces (about a megabyte each), however
//! large the store; the file is whole under its name or not there. Seal, auth and hop keys are never in it, so a backup
//! does not open what was recorded on the wire.

use std::collections::VecDeque;
use std::io::{self, Read, Write};
use std::path::Path;

use hearken_proto::time::UnixMillis;
use zeroize::Zeroizing;

use crate::archive::{ArchiveError, Decoder, Encoder, Item, ROWS_LEN};
use crate::folder::{Folder, FolderError};
use crate::new_file::NewFile;
use crate::stop::Stop;
use crate::store::{DayKeys, Frozen, Space, Store, StoreError};

/// Why there is no backup. No file is left then.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BackupError {
    /// Something of that name is there.
    #[error("there is a file of that name already")]
    Exists,
    /// The file cannot be written.
    #[error("the backup cannot be written: {0}")]
    Write(io::ErrorKind),
    /// What came is not a whole backup: the relay that made it stopped or failed half-way.
    #[error("the relay broke the backup off: {0}")]
    BrokenOff(ArchiveError),
    /// It was told to stop.
    #[error("the backup was told to stop")]
    Stopped,
    /// The folder.
    #[error(transparent)]
    Folder(#[from] FolderError),
    /// The store or a day key.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Written {
    /// The length of the file.
    pub bytes: u64,
    /// Rows of the store in it.
    pub rows: u64,
}

/// The bytes of a backup, piece by piece.
pub struct Source {
    encoder: Option<Encoder>,
    first: VecDeque<Item>,
    frozen: Box<dyn Frozen>,
    spaces: VecDeque<Space>,
    /// The last key of the first of `spaces` that was written.
    after: Option<Vec<u8>>,
}

impl Source {
    /// Of a relay as it is now. What is committed from here on is not in it.
    ///
    /// # Errors
    /// [`BackupError::Folder`], [`BackupError::Store`].
    pub fn new(
        folder: &Folder,
        store: &dyn Store,
        day_keys: &DayKeys,
        now: UnixMillis,
    ) -> Result<Self, BackupError> {
        // Before the keys: a blob's key is made before the blob is committed.
        let frozen = store.freeze()?;
        let mut first = VecDeque::from([
            Item::Relay {
                seed: Zeroizing::new(folder.identity()?.to_bytes()),
                first_position: store.first_position(),
                made: now.hour(),
            },
            Item::Config(folder.config_text()?),
        ]);
        first.extend(folder.notice_text()?.map(Item::Notice));
        let live = |day| day >= now.day();
        for day in day_keys.days().into_iter().filter(|day| live(*day)) {
            // Destroyed meanwhile: its day is over.
            let Some(secret) = day_keys.secret(day)? else { continue };
            first.push_back(Item::DayKey { day, secret });
        }
        let days = frozen.days().into_iter().filter(|day| live(*day)).map(Space::Day);
        let spaces = [Space::Rows].into_iter().chain(days).collect();
        Ok(Self { encoder: Some(Encoder::new()), first, frozen, spaces, after: None })
    }

    /// The next piece; `None` after the last.
    ///
    /// # Errors
    /// [`BackupError::Store`]: the backup is broken off.
    pub fn next_piece(&mut self) -> Result<Option<Zeroizing<Vec<u8>>>, BackupError> {
        let Some(encoder) = &mut self.encoder else { return Ok(None) };
        if let Some(item) = self.first.pop_front() {
            return Ok(Some(encoder.encode(&item)));
        }
        while let Some(space) = self.spaces.front().copied() {
            let rows = self.frozen.page(space, self.after.as_deref(), ROWS_LEN)?;
            match rows.last() {
                Some(last) => {
                    self.after = Some(last.key.clone());
                    return Ok(Some(encoder.encode(&Item::Rows { space, rows })));
                }
                None => {
                    self.spaces.pop_front();
                    self.after = None;
                }
            }
        }
        Ok(self.encoder.take().map(|encoder| Zeroizing::new(encoder.finish())))
    }
}

impl core::fmt::Debug for Source {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Source").field("spaces", &self.spaces).finish_non_exhaustive()
    }
}

/// A source as something to read from. A failure of the store is kept beside, since an [`io::Error`] cannot say it.
struct Reading {
    source: Source,
    piece: Zeroizing<Vec<u8>>,
    read: usize,
    failed: Option<BackupError>,
}

impl Read for &mut Reading {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        while self.read == self.piece.len() {
            match self.source.next_piece() {
                Ok(Some(piece)) => (self.piece, self.read) = (piece, 0),
                Ok(None) => return Ok(0),
                Err(error) => {
                    self.failed = Some(error);
                    return Err(io::ErrorKind::Other.into());
                }
            }
        }
        let rest = self.piece.get(self.read..).unwrap_or_default();
        let count = rest.len().min(into.len());
        into[..count].copy_from_slice(&rest[..count]);
        self.read += count;
        Ok(count)
    }
}

/// Writes the backup of a store that this process has opened.
///
/// # Errors
/// [`BackupError`]; no file is left then.
pub fn write_from(source: Source, out: &Path, stop: &Stop) -> Result<Written, BackupError> {
    let mut reading = Reading { source, piece: Zeroizing::new(Vec::new()), read: 0, failed: None };
    let written = write(&mut reading, out, stop);
    match reading.failed {
        Some(error) => Err(error),
        None => written,
    }
}

/// Writes a backup that is read from elsewhere, and checks that it is a whole one before it gets its name.
///
/// # Errors
/// [`BackupError`]; no file is left then.
pub fn write(from: impl Read, out: &Path, stop: &Stop) -> Result<Written, BackupError> {
    let mut file = NewFile::create(out).map_err(write_error)?;
    let mut copying = Copying { from, to: &mut file, bytes: 0, failed: None };
    let mut decoder = Decoder::new(&mut copying);
    let read = loop {
        match decoder.next() {
            Ok(Some(_)) if stop.is_asked() => return Err(BackupError::Stopped),
            Ok(Some(_)) => {}
            Ok(None) => break Ok(decoder.rows()),
            Err(error) => break Err(error),
        }
    };
    let (bytes, failed) = (copying.bytes, copying.failed);
    if let Some(kind) = failed {
        return Err(BackupError::Write(kind));
    }
    let rows = read.map_err(BackupError::BrokenOff)?;
    file.finish().map_err(write_error)?;
    Ok(Written { bytes, rows })
}

fn write_error(error: io::Error) -> BackupError {
    match error.kind() {
        io::ErrorKind::AlreadyExists => BackupError::Exists,
        kind => BackupError::Write(kind),
    }
}

/// Writes what is read through it.
struct Copying<'a, R> {
    from: R,
    to: &'a mut NewFile,
    bytes: u64,
    failed: Option<io::ErrorKind>,
}

impl<R: Read> Read for Copying<'_, R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let count = self.from.read(into)?;
        if let Err(error) = self.to.write_all(&into[..count]) {
            self.failed = Some(error.kind());
            return Err(error);
        }
        self.bytes += count as u64;
        Ok(count)
    }
}

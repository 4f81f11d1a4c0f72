//! The one file that a backup is: what it holds, in which order, and how damage is found.
//!
//! ```text
//! file  = "hearken backup " ‖ version u8 (1) ‖ frame … ‖ end frame
//! frame = kind u8 ‖ length of the body u32 ‖ body               integers big-endian
//! 1 relay    identity seed 32 ‖ first position u64 ‖ hour of the backup u32      first, once
//! 2 config   relay.toml                                                          second, once
//! 3 notice   the notice of decommissioning, as it lies in the folder             at most once
//! 4 day key  day u32 ‖ key 32
//! 5 rows     day u32 (0xffffffff: rows of no day) ‖ (length u8 ‖ key ‖ length u32 ‖ value) …
//! 6 end      number of rows u64 ‖ SHA-256 of everything before this hash         last; nothing follows
//! ```
//!
//! Guarantees: whoever reads to [`None`] has read exactly what was written; a flipped bit, a missing end and a trailing
//! byte are [`ArchiveError::Damaged`]; a frame is bounded before it is allocated. What is handed out before the end is
//! reached may be damaged: act on it only where that can be undone.
//!
//! Deliberately not: secrecy (the file holds the identity and day keys; deploy/README.md says how to encrypt it), and
//! the seal, auth and hop keys, for which there is no frame.

use std::io::{self, Read};

use hearken_proto::time::{UnixDay, UnixHour};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use crate::store::{KEY_LEN_MAX, Row, Space, VALUE_LEN_MAX};

const MAGIC: &[u8; 15] = b"hearken backup ";
const VERSION: u8 = 1;
/// Bytes of keys and values from which a frame of rows is full.
pub const ROWS_LEN: usize = 1 << 20;
/// The longest body: a full frame of rows, one row more, and the lengths of a million bytes of the smallest rows.
const BODY_LEN_MAX: usize = 8 << 20;
const SEED_LEN: usize = 32;
const HASH_LEN: usize = 32;
const NO_DAY: u32 = u32::MAX;

const RELAY: u8 = 1;
const CONFIG: u8 = 2;
const NOTICE: u8 = 3;
const DAY_KEY: u8 = 4;
const ROWS: u8 = 5;
const END: u8 = 6;

/// Why a file is not a whole backup.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ArchiveError {
    /// It does not begin as a backup does.
    #[error("this is not a backup of a relay")]
    Foreign,
    /// Of a version that this program does not know.
    #[error("this backup is of version {found}; this program reads version {VERSION}")]
    Version {
        /// The version in the file.
        found: u8,
    },
    /// It is not what was written, or not all of it, or more.
    #[error("this backup is damaged or not complete")]
    Damaged,
    /// It cannot be read.
    #[error("the backup cannot be read: {0}")]
    Io(io::ErrorKind),
}

/// One thing in a backup.
#[derive(PartialEq, Eq)]
pub enum Item {
    /// Whose backup it is.
    Relay {
        /// The seed of the identity key.
        seed: Zeroizing<[u8; SEED_LEN]>,
        /// Where the positions of the store's life begin.
        first_position: u64,
        /// When it was made.
        made: UnixHour,
    },
    /// The text of `relay.toml`.
    Config(String),
    /// The text of the notice of decommissioning.
    Notice(String),
    /// The key of blobs at rest that expire on a day.
    DayKey {
        /// The day.
        day: UnixDay,
        /// 32 bytes.
        secret: Zeroizing<Vec<u8>>,
    },
    /// Rows of one space, in ascending order of their keys.
    Rows {
        /// Which.
        space: Space,
        /// At least one.
        rows: Vec<Row>,
    },
}

impl core::fmt::Debug for Item {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Relay { seed: _, first_position, made } => f
                .debug_struct("Relay")
                .field("first_position", first_position)
                .field("made", made)
                .finish_non_exhaustive(),
            Self::Config(_) => f.write_str("Config"),
            Self::Notice(text) => f.debug_tuple("Notice").field(text).finish(),
            Self::DayKey { day, secret: _ } => f.debug_tuple("DayKey").field(day).finish(),
            Self::Rows { space, rows } => {
                f.debug_tuple("Rows").field(space).field(&rows.len()).finish()
            }
        }
    }
}

/// Makes the bytes of a backup, item by item.
#[derive(Debug)]
pub struct Encoder {
    hash: Sha256,
    rows: u64,
    begun: bool,
}

impl Encoder {
    /// Nothing written yet.
    #[must_use]
    pub fn new() -> Self {
        Self { hash: Sha256::new(), rows: 0, begun: false }
    }

    /// The bytes of the next item, to be appended to the file.
    pub fn encode(&mut self, item: &Item) -> Zeroizing<Vec<u8>> {
        // Reserved at once where there is a secret: a buffer that was outgrown would keep it.
        let mut body = Zeroizing::new(Vec::new());
        let kind = match item {
            Item::Relay { seed, first_position, made } => {
                body.reserve_exact(SEED_LEN + 8 + 4);
                body.extend_from_slice(&seed[..]);
                body.extend_from_slice(&first_position.to_be_bytes());
                body.extend_from_slice(&made.0.to_be_bytes());
                RELAY
            }
            Item::Config(text) => {
                body.extend_from_slice(text.as_bytes());
                CONFIG
            }
            Item::Notice(text) => {
                body.extend_from_slice(text.as_bytes());
                NOTICE
            }
            Item::DayKey { day, secret } => {
                body.reserve_exact(4 + secret.len());
                body.extend_from_slice(&day.0.to_be_bytes());
                body.extend_from_slice(secret);
                DAY_KEY
            }
            Item::Rows { space, rows } => {
                let day = match space {
                    Space::Rows => NO_DAY,
                    Space::Day(day) => day.0,
                };
                body.reserve_exact(rows.iter().map(row_len).sum::<usize>() + 4);
                body.extend_from_slice(&day.to_be_bytes());
                for row in rows {
                    // Bounded by the store that they come from.
                    body.push(u8::try_from(row.key.len()).unwrap_or(u8::MAX));
                    body.extend_from_slice(&row.key);
                    let len = u32::try_from(row.value.len()).unwrap_or(u32::MAX);
                    body.extend_from_slice(&len.to_be_bytes());
                    body.extend_from_slice(&row.value);
                }
                self.rows += rows.len() as u64;
                ROWS
            }
        };
        self.frame(kind, &body)
    }

    /// The end of the file.
    #[must_use]
    pub fn finish(mut self) -> Vec<u8> {
        let mut bytes = self.start_of_frame(END, 8 + HASH_LEN);
        bytes.extend_from_slice(&self.rows.to_be_bytes());
        self.hash.update(&bytes[..]);
        bytes.extend_from_slice(&self.hash.finalize());
        bytes.to_vec()
    }

    fn frame(&mut self, kind: u8, body: &[u8]) -> Zeroizing<Vec<u8>> {
        let mut bytes = self.start_of_frame(kind, body.len());
        bytes.extend_from_slice(body);
        self.hash.update(&bytes[..]);
        bytes
    }

    fn start_of_frame(&mut self, kind: u8, len: usize) -> Zeroizing<Vec<u8>> {
        // In one piece, so that no copy of a secret stays behind in a buffer that was outgrown.
        let mut bytes = Zeroizing::new(Vec::with_capacity(MAGIC.len() + 1 + 5 + len));
        if !core::mem::replace(&mut self.begun, true) {
            bytes.extend_from_slice(MAGIC);
            bytes.push(VERSION);
        }
        bytes.push(kind);
        bytes.extend_from_slice(&u32::try_from(len).unwrap_or(u32::MAX).to_be_bytes());
        bytes
    }
}

impl Default for Encoder {
    fn default() -> Self {
        Self::new()
    }
}

fn row_len(row: &Row) -> usize {
    5 + row.key.len() + row.value.len()
}

/// Reads a backup, item by item.
pub struct Decoder<R> {
    from: R,
    hash: Sha256,
    rows: u64,
    place: Place,
}

/// What may come next.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Start,
    Config,
    Content { notice: bool },
    End,
}

impl<R: Read> Decoder<R> {
    /// Reads from the start of a file.
    pub fn new(from: R) -> Self {
        Self { from, hash: Sha256::new(), rows: 0, place: Place::Start }
    }

    /// The next item; `None` once the end was reached, and everything before it was as written.
    ///
    /// # Errors
    /// [`ArchiveError`].
    #[allow(clippy::should_implement_trait, reason = "an iterator would go on after an error")]
    pub fn next(&mut self) -> Result<Option<Item>, ArchiveError> {
        match self.place {
            Place::Start => self.start()?,
            Place::End => return Ok(None),
            Place::Config | Place::Content { .. } => {}
        }
        let mut head = [0; 5];
        self.read(&mut head)?;
        let [kind, len @ ..] = head;
        let len = usize::try_from(u32::from_be_bytes(len)).unwrap_or(usize::MAX);
        if len > BODY_LEN_MAX {
            return Err(ArchiveError::Damaged);
        }
        if kind == END {
            return self.end(len).map(|()| None);
        }
        let mut body = Zeroizing::new(vec![0; len]);
        self.read(&mut body)?;
        self.item(kind, &body).map(Some)
    }

    /// The number of rows read.
    #[must_use]
    pub fn rows(&self) -> u64 {
        self.rows
    }

    fn start(&mut self) -> Result<(), ArchiveError> {
        let mut magic = [0; MAGIC.len()];
        self.read(&mut magic).map_err(|error| match error {
            ArchiveError::Damaged => ArchiveError::Foreign,
            other => other,
        })?;
        if magic != *MAGIC {
            return Err(ArchiveError::Foreign);
        }
        let mut version = [0];
        self.read(&mut version)?;
        if version != [VERSION] {
            return Err(ArchiveError::Version { found: version[0] });
        }
        Ok(())
    }

    fn end(&mut self, len: usize) -> Result<(), ArchiveError> {
        let mut rows = [0; 8];
        self.read(&mut rows)?;
        let expected: [u8; HASH_LEN] = self.hash.clone().finalize().into();
        let mut found = [0; HASH_LEN];
        self.read(&mut found)?;
        let ready = matches!(self.place, Place::Content { .. });
        let whole = len == 8 + HASH_LEN && u64::from_be_bytes(rows) == self.rows;
        if !ready || !whole || found != expected || self.has_more()? {
            return Err(ArchiveError::Damaged);
        }
        self.place = Place::End;
        Ok(())
    }

    fn has_more(&mut self) -> Result<bool, ArchiveError> {
        loop {
            match self.from.read(&mut [0]) {
                Ok(count) => return Ok(count > 0),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(ArchiveError::Io(error.kind())),
            }
        }
    }

    fn item(&mut self, kind: u8, body: &[u8]) -> Result<Item, ArchiveError> {
        let text = || String::from_utf8(body.to_vec()).map_err(|_| ArchiveError::Damaged);
        let item = match (kind, self.place) {
            (RELAY, Place::Start) => {
                self.place = Place::Config;
                relay(body)
            }
            (CONFIG, Place::Config) => {
                self.place = Place::Content { notice: false };
                Some(Item::Config(text()?))
            }
            (NOTICE, Place::Content { notice: false }) => {
                self.place = Place::Content { notice: true };
                Some(Item::Notice(text()?))
            }
            (DAY_KEY, Place::Content { .. }) => day_key(body),
            (ROWS, Place::Content { .. }) => rows(body),
            _ => None,
        };
        if let Some(Item::Rows { rows, .. }) = &item {
            self.rows += rows.len() as u64;
        }
        item.ok_or(ArchiveError::Damaged)
    }

    fn read(&mut self, bytes: &mut [u8]) -> Result<(), ArchiveError> {
        self.from.read_exact(bytes).map_err(|error| match error.kind() {
            io::ErrorKind::UnexpectedEof => ArchiveError::Damaged,
            kind => ArchiveError::Io(kind),
        })?;
        self.hash.update(&*bytes);
        Ok(())
    }
}

impl<R> core::fmt::Debug for Decoder<R> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Decoder").field("rows", &self.rows).finish_non_exhaustive()
    }
}

fn relay(body: &[u8]) -> Option<Item> {
    let (seed, rest) = body.split_first_chunk::<SEED_LEN>()?;
    let (first_position, made) = rest.split_first_chunk::<8>()?;
    Some(Item::Relay {
        seed: Zeroizing::new(*seed),
        first_position: u64::from_be_bytes(*first_position),
        made: UnixHour(u32::from_be_bytes(made.try_into().ok()?)),
    })
}

fn day_key(body: &[u8]) -> Option<Item> {
    let (day, secret) = body.split_first_chunk::<4>()?;
    let day = UnixDay(u32::from_be_bytes(*day));
    (secret.len() == 32).then(|| Item::DayKey { day, secret: Zeroizing::new(secret.to_vec()) })
}

fn rows(body: &[u8]) -> Option<Item> {
    let (day, mut rest) = body.split_first_chunk::<4>()?;
    let space = match u32::from_be_bytes(*day) {
        NO_DAY => Space::Rows,
        day => Space::Day(UnixDay(day)),
    };
    let mut rows = Vec::new();
    while !rest.is_empty() {
        let (len, tail) = rest.split_first()?;
        let (key, tail) = tail.split_at_checked(usize::from(*len))?;
        let (len, tail) = tail.split_first_chunk::<4>()?;
        let len = usize::try_from(u32::from_be_bytes(*len)).ok()?;
        let (value, tail) = tail.split_at_checked(len)?;
        if key.is_empty() || key.len() > KEY_LEN_MAX || value.len() > VALUE_LEN_MAX {
            return None;
        }
        rows.push(Row { key: key.to_vec(), value: value.to_vec() });
        rest = tail;
    }
    (!rows.is_empty()).then_some(Item::Rows { space, rows })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn items() -> Vec<Item> {
        let row = |key: &[u8], value: &[u8]| Row { key: key.to_vec(), value: value.to_vec() };
        vec![
            Item::Relay {
                seed: Zeroizing::new([7; 32]),
                first_position: 3 << 48,
                made: UnixHour(480_000),
            },
            Item::Config("host = \"relay.example\"\n".to_owned()),
            Item::Notice("{}".to_owned()),
            Item::DayKey { day: UnixDay(20_000), secret: Zeroizing::new(vec![9; 32]) },
            Item::Rows { space: Space::Rows, rows: vec![row(b"a", b""), row(b"b", b"1")] },
            Item::Rows { space: Space::Day(UnixDay(20_000)), rows: vec![row(b"c", &[5; 300])] },
        ]
    }

    fn bytes_of(items: &[Item]) -> Vec<u8> {
        let mut encoder = Encoder::new();
        let mut bytes: Vec<u8> = Vec::new();
        items.iter().for_each(|item| bytes.extend_from_slice(&encoder.encode(item)));
        bytes.extend(encoder.finish());
        bytes
    }

    fn read(bytes: &[u8]) -> Result<Vec<Item>, ArchiveError> {
        let mut decoder = Decoder::new(bytes);
        let mut items = Vec::new();
        while let Some(item) = decoder.next()? {
            items.push(item);
        }
        Ok(items)
    }

    #[test]
    fn what_was_written_is_read() {
        assert_eq!(read(&bytes_of(&items())).unwrap(), items());
    }

    #[test]
    fn every_flipped_bit_every_truncation_and_a_trailing_byte_are_refused() {
        let good = bytes_of(&items());
        for bit in 0..good.len() * 8 {
            let mut bad = good.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            assert!(read(&bad).is_err(), "bit {bit}");
        }
        for len in 0..good.len() {
            assert!(read(&good[..len]).is_err(), "{len} bytes");
        }
        assert_eq!(read(&[&good[..], &[0]].concat()), Err(ArchiveError::Damaged));
        assert_eq!(read(&[&good[..], &good[..]].concat()), Err(ArchiveError::Damaged));
    }

    #[test]
    fn what_is_no_backup_or_of_another_version_is_named() {
        assert_eq!(read(b"").unwrap_err(), ArchiveError::Foreign);
        assert_eq!(read(b"letters to nobody at all").unwrap_err(), ArchiveError::Foreign);
        let mut later = bytes_of(&items());
        later[MAGIC.len()] = 2;
        assert_eq!(read(&later).unwrap_err(), ArchiveError::Version { found: 2 });
    }

    #[test]
    fn items_out_of_order_or_twice_are_refused_even_under_a_right_hash() {
        let order = |picked: &[usize]| {
            let mut all: Vec<Option<Item>> = items().into_iter().map(Some).collect();
            let picked: Vec<Item> = picked.iter().map(|at| all[*at].take().unwrap()).collect();
            read(&bytes_of(&picked))
        };
        assert!(order(&[0, 1]).is_ok(), "a relay without a row is a relay");
        for wrong in [&[][..], &[0], &[1], &[1, 0], &[0, 2], &[0, 4, 1]] {
            assert_eq!(order(wrong).unwrap_err(), ArchiveError::Damaged, "{wrong:?}");
        }
        let twice: Vec<Item> = [items(), items()].into_iter().flatten().collect();
        assert_eq!(read(&bytes_of(&twice)).unwrap_err(), ArchiveError::Damaged);
    }

    #[test]
    fn a_frame_that_claims_gigabytes_is_refused_before_they_are_allocated() {
        let mut bytes = bytes_of(&items());
        bytes[MAGIC.len() + 2..MAGIC.len() + 6].copy_from_slice(&u32::MAX.to_be_bytes());
        assert_eq!(read(&bytes).unwrap_err(), ArchiveError::Damaged);
    }
}

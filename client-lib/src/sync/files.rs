//! Files as rows of the vault: what of them is sealed, what of that a relay has or has given, and what opens it.
//!
//! Chunks lie as they travel, sixteen a row. What opens them lies beside them, or, where the message is to be gone, under
//! the key of its day (`keys`), so that with that key the file is gone. Own chunks go once the relay has them all; those
//! of others stay until their message goes. A line that goes takes its file along (triggers of the schema).

use hearken_proto::auth::ObjectSecretKey;
use hearken_proto::ids::ObjectId;
use hearken_proto::limits::{BLOB_LEN, OBJECT_TTL_HOURS_MAX};
use hearken_proto::object::chunk_hash;
use hearken_proto::payload::Blob;
use hearken_proto::time::{UnixDay, UnixMillis};
use rand_core::CryptoRng;
use rusqlite::{Connection, OptionalExtension, Row, params};
use zeroize::Zeroizing;

use super::keys::{self, KeyName};
use crate::contact::ContactId;
use crate::conversation::ThreadId;
use crate::file::{FileKey, Opener};
use crate::message::{FileState, MessageId};
use crate::vault::VaultError;

/// Chunks in a row: as many as a relay answers to one question.
const CHUNKS_A_ROW: u32 = 16;
/// Rows of the largest file.
const ROWS_A_FILE: i64 = 512;
/// Received files that are fetched by themselves: this large at most, in bytes.
pub(crate) const FETCHED_SIZE_MAX: u64 = 5_000_000;
/// And only as long as all that were received have together no more than this, in bytes.
pub(crate) const FETCHED_TOTAL_MAX: u64 = 200_000_000;
/// How long a relay keeps a file.
const KEPT_MS: u64 = OBJECT_TTL_HOURS_MAX as u64 * 3_600_000;

/// The numbers stand in the vault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    /// Of this side, and the relay does not have it yet.
    Uploading = 0,
    /// Of this side, and the relay has it.
    Uploaded = 1,
    /// Of the other side, at the relay.
    There = 2,
    /// Of the other side, and here.
    Here = 3,
    /// Of the other side, and no more at the relay.
    Gone = 4,
    /// Of the other side, and not what was promised.
    Broken = 5,
}

impl Stage {
    fn of(stored: i64) -> Result<Self, VaultError> {
        Ok(match stored {
            0 => Self::Uploading,
            1 => Self::Uploaded,
            2 => Self::There,
            3 => Self::Here,
            4 => Self::Gone,
            5 => Self::Broken,
            _ => return Err(VaultError::damaged_record()),
        })
    }

    pub(crate) const fn state(self) -> FileState {
        match self {
            Self::Uploading | Self::Uploaded => FileState::Own,
            Self::There => FileState::AtRelay,
            Self::Here => FileState::Here,
            Self::Gone => FileState::Gone,
            Self::Broken => FileState::Broken,
        }
    }
}

/// A file to be kept.
pub(crate) struct NewFile<'a> {
    pub(crate) thread: ThreadId,
    pub(crate) message: MessageId,
    pub(crate) object: [u8; 32],
    pub(crate) key: &'a FileKey,
    /// Of own files.
    pub(crate) write_key: Option<&'a ObjectSecretKey>,
    pub(crate) root: [u8; 32],
    pub(crate) chunks: u32,
    pub(crate) size: u64,
    pub(crate) media_type: &'a str,
    pub(crate) stage: Stage,
    pub(crate) sent_at: UnixMillis,
    /// The day on which its message is to be gone.
    pub(crate) ends: Option<UnixDay>,
}

/// What is known of a file, without what opens it.
#[derive(Clone, Debug)]
pub(crate) struct StoredFile {
    pub(crate) seq: i64,
    pub(crate) thread: ThreadId,
    pub(crate) message: MessageId,
    pub(crate) object: ObjectId,
    pub(crate) root: [u8; 32],
    pub(crate) chunks: u32,
    pub(crate) size: u64,
    pub(crate) media_type: String,
    pub(crate) stage: Stage,
    pub(crate) done: u32,
    pub(crate) until: UnixMillis,
}

impl StoredFile {
    /// The contact whose conversation it belongs to.
    pub(crate) fn contact(&self) -> ContactId {
        ContactId::from_bytes(*self.thread.as_bytes())
    }
}

const COLUMNS: &str =
    "seq, thread, message, object, root, chunks, size, type, stage, done, until_ms";

fn array<const N: usize>(row: &Row<'_>, at: usize) -> Result<[u8; N], VaultError> {
    let bytes: Vec<u8> = row.get(at)?;
    bytes.as_slice().try_into().map_err(|_| VaultError::damaged_record())
}

fn stored(row: &Row<'_>) -> Result<StoredFile, VaultError> {
    Ok(StoredFile {
        seq: row.get(0)?,
        thread: ThreadId::from_bytes(array(row, 1)?),
        message: MessageId::from_bytes(array(row, 2)?),
        object: ObjectId::from_bytes(array(row, 3)?),
        root: array(row, 4)?,
        chunks: row.get(5)?,
        size: row.get(6)?,
        media_type: row.get(7)?,
        stage: Stage::of(row.get(8)?)?,
        done: row.get(9)?,
        until: UnixMillis(row.get(10)?),
    })
}

/// Keeps a file. What is received is fetched by itself where it is small enough and there are not many.
pub(crate) fn insert(
    tx: &Connection,
    file: &NewFile<'_>,
    rng: &mut (impl CryptoRng + ?Sized),
) -> Result<i64, VaultError> {
    let key = Zeroizing::new(file.key.as_bytes().to_vec());
    let key = match file.ends {
        Some(day) => {
            Zeroizing::new(keys::seal(tx, KeyName::Day(day), file.message.as_bytes(), &key, rng)?)
        }
        None => key,
    };
    let received: u64 = tx
        .prepare_cached("SELECT coalesce(sum(size), 0) FROM file WHERE stage IN (2, 3) AND wanted")?
        .query_row([], |row| row.get(0))?;
    let wanted =
        file.size <= FETCHED_SIZE_MAX && received.saturating_add(file.size) <= FETCHED_TOTAL_MAX;
    let write_key = file.write_key.map(|key| Zeroizing::new(key.to_bytes().to_vec()));
    let until = file.sent_at.0.saturating_add(KEPT_MS);
    tx.prepare_cached(
        "INSERT INTO file (thread, message, object, key, key_day, write_key, root, chunks, size, type, stage,
             wanted, until_ms) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)",
    )?
    .execute(params![
        &file.thread.as_bytes()[..],
        &file.message.as_bytes()[..],
        &file.object[..],
        &key[..],
        file.ends.map(|day| day.0),
        write_key.as_ref().map(|key| &key[..]),
        &file.root[..],
        file.chunks,
        file.size,
        file.media_type,
        file.stage as i64,
        wanted,
        i64::try_from(until).unwrap_or(i64::MAX)
    ])?;
    Ok(tx.last_insert_rowid())
}

pub(crate) fn find(
    db: &Connection,
    thread: ThreadId,
    message: MessageId,
) -> Result<Option<StoredFile>, VaultError> {
    let mut statement = db.prepare_cached(&format!(
        "SELECT {COLUMNS} FROM file WHERE thread = ?1 AND message = ?2"
    ))?;
    let mut rows = statement.query(params![&thread.as_bytes()[..], &message.as_bytes()[..]])?;
    rows.next()?.map(stored).transpose()
}

pub(crate) fn of_seq(db: &Connection, seq: i64) -> Result<Option<StoredFile>, VaultError> {
    let mut statement = db.prepare_cached(&format!("SELECT {COLUMNS} FROM file WHERE seq = ?1"))?;
    let mut rows = statement.query([seq])?;
    rows.next()?.map(stored).transpose()
}

/// Files to be uploaded or fetched, oldest first.
pub(crate) fn under_way(db: &Connection) -> Result<Vec<StoredFile>, VaultError> {
    let mut statement = db.prepare_cached(&format!(
        "SELECT {COLUMNS} FROM file WHERE stage = 0 OR (stage = 2 AND wanted) ORDER BY seq"
    ))?;
    let mut rows = statement.query([])?;
    let mut all = Vec::new();
    while let Some(row) = rows.next()? {
        all.push(stored(row)?);
    }
    Ok(all)
}

/// Chunks that still wait for a contact's relay.
pub(crate) fn chunks_left(db: &Connection, thread: ThreadId) -> Result<u32, VaultError> {
    Ok(db
        .prepare_cached(
            "SELECT coalesce(sum(chunks - done), 0) FROM file WHERE thread = ?1 AND stage = 0",
        )?
        .query_row([&thread.as_bytes()[..]], |row| row.get(0))?)
}

/// Has a file fetched whatever its size.
pub(crate) fn want(tx: &Connection, seq: i64) -> Result<(), VaultError> {
    tx.prepare_cached("UPDATE file SET wanted = 1 WHERE seq = ?1")?.execute([seq])?;
    Ok(())
}

/// The key by which an own file is written.
pub(crate) fn write_key(db: &Connection, seq: i64) -> Result<Option<ObjectSecretKey>, VaultError> {
    let key: Option<Option<Vec<u8>>> = db
        .prepare_cached("SELECT write_key FROM file WHERE seq = ?1")?
        .query_row([seq], |row| row.get(0))
        .optional()?;
    let Some(key) = key.flatten().map(Zeroizing::new) else { return Ok(None) };
    let key: [u8; 32] = key.as_slice().try_into().map_err(|_| VaultError::damaged_record())?;
    Ok(Some(ObjectSecretKey::from_bytes(&Zeroizing::new(key))))
}

/// What opens a file; `None` where that is gone.
pub(crate) fn key(db: &Connection, seq: i64) -> Result<Option<FileKey>, VaultError> {
    let row: Option<(Vec<u8>, Option<u32>, Vec<u8>)> = db
        .prepare_cached("SELECT key, key_day, message FROM file WHERE seq = ?1")?
        .query_row([seq], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
        .optional()?;
    let Some((key, day, message)) = row else { return Ok(None) };
    let key = Zeroizing::new(key);
    let key = match day {
        None => Some(key),
        Some(day) => keys::open(db, KeyName::Day(UnixDay(day)), &message, &key)?,
    };
    let Some(key) = key else { return Ok(None) };
    let key = key.as_slice().try_into().map_err(|_| VaultError::damaged_record())?;
    Ok(Some(FileKey::from_bytes(key)))
}

/// How far a transfer has come. `false` where the file is gone.
pub(crate) fn set_done(tx: &Connection, seq: i64, done: u32) -> Result<bool, VaultError> {
    let changed = tx
        .prepare_cached("UPDATE file SET done = ?2 WHERE seq = ?1")?
        .execute(params![seq, done])?;
    Ok(changed == 1)
}

/// A file is in another stage. One that is not to be written any more has no key for that.
pub(crate) fn set_stage(tx: &Connection, seq: i64, stage: Stage) -> Result<(), VaultError> {
    tx.prepare_cached("UPDATE file SET stage = ?2, write_key = NULL WHERE seq = ?1")?
        .execute(params![seq, stage as i64])?;
    Ok(())
}

// --- chunks ---------------------------------------------------------------------------------------

fn row_of(seq: i64, place: u32) -> i64 {
    seq.saturating_mul(ROWS_A_FILE).saturating_add(i64::from(place / CHUNKS_A_ROW))
}

/// Keeps the next chunks of a file, which are in order and follow those that are kept.
pub(crate) fn push_chunks(
    tx: &Connection,
    seq: i64,
    chunks: impl IntoIterator<Item = (u32, Blob)>,
) -> Result<(), VaultError> {
    let mut row: Option<(i64, Vec<u8>)> = None;
    let write = |row: Option<(i64, Vec<u8>)>| -> Result<(), VaultError> {
        let Some((at, blobs)) = row else { return Ok(()) };
        tx.prepare_cached(
            "INSERT INTO file_chunk (at, blobs) VALUES (?1, ?2)
             ON CONFLICT (at) DO UPDATE SET blobs = CAST(blobs || excluded.blobs AS BLOB)",
        )?
        .execute(params![at, blobs])?;
        Ok(())
    };
    for (place, chunk) in chunks {
        let at = row_of(seq, place);
        if row.as_ref().is_some_and(|(open, _)| *open != at) {
            write(row.take())?;
        }
        let (_, blobs) = row.get_or_insert_with(|| (at, Vec::new()));
        blobs.extend_from_slice(&chunk.as_bytes()[..]);
    }
    write(row)
}

/// So many chunks from `first` on, as far as they are there.
pub(crate) fn chunks(
    db: &Connection,
    seq: i64,
    first: u32,
    count: usize,
) -> Result<Vec<Blob>, VaultError> {
    let mut all = Vec::with_capacity(count);
    let mut place = first;
    while all.len() < count {
        let row: Option<Vec<u8>> = db
            .prepare_cached("SELECT blobs FROM file_chunk WHERE at = ?1")?
            .query_row([row_of(seq, place)], |row| row.get(0))
            .optional()?;
        let Some(row) = row else { break };
        let within = (place % CHUNKS_A_ROW) as usize * BLOB_LEN;
        let rest = row.get(within..).unwrap_or_default().chunks_exact(BLOB_LEN);
        let before = all.len();
        for blob in rest.take(count - all.len()) {
            all.push(Blob::try_from(blob).map_err(|_| VaultError::damaged_record())?);
            place += 1;
        }
        if all.len() == before {
            break;
        }
    }
    Ok(all)
}

/// The hashes of the chunks that are kept, in order.
pub(crate) fn hashes(db: &Connection, seq: i64, count: u32) -> Result<Vec<[u8; 32]>, VaultError> {
    let mut hashes = Vec::new();
    while hashes.len() < count as usize {
        let first = u32::try_from(hashes.len()).map_err(|_| VaultError::damaged_record())?;
        let some = chunks(db, seq, first, (count as usize - hashes.len()).min(16))?;
        if some.is_empty() {
            return Err(VaultError::damaged_record());
        }
        hashes.extend(some.iter().map(chunk_hash));
    }
    Ok(hashes)
}

pub(crate) fn drop_chunks(tx: &Connection, seq: i64) -> Result<(), VaultError> {
    tx.prepare_cached("DELETE FROM file_chunk WHERE at >= ?1 AND at < ?2")?
        .execute([row_of(seq, 0), row_of(seq.saturating_add(1), 0)])?;
    Ok(())
}

/// A file that is here, opened; `None` where it is not whole here, or does not open.
pub(crate) fn open(
    db: &Connection,
    file: &StoredFile,
) -> Result<Option<Zeroizing<Vec<u8>>>, VaultError> {
    let Some(key) = key(db, file.seq)? else { return Ok(None) };
    let opener = Opener::new(&key, file.chunks, file.size);
    let size = usize::try_from(file.size).map_err(|_| VaultError::damaged_record())?;
    // Sized beforehand, so that no copy is left behind when it grows.
    let mut whole = Zeroizing::new(Vec::with_capacity(size));
    for first in (0..file.chunks).step_by(CHUNKS_A_ROW as usize) {
        for (place, chunk) in (first..).zip(chunks(db, file.seq, first, CHUNKS_A_ROW as usize)?) {
            let Ok(part) = opener.open(place, chunk.as_bytes()) else { return Ok(None) };
            whole.extend_from_slice(&part);
        }
    }
    Ok((whole.len() == size).then_some(whole))
}

#[cfg(test)]
mod tests;

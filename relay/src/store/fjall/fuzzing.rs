//! What the store reads before the engine does, as bytes, for `tests/fuzz`. Not part of the interface.

use super::bytes::Bytes;
use super::{folder, journal, manifests};

/// Reads a journal's batches from the front: how many are intact, and how many bytes they take.
#[must_use]
pub fn journal(bytes: &[u8]) -> (usize, usize) {
    let (mut count, mut at) = (0, 0);
    while let Some(len) = journal::intact_len(&bytes[at..]) {
        count += 1;
        at += len;
    }
    (count, at)
}

/// Whether any batch in a journal's damaged rest is intact.
#[must_use]
pub fn journal_rest(bytes: &[u8]) -> bool {
    journal::anything_intact(bytes)
}

/// The file `current` and a list of tables: its number and checksum, and the tables' ids.
#[must_use]
pub fn manifest(bytes: &[u8]) -> (Option<(u64, u128)>, Option<Vec<u64>>) {
    (manifests::parse_current(bytes), manifests::parse_list(bytes))
}

/// The body of a file with a checksum in front, by its label.
#[must_use]
pub fn checked<'a>(label: &[u8], bytes: &'a [u8]) -> Option<&'a [u8]> {
    folder::checked(label, bytes)
}

/// A commit record.
#[must_use]
pub fn commit_record(bytes: &[u8]) -> Option<[u8; 16]> {
    journal::CommitRecord::from_bytes(bytes).map(journal::CommitRecord::to_bytes)
}

/// What is left after the next 8 bytes, or after as many as they say.
#[must_use]
pub fn cursor(bytes: &[u8]) -> Option<usize> {
    let mut rest = Bytes(bytes);
    let len = u64::from_le_bytes(rest.take()?);
    rest.slice(usize::try_from(len).ok()?)?;
    Some(rest.0.len())
}

//! That no key seals twice with one nonce, seen on what was sealed.
//!
//! ChaCha20 adds a key stream, and what is sealed ends in zeros wherever a message is not as long as it may be: the end
//! of a ciphertext is then the key stream itself, the same for the same key and nonce and for no other. So two
//! ciphertexts that differ and end alike were sealed under one key and nonce. Random bytes that name a key (`r` of a
//! message) are held to be different in the same way.

use std::collections::BTreeMap;

use hearken_proto::cell::{Cell, Kind};
use hearken_proto::limits::{BLOB_LEN, CELL_LEN, SEALED_LEN, TAG_LEN};
use hearken_proto::payload::Blob;

/// Bytes of key stream that are compared.
const STREAM_LEN: usize = 24;
/// Where `r` stands in a blob of a joiner that was not answered yet, and well within the sealed header of any other.
const INITIAL_R: usize = 1_120;

type Stream = [u8; STREAM_LEN];

/// What was sealed so far.
#[derive(Debug, Default)]
pub struct Seals {
    blobs: BTreeMap<[u8; 32], ()>,
    names: BTreeMap<[u8; 64], ()>,
    ends: BTreeMap<Stream, ()>,
    cells: BTreeMap<Stream, Stream>,
}

/// A key that sealed twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SealedTwice(pub &'static str);

impl Seals {
    /// A message was sealed.
    ///
    /// # Errors
    /// [`SealedTwice`].
    pub fn blob(&mut self, blob: &Blob) -> Result<(), SealedTwice> {
        if self.blobs.insert(*blob.put_id().as_bytes(), ()).is_some() {
            return Ok(());
        }
        let bytes = blob.as_bytes();
        // The first 32 bytes are `r`, or the same in all blobs of a joiner, which have it later.
        let mut name = [0; 64];
        name[..32].copy_from_slice(&bytes[..32]);
        name[32..].copy_from_slice(&bytes[INITIAL_R..INITIAL_R + 32]);
        if self.names.insert(name, ()).is_some() {
            return Err(SealedTwice("the random bytes of a message"));
        }
        let end = stream_at(bytes, BLOB_LEN - TAG_LEN);
        if self.ends.insert(end, ()).is_some() {
            return Err(SealedTwice("the key of a message"));
        }
        Ok(())
    }

    /// A client or relay sent a cell. A relay that forwards sends what it got.
    ///
    /// # Errors
    /// [`SealedTwice`].
    pub fn cell(&mut self, cell: &Cell) -> Result<(), SealedTwice> {
        if cell.kind() != Kind::Data {
            return Ok(());
        }
        let bytes = cell.as_bytes();
        let sealed = stream_at(bytes, SEALED_END);
        // The tag and random bytes before it: the same only when the same cell is forwarded.
        let tag = stream_at(bytes, SEALED_END - SEALED_LEN);
        match self.cells.insert(sealed, tag) {
            Some(before) if before != tag => Err(SealedTwice("a nonce of a route session")),
            _ => Ok(()),
        }
    }

    /// Messages and cells that were looked at.
    #[must_use]
    pub fn seen(&self) -> (usize, usize) {
        (self.blobs.len(), self.cells.len())
    }
}

/// Where the sealed part of a cell ends: the padding inside the seal is the last of the cell.
const SEALED_END: usize = CELL_LEN;

fn stream_at(bytes: &[u8], end: usize) -> Stream {
    let mut stream = [0; STREAM_LEN];
    stream.copy_from_slice(&bytes[end - STREAM_LEN..end]);
    stream
}

//! The chunks of a file's object.
//!
//! Plain: the file, then zeros up to the object's size, cut into 2,384 bytes. Each piece is sealed by ChaCha20-Poly1305
//! (RFC 8439) into 2,400: key by HKDF-SHA256 (RFC 5869) from the file's key, nonce the chunk's place, AAD the number of
//! chunks and the file's size. A key seals one file once, so no nonce is used twice; what is sealed is stored before it
//! goes anywhere, and is never sealed again.

use core::fmt;

use hearken_proto::aead::{self, NONCE_LEN};
use hearken_proto::limits::{BLOB_LEN, TAG_LEN};
use hearken_proto::object::{Root, chunk_hash};
use hearken_proto::payload::Blob;
use hkdf::Hkdf;
use rand_core::CryptoRng;
use sha2::Sha256;
use zeroize::{ZeroizeOnDrop, Zeroizing};

/// Bytes of a file in one chunk.
pub(crate) const CHUNK_PLAIN_LEN: usize = BLOB_LEN - TAG_LEN;
const LABEL: &[u8] = b"hearken/1 file";
const AAD_LEN: usize = 4 + 8;

/// What opens a file: 32 random bytes, of this file alone.
#[derive(ZeroizeOnDrop)]
pub(crate) struct FileKey([u8; 32]);

impl FileKey {
    pub(crate) fn generate(rng: &mut (impl CryptoRng + ?Sized)) -> Self {
        let mut key = Self([0; 32]);
        rng.fill_bytes(&mut key.0);
        key
    }

    pub(crate) const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    pub(crate) const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    fn sealing_key(&self) -> Zeroizing<[u8; 32]> {
        let mut key = Zeroizing::new([0; 32]);
        let Ok(()) = Hkdf::<Sha256>::new(None, &self.0).expand(LABEL, &mut key[..]) else {
            unreachable!("HKDF gives 32 bytes");
        };
        key
    }
}

impl fmt::Debug for FileKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(_) = self;
        f.write_str("FileKey(..)")
    }
}

/// Seals a file into so many chunks, which hold it ([`super::chunks_for`]). Once a key.
pub(crate) fn seal<'a>(
    key: &FileKey,
    file: &'a [u8],
    chunks: u32,
) -> impl Iterator<Item = Blob> + use<'a> {
    let key = key.sealing_key();
    let aad = aad(chunks, file.len() as u64);
    (0..chunks).map(move |place| {
        let from = (place as usize * CHUNK_PLAIN_LEN).min(file.len());
        let part = &file[from..file.len().min(from + CHUNK_PLAIN_LEN)];
        let mut plain = Zeroizing::new([0; CHUNK_PLAIN_LEN]);
        plain[..part.len()].copy_from_slice(part);
        let mut blob = Box::new([0; BLOB_LEN]);
        let (sealed, tag) = blob.split_at_mut(CHUNK_PLAIN_LEN);
        let Ok(()) = aead::seal(&key, nonce(place), &aad, &plain[..], sealed, tag) else {
            unreachable!("a chunk is sealed into its length");
        };
        Blob::new(blob)
    })
}

/// The root over sealed chunks in order.
pub(crate) fn root_of<'a>(chunks: impl Iterator<Item = &'a Blob>) -> [u8; 32] {
    let mut root = Root::new();
    chunks.for_each(|chunk| root.push(&chunk_hash(chunk)));
    root.finish()
}

/// Opens the chunks of a file.
pub(crate) struct Opener {
    key: Zeroizing<[u8; 32]>,
    aad: [u8; AAD_LEN],
    size: u64,
}

/// A chunk that is not of this file at this place.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct NotOpened;

impl Opener {
    /// Of a file of `size` bytes in so many chunks.
    pub(crate) fn new(key: &FileKey, chunks: u32, size: u64) -> Self {
        Self { key: key.sealing_key(), aad: aad(chunks, size), size }
    }

    /// The bytes of the file in the chunk at `place`: none where it is all padding.
    pub(crate) fn open(
        &self,
        place: u32,
        chunk: &[u8; BLOB_LEN],
    ) -> Result<Zeroizing<Vec<u8>>, NotOpened> {
        let (sealed, tag) = chunk.split_at(CHUNK_PLAIN_LEN);
        let mut plain = Zeroizing::new(vec![0; CHUNK_PLAIN_LEN]);
        aead::open(&self.key, nonce(place), &self.aad, sealed, tag, &mut plain)
            .map_err(|_| NotOpened)?;
        let before = u64::from(place) * CHUNK_PLAIN_LEN as u64;
        let left = usize::try_from(self.size.saturating_sub(before)).unwrap_or(usize::MAX);
        plain.truncate(left);
        Ok(plain)
    }
}

impl fmt::Debug for Opener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { key: _, aad: _, size: _ } = self;
        f.write_str("Opener(..)")
    }
}

fn nonce(place: u32) -> [u8; NONCE_LEN] {
    let mut nonce = [0; NONCE_LEN];
    nonce[NONCE_LEN - 4..].copy_from_slice(&place.to_be_bytes());
    nonce
}

fn aad(chunks: u32, size: u64) -> [u8; AAD_LEN] {
    let mut aad = [0; AAD_LEN];
    aad[..4].copy_from_slice(&chunks.to_be_bytes());
    aad[4..].copy_from_slice(&size.to_be_bytes());
    aad
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::file::chunks_for;

    fn opened(key: &FileKey, chunks: &[Blob], size: usize) -> Result<Vec<u8>, NotOpened> {
        let opener = Opener::new(key, chunks.len() as u32, size as u64);
        let mut file = Vec::new();
        for (place, chunk) in chunks.iter().enumerate() {
            file.extend(opener.open(place as u32, chunk.as_bytes())?.iter());
        }
        Ok(file)
    }

    #[test]
    fn what_is_sealed_is_opened_at_every_edge_of_a_chunk() {
        let key = FileKey::from_bytes([7; 32]);
        for size in [
            1,
            CHUNK_PLAIN_LEN - 1,
            CHUNK_PLAIN_LEN,
            CHUNK_PLAIN_LEN + 1,
            8 * CHUNK_PLAIN_LEN,
            60_001,
        ] {
            let file: Vec<u8> = (0..size).map(|at| (at % 253) as u8).collect();
            let chunks: Vec<_> = seal(&key, &file, chunks_for(size).unwrap()).collect();
            assert!(opened(&key, &chunks, size).unwrap() == file);
        }
    }

    #[test]
    fn another_key_size_number_order_or_byte_opens_nothing() {
        let (key, file) = (FileKey::from_bytes([7; 32]), vec![1; 20_000]);
        let chunks: Vec<_> = seal(&key, &file, 32).collect();
        assert!(opened(&key, &chunks, 20_000).is_ok());
        assert!(opened(&FileKey::from_bytes([8; 32]), &chunks, 20_000).is_err());
        assert!(opened(&key, &chunks, 20_001).is_err());
        assert!(opened(&key, &chunks[..31], 20_000).is_err());
        let mut swapped = chunks.clone();
        swapped.swap(0, 1);
        assert!(opened(&key, &swapped, 20_000).is_err());
        let mut changed = chunks;
        let mut bytes = *changed[31].as_bytes();
        bytes[0] ^= 1;
        changed[31] = Blob::new(Box::new(bytes));
        assert!(opened(&key, &changed, 20_000).is_err());
    }

    #[test]
    fn chunks_are_as_good_as_random_and_of_one_size_whatever_the_file() {
        let (one, other) = (FileKey::from_bytes([1; 32]), FileKey::from_bytes([2; 32]));
        let zeros: Vec<_> = seal(&one, &[0; 100], 8).collect();
        for (at, chunk) in zeros.iter().enumerate() {
            assert!(zeros[..at].iter().all(|before| before.as_bytes() != chunk.as_bytes()));
        }
        let others: Vec<_> = seal(&other, &[0; 100], 8).collect();
        assert_ne!(root_of(zeros.iter()), root_of(others.iter()));
        assert_eq!(zeros.len(), others.len());
    }
}

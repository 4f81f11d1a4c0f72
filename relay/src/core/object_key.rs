//! The key of one object: it seals the object's chunks, and is itself kept sealed under the key of the object's day.
//!
//! Guarantees: a chunk opens only under its own object and index (XChaCha20-Poly1305, random nonce of 24 bytes); once
//! the day key is destroyed nobody opens any. Erased on drop.

use chacha20poly1305::aead::{Aead, Payload};
use chacha20poly1305::{Key, KeyInit, XChaCha20Poly1305, XNonce};
use hearken_proto::ids::ObjectId;
use hearken_proto::payload::Blob;
use hearken_proto::time::UnixDay;
use rand_core::CryptoRng;
use zeroize::Zeroizing;

use super::rows::corrupt;
use crate::store::{DayKeys, StoreError};

const LABEL: &[u8] = b"object key";
const NONCE_LEN: usize = 24;

/// 32 random bytes.
pub(super) struct ObjectKey(Zeroizing<[u8; 32]>);

impl ObjectKey {
    pub(super) fn generate(rng: &mut dyn CryptoRng) -> Self {
        let mut key = Zeroizing::new([0; 32]);
        rng.fill_bytes(&mut key[..]);
        Self(key)
    }

    /// The key as an object's row keeps it until `day` is over.
    pub(super) fn seal(
        &self,
        keys: &DayKeys,
        day: UnixDay,
        object: &ObjectId,
        rng: &mut dyn CryptoRng,
    ) -> Result<Vec<u8>, StoreError> {
        keys.seal(day, &[LABEL, object.as_bytes()].concat(), &self.0[..], rng)
    }

    /// The key of an object's row. [`StoreError::Expired`] once its day is over.
    pub(super) fn open(
        keys: &DayKeys,
        day: UnixDay,
        object: &ObjectId,
        sealed: &[u8],
    ) -> Result<Self, StoreError> {
        let aad = [LABEL, object.as_bytes()].concat();
        let plain = Zeroizing::new(keys.open_sealed(day, &aad, sealed)?);
        let key = plain.as_slice().try_into().map_err(|_| corrupt("an object's key"))?;
        Ok(Self(Zeroizing::new(key)))
    }

    pub(super) fn seal_chunk(
        &self,
        object: &ObjectId,
        index: u32,
        chunk: &Blob,
        rng: &mut dyn CryptoRng,
    ) -> Result<Vec<u8>, StoreError> {
        let mut nonce = [0; NONCE_LEN];
        rng.fill_bytes(&mut nonce);
        let payload = Payload { msg: &chunk.as_bytes()[..], aad: &aad(object, index) };
        let ciphertext = self
            .cipher()
            .encrypt(&XNonce::from(nonce), payload)
            .map_err(|_| corrupt("a chunk to seal"))?;
        Ok([&nonce[..], &ciphertext].concat())
    }

    pub(super) fn open_chunk(
        &self,
        object: &ObjectId,
        index: u32,
        sealed: &[u8],
    ) -> Result<Blob, StoreError> {
        sealed
            .split_first_chunk::<NONCE_LEN>()
            .and_then(|(nonce, ciphertext)| {
                let payload = Payload { msg: ciphertext, aad: &aad(object, index) };
                self.cipher().decrypt(&XNonce::from(*nonce), payload).ok()
            })
            .and_then(|plain| Blob::try_from(&plain[..]).ok())
            .ok_or_else(|| corrupt("a sealed chunk"))
    }

    fn cipher(&self) -> XChaCha20Poly1305 {
        XChaCha20Poly1305::new(&Key::from(*self.0))
    }
}

fn aad(object: &ObjectId, index: u32) -> Vec<u8> {
    [&object.as_bytes()[..], &index.to_be_bytes()].concat()
}

#[cfg(test)]
mod tests {
    use hearken_proto::limits::BLOB_LEN;
    use rand_chacha::ChaCha20Rng;
    use rand_core::SeedableRng;

    use super::*;

    #[test]
    fn a_chunk_opens_under_its_own_object_and_index_only() {
        let mut rng = ChaCha20Rng::seed_from_u64(1);
        let key = ObjectKey::generate(&mut rng);
        let (object, other) = (ObjectId::from_bytes([1; 32]), ObjectId::from_bytes([2; 32]));
        let chunk = Blob::new(Box::new([7; BLOB_LEN]));
        let sealed = key.seal_chunk(&object, 3, &chunk, &mut rng).unwrap();
        assert_eq!(key.open_chunk(&object, 3, &sealed).unwrap(), chunk);
        assert!(key.open_chunk(&object, 4, &sealed).is_err(), "moved to another index");
        assert!(key.open_chunk(&other, 3, &sealed).is_err(), "moved to another object");
        assert!(ObjectKey::generate(&mut rng).open_chunk(&object, 3, &sealed).is_err());
    }
}

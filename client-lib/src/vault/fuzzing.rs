//! Slot files as bytes, for `tests/fuzz`. Not part of the interface.

use rand_core::CryptoRng;
use sha2::{Digest, Sha256};

use super::data_key::DataKey;
use super::kdf_cost::KdfCost;
use super::slots::{SLOT_FILE_LEN, SlotFile};

/// A slot file, written again. `None` where it is refused.
#[must_use]
pub fn slots(bytes: &[u8]) -> Option<Vec<u8>> {
    SlotFile::parse(bytes).ok().map(|file| file.to_bytes())
}

/// The same with its checksum put right, so that more than the checksum is looked at.
#[must_use]
pub fn slots_checked(bytes: &[u8]) -> Option<Vec<u8>> {
    let content = bytes.get(..SLOT_FILE_LEN - 32)?;
    slots(&[content, &Sha256::digest(content)[..]].concat())
}

/// An honest slot file.
#[must_use]
pub fn honest_slots(rng: &mut dyn CryptoRng) -> Option<Vec<u8>> {
    let key = DataKey::from_slice(&[7; 32]);
    SlotFile::create(KdfCost::MINIMUM, b"passphrase", b"recovery", &key, rng)
        .ok()
        .map(|(f, _)| f.to_bytes())
}

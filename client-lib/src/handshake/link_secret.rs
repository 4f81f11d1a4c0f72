//! The 32-byte secret of an invitation link, and what comes of it.

use core::fmt;

use rand_core::CryptoRng;
use zeroize::{ZeroizeOnDrop, Zeroizing};

use crate::ratchet::kdf;
use crate::ratchet::one_time_key::OneTimeKey;

const WRITE_KEY_LABEL: &[u8] = b"hearken/1 invitation write key";
const SEALING_LABEL: &[u8] = b"hearken/1 invitation sealing key";
const SALT_LABEL: &[u8] = b"hearken/1 invitation handshake salt";

/// Whoever has it can read the card and join. HKDF-SHA256 gives from it, one label each: the private key that writes
/// the card's object (so its id), the key that seals the card once, and the salt of the handshake.
#[derive(ZeroizeOnDrop)]
pub struct LinkSecret([u8; Self::LEN]);

impl LinkSecret {
    /// Length in bytes.
    pub const LEN: usize = 32;

    /// Draws 32 bytes.
    #[must_use]
    pub fn generate(rng: &mut (impl CryptoRng + ?Sized)) -> Self {
        let mut bytes = Zeroizing::new([0; Self::LEN]);
        rng.fill_bytes(&mut bytes[..]);
        Self(*bytes)
    }

    /// Takes the 32 bytes of a link.
    #[must_use]
    pub fn from_bytes(bytes: &[u8; Self::LEN]) -> Self {
        Self(*bytes)
    }

    /// The 32 bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; Self::LEN] {
        &self.0
    }

    /// The X25519 private key that writes the object of the sealed card; the object's id is the hash of its public
    /// half.
    #[must_use]
    pub fn object_write_key(&self) -> Zeroizing<[u8; 32]> {
        self.derive(WRITE_KEY_LABEL)
    }

    /// Seals one card, always the same.
    pub(super) fn sealing_key(&self) -> OneTimeKey {
        OneTimeKey::from_bytes(*self.derive(SEALING_LABEL))
    }

    pub(super) fn handshake_salt(&self) -> Zeroizing<[u8; 32]> {
        self.derive(SALT_LABEL)
    }

    fn derive(&self, label: &[u8]) -> Zeroizing<[u8; 32]> {
        kdf::derive(&[0; 32], &[&self.0], &[label])
    }
}

impl fmt::Debug for LinkSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(_) = self;
        f.write_str("LinkSecret(..)")
    }
}

//! What every blob of a joiner begins with until it is answered: X25519 key 32 ‖ ML-KEM ciphertext 1,088.

use core::fmt;

use hearken_proto::limits::BLOB_LEN;
use subtle::ConstantTimeEq;

use super::kem::{CT_LEN, Ciphertext};
use super::layout::PREFIX_LEN;

/// The 1,120 bytes. Not secret (a relay sees them), but compared in constant time like all that comes in.
pub(crate) struct Prefix(Box<[u8; PREFIX_LEN]>);

impl Prefix {
    pub(crate) fn new(agreement_key: &[u8; 32], ct: &Ciphertext) -> Self {
        let mut bytes = Box::new([0; PREFIX_LEN]);
        bytes[..32].copy_from_slice(agreement_key);
        bytes[32..].copy_from_slice(ct.as_bytes());
        Self(bytes)
    }

    pub(crate) fn from_bytes(bytes: &[u8; PREFIX_LEN]) -> Self {
        Self(Box::new(*bytes))
    }

    /// What `blob` begins with.
    pub(crate) fn of(blob: &[u8; BLOB_LEN]) -> Self {
        let mut bytes = Box::new([0; PREFIX_LEN]);
        bytes.copy_from_slice(&blob[..PREFIX_LEN]);
        Self(bytes)
    }

    pub(crate) fn as_bytes(&self) -> &[u8; PREFIX_LEN] {
        &self.0
    }

    pub(crate) fn agreement_key(&self) -> [u8; 32] {
        let mut key = [0; 32];
        key.copy_from_slice(&self.0[..32]);
        key
    }

    pub(crate) fn ciphertext(&self) -> Ciphertext {
        let mut ct = [0; CT_LEN];
        ct.copy_from_slice(&self.0[32..]);
        Ciphertext::from_bytes(&ct)
    }

    /// Whether `blob` begins with it.
    pub(crate) fn begins(&self, blob: &[u8; BLOB_LEN]) -> bool {
        self.0[..].ct_eq(&blob[..PREFIX_LEN]).into()
    }
}

impl fmt::Debug for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Prefix(..)")
    }
}

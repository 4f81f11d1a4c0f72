//! The root key of the Diffie-Hellman ratchet: `KDF_RK_HE` of Signal's specification, section 4.3.

use x25519_dalek::SharedSecret;

use super::chain_key::ChainKey;
use super::header_key::HeaderKey;
use super::kdf;
use super::secret::secret;

const STEP_LABEL: &[u8] = b"hearken/1 ec root step";

secret! {
    /// Moves on with every turn of the Diffie-Hellman ratchet.
    RootKey
}

impl RootKey {
    /// The next root, the chain that this agreement opens, and the header key of the chain *after* that one.
    pub(crate) fn step(&self, agreed: &SharedSecret) -> (Self, ChainKey, HeaderKey) {
        let derived = kdf::derive::<96>(self.as_bytes(), &[agreed.as_bytes()], &[STEP_LABEL]);
        (
            Self::from_bytes(kdf::part(&derived, 0)),
            ChainKey::from_bytes(kdf::part(&derived, 1)),
            HeaderKey::from_bytes(kdf::part(&derived, 2)),
        )
    }
}

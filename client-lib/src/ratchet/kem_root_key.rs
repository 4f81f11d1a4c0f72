//! The root key of the KEM ratchet. Each step takes in one encapsulated secret and gives both directions a chain.

use super::chain_key::ChainKey;
use super::kdf;
use super::kem::{Ciphertext, EncapsulationKey, KemSecret};
use super::secret::secret;

const STEP_LABEL: &[u8] = b"hearken/1 kem root step";
const INVITER_LABEL: &[u8] = b"hearken/1 kem chain inviter";
const JOINER_LABEL: &[u8] = b"hearken/1 kem chain joiner";

secret! {
    /// Moves on with every epoch of the KEM ratchet.
    KemRootKey
}

/// The chains of one KEM epoch, named by who sends on them.
pub(crate) struct KemChains {
    pub(crate) inviter: ChainKey,
    pub(crate) joiner: ChainKey,
}

impl KemRootKey {
    /// The chains of epoch 0, which has no encapsulation of its own.
    pub(crate) fn first_chains(&self) -> KemChains {
        KemChains {
            inviter: ChainKey::from_bytes(*kdf::expand(self.as_bytes(), &[INVITER_LABEL])),
            joiner: ChainKey::from_bytes(*kdf::expand(self.as_bytes(), &[JOINER_LABEL])),
        }
    }

    /// The root and the chains of `epoch`, bound to what was said to reach it.
    pub(crate) fn step(
        &self,
        epoch: u32,
        ek: &EncapsulationKey,
        ct: &Ciphertext,
        secret: &KemSecret,
    ) -> (Self, KemChains) {
        let derived = kdf::derive::<96>(
            self.as_bytes(),
            &[secret.as_bytes()],
            &[STEP_LABEL, &epoch.to_be_bytes(), ek.as_bytes(), ct.as_bytes()],
        );
        let chains = KemChains {
            inviter: ChainKey::from_bytes(kdf::part(&derived, 1)),
            joiner: ChainKey::from_bytes(kdf::part(&derived, 2)),
        };
        (Self::from_bytes(kdf::part(&derived, 0)), chains)
    }
}

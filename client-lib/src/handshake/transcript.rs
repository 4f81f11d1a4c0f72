//! What both sides said, in one hash, and the first keys, which depend on all of it.

use sha2::{Digest, Sha256};
use x25519_dalek::SharedSecret;
use zeroize::Zeroizing;

use super::safety_code::SafetyCode;
use crate::ratchet::header_key::HeaderKey;
use crate::ratchet::kdf;
use crate::ratchet::kem::KemSecret;
use crate::ratchet::kem_root_key::KemRootKey;
use crate::ratchet::prefix::Prefix;
use crate::ratchet::root_key::RootKey;
use crate::ratchet::secret::secret;
use crate::ratchet::session::FirstKeys;

const TRANSCRIPT_LABEL: &[u8] = b"hearken/1 handshake";
const SAFETY_LABEL: &[u8] = b"hearken/1 safety code";
const ROOT_LABEL: &[u8] = b"hearken/1 ec root";
const KEM_ROOT_LABEL: &[u8] = b"hearken/1 kem root";
const JOINER_HEADER_LABEL: &[u8] = b"hearken/1 header joiner";
const INVITER_HEADER_LABEL: &[u8] = b"hearken/1 header inviter";

/// SHA-256 over the label (with the version), the length of the card and the card (with both its keys), the joiner's
/// X25519 key and its ciphertext.
pub(super) struct Transcript([u8; 32]);

impl Transcript {
    pub(super) fn new(card: &[u8], prefix: &Prefix) -> Self {
        let length = u32::try_from(card.len()).unwrap_or(u32::MAX);
        let hash = Sha256::new()
            .chain_update(TRANSCRIPT_LABEL)
            .chain_update(length.to_be_bytes())
            .chain_update(card)
            .chain_update(prefix.as_bytes())
            .finalize();
        Self(hash.into())
    }

    #[cfg(test)]
    pub(super) fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// What people compare.
    pub(super) fn safety_code(&self) -> SafetyCode {
        let hash: [u8; 32] =
            Sha256::new().chain_update(SAFETY_LABEL).chain_update(self.0).finalize().into();
        let mut code = [0; SafetyCode::LEN];
        code.copy_from_slice(&hash[..SafetyCode::LEN]);
        SafetyCode::from_bytes(code)
    }
}

secret! {
    /// `SK0`: what the handshake agrees on.
    SharedKey
}

impl SharedKey {
    /// `HKDF(DH ‖ kem_ss, salt = handshake salt, info = transcript)`.
    pub(super) fn agree(
        handshake_salt: &[u8; 32],
        agreed: &SharedSecret,
        kem_secret: &KemSecret,
        transcript: &Transcript,
    ) -> Self {
        let key: Zeroizing<[u8; 32]> = kdf::derive(
            handshake_salt,
            &[agreed.as_bytes(), kem_secret.as_bytes()],
            &[&transcript.0],
        );
        Self::from_bytes(*key)
    }

    /// The keys that the ratchet begins with, by label.
    pub(super) fn first_keys(&self) -> FirstKeys {
        let key = |label: &[u8]| *kdf::expand::<32>(self.as_bytes(), &[label]);
        FirstKeys {
            root: RootKey::from_bytes(key(ROOT_LABEL)),
            kem_root: KemRootKey::from_bytes(key(KEM_ROOT_LABEL)),
            joiner_header: HeaderKey::from_bytes(key(JOINER_HEADER_LABEL)),
            inviter_header: HeaderKey::from_bytes(key(INVITER_HEADER_LABEL)),
        }
    }
}

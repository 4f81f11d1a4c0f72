//! The key of one message: `HKDF(mk_ec ‖ mk_pq, r ‖ header)`.
//!
//! An attacker needs both ratchets to find it. `r` (32 random bytes) makes it differ between a state and that state
//! restored from a snapshot; the sealed header makes it differ from that of any other place.

use super::kdf;
use super::one_time_key::OneTimeKey;
use super::secret::secret;

const MESSAGE_LABEL: &[u8] = b"hearken/1 message";

secret! {
    /// What one of the two ratchets adds to a message's key.
    PartialKey
}

/// The key that seals the body of the message with this `r` and this sealed header.
pub(crate) fn message_key(
    ec: &PartialKey,
    kem: &PartialKey,
    r: &[u8; 32],
    sealed_header: &[u8],
) -> OneTimeKey {
    let key = kdf::derive::<32>(
        &[0; 32],
        &[ec.as_bytes(), kem.as_bytes()],
        &[MESSAGE_LABEL, r, sealed_header],
    );
    OneTimeKey::from_bytes(*key)
}

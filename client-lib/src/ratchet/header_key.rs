//! The key that hides the headers of one chain (Signal's specification, section 4).

use super::kdf;
use super::one_time_key::OneTimeKey;
use super::secret::secret;

const SEAL_LABEL: &[u8] = b"hearken/1 header seal";

secret! {
    /// Serves every header of one chain, through a key of each message's own.
    HeaderKey
}

impl HeaderKey {
    /// The key that seals the header of the message with this `r`.
    pub(crate) fn for_message(&self, r: &[u8; 32]) -> OneTimeKey {
        OneTimeKey::from_bytes(*kdf::expand(self.as_bytes(), &[SEAL_LABEL, r]))
    }
}

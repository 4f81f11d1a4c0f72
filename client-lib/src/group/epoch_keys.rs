//! The keys that an epoch gives its members beside MLS' own: of its feed, and of what is sealed on it.
//!
//! They come from the MLS exporter (RFC 9420, 8.5), so every member of an epoch has them and nobody else. They are kept
//! for a while after the epoch, as long as late messages are read.

use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{Key, XChaCha20Poly1305, XNonce};
use zeroize::{Zeroize, ZeroizeOnDrop};

use super::error::Malformed;

/// Bytes of a nonce, random.
const NONCE_LEN: usize = 24;
const TAG_LEN: usize = 16;
/// What sealing adds: nonce and tag.
pub(crate) const SEALED_OVERHEAD: usize = NONCE_LEN + TAG_LEN;

/// What a sealed thing is: nothing that is sealed as one is opened as another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sealed {
    /// An entry of the feed.
    Entry,
    /// A commit, in an object.
    Commit,
}

/// The keys of an epoch.
#[derive(Zeroize, ZeroizeOnDrop)]
pub(crate) struct EpochKeys {
    feed: [u8; 32],
    entry: [u8; 32],
    commit: [u8; 32],
}

impl EpochKeys {
    /// Length of what the exporter gives, and of what is kept.
    pub(crate) const LEN: usize = 96;
    /// The exporter's label.
    pub(crate) const LABEL: &'static str = "hearken/1 group epoch";

    pub(crate) fn from_bytes(bytes: &[u8]) -> Result<Self, Malformed> {
        let part = |at: usize| bytes.get(at..at + 32)?.try_into().ok();
        let keys = (part(0), part(32), part(64));
        match keys {
            (Some(feed), Some(entry), Some(commit)) if bytes.len() == Self::LEN => {
                Ok(Self { feed, entry, commit })
            }
            _ => Err(Malformed),
        }
    }

    /// What the keys of the epoch's feed at the relay are derived from.
    pub(crate) fn feed(&self) -> &[u8; 32] {
        &self.feed
    }

    fn key(&self, what: Sealed) -> &[u8; 32] {
        match what {
            Sealed::Entry => &self.entry,
            Sealed::Commit => &self.commit,
        }
    }

    /// Seals under a nonce that the caller drew at random.
    pub(crate) fn seal(
        &self,
        what: Sealed,
        nonce: [u8; NONCE_LEN],
        bytes: &[u8],
    ) -> Result<Vec<u8>, Malformed> {
        let cipher = XChaCha20Poly1305::new(&Key::from(*self.key(what)));
        let sealed = cipher
            .encrypt(&XNonce::from(nonce), Payload { msg: bytes, aad: &[] })
            .map_err(|_| Malformed)?;
        Ok([&nonce[..], &sealed].concat())
    }

    /// Opens what [`EpochKeys::seal`] made.
    pub(crate) fn open(&self, what: Sealed, sealed: &[u8]) -> Result<Vec<u8>, Malformed> {
        let (nonce, sealed) = sealed.split_first_chunk::<NONCE_LEN>().ok_or(Malformed)?;
        let cipher = XChaCha20Poly1305::new(&Key::from(*self.key(what)));
        cipher.decrypt(&XNonce::from(*nonce), sealed).map_err(|_| Malformed)
    }
}

impl core::fmt::Debug for EpochKeys {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let Self { feed: _, entry: _, commit: _ } = self;
        f.write_str("EpochKeys(..)")
    }
}

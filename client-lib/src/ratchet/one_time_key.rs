//! A ChaCha20-Poly1305 key (RFC 8439) that seals or opens one thing, with nonce 0 and no associated data.
//!
//! Sealing consumes the key, so the pair of key and nonce cannot be used twice by one holder. What makes keys differ
//! between a snapshot and its rolled-back twin is the caller's `r`.

use chacha20poly1305::aead::AeadInOut;
use chacha20poly1305::aead::inout::InOutBuf;
use chacha20poly1305::{ChaCha20Poly1305, KeyInit, Nonce, Tag};
use hearken_proto::limits::TAG_LEN;

use super::secret::secret;

secret! {
    /// Seals or opens once.
    OneTimeKey
}

/// What did not open.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct NotOpened;

impl OneTimeKey {
    /// Seals all of `buffer` but its last 16 bytes in place; those become the tag.
    pub(crate) fn seal(self, buffer: &mut [u8]) {
        let Some((plain, tag)) = buffer.split_last_chunk_mut::<TAG_LEN>() else {
            unreachable!("a buffer is sized with its tag");
        };
        let cipher = ChaCha20Poly1305::new(&(*self.as_bytes()).into());
        let Ok(sealed) =
            cipher.encrypt_inout_detached(&Nonce::default(), &[], InOutBuf::from(plain))
        else {
            unreachable!("a blob is shorter than the cipher's limit");
        };
        tag.copy_from_slice(&sealed);
    }

    /// Opens `sealed` (ciphertext and 16-byte tag) into `plain`, which is 16 bytes shorter.
    pub(crate) fn open(self, sealed: &[u8], plain: &mut [u8]) -> Result<(), NotOpened> {
        let (cipher_text, tag) = sealed.split_last_chunk::<TAG_LEN>().ok_or(NotOpened)?;
        if cipher_text.len() != plain.len() {
            return Err(NotOpened);
        }
        plain.copy_from_slice(cipher_text);
        ChaCha20Poly1305::new(&(*self.as_bytes()).into())
            .decrypt_inout_detached(&Nonce::default(), &[], InOutBuf::from(plain), &Tag::from(*tag))
            .map_err(|_| NotOpened)
    }
}

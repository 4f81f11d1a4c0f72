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
        #[cfg(test)]
        record::SEALED_WITH.with_borrow_mut(|keys| keys.push(*self.as_bytes()));
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
        #[cfg(test)]
        record::OPENED.with(|count| count.set(count.get() + 1));
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

/// What the tests of this thread sealed with, so that a key used twice is seen wherever it was used.
#[cfg(test)]
pub(crate) mod record {
    use std::cell::{Cell, RefCell};
    use std::collections::BTreeSet;

    thread_local! {
        pub(super) static SEALED_WITH: RefCell<Vec<[u8; 32]>> = const { RefCell::new(Vec::new()) };
        pub(super) static OPENED: Cell<usize> = const { Cell::new(0) };
    }

    /// Begins to record anew.
    pub(crate) fn clear() {
        SEALED_WITH.with_borrow_mut(Vec::clear);
        OPENED.set(0);
    }

    /// Keys that sealed, and how many of them are different.
    pub(crate) fn sealed() -> (usize, usize) {
        SEALED_WITH.with_borrow(|keys| (keys.len(), keys.iter().collect::<BTreeSet<_>>().len()))
    }

    /// How often something was tried to be opened.
    pub(crate) fn opened() -> usize {
        OPENED.get()
    }
}

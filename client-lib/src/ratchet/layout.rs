//! Where things stand in the 2,400 bytes of a blob.
//!
//! Ordinary: `r` 32 ‖ sealed header 1,253 ‖ sealed body 1,115. Initial, by a joiner that was not answered yet:
//! X25519 key 32 ‖ ML-KEM ciphertext 1,088 ‖ `r` 32 ‖ sealed header 69 ‖ sealed body 1,179. Which of the two belongs
//! to the chain, not to the message: a joiner's first chain is initial, every other is ordinary.

use core::ops::Range;

use hearken_proto::limits::{BLOB_LEN, TAG_LEN};

use super::kem::{CT_LEN, EK_LEN};

/// Random bytes of each message.
pub(crate) const R_LEN: usize = 32;
/// What an initial blob begins with: the joiner's X25519 key and its ML-KEM ciphertext.
pub(crate) const PREFIX_LEN: usize = 32 + CT_LEN;
/// Header without a KEM part: key, five numbers, kind.
pub(crate) const HEADER_FIXED_LEN: usize = 32 + 5 * 4 + 1;
/// Length of the content before it.
pub(crate) const BODY_LENGTH_LEN: usize = 2;

/// Content bytes that fit an ordinary blob.
pub const ORDINARY_BODY_MAX: usize = Layout::Ordinary.body_max();
/// Content bytes that fit an initial blob.
pub const INITIAL_BODY_MAX: usize = Layout::Initial.body_max();
/// Content bytes that fit every blob.
pub const BODY_MAX: usize = ORDINARY_BODY_MAX;

/// One of the two ways in which a blob is laid out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Layout {
    Initial,
    Ordinary,
}

impl Layout {
    const fn start(self) -> usize {
        match self {
            Self::Initial => PREFIX_LEN,
            Self::Ordinary => 0,
        }
    }

    /// Length of the header before it is sealed.
    pub(crate) const fn header_len(self) -> usize {
        match self {
            Self::Initial => HEADER_FIXED_LEN,
            Self::Ordinary => HEADER_FIXED_LEN + EK_LEN,
        }
    }

    const fn body_start(self) -> usize {
        self.start() + R_LEN + self.header_len() + TAG_LEN
    }

    /// Length of the body before it is sealed: length, content, zeros.
    pub(crate) const fn body_len(self) -> usize {
        BLOB_LEN - self.body_start() - TAG_LEN
    }

    /// Content that the body has room for.
    pub(crate) const fn body_max(self) -> usize {
        self.body_len() - BODY_LENGTH_LEN
    }

    pub(crate) const fn r(self) -> Range<usize> {
        self.start()..self.start() + R_LEN
    }

    /// The sealed header with its tag.
    pub(crate) const fn header(self) -> Range<usize> {
        self.start() + R_LEN..self.body_start()
    }

    /// The sealed body with its tag.
    pub(crate) const fn body(self) -> Range<usize> {
        self.body_start()..BLOB_LEN
    }

    /// The 32 bytes of `r`.
    pub(crate) fn r_of(self, blob: &[u8; BLOB_LEN]) -> [u8; R_LEN] {
        let mut r = [0; R_LEN];
        r.copy_from_slice(&blob[self.r()]);
        r
    }
}

const _: () = {
    assert!(PREFIX_LEN == 1_120);
    assert!(ORDINARY_BODY_MAX == 1_097);
    assert!(INITIAL_BODY_MAX == 1_161);
    assert!(BODY_MAX >= 1_024 && BODY_MAX <= INITIAL_BODY_MAX);
};

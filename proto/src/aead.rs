//! ChaCha20-Poly1305 (RFC 8439) over cells and blobs: the cipher that a relay spends its time in.
//!
//! By AWS-LC, which `rustls` brings along already: its assembly takes a third of the time of a portable implementation
//! that a program for every x86-64 can have, whose vector code is not inlined where the processor is asked only when it
//! runs. Guarantees: AWS-LC's copy of a key is erased when the call ends; what does not open yields nothing. Not here:
//! nonces, which callers count or draw.

use aws_lc_rs::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, Nonce, UnboundKey};
use zeroize::Zeroize;

/// Bytes of a key.
pub const KEY_LEN: usize = 32;
/// Bytes of a nonce, never used twice under a key.
pub const NONCE_LEN: usize = 12;

/// Sealing or opening failed: a tag that does not hold, or buffers of unequal lengths.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("bytes that cannot be sealed or opened")]
pub struct AeadError;

/// Seals `plain` into `sealed`, which is as long, and a tag of 16 bytes.
///
/// # Errors
/// [`AeadError`] where the lengths are not these.
pub fn seal(
    key: &[u8; KEY_LEN],
    nonce: [u8; NONCE_LEN],
    aad: &[u8],
    plain: &[u8],
    sealed: &mut [u8],
    tag: &mut [u8],
) -> Result<(), AeadError> {
    let nonce = Nonce::assume_unique_for_key(nonce);
    cipher(key)?
        .seal_out_of_place_scatter(nonce, Aad::from(aad), plain, sealed, &[], tag)
        .map_err(|_| AeadError)
}

/// Opens `sealed` into `plain`, which is as long. After an error `plain` is zero.
///
/// # Errors
/// [`AeadError`] where key, nonce, AAD, bytes or tag are not those of [`seal`].
pub fn open(
    key: &[u8; KEY_LEN],
    nonce: [u8; NONCE_LEN],
    aad: &[u8],
    sealed: &[u8],
    tag: &[u8],
    plain: &mut [u8],
) -> Result<(), AeadError> {
    let nonce = Nonce::assume_unique_for_key(nonce);
    let opened = cipher(key)?.open_separate_gather(nonce, Aad::from(aad), sealed, tag, plain);
    opened.map_err(|_| {
        // Nothing unauthenticated leaves this place.
        plain.zeroize();
        AeadError
    })
}

fn cipher(key: &[u8; KEY_LEN]) -> Result<LessSafeKey, AeadError> {
    UnboundKey::new(&CHACHA20_POLY1305, key).map(LessSafeKey::new).map_err(|_| AeadError)
}

#[cfg(test)]
mod tests {
    use chacha20poly1305::aead::{Aead, Payload};
    use chacha20poly1305::{ChaCha20Poly1305, KeyInit};

    use super::*;
    use crate::limits::TAG_LEN;

    #[test]
    fn it_is_the_cipher_that_another_implementation_knows() {
        for len in [0, 1, 63, 64, 65, 2_400, 2_579] {
            let plain: Vec<u8> = (0..len).map(|at| (at % 251) as u8).collect();
            let (key, nonce, aad) = ([7; KEY_LEN], [9; NONCE_LEN], &b"aad"[..]);
            let (mut sealed, mut tag) = (vec![0; len], [0; TAG_LEN]);
            seal(&key, nonce, aad, &plain, &mut sealed, &mut tag).unwrap();
            let other = ChaCha20Poly1305::new(&key.into());
            let theirs = other.encrypt(&nonce.into(), Payload { msg: &plain, aad }).unwrap();
            assert_eq!([&sealed[..], &tag].concat(), theirs);
            let mut opened = vec![0; len];
            open(&key, nonce, aad, &sealed, &tag, &mut opened).unwrap();
            assert_eq!(opened, plain);
        }
    }

    #[test]
    fn any_other_key_nonce_aad_byte_tag_or_length_opens_nothing() {
        let (key, nonce, plain) = ([1; KEY_LEN], [2; NONCE_LEN], [3; 100]);
        let (mut sealed, mut tag) = ([0; 100], [0; TAG_LEN]);
        seal(&key, nonce, b"a", &plain, &mut sealed, &mut tag).unwrap();
        let (mut other_sealed, mut other_tag) = (sealed, tag);
        other_sealed[99] ^= 1;
        other_tag[15] ^= 1;
        let refused = |key, nonce, aad: &[u8], sealed: &[u8], tag: &[u8]| {
            let mut out = [0xff; 100];
            let opened = open(&key, nonce, aad, sealed, tag, &mut out);
            assert_eq!(out, [0; 100], "something came out");
            assert_eq!(opened, Err(AeadError));
        };
        refused([9; KEY_LEN], nonce, b"a", &sealed, &tag);
        refused(key, [9; NONCE_LEN], b"a", &sealed, &tag);
        refused(key, nonce, b"b", &sealed, &tag);
        refused(key, nonce, b"a", &other_sealed, &tag);
        refused(key, nonce, b"a", &sealed, &other_tag);
        refused(key, nonce, b"a", &sealed[..99], &tag);
        refused(key, nonce, b"a", &sealed, &tag[..15]);
        assert_eq!(seal(&key, nonce, b"", &plain, &mut sealed[..99], &mut tag), Err(AeadError));
        assert_eq!(seal(&key, nonce, b"", &plain, &mut sealed, &mut tag[..15]), Err(AeadError));
    }
}

//! HKDF-SHA256 (RFC 5869), the only key derivation of handshake and ratchet. Every derivation has a label.

use hkdf::{Hkdf, HkdfExtract};
use sha2::Sha256;
use zeroize::Zeroizing;

/// Extract with `salt` and the joined `input`, then expand to `N` bytes with the joined `info`.
pub(crate) fn derive<const N: usize>(
    salt: &[u8],
    input: &[&[u8]],
    info: &[&[u8]],
) -> Zeroizing<[u8; N]> {
    let mut extract = HkdfExtract::<Sha256>::new(Some(salt));
    for part in input {
        extract.input_ikm(part);
    }
    let (mut key, expander) = extract.finalize();
    zeroize::Zeroize::zeroize(key.as_mut_slice());
    expand_with(&expander, info)
}

/// Expand a key that is already uniform to `N` bytes with the joined `info`.
pub(crate) fn expand<const N: usize>(key: &[u8; 32], info: &[&[u8]]) -> Zeroizing<[u8; N]> {
    let Ok(expander) = Hkdf::<Sha256>::from_prk(key) else {
        unreachable!("a key of 32 bytes is as long as the hash");
    };
    expand_with(&expander, info)
}

fn expand_with<const N: usize>(expander: &Hkdf<Sha256>, info: &[&[u8]]) -> Zeroizing<[u8; N]> {
    let mut out = Zeroizing::new([0; N]);
    if expander.expand_multi_info(info, &mut out[..]).is_err() {
        unreachable!("HKDF-SHA256 expands to 8,160 bytes");
    }
    out
}

/// A part of a longer derivation. `from + 32` is at most `N` in every caller.
pub(crate) fn part<const N: usize>(derived: &[u8; N], index: usize) -> [u8; 32] {
    let mut out = [0; 32];
    out.copy_from_slice(&derived[index * 32..(index + 1) * 32]);
    out
}

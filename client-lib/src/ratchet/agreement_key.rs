//! An X25519 private key (RFC 7748), and the one way in which it is used.

use core::fmt;

use rand_core::CryptoRng;
use x25519_dalek::{PublicKey, SharedSecret, StaticSecret};
use zeroize::Zeroizing;

/// A point of small order: the agreed secret would not depend on our key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NonContributory;

/// Our half of a Diffie-Hellman agreement. Erased on drop by the library.
pub(crate) struct AgreementKey(StaticSecret);

impl AgreementKey {
    /// Draws 32 bytes.
    pub(crate) fn generate(rng: &mut (impl CryptoRng + ?Sized)) -> Self {
        let mut bytes = Zeroizing::new([0; 32]);
        rng.fill_bytes(&mut bytes[..]);
        Self::from_bytes(&bytes)
    }

    /// Takes the 32 bytes of a key, not clamped.
    pub(crate) fn from_bytes(bytes: &[u8; 32]) -> Self {
        Self(StaticSecret::from(*bytes))
    }

    /// The 32 bytes, not clamped.
    pub(crate) fn as_bytes(&self) -> &[u8; 32] {
        self.0.as_bytes()
    }

    /// The public half, 32 bytes.
    pub(crate) fn public(&self) -> [u8; 32] {
        PublicKey::from(&self.0).to_bytes()
    }

    /// The secret shared with the holder of `their_public`, refused where our key made no difference.
    pub(crate) fn agree(&self, their_public: &[u8; 32]) -> Result<SharedSecret, NonContributory> {
        let shared = self.0.diffie_hellman(&PublicKey::from(*their_public));
        if shared.was_contributory() { Ok(shared) } else { Err(NonContributory) }
    }
}

impl fmt::Debug for AgreementKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(_) = self;
        f.write_str("AgreementKey(..)")
    }
}

/// The points of small order on Curve25519 and its twist, with the encodings above the field's prime that reduce to
/// them (the top bit is masked by X25519, so each counts twice).
#[cfg(test)]
pub(crate) fn small_order_points() -> Vec<[u8; 32]> {
    let hex = [
        "0000000000000000000000000000000000000000000000000000000000000000",
        "0100000000000000000000000000000000000000000000000000000000000000",
        "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
        "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
        "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    ];
    let mut points = Vec::new();
    for text in hex {
        let mut point = [0; 32];
        point.copy_from_slice(&data_encoding::HEXLOWER.decode(text.as_bytes()).unwrap());
        points.push(point);
        point[31] |= 0x80;
        points.push(point);
    }
    points
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_point_of_small_order_is_refused_and_an_honest_one_is_not() {
        let ours = AgreementKey::from_bytes(&[7; 32]);
        for point in small_order_points() {
            assert!(matches!(ours.agree(&point), Err(NonContributory)), "{point:02x?}");
        }
        let theirs = AgreementKey::from_bytes(&[9; 32]);
        let one = ours.agree(&theirs.public()).unwrap();
        assert_eq!(one.as_bytes(), theirs.agree(&ours.public()).unwrap().as_bytes());
    }
}

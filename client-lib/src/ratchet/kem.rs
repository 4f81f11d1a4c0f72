//! ML-KEM-768 (FIPS 203) as handshake and ratchet use it. The random bytes are drawn here, never by the library, so
//! that the order of draws is ours and a second model can repeat it.

use core::fmt;

use ml_kem::array::Array;
use ml_kem::kem::{Decapsulate, KeyExport};
use ml_kem::{DecapsulationKey768, EncapsulationKey768};
use rand_core::CryptoRng;
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use super::secret::secret;

/// Length of an encapsulation key in bytes.
pub(crate) const EK_LEN: usize = 1_184;
/// Length of a ciphertext in bytes.
pub(crate) const CT_LEN: usize = 1_088;
/// Length of the seed `d ‖ z` of a decapsulation key in bytes.
pub(crate) const SEED_LEN: usize = 64;

secret! {
    /// What an encapsulation gives both sides, 32 bytes.
    KemSecret
}

/// Bytes that are no encapsulation key: FIPS 203 section 7.2, the modulus check.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct InvalidEncapsulationKey;

/// A checked encapsulation key. Public; kept as its 1,184 bytes and expanded when it is used.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct EncapsulationKey(Box<[u8; EK_LEN]>);

impl EncapsulationKey {
    /// Takes 1,184 bytes and checks them.
    pub(crate) fn from_bytes(bytes: &[u8; EK_LEN]) -> Result<Self, InvalidEncapsulationKey> {
        EncapsulationKey768::new(&Array::from(*bytes)).map_err(|_| InvalidEncapsulationKey)?;
        Ok(Self(Box::new(*bytes)))
    }

    pub(crate) fn as_bytes(&self) -> &[u8; EK_LEN] {
        &self.0
    }

    /// Draws 32 bytes (`m`) and encapsulates.
    pub(crate) fn encapsulate(
        &self,
        rng: &mut (impl CryptoRng + ?Sized),
    ) -> (Ciphertext, KemSecret) {
        let Ok(key) = EncapsulationKey768::new(&Array::from(*self.0)) else {
            unreachable!("the key was checked when it was taken");
        };
        let mut m = Array::from([0; 32]);
        rng.fill_bytes(m.as_mut_slice());
        let (ct, mut shared) = key.encapsulate_deterministic(&m);
        m.as_mut_slice().zeroize();
        let secret = KemSecret::from_bytes(shared.into());
        shared.as_mut_slice().zeroize();
        (Ciphertext(Box::new(ct.into())), secret)
    }
}

impl fmt::Debug for EncapsulationKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("EncapsulationKey(..)")
    }
}

/// An encapsulated secret, 1,088 bytes. Any bytes are one: ML-KEM rejects implicitly.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Ciphertext(Box<[u8; CT_LEN]>);

impl Ciphertext {
    pub(crate) fn from_bytes(bytes: &[u8; CT_LEN]) -> Self {
        Self(Box::new(*bytes))
    }

    pub(crate) fn as_bytes(&self) -> &[u8; CT_LEN] {
        &self.0
    }
}

impl fmt::Debug for Ciphertext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Ciphertext(..)")
    }
}

/// The private half, kept as its seed `d ‖ z` of 64 bytes and expanded when it is used.
#[derive(ZeroizeOnDrop)]
pub(crate) struct DecapsulationKey([u8; SEED_LEN]);

impl DecapsulationKey {
    /// Draws 64 bytes (`d ‖ z`).
    pub(crate) fn generate(rng: &mut (impl CryptoRng + ?Sized)) -> Self {
        let mut seed = Zeroizing::new([0; SEED_LEN]);
        rng.fill_bytes(&mut seed[..]);
        Self(*seed)
    }

    pub(crate) fn from_seed(seed: &[u8; SEED_LEN]) -> Self {
        Self(*seed)
    }

    pub(crate) fn seed(&self) -> &[u8; SEED_LEN] {
        &self.0
    }

    fn expanded(&self) -> DecapsulationKey768 {
        DecapsulationKey768::from_seed(Array::from(self.0))
    }

    /// The public half.
    pub(crate) fn encapsulation_key(&self) -> EncapsulationKey {
        EncapsulationKey(Box::new(self.expanded().encapsulation_key().to_bytes().into()))
    }

    pub(crate) fn decapsulate(&self, ct: &Ciphertext) -> KemSecret {
        let mut shared = self.expanded().decapsulate(&Array::from(*ct.0));
        let secret = KemSecret::from_bytes(shared.into());
        shared.as_mut_slice().zeroize();
        secret
    }
}

impl fmt::Debug for DecapsulationKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(_) = self;
        f.write_str("DecapsulationKey(..)")
    }
}

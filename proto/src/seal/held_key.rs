//! X-Wing (draft-connolly-cfrg-xwing-kem) for the side that opens, with its private key held as what the seed expands to.
//!
//! `x-wing` and `hpke` expand the 32-byte seed at every decapsulation: an ML-KEM key generation and a multiplication
//! on the curve for each OPEN, more than the decapsulation itself. Everything but that is theirs: the key schedule, and
//! all of the side that seals. Guarantees: seed and expanded key are erased on drop; what comes out is what `x-wing`
//! makes of the same seed and ciphertext, and tests hold the two against each other.

use hpke::hybrid_array::Array;
use hpke::kem::{SharedSecret, XWing};
use hpke::{Deserializable, HpkeError, Kem, Serializable};
use ml_kem::{Decapsulate, FromSeed, MlKem768, ml_kem_768};
use rand_core::CryptoRng;
use sha3::{Digest, Sha3_256};
use shake::{ExtendableOutput, Shake256, Update, XofReader};
use subtle::{Choice, ConstantTimeEq};
use x25519_dalek::{PublicKey, StaticSecret};
use zeroize::Zeroizing;

const LABEL: &[u8; 6] = br"\.//^\";
const SEED_LEN: usize = 32;
const ML_KEM_SEED_LEN: usize = 64;
const ML_KEM_CIPHERTEXT_LEN: usize = 1_088;
const X25519_LEN: usize = 32;

/// X-Wing as a KEM of HPKE, for the side that opens.
pub(super) struct HeldXWing;

/// A private key, expanded.
#[derive(Clone)]
pub(super) struct HeldKey {
    seed: Zeroizing<[u8; SEED_LEN]>,
    // Both erase themselves on drop.
    ml_kem: ml_kem_768::DecapsulationKey,
    x25519: StaticSecret,
    x25519_public: PublicKey,
}

impl HeldKey {
    pub(super) fn from_seed(seed: &[u8; SEED_LEN]) -> Self {
        let mut shake = Shake256::default();
        shake.update(seed);
        let mut expanded = shake.finalize_xof();
        let mut ml_kem_seed = Array([0; ML_KEM_SEED_LEN]);
        expanded.read(&mut ml_kem_seed[..]);
        let mut scalar = Zeroizing::new([0; X25519_LEN]);
        expanded.read(&mut scalar[..]);
        let (ml_kem, _) = MlKem768::from_seed(&ml_kem_seed);
        zeroize::Zeroize::zeroize(&mut ml_kem_seed[..]);
        let x25519 = StaticSecret::from(*scalar);
        let x25519_public = PublicKey::from(&x25519);
        Self { seed: Zeroizing::new(*seed), ml_kem, x25519, x25519_public }
    }

    fn decapsulate(&self, encapsulated: &[u8]) -> Result<[u8; 32], HpkeError> {
        let (ml_kem, x25519) =
            encapsulated.split_at_checked(ML_KEM_CIPHERTEXT_LEN).ok_or(HpkeError::DecapError)?;
        let ml_kem = ml_kem.try_into().map_err(|_| HpkeError::DecapError)?;
        let x25519: [u8; X25519_LEN] = x25519.try_into().map_err(|_| HpkeError::DecapError)?;
        let mut of_ml_kem = self.ml_kem.decapsulate(&ml_kem);
        let of_x25519 = self.x25519.diffie_hellman(&PublicKey::from(x25519));
        let mut hash = Sha3_256::new();
        Digest::update(&mut hash, &of_ml_kem[..]);
        Digest::update(&mut hash, of_x25519.as_bytes());
        Digest::update(&mut hash, x25519);
        Digest::update(&mut hash, self.x25519_public.as_bytes());
        Digest::update(&mut hash, LABEL);
        zeroize::Zeroize::zeroize(&mut of_ml_kem[..]);
        Ok(hash.finalize().into())
    }
}

impl ConstantTimeEq for HeldKey {
    fn ct_eq(&self, other: &Self) -> Choice {
        self.seed.ct_eq(&*other.seed)
    }
}

impl Serializable for HeldKey {
    type OutputSize = <<XWing as Kem>::PrivateKey as Serializable>::OutputSize;

    fn write_exact(&self, buf: &mut [u8]) {
        buf.copy_from_slice(&self.seed[..]);
    }
}

impl Deserializable for HeldKey {
    fn from_bytes(encoded: &[u8]) -> Result<Self, HpkeError> {
        let seed = encoded.try_into().map_err(|_| HpkeError::ValidationError)?;
        Ok(Self::from_seed(seed))
    }
}

impl Kem for HeldXWing {
    type PublicKey = <XWing as Kem>::PublicKey;
    type PrivateKey = HeldKey;
    type EncappedKey = <XWing as Kem>::EncappedKey;
    type NSecret = <XWing as Kem>::NSecret;

    const KEM_ID: u16 = XWing::KEM_ID;

    fn sk_to_pk(sk: &HeldKey) -> Self::PublicKey {
        match Deserializable::from_bytes(&sk.seed[..]) {
            Ok(key) => XWing::sk_to_pk(&key),
            // X-Wing's private key is any 32 bytes; the length is in the type.
            Err(_) => unreachable!("an X-Wing private key is any 32 bytes"),
        }
    }

    fn derive_keypair(ikm: &[u8]) -> (HeldKey, Self::PublicKey) {
        let (secret, public) = XWing::derive_keypair(ikm);
        let seed = Zeroizing::new(secret.to_bytes().into());
        (HeldKey::from_seed(&seed), public)
    }

    fn decap(
        sk_recip: &HeldKey,
        pk_sender_id: Option<&Self::PublicKey>,
        encapped_key: &Self::EncappedKey,
    ) -> Result<SharedSecret<Self>, HpkeError> {
        if pk_sender_id.is_some() {
            // X-Wing authenticates no sender.
            return Err(HpkeError::DecapError);
        }
        sk_recip.decapsulate(&encapped_key.to_bytes()).map(|secret| SharedSecret(Array(secret)))
    }

    fn encap_with_rng(
        pk_recip: &Self::PublicKey,
        sender_id_keypair: Option<(&HeldKey, &Self::PublicKey)>,
        csprng: &mut impl CryptoRng,
    ) -> Result<(SharedSecret<Self>, Self::EncappedKey), HpkeError> {
        if sender_id_keypair.is_some() {
            return Err(HpkeError::EncapError);
        }
        let (secret, encapsulated) = XWing::encap_with_rng(pk_recip, None, csprng)?;
        Ok((SharedSecret(secret.0), encapsulated))
    }
}

#[cfg(test)]
mod tests {
    use rand_chacha::ChaCha20Rng;
    use rand_core::{Rng, SeedableRng};
    use x_wing::{Decapsulate, DecapsulationKey, Encapsulate, kem::Decapsulator};

    use super::*;

    #[test]
    fn it_opens_what_the_library_opens_and_makes_the_same_of_anything_else() {
        let mut rng = ChaCha20Rng::seed_from_u64(1);
        for round in 0..16 {
            let mut seed = [0; SEED_LEN];
            rng.fill_bytes(&mut seed);
            let (ours, theirs) = (HeldKey::from_seed(&seed), DecapsulationKey::from(seed));
            let (mut ciphertext, secret) =
                theirs.encapsulation_key().encapsulate_with_rng(&mut rng);
            assert_eq!(ours.decapsulate(&ciphertext).unwrap()[..], secret[..]);
            // Implicit rejection, in either half.
            ciphertext[round * 70] ^= 1;
            let rejected = theirs.decapsulate(&ciphertext);
            assert_ne!(rejected, secret);
            assert_eq!(ours.decapsulate(&ciphertext).unwrap()[..], rejected[..]);
            let public = theirs.encapsulation_key();
            let public = x_wing::KeyExport::to_bytes(public);
            assert_eq!(HeldXWing::sk_to_pk(&ours).to_bytes()[..], public[..]);
        }
    }

    #[test]
    fn another_length_is_refused() {
        let key = HeldKey::from_seed(&[1; SEED_LEN]);
        for len in [0, ML_KEM_CIPHERTEXT_LEN, 1_119, 1_121] {
            assert!(key.decapsulate(&vec![0; len]).is_err());
        }
        assert!(HeldKey::from_bytes(&[0; 31]).is_err());
    }

    #[test]
    fn a_pair_that_is_derived_is_the_librarys() {
        let (ours, public) = HeldXWing::derive_keypair(b"ikm");
        let (theirs, their_public) = XWing::derive_keypair(b"ikm");
        assert_eq!(ours.to_bytes(), theirs.to_bytes());
        assert!(public == their_public && HeldXWing::sk_to_pk(&ours) == public);
    }
}

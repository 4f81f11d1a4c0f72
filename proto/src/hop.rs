//! The next hop of a `hop2` route, sealed to the entry relay's hop key.
//!
//! HPKE base mode (RFC 9180) with DHKEM(X25519, HKDF-SHA256), HKDF-SHA256, ChaCha20-Poly1305; info is `hearken/1 hop`,
//! the entry relay's fingerprint and its key epoch. 365 bytes: `enc` (32), length (2), next hop (at most 300), zeros,
//! tag (16). Whoever ends the TLS in front of an entry relay reads nothing of it, and the entry relay replaces it by
//! random bytes before it forwards.

use core::fmt;

use hpke::aead::ChaCha20Poly1305;
use hpke::kdf::HkdfSha256;
use hpke::kem::X25519HkdfSha256;
use hpke::{Deserializable, Kem as _, OpModeR, OpModeS, Serializable};
use rand_core::CryptoRng;
use zeroize::Zeroizing;

use crate::address::{HostPort, RelayAddress};
use crate::ids::Fingerprint;
use crate::limits::{HOP_ENC_LEN, HOP_PLAIN_LEN, ROUTING_LEN, TAG_LEN};
use crate::seal::{RouteContext, SealError};

const INFO_LABEL: &[u8] = b"hearken/1 hop";

/// The relay that a route goes on to: its identity, and one place to reach it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct NextHop {
    /// Whom the entry relay must find there.
    pub fingerprint: Fingerprint,
    /// Where.
    pub host_port: HostPort,
}

impl NextHop {
    /// The first place of an address.
    #[must_use]
    pub fn of(address: &RelayAddress) -> Self {
        Self { fingerprint: address.fingerprint(), host_port: address.places()[0].clone() }
    }

    /// Reads what was sealed. For [`HopSecretKey::open`] and for fuzzing; not part of the interface.
    ///
    /// # Errors
    /// [`SealError::NotOpened`] when it names no place, or anything stands behind it.
    #[doc(hidden)]
    pub fn read(plain: &[u8; HOP_PLAIN_LEN]) -> Result<Self, SealError> {
        let len = usize::from(u16::from_be_bytes([plain[0], plain[1]]));
        let (hop, unused) = plain[2..].split_at_checked(len).ok_or(SealError::NotOpened)?;
        if unused.iter().any(|byte| *byte != 0) {
            return Err(SealError::NotOpened);
        }
        let (fingerprint, place) =
            hop.split_at_checked(Fingerprint::LEN).ok_or(SealError::NotOpened)?;
        let mut id = [0; Fingerprint::LEN];
        id.copy_from_slice(fingerprint);
        let place = core::str::from_utf8(place).map_err(|_| SealError::NotOpened)?;
        Ok(Self {
            fingerprint: Fingerprint::from_bytes(id),
            host_port: place.parse().map_err(|_| SealError::NotOpened)?,
        })
    }
}

/// An entry relay's hop public key, 32 bytes.
#[derive(Clone, PartialEq, Eq)]
pub struct HopPublicKey(<X25519HkdfSha256 as hpke::Kem>::PublicKey);

impl HopPublicKey {
    /// Takes the 32 bytes of a public key.
    ///
    /// # Errors
    /// [`SealError::PublicKey`] when they are not one.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, SealError> {
        Deserializable::from_bytes(bytes).map(Self).map_err(|_| SealError::PublicKey)
    }

    /// The 32 bytes.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; 32] {
        self.0.to_bytes().into()
    }

    /// Seals the next hop for the routing field of an OPEN or INFO.
    ///
    /// # Errors
    /// [`SealError::PublicKey`] when the key cannot be sealed to.
    pub fn seal(
        &self,
        entry: &RouteContext,
        next: &NextHop,
        rng: &mut (impl CryptoRng + ?Sized),
    ) -> Result<[u8; ROUTING_LEN], SealError> {
        let mut plain = Zeroizing::new([0; HOP_PLAIN_LEN]);
        let place = next.host_port.to_string();
        let len = Fingerprint::LEN + place.len();
        let prefix = u16::try_from(len).map_err(|_| SealError::PublicKey)?;
        plain[..2].copy_from_slice(&prefix.to_be_bytes());
        plain[2..2 + Fingerprint::LEN].copy_from_slice(next.fingerprint.as_bytes());
        plain[2 + Fingerprint::LEN..2 + len].copy_from_slice(place.as_bytes());
        let mut rng = rng;
        let (enc, mut sender) = hpke::setup_sender_with_rng::<
            ChaCha20Poly1305,
            HkdfSha256,
            X25519HkdfSha256,
        >(
            &OpModeS::Base, &self.0, &entry.info(INFO_LABEL), &mut rng
        )
        .map_err(|_| SealError::PublicKey)?;
        let tag = sender
            .seal_inout_detached(hpke::inout::InOutBuf::from(&mut plain[..]), b"")
            .map_err(|_| SealError::PublicKey)?;
        let mut routing = [0; ROUTING_LEN];
        routing[..HOP_ENC_LEN].copy_from_slice(&enc.to_bytes());
        routing[HOP_ENC_LEN..ROUTING_LEN - TAG_LEN].copy_from_slice(&plain[..]);
        routing[ROUTING_LEN - TAG_LEN..].copy_from_slice(&tag.to_bytes());
        Ok(routing)
    }
}

impl fmt::Debug for HopPublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HopPublicKey(..)")
    }
}

/// An entry relay's hop private key of one key epoch. Erased on drop by the library that holds it.
pub struct HopSecretKey(<X25519HkdfSha256 as hpke::Kem>::PrivateKey);

impl HopSecretKey {
    /// The key of 32 stored or freshly drawn bytes.
    #[must_use]
    pub fn from_bytes(bytes: &[u8; 32]) -> Self {
        match Deserializable::from_bytes(bytes) {
            Ok(key) => Self(key),
            Err(_) => unreachable!("an X25519 private key is any 32 bytes"),
        }
    }

    /// The public key to publish.
    #[must_use]
    pub fn public_key(&self) -> HopPublicKey {
        HopPublicKey(X25519HkdfSha256::sk_to_pk(&self.0))
    }

    /// Reads the next hop from a routing field.
    ///
    /// # Errors
    /// [`SealError::NotOpened`] when it was not sealed to this key, or names no place.
    pub fn open(&self, entry: &RouteContext, routing: &[u8]) -> Result<NextHop, SealError> {
        if routing.len() != ROUTING_LEN {
            return Err(SealError::NotOpened);
        }
        let enc = Deserializable::from_bytes(&routing[..HOP_ENC_LEN])
            .map_err(|_| SealError::NotOpened)?;
        let mut receiver = hpke::setup_receiver::<ChaCha20Poly1305, HkdfSha256, X25519HkdfSha256>(
            &OpModeR::Base,
            &self.0,
            &enc,
            &entry.info(INFO_LABEL),
        )
        .map_err(|_| SealError::NotOpened)?;
        let mut plain = Zeroizing::new([0; HOP_PLAIN_LEN]);
        plain.copy_from_slice(&routing[HOP_ENC_LEN..ROUTING_LEN - TAG_LEN]);
        let tag = Deserializable::from_bytes(&routing[ROUTING_LEN - TAG_LEN..])
            .map_err(|_| SealError::NotOpened)?;
        receiver
            .open_inout_detached(hpke::inout::InOutBuf::from(&mut plain[..]), b"", &tag)
            .map_err(|_| SealError::NotOpened)?;
        NextHop::read(&plain)
    }
}

impl fmt::Debug for HopSecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HopSecretKey(..)")
    }
}

#[cfg(test)]
mod tests {
    use rand_chacha::ChaCha20Rng;
    use rand_core::SeedableRng;

    use super::*;
    use crate::seal::KeyEpoch;

    #[test]
    fn the_entry_relay_reads_what_was_sealed_to_it() {
        for place in ["relay.example:443", "192.0.2.1:1", "[2001:db8::1]:65535"] {
            let (secret, context, mut rng) = entry();
            let next = next(place);
            let routing = secret.public_key().seal(&context, &next, &mut rng).unwrap();
            assert_eq!(secret.open(&context, &routing).unwrap(), next);
        }
    }

    #[test]
    fn the_longest_place_fits() {
        let label = "a".repeat(63);
        let name = format!("{label}.{label}.{label}.{}", "a".repeat(61));
        let (secret, context, mut rng) = entry();
        let next = next(&format!("{name}:65535"));
        let routing = secret.public_key().seal(&context, &next, &mut rng).unwrap();
        assert_eq!(secret.open(&context, &routing).unwrap(), next);
    }

    #[test]
    fn every_changed_bit_and_every_other_length_is_refused() {
        let (secret, context, mut rng) = entry();
        let routing = secret.public_key().seal(&context, &next("a.example:1"), &mut rng).unwrap();
        for bit in 0..ROUTING_LEN * 8 {
            let mut changed = routing;
            changed[bit / 8] ^= 1 << (bit % 8);
            // The top bit of an X25519 key is not part of its value (RFC 7748, 5); HPKE binds the bytes all the same.
            assert_eq!(secret.open(&context, &changed), Err(SealError::NotOpened), "bit {bit}");
        }
        for len in [0, 1, 31, 32, 48, ROUTING_LEN - 1] {
            assert_eq!(secret.open(&context, &routing[..len]), Err(SealError::NotOpened));
        }
        let longer = [&routing[..], &[0]].concat();
        assert_eq!(secret.open(&context, &longer), Err(SealError::NotOpened));
    }

    #[test]
    fn another_relay_epoch_or_key_reads_nothing() {
        let (secret, context, mut rng) = entry();
        let routing = secret.public_key().seal(&context, &next("a.example:1"), &mut rng).unwrap();
        let relay = RouteContext { fingerprint: Fingerprint::from_bytes([9; 32]), ..context };
        let epoch = RouteContext { key_epoch: KeyEpoch::from_bytes([9; 8]), ..context };
        let other = HopSecretKey::from_bytes(&[9; 32]);
        for (key, context) in [(&secret, &relay), (&secret, &epoch), (&other, &context)] {
            assert_eq!(key.open(context, &routing), Err(SealError::NotOpened));
        }
    }

    #[test]
    fn what_is_sealed_and_is_no_next_hop_is_refused() {
        let (secret, context, _) = entry();
        let hop = |len: u16, rest: &[u8]| [&len.to_be_bytes()[..], &[1; 32], rest].concat();
        for plain in [
            vec![],
            hop(0, b""),
            hop(31, b""),
            hop(32, b""),
            hop(u16::MAX, b"a.example:1"),
            hop(43, b"a.example:0"),
            hop(43, b"a.exampl\xff:1"),
            hop(42, b"a.example:12"),
        ] {
            let routing = sealed(&secret, &context, &plain);
            assert_eq!(secret.open(&context, &routing), Err(SealError::NotOpened), "{plain:?}");
        }
        // The control: the same way of sealing is read where the content holds.
        assert!(
            secret.open(&context, &sealed(&secret, &context, &hop(43, b"a.example:1"))).is_ok()
        );
    }

    #[test]
    fn one_next_hop_sealed_twice_looks_different() {
        let (secret, context, mut rng) = entry();
        let mut seal =
            || secret.public_key().seal(&context, &next("a.example:1"), &mut rng).unwrap();
        assert_ne!(seal(), seal());
    }

    #[test]
    fn a_point_of_small_order_is_not_sealed_to() {
        let (_, context, mut rng) = entry();
        let zero = HopPublicKey::from_bytes(&[0; 32]);
        let sealed = zero.and_then(|key| key.seal(&context, &next("a.example:1"), &mut rng));
        assert_eq!(sealed, Err(SealError::PublicKey));
    }

    fn entry() -> (HopSecretKey, RouteContext, ChaCha20Rng) {
        let context = RouteContext {
            fingerprint: Fingerprint::from_bytes([1; 32]),
            key_epoch: KeyEpoch::from_bytes([2; 8]),
        };
        (HopSecretKey::from_bytes(&[3; 32]), context, ChaCha20Rng::seed_from_u64(4))
    }

    fn next(place: &str) -> NextHop {
        NextHop { fingerprint: Fingerprint::from_bytes([5; 32]), host_port: place.parse().unwrap() }
    }

    fn sealed(key: &HopSecretKey, context: &RouteContext, plain: &[u8]) -> Vec<u8> {
        let mut rng = ChaCha20Rng::seed_from_u64(6);
        let mut padded = plain.to_vec();
        padded.resize(HOP_PLAIN_LEN, 0);
        let (enc, mut sender) =
            hpke::setup_sender_with_rng::<ChaCha20Poly1305, HkdfSha256, X25519HkdfSha256>(
                &OpModeS::Base,
                &key.public_key().0,
                &context.info(INFO_LABEL),
                &mut rng,
            )
            .unwrap();
        let ciphertext = sender.seal(&padded, b"").unwrap();
        [&enc.to_bytes()[..], &ciphertext].concat()
    }
}

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
        Ok(NextHop {
            fingerprint: Fingerprint::from_bytes(id),
            host_port: place.parse().map_err(|_| SealError::NotOpened)?,
        })
    }
}

impl fmt::Debug for HopSecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HopSecretKey(..)")
    }
}

//! Proof that a session's client holds an object's private key, which convinces the relay and nobody else.
//!
//! `HMAC(HKDF(DH(object key, relay auth key), role ‖ object id ‖ fingerprint ‖ key epoch), route_hash)` with SHA-256
//! throughout (RFC 2104, RFC 5869), X25519 (RFC 7748). The relay could have computed it alone, so a seized record of
//! it proves nothing. It is bound to one session by the route hash, so it cannot be carried into another.

use core::fmt;

use hkdf::Hkdf;
use hmac::{Hmac, KeyInit, Mac};
use rand_core::CryptoRng;
use sha2::Sha256;
use subtle::ConstantTimeEq;
use x25519_dalek::{PublicKey, StaticSecret};
use zeroize::Zeroizing;

use crate::seal::{RouteContext, RouteHash};
use crate::wire::Role;

const SALT: &[u8] = b"hearken/1 auth";

/// Length of a proof in bytes.
pub const MAC_LEN: usize = 32;

/// The private key of a mailbox's reader or writer, of a claim, or of an object's writer. X25519, erased on drop.
pub struct ObjectSecretKey(StaticSecret);

impl ObjectSecretKey {
    /// Draws a key.
    #[must_use]
    pub fn generate(rng: &mut (impl CryptoRng + ?Sized)) -> Self {
        let mut bytes = Zeroizing::new([0; 32]);
        rng.fill_bytes(&mut bytes[..]);
        Self::from_bytes(&bytes)
    }

    /// The key of 32 stored or derived bytes.
    #[must_use]
    pub fn from_bytes(bytes: &[u8; 32]) -> Self {
        Self(StaticSecret::from(*bytes))
    }

    /// The 32 bytes to store in a vault.
    #[must_use]
    pub fn to_bytes(&self) -> Zeroizing<[u8; 32]> {
        Zeroizing::new(self.0.to_bytes())
    }

    /// The public key, of which the object's id is the hash.
    #[must_use]
    pub fn public_key(&self) -> [u8; 32] {
        PublicKey::from(&self.0).to_bytes()
    }

    /// The proof for one session. `None` when the relay's key is a point of small order, which no honest relay has.
    #[must_use]
    pub fn prove(
        &self,
        role: Role,
        object_id: &[u8; 32],
        relay_auth_key: &[u8; 32],
        context: &RouteContext,
        route_hash: &RouteHash,
    ) -> Option<[u8; MAC_LEN]> {
        mac(&self.0, relay_auth_key, role, object_id, context, route_hash)
    }
}

impl fmt::Debug for ObjectSecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ObjectSecretKey(..)")
    }
}

/// A relay's auth key of one key epoch. X25519, erased on drop.
pub struct AuthSecretKey(StaticSecret);

impl AuthSecretKey {
    /// The key of 32 stored or freshly drawn bytes.
    #[must_use]
    pub fn from_bytes(bytes: &[u8; 32]) -> Self {
        Self(StaticSecret::from(*bytes))
    }

    /// The public key to publish.
    #[must_use]
    pub fn public_key(&self) -> [u8; 32] {
        PublicKey::from(&self.0).to_bytes()
    }

    /// Whether `proof` was made by the holder of `public_key` for this session. Takes the same time for every wrong proof.
    #[must_use]
    pub fn verify(
        &self,
        public_key: &[u8; 32],
        role: Role,
        object_id: &[u8; 32],
        context: &RouteContext,
        route_hash: &RouteHash,
        proof: &[u8],
    ) -> bool {
        let expected = mac(&self.0, public_key, role, object_id, context, route_hash);
        // A point of small order is compared as well, against nothing that can match.
        let (expected, contributory) = expected.map_or(([0; MAC_LEN], 0), |mac| (mac, 1));
        proof.len() == MAC_LEN
            && bool::from(expected.ct_eq(proof) & subtle::Choice::from(contributory))
    }
}

impl fmt::Debug for AuthSecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AuthSecretKey(..)")
    }
}

fn mac(
    ours: &StaticSecret,
    theirs: &[u8; 32],
    role: Role,
    object_id: &[u8; 32],
    context: &RouteContext,
    route_hash: &RouteHash,
) -> Option<[u8; MAC_LEN]> {
    let shared = ours.diffie_hellman(&PublicKey::from(*theirs));
    let contributory = shared.was_contributory();
    let role = [u8::try_from(i32::from(role)).unwrap_or(0)];
    let info =
        [&role, &object_id[..], context.fingerprint.as_bytes(), context.key_epoch.as_bytes()]
            .concat();
    let mut key = Zeroizing::new([0; 32]);
    if Hkdf::<Sha256>::new(Some(SALT), shared.as_bytes()).expand(&info, &mut key[..]).is_err() {
        unreachable!("HKDF-SHA256 expands to 32 bytes");
    }
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(&key[..]) else {
        unreachable!("HMAC takes a key of any length");
    };
    mac.update(route_hash.as_bytes());
    let mac = mac.finalize().into_bytes().into();
    contributory.then_some(mac)
}

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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::Fingerprint;
    use crate::seal::KeyEpoch;

    const ID: [u8; 32] = [3; 32];

    #[test]
    fn a_proof_holds_for_the_one_role_object_relay_epoch_and_session_that_it_was_made_for() {
        let (ours, relay) = keys();
        let (context, hash) = (context(1, 2), RouteHash::from_bytes([4; 32]));
        let prove = |role, id: &[u8; 32], context: &RouteContext, hash: &RouteHash| {
            ours.prove(role, id, &relay.public_key(), context, hash).unwrap()
        };
        let holds = |proof: &[u8; MAC_LEN]| {
            relay.verify(&ours.public_key(), Role::Receive, &ID, &context, &hash, proof)
        };
        assert!(holds(&prove(Role::Receive, &ID, &context, &hash)));
        for role in [Role::Unspecified, Role::Send, Role::Claim, Role::Write] {
            assert!(!holds(&prove(role, &ID, &context, &hash)), "{role:?}");
        }
        let other_hash = RouteHash::from_bytes([5; 32]);
        assert!(!holds(&prove(Role::Receive, &[9; 32], &context, &hash)));
        assert!(!holds(&prove(Role::Receive, &ID, &self::context(9, 2), &hash)));
        assert!(!holds(&prove(Role::Receive, &ID, &self::context(1, 9), &hash)));
        assert!(!holds(&prove(Role::Receive, &ID, &context, &other_hash)));
    }

    #[test]
    fn a_proof_by_another_key_or_against_another_relays_key_is_refused() {
        let (ours, relay) = keys();
        let (context, hash) = (context(1, 2), RouteHash::from_bytes([4; 32]));
        let other = ObjectSecretKey::from_bytes(&[7; 32]);
        let by_other = other.prove(Role::Send, &ID, &relay.public_key(), &context, &hash).unwrap();
        assert!(!relay.verify(&ours.public_key(), Role::Send, &ID, &context, &hash, &by_other));
        let elsewhere = AuthSecretKey::from_bytes(&[8; 32]).public_key();
        let proof = ours.prove(Role::Send, &ID, &elsewhere, &context, &hash).unwrap();
        assert!(!relay.verify(&ours.public_key(), Role::Send, &ID, &context, &hash, &proof));
    }

    #[test]
    fn every_changed_bit_and_every_other_length_of_a_proof_is_refused() {
        let (ours, relay) = keys();
        let (context, hash) = (context(1, 2), RouteHash::from_bytes([4; 32]));
        let proof = ours.prove(Role::Claim, &ID, &relay.public_key(), &context, &hash).unwrap();
        let holds = |proof: &[u8]| {
            relay.verify(&ours.public_key(), Role::Claim, &ID, &context, &hash, proof)
        };
        for bit in 0..MAC_LEN * 8 {
            let mut changed = proof;
            changed[bit / 8] ^= 1 << (bit % 8);
            assert!(!holds(&changed), "bit {bit}");
        }
        for len in 0..MAC_LEN {
            assert!(!holds(&proof[..len]));
        }
        assert!(!holds(&[&proof[..], &[0]].concat()));
        assert!(holds(&proof));
    }

    #[test]
    fn points_of_small_order_prove_nothing_on_either_side() {
        let (ours, relay) = keys();
        let (context, hash) = (context(1, 2), RouteHash::from_bytes([4; 32]));
        for point in small_order_points() {
            assert_eq!(ours.prove(Role::Write, &ID, &point, &context, &hash), None);
            // Whoever names such a key knows the agreement, and so the code: it is refused all the same.
            let known = forged(&context, &hash);
            assert!(!relay.verify(&point, Role::Write, &ID, &context, &hash, &known));
            assert!(!relay.verify(&point, Role::Write, &ID, &context, &hash, &[0; MAC_LEN]));
        }
    }

    #[test]
    fn debug_output_shows_no_key() {
        let (ours, relay) = keys();
        assert_eq!(format!("{ours:?} {relay:?}"), "ObjectSecretKey(..) AuthSecretKey(..)");
        assert_eq!(*ours.to_bytes(), [5; 32]);
    }

    fn keys() -> (ObjectSecretKey, AuthSecretKey) {
        (ObjectSecretKey::from_bytes(&[5; 32]), AuthSecretKey::from_bytes(&[6; 32]))
    }

    fn context(relay: u8, epoch: u8) -> RouteContext {
        RouteContext {
            fingerprint: Fingerprint::from_bytes([relay; 32]),
            key_epoch: KeyEpoch::from_bytes([epoch; 8]),
        }
    }

    /// The code over an agreement of zeros.
    fn forged(context: &RouteContext, hash: &RouteHash) -> [u8; MAC_LEN] {
        let fingerprint = context.fingerprint.as_bytes();
        let info = [&[4], &ID[..], fingerprint, context.key_epoch.as_bytes()].concat();
        let mut key = [0; 32];
        Hkdf::<Sha256>::new(Some(SALT), &[0; 32]).expand(&info, &mut key).unwrap();
        let mut mac = Hmac::<Sha256>::new_from_slice(&key).unwrap();
        mac.update(hash.as_bytes());
        mac.finalize().into_bytes().into()
    }

    /// Orders 1, 2, 4 and 8 of the curve and its twist, and the same not reduced (RFC 7748, 7).
    fn small_order_points() -> Vec<[u8; 32]> {
        let from_hex = |hex: &str| -> [u8; 32] {
            data_encoding::HEXLOWER.decode(hex.as_bytes()).unwrap().try_into().unwrap()
        };
        [
            "0000000000000000000000000000000000000000000000000000000000000000",
            "0100000000000000000000000000000000000000000000000000000000000000",
            "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
            "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
            "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
            "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
            "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        ]
        .map(from_hex)
        .to_vec()
    }
}

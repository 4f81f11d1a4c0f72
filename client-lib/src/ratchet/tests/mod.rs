//! Tests of the ratchet as a whole, and what they share.
#![allow(clippy::disallowed_methods, reason = "HEARKEN_LONG makes it longer")]

mod bounds;
mod conversation;
mod kem_exchange;
mod misbehaviour;
mod rollback;
mod schedule;
mod stored_state;
mod tampering;

use hearken_proto::limits::BLOB_LEN;
use hearken_proto::time::UnixDay;
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng;

use super::agreement_key::AgreementKey;
use super::error::DecryptError;
use super::header_key::HeaderKey;
use super::kem::{CT_LEN, Ciphertext};
use super::kem_root_key::KemRootKey;
use super::prefix::Prefix;
use super::root_key::RootKey;
use super::session::{FirstKeys, Opened, Ratchet};

pub(crate) const TODAY: UnixDay = UnixDay(20_000);

type Blob = Box<[u8; BLOB_LEN]>;

/// Two ends and their randomness.
struct Pair {
    joiner: Ratchet,
    inviter: Ratchet,
    rng: ChaCha20Rng,
}

fn first_keys() -> FirstKeys {
    FirstKeys {
        root: RootKey::from_bytes([1; 32]),
        kem_root: KemRootKey::from_bytes([2; 32]),
        joiner_header: HeaderKey::from_bytes([3; 32]),
        inviter_header: HeaderKey::from_bytes([4; 32]),
    }
}

fn card_key() -> AgreementKey {
    AgreementKey::from_bytes(&[5; 32])
}

fn prefix() -> Prefix {
    Prefix::new(&[6; 32], &Ciphertext::from_bytes(&[7; CT_LEN]))
}

fn fresh_joiner(rng: &mut ChaCha20Rng) -> Ratchet {
    Ratchet::joiner(first_keys(), &card_key().public(), prefix(), rng).unwrap()
}

fn accept(rng: &mut ChaCha20Rng, blob: &Blob) -> Result<(Ratchet, Opened), DecryptError> {
    Ratchet::inviter(first_keys(), card_key(), blob, TODAY, rng)
}

impl Pair {
    /// A joiner whose first message was accepted, not answered yet.
    fn joined(seed: u64) -> Self {
        let mut rng = ChaCha20Rng::seed_from_u64(seed);
        let mut joiner = fresh_joiner(&mut rng);
        let first = joiner.encrypt(&mut rng, b"first").unwrap();
        let (inviter, opened) = accept(&mut rng, &first).unwrap();
        assert_eq!(&opened.body[..], b"first");
        Self { joiner, inviter, rng }
    }

    /// Both have heard from each other.
    fn answered(seed: u64) -> Self {
        let mut pair = Self::joined(seed);
        let answer = pair.inviter_says(b"answer");
        pair.at_joiner(&answer).unwrap();
        pair
    }

    fn joiner_says(&mut self, body: &[u8]) -> Blob {
        self.joiner.encrypt(&mut self.rng, body).unwrap()
    }

    fn inviter_says(&mut self, body: &[u8]) -> Blob {
        self.inviter.encrypt(&mut self.rng, body).unwrap()
    }

    fn at_joiner(&mut self, blob: &Blob) -> Result<Opened, DecryptError> {
        self.joiner.decrypt(&mut self.rng, TODAY, blob)
    }

    fn at_inviter(&mut self, blob: &Blob) -> Result<Opened, DecryptError> {
        self.inviter.decrypt(&mut self.rng, TODAY, blob)
    }

    /// A message each way, both opened.
    fn round(&mut self) {
        let there = self.joiner_says(b"there");
        assert_eq!(&self.at_inviter(&there).unwrap().body[..], b"there");
        let back = self.inviter_says(b"back");
        assert_eq!(&self.at_joiner(&back).unwrap().body[..], b"back");
    }
}

/// A ratchet as it is stored and loaded again: what a restart leaves of it.
fn restarted(ratchet: &Ratchet) -> Ratchet {
    Ratchet::from_bytes(&ratchet.to_bytes()).unwrap()
}

/// Tries to open, and checks that nothing changed.
fn refused(ratchet: &mut Ratchet, rng: &mut ChaCha20Rng, blob: &Blob) -> DecryptError {
    let before = ratchet.to_bytes();
    let error = ratchet.decrypt(rng, TODAY, blob).expect_err("opened what it must not");
    assert_eq!(before[..], ratchet.to_bytes()[..], "a refused message changed the state");
    error
}

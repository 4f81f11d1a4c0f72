//! The frozen vectors of `tests/models/ratchet_model.py`, replayed: the same randomness gives the same bytes, and what
//! the model sealed opens here.

use core::convert::Infallible;
use std::collections::BTreeMap;

use data_encoding::{BASE64, HEXLOWER};
use hearken_proto::limits::BLOB_LEN;
use hearken_proto::time::{UnixDay, UnixHour, UnixMillis};
use rand_core::{TryCryptoRng, TryRng};
use serde::Deserialize;

use super::*;
use crate::ratchet::prefix::Prefix;
use crate::ratchet::session::Ratchet;

const VECTORS: &str =
    include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/vectors/ratchet.json"));
const TODAY: UnixDay = UnixDay(20_000);

#[derive(Deserialize)]
struct Vectors {
    scenarios: Vec<Scenario>,
}

#[derive(Deserialize)]
struct Scenario {
    name: String,
    invitation: Invitation,
    join: Join,
    steps: Vec<Step>,
}

#[derive(Deserialize)]
struct Invitation {
    random: String,
    claim_key: String,
    relay: String,
    expires_hour: u32,
    link_secret: String,
    object_write_key: String,
    card_hash: String,
    sealed_card: String,
}

#[derive(Deserialize)]
struct Join {
    random: String,
    prefix: String,
    transcript: String,
    sk0: String,
    ec_root: String,
    kem_root: String,
    joiner_header: String,
    inviter_header: String,
    safety_code: String,
    safety_numbers: [u16; 8],
    safety_digits: String,
}

#[derive(Deserialize)]
#[serde(tag = "op", rename_all = "lowercase")]
enum Step {
    Encrypt {
        by: String,
        message: String,
        random: String,
        body: String,
        blob: String,
    },
    Decrypt {
        by: String,
        message: String,
        random: String,
        number: u64,
        passed_over: u32,
        late: bool,
        kem_epoch: u32,
    },
}

/// Hands out given bytes, all of them and no more.
struct Scripted(Vec<u8>);

impl Scripted {
    fn new(hex: &str) -> Self {
        Self(unhex(hex))
    }

    fn assert_used_up(&self, at: &str) {
        assert!(self.0.is_empty(), "{at}: {} random bytes were not drawn", self.0.len());
    }
}

impl TryRng for Scripted {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        panic!("only bytes are drawn")
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        panic!("only bytes are drawn")
    }

    fn try_fill_bytes(&mut self, out: &mut [u8]) -> Result<(), Infallible> {
        assert!(out.len() <= self.0.len(), "more random bytes drawn than the model drew");
        out.copy_from_slice(&self.0[..out.len()]);
        self.0.drain(..out.len());
        Ok(())
    }
}

impl TryCryptoRng for Scripted {}

fn unhex(text: &str) -> Vec<u8> {
    HEXLOWER.decode(text.as_bytes()).unwrap()
}

fn unbase(text: &str) -> Vec<u8> {
    BASE64.decode(text.as_bytes()).unwrap()
}

fn hex(bytes: &[u8]) -> String {
    HEXLOWER.encode(bytes)
}

fn blob(text: &str) -> Box<[u8; BLOB_LEN]> {
    unbase(text).into_boxed_slice().try_into().unwrap()
}

fn invite(vector: &Invitation) -> Inviter {
    let mut rng = Scripted::new(&vector.random);
    let claim_key: [u8; 32] = unhex(&vector.claim_key).try_into().unwrap();
    let expires = UnixHour(vector.expires_hour);
    let inviter = Inviter::create(&mut rng, &vector.relay, &claim_key, expires).unwrap();
    rng.assert_used_up("invitation");
    let secret = inviter.link_secret();
    assert_eq!(hex(secret.as_bytes()), vector.link_secret);
    assert_eq!(hex(&secret.object_write_key()[..]), vector.object_write_key);
    assert_eq!(hex(&inviter.card().hash()), vector.card_hash);
    let sealed = blob(&vector.sealed_card);
    assert_eq!(inviter.card().seal(secret), sealed);
    let hash = inviter.card().hash();
    let opened = InvitationCard::open(secret, &hash, &sealed, UnixMillis(0)).unwrap();
    assert_eq!(opened.claim_key(), &claim_key);
    inviter
}

fn joined(vector: &Join, inviter: &Inviter) -> Ratchet {
    let mut rng = Scripted::new(&vector.random);
    let joined = join(&mut rng, inviter.link_secret(), inviter.card()).unwrap();
    rng.assert_used_up("join");
    let prefix: [u8; 1_120] = unbase(&vector.prefix).try_into().unwrap();
    let (transcript, shared_key) = inviter.agree(&Prefix::from_bytes(&prefix)).unwrap();
    assert_eq!(hex(transcript.as_bytes()), vector.transcript);
    assert_eq!(hex(shared_key.as_bytes()), vector.sk0);
    let keys = shared_key.first_keys();
    assert_eq!(hex(keys.root.as_bytes()), vector.ec_root);
    assert_eq!(hex(keys.kem_root.as_bytes()), vector.kem_root);
    assert_eq!(hex(keys.joiner_header.as_bytes()), vector.joiner_header);
    assert_eq!(hex(keys.inviter_header.as_bytes()), vector.inviter_header);
    assert_eq!(joined.safety, transcript.safety_code());
    assert_eq!(hex(joined.safety.as_bytes()), vector.safety_code);
    assert_eq!(joined.safety.numbers(), vector.safety_numbers);
    assert_eq!(joined.safety.number(), vector.safety_digits);
    joined.ratchet
}

fn replay(scenario: &Scenario) {
    let invitation = invite(&scenario.invitation);
    let mut joiner = joined(&scenario.join, &invitation);
    let mut inviter: Option<Ratchet> = None;
    let mut messages = BTreeMap::new();
    for step in &scenario.steps {
        match step {
            Step::Encrypt { by, message, random, body, blob: expected } => {
                let at = format!("{}: {by} seals {message}", scenario.name);
                let mut rng = Scripted::new(random);
                let body = unbase(body);
                let ratchet = match by.as_str() {
                    "joiner" => &mut joiner,
                    _ => inviter.as_mut().expect("the inviter opened something before"),
                };
                let sealed = ratchet.encrypt(&mut rng, &body).unwrap();
                rng.assert_used_up(&at);
                let expected = blob(expected);
                assert_eq!(sealed, expected, "{at}");
                messages.insert(message.clone(), (expected, body));
            }
            Step::Decrypt { by, message, random, number, passed_over, late, kem_epoch } => {
                let at = format!("{}: {by} opens {message}", scenario.name);
                let mut rng = Scripted::new(random);
                let (blob, body) = &messages[message];
                let (opened, epoch) = match (by.as_str(), &mut inviter) {
                    ("joiner", _) => {
                        let opened = joiner.decrypt(&mut rng, TODAY, blob).unwrap();
                        (opened, joiner.kem_epoch())
                    }
                    (_, Some(inviter)) => {
                        let opened = inviter.decrypt(&mut rng, TODAY, blob).unwrap();
                        (opened, inviter.kem_epoch())
                    }
                    (_, none) => {
                        let accepted = invitation.accept(&mut rng, TODAY, blob).unwrap();
                        assert_eq!(hex(accepted.safety.as_bytes()), scenario.join.safety_code);
                        let ratchet = none.insert(accepted.ratchet);
                        (accepted.opened, ratchet.kem_epoch())
                    }
                };
                rng.assert_used_up(&at);
                assert_eq!(&opened.body[..], body, "{at}");
                assert_eq!(
                    (opened.number, opened.passed_over, opened.late, epoch),
                    (*number, *passed_over, *late, *kem_epoch),
                    "{at}"
                );
                // A restart at every step.
                joiner = Ratchet::from_bytes(&joiner.to_bytes()).unwrap();
                inviter = inviter.map(|state| Ratchet::from_bytes(&state.to_bytes()).unwrap());
            }
        }
    }
}

#[test]
fn the_second_models_vectors_hold_byte_for_byte() {
    let vectors: Vectors = serde_json::from_str(VECTORS).unwrap();
    assert!(vectors.scenarios.len() >= 6);
    for scenario in &vectors.scenarios {
        replay(scenario);
    }
}

#[test]
fn a_vector_with_one_random_bit_changed_does_not_hold() {
    let mut vectors: Vectors = serde_json::from_str(VECTORS).unwrap();
    let scenario = &mut vectors.scenarios[0];
    let flipped = if scenario.join.random.starts_with('0') { "1" } else { "0" };
    scenario.join.random.replace_range(0..1, flipped);
    let result = std::panic::catch_unwind(|| replay(&vectors.scenarios[0]));
    assert!(result.is_err());
}

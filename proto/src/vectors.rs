//! Known answers made by `tests/models/wire_model.py`, a second implementation in another language.

use data_encoding::HEXLOWER;
use serde_json::Value;

use crate::auth::{AuthSecretKey, ObjectSecretKey};
use crate::cell::Cell;
use crate::ids::{ClaimId, FeedId, FeedWriterId, Fingerprint, ObjectId, PutId, RecvId, SendId};
use crate::object::{Root, chunk_hash};
use crate::payload::{Blob, Payload};
use crate::pow::{Challenge, Purpose, Search, verify};
use crate::seal::tests::Fixed;
use crate::seal::{AcceptedRoute, KeyEpoch, RouteContext, RouteHash, SealSecretKey};
use crate::wire::{Command, Done, Opened, Ping, Reply, Role, command, reply};

#[test]
fn ids_are_those_of_the_model() {
    let vectors = vectors();
    let cases = vectors["ids"].as_array().unwrap();
    assert_eq!(cases.len(), 8);
    for case in cases {
        let of = bytes(&case["of"]);
        let id = match case["kind"].as_str().unwrap() {
            "recv id" => *RecvId::of(&of).as_bytes(),
            "send id" => *SendId::of(&of).as_bytes(),
            "claim id" => *ClaimId::of(&of).as_bytes(),
            "object id" => *ObjectId::of(&of).as_bytes(),
            "feed id" => *FeedId::of(&of).as_bytes(),
            "feed writer id" => *FeedWriterId::of(&of).as_bytes(),
            "put id" => *PutId::of(&of).as_bytes(),
            "fingerprint" => *Fingerprint::of(&of.as_slice().try_into().unwrap()).as_bytes(),
            other => panic!("{other}"),
        };
        assert_eq!(id, array(&case["id"]));
    }
}

#[test]
fn object_roots_are_those_of_the_model() {
    for case in vectors()["roots"].as_array().unwrap() {
        let mut root = Root::new();
        let hashes = case["chunk_hashes"].as_array().unwrap();
        for (index, expected) in (1u8..).zip(hashes) {
            let hash = chunk_hash(&Blob::new(Box::new([index; 2_400])));
            assert_eq!(hash, array::<32>(expected));
            root.push(&hash);
        }
        assert_eq!(root.finish(), array::<32>(&case["root"]));
    }
}

#[test]
fn proofs_of_a_key_are_those_of_the_model_on_both_sides() {
    for case in vectors()["auth"].as_array().unwrap() {
        let role = Role::try_from(i32::try_from(case["role"].as_i64().unwrap()).unwrap()).unwrap();
        let ours = ObjectSecretKey::from_bytes(&array(&case["object_secret_key"]));
        let relay = AuthSecretKey::from_bytes(&array(&case["auth_secret_key"]));
        assert_eq!(ours.public_key(), array::<32>(&case["object_public_key"]));
        assert_eq!(relay.public_key(), array::<32>(&case["auth_public_key"]));
        let (id, context) = (array(&case["object_id"]), context(case));
        let hash = RouteHash::from_bytes(array(&case["route_hash"]));
        let mac: [u8; 32] = array(&case["mac"]);
        assert_eq!(ours.prove(role, &id, &relay.public_key(), &context, &hash), Some(mac));
        assert!(relay.verify(&ours.public_key(), role, &id, &context, &hash, &mac));
    }
}

#[test]
fn work_is_that_of_the_model() {
    for case in vectors()["work"].as_array().unwrap() {
        let number = |name: &str| u32::try_from(case[name].as_u64().unwrap()).unwrap();
        let nonce = |name: &str| case[name].as_str().unwrap().parse::<u64>().unwrap();
        let (id, context) = (array(&case["object_id"]), context(case));
        let purpose = match number("purpose") {
            1 => Purpose::Mailbox,
            2 => Purpose::Object,
            3 => Purpose::Feed,
            other => panic!("{other}"),
        };
        let challenge =
            Challenge { purpose, context: &context, object_id: &id, size: number("size") };
        let mut search = Search::new(&challenge, number("bits"), nonce("first_nonce")).unwrap();
        let found = (0..100).find_map(|_| search.advance()).unwrap();
        assert_eq!(found, nonce("nonce"));
        assert!(verify(&challenge, number("zero_bits"), found));
        assert!(!verify(&challenge, number("zero_bits") + 1, found));
    }
}

#[test]
fn a_session_with_the_model_agrees_on_every_byte() {
    let vectors = vectors();
    let route = &vectors["route"];
    let context = context(route);
    let key = SealSecretKey::from_seed(&array(&route["seal_seed"]));
    assert_eq!(key.public_key().to_bytes().to_vec(), bytes(&route["seal_public_key"]));
    let cell = |value: &Value| Cell::parse(&bytes(value)).unwrap();

    let open = cell(&route["open"]);
    let mut fresh = Fixed(bytes(&route["freshness"]));
    let accepted = AcceptedRoute::accept(&context, &key, open, &mut fresh).unwrap();
    // The model draws routing and padding by itself; the sealed bytes do not depend on them.
    let filler = |expected: &Cell| Fixed([expected.routing(), expected.enc()].concat());
    let first = cell(&route["first_answer"]);
    let opened = reply(reply::Reply::Opened(Opened {}));
    let (mut seal, answer) = accepted.answer(7, opened, &mut filler(&first)).unwrap();
    assert!(answer == first);
    assert_eq!(*seal.route_hash().as_bytes(), array::<32>(&route["route_hash"]));

    for ping in route["pings"].as_array().unwrap() {
        let (command, blob) = seal.open(cell(ping)).unwrap().command().unwrap();
        assert_eq!(command.command, Some(command::Command::Ping(Ping {})));
        assert_eq!((command.auth, blob), (None, None));
    }
    for expected in route["answers"].as_array().unwrap() {
        let expected = cell(expected);
        let done = reply(reply::Reply::Done(Done {}));
        assert!(seal.seal(7, done, &mut filler(&expected)).unwrap() == expected);
    }
}

#[test]
fn payloads_of_the_model_are_the_ones_encoded_here() {
    let ping = Command { auth: None, command: Some(command::Command::Ping(Ping {})) };
    let payload = Payload::of_command(&ping, None).unwrap();
    assert_eq!(payload.0[..5], [0, 2, 0x5a, 0, 0]);
}

fn reply(reply: reply::Reply) -> Payload {
    Payload::of_reply(&Reply { reply: Some(reply) }, None).unwrap()
}

fn vectors() -> Value {
    serde_json::from_str(include_str!("../tests/vectors/wire.json")).unwrap()
}

fn bytes(value: &Value) -> Vec<u8> {
    HEXLOWER.decode(value.as_str().unwrap().as_bytes()).unwrap()
}

fn array<const N: usize>(value: &Value) -> [u8; N] {
    bytes(value).try_into().unwrap()
}

fn context(case: &Value) -> RouteContext {
    RouteContext {
        fingerprint: Fingerprint::from_bytes(array(&case["fingerprint"])),
        key_epoch: KeyEpoch::from_bytes(array(&case["key_epoch"])),
    }
}

//! Frozen bytes: what each message and cell looks like on the wire. `HEARKEN_REGENERATE=1` writes them anew, which is
//! a change of the protocol and belongs into the changelog.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::fmt::Write as _;
use std::path::Path;

use data_encoding::HEXLOWER;
use ed25519_dalek::SigningKey;
use hearken_proto::auth::{AuthSecretKey, ObjectSecretKey};
use hearken_proto::cell::{Cell, CloseReason, Kind};
use hearken_proto::hop::{HopSecretKey, NextHop};
use hearken_proto::ids::{ClaimId, Fingerprint, ObjectId, PutId, RecvId, SendId};
use hearken_proto::object::Root;
use hearken_proto::payload::{Blob, Payload};
use hearken_proto::seal::{AcceptedRoute, KeyEpoch, PendingRoute, RouteContext, SealSecretKey};
use hearken_proto::wire::{self, Command, Reply, Role, command, object_put, reply};
use hearken_proto::{info, pow};
use prost::Message;
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;
use sha2::{Digest, Sha256};

fn check(name: &str, made: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name);
    if std::env::var_os("HEARKEN_REGENERATE").is_some() {
        std::fs::write(&path, made).unwrap();
    }
    let frozen = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(frozen == made, "{name} has changed:\n{made}");
}

fn line(out: &mut String, what: &str, bytes: &[u8]) {
    writeln!(out, "{what}: {}", HEXLOWER.encode(bytes)).unwrap();
}

fn commands() -> Vec<(&'static str, command::Command)> {
    let key = |byte| vec![byte; 32];
    let put = |step| command::Command::ObjectPut(wire::ObjectPut { step: Some(step) });
    vec![
        (
            "create",
            command::Command::Create(wire::Create {
                claim_public_key: key(1),
                sender_public_key: vec![],
                proof_of_work: 77,
            }),
        ),
        ("claim", command::Command::Claim(wire::Claim { sender_public_key: key(2) })),
        ("put", command::Command::Put(wire::Put { put_id: key(3) })),
        ("get", command::Command::Get(wire::Get { after: 5, max: 16 })),
        ("watch", command::Command::Watch(wire::Watch { after: 6 })),
        ("ack", command::Command::Ack(wire::Ack { cursor: 7 })),
        ("delete", command::Command::Delete(wire::Delete { role: Role::Receive.into() })),
        (
            "object declaration",
            put(object_put::Step::Declaration(wire::ObjectDeclaration {
                chunks: 2,
                root: key(4),
                ttl_hours: 72,
                proof_of_work: 9,
            })),
        ),
        ("object chunk", put(object_put::Step::Chunk(wire::ObjectChunk { index: 1 }))),
        (
            "object get",
            command::Command::ObjectGet(wire::ObjectGet { object_id: key(5), first: 0, max: 1 }),
        ),
        ("ping", command::Command::Ping(wire::Ping {})),
    ]
}

fn replies() -> Vec<(&'static str, reply::Reply)> {
    vec![
        ("opened", reply::Reply::Opened(wire::Opened {})),
        ("done", reply::Reply::Done(wire::Done {})),
        ("delivery", reply::Reply::Delivery(wire::Delivery { position: 8 })),
        ("empty", reply::Reply::Empty(wire::Empty {})),
        ("refused", reply::Reply::Refused(wire::Refused { reason: wire::Reason::NotYours.into() })),
        ("chunk", reply::Reply::Chunk(wire::ObjectChunkRead { index: 1, chunks: 2 })),
        (
            "watching",
            reply::Reply::Watching(wire::Watching { claims_refused: 1, claimed: true, newest: 9 }),
        ),
        ("push", reply::Reply::Push(wire::Delivery { position: 10 })),
    ]
}

#[test]
fn every_command_and_reply_has_its_frozen_bytes() {
    let mut out = String::from("# The protobuf of each message, without a proof.\n");
    for (name, command) in commands() {
        let command = Command { auth: None, command: Some(command) };
        line(&mut out, name, &command.encode_to_vec());
    }
    let auth = wire::Auth { role: Role::Send.into(), public_key: vec![6; 32], mac: vec![7; 32] };
    line(&mut out, "proof", &auth.encode_to_vec());
    for (name, reply) in replies() {
        line(&mut out, name, &Reply { reply: Some(reply) }.encode_to_vec());
    }
    check("messages.txt", &out);
}

#[test]
fn the_longest_command_beside_a_blob_fits_with_its_proof() {
    let auth = wire::Auth { role: Role::Write.into(), public_key: vec![6; 32], mac: vec![7; 32] };
    let blob = Blob::new(Box::new([9; 2_400]));
    let put = command::Command::Put(wire::Put { put_id: vec![3; 32] });
    let step = object_put::Step::Chunk(wire::ObjectChunk { index: 8_191 });
    let chunk = command::Command::ObjectPut(wire::ObjectPut { step: Some(step) });
    for command in [put, chunk] {
        let command = Command { auth: Some(auth.clone()), command: Some(command) };
        assert!(Payload::of_command(&command, Some(&blob)).is_ok());
    }
}

#[test]
fn frames_ids_proofs_and_roots_have_their_frozen_bytes() {
    let mut rng = ChaCha20Rng::seed_from_u64(1);
    let mut out = String::from("# The 16 bytes of frame of each kind on route 258.\n");
    for kind in [Kind::Info, Kind::Open, Kind::Data, Kind::Pad] {
        line(&mut out, &format!("{kind:?}"), &Cell::new(kind, 258, &mut rng).as_bytes()[..16]);
    }
    for reason in [
        CloseReason::Done,
        CloseReason::Refused,
        CloseReason::Unreachable,
        CloseReason::OtherKey,
        CloseReason::Busy,
        CloseReason::UnknownEpoch,
    ] {
        let cell = Cell::close(258, reason, &mut rng);
        line(&mut out, &format!("Close {reason:?}"), &cell.as_bytes()[..16]);
    }
    out.push_str("# Ids of the bytes 01 × 32.\n");
    line(&mut out, "recv", RecvId::of(&[1; 32]).as_bytes());
    line(&mut out, "send", SendId::of(&[1; 32]).as_bytes());
    line(&mut out, "claim", ClaimId::of(&[1; 32]).as_bytes());
    line(&mut out, "object", ObjectId::of(&[1; 32]).as_bytes());
    line(&mut out, "put", PutId::of(&[1; 32]).as_bytes());
    writeln!(out, "fingerprint: {}", Fingerprint::of(&[1; 32])).unwrap();
    let mut root = Root::new();
    root.push(&[2; 32]);
    line(&mut out, "root of one chunk", &root.finish());
    let context = RouteContext {
        fingerprint: Fingerprint::of(&[1; 32]),
        key_epoch: KeyEpoch::from_bytes([3; 8]),
    };
    let challenge = pow::Challenge {
        purpose: pow::Purpose::Mailbox,
        context: &context,
        object_id: &[4; 32],
        size: 0,
    };
    let mut search = pow::Search::new(&challenge, 12, 0).unwrap();
    let nonce = std::iter::from_fn(|| Some(search.advance())).flatten().next().unwrap();
    writeln!(out, "first nonce of 12 bits from 0: {nonce}").unwrap();
    check("frames.txt", &out);
}

/// A client and a relay with drawn keys, and an OPEN between them.
fn open(seed: u64) -> (RouteContext, SealSecretKey, PendingRoute, Cell, ChaCha20Rng) {
    let mut rng = ChaCha20Rng::seed_from_u64(seed);
    let context = RouteContext {
        fingerprint: Fingerprint::of(&[1; 32]),
        key_epoch: KeyEpoch::from_bytes([3; 8]),
    };
    let (secret, _) = SealSecretKey::generate(&mut rng);
    let (pending, cell) = PendingRoute::open(&context, &secret.public_key(), &mut rng).unwrap();
    (context, secret, pending, cell, rng)
}

#[test]
fn a_session_has_its_frozen_bytes() {
    let (context, secret, pending, open, mut rng) = open(2);
    let mut out = String::from("# SHA-256 of each cell of a session with seeded randomness.\n");
    let mut cell = |what: &str, cell: &Cell| line(&mut out, what, &Sha256::digest(cell.as_bytes()));
    cell("open", &open);
    let opened = Reply { reply: Some(reply::Reply::Opened(wire::Opened {})) };
    let accepted = AcceptedRoute::accept(&context, &secret, open, &mut rng).unwrap();
    let (mut relay, first) =
        accepted.answer(1, Payload::of_reply(&opened, None).unwrap(), &mut rng).unwrap();
    cell("first answer", &first);
    let (mut client, _) = pending.accept(first).unwrap();
    let ping = Command { auth: None, command: Some(command::Command::Ping(wire::Ping {})) };
    let asked = client.seal(1, Payload::of_command(&ping, None).unwrap(), &mut rng).unwrap();
    cell("command", &asked);
    relay.open(asked).unwrap();
    let done = Reply { reply: Some(reply::Reply::Done(wire::Done {})) };
    let answered = relay.seal(1, Payload::of_reply(&done, None).unwrap(), &mut rng).unwrap();
    cell("reply", &answered);
    client.open(answered).unwrap();
    line(&mut out, "route hash", client.route_hash().as_bytes());
    let auth = AuthSecretKey::from_bytes(&[5; 32]);
    let object = ObjectSecretKey::from_bytes(&[6; 32]);
    let id = RecvId::of(&object.public_key());
    let mac = object
        .prove(Role::Receive, id.as_bytes(), &auth.public_key(), &context, client.route_hash())
        .unwrap();
    line(&mut out, "proof", &mac);
    let hop = HopSecretKey::from_bytes(&[7; 32]);
    let next = NextHop {
        fingerprint: Fingerprint::of(&[8; 32]),
        host_port: "relay.example.org:4433".parse().unwrap(),
    };
    let routing = hop.public_key().seal(&context, &next, &mut rng).unwrap();
    line(&mut out, "next hop", &Sha256::digest(routing));
    let relay_info = wire::RelayInfo { signed_at_ms: 1, ..wire::RelayInfo::default() };
    let signed = info::sign(&relay_info, &SigningKey::from_bytes(&[9; 32]));
    line(&mut out, "signed info", &signed.encode_to_vec());
    check("session.txt", &out);
}

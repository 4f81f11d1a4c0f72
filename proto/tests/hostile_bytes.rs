//! Bytes that nobody honest sent: each is refused, none panics, and none moves a session on.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a failing test panics")]

use ed25519_dalek::SigningKey;
use hearken_proto::address::{HostPort, RelayAddress, is_private};
use hearken_proto::auth::{AuthSecretKey, ObjectSecretKey};
use hearken_proto::cell::{Cell, CellError, Kind};
use hearken_proto::hop::{HopSecretKey, NextHop};
use hearken_proto::ids::{Fingerprint, RecvId};
use hearken_proto::info::{self, InfoError, UnverifiedInfo};
use hearken_proto::limits::{CELL_LEN, INFO_LEN, ROUTING_LEN};
use hearken_proto::payload::{Blob, Payload};
use hearken_proto::pow;
use hearken_proto::seal::{
    AcceptedRoute, KeyEpoch, PendingRoute, RouteContext, RouteSeal, SealSecretKey,
};
use hearken_proto::time::UnixMillis;
use hearken_proto::wire::{self, Command, RelayInfo, Reply, Role, command, reply};
use proptest::prelude::*;
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;

const NOW: UnixMillis = UnixMillis(1_800_000_000_000);
const MINUTE_MS: u64 = 60_000;

fn context(byte: u8) -> RouteContext {
    RouteContext {
        fingerprint: Fingerprint::of(&[byte; 32]),
        key_epoch: KeyEpoch::from_bytes([byte; 8]),
    }
}

fn ping() -> Payload {
    let ping = Command { auth: None, command: Some(command::Command::Ping(wire::Ping {})) };
    Payload::of_command(&ping, None).unwrap()
}

fn done() -> Payload {
    let done = Reply { reply: Some(reply::Reply::Done(wire::Done {})) };
    Payload::of_reply(&done, None).unwrap()
}

struct Ends {
    client: RouteSeal,
    relay: RouteSeal,
    rng: ChaCha20Rng,
}

fn ends(seed: u64) -> Ends {
    let mut rng = ChaCha20Rng::seed_from_u64(seed);
    let (secret, _) = SealSecretKey::generate(&mut rng);
    let (pending, open) = PendingRoute::open(&context(1), &secret.public_key(), &mut rng).unwrap();
    let accepted = AcceptedRoute::accept(&context(1), &secret, open, &mut rng).unwrap();
    let (relay, first) = accepted.answer(1, done(), &mut rng).unwrap();
    let (client, _) = pending.accept(first).unwrap();
    Ends { client, relay, rng }
}

fn flipped(cell: &Cell, at: usize, bit: u8) -> Option<Cell> {
    let mut bytes = *cell.as_bytes();
    bytes[at] ^= 1 << bit;
    Cell::parse(&bytes).ok()
}

#[test]
fn a_changed_bit_anywhere_in_an_open_is_refused_or_was_never_read() {
    let mut rng = ChaCha20Rng::seed_from_u64(3);
    let (secret, _) = SealSecretKey::generate(&mut rng);
    let (_, open) = PendingRoute::open(&context(1), &secret.public_key(), &mut rng).unwrap();
    for at in (0..CELL_LEN).step_by(3) {
        let Some(changed) = flipped(&open, at, (at % 8) as u8) else { continue };
        let accepted = AcceptedRoute::accept(&context(1), &secret, changed, &mut rng);
        // Frame and routing are link-local; the seal covers everything behind them.
        assert_eq!(accepted.is_ok(), (..16 + ROUTING_LEN).contains(&at) && at != 8, "byte {at}");
    }
}

#[test]
fn an_open_for_another_relay_epoch_or_key_is_refused() {
    let mut rng = ChaCha20Rng::seed_from_u64(4);
    let (secret, _) = SealSecretKey::generate(&mut rng);
    let (other, _) = SealSecretKey::generate(&mut rng);
    let (_, open) = PendingRoute::open(&context(1), &secret.public_key(), &mut rng).unwrap();
    let epoch = RouteContext { key_epoch: KeyEpoch::from_bytes([9; 8]), ..context(1) };
    let relay = RouteContext { fingerprint: Fingerprint::of(&[9; 32]), ..context(1) };
    assert!(AcceptedRoute::accept(&epoch, &secret, open.clone(), &mut rng).is_err());
    assert!(AcceptedRoute::accept(&relay, &secret, open.clone(), &mut rng).is_err());
    assert!(AcceptedRoute::accept(&context(1), &other, open.clone(), &mut rng).is_err());
    assert!(AcceptedRoute::accept(&context(1), &secret, open, &mut rng).is_ok());
}

#[test]
fn a_replayed_open_yields_other_keys() {
    let mut rng = ChaCha20Rng::seed_from_u64(5);
    let (secret, _) = SealSecretKey::generate(&mut rng);
    let (_, open) = PendingRoute::open(&context(1), &secret.public_key(), &mut rng).unwrap();
    let mut hashes = Vec::new();
    for _ in 0..3 {
        let accepted = AcceptedRoute::accept(&context(1), &secret, open.clone(), &mut rng).unwrap();
        let (seal, _) = accepted.answer(1, done(), &mut rng).unwrap();
        hashes.push(*seal.route_hash().as_bytes());
    }
    hashes.sort_unstable();
    hashes.dedup();
    assert_eq!(hashes.len(), 3);
}

#[test]
fn a_first_answer_that_was_changed_does_not_open_the_session() {
    for at in (381..CELL_LEN).step_by(97).chain([381, 400, 412, 1_501, 1_516, 1_517]) {
        let mut rng = ChaCha20Rng::seed_from_u64(6);
        let (secret, _) = SealSecretKey::generate(&mut rng);
        let (pending, open) =
            PendingRoute::open(&context(1), &secret.public_key(), &mut rng).unwrap();
        let accepted = AcceptedRoute::accept(&context(1), &secret, open, &mut rng).unwrap();
        let (_, first) = accepted.answer(1, done(), &mut rng).unwrap();
        let changed = flipped(&first, at, 0).unwrap();
        // Behind the freshness the 1,120 bytes are random and unread.
        assert_eq!(pending.accept(changed).is_ok(), (413..1_501).contains(&at), "byte {at}");
    }
}

#[test]
fn each_cell_opens_once_in_order_in_its_direction_and_session() {
    let mut ends = ends(7);
    let one = ends.client.seal(1, ping(), &mut ends.rng).unwrap();
    let two = ends.client.seal(1, ping(), &mut ends.rng).unwrap();
    assert!(ends.relay.open(two.clone()).is_err(), "out of order");
    assert!(ends.relay.open(one.clone()).is_ok());
    assert!(ends.relay.open(one.clone()).is_err(), "replayed");
    assert!(ends.relay.open(two.clone()).is_ok(), "a refused cell moves nothing on");
    let mut other = self::ends(8);
    assert!(other.relay.open(one.clone()).is_err(), "another session");
    assert!(ends.client.open(one).is_err(), "the other direction");
}

#[test]
fn a_changed_bit_in_the_sealed_part_or_the_tag_is_refused() {
    let mut ends = ends(9);
    let cell = ends.client.seal(1, ping(), &mut ends.rng).unwrap();
    for at in (1_501..CELL_LEN).step_by(7) {
        assert!(ends.relay.open(flipped(&cell, at, 3).unwrap()).is_err(), "byte {at}");
    }
    assert!(ends.relay.open(cell).is_ok());
}

#[test]
fn frames_that_do_not_hold_are_refused() {
    let mut rng = ChaCha20Rng::seed_from_u64(10);
    let data = Cell::new(Kind::Data, 1, &mut rng);
    let with = |at: usize, byte: u8| {
        let mut bytes = *data.as_bytes();
        bytes[at] = byte;
        Cell::parse(&bytes)
    };
    for kind in [0, 6, 7, 255] {
        assert_eq!(with(8, kind).unwrap_err(), CellError::Kind);
    }
    for at in 9..16 {
        assert_eq!(with(at, 1).unwrap_err(), CellError::Frame, "byte {at}");
    }
    for len in [0, 1, CELL_LEN - 1, CELL_LEN + 1] {
        assert_eq!(Cell::parse(&vec![3; len]).unwrap_err(), CellError::Length);
    }
}

#[test]
fn a_next_hop_is_read_by_its_entry_only_and_never_after_a_change() {
    let mut rng = ChaCha20Rng::seed_from_u64(11);
    let secret = HopSecretKey::from_bytes(&[1; 32]);
    let next = NextHop {
        fingerprint: Fingerprint::of(&[2; 32]),
        host_port: "relay.example.org:4433".parse().unwrap(),
    };
    let routing = secret.public_key().seal(&context(1), &next, &mut rng).unwrap();
    assert_eq!(secret.open(&context(1), &routing).unwrap(), next);
    assert!(secret.open(&context(2), &routing).is_err());
    assert!(HopSecretKey::from_bytes(&[3; 32]).open(&context(1), &routing).is_err());
    for at in 0..ROUTING_LEN {
        let mut changed = routing;
        changed[at] ^= 1;
        // The last bit of X25519's last byte is the one that RFC 7748 masks; HPKE binds the encoding all the same.
        assert!(secret.open(&context(1), &changed).is_err(), "byte {at}");
    }
}

fn relay_info(signed_at: u64) -> (SigningKey, RelayInfo) {
    let mut rng = ChaCha20Rng::seed_from_u64(12);
    let (seal, _) = SealSecretKey::generate(&mut rng);
    let info = RelayInfo {
        signed_at_ms: signed_at,
        key_epoch: vec![1; 8],
        seal_public_key: seal.public_key().to_bytes().to_vec(),
        auth_public_key: AuthSecretKey::from_bytes(&[2; 32]).public_key().to_vec(),
        hop_public_key: HopSecretKey::from_bytes(&[3; 32]).public_key().to_bytes().to_vec(),
        versions: vec![1],
        ..RelayInfo::default()
    };
    (SigningKey::from_bytes(&[4; 32]), info)
}

fn verify(info: &RelayInfo, key: &SigningKey, newest: Option<u64>) -> Result<(), InfoError> {
    let mut rng = ChaCha20Rng::seed_from_u64(13);
    let cell = info::answer(1, &info::sign(info, key), &mut rng).unwrap();
    let fingerprint = Fingerprint::of(&key.verifying_key().to_bytes());
    UnverifiedInfo::from_answer(&cell)?
        .verify(&fingerprint, newest.map(UnixMillis), NOW)
        .map(|_| ())
}

#[test]
fn an_info_is_believed_for_three_hours_and_two_back_from_the_newest() {
    let at = |minutes: i64| NOW.0.saturating_add_signed(minutes * MINUTE_MS.cast_signed());
    let check = |signed: u64, newest| {
        let (key, info) = relay_info(signed);
        verify(&info, &key, newest)
    };
    assert_eq!(check(at(0), None), Ok(()));
    assert_eq!(check(at(-180), None), Ok(()));
    assert_eq!(check(at(-180) - 1, None), Err(InfoError::Expired));
    assert_eq!(check(at(180) + 1, None), Err(InfoError::Expired));
    assert_eq!(check(at(-120), Some(at(0))), Ok(()));
    assert_eq!(check(at(-120) - 1, Some(at(0))), Err(InfoError::RolledBack));
}

#[test]
fn an_info_with_other_versions_keys_or_a_changed_byte_is_refused() {
    let (key, info) = relay_info(NOW.0);
    let other = RelayInfo { versions: vec![2], ..info.clone() };
    assert_eq!(verify(&other, &key, None), Err(InfoError::Version));
    let short = RelayInfo { seal_public_key: vec![1; 10], ..info.clone() };
    assert_eq!(verify(&short, &key, None), Err(InfoError::Malformed));
    let mut rng = ChaCha20Rng::seed_from_u64(14);
    let signed = info::sign(&info, &key);
    let cell = info::answer(1, &signed, &mut rng).unwrap();
    let fingerprint = Fingerprint::of(&key.verifying_key().to_bytes());
    let len = 2 + usize::from(u16::from_be_bytes([cell.info()[0], cell.info()[1]]));
    for at in 0..len {
        let Some(changed) = flipped(&cell, 381 + at, 0) else { continue };
        let read = UnverifiedInfo::from_answer(&changed);
        let verified = read.and_then(|info| info.verify(&fingerprint, None, NOW));
        assert!(verified.is_err(), "byte {at}");
    }
    let stranger = Fingerprint::of(&[9; 32]);
    let read = UnverifiedInfo::from_answer(&cell).unwrap();
    assert_eq!(read.verify(&stranger, None, NOW).unwrap_err(), InfoError::OtherKey);
    let long = RelayInfo { versions: vec![u32::MAX; INFO_LEN], ..info };
    assert!(info::answer(1, &info::sign(&long, &key), &mut rng).is_err());
}

#[test]
fn a_proof_holds_for_its_key_role_relay_epoch_and_session_only() {
    let (one, two) = (ends(15), ends(16));
    let auth = AuthSecretKey::from_bytes(&[1; 32]);
    let key = ObjectSecretKey::from_bytes(&[2; 32]);
    let id = *RecvId::of(&key.public_key()).as_bytes();
    let hash = one.client.route_hash();
    let proof = key.prove(Role::Receive, &id, &auth.public_key(), &context(1), hash).unwrap();
    let holds =
        |public: &[u8; 32], role, id: &[u8; 32], context: &RouteContext, hash, proof: &[u8]| {
            auth.verify(public, role, id, context, hash, proof)
        };
    let public = key.public_key();
    let relay_hash = one.relay.route_hash();
    assert!(holds(&public, Role::Receive, &id, &context(1), relay_hash, &proof));
    assert!(!holds(&public, Role::Send, &id, &context(1), relay_hash, &proof));
    assert!(!holds(&public, Role::Receive, &[0; 32], &context(1), relay_hash, &proof));
    assert!(!holds(&public, Role::Receive, &id, &context(2), relay_hash, &proof));
    assert!(!holds(&public, Role::Receive, &id, &context(1), two.relay.route_hash(), &proof));
    let other = ObjectSecretKey::from_bytes(&[3; 32]).public_key();
    assert!(!holds(&other, Role::Receive, &id, &context(1), relay_hash, &proof));
    for at in 0..32 {
        let mut changed = proof;
        changed[at] ^= 1;
        assert!(!holds(&public, Role::Receive, &id, &context(1), relay_hash, &changed));
    }
    assert!(!holds(&public, Role::Receive, &id, &context(1), relay_hash, &proof[..31]));
    // Points of small order: zero and one.
    let mut small = [0; 32];
    for first in [0, 1] {
        small[0] = first;
        assert!(key.prove(Role::Receive, &id, &small, &context(1), hash).is_none());
        assert!(!holds(&small, Role::Receive, &id, &context(1), relay_hash, &[0; 32]));
    }
}

#[test]
fn work_counts_for_one_purpose_object_size_relay_and_epoch() {
    let context = context(1);
    let challenge = pow::Challenge {
        purpose: pow::Purpose::Object,
        context: &context,
        object_id: &[1; 32],
        size: 3,
    };
    let mut search = pow::Search::new(&challenge, 14, 0).unwrap();
    let nonce = std::iter::from_fn(|| Some(search.advance())).flatten().next().unwrap();
    assert!(pow::verify(&challenge, 14, nonce));
    let elsewhere = self::context(2);
    for other in [
        pow::Challenge { purpose: pow::Purpose::Mailbox, ..challenge },
        pow::Challenge { object_id: &[2; 32], ..challenge },
        pow::Challenge { size: 4, ..challenge },
        pow::Challenge { context: &elsewhere, ..challenge },
    ] {
        assert!(!pow::verify(&other, 14, nonce));
    }
    assert!(pow::Search::new(&challenge, 27, 0).is_none(), "more than a client does");
}

#[test]
fn addresses_are_read_strictly_and_private_ones_known() {
    let fingerprint = Fingerprint::of(&[1; 32]);
    let good =
        format!("hearken://{fingerprint}@relay.example.org:4433,192.0.2.1:1,[2001:db8::1]:2");
    assert_eq!(good.parse::<RelayAddress>().unwrap().to_string(), good);
    let upper = fingerprint.to_string().to_uppercase();
    for bad in [
        format!("hearken:{fingerprint}@a.org:1"),
        format!("hearken://{fingerprint}@"),
        format!("hearken://{fingerprint}a@a.org:1"),
        format!("hearken://{upper}@a.org:1"),
        format!("hearken://{fingerprint}@a.org"),
        format!("hearken://{fingerprint}@a.org:0"),
        format!("hearken://{fingerprint}@a.org:65536"),
        format!("hearken://{fingerprint}@a.org:+1"),
        format!("hearken://{fingerprint}@-a.org:1"),
        format!("hearken://{fingerprint}@a..org:1"),
        format!("hearken://{fingerprint}@1.2.3:1"),
        format!("hearken://{fingerprint}@é.org:1"),
        format!("hearken://{fingerprint}@[::1:1"),
        format!("hearken://{fingerprint}@{}", ["a.org:1"; 9].join(",")),
    ] {
        assert!(bad.parse::<RelayAddress>().is_err(), "{bad}");
    }
    for private in [
        "127.0.0.1",
        "10.1.2.3",
        "172.16.0.1",
        "192.168.1.1",
        "169.254.1.1",
        "100.64.0.1",
        "0.0.0.0",
        "255.255.255.255",
        "224.0.0.1",
        "::1",
        "::",
        "fe80::1",
        "fd00::1",
        "ff02::1",
        "::ffff:127.0.0.1",
        "::ffff:10.0.0.1",
        "64:ff9b::7f00:1",
        "2002:7f00:1::",
        "2002:a00:1::1",
    ] {
        assert!(is_private(private.parse().unwrap()), "{private}");
    }
    for public in
        ["8.8.8.8", "2606:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808", "2002:808:808::1"]
    {
        assert!(!is_private(public.parse().unwrap()), "{public}");
    }
    assert!("localhost:1".parse::<HostPort>().unwrap().is_private());
}

proptest! {
    #[test]
    fn payloads_come_back_as_they_were(position in any::<u64>(), byte in any::<u8>()) {
        let blob = Blob::new(Box::new([byte; 2_400]));
        let push = Reply { reply: Some(reply::Reply::Push(wire::Delivery { position })) };
        let payload = Payload::of_reply(&push, Some(&blob)).unwrap();
        let (back, found) = payload.reply().unwrap();
        prop_assert_eq!(back, push);
        prop_assert_eq!(found, Some(blob));
    }

    #[test]
    fn random_bytes_in_every_decoder_never_panic(bytes in proptest::collection::vec(any::<u8>(), CELL_LEN), text in ".{0,80}") {
        if let Ok(cell) = Cell::parse(&bytes) {
            let _ = UnverifiedInfo::from_answer(&cell);
            let _ = HopSecretKey::from_bytes(&[1; 32]).open(&context(1), cell.routing());
            let mut ends = ends(20);
            prop_assert!(ends.relay.open(cell).is_err());
        }
        let mut framed = bytes.clone();
        framed[8] = 1 + bytes[8] % 5;
        framed[9..16].fill(0);
        let cell = Cell::parse(&framed).unwrap();
        let _ = UnverifiedInfo::from_answer(&cell);
        let _ = text.parse::<RelayAddress>();
        let _ = text.parse::<HostPort>();
    }

    #[test]
    fn places_come_back_as_they_were(a in any::<u32>(), port in 1..=u16::MAX) {
        let place = HostPort::of_ip(std::net::Ipv4Addr::from(a).into(), port);
        prop_assert_eq!(place.to_string().parse::<HostPort>().unwrap(), place);
    }
}

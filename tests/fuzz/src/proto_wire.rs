//! Decoders of what stands on links: cells, what is inside their seal, addresses, infos, next hops, ids.

use ed25519_dalek::SigningKey;
use hearken_proto::address::{HostPort, RelayAddress, is_private};
use hearken_proto::cell::{Cell, Kind};
use hearken_proto::hop::{HopSecretKey, NextHop};
use hearken_proto::ids::{ClaimId, Fingerprint, ObjectId, PutId, RecvId, SendId};
use hearken_proto::info::{self, UnverifiedInfo};
use hearken_proto::limits::{
    CELL_LEN, HOP_PLAIN_LEN, HOST_PORT_MAX, INFO_LEN, ROUTING_LEN, SEALED_LEN,
};
use hearken_proto::payload::{Blob, Payload};
use hearken_proto::seal::{KeyEpoch, RouteContext};
use hearken_proto::time::UnixMillis;
use hearken_proto::wire::{Command, RelayInfo, Reply, SignedRelayInfo};
use prost::Message;
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;

/// A cell that is read is exactly its bytes, and stays one whatever its holder sets.
pub(super) fn cell(input: &[u8]) {
    let Ok(cell) = Cell::parse(input) else { return };
    assert_eq!(&cell.as_bytes()[..], input, "a cell that is read is its bytes");
    assert_eq!(Cell::from_array(Box::new(*cell.as_bytes())).as_ref(), Ok(&cell));
    assert_eq!(cell.close_reason().is_some(), cell.kind() == Kind::Close);
    assert_eq!(cell.routing().len(), ROUTING_LEN);
    let mut rng = ChaCha20Rng::from_seed([1; 32]);
    let mut other = cell.clone();
    other.set_route(!cell.route());
    assert_eq!(other.route(), !cell.route());
    if matches!(cell.kind(), Kind::Open | Kind::Info) {
        other.strip_next_hop(&mut rng);
        assert!(other.is_last_hop());
    }
    assert!(Cell::parse(other.as_bytes()).is_ok(), "a cell that was forwarded is still one");
    let _ = UnverifiedInfo::from_answer(&cell);
}

/// What is read from a payload comes back when it is written again. The bytes need not be the same: protobuf skips
/// fields that it does not know and takes fields in any order. What is written is written the same way each time.
pub(super) fn payload(input: &[u8]) {
    let Some((first, rest)) = input.split_first() else { return };
    let mut bytes = Box::new([0; SEALED_LEN]);
    let len = rest.len().min(SEALED_LEN);
    bytes[..len].copy_from_slice(&rest[..len]);
    let payload = Payload::from_bytes(bytes);
    if first % 2 == 0 {
        let Ok((command, blob)) = payload.command() else { return };
        let again = Payload::of_command(&command, blob.as_ref()).expect("what was read fits");
        assert_eq!(again.command(), Ok((command.clone(), blob.clone())));
        canonical(&payload, &again, command.encoded_len());
        let _: Command = command;
    } else {
        let Ok((reply, blob)) = payload.reply() else { return };
        let again = Payload::of_reply(&reply, blob.as_ref()).expect("what was read fits");
        assert_eq!(again.reply(), Ok((reply, blob)));
        canonical(&payload, &again, reply.encoded_len());
        let _: Reply = reply;
    }
}

/// Writing again never makes a message longer, and where its length stays the zeros and the blob are where they were.
fn canonical(read: &Payload, written: &Payload, len: usize) {
    let read_len = usize::from(u16::from_be_bytes([read.as_bytes()[0], read.as_bytes()[1]]));
    assert!(len <= read_len, "what is read is at least as long as what is written");
    if len == read_len {
        assert_eq!(read.as_bytes()[2 + len..], written.as_bytes()[2 + len..]);
    }
}

/// An address that is read is written in one way, and that is read as the same. The text need not be the same: names
/// are read in upper case, ports with zeros in front, and IPv6 addresses in several ways.
pub(super) fn address(input: &[u8]) {
    let Ok(text) = core::str::from_utf8(input) else { return };
    if let Ok(address) = text.parse::<RelayAddress>() {
        let written = address.to_string();
        assert_eq!(written.parse::<RelayAddress>().as_ref(), Ok(&address));
        assert!((1..=8).contains(&address.places().len()));
        assert_eq!(NextHop::of(&address).host_port, address.places()[0]);
        address.places().iter().for_each(place);
    }
    if let Ok(host_port) = text.parse::<HostPort>() {
        place(&host_port);
    }
    if let Ok(fingerprint) = text.parse::<Fingerprint>() {
        assert_eq!(fingerprint.to_string(), text, "a fingerprint is written in one way only");
    }
    if let Ok(bytes) = <[u8; 16]>::try_from(&input[..16.min(input.len())]) {
        let v6 = core::net::Ipv6Addr::from(bytes);
        let [.., a, b, c, d] = bytes;
        let v4 = core::net::Ipv4Addr::new(a, b, c, d);
        assert_eq!(is_private(v4.to_ipv6_mapped().into()), is_private(v4.into()));
        let _ = is_private(v6.into());
    }
}

fn place(place: &HostPort) {
    let written = place.to_string();
    assert_ne!(place.port(), 0);
    assert!(written.len() <= HOST_PORT_MAX, "a place fits a next hop");
    assert_eq!(written.parse::<HostPort>().as_ref(), Ok(place));
    let _ = place.is_private();
}

/// The answer to an INFO, as it came and, so that more than the signature's check is reached, signed.
pub(super) fn info(input: &[u8]) {
    let mut rng = ChaCha20Rng::from_seed([2; 32]);
    let identity = SigningKey::from_bytes(&[3; 32]);
    let fingerprint = Fingerprint::of(&identity.verifying_key().to_bytes());
    let mut bytes = Box::new(*Cell::new(Kind::Info, 1, &mut rng).as_bytes());
    let len = input.len().min(INFO_LEN);
    bytes[CELL_LEN - INFO_LEN..][..len].copy_from_slice(&input[..len]);
    let cell = Cell::from_array(bytes).expect("an INFO's frame");
    let now = UnixMillis(1_700_000_000_000);
    if let Ok(unverified) = UnverifiedInfo::from_answer(&cell) {
        let signed = unverified.signed().clone();
        let answered = info::answer(1, &signed, &mut rng).expect("what was in a cell fits one");
        assert_eq!(UnverifiedInfo::from_answer(&answered).unwrap().signed(), &signed);
        let taken = unverified.verify(&fingerprint, None, now);
        assert!(
            taken.is_err() || signed.identity_public_key == identity.verifying_key().to_bytes()
        );
        verify(&signed.relay_info, &identity, &fingerprint, now);
    }
    verify(input, &identity, &fingerprint, now);
}

/// What a relay signed, whatever it is, is taken only with keys that are keys and a time that is near.
fn verify(relay_info: &[u8], identity: &SigningKey, fingerprint: &Fingerprint, now: UnixMillis) {
    let Ok(content) = RelayInfo::decode(relay_info) else { return };
    let near = RelayInfo { signed_at_ms: now.0 + content.signed_at_ms % 1_000, ..content.clone() };
    for content in [content, near] {
        let signed: SignedRelayInfo = info::sign(&content, identity);
        let mut rng = ChaCha20Rng::from_seed([4; 32]);
        let Ok(cell) = info::answer(1, &signed, &mut rng) else { continue };
        let unverified = UnverifiedInfo::from_answer(&cell).expect("what was answered is read");
        let Ok(verified) = unverified.verify(fingerprint, Some(now), now) else { continue };
        assert!(verified.signed_at().0.abs_diff(now.0) <= 3 * 3_600_000);
        assert_eq!(verified.info(), &content);
        assert_eq!(verified.context().fingerprint, *fingerprint);
        assert_eq!(verified.seal_key().to_bytes()[..], content.seal_public_key[..]);
        assert_eq!(verified.hop_key().to_bytes()[..], content.hop_public_key[..]);
        let opened = hearken_proto::seal::PendingRoute::open(
            verified.context(),
            verified.seal_key(),
            &mut rng,
        );
        assert!(opened.is_ok() || content.seal_public_key[1_184..].len() == 32);
    }
}

/// A next hop as it came (nothing opens), and what is inside one that opened.
pub(super) fn hop(input: &[u8]) {
    let context = RouteContext {
        fingerprint: Fingerprint::from_bytes([1; 32]),
        key_epoch: KeyEpoch::from_bytes([2; 8]),
    };
    let secret = HopSecretKey::from_bytes(&[3; 32]);
    assert!(secret.open(&context, input).is_err(), "nobody sealed that");
    let mut routing = [0; ROUTING_LEN];
    let len = input.len().min(ROUTING_LEN);
    routing[..len].copy_from_slice(&input[..len]);
    assert!(secret.open(&context, &routing).is_err(), "nobody sealed that");
    let mut plain = [0; HOP_PLAIN_LEN];
    let len = input.len().min(HOP_PLAIN_LEN);
    plain[..len].copy_from_slice(&input[..len]);
    let Ok(next) = NextHop::read(&plain) else { return };
    place(&next.host_port);
    let mut rng = ChaCha20Rng::from_seed([4; 32]);
    let sealed = secret.public_key().seal(&context, &next, &mut rng).expect("a place fits");
    assert_eq!(secret.open(&context, &sealed), Ok(next));
}

/// Ids and blobs are of one length, and ids of one key in two roles differ.
pub(super) fn ids(input: &[u8]) {
    assert_eq!(RecvId::try_from(input).is_ok(), input.len() == 32);
    assert_eq!(Blob::try_from(input).is_ok(), input.len() == hearken_proto::limits::BLOB_LEN);
    let ids = [
        *RecvId::of(input).as_bytes(),
        *SendId::of(input).as_bytes(),
        *ClaimId::of(input).as_bytes(),
        *ObjectId::of(input).as_bytes(),
        *PutId::of(input).as_bytes(),
    ];
    for (at, id) in ids.iter().enumerate() {
        assert!(!ids[..at].contains(id));
    }
    if let Ok(id) = RecvId::try_from(input) {
        assert_eq!(&id.as_bytes()[..], input);
        assert_eq!(format!("{id:?}"), "RecvId(..)");
    }
}

pub(super) fn seeds() -> Vec<(&'static str, Vec<u8>)> {
    let mut rng = ChaCha20Rng::from_seed([9; 32]);
    let identity = SigningKey::from_bytes(&[3; 32]);
    let fingerprint = Fingerprint::of(&identity.verifying_key().to_bytes());
    let (secret, _) = hearken_proto::seal::SealSecretKey::generate(&mut rng);
    let content = RelayInfo {
        signed_at_ms: 1_700_000_000_000,
        key_epoch: vec![5; 8],
        seal_public_key: secret.public_key().to_bytes().to_vec(),
        auth_public_key: vec![9; 32],
        hop_public_key: HopSecretKey::from_bytes(&[3; 32]).public_key().to_bytes().to_vec(),
        keys_until_ms: 1_700_000_000_000,
        admission: 1,
        proof_of_work_bits: 18,
        mailbox_blobs_max: 512,
        versions: vec![1],
        decommission: None,
        forwards: true,
    };
    let signed = info::sign(&content, &identity);
    let answer = info::answer(1, &signed, &mut rng).expect("an info fits");
    let hop = "relay.example:4433";
    let next = [&50u16.to_be_bytes()[..], fingerprint.as_bytes(), hop.as_bytes()].concat();
    let mut all = vec![
        ("proto-info", answer.info().to_vec()),
        ("proto-info", content.encode_to_vec()),
        ("proto-cell", answer.as_bytes().to_vec()),
        ("proto-hop", next),
        ("proto-address", format!("hearken://{fingerprint}@{hop},[2001:db8::1]:1").into_bytes()),
        ("proto-address", b"[::ffff:192.0.2.1]:443".to_vec()),
        ("proto-address", fingerprint.to_string().into_bytes()),
        ("proto-ids", vec![1; 32]),
    ];
    for kind in [Kind::Info, Kind::Open, Kind::Data, Kind::Close, Kind::Pad] {
        all.push(("proto-cell", Cell::new(kind, 7, &mut rng).as_bytes().to_vec()));
    }
    all.extend(payload_seeds());
    all
}

fn payload_seeds() -> Vec<(&'static str, Vec<u8>)> {
    use hearken_proto::wire::command::Command as Ask;
    use hearken_proto::wire::{self, Auth, Delivery, Get, Put, reply};
    let blob = Blob::try_from(&[6; 2_400][..]).expect("a blob");
    let auth = Some(Auth { role: 2, public_key: vec![1; 32], mac: vec![2; 32] });
    let put = Command { auth, command: Some(Ask::Put(Put { put_id: vec![3; 32] })) };
    let get = Command { auth: None, command: Some(Ask::Get(Get { after: 7, max: 16 })) };
    let create = wire::Create { claim_public_key: vec![1; 32], ..Default::default() };
    let create = Command { auth: None, command: Some(Ask::Create(create)) };
    let push = Reply { reply: Some(reply::Reply::Push(Delivery { position: 9 })) };
    let done = Reply { reply: Some(reply::Reply::Done(wire::Done {})) };
    let payloads = [
        (0, Payload::of_command(&put, Some(&blob))),
        (0, Payload::of_command(&get, None)),
        (0, Payload::of_command(&create, None)),
        (1, Payload::of_reply(&push, Some(&blob))),
        (1, Payload::of_reply(&done, None)),
    ];
    let seed = |(first, payload): (u8, Result<Payload, _>)| {
        ("proto-payload", [&[first], &payload.expect("it fits").as_bytes()[..]].concat())
    };
    payloads.map(seed).to_vec()
}

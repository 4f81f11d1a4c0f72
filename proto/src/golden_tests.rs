//! Frozen bytes: what this crate makes under seeded randomness stands, annotated, in `tests/golden/`.
//!
//! A difference is a change of the wire: every relay and client that runs would have to change with it. With
//! `HEARKEN_REGENERATE=1` the files are written anew. Each line is bytes in hex (`x * n`: n times the byte x), two
//! spaces, `# ` and what they are.
#![allow(clippy::disallowed_methods, reason = "HEARKEN_REGENERATE writes the files anew")]

use std::fmt::Write as _;
use std::path::Path;

use ed25519_dalek::SigningKey;
use prost::Message;
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;

use crate::address::RelayAddress;
use crate::cell::{Cell, CloseReason, Kind};
use crate::hop::{HopSecretKey, NextHop};
use crate::ids::Fingerprint;
use crate::info;
use crate::limits::{BLOB_LEN, COMMAND_LEN, COMMAND_PREFIX_LEN, PADDING_LEN};
use crate::payload::{Blob, Payload};
use crate::seal::{AcceptedRoute, KeyEpoch, PendingRoute, RouteContext, SealSecretKey};
use crate::wire::command::Command as C;
use crate::wire::object_put::Step;
use crate::wire::reply::Reply as R;
use crate::wire::*;

/// Annotated bytes.
struct Golden {
    text: String,
    bytes: Vec<u8>,
}

#[test]
fn a_cell_of_each_kind() {
    let mut golden = Golden::new();
    golden.cell("INFO that asks the last hop", &info::request(1, &mut rng()));
    golden.cell("PAD", &Cell::new(Kind::Pad, 0, &mut rng()));
    golden.cell("CLOSE, unknown epoch", &Cell::close(2, CloseReason::UnknownEpoch, &mut rng()));
    golden.check("cells");
}

#[test]
fn an_open_its_first_answer_and_a_cell_each_way() {
    let mut rng = rng();
    let (key, _) = SealSecretKey::generate(&mut rng);
    let (pending, mut open) = PendingRoute::open(&context(), &key.public_key(), &mut rng).unwrap();
    open.set_route(3);
    let mut golden = Golden::new();
    golden.cell("OPEN", &open);
    let accepted = AcceptedRoute::accept(&context(), &key, open, &mut rng).unwrap();
    let opened = Payload::of_reply(&reply(R::Opened(Opened {})), None).unwrap();
    let (mut relay, answer) = accepted.answer(3, opened, &mut rng).unwrap();
    golden.cell("DATA, the first answer (begins its padding with the freshness)", &answer);
    let (mut client, _) = pending.accept(answer).unwrap();
    let ping = Payload::of_command(&command(C::Ping(Ping {})), None).unwrap();
    golden.cell("DATA from the client", &client.seal(3, ping, &mut rng).unwrap());
    let done = Payload::of_reply(&reply(R::Done(Done {})), None).unwrap();
    golden.cell("DATA from the relay", &relay.seal(3, done, &mut rng).unwrap());
    golden.field("route hash, never sent", relay.route_hash().as_bytes());
    golden.check("session");
}

#[test]
fn a_payload_of_every_command() {
    let key = |byte: u8| vec![byte; 32];
    let declaration =
        ObjectDeclaration { chunks: 64, root: key(6), ttl_hours: 504, proof_of_work: 7 };
    let object = |step| C::ObjectPut(ObjectPut { step: Some(step) });
    let create =
        Create { claim_public_key: key(1), sender_public_key: key(2), proof_of_work: u64::MAX };
    let feed_create = FeedCreate {
        write_public_key: key(7),
        kind: FeedKind::Group.into(),
        proof_of_work: u64::MAX - 1,
    };
    let mut golden = Golden::new();
    for (name, command) in [
        ("Create", C::Create(create)),
        ("Claim", C::Claim(Claim { sender_public_key: key(3) })),
        ("Put", C::Put(Put { put_id: key(4) })),
        ("Get", C::Get(Get { after: 1 << 40, max: 16 })),
        ("Watch", C::Watch(Watch { after: 300, feed: false })),
        ("Ack", C::Ack(Ack { cursor: 301, feed: false })),
        ("Delete", C::Delete(Delete { role: Role::Receive.into() })),
        ("ObjectPut, declaration", object(Step::Declaration(declaration))),
        ("ObjectPut, chunk", object(Step::Chunk(ObjectChunk { index: 63 }))),
        ("ObjectGet", C::ObjectGet(ObjectGet { object_id: key(5), first: 16, max: 16 })),
        ("Ping", C::Ping(Ping {})),
        ("Watch, feed", C::Watch(Watch { after: 302, feed: true })),
        ("Ack, feed", C::Ack(Ack { cursor: 303, feed: true })),
        ("FeedCreate", C::FeedCreate(feed_create)),
        ("FeedPut", C::FeedPut(FeedPut { put_id: key(4), names_object: false })),
        ("FeedPut, names", C::FeedPut(FeedPut { put_id: key(4), names_object: true })),
        ("FeedGet", C::FeedGet(FeedGet { after: 1 << 41, max: 15 })),
        ("FeedDelete", C::FeedDelete(FeedDelete {})),
    ] {
        let has_blob = ["Put", "ObjectPut, chunk", "FeedPut", "FeedPut, names"].contains(&name);
        let blob = has_blob.then(blob);
        let auth = Auth { role: Role::Write.into(), public_key: key(8), mac: key(9) };
        let command = Command { auth: Some(auth), command: Some(command) };
        let payload = Payload::of_command(&command, blob.as_ref()).unwrap();
        assert_eq!(payload.command().unwrap(), (command.clone(), blob));
        golden.payload(name, &payload, command.encoded_len());
    }
    golden.check("commands");
}

#[test]
fn a_payload_of_every_reply() {
    let delivery = Delivery { position: (1 << 48) + 5 };
    let mut golden = Golden::new();
    let mut replies = vec![
        ("Opened".to_owned(), R::Opened(Opened {})),
        ("Done".to_owned(), R::Done(Done {})),
        ("Delivery".to_owned(), R::Delivery(delivery)),
        ("Empty".to_owned(), R::Empty(Empty {})),
        ("ObjectChunkRead".to_owned(), R::Chunk(ObjectChunkRead { index: 63, chunks: 64 })),
        ("Push".to_owned(), R::Push(delivery)),
    ];
    let watching = Watching { claims_refused: 2, claimed: true, newest: 300 };
    replies.push(("Watching".to_owned(), R::Watching(watching)));
    for reason in (1..).map_while(|reason| Reason::try_from(reason).ok()) {
        let refused = Refused { reason: reason.into() };
        replies.push((format!("Refused, {}", reason.as_str_name()), R::Refused(refused)));
    }
    for (name, inner) in replies {
        let blob = matches!(inner, R::Delivery(_) | R::Push(_) | R::Chunk(_)).then(blob);
        let reply = reply(inner);
        let payload = Payload::of_reply(&reply, blob.as_ref()).unwrap();
        golden.payload(&name, &payload, reply.encoded_len());
    }
    golden.check("replies");
}

#[test]
fn a_signed_relay_info_and_the_cell_that_carries_it() {
    let relay_info = RelayInfo {
        signed_at_ms: 1_800_000_000_000,
        key_epoch: vec![2; 8],
        seal_public_key: SealSecretKey::from_seed(&[1; 32]).public_key().to_bytes().to_vec(),
        auth_public_key: vec![3; 32],
        hop_public_key: HopSecretKey::from_bytes(&[4; 32]).public_key().to_bytes().to_vec(),
        keys_until_ms: 1_800_086_400_000,
        admission: Admission::Open.into(),
        proof_of_work_bits: 16,
        mailbox_blobs_max: 512,
        versions: vec![1],
        decommission: Some(Decommission { on_ms: 1_900_000_000_000, successor: address() }),
        forwards: true,
    };
    let signed = info::sign(&relay_info, &SigningKey::from_bytes(&[5; 32]));
    let mut golden = Golden::new();
    golden.field("RelayInfo, protobuf", &signed.relay_info);
    golden.field("identity public key, Ed25519", &signed.identity_public_key);
    golden.field("signature over label and RelayInfo", &signed.signature);
    golden.field("SignedRelayInfo, protobuf", &signed.encode_to_vec());
    golden.cell("INFO that answers", &info::answer(4, &signed, &mut rng()).unwrap());
    golden.check("relay_info");
}

#[test]
fn a_sealed_next_hop_and_an_address() {
    let address: RelayAddress = address().parse().unwrap();
    let entry = HopSecretKey::from_bytes(&[6; 32]);
    let routing = entry.public_key().seal(&context(), &NextHop::of(&address), &mut rng()).unwrap();
    assert_eq!(entry.open(&context(), &routing), Ok(NextHop::of(&address)));
    let mut golden = Golden::new();
    golden.field("hop public key of the entry relay, X25519", &entry.public_key().to_bytes());
    golden.field("HPKE enc", &routing[..32]);
    golden.field("sealed length, fingerprint, host:port, zeros", &routing[32..349]);
    golden.field("tag", &routing[349..]);
    golden.field("the address as text", address.to_string().as_bytes());
    golden.field("its fingerprint", address.fingerprint().as_bytes());
    golden.check("next_hop");
}

#[test]
fn a_golden_with_one_changed_byte_is_noticed() {
    let mut golden = Golden::new();
    golden.field("bytes", &[1, 2, 3]);
    let frozen = golden.text.replace("010203", "010204");
    assert_ne!(parse(&frozen), golden.bytes);
    assert_eq!(parse(&golden.text), golden.bytes);
}

impl Golden {
    fn new() -> Self {
        Self { text: String::new(), bytes: Vec::new() }
    }

    fn title(&mut self, name: &str) {
        let gap = if self.text.is_empty() { "" } else { "\n" };
        writeln!(self.text, "{gap}# --- {name}").unwrap();
    }

    /// A field in lines of at most 48 bytes, a run of one byte in one.
    fn field(&mut self, name: &str, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
        let mut line =
            |bytes: String, name: &str| writeln!(self.text, "{bytes}  # {name}").unwrap();
        if bytes.len() >= 24 && bytes.iter().all(|byte| *byte == bytes[0]) {
            return line(format!("{:02x} * {}", bytes[0], bytes.len()), name);
        }
        for (index, part) in bytes.chunks(48).enumerate() {
            let name = if index == 0 { name.to_owned() } else { format!("  from {}", index * 48) };
            line(data_encoding::HEXLOWER.encode(part), &name);
        }
    }

    fn cell(&mut self, name: &str, cell: &Cell) {
        assert!(Cell::parse(cell.as_bytes()).as_ref() == Ok(cell));
        self.title(name);
        let bytes = cell.as_bytes();
        for (name, range) in [
            ("route id", 0..8),
            ("kind", 8..9),
            ("flags", 9..10),
            ("key-epoch hint", 10..11),
            ("close reason", 11..12),
            ("zeros", 12..16),
            ("routing", 16..381),
            ("enc or padding", 381..1_501),
            ("tag", 1_501..1_517),
            ("sealed", 1_517..4_096),
        ] {
            self.field(name, &bytes[range]);
        }
    }

    fn payload(&mut self, name: &str, payload: &Payload, len: usize) {
        self.title(name);
        let end = COMMAND_PREFIX_LEN + len;
        let command_end = end.max(COMMAND_LEN);
        let blob_end = COMMAND_LEN + BLOB_LEN;
        self.field("length", &payload.0[..COMMAND_PREFIX_LEN]);
        self.field("protobuf", &payload.0[COMMAND_PREFIX_LEN..end]);
        self.field("zeros", &payload.0[end..command_end]);
        self.field("blob", &payload.0[command_end..blob_end]);
        self.field("padding", &payload.0[blob_end..blob_end + PADDING_LEN]);
    }

    fn check(&self, name: &str) {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
        let path = folder.join(name).with_extension("hex");
        if std::env::var_os("HEARKEN_REGENERATE").is_some() {
            std::fs::create_dir_all(&folder).unwrap();
            std::fs::write(&path, &self.text).unwrap();
        }
        let frozen = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(
            parse(&frozen) == self.bytes && frozen == self.text,
            "{name}: the wire has changed"
        );
    }
}

fn parse(text: &str) -> Vec<u8> {
    let lines = text.lines().filter_map(|line| line.split_once("  # ")).map(|(bytes, _)| bytes);
    let hex = |text: &str| data_encoding::HEXLOWER.decode(text.as_bytes()).unwrap();
    lines
        .flat_map(|line| match line.split_once(" * ") {
            Some((byte, times)) => hex(byte).repeat(times.parse().unwrap()),
            None => hex(line),
        })
        .collect()
}

fn command(command: C) -> Command {
    Command { auth: None, command: Some(command) }
}

fn reply(reply: R) -> Reply {
    Reply { reply: Some(reply) }
}

fn blob() -> Blob {
    Blob::new(Box::new([0xb0; BLOB_LEN]))
}

fn address() -> String {
    format!("hearken://{}@relay.example:4433,[2001:db8::1]:4433", Fingerprint::of(&[0; 32]))
}

fn context() -> RouteContext {
    RouteContext {
        fingerprint: Fingerprint::from_bytes([1; 32]),
        key_epoch: KeyEpoch::from_bytes([2; 8]),
    }
}

fn rng() -> ChaCha20Rng {
    ChaCha20Rng::seed_from_u64(1)
}

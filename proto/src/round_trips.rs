//! Properties: what is written is read back, and no bytes whatever make a decoder panic.

use core::net::IpAddr;

use proptest::collection::vec;
use proptest::prelude::*;
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;

use crate::address::{HostPort, RelayAddress, is_private};
use crate::cell::Cell;
use crate::hop::{HopPublicKey, HopSecretKey, NextHop};
use crate::ids::Fingerprint;
use crate::info::{UnverifiedInfo, answer, sign};
use crate::limits::{BLOB_LEN, CELL_LEN, COMMAND_ALONE_MAX, SEALED_LEN};
use crate::payload::{Blob, Payload};
use crate::seal::{AcceptedRoute, KeyEpoch, RouteContext, SealPublicKey, SealSecretKey};
use crate::time::UnixMillis;
use crate::wire::command::Command as C;
use crate::wire::object_put::Step;
use crate::wire::reply::Reply as R;
use crate::wire::*;

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_command_is_read_as_it_was_written(command in a_command(), blob in a_blob()) {
        let has_blob = matches!(&command.command, Some(C::Put(_) | C::FeedPut(_)))
            || matches!(&command.command, Some(C::ObjectPut(put)) if matches!(put.step, Some(Step::Chunk(_))));
        let blob = has_blob.then_some(blob);
        let payload = Payload::of_command(&command, blob.as_ref()).unwrap();
        prop_assert_eq!(payload.command().unwrap(), (command, blob));
    }

    #[test]
    fn a_reply_is_read_as_it_was_written(reply in a_reply(), blob in a_blob()) {
        let has_blob = matches!(&reply.reply, Some(R::Delivery(_) | R::Push(_) | R::Chunk(_)));
        let blob = has_blob.then_some(blob);
        let payload = Payload::of_reply(&reply, blob.as_ref()).unwrap();
        prop_assert_eq!(payload.reply().unwrap(), (reply, blob));
    }

    #[test]
    fn a_cell_is_the_bytes_that_it_was_read_from(
        mut bytes in vec(any::<u8>(), CELL_LEN), kind in 0u8..8, flags in 0u8..3, reason in 0u8..8
    ) {
        bytes[8..16].copy_from_slice(&[kind, flags, 0, reason, 0, 0, 0, 0]);
        if let Ok(cell) = Cell::parse(&bytes) {
            prop_assert_eq!(&cell.as_bytes()[..], &bytes[..]);
            prop_assert_eq!(cell.kind() as u8, kind);
        }
    }

    #[test]
    fn an_address_is_read_as_it_was_written(
        id in any::<[u8; 32]>(), places in vec(a_place(), 1..=8)
    ) {
        let address = RelayAddress::new(Fingerprint::from_bytes(id), places).unwrap();
        prop_assert_eq!(address.to_string().parse::<RelayAddress>(), Ok(address));
    }

    #[test]
    fn an_info_is_read_as_it_was_signed(seed in any::<[u8; 32]>(), bits in any::<u32>(), auth in any::<[u8; 32]>()) {
        let identity = ed25519_dalek::SigningKey::from_bytes(&seed);
        let info = RelayInfo {
            signed_at_ms: 5,
            key_epoch: seed[..8].to_vec(),
            seal_public_key: SealSecretKey::from_seed(&seed).public_key().to_bytes().to_vec(),
            auth_public_key: auth.to_vec(),
            hop_public_key: HopSecretKey::from_bytes(&seed).public_key().to_bytes().to_vec(),
            proof_of_work_bits: bits,
            versions: vec![1],
            ..Default::default()
        };
        let cell = answer(0, &sign(&info, &identity), &mut rng(1)).unwrap();
        let fingerprint = Fingerprint::of(identity.verifying_key().as_bytes());
        let verified =
            UnverifiedInfo::from_answer(&cell).unwrap().verify(&fingerprint, None, UnixMillis(6));
        prop_assert_eq!(verified.unwrap().info().clone(), info);
    }

    #[test]
    fn a_next_hop_is_read_as_it_was_sealed(id in any::<[u8; 32]>(), place in a_place(), seed in any::<u64>()) {
        let (key, next) = (
            HopSecretKey::from_bytes(&[3; 32]),
            NextHop { fingerprint: Fingerprint::from_bytes(id), host_port: place },
        );
        let routing = key.public_key().seal(&context(), &next, &mut rng(seed)).unwrap();
        prop_assert_eq!(key.open(&context(), &routing), Ok(next));
    }

    #[test]
    fn random_bytes_make_no_decoder_panic(bytes in vec(any::<u8>(), 0..5_000), ip in any::<[u16; 8]>()) {
        let _ = Cell::parse(&bytes);
        let _ = Blob::try_from(&bytes[..]);
        let _ = SealPublicKey::from_bytes(&bytes);
        let _ = HopPublicKey::from_bytes(&bytes);
        let _ = HopSecretKey::from_bytes(&[3; 32]).open(&context(), &bytes);
        let _ = is_private(IpAddr::from(ip));
        let text = String::from_utf8_lossy(&bytes);
        let _ = text.parse::<RelayAddress>();
        let _ = text.parse::<HostPort>();
        let _ = text.parse::<Fingerprint>();
    }

    #[test]
    fn random_payloads_and_infos_make_no_decoder_panic(
        len in 0..=COMMAND_ALONE_MAX + 9, message in vec(any::<u8>(), 0..64), seed in any::<u64>()
    ) {
        let mut bytes = Box::new([0; SEALED_LEN]);
        bytes[..2].copy_from_slice(&u16::try_from(len).unwrap().to_be_bytes());
        bytes[2..2 + message.len()].copy_from_slice(&message);
        let payload = Payload(bytes);
        let _ = (payload.command(), payload.reply());
        let cell = Cell::new(crate::cell::Kind::Info, 0, &mut rng(seed));
        let _ = UnverifiedInfo::from_answer(&cell);
        let signed = SignedRelayInfo { relay_info: message.clone(), identity_public_key: message.clone(), signature: message };
        let carried = answer(0, &signed, &mut rng(seed)).unwrap();
        let refused = UnverifiedInfo::from_answer(&carried).unwrap();
        prop_assert!(refused.verify(&Fingerprint::from_bytes([1; 32]), None, UnixMillis(0)).is_err());
    }

    #[test]
    fn near_addresses_make_no_parser_panic(text in "(hearken://)?[a-z2-7]{50,53}@?[a-zA-Z0-9.:,\\[\\]é-]{0,40}(:[0-9]{0,6})?") {
        if let Ok(address) = text.parse::<RelayAddress>() {
            prop_assert_eq!(address.to_string().parse::<RelayAddress>(), Ok(address));
        }
    }

    #[test]
    fn mutated_payloads_are_refused_or_read_as_something_that_writes_again(
        command in a_command(), at in 0..SEALED_LEN, xor in 1u8..
    ) {
        let Ok(mut payload) = Payload::of_command(&command, None) else { return Ok(()) };
        payload.0[at] ^= xor;
        if let Ok((read, blob)) = payload.command() {
            let again = Payload::of_command(&read, blob.as_ref()).unwrap();
            prop_assert_eq!(again.command().unwrap(), (read, blob));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn random_opens_are_refused(seed in any::<u64>()) {
        let key = SealSecretKey::from_seed(&[7; 32]);
        let open = Cell::new(crate::cell::Kind::Open, 0, &mut rng(seed));
        prop_assert!(AcceptedRoute::accept(&context(), &key, open, &mut rng(seed)).is_err());
    }
}

fn a_key() -> impl Strategy<Value = Vec<u8>> {
    vec(any::<u8>(), 0..=32)
}

fn a_blob() -> impl Strategy<Value = Blob> {
    any::<u8>().prop_map(|byte| Blob::new(Box::new([byte; BLOB_LEN])))
}

fn a_command() -> impl Strategy<Value = Command> {
    let object = |step| C::ObjectPut(ObjectPut { step: Some(step) });
    let inner = prop_oneof![
        (a_key(), a_key(), any::<u64>()).prop_map(|(claim, sender, work)| {
            C::Create(Create {
                claim_public_key: claim,
                sender_public_key: sender,
                proof_of_work: work,
            })
        }),
        a_key().prop_map(|key| C::Claim(Claim { sender_public_key: key })),
        a_key().prop_map(|id| C::Put(Put { put_id: id })),
        (any::<u64>(), any::<u32>()).prop_map(|(after, max)| C::Get(Get { after, max })),
        (any::<u64>(), any::<bool>()).prop_map(|(after, feed)| C::Watch(Watch { after, feed })),
        (any::<u64>(), any::<bool>()).prop_map(|(cursor, feed)| C::Ack(Ack { cursor, feed })),
        (a_key(), any::<i32>(), any::<u64>()).prop_map(|(write, kind, work)| {
            C::FeedCreate(FeedCreate { write_public_key: write, kind, proof_of_work: work })
        }),
        (a_key(), any::<bool>())
            .prop_map(|(put_id, names)| { C::FeedPut(FeedPut { put_id, names_object: names }) }),
        (any::<u64>(), any::<u32>()).prop_map(|(after, max)| C::FeedGet(FeedGet { after, max })),
        Just(C::FeedDelete(FeedDelete {})),
        any::<i32>().prop_map(|role| C::Delete(Delete { role })),
        (any::<u32>(), a_key(), any::<u32>(), any::<u64>()).prop_map(
            move |(chunks, root, hours, work)| {
                object(Step::Declaration(ObjectDeclaration {
                    chunks,
                    root,
                    ttl_hours: hours,
                    proof_of_work: work,
                }))
            }
        ),
        any::<u32>().prop_map(move |index| object(Step::Chunk(ObjectChunk { index }))),
        (a_key(), any::<u32>(), any::<u32>())
            .prop_map(|(id, first, max)| C::ObjectGet(ObjectGet { object_id: id, first, max })),
        Just(C::Ping(Ping {})),
    ];
    let auth = proptest::option::of((1i32..=6, a_key(), a_key()))
        .prop_map(|auth| auth.map(|(role, public_key, mac)| Auth { role, public_key, mac }));
    (auth, proptest::option::of(inner)).prop_map(|(auth, command)| Command { auth, command })
}

fn a_reply() -> impl Strategy<Value = Reply> {
    let inner = prop_oneof![
        Just(R::Opened(Opened {})),
        Just(R::Done(Done {})),
        Just(R::Empty(Empty {})),
        any::<u64>().prop_map(|position| R::Delivery(Delivery { position })),
        any::<u64>().prop_map(|position| R::Push(Delivery { position })),
        any::<i32>().prop_map(|reason| R::Refused(Refused { reason })),
        (any::<u32>(), any::<u32>())
            .prop_map(|(index, chunks)| R::Chunk(ObjectChunkRead { index, chunks })),
        (any::<u32>(), any::<bool>(), any::<u64>()).prop_map(
            |(claims_refused, claimed, newest)| {
                R::Watching(Watching { claims_refused, claimed, newest })
            }
        ),
    ];
    proptest::option::of(inner).prop_map(|reply| Reply { reply })
}

fn a_place() -> impl Strategy<Value = HostPort> {
    prop_oneof![
        (any::<IpAddr>(), 1u16..).prop_map(|(ip, port)| HostPort::of_ip(ip, port)),
        ("[a-z]([a-z0-9-]{0,61}[a-z0-9])?(\\.[a-z]{1,63}){0,2}", 1u16..)
            .prop_map(|(name, port)| format!("{name}:{port}").parse().unwrap()),
    ]
}

fn context() -> RouteContext {
    RouteContext {
        fingerprint: Fingerprint::from_bytes([1; 32]),
        key_epoch: KeyEpoch::from_bytes([2; 8]),
    }
}

fn rng(seed: u64) -> ChaCha20Rng {
    ChaCha20Rng::seed_from_u64(seed)
}

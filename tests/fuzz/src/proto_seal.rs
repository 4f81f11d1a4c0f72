//! The route seal as a sequence of what a network may do to its cells, proofs of keys, and proofs of work.

use hearken_proto::auth::{AuthSecretKey, ObjectSecretKey};
use hearken_proto::cell::Cell;
use hearken_proto::ids::Fingerprint;
use hearken_proto::limits::SEALED_LEN;
use hearken_proto::payload::Payload;
use hearken_proto::pow::{self, Challenge, Purpose, Search};
use hearken_proto::seal::{
    AcceptedRoute, KeyEpoch, PendingRoute, RouteContext, RouteSeal, SealSecretKey,
};
use hearken_proto::wire::{Reply, Role, command, reply};
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;

use super::Choices;

/// Bytes of a cell that a network may change unseen: route id, flags, epoch hint, zeros and the routing field, none of
/// which is sealed.
const SEAL_AT: usize = 16 + 365;
/// In DATA the 1,120 bytes before the tag are random and unread.
const TAG_AT: usize = SEAL_AT + 1_120;

fn context() -> RouteContext {
    RouteContext {
        fingerprint: Fingerprint::from_bytes([1; 32]),
        key_epoch: KeyEpoch::from_bytes([2; 8]),
    }
}

/// Opens a session and lets the choices drop, replay, reorder and change cells of both directions. Each end opens
/// exactly what the other sealed, once, in order, and a cell that does not open changes nothing.
pub(super) fn session(input: &[u8]) {
    let mut choices = Choices::new(input);
    let mut rng = ChaCha20Rng::from_seed([5; 32]);
    let secret = SealSecretKey::from_seed(&[6; 32]);
    let (pending, open) =
        PendingRoute::open(&context(), &secret.public_key(), &mut rng).expect("a key");
    if choices.one_in(4) {
        let at = SEAL_AT + usize::from(choices.u16()) % (4_096 - SEAL_AT);
        if let Some(changed) = changed(&open, at, choices.byte().max(1)) {
            let taken = AcceptedRoute::accept(&context(), &secret, changed, &mut rng);
            assert!(taken.is_err(), "a changed OPEN was accepted, byte {at}");
        }
    }
    let accepted = AcceptedRoute::accept(&context(), &secret, open.clone(), &mut rng).unwrap();
    let again = AcceptedRoute::accept(&context(), &secret, open, &mut rng).unwrap();
    let first = || Payload::of_reply(&opened(), None).unwrap();
    let (relay, answer) = accepted.answer(9, first(), &mut rng).unwrap();
    let (replayed, _) = again.answer(9, first(), &mut rng).unwrap();
    assert!(relay.route_hash() != replayed.route_hash(), "a replayed OPEN has other keys");
    if choices.one_in(4) {
        let at = SEAL_AT + usize::from(choices.u16()) % (4_096 - SEAL_AT);
        // The freshness, 32 bytes, and what is sealed count; the random bytes between them do not.
        let counts = !(SEAL_AT + 32..TAG_AT).contains(&at);
        if let Some(changed) = changed(&answer, at, choices.byte().max(1)) {
            assert_eq!(pending.accept(changed).is_ok(), !counts, "byte {at}");
            return;
        }
        return;
    }
    let (client, payload) = pending.accept(answer).unwrap();
    assert_eq!(payload.reply().unwrap().0, opened());
    assert!(client.route_hash() == relay.route_hash());
    exchange(&mut choices, client, relay, &mut rng);
}

fn exchange(choices: &mut Choices<'_>, client: RouteSeal, relay: RouteSeal, rng: &mut ChaCha20Rng) {
    let mut ends = [client, relay];
    // By direction: what was sealed, in order, and how many of it the other end has opened. The relay's answer to the
    // OPEN was its first cell.
    let mut sealed: [Vec<(Cell, u8)>; 2] = [Vec::new(), Vec::new()];
    let mut opened = [0_usize; 2];
    for _ in 0..64 {
        if choices.is_over() {
            return;
        }
        let from = choices.below(2);
        if choices.below(3) == 0 || sealed[from].is_empty() {
            let byte = choices.byte();
            let payload = Payload::from_bytes(Box::new([byte; SEALED_LEN]));
            let cell = ends[from].seal(7, payload, rng).expect("far from 2^20");
            sealed[from].push((cell, byte));
            continue;
        }
        let index = choices.below(sealed[from].len());
        let (cell, byte) = sealed[from][index].clone();
        let at = usize::from(choices.u16()) % 4_096;
        let mask = if choices.one_in(3) { choices.byte() } else { 0 };
        let Some(cell) = changed(&cell, at, mask) else { continue };
        let is_intact = mask == 0 || (16..TAG_AT).contains(&at) || at < 8;
        // Padding behind what is sealed does not exist: all 2,579 bytes count.
        let holds = is_intact && index == opened[from];
        match ends[1 - from].open(cell) {
            Ok(payload) => {
                assert!(holds, "opened out of turn or changed, byte {at}");
                assert_eq!(payload.as_bytes(), &[byte; SEALED_LEN]);
                opened[from] += 1;
            }
            Err(_) => assert!(!holds, "the next cell was not opened"),
        }
    }
}

/// The cell with one byte changed, where that is still a cell.
fn changed(cell: &Cell, at: usize, mask: u8) -> Option<Cell> {
    let mut bytes = *cell.as_bytes();
    bytes[at] ^= mask;
    Cell::from_array(Box::new(bytes)).ok().filter(|changed| mask == 0 || changed != cell)
}

fn opened() -> Reply {
    Reply { reply: Some(reply::Reply::Opened(hearken_proto::wire::Opened {})) }
}

/// A proof holds for what it was made for, and no other bytes are one.
pub(super) fn auth(input: &[u8]) {
    let mut choices = Choices::new(input);
    let relay = AuthSecretKey::from_bytes(&[7; 32]);
    let ours = ObjectSecretKey::from_bytes(&choices.array());
    let role = [Role::Receive, Role::Send, Role::Claim, Role::Write][choices.below(4)];
    let id: [u8; 32] = choices.array();
    let mut rng = ChaCha20Rng::from_seed([8; 32]);
    let secret = SealSecretKey::from_seed(&[6; 32]);
    let (_, open) = PendingRoute::open(&context(), &secret.public_key(), &mut rng).unwrap();
    let accepted = AcceptedRoute::accept(&context(), &secret, open, &mut rng).unwrap();
    let payload = Payload::of_reply(&opened(), None).unwrap();
    let (seal, _) = accepted.answer(1, payload, &mut rng).unwrap();
    let hash = seal.route_hash();
    let proof = ours.prove(role, &id, &relay.public_key(), &context(), hash).expect("honest keys");
    let holds = |proof: &[u8]| relay.verify(&ours.public_key(), role, &id, &context(), hash, proof);
    assert!(holds(&proof));
    let key: [u8; 32] = choices.array();
    // Any bytes as a relay's key: a point of small order proves nothing, another one something else.
    if let Some(elsewhere) = ours.prove(role, &id, &key, &context(), hash) {
        assert_eq!(holds(&elsewhere), elsewhere == proof);
    }
    let bytes = choices.rest();
    assert_eq!(holds(bytes), bytes == proof);
    if ours.public_key() != key {
        assert!(!relay.verify(&key, role, &id, &context(), hash, bytes));
    }
    let _: Option<command::Command> = None;
}

/// Work that holds for some bits holds for fewer; a search finds what holds, or gives up.
pub(super) fn proof_of_work(input: &[u8]) {
    let mut choices = Choices::new(input);
    let purpose = if choices.one_in(2) { Purpose::Object } else { Purpose::Mailbox };
    let bits = u32::from(choices.byte());
    let size = u32::try_from(choices.number() % (1 << 32)).unwrap();
    let first = choices.number();
    let id: [u8; 32] = choices.array();
    let context = context();
    let challenge = Challenge { purpose, context: &context, object_id: &id, size };
    if pow::verify(&challenge, bits, first) {
        assert!((0..bits).all(|fewer| pow::verify(&challenge, fewer, first)));
        assert!(bits < 40, "nobody worked for that");
    }
    let search = Search::new(&challenge, bits, first);
    assert_eq!(search.is_some(), bits <= 26);
    let found = search.filter(|_| bits <= 8).and_then(|mut search| search.advance());
    if let Some(nonce) = found {
        assert!(pow::verify(&challenge, bits, nonce));
    }
}

//! What the route seal refuses: replays, reordering, other sessions, other contexts, and any changed bit.

use core::convert::Infallible;

use rand_chacha::ChaCha20Rng;
use rand_core::{Rng, SeedableRng, TryCryptoRng, TryRng};

use super::*;
use crate::limits::{CELL_LEN, FRAME_LEN, ROUTING_LEN};
use crate::wire::{Command, Done, Opened, Ping, Reply, command, reply};

/// The two ends of one open session, and what opened it.
struct Session {
    client: RouteSeal,
    relay: RouteSeal,
    rng: ChaCha20Rng,
}

#[test]
fn both_ends_agree_on_one_route_hash_and_read_each_other() {
    let mut session = session(1);
    assert!(session.client.route_hash() == session.relay.route_hash());
    for _ in 0..3 {
        let cell = session.ping();
        assert!(session.relay.open(cell).unwrap().command().is_ok());
        let cell = session.done();
        assert!(session.client.open(cell).unwrap().reply().is_ok());
    }
    assert_eq!(session.client.cells(), 4);
}

#[test]
fn the_first_answer_carries_the_freshness_in_the_clear_and_is_read_by_who_opened() {
    let (context, key, mut rng) = relay(1);
    let (pending, open) = PendingRoute::open(&context, &key.public_key(), &mut rng).unwrap();
    let accepted = AcceptedRoute::accept(&context, &key, open, &mut rng).unwrap();
    let freshness = accepted.freshness;
    let (_, answer) = accepted.answer(3, opened(), &mut rng).unwrap();
    assert_eq!(answer.enc()[..FRESHNESS_LEN], freshness);
    assert_eq!(answer.route(), 3);
    let (_, payload) = pending.accept(answer).unwrap();
    assert_eq!(payload.reply().unwrap().0.reply, Some(reply::Reply::Opened(Opened {})));
}

#[test]
fn a_cell_that_came_before_is_refused_and_the_counter_stays() {
    let mut session = session(2);
    let (first, second) = (session.ping(), session.ping());
    session.relay.open(first.clone()).unwrap();
    let counter = session.relay.incoming.sealed;
    assert_eq!(session.relay.open(first).unwrap_err(), SealError::NotOpened);
    assert_eq!(session.relay.incoming.sealed, counter);
    session.relay.open(second).unwrap();
}

#[test]
fn a_cell_out_of_order_is_refused_until_its_turn() {
    let mut session = session(3);
    let (first, second) = (session.ping(), session.ping());
    assert_eq!(session.relay.open(second.clone()).unwrap_err(), SealError::NotOpened);
    session.relay.open(first).unwrap();
    session.relay.open(second).unwrap();
}

#[test]
fn a_replayed_open_gives_other_keys_and_so_no_key_and_nonce_twice() {
    let (context, key, mut rng) = relay(4);
    let (pending, open) = PendingRoute::open(&context, &key.public_key(), &mut rng).unwrap();
    let first = AcceptedRoute::accept(&context, &key, open.clone(), &mut rng).unwrap();
    let again = AcceptedRoute::accept(&context, &key, open, &mut rng).unwrap();
    assert_ne!(first.freshness, again.freshness);
    assert!(first.seal.route_hash != again.seal.route_hash);
    let keys = [
        *first.seal.outgoing.key,
        *first.seal.incoming.key,
        *again.seal.outgoing.key,
        *again.seal.incoming.key,
    ];
    for (index, key) in keys.iter().enumerate() {
        assert!(!keys[index + 1..].contains(key));
    }
    // What the client said in the first session says nothing in the second.
    let (mut first, answer) = first.answer(1, opened(), &mut rng).unwrap();
    let (mut again, _) = again.answer(1, opened(), &mut rng).unwrap();
    let (mut client, _) = pending.accept(answer).unwrap();
    let cell = client.seal(1, ping(), &mut rng).unwrap();
    assert_eq!(again.open(cell.clone()).unwrap_err(), SealError::NotOpened);
    first.open(cell).unwrap();
}

#[test]
fn a_cell_of_the_other_direction_or_of_another_session_is_refused() {
    let (mut session, mut other) = (session(5), session(6));
    let cell = session.ping();
    // Back to who sealed it: the same count, the other direction.
    session.client.incoming.sealed = session.client.outgoing.sealed - 1;
    assert_eq!(session.client.open(cell.clone()).unwrap_err(), SealError::NotOpened);
    assert_eq!(other.relay.open(cell.clone()).unwrap_err(), SealError::NotOpened);
    session.relay.open(cell).unwrap();
}

#[test]
fn an_open_under_another_epoch_fingerprint_or_key_is_refused() {
    let (context, key, mut rng) = relay(7);
    let (_, open) = PendingRoute::open(&context, &key.public_key(), &mut rng).unwrap();
    let mut epoch = *context.key_epoch.as_bytes();
    epoch[7] ^= 1;
    let other_epoch = RouteContext { key_epoch: KeyEpoch::from_bytes(epoch), ..context };
    let other_relay = RouteContext { fingerprint: Fingerprint::from_bytes([9; 32]), ..context };
    let (other_key, _) = SealSecretKey::generate(&mut rng);
    for (context, key) in [(&other_epoch, &key), (&other_relay, &key), (&context, &other_key)] {
        let refused = AcceptedRoute::accept(context, key, open.clone(), &mut rng);
        assert_eq!(refused.unwrap_err(), SealError::NotOpened);
    }
    AcceptedRoute::accept(&context, &key, open, &mut rng).unwrap();
}

#[test]
fn a_changed_bit_of_an_open_is_refused_and_unread_bits_change_no_key() {
    let (context, key, mut rng) = relay(8);
    let (_, open) = PendingRoute::open(&context, &key.public_key(), &mut rng).unwrap();
    let draw = Fixed(vec![5; FRESHNESS_LEN]);
    let hash = |cell: Cell| {
        AcceptedRoute::accept(&context, &key, cell, &mut draw.clone())
            .map(|accepted| *accepted.seal.route_hash.as_bytes())
    };
    let unchanged = hash(open.clone()).unwrap();
    let read_from = FRAME_LEN + ROUTING_LEN;
    for bit in bits(FRAME_LEN * 8, CELL_LEN * 8) {
        let changed = flipped(&open, bit).unwrap();
        if bit / 8 < read_from {
            // A last hop reads nothing of the routing field.
            assert_eq!(hash(changed).unwrap(), unchanged);
        } else {
            assert_eq!(hash(changed).unwrap_err(), SealError::NotOpened, "bit {bit}");
        }
    }
}

#[test]
fn a_changed_bit_of_the_first_answer_is_refused_but_in_bytes_that_nobody_reads() {
    let (context, key, mut rng) = relay(9);
    let (pending, open) = PendingRoute::open(&context, &key.public_key(), &mut rng).unwrap();
    let accepted = AcceptedRoute::accept(&context, &key, open, &mut rng).unwrap();
    let (_, answer) = accepted.answer(1, opened(), &mut rng).unwrap();
    let again = || PendingRoute { exported: pending.exported };
    let enc = FRAME_LEN + ROUTING_LEN;
    let unread = |byte: usize| byte < enc || (enc + FRESHNESS_LEN..enc + ENC_LEN).contains(&byte);
    for bit in FRAME_LEN * 8..CELL_LEN * 8 {
        let opened = again().accept(flipped(&answer, bit).unwrap());
        match opened {
            Ok((_, payload)) => assert!(unread(bit / 8) && payload.reply().is_ok(), "bit {bit}"),
            Err(error) => assert!(!unread(bit / 8) && error == SealError::NotOpened, "bit {bit}"),
        }
    }
    again().accept(answer).unwrap();
}

#[test]
fn a_changed_bit_of_a_data_cell_either_way_is_refused_and_leaves_the_counter() {
    let mut session = session(10);
    let tag = FRAME_LEN + ROUTING_LEN + ENC_LEN;
    let (up, down) = (session.ping(), session.done());
    for (end, cell) in [(&mut session.relay, up), (&mut session.client, down)] {
        let counter = end.incoming.sealed;
        for bit in tag * 8..CELL_LEN * 8 {
            let refused = end.open(flipped(&cell, bit).unwrap());
            assert_eq!(refused.unwrap_err(), SealError::NotOpened, "bit {bit}");
        }
        assert_eq!(end.incoming.sealed, counter);
        // Routing and padding are random and unread: any of them opens to the same.
        for byte in FRAME_LEN..tag {
            end.incoming.sealed = counter;
            end.open(flipped(&cell, byte * 8).unwrap()).unwrap();
        }
    }
}

#[test]
fn a_session_that_has_sealed_all_it_may_says_so_and_never_wraps() {
    let mut session = session(11);
    session.client.outgoing.sealed = SESSION_CELLS_MAX - 1;
    session.relay.incoming.sealed = SESSION_CELLS_MAX - 1;
    let last = session.ping();
    session.relay.open(last.clone()).unwrap();
    let refused = session.client.seal(1, ping(), &mut session.rng);
    assert_eq!(refused.unwrap_err(), SealError::Exhausted);
    assert_eq!(session.client.outgoing.sealed, SESSION_CELLS_MAX);
    assert_eq!(session.relay.open(last).unwrap_err(), SealError::Exhausted);
}

#[test]
fn only_the_kind_that_is_due_is_opened() {
    let (context, key, mut rng) = relay(12);
    for kind in [Kind::Info, Kind::Data, Kind::Close, Kind::Pad] {
        let cell = Cell::new(kind, 1, &mut rng);
        assert!(AcceptedRoute::accept(&context, &key, cell, &mut rng).is_err());
    }
    let mut session = session(12);
    for kind in [Kind::Info, Kind::Open, Kind::Close, Kind::Pad] {
        assert!(session.relay.open(Cell::new(kind, 1, &mut rng)).is_err());
    }
}

#[test]
fn the_plaintext_of_two_equal_payloads_shows_in_no_cell() {
    let mut session = session(13);
    let (one, two) = (session.ping(), session.ping());
    assert_ne!(one.sealed(), two.sealed());
    assert_ne!(one.routing(), two.routing());
    assert_ne!(one.enc(), two.enc());
}

#[test]
fn random_cells_are_refused_by_both_ends() {
    let (context, key, mut rng) = relay(14);
    let mut session = session(14);
    for _ in 0..64 {
        assert!(session.relay.open(Cell::new(Kind::Data, 1, &mut rng)).is_err());
        assert!(session.client.open(Cell::new(Kind::Data, 1, &mut rng)).is_err());
        let open = Cell::new(Kind::Open, 1, &mut rng);
        assert!(AcceptedRoute::accept(&context, &key, open, &mut rng).is_err());
    }
}

#[test]
fn keys_of_another_length_or_out_of_range_are_no_keys() {
    for len in [0, 1, 1_215, 1_217] {
        assert_eq!(SealPublicKey::from_bytes(&vec![0; len]).unwrap_err(), SealError::PublicKey);
    }
    // A coefficient of the ML-KEM half that is not below q (FIPS 203, 7.2).
    assert_eq!(SealPublicKey::from_bytes(&[0xff; 1_216]).unwrap_err(), SealError::PublicKey);
}

#[test]
fn debug_output_shows_no_secret() {
    let session = session(15);
    let (_, key, _) = relay(15);
    assert_eq!(format!("{key:?}"), "SealSecretKey(..)");
    assert_eq!(format!("{:?}", session.client), "RouteSeal { cells: 1, .. }");
    assert_eq!(format!("{:?}", session.client.route_hash()), "RouteHash(..)");
}

impl RouteHash {
    /// A hash as a test or a vector names it; the code has those of sessions only.
    pub(crate) fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }
}

/// "Randomness" that is written down: gives its bytes in turn, then begins again.
#[derive(Clone)]
pub(crate) struct Fixed(pub(crate) Vec<u8>);

impl TryRng for Fixed {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        let mut bytes = [0; 4];
        self.fill_bytes(&mut bytes);
        Ok(u32::from_le_bytes(bytes))
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        let mut bytes = [0; 8];
        self.fill_bytes(&mut bytes);
        Ok(u64::from_le_bytes(bytes))
    }

    fn try_fill_bytes(&mut self, out: &mut [u8]) -> Result<(), Infallible> {
        for byte in out {
            *byte = self.0[0];
            self.0.rotate_left(1);
        }
        Ok(())
    }
}

impl TryCryptoRng for Fixed {}

impl Session {
    fn ping(&mut self) -> Cell {
        self.client.seal(1, ping(), &mut self.rng).unwrap()
    }

    fn done(&mut self) -> Cell {
        let done = Reply { reply: Some(reply::Reply::Done(Done {})) };
        self.relay.seal(1, Payload::of_reply(&done, None).unwrap(), &mut self.rng).unwrap()
    }
}

fn relay(seed: u64) -> (RouteContext, SealSecretKey, ChaCha20Rng) {
    let mut rng = ChaCha20Rng::seed_from_u64(seed);
    let (key, _) = SealSecretKey::generate(&mut rng);
    let context = RouteContext {
        fingerprint: Fingerprint::from_bytes([1; 32]),
        key_epoch: KeyEpoch::from_bytes([2; 8]),
    };
    (context, key, rng)
}

fn session(seed: u64) -> Session {
    let (context, key, mut rng) = relay(seed);
    let (pending, open) = PendingRoute::open(&context, &key.public_key(), &mut rng).unwrap();
    let accepted = AcceptedRoute::accept(&context, &key, open, &mut rng).unwrap();
    let (relay, answer) = accepted.answer(1, opened(), &mut rng).unwrap();
    let (client, _) = pending.accept(answer).unwrap();
    Session { client, relay, rng }
}

fn opened() -> Payload {
    Payload::of_reply(&Reply { reply: Some(reply::Reply::Opened(Opened {})) }, None).unwrap()
}

fn ping() -> Payload {
    let ping = Command { auth: None, command: Some(command::Command::Ping(Ping {})) };
    Payload::of_command(&ping, None).unwrap()
}

fn flipped(cell: &Cell, bit: usize) -> Result<Cell, crate::cell::CellError> {
    let mut bytes = *cell.as_bytes();
    bytes[bit / 8] ^= 1 << (bit % 8);
    Cell::parse(&bytes)
}

/// One bit of every byte, or, with `HEARKEN_LONG=1`, every bit: each trial costs a decapsulation.
#[allow(clippy::disallowed_methods, reason = "HEARKEN_LONG makes it longer")]
fn bits(from: usize, to: usize) -> Vec<usize> {
    let all = std::env::var("HEARKEN_LONG").is_ok_and(|value| value == "1");
    (from..to).filter(|bit| all || bit % 8 == (bit / 8) % 8).collect()
}

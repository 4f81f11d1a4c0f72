//! Two ratchets under random schedules of loss, repetition and reordering, against a model that knows no cryptography.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::*;

/// What happens next. Indices choose among what is on its way.
#[derive(Clone, Debug)]
enum Event {
    Send { joiner: bool },
    Deliver { to_joiner: bool, which: usize, again: bool },
    Lose { to_joiner: bool, which: usize },
    Restart { joiner: bool },
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        4 => any::<bool>().prop_map(|joiner| Event::Send { joiner }),
        4 => (any::<bool>(), 0..4_usize, prop::bool::weighted(0.2))
            .prop_map(|(to_joiner, which, again)| Event::Deliver { to_joiner, which, again }),
        1 => (any::<bool>(), 0..8_usize).prop_map(|(to_joiner, which)| Event::Lose { to_joiner, which }),
        1 => any::<bool>().prop_map(|joiner| Event::Restart { joiner }),
    ]
}

struct Message {
    blob: Blob,
    /// Place among all that this side sent.
    place: u64,
    chain: u32,
    number: u32,
    /// Length of the chain before.
    previous: u32,
}

/// What a side expects of what it receives, and how it numbers what it sends.
#[derive(Default)]
struct Model {
    sent: u64,
    chain: u32,
    number: u32,
    previous: u32,
    /// The chain that is received on, and the number that comes next in it.
    receiving: Option<(u32, u32)>,
    /// Numbers passed over, by chain.
    missing: BTreeMap<u32, BTreeSet<u32>>,
}

#[derive(Debug, PartialEq)]
struct Expected {
    place: u64,
    passed_over: u32,
    late: bool,
}

impl Model {
    fn send(&mut self, blob: Blob) -> Message {
        let message = Message {
            blob,
            place: self.sent,
            chain: self.chain,
            number: self.number,
            previous: self.previous,
        };
        self.sent += 1;
        self.number += 1;
        message
    }

    fn receive(&mut self, message: &Message) -> Option<Expected> {
        let place = message.place;
        let (chain, next) = match self.receiving {
            Some((chain, next)) if message.chain <= chain => (chain, next),
            before => {
                // Its first message of a new chain: this side begins a new one, too.
                let mut passed_over = message.number;
                if let Some((chain, next)) = before {
                    passed_over += message.previous - next;
                    self.missing.entry(chain).or_default().extend(next..message.previous);
                }
                self.missing.entry(message.chain).or_default().extend(0..message.number);
                self.receiving = Some((message.chain, message.number + 1));
                (self.previous, self.number) = (self.number, 0);
                self.chain += 1;
                self.forget();
                return Some(Expected { place, passed_over, late: false });
            }
        };
        if message.chain == chain && message.number >= next {
            self.missing.entry(chain).or_default().extend(next..message.number);
            self.receiving = Some((chain, message.number + 1));
            self.forget();
            return Some(Expected { place, passed_over: message.number - next, late: false });
        }
        let found = self.missing.get_mut(&message.chain)?.remove(&message.number);
        self.forget();
        found.then_some(Expected { place, passed_over: 0, late: true })
    }

    /// Of earlier chains the two newest that still miss something are remembered.
    fn forget(&mut self) {
        let current = self.receiving.map(|(chain, _)| chain);
        self.missing.retain(|_, numbers| !numbers.is_empty());
        let earlier: Vec<u32> =
            self.missing.keys().copied().filter(|chain| Some(*chain) != current).collect();
        for chain in earlier.iter().rev().skip(2) {
            self.missing.remove(chain);
        }
    }
}

/// `planted`: a ratchet loses its state after each message that it opened, as if it had acknowledged before storing.
fn drive(events: Vec<Event>, planted: bool) {
    let mut rng = ChaCha20Rng::seed_from_u64(80);
    let (mut joiner_model, mut inviter_model) = (Model::default(), Model::default());
    let mut joiner = fresh_joiner(&mut rng);
    let first = joiner_model.send(joiner.encrypt(&mut rng, &0_u64.to_be_bytes()).unwrap());
    let (mut inviter, _) = accept(&mut rng, &first.blob).unwrap();
    inviter_model.receive(&first).unwrap();
    // The inviter's first sending chain is its first.
    inviter_model.chain = 0;
    let (mut to_joiner, mut to_inviter) = (Vec::new(), vec![first]);

    for event in events {
        match event {
            Event::Send { joiner: by_joiner } => {
                let (ratchet, model, way) = if by_joiner {
                    (&mut joiner, &mut joiner_model, &mut to_inviter)
                } else {
                    (&mut inviter, &mut inviter_model, &mut to_joiner)
                };
                let body = model.sent.to_be_bytes();
                way.push(model.send(ratchet.encrypt(&mut rng, &body).unwrap()));
            }
            Event::Deliver { to_joiner: there, which, again } => {
                let (ratchet, model, way) = if there {
                    (&mut joiner, &mut joiner_model, &mut to_joiner)
                } else {
                    (&mut inviter, &mut inviter_model, &mut to_inviter)
                };
                if way.is_empty() {
                    continue;
                }
                let index = which % way.len();
                let before = ratchet.to_bytes();
                deliver(ratchet, model, &way[index], &mut rng);
                if planted {
                    *ratchet = Ratchet::from_bytes(&before).unwrap();
                }
                if !again {
                    way.remove(index);
                }
            }
            Event::Lose { to_joiner: there, which } => {
                let way = if there { &mut to_joiner } else { &mut to_inviter };
                if !way.is_empty() {
                    way.remove(which % way.len());
                }
            }
            Event::Restart { joiner: true } => joiner = restarted(&joiner),
            Event::Restart { joiner: false } => inviter = restarted(&inviter),
        }
    }

    // Whatever happened, the conversation goes on, and both halves of the keys with it.
    let epoch = joiner.kem.epoch;
    for _ in 0..6 {
        for by_joiner in [false, true] {
            let (from, model, to, to_model) = if by_joiner {
                (&mut joiner, &mut joiner_model, &mut inviter, &mut inviter_model)
            } else {
                (&mut inviter, &mut inviter_model, &mut joiner, &mut joiner_model)
            };
            let body = model.sent.to_be_bytes();
            let message = model.send(from.encrypt(&mut rng, &body).unwrap());
            deliver(to, to_model, &message, &mut rng);
        }
    }
    assert!(joiner.kem.epoch > epoch);
}

fn deliver(ratchet: &mut Ratchet, model: &mut Model, message: &Message, rng: &mut ChaCha20Rng) {
    match model.receive(message) {
        Some(expected) => {
            let opened = ratchet.decrypt(rng, TODAY, &message.blob).unwrap();
            assert_eq!(opened.body[..], message.place.to_be_bytes());
            let Opened { number, passed_over, late, .. } = opened;
            assert_eq!(Expected { place: number, passed_over, late }, expected);
        }
        None => {
            let error = refused(ratchet, rng, &message.blob);
            assert!(matches!(error, DecryptError::Used | DecryptError::NotOpened), "{error:?}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: if std::env::var_os("HEARKEN_LONG").is_some() { 5_000 } else { 150 },
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn the_ratchets_do_what_the_model_says(events in proptest::collection::vec(event(), 0..120)) {
        drive(events, false);
    }
}

#[test]
fn the_model_sees_a_state_that_was_not_stored() {
    let deliver = |again| Event::Deliver { to_joiner: false, which: 0, again };
    let events = vec![Event::Send { joiner: true }, deliver(false), deliver(true), deliver(false)];
    drive(events.clone(), false);
    assert!(std::panic::catch_unwind(|| drive(events, true)).is_err());
}

//! A router among relays and links that do anything: what must hold whatever comes, checked by a model of what a caller
//! may see. A failure names its seed.

#![allow(clippy::disallowed_methods, reason = "HEARKEN_LONG makes it longer")]

use std::collections::{BTreeMap, VecDeque};

use hearken_proto::cell::{Cell, CloseReason, Kind};
use hearken_proto::limits::CELL_LEN;
use hearken_proto::wire::{self, Role, reply};
use rand_chacha::ChaCha20Rng;
use rand_core::{Rng, SeedableRng};

use super::event::{CommandId, LinkId, RouteAction, RouteEvent, SessionId};
use super::scripted_relay::*;
use super::{CloseWhy, LinkFailure, RoutePlan};

/// What callers count on, followed event by event.
#[derive(Default)]
struct Model {
    sessions: BTreeMap<SessionId, Expected>,
    opened: usize,
    answers: usize,
    closed: BTreeMap<String, usize>,
}

#[derive(Default)]
struct Expected {
    open: bool,
    /// Commands with the cells that their answers still lack and the place of the next.
    due: VecDeque<(CommandId, u32, u32)>,
}

impl Model {
    fn see(&mut self, event: &RouteEvent) -> Result<(), &'static str> {
        match event {
            RouteEvent::InfoSeen { .. } => Ok(()),
            RouteEvent::Opened { session } => {
                let expected = self.sessions.get_mut(session).ok_or("opened after its end")?;
                self.opened += 1;
                if std::mem::replace(&mut expected.open, true) {
                    Err("opened twice")
                } else {
                    Ok(())
                }
            }
            RouteEvent::Answer { session, command, index, last, .. } => {
                let expected = self.sessions.get_mut(session).ok_or("an answer after the end")?;
                let due = expected.due.front_mut().ok_or("an answer to nothing")?;
                if !expected.open || due.0 != *command || due.2 != *index {
                    return Err("an answer out of order");
                }
                (due.1, due.2) = (due.1 - 1, due.2 + 1);
                let complete = due.1 == 0;
                if complete {
                    expected.due.pop_front();
                }
                self.answers += 1;
                if complete == *last { Ok(()) } else { Err("an answer that ends elsewhere") }
            }
            RouteEvent::Push { session, .. } | RouteEvent::RollOver { session } => {
                match self.sessions.get(session) {
                    Some(expected) if expected.open => Ok(()),
                    _ => Err("a push or a roll-over without a session"),
                }
            }
            RouteEvent::Closed { session, why } => {
                *self.closed.entry(format!("{why:?}")).or_default() += 1;
                self.sessions.remove(session).map(|_| ()).ok_or("closed twice")
            }
        }
    }
}

struct Chaos {
    world: World,
    dice: ChaCha20Rng,
    model: Model,
    /// Links that the router wanted and that are neither connected nor failed.
    dialling: Vec<LinkId>,
    /// Links on which cells may be sent, with the last route that an OPEN or INFO used.
    up: BTreeMap<LinkId, u64>,
    /// Cells on their way to the router.
    back: VecDeque<(LinkId, Cell)>,
}

impl Chaos {
    fn new(seed: u64) -> Self {
        Self {
            world: World::new(),
            dice: ChaCha20Rng::seed_from_u64(seed),
            model: Model::default(),
            dialling: Vec::new(),
            up: BTreeMap::new(),
            back: VecDeque::new(),
        }
    }

    fn roll(&mut self, sides: u64) -> u64 {
        self.dice.next_u64() % sides
    }

    fn session(&mut self) -> Option<SessionId> {
        let count = self.model.sessions.len() as u64;
        (count > 0).then(|| {
            let index = self.roll(count) as usize;
            *self.model.sessions.keys().nth(index).unwrap()
        })
    }

    fn plan(&mut self) -> RoutePlan {
        match self.roll(4) {
            0 => self.world.direct(1),
            1 => self.world.hop2(0, 2),
            2 => self.world.hop2(1, 2),
            _ => self.world.hop2(0, 1),
        }
    }

    fn step(&mut self) {
        match self.roll(100) {
            0..8 => {
                let plan = self.plan();
                let session = self.world.open(plan);
                self.model.sessions.insert(session, Expected::default());
            }
            8..30 => self.command(),
            30..32 => {
                if let Some(session) = self.session() {
                    self.world.router.close(self.world.now, &mut self.world.rng, session);
                    self.model.sessions.remove(&session);
                }
            }
            32..40 => self.dialled(),
            40..84 => {
                for _ in 0..=self.roll(8) {
                    if let Some((link, cell)) = self.back.pop_front() {
                        self.world.deliver(link, cell);
                    }
                }
            }
            84..88 => self.harm(),
            88..91 => {
                let ms = [1, 250, 5_000, 20_000, 40 * MINUTE_MS][self.roll(5) as usize];
                self.world.now.0 += ms;
                self.world.router.handle_timeout(self.world.now, &mut self.world.rng);
            }
            91 => {
                let relay = self.roll(3) as usize;
                self.world.relays[relay].listens = self.roll(4) > 0;
                self.world.relays[relay].closes = match self.roll(8) {
                    0 => Some(CloseReason::Busy),
                    1 => Some(CloseReason::UnknownEpoch),
                    2 => Some(CloseReason::Unreachable),
                    _ => None,
                };
            }
            92 if self.roll(4) == 0 => {
                let relay = self.roll(3) as usize;
                let mut rng = self.world.rng.clone();
                self.world.relays[relay].rotate(&mut rng);
            }
            93 if self.roll(8) == 0 => self.world.router.drop_links(),
            94 => {
                if let Some(link) = self.up.keys().next().copied() {
                    self.up.remove(&link);
                    self.world.router.handle_disconnected(
                        self.world.now,
                        link,
                        LinkFailure::Closed,
                    );
                }
            }
            _ => self.push(),
        }
        self.settle();
    }

    fn command(&mut self) {
        let Some(session) = self.session() else { return };
        let body = blob(self.roll(250) as u8);
        let key = key(self.roll(3) as u8, Role::Send);
        let (command, blob, cells) = match self.roll(4) {
            0 => (ping(), None, 1),
            1 => (put(&body), Some(body), 1),
            2 => (watch(), None, 1),
            _ => {
                let max = 1 + self.roll(16) as u32;
                (get(max), None, max)
            }
        };
        let id = self.world.router.command(session, command, blob, Some(key)).unwrap();
        self.model.sessions.get_mut(&session).unwrap().due.push_back((id, cells, 0));
        self.world.router.flush(self.world.now, &mut self.world.rng);
    }

    fn dialled(&mut self) {
        let Some(link) = self.dialling.pop() else { return };
        let now = self.world.now;
        match self.roll(8) {
            0 => self.world.router.handle_disconnected(now, link, LinkFailure::Unreachable),
            1 => self.world.router.handle_disconnected(now, link, LinkFailure::OtherKey),
            _ => {
                self.up.insert(link, 0);
                self.world.router.handle_connected(now, &mut self.world.rng, link);
            }
        }
    }

    /// Does something to what is on its way to the router.
    fn harm(&mut self) {
        let what = self.roll(6);
        let count = self.back.len() as u64;
        let at = if count == 0 { 0 } else { self.roll(count) as usize };
        match what {
            0 => drop(self.back.remove(at)),
            1 if count > 0 => {
                let cell = self.back[at].clone();
                self.back.push_back(cell);
            }
            2 if count > 0 => {
                let other = self.roll(count) as usize;
                self.back.swap(at, other);
            }
            3 if count > 0 => {
                let mut bytes = *self.back[at].1.as_bytes();
                bytes[self.roll(CELL_LEN as u64) as usize] ^= 1 << self.roll(8);
                if let Ok(cell) = Cell::parse(&bytes) {
                    self.back[at].1 = cell;
                }
            }
            _ => {
                let Some((link, last)) = self.up.iter().next().map(|(l, r)| (*l, *r)) else {
                    return;
                };
                let kinds = [Kind::Info, Kind::Open, Kind::Data, Kind::Close, Kind::Pad];
                let kind = kinds[self.roll(5) as usize];
                let route = self.roll(last + 2);
                self.back.push_back((link, Cell::new(kind, route, &mut self.dice)));
            }
        }
    }

    fn push(&mut self) {
        let relay = self.roll(3) as usize;
        let position = self.roll(100);
        let push = reply::Reply::Push(wire::Delivery { position });
        if let Some((link, route)) = self.world.relays[relay].newest_session() {
            let rng = &mut self.world.rng;
            let cell = self.world.relays[relay].say(link, route, push, Some(&blob(1)), rng);
            self.back.push_back((link, cell));
        }
    }

    /// Takes what the router says, and holds it against the model.
    fn settle(&mut self) {
        while let Some(action) = self.world.router.poll_action() {
            match action {
                RouteAction::Connect { link, address } => {
                    let relay = address.fingerprint();
                    let relay = self.world.relays.iter().position(|r| r.fingerprint() == relay);
                    self.world.links.insert(link, relay.unwrap());
                    self.dialling.push(link);
                }
                RouteAction::Transmit { link, cell } => {
                    let last = self.up.get_mut(&link).expect("cells go out on connected links");
                    if matches!(cell.kind(), Kind::Info | Kind::Open) {
                        assert!(cell.route() > *last, "route ids rise");
                        *last = cell.route();
                    } else {
                        assert!(cell.route() <= *last, "a route is opened first");
                    }
                    let said = self.world.carry(link, cell);
                    self.back.extend(said.into_iter().map(|cell| (link, cell)));
                }
                RouteAction::Disconnect { link } => {
                    let dialling = self.dialling.iter().position(|other| *other == link);
                    match dialling {
                        Some(index) => drop(self.dialling.swap_remove(index)),
                        None => drop(self.up.remove(&link).expect("a link is hung up once")),
                    }
                }
            }
        }
        for event in self.world.events() {
            self.model.see(&event).unwrap();
        }
    }
}

#[test]
fn whatever_links_and_relays_do_callers_see_what_they_count_on() {
    let seeds = if std::env::var_os("HEARKEN_LONG").is_some() { 2_000 } else { 60 };
    let (mut opened, mut answers, mut closed) = (0, 0, BTreeMap::<String, usize>::new());
    for seed in 0..seeds {
        let run = std::panic::catch_unwind(|| {
            let mut chaos = Chaos::new(seed);
            for _ in 0..400 {
                chaos.step();
            }
            // Left alone, nothing waits for a relay for longer than three waits: information twice, and the OPEN.
            for relay in &mut chaos.world.relays {
                relay.listens = false;
            }
            chaos.back.clear();
            for _ in 0..4 {
                chaos.world.now.0 += 15_000;
                chaos.world.router.handle_timeout(chaos.world.now, &mut chaos.world.rng);
                chaos.settle();
            }
            assert!(chaos.model.sessions.values().all(|session| session.open));
            chaos.model
        });
        let model = run.unwrap_or_else(|_| panic!("seed {seed}"));
        opened += model.opened;
        answers += model.answers;
        for (why, times) in model.closed {
            *closed.entry(why).or_default() += times;
        }
    }
    // The chaos is one in which things also work, and fail in every way that it has.
    assert!(opened > 100 && answers > 1_000, "{opened} opened, {answers} answers");
    for why in [
        CloseWhy::Unreachable,
        CloseWhy::OtherKey,
        CloseWhy::Busy,
        CloseWhy::UnknownEpoch,
        CloseWhy::PeerMisbehaved,
        CloseWhy::LinkLost,
    ] {
        assert!(closed.contains_key(&format!("{why:?}")), "{why:?} of {closed:?}");
    }
}

#[test]
fn the_model_notices_what_it_is_there_for() {
    let session = SessionId(1);
    let (first, second) = (CommandId(2), CommandId(3));
    let answer = |command, index, last| {
        let reply = reply::Reply::Empty(wire::Empty {});
        RouteEvent::Answer { session, command, index, last, reply, blob: None }
    };
    let closed = || RouteEvent::Closed { session, why: CloseWhy::Busy };
    let opened = || RouteEvent::Opened { session };
    let honest = [opened(), answer(first, 0, false), answer(first, 1, true), closed()];
    let planted = [
        vec![opened(), opened()],
        vec![answer(first, 0, false)],
        vec![opened(), answer(second, 0, true)],
        vec![opened(), answer(first, 1, false)],
        vec![opened(), answer(first, 0, true)],
        vec![opened(), closed(), answer(first, 0, false)],
        vec![closed(), closed()],
        vec![RouteEvent::RollOver { session }],
    ];
    let noticed = |events: &[RouteEvent]| {
        let mut model = Model::default();
        let due = VecDeque::from([(first, 2, 0), (second, 1, 0)]);
        model.sessions.insert(session, Expected { open: false, due });
        events.iter().any(|event| model.see(event).is_err())
    };
    assert!(!noticed(&honest));
    assert!(planted.iter().all(|events| noticed(events)));
}

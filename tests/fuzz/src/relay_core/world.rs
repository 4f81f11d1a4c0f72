//! Two relays, the links between them and to their clients, and what may come over those links.
//!
//! The first relay is the one under test, as last hop and as entry; the second is where it forwards to, and dials that
//! go nowhere are answered as the choices say. Judged: cells come only on links that are there and on routes that were
//! opened on them, one first answer to each OPEN and INFO, nothing after a CLOSE; what goes to a peer names no next hop
//! and opens its routes in rising order.

use std::collections::BTreeMap;

use hearken_proto::cell::{Cell, Kind};
use hearken_proto::hop::NextHop;
use hearken_proto::info::{self, UnverifiedInfo, VerifiedInfo};
use hearken_proto::time::UnixMillis;
use hearken_relay::core::{CoreConfig, DialError, DialId, LinkId, Warning};
use hearken_relay::simulation::{Event, InlineRelay};
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;

use super::session::Session;

/// Where the two relays are, as hops name them.
pub(super) const PLACE: &str = "relay.example:4433";

/// What a client waits for on a route.
pub(super) enum Route {
    /// An INFO is unanswered.
    Info,
    /// An OPEN of nonsense is unanswered: it is closed, or goes to where nobody reads it.
    Nonsense,
    /// A session, through the entry or not.
    Session(Box<Session>, bool),
    /// The client has closed it; what the relay had sent may still come.
    Left,
    /// Nothing more may come.
    Over,
}

/// A client's link to the first relay.
#[derive(Default)]
pub(super) struct Client {
    pub(super) routes: BTreeMap<u64, Route>,
    /// The highest route named so far.
    pub(super) newest: Option<u64>,
}

/// A link that the first relay dialled and that leads to no relay: the fuzzer is the peer.
#[derive(Default)]
pub(super) struct HostilePeer {
    pub(super) opened: Vec<u64>,
}

pub(super) struct World {
    pub(super) relays: [Option<InlineRelay>; 2],
    pub(super) rng: ChaCha20Rng,
    pub(super) now: UnixMillis,
    pub(super) clients: BTreeMap<LinkId, Client>,
    pub(super) peers: BTreeMap<LinkId, HostilePeer>,
    pub(super) dials: Vec<(DialId, NextHop)>,
    pub(super) sent: Vec<(LinkId, Cell)>,
    /// The ends of links between the two: relay and link to relay and link.
    wires: BTreeMap<(usize, LinkId), (usize, LinkId)>,
    next_link: u64,
    info: [Option<(UnixMillis, VerifiedInfo)>; 2],
}

impl World {
    pub(super) fn new(config: CoreConfig, now: UnixMillis) -> Self {
        let mut rng = ChaCha20Rng::from_seed([1; 32]);
        let other = CoreConfig { proof_of_work_bits: 0, ..CoreConfig::default() };
        let relays = [
            Some(InlineRelay::new(config, &[1; 32], now, &mut rng)),
            Some(InlineRelay::new(other, &[2; 32], now, &mut rng)),
        ];
        Self {
            relays,
            rng,
            now,
            clients: BTreeMap::new(),
            peers: BTreeMap::new(),
            dials: Vec::new(),
            sent: Vec::new(),
            wires: BTreeMap::new(),
            next_link: 0,
            info: [None, None],
        }
    }

    pub(super) fn relay(&mut self, at: usize) -> &mut InlineRelay {
        self.relays[at].as_mut().expect("a relay is there but while it restarts")
    }

    pub(super) fn new_link(&mut self) -> LinkId {
        self.next_link += 1;
        LinkId(self.next_link)
    }

    /// A client dials the first relay.
    pub(super) fn connect(&mut self) -> LinkId {
        let (link, now) = (self.new_link(), self.now);
        self.clients.insert(link, Client::default());
        self.relay(0).link_opened(now, link);
        link
    }

    /// Any link of the first relay is gone.
    pub(super) fn disconnect(&mut self, link: LinkId) {
        let now = self.now;
        self.clients.remove(&link);
        self.peers.remove(&link);
        if let Some((relay, other)) = self.wires.remove(&(0, link)) {
            self.wires.remove(&(relay, other));
            self.relay(relay).link_closed(now, other);
        }
        self.relay(0).link_closed(now, link);
    }

    /// Every link is gone, at both relays.
    pub(super) fn disconnect_all(&mut self) {
        let mut links: Vec<LinkId> =
            self.clients.keys().chain(self.peers.keys()).copied().collect();
        links.extend(self.wires.keys().filter(|(at, _)| *at == 0).map(|(_, link)| *link));
        links.into_iter().for_each(|link| self.disconnect(link));
    }

    /// Puts a cell onto a link to the first relay.
    pub(super) fn post(&mut self, link: LinkId, cell: Cell) {
        let now = self.now;
        if self.sent.len() < 16 {
            self.sent.push((link, cell.clone()));
        }
        self.relay(0).cell(now, link, cell);
    }

    /// A new route of a client's link; `None` where the relay has closed it meanwhile.
    pub(super) fn new_route(&mut self, link: LinkId, waits: Route) -> Option<u64> {
        let client = self.clients.get_mut(&link)?;
        // A link on which the last route was named has none left: what is opened there closes it.
        let route = client.newest.map_or(0, |newest| newest.saturating_add(1));
        if client.newest != Some(route) {
            client.newest = Some(route);
            client.routes.insert(route, waits);
        }
        Some(route)
    }

    pub(super) fn hop(&mut self, relay: usize) -> NextHop {
        let fingerprint = self.relay(relay).fingerprint();
        NextHop { fingerprint, host_port: PLACE.parse().expect("a place") }
    }

    /// What a relay says of itself, asked on a link of its own, not anew within the hour. `None` where it has no keys.
    pub(super) fn info(&mut self, relay: usize) -> Option<VerifiedInfo> {
        let now = self.now;
        if let Some((at, info)) = &self.info[relay]
            && at.hour() == now.hour()
        {
            return Some(info.clone());
        }
        let link = LinkId(1_000_000 + relay as u64);
        let cell = info::request(1, &mut self.rng);
        let mut answer = None;
        let Self { relays, rng, .. } = self;
        let asked = relays[relay].as_mut().expect("a relay is there");
        asked.link_opened(now, link);
        asked.cell(now, link, cell);
        let events = asked.run(now, rng);
        asked.link_closed(now, link);
        for event in events {
            match event {
                Event::Cell(to, cell) if to == link => answer = Some(cell),
                event => self.happen(relay, event),
            }
        }
        let fingerprint = self.relay(relay).fingerprint();
        let answer = answer.filter(|answer| answer.kind() == Kind::Info)?;
        let unverified = UnverifiedInfo::from_answer(&answer).expect("the relay's info is read");
        let info = unverified.verify(&fingerprint, None, now).expect("the relay's info holds");
        self.info[relay] = Some((now, info.clone()));
        Some(info)
    }

    /// Forgets what a relay said of its keys: they may have changed.
    pub(super) fn forget_infos(&mut self) {
        self.info = [None, None];
    }

    /// Works until nothing moves.
    pub(super) fn settle(&mut self) {
        for _ in 0..10_000 {
            let mut moved = false;
            for at in 0..2 {
                let now = self.now;
                let Self { relays, rng, .. } = self;
                let events = relays[at].as_mut().expect("a relay is there").run(now, rng);
                moved |= !events.is_empty();
                events.into_iter().for_each(|event| self.happen(at, event));
            }
            if !moved {
                return;
            }
        }
        panic!("two relays keep each other busy for ever");
    }

    /// Something that a relay did.
    pub(super) fn happen(&mut self, at: usize, event: Event) {
        match event {
            Event::Cell(link, cell) => match self.wires.get(&(at, link)).copied() {
                Some((relay, other)) => {
                    let now = self.now;
                    if at == 0 {
                        goes_to_a_peer(&cell);
                    }
                    self.relay(relay).cell(now, other, cell);
                }
                None if at == 0 => self.arrive(link, cell),
                None => panic!("the second relay has no clients"),
            },
            Event::Closed(link) if at == 0 => {
                self.clients.remove(&link);
                self.peers.remove(&link);
                self.unwire(at, link);
            }
            Event::Closed(link) => self.unwire(at, link),
            Event::Dial(dial, hop) => {
                assert_eq!(at, 0, "the second relay is nobody's entry");
                self.dials.push((dial, hop));
            }
            Event::Warned(Warning::ClockWentBack) => {}
        }
    }

    fn unwire(&mut self, at: usize, link: LinkId) {
        if let Some((relay, other)) = self.wires.remove(&(at, link)) {
            let now = self.now;
            self.wires.remove(&(relay, other));
            self.relay(relay).link_closed(now, other);
        }
    }

    /// Answers a dial of the first relay.
    pub(super) fn dialled(&mut self, index: usize, answer: usize) {
        let (dial, hop) = self.dials.remove(index);
        let (now, ours) = (self.now, self.new_link());
        let is_second = hop.fingerprint == self.relay(1).fingerprint();
        match answer {
            0..=3 if is_second => {
                let theirs = self.new_link();
                self.relay(1).link_opened(now, theirs);
                self.wires.insert((0, ours), (1, theirs));
                self.wires.insert((1, theirs), (0, ours));
                self.relay(0).dialled(now, dial, Ok(ours));
            }
            0..=3 => {
                self.peers.insert(ours, HostilePeer::default());
                self.relay(0).dialled(now, dial, Ok(ours));
            }
            4 => self.relay(0).dialled(now, dial, Err(DialError::Unreachable)),
            5 => self.relay(0).dialled(now, dial, Err(DialError::OtherKey)),
            6 => self.relay(0).dialled(now, dial, Err(DialError::Private)),
            // Never answered: the core gives it up by itself.
            _ => {}
        }
    }

    /// A cell came to a client or to a peer that is none.
    fn arrive(&mut self, link: LinkId, cell: Cell) {
        if let Some(peer) = self.peers.get_mut(&link) {
            goes_to_a_peer(&cell);
            if matches!(cell.kind(), Kind::Open | Kind::Info) {
                assert!(peer.opened.last().is_none_or(|last| cell.route() > *last), "routes rise");
                peer.opened.push(cell.route());
            } else {
                assert!(peer.opened.contains(&cell.route()), "a route that was opened there");
            }
            return;
        }
        let client = self.clients.get_mut(&link).expect("a cell on a link that is there");
        let route = client.routes.get_mut(&cell.route()).expect("a route that was opened there");
        match (cell.kind(), &mut *route) {
            (_, Route::Over) => panic!("{:?} on a route that is over", cell.kind()),
            (Kind::Data | Kind::Close | Kind::Info, Route::Left) => {}
            (Kind::Info, Route::Info) => *route = Route::Over,
            (Kind::Data, Route::Session(session, _)) => session.take(cell),
            // Through an entry an OPEN of nonsense may reach somebody who answers with nonsense.
            (Kind::Data, Route::Nonsense) => {}
            (Kind::Close, Route::Session(session, is_direct)) => {
                session.close(cell.close_reason().expect("a CLOSE says why"), *is_direct);
                *route = Route::Over;
            }
            (Kind::Close, _) => *route = Route::Over,
            (kind, _) => panic!("{kind:?} came, which answers nothing here"),
        }
    }
}

/// What a relay sends to another as an entry names nobody, and not where it goes on to.
fn goes_to_a_peer(cell: &Cell) {
    match cell.kind() {
        Kind::Open | Kind::Info => assert!(cell.is_last_hop(), "a next hop goes on"),
        Kind::Data | Kind::Close => {}
        Kind::Pad => panic!("a relay sends no cover"),
    }
}

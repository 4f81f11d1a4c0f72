//! Event sequences for the relay's core: honest sealed traffic that gets deep, and everything that disturbs it.
//!
//! Judged beside what [`world`] and [`session`] judge, after every step: it never panics; sessions, routes, links and
//! deadlines are no more than what was opened accounts for; when everything has settled every command of an open
//! session is answered; when every link is gone nothing of them is left.

mod asks;
mod session;
mod world;

use hearken_proto::cell::{Cell, CloseReason, Kind};
use hearken_proto::hop::NextHop;
use hearken_proto::ids::Fingerprint;
use hearken_proto::info;
use hearken_proto::seal::PendingRoute;
use hearken_proto::time::{DAY_MS, HOUR_MS, UnixMillis};
use hearken_relay::core::{Admission, CoreConfig, LinkId};
use hearken_relay::store::StoreError;

use self::asks::{Asked, Keys};
use self::session::Session;
use self::world::{PLACE, Route, World};
use crate::Choices;

const STEPS_MAX: usize = 96;
const LINKS_MAX: usize = 5;

/// Runs the events that the choices name.
pub(super) fn events(input: &[u8]) {
    let mut choices = Choices::new(input);
    let config = config(&mut choices);
    let start = UnixMillis(20_000 * DAY_MS + u64::from(choices.byte()) * HOUR_MS / 11);
    let mut driver = Driver { world: World::new(config, start), keys: Keys::new(), is_held: false };
    driver.world.connect();
    for _ in 0..STEPS_MAX {
        if choices.is_over() {
            break;
        }
        driver.step(&mut choices);
        driver.judge();
    }
    driver.end();
}

fn config(choices: &mut Choices<'_>) -> CoreConfig {
    let byte = choices.byte();
    CoreConfig {
        admission: if byte % 16 == 15 { Admission::Closed } else { Admission::Open },
        proof_of_work_bits: if byte % 8 == 7 { 4 } else { 0 },
        mailbox_blobs_max: [512, 4, 20][usize::from(byte / 16) % 3],
        mailboxes_max: if byte / 16 % 5 == 4 { 2 } else { 1_000 },
        feed_entries_max: [8_192, 4, 20][usize::from(byte / 16) % 3],
        feeds_max: if byte / 16 % 5 == 4 { 1 } else { 1_000 },
        forwards: byte % 32 != 30,
        allow_private_peers: byte % 4 == 3,
        ..CoreConfig::default()
    }
}

struct Driver {
    world: World,
    keys: Keys,
    is_held: bool,
}

impl Driver {
    fn step(&mut self, choices: &mut Choices<'_>) {
        match choices.byte() {
            0..=9 => self.connect_or_not(choices),
            10..=49 => self.open(choices),
            50..=139 => self.say(choices, Keys::command),
            140..=149 => self.nonsense_in_a_session(choices),
            150..=159 => self.damage(choices),
            160..=169 => self.any_cell(choices),
            170..=179 => self.ask_info(choices),
            180..=184 => self.leave(choices),
            185..=199 => self.pass(choices),
            200..=207 => self.trouble_the_store(choices),
            208..=217 => self.answer_a_dial(choices),
            218..=227 => self.be_a_peer(choices),
            228..=231 => self.replay(choices),
            232..=235 => self.restart(),
            236..=240 => self.take_a_few_cells(choices),
            // Among what settles, so that what was found before these were there is still found.
            246..=255 => self.say(choices, Keys::feed_command),
            _ => self.world.settle(),
        }
    }

    fn any_link(&self, choices: &mut Choices<'_>) -> Option<LinkId> {
        let links: Vec<LinkId> = self.world.clients.keys().copied().collect();
        let index = choices.below(links.len());
        links.get(index).copied()
    }

    /// Any open session: its link and route.
    fn any_session(&self, choices: &mut Choices<'_>) -> Option<(LinkId, u64)> {
        let mut open = Vec::new();
        for (link, client) in &self.world.clients {
            for (route, waits) in &client.routes {
                if matches!(waits, Route::Session(session, _) if session.is_open()) {
                    open.push((*link, *route));
                }
            }
        }
        let index = choices.below(open.len());
        open.get(index).copied()
    }

    fn connect_or_not(&mut self, choices: &mut Choices<'_>) {
        if self.world.clients.len() < LINKS_MAX && !choices.one_in(4) {
            self.world.connect();
        } else if let Some(link) = self.any_link(choices) {
            self.world.disconnect(link);
        }
    }

    /// Opens a session: with the first relay, or through it with the second.
    fn open(&mut self, choices: &mut Choices<'_>) {
        let Some(link) = self.any_link(choices) else { return };
        let is_direct = !choices.one_in(3);
        let Some(info) = self.world.info(usize::from(!is_direct)) else { return };
        let opened = PendingRoute::open(info.context(), info.seal_key(), &mut self.world.rng);
        let (pending, mut cell) = opened.expect("a verified key");
        let session = Session::new(info, pending);
        let waits = Route::Session(Box::new(session), is_direct);
        let Some(route) = self.world.new_route(link, waits) else { return };
        cell.set_route(route);
        if !is_direct {
            let hop = self.world.hop(1);
            let Some(through) = self.through(&hop, cell) else { return };
            cell = through;
        }
        self.world.post(link, cell);
        // Mostly the client waits for the answer, as clients do.
        if !choices.one_in(8) {
            self.world.settle();
            self.answer_dials_of_the_second();
        }
    }

    /// Names a next hop in a cell, sealed to the first relay.
    fn through(&mut self, hop: &NextHop, mut cell: Cell) -> Option<Cell> {
        let entry = self.world.info(0)?;
        let routing = entry.hop_key().seal(entry.context(), hop, &mut self.world.rng).ok()?;
        Some(info::set_next_hop(&mut cell, &routing))
    }

    fn answer_dials_of_the_second(&mut self) {
        let second = self.world.hop(1).fingerprint;
        while let Some(at) = self.world.dials.iter().position(|(_, hop)| hop.fingerprint == second)
        {
            self.world.dialled(at, 0);
            self.world.settle();
        }
    }

    /// A command in an open session, mostly sound.
    fn say(
        &mut self,
        choices: &mut Choices<'_>,
        what: impl FnOnce(&Keys, &mut Choices<'_>, &Session) -> Asked,
    ) {
        let Some((link, route)) = self.any_session(choices) else { return };
        let settles = !choices.one_in(8);
        let Self { world, keys, .. } = self;
        let client = world.clients.get_mut(&link).expect("the link is there");
        let Some(Route::Session(session, _)) = client.routes.get_mut(&route) else { return };
        let asked = what(keys, choices, session);
        let sound = asked.is_sound;
        let cell = session.ask(route, &asked.command, asked.blob.as_ref(), sound, &mut world.rng);
        if let Some(cell) = cell {
            world.post(link, cell);
        }
        if settles {
            world.settle();
        }
    }

    fn nonsense_in_a_session(&mut self, choices: &mut Choices<'_>) {
        let Some((link, route)) = self.any_session(choices) else { return };
        let payload = asks::any_payload(choices);
        let World { clients, rng, .. } = &mut self.world;
        let client = clients.get_mut(&link).expect("the link is there");
        let Some(Route::Session(session, _)) = client.routes.get_mut(&route) else { return };
        session.may_be_refused = true;
        if let Some(cell) = session.ask_anything(route, payload, rng) {
            self.world.post(link, cell);
        }
    }

    /// An honest cell with a byte changed. Where its seal is hit, the relay closes the session; where its frame is,
    /// the link.
    fn damage(&mut self, choices: &mut Choices<'_>) {
        let Some((link, route)) = self.any_session(choices) else { return };
        let (at, mask) = (usize::from(choices.u16()) % 4_096, choices.byte());
        let World { clients, rng, .. } = &mut self.world;
        let client = clients.get_mut(&link).expect("the link is there");
        let Some(Route::Session(session, _)) = client.routes.get_mut(&route) else { return };
        let Some(cell) = session.ask(route, &asks::ping(), None, false, rng) else { return };
        let mut bytes = *cell.as_bytes();
        bytes[at] ^= mask;
        if let Ok(changed) = Cell::from_array(Box::new(bytes)) {
            self.put_anything(link, changed);
        }
    }

    /// Any frame on any link, random behind it.
    fn any_cell(&mut self, choices: &mut Choices<'_>) {
        let Some(link) = self.any_link(choices) else { return };
        let kinds = [Kind::Info, Kind::Open, Kind::Data, Kind::Close, Kind::Pad];
        let kind = kinds[choices.below(5)];
        let newest = self.world.clients[&link].newest.unwrap_or(0);
        let route = match choices.below(4) {
            0 => newest.saturating_add(1),
            1 => choices.number(),
            _ => newest.saturating_sub(u64::from(choices.byte() % 8)),
        };
        let mut cell = Cell::new(kind, route, &mut self.world.rng);
        if kind == Kind::Close {
            cell = Cell::close(route, CloseReason::Done, &mut self.world.rng);
        }
        if matches!(kind, Kind::Open | Kind::Info) {
            cell.set_epoch_hint(choices.byte());
            if choices.one_in(2) {
                cell.set_last_hop();
            }
        }
        self.put_anything(link, cell);
    }

    /// Puts a cell whose meaning is not known here onto a link, and no longer expects more than the rules of routes.
    fn put_anything(&mut self, link: LinkId, cell: Cell) {
        let Some(client) = self.world.clients.get_mut(&link) else { return };
        let route = cell.route();
        match cell.kind() {
            Kind::Pad => {}
            // A route that is not above all others closes the link.
            Kind::Open | Kind::Info if client.newest.is_none_or(|newest| route > newest) => {
                client.newest = Some(route);
                let waits = if cell.kind() == Kind::Open { Route::Nonsense } else { Route::Info };
                client.routes.insert(route, waits);
            }
            Kind::Open | Kind::Info => {}
            Kind::Close => {
                if let Some(waits) = client.routes.get_mut(&route)
                    && !matches!(waits, Route::Over)
                {
                    *waits = Route::Left;
                }
            }
            Kind::Data => {
                if let Some(Route::Session(session, _)) = client.routes.get_mut(&route) {
                    session.may_be_refused = true;
                }
            }
        }
        self.world.post(link, cell);
    }

    fn ask_info(&mut self, choices: &mut Choices<'_>) {
        let Some(link) = self.any_link(choices) else { return };
        let hop = match choices.below(6) {
            0 => None,
            1 | 2 => Some(self.world.hop(1)),
            3 => Some(self.world.hop(0)),
            4 => Some(self.stranger(choices, PLACE)),
            _ => Some(self.stranger(choices, "127.0.0.1:1")),
        };
        let Some(route) = self.world.new_route(link, Route::Info) else { return };
        let mut cell = info::request(route, &mut self.world.rng);
        if let Some(hop) = hop {
            let Some(through) = self.through(&hop, cell) else { return };
            cell = through;
        }
        self.world.post(link, cell);
    }

    fn stranger(&self, choices: &mut Choices<'_>, place: &str) -> NextHop {
        let fingerprint = Fingerprint::from_bytes([choices.byte() % 12 + 100; 32]);
        NextHop { fingerprint, host_port: place.parse().expect("a place") }
    }

    fn leave(&mut self, choices: &mut Choices<'_>) {
        let Some((link, route)) = self.any_session(choices) else { return };
        let cell = Cell::close(route, CloseReason::Done, &mut self.world.rng);
        self.put_anything(link, cell);
    }

    fn pass(&mut self, choices: &mut Choices<'_>) {
        let ms = match choices.below(8) {
            0 => 1_000,
            1 => 10_000,
            2 => 31_000,
            3 => 15 * 60_000,
            4 => HOUR_MS,
            5 => DAY_MS,
            6 => 22 * DAY_MS,
            _ => return self.turn_the_clock_back(),
        };
        self.at(UnixMillis(self.world.now.0 + ms));
    }

    fn turn_the_clock_back(&mut self) {
        self.at(UnixMillis(self.world.now.0 - 3 * HOUR_MS));
    }

    fn at(&mut self, now: UnixMillis) {
        let World { relays, rng, clients, .. } = &mut self.world;
        for relay in relays.iter_mut().flatten() {
            relay.timeout(now, rng);
        }
        for route in clients.values_mut().flat_map(|client| client.routes.values_mut()) {
            if let Route::Session(session, _) = route {
                session.has_aged = true;
                session.may_be_refused = true;
            }
        }
        self.world.now = now;
        self.world.forget_infos();
        self.world.settle();
    }

    fn trouble_the_store(&mut self, choices: &mut Choices<'_>) {
        match choices.below(7) {
            0 | 1 => {
                self.is_held = !self.is_held;
                let is_held = self.is_held;
                self.world.relay(0).hold_store(is_held);
            }
            2 => self.world.relay(0).store().fail_commits(1, StoreError::Full),
            3 => self.world.relay(0).store().fail_commits(2, StoreError::Unavailable),
            4 => self.world.relay(0).set_disk_bytes(u64::MAX),
            5 => self.world.relay(0).set_disk_bytes(0),
            _ => {
                let can = choices.one_in(2);
                self.world.relay(0).set_can_store_keys(can);
            }
        }
        if choices.one_in(2) {
            self.world.settle();
        }
    }

    fn answer_a_dial(&mut self, choices: &mut Choices<'_>) {
        if !self.world.dials.is_empty() {
            let index = choices.below(self.world.dials.len());
            self.world.dialled(index, choices.below(8));
            self.world.settle();
        }
    }

    /// A cell from a peer that follows no rule, on a route that was opened there or not.
    fn be_a_peer(&mut self, choices: &mut Choices<'_>) {
        let links: Vec<LinkId> = self.world.peers.keys().copied().collect();
        let Some(link) = links.get(choices.below(links.len())).copied() else { return };
        let opened = &self.world.peers[&link].opened;
        let route = match opened.get(choices.below(opened.len())) {
            Some(route) if !choices.one_in(8) => *route,
            _ => choices.number(),
        };
        let cell = match choices.below(8) {
            0..=2 => Cell::new(Kind::Data, route, &mut self.world.rng),
            3 => Cell::close(route, CloseReason::UnknownEpoch, &mut self.world.rng),
            4 => Cell::close(route, CloseReason::Busy, &mut self.world.rng),
            5 => Cell::new(Kind::Info, route, &mut self.world.rng),
            6 => Cell::new(Kind::Pad, route, &mut self.world.rng),
            _ => Cell::new(Kind::Open, route, &mut self.world.rng),
        };
        let now = self.world.now;
        for _ in 0..=choices.byte() % 40 {
            self.world.relay(0).cell(now, link, cell.clone());
        }
    }

    /// A cell that was sent comes again, on a link that is there.
    fn replay(&mut self, choices: &mut Choices<'_>) {
        let index = choices.below(self.world.sent.len());
        let Some((_, cell)) = self.world.sent.get(index).cloned() else { return };
        if let Some(link) = self.any_link(choices) {
            self.put_anything(link, cell);
        }
    }

    /// A power cut at the first relay.
    fn restart(&mut self) {
        self.world.disconnect_all();
        self.world.dials.clear();
        self.is_held = false;
        let World { relays, rng, now, .. } = &mut self.world;
        relays[0] = relays[0].take().map(|relay| relay.crash(*now, rng));
        self.world.forget_infos();
    }

    /// One link takes some cells, and the others none.
    fn take_a_few_cells(&mut self, choices: &mut Choices<'_>) {
        let now = self.world.now;
        let World { relays, rng, .. } = &mut self.world;
        let relay = relays[0].as_mut().expect("the relay is there");
        let mut events = relay.run_stalled(now, rng);
        if let Some(link) = self.any_link(choices) {
            let World { relays, rng, .. } = &mut self.world;
            let relay = relays[0].as_mut().expect("the relay is there");
            let cells = (0..=choices.byte() % 20).map_while(|_| relay.transmit(now, rng, link));
            events.extend(cells.map(|cell| hearken_relay::simulation::Event::Cell(link, cell)));
        }
        events.into_iter().for_each(|event| self.world.happen(0, event));
    }

    /// What holds after every step.
    fn judge(&mut self) {
        let totals = self.world.relay(0).totals();
        let (clients, opened) =
            self.world.clients.values().fold((0, 0), |(links, routes), client| {
                let open =
                    client.routes.values().filter(|route| !matches!(route, Route::Over)).count();
                (links + 1, routes + open)
            });
        let [sessions, routes, cells, timers, watching] = self.world.relay(0).leftovers();
        assert!(sessions + routes <= opened, "{sessions} and {routes} of {opened} that are open");
        assert!(watching <= sessions);
        assert!(cells <= routes * 48);
        let links = usize::try_from(totals.links).expect("few");
        assert!(links <= clients + 8 * LINKS_MAX + 16, "{links} links");
        // A deadline each, and for a peer three; a dial has one too.
        let dials = 8 * (clients + 1) + 16;
        assert!(timers <= sessions + routes + 4 * links + dials, "{timers} deadlines");
    }

    /// Everything settles, then everybody leaves.
    fn end(&mut self) {
        self.world.relay(0).hold_store(false);
        self.world.relay(0).store().fail_commits(0, StoreError::Full);
        self.world.settle();
        for client in self.world.clients.values() {
            for route in client.routes.values() {
                if let Route::Session(session, true) = route {
                    assert!(session.owed.is_empty(), "unanswered: {:?}", session.owed);
                }
            }
        }
        self.judge();
        self.world.disconnect_all();
        self.world.settle();
        let now = UnixMillis(self.world.now.0 + 31_000);
        self.at(now);
        let left = self.world.relay(0).leftovers();
        assert_eq!(left, [0; 5], "left of links that are gone");
    }
}

//! The relay as one state machine without sockets, clocks or files.
//!
//! Methods come in four sorts: `handle_*` takes in what happened; `advance` works on one queued cell; `poll_*` hands
//! out what the shell is to do; the rest are getters. Nothing blocks, and every queue in here is bounded.
//!
//! Guarantees: links take turns, a cell each; a link that breaks the frame's rules is closed; what is not for this relay
//! is the entry role's (`entry.rs`), all else the last hop's (`last_hop.rs`).

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use ed25519_dalek::SigningKey;
use hearken_proto::cell::{Cell, CloseReason, Kind};
use hearken_proto::ids::Fingerprint;
use hearken_proto::info;
use hearken_proto::limits::LINKS_MAX;
use hearken_proto::seal::KeyEpoch;
use hearken_proto::time::UnixMillis;
use hearken_proto::wire::Decommission;
use rand_core::CryptoRng;

use super::action::{Action, DialError, DialId, LinkId, Ticket, Warning};
use super::base::{Base, Timer};
use super::bounds::STORE_REQUESTS_MAX;
use super::clock::Clock;
use super::command::Outcome;
use super::config::CoreConfig;
use super::entry::Entry;
use super::epoch_keys::EpochKeys;
use super::housekeeping::Housekeeping;
use super::info::{OwnInfo, Signing};
use super::last_hop::{LastHop, Now};
use super::links::{Control, Lane, Links, RouteKey};
use super::session::Class;
use super::timers::Timers;
use super::totals::Totals;
use crate::store::StoreError;

/// How often the clock is looked at where nothing else is due.
const CLOCK_LOOK: Duration = Duration::from_secs(60);

/// A relay.
pub struct RelayCore {
    identity: SigningKey,
    base: Base,
    info: OwnInfo,
    last_hop: LastHop,
    entry: Entry,
    housekeeping: Housekeeping,
}

impl RelayCore {
    /// A relay with no link yet. Call [`RelayCore::handle_timeout`] at once: it makes keys and signs.
    #[must_use]
    pub fn new(config: CoreConfig, identity: SigningKey, keys: EpochKeys, now: UnixMillis) -> Self {
        let fingerprint = Fingerprint::of(&identity.verifying_key().to_bytes());
        let base = Base {
            config,
            fingerprint,
            keys,
            clock: Clock::new(now),
            links: Links::default(),
            timers: Timers::new(),
            actions: VecDeque::new(),
            totals: Totals::default(),
            has_room: true,
        };
        Self {
            identity,
            base,
            info: OwnInfo::default(),
            last_hop: LastHop::default(),
            entry: Entry::default(),
            housekeeping: Housekeeping::default(),
        }
    }

    /// Who the relay is.
    #[must_use]
    pub fn fingerprint(&self) -> Fingerprint {
        self.base.fingerprint
    }

    /// Somebody dialled. Beyond 20,000 links the shell is asked to close it again.
    pub fn handle_link_opened(&mut self, now: UnixMillis, link: LinkId) {
        let now = self.now(now);
        if self.base.links.len() >= LINKS_MAX {
            self.base.totals.links_refused += 1;
            self.base.actions.push_back(Action::CloseLink(link));
            return;
        }
        self.base.links.open(link, false, now.moment);
        self.base.totals.links_opened += 1;
    }

    /// A link is gone.
    pub fn handle_link_closed(&mut self, now: UnixMillis, link: LinkId) {
        let now = self.now(now);
        self.forget_link(now, link);
    }

    /// A cell came. It is only queued; a shell that queues over 64 a link has that link closed.
    pub fn handle_cell(&mut self, now: UnixMillis, link: LinkId, cell: Cell) {
        let now = self.now(now);
        if !self.base.links.contains(link) {
            return;
        }
        self.base.totals.cells_received += 1;
        let lane = self.lane(RouteKey { link, route: cell.route() }, cell.kind());
        if !self.base.links.receive(link, cell, lane) {
            self.refuse_link(now, link);
        }
    }

    /// Works on one queued cell of the link whose turn it is. `None` where no cell may be worked on just now: there is
    /// none, or the store or the links must take some first.
    pub fn advance(&mut self, now: UnixMillis, rng: &mut dyn CryptoRng) -> Option<LinkId> {
        let now = self.now(now);
        if self.last_hop.pending.len() >= STORE_REQUESTS_MAX {
            return None;
        }
        let (link, cell) = self.base.links.take()?;
        if self.base.links.is_dialled(link) {
            if self.entry.handle_peer_cell(&mut self.base, now, link, cell).is_err() {
                self.refuse_link(now, link);
            }
        } else if self.handle_client_cell(now, link, cell, rng).is_err() {
            self.refuse_link(now, link);
        }
        self.last_hop.pump(&mut self.base, now);
        Some(link)
    }

    /// A dial was answered. The link is not announced by [`RelayCore::handle_link_opened`] as well.
    pub fn handle_dialled(
        &mut self,
        now: UnixMillis,
        dial: DialId,
        result: Result<LinkId, DialError>,
    ) {
        let now = self.now(now);
        self.entry.handle_dialled(&mut self.base, now, dial, result);
    }

    /// The store has answered commands.
    pub fn handle_outcomes(
        &mut self,
        now: UnixMillis,
        outcomes: impl IntoIterator<Item = (Ticket, Result<Outcome, StoreError>)>,
    ) {
        let now = self.now(now);
        for (ticket, result) in outcomes {
            let swept = self.last_hop.handle_outcome(&mut self.base, now, ticket, result);
            if let Some(swept) = swept {
                let Self { base, last_hop, housekeeping, .. } = self;
                housekeeping.handle_swept(base, last_hop, swept);
            }
        }
        self.last_hop.pump(&mut self.base, now);
    }

    /// The keys of an epoch are stored and synced, or could not be.
    pub fn handle_epoch_key(&mut self, now: UnixMillis, epoch: KeyEpoch, stored: bool) {
        let Base { keys, actions, totals, .. } = &mut self.base;
        if keys.handle_stored(now, epoch, stored, actions) {
            totals.key_epochs += 1;
        }
        self.sign(now);
    }

    /// The operator gives notice that the relay will close or moves, or takes it back. It is signed at once.
    pub fn handle_notice(&mut self, now: UnixMillis, notice: Option<Decommission>) {
        let Self { base, info, .. } = self;
        base.config.decommission = notice;
        info.outdate();
        self.sign(now);
    }

    /// How much disk the store uses. Over the quota nothing is taken, until it is below again.
    pub fn handle_disk_bytes(&mut self, disk_bytes: u64) {
        self.base.has_room = disk_bytes < self.base.config.storage_bytes_max;
    }

    /// Time has passed: keys, signatures, deadlines, what is due to be deleted.
    pub fn handle_timeout(&mut self, wall: UnixMillis, rng: &mut dyn CryptoRng) {
        let now = self.now(wall);
        let Base { keys, actions, .. } = &mut self.base;
        for epoch in keys.handle_timeout(wall, rng, actions) {
            self.last_hop.handle_epoch_over(&mut self.base, now, epoch);
        }
        self.sign(wall);
        self.housekeeping.handle_timeout(&mut self.base, &mut self.last_hop, now);
        while let Some(timer) = self.base.timers.pop(now.moment) {
            self.handle_timer(now, timer);
        }
        self.last_hop.pump(&mut self.base, now);
    }

    /// What the shell is to do next.
    pub fn poll_action(&mut self) -> Option<Action> {
        self.base.actions.pop_front()
    }

    /// Links that have a cell to send.
    pub fn links_to_transmit(&self) -> impl Iterator<Item = LinkId> + '_ {
        self.base.links.sending()
    }

    /// The next cell for a link that can take one.
    pub fn poll_transmit(
        &mut self,
        now: UnixMillis,
        rng: &mut dyn CryptoRng,
        link: LinkId,
    ) -> Option<Cell> {
        let now = self.now(now);
        let cell = self.take_cell(now, rng, link)?;
        self.base.links.taken(link, now.moment);
        self.base.totals.cells_sent += 1;
        self.last_hop.unpark(&mut self.base, link);
        self.last_hop.pump(&mut self.base, now);
        Some(cell)
    }

    /// When [`RelayCore::handle_timeout`] is to be called next, at the latest.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<UnixMillis> {
        let Self { base, info, housekeeping, .. } = self;
        let timer = base.timers.next().map(|at| base.clock.wall(at));
        // Whatever is due: a clock that was set back would otherwise be noticed only when it has caught up.
        let look = Some(base.clock.newest().after(CLOCK_LOOK));
        let due = [
            timer,
            base.keys.next_timeout(),
            info.next_timeout(),
            housekeeping.next_timeout(),
            look,
        ];
        due.into_iter().flatten().min()
    }

    /// The few totals.
    #[must_use]
    pub fn totals(&self) -> Totals {
        Totals {
            links: self.base.links.len() as u64,
            sessions: self.last_hop.sessions.len() as u64,
            routes: self.entry.routes() as u64,
            peers: self.entry.peers() as u64,
            watches: self.last_hop.watching as u64,
            ..self.base.totals
        }
    }

    /// What is left of everything that should be gone with the last link: sessions, routes, cells in queues, deadlines,
    /// watches.
    #[must_use]
    pub fn leftovers(&self) -> [usize; 5] {
        [
            self.last_hop.sessions.len(),
            self.entry.routes(),
            self.entry.cells(),
            self.base.timers.len(),
            self.last_hop.watching,
        ]
    }

    /// Makes it look as if the store had so many requests, beside those that it has.
    #[cfg(test)]
    pub(crate) fn crowd_store(&mut self, requests: usize) {
        let pending = &mut self.last_hop.pending;
        pending.retain(|ticket, _| ticket.0 < 1 << 40);
        let crowd = (0..requests as u64).map(|at| Ticket((1 << 40) + at));
        pending.extend(crowd.map(|ticket| (ticket, super::last_hop::Pending::Quiet)));
    }

    #[cfg(test)]
    pub(crate) fn leave_room(&mut self, room: usize) {
        self.entry.leave_room(room);
    }

    #[cfg(test)]
    pub(super) fn parts(&self) -> (&Base, &LastHop, &Entry) {
        (&self.base, &self.last_hop, &self.entry)
    }

    fn now(&mut self, wall: UnixMillis) -> Now {
        Now { wall, moment: self.base.clock.at(wall) }
    }

    /// Cells of proven sessions and open routes go before new OPENs, but never before an earlier cell of their route.
    fn lane(&mut self, key: RouteKey, kind: Kind) -> Lane {
        if self.base.links.is_dialled(key.link) {
            return Lane::Session;
        }
        if !matches!(kind, Kind::Data | Kind::Close) {
            return Lane::Open;
        }
        if let Some(session) = self.last_hop.sessions.get_mut(&key) {
            if session.class == Class::Proven && session.in_open_lane == 0 {
                return Lane::Session;
            }
            session.in_open_lane = session.in_open_lane.saturating_add(1);
            return Lane::Open;
        }
        let is_opened =
            self.base.links.newest_route(key.link).is_some_and(|newest| key.route <= newest);
        if is_opened { Lane::Session } else { Lane::Open }
    }

    fn handle_client_cell(
        &mut self,
        now: Now,
        link: LinkId,
        cell: Cell,
        rng: &mut dyn CryptoRng,
    ) -> Result<(), Misbehaved> {
        let key = RouteKey { link, route: cell.route() };
        match cell.kind() {
            Kind::Pad => return Ok(()),
            Kind::Open | Kind::Info if !self.base.links.take_route(link, key.route) => {
                return Err(Misbehaved);
            }
            Kind::Open if cell.is_last_hop() => {
                self.last_hop.open(&mut self.base, now, key, cell, rng);
            }
            Kind::Open => self.entry.open(&mut self.base, now, key, cell, rng),
            Kind::Info if cell.is_last_hop() => self.answer_info(now, key),
            Kind::Info => self.entry.info(&mut self.base, now, key, &cell),
            Kind::Data | Kind::Close => {
                if self.base.links.newest_route(link).is_none_or(|newest| key.route > newest) {
                    return Err(Misbehaved);
                }
                if let Some(session) = self.last_hop.sessions.get_mut(&key) {
                    session.in_open_lane = session.in_open_lane.saturating_sub(1);
                }
                self.handle_route_cell(now, key, cell);
            }
        }
        Ok(())
    }

    /// DATA or CLOSE. On a route that was closed meanwhile it goes nowhere: the other side may not know yet.
    fn handle_route_cell(&mut self, now: Now, key: RouteKey, cell: Cell) {
        let is_ours = self.last_hop.sessions.contains_key(&key);
        match (cell.kind(), is_ours) {
            (Kind::Data, true) => self.last_hop.data(&mut self.base, now, key, cell),
            (_, true) => {
                self.last_hop.end(&mut self.base, key);
            }
            (_, false) => self.entry.forward(&mut self.base, now, key, cell),
        }
    }

    fn answer_info(&mut self, now: Now, key: RouteKey) {
        match self.info.signed() {
            Some(signed) => self.base.send_info(key, Arc::clone(signed), now.moment),
            None => self.base.send_close(key, CloseReason::Busy, now.moment),
        }
    }

    fn take_cell(&mut self, now: Now, rng: &mut dyn CryptoRng, link: LinkId) -> Option<Cell> {
        loop {
            if let Some(control) = self.base.links.take_control(link) {
                let cell = match control {
                    Control::Close(route, reason) => Cell::close(route, reason, rng),
                    Control::Cell(cell) => cell,
                    // One that does not fit cannot have been read from a cell, nor signed here.
                    Control::Info(route, info) => info::answer(route, &info, rng)
                        .unwrap_or_else(|_| Cell::close(route, CloseReason::Busy, rng)),
                };
                return Some(cell);
            }
            if self.base.links.is_dialled(link) {
                return self.entry.take_cell_for_peer(&mut self.base, now, link, rng);
            }
            let key = RouteKey { link, route: self.base.links.take_ready(link)? };
            let taken = if self.last_hop.sessions.contains_key(&key) {
                self.last_hop.take_cell(&mut self.base, now, key, rng)
            } else {
                self.entry.take_cell_for_client(&mut self.base, now, key)
            };
            let Some((cell, more)) = taken else { continue };
            if more {
                self.base.links.ready(key);
            }
            return Some(cell);
        }
    }

    fn handle_timer(&mut self, now: Now, timer: Timer) {
        match timer {
            Timer::Session(key) => self.last_hop.handle_timer(&mut self.base, now, key),
            Timer::Stalled(link) => {
                if self.base.is_stalled(link, now.moment) {
                    self.refuse_link(now, link);
                }
            }
            timer => {
                if let Some(link) = self.entry.handle_timer(&mut self.base, now, timer) {
                    self.close_link(now, link);
                }
            }
        }
    }

    fn sign(&mut self, now: UnixMillis) {
        let Self { base, info, identity, .. } = self;
        let Some(key) = base.keys.current() else { return info.withdraw() };
        let is_first = info.signed().is_none();
        // A key stored far in the future says what a first signature cannot: that the clock went back.
        let is_behind = is_first && key.is_ahead_of(now);
        match info.sign_if_due(now, &base.config, identity, key) {
            Signing::NotDue => {}
            Signing::Signed if !is_behind => base.totals.infos_signed += 1,
            Signing::Signed | Signing::SignedBehind => {
                base.totals.infos_signed += 1;
                base.actions.push_back(Action::Warn(Warning::ClockWentBack));
            }
        }
    }

    /// Closes a link whose other side broke a rule, or takes nothing.
    fn refuse_link(&mut self, now: Now, link: LinkId) {
        self.base.totals.links_refused += 1;
        self.close_link(now, link);
    }

    fn close_link(&mut self, now: Now, link: LinkId) {
        if self.base.links.contains(link) {
            self.base.actions.push_back(Action::CloseLink(link));
        }
        self.forget_link(now, link);
    }

    fn forget_link(&mut self, now: Now, link: LinkId) {
        self.last_hop.handle_link_closed(&mut self.base, link);
        self.entry.handle_link_closed(&mut self.base, now, link);
        self.base.remove_link(link);
    }
}

/// The other side of a link broke a rule of the frame.
struct Misbehaved;

impl core::fmt::Debug for RelayCore {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("RelayCore").field("totals", &self.totals()).finish_non_exhaustive()
    }
}

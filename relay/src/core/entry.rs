//! The relay as an entry: routes of clients that go on to another relay.
//!
//! Guarantees: what goes on names neither the client nor where it came from (the routing field is random, the route id
//! this relay's own); OPENs and INFOs of a client link are metered; queues of 16 cells towards the peer and 32 back; a
//! route that overflows or fails is closed with a reason, and no cell of an open one is ever dropped. It keeps no record.

use std::collections::BTreeMap;
use std::sync::Arc;

use hearken_proto::cell::{Cell, CloseReason, Kind};
use hearken_proto::hop::NextHop;
use hearken_proto::info;
use hearken_proto::limits::{ROUTES_MAX, ROUTES_PER_LINK_MAX};
use hearken_proto::seal::RouteContext;
use hearken_proto::wire::SignedRelayInfo;
use rand_core::CryptoRng;

use super::action::{Action, DialError, DialId, LinkId};
use super::base::{Base, Timer};
use super::bounds::{FORWARD_CELLS_MAX, HALF_OPEN_SECONDS_MAX, INFO_WAITERS_MAX};
use super::bucket::Bucket;
use super::forward::{Closing, Forward, Via};
use super::last_hop::Now;
use super::links::RouteKey;
use super::peer::InfoRequest;
use super::peer_info::PeerInfos;
use super::pool::{Pool, Reach};

/// A peer broke a rule of the frame: its link is closed.
pub(super) struct PeerMisbehaved;

/// Routes that are forwarded.
#[derive(Default)]
pub(super) struct Entry {
    forwards: BTreeMap<RouteKey, Forward>,
    pool: Pool,
    infos: PeerInfos,
    buckets: BTreeMap<LinkId, Bucket>,
    routes_of: BTreeMap<LinkId, usize>,
    /// Cells in all queues.
    cells: usize,
}

impl Entry {
    pub(super) fn routes(&self) -> usize {
        self.forwards.len()
    }

    pub(super) fn peers(&self) -> usize {
        self.pool.peers.len()
    }

    /// Cells in all queues.
    pub(super) fn cells(&self) -> usize {
        self.cells
    }

    #[cfg(test)]
    pub(super) fn all_forwards(&self) -> Vec<(RouteKey, &Forward)> {
        self.forwards.iter().map(|(key, forward)| (*key, forward)).collect()
    }

    /// Routes of each client link that has some, as counted.
    #[cfg(test)]
    pub(super) fn counted_routes(&self) -> BTreeMap<LinkId, usize> {
        self.routes_of.iter().filter(|(_, routes)| **routes > 0).map(|(k, v)| (*k, *v)).collect()
    }

    #[cfg(test)]
    pub(super) fn peer(&self, link: LinkId) -> Option<&super::peer::Peer> {
        self.pool.peers.get(&link)
    }

    /// Makes the queues look as full as they may be but for `room` cells.
    #[cfg(test)]
    pub(super) fn leave_room(&mut self, room: usize) {
        self.cells = FORWARD_CELLS_MAX - room;
    }

    /// An OPEN that names a next hop.
    pub(super) fn open(
        &mut self,
        base: &mut Base,
        now: Now,
        key: RouteKey,
        mut cell: Cell,
        rng: &mut dyn CryptoRng,
    ) {
        let reached = self.next_hop(base, now, key, &cell).and_then(|hop| {
            let routes = self.routes_of.get(&key.link).copied().unwrap_or(0);
            if routes >= ROUTES_PER_LINK_MAX || self.forwards.len() >= ROUTES_MAX {
                return Err(CloseReason::Busy);
            }
            self.pool.reach(base, now.moment, key.link, hop)
        });
        let reached = match reached {
            Ok(reached) => reached,
            Err(reason) => {
                base.totals.routes_refused += 1;
                return base.send_close(key, reason, now.moment);
            }
        };
        cell.strip_next_hop(rng);
        base.totals.routes_opened += 1;
        *self.routes_of.entry(key.link).or_default() += 1;
        let half_open = now.moment.after_seconds(HALF_OPEN_SECONDS_MAX);
        base.timers.set(half_open, Timer::HalfOpen(key));
        base.links.forward(key.link, 1);
        self.cells += 1;
        let via = match reached {
            Reach::Dialling(dial) => {
                if let Some(dial) = self.pool.dial_mut(dial) {
                    dial.routes.insert(key);
                }
                Via::Dialling(dial)
            }
            Reach::Peer(link) => Via::Peer { link, route: None },
        };
        self.forwards.insert(key, Forward::new(via, cell, half_open));
        if let Reach::Peer(link) = reached {
            self.carry(base, now, key, link);
        }
    }

    /// An INFO that names a next hop.
    pub(super) fn info(&mut self, base: &mut Base, now: Now, key: RouteKey, cell: &Cell) {
        if let Err(reason) = self.ask_info(base, now, key, cell) {
            base.totals.routes_refused += 1;
            base.send_close(key, reason, now.moment);
        }
    }

    fn ask_info(
        &mut self,
        base: &mut Base,
        now: Now,
        key: RouteKey,
        cell: &Cell,
    ) -> Result<(), CloseReason> {
        let hop = self.next_hop(base, now, key, cell)?;
        if let Some(info) = self.infos.cached(&hop.fingerprint, now.moment) {
            base.send_info(key, info, now.moment);
            return Ok(());
        }
        match self.pool.reach(base, now.moment, key.link, hop)? {
            Reach::Dialling(dial) => {
                let dial = self.pool.dial_mut(dial).ok_or(CloseReason::Busy)?;
                if dial.infos.len() >= INFO_WAITERS_MAX {
                    return Err(CloseReason::Busy);
                }
                dial.infos.push(key);
                Ok(())
            }
            Reach::Peer(link) => self.await_info(base, now, link, key),
        }
    }

    /// Where an OPEN or INFO goes on to, if this relay takes it there.
    fn next_hop(
        &mut self,
        base: &Base,
        now: Now,
        key: RouteKey,
        cell: &Cell,
    ) -> Result<NextHop, CloseReason> {
        if !base.config.forwards {
            return Err(CloseReason::Refused);
        }
        let bucket = self.buckets.entry(key.link).or_insert_with(|| Bucket::new(now.moment));
        if !bucket.take(now.moment) {
            return Err(CloseReason::Busy);
        }
        let hop = base
            .keys
            .live()
            .find_map(|keys| {
                let context =
                    RouteContext { fingerprint: base.fingerprint, key_epoch: keys.epoch() };
                keys.hop().open(&context, cell.routing()).ok()
            })
            .ok_or(CloseReason::UnknownEpoch)?;
        let is_private = hop.host_port.is_private() && !base.config.allow_private_peers;
        if hop.fingerprint == base.fingerprint || is_private {
            return Err(CloseReason::Refused);
        }
        Ok(hop)
    }

    /// DATA or CLOSE of a client on a forwarded route.
    pub(super) fn forward(&mut self, base: &mut Base, now: Now, key: RouteKey, cell: Cell) {
        let Some(forward) = self.forwards.get_mut(&key) else { return };
        if cell.kind() == Kind::Close {
            return self.close_by_client(base, now, key, cell);
        }
        if forward.closing != Closing::No {
            return;
        }
        let is_full = self.cells >= FORWARD_CELLS_MAX;
        match forward.push_to_peer(cell) {
            Ok(is_first) if !is_full => {
                let via = forward.via;
                self.cells += 1;
                base.links.forward(key.link, 1);
                if let Via::Peer { link, .. } = via {
                    base.wait(link, 1, now.moment);
                    if let Some(peer) = self.pool.peers.get_mut(&link)
                        && is_first
                    {
                        peer.line_up(key);
                    }
                }
            }
            pushed => {
                if pushed.is_ok() {
                    // Counted, so that ending the route finds the numbers that it takes back.
                    self.cells += 1;
                    base.links.forward(key.link, 1);
                    if let Via::Peer { link, .. } = forward.via {
                        base.wait(link, 1, now.moment);
                    }
                }
                self.end(base, now, key, Some(CloseReason::Busy), Some(CloseReason::Busy));
            }
        }
    }

    fn close_by_client(&mut self, base: &mut Base, now: Now, key: RouteKey, cell: Cell) {
        let Some(forward) = self.forwards.get_mut(&key) else { return };
        let reason = cell.close_reason().unwrap_or(CloseReason::Done);
        let is_sent = matches!(forward.via, Via::Peer { route: Some(_), .. });
        if !is_sent || forward.closing != Closing::No || forward.waiting_to_peer() == 0 {
            return self.end(base, now, key, None, Some(reason));
        }
        // Behind the cells that wait.
        forward.closing = Closing::ByClient;
        let cleared = forward.clear_to_client();
        forward.end_to_peer(cell);
        let via = forward.via;
        self.cells = self.cells.saturating_sub(cleared) + 1;
        base.links.withdraw(key.link, cleared);
        base.links.forward(key.link, 1);
        if let Via::Peer { link, .. } = via {
            base.wait(link, 1, now.moment);
        }
    }

    /// A cell of a peer.
    pub(super) fn handle_peer_cell(
        &mut self,
        base: &mut Base,
        now: Now,
        link: LinkId,
        mut cell: Cell,
    ) -> Result<(), PeerMisbehaved> {
        let Some(peer) = self.pool.peers.get(&link) else { return Ok(()) };
        let route = cell.route();
        let answers_info = peer.info == InfoRequest::Sent(route);
        match cell.kind() {
            Kind::Pad => return Ok(()),
            // Who dialled opens the routes.
            Kind::Open => return Err(PeerMisbehaved),
            Kind::Data | Kind::Close | Kind::Info if !peer.has_used(route) => {
                return Err(PeerMisbehaved);
            }
            Kind::Info if answers_info => {
                let fingerprint = peer.hop.fingerprint;
                let info = self.infos.receive(&fingerprint, &cell, now.wall, now.moment);
                self.answer_waiters(base, now, link, info.ok_or(CloseReason::OtherKey));
            }
            Kind::Close if answers_info => {
                let reason = cell.close_reason().unwrap_or(CloseReason::Unreachable);
                self.answer_waiters(base, now, link, Err(reason));
            }
            Kind::Info => {}
            Kind::Data | Kind::Close => {
                // A route that its client closed meanwhile: the peer may not know yet.
                let Some(key) = peer.routes.get(&route).copied() else { return Ok(()) };
                cell.set_route(key.route);
                if cell.kind() == Kind::Data {
                    self.data_from_peer(base, now, key, cell);
                } else {
                    self.close_by_peer(base, now, link, key, cell);
                }
            }
        }
        Ok(())
    }

    fn data_from_peer(&mut self, base: &mut Base, now: Now, key: RouteKey, cell: Cell) {
        let Some(forward) = self.forwards.get_mut(&key) else { return };
        if let Some(at) = forward.half_open.take() {
            base.timers.cancel(at, Timer::HalfOpen(key));
        }
        if forward.closing != Closing::No {
            return;
        }
        let pushed =
            if self.cells < FORWARD_CELLS_MAX { forward.push_to_client(cell).ok() } else { None };
        match pushed {
            Some(is_first) => {
                self.cells += 1;
                base.wait(key.link, 1, now.moment);
                if is_first {
                    base.links.ready(key);
                }
            }
            None => self.end(base, now, key, Some(CloseReason::Busy), Some(CloseReason::Busy)),
        }
    }

    fn close_by_peer(
        &mut self,
        base: &mut Base,
        now: Now,
        link: LinkId,
        key: RouteKey,
        cell: Cell,
    ) {
        if cell.close_reason() == Some(CloseReason::UnknownEpoch)
            && let Some(peer) = self.pool.peers.get(&link)
        {
            self.infos.doubt(&peer.hop.fingerprint, now.moment);
        }
        let Some(forward) = self.forwards.get_mut(&key) else { return };
        if forward.closing == Closing::ByClient {
            return self.end(base, now, key, None, None);
        }
        forward.closing = Closing::ByPeer;
        if let Some(at) = forward.half_open.take() {
            base.timers.cancel(at, Timer::HalfOpen(key));
        }
        let cleared = forward.clear_to_peer();
        let is_first = forward.end_to_client(cell);
        base.links.forwarded(key.link, cleared);
        base.links.withdraw(link, cleared);
        self.cells = self.cells.saturating_sub(cleared) + 1;
        base.wait(key.link, 1, now.moment);
        if is_first {
            base.links.ready(key);
        }
        self.leave(base, now, key);
    }

    /// The next cell for a peer link.
    pub(super) fn take_cell_for_peer(
        &mut self,
        base: &mut Base,
        now: Now,
        link: LinkId,
        rng: &mut dyn CryptoRng,
    ) -> Option<Cell> {
        let peer = self.pool.peers.get_mut(&link)?;
        if peer.info == InfoRequest::ToSend {
            let route = peer.new_route();
            peer.info = InfoRequest::Sent(route);
            return Some(info::request(route, rng));
        }
        while let Some(key) = peer.take_turn() {
            let Some(forward) = self.forwards.get_mut(&key) else { continue };
            let Some(mut cell) = forward.take_to_peer() else { continue };
            self.cells = self.cells.saturating_sub(1);
            base.links.forwarded(key.link, 1);
            if forward.waiting_to_peer() > 0 {
                peer.line_up(key);
            }
            let route = match forward.via {
                Via::Peer { route: Some(route), .. } => route,
                // An OPEN. It gets its id as it is sent: ids rise in the order of sending.
                _ => {
                    let route = peer.new_route();
                    forward.via = Via::Peer { link, route: Some(route) };
                    peer.routes.insert(route, key);
                    route
                }
            };
            cell.set_route(route);
            if cell.kind() == Kind::Close {
                self.end(base, now, key, None, None);
            }
            return Some(cell);
        }
        None
    }

    /// The next cell of a forwarded route for its client; whether there is another.
    pub(super) fn take_cell_for_client(
        &mut self,
        base: &mut Base,
        now: Now,
        key: RouteKey,
    ) -> Option<(Cell, bool)> {
        let forward = self.forwards.get_mut(&key)?;
        let cell = forward.take_to_client()?;
        let more = forward.waiting_to_client() > 0;
        self.cells = self.cells.saturating_sub(1);
        if cell.kind() == Kind::Close {
            self.end(base, now, key, None, None);
        }
        Some((cell, more))
    }

    /// A dial was answered.
    pub(super) fn handle_dialled(
        &mut self,
        base: &mut Base,
        now: Now,
        id: DialId,
        result: Result<LinkId, DialError>,
    ) {
        let Some(dial) = self.pool.take_dial(base, id) else {
            // Given up meanwhile.
            if let Ok(link) = result {
                base.actions.push_back(Action::CloseLink(link));
            }
            return;
        };
        let reason = match result {
            Ok(link) => {
                self.pool.add(base, now.moment, link, dial.hop);
                for key in dial.routes {
                    self.carry(base, now, key, link);
                }
                for key in dial.infos {
                    if let Err(reason) = self.await_info(base, now, link, key) {
                        base.send_close(key, reason, now.moment);
                    }
                }
                return self.pool.look_whether_idle(base, now.moment, link);
            }
            Err(DialError::Unreachable) => CloseReason::Unreachable,
            Err(DialError::OtherKey) => CloseReason::OtherKey,
            Err(DialError::Private) => CloseReason::Refused,
        };
        base.totals.routes_refused += (dial.routes.len() + dial.infos.len()) as u64;
        for key in dial.routes {
            self.end(base, now, key, Some(reason), None);
        }
        for key in dial.infos {
            base.send_close(key, reason, now.moment);
        }
    }

    /// A deadline has passed. Answers a peer link that is to be closed.
    pub(super) fn handle_timer(
        &mut self,
        base: &mut Base,
        now: Now,
        timer: Timer,
    ) -> Option<LinkId> {
        match timer {
            Timer::HalfOpen(key) => {
                let unreachable = Some(CloseReason::Unreachable);
                self.end(base, now, key, unreachable, unreachable);
            }
            Timer::Dial(dial) => {
                self.handle_dialled(base, now, dial, Err(DialError::Unreachable));
            }
            Timer::PeerInfo(link) => {
                if let Some(peer) = self.pool.peers.get_mut(&link)
                    && peer.info == InfoRequest::ToSend
                {
                    base.links.withdraw(link, 1);
                }
                self.answer_waiters(base, now, link, Err(CloseReason::Unreachable));
            }
            Timer::PeerIdle(link) => {
                return self
                    .pool
                    .peers
                    .get(&link)
                    .is_some_and(|peer| peer.is_idle())
                    .then_some(link);
            }
            Timer::Session(_) | Timer::Stalled(_) => {}
        }
        None
    }

    /// A link is gone: a peer's, whose routes all fail, or a client's.
    pub(super) fn handle_link_closed(&mut self, base: &mut Base, now: Now, link: LinkId) {
        if let Some(peer) = self.pool.remove(base, link) {
            for key in peer.carried {
                self.end(base, now, key, Some(CloseReason::Unreachable), None);
            }
            for key in peer.info_waiters {
                base.send_close(key, CloseReason::Unreachable, now.moment);
            }
            return;
        }
        let first = RouteKey { link, route: 0 };
        let last = RouteKey { link, route: u64::MAX };
        let gone: Vec<RouteKey> = self.forwards.range(first..=last).map(|(key, _)| *key).collect();
        for key in gone {
            self.end(base, now, key, None, Some(CloseReason::Done));
        }
        self.buckets.remove(&link);
        self.routes_of.remove(&link);
    }

    /// Puts a route and what waits in it onto a peer link.
    fn carry(&mut self, base: &mut Base, now: Now, key: RouteKey, link: LinkId) {
        let Some(forward) = self.forwards.get_mut(&key) else { return };
        let Some(peer) = self.pool.peers.get_mut(&link) else { return };
        forward.via = Via::Peer { link, route: None };
        peer.carried.insert(key);
        peer.line_up(key);
        base.wait(link, forward.waiting_to_peer(), now.moment);
        self.pool.look_whether_idle(base, now.moment, link);
    }

    fn await_info(
        &mut self,
        base: &mut Base,
        now: Now,
        link: LinkId,
        key: RouteKey,
    ) -> Result<(), CloseReason> {
        let peer = self.pool.peers.get_mut(&link).ok_or(CloseReason::Unreachable)?;
        if peer.info_waiters.len() >= INFO_WAITERS_MAX {
            return Err(CloseReason::Busy);
        }
        peer.info_waiters.push(key);
        if peer.info == InfoRequest::None {
            peer.info = InfoRequest::ToSend;
            let at = now.moment.after_seconds(HALF_OPEN_SECONDS_MAX);
            peer.info_timer = Some(at);
            base.timers.set(at, Timer::PeerInfo(link));
            base.wait(link, 1, now.moment);
        }
        self.pool.look_whether_idle(base, now.moment, link);
        Ok(())
    }

    fn answer_waiters(
        &mut self,
        base: &mut Base,
        now: Now,
        link: LinkId,
        answer: Result<Arc<SignedRelayInfo>, CloseReason>,
    ) {
        let Some(peer) = self.pool.peers.get_mut(&link) else { return };
        peer.info = InfoRequest::None;
        if let Some(at) = peer.info_timer.take() {
            base.timers.cancel(at, Timer::PeerInfo(link));
        }
        for key in std::mem::take(&mut peer.info_waiters) {
            match &answer {
                Ok(info) => base.send_info(key, Arc::clone(info), now.moment),
                Err(reason) => base.send_close(key, *reason, now.moment),
            }
        }
        self.pool.look_whether_idle(base, now.moment, link);
    }

    /// Ends a route, and says so to the sides that do not know.
    fn end(
        &mut self,
        base: &mut Base,
        now: Now,
        key: RouteKey,
        to_client: Option<CloseReason>,
        to_peer: Option<CloseReason>,
    ) {
        self.leave_with(base, now, key, to_peer);
        let Some(mut forward) = self.forwards.remove(&key) else { return };
        let (forwarded, back) = (forward.clear_to_peer(), forward.clear_to_client());
        self.cells = self.cells.saturating_sub(forwarded + back);
        base.links.forwarded(key.link, forwarded);
        base.links.withdraw(key.link, back);
        if let Via::Peer { link, .. } = forward.via {
            base.links.withdraw(link, forwarded);
        }
        if let Some(at) = forward.half_open {
            base.timers.cancel(at, Timer::HalfOpen(key));
        }
        if let Some(routes) = self.routes_of.get_mut(&key.link) {
            *routes = routes.saturating_sub(1);
        }
        if let Some(reason) = to_client {
            base.send_close(key, reason, now.moment);
        }
    }

    fn leave(&mut self, base: &mut Base, now: Now, key: RouteKey) {
        self.leave_with(base, now, key, None);
    }

    /// Takes a route off its peer link or dial, with a CLOSE where its OPEN was sent.
    fn leave_with(
        &mut self,
        base: &mut Base,
        now: Now,
        key: RouteKey,
        reason: Option<CloseReason>,
    ) {
        match self.forwards.get(&key).map(|forward| forward.via) {
            Some(Via::Dialling(dial)) => {
                if let Some(dial) = self.pool.dial_mut(dial) {
                    dial.routes.remove(&key);
                }
            }
            Some(Via::Peer { link, route }) => {
                let Some(peer) = self.pool.peers.get_mut(&link) else { return };
                peer.carried.remove(&key);
                let was_open = route.is_some_and(|route| peer.routes.remove(&route).is_some());
                if let (true, Some(route), Some(reason)) = (was_open, route, reason) {
                    base.send_close(RouteKey { link, route }, reason, now.moment);
                }
                self.pool.look_whether_idle(base, now.moment, link);
            }
            None => {}
        }
    }
}

//! What a cell from a link means, by its kind and by what its route id stands for.
//!
//! What comes on a route that has ended is late and dropped. What comes on one that was never opened, or an OPEN from a
//! relay that was dialled, breaks the rules of a link.

use hearken_proto::cell::{Cell, CloseReason, Kind};
use hearken_proto::time::UnixMillis;
use rand_core::CryptoRng;

use super::error::CloseWhy;
use super::event::{LinkId, RouteEvent, SessionId};
use super::link::Fetch;
use super::router::Router;
use super::session::{Incoming, Stage};

impl Router {
    /// A link has delivered a cell.
    pub(crate) fn handle_cell(
        &mut self,
        now: UnixMillis,
        rng: &mut (impl CryptoRng + ?Sized),
        id: LinkId,
        cell: Cell,
    ) {
        let Some(link) = self.links.get_mut(&id) else { return };
        if cell.kind() == Kind::Pad || !link.is_connected() {
            return;
        }
        let route = cell.route();
        if cell.kind() == Kind::Open || !link.has_used(route) {
            self.break_link(id);
        } else if let Some(session) = link.routes.get(&route).copied() {
            self.handle_session_cell(now, rng, session, cell);
        } else if let Some(fetch) = link.fetches.remove(&route) {
            self.handle_fetch_cell(now, rng, id, fetch, &cell);
        }
    }

    fn handle_session_cell(
        &mut self,
        now: UnixMillis,
        rng: &mut (impl CryptoRng + ?Sized),
        id: SessionId,
        cell: Cell,
    ) {
        match cell.close_reason() {
            Some(reason) => self.handle_close(now, rng, id, reason),
            // What is no DATA does not open.
            None => match self.handle_data(now, rng, id, cell) {
                Ok(()) => self.send_waiting(now, rng, id),
                Err(why) => self.fail(now, rng, id, why),
            },
        }
    }

    fn handle_data(
        &mut self,
        now: UnixMillis,
        rng: &mut (impl CryptoRng + ?Sized),
        id: SessionId,
        cell: Cell,
    ) -> Result<(), CloseWhy> {
        let Some(session) = self.sessions.get_mut(&id) else { return Ok(()) };
        match &mut session.stage {
            // A session without a route is not in the link's table of routes.
            Stage::Preparing { .. } => {}
            Stage::Opening(opening) => {
                session.stage = Stage::Open(Box::new(opening.accept(now, rng, cell)?));
                self.tell(RouteEvent::Opened { session: id });
            }
            Stage::Open(open) => {
                let event = match open.accept(now, cell)? {
                    Incoming::Answer { command, index, last, reply, blob } => {
                        RouteEvent::Answer { session: id, command, index, last, reply, blob }
                    }
                    Incoming::Push { position, blob } => {
                        RouteEvent::Push { session: id, position, blob }
                    }
                };
                let rolls_over = open.takes_roll_over(now);
                self.tell(event);
                if rolls_over {
                    self.tell(RouteEvent::RollOver { session: id });
                }
            }
        }
        Ok(())
    }

    fn handle_close(
        &mut self,
        now: UnixMillis,
        rng: &mut (impl CryptoRng + ?Sized),
        id: SessionId,
        reason: CloseReason,
    ) {
        let Some(session) = self.sessions.get(&id) else { return };
        let (open, through_entry) = (session.is_open(), session.plan.entry.is_some());
        if reason == CloseReason::UnknownEpoch && !open {
            return self.refetch(now, rng, id);
        }
        let why = CloseWhy::of_close(reason, through_entry, open);
        if matches!(why, CloseWhy::Unreachable | CloseWhy::EntryRefuses | CloseWhy::OtherKey) {
            self.pass_place_of(id);
        }
        self.ended(now, id, why);
    }

    fn handle_fetch_cell(
        &mut self,
        now: UnixMillis,
        rng: &mut (impl CryptoRng + ?Sized),
        id: LinkId,
        fetch: Fetch,
        cell: &Cell,
    ) {
        let Some(link) = self.links.get(&id) else { return };
        let first_hop = link.first_hop();
        let relay = fetch.relay;
        let awaiting = self.take_awaiting(id, relay);
        if cell.close_reason() == Some(CloseReason::UnknownEpoch) {
            if let Some(entry) = &fetch.entry {
                self.infos.forget(first_hop, entry);
            }
            return awaiting.into_iter().for_each(|session| self.refetch(now, rng, session));
        }
        if let Some(reason) = cell.close_reason() {
            self.pass_place(relay, fetch.turn);
            for session in awaiting {
                let through = self.sessions.get(&session).is_some_and(|s| s.plan.entry.is_some());
                self.ended(now, session, CloseWhy::of_close(reason, through, false));
            }
            return;
        }
        let info = if cell.kind() == Kind::Info {
            self.infos.accept(first_hop, relay, cell, now).map_err(CloseWhy::from)
        } else {
            Err(CloseWhy::PeerMisbehaved)
        };
        match info {
            Ok(info) => {
                self.tell(RouteEvent::InfoSeen { fingerprint: relay, info });
                awaiting.into_iter().for_each(|session| self.advance(now, rng, session));
            }
            Err(why) => awaiting.into_iter().for_each(|session| self.ended(now, session, why)),
        }
    }
}

//! How a session comes to be open: the entry's information, the relay's information, OPEN, each on its turn.
//!
//! A session in preparation is advanced whenever something that it may wait for has come. What several sessions need
//! is asked for once. A relay that does not know the keys that a route was sealed to is asked for its keys once more.

use std::sync::Arc;

use hearken_proto::ids::Fingerprint;
use hearken_proto::info::{self, VerifiedInfo};
use hearken_proto::seal::PendingRoute;
use hearken_proto::time::UnixMillis;
use rand_core::CryptoRng;

use super::deadline::Deadline;
use super::error::CloseWhy;
use super::event::{LinkId, RouteAction, SessionId};
use super::link::{ANSWER, Fetch};
use super::router::Router;
use super::session::{Infos, Opening, Stage};

impl Router {
    /// Advances every session in preparation on a link.
    pub(super) fn advance_link(
        &mut self,
        now: UnixMillis,
        rng: &mut (impl CryptoRng + ?Sized),
        link: LinkId,
    ) {
        for session in self.sessions_on(link) {
            self.advance(now, rng, session);
        }
    }

    /// Does the next thing that a session in preparation needs, where it may.
    pub(super) fn advance(
        &mut self,
        now: UnixMillis,
        rng: &mut (impl CryptoRng + ?Sized),
        id: SessionId,
    ) {
        let Some(session) = self.sessions.get(&id) else { return };
        let Some(link) = self.links.get(&session.link) else { return };
        if !matches!(session.stage, Stage::Preparing { awaits: None }) || !link.is_connected() {
            return;
        }
        let first_hop = link.first_hop();
        let relay = session.plan.relay.fingerprint();
        let mut entry = None;
        if session.plan.entry.is_some() {
            entry = self.infos.lookup(first_hop, first_hop, now);
            match &entry {
                None => return self.fetch(now, rng, id, first_hop, None),
                Some(info) if !info.info().forwards => {
                    return self.fail(now, rng, id, CloseWhy::EntryRefuses);
                }
                Some(_) => {}
            }
        }
        match self.infos.lookup(first_hop, relay, now) {
            None => self.fetch(now, rng, id, relay, entry),
            Some(relay) => self.send_open(now, rng, id, Infos { relay, entry }),
        }
    }

    /// Asks for a relay's information, or waits for what another session has asked for.
    fn fetch(
        &mut self,
        now: UnixMillis,
        rng: &mut (impl CryptoRng + ?Sized),
        id: SessionId,
        relay: Fingerprint,
        entry: Option<Arc<VerifiedInfo>>,
    ) {
        let Some(session) = self.sessions.get_mut(&id) else { return };
        let link_id = session.link;
        let Some(link) = self.links.get_mut(&link_id) else { return };
        if link.is_fetching(relay) {
            session.stage = Stage::Preparing { awaits: Some(relay) };
            return;
        }
        if !link.pace.take(now) {
            return;
        }
        let route = link.next_route();
        let request = info::request(route, rng);
        let Ok((cell, turn)) = self.turns.point(request, &session.plan, entry.as_deref(), rng)
        else {
            return self.fail(now, rng, id, CloseWhy::PeerMisbehaved);
        };
        let deadline = Deadline::after(now, ANSWER);
        link.fetches.insert(route, Fetch { relay, entry, deadline, turn });
        session.stage = Stage::Preparing { awaits: Some(relay) };
        self.act(RouteAction::Transmit { link: link_id, cell });
    }

    fn send_open(
        &mut self,
        now: UnixMillis,
        rng: &mut (impl CryptoRng + ?Sized),
        id: SessionId,
        infos: Infos,
    ) {
        let Some(session) = self.sessions.get_mut(&id) else { return };
        let link_id = session.link;
        let Some(link) = self.links.get_mut(&link_id) else { return };
        if !link.pace.take(now) {
            return;
        }
        let sealed = PendingRoute::open(infos.relay.context(), infos.relay.seal_key(), rng);
        let sealed = sealed.and_then(|(pending, open)| {
            let pointed = self.turns.point(open, &session.plan, infos.entry.as_deref(), rng)?;
            Ok((Some(pending), pointed))
        });
        let Ok((pending, (mut cell, turn))) = sealed else {
            return self.fail(now, rng, id, CloseWhy::PeerMisbehaved);
        };
        let route = link.next_route();
        cell.set_route(route);
        link.routes.insert(route, id);
        let deadline = Deadline::after(now, ANSWER);
        session.stage = Stage::Opening(Opening { pending, infos, route, deadline, turn });
        self.act(RouteAction::Transmit { link: link_id, cell });
    }

    /// The relay does not know the keys that a session was sealed to, or sealed its next hop to. Once, what said so is
    /// dropped and asked for again; twice is the relay's fault.
    pub(super) fn refetch(
        &mut self,
        now: UnixMillis,
        rng: &mut (impl CryptoRng + ?Sized),
        id: SessionId,
    ) {
        let Some(session) = self.sessions.get_mut(&id) else { return };
        let route = session.route();
        if let Some(link) = self.links.get_mut(&session.link) {
            if let Some(infos) = session.infos() {
                for used in [Some(&infos.relay), infos.entry.as_ref()].into_iter().flatten() {
                    self.infos.forget(link.first_hop(), used);
                }
            }
            if let Some(route) = route {
                link.routes.remove(&route);
            }
        }
        if session.refetched {
            return self.ended(now, id, CloseWhy::UnknownEpoch);
        }
        session.refetched = true;
        session.stage = Stage::Preparing { awaits: None };
        self.advance(now, rng, id);
    }

    /// Sessions in preparation on a link that wait for a relay's information; they wait no more.
    pub(super) fn take_awaiting(&mut self, link: LinkId, relay: Fingerprint) -> Vec<SessionId> {
        let mut awaiting = Vec::new();
        for (id, session) in &mut self.sessions {
            if session.link == link
                && let Stage::Preparing { awaits } = &mut session.stage
                && *awaits == Some(relay)
            {
                *awaits = None;
                awaiting.push(*id);
            }
        }
        awaiting
    }

    /// Gives up INFOs that were not answered in time.
    pub(super) fn expire_fetches(&mut self, now: UnixMillis, rng: &mut (impl CryptoRng + ?Sized)) {
        let mut expired = Vec::new();
        for (id, link) in &mut self.links {
            let late = link.fetches.extract_if(.., |_, fetch| fetch.deadline.has_passed(now));
            expired.extend(late.map(|(_, fetch)| (*id, fetch.relay, fetch.turn)));
        }
        for (link, relay, turn) in expired {
            self.pass_place(relay, turn);
            for session in self.take_awaiting(link, relay) {
                self.fail(now, rng, session, CloseWhy::Unreachable);
            }
        }
    }

    /// Gives up OPENs that were not answered in time, and open sessions whose answers do not come.
    pub(super) fn expire_sessions(&mut self, now: UnixMillis, rng: &mut (impl CryptoRng + ?Sized)) {
        let late = self.sessions.iter().filter(|(_, session)| match &session.stage {
            Stage::Preparing { .. } => false,
            Stage::Opening(opening) => opening.deadline.has_passed(now),
            Stage::Open(open) => open.has_stalled(now),
        });
        for id in late.map(|(id, _)| *id).collect::<Vec<_>>() {
            self.pass_place_of(id);
            self.fail(now, rng, id, CloseWhy::Unreachable);
        }
    }

    /// Behind an entry the relay was not found at the place whose turn it was.
    pub(super) fn pass_place(&mut self, relay: Fingerprint, turn: Option<usize>) {
        if let Some(turn) = turn {
            self.turns.pass(relay, turn);
        }
    }

    /// The same, of a session whose OPEN went there.
    pub(super) fn pass_place_of(&mut self, id: SessionId) {
        if let Some(session) = self.sessions.get(&id)
            && let Stage::Opening(opening) = &session.stage
        {
            let (relay, turn) = (session.plan.relay.fingerprint(), opening.turn);
            self.pass_place(relay, turn);
        }
    }
}

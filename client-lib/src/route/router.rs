//! The router's face: sessions are opened, given commands and closed here, and its clock is kept.
//!
//! How a session comes to be open stands in [`super::opening`], what cells of a link mean in [`super::incoming`].

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::sync::Arc;

use hearken_proto::auth::ObjectSecretKey;
use hearken_proto::cell::{Cell, CloseReason};
use hearken_proto::ids::Fingerprint;
use hearken_proto::info::VerifiedInfo;
use hearken_proto::payload::Blob;
use hearken_proto::time::UnixMillis;
use hearken_proto::wire::{Role, command};
use rand_core::CryptoRng;

use super::error::{CloseWhy, LinkFailure, RouteError};
use super::event::{CommandId, LinkId, RouteAction, RouteEvent, SessionId};
use super::info_cache::InfoCache;
use super::link::Link;
use super::plan::{PlaceTurns, RoutePlan};
use super::session::{Session, Stage};

/// Something to do at once: a moment that is always past.
const AT_ONCE: UnixMillis = UnixMillis(0);

/// All links and sessions of a client.
#[derive(Default)]
pub(crate) struct Router {
    pub(super) links: BTreeMap<LinkId, Link>,
    pub(super) sessions: BTreeMap<SessionId, Session>,
    pub(super) infos: InfoCache,
    pub(super) turns: PlaceTurns,
    actions: VecDeque<RouteAction>,
    events: VecDeque<RouteEvent>,
    last_id: u64,
}

impl Router {
    /// A router without links.
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// What an earlier run saw: when the newest information of a relay was signed. Information signed over two hours
    /// before it is refused ([`CloseWhy::ClockWentBack`]).
    pub(crate) fn remember_info(&mut self, relay: Fingerprint, newest_signed_at: UnixMillis) {
        self.infos.remember(relay, newest_signed_at);
    }

    /// Opens a session. One link to a first hop is shared by all sessions over it, and dialled when there is none. A relay
    /// that is said to be at two addresses has a link for each: whoever named one neither sees nor cuts what goes over the
    /// other.
    /// [`RouteEvent::Opened`] or [`RouteEvent::Closed`] follows.
    pub(crate) fn open(
        &mut self,
        now: UnixMillis,
        rng: &mut (impl CryptoRng + ?Sized),
        plan: RoutePlan,
    ) -> SessionId {
        let id = SessionId(self.next_id());
        if plan.entry.as_ref().is_some_and(|e| e.fingerprint() == plan.relay.fingerprint()) {
            // One relay at both ends would see address and mailbox.
            self.tell(RouteEvent::Closed { session: id, why: CloseWhy::EntryRefuses });
            return id;
        }
        let link = self.link_to(now, &plan);
        self.sessions.insert(id, Session::new(plan, link));
        self.advance(now, rng, id);
        id
    }

    /// The link to the plan's first hop, joined.
    fn link_to(&mut self, now: UnixMillis, plan: &RoutePlan) -> LinkId {
        let first_hop = plan.first_hop();
        let there = self.links.iter_mut().find(|(_, link)| link.address == *first_hop);
        if let Some((id, link)) = there {
            link.join();
            return *id;
        }
        let id = LinkId(self.next_id());
        let mut link = Link::new(first_hop.clone(), now);
        link.join();
        self.links.insert(id, link);
        self.act(RouteAction::Connect { link: id, address: first_hop.clone() });
        id
    }

    /// Queues a command. It is sealed by the next call that is given randomness ([`Router::flush`], or any `handle_*`;
    /// [`Router::poll_timeout`] is in the past until then), once the session is open and at most 16 answer cells would
    /// be due; commands are sent, and answered, in order. `key` is what the command needs proven: its role, the id of
    /// the object (32 bytes, a hash of the key) and the key. The proof goes with the first command that needs it.
    ///
    /// # Errors
    /// [`RouteError`] when the session has ended, too much waits in it, or the command does not fit.
    pub(crate) fn command(
        &mut self,
        session: SessionId,
        command: command::Command,
        blob: Option<Blob>,
        key: Option<(Role, [u8; 32], Arc<ObjectSecretKey>)>,
    ) -> Result<CommandId, RouteError> {
        let id = CommandId(self.next_id());
        let session = self.sessions.get_mut(&session).ok_or(RouteError::NoSession)?;
        session.queue(id, command, blob, key)?;
        Ok(id)
    }

    /// Seals and hands out what was queued, as far as it may go.
    pub(crate) fn flush(&mut self, now: UnixMillis, rng: &mut (impl CryptoRng + ?Sized)) {
        let ready = self.sessions.iter().filter(|(_, session)| session.may_send());
        for id in ready.map(|(id, _)| *id).collect::<Vec<_>>() {
            self.send_waiting(now, rng, id);
        }
    }

    /// What the relay at the end of the session's route says of itself; `None` until the OPEN is sent.
    pub(crate) fn info(&self, session: SessionId) -> Option<&VerifiedInfo> {
        self.sessions.get(&session)?.infos().map(|infos| &*infos.relay)
    }

    /// Commands of the session that wait to be sent. Those sent and not answered are not among them.
    #[allow(dead_code, reason = "tests see by it what was sent")]
    pub(crate) fn queued(&self, session: SessionId) -> usize {
        self.sessions.get(&session).map_or(0, Session::waiting)
    }

    /// Ends a session. What waited in it is dropped, and no event follows.
    pub(crate) fn close(
        &mut self,
        now: UnixMillis,
        rng: &mut (impl CryptoRng + ?Sized),
        session: SessionId,
    ) {
        self.hang_up(now, rng, session);
    }

    /// Ends every link, and every session with [`CloseWhy::LinkLost`]: before the device sleeps.
    #[allow(dead_code, reason = "an app that is put to sleep needs it; programs drop the router")]
    pub(crate) fn drop_links(&mut self) {
        for link in std::mem::take(&mut self.links).into_keys() {
            self.act(RouteAction::Disconnect { link });
        }
        for session in std::mem::take(&mut self.sessions).into_keys() {
            self.tell(RouteEvent::Closed { session, why: CloseWhy::LinkLost });
        }
    }

    /// The carrier has connected a link.
    pub(crate) fn handle_connected(
        &mut self,
        now: UnixMillis,
        rng: &mut (impl CryptoRng + ?Sized),
        link: LinkId,
    ) {
        if self.links.get_mut(&link).is_some_and(|link| link.connected(now)) {
            self.advance_link(now, rng, link);
        }
    }

    /// The carrier could not connect a link, or has lost it.
    pub(crate) fn handle_disconnected(&mut self, _now: UnixMillis, id: LinkId, why: LinkFailure) {
        let Some(link) = self.links.get(&id) else { return };
        let why = match why {
            LinkFailure::OtherKey => CloseWhy::OtherKey,
            LinkFailure::Unreachable | LinkFailure::Closed if link.is_connected() => {
                CloseWhy::LinkLost
            }
            LinkFailure::Unreachable | LinkFailure::Closed => CloseWhy::Unreachable,
        };
        self.actions
            .retain(|action| !matches!(action, RouteAction::Transmit { link, .. } if *link == id));
        self.lose_link(id, why);
    }

    /// Does what is due: gives up what waited too long, asks for old sessions to be replaced, lets idle links go, and
    /// sends what may go.
    pub(crate) fn handle_timeout(&mut self, now: UnixMillis, rng: &mut (impl CryptoRng + ?Sized)) {
        for id in self.links_where(|link| link.has_failed(now)) {
            self.act(RouteAction::Disconnect { link: id });
            self.lose_link(id, CloseWhy::Unreachable);
        }
        for id in self.links_where(|link| link.has_idled(now)) {
            self.act(RouteAction::Disconnect { link: id });
            self.links.remove(&id);
        }
        self.expire_fetches(now, rng);
        self.expire_sessions(now, rng);
        for link in self.links.keys().copied().collect::<Vec<_>>() {
            self.advance_link(now, rng, link);
        }
        self.flush(now, rng);
        self.tell_roll_overs(now);
    }

    /// What the shell shall do next.
    pub(crate) fn poll_action(&mut self) -> Option<RouteAction> {
        self.actions.pop_front()
    }

    /// What the engine shall know next.
    pub(crate) fn poll_event(&mut self) -> Option<RouteEvent> {
        self.events.pop_front()
    }

    /// When [`Router::handle_timeout`] is to be called; it may be past.
    pub(crate) fn poll_timeout(&self) -> Option<UnixMillis> {
        let links = self.links.values().filter_map(Link::poll_timeout);
        let sessions = self.sessions.values().filter_map(|session| self.session_timeout(session));
        links.chain(sessions).min()
    }

    fn session_timeout(&self, session: &Session) -> Option<UnixMillis> {
        if session.may_send() {
            return Some(AT_ONCE);
        }
        match &session.stage {
            Stage::Preparing { awaits: Some(_) } => None,
            // Without its link it waits for that; with it, for its turn.
            Stage::Preparing { awaits: None } => {
                let link = self.links.get(&session.link)?;
                link.is_connected().then(|| link.pace.next())
            }
            Stage::Opening(opening) => Some(opening.deadline.at()),
            Stage::Open(open) => open.poll_timeout(),
        }
    }

    fn tell_roll_overs(&mut self, now: UnixMillis) {
        for (id, session) in &mut self.sessions {
            if let Stage::Open(open) = &mut session.stage
                && open.takes_roll_over(now)
            {
                self.events.push_back(RouteEvent::RollOver { session: *id });
            }
        }
    }

    /// Seals and sends commands of a session while they may go.
    pub(super) fn send_waiting(
        &mut self,
        now: UnixMillis,
        rng: &mut (impl CryptoRng + ?Sized),
        id: SessionId,
    ) {
        while let Some(session) = self.sessions.get_mut(&id) {
            let link = session.link;
            match session.seal_next(now, rng) {
                Ok(Some(cell)) => self.act(RouteAction::Transmit { link, cell }),
                Ok(None) => return,
                Err(why) => self.fail(now, rng, id, why),
            }
        }
    }

    /// Ends a session from this side: the relay is told, and so is the engine.
    pub(super) fn fail(
        &mut self,
        now: UnixMillis,
        rng: &mut (impl CryptoRng + ?Sized),
        id: SessionId,
        why: CloseWhy,
    ) {
        if self.hang_up(now, rng, id) {
            self.tell(RouteEvent::Closed { session: id, why });
        }
    }

    /// Ends a session whose route the other side has ended.
    pub(super) fn ended(&mut self, now: UnixMillis, id: SessionId, why: CloseWhy) {
        if self.remove(now, id).is_some() {
            self.tell(RouteEvent::Closed { session: id, why });
        }
    }

    /// Ends a session and closes its route. The reason is the same whatever it was: a relay that tries what a client
    /// notices learns nothing from it. `false` where there was no such session.
    fn hang_up(
        &mut self,
        now: UnixMillis,
        rng: &mut (impl CryptoRng + ?Sized),
        id: SessionId,
    ) -> bool {
        let Some(session) = self.remove(now, id) else { return false };
        if let Some(route) = session.route() {
            let cell = Cell::close(route, CloseReason::Done, rng);
            self.act(RouteAction::Transmit { link: session.link, cell });
        }
        true
    }

    fn remove(&mut self, now: UnixMillis, id: SessionId) -> Option<Session> {
        let session = self.sessions.remove(&id)?;
        if let Some(link) = self.links.get_mut(&session.link) {
            if let Some(route) = session.route() {
                link.routes.remove(&route);
            }
            link.leave(now);
        }
        Some(session)
    }

    /// A link is gone, and with it all its sessions.
    fn lose_link(&mut self, id: LinkId, why: CloseWhy) {
        self.links.remove(&id);
        for session in self.sessions_on(id) {
            self.sessions.remove(&session);
            self.tell(RouteEvent::Closed { session, why });
        }
    }

    /// Ends a link whose first hop breaks the rules of a link.
    pub(super) fn break_link(&mut self, id: LinkId) {
        self.act(RouteAction::Disconnect { link: id });
        self.lose_link(id, CloseWhy::PeerMisbehaved);
    }

    pub(super) fn sessions_on(&self, link: LinkId) -> Vec<SessionId> {
        let on_link = self.sessions.iter().filter(|(_, session)| session.link == link);
        on_link.map(|(id, _)| *id).collect()
    }

    fn links_where(&self, holds: impl Fn(&Link) -> bool) -> Vec<LinkId> {
        self.links.iter().filter(|(_, link)| holds(link)).map(|(id, _)| *id).collect()
    }

    pub(super) fn act(&mut self, action: RouteAction) {
        self.actions.push_back(action);
    }

    pub(super) fn tell(&mut self, event: RouteEvent) {
        self.events.push_back(event);
    }

    /// One sequence for all names: a name of one kind never passes for another.
    fn next_id(&mut self) -> u64 {
        self.last_id += 1;
        self.last_id
    }
}

impl fmt::Debug for Router {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Router")
            .field("links", &self.links.len())
            .field("sessions", &self.sessions.len())
            .finish_non_exhaustive()
    }
}

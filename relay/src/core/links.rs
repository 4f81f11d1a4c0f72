//! Links as the core sees them: an inbox in which open sessions come before new OPENs, an outbox in which routes take
//! turns, and the turn of the links themselves.
//!
//! Guarantees: links are served in turn, one cell each; a link that does not take what waits for it is not listened to
//! (so its outbox is bounded), and closed after 30 s. Links that this relay dialled are always listened to: their cells
//! go into the bounded queues of routes, and two relays that wait for each other would wait for good.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use hearken_proto::cell::{Cell, CloseReason};
use hearken_proto::limits::{LINK_INBOX_MAX, LINK_STALLED_SECONDS_MAX};
use hearken_proto::wire::SignedRelayInfo;

use super::action::LinkId;
use super::bounds::{LINK_FORWARD_MAX, LINK_OUTBOX_MAX, SESSION_CELLS_BEFORE_OPEN};
use super::clock::Moment;

/// A route on a link. Route ids are never used twice on a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct RouteKey {
    pub(super) link: LinkId,
    pub(super) route: u64,
}

/// Which of a link's two inboxes a cell goes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lane {
    /// Cells of routes that are open and proven.
    Session,
    /// OPENs and INFOs, and what comes on routes that are not proven.
    Open,
}

/// A cell made only when the link takes it.
pub(super) enum Control {
    Close(u64, CloseReason),
    Info(u64, Arc<SignedRelayInfo>),
    Cell(Cell),
}

struct Link {
    is_dialled: bool,
    session_lane: VecDeque<Cell>,
    open_lane: VecDeque<Cell>,
    /// Cells taken from the session lane while the other had one.
    sessions_served: u32,
    /// Whether the link stands in the line of those with something in the inbox.
    in_turns: bool,
    control: VecDeque<Control>,
    /// Routes with cells to send, each once.
    ready: VecDeque<u64>,
    /// Cells that wait to be sent on this link.
    waiting: usize,
    /// Cells that the store may yet answer for sessions of this link.
    expected: usize,
    /// Cells from this link that wait to be sent on others.
    forwarding: usize,
    /// When a cell was last taken, or began to wait.
    taken_at: Moment,
    stall_timer: Option<Moment>,
    /// Watching routes to be looked at again when there is room.
    parked: Vec<u64>,
    newest_route: Option<u64>,
}

impl Link {
    fn is_blocked(&self) -> bool {
        !self.is_dialled
            && (self.outbox_len() >= LINK_OUTBOX_MAX || self.forwarding >= LINK_FORWARD_MAX)
    }

    fn outbox_len(&self) -> usize {
        self.waiting + self.expected
    }

    fn inbox_len(&self) -> usize {
        self.session_lane.len() + self.open_lane.len()
    }

    fn take(&mut self) -> Option<Cell> {
        let open_is_due = self.sessions_served >= SESSION_CELLS_BEFORE_OPEN;
        if self.session_lane.is_empty() || (open_is_due && !self.open_lane.is_empty()) {
            self.sessions_served = 0;
            return self.open_lane.pop_front();
        }
        self.sessions_served = self.sessions_served.saturating_add(1);
        self.session_lane.pop_front()
    }
}

/// What became of a stall timer.
pub(super) enum Stall {
    /// Set it again.
    Later(Moment),
    /// The link takes nothing.
    Stalled,
    /// Nothing waits.
    Over,
}

/// All links of the relay.
#[derive(Default)]
pub(super) struct Links {
    links: BTreeMap<LinkId, Link>,
    /// Links with something in the inbox, in turn.
    turns: VecDeque<LinkId>,
    /// Links with something to send.
    sending: BTreeSet<LinkId>,
}

impl Links {
    pub(super) fn open(&mut self, link: LinkId, is_dialled: bool, now: Moment) {
        self.links.insert(
            link,
            Link {
                is_dialled,
                session_lane: VecDeque::new(),
                open_lane: VecDeque::new(),
                sessions_served: 0,
                in_turns: false,
                control: VecDeque::new(),
                ready: VecDeque::new(),
                waiting: 0,
                expected: 0,
                forwarding: 0,
                taken_at: now,
                stall_timer: None,
                parked: Vec::new(),
                newest_route: None,
            },
        );
    }

    /// Forgets a link. Answers its stall timer, to be cancelled; `None` where the link is not known.
    pub(super) fn remove(&mut self, link: LinkId) -> Option<Option<Moment>> {
        let removed = self.links.remove(&link)?;
        self.sending.remove(&link);
        if removed.in_turns {
            self.turns.retain(|turn| *turn != link);
        }
        Some(removed.stall_timer)
    }

    pub(super) fn len(&self) -> usize {
        self.links.len()
    }

    pub(super) fn contains(&self, link: LinkId) -> bool {
        self.links.contains_key(&link)
    }

    pub(super) fn is_dialled(&self, link: LinkId) -> bool {
        self.links.get(&link).is_some_and(|link| link.is_dialled)
    }

    /// The newest route id that was looked at.
    pub(super) fn newest_route(&self, link: LinkId) -> Option<u64> {
        self.links.get(&link).and_then(|link| link.newest_route)
    }

    /// Takes a route id for an OPEN or INFO. `false` where it is not above every earlier one.
    pub(super) fn take_route(&mut self, link: LinkId, route: u64) -> bool {
        let Some(link) = self.links.get_mut(&link) else { return false };
        let is_next = link.newest_route.is_none_or(|newest| route > newest);
        if is_next {
            link.newest_route = Some(route);
        }
        is_next
    }

    /// Queues a cell that came. `false` where the inbox is full.
    pub(super) fn receive(&mut self, id: LinkId, cell: Cell, lane: Lane) -> bool {
        let Some(link) = self.links.get_mut(&id) else { return true };
        if link.inbox_len() >= LINK_INBOX_MAX {
            return false;
        }
        match lane {
            Lane::Session => link.session_lane.push_back(cell),
            Lane::Open => link.open_lane.push_back(cell),
        }
        self.line_up(id);
        true
    }

    /// The next cell, of the link whose turn it is.
    pub(super) fn take(&mut self) -> Option<(LinkId, Cell)> {
        while let Some(id) = self.turns.pop_front() {
            let Some(link) = self.links.get_mut(&id) else { continue };
            link.in_turns = false;
            if link.is_blocked() {
                continue;
            }
            let Some(cell) = link.take() else { continue };
            self.line_up(id);
            return Some((id, cell));
        }
        None
    }

    /// A cell made when it is taken. Answers a stall timer to be set.
    pub(super) fn control(&mut self, id: LinkId, control: Control, now: Moment) -> Option<Moment> {
        self.links.get_mut(&id)?.control.push_back(control);
        self.wait(id, 1, now)
    }

    pub(super) fn take_control(&mut self, id: LinkId) -> Option<Control> {
        self.links.get_mut(&id)?.control.pop_front()
    }

    /// Puts a route that had nothing to send, and now has, at the end of its link's line.
    pub(super) fn ready(&mut self, key: RouteKey) {
        if let Some(link) = self.links.get_mut(&key.link) {
            link.ready.push_back(key.route);
        }
    }

    pub(super) fn take_ready(&mut self, id: LinkId) -> Option<u64> {
        self.links.get_mut(&id)?.ready.pop_front()
    }

    /// `count` more cells wait for a link. Answers a stall timer to be set.
    pub(super) fn wait(&mut self, id: LinkId, count: usize, now: Moment) -> Option<Moment> {
        if count == 0 {
            return None;
        }
        let link = self.links.get_mut(&id)?;
        if link.waiting == 0 {
            link.taken_at = now;
            self.sending.insert(id);
        }
        link.waiting += count;
        if link.stall_timer.is_some() {
            return None;
        }
        link.stall_timer = Some(now.after_seconds(LINK_STALLED_SECONDS_MAX));
        link.stall_timer
    }

    /// A link took a cell.
    pub(super) fn taken(&mut self, id: LinkId, now: Moment) {
        if let Some(link) = self.links.get_mut(&id) {
            link.taken_at = now;
        }
        self.withdraw(id, 1);
    }

    /// `count` cells no longer wait for a link.
    pub(super) fn withdraw(&mut self, id: LinkId, count: usize) {
        let Some(link) = self.links.get_mut(&id) else { return };
        link.waiting = link.waiting.saturating_sub(count);
        if link.waiting == 0 {
            self.sending.remove(&id);
        }
        self.line_up(id);
    }

    /// The store is asked for up to `count` cells for a link.
    pub(super) fn expect(&mut self, id: LinkId, count: u32) {
        if let Some(link) = self.links.get_mut(&id) {
            link.expected += count as usize;
        }
    }

    /// The store has answered what was asked for up to `count` cells.
    pub(super) fn expected(&mut self, id: LinkId, count: u32) {
        if let Some(link) = self.links.get_mut(&id) {
            link.expected = link.expected.saturating_sub(count as usize);
            self.line_up(id);
        }
    }

    /// `count` more cells from a link wait for others.
    pub(super) fn forward(&mut self, id: LinkId, count: usize) {
        if let Some(link) = self.links.get_mut(&id) {
            link.forwarding += count;
        }
    }

    /// `count` cells from a link no longer wait for others.
    pub(super) fn forwarded(&mut self, id: LinkId, count: usize) {
        if let Some(link) = self.links.get_mut(&id) {
            link.forwarding = link.forwarding.saturating_sub(count);
            self.line_up(id);
        }
    }

    /// Whether nothing more should be read for a link until it takes some.
    pub(super) fn is_full(&self, id: LinkId) -> bool {
        self.links.get(&id).is_some_and(|link| link.outbox_len() >= LINK_OUTBOX_MAX)
    }

    /// Keeps a watching route until its link has room.
    pub(super) fn park(&mut self, key: RouteKey) {
        if let Some(link) = self.links.get_mut(&key.link) {
            link.parked.push(key.route);
        }
    }

    /// The watching routes of a link that has room again.
    pub(super) fn unpark(&mut self, id: LinkId) -> Vec<u64> {
        match self.links.get_mut(&id) {
            Some(link) if link.outbox_len() < LINK_OUTBOX_MAX / 2 => {
                std::mem::take(&mut link.parked)
            }
            _ => Vec::new(),
        }
    }

    /// Asserts that the links whose turn is to come are those with something in the inbox, each once, but for those
    /// that are not listened to.
    #[cfg(test)]
    pub(super) fn assert_turns(&self) {
        for (id, link) in &self.links {
            let times = self.turns.iter().filter(|turn| *turn == id).count();
            assert_eq!(times, usize::from(link.in_turns), "turns of a link");
            assert!(!link.in_turns || link.inbox_len() > 0, "the turn of an empty link");
            assert!(link.in_turns || link.inbox_len() == 0 || link.is_blocked(), "no turn");
        }
    }

    /// The routes that stand in a link's line.
    #[cfg(test)]
    pub(super) fn lined_up(&self, id: LinkId) -> Vec<u64> {
        self.links.get(&id).map_or_else(Vec::new, |link| link.ready.iter().copied().collect())
    }

    /// Of each link what waits, is expected, is forwarded, and of what waits the control cells.
    #[cfg(test)]
    pub(super) fn counts(&self) -> Vec<(LinkId, [usize; 4])> {
        let counts =
            |link: &Link| [link.waiting, link.expected, link.forwarding, link.control.len()];
        self.links.iter().map(|(id, link)| (*id, counts(link))).collect()
    }

    /// Links with cells to send.
    pub(super) fn sending(&self) -> impl Iterator<Item = LinkId> + '_ {
        self.sending.iter().copied()
    }

    /// A stall timer has passed.
    pub(super) fn handle_stall_timer(&mut self, id: LinkId, now: Moment) -> Stall {
        let Some(link) = self.links.get_mut(&id) else { return Stall::Over };
        link.stall_timer = None;
        if link.waiting == 0 {
            return Stall::Over;
        }
        let deadline = link.taken_at.after_seconds(LINK_STALLED_SECONDS_MAX);
        if deadline <= now {
            return Stall::Stalled;
        }
        link.stall_timer = Some(deadline);
        Stall::Later(deadline)
    }

    fn line_up(&mut self, id: LinkId) {
        if let Some(link) = self.links.get_mut(&id)
            && !link.in_turns
            && link.inbox_len() > 0
            && !link.is_blocked()
        {
            link.in_turns = true;
            self.turns.push_back(id);
        }
    }
}

#[cfg(test)]
mod tests {
    use hearken_proto::cell::Kind;
    use hearken_proto::time::UnixMillis;
    use rand_chacha::ChaCha20Rng;
    use rand_core::SeedableRng;

    use super::super::clock::Clock;
    use super::*;

    fn now() -> Moment {
        Clock::new(UnixMillis(0)).at(UnixMillis(0))
    }

    fn cell(kind: Kind, route: u64) -> Cell {
        Cell::new(kind, route, &mut ChaCha20Rng::seed_from_u64(route))
    }

    fn links(count: u64) -> Links {
        let mut links = Links::default();
        (1..=count).for_each(|link| links.open(LinkId(link), false, now()));
        links
    }

    #[test]
    fn links_take_turns_whatever_waits_in_them() {
        let mut links = links(3);
        for route in 0..60 {
            links.receive(LinkId(1), cell(Kind::Data, route), Lane::Session);
        }
        links.receive(LinkId(2), cell(Kind::Data, 1), Lane::Session);
        links.receive(LinkId(3), cell(Kind::Data, 1), Lane::Session);
        let order: Vec<u64> = (0..5).map(|_| links.take().unwrap().0.0).collect();
        assert_eq!(order, [1, 2, 3, 1, 1]);
    }

    #[test]
    fn cells_of_open_sessions_go_before_opens_and_do_not_shut_them_out() {
        let mut links = links(1);
        links.receive(LinkId(1), cell(Kind::Open, 99), Lane::Open);
        for route in 0..40 {
            links.receive(LinkId(1), cell(Kind::Data, route), Lane::Session);
        }
        let kinds: Vec<Kind> =
            std::iter::from_fn(|| links.take()).map(|(_, cell)| cell.kind()).collect();
        let at = kinds.iter().position(|kind| *kind == Kind::Open).unwrap();
        assert_eq!(at, SESSION_CELLS_BEFORE_OPEN as usize);
        assert_eq!(kinds.len(), 41);
    }

    #[test]
    fn a_link_that_takes_nothing_is_not_listened_to_until_it_does() {
        let mut links = links(1);
        links.receive(LinkId(1), cell(Kind::Data, 1), Lane::Session);
        links.wait(LinkId(1), LINK_OUTBOX_MAX, now());
        assert!(links.take().is_none());
        links.taken(LinkId(1), now());
        assert!(links.take().is_some());
        links.receive(LinkId(1), cell(Kind::Data, 1), Lane::Session);
        links.forward(LinkId(1), LINK_FORWARD_MAX);
        assert!(links.take().is_none());
        links.forwarded(LinkId(1), 1);
        assert!(links.take().is_some());
    }

    #[test]
    fn an_inbox_beyond_its_bound_and_a_route_id_used_twice_are_noticed() {
        let mut links = links(1);
        for route in 0..LINK_INBOX_MAX as u64 {
            assert!(links.receive(LinkId(1), cell(Kind::Data, route), Lane::Session));
        }
        assert!(!links.receive(LinkId(1), cell(Kind::Data, 0), Lane::Session));
        assert!(links.take_route(LinkId(1), 5));
        assert!(!links.take_route(LinkId(1), 5) && !links.take_route(LinkId(1), 4));
        assert!(links.take_route(LinkId(1), 6));
    }

    #[test]
    fn the_turns_of_others_stay_when_a_link_goes() {
        let mut links = links(3);
        for link in 1..=3 {
            links.receive(LinkId(link), cell(Kind::Data, 1), Lane::Session);
        }
        links.remove(LinkId(2));
        let order: Vec<u64> = std::iter::from_fn(|| links.take()).map(|(link, _)| link.0).collect();
        assert_eq!(order, [1, 3]);
    }

    #[test]
    fn who_watches_through_a_full_link_is_looked_at_again_once_it_is_below_half() {
        let mut links = links(1);
        links.wait(LinkId(1), LINK_OUTBOX_MAX, now());
        links.park(RouteKey { link: LinkId(1), route: 7 });
        assert!(links.is_full(LinkId(1)) && links.unpark(LinkId(1)).is_empty());
        links.withdraw(LinkId(1), LINK_OUTBOX_MAX / 2);
        assert!(!links.is_full(LinkId(1)) && links.unpark(LinkId(1)).is_empty());
        links.taken(LinkId(1), now());
        assert_eq!(links.unpark(LinkId(1)), [7]);
        assert!(links.unpark(LinkId(1)).is_empty());
    }
}

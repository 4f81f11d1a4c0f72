//! A pooled link to a peer relay: which routes it carries, and whose turn it is on it.
//!
//! Guarantees: client links take turns, a cell each, so that one who floods delays the others by one cell; route ids
//! rise in the order in which they are sent and are never used twice.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use hearken_proto::hop::NextHop;

use super::action::LinkId;
use super::clock::Moment;
use super::links::RouteKey;

/// A peer link.
pub(super) struct Peer {
    /// Who it is, and the place at which it was dialled.
    pub(super) hop: NextHop,
    /// By route id on this link, the client's route.
    pub(super) routes: BTreeMap<u64, RouteKey>,
    /// Clients' routes that go to this peer, sent on it already or not.
    pub(super) carried: BTreeSet<RouteKey>,
    /// Clients that wait for the peer's `RelayInfo`.
    pub(super) info_waiters: Vec<RouteKey>,
    /// The INFO asked: to be sent, or its route id.
    pub(super) info: InfoRequest,
    pub(super) info_timer: Option<Moment>,
    pub(super) idle_timer: Option<Moment>,
    next_route: u64,
    turns: VecDeque<LinkId>,
    queues: BTreeMap<LinkId, VecDeque<RouteKey>>,
}

/// How far a request for the peer's `RelayInfo` is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum InfoRequest {
    None,
    ToSend,
    Sent(u64),
}

impl Peer {
    pub(super) fn new(hop: NextHop) -> Self {
        Self {
            hop,
            routes: BTreeMap::new(),
            carried: BTreeSet::new(),
            info_waiters: Vec::new(),
            info: InfoRequest::None,
            info_timer: None,
            idle_timer: None,
            next_route: 1,
            turns: VecDeque::new(),
            queues: BTreeMap::new(),
        }
    }

    /// A route id that was never used on this link, above all that were.
    pub(super) fn new_route(&mut self) -> u64 {
        let route = self.next_route;
        self.next_route += 1;
        route
    }

    /// Whether a route id was given out on this link.
    pub(super) fn has_used(&self, route: u64) -> bool {
        (1..self.next_route).contains(&route)
    }

    /// The routes that stand in the line of this link.
    #[cfg(test)]
    pub(super) fn lined_up(&self) -> Vec<RouteKey> {
        self.queues.values().flatten().copied().collect()
    }

    pub(super) fn is_idle(&self) -> bool {
        self.carried.is_empty() && self.info_waiters.is_empty()
    }

    /// Lines up a route that had nothing to send to the peer, and now has.
    pub(super) fn line_up(&mut self, key: RouteKey) {
        let queue = self.queues.entry(key.link).or_default();
        if queue.is_empty() {
            self.turns.push_back(key.link);
        }
        queue.push_back(key);
    }

    /// The route whose turn it is. It is lined up again where it has more.
    pub(super) fn take_turn(&mut self) -> Option<RouteKey> {
        while let Some(link) = self.turns.pop_front() {
            let Some(queue) = self.queues.get_mut(&link) else { continue };
            let Some(key) = queue.pop_front() else { continue };
            if queue.is_empty() {
                self.queues.remove(&link);
            } else {
                self.turns.push_back(link);
            }
            return Some(key);
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use hearken_proto::ids::Fingerprint;

    use super::*;

    fn peer() -> Peer {
        let host_port = "peer.example:1".parse().unwrap();
        Peer::new(NextHop { fingerprint: Fingerprint::from_bytes([1; 32]), host_port })
    }

    #[test]
    fn client_links_take_turns_whatever_the_number_of_their_routes() {
        let mut peer = peer();
        let flooder = LinkId(1);
        for route in 0..200 {
            peer.line_up(RouteKey { link: flooder, route });
        }
        for link in 2..5 {
            peer.line_up(RouteKey { link: LinkId(link), route: 0 });
        }
        let first: Vec<u64> = (0..6).map(|_| peer.take_turn().unwrap().link.0).collect();
        assert_eq!(first, [1, 2, 3, 4, 1, 1]);
        assert_eq!(std::iter::from_fn(|| peer.take_turn()).count(), 203 - 6);
    }

    #[test]
    fn route_ids_rise() {
        let mut peer = peer();
        assert!(peer.new_route() < peer.new_route());
    }
}

//! Test support: what a relay counts as it goes, counted anew.

use std::collections::BTreeMap;

use super::action::LinkId;
use super::forward::{Closing, Via};
use super::last_hop::Pending;
use super::peer::InfoRequest;
use super::relay::RelayCore;
use super::session::Class;

/// Asserts that every count is that of what it counts: a bound judged by a wrong one would bound nothing.
#[track_caller]
pub(super) fn assert_balanced(core: &RelayCore) {
    let (base, last_hop, entry) = core.parts();
    let forwards = entry.all_forwards();

    let cells: usize = forwards
        .iter()
        .map(|(_, forward)| forward.waiting_to_peer() + forward.waiting_to_client())
        .sum();
    assert_eq!(entry.cells(), cells, "cells in the queues of routes");
    let mut routes_of: BTreeMap<LinkId, usize> = BTreeMap::new();
    forwards.iter().for_each(|(key, _)| *routes_of.entry(key.link).or_default() += 1);
    assert_eq!(entry.counted_routes(), routes_of, "routes of client links");

    base.links.assert_turns();
    for (link, [waiting, expected, forwarding, control]) in base.links.counts() {
        let sessions = last_hop.sessions.iter().filter(|(key, _)| key.link == link);
        let answers: usize = sessions.map(|(_, session)| session.outgoing()).sum();
        let own = forwards.iter().filter(|(key, _)| key.link == link);
        let back: usize = own.clone().map(|(_, forward)| forward.waiting_to_client()).sum();
        let onward: usize = own.map(|(_, forward)| forward.waiting_to_peer()).sum();
        let carried = forwards.iter().filter(
            |(_, forward)| matches!(forward.via, Via::Peer { link: peer, .. } if peer == link),
        );
        let carried: usize = carried.map(|(_, forward)| forward.waiting_to_peer()).sum();
        let peer = entry.peer(link);
        let asks_info = peer.is_some_and(|peer| peer.info == InfoRequest::ToSend);
        let wait = control + answers + back + carried + usize::from(asks_info);
        assert_eq!(waiting, wait, "cells that wait for a link");
        assert_eq!(forwarding, onward, "cells of a link that wait for others");
        // A route with cells to send stands in its line once, and one without not at all.
        let lined_up = base.links.lined_up(link);
        let times = |route: u64| lined_up.iter().filter(|lined_up| **lined_up == route).count();
        for (key, session) in last_hop.sessions.iter().filter(|(key, _)| key.link == link) {
            assert_eq!(times(key.route), usize::from(session.outgoing() > 0), "a session's line");
        }
        for (key, forward) in forwards.iter().filter(|(key, _)| key.link == link) {
            let has_some = forward.waiting_to_client() > 0;
            // What waited for a client that closed is forgotten; its place in the line is passed over.
            if forward.closing == Closing::ByClient {
                continue;
            }
            assert_eq!(times(key.route), usize::from(has_some), "a route's line to its client");
        }
        for (key, forward) in &forwards {
            let Some(peer) = peer.filter(|peer| peer.carried.contains(key)) else { continue };
            let times = peer.lined_up().iter().filter(|lined_up| *lined_up == key).count();
            assert_eq!(
                times,
                usize::from(forward.waiting_to_peer() > 0),
                "a route's line to a peer"
            );
        }
        let pending = last_hop.pending.values().map(|pending| match pending {
            Pending::Answer(key, cells) | Pending::Push(key, cells) if key.link == link => *cells,
            _ => 0,
        });
        assert_eq!(expected, pending.sum::<u32>() as usize, "cells that the store may answer");
    }

    for (class, counted) in [Class::Unproven, Class::Reader].into_iter().zip(last_hop.counted()) {
        let sessions = last_hop.sessions.values().filter(|session| session.class == class);
        assert_eq!(counted, sessions.count(), "{class:?} sessions");
    }
}

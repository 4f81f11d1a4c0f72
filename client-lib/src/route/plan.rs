//! Which relays a route goes over, and the turn in which the places of the relay behind an entry are tried.

use std::collections::BTreeMap;

use hearken_proto::address::RelayAddress;
use hearken_proto::hop::NextHop;
use hearken_proto::ids::Fingerprint;

/// A route: to the relay itself, or over an entry relay that sees the address and no mailbox.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RoutePlan {
    /// The entry relay of `hop2`; `None` is `direct`. Never the relay itself: whoever plans sees to it.
    pub(crate) entry: Option<RelayAddress>,
    /// The relay that the session is with.
    pub(crate) relay: RelayAddress,
}

impl RoutePlan {
    /// The relay that a link is needed to.
    pub(super) fn first_hop(&self) -> &RelayAddress {
        self.entry.as_ref().unwrap_or(&self.relay)
    }
}

/// An OPEN names one place of the next relay, so where an address lists several they are tried in turn.
#[derive(Debug, Default)]
pub(super) struct PlaceTurns(BTreeMap<Fingerprint, usize>);

impl PlaceTurns {
    /// The place whose turn it is.
    pub(super) fn next_hop(&self, relay: &RelayAddress) -> NextHop {
        let turn = self.0.get(&relay.fingerprint()).copied().unwrap_or(0);
        let places = relay.places();
        NextHop { fingerprint: relay.fingerprint(), host_port: places[turn % places.len()].clone() }
    }

    /// The place did not do: the next attempt goes to the next one.
    pub(super) fn pass(&mut self, relay: &RelayAddress) {
        if relay.places().len() > 1 {
            let turn = self.0.entry(relay.fingerprint()).or_default();
            *turn = turn.wrapping_add(1);
        }
    }
}

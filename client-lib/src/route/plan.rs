//! Which relays a route goes over, and the turn in which the places of the relay behind an entry are tried.

use std::collections::BTreeMap;

use hearken_proto::address::RelayAddress;
use hearken_proto::cell::Cell;
use hearken_proto::hop::NextHop;
use hearken_proto::ids::Fingerprint;
use hearken_proto::info::{self, VerifiedInfo};
use hearken_proto::seal::SealError;
use rand_core::CryptoRng;

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
    /// Seals the next hop into an OPEN or INFO that goes over an entry, and says which turn it was. One that is for the
    /// first hop itself stays as it is.
    ///
    /// # Errors
    /// [`SealError::PublicKey`] when the entry's hop key cannot be sealed to.
    pub(super) fn point(
        &self,
        mut cell: Cell,
        plan: &RoutePlan,
        entry: Option<&VerifiedInfo>,
        rng: &mut (impl CryptoRng + ?Sized),
    ) -> Result<(Cell, Option<usize>), SealError> {
        let Some(entry) = entry else { return Ok((cell, None)) };
        let (hop, turn) = self.next_hop(&plan.relay);
        let routing = entry.hop_key().seal(entry.context(), &hop, rng)?;
        Ok((info::set_next_hop(&mut cell, &routing), Some(turn)))
    }

    fn next_hop(&self, relay: &RelayAddress) -> (NextHop, usize) {
        let fingerprint = relay.fingerprint();
        let turn = self.0.get(&fingerprint).copied().unwrap_or(0);
        let places = relay.places();
        (NextHop { fingerprint, host_port: places[turn % places.len()].clone() }, turn)
    }

    /// The place of that turn did not do: the next attempt goes to the next one, however many tried it.
    pub(super) fn pass(&mut self, relay: Fingerprint, turn: usize) {
        let current = self.0.entry(relay).or_default();
        if *current == turn {
            *current = turn.wrapping_add(1);
        }
    }
}

//! Peer relays that this relay reaches as an entry: pooled links, one a place of a peer, and dials under way.
//!
//! Guarantees: a peer is reached at the place that a client named. Whoever named another place, which may be one of their own
//! that passes everything on, neither sees nor delays nor cuts what goes over this one. Links, dials, and dials of one client
//! link are bounded; a peer without a route is let go.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use hearken_proto::cell::CloseReason;
use hearken_proto::hop::NextHop;
use hearken_proto::limits::{DIAL_SECONDS_MAX, PEERS_MAX};

use super::action::{Action, DialId, LinkId};
use super::base::{Base, Timer};
use super::bounds::{DIAL_SECONDS_GRACE, DIALS_PER_LINK_MAX, PEER_IDLE_MINUTES_MAX};
use super::clock::Moment;
use super::links::RouteKey;
use super::peer::Peer;

/// A dial under way and who waits for it.
pub(super) struct Dial {
    pub(super) hop: NextHop,
    pub(super) routes: BTreeSet<RouteKey>,
    pub(super) infos: Vec<RouteKey>,
    /// The client link that caused it.
    dialler: LinkId,
    timer: Moment,
}

/// How a peer is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reach {
    Peer(LinkId),
    Dialling(DialId),
}

/// The pool.
#[derive(Default)]
pub(super) struct Pool {
    pub(super) peers: BTreeMap<LinkId, Peer>,
    dials: BTreeMap<DialId, Dial>,
    by_hop: HashMap<NextHop, Reach>,
    dials_of: BTreeMap<LinkId, usize>,
    next_dial: u64,
}

impl Pool {
    /// The link to a peer, or the dial that may become it, begun for `client` where there is none.
    pub(super) fn reach(
        &mut self,
        base: &mut Base,
        now: Moment,
        client: LinkId,
        hop: NextHop,
    ) -> Result<Reach, CloseReason> {
        if let Some(reach) = self.by_hop.get(&hop) {
            return Ok(*reach);
        }
        if self.dials_of.get(&client).is_some_and(|dials| *dials >= DIALS_PER_LINK_MAX) {
            return Err(CloseReason::Busy);
        }
        if self.peers.len() + self.dials.len() >= PEERS_MAX && !self.let_one_go(base) {
            return Err(CloseReason::Busy);
        }
        self.next_dial += 1;
        let dial = DialId(self.next_dial);
        let timer = now.after_seconds(DIAL_SECONDS_MAX + DIAL_SECONDS_GRACE);
        base.timers.set(timer, Timer::Dial(dial));
        base.actions.push_back(Action::Dial {
            dial,
            hop: hop.clone(),
            allow_private: base.config.allow_private_peers,
        });
        self.by_hop.insert(hop.clone(), Reach::Dialling(dial));
        *self.dials_of.entry(client).or_default() += 1;
        let (routes, infos) = (BTreeSet::new(), Vec::new());
        self.dials.insert(dial, Dial { hop, routes, infos, dialler: client, timer });
        Ok(Reach::Dialling(dial))
    }

    pub(super) fn dial_mut(&mut self, dial: DialId) -> Option<&mut Dial> {
        self.dials.get_mut(&dial)
    }

    /// Takes a dial that was answered, or is given up.
    pub(super) fn take_dial(&mut self, base: &mut Base, id: DialId) -> Option<Dial> {
        let dial = self.dials.remove(&id)?;
        base.timers.cancel(dial.timer, Timer::Dial(id));
        self.by_hop.remove(&dial.hop);
        if let Some(dials) = self.dials_of.get_mut(&dial.dialler) {
            *dials = dials.saturating_sub(1);
            if *dials == 0 {
                self.dials_of.remove(&dial.dialler);
            }
        }
        Some(dial)
    }

    /// Takes a dialled link into the pool.
    pub(super) fn add(&mut self, base: &mut Base, now: Moment, link: LinkId, hop: NextHop) {
        base.links.open(link, true, now);
        base.totals.links_opened += 1;
        self.by_hop.insert(hop.clone(), Reach::Peer(link));
        self.peers.insert(link, Peer::new(hop));
    }

    /// Takes a peer whose link is gone out of the pool.
    pub(super) fn remove(&mut self, base: &mut Base, link: LinkId) -> Option<Peer> {
        let peer = self.peers.remove(&link)?;
        self.by_hop.remove(&peer.hop);
        for (timer, what) in
            [(peer.info_timer, Timer::PeerInfo(link)), (peer.idle_timer, Timer::PeerIdle(link))]
        {
            if let Some(at) = timer {
                base.timers.cancel(at, what);
            }
        }
        Some(peer)
    }

    /// Sets or takes back the deadline of a peer without a route.
    pub(super) fn look_whether_idle(&mut self, base: &mut Base, now: Moment, link: LinkId) {
        let Some(peer) = self.peers.get_mut(&link) else { return };
        match (peer.is_idle(), peer.idle_timer) {
            (true, None) => {
                let at = now.after_seconds(PEER_IDLE_MINUTES_MAX * 60);
                peer.idle_timer = Some(at);
                base.timers.set(at, Timer::PeerIdle(link));
            }
            (false, Some(at)) => {
                peer.idle_timer = None;
                base.timers.cancel(at, Timer::PeerIdle(link));
            }
            _ => {}
        }
    }

    /// Closes a peer link without a route, to make room. `false` where all have some.
    fn let_one_go(&mut self, base: &mut Base) -> bool {
        let idle = self.peers.iter().find(|(_, peer)| peer.is_idle()).map(|(link, _)| *link);
        let Some(link) = idle else { return false };
        self.remove(base, link);
        base.remove_link(link);
        base.actions.push_back(Action::CloseLink(link));
        true
    }
}

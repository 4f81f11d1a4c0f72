//! Signed `RelayInfo`s of peers: one of each, the same for every client, for an hour at most.
//!
//! The entry relay checks that the peer signed it, and not what only a client can judge (its clock, what it has seen
//! before): such a one is passed on and not kept.

use std::collections::BTreeMap;
use std::sync::Arc;

use hearken_proto::cell::Cell;
use hearken_proto::ids::Fingerprint;
use hearken_proto::info::{InfoError, UnverifiedInfo};
use hearken_proto::limits::INFO_MINUTES;
use hearken_proto::time::UnixMillis;
use hearken_proto::wire::SignedRelayInfo;

use super::bounds::{INFO_REFETCH_SECONDS_MIN, INFOS_CACHED_MAX};
use super::clock::Moment;

/// The cache.
#[derive(Default)]
pub(super) struct PeerInfos {
    cached: BTreeMap<Fingerprint, (Moment, Arc<SignedRelayInfo>)>,
}

impl PeerInfos {
    /// The one that is kept of a peer.
    pub(super) fn cached(&self, peer: &Fingerprint, now: Moment) -> Option<Arc<SignedRelayInfo>> {
        let (since, info) = self.cached.get(peer)?;
        (since.after_seconds(INFO_MINUTES * 60) > now).then(|| Arc::clone(info))
    }

    /// A peer did not know the epoch of an OPEN: what is kept may be out of date.
    pub(super) fn doubt(&mut self, peer: &Fingerprint, now: Moment) {
        let is_old = |since: &Moment| since.after_seconds(INFO_REFETCH_SECONDS_MIN) <= now;
        if self.cached.get(peer).is_some_and(|(since, _)| is_old(since)) {
            self.cached.remove(peer);
        }
    }

    /// Takes a peer's answer. `None` where the peer did not sign it.
    pub(super) fn receive(
        &mut self,
        peer: &Fingerprint,
        answer: &Cell,
        wall: UnixMillis,
        now: Moment,
    ) -> Option<Arc<SignedRelayInfo>> {
        let unverified = UnverifiedInfo::from_answer(answer).ok()?;
        let info = Arc::new(unverified.signed().clone());
        match unverified.verify(peer, None, wall) {
            Ok(_) => self.keep(*peer, Arc::clone(&info), now),
            Err(InfoError::Expired | InfoError::RolledBack | InfoError::Version) => {}
            Err(_) => return None,
        }
        Some(info)
    }

    fn keep(&mut self, peer: Fingerprint, info: Arc<SignedRelayInfo>, now: Moment) {
        if self.cached.len() >= INFOS_CACHED_MAX && !self.cached.contains_key(&peer) {
            let oldest =
                self.cached.iter().min_by_key(|(_, (since, _))| *since).map(|(peer, _)| *peer);
            if let Some(oldest) = oldest {
                self.cached.remove(&oldest);
            }
        }
        self.cached.insert(peer, (now, info));
    }
}

#[cfg(test)]
mod tests {
    use hearken_proto::time::UnixMillis;

    use super::super::clock::Clock;
    use super::*;

    #[test]
    fn one_info_a_peer_is_kept_and_where_there_are_too_many_the_oldest_goes() {
        let mut infos = PeerInfos::default();
        let start = Clock::new(UnixMillis(0)).at(UnixMillis(0));
        let peer = |number: usize| {
            let mut bytes = [0; 32];
            bytes[..8].copy_from_slice(&number.to_be_bytes());
            Fingerprint::from_bytes(bytes)
        };
        let keep = |infos: &mut PeerInfos, number: usize, second: u64| {
            let info = Arc::new(SignedRelayInfo::default());
            infos.keep(peer(number), info, start.after_seconds(second));
        };
        for number in 0..INFOS_CACHED_MAX {
            keep(&mut infos, number, if number == 7 { 0 } else { 1 });
        }
        keep(&mut infos, 9, 2);
        assert_eq!(infos.cached.len(), INFOS_CACHED_MAX);
        assert!(infos.cached.contains_key(&peer(7)), "one that is there already needs no room");
        keep(&mut infos, INFOS_CACHED_MAX, 2);
        assert_eq!(infos.cached.len(), INFOS_CACHED_MAX);
        assert!(!infos.cached.contains_key(&peer(7)));
        let hour = INFO_MINUTES * 60;
        assert!(infos.cached(&peer(0), start.after_seconds(hour)).is_some());
        assert!(infos.cached(&peer(0), start.after_seconds(hour + 1)).is_none());
    }
}

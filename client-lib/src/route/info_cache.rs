//! What relays say of themselves: verified, kept for an hour at most, with the newest time seen from each.
//!
//! What came over one first hop is never used over another. A relay that is asked directly sees who asks and could
//! answer that address alone with keys made for it; used for a `hop2` route, those keys would name the address to the
//! mailbox relay. What an entry relay hands out is the same for all its clients.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use hearken_proto::cell::Cell;
use hearken_proto::ids::Fingerprint;
use hearken_proto::info::{InfoError, UnverifiedInfo, VerifiedInfo};
use hearken_proto::limits::{INFO_MINUTES, INFO_VALID_MINUTES};
use hearken_proto::time::UnixMillis;

use super::deadline::Deadline;

const CACHE: Duration = Duration::from_secs(INFO_MINUTES * 60);
const VALID: Duration = Duration::from_secs(INFO_VALID_MINUTES * 60);

/// Verified information by the first hop that it came over and the relay that it is of.
#[derive(Default)]
pub(super) struct InfoCache {
    kept: BTreeMap<(Fingerprint, Fingerprint), Kept>,
    newest: BTreeMap<Fingerprint, UnixMillis>,
}

struct Kept {
    info: Arc<VerifiedInfo>,
    cached: Deadline,
}

impl Kept {
    fn holds(&self, now: UnixMillis) -> bool {
        let signed_at = self.info.signed_at();
        let age = now.since(signed_at).max(signed_at.since(now));
        !self.cached.has_passed(now) && age <= VALID
    }
}

impl InfoCache {
    /// What an earlier run saw: nothing signed two hours before it is taken.
    pub(super) fn remember(&mut self, relay: Fingerprint, newest_signed_at: UnixMillis) {
        let newest = self.newest.entry(relay).or_default();
        *newest = (*newest).max(newest_signed_at);
    }

    /// The information of `relay` that came over `first_hop`, where it still holds.
    pub(super) fn lookup(
        &self,
        first_hop: Fingerprint,
        relay: Fingerprint,
        now: UnixMillis,
    ) -> Option<Arc<VerifiedInfo>> {
        let kept = self.kept.get(&(first_hop, relay))?;
        kept.holds(now).then(|| Arc::clone(&kept.info))
    }

    /// Verifies an INFO answer and keeps what it says.
    ///
    /// # Errors
    /// [`InfoError`], the first thing that does not hold; what was kept before stays.
    pub(super) fn accept(
        &mut self,
        first_hop: Fingerprint,
        relay: Fingerprint,
        answer: &Cell,
        now: UnixMillis,
    ) -> Result<Arc<VerifiedInfo>, InfoError> {
        let newest = self.newest.get(&relay).copied();
        let info = UnverifiedInfo::from_answer(answer)?.verify(&relay, newest, now)?;
        self.remember(relay, info.signed_at());
        self.kept.retain(|_, kept| kept.holds(now));
        let info = Arc::new(info);
        let kept = Kept { info: Arc::clone(&info), cached: Deadline::after(now, CACHE) };
        self.kept.insert((first_hop, relay), kept);
        Ok(info)
    }

    /// Drops `used`, and only that: what was fetched since then stays.
    pub(super) fn forget(&mut self, first_hop: Fingerprint, used: &Arc<VerifiedInfo>) {
        let key = (first_hop, used.context().fingerprint);
        if self.kept.get(&key).is_some_and(|kept| Arc::ptr_eq(&kept.info, used)) {
            self.kept.remove(&key);
        }
    }
}

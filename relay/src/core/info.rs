//! The relay's own `RelayInfo`: signed hourly and when the keys change.
//!
//! Its time is that of the relay's clock. Where the clock is set back a little, the newest time signed is kept, so that
//! what clients see never goes back. Where it is set back by more than the two hours that clients allow, the relay says
//! the time that it has and warns its operator: clients then refuse it and can say why, while a time signed against
//! the clock would hide that from both.

use std::sync::Arc;

use ed25519_dalek::SigningKey;
use hearken_proto::ids::Fingerprint;
use hearken_proto::info::sign;
use hearken_proto::limits::{INFO_MINUTES, INFO_ROLLBACK_MINUTES_MAX};
use hearken_proto::seal::{KeyEpoch, VERSION};
use hearken_proto::time::UnixMillis;
use hearken_proto::wire::{self, RelayInfo, SignedRelayInfo};

use super::config::{Admission, CoreConfig};
use super::epoch_keys::EpochKey;

const MINUTE_MS: u64 = 60_000;
const ROLLBACK_MS: u64 = INFO_ROLLBACK_MINUTES_MAX * MINUTE_MS;

/// What the relay says of itself just now.
#[derive(Debug, Default)]
pub(super) struct OwnInfo {
    signed: Option<Signed>,
    /// What was signed is no longer what the relay says of itself.
    is_outdated: bool,
}

#[derive(Debug)]
struct Signed {
    info: Arc<SignedRelayInfo>,
    at: UnixMillis,
    epoch: KeyEpoch,
}

/// What came of looking whether a new one is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Signing {
    NotDue,
    Signed,
    /// Signed, with a clock far behind.
    SignedBehind,
}

impl OwnInfo {
    /// The newest signed one. `None` before there are keys.
    pub(super) fn signed(&self) -> Option<&Arc<SignedRelayInfo>> {
        self.signed.as_ref().map(|signed| &signed.info)
    }

    /// What the relay says of itself has changed.
    pub(super) fn outdate(&mut self) {
        self.is_outdated = true;
    }

    /// There are no keys to offer: those that were signed are destroyed.
    pub(super) fn withdraw(&mut self) {
        self.signed = None;
    }

    /// Signs where an hour has passed, the keys changed, or the clock went far back.
    pub(super) fn sign_if_due(
        &mut self,
        now: UnixMillis,
        config: &CoreConfig,
        identity: &SigningKey,
        key: &EpochKey,
    ) -> Signing {
        let newest = self.signed.as_ref().map(|signed| signed.at);
        let is_behind = newest.is_some_and(|at| now.0.saturating_add(ROLLBACK_MS) < at.0);
        let due = match &self.signed {
            None => true,
            Some(signed) => {
                signed.epoch != key.epoch()
                    || now.0 >= signed.at.0.saturating_add(INFO_MINUTES * MINUTE_MS)
                    || is_behind
                    || self.is_outdated
            }
        };
        if !due {
            return Signing::NotDue;
        }
        self.is_outdated = false;
        let own = Fingerprint::of(identity.verifying_key().as_bytes());
        let admission = if config.is_open(own, now) { config.admission } else { Admission::Closed };
        let at = if is_behind { now } else { newest.map_or(now, |newest| newest.max(now)) };
        let info = RelayInfo {
            signed_at_ms: at.0,
            key_epoch: key.epoch().as_bytes().to_vec(),
            seal_public_key: key.seal_public().to_vec(),
            auth_public_key: key.auth().public_key().to_vec(),
            hop_public_key: key.hop().public_key().to_bytes().to_vec(),
            keys_until_ms: key.until().0,
            admission: match admission {
                Admission::Open => wire::Admission::Open,
                Admission::Closed => wire::Admission::Closed,
            }
            .into(),
            proof_of_work_bits: config.work_bits(),
            mailbox_blobs_max: config.mailbox_blobs_max,
            versions: vec![u32::from(VERSION)],
            decommission: config.decommission.clone(),
            forwards: config.forwards,
        };
        self.signed =
            Some(Signed { info: Arc::new(sign(&info, identity)), at, epoch: key.epoch() });
        if is_behind { Signing::SignedBehind } else { Signing::Signed }
    }

    /// When the next one is due.
    pub(super) fn next_timeout(&self) -> Option<UnixMillis> {
        let signed = self.signed.as_ref()?;
        Some(UnixMillis(signed.at.0.saturating_add(INFO_MINUTES * MINUTE_MS)))
    }
}

//! A relay's seal, auth and hop keys: made every day, published once they are stored, destroyed a day after that.
//!
//! Guarantees: no key is published before the shell has synced it; the first bytes of live epochs differ; a day after
//! its successor's time came a key is gone from memory and the shell is told to destroy its file, whatever else fails;
//! keys that a clock set back has left far in the future are destroyed and not kept until then.

use core::fmt;

use hearken_proto::auth::AuthSecretKey;
use hearken_proto::hop::HopSecretKey;
use hearken_proto::limits::{
    INFO_ROLLBACK_MINUTES_MAX, KEY_EPOCH_HOURS, KEY_EPOCH_LEN, XWING_PUBLIC_LEN,
};
use hearken_proto::seal::{KeyEpoch, SealSecretKey};
use hearken_proto::time::{HOUR_MS, UnixDay, UnixMillis};
use rand_core::CryptoRng;
use zeroize::Zeroizing;

use super::action::Action;

/// After a key could not be stored, the wait before another is made.
const RETRY_MS: u64 = 60_000;
const OVERLAP_MS: u64 = KEY_EPOCH_HOURS as u64 * HOUR_MS;

/// A key file that does not hold the keys of an epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a key file that does not hold the keys of an epoch")]
pub struct EpochKeyError;

/// The private keys of one epoch. Each erases itself on drop.
pub struct EpochKey {
    epoch: KeyEpoch,
    from: UnixMillis,
    until: UnixMillis,
    seal: SealSecretKey,
    seal_public: [u8; XWING_PUBLIC_LEN],
    auth: AuthSecretKey,
    hop: HopSecretKey,
}

impl EpochKey {
    /// Bytes of a key file: epoch (8), from and until (8 each, milliseconds since 1970, big-endian), seal seed, auth and
    /// hop key (32 each).
    pub const LEN: usize = KEY_EPOCH_LEN + 8 + 8 + 3 * 32;

    /// Reads what [`Action::StoreEpochKey`] had stored.
    ///
    /// # Errors
    /// [`EpochKeyError`] when the bytes are not [`EpochKey::LEN`] long.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, EpochKeyError> {
        let bytes: &[u8; Self::LEN] = bytes.try_into().map_err(|_| EpochKeyError)?;
        let (epoch, rest) = bytes.split_first_chunk().ok_or(EpochKeyError)?;
        let (from, rest) = rest.split_first_chunk().ok_or(EpochKeyError)?;
        let (until, rest) = rest.split_first_chunk().ok_or(EpochKeyError)?;
        let (seal, rest) = rest.split_first_chunk::<32>().ok_or(EpochKeyError)?;
        let (auth, rest) = rest.split_first_chunk::<32>().ok_or(EpochKeyError)?;
        let (hop, _) = rest.split_first_chunk::<32>().ok_or(EpochKeyError)?;
        let seal = SealSecretKey::from_seed(seal);
        Ok(Self {
            epoch: KeyEpoch::from_bytes(*epoch),
            from: UnixMillis(u64::from_be_bytes(*from)),
            until: UnixMillis(u64::from_be_bytes(*until)),
            seal_public: seal.public_key().to_bytes(),
            seal,
            auth: AuthSecretKey::from_bytes(auth),
            hop: HopSecretKey::from_bytes(hop),
        })
    }

    /// The name of the epoch.
    #[must_use]
    pub fn epoch(&self) -> KeyEpoch {
        self.epoch
    }

    /// When these keys are replaced.
    #[must_use]
    pub fn until(&self) -> UnixMillis {
        self.until
    }

    /// Whether this key was made over two hours after `now`: then the clock went back.
    pub(super) fn is_ahead_of(&self, now: UnixMillis) -> bool {
        self.from.0 > now.0.saturating_add(INFO_ROLLBACK_MINUTES_MAX * 60_000)
    }

    pub(super) fn seal(&self) -> &SealSecretKey {
        &self.seal
    }

    pub(super) fn seal_public(&self) -> &[u8; XWING_PUBLIC_LEN] {
        &self.seal_public
    }

    pub(super) fn auth(&self) -> &AuthSecretKey {
        &self.auth
    }

    pub(super) fn hop(&self) -> &HopSecretKey {
        &self.hop
    }

    /// Draws the bytes of a key file for an epoch that lasts until the next UTC midnight.
    fn draw(now: UnixMillis, hints: &[u8], rng: &mut dyn CryptoRng) -> Zeroizing<Vec<u8>> {
        let until = UnixDay(now.day().0.saturating_add(1)).start();
        let mut bytes = Zeroizing::new(vec![0; Self::LEN]);
        rng.fill_bytes(&mut bytes[..]);
        while hints.contains(&bytes[0]) {
            rng.fill_bytes(&mut bytes[..1]);
        }
        bytes[KEY_EPOCH_LEN..][..8].copy_from_slice(&now.0.to_be_bytes());
        bytes[KEY_EPOCH_LEN + 8..][..8].copy_from_slice(&until.0.to_be_bytes());
        bytes
    }

    /// Whether nothing sealed to these keys may be opened any more.
    fn is_over(&self, now: UnixMillis) -> bool {
        let overlap_passed = self.until.0.saturating_add(OVERLAP_MS) <= now.0;
        // A key lasts a day. One that ends beyond two was made under a clock that ran far ahead.
        let from_the_future = self.until.0 > now.0.saturating_add(2 * OVERLAP_MS);
        overlap_passed || from_the_future
    }
}

impl fmt::Debug for EpochKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { epoch: _, from: _, until, seal: _, seal_public: _, auth: _, hop: _ } = self;
        f.debug_struct("EpochKey").field("until", until).finish_non_exhaustive()
    }
}

/// The live epochs of a relay, and the one that waits to be stored.
#[derive(Debug)]
pub struct EpochKeys {
    /// In the order in which they began; the last is published.
    live: Vec<EpochKey>,
    storing: Option<EpochKey>,
    retry_at: UnixMillis,
}

impl EpochKeys {
    /// The keys that the shell found stored; none at a first start. Those whose time is over are destroyed by the first
    /// `handle_timeout`.
    #[must_use]
    pub fn new(mut stored: Vec<EpochKey>) -> Self {
        stored.sort_by_key(|key| key.from);
        Self { live: stored, storing: None, retry_at: UnixMillis(0) }
    }

    /// The epoch to publish. `None` until the first one is stored.
    pub(super) fn current(&self) -> Option<&EpochKey> {
        self.live.last()
    }

    /// The live epoch whose name begins with this byte.
    pub(super) fn by_hint(&self, hint: u8) -> Option<&EpochKey> {
        self.live.iter().find(|key| key.epoch.hint() == hint)
    }

    /// The keys of a live epoch.
    pub(super) fn by_epoch(&self, epoch: KeyEpoch) -> Option<&EpochKey> {
        self.live.iter().find(|key| key.epoch == epoch)
    }

    /// The live epochs, the newest first.
    pub(super) fn live(&self) -> impl Iterator<Item = &EpochKey> {
        self.live.iter().rev()
    }

    /// Destroys what is over and makes what is due. Answers which epochs were destroyed.
    pub(super) fn handle_timeout(
        &mut self,
        now: UnixMillis,
        rng: &mut dyn CryptoRng,
        actions: &mut impl Extend<Action>,
    ) -> Vec<KeyEpoch> {
        let over: Vec<KeyEpoch> =
            self.live.iter().filter(|key| key.is_over(now)).map(|key| key.epoch).collect();
        self.live.retain(|key| !key.is_over(now));
        actions.extend(over.iter().map(|epoch| Action::DestroyEpochKey(*epoch)));
        let due = self.current().is_none_or(|key| key.until <= now);
        let waited = now >= self.retry_at || self.retry_at.0 > now.0.saturating_add(RETRY_MS);
        if due && self.storing.is_none() && waited {
            let hints: Vec<u8> = self.live.iter().map(|key| key.epoch.hint()).collect();
            let bytes = EpochKey::draw(now, &hints, rng);
            if let Ok(key) = EpochKey::from_bytes(&bytes) {
                actions.extend([Action::StoreEpochKey { epoch: key.epoch, bytes }]);
                self.storing = Some(key);
            }
        }
        over
    }

    /// The shell has stored a key, or could not. `true` where a new epoch began.
    pub(super) fn handle_stored(
        &mut self,
        now: UnixMillis,
        epoch: KeyEpoch,
        stored: bool,
        actions: &mut impl Extend<Action>,
    ) -> bool {
        let Some(key) = self.storing.take_if(|key| key.epoch == epoch) else { return false };
        if !stored {
            // What was written of it, if anything, must not come back at the next start.
            actions.extend([Action::DestroyEpochKey(epoch)]);
            self.retry_at = UnixMillis(now.0.saturating_add(RETRY_MS));
            return false;
        }
        self.live.push(key);
        true
    }

    /// When something is due next.
    pub(super) fn next_timeout(&self) -> Option<UnixMillis> {
        let over =
            self.live.iter().map(|key| UnixMillis(key.until.0.saturating_add(OVERLAP_MS))).min();
        let due = match (&self.storing, self.current()) {
            (Some(_), _) => None,
            (None, Some(key)) => Some(key.until.max(self.retry_at)),
            (None, None) => Some(self.retry_at),
        };
        over.into_iter().chain(due).min()
    }
}

#[cfg(test)]
mod tests {
    use hearken_proto::time::DAY_MS;
    use rand_chacha::ChaCha20Rng;
    use rand_core::SeedableRng;

    use super::*;

    /// Steps time and stores what is to be stored, as a shell would.
    fn step(keys: &mut EpochKeys, now: UnixMillis, rng: &mut ChaCha20Rng) -> Vec<Action> {
        let mut actions = Vec::new();
        keys.handle_timeout(now, rng, &mut actions);
        for at in 0..actions.len() {
            if let Action::StoreEpochKey { epoch, .. } = actions[at] {
                assert!(keys.handle_stored(now, epoch, true, &mut actions));
            }
        }
        actions
    }

    fn is_destroyed(actions: &[Action], epoch: KeyEpoch) -> bool {
        actions
            .iter()
            .any(|action| matches!(action, Action::DestroyEpochKey(gone) if *gone == epoch))
    }

    #[test]
    fn keys_are_replaced_at_midnight_and_gone_a_day_later() {
        let mut rng = ChaCha20Rng::seed_from_u64(1);
        let mut keys = EpochKeys::new(Vec::new());
        let midnight = UnixDay(20_000).start();
        step(&mut keys, UnixMillis(midnight.0 + 5_000), &mut rng);
        let first = keys.current().unwrap().epoch();
        let next_midnight = midnight.0 + DAY_MS;
        assert!(step(&mut keys, UnixMillis(next_midnight - 1), &mut rng).is_empty());
        step(&mut keys, UnixMillis(next_midnight), &mut rng);
        let second = keys.current().unwrap().epoch();
        assert_ne!(first, second);
        assert!(keys.by_epoch(first).is_some());
        let actions = step(&mut keys, UnixMillis(next_midnight + DAY_MS - 1), &mut rng);
        assert!(!is_destroyed(&actions, first));
        let actions = step(&mut keys, UnixMillis(next_midnight + DAY_MS), &mut rng);
        assert!(is_destroyed(&actions, first));
        assert!(keys.by_epoch(first).is_none() && keys.by_hint(first.hint()).is_none());
        assert!(keys.by_epoch(second).is_some());
    }

    #[test]
    fn a_key_that_could_not_be_stored_is_never_published_and_another_is_made() {
        let mut rng = ChaCha20Rng::seed_from_u64(2);
        let mut keys = EpochKeys::new(Vec::new());
        let now = UnixDay(20_000).start();
        let mut actions = Vec::new();
        keys.handle_timeout(now, &mut rng, &mut actions);
        let Some(Action::StoreEpochKey { epoch, .. }) = actions.pop() else { panic!() };
        assert!(keys.current().is_none(), "published before it was stored");
        assert!(!keys.handle_stored(now, epoch, false, &mut actions));
        assert!(is_destroyed(&actions, epoch) && keys.current().is_none());
        actions.clear();
        for waited in [0, RETRY_MS - 1] {
            keys.handle_timeout(UnixMillis(now.0 + waited), &mut rng, &mut actions);
            assert!(actions.is_empty());
        }
        step(&mut keys, UnixMillis(now.0 + RETRY_MS), &mut rng);
        assert_ne!(keys.current().unwrap().epoch(), epoch);
    }

    #[test]
    fn old_keys_are_destroyed_on_time_even_when_no_new_one_can_be_stored() {
        let mut rng = ChaCha20Rng::seed_from_u64(3);
        let mut keys = EpochKeys::new(Vec::new());
        let day = UnixDay(20_000);
        step(&mut keys, day.start(), &mut rng);
        let mut actions = Vec::new();
        keys.handle_timeout(UnixDay(day.0 + 2).start(), &mut rng, &mut actions);
        assert!(keys.current().is_none());
        assert!(matches!(actions[..], [Action::DestroyEpochKey(_), Action::StoreEpochKey { .. }]));
    }

    #[test]
    fn live_epochs_never_share_a_first_byte() {
        for seed in 0..600 {
            let mut rng = ChaCha20Rng::seed_from_u64(seed);
            let hints = [0, 1, 2, 3, 4, 5, 6, 7];
            let bytes = EpochKey::draw(UnixMillis(0), &hints, &mut rng);
            assert!(!hints.contains(&bytes[0]));
        }
    }

    #[test]
    fn keys_survive_a_restart_and_those_of_a_clock_far_ahead_do_not() {
        let mut rng = ChaCha20Rng::seed_from_u64(4);
        let now = UnixDay(20_000).start();
        let bytes = EpochKey::draw(now, &[], &mut rng);
        let epoch = EpochKey::from_bytes(&bytes).unwrap().epoch();
        let mut keys = EpochKeys::new(vec![EpochKey::from_bytes(&bytes).unwrap()]);
        assert!(step(&mut keys, now, &mut rng).is_empty());
        assert_eq!(keys.current().unwrap().epoch(), epoch);
        let years_earlier = UnixDay(18_000).start();
        let actions = step(&mut keys, years_earlier, &mut rng);
        assert!(is_destroyed(&actions, epoch));
        assert_ne!(keys.current().unwrap().epoch(), epoch);
        assert!(EpochKey::from_bytes(&bytes[1..]).is_err());
    }

    #[test]
    fn a_clock_that_went_back_does_not_make_a_failed_key_wait_longer() {
        let mut rng = ChaCha20Rng::seed_from_u64(5);
        let mut keys = EpochKeys::new(Vec::new());
        let now = UnixDay(20_000).start();
        let mut actions = Vec::new();
        keys.handle_timeout(now, &mut rng, &mut actions);
        let Some(Action::StoreEpochKey { epoch, .. }) = actions.pop() else { panic!() };
        assert!(!keys.handle_stored(now, epoch, false, &mut actions));
        step(&mut keys, UnixMillis(now.0 - 5_000), &mut rng);
        assert!(keys.current().is_some());
    }

    #[test]
    fn a_key_may_end_two_days_ahead_and_not_a_millisecond_more() {
        let mut rng = ChaCha20Rng::seed_from_u64(6);
        let bytes = EpochKey::draw(UnixDay(20_001).start(), &[], &mut rng);
        let key = EpochKey::from_bytes(&bytes).unwrap();
        let two_days_before = UnixDay(20_000).start();
        assert_eq!(key.until(), UnixDay(20_002).start());
        assert!(!key.is_over(two_days_before));
        assert!(key.is_over(UnixMillis(two_days_before.0 - 1)));
    }

    #[test]
    fn keys_are_looked_at_again_when_they_end_are_over_or_may_be_stored_again() {
        let mut rng = ChaCha20Rng::seed_from_u64(7);
        let mut keys = EpochKeys::new(Vec::new());
        let midnight = UnixDay(20_000).start();
        assert_eq!(keys.next_timeout(), Some(UnixMillis(0)), "at once");
        step(&mut keys, midnight, &mut rng);
        let next = UnixMillis(midnight.0 + DAY_MS);
        assert_eq!(keys.next_timeout(), Some(next));
        let mut actions = Vec::new();
        keys.handle_timeout(next, &mut rng, &mut actions);
        assert_eq!(keys.next_timeout(), Some(UnixMillis(next.0 + DAY_MS)), "one is being stored");
        let Some(Action::StoreEpochKey { epoch, .. }) = actions.pop() else { panic!() };
        keys.handle_stored(next, epoch, false, &mut actions);
        assert_eq!(keys.next_timeout(), Some(UnixMillis(next.0 + RETRY_MS)));
    }
}

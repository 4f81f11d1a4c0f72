//! When to try again: later each time, and never at the same moment as everybody else.

use core::time::Duration;

use hearken_proto::time::UnixMillis;
use rand_core::CryptoRng;

/// The first wait.
const FIRST: Duration = Duration::from_millis(250);
/// The longest wait.
const LONGEST: Duration = Duration::from_secs(60);

/// Doubling waits with full jitter above a half: each is drawn between half of it and the whole.
#[derive(Clone, Debug, Default)]
pub(crate) struct Backoff {
    failures: u32,
}

impl Backoff {
    /// When to try again after one more failure.
    pub(crate) fn fail(
        &mut self,
        now: UnixMillis,
        rng: &mut (impl CryptoRng + ?Sized),
    ) -> UnixMillis {
        let whole = FIRST.saturating_mul(1 << self.failures.min(8)).min(LONGEST);
        self.failures = self.failures.saturating_add(1);
        let half = whole / 2;
        let half_ms = u64::try_from(half.as_millis()).unwrap_or(u64::MAX).max(1);
        let jitter = Duration::from_millis(rng.next_u64() % half_ms);
        now.after(half + jitter)
    }

    /// It worked: the next failure waits the shortest again.
    pub(crate) fn succeed(&mut self) {
        self.failures = 0;
    }

    /// Failures since it last worked.
    pub(crate) fn failures(&self) -> u32 {
        self.failures
    }
}

#[cfg(test)]
mod tests {
    use rand_chacha::ChaCha20Rng;
    use rand_chacha::rand_core::SeedableRng;

    use super::*;

    #[test]
    fn waits_double_up_to_a_minute_and_begin_anew_after_success() {
        let mut rng = ChaCha20Rng::seed_from_u64(1);
        let mut backoff = Backoff::default();
        let now = UnixMillis(1_000_000);
        let waits: Vec<u64> = (0..12).map(|_| backoff.fail(now, &mut rng).0 - now.0).collect();
        for (failures, wait) in waits.iter().enumerate() {
            let whole = (250u64 << failures.min(8)).min(60_000);
            assert!((whole / 2..whole).contains(wait), "failure {failures} waits {wait}");
        }
        backoff.succeed();
        assert!(backoff.fail(now, &mut rng).0 - now.0 < 250);
    }
}

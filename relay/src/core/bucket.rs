//! A token bucket: how many OPENs and INFOs a client link may have forwarded.

use hearken_proto::limits::{OPENS_PER_LINK_BURST, OPENS_PER_LINK_SECOND};

use super::clock::Moment;

/// Full at first; refilled as time passes.
#[derive(Debug)]
pub(super) struct Bucket {
    /// Thousandths of a token at `at`.
    level: u64,
    at: Moment,
}

const FULL: u64 = OPENS_PER_LINK_BURST as u64 * 1_000;

impl Bucket {
    pub(super) fn new(now: Moment) -> Self {
        Self { level: FULL, at: now }
    }

    /// Takes a token, if there is one.
    pub(super) fn take(&mut self, now: Moment) -> bool {
        let passed_ms = u64::try_from(now.since(self.at).as_millis()).unwrap_or(u64::MAX);
        let regained = passed_ms.saturating_mul(u64::from(OPENS_PER_LINK_SECOND));
        self.level = self.level.saturating_add(regained).min(FULL);
        self.at = now;
        let there = self.level >= 1_000;
        if there {
            self.level -= 1_000;
        }
        there
    }
}

#[cfg(test)]
mod tests {
    use hearken_proto::time::UnixMillis;

    use super::super::clock::Clock;
    use super::*;

    #[test]
    fn a_burst_is_let_through_and_then_a_few_a_second() {
        let mut clock = Clock::new(UnixMillis(0));
        let mut bucket = Bucket::new(clock.at(UnixMillis(0)));
        let now = clock.at(UnixMillis(0));
        assert_eq!((0..1_000).filter(|_| bucket.take(now)).count(), OPENS_PER_LINK_BURST as usize);
        let later = clock.at(UnixMillis(1_000));
        assert_eq!((0..100).filter(|_| bucket.take(later)).count(), OPENS_PER_LINK_SECOND as usize);
        let much_later = clock.at(UnixMillis(1_000_000_000));
        let again = (0..1_000).filter(|_| bucket.take(much_later)).count();
        assert_eq!(again, OPENS_PER_LINK_BURST as usize);
    }
}

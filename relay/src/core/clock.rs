//! Time as durations need it: a count of milliseconds that never goes back, though the wall clock may.
//!
//! Deadlines of some seconds (unproven sessions, stalled links) are kept as [`Moment`]s, so that a clock that was set
//! back by a day does not keep a half-open route for a day. Hours of expiry and key epochs are wall-clock time.

use core::time::Duration;

use hearken_proto::time::UnixMillis;

/// A point on the count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Moment(u64);

impl Moment {
    pub(super) fn after_seconds(self, seconds: u64) -> Self {
        Self(self.0.saturating_add(seconds.saturating_mul(1_000)))
    }

    pub(super) fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0))
    }
}

/// Reads moments off a wall clock.
#[derive(Debug)]
pub(super) struct Clock {
    newest: UnixMillis,
    /// What the wall clock went back by, in all.
    lost_ms: u64,
}

impl Clock {
    pub(super) fn new(now: UnixMillis) -> Self {
        Self { newest: now, lost_ms: 0 }
    }

    /// The moment of `now`.
    pub(super) fn at(&mut self, now: UnixMillis) -> Moment {
        self.lost_ms = self.lost_ms.saturating_add(self.newest.0.saturating_sub(now.0));
        self.newest = now;
        Moment(now.0.saturating_add(self.lost_ms))
    }

    /// The newest time that was shown.
    pub(super) fn newest(&self) -> UnixMillis {
        self.newest
    }

    /// When the wall clock will show a moment, if it is not set meanwhile.
    pub(super) fn wall(&self, moment: Moment) -> UnixMillis {
        UnixMillis(moment.0.saturating_sub(self.lost_ms))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_goes_back_does_not_take_a_moment_back() {
        let mut clock = Clock::new(UnixMillis(100_000));
        let start = clock.at(UnixMillis(100_000));
        let deadline = start.after_seconds(10);
        assert_eq!(clock.at(UnixMillis(40_000)), start);
        assert_eq!(clock.wall(deadline), UnixMillis(50_000));
        assert!(clock.at(UnixMillis(49_999)) < deadline);
        assert_eq!(clock.at(UnixMillis(50_000)), deadline);
    }
}

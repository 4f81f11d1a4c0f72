//! Wall-clock time as the protocol counts it.
//!
//! Cores never read a clock: a shell passes [`UnixMillis`] in, so that the same core runs under simulated time.

use std::time::Duration;

/// Milliseconds in an hour.
pub const HOUR_MS: u64 = 3_600_000;
/// Milliseconds in a day.
pub const DAY_MS: u64 = 24 * HOUR_MS;

/// A moment: milliseconds since 1970-01-01T00:00:00Z, leap seconds not counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct UnixMillis(pub u64);

/// An hour, counted from 1970-01-01T00:00Z. The finest time that a relay keeps of anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct UnixHour(pub u32);

/// A day in UTC, counted from 1970-01-01.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct UnixDay(pub u32);

impl UnixMillis {
    /// The hour that this moment lies in; saturates at the last hour that fits 32 bits.
    #[must_use]
    pub fn hour(self) -> UnixHour {
        UnixHour(u32::try_from(self.0 / HOUR_MS).unwrap_or(u32::MAX))
    }

    /// The UTC day that this moment lies in; saturates at the last day that fits 32 bits.
    #[must_use]
    pub fn day(self) -> UnixDay {
        UnixDay(u32::try_from(self.0 / DAY_MS).unwrap_or(u32::MAX))
    }

    /// This moment plus `duration`, saturating.
    #[must_use]
    pub fn after(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)))
    }

    /// The time from `earlier` to this moment; zero where `earlier` is later.
    #[must_use]
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0))
    }
}

impl UnixHour {
    /// The first moment of this hour.
    #[must_use]
    pub fn start(self) -> UnixMillis {
        UnixMillis(u64::from(self.0) * HOUR_MS)
    }

    /// The UTC day of this hour.
    #[must_use]
    pub fn day(self) -> UnixDay {
        UnixDay(self.0 / 24)
    }
}

impl UnixDay {
    /// The first moment of this day.
    #[must_use]
    pub fn start(self) -> UnixMillis {
        UnixMillis(u64::from(self.0) * DAY_MS)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_hour_and_a_day_begin_with_their_first_millisecond() {
        assert_eq!(UnixMillis(DAY_MS - 1).day(), UnixDay(0));
        assert_eq!(UnixMillis(DAY_MS).day(), UnixDay(1));
        assert_eq!(UnixMillis(HOUR_MS - 1).hour(), UnixHour(0));
        assert_eq!(UnixMillis(HOUR_MS).hour(), UnixHour(1));
        assert_eq!(UnixHour(49).day(), UnixDay(2));
        assert_eq!(UnixHour(49).start().hour(), UnixHour(49));
        assert_eq!(UnixDay(2).start().day(), UnixDay(2));
    }

    #[test]
    fn hours_and_days_are_those_of_the_calendar() {
        // 2000-02-29T23:59:59.999Z, and the millisecond after it.
        let last = UnixMillis(951_868_799_999);
        assert_eq!((last.day(), last.hour()), (UnixDay(11_016), UnixHour(264_407)));
        let next = last.after(Duration::from_millis(1));
        assert_eq!((next.day(), next.hour()), (UnixDay(11_017), UnixHour(264_408)));
        assert_eq!((next.day().start(), next.hour().start()), (next, next));
        assert_eq!(UnixDay(1).start(), UnixMillis(86_400_000));
        assert_eq!(UnixHour(1).start(), UnixMillis(3_600_000));
    }

    #[test]
    fn time_saturates_at_both_ends() {
        let last = UnixMillis(u64::MAX);
        assert_eq!(last.hour(), UnixHour(u32::MAX));
        assert_eq!(last.day(), UnixDay(u32::MAX));
        assert_eq!(last.after(Duration::MAX), last);
        assert_eq!(UnixMillis(1).since(UnixMillis(2)), Duration::ZERO);
        assert_eq!(UnixMillis(5).since(UnixMillis(2)), Duration::from_millis(3));
        let _ = UnixHour(u32::MAX).start().after(Duration::from_secs(1));
    }
}

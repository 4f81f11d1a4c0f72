//! Times that were taken, and the one below which a part of them lies.

use std::time::Duration;

/// Times taken, in microseconds, in no order.
#[derive(Clone, Debug, Default)]
pub struct Latencies(Vec<u32>);

impl Latencies {
    /// Notes one; above 71 minutes it counts as that.
    pub fn note(&mut self, time: Duration) {
        self.0.push(u32::try_from(time.as_micros()).unwrap_or(u32::MAX));
    }

    /// Takes over those of another.
    pub fn append(&mut self, mut other: Self) {
        self.0.append(&mut other.0);
    }

    /// How many were noted.
    #[must_use]
    pub fn count(&self) -> usize {
        self.0.len()
    }

    /// The time that `part` of them (0 to 1) do not exceed, in milliseconds; 0 where none was noted.
    #[must_use]
    pub fn quantile_ms(&mut self, part: f64) -> f64 {
        let Some(last) = self.0.len().checked_sub(1) else { return 0.0 };
        let at = ((self.0.len() as f64 * part).ceil() as usize).saturating_sub(1).min(last);
        let (_, time, _) = self.0.select_nth_unstable(at);
        f64::from(*time) / 1_000.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_the_times_that_so_many_do_not_exceed() {
        let mut times = Latencies::default();
        assert!(times.quantile_ms(0.5).abs() < f64::EPSILON);
        (1..=100).rev().for_each(|ms| times.note(Duration::from_millis(ms)));
        assert!((times.quantile_ms(0.5) - 50.0).abs() < f64::EPSILON);
        assert!((times.quantile_ms(0.99) - 99.0).abs() < f64::EPSILON);
        assert!((times.quantile_ms(1.0) - 100.0).abs() < f64::EPSILON);
    }
}

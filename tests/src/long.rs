//! How much of a long proof a run does: scaled down by default, whole with `HEARKEN_LONG=1`, and a share of the whole with
//! `HEARKEN_SHARD=i/n`, so that a proof of hours is done in several sittings and on several machines.
//!
//! What was run whole stands in `tests/RUNS.md`, which adds the shards up.

use std::ops::Range;

/// Whether the whole is asked for.
#[must_use]
pub fn is_long() -> bool {
    std::env::var("HEARKEN_LONG").is_ok_and(|value| value == "1")
}

/// One of `count` equal shares of a whole, counted from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shard {
    index: u64,
    count: u64,
}

impl Shard {
    /// The whole.
    pub const WHOLE: Self = Self { index: 1, count: 1 };

    /// Reads `i/n` with 1 ≤ i ≤ n.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (index, count) = text.split_once('/')?;
        let (index, count) = (index.parse().ok()?, count.parse().ok()?);
        (1..=count).contains(&index).then_some(Self { index, count })
    }

    /// Which of `0..total` belong to this shard. The shards of one count share them out without gap or overlap.
    #[must_use]
    pub fn of(self, total: u64) -> Range<u64> {
        let edge = |index: u64| {
            let edge = u128::from(total) * u128::from(index) / u128::from(self.count);
            u64::try_from(edge).unwrap_or(total)
        };
        edge(self.index - 1)..edge(self.index)
    }
}

/// The shard that `HEARKEN_SHARD` names; the whole where it is not set.
///
/// # Panics
/// When it is set to anything but `i/n`: a shard that was meant and not run must not look done.
#[must_use]
#[allow(clippy::panic, reason = "a run with a misspelt shard must not pass")]
pub fn shard() -> Shard {
    match std::env::var("HEARKEN_SHARD") {
        Ok(text) => match Shard::parse(&text) {
            Some(shard) => shard,
            None => panic!("HEARKEN_SHARD is i/n with 1 ≤ i ≤ n"),
        },
        Err(_) => Shard::WHOLE,
    }
}

/// Which of `0..whole` this run does: its shard with `HEARKEN_LONG=1`, else the first `scaled`.
#[must_use]
pub fn share(whole: u64, scaled: u64) -> Range<u64> {
    if is_long() { shard().of(whole) } else { 0..scaled.min(whole) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shards_share_a_whole_out_without_gap_or_overlap() {
        for total in [0, 1, 7, 100_000, u64::MAX] {
            for count in [1, 2, 3, 7, 100] {
                let mut next = 0;
                for index in 1..=count {
                    let share = Shard { index, count }.of(total);
                    assert_eq!(share.start, next);
                    next = share.end;
                }
                assert_eq!(next, total);
            }
        }
    }

    #[test]
    fn what_is_no_shard_is_not_read_as_one() {
        for text in ["", "1", "0/3", "4/3", "1/0", "-1/3", "1/3/5", "a/b", "1.5/3"] {
            assert_eq!(Shard::parse(text), None, "{text}");
        }
        assert_eq!(Shard::parse("2/3"), Some(Shard { index: 2, count: 3 }));
    }
}

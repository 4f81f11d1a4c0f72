//! Where positions begin. A store that is restored begins another life, and every position of that life lies above
//! every position that any reader can have a cursor at.
//!
//! A store that was never restored begins at zero. A restore begins at the millisecond (since 1970) at which it is made,
//! shifted by 21 bits: so of two restores of the *same* backup, or of an older backup after a newer one, the later still
//! begins above the earlier. Counting generations up from the one in the backup would give both the same. Where the
//! clock stands behind the life that was backed up, the next generation (the upper 16 bits) but one is taken.
//!
//! Guarantees: above all positions of the backup, whatever the clock says; above those of every earlier restore, where
//! the clock is right; below 2^63, which clients can store, until the year 2109. 2^21 positions a millisecond are more
//! than any relay gives.

use hearken_proto::time::{UnixDay, UnixMillis};

const GENERATION_BITS: u32 = 48;
const MILLISECOND_BITS: u32 = 21;
/// Mailboxes made on one day begin this many bits apart from the next day's, so that a mailbox made again after it
/// went begins above every cursor into the earlier one.
const DAY_BITS: u32 = 24;
const DAY_MS: u64 = 86_400_000;
/// The last millisecond whose positions clients can store: 63 bits.
const MILLISECONDS_MAX: u64 = (1 << 42) - 1;
/// The last generation of which clients can store every position.
const GENERATION_MAX: u64 = (1 << 15) - 1;

/// The first position of the life that a restore at `now` begins, from a backup made in the life that began at
/// `backed_up`.
#[must_use]
pub fn restored(backed_up: u64, now: UnixMillis) -> u64 {
    let by_clock = now.0.min(MILLISECONDS_MAX) << MILLISECOND_BITS;
    if by_clock > backed_up {
        return by_clock;
    }
    // Two on: the life may have begun just below a generation's end and have gone past it.
    let next = (backed_up >> GENERATION_BITS) + 2;
    next.min(GENERATION_MAX) << GENERATION_BITS
}

/// Where a mailbox that is made on a day begins, in the life that began at `first`.
#[must_use]
pub fn position_on(first: u64, today: UnixDay) -> u64 {
    let begun = (first >> MILLISECOND_BITS) / DAY_MS;
    let days = u64::from(today.0).saturating_sub(begun);
    first.saturating_add(days << DAY_BITS)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOON: UnixMillis = UnixMillis(20_000 * DAY_MS + DAY_MS / 2);

    fn later(ms: u64) -> UnixMillis {
        UnixMillis(NOON.0 + ms)
    }

    #[test]
    fn a_restored_life_begins_above_every_position_of_the_one_that_was_backed_up() {
        let never = position_on(0, NOON.day()) + (1 << 23);
        let first = restored(0, NOON);
        assert!(first > never);
        let used = position_on(first, UnixDay(20_400)) + (1 << 30);
        assert!(restored(first, UnixMillis(20_400 * DAY_MS)) > used);
    }

    #[test]
    fn the_same_backup_restored_twice_begins_higher_the_second_time() {
        let first = restored(0, NOON);
        let used = position_on(first, NOON.day()) + 1_000;
        let second = restored(0, later(2));
        assert!(second > used, "the same generation, a later start");
        // An older backup after one that was made in the restored life.
        let newer = restored(second, later(4));
        assert!(restored(0, later(6)) > position_on(newer, NOON.day()) + 1_000);
    }

    #[test]
    fn a_clock_that_stands_behind_does_not_lower_positions() {
        let first = restored(0, NOON);
        for now in [UnixMillis(0), UnixMillis(NOON.0 - 1), NOON] {
            let second = restored(first, now);
            assert!(second > position_on(first, NOON.day()) + (1 << 40), "{now:?}");
        }
    }

    #[test]
    fn a_mailbox_made_again_on_a_later_day_begins_above_the_earlier_one() {
        for first in [0, restored(0, NOON)] {
            let early = position_on(first, UnixDay(20_000));
            assert!(position_on(first, UnixDay(20_001)) > early + (1 << 23));
        }
    }
}

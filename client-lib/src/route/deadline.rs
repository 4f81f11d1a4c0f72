//! A moment until which something holds, on a wall clock that may be set.

use std::time::Duration;

use hearken_proto::time::UnixMillis;

/// From when until when. A clock that went back to before the start ends it too: a wait of seconds must not become one
/// of hours because somebody set the clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Deadline {
    from: UnixMillis,
    until: UnixMillis,
}

impl Deadline {
    /// The deadline `wait` after `now`.
    pub(super) fn after(now: UnixMillis, wait: Duration) -> Self {
        Self { from: now, until: now.after(wait) }
    }

    /// Whether it has passed.
    pub(super) fn has_passed(&self, now: UnixMillis) -> bool {
        now >= self.until || now < self.from
    }

    /// When it passes.
    pub(super) fn at(&self) -> UnixMillis {
        self.until
    }
}

//! How long an opening takes on a machine that may be busy with other work.

use std::time::{Duration, Instant};

/// The kernel's account of this thread: nanoseconds that it ran, nanoseconds that it waited for a processor, and how often.
const ACCOUNT: &str = "/proc/thread-self/schedstat";

/// A watch that stands while its thread waits for a processor that others have. Where the kernel keeps no account of that,
/// it goes on.
#[derive(Debug)]
pub(super) struct Watch {
    begun: Instant,
    waited: Duration,
}

impl Watch {
    pub(super) fn begin() -> Self {
        Self { begun: Instant::now(), waited: waited() }
    }

    pub(super) fn elapsed(&self) -> Duration {
        self.begun.elapsed().saturating_sub(waited().saturating_sub(self.waited))
    }
}

fn waited() -> Duration {
    let account = std::fs::read_to_string(ACCOUNT).unwrap_or_default();
    let waited = account.split(' ').nth(1).and_then(|nanoseconds| nanoseconds.parse().ok());
    Duration::from_nanos(waited.unwrap_or(0))
}

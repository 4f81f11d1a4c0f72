//! One link to a first hop: which route ids it has given out, what waits on them, and when it may go.
//!
//! Route ids begin at 1 and rise; none is used twice, so what comes late on one that has ended is told apart from what
//! nobody asked for.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use hearken_proto::address::RelayAddress;
use hearken_proto::ids::Fingerprint;
use hearken_proto::info::VerifiedInfo;
use hearken_proto::limits::{OPENS_PER_LINK_BURST, OPENS_PER_LINK_SECOND};
use hearken_proto::time::UnixMillis;

use super::deadline::Deadline;
use super::event::SessionId;

/// How long a link without sessions is kept: long enough for the next command of a person.
const IDLE: Duration = Duration::from_secs(30);

/// How long a carrier may take to connect. The carrier itself gives up earlier; this bounds one that reports nothing.
const CONNECT: Duration = Duration::from_secs(15);

/// How long an OPEN or INFO may stay unanswered: an entry's dial (10 s), and the way there and back on a bad network.
pub(super) const ANSWER: Duration = Duration::from_secs(15);

/// What route id 1 of a link follows.
const NO_ROUTE: u64 = 0;

/// A link and what is carried over it.
pub(super) struct Link {
    pub(super) address: RelayAddress,
    state: State,
    last_route: u64,
    /// Sessions that have sent their OPEN, by route.
    pub(super) routes: BTreeMap<u64, SessionId>,
    /// INFOs not yet answered, by route.
    pub(super) fetches: BTreeMap<u64, Fetch>,
    /// Sessions that count on this link, whether they have a route yet or not.
    sessions: usize,
    pub(super) pace: Pace,
}

enum State {
    Connecting(Deadline),
    Used,
    Idle(Deadline),
}

/// An INFO that was sent.
pub(super) struct Fetch {
    /// Whose information.
    pub(super) relay: Fingerprint,
    /// The entry's, whose hop key the next hop is sealed to; `None` when the first hop was asked for its own.
    pub(super) entry: Option<Arc<VerifiedInfo>>,
    /// Until when the answer is waited for.
    pub(super) deadline: Deadline,
    /// Which place of the relay behind the entry it went to.
    pub(super) turn: Option<usize>,
}

impl Link {
    pub(super) fn new(address: RelayAddress, now: UnixMillis) -> Self {
        Self {
            address,
            state: State::Connecting(Deadline::after(now, CONNECT)),
            last_route: NO_ROUTE,
            routes: BTreeMap::new(),
            fetches: BTreeMap::new(),
            sessions: 0,
            pace: Pace::new(now),
        }
    }

    pub(super) fn first_hop(&self) -> Fingerprint {
        self.address.fingerprint()
    }

    pub(super) fn is_connected(&self) -> bool {
        !matches!(self.state, State::Connecting(_))
    }

    /// The carrier has connected. `false` when it had before.
    pub(super) fn connected(&mut self, now: UnixMillis) -> bool {
        let fresh = !self.is_connected();
        if fresh {
            self.pace = Pace::new(now);
            self.state = self.resting(now);
        }
        fresh
    }

    /// A session counts on this link.
    pub(super) fn join(&mut self) {
        self.sessions += 1;
        if self.is_connected() {
            self.state = State::Used;
        }
    }

    /// A session has ended.
    pub(super) fn leave(&mut self, now: UnixMillis) {
        self.sessions = self.sessions.saturating_sub(1);
        if self.is_connected() {
            self.state = self.resting(now);
        }
    }

    fn resting(&self, now: UnixMillis) -> State {
        if self.sessions == 0 { State::Idle(Deadline::after(now, IDLE)) } else { State::Used }
    }

    /// The id of the next route.
    pub(super) fn next_route(&mut self) -> u64 {
        self.last_route += 1;
        self.last_route
    }

    /// Whether this route id was given out, whatever became of it.
    pub(super) fn has_used(&self, route: u64) -> bool {
        route > NO_ROUTE && route <= self.last_route
    }

    pub(super) fn is_fetching(&self, relay: Fingerprint) -> bool {
        self.fetches.values().any(|fetch| fetch.relay == relay)
    }

    /// Whether the carrier took too long to connect.
    pub(super) fn has_failed(&self, now: UnixMillis) -> bool {
        matches!(&self.state, State::Connecting(deadline) if deadline.has_passed(now))
    }

    /// Whether it was without sessions for long enough.
    pub(super) fn has_idled(&self, now: UnixMillis) -> bool {
        matches!(&self.state, State::Idle(deadline) if deadline.has_passed(now))
    }

    pub(super) fn poll_timeout(&self) -> Option<UnixMillis> {
        let state = match &self.state {
            State::Connecting(deadline) | State::Idle(deadline) => Some(deadline.at()),
            State::Used => None,
        };
        state.into_iter().chain(self.fetches.values().map(|fetch| fetch.deadline.at())).min()
    }
}

/// OPENs and INFOs that may go out: a token bucket three quarters as large as the one that the relay has for a link and
/// as fast, so that a network that delays cells by up to four seconds and then delivers them at once exceeds nothing.
pub(super) struct Pace {
    /// Thousandths of a token, as of `counted_at`.
    credit: u64,
    counted_at: UnixMillis,
}

/// One token.
const TOKEN: u64 = 1_000;
const CREDIT_MAX: u64 = OPENS_PER_LINK_BURST as u64 * TOKEN / 4 * 3;
/// Thousandths of a token a millisecond are tokens a second.
const CREDIT_PER_MS: u64 = OPENS_PER_LINK_SECOND as u64;

impl Pace {
    fn new(now: UnixMillis) -> Self {
        Self { credit: CREDIT_MAX, counted_at: now }
    }

    /// Takes the token of one OPEN or INFO, where there is one.
    pub(super) fn take(&mut self, now: UnixMillis) -> bool {
        let elapsed = now.0.saturating_sub(self.counted_at.0);
        self.credit =
            self.credit.saturating_add(elapsed.saturating_mul(CREDIT_PER_MS)).min(CREDIT_MAX);
        self.counted_at = now;
        if self.credit < TOKEN {
            return false;
        }
        self.credit -= TOKEN;
        true
    }

    /// When there is a token.
    pub(super) fn next(&self) -> UnixMillis {
        let missing = TOKEN.saturating_sub(self.credit).div_ceil(CREDIT_PER_MS);
        self.counted_at.after(Duration::from_millis(missing))
    }
}

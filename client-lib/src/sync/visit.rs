//! The one session of a part that comes again after every end: which it is, why the last attempt failed, and when the
//! next is due.

use hearken_proto::time::UnixMillis;
use rand_core::CryptoRng;

use super::backoff::Backoff;
use super::trouble::Trouble;
use crate::route::SessionId;

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Visit {
    session: Option<SessionId>,
    retry_at: Option<UnixMillis>,
    backoff: Backoff,
    failure: Option<Trouble>,
}

impl Visit {
    /// The session that there is, opening or open.
    pub(crate) fn session(&self) -> Option<SessionId> {
        self.session
    }

    /// Whether it is this session.
    pub(crate) fn is(&self, session: SessionId) -> bool {
        self.session == Some(session)
    }

    /// Whether a session should be opened.
    pub(crate) fn is_due(&self, now: UnixMillis) -> bool {
        self.session.is_none() && self.retry_at.is_none_or(|at| at <= now)
    }

    /// A session is being opened.
    pub(crate) fn opening(&mut self, session: SessionId) {
        self.session = Some(session);
        self.retry_at = None;
    }

    /// Another session takes its place; the one that it replaces.
    pub(crate) fn replace(&mut self, session: SessionId) -> Option<SessionId> {
        self.session.replace(session)
    }

    /// Something worked: the next failure waits the shortest again.
    pub(crate) fn succeed(&mut self) {
        self.backoff.succeed();
        self.failure = None;
    }

    /// The session is over, and nothing is to be said about it.
    pub(crate) fn end(&mut self) {
        self.session = None;
    }

    /// The session is over or could not be had; another is due later.
    pub(crate) fn fail(
        &mut self,
        trouble: Trouble,
        now: UnixMillis,
        rng: &mut (impl CryptoRng + ?Sized),
    ) {
        self.session = None;
        self.failure = Some(trouble);
        self.retry_at = Some(self.backoff.fail(now, rng));
    }

    /// The session ended. `failure` is why, where it was not this side's wish.
    pub(crate) fn close(
        &mut self,
        failure: Option<Trouble>,
        now: UnixMillis,
        rng: &mut (impl CryptoRng + ?Sized),
    ) {
        match failure {
            Some(failure) => self.fail(failure, now, rng),
            None => self.end(),
        }
    }

    /// Something failed and the session stays: when to try again in it.
    pub(crate) fn wait(
        &mut self,
        trouble: Trouble,
        now: UnixMillis,
        rng: &mut (impl CryptoRng + ?Sized),
    ) -> UnixMillis {
        self.failure = Some(trouble);
        self.backoff.fail(now, rng)
    }

    /// Forgets earlier failures: a new attempt is due at once.
    pub(crate) fn begin_anew(&mut self) {
        self.retry_at = None;
        self.succeed();
    }

    /// Why it last failed, until something works again.
    pub(crate) fn failure(&self) -> Option<Trouble> {
        self.failure
    }

    /// Attempts that failed since the last that worked.
    pub(crate) fn failures(&self) -> u32 {
        self.backoff.failures()
    }

    /// Time has passed: a wait that is over is due no more, also where nothing wants a session.
    pub(crate) fn handle_timeout(&mut self, now: UnixMillis) {
        self.retry_at.take_if(|at| *at <= now);
    }

    /// When a new session is due.
    pub(crate) fn poll_timeout(&self) -> Option<UnixMillis> {
        self.retry_at.filter(|_| self.session.is_none())
    }
}

/// What a relay's refusal means to whoever tries again later.
pub(crate) fn trouble_of(reason: hearken_proto::wire::Reason) -> Trouble {
    use hearken_proto::wire::Reason;
    match reason {
        Reason::NoRoom | Reason::Full => Trouble::RelayFull,
        Reason::NotAdmitted => Trouble::NotAdmitted,
        Reason::Busy => Trouble::RelayBusy,
        _ => Trouble::RelayMisbehaved,
    }
}

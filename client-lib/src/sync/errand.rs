//! Errands: what needs one or a few sessions of its own, once: an invitation, a join, the end of a mailbox.
//!
//! Each is a list of stages, one session a stage, since no session ever serves two objects. A session that is lost is
//! opened again, until the errand's time is up; then nothing is left behind that a person would see.

mod farewell;
mod invite;
mod join;

use core::time::Duration;

use hearken_proto::address::RelayAddress;
use hearken_proto::ids::Fingerprint;
use hearken_proto::payload::Blob;
use hearken_proto::pow::{Challenge, Purpose, Search};
use hearken_proto::time::UnixMillis;
use hearken_proto::wire::{Reason, reply};
use rand_core::CryptoRng;
use rusqlite::Connection;
use zeroize::Zeroizing;

use super::backoff::Backoff;
use super::records::Farewell;
use super::trouble::Trouble;
use crate::contact::ContactId;
use crate::error::ClientError;
use crate::route::{CloseWhy, Router, SessionId};
use crate::vault::VaultError;

pub(crate) use invite::InviteErrand;
pub(crate) use join::JoinErrand;

/// How long an errand is tried.
pub(crate) const ERRAND_TIME: Duration = Duration::from_secs(20);

/// An errand under way, of one engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct ErrandId(pub(crate) u64);

/// What an errand came to.
#[derive(Debug)]
pub(crate) enum ErrandOutcome {
    /// An invitation is open.
    Invited { contact: ContactId, link: Zeroizing<String> },
    /// An invitation was joined.
    Joined { contact: ContactId, mailbox_on_theirs: bool },
    /// A mailbox is gone.
    Ended,
}

/// What the engine shall do for an errand.
#[derive(Debug)]
pub(crate) enum ErrandStep {
    /// Nothing: it waits for the relay or its own work.
    Going,
    /// The stage is over.
    CloseSession(SessionId),
    /// The stage is over and something must be stored: [`Errand::store`].
    Store(SessionId),
    /// It has failed: [`Errand::undo`].
    Failed(ClientError, Option<SessionId>),
}

/// What the current stage says to an answer.
pub(crate) enum StageStep {
    /// It waits for more.
    Going,
    /// The next stage begins.
    Next,
    /// The next stage begins once something is stored.
    Store,
    /// Proof of work is needed before it goes on.
    Work { purpose: Purpose, object_id: [u8; 32], size: u32 },
    /// The errand has failed.
    Failed(ClientError),
}

/// The stages of one kind of errand.
pub(crate) trait Stages {
    /// The relay that the present stage needs.
    fn destination(&self) -> &RelayAddress;
    /// Its session is open.
    fn handle_opened(&mut self, session: SessionId, router: &mut Router) -> StageStep;
    /// Proof of work that it asked for.
    fn handle_proof(&mut self, session: SessionId, nonce: u64, router: &mut Router) -> StageStep;
    /// An answer to a command of it.
    fn handle_answer(
        &mut self,
        session: SessionId,
        reply: reply::Reply,
        blob: Option<Blob>,
        router: &mut Router,
        now: UnixMillis,
        rng: &mut dyn CryptoRng,
    ) -> StageStep;
    /// Stores what a stage came to; `Some` when the errand is done.
    fn store(
        &mut self,
        tx: &Connection,
        now: UnixMillis,
        rng: &mut dyn CryptoRng,
    ) -> Result<Option<ErrandOutcome>, ClientError>;
    /// Takes back what earlier stages stored, where that is safe.
    fn undo(&mut self, tx: &Connection) -> Result<(), VaultError>;
}

/// An errand under way.
pub(crate) struct Errand {
    stages: Box<dyn Stages + Send>,
    farewell: Option<i64>,
    /// The link that it joins.
    joins: Option<[u8; 32]>,
    deadline: UnixMillis,
    session: Option<SessionId>,
    search: Option<Search>,
    retry_at: Option<UnixMillis>,
    backoff: Backoff,
    relay: Fingerprint,
}

impl Errand {
    pub(crate) fn new(stages: impl Stages + Send + 'static, now: UnixMillis) -> Self {
        let relay = stages.destination().fingerprint();
        Self {
            stages: Box::new(stages),
            farewell: None,
            joins: None,
            deadline: now.after(ERRAND_TIME),
            session: None,
            search: None,
            retry_at: None,
            backoff: Backoff::default(),
            relay,
        }
    }

    /// Ends a mailbox at its relay.
    pub(crate) fn farewell(farewell: Farewell, now: UnixMillis) -> Self {
        let seq = farewell.seq;
        Self { farewell: Some(seq), ..Self::new(farewell::FarewellErrand::new(farewell), now) }
    }

    /// Joins an invitation.
    pub(crate) fn join(join: JoinErrand, now: UnixMillis) -> Self {
        Self { joins: Some(join.link_hash()), ..Self::new(join, now) }
    }

    /// Whether it joins this link.
    pub(crate) fn is_join_of(&self, link_hash: &[u8; 32]) -> bool {
        self.joins.as_ref() == Some(link_hash)
    }

    /// The session that it has at present.
    pub(crate) fn session(&self) -> Option<SessionId> {
        self.session
    }

    /// Whether this ends that mailbox.
    pub(crate) fn is_farewell(&self, seq: i64) -> bool {
        self.farewell == Some(seq)
    }

    /// The relay of the present stage.
    pub(crate) fn relay(&self) -> Fingerprint {
        self.relay
    }

    pub(crate) fn address(&self) -> &RelayAddress {
        self.stages.destination()
    }

    pub(crate) fn wants_session(&self, now: UnixMillis) -> bool {
        self.session.is_none() && self.retry_at.is_none_or(|at| at <= now)
    }

    pub(crate) fn opening(&mut self, session: SessionId) {
        self.session = Some(session);
        self.retry_at = None;
        self.relay = self.stages.destination().fingerprint();
    }

    pub(crate) fn handle_opened(
        &mut self,
        router: &mut Router,
        rng: &mut (impl CryptoRng + ?Sized),
    ) -> ErrandStep {
        let Some(session) = self.session else { return ErrandStep::Going };
        let step = self.stages.handle_opened(session, router);
        self.take(step, session, router, rng)
    }

    pub(crate) fn handle_answer(
        &mut self,
        last: bool,
        reply: reply::Reply,
        blob: Option<Blob>,
        router: &mut Router,
        now: UnixMillis,
        mut rng: &mut (impl CryptoRng + ?Sized),
    ) -> ErrandStep {
        let Some(session) = self.session else { return ErrandStep::Going };
        // Every command of an errand has one cell of answer.
        debug_assert!(last);
        let step = self.stages.handle_answer(session, reply, blob, router, now, &mut rng);
        self.take(step, session, router, rng)
    }

    fn take(
        &mut self,
        step: StageStep,
        session: SessionId,
        router: &mut Router,
        rng: &mut (impl CryptoRng + ?Sized),
    ) -> ErrandStep {
        match step {
            StageStep::Going => ErrandStep::Going,
            StageStep::Next => {
                self.session = None;
                ErrandStep::CloseSession(session)
            }
            StageStep::Store => {
                self.session = None;
                ErrandStep::Store(session)
            }
            StageStep::Work { purpose, object_id, size } => {
                let Some(info) = router.info(session) else {
                    return ErrandStep::Failed(ClientError::RelayMisbehaved, Some(session));
                };
                let challenge =
                    Challenge { purpose, context: info.context(), object_id: &object_id, size };
                let bits = info.info().proof_of_work_bits;
                self.search = Search::new(&challenge, bits, rng.next_u64());
                if self.search.is_none() {
                    return ErrandStep::Failed(ClientError::RelayMisbehaved, Some(session));
                }
                ErrandStep::Going
            }
            StageStep::Failed(error) => ErrandStep::Failed(error, Some(session)),
        }
    }

    pub(crate) fn is_working(&self) -> bool {
        self.search.is_some()
    }

    /// Searches some more for a proof of work, and notices when the time is up.
    pub(crate) fn work(&mut self, now: UnixMillis, router: &mut Router) -> ErrandStep {
        if now >= self.deadline {
            return ErrandStep::Failed(ClientError::Unreachable, self.session);
        }
        let (Some(search), Some(session)) = (&mut self.search, self.session) else {
            return ErrandStep::Going;
        };
        let Some(nonce) = search.advance() else { return ErrandStep::Going };
        self.search = None;
        match self.stages.handle_proof(session, nonce, router) {
            StageStep::Failed(error) => ErrandStep::Failed(error, Some(session)),
            _ => ErrandStep::Going,
        }
    }

    pub(crate) fn handle_closed(
        &mut self,
        why: CloseWhy,
        now: UnixMillis,
        rng: &mut (impl CryptoRng + ?Sized),
    ) -> ErrandStep {
        self.session = None;
        self.search = None;
        let trouble = Trouble::Route(why);
        let retry_at = self.backoff.fail(now, rng);
        let again = trouble.is_unreachable() || trouble.patience() > self.backoff.failures();
        if again && retry_at < self.deadline {
            self.retry_at = Some(retry_at);
            ErrandStep::Going
        } else {
            ErrandStep::Failed(trouble.into_error(), None)
        }
    }

    pub(crate) fn store(
        &mut self,
        tx: &Connection,
        now: UnixMillis,
        mut rng: &mut (impl CryptoRng + ?Sized),
    ) -> Result<Option<ErrandOutcome>, ClientError> {
        self.stages.store(tx, now, &mut rng)
    }

    pub(crate) fn undo(&mut self, tx: &Connection) -> Result<(), VaultError> {
        self.stages.undo(tx)
    }

    /// When it is to be tried again, or given up.
    pub(crate) fn poll_timeout(&self) -> UnixMillis {
        self.retry_at
            .filter(|_| self.session.is_none())
            .map_or(self.deadline, |at| at.min(self.deadline))
    }
}

/// What a relay's refusal of something that makes state means.
fn refusal(reason: i32) -> ClientError {
    match Reason::try_from(reason) {
        Ok(Reason::NoRoom | Reason::Full) => ClientError::RelayFull,
        Ok(Reason::NotAdmitted) => ClientError::NotAdmitted,
        Ok(Reason::Busy) => ClientError::RelayBusy,
        _ => ClientError::RelayMisbehaved,
    }
}

//! The reading side of a mailbox of ours: watched from the cursor on, acknowledged after what came is stored, made
//! again where the relay has lost it.
//!
//! Everything comes by `Watch`: its answer says how far there is something to read, so a sync knows when it has
//! everything, and a follower goes on listening on the same session.

use std::sync::Arc;

use hearken_proto::auth::ObjectSecretKey;
use hearken_proto::ids::{Fingerprint, RecvId};
use hearken_proto::payload::Blob;
use hearken_proto::pow::{Challenge, Purpose, Search};
use hearken_proto::time::UnixMillis;
use hearken_proto::wire::{Ack, Create, Reason, Role, Watch, Watching, command};
use rand_core::CryptoRng;

use super::backoff::Backoff;
use super::records::Incoming;
use super::trouble::Trouble;
use crate::route::{Router, SessionId};

#[cfg(test)]
mod tests;

/// What a receiver is doing.
#[derive(Debug)]
enum Phase {
    /// No session.
    Away,
    /// A session is being opened.
    Opening,
    /// The mailbox is gone and proof of work for a new one is being searched.
    Working(Search),
    /// The mailbox is being made again.
    Creating,
    /// `Watch` was asked for.
    Asking,
    /// Blobs are pushed as they come.
    Watching {
        /// Everything up to here waited when the watch began.
        newest: u64,
    },
}

/// What a reply changed.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum ReceiverStep {
    /// Nothing that the engine must store.
    Nothing,
    /// The relay lost the mailbox and it was made again: positions begin anew.
    Remade,
    /// The watch has begun.
    Watching {
        /// So many claims by others were refused so far.
        claims_refused: u32,
        /// Nobody has claimed the mailbox, and nothing waits in it.
        is_untouched: bool,
    },
}

/// The reading side of one mailbox.
pub(crate) struct Receiver {
    relay: Fingerprint,
    receive_key: Arc<ObjectSecretKey>,
    claim_public_key: Option<[u8; 32]>,
    sender_public_key: Option<[u8; 32]>,
    cursor: u64,
    arrived: Vec<(u64, Blob)>,
    arrived_up_to: u64,
    phase: Phase,
    session: Option<SessionId>,
    /// The session that takes over from one that has grown old.
    successor: Option<SessionId>,
    successor_asked: bool,
    /// Whether the relay was told in this session who writes here.
    has_told_sender: bool,
    retry_at: Option<UnixMillis>,
    backoff: Backoff,
    failure: Option<Trouble>,
}

impl Receiver {
    pub(crate) fn new(incoming: &Incoming) -> Self {
        Self {
            relay: incoming.relay,
            receive_key: Arc::clone(&incoming.receive_key),
            claim_public_key: incoming.claim_key.as_ref().map(ObjectSecretKey::public_key),
            sender_public_key: incoming.sender_public_key,
            cursor: incoming.cursor,
            arrived: Vec::new(),
            arrived_up_to: incoming.cursor,
            phase: Phase::Away,
            session: None,
            successor: None,
            successor_asked: false,
            has_told_sender: false,
            retry_at: None,
            backoff: Backoff::default(),
            failure: None,
        }
    }

    pub(crate) fn relay(&self) -> Fingerprint {
        self.relay
    }

    pub(crate) fn sessions(&self) -> impl Iterator<Item = SessionId> {
        self.session.into_iter().chain(self.successor)
    }

    pub(crate) fn session(&self) -> Option<SessionId> {
        self.session
    }

    /// Why it last failed, until it works again.
    pub(crate) fn failure(&self) -> Option<Trouble> {
        self.failure
    }

    /// Attempts that failed since the last that worked.
    pub(crate) fn failures(&self) -> u32 {
        self.backoff.failures()
    }

    /// Forgets earlier failures, for a new sync, and asks anew how far there is something: what a watch was told when it
    /// began is of then.
    pub(crate) fn begin_anew(&mut self, router: &mut Router) {
        self.retry_at = None;
        self.failure = None;
        self.backoff.succeed();
        if let (Phase::Watching { .. }, Some(session)) = (&self.phase, self.session) {
            self.phase = Phase::Asking;
            self.watch(router, session);
        }
    }

    /// The other side told who writes here.
    pub(crate) fn set_sender(&mut self, sender_public_key: [u8; 32]) {
        self.sender_public_key = Some(sender_public_key);
        self.claim_public_key = None;
    }

    pub(crate) fn wants_session(&self, now: UnixMillis) -> bool {
        self.session.is_none() && self.retry_at.is_none_or(|at| at <= now)
    }

    /// Whether everything that waited has come.
    pub(crate) fn is_drained(&self) -> bool {
        matches!(self.phase, Phase::Watching { newest } if self.cursor >= newest)
    }

    pub(crate) fn opening(&mut self, session: SessionId) {
        self.session = Some(session);
        self.phase = Phase::Opening;
        self.has_told_sender = false;
        self.retry_at = None;
    }

    /// A session that takes over from the present one once it watches.
    pub(crate) fn opening_successor(&mut self, session: SessionId) {
        self.successor = Some(session);
        self.successor_asked = false;
    }

    /// Whether a successor is on its way already.
    pub(crate) fn has_successor(&self) -> bool {
        self.successor.is_some()
    }

    fn watch(&mut self, router: &mut Router, session: SessionId) {
        let id = RecvId::of(&self.receive_key.public_key());
        // A session that cannot take the command reports its end as an event.
        let _ = router.command(
            session,
            command::Command::Watch(Watch { after: self.arrived_up_to, feed: false }),
            None,
            Some((Role::Receive, *id.as_bytes(), Arc::clone(&self.receive_key))),
        );
    }

    pub(crate) fn handle_opened(&mut self, session: SessionId, router: &mut Router) {
        self.failure = None;
        if self.session == Some(session) {
            self.phase = Phase::Asking;
            self.watch(router, session);
        } else if self.successor == Some(session) && !self.successor_asked {
            self.successor_asked = true;
            self.watch(router, session);
        }
    }

    /// The watch has begun. A successor takes over, and the old session is closed.
    pub(crate) fn handle_watching(
        &mut self,
        session: SessionId,
        watching: &Watching,
        now: UnixMillis,
        router: &mut Router,
        rng: &mut (impl CryptoRng + ?Sized),
    ) -> ReceiverStep {
        self.backoff.succeed();
        if self.successor == Some(session) {
            if let Some(old) = self.session.replace(session) {
                router.close(now, rng, old);
            }
            self.successor = None;
        }
        if !watching.claimed && self.sender_public_key.is_some() && !self.has_told_sender {
            // A relay restored from before the claim. Its writer has no claim key any more, so the reader says who
            // that is, once a session.
            self.has_told_sender = true;
            if self.begin_work(session, router, rng) {
                return ReceiverStep::Nothing;
            }
        }
        self.phase = Phase::Watching { newest: watching.newest };
        if self.cursor > 0 {
            // What was stored may not have been acknowledged, or not durably: a mailbox full of it would stay so, since
            // nothing new could come to be acknowledged.
            self.acknowledge(self.cursor, router);
        }
        ReceiverStep::Watching {
            claims_refused: watching.claims_refused,
            is_untouched: !watching.claimed && watching.newest <= self.cursor,
        }
    }

    /// Begins to search the proof of work that a mailbox needs. `false` where the relay asks for too much.
    fn begin_work(
        &mut self,
        session: SessionId,
        router: &Router,
        rng: &mut (impl CryptoRng + ?Sized),
    ) -> bool {
        let Some(info) = router.info(session) else { return false };
        let id = RecvId::of(&self.receive_key.public_key());
        let challenge = Challenge {
            purpose: Purpose::Mailbox,
            context: info.context(),
            object_id: id.as_bytes(),
            size: 0,
        };
        let search = Search::new(&challenge, info.info().proof_of_work_bits, rng.next_u64());
        search.map(|search| self.phase = Phase::Working(search)).is_some()
    }

    /// The relay carried a command out: a `Create`, or an `Ack` that needs nothing more.
    pub(crate) fn handle_done(&mut self, session: SessionId, router: &mut Router) -> ReceiverStep {
        if !matches!(self.phase, Phase::Creating) || self.session != Some(session) {
            return ReceiverStep::Nothing;
        }
        self.cursor = 0;
        self.arrived_up_to = 0;
        self.arrived.clear();
        self.phase = Phase::Asking;
        self.watch(router, session);
        ReceiverStep::Remade
    }

    /// The relay refused a command.
    pub(crate) fn handle_refused(
        &mut self,
        session: SessionId,
        reason: Reason,
        now: UnixMillis,
        router: &mut Router,
        rng: &mut (impl CryptoRng + ?Sized),
    ) -> ReceiverStep {
        if self.successor == Some(session) {
            // It takes over nothing: when the old one ends, a new one is asked.
            router.close(now, rng, session);
            self.successor = None;
        }
        if self.session != Some(session) {
            return ReceiverStep::Nothing;
        }
        match (&self.phase, reason) {
            (Phase::Asking, Reason::NotYours) => {
                if self.begin_work(session, router, rng) {
                    return ReceiverStep::Nothing;
                }
                self.failure = Some(Trouble::RelayMisbehaved);
            }
            (Phase::Creating, Reason::NotAdmitted) => self.failure = Some(Trouble::NotAdmitted),
            (Phase::Creating, Reason::NoRoom) => self.failure = Some(Trouble::RelayFull),
            _ => {}
        }
        router.close(now, rng, session);
        self.session = None;
        self.phase = Phase::Away;
        self.retry_at = Some(self.backoff.fail(now, rng));
        ReceiverStep::Nothing
    }

    /// Whether proof of work is being searched.
    pub(crate) fn is_working(&self) -> bool {
        matches!(self.phase, Phase::Working(_))
    }

    /// Searches some more, and makes the mailbox again once the proof is found.
    pub(crate) fn work(&mut self, router: &mut Router) {
        let Phase::Working(search) = &mut self.phase else { return };
        let Some(nonce) = search.advance() else { return };
        let Some(session) = self.session else { return };
        // Once the other side told who it is, its key stands where a claim key could be used a second time.
        let (claim, sender) = match self.sender_public_key {
            Some(sender) => (Vec::new(), sender.to_vec()),
            None => (self.claim_public_key.map(|key| key.to_vec()).unwrap_or_default(), Vec::new()),
        };
        let create =
            Create { claim_public_key: claim, sender_public_key: sender, proof_of_work: nonce };
        let id = RecvId::of(&self.receive_key.public_key());
        let _ = router.command(
            session,
            command::Command::Create(create),
            None,
            Some((Role::Receive, *id.as_bytes(), Arc::clone(&self.receive_key))),
        );
        self.phase = Phase::Creating;
    }

    /// A blob was pushed. One that stands behind the last is kept until the engine takes it; others came before.
    pub(crate) fn handle_push(&mut self, session: SessionId, position: u64, blob: Blob) {
        let ours = self.session == Some(session) || self.successor == Some(session);
        // No honest relay gets there, and the vault could not store it.
        let storable = i64::try_from(position).is_ok();
        if ours && storable && position > self.arrived_up_to {
            self.arrived_up_to = position;
            self.arrived.push((position, blob));
        }
    }

    /// Hands over what came since the last call, in order.
    pub(crate) fn take_arrived(&mut self) -> Vec<(u64, Blob)> {
        core::mem::take(&mut self.arrived)
    }

    /// What came up to `cursor` is stored: the relay may unlink it.
    pub(crate) fn acknowledge(&mut self, cursor: u64, router: &mut Router) {
        self.cursor = cursor;
        let Some(session) = self.session else { return };
        let id = RecvId::of(&self.receive_key.public_key());
        let _ = router.command(
            session,
            command::Command::Ack(Ack { cursor, feed: false }),
            None,
            Some((Role::Receive, *id.as_bytes(), Arc::clone(&self.receive_key))),
        );
    }

    /// A session ended. `failure` is why, where it was not this side's wish.
    pub(crate) fn handle_closed(
        &mut self,
        session: SessionId,
        failure: Option<Trouble>,
        now: UnixMillis,
        rng: &mut (impl CryptoRng + ?Sized),
    ) {
        if self.successor == Some(session) {
            self.successor = None;
            return;
        }
        if self.session != Some(session) {
            return;
        }
        // What arrived stays to be stored; the next session reads from behind it.
        self.session = self.successor.take();
        if self.session.is_some() {
            self.phase = if self.successor_asked { Phase::Asking } else { Phase::Opening };
            return;
        }
        self.phase = Phase::Away;
        if let Some(failure) = failure {
            self.failure = Some(failure);
            self.retry_at = Some(self.backoff.fail(now, rng));
        }
    }

    /// No session could be planned.
    pub(crate) fn fail(
        &mut self,
        trouble: Trouble,
        now: UnixMillis,
        rng: &mut (impl CryptoRng + ?Sized),
    ) {
        self.failure = Some(trouble);
        self.retry_at = Some(self.backoff.fail(now, rng));
    }

    /// When a new session is due.
    pub(crate) fn poll_timeout(&self) -> Option<UnixMillis> {
        self.retry_at.filter(|_| self.session.is_none())
    }
}

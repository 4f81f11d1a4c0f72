//! The writing side of a contact's mailbox: the outbox goes out in order, and again from the first unanswered cell
//! after every refusal and every lost session.
//!
//! A cell leaves the outbox only when the relay said that it is durable. This module decides what to put when; it
//! reads the outbox through what the engine passes in, and keeps no secret but the writer's key.

use std::collections::VecDeque;
use std::sync::Arc;

use hearken_proto::auth::ObjectSecretKey;
use hearken_proto::ids::{ClaimId, Fingerprint, SendId};
use hearken_proto::limits::ANSWERS_DUE_MAX;
use hearken_proto::time::UnixMillis;
use hearken_proto::wire::{Claim, Put, Reason, Role, command};
use rand_core::CryptoRng;

use super::backoff::Backoff;
use super::outbox::OutboxCell;
use super::records::Outgoing;
use super::trouble::Trouble;
use crate::message::MessageId;
use crate::route::{CommandId, Router, SessionId};

/// A writer's session that has nothing to do is closed after this many milliseconds.
const IDLE_MS_MAX: u64 = 60_000;

/// What a sender is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// No session.
    Away,
    /// A session is being opened.
    Opening,
    /// The mailbox is being claimed.
    Claiming(CommandId),
    /// Cells may be put.
    Ready,
}

/// A cell on its way.
#[derive(Debug)]
struct InFlight {
    command: CommandId,
    seq: i64,
    message: Option<MessageId>,
}

/// A cell that the relay has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Acknowledged {
    pub(crate) seq: i64,
    pub(crate) message: Option<MessageId>,
}

/// What a reply changed.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum SenderStep {
    /// Nothing that the engine must store.
    Nothing,
    /// The mailbox is claimed.
    Claimed,
    /// The mailbox must be claimed again.
    Unclaimed,
    /// A cell is durable at the relay.
    Acknowledged(Acknowledged),
    /// The mailbox is full.
    Full,
    /// Somebody else writes to this mailbox.
    TakenByAnother,
}

/// The writing side of one contact's mailbox.
pub(crate) struct Sender {
    relay: Fingerprint,
    send_key: Arc<ObjectSecretKey>,
    claim_key: Option<Arc<ObjectSecretKey>>,
    claimed: bool,
    phase: Phase,
    session: Option<SessionId>,
    in_flight: VecDeque<InFlight>,
    /// The outbox cell put last.
    put_up_to: i64,
    /// A cell was refused: nothing is put until the wait is over, then from the first unanswered one.
    refused: bool,
    full: bool,
    retry_at: Option<UnixMillis>,
    backoff: Backoff,
    last_used: UnixMillis,
    given_up: bool,
    failure: Option<Trouble>,
}

impl Sender {
    pub(crate) fn new(outgoing: Outgoing) -> Self {
        Self {
            relay: outgoing.relay,
            send_key: outgoing.send_key,
            claim_key: outgoing.claim_key,
            claimed: outgoing.claimed,
            phase: Phase::Away,
            session: None,
            in_flight: VecDeque::new(),
            put_up_to: 0,
            refused: false,
            full: false,
            retry_at: None,
            backoff: Backoff::default(),
            last_used: UnixMillis::default(),
            given_up: false,
            failure: None,
        }
    }

    pub(crate) fn relay(&self) -> Fingerprint {
        self.relay
    }

    pub(crate) fn session(&self) -> Option<SessionId> {
        self.session
    }

    pub(crate) fn is_claimed(&self) -> bool {
        self.claimed
    }

    /// Whether the mailbox was full when it was last tried.
    pub(crate) fn is_full(&self) -> bool {
        self.full
    }

    /// Why it last failed, until it works again.
    pub(crate) fn failure(&self) -> Option<Trouble> {
        self.failure
    }

    /// Attempts that failed since the last that worked.
    pub(crate) fn failures(&self) -> u32 {
        self.backoff.failures()
    }

    /// Forgets earlier failures, for a new sync.
    pub(crate) fn begin_anew(&mut self) {
        self.retry_at = None;
        self.failure = None;
        self.backoff.succeed();
    }

    /// Whether a session should be opened, when there is something to do for it.
    pub(crate) fn wants_session(&self, now: UnixMillis) -> bool {
        self.session.is_none() && !self.given_up && self.retry_at.is_none_or(|at| at <= now)
    }

    /// Whether something is under way with the relay.
    pub(crate) fn is_busy(&self) -> bool {
        self.session.is_some() && (self.phase != Phase::Ready || !self.in_flight.is_empty())
    }

    pub(crate) fn opening(&mut self, session: SessionId, now: UnixMillis) {
        self.session = Some(session);
        self.phase = Phase::Opening;
        self.retry_at = None;
        self.last_used = now;
    }

    /// The session is open: claim where that is to do, else put.
    pub(crate) fn handle_opened(&mut self, router: &mut Router) {
        self.failure = None;
        self.put_up_to = 0;
        self.in_flight.clear();
        self.refused = false;
        match (self.claimed, self.session) {
            (false, Some(session)) => self.claim(router, session),
            _ => self.phase = Phase::Ready,
        }
    }

    fn claim(&mut self, router: &mut Router, session: SessionId) {
        let Some(claim_key) = self.claim_key.clone() else {
            // Nothing to claim with: the mailbox comes back only when its reader makes it again.
            self.phase = Phase::Ready;
            return;
        };
        let id = ClaimId::of(&claim_key.public_key());
        let claim = Claim { sender_public_key: self.send_key.public_key().to_vec() };
        let sent = router.command(
            session,
            command::Command::Claim(claim),
            None,
            Some((Role::Claim, *id.as_bytes(), claim_key)),
        );
        if let Ok(command) = sent {
            self.phase = Phase::Claiming(command);
        }
    }

    /// How many more cells may be put, and behind which.
    pub(crate) fn wants_cells(&self) -> Option<(i64, usize)> {
        let room = (ANSWERS_DUE_MAX as usize).saturating_sub(self.in_flight.len());
        (self.phase == Phase::Ready && !self.refused && self.retry_at.is_none() && room > 0)
            .then_some((self.put_up_to, room))
    }

    /// Puts the next cells.
    pub(crate) fn put(&mut self, cells: Vec<OutboxCell>, router: &mut Router, now: UnixMillis) {
        let Some(session) = self.session else { return };
        for cell in cells {
            let put = Put { put_id: cell.blob.put_id().as_bytes().to_vec() };
            let id = SendId::of(&self.send_key.public_key());
            let sent = router.command(
                session,
                command::Command::Put(put),
                Some(cell.blob),
                Some((Role::Send, *id.as_bytes(), Arc::clone(&self.send_key))),
            );
            let Ok(command) = sent else { return };
            self.put_up_to = cell.seq;
            self.last_used = now;
            self.in_flight.push_back(InFlight { command, seq: cell.seq, message: cell.message });
        }
    }

    /// The relay carried a command out.
    pub(crate) fn handle_done(&mut self, command: CommandId, now: UnixMillis) -> SenderStep {
        self.last_used = now;
        if self.phase == Phase::Claiming(command) {
            self.phase = Phase::Ready;
            self.claimed = true;
            self.backoff.succeed();
            return SenderStep::Claimed;
        }
        match self.in_flight.front() {
            Some(first) if first.command == command => {
                let acknowledged = Acknowledged { seq: first.seq, message: first.message };
                self.in_flight.pop_front();
                self.backoff.succeed();
                self.failure = None;
                self.full = false;
                SenderStep::Acknowledged(acknowledged)
            }
            _ => SenderStep::Nothing,
        }
    }

    /// The relay refused a command.
    pub(crate) fn handle_refused(
        &mut self,
        command: CommandId,
        reason: Reason,
        now: UnixMillis,
        rng: &mut (impl CryptoRng + ?Sized),
    ) -> SenderStep {
        if self.phase == Phase::Claiming(command) {
            if reason == Reason::Claimed {
                self.given_up = true;
                self.failure = Some(Trouble::Taken);
                return SenderStep::TakenByAnother;
            }
            // Where the reader made the mailbox again it named this writer, and there is nothing to claim: what is put
            // next shows it. Where it is not there yet, that brings the claim back.
            self.claimed = reason == Reason::NotYours;
            self.phase = Phase::Ready;
            self.refused = true;
            self.failure = Some(match reason {
                Reason::NotAdmitted => Trouble::RelayClosed,
                _ => Trouble::RelayBusy,
            });
            self.retry_at = Some(self.backoff.fail(now, rng));
            return SenderStep::Nothing;
        }
        if self.in_flight.front().is_none_or(|first| first.command != command) {
            return SenderStep::Nothing;
        }
        self.in_flight.pop_front();
        let first_refusal = !self.refused;
        self.refused = true;
        if first_refusal {
            self.retry_at = Some(self.backoff.fail(now, rng));
        }
        match reason {
            Reason::Full => {
                self.full = true;
                self.failure = Some(Trouble::MailboxFull);
                if first_refusal { SenderStep::Full } else { SenderStep::Nothing }
            }
            Reason::NotYours if self.claim_key.is_some() && self.claimed => {
                self.claimed = false;
                SenderStep::Unclaimed
            }
            Reason::NoRoom => {
                self.failure = Some(Trouble::RelayFull);
                SenderStep::Nothing
            }
            Reason::NotAdmitted => {
                self.failure = Some(Trouble::RelayClosed);
                SenderStep::Nothing
            }
            _ => {
                self.failure = Some(Trouble::RelayBusy);
                SenderStep::Nothing
            }
        }
    }

    /// Time has passed: an end of a wait begins again from the first unanswered cell.
    pub(crate) fn handle_timeout(&mut self, now: UnixMillis, router: &mut Router) {
        if self.retry_at.is_some_and(|at| at <= now) && self.in_flight.is_empty() {
            self.retry_at = None;
            if self.refused {
                self.refused = false;
                self.put_up_to = 0;
                if let (false, Some(session)) = (self.claimed, self.session) {
                    self.claim(router, session);
                }
            }
        }
    }

    /// Whether its session has had nothing to do for a minute.
    pub(crate) fn is_idle(&self, now: UnixMillis) -> bool {
        self.phase == Phase::Ready
            && self.in_flight.is_empty()
            && now.0 >= self.last_used.0.saturating_add(IDLE_MS_MAX)
    }

    /// The session ended. `failure` is why, where it was not this side's wish.
    pub(crate) fn handle_closed(
        &mut self,
        failure: Option<Trouble>,
        now: UnixMillis,
        rng: &mut (impl CryptoRng + ?Sized),
    ) {
        self.session = None;
        self.phase = Phase::Away;
        self.in_flight.clear();
        self.refused = false;
        self.put_up_to = 0;
        if let Some(failure) = failure {
            self.failure = Some(failure);
            self.retry_at = Some(self.backoff.fail(now, rng));
        }
    }

    /// When [`Sender::handle_timeout`] or a new session is due.
    pub(crate) fn poll_timeout(&self) -> Option<UnixMillis> {
        let idle = (self.phase == Phase::Ready && self.in_flight.is_empty())
            .then(|| UnixMillis(self.last_used.0.saturating_add(IDLE_MS_MAX)));
        // With cells in flight it is their answers that are waited for: to be called at once would change nothing.
        let retry_at = self.retry_at.filter(|_| self.in_flight.is_empty());
        [retry_at, idle].into_iter().flatten().min()
    }
}

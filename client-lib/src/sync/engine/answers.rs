//! What sessions bring: who owns each, and what an answer or an end changes.

use hearken_proto::ids::Fingerprint;
use hearken_proto::time::UnixMillis;
use hearken_proto::wire::{Reason, reply};
use rand_core::CryptoRng;

use super::{Engine, Owner};
use crate::contact::ContactId;
use crate::error::ClientError;
use crate::event::Event;
use crate::route::{CloseWhy, CommandId, RouteEvent, SessionId};
use crate::sync::conversation::{self};
use crate::sync::errand::{ErrandId, ErrandOutcome, ErrandStep};
use crate::sync::receiver::ReceiverStep;
use crate::sync::records::{self, Mailbox};
use crate::sync::sender::SenderStep;
use crate::sync::trouble::Trouble;
use crate::vault::VaultError;

impl Engine {
    pub(super) fn turn(
        &mut self,
        now: UnixMillis,
        rng: &mut (impl CryptoRng + ?Sized),
    ) -> Result<(), VaultError> {
        loop {
            while let Some(event) = self.router.poll_event() {
                self.handle_route_event(event, now, rng)?;
            }
            self.store_arrivals(now, rng)?;
            self.store_acknowledgements()?;
            self.work(now, rng)?;
            self.move_files(now, rng)?;
            self.adopt_files()?;
            self.open_sessions(now, rng)?;
            self.pump(now)?;
            self.router.flush(now, rng);
            // A session that could not be opened reports so at once.
            let Some(event) = self.router.poll_event() else { break };
            self.handle_route_event(event, now, rng)?;
        }
        Ok(())
    }

    pub(super) fn handle_route_event(
        &mut self,
        event: RouteEvent,
        now: UnixMillis,
        rng: &mut (impl CryptoRng + ?Sized),
    ) -> Result<(), VaultError> {
        match event {
            RouteEvent::InfoSeen { fingerprint, info } => {
                self.infos.insert(fingerprint, info.signed_at());
                self.reached.insert(fingerprint);
                if self.silent.remove(&fingerprint) {
                    self.emit(Event::RelayReached(fingerprint));
                }
                self.note_notice(fingerprint, info.info())
            }
            RouteEvent::Opened { session } => self.handle_opened(session, now, rng),
            RouteEvent::Answer { session, command, last, reply, blob, .. } => {
                self.handle_answer(session, command, last, reply, blob, now, rng)
            }
            RouteEvent::Push { session, position, blob } => {
                if let Some(Owner::Receiver(id)) = self.owners.get(&session)
                    && let Some(receiver) = self.receivers.get_mut(id)
                {
                    receiver.handle_push(session, position, blob);
                }
                Ok(())
            }
            RouteEvent::RollOver { session } => self.roll_over(session, now, rng),
            RouteEvent::Closed { session, why } => self.handle_closed(session, why, now, rng),
        }
    }

    pub(super) fn handle_opened(
        &mut self,
        session: SessionId,
        now: UnixMillis,
        rng: &mut (impl CryptoRng + ?Sized),
    ) -> Result<(), VaultError> {
        match self.owners.get(&session).copied() {
            Some(Owner::Receiver(id)) => {
                if let Some(receiver) = self.receivers.get_mut(&id) {
                    receiver.handle_opened(session, &mut self.router);
                }
            }
            Some(Owner::Sender(id)) => {
                if let Some(sender) = self.senders.get_mut(&id) {
                    sender.handle_opened(&mut self.router);
                }
            }
            Some(Owner::Errand(id)) => {
                if let Some(errand) = self.errands.get_mut(&id) {
                    let step = errand.handle_opened(&mut self.router, rng);
                    self.take_errand_step(id, step, now, rng)?;
                }
            }
            Some(Owner::File(seq)) => self.handle_file_opened(seq, session, now, rng)?,
            None => self.router.close(now, rng, session),
        }
        Ok(())
    }

    #[allow(clippy::too_many_arguments, reason = "a field of the event each, and what all take")]
    pub(super) fn handle_answer(
        &mut self,
        session: SessionId,
        command: CommandId,
        last: bool,
        reply: reply::Reply,
        blob: Option<hearken_proto::payload::Blob>,
        now: UnixMillis,
        rng: &mut (impl CryptoRng + ?Sized),
    ) -> Result<(), VaultError> {
        let refused = |refused: &hearken_proto::wire::Refused| {
            Reason::try_from(refused.reason).unwrap_or(Reason::Unspecified)
        };
        match self.owners.get(&session).copied() {
            Some(Owner::Receiver(id)) => {
                let Some(receiver) = self.receivers.get_mut(&id) else { return Ok(()) };
                let step = match &reply {
                    reply::Reply::Watching(watching) => {
                        receiver.handle_watching(session, watching, now, &mut self.router, rng)
                    }
                    reply::Reply::Done(_) => receiver.handle_done(session, &mut self.router),
                    reply::Reply::Refused(reason) => receiver.handle_refused(
                        session,
                        refused(reason),
                        now,
                        &mut self.router,
                        rng,
                    ),
                    _ => ReceiverStep::Nothing,
                };
                self.take_receiver_step(id, step, now, rng)
            }
            Some(Owner::Sender(id)) => {
                let Some(sender) = self.senders.get_mut(&id) else { return Ok(()) };
                let step = match &reply {
                    reply::Reply::Done(_) => sender.handle_done(command, now),
                    reply::Reply::Refused(reason) => {
                        sender.handle_refused(command, refused(reason), now, rng)
                    }
                    _ => SenderStep::Nothing,
                };
                self.take_sender_step(id, step)
            }
            Some(Owner::Errand(id)) => {
                let Some(errand) = self.errands.get_mut(&id) else { return Ok(()) };
                let step = errand.handle_answer(last, reply, blob, &mut self.router, now, rng);
                self.take_errand_step(id, step, now, rng)
            }
            Some(Owner::File(seq)) => self.handle_file_answer(seq, command, &reply, blob, now, rng),
            None => Ok(()),
        }
    }

    pub(super) fn take_receiver_step(
        &mut self,
        id: ContactId,
        step: ReceiverStep,
        now: UnixMillis,
        rng: &mut (impl CryptoRng + ?Sized),
    ) -> Result<(), VaultError> {
        match step {
            ReceiverStep::Nothing => Ok(()),
            ReceiverStep::Remade => self.vault.transaction(|tx| records::reset_cursor(tx, id)),
            ReceiverStep::Watching { claims_refused: count, is_untouched } => {
                if is_untouched {
                    self.expire_untouched(id, now, rng)?;
                }
                let known = records::incoming(self.vault.database(), id)?
                    .map_or(count, |incoming| incoming.claims_refused);
                if count <= known {
                    return Ok(());
                }
                self.vault.transaction(|tx| {
                    records::set_claims_refused(tx, id, count)?;
                    conversation::notice(tx, id, crate::message::Notice::SecondClaim, now, rng)
                })?;
                self.emit(Event::SecondClaim(id));
                Ok(())
            }
        }
    }

    pub(super) fn take_sender_step(
        &mut self,
        id: ContactId,
        step: SenderStep,
    ) -> Result<(), VaultError> {
        match step {
            SenderStep::Nothing | SenderStep::TakenByAnother => Ok(()),
            SenderStep::Claimed => self.vault.transaction(|tx| records::set_claimed(tx, id, true)),
            SenderStep::Unclaimed => {
                self.vault.transaction(|tx| records::set_claimed(tx, id, false))
            }
            SenderStep::Acknowledged(acknowledged) => {
                self.acknowledged.push((id, acknowledged));
                Ok(())
            }
            SenderStep::Full => {
                self.emit(Event::MailboxFull(id));
                Ok(())
            }
        }
    }

    pub(super) fn take_errand_step(
        &mut self,
        id: ErrandId,
        step: ErrandStep,
        now: UnixMillis,
        rng: &mut (impl CryptoRng + ?Sized),
    ) -> Result<(), VaultError> {
        match step {
            ErrandStep::Going => Ok(()),
            ErrandStep::CloseSession(session) => {
                self.owners.remove(&session);
                self.router.close(now, rng, session);
                Ok(())
            }
            ErrandStep::Store(session) => {
                self.owners.remove(&session);
                self.router.close(now, rng, session);
                let Some(errand) = self.errands.get_mut(&id) else { return Ok(()) };
                let stored = self.vault.transaction(|tx| errand.store(tx, now, rng));
                match stored {
                    Ok(Some(outcome)) => self.finish(id, Ok(outcome)),
                    Ok(None) => Ok(()),
                    Err(ClientError::Vault(error)) => Err(error),
                    Err(error) => self.finish(id, Err(error)),
                }
            }
            ErrandStep::Failed(error, session) => {
                if let Some(session) = session {
                    self.owners.remove(&session);
                    self.router.close(now, rng, session);
                }
                let Some(errand) = self.errands.get_mut(&id) else { return Ok(()) };
                self.vault.transaction(|tx| errand.undo(tx))?;
                self.finish(id, Err(error))
            }
        }
    }

    pub(super) fn finish(
        &mut self,
        id: ErrandId,
        outcome: Result<ErrandOutcome, ClientError>,
    ) -> Result<(), VaultError> {
        self.errands.remove(&id);
        self.finished.push_back((id, outcome));
        self.adopt_contacts()
    }

    pub(super) fn roll_over(
        &mut self,
        session: SessionId,
        now: UnixMillis,
        rng: &mut (impl CryptoRng + ?Sized),
    ) -> Result<(), VaultError> {
        match self.owners.get(&session).copied() {
            Some(Owner::Receiver(id)) => {
                let Some(receiver) = self.receivers.get(&id) else { return Ok(()) };
                if receiver.has_successor() || receiver.session() != Some(session) {
                    return Ok(());
                }
                let database = self.vault.database();
                let Some(relay) = records::mailbox_address(database, id, Mailbox::Incoming)? else {
                    return Ok(());
                };
                if let Ok(successor) = self.open(Owner::Receiver(id), &relay, now, rng)?
                    && let Some(receiver) = self.receivers.get_mut(&id)
                {
                    receiver.opening_successor(successor);
                }
            }
            // Cells in flight are put again in the next session; the relay knows those that it has.
            Some(Owner::Sender(id)) => self.close_sender(id, now, rng),
            Some(Owner::File(seq)) => self.roll_over_file(seq, session, now, rng),
            _ => {}
        }
        Ok(())
    }

    pub(super) fn handle_closed(
        &mut self,
        session: SessionId,
        why: CloseWhy,
        now: UnixMillis,
        rng: &mut (impl CryptoRng + ?Sized),
    ) -> Result<(), VaultError> {
        let failure = Some(Trouble::Route(why));
        match self.owners.remove(&session) {
            Some(Owner::Receiver(id)) => {
                if let Some(receiver) = self.receivers.get_mut(&id) {
                    receiver.handle_closed(session, failure, now, rng);
                    let relay = receiver.relay();
                    self.note_failure(relay, why);
                }
            }
            Some(Owner::Sender(id)) => {
                if let Some(sender) = self.senders.get_mut(&id)
                    && sender.session() == Some(session)
                {
                    sender.handle_closed(failure, now, rng);
                    let relay = sender.relay();
                    self.note_failure(relay, why);
                }
            }
            Some(Owner::Errand(id)) => {
                if let Some(errand) = self.errands.get_mut(&id) {
                    let step = errand.handle_closed(why, now, rng);
                    let relay = errand.relay();
                    self.note_failure(relay, why);
                    self.take_errand_step(id, step, now, rng)?;
                }
            }
            Some(Owner::File(seq)) => {
                if let Some(relay) = self.handle_file_closed(seq, session, failure, now, rng) {
                    self.note_failure(relay, why);
                }
            }
            None => {}
        }
        Ok(())
    }

    pub(super) fn note_failure(&mut self, relay: Fingerprint, why: CloseWhy) {
        if matches!(why, CloseWhy::Unreachable | CloseWhy::EntryRefuses | CloseWhy::Busy) {
            // Another entry may do better.
            *self.entry_turn.entry(relay).or_default() += 1;
        }
        if why == CloseWhy::Unreachable && self.silent.insert(relay) {
            self.emit(Event::RelayUnreachable(relay));
        }
    }
}

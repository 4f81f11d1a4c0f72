//! What callers ask of an engine: syncs, errands, texts, and whether anything is left to do.

use std::collections::BTreeSet;

use hearken_proto::ids::Fingerprint;
use hearken_proto::limits::{INFO_VALID_MINUTES, MAILBOX_IDLE_DAYS};
use hearken_proto::time::{UnixDay, UnixHour, UnixMillis};
use rand_core::CryptoRng;
use rusqlite::Connection;

use super::files::Transfer;
use super::{Engine, Mode, SyncOutcome};
use crate::contact::ContactId;
use crate::error::ClientError;
use crate::event::Event;
use crate::invitation::InvitationLink;
use crate::route::SessionId;
use crate::sync::closings;
use crate::sync::conversation;
use crate::sync::errand::{ERRAND_TIME, Errand, ErrandId, InviteErrand, JoinErrand};
use crate::sync::outbox;
use crate::sync::receiver::Receiver;
use crate::sync::records::{self, Mailbox, Stage};
use crate::sync::sender::Sender;
use crate::sync::thread;
use crate::sync::trouble::Trouble;
use crate::vault::VaultError;

/// Hours after an invitation's end, by this clock, in which somebody may still join it in time by theirs: the relay is used
/// by clocks up to three hours before and behind its own, and a join that was begun takes its while.
const STILL_JOINED_HOURS: u32 = 2 * INFO_VALID_MINUTES.div_ceil(60) as u32 + 1;
const _: () = assert!(ERRAND_TIME.as_secs() < 3_600);

impl Engine {
    /// Begins to do everything that is due, once.
    pub(crate) fn begin_sync(
        &mut self,
        now: UnixMillis,
        rng: &mut (impl CryptoRng + ?Sized),
    ) -> Result<(), VaultError> {
        if self.mode == Mode::Quiet {
            self.mode = Mode::Sync;
        }
        self.begin_anew(now, rng)
    }

    /// Begins to watch every mailbox and to send what comes, until the engine ends.
    pub(crate) fn begin_follow(
        &mut self,
        now: UnixMillis,
        rng: &mut (impl CryptoRng + ?Sized),
    ) -> Result<(), VaultError> {
        self.mode = Mode::Follow;
        self.begin_anew(now, rng)
    }

    pub(super) fn begin_anew(
        &mut self,
        now: UnixMillis,
        rng: &mut (impl CryptoRng + ?Sized),
    ) -> Result<(), VaultError> {
        self.expire(now, rng)?;
        let receivers = self.receivers.values_mut();
        receivers.for_each(|receiver| receiver.begin_anew(&mut self.router));
        self.senders.values_mut().for_each(Sender::begin_anew);
        self.transfers.values_mut().for_each(Transfer::begin_anew);
        self.failed_files.clear();
        self.files_due = true;
        self.adopt_contacts()?;
        for farewell in records::farewells(self.vault.database(), now.day())? {
            let known = self.errands.values().any(|errand| errand.is_farewell(farewell.seq));
            if !known {
                let id = self.errand_id();
                self.errands.insert(id, Errand::farewell(farewell, now));
            }
        }
        self.turn(now, rng)
    }

    /// Gives every contact in the vault its two ends; a blocked one has none to write to.
    pub(super) fn adopt_contacts(&mut self) -> Result<(), VaultError> {
        if self.mode == Mode::Quiet {
            return Ok(());
        }
        for contact in records::contacts(self.vault.database())? {
            if !self.receivers.contains_key(&contact.id)
                && let Some(incoming) = records::incoming(self.vault.database(), contact.id)?
            {
                self.receivers.insert(contact.id, Receiver::new(&incoming));
            }
            if !contact.blocked
                && !self.senders.contains_key(&contact.id)
                && let Some(outgoing) = records::outgoing(self.vault.database(), contact.id)?
            {
                self.senders.insert(contact.id, Sender::new(outgoing));
            }
        }
        Ok(())
    }

    /// What is too old to matter goes. So do the secrets of invitations that expired so long ago that their mailbox has
    /// gone too: somebody may have joined in time while this side was away. Usually the relay says before whether
    /// anybody did.
    pub(super) fn expire(
        &mut self,
        now: UnixMillis,
        rng: &mut (impl CryptoRng + ?Sized),
    ) -> Result<(), VaultError> {
        let gone = UnixHour(now.hour().0.saturating_sub(MAILBOX_IDLE_DAYS * 24));
        for id in records::expired_invitations(self.vault.database(), gone)? {
            self.end_invitation(id, now, rng)?;
        }
        let lines = self.vault.transaction(|tx| {
            records::delete_expired_joins(tx, now)?;
            thread::queue_due(tx, now, rng)?;
            conversation::sweep(tx, now, rng)
        })?;
        self.look_ahead(now)?;
        for line in lines {
            self.emit(Event::MessageArrived(line));
        }
        Ok(())
    }

    /// The relay says that nobody has come to a mailbox of ours: the secrets of its invitation go if that has expired on
    /// every clock that a joiner may have.
    pub(super) fn expire_untouched(
        &mut self,
        id: ContactId,
        now: UnixMillis,
        rng: &mut (impl CryptoRng + ?Sized),
    ) -> Result<(), VaultError> {
        let over = UnixHour(now.hour().0.saturating_sub(STILL_JOINED_HOURS));
        if records::expired_invitations(self.vault.database(), over)?.contains(&id) {
            self.end_invitation(id, now, rng)?;
        }
        Ok(())
    }

    /// Nobody can be heard by an invitation any more: its secrets go, and its mailbox. Whoever joined by it all the same
    /// finds none to put into, instead of being told that what they write was sent.
    fn end_invitation(
        &mut self,
        id: ContactId,
        now: UnixMillis,
        rng: &mut (impl CryptoRng + ?Sized),
    ) -> Result<(), VaultError> {
        self.drop_contact(id, now, rng);
        self.vault.transaction(|tx| {
            leave_mailbox(tx, id, now)?;
            records::delete_incoming(tx, id)?;
            records::forget_invitation(tx, id)
        })
    }

    pub(super) fn errand_id(&mut self) -> ErrandId {
        self.next_errand += 1;
        ErrandId(self.next_errand)
    }

    /// Begins an errand; its outcome comes by [`Engine::poll_finished`].
    pub(crate) fn begin_errand(
        &mut self,
        errand: Errand,
        now: UnixMillis,
        rng: &mut (impl CryptoRng + ?Sized),
    ) -> Result<ErrandId, VaultError> {
        let id = self.errand_id();
        self.errands.insert(id, errand);
        self.turn(now, rng)?;
        Ok(id)
    }

    /// Begins an invitation.
    pub(crate) fn invite(
        &mut self,
        name: Option<String>,
        hours: u32,
        now: UnixMillis,
        rng: &mut (impl CryptoRng + ?Sized),
    ) -> Result<ErrandId, ClientError> {
        let database = self.vault.database();
        records::check_name_is_free(database, name.as_deref(), None)?;
        let relay = closings::relay_for_mailbox(database, now)?.ok_or(ClientError::NoRelay)?;
        let errand = InviteErrand::new(relay, name, hours, now, rng)?;
        Ok(self.begin_errand(Errand::new(errand, now), now, rng)?)
    }

    /// Begins to join an invitation, or goes on with a join that was interrupted.
    pub(crate) fn join(
        &mut self,
        link: &str,
        name: Option<String>,
        now: UnixMillis,
        rng: &mut (impl CryptoRng + ?Sized),
    ) -> Result<ErrandId, ClientError> {
        let link = InvitationLink::parse(link).map_err(|_| ClientError::InvitationMalformed)?;
        self.give_up_join(&link.hash(), now, rng);
        let database = self.vault.database();
        let errand = match records::contact_of_link(database, &link.hash())? {
            // The claim may not have been made yet, and the inviter does not wait for it any more.
            Some((_, Stage::Joining)) | None if link.expires <= now.hour() => {
                return Err(ClientError::InvitationExpired);
            }
            Some((contact, Stage::Joining)) => {
                records::check_name_is_free(database, name.as_deref(), Some(contact))?;
                JoinErrand::resume(link, name, contact, database)?
            }
            Some(_) => return Err(ClientError::OwnInvitation),
            None => {
                records::check_name_is_free(database, name.as_deref(), None)?;
                let own = closings::relay_for_mailbox(database, now)?;
                let own = own.unwrap_or_else(|| link.relay.clone());
                JoinErrand::new(link, name, own, rng)
            }
        };
        Ok(self.begin_errand(Errand::join(errand, now), now, rng)?)
    }

    /// Ends a join of this link that is still under way, as after a call that was cancelled. What it stored stays, and is
    /// what the next one goes on with; two at once would each store keys of their own.
    fn give_up_join(
        &mut self,
        link_hash: &[u8; 32],
        now: UnixMillis,
        rng: &mut (impl CryptoRng + ?Sized),
    ) {
        let same = |(_, errand): &(&ErrandId, &Errand)| errand.is_join_of(link_hash);
        let Some(id) = self.errands.iter().find(same).map(|(id, _)| *id) else { return };
        if let Some(session) = self.errands.remove(&id).and_then(|errand| errand.session()) {
            self.owners.remove(&session);
            self.router.close(now, rng, session);
        }
        self.finished.push_back((id, Err(ClientError::BegunAgain)));
    }

    /// Gives a contact another name. Under the name of one who is to be met again, this is the meeting: what was written
    /// goes on here, and what waits is sent.
    pub(crate) fn rename(
        &mut self,
        id: ContactId,
        name: &str,
        now: UnixMillis,
        rng: &mut (impl CryptoRng + ?Sized),
    ) -> Result<(), ClientError> {
        self.vault.transaction(|tx| {
            records::contact(tx, id)?.ok_or(ClientError::UnknownContact)?;
            records::check_name_is_free(tx, Some(name), Some(id))?;
            records::succeed(tx, id, name)?;
            conversation::seal_waiting(tx, id, rng)?;
            Ok::<_, ClientError>(())
        })?;
        Ok(self.turn(now, rng)?)
    }

    /// From here on what a contact sends is dropped, and nothing goes to them: what waits stays where it is.
    pub(crate) fn block(
        &mut self,
        id: ContactId,
        now: UnixMillis,
        rng: &mut (impl CryptoRng + ?Sized),
    ) -> Result<(), VaultError> {
        self.vault.transaction(|tx| records::set_contact(tx, id, "blocked", 1))?;
        self.close_sender(id, now, rng);
        self.senders.remove(&id);
        self.drop_transfers_of(id, now, rng);
        Ok(())
    }

    /// Erases a contact; the mailbox is deleted at its relay when the network is next reached.
    pub(crate) fn forget(
        &mut self,
        id: ContactId,
        now: UnixMillis,
        rng: &mut (impl CryptoRng + ?Sized),
    ) -> Result<(), VaultError> {
        self.drop_contact(id, now, rng);
        self.vault.transaction(|tx| {
            leave_mailbox(tx, id, now)?;
            records::delete_contact(tx, id)
        })
    }

    /// Whether going on now would bring nothing: all is done, or waits for something to change.
    pub(crate) fn is_settled(&self) -> Result<bool, VaultError> {
        if !self.errands.is_empty() || !self.acknowledged.is_empty() {
            return Ok(false);
        }
        let enough = |failure: Option<Trouble>, failures: u32| {
            failure.is_some_and(|trouble| failures >= trouble.patience())
        };
        for receiver in self.receivers.values() {
            if !receiver.is_drained() && !enough(receiver.failure(), receiver.failures()) {
                return Ok(false);
            }
        }
        for (id, sender) in &self.senders {
            let nothing_to_do = sender.is_claimed()
                && outbox::len(self.vault.database(), *id)? == 0
                && !sender.is_busy();
            if !nothing_to_do && !enough(sender.failure(), sender.failures()) {
                return Ok(false);
            }
        }
        // Those beyond a few begin when these are done.
        let is_stuck = |transfer: &Transfer| {
            let (failure, failures) = transfer.failure();
            enough(failure, failures)
        };
        Ok(!self.files_due && self.transfers.values().all(is_stuck))
    }

    /// What the sync came to so far. `expired`: the time for it is up.
    pub(crate) fn sync_outcome(&self, expired: bool) -> Result<SyncOutcome, VaultError> {
        let mut outcome =
            SyncOutcome { left_over: expired && !self.is_settled()?, ..SyncOutcome::default() };
        let mut unreachable = BTreeSet::new();
        let mut note = |relay: Fingerprint, failure: Option<Trouble>| match failure {
            Some(trouble) if trouble.is_unreachable() => {
                unreachable.insert(relay);
            }
            Some(trouble) if outcome.trouble.is_none() => {
                outcome.trouble = Some(trouble.into_error());
            }
            // Nothing was heard of it in all the time that there was.
            None if expired && !self.reached.contains(&relay) => {
                unreachable.insert(relay);
            }
            _ => {}
        };
        for receiver in self.receivers.values().filter(|receiver| !receiver.is_drained()) {
            note(receiver.relay(), receiver.failure());
        }
        for (id, sender) in &self.senders {
            let due = !sender.is_claimed() || outbox::len(self.vault.database(), *id)? > 0;
            if due {
                note(sender.relay(), sender.failure());
            }
        }
        for transfer in self.transfers.values() {
            if let Some(relay) = transfer.relay() {
                note(relay, transfer.failure().0);
            }
        }
        outcome.unreachable = unreachable.into_iter().collect();
        Ok(outcome)
    }

    /// Why a contact's outbox does not get on, where it does not.
    pub(crate) fn sender_trouble(&self, id: ContactId) -> Option<Trouble> {
        let sender = self.senders.get(&id)?;
        if sender.is_full() { Some(Trouble::MailboxFull) } else { sender.failure() }
    }

    /// Ends what the engine does for a contact whose rows have gone or changed.
    pub(crate) fn drop_contact(
        &mut self,
        id: ContactId,
        now: UnixMillis,
        rng: &mut (impl CryptoRng + ?Sized),
    ) {
        let sessions: Vec<SessionId> = self
            .receivers
            .remove(&id)
            .iter()
            .flat_map(|receiver| receiver.sessions().collect::<Vec<_>>())
            .chain(self.senders.remove(&id).and_then(|sender| sender.session()))
            .collect();
        for session in sessions {
            self.owners.remove(&session);
            self.router.close(now, rng, session);
        }
        self.drop_transfers_of(id, now, rng);
    }
}

/// Has a contact's mailbox deleted at its relay when the network is next reached.
fn leave_mailbox(tx: &Connection, id: ContactId, now: UnixMillis) -> Result<(), VaultError> {
    let relay = records::mailbox_address(tx, id, Mailbox::Incoming)?;
    if let (Some(incoming), Some(relay)) = (records::incoming(tx, id)?, relay) {
        // By then the relay has let the mailbox go by itself.
        let until = UnixDay(now.day().0 + MAILBOX_IDLE_DAYS);
        records::insert_farewell(tx, &relay, &incoming.receive_key, until)?;
    }
    Ok(())
}

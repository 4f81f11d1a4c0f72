//! The engine: the vault, the routes and the mailboxes of every contact, brought forward together. No network IO.
//!
//! A shell feeds it what links deliver, the time and randomness, carries out its actions, and waits for what it asks
//! the time for. Everything that matters is in the vault before anything is said about it: the exact ciphertext before
//! it is sent, the plaintext before it is acknowledged. So it may end between any two calls, and a new engine over the
//! same vault goes on.
//!
//! An error from the vault is the end of an engine: what it has in memory may be ahead of what is stored.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};

use hearken_proto::address::RelayAddress;
use hearken_proto::cell::Cell;
use hearken_proto::ids::Fingerprint;
use hearken_proto::time::{UnixDay, UnixMillis};
use hearken_proto::wire::{Reason, reply};
use rand_core::CryptoRng;

use super::conversation::{self, Received};
use super::errand::{Errand, ErrandId, ErrandOutcome, ErrandStep, InviteErrand, JoinErrand};
use super::receiver::{Receiver, ReceiverStep};
use super::records::{self, Stage};
use super::sender::{Acknowledged, Sender, SenderStep};
use super::trouble::Trouble;
use super::{SETTING_DIRECT, messages};
use crate::contact::ContactId;
use crate::error::ClientError;
use crate::event::Event;
use crate::invitation::InvitationLink;
use crate::message::{Message, MessageId, MessageState};
use crate::relays::{RouteAdvice, RouteChoice};
use crate::route::{
    CloseWhy, CommandId, LinkFailure, LinkId, RouteAction, RouteEvent, RoutePlan, Router, SessionId,
};
use crate::vault::{Vault, VaultError};

/// Events kept for a display that does not take them; older ones go, since all that matters is in the vault.
const EVENTS_MAX: usize = 1_024;

/// How long the engine keeps at it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    /// Only errands reach the network.
    Quiet,
    /// Everything that is due is done once.
    Sync,
    /// Mailboxes are watched.
    Follow,
}

/// Whose a session is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Owner {
    Receiver(ContactId),
    Sender(ContactId),
    Errand(ErrandId),
}

/// What a sync came to.
#[derive(Debug, Default)]
pub struct SyncOutcome {
    /// Relays that did not answer.
    pub unreachable: Vec<Fingerprint>,
    /// The first other thing that kept something from being done.
    pub trouble: Option<ClientError>,
    /// Whether something is left to do, as after the time was up.
    pub left_over: bool,
}

/// See the module.
pub(crate) struct Engine {
    vault: Vault,
    router: Router,
    choice: RouteChoice,
    mode: Mode,
    receivers: BTreeMap<ContactId, Receiver>,
    senders: BTreeMap<ContactId, Sender>,
    errands: BTreeMap<ErrandId, Errand>,
    next_errand: u64,
    finished: VecDeque<(ErrandId, Result<ErrandOutcome, ClientError>)>,
    owners: HashMap<SessionId, Owner>,
    acknowledged: Vec<(ContactId, Acknowledged)>,
    infos: BTreeMap<Fingerprint, UnixMillis>,
    silent: BTreeSet<Fingerprint>,
    reached: BTreeSet<Fingerprint>,
    entry_turn: BTreeMap<Fingerprint, usize>,
    events: VecDeque<Event>,
}

impl Engine {
    /// An engine over an open vault.
    pub(crate) fn new(vault: Vault, choice: RouteChoice) -> Result<Self, VaultError> {
        let mut router = Router::new();
        for (relay, newest) in records::newest_infos(vault.database())? {
            router.remember_info(relay, newest);
        }
        Ok(Self {
            vault,
            router,
            choice,
            mode: Mode::Quiet,
            receivers: BTreeMap::new(),
            senders: BTreeMap::new(),
            errands: BTreeMap::new(),
            next_errand: 0,
            finished: VecDeque::new(),
            owners: HashMap::new(),
            acknowledged: Vec::new(),
            infos: BTreeMap::new(),
            silent: BTreeSet::new(),
            reached: BTreeSet::new(),
            entry_turn: BTreeMap::new(),
            events: VecDeque::new(),
        })
    }

    /// The vault, for what needs no network.
    pub(crate) fn vault(&mut self) -> &mut Vault {
        &mut self.vault
    }

    /// Gives the vault back and drops every link, to hand the home to another process.
    pub(crate) fn into_vault(self) -> Vault {
        self.vault
    }

    // --- what is asked of it ------------------------------------------------------------------

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

    fn begin_anew(
        &mut self,
        now: UnixMillis,
        rng: &mut (impl CryptoRng + ?Sized),
    ) -> Result<(), VaultError> {
        self.expire(now)?;
        self.receivers.values_mut().for_each(Receiver::begin_anew);
        self.senders.values_mut().for_each(Sender::begin_anew);
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

    /// Gives every contact in the vault its two ends.
    fn adopt_contacts(&mut self) -> Result<(), VaultError> {
        if self.mode == Mode::Quiet {
            return Ok(());
        }
        for contact in records::contacts(self.vault.database())? {
            if !self.receivers.contains_key(&contact.id)
                && let Some(incoming) = records::incoming(self.vault.database(), contact.id)?
            {
                self.receivers.insert(contact.id, Receiver::new(&incoming));
            }
            if !self.senders.contains_key(&contact.id)
                && let Some(outgoing) = records::outgoing(self.vault.database(), contact.id)?
            {
                self.senders.insert(contact.id, Sender::new(outgoing));
            }
        }
        Ok(())
    }

    /// Secrets of invitations that nobody used in time go, and what is too old to matter.
    fn expire(&mut self, now: UnixMillis) -> Result<(), VaultError> {
        let expired = records::expired_invitations(self.vault.database(), now)?;
        self.vault.transaction(|tx| {
            for id in &expired {
                records::set_contact(tx, *id, "inviter", None::<Vec<u8>>)?;
                records::set_contact(tx, *id, "link", None::<Vec<u8>>)?;
            }
            records::delete_expired_joins(tx, now)?;
            messages::sweep(tx, now.day())
        })
    }

    fn errand_id(&mut self) -> ErrandId {
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
        let relay = records::relays(database)?.into_iter().next().ok_or(ClientError::NoRelay)?;
        let errand = InviteErrand::new(relay.address, name, hours, now, rng)?;
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
        let database = self.vault.database();
        let errand = match records::contact_of_link(database, &link.hash())? {
            Some((contact, Stage::Joining)) => {
                records::check_name_is_free(database, name.as_deref(), Some(contact))?;
                JoinErrand::resume(link, name, contact, database)?
            }
            Some(_) => return Err(ClientError::OwnInvitation),
            None => {
                if link.expires <= now.hour() {
                    return Err(ClientError::InvitationExpired);
                }
                records::check_name_is_free(database, name.as_deref(), None)?;
                let own = records::relays(database)?.into_iter().next();
                let own = own.map_or_else(|| link.relay.clone(), |relay| relay.address);
                JoinErrand::new(link, name, own, rng)
            }
        };
        Ok(self.begin_errand(Errand::new(errand, now), now, rng)?)
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
            if let Some(incoming) = records::incoming(tx, id)? {
                // By then the relay has let the mailbox go by itself.
                let until = UnixDay(now.day().0 + hearken_proto::limits::MAILBOX_IDLE_DAYS);
                records::insert_farewell(tx, &incoming.relay, &incoming.receive_key, until)?;
            }
            records::delete_contact(tx, id)
        })
    }

    /// Stores a text and its exact ciphertexts, and sends it when its turn comes.
    pub(crate) fn send_text(
        &mut self,
        id: ContactId,
        text: &str,
        now: UnixMillis,
        rng: &mut (impl CryptoRng + ?Sized),
    ) -> Result<MessageId, ClientError> {
        let contact =
            records::contact(self.vault.database(), id)?.ok_or(ClientError::UnknownContact)?;
        if contact.blocked {
            return Err(ClientError::Blocked);
        }
        let mut bytes = [0; 16];
        rng.fill_bytes(&mut bytes);
        let message = Message {
            id: MessageId::from_bytes(bytes),
            contact: id,
            from_me: true,
            kind: crate::message::MessageKind::Text,
            text: text.to_owned(),
            sent_at: now,
            received_at: None,
            state: MessageState::Queued,
        };
        self.vault.transaction(|tx| {
            messages::insert(tx, &message, false, true)?;
            conversation::seal_waiting(tx, id, rng)
        })?;
        self.turn(now, rng)?;
        Ok(message.id)
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
                && messages::outbox_len(self.vault.database(), *id)? == 0
                && !sender.is_busy();
            if !nothing_to_do && !enough(sender.failure(), sender.failures()) {
                return Ok(false);
            }
        }
        Ok(true)
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
            let due = !sender.is_claimed() || messages::outbox_len(self.vault.database(), *id)? > 0;
            if due {
                note(sender.relay(), sender.failure());
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
    }

    // --- routes -------------------------------------------------------------------------------

    /// What will happen when a mailbox on `relay` is reached for.
    pub(crate) fn advise(&self, relay: &Fingerprint) -> Result<RouteAdvice, VaultError> {
        if self.choice == RouteChoice::Direct {
            return Ok(RouteAdvice::Direct);
        }
        if !self.entries(relay)?.is_empty() {
            return Ok(RouteAdvice::Hop2);
        }
        if self.choice == RouteChoice::Hop2 {
            return Ok(RouteAdvice::NoEntry);
        }
        let agreed = records::setting(self.vault.database(), SETTING_DIRECT)?.is_some();
        Ok(if agreed { RouteAdvice::Direct } else { RouteAdvice::NeedsConsent })
    }

    /// Relays that the person added, that are not the mailbox's own, nor run beside this vault.
    fn entries(&self, relay: &Fingerprint) -> Result<Vec<RelayAddress>, VaultError> {
        Ok(records::relays(self.vault.database())?
            .into_iter()
            .filter(|entry| !entry.own && entry.address.fingerprint() != *relay)
            .map(|entry| entry.address)
            .collect())
    }

    fn plan(&self, relay: &RelayAddress) -> Result<Result<RoutePlan, Trouble>, VaultError> {
        let fingerprint = relay.fingerprint();
        Ok(match self.advise(&fingerprint)? {
            RouteAdvice::Direct => Ok(RoutePlan { entry: None, relay: relay.clone() }),
            RouteAdvice::NeedsConsent => Err(Trouble::NeedsConsent),
            RouteAdvice::NoEntry => Err(Trouble::NoEntry),
            RouteAdvice::Hop2 => {
                let entries = self.entries(&fingerprint)?;
                // The same entry for one relay as long as it works: each further one would see this address too.
                let turn = self.entry_turn.get(&fingerprint).copied().unwrap_or(0);
                let entry = entries.get(turn % entries.len().max(1)).cloned();
                Ok(RoutePlan { entry, relay: relay.clone() })
            }
        })
    }

    fn open(
        &mut self,
        owner: Owner,
        relay: &RelayAddress,
        now: UnixMillis,
        rng: &mut (impl CryptoRng + ?Sized),
    ) -> Result<Result<SessionId, Trouble>, VaultError> {
        Ok(match self.plan(relay)? {
            Ok(plan) => {
                let session = self.router.open(now, rng, plan);
                self.owners.insert(session, owner);
                Ok(session)
            }
            Err(trouble) => Err(trouble),
        })
    }

    // --- from the shell -----------------------------------------------------------------------

    /// A link that was asked for is there.
    pub(crate) fn handle_connected(
        &mut self,
        link: LinkId,
        now: UnixMillis,
        rng: &mut (impl CryptoRng + ?Sized),
    ) -> Result<(), VaultError> {
        self.router.handle_connected(now, rng, link);
        self.turn(now, rng)
    }

    /// A link is not there, or not any more.
    pub(crate) fn handle_disconnected(
        &mut self,
        link: LinkId,
        why: LinkFailure,
        now: UnixMillis,
        rng: &mut (impl CryptoRng + ?Sized),
    ) -> Result<(), VaultError> {
        self.router.handle_disconnected(now, link, why);
        self.turn(now, rng)
    }

    /// Cells of a link, in order.
    pub(crate) fn handle_cells(
        &mut self,
        link: LinkId,
        cells: impl IntoIterator<Item = Cell>,
        now: UnixMillis,
        rng: &mut (impl CryptoRng + ?Sized),
    ) -> Result<(), VaultError> {
        for cell in cells {
            self.router.handle_cell(now, rng, link, cell);
        }
        self.turn(now, rng)
    }

    /// Time has passed, or there is work.
    pub(crate) fn handle_timeout(
        &mut self,
        now: UnixMillis,
        rng: &mut (impl CryptoRng + ?Sized),
    ) -> Result<(), VaultError> {
        self.router.handle_timeout(now, rng);
        for sender in self.senders.values_mut() {
            sender.handle_timeout(now, &mut self.router);
        }
        let idle: Vec<ContactId> = self
            .senders
            .iter()
            .filter(|(_, sender)| sender.is_idle(now))
            .map(|(id, _)| *id)
            .collect();
        for id in idle {
            self.close_sender(id, now, rng);
        }
        self.turn(now, rng)
    }

    fn close_sender(
        &mut self,
        id: ContactId,
        now: UnixMillis,
        rng: &mut (impl CryptoRng + ?Sized),
    ) {
        if let Some(sender) = self.senders.get_mut(&id)
            && let Some(session) = sender.session()
        {
            self.owners.remove(&session);
            self.router.close(now, rng, session);
            sender.handle_closed(None, now, rng);
        }
    }

    /// Whether proof of work is being searched: call [`Engine::handle_timeout`] again soon.
    pub(crate) fn has_work(&self) -> bool {
        self.receivers.values().any(Receiver::is_working)
            || self.errands.values().any(Errand::is_working)
    }

    /// When [`Engine::handle_timeout`] is due.
    pub(crate) fn poll_timeout(&self) -> Option<UnixMillis> {
        self.receivers
            .values()
            .filter_map(Receiver::poll_timeout)
            .chain(self.senders.values().filter_map(Sender::poll_timeout))
            .chain(self.errands.values().map(Errand::poll_timeout))
            .chain(self.router.poll_timeout())
            .min()
    }

    /// What the shell shall do.
    pub(crate) fn poll_action(&mut self) -> Option<RouteAction> {
        self.router.poll_action()
    }

    /// What a display may want to know.
    pub(crate) fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// What an errand came to.
    pub(crate) fn poll_finished(
        &mut self,
    ) -> Option<(ErrandId, Result<ErrandOutcome, ClientError>)> {
        self.finished.pop_front()
    }

    // --- one turn -----------------------------------------------------------------------------

    fn turn(
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
            self.open_sessions(now, rng)?;
            self.pump(now)?;
            self.router.flush(now, rng);
            // A session that could not be opened reports so at once.
            let Some(event) = self.router.poll_event() else { break };
            self.handle_route_event(event, now, rng)?;
        }
        Ok(())
    }

    fn handle_route_event(
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
                Ok(())
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

    fn handle_opened(
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
            None => self.router.close(now, rng, session),
        }
        Ok(())
    }

    #[allow(clippy::too_many_arguments)] // One argument a field of the event, and what every handler takes.
    fn handle_answer(
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
            None => Ok(()),
        }
    }

    fn take_receiver_step(
        &mut self,
        id: ContactId,
        step: ReceiverStep,
        now: UnixMillis,
        rng: &mut (impl CryptoRng + ?Sized),
    ) -> Result<(), VaultError> {
        match step {
            ReceiverStep::Nothing => Ok(()),
            ReceiverStep::Remade => self.vault.transaction(|tx| records::reset_cursor(tx, id)),
            ReceiverStep::ClaimsRefused(count) => {
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

    fn take_sender_step(&mut self, id: ContactId, step: SenderStep) -> Result<(), VaultError> {
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

    fn take_errand_step(
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

    fn finish(
        &mut self,
        id: ErrandId,
        outcome: Result<ErrandOutcome, ClientError>,
    ) -> Result<(), VaultError> {
        self.errands.remove(&id);
        self.finished.push_back((id, outcome));
        self.adopt_contacts()
    }

    fn roll_over(
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
                let Some(relay) = records::relay_address(self.vault.database(), &receiver.relay())?
                else {
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
            _ => {}
        }
        Ok(())
    }

    fn handle_closed(
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
            None => {}
        }
        Ok(())
    }

    fn note_failure(&mut self, relay: Fingerprint, why: CloseWhy) {
        if matches!(why, CloseWhy::Unreachable | CloseWhy::EntryRefuses | CloseWhy::Busy) {
            // Another entry may do better.
            *self.entry_turn.entry(relay).or_default() += 1;
        }
        if why == CloseWhy::Unreachable && self.silent.insert(relay) {
            self.emit(Event::RelayUnreachable(relay));
        }
    }

    /// What came is opened and stored, contact by contact, each in one transaction, and only then acknowledged.
    fn store_arrivals(
        &mut self,
        now: UnixMillis,
        rng: &mut (impl CryptoRng + ?Sized),
    ) -> Result<(), VaultError> {
        let ids: Vec<ContactId> = self.receivers.keys().copied().collect();
        for id in ids {
            let Some(receiver) = self.receivers.get_mut(&id) else { continue };
            let arrived = receiver.take_arrived();
            let Some(cursor) = arrived.last().map(|(position, _)| *position) else { continue };
            let received = self.vault.transaction(|tx| {
                let mut received = Received::default();
                for (_, blob) in &arrived {
                    conversation::receive(tx, id, blob, now, rng, &mut received)?;
                }
                records::set_cursor(tx, id, cursor)?;
                conversation::seal_waiting(tx, id, rng)?;
                Ok::<_, VaultError>(received)
            })?;
            if let Some(receiver) = self.receivers.get_mut(&id) {
                receiver.acknowledge(cursor, &mut self.router);
                if let Some(sender) = received.their_sender {
                    receiver.set_sender(sender);
                }
            }
            if received.joined {
                self.emit(Event::ContactJoined(id));
            }
            if received.outgoing_changed {
                // A new or changed way to answer: the sender is made from what is stored.
                self.close_sender(id, now, rng);
                self.senders.remove(&id);
            }
            self.adopt_contacts()?;
            for message in received.messages {
                self.emit(Event::MessageArrived(message));
            }
        }
        Ok(())
    }

    /// Cells that the relay has leave the outbox. A kill before this only makes them go out again.
    fn store_acknowledgements(&mut self) -> Result<(), VaultError> {
        let mut infos = core::mem::take(&mut self.infos);
        let acknowledged = core::mem::take(&mut self.acknowledged);
        if infos.is_empty() && acknowledged.is_empty() {
            return Ok(());
        }
        self.vault.transaction(|tx| {
            for (relay, signed_at) in &infos {
                records::set_newest_info(tx, relay, *signed_at)?;
            }
            for (id, cell) in &acknowledged {
                messages::remove_from_outbox(tx, cell.seq)?;
                if let Some(message) = cell.message {
                    messages::mark_sent(tx, *id, message)?;
                }
            }
            Ok::<_, VaultError>(())
        })?;
        infos.clear();
        let contacts: BTreeSet<ContactId> = acknowledged.iter().map(|(id, _)| *id).collect();
        for (_, cell) in acknowledged {
            if let Some(message) = cell.message {
                self.emit(Event::MessageSent(message));
            }
        }
        for contact in contacts {
            let cells_left = messages::outbox_len(self.vault.database(), contact)?;
            self.emit(Event::Progress { contact, cells_left });
        }
        Ok(())
    }

    fn work(
        &mut self,
        now: UnixMillis,
        rng: &mut (impl CryptoRng + ?Sized),
    ) -> Result<(), VaultError> {
        for receiver in self.receivers.values_mut() {
            receiver.work(&mut self.router);
        }
        let ids: Vec<ErrandId> = self.errands.keys().copied().collect();
        for id in ids {
            let Some(errand) = self.errands.get_mut(&id) else { continue };
            let step = errand.work(now, &mut self.router);
            self.take_errand_step(id, step, now, rng)?;
        }
        Ok(())
    }

    fn open_sessions(
        &mut self,
        now: UnixMillis,
        rng: &mut (impl CryptoRng + ?Sized),
    ) -> Result<(), VaultError> {
        let errands: Vec<ErrandId> = self
            .errands
            .iter()
            .filter(|(_, errand)| errand.wants_session(now))
            .map(|(id, _)| *id)
            .collect();
        for id in errands {
            let Some(address) = self.errands.get(&id).map(|errand| errand.address().clone()) else {
                continue;
            };
            let address = match address {
                super::errand::Destination::Address(address) => Some(address),
                super::errand::Destination::Known(relay) => {
                    records::relay_address(self.vault.database(), &relay)?
                }
            };
            let Some(address) = address else {
                self.take_errand_step(
                    id,
                    ErrandStep::Failed(ClientError::UnknownRelay, None),
                    now,
                    rng,
                )?;
                continue;
            };
            match self.open(Owner::Errand(id), &address, now, rng)? {
                Ok(session) => {
                    if let Some(errand) = self.errands.get_mut(&id) {
                        errand.opening(session);
                    }
                }
                Err(trouble) => {
                    let failed = ErrandStep::Failed(trouble.into_error(), None);
                    self.take_errand_step(id, failed, now, rng)?;
                }
            }
        }
        if self.mode == Mode::Quiet {
            return Ok(());
        }
        let receivers: Vec<(ContactId, Fingerprint)> = self
            .receivers
            .iter()
            .filter(|(_, receiver)| receiver.wants_session(now))
            .map(|(id, receiver)| (*id, receiver.relay()))
            .collect();
        for (id, relay) in receivers {
            let Some(address) = records::relay_address(self.vault.database(), &relay)? else {
                continue;
            };
            let opened = self.open(Owner::Receiver(id), &address, now, rng)?;
            let Some(receiver) = self.receivers.get_mut(&id) else { continue };
            match opened {
                Ok(session) => receiver.opening(session),
                Err(trouble) => receiver.fail(trouble, now, rng),
            }
        }
        self.open_senders(now, rng)
    }

    fn open_senders(
        &mut self,
        now: UnixMillis,
        rng: &mut (impl CryptoRng + ?Sized),
    ) -> Result<(), VaultError> {
        let mut wanting = Vec::new();
        for (id, sender) in self.senders.iter().filter(|(_, sender)| sender.wants_session(now)) {
            if !sender.is_claimed() || messages::outbox_len(self.vault.database(), *id)? > 0 {
                wanting.push((*id, sender.relay()));
            }
        }
        for (id, relay) in wanting {
            let Some(address) = records::relay_address(self.vault.database(), &relay)? else {
                continue;
            };
            let opened = self.open(Owner::Sender(id), &address, now, rng)?;
            let Some(sender) = self.senders.get_mut(&id) else { continue };
            match opened {
                Ok(session) => sender.opening(session, now),
                Err(trouble) => sender.handle_closed(Some(trouble), now, rng),
            }
        }
        Ok(())
    }

    fn pump(&mut self, now: UnixMillis) -> Result<(), VaultError> {
        for (id, sender) in &mut self.senders {
            if let Some((after, room)) = sender.wants_cells() {
                let cells = messages::outbox(self.vault.database(), *id, after, room)?;
                sender.put(cells, &mut self.router, now);
            }
        }
        Ok(())
    }

    fn emit(&mut self, event: Event) {
        if self.events.len() == EVENTS_MAX {
            self.events.pop_front();
        }
        self.events.push_back(event);
    }
}

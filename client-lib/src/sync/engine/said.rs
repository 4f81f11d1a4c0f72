//! What this side says in a conversation: each one transaction, then on its way. And what time brings: receipts that are due,
//! and what is to be gone.

use hearken_proto::time::{DAY_MS, UnixMillis};
use rand_core::CryptoRng;
use rusqlite::Transaction;

use super::{Engine, Mode};
use crate::consent::{ConsentId, ConsentState};
use crate::conversation::Conversation;
use crate::error::ClientError;
use crate::message::MessageId;
use crate::sync::thread::{self, React};
use crate::sync::{keys, messages};
use crate::vault::VaultError;

impl Engine {
    /// Does one thing in one transaction, and has go out what it left to be sent.
    fn say<T, R: CryptoRng + ?Sized>(
        &mut self,
        now: UnixMillis,
        rng: &mut R,
        say: impl FnOnce(&Transaction<'_>, &mut R) -> Result<T, ClientError>,
    ) -> Result<T, ClientError> {
        let said = self.vault.transaction(|tx| say(tx, rng))?;
        self.turn(now, rng)?;
        self.look_ahead(now)?;
        Ok(said)
    }

    /// Stores a text and its exact ciphertexts, and sends it when its turn comes.
    pub(crate) fn send_text(
        &mut self,
        to: Conversation,
        text: &str,
        reply_to: Option<MessageId>,
        now: UnixMillis,
        rng: &mut (impl CryptoRng + ?Sized),
    ) -> Result<MessageId, ClientError> {
        self.say(now, rng, |tx, rng| thread::say_text(tx, to.thread(), text, reply_to, now, rng))
    }

    /// As [`thread::react`].
    pub(crate) fn react(
        &mut self,
        to: Conversation,
        target: MessageId,
        emoji: &str,
        now: UnixMillis,
        rng: &mut (impl CryptoRng + ?Sized),
    ) -> Result<React, ClientError> {
        self.say(now, rng, |tx, rng| thread::react(tx, to.thread(), target, emoji, now, rng))
    }

    /// As [`thread::edit`].
    pub(crate) fn edit(
        &mut self,
        to: Conversation,
        target: MessageId,
        text: &str,
        now: UnixMillis,
        rng: &mut (impl CryptoRng + ?Sized),
    ) -> Result<MessageId, ClientError> {
        self.say(now, rng, |tx, rng| thread::edit(tx, to.thread(), target, text, now, rng))
    }

    /// As [`thread::delete_for_all`] or [`thread::delete_here`].
    pub(crate) fn delete(
        &mut self,
        to: Conversation,
        target: MessageId,
        for_all: bool,
        now: UnixMillis,
        rng: &mut (impl CryptoRng + ?Sized),
    ) -> Result<Option<MessageId>, ClientError> {
        self.say(now, rng, |tx, rng| {
            if for_all {
                thread::delete_for_all(tx, to.thread(), target, now, rng)
            } else {
                thread::delete_here(tx, to.thread(), target, now).map(|()| None)
            }
        })
    }

    /// As [`thread::set_timer`].
    pub(crate) fn set_timer(
        &mut self,
        of: Conversation,
        seconds: Option<u32>,
        now: UnixMillis,
        rng: &mut (impl CryptoRng + ?Sized),
    ) -> Result<MessageId, ClientError> {
        self.say(now, rng, |tx, rng| thread::set_timer(tx, of.thread(), seconds, now, rng))
    }

    /// As [`thread::ask`].
    pub(crate) fn ask_consent(
        &mut self,
        of: Conversation,
        ask: thread::Ask,
        now: UnixMillis,
        rng: &mut (impl CryptoRng + ?Sized),
    ) -> Result<ConsentId, ClientError> {
        self.say(now, rng, |tx, rng| thread::ask(tx, of.thread(), ask, now, rng))
    }

    /// As [`thread::decide`].
    pub(crate) fn decide_consent(
        &mut self,
        id: ConsentId,
        decision: ConsentState,
        now: UnixMillis,
        rng: &mut (impl CryptoRng + ?Sized),
    ) -> Result<MessageId, ClientError> {
        self.say(now, rng, |tx, rng| thread::decide(tx, id, decision, now, rng))
    }

    /// As [`thread::quote`].
    pub(crate) fn quote(
        &mut self,
        id: ConsentId,
        to: Conversation,
        now: UnixMillis,
        rng: &mut (impl CryptoRng + ?Sized),
    ) -> Result<MessageId, ClientError> {
        self.say(now, rng, |tx, rng| thread::quote(tx, id, to.thread(), now, rng))
    }

    /// What is up goes, where anything is.
    pub(crate) fn let_go(&mut self, now: UnixMillis) -> Result<(), VaultError> {
        if messages::is_sweep_due(self.vault.database(), now)? {
            self.vault.transaction(|tx| messages::sweep(tx, now))?;
        }
        Ok(())
    }

    /// Does what time has brought, while mailboxes are watched.
    pub(super) fn handle_chores(
        &mut self,
        now: UnixMillis,
        rng: &mut (impl CryptoRng + ?Sized),
    ) -> Result<(), VaultError> {
        if self.mode == Mode::Follow && self.chores_at.is_some_and(|at| at <= now) {
            self.expire(now, rng)?;
        }
        Ok(())
    }

    /// Finds out when time brings something next.
    pub(super) fn look_ahead(&mut self, now: UnixMillis) -> Result<(), VaultError> {
        self.chores_at = None;
        if self.mode != Mode::Follow {
            return Ok(());
        }
        let db = self.vault.database();
        let midnight = UnixMillis((now.0 / DAY_MS + 1) * DAY_MS);
        let key = (!keys::days_before(db, midnight.day())?.is_empty()).then_some(midnight);
        let due = [thread::due_at(db)?, messages::next_end(db)?, key];
        self.chores_at = due.into_iter().flatten().min();
        Ok(())
    }
}

//! Messages: sent, fetched, shown and read again.

use std::time::Duration;

use hearken_proto::limits::TEXT_MAX;
use tokio::sync::oneshot;
use zeroize::Zeroizing;

use super::Client;
use crate::contact::ContactState;
use crate::conversation::Conversation;
use crate::driver::Wait;
use crate::error::ClientError;
use crate::message::{Message, MessageId, SendOutcome};
use crate::sync::{SyncOutcome, messages, thread};

/// What a reaction came to: see [`Client::react`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reacted {
    /// What goes out: none where there was nothing to take back.
    pub sent_as: Vec<MessageId>,
    /// It was taken back.
    pub withdrawn: bool,
}

impl Client {
    /// Stores a text in the outbox, durably and already sealed where it can be. It goes out at the next
    /// [`Client::wait_sent`], [`Client::sync`] or while [`Client::follow`] runs.
    ///
    /// # Errors
    /// [`ClientError::TextEmpty`], [`ClientError::TextTooLong`] (256 KiB), [`ClientError::Blocked`],
    /// [`ClientError::UnknownContact`], [`ClientError::Vault`].
    pub async fn send_text(
        &self,
        to: impl Into<Conversation>,
        text: &str,
    ) -> Result<MessageId, ClientError> {
        self.say_text(to.into(), text, None).await
    }

    /// As [`Client::send_text`], as an answer to a message that can be seen in the same conversation. Only its id goes
    /// along, so that what is deleted later is not quoted for good.
    ///
    /// # Errors
    /// As [`Client::send_text`], and [`ClientError::UnknownMessage`].
    pub async fn reply(
        &self,
        to: impl Into<Conversation>,
        target: MessageId,
        text: &str,
    ) -> Result<MessageId, ClientError> {
        self.say_text(to.into(), text, Some(target)).await
    }

    async fn say_text(
        &self,
        to: Conversation,
        text: &str,
        reply_to: Option<MessageId>,
    ) -> Result<MessageId, ClientError> {
        let text = checked(text)?;
        self.driver
            .call(move |engine, now, rng| engine.send_text(to, &text, reply_to, now, rng))
            .await
    }

    /// Reacts to a message with an emoji (up to 64 bytes), or takes that back: with the same emoji again, or with an empty
    /// one all that this side gave it. Gives what [`Client::wait_sent_to`] waits for, in order.
    ///
    /// # Errors
    /// [`ClientError::UnknownMessage`], [`ClientError::EmojiInvalid`], [`ClientError::TooManyReactions`], and as
    /// [`Client::send_text`].
    pub async fn react(
        &self,
        to: impl Into<Conversation>,
        target: MessageId,
        emoji: &str,
    ) -> Result<Reacted, ClientError> {
        let (to, emoji) = (to.into(), emoji.to_owned());
        let react = self
            .driver
            .call(move |engine, now, rng| engine.react(to, target, &emoji, now, rng))
            .await?;
        Ok(Reacted { sent_as: react.ids, withdrawn: react.withdrawn })
    }

    /// Replaces the words of a message of this side, here and at the others. That it was edited stays visible. Gives what
    /// [`Client::wait_sent_to`] waits for.
    ///
    /// # Errors
    /// [`ClientError::UnknownMessage`], [`ClientError::NotYours`], and as [`Client::send_text`].
    pub async fn edit(
        &self,
        to: impl Into<Conversation>,
        target: MessageId,
        text: &str,
    ) -> Result<MessageId, ClientError> {
        let (to, text) = (to.into(), checked(text)?);
        self.driver.call(move |engine, now, rng| engine.edit(to, target, &text, now, rng)).await
    }

    /// Deletes a message on this side, without a trace in the conversation.
    ///
    /// # Errors
    /// [`ClientError::UnknownMessage`], [`ClientError::Vault`].
    pub async fn delete(
        &self,
        from: impl Into<Conversation>,
        target: MessageId,
    ) -> Result<(), ClientError> {
        let from = from.into();
        self.driver
            .call(move |engine, now, rng| engine.delete(from, target, false, now, rng))
            .await?;
        Ok(())
    }

    /// Deletes a message of this side here and has the others' programs destroy its words; a line that something was
    /// deleted stays. Gives what [`Client::wait_sent_to`] waits for; `None` where it had not been sent, and nobody needs to
    /// be told. What somebody has read or copied, nothing takes back.
    ///
    /// # Errors
    /// [`ClientError::UnknownMessage`], [`ClientError::NotYours`], and as [`Client::send_text`].
    pub async fn delete_for_all(
        &self,
        from: impl Into<Conversation>,
        target: MessageId,
    ) -> Result<Option<MessageId>, ClientError> {
        let from = from.into();
        self.driver.call(move |engine, now, rng| engine.delete(from, target, true, now, rng)).await
    }

    /// Sets for everybody how long what is written from here on stays: at most a year, in whole seconds; `None`: for good.
    /// Gives what [`Client::wait_sent_to`] waits for.
    ///
    /// # Errors
    /// [`ClientError::TimerInvalid`], and as [`Client::send_text`].
    pub async fn set_timer(
        &self,
        of: impl Into<Conversation>,
        timer: Option<Duration>,
    ) -> Result<MessageId, ClientError> {
        let of = of.into();
        let seconds = match timer {
            None => None,
            Some(timer) => match u32::try_from(timer.as_secs()) {
                Ok(seconds) if seconds > 0 => Some(seconds),
                _ => return Err(ClientError::TimerInvalid),
            },
        };
        self.driver.call(move |engine, now, rng| engine.set_timer(of, seconds, now, rng)).await
    }

    /// How long what is written in a conversation stays; `None`: for good.
    ///
    /// # Errors
    /// [`ClientError::Vault`].
    pub async fn timer(
        &self,
        of: impl Into<Conversation>,
    ) -> Result<Option<Duration>, ClientError> {
        let of = of.into();
        self.driver
            .call(move |engine, _, _| {
                let seconds = thread::timer(engine.vault().database(), of.thread())?;
                Ok(seconds.map(|seconds| Duration::from_secs(seconds.into())))
            })
            .await
    }

    /// Has this side tell, or not tell, in a conversation that messages have come: minutes later, or with what is said
    /// next. On with a contact unless turned off.
    ///
    /// # Errors
    /// [`ClientError::UnknownContact`], [`ClientError::Vault`].
    pub async fn set_receipts(
        &self,
        of: impl Into<Conversation>,
        on: bool,
    ) -> Result<(), ClientError> {
        let of = of.into();
        self.driver
            .call(move |engine, _, _| {
                engine.vault().transaction(|tx| thread::set_receipts(tx, of.thread(), on))
            })
            .await
    }

    /// Texts of every conversation that have all of these words, oldest first: whatever the case, however letters are
    /// composed, also within longer words. What was deleted or is gone is not found. At most the newest 1,000.
    ///
    /// # Errors
    /// [`ClientError::Vault`].
    pub async fn search(&self, words: &str) -> Result<Vec<Message>, ClientError> {
        let words = Zeroizing::new(words.to_owned());
        self.driver
            .call(move |engine, now, _| Ok(thread::search(engine.vault().database(), &words, now)?))
            .await
    }

    /// The message of this id, or unambiguous beginning of an id (4 characters or more), that can be seen: in `within`, or in
    /// any conversation.
    ///
    /// # Errors
    /// [`ClientError::UnknownMessage`], or [`ClientError::AmbiguousMessage`] with some of those that match.
    pub async fn find_message(
        &self,
        within: Option<Conversation>,
        id_or_prefix: &str,
    ) -> Result<Message, ClientError> {
        let prefix = id_or_prefix.to_ascii_lowercase();
        if !(4..=32).contains(&prefix.len()) || !prefix.bytes().all(|b| b.is_ascii_hexdigit()) {
            return Err(ClientError::UnknownMessage);
        }
        let mut matching = self
            .driver
            .call(move |engine, now, _| {
                let thread = within.map(Conversation::thread);
                Ok(messages::matching(engine.vault().database(), thread, &prefix, now)?)
            })
            .await?;
        match matching.len() {
            0 => Err(ClientError::UnknownMessage),
            1 => Ok(matching.remove(0)),
            _ => Err(ClientError::AmbiguousMessage(matching)),
        }
    }

    /// Brings the outbox forward until a relay holds `message`, or nothing has moved for `patience`.
    ///
    /// # Errors
    /// [`ClientError::Blocked`] and [`ClientError::UnknownContact`], also when the contact is blocked or forgotten meanwhile;
    /// [`ClientError`] when the way is closed for another reason than silence or a full mailbox.
    pub async fn wait_sent(
        &self,
        message: MessageId,
        patience: Duration,
    ) -> Result<SendOutcome, ClientError> {
        let to = self
            .driver
            .call(move |engine, _, _| {
                let database = engine.vault().database();
                let thread = messages::thread_of_own(database, message)?;
                let thread = thread.ok_or(ClientError::UnknownContact)?;
                let kind = thread::kind(database, thread)?.ok_or(ClientError::UnknownContact)?;
                Ok(kind.conversation(thread))
            })
            .await?;
        self.wait_sent_to(to, message, patience).await
    }

    /// As [`Client::wait_sent`], for anything that was said in a conversation.
    ///
    /// # Errors
    /// As [`Client::wait_sent`].
    pub async fn wait_sent_to(
        &self,
        to: impl Into<Conversation>,
        message: MessageId,
        patience: Duration,
    ) -> Result<SendOutcome, ClientError> {
        let Conversation::Contact(contact) = to.into();
        let known = self.contact(contact).await?;
        if known.state != ContactState::Joined {
            return Ok(SendOutcome::Queued);
        }
        let (reply, outcome) = oneshot::channel();
        self.driver.wait(Wait::sent(message, known.id, patience, reply)).await?;
        outcome.await.map_err(|_| self.driver.ended())?
    }

    /// Does everything that is due once: sends, completes handshakes, fetches. Ends when nothing is left to do, or
    /// after `limit`.
    ///
    /// # Errors
    /// [`ClientError::Vault`]; what kept relays from being reached is in the outcome.
    pub async fn sync(&self, limit: Duration) -> Result<SyncOutcome, ClientError> {
        let (reply, outcome) = oneshot::channel();
        self.driver.wait(Wait::sync(limit, reply)).await?;
        outcome.await.map_err(|_| self.driver.ended())?
    }

    /// From here on watches every mailbox and sends what is due as it comes, until the client ends. Gives the home to
    /// other processes that wait for it, and takes it back.
    ///
    /// # Errors
    /// [`ClientError::Vault`].
    pub async fn follow(&self) -> Result<(), ClientError> {
        self.driver.follow().await
    }

    /// Messages that came and were not marked as shown, oldest first.
    ///
    /// # Errors
    /// [`ClientError::Vault`].
    pub async fn new_messages(&self) -> Result<Vec<Message>, ClientError> {
        self.driver
            .call(|engine, now, _| Ok(messages::unshown(engine.vault().database(), now)?))
            .await
    }

    /// The person has seen these, as they are here: a gap that became wider meanwhile is new.
    ///
    /// # Errors
    /// [`ClientError::Vault`].
    pub async fn mark_shown(&self, shown: &[Message]) -> Result<(), ClientError> {
        let shown = shown.to_vec();
        self.driver
            .call(move |engine, _, _| {
                engine.vault().transaction(|tx| {
                    shown.iter().try_for_each(|message| messages::mark_shown(tx, message))
                })?;
                Ok(())
            })
            .await
    }

    /// The newest `limit` lines of a conversation, oldest first.
    ///
    /// # Errors
    /// [`ClientError::UnknownContact`], [`ClientError::Vault`].
    pub async fn history(
        &self,
        of: impl Into<Conversation>,
        limit: usize,
    ) -> Result<Vec<Message>, ClientError> {
        let thread = of.into().thread();
        self.driver
            .call(move |engine, now, _| {
                let database = engine.vault().database();
                thread::kind(database, thread)?.ok_or(ClientError::UnknownContact)?;
                Ok(messages::history(database, thread, limit, now)?)
            })
            .await
    }
}

fn checked(text: &str) -> Result<Zeroizing<String>, ClientError> {
    if text.is_empty() {
        return Err(ClientError::TextEmpty);
    }
    if text.len() > TEXT_MAX {
        return Err(ClientError::TextTooLong);
    }
    Ok(Zeroizing::new(text.to_owned()))
}

//! Messages: sent, fetched, shown and read again.

use std::time::Duration;

use hearken_proto::limits::TEXT_MAX;
use tokio::sync::oneshot;
use zeroize::Zeroizing;

use super::Client;
use crate::contact::{ContactId, ContactState};
use crate::driver::Wait;
use crate::error::ClientError;
use crate::message::{Message, MessageId, SendOutcome};
use crate::sync::{SyncOutcome, messages, records};

impl Client {
    /// Stores a text in the outbox, durably and already sealed where the contact has joined. It goes out at the next
    /// [`Client::wait_sent`], [`Client::sync`] or while [`Client::follow`] runs.
    ///
    /// # Errors
    /// [`ClientError::TextEmpty`], [`ClientError::TextTooLong`] (256 KiB), [`ClientError::Blocked`],
    /// [`ClientError::UnknownContact`], [`ClientError::Vault`].
    pub async fn send_text(
        &self,
        contact: ContactId,
        text: &str,
    ) -> Result<MessageId, ClientError> {
        if text.is_empty() {
            return Err(ClientError::TextEmpty);
        }
        if text.len() > TEXT_MAX {
            return Err(ClientError::TextTooLong);
        }
        let text = Zeroizing::new(text.to_owned());
        self.driver.call(move |engine, now, rng| engine.send_text(contact, &text, now, rng)).await
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
        let known = self
            .driver
            .call(move |engine, _, _| {
                let database = engine.vault().database();
                let message =
                    messages::message(database, message)?.ok_or(ClientError::UnknownContact)?;
                let contact = records::contact(database, message.contact)?
                    .ok_or(ClientError::UnknownContact)?;
                Ok(contact)
            })
            .await?;
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
        self.driver.call(|engine, _, _| Ok(messages::unshown(engine.vault().database())?)).await
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
        contact: ContactId,
        limit: usize,
    ) -> Result<Vec<Message>, ClientError> {
        self.contact(contact).await?;
        self.driver
            .call(move |engine, _, _| {
                Ok(messages::history(engine.vault().database(), contact, limit)?)
            })
            .await
    }
}

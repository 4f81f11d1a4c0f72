//! Consents: asked for, given, refused, taken back, and used.

use super::Client;
use crate::consent::{Consent, ConsentId, ConsentState};
use crate::conversation::Conversation;
use crate::error::ClientError;
use crate::message::MessageId;
use crate::sync::thread::{self, Ask};
use hearken_proto::time::UnixMillis;

impl Client {
    /// Asks the author of a message, in the conversation where they wrote it, whether its words as they are now may be given
    /// to `audience` for `purpose`, until `until` or until they take it back. It goes out like a text:
    /// [`Client::wait_sent_to`] with [`ConsentId::as_bytes`] as the message's id.
    ///
    /// # Errors
    /// [`ClientError::UnknownMessage`], [`ClientError::OwnMessage`], [`ClientError::ConsentInvalid`],
    /// [`ClientError::Blocked`], [`ClientError::UnknownContact`], [`ClientError::Vault`].
    pub async fn ask_consent(
        &self,
        of: impl Into<Conversation>,
        message: MessageId,
        audience: &str,
        purpose: &str,
        until: Option<UnixMillis>,
    ) -> Result<ConsentId, ClientError> {
        let of = of.into();
        let (audience, purpose) = (audience.to_owned(), purpose.to_owned());
        let ask = Ask { target: message, audience, purpose, until };
        self.driver.call(move |engine, now, rng| engine.ask_consent(of, ask, now, rng)).await
    }

    /// Answers, signed, what somebody asked about a message of this side. Gives what [`Client::wait_sent_to`] waits for.
    ///
    /// # Errors
    /// [`ClientError::UnknownConsent`], [`ClientError::NotYours`], [`ClientError::ConsentDecided`],
    /// [`ClientError::ConsentOutdated`] for a yes to words that have changed, [`ClientError::Blocked`],
    /// [`ClientError::Vault`].
    pub async fn answer_consent(
        &self,
        consent: ConsentId,
        yes: bool,
    ) -> Result<MessageId, ClientError> {
        let decision = if yes { ConsentState::Given } else { ConsentState::Refused };
        self.driver
            .call(move |engine, now, rng| engine.decide_consent(consent, decision, now, rng))
            .await
    }

    /// Takes a yes of this side back. The asker's program then deletes the copies that it gave out, where it can. Gives what
    /// [`Client::wait_sent_to`] waits for.
    ///
    /// # Errors
    /// As [`Client::answer_consent`].
    pub async fn withdraw_consent(&self, consent: ConsentId) -> Result<MessageId, ClientError> {
        self.driver
            .call(move |engine, now, rng| {
                engine.decide_consent(consent, ConsentState::Withdrawn, now, rng)
            })
            .await
    }

    /// All consents, oldest first, whoever asked.
    ///
    /// # Errors
    /// [`ClientError::Vault`].
    pub async fn consents(&self) -> Result<Vec<Consent>, ClientError> {
        self.driver.call(|engine, _, _| Ok(thread::consents(engine.vault().database())?)).await
    }

    /// The consent of this id, or unambiguous beginning of an id (4 characters or more).
    ///
    /// # Errors
    /// [`ClientError::UnknownConsent`], or [`ClientError::AmbiguousConsent`] with those that match.
    pub async fn find_consent(&self, id_or_prefix: &str) -> Result<Consent, ClientError> {
        let prefix = id_or_prefix.to_ascii_lowercase();
        let mut matching = self.consents().await?;
        matching.retain(|one| prefix.len() >= 4 && one.id().to_string().starts_with(&prefix));
        match matching.len() {
            0 => Err(ClientError::UnknownConsent),
            1 => Ok(matching.remove(0)),
            _ => Err(ClientError::AmbiguousConsent(matching.iter().map(Consent::id).collect())),
        }
    }

    /// The words that a consent of this side's asking allows to be given on, as long as it holds. A program that gives them
    /// on by itself asks here each time; [`Client::quote`] does, and remembers who got them.
    ///
    /// # Errors
    /// [`ClientError::NotConsented`], [`ClientError::UnknownConsent`], [`ClientError::NotYours`], [`ClientError::Vault`].
    pub async fn consented_words(&self, consent: ConsentId) -> Result<String, ClientError> {
        self.driver
            .call(move |engine, now, _| {
                let words = thread::check(engine.vault().database(), consent, now)?;
                Ok(words.as_str().to_owned())
            })
            .await
    }

    /// Sends somebody else's words to a conversation, as a consent allows. Should it be withdrawn, the copy is deleted
    /// there.
    ///
    /// # Errors
    /// As [`Client::consented_words`] and [`Client::send_text`].
    pub async fn quote(
        &self,
        to: impl Into<Conversation>,
        consent: ConsentId,
    ) -> Result<MessageId, ClientError> {
        let to = to.into();
        self.driver.call(move |engine, now, rng| engine.quote(consent, to, now, rng)).await
    }
}

//! Contacts: found, verified, named, blocked and forgotten.

use super::Client;
use crate::contact::{Contact, ContactId};
use crate::error::ClientError;
use crate::handshake::SafetyCode;
use crate::sync::records;
use crate::vault::VaultError;

/// The longest name of a contact, in bytes.
pub const NAME_MAX: usize = 200;

impl Client {
    /// All contacts, oldest first.
    ///
    /// # Errors
    /// [`ClientError::Vault`].
    pub async fn contacts(&self) -> Result<Vec<Contact>, ClientError> {
        self.driver.call(|engine, _, _| Ok(records::contacts(engine.vault().database())?)).await
    }

    /// The contact of this name, id, or unambiguous prefix of an id (4 characters or more).
    ///
    /// # Errors
    /// [`ClientError::UnknownContact`], or [`ClientError::AmbiguousContact`] with those that match.
    pub async fn find_contact(&self, name_or_prefix: &str) -> Result<Contact, ClientError> {
        let wanted = name_or_prefix.to_owned();
        let contacts = self.contacts().await?;
        if let Some(named) = contacts.iter().find(|contact| contact.name() == Some(&wanted)) {
            return Ok(named.clone());
        }
        let mut matching: Vec<Contact> = contacts
            .into_iter()
            .filter(|contact| {
                wanted.len() >= 4
                    && contact.id().to_string().starts_with(&wanted.to_ascii_lowercase())
            })
            .collect();
        match matching.len() {
            0 => Err(ClientError::UnknownContact),
            1 => Ok(matching.remove(0)),
            _ => Err(ClientError::AmbiguousContact(matching)),
        }
    }

    /// The safety phrase to compare with a contact; `None` until both sides have keys.
    ///
    /// # Errors
    /// [`ClientError::UnknownContact`], [`ClientError::Vault`].
    pub async fn safety(&self, contact: ContactId) -> Result<Option<SafetyCode>, ClientError> {
        self.driver
            .call(move |engine, _, _| {
                let database = engine.vault().database();
                records::contact(database, contact)?.ok_or(ClientError::UnknownContact)?;
                let Some(code) = records::contact_secret(database, contact, "safety")? else {
                    return Ok(None);
                };
                let code = code[..].try_into().map_err(|_| VaultError::damaged_record())?;
                Ok(Some(SafetyCode::from_bytes(code)))
            })
            .await
    }

    /// The person compared the safety phrase, and it is the same.
    ///
    /// # Errors
    /// [`ClientError::NotJoined`] while there is none, [`ClientError::UnknownContact`], [`ClientError::Vault`].
    pub async fn confirm_verified(&self, contact: ContactId) -> Result<(), ClientError> {
        if self.safety(contact).await?.is_none() {
            return Err(ClientError::NotJoined);
        }
        self.set(contact, "verified", 1).await
    }

    /// From here on what this contact sends is dropped unseen, and nothing is sent to them, not even what waits. They are
    /// not told.
    ///
    /// # Errors
    /// [`ClientError::UnknownContact`], [`ClientError::Vault`].
    pub async fn block(&self, contact: ContactId) -> Result<(), ClientError> {
        self.contact(contact).await?;
        self.driver.call(move |engine, now, rng| Ok(engine.block(contact, now, rng)?)).await
    }

    /// Gives a contact another name on this side. Whoever gets the name of a contact who is to be met again takes their
    /// place, and what was written with them goes on here.
    ///
    /// # Errors
    /// [`ClientError::NameTaken`], [`ClientError::NameInvalid`], [`ClientError::UnknownContact`].
    pub async fn rename(&self, id: ContactId, name: &str) -> Result<(), ClientError> {
        check_name(Some(name))?;
        let name = name.to_owned();
        self.driver.call(move |engine, now, rng| engine.rename(id, &name, now, rng)).await
    }

    /// Erases a contact and the whole conversation from this device. Their mailbox is deleted at its relay by the next
    /// call that reaches the network.
    ///
    /// # Errors
    /// [`ClientError::UnknownContact`], [`ClientError::Vault`].
    pub async fn forget(&self, id: ContactId) -> Result<(), ClientError> {
        self.contact(id).await?;
        self.driver.call(move |engine, now, rng| Ok(engine.forget(id, now, rng)?)).await
    }

    async fn set(
        &self,
        id: ContactId,
        column: &'static str,
        value: i64,
    ) -> Result<(), ClientError> {
        self.contact(id).await?;
        self.driver
            .call(move |engine, _, _| {
                engine.vault().transaction(|tx| records::set_contact(tx, id, column, value))?;
                Ok(())
            })
            .await
    }

    pub(super) async fn contact(&self, id: ContactId) -> Result<Contact, ClientError> {
        self.driver
            .call(move |engine, _, _| {
                records::contact(engine.vault().database(), id)?.ok_or(ClientError::UnknownContact)
            })
            .await
    }
}

/// A name is not blank and not too long; that it is free is seen where it is written.
pub(super) fn check_name(name: Option<&str>) -> Result<(), ClientError> {
    match name {
        Some(name) if name.trim().is_empty() || name.len() > NAME_MAX => {
            Err(ClientError::NameInvalid)
        }
        _ => Ok(()),
    }
}

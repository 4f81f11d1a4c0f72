//! Relays: which the person added, which close, and how one is reached.

use hearken_proto::address::{AddressError, HostPort, RelayAddress};
use hearken_proto::ids::Fingerprint;

use super::Client;
use crate::error::ClientError;
use crate::relays::{Closing, Relay, RouteAdvice};
use crate::sync::{RELAY_ADDRESS_MAX, SETTING_DIRECT, closings, records};

impl Client {
    /// Adds a relay. New mailboxes go to the first added; others serve as entries. No network.
    ///
    /// # Errors
    /// [`ClientError`] when the address is over 512 bytes long or the vault cannot be written.
    pub async fn add_relay(&self, address: RelayAddress) -> Result<(), ClientError> {
        self.add(address, false).await
    }

    /// Adds the relay that runs beside this vault, in this process: first for mailboxes, and never an entry, since its
    /// address is the person's own. This client reaches it at `place`, where it listens; others by its address.
    ///
    /// # Errors
    /// As [`Client::add_relay`].
    pub async fn set_own_relay(
        &self,
        address: RelayAddress,
        place: HostPort,
    ) -> Result<(), ClientError> {
        self.driver.set_beside(address.fingerprint(), place).await?;
        self.add(address, true).await
    }

    async fn add(&self, address: RelayAddress, own: bool) -> Result<(), ClientError> {
        if address.to_string().len() > RELAY_ADDRESS_MAX {
            return Err(ClientError::Address(AddressError::Places));
        }
        self.driver
            .call(move |engine, _, _| {
                engine.vault().transaction(|tx| records::add_relay(tx, &address, own))?;
                Ok(())
            })
            .await
    }

    /// The relays that the person added, in the order in which new mailboxes would use them.
    ///
    /// # Errors
    /// [`ClientError::Vault`].
    pub async fn relays(&self) -> Result<Vec<Relay>, ClientError> {
        self.driver.call(|engine, _, _| Ok(records::relays(engine.vault().database())?)).await
    }

    /// The person's relays, and those of their contacts, that said that they close; the soonest first.
    ///
    /// # Errors
    /// [`ClientError::Vault`].
    pub async fn closings(&self) -> Result<Vec<Closing>, ClientError> {
        self.driver.call(|engine, _, _| Ok(closings::all(engine.vault().database())?)).await
    }

    /// Takes out a relay by its fingerprint or an unambiguous prefix of it (4 characters or more). Mailboxes that are
    /// on it keep working.
    ///
    /// # Errors
    /// [`ClientError::UnknownRelay`] when none or more than one matches.
    pub async fn remove_relay(&self, fingerprint: &str) -> Result<Fingerprint, ClientError> {
        let prefix = fingerprint.to_owned();
        self.driver
            .call(move |engine, _, _| {
                let matching: Vec<Fingerprint> = records::relays(engine.vault().database())?
                    .iter()
                    .map(|relay| relay.address.fingerprint())
                    .filter(|found| prefix.len() >= 4 && found.to_string().starts_with(&prefix))
                    .collect();
                let [found] = matching[..] else { return Err(ClientError::UnknownRelay) };
                engine.vault().transaction(|tx| records::remove_relay(tx, &found))?;
                Ok(found)
            })
            .await
    }

    /// The person agreed to go directly where there is no entry relay.
    ///
    /// # Errors
    /// [`ClientError::Vault`].
    pub async fn remember_direct(&self) -> Result<(), ClientError> {
        self.driver
            .call(|engine, _, _| {
                engine.vault().transaction(|tx| records::set_setting(tx, SETTING_DIRECT, b"1"))?;
                Ok(())
            })
            .await
    }

    /// How a command would reach `relay`, or, without one, the relay of new mailboxes.
    ///
    /// # Errors
    /// [`ClientError::NoRelay`] when none is given and none was added.
    pub async fn route_for(&self, relay: Option<Fingerprint>) -> Result<RouteAdvice, ClientError> {
        self.driver
            .call(move |engine, now, _| {
                let relay = match relay {
                    Some(relay) => relay,
                    None => closings::relay_for_mailbox(engine.vault().database(), now)?
                        .ok_or(ClientError::NoRelay)?
                        .fingerprint(),
                };
                Ok(engine.advise(&relay)?)
            })
            .await
    }

    /// How a command that reaches for every mailbox would do it: the advice that asks most of the person.
    ///
    /// # Errors
    /// [`ClientError::Vault`].
    pub async fn route_for_all(&self) -> Result<RouteAdvice, ClientError> {
        self.driver
            .call(|engine, _, _| {
                let mut advice = RouteAdvice::Hop2;
                for relay in records::mailbox_relays(engine.vault().database())? {
                    match engine.advise(&relay)? {
                        RouteAdvice::Hop2 => {}
                        RouteAdvice::Direct if advice == RouteAdvice::Hop2 => {
                            advice = RouteAdvice::Direct
                        }
                        RouteAdvice::Direct => {}
                        worse => advice = worse,
                    }
                }
                Ok(advice)
            })
            .await
    }
}

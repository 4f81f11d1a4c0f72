//! [`Client`]: what an integrator holds. A thread of its own drives the engine; dropping the client ends it.

mod copies;

use std::path::{Path, PathBuf};
use std::time::Duration;

use hearken_proto::address::{HostPort, RelayAddress};
use hearken_proto::ids::Fingerprint;
use hearken_proto::limits::{OBJECT_TTL_HOURS_MAX, TEXT_MAX};
use tokio::sync::{broadcast, oneshot};
use zeroize::Zeroizing;

use crate::contact::{Contact, ContactId, ContactState};
use crate::driver::{Driver, Wait};
use crate::error::ClientError;
use crate::event::Event;
use crate::handshake::SafetyCode;
use crate::message::{Message, MessageId, SendOutcome};
use crate::options::Options;
use crate::relays::{Closing, Relay, RouteAdvice};
use crate::sync::{ErrandOutcome, MIGRATIONS, RELAY_ADDRESS_MAX, SETTING_DIRECT, SyncOutcome};
use crate::sync::{closings, messages, records};
use crate::vault::{RecoveryPhrase, Vault, VaultError};

/// The longest name of a contact, in bytes.
pub const NAME_MAX: usize = 200;

/// How long a call that reached the network goes on with what else is due.
const DUE_TIME: Duration = Duration::from_secs(5);

/// Why a home did not open.
pub type OpenError = VaultError;

/// An open invitation.
#[derive(Debug)]
pub struct Invitation {
    /// The link to hand over. Whoever sees it can join.
    pub link: Zeroizing<String>,
    /// The contact that it is for.
    pub contact: Contact,
}

/// What a join came to.
#[derive(Debug)]
pub struct Joined {
    /// Whoever made the invitation.
    pub contact: Contact,
    /// Whether the mailbox of this side is on the inviter's relay, because none was added here.
    pub mailbox_on_theirs: bool,
}

/// What happens, as it happens. A receiver that falls behind loses the oldest events, never a message.
#[derive(Debug)]
pub struct Events(broadcast::Receiver<Event>);

impl Events {
    /// The next event; `None` when the client has ended: any call of it says why. Safe to cancel.
    pub async fn next(&mut self) -> Option<Event> {
        loop {
            match self.0.recv().await {
                Ok(event) => return Some(event),
                Err(broadcast::error::RecvError::Lagged(_)) => {}
                Err(broadcast::error::RecvError::Closed) => return None,
            }
        }
    }
}

/// A person's conversations: the vault on this device, and the relays that it reaches.
///
/// A handle to a thread that does the work. All methods may be called from any asynchronous runtime. Dropping the
/// client, or [`Client::close`], ends the thread; what was stored stays.
#[derive(Debug)]
pub struct Client {
    driver: Driver,
    home: PathBuf,
}

impl Client {
    /// Makes a vault in `home` and opens it. The recovery phrase is given once.
    ///
    /// # Errors
    /// [`OpenError`] when there is a vault already, another process has the home, or it cannot be written.
    pub async fn create(
        home: &Path,
        passphrase: &[u8],
        options: Options,
    ) -> Result<(Self, RecoveryPhrase), OpenError> {
        let passphrase = Zeroizing::new(passphrase.to_vec());
        let cost = options.kdf;
        let folder = home.to_path_buf();
        let (driver, recovery) = Driver::start(home, options, move || {
            Vault::create(&folder, &passphrase, cost, MIGRATIONS, &mut crate::driver::system_rng())
                .map(|(vault, recovery)| (vault, Some(recovery)))
        })
        .await?;
        let recovery = recovery.ok_or_else(VaultError::damaged_record)?;
        Ok((Self { driver, home: home.to_path_buf() }, recovery))
    }

    /// Opens the vault in `home` with the passphrase or the recovery phrase.
    ///
    /// # Errors
    /// [`OpenError`] when there is no vault, the phrase is wrong, another process keeps the home, or it is damaged.
    pub async fn open(home: &Path, phrase: &[u8], options: Options) -> Result<Self, OpenError> {
        let phrase = Zeroizing::new(phrase.to_vec());
        let folder = home.to_path_buf();
        let (driver, _) = Driver::start(home, options, move || {
            Vault::open(&folder, &phrase, MIGRATIONS).map(|vault| (vault, None))
        })
        .await?;
        Ok(Self { driver, home: home.to_path_buf() })
    }

    /// Whether there is a vault in `home`.
    #[must_use]
    pub fn exists(home: &Path) -> bool {
        Vault::exists(home)
    }

    /// The home folder.
    #[must_use]
    pub fn home(&self) -> &Path {
        &self.home
    }

    /// Ends the client and waits until its thread is gone and the home is free.
    pub async fn close(self) {
        self.driver.close().await;
    }

    /// What happens from here on.
    #[must_use]
    pub fn events(&self) -> Events {
        Events(self.driver.events())
    }

    // --- relays -------------------------------------------------------------------------------

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
            return Err(ClientError::Address(hearken_proto::address::AddressError::Places));
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

    // --- contacts -----------------------------------------------------------------------------

    /// Makes a mailbox and an invitation to it, which lasts `expires` (an hour to 21 days, in whole hours), and until the
    /// next full hour after that.
    ///
    /// # Errors
    /// [`ClientError`]; nothing is kept then.
    pub async fn invite(
        &self,
        name: Option<String>,
        expires: Duration,
    ) -> Result<Invitation, ClientError> {
        check_name(name.as_deref())?;
        let hours = expires.as_secs().div_ceil(3_600);
        let hours = u32::try_from(hours).unwrap_or(u32::MAX);
        if hours == 0 || hours > OBJECT_TTL_HOURS_MAX {
            return Err(ClientError::ExpiryInvalid);
        }
        match self
            .driver
            .errand(move |engine, now, rng| engine.invite(name, hours, now, rng))
            .await?
        {
            ErrandOutcome::Invited { contact, link } => {
                self.do_what_is_due().await?;
                Ok(Invitation { link, contact: self.contact(contact).await? })
            }
            _ => Err(ClientError::Ended),
        }
    }

    /// The network was reached: what waits goes out, a first greeting above all. What cannot, goes another time.
    async fn do_what_is_due(&self) -> Result<(), ClientError> {
        self.sync(DUE_TIME).await.map(|_| ())
    }

    /// Invitations that nobody has used yet and that have not expired, oldest first.
    ///
    /// # Errors
    /// [`ClientError::Vault`].
    pub async fn open_invitations(&self) -> Result<Vec<Invitation>, ClientError> {
        self.driver
            .call(|engine, now, _| {
                let open = records::open_invitations(engine.vault().database(), now)?;
                let mut invitations = Vec::new();
                for (id, link) in open {
                    if let Some(contact) = records::contact(engine.vault().database(), id)? {
                        invitations.push(Invitation { link, contact });
                    }
                }
                Ok(invitations)
            })
            .await
    }

    /// Joins an invitation. Repeated with the same link after an interruption it goes on where it was, until the invitation
    /// expires.
    ///
    /// # Errors
    /// [`ClientError`]; no contact is kept then.
    pub async fn join(&self, link: &str, name: Option<String>) -> Result<Joined, ClientError> {
        check_name(name.as_deref())?;
        let link = Zeroizing::new(link.to_owned());
        match self.driver.errand(move |engine, now, rng| engine.join(&link, name, now, rng)).await?
        {
            ErrandOutcome::Joined { contact, mailbox_on_theirs } => {
                self.do_what_is_due().await?;
                Ok(Joined { contact: self.contact(contact).await?, mailbox_on_theirs })
            }
            _ => Err(ClientError::Ended),
        }
    }

    /// All contacts, oldest first.
    ///
    /// # Errors
    /// [`ClientError::Vault`].
    pub async fn contacts(&self) -> Result<Vec<Contact>, ClientError> {
        self.driver.call(|engine, _, _| Ok(records::contacts(engine.vault().database())?)).await
    }

    async fn contact(&self, id: ContactId) -> Result<Contact, ClientError> {
        self.driver
            .call(move |engine, _, _| {
                records::contact(engine.vault().database(), id)?.ok_or(ClientError::UnknownContact)
            })
            .await
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

    // --- messages -----------------------------------------------------------------------------

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

    // --- vault --------------------------------------------------------------------------------

    /// Replaces the passphrase. The recovery phrase stays.
    ///
    /// # Errors
    /// [`ClientError::Vault`]; the old passphrase holds then.
    pub async fn change_passphrase(&self, new: &[u8]) -> Result<(), ClientError> {
        let new = Zeroizing::new(new.to_vec());
        self.driver
            .call(move |engine, _, rng| Ok(engine.vault().change_passphrase(&new, rng)?))
            .await
    }
}

fn check_name(name: Option<&str>) -> Result<(), ClientError> {
    match name {
        Some(name) if name.trim().is_empty() || name.len() > NAME_MAX => {
            Err(ClientError::NameInvalid)
        }
        _ => Ok(()),
    }
}

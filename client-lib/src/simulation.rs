//! A whole client run in line over a vault in memory, under a clock and randomness that the caller passes in.
//!
//! For simulations and tests, and **without any promise of stability**: the same engine and vault that [`crate::Client`]
//! drives, without its thread, sockets, files and clock. The caller carries out what [`InlineClient::poll_action`] asks
//! for, as the client's own thread does, and tells what links deliver.
//!
//! [`InlineClient::restart`] gives what a new process finds: what was committed, and no link. A transaction can be made
//! to fail as if the process had ended within it ([`InlineClient::end_after_commits`]), and an older copy of the vault
//! put back ([`InlineClient::restart_on`]).

mod parts;

use hearken_proto::address::RelayAddress;
use hearken_proto::cell::Cell;
use hearken_proto::payload::Blob;
use hearken_proto::time::UnixMillis;
use rand_core::CryptoRng;
use zeroize::Zeroizing;

use crate::contact::{Contact, ContactId};
use crate::error::ClientError;
use crate::event::Event;
use crate::invitation::InvitationLink;
use crate::message::{Message, MessageId};
use crate::relays::RouteChoice;
use crate::route::{LinkFailure, LinkId, RouteAction};
use crate::sync::{
    Engine, ErrandId, ErrandOutcome, MIGRATIONS, SETTING_DIRECT, SyncOutcome, messages, outbox,
    records,
};
use crate::vault::{Vault, VaultError};

pub use parts::{Fate, InlineParts, root_of};

/// A link, as one client names it. Never used again by the same run of a client; another run begins anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ClientLink(LinkId);

/// What a client asks of its surroundings, in order.
#[derive(Debug)]
pub enum Action {
    /// Dial a relay, then [`InlineClient::connected`] or [`InlineClient::disconnected`].
    Connect {
        /// The link's name.
        link: ClientLink,
        /// Whom to dial.
        address: RelayAddress,
    },
    /// Put a cell onto a connected link.
    Transmit {
        /// Onto which.
        link: ClientLink,
        /// What.
        cell: Cell,
    },
    /// Hang up, or stop dialling.
    Disconnect {
        /// Which.
        link: ClientLink,
    },
}

/// Why there is no link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LinkEnd {
    /// Nobody answers.
    Unreachable,
    /// Somebody answers who does not hold the relay's key.
    OtherKey,
    /// It was there and is not any more.
    Closed,
}

/// An invitation or a join under way, as one run of a client names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Errand(ErrandId);

/// What an errand came to.
#[derive(Debug)]
pub enum Finished {
    /// An invitation is open.
    Invited {
        /// The contact that it is for.
        contact: ContactId,
        /// The link to hand over.
        link: Zeroizing<String>,
    },
    /// An invitation was joined.
    Joined {
        /// Whoever made it.
        contact: ContactId,
    },
    /// The mailbox of a forgotten contact is gone.
    Ended,
}

/// A ciphertext that waits for a relay.
#[derive(Clone, Debug)]
pub struct Waiting {
    /// Its place in the outbox: rises, also across contacts.
    pub seq: i64,
    /// Exactly what is put.
    pub blob: Blob,
    /// The message that it ends, where it ends one.
    pub message: Option<MessageId>,
}

/// A copy of a vault, to be put back later.
#[derive(Debug)]
pub struct VaultImage(Vault);

/// A client with its vault.
pub struct InlineClient {
    engine: Engine,
    choice: RouteChoice,
    /// What a restart finds instead, where syncs are left out.
    synced: Option<Vault>,
}

impl InlineClient {
    /// A client with an empty vault.
    ///
    /// # Errors
    /// [`VaultError::Database`].
    pub fn new(choice: RouteChoice) -> Result<Self, VaultError> {
        Self::start(Vault::open_in_memory(MIGRATIONS)?, choice)
    }

    fn start(mut vault: Vault, choice: RouteChoice) -> Result<Self, VaultError> {
        vault.commit_only(None)?;
        Ok(Self { engine: Engine::new(vault, choice)?, choice, synced: None })
    }

    /// What a new process finds after this one ended, however it ended: all that was committed.
    ///
    /// # Errors
    /// [`VaultError`].
    pub fn restart(self) -> Result<Self, VaultError> {
        Self::start(self.synced.unwrap_or(self.engine.into_vault()), self.choice)
    }

    /// A copy of what is committed now.
    ///
    /// # Errors
    /// [`VaultError::Database`].
    pub fn image(&mut self) -> Result<VaultImage, VaultError> {
        Ok(VaultImage(self.engine.vault().copy_in_memory()?))
    }

    /// What a new process finds after somebody put an older copy of the vault back.
    ///
    /// # Errors
    /// [`VaultError::Database`].
    pub fn restart_on(self, image: &VaultImage) -> Result<Self, VaultError> {
        Self::start(image.0.copy_in_memory()?, self.choice)
    }

    /// From here on `count` transactions commit; in the one after them the process ends. The call in which that
    /// happens returns an error, and the client is good for [`InlineClient::restart`] only.
    ///
    /// # Errors
    /// [`VaultError::Database`].
    pub fn end_after_commits(&mut self, count: u32) -> Result<(), VaultError> {
        self.engine.vault().commit_only(Some(count))
    }

    /// Plants a fault: from here on what is committed is not on the disk, and a restart does not find it.
    ///
    /// # Errors
    /// [`VaultError::Database`].
    pub fn leave_syncs_out(&mut self) -> Result<(), VaultError> {
        self.synced = Some(self.engine.vault().copy_in_memory()?);
        Ok(())
    }

    // --- links and time -----------------------------------------------------------------------

    /// A link that was asked for is there.
    ///
    /// # Errors
    /// [`VaultError`]: the end of this run; what it still asks for may be carried out, and [`InlineClient::restart`].
    pub fn connected(
        &mut self,
        link: ClientLink,
        now: UnixMillis,
        rng: &mut dyn CryptoRng,
    ) -> Result<(), VaultError> {
        self.engine.handle_connected(link.0, now, rng)
    }

    /// A link is not there, or not any more.
    ///
    /// # Errors
    /// As [`InlineClient::connected`].
    pub fn disconnected(
        &mut self,
        link: ClientLink,
        why: LinkEnd,
        now: UnixMillis,
        rng: &mut dyn CryptoRng,
    ) -> Result<(), VaultError> {
        let why = match why {
            LinkEnd::Unreachable => LinkFailure::Unreachable,
            LinkEnd::OtherKey => LinkFailure::OtherKey,
            LinkEnd::Closed => LinkFailure::Closed,
        };
        self.engine.handle_disconnected(link.0, why, now, rng)
    }

    /// Cells of a link, in order.
    ///
    /// # Errors
    /// As [`InlineClient::connected`].
    pub fn cells(
        &mut self,
        link: ClientLink,
        cells: impl IntoIterator<Item = Cell>,
        now: UnixMillis,
        rng: &mut dyn CryptoRng,
    ) -> Result<(), VaultError> {
        self.engine.handle_cells(link.0, cells, now, rng)
    }

    /// Time has passed, or there is work.
    ///
    /// # Errors
    /// As [`InlineClient::connected`].
    pub fn timeout(&mut self, now: UnixMillis, rng: &mut dyn CryptoRng) -> Result<(), VaultError> {
        self.engine.handle_timeout(now, rng)
    }

    /// When [`InlineClient::timeout`] is to be called; it may be past.
    #[must_use]
    pub fn next_timeout(&self) -> Option<UnixMillis> {
        if self.engine.has_work() { Some(UnixMillis(0)) } else { self.engine.poll_timeout() }
    }

    /// What the surroundings shall do.
    pub fn poll_action(&mut self) -> Option<Action> {
        self.engine.poll_action().map(|action| match action {
            RouteAction::Connect { link, address } => {
                Action::Connect { link: ClientLink(link), address }
            }
            RouteAction::Transmit { link, cell } => {
                Action::Transmit { link: ClientLink(link), cell }
            }
            RouteAction::Disconnect { link } => Action::Disconnect { link: ClientLink(link) },
        })
    }

    /// What a display may want to know.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.engine.poll_event()
    }

    /// What an errand came to.
    pub fn poll_finished(&mut self) -> Option<(Errand, Result<Finished, ClientError>)> {
        self.engine.poll_finished().map(|(id, outcome)| {
            let outcome = outcome.map(|outcome| match outcome {
                ErrandOutcome::Invited { contact, link } => Finished::Invited { contact, link },
                ErrandOutcome::Joined { contact, .. } => Finished::Joined { contact },
                ErrandOutcome::Ended => Finished::Ended,
            });
            (Errand(id), outcome)
        })
    }

    // --- what a person does -------------------------------------------------------------------

    /// As [`crate::Client::add_relay`].
    ///
    /// # Errors
    /// [`VaultError`].
    pub fn add_relay(&mut self, address: &RelayAddress) -> Result<(), VaultError> {
        self.engine.vault().transaction(|tx| records::add_relay(tx, address, false))
    }

    /// As [`crate::Client::remember_direct`].
    ///
    /// # Errors
    /// [`VaultError`].
    pub fn remember_direct(&mut self) -> Result<(), VaultError> {
        self.engine.vault().transaction(|tx| records::set_setting(tx, SETTING_DIRECT, b"1"))
    }

    /// As [`crate::Client::invite`], for so many hours; its outcome comes by [`InlineClient::poll_finished`].
    ///
    /// # Errors
    /// [`ClientError`].
    pub fn invite(
        &mut self,
        hours: u32,
        now: UnixMillis,
        rng: &mut dyn CryptoRng,
    ) -> Result<Errand, ClientError> {
        self.engine.invite(None, hours, now, rng).map(Errand)
    }

    /// As [`crate::Client::join`]; its outcome comes by [`InlineClient::poll_finished`].
    ///
    /// # Errors
    /// [`ClientError`].
    pub fn join(
        &mut self,
        link: &str,
        now: UnixMillis,
        rng: &mut dyn CryptoRng,
    ) -> Result<Errand, ClientError> {
        self.engine.join(link, None, now, rng).map(Errand)
    }

    /// As [`crate::Client::send_text`], which checks the length before.
    ///
    /// # Errors
    /// [`ClientError`].
    pub fn send_text(
        &mut self,
        contact: ContactId,
        text: &str,
        now: UnixMillis,
        rng: &mut dyn CryptoRng,
    ) -> Result<MessageId, ClientError> {
        self.engine.send_text(contact.into(), text, None, now, rng)
    }

    /// Begins what [`crate::Client::sync`] does.
    ///
    /// # Errors
    /// [`VaultError`].
    pub fn begin_sync(
        &mut self,
        now: UnixMillis,
        rng: &mut dyn CryptoRng,
    ) -> Result<(), VaultError> {
        self.engine.begin_sync(now, rng)
    }

    /// Begins what [`crate::Client::follow`] does.
    ///
    /// # Errors
    /// [`VaultError`].
    pub fn begin_follow(
        &mut self,
        now: UnixMillis,
        rng: &mut dyn CryptoRng,
    ) -> Result<(), VaultError> {
        self.engine.begin_follow(now, rng)
    }

    /// Whether a sync has nothing left to do.
    ///
    /// # Errors
    /// [`VaultError`].
    pub fn is_settled(&self) -> Result<bool, VaultError> {
        self.engine.is_settled()
    }

    /// What a sync came to so far.
    ///
    /// # Errors
    /// [`VaultError`].
    pub fn sync_outcome(&self, expired: bool) -> Result<SyncOutcome, VaultError> {
        self.engine.sync_outcome(expired)
    }

    // --- what is stored -----------------------------------------------------------------------

    /// All contacts, oldest first.
    ///
    /// # Errors
    /// [`VaultError`].
    pub fn contacts(&mut self) -> Result<Vec<Contact>, VaultError> {
        records::contacts(self.engine.vault().database())
    }

    /// As [`crate::Client::open_invitations`]: contact and link.
    ///
    /// # Errors
    /// [`VaultError`].
    pub fn open_invitations(
        &mut self,
        now: UnixMillis,
    ) -> Result<Vec<(ContactId, Zeroizing<String>)>, VaultError> {
        records::open_invitations(self.engine.vault().database(), now)
    }

    /// The contact that an invitation link made, whichever side of it this client is on; `None` too while a join is
    /// under way, and where the link is none.
    ///
    /// # Errors
    /// [`VaultError`].
    pub fn contact_of(&mut self, link: &str) -> Result<Option<Contact>, VaultError> {
        let Ok(link) = InvitationLink::parse(link) else { return Ok(None) };
        let database = self.engine.vault().database();
        match records::contact_of_link(database, &link.hash())? {
            Some((contact, _)) => records::contact(database, contact),
            None => Ok(None),
        }
    }

    /// The ratchet of a contact, as it is stored: secret. Two that are equal seal and open the same.
    ///
    /// # Errors
    /// [`VaultError`].
    pub fn ratchet(
        &mut self,
        contact: ContactId,
    ) -> Result<Option<Zeroizing<Vec<u8>>>, VaultError> {
        records::contact_secret(self.engine.vault().database(), contact, "ratchet")
    }

    /// A whole conversation, oldest first.
    ///
    /// # Errors
    /// [`VaultError`].
    pub fn history(&mut self, contact: ContactId) -> Result<Vec<Message>, VaultError> {
        messages::history(self.engine.vault().database(), contact.into(), usize::MAX, UnixMillis(0))
    }

    /// A contact's outbox behind `after`, in order.
    ///
    /// # Errors
    /// [`VaultError`].
    pub fn outbox(&mut self, contact: ContactId, after: i64) -> Result<Vec<Waiting>, VaultError> {
        let cells = outbox::cells(self.engine.vault().database(), contact, after, usize::MAX)?;
        let waiting = cells.into_iter().map(|cell| Waiting {
            seq: cell.seq,
            blob: cell.blob,
            message: cell.message,
        });
        Ok(waiting.collect())
    }

    /// Whether a blob came to this side and what it brought is stored.
    ///
    /// # Errors
    /// [`VaultError`].
    pub fn has_seen(&mut self, contact: ContactId, blob: &Blob) -> Result<bool, VaultError> {
        outbox::is_seen(self.engine.vault().database(), contact, blob.put_id().as_bytes())
    }
}

impl std::fmt::Debug for InlineClient {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("InlineClient").field("choice", &self.choice).finish_non_exhaustive()
    }
}

//! A person: a client, its clock, what the person wants to join, and copies of the vault.

use std::collections::{BTreeMap, BTreeSet};

use hearken_client_lib::simulation::{Errand, InlineClient, VaultImage};
use hearken_client_lib::{ContactId, RouteChoice, VaultError};
use hearken_proto::address::RelayAddress;
use hearken_proto::time::UnixMillis;

use super::model::View;

/// What an errand is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// An invitation that lasts so many hours.
    Invite(u32),
    /// A join of a conversation, begun at this person's time.
    Join(usize, u64),
}

/// A copy of a vault, with what the model knows of it.
#[derive(Debug)]
pub struct Image {
    /// The copy.
    pub vault: VaultImage,
    /// What it holds.
    pub view: View,
    /// The ratchets in it.
    pub ratchets: BTreeMap<ContactId, Vec<u8>>,
}

/// See the module.
pub struct Person {
    /// `None` only while it is being restarted, or its device sleeps.
    pub client: Option<InlineClient>,
    /// Which process of this person it is: links of an earlier one are no more.
    pub process: u32,
    /// By how much this person's clock is off.
    pub skew_ms: i64,
    /// Whether the program follows.
    pub is_following: bool,
    /// What is under way.
    pub errands: BTreeMap<Errand, Purpose>,
    /// Invitations that the person still wants to join.
    pub wants: BTreeSet<usize>,
    /// The copy that was made last.
    pub image: Option<Image>,
    /// A commit in which the process is to end, and whether what it asked for before is carried out.
    pub ends: Option<bool>,
    /// Whether the model has not looked since something was done.
    pub is_dirty: bool,
}

impl Person {
    /// A person who has added these relays: mailboxes go to the first.
    ///
    /// # Errors
    /// [`VaultError`].
    pub fn new(choice: RouteChoice, relays: &[RelayAddress]) -> Result<Self, VaultError> {
        let mut client = InlineClient::new(choice)?;
        for relay in relays {
            client.add_relay(relay)?;
        }
        client.remember_direct()?;
        Ok(Self {
            client: Some(client),
            process: 0,
            skew_ms: 0,
            is_following: false,
            errands: BTreeMap::new(),
            wants: BTreeSet::new(),
            image: None,
            ends: None,
            is_dirty: false,
        })
    }

    /// What this person's clock shows.
    #[must_use]
    pub fn clock(&self, now: u64) -> UnixMillis {
        UnixMillis(now.saturating_add_signed(self.skew_ms))
    }

    /// When the client is to be called next.
    #[must_use]
    pub fn next_timeout(&self, now: u64) -> Option<u64> {
        let at = self.client.as_ref()?.next_timeout()?;
        Some(at.0.saturating_add_signed(-self.skew_ms).max(now))
    }
}

impl std::fmt::Debug for Person {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Person").field("process", &self.process).finish_non_exhaustive()
    }
}

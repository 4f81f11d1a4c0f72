//! A person at the other end of a channel, as this side knows them.

use core::fmt;

use crate::id::id;

id! {
    /// Names a contact on this side only: 16 random bytes, never sent.
    pub ContactId
}

/// Whether the other side is there yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ContactState {
    /// The invitation is open; what is written waits here.
    Invited,
    /// Both sides have keys.
    Joined,
    /// Known from a copy of a vault, which holds no keys: to be met again. What is written waits here. The next invitation
    /// or join under the contact's name takes its place and keeps what was written; so does another one after it, as long
    /// as nobody has joined.
    Apart,
}

/// A person at the other end of a channel.
#[derive(Clone, PartialEq, Eq)]
pub struct Contact {
    pub(crate) id: ContactId,
    pub(crate) name: Option<String>,
    pub(crate) state: ContactState,
    pub(crate) verified: bool,
    pub(crate) blocked: bool,
    pub(crate) outbox: u32,
}

impl Contact {
    /// Names the contact on this side.
    #[must_use]
    pub fn id(&self) -> ContactId {
        self.id
    }

    /// What this side calls them; never sent.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }

    /// Whether they are there yet.
    #[must_use]
    pub fn state(&self) -> ContactState {
        self.state
    }

    /// Whether the person here compared the safety phrase and said that it is the same.
    #[must_use]
    pub fn is_verified(&self) -> bool {
        self.verified
    }

    /// Whether what they send is dropped unseen.
    #[must_use]
    pub fn is_blocked(&self) -> bool {
        self.blocked
    }

    /// Messages that wait here until a relay has them.
    #[must_use]
    pub fn outbox(&self) -> u32 {
        self.outbox
    }
}

impl fmt::Debug for Contact {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Contact").field("state", &self.state).finish_non_exhaustive()
    }
}

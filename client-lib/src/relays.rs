//! A relay that the person added.

use hearken_proto::address::RelayAddress;
use hearken_proto::time::UnixMillis;

use crate::contact::ContactId;

/// A relay that the person added: it may hold mailboxes, and serve as entry to others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Relay {
    pub(crate) address: RelayAddress,
    pub(crate) own: bool,
}

impl Relay {
    /// Who it is and where.
    #[must_use]
    pub fn address(&self) -> &RelayAddress {
        &self.address
    }

    /// Whether it runs beside the vault: then its address is the person's, and it never serves as entry.
    #[must_use]
    pub fn is_own(&self) -> bool {
        self.own
    }
}

/// A relay that signed a notice that it closes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Closing {
    pub(crate) address: RelayAddress,
    pub(crate) on: UnixMillis,
    pub(crate) successor: Option<RelayAddress>,
    pub(crate) contacts: Vec<ContactId>,
}

impl Closing {
    /// Which relay.
    #[must_use]
    pub fn address(&self) -> &RelayAddress {
        &self.address
    }

    /// From when on it takes in nothing more. What is there can be fetched for some time after.
    #[must_use]
    pub fn on(&self) -> UnixMillis {
        self.on
    }

    /// The relay that its operator recommends instead. Whether to trust it is for the person to say.
    #[must_use]
    pub fn successor(&self) -> Option<&RelayAddress> {
        self.successor.as_ref()
    }

    /// The contacts whose conversation goes over it, one way or the other: it ends with the relay.
    #[must_use]
    pub fn contacts(&self) -> &[ContactId] {
        &self.contacts
    }
}

/// How commands reach relays.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum RouteChoice {
    /// Through an entry relay where the person added one; directly only where they agreed to that before.
    #[default]
    Remembered,
    /// Everything directly: the mailbox relay sees this device's address.
    Direct,
    /// Through an entry relay or not at all.
    Hop2,
}

/// What will happen when a command reaches for a relay.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RouteAdvice {
    /// It goes through an entry relay.
    Hop2,
    /// It goes directly, as the person agreed.
    Direct,
    /// There is no entry relay, and the person was not asked yet whether to go directly.
    NeedsConsent,
    /// An entry was insisted on and there is none.
    NoEntry,
}

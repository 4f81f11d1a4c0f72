//! A relay that the person added.

use hearken_proto::address::RelayAddress;

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

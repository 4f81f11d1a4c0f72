//! Why a load could not be brought, by the name and exit status that the command line gives it.

use hearken_proto::cell::CloseReason;
use hearken_proto::info::InfoError;
use hearken_proto::wire::Reason;

/// Why a load could not be brought, or ended early.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LoadError {
    /// Nobody answers at the address, or a link was lost.
    #[error("the relay cannot be reached, or a link to it was lost")]
    Unreachable,
    /// Somebody answers who does not have the key that the address names.
    #[error("another relay answers at this address")]
    OtherKey,
    /// The entry relay does not forward there.
    #[error("the entry relay does not forward to this relay")]
    EntryRefuses,
    /// A limit of the relay was reached.
    #[error("the relay is busy")]
    Busy,
    /// The relay takes no new mailboxes.
    #[error("the relay takes no new mailboxes")]
    NotAdmitted,
    /// The relay has no room for mailboxes.
    #[error("the relay has no room")]
    Full,
    /// The clocks of relay and client are hours apart.
    #[error("the clocks of this machine and the relay are apart")]
    ClocksApart,
    /// The relay, or something in between, broke the protocol.
    #[error("the relay broke the protocol")]
    PeerMisbehaved,
    /// This machine gives no sockets or no randomness.
    #[error("this machine gives no more sockets")]
    Machine,
}

impl LoadError {
    /// The name in JSON.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Unreachable => "unreachable",
            Self::OtherKey => "wrong-fingerprint",
            Self::EntryRefuses => "peer-refused",
            Self::Busy => "relay-busy",
            Self::NotAdmitted => "not-admitted",
            Self::Full => "relay-full",
            Self::ClocksApart => "clocks-apart",
            Self::PeerMisbehaved => "relay-misbehaved",
            Self::Machine => "internal",
        }
    }

    /// What to do about it.
    #[must_use]
    pub const fn advice(self) -> &'static str {
        match self {
            Self::Unreachable => "check that it runs and that its address is current",
            Self::OtherKey => "ask its operator for the current address",
            Self::EntryRefuses => {
                "let the entry relay forward (in tests: serve --allow-private-peers)"
            }
            Self::Busy => "use fewer clients or mailboxes, or wait",
            Self::NotAdmitted => "load a relay whose admission is open",
            Self::Full => "give the relay more room",
            Self::ClocksApart => "set the clocks",
            Self::PeerMisbehaved => "check that both programs are of the same version",
            Self::Machine => "raise the limit of open files (ulimit -n)",
        }
    }

    /// 3 where the relay was not reached, else 1.
    #[must_use]
    pub const fn exit_status(self) -> u8 {
        match self {
            Self::Unreachable | Self::OtherKey => 3,
            _ => 1,
        }
    }
}

impl From<InfoError> for LoadError {
    fn from(error: InfoError) -> Self {
        match error {
            InfoError::Expired | InfoError::RolledBack => Self::ClocksApart,
            _ => Self::PeerMisbehaved,
        }
    }
}

impl From<CloseReason> for LoadError {
    fn from(reason: CloseReason) -> Self {
        match reason {
            CloseReason::Refused => Self::EntryRefuses,
            CloseReason::Unreachable | CloseReason::Done => Self::Unreachable,
            CloseReason::OtherKey => Self::OtherKey,
            CloseReason::Busy | CloseReason::UnknownEpoch => Self::Busy,
        }
    }
}

impl From<Reason> for LoadError {
    fn from(reason: Reason) -> Self {
        match reason {
            Reason::NotAdmitted => Self::NotAdmitted,
            Reason::NoRoom | Reason::Full => Self::Full,
            Reason::Busy => Self::Busy,
            _ => Self::PeerMisbehaved,
        }
    }
}

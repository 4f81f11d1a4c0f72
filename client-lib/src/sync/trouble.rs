//! Why something with a relay does not get on, in a form that can be kept and counted.

use crate::error::ClientError;
use crate::route::CloseWhy;

/// Why a mailbox is not getting on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Trouble {
    /// No session, or it ended.
    Route(CloseWhy),
    /// The mailbox is full.
    MailboxFull,
    /// The relay has no room.
    RelayFull,
    /// The relay could not do it just then.
    RelayBusy,
    /// The relay takes no new mailboxes.
    NotAdmitted,
    /// The relay has closed: it takes in nothing more.
    RelayClosed,
    /// The relay broke the protocol.
    RelayMisbehaved,
    /// Somebody else writes to the mailbox.
    Taken,
    /// There is no entry, and the person has not agreed to go directly.
    NeedsConsent,
    /// An entry was insisted on and there is none.
    NoEntry,
}

impl Trouble {
    /// How often a sync that should end meets this before it takes it as the answer.
    pub(crate) fn patience(self) -> u32 {
        match self {
            Self::Route(
                CloseWhy::LinkLost | CloseWhy::Busy | CloseWhy::UnknownEpoch | CloseWhy::RollOver,
            )
            | Self::RelayBusy => 4,
            _ => 1,
        }
    }

    /// Whether nobody answered.
    pub(crate) fn is_unreachable(self) -> bool {
        matches!(self, Self::Route(CloseWhy::Unreachable | CloseWhy::LinkLost))
    }

    /// What an integrator is told.
    pub(crate) fn into_error(self) -> ClientError {
        match self {
            Self::Route(why) => match why {
                CloseWhy::Unreachable | CloseWhy::LinkLost | CloseWhy::RollOver => {
                    ClientError::Unreachable
                }
                CloseWhy::OtherKey => ClientError::WrongFingerprint,
                CloseWhy::EntryRefuses => ClientError::EntryRefuses,
                CloseWhy::Busy | CloseWhy::UnknownEpoch => ClientError::RelayBusy,
                CloseWhy::ClockWentBack => ClientError::ClockWentBack,
                CloseWhy::InfoExpired => ClientError::ClocksApart,
                CloseWhy::Refused | CloseWhy::Version | CloseWhy::PeerMisbehaved => {
                    ClientError::RelayMisbehaved
                }
            },
            Self::MailboxFull => ClientError::MailboxFull,
            Self::RelayFull => ClientError::RelayFull,
            Self::RelayBusy => ClientError::RelayBusy,
            Self::NotAdmitted => ClientError::NotAdmitted,
            Self::RelayClosed => ClientError::RelayClosed,
            Self::RelayMisbehaved => ClientError::RelayMisbehaved,
            Self::Taken => ClientError::InvitationClaimed,
            Self::NeedsConsent => ClientError::NeedsConsentForDirect,
            Self::NoEntry => ClientError::NoEntry,
        }
    }
}

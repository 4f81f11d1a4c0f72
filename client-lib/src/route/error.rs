//! Why a session did not open or ended, and what a caller of the router did wrong.
//!
//! Nothing here carries an address, an id or a byte of what was said.

use hearken_proto::cell::CloseReason;
use hearken_proto::info::InfoError;
use hearken_proto::payload::PayloadError;

/// A command that the router does not take. The session is as it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum RouteError {
    /// There is no such session, or it has ended.
    #[error("a session that has ended")]
    NoSession,
    /// As many commands wait in this session as may.
    #[error("too many commands wait in this session")]
    QueueFull,
    /// A `Get` or `ObjectGet` that asks for no cell or for more than 16.
    #[error("a command that asks for no cell or for more than 16")]
    AnswerCells,
    /// The command does not fit its cell, or its blob is missing or too many.
    #[error("a command that does not fit a cell")]
    Payload(#[from] PayloadError),
}

/// Why a session ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub(crate) enum CloseWhy {
    /// The first hop, or the relay behind it, does not answer.
    #[error("the relay does not answer")]
    Unreachable,
    /// Another key answers at that address.
    #[error("another key answers at the relay's address")]
    OtherKey,
    /// The entry relay does not forward, or not to that relay.
    #[error("the entry relay does not forward to that relay")]
    EntryRefuses,
    /// The relay closed a session with itself as one that broke a rule: for one, nothing was proven in 10 s.
    #[error("the relay refuses the session")]
    Refused,
    /// A limit of a relay is reached. Try later.
    #[error("the relay is busy")]
    Busy,
    /// The relay does not know keys that it signed just before: fetched anew and tried again once already.
    #[error("the relay does not know the keys that it published")]
    UnknownEpoch,
    /// The relay's information is signed over two hours before the newest seen from it.
    #[error("the relay's clock went back")]
    ClockWentBack,
    /// The relay's information was signed too long ago, or in the future: its clock or this one is wrong.
    #[error("the relay's information has expired, or a clock is wrong")]
    InfoExpired,
    /// The relay speaks no version of the protocol that this program speaks.
    #[error("the relay speaks another version of the protocol")]
    Version,
    /// A relay broke the protocol: a cell that does not open, an answer that nobody asked for, a broken signature.
    #[error("the relay broke the protocol")]
    PeerMisbehaved,
    /// The link, or the relay's end of the session, went away. What was not answered may or may not have been done.
    #[error("the link was lost")]
    LinkLost,
    /// The session has sealed all the cells that it may (2^20) and was not replaced in time.
    #[error("the session has sealed all the cells it may")]
    RollOver,
}

/// Why there is no link, as its carrier saw it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub(crate) enum LinkFailure {
    /// Nobody answers at any of the places.
    #[error("nobody answers")]
    Unreachable,
    /// Somebody answers who does not hold the relay's key.
    #[error("another key answers")]
    OtherKey,
    /// The link was there and is not any more, or carried something other than cells.
    #[error("the link is closed")]
    Closed,
}

impl From<InfoError> for CloseWhy {
    fn from(error: InfoError) -> Self {
        match error {
            InfoError::OtherKey => Self::OtherKey,
            InfoError::Expired => Self::InfoExpired,
            InfoError::RolledBack => Self::ClockWentBack,
            InfoError::Version => Self::Version,
            _ => Self::PeerMisbehaved,
        }
    }
}

impl CloseWhy {
    /// What a CLOSE means for the session whose route it ends. A refusal is the entry's while the route is not open:
    /// the mailbox relay behind it has read nothing yet that it could refuse.
    pub(super) fn of_close(reason: CloseReason, through_entry: bool, open: bool) -> Self {
        match reason {
            // A relay ends sessions whose keys it destroys; nothing is wrong with those that it has by then.
            CloseReason::UnknownEpoch if open => Self::LinkLost,
            CloseReason::Done => Self::LinkLost,
            CloseReason::Refused if through_entry && !open => Self::EntryRefuses,
            CloseReason::Refused => Self::Refused,
            CloseReason::Unreachable => Self::Unreachable,
            CloseReason::OtherKey => Self::OtherKey,
            CloseReason::Busy => Self::Busy,
            CloseReason::UnknownEpoch => Self::UnknownEpoch,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_close_means_what_it_can_mean_where_its_route_stands() {
        for (reason, through_entry, open, why) in [
            (CloseReason::UnknownEpoch, false, true, CloseWhy::LinkLost),
            (CloseReason::UnknownEpoch, false, false, CloseWhy::UnknownEpoch),
            (CloseReason::Refused, true, false, CloseWhy::EntryRefuses),
            (CloseReason::Refused, true, true, CloseWhy::Refused),
            (CloseReason::Refused, false, false, CloseWhy::Refused),
            (CloseReason::Done, true, true, CloseWhy::LinkLost),
            (CloseReason::Busy, true, true, CloseWhy::Busy),
            (CloseReason::Unreachable, true, false, CloseWhy::Unreachable),
            (CloseReason::OtherKey, true, false, CloseWhy::OtherKey),
        ] {
            assert_eq!(CloseWhy::of_close(reason, through_entry, open), why, "{reason:?}");
        }
    }
}

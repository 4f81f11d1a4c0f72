//! Why something of a group did not come about.

/// Bytes that are not what they should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a part of a group")]
pub(crate) struct Malformed;

impl From<core::array::TryFromSliceError> for Malformed {
    fn from(_: core::array::TryFromSliceError) -> Self {
        Self
    }
}

/// Why the rules of a group do not allow something.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum Forbidden {
    /// Only admins do this.
    #[error("only an admin may do this")]
    NotAdmin,
    /// Whom it is about is not a member.
    #[error("not a member of this group")]
    NotMember,
    /// There is no such open change.
    #[error("no such proposal is open")]
    NoSuchProposal,
    /// The author has answered this proposal already.
    #[error("this proposal has been answered already")]
    Answered,
    /// The same is proposed already.
    #[error("the same has been proposed already")]
    Proposed,
    /// A group keeps an admin.
    #[error("the last admin cannot go")]
    LastAdmin,
    /// It would change nothing: promoting an admin, or demoting somebody who is none.
    #[error("it is so already")]
    NothingToDo,
    /// The group has as many members, or open proposals, as it can have.
    #[error("the group is full")]
    Full,
    /// The author's keys were changed less than 16 epochs ago.
    #[error("too soon after the last change of keys")]
    TooSoon,
    /// Nobody takes themselves out: they ask to go.
    #[error("nobody removes themselves")]
    Own,
    /// A name that is empty or too long.
    #[error("not a name")]
    BadName,
    /// A request that the one whom it is about has not signed.
    #[error("not signed by the one whom it is about")]
    NotSigned,
    /// Only the member who proposed an addition brings the one who was approved.
    #[error("only its proposer carries this out")]
    NotProposer,
    /// The commit changes something else than what it says that it does.
    #[error("the change is not what it says")]
    Mismatch,
}

/// Why a group could not do something.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum GroupError {
    /// The rules of the group do not allow it.
    #[error(transparent)]
    Forbidden(#[from] Forbidden),
    /// A commit of this member's own waits to be read back, or for another to win.
    #[error("a commit is under way")]
    Pending,
    /// This member is not in the group, or not any more.
    #[error("not a member of this group")]
    NotMember,
    /// A welcome came for a group that this vault said no yes to.
    #[error("nobody said yes to this group here")]
    NotInvited,
    /// The welcome is not one, is another's, or leads into a group that is not of this program.
    #[error("the welcome cannot be used")]
    BadWelcome,
    /// The key package is not one, or is not what was asked for.
    #[error("the key package cannot be used")]
    BadKeyPackage,
    /// A message that this member cannot open.
    #[error("the message cannot be opened")]
    Unreadable,
    /// The group's state in the vault is damaged.
    #[error("the group's state in the vault is damaged")]
    Damaged,
    /// The MLS library refused what it should take.
    #[error("the group library refused")]
    Library,
    /// The vault.
    #[error(transparent)]
    Storage(#[from] super::storage::StorageError),
}

impl From<Malformed> for GroupError {
    fn from(Malformed: Malformed) -> Self {
        Self::Unreadable
    }
}

impl GroupError {
    /// What openmls says of a message.
    pub(super) fn of_message(
        error: openmls::prelude::ProcessMessageError<super::storage::StorageError>,
    ) -> Self {
        match error {
            openmls::prelude::ProcessMessageError::StorageError(error) => Self::Storage(error),
            _ => Self::Unreadable,
        }
    }
}

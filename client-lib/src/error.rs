//! What can go wrong in what integrators call.

use hearken_proto::address::AddressError;

use crate::clean::CannotClean;
use crate::consent::ConsentId;
use crate::contact::Contact;
use crate::message::Message;
use crate::vault::VaultError;

/// Why a call did not do what it was asked. Messages name no one and hold no secret; a program words them for people.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ClientError {
    /// A relay does not answer. What was to be sent stays in the outbox; an invitation or a join left nothing behind.
    #[error("a relay does not answer")]
    Unreachable,
    /// No relay was added.
    #[error("no relay was added")]
    NoRelay,
    /// An entry relay was insisted on, and none was added that is not the mailbox's own.
    #[error("no relay was added that could be the entry")]
    NoEntry,
    /// There is no entry relay, and the person has not agreed to go directly.
    #[error("going directly needs the person's consent")]
    NeedsConsentForDirect,
    /// Another relay than the address names answers there.
    #[error("another relay answers at this address")]
    WrongFingerprint,
    /// A relay presents keys signed before those it presented earlier.
    #[error("the clock of a relay went back")]
    ClockWentBack,
    /// A relay's clock and this device's are hours apart.
    #[error("the clocks of a relay and of this device are too far apart")]
    ClocksApart,
    /// The entry relay does not forward to that relay.
    #[error("the entry relay refuses to forward to this relay")]
    EntryRefuses,
    /// A relay is at a limit. Try later.
    #[error("a relay is busy")]
    RelayBusy,
    /// A relay has no room. Nothing was kept there.
    #[error("a relay has no room")]
    RelayFull,
    /// A relay takes no new mailboxes.
    #[error("a relay takes no new mailboxes")]
    NotAdmitted,
    /// A relay has closed and takes in nothing more. What was to be sent stays in the outbox.
    #[error("a relay has closed")]
    RelayClosed,
    /// A relay asks for more work than any device should do, speaks another version, or broke the protocol.
    #[error("a relay does not keep to the protocol")]
    RelayMisbehaved,
    /// The mailbox is full. What was to be sent stays in the outbox.
    #[error("the mailbox is full")]
    MailboxFull,
    /// Not an invitation link.
    #[error("not a whole invitation link")]
    InvitationMalformed,
    /// The invitation has expired.
    #[error("the invitation has expired")]
    InvitationExpired,
    /// The invitation is not there: it was withdrawn, or the relay lost it.
    #[error("the invitation is not at its relay")]
    InvitationGone,
    /// Somebody else has used the invitation.
    #[error("the invitation was used by somebody else")]
    InvitationClaimed,
    /// The relay gave another card than the link names.
    #[error("the invitation's card is not the one that the link names")]
    CardSwapped,
    /// The invitation was made here, or used here.
    #[error("the invitation is from this home")]
    OwnInvitation,
    /// No contact has this name or id.
    #[error("no such contact")]
    UnknownContact,
    /// More than one contact matches.
    #[error("more than one contact matches")]
    AmbiguousContact(Vec<Contact>),
    /// Another contact has this name.
    #[error("another contact has this name")]
    NameTaken,
    /// A name that is empty, or longer than 200 bytes.
    #[error("a name is 1 to 200 bytes long")]
    NameInvalid,
    /// The contact is blocked.
    #[error("the contact is blocked")]
    Blocked,
    /// A contact who has not joined yet has no safety phrase.
    #[error("the contact has not joined yet")]
    NotJoined,
    /// A text without a byte.
    #[error("an empty text")]
    TextEmpty,
    /// A text above 256 KiB.
    #[error("a text above 256 KiB")]
    TextTooLong,
    /// No message of this conversation that can be seen has this id.
    #[error("no such message")]
    UnknownMessage,
    /// More than one message matches.
    #[error("more than one message matches")]
    AmbiguousMessage(Vec<Message>),
    /// Only the author can do this with a message.
    #[error("the message is somebody else's")]
    NotYours,
    /// A reaction of no byte, of more than 64, or with a space or a control character in it.
    #[error("not a reaction")]
    EmojiInvalid,
    /// Sixteen different reactions to one message are there from this side.
    #[error("too many reactions to one message")]
    TooManyReactions,
    /// A timer of no time, or of more than a year.
    #[error("a timer lasts up to a year")]
    TimerInvalid,
    /// No consent has this id.
    #[error("no such consent")]
    UnknownConsent,
    /// More than one consent matches.
    #[error("more than one consent matches")]
    AmbiguousConsent(Vec<ConsentId>),
    /// Nobody needs consent for their own words.
    #[error("the message is one's own")]
    OwnMessage,
    /// Whom to and what for are 1 to 1,000 bytes each, and the end lies ahead.
    #[error("not what a consent can be about")]
    ConsentInvalid,
    /// What was asked about is not there as it was: the words have changed or are gone, or the time is up.
    #[error("what the consent is about is not there any more")]
    ConsentOutdated,
    /// It has been answered: only a yes can be taken back, once.
    #[error("the consent has been decided")]
    ConsentDecided,
    /// Nobody has given consent, or it was withdrawn, is over, or was for other words.
    #[error("there is no consent for this")]
    NotConsented,
    /// A file without a byte.
    #[error("an empty file")]
    FileEmpty,
    /// A file above 19,000,000 bytes.
    #[error("a file above 19,000,000 bytes")]
    FileTooLarge,
    /// A file that cannot be cleaned for sure of what tells who made it.
    #[error("a file that cannot be cleaned: {0}")]
    CannotClean(CannotClean),
    /// A message that is no file of somebody else.
    #[error("no file that was received")]
    NotAFile,
    /// The relay has let the file go: it was not fetched for 21 days.
    #[error("the relay has let the file go")]
    FileGone,
    /// What the relay gave is not the file that was sent.
    #[error("not the file that was sent")]
    FileBroken,
    /// An invitation that lasts no time, or more than 21 days.
    #[error("an invitation lasts up to 21 days")]
    ExpiryInvalid,
    /// No relay with this fingerprint was added.
    #[error("no such relay")]
    UnknownRelay,
    /// Not a relay's address.
    #[error("not a relay's address")]
    Address(#[from] AddressError),
    /// The vault could not be opened, read or written.
    #[error(transparent)]
    Vault(#[from] VaultError),
    /// The same was begun again while it was under way: the call that did so goes on with it.
    #[error("the same was begun again")]
    BegunAgain,
    /// The client has ended.
    #[error("the client has ended")]
    Ended,
}

impl From<rusqlite::Error> for ClientError {
    fn from(error: rusqlite::Error) -> Self {
        Self::Vault(VaultError::from(error))
    }
}

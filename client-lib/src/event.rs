//! What happens while a client runs.

use hearken_proto::ids::Fingerprint;

use crate::contact::ContactId;
use crate::message::{Message, MessageId};

/// What happened. Events are hints for a display: what matters is in the vault before one is given out, so a lost
/// event loses nothing.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Event {
    /// A line came or changed, and is stored.
    MessageArrived(Message),
    /// A relay holds a message durably.
    MessageSent(MessageId),
    /// Cells of what is being sent were taken by a relay.
    Progress {
        /// Whose conversation.
        contact: ContactId,
        /// Cells that still wait for that relay.
        cells_left: u32,
    },
    /// Chunks of a file of this side were taken by the relay, or chunks of one of somebody else's came.
    FileProgress {
        /// The message that it belongs to.
        message: MessageId,
        /// Chunks of 2,400 bytes.
        done: u32,
        /// All of them.
        of: u32,
    },
    /// A file is whole here: `Client::read_file`.
    FileArrived(MessageId),
    /// A file will not come: the relay has let it go, or gave another ([`crate::Message::file`] says which).
    FileLost(MessageId),
    /// The person invited has joined.
    ContactJoined(ContactId),
    /// Somebody tried to use an invitation that had been used.
    SecondClaim(ContactId),
    /// A mailbox is full; what waits for it is tried again.
    MailboxFull(ContactId),
    /// A relay does not answer; it is tried again.
    RelayUnreachable(Fingerprint),
    /// A relay that did not answer answers again.
    RelayReached(Fingerprint),
    /// A relay says that it will close: [`crate::Client::closings`].
    RelayCloses(Fingerprint),
    /// A relay that said that it would close has taken that back.
    RelayStays(Fingerprint),
    /// Another process has the home for a while.
    GaveWay,
    /// The home is back with this process.
    TookBack,
}

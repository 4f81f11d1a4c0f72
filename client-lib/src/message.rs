//! A line of a conversation, as a person sees it.

use core::fmt;

use hearken_proto::time::UnixMillis;

use crate::consent::{ConsentId, ConsentState};
use crate::contact::ContactId;
use crate::conversation::{Author, Conversation, PersonId, ThreadId, ThreadKind};
use crate::id::id;

id! {
    /// Names a message, the same at both ends: 16 random bytes.
    pub MessageId
}

/// What a line of a conversation is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum MessageKind {
    /// Words that somebody wrote.
    Text,
    /// What somebody thinks of [`Message::target`]: [`Message::text`] is one emoji or a few letters.
    Reaction {
        /// They have taken it back.
        withdrawn: bool,
    },
    /// A file: see [`Message::file`]. [`Message::text`] is its name.
    File,
    /// A consent was asked for or decided: see [`Message::consent`].
    Consent(ConsentState),
    /// Something that did not arrive, or could not be opened: so many cells of 2,400 bytes.
    Gap {
        /// How many cells.
        missing: u32,
    },
    /// Something that the program tells, in words of the reader's language.
    Notice(Notice),
}

/// What the program tells in a conversation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Notice {
    /// The person invited has joined.
    Joined,
    /// Somebody else tried to use the invitation after it had been used: whoever joined may not be who was meant, and
    /// the link was seen by others.
    SecondClaim,
    /// Words of this side that had not been sent when the copy was made that this vault comes from. They are the text of
    /// the message, and are not sent from here.
    Unsent,
    /// The vault was made from a copy: the contact is to be met again.
    Restored,
    /// There was a message here that its author deleted for everybody.
    Deleted,
    /// Something came that this version does not know. A newer one would show it.
    NeedsNewer,
    /// Somebody set how long what is written from here on stays.
    Timer {
        /// Seconds; `None`: it stays.
        seconds: Option<u32>,
    },
    /// Somebody tried to change or delete a message that is not theirs. Nothing was changed.
    NotTheirs,
    /// Words of this side whose time was up before they could be sent. They were not sent.
    TimeUpUnsent,
}

/// How far a message has come. It only moves forward.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum MessageState {
    /// Kept here until the relay has it.
    Queued,
    /// The relay holds it durably.
    Sent,
    /// The other side's program has it; in a group, that of at least one member.
    Delivered,
    /// It came from somebody else.
    Received,
}

/// What waiting for a message to be sent came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SendOutcome {
    /// The relay holds it durably.
    Sent,
    /// It waits for a contact who has not joined yet.
    Queued,
    /// The relay does not answer; it stays in the outbox.
    Unreachable,
    /// The mailbox is full; it stays in the outbox.
    MailboxFull,
}

/// Where a file is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum FileState {
    /// This side sent it.
    Own,
    /// At the relay: it is fetched by itself, or, where it is large, when it is asked for.
    AtRelay,
    /// Here.
    Here,
    /// The relay has let it go: it was not fetched for 21 days.
    Gone,
    /// What the relay gave is not what was sent.
    Broken,
}

/// What is known of a file.
#[derive(Clone, PartialEq, Eq)]
pub struct FileInfo {
    pub(crate) size: u64,
    pub(crate) media_type: String,
    pub(crate) state: FileState,
}

impl FileInfo {
    /// Bytes: 1 to 19,000,000.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.size
    }

    /// What its sender says it is (RFC 6838): not to be trusted.
    #[must_use]
    pub fn media_type(&self) -> &str {
        &self.media_type
    }

    /// Where it is.
    #[must_use]
    pub fn state(&self) -> FileState {
        self.state
    }
}

impl fmt::Debug for FileInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FileInfo").field("state", &self.state).finish_non_exhaustive()
    }
}

/// What somebody thinks of a message.
#[derive(Clone, PartialEq, Eq)]
pub struct Reaction {
    pub(crate) author: Author,
    pub(crate) emoji: String,
}

impl Reaction {
    /// Who.
    #[must_use]
    pub fn author(&self) -> Author {
        self.author
    }

    /// One emoji or a few letters: up to 64 bytes.
    #[must_use]
    pub fn emoji(&self) -> &str {
        &self.emoji
    }
}

impl fmt::Debug for Reaction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Reaction(..)")
    }
}

/// A line of a conversation.
#[derive(Clone, PartialEq, Eq)]
pub struct Message {
    pub(crate) id: MessageId,
    pub(crate) thread: ThreadId,
    pub(crate) with: ThreadKind,
    /// `None`: this side.
    pub(crate) author: Option<PersonId>,
    pub(crate) kind: MessageKind,
    pub(crate) text: String,
    pub(crate) target: Option<MessageId>,
    /// The author's order of the last change, which is also the line's version here.
    pub(crate) order: u64,
    pub(crate) edited: bool,
    pub(crate) file: Option<FileInfo>,
    pub(crate) expires_at: Option<UnixMillis>,
    pub(crate) reactions: Vec<Reaction>,
    pub(crate) sent_at: UnixMillis,
    pub(crate) received_at: Option<UnixMillis>,
    pub(crate) state: MessageState,
}

impl Message {
    /// Its id, the same at both ends.
    #[must_use]
    pub fn id(&self) -> MessageId {
        self.id
    }

    /// The conversation that it belongs to.
    #[must_use]
    pub fn conversation(&self) -> Conversation {
        self.with.conversation(self.thread)
    }

    /// The contact whose conversation it belongs to; `None` in a group.
    #[must_use]
    pub fn contact(&self) -> Option<ContactId> {
        self.conversation().contact()
    }

    /// Who wrote it, or whom it is about.
    #[must_use]
    pub fn author(&self) -> Author {
        self.with.author(self.author)
    }

    /// Whether this side wrote it.
    #[must_use]
    pub fn is_from_me(&self) -> bool {
        self.author.is_none()
    }

    /// What it is.
    #[must_use]
    pub fn kind(&self) -> MessageKind {
        self.kind
    }

    /// The words, byte for byte as they were written last; of a file its name, which names no folder; empty for what is not text, but for [`Notice::Unsent`] and for
    /// a reaction.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The message that this one answers, reacts to or is about. It need not be there: it may have been deleted, or its
    /// time may have been up.
    #[must_use]
    pub fn target(&self) -> Option<MessageId> {
        self.target
    }

    /// The consent that it is about.
    #[must_use]
    pub fn consent(&self) -> Option<ConsentId> {
        let is_consent = matches!(self.kind, MessageKind::Consent(_));
        self.target.filter(|_| is_consent).map(|id| ConsentId::from_bytes(*id.as_bytes()))
    }

    /// What is known of a file; `None` of what is none, and of one whose key went with its time or with another vault.
    #[must_use]
    pub fn file(&self) -> Option<&FileInfo> {
        self.file.as_ref()
    }

    /// Whether the author has replaced the words since they wrote them.
    #[must_use]
    pub fn is_edited(&self) -> bool {
        self.edited
    }

    /// When it disappears from this side; `None`: it stays.
    #[must_use]
    pub fn expires_at(&self) -> Option<UnixMillis> {
        self.expires_at
    }

    /// What people think of it, in the order in which that came. Filled in by `Client::history` and `Client::search`.
    #[must_use]
    pub fn reactions(&self) -> &[Reaction] {
        &self.reactions
    }

    /// When it was written, by the writer's clock.
    #[must_use]
    pub fn sent_at(&self) -> UnixMillis {
        self.sent_at
    }

    /// When it came here, by this side's clock; `None` for own messages.
    #[must_use]
    pub fn received_at(&self) -> Option<UnixMillis> {
        self.received_at
    }

    /// How far it has come.
    #[must_use]
    pub fn state(&self) -> MessageState {
        self.state
    }
}

impl fmt::Debug for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Message").field("state", &self.state).finish_non_exhaustive()
    }
}

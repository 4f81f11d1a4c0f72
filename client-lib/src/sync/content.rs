//! What is inside a message (layer 6): protobuf, version 1, the same in a conversation with a contact and in a group.
//!
//! It stands above fragments (`packet`) and above whatever seals them. A [`Content`] says who may read it (`version`), when
//! it was written, and one thing: a [`Body`]. A reader that meets a version above its own, or a body that it does not know,
//! shows a line that says so; it never drops one. Fields that a reader does not know are skipped, so a field may be added
//! to a body without a new version as long as the body still makes sense without it.
//!
//! Nothing here names its sender or its conversation: what sealed the content did.

use hearken_proto::limits::TEXT_MAX;
use prost::{Message, Oneof};
use zeroize::Zeroizing;

use crate::message::MessageId;

/// The version of this schema. A content carries the oldest one whose readers understand it.
pub(crate) const VERSION: u32 = 1;
/// The longest reaction, in bytes: the longest emoji in use are sequences of about 40.
pub(crate) const EMOJI_MAX: usize = 64;
/// Receipts in one content.
pub(crate) const RECEIPTS_MAX: usize = 128;
/// The longest line of a consent (whom to, what for), in bytes.
pub(crate) const CONSENT_LINE_MAX: usize = 1_000;
/// Bytes around the longest text: fields of the content, a reply, and receipts that ride along.
pub(crate) const CONTENT_OVERHEAD: usize = 128 + RECEIPTS_MAX * 16;
/// The longest content, in bytes.
pub(crate) const CONTENT_MAX: usize = TEXT_MAX + CONTENT_OVERHEAD;

/// A message.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct Content {
    /// The least version of this schema that a reader must know.
    #[prost(uint32, tag = "1")]
    pub(crate) version: u32,
    /// When it was written, by the writer's clock: milliseconds since 1970.
    #[prost(uint64, tag = "2")]
    pub(crate) sent_at_ms: u64,
    /// Orders what one person says of one thing: of two edits, deletions, timers or reactions the one with the greater number
    /// holds, whichever came first. Grows with everything that a person says in a conversation.
    #[prost(uint64, tag = "3")]
    pub(crate) order: u64,
    /// Seconds after which this is to be gone at every side, counted there from when it was sent or received; 0: it stays.
    #[prost(uint32, tag = "4")]
    pub(crate) expires_after_s: u32,
    /// Messages of the receiver that have come: ids of 16 bytes, one behind the other.
    #[prost(bytes = "vec", tag = "5")]
    pub(crate) receipts: Vec<u8>,
    /// What it is about. Tags 32 to 63 are kept for what only groups say.
    #[prost(oneof = "Body", tags = "16, 17, 18, 19, 20, 21, 22, 23, 25")]
    pub(crate) body: Option<Body>,
}

/// The things that can be said.
#[derive(Clone, PartialEq, Oneof)]
pub(crate) enum Body {
    /// Words.
    #[prost(message, tag = "16")]
    Text(Text),
    /// What somebody thinks of a message.
    #[prost(message, tag = "17")]
    Reaction(Reaction),
    /// Other words for a message of one's own.
    #[prost(message, tag = "18")]
    Edit(Edit),
    /// An own message that nobody shall have.
    #[prost(message, tag = "19")]
    Deletion(Deletion),
    /// How long what is written from here on stays.
    #[prost(message, tag = "20")]
    Timer(Timer),
    /// Nothing but receipts.
    #[prost(message, tag = "21")]
    Receipts(Receipts),
    /// May the asker give a message of the receiver's on?
    #[prost(message, tag = "22")]
    ConsentAsked(ConsentAsked),
    /// The signed answer, or what takes it back.
    #[prost(message, tag = "23")]
    ConsentAnswered(ConsentAnswered),
    /// A file: where its sealed object is, and what opens it.
    #[prost(message, tag = "25")]
    File(File),
}

/// Words that somebody wrote.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct Text {
    /// Byte for byte as written.
    #[prost(string, tag = "1")]
    pub(crate) text: String,
    /// The message that this answers, 16 bytes; empty: none. Only its id: what was deleted is not quoted back to life.
    #[prost(bytes = "vec", tag = "2")]
    pub(crate) reply_to: Vec<u8>,
}

/// What somebody thinks of a message: each emoji at most once a person.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct Reaction {
    /// The message, 16 bytes.
    #[prost(bytes = "vec", tag = "1")]
    pub(crate) target: Vec<u8>,
    /// One emoji, or a few letters; empty only in a withdrawal, which then is of all that came before.
    #[prost(string, tag = "2")]
    pub(crate) emoji: String,
    /// Takes it back.
    #[prost(bool, tag = "3")]
    pub(crate) withdrawn: bool,
}

/// Other words.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct Edit {
    /// The message, 16 bytes, of the same author.
    #[prost(bytes = "vec", tag = "1")]
    pub(crate) target: Vec<u8>,
    /// What it says from here on.
    #[prost(string, tag = "2")]
    pub(crate) text: String,
}

/// A message that is to be gone at every side.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct Deletion {
    /// The message, 16 bytes, of the same author.
    #[prost(bytes = "vec", tag = "1")]
    pub(crate) target: Vec<u8>,
}

/// The timer of a conversation. Of two the one with the greater order holds, whoever set it.
#[derive(Clone, Copy, PartialEq, Eq, Message)]
pub(crate) struct Timer {
    /// Seconds; 0: what is written stays.
    #[prost(uint32, tag = "1")]
    pub(crate) seconds: u32,
}

/// See [`Body::Receipts`].
#[derive(Clone, Copy, PartialEq, Eq, Message)]
pub(crate) struct Receipts {}

/// What is asked, by whoever wants to give a message on. The id of this content is the consent's, the same for everyone.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct ConsentAsked {
    /// The message, 16 bytes: of whoever is asked.
    #[prost(bytes = "vec", tag = "2")]
    pub(crate) target: Vec<u8>,
    /// Its words as the asker has them: a hash of id and words.
    #[prost(bytes = "vec", tag = "3")]
    pub(crate) hash: Vec<u8>,
    /// Whom it is to be given to.
    #[prost(string, tag = "4")]
    pub(crate) audience: String,
    /// What for.
    #[prost(string, tag = "5")]
    pub(crate) purpose: String,
    /// Until when, milliseconds since 1970; 0: until it is withdrawn.
    #[prost(uint64, tag = "6")]
    pub(crate) until_ms: u64,
}

/// What somebody decided about an ask, signed.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct ConsentAnswered {
    /// The consent, 16 bytes.
    #[prost(bytes = "vec", tag = "1")]
    pub(crate) id: Vec<u8>,
    /// 1 given, 2 refused, 3 withdrawn.
    #[prost(uint32, tag = "2")]
    pub(crate) decision: u32,
    /// Ed25519, of a key made for this conversation alone, 32 bytes.
    #[prost(bytes = "vec", tag = "3")]
    pub(crate) public_key: Vec<u8>,
    /// Over the statement: 64 bytes.
    #[prost(bytes = "vec", tag = "4")]
    pub(crate) signature: Vec<u8>,
}

/// A file: an object at the relay of the receiver's mailbox, or of the group.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct File {
    /// The object's id, 32 bytes.
    #[prost(bytes = "vec", tag = "1")]
    pub(crate) object: Vec<u8>,
    /// What opens it, 32 bytes.
    #[prost(bytes = "vec", tag = "2")]
    pub(crate) key: Vec<u8>,
    /// Over its sealed chunks (`hearken_proto::object::Root`), 32 bytes: whoever has the key cannot put in another file.
    #[prost(bytes = "vec", tag = "3")]
    pub(crate) root: Vec<u8>,
    /// How many chunks, one of the sizes of `crate::file`.
    #[prost(uint32, tag = "4")]
    pub(crate) chunks: u32,
    /// Bytes of the file.
    #[prost(uint64, tag = "5")]
    pub(crate) size: u64,
    /// RFC 6838.
    #[prost(string, tag = "6")]
    pub(crate) media_type: String,
    /// What it is to be called. Never a path.
    #[prost(string, tag = "7")]
    pub(crate) name: String,
    /// As of a text.
    #[prost(bytes = "vec", tag = "8")]
    pub(crate) reply_to: Vec<u8>,
}

impl Content {
    /// Bytes of one, to be sealed.
    pub(crate) fn to_bytes(&self) -> Zeroizing<Vec<u8>> {
        Zeroizing::new(self.encode_to_vec())
    }
}

/// The message that 16 bytes name.
pub(crate) fn message_id(bytes: &[u8]) -> Option<MessageId> {
    Some(MessageId::from_bytes(bytes.try_into().ok()?))
}

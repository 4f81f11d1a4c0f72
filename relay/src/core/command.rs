//! What the core asks of the store, and what it is told: write commands for the committer, reads for the readers.
//!
//! Guarantees: ids and blobs in here are opaque to the shell that carries the commands. Deliberately not here: what the
//! commands do (`execute.rs` and the files that it names).

use core::fmt;
use std::collections::BTreeMap;

use hearken_proto::ids::{ClaimId, FeedId, FeedWriterId, ObjectId, PutId, RecvId, SendId};
use hearken_proto::payload::Blob;
use hearken_proto::time::{UnixDay, UnixHour};
use hearken_proto::wire::Reason;

use super::config::CommandLimits;
use super::feed_rows::FeedKind;
use crate::store::DayKeys;

/// A command that changes rows. Carried out in the order in which the core handed it out.
pub struct WriteCommand(pub(super) Write);

/// A command that reads committed rows. Carried out in any order.
pub struct ReadCommand(pub(super) Read);

/// What the core is told of a command.
pub struct Outcome {
    pub(super) answer: Answer,
    /// Zero, but where a simulated operator lies: see [`Told::Cells`].
    pub(super) cells_added: i32,
}

/// What an outcome tells a client, to be changed by a simulated operator who lies. See
/// [`crate::simulation::InlineRelay::set_lie`].
pub enum Told<'a> {
    /// Blobs of a mailbox or entries of a feed with their positions, ascending.
    Blobs(&'a mut Vec<(u64, Blob)>),
    /// The position of the newest blob when a watch began; 0 where there is none.
    Newest(&'a mut u64),
    /// Chunks of an object.
    Chunks(&'a mut Vec<Blob>),
    /// How many cells more than the client asked for are sealed as the answer, or fewer. Zero until it is changed.
    Cells(&'a mut i32),
}

impl Outcome {
    pub(super) fn honest(answer: Answer) -> Self {
        Self { answer, cells_added: 0 }
    }

    /// The length of the answer.
    pub(crate) fn told_cells(&mut self) -> Told<'_> {
        Told::Cells(&mut self.cells_added)
    }

    /// What a reader is told; `None` where the command was no read, or was refused.
    pub(crate) fn told(&mut self) -> Option<Told<'_>> {
        match &mut self.answer {
            Answer::Blobs { blobs, .. } => Some(Told::Blobs(blobs)),
            Answer::Watching { newest, .. } => Some(Told::Newest(newest)),
            Answer::Chunks { blobs, .. } => Some(Told::Chunks(blobs)),
            _ => None,
        }
    }

    /// Has what was stored read again for whoever watches, so that [`Outcome::told`] speaks of every blob.
    pub(crate) fn have_read(&mut self) {
        if let Answer::Stored { blob, .. } = &mut self.answer {
            *blob = None;
        }
    }
}

/// What all write commands share beside the store.
pub struct CommandContext {
    pub(super) day_keys: DayKeys,
    pub(super) limits: CommandLimits,
    /// By session, the `Put` that was refused: later ones are refused until it comes again. Here and not in the core,
    /// since a later one may be on its way already.
    pub(super) blocked: BTreeMap<SessionNumber, Blocked>,
}

impl CommandContext {
    /// A context without history, for a relay that starts.
    #[must_use]
    pub fn new(day_keys: DayKeys, limits: CommandLimits) -> Self {
        Self { day_keys, limits, blocked: BTreeMap::new() }
    }
}

/// A session's name in the committer, never used twice in one run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct SessionNumber(pub(super) u64);

/// A `Put` that must come again before its session may put another.
#[derive(Clone, Copy)]
pub(super) struct Blocked {
    pub(super) put_id: PutId,
    pub(super) reason: Reason,
}

/// What is watched.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Watched {
    Mailbox(RecvId),
    Feed(FeedId),
}

/// Whether what a command needs holds, beside the rows: judged by the core when the command came.
#[derive(Clone, Copy, Debug)]
pub(super) struct Permit {
    /// The session has proven the key.
    pub(super) proven: bool,
    /// The relay takes what creates state.
    pub(super) admitted: bool,
    /// The relay has not closed: it still takes in what is put.
    pub(super) open: bool,
    /// A proof of work held.
    pub(super) worked: bool,
    /// The disk has room under its quota.
    pub(super) room: bool,
}

pub(super) enum Write {
    Create(Create),
    Claim {
        claim: ClaimId,
        sender: SendId,
        permit: Permit,
    },
    Put(Put),
    Ack {
        mailbox: RecvId,
        cursor: u64,
        permit: Permit,
    },
    DeleteMailbox {
        mailbox: RecvId,
        permit: Permit,
    },
    /// The reader came.
    Touch {
        mailbox: RecvId,
    },
    Declare {
        object: ObjectId,
        declaration: Declaration,
        permit: Permit,
    },
    Chunk(Chunk),
    DeleteObject {
        object: ObjectId,
        permit: Permit,
    },
    FeedCreate(FeedCreate),
    FeedPut(FeedPut),
    FeedDelete {
        feed: FeedId,
        permit: Permit,
    },
    /// The session has ended.
    Forget(SessionNumber),
    /// Deletes some of what is due.
    Sweep,
}

pub(super) struct Create {
    pub(super) mailbox: RecvId,
    pub(super) claim: Option<ClaimId>,
    pub(super) sender: Option<SendId>,
    pub(super) permit: Permit,
}

pub(super) struct Chunk {
    pub(super) object: ObjectId,
    pub(super) index: u32,
    pub(super) blob: Blob,
    pub(super) permit: Permit,
}

pub(super) struct Put {
    pub(super) sender: SendId,
    pub(super) put_id: PutId,
    pub(super) blob: Blob,
    pub(super) session: SessionNumber,
    /// The session's `Put`s before this one that are not known to be stored, in order.
    pub(super) before: Vec<PutId>,
    pub(super) permit: Permit,
}

pub(super) struct FeedCreate {
    pub(super) feed: FeedId,
    pub(super) writer: FeedWriterId,
    pub(super) kind: FeedKind,
    pub(super) permit: Permit,
}

pub(super) struct FeedPut {
    pub(super) writer: FeedWriterId,
    pub(super) put_id: PutId,
    pub(super) blob: Blob,
    /// The object that the entry names; one that nobody has where its key was not proven.
    pub(super) names: Option<ObjectId>,
    pub(super) session: SessionNumber,
    /// As of [`Put`].
    pub(super) before: Vec<PutId>,
    pub(super) permit: Permit,
}

/// What an object will be.
#[derive(Clone, Copy)]
pub(super) struct Declaration {
    pub(super) chunks: u32,
    pub(super) root: [u8; 32],
    pub(super) ttl_hours: u32,
}

pub(super) enum Read {
    Get { mailbox: RecvId, after: u64, max: u32, hour: UnixHour, proven: bool },
    Watch { mailbox: RecvId, after: u64, hour: UnixHour, proven: bool },
    ObjectGet { object: ObjectId, first: u32, max: u32, hour: UnixHour },
    FeedGet { feed: FeedId, after: u64, max: u32, today: UnixDay, proven: bool },
    FeedWatch { feed: FeedId, after: u64, today: UnixDay, proven: bool },
}

pub(super) enum Answer {
    Done,
    /// A blob that was not there before is durable.
    Stored {
        watched: Watched,
        /// The position given before this one: where a watch has come to it, nothing lies in between.
        after: u64,
        position: u64,
        /// `None` where whoever watches is to have it read.
        blob: Option<Blob>,
        /// The reader has not come today.
        touch: bool,
    },
    Refused(Reason),
    Blobs {
        blobs: Vec<(u64, Blob)>,
        /// The reader came for the first time today.
        touch: bool,
    },
    Watching {
        claims_refused: u32,
        claimed: bool,
        newest: u64,
    },
    Chunks {
        first: u32,
        chunks: u32,
        blobs: Vec<Blob>,
    },
    Swept {
        more: bool,
    },
}

impl fmt::Debug for WriteCommand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("WriteCommand(..)")
    }
}

impl fmt::Debug for ReadCommand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ReadCommand(..)")
    }
}

impl fmt::Debug for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Outcome(..)")
    }
}

impl fmt::Debug for Told<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Told(..)")
    }
}

impl fmt::Debug for CommandContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CommandContext(..)")
    }
}

//! What the router names, what it tells its shell to do and what it tells the engine.

use std::sync::Arc;

use hearken_proto::address::RelayAddress;
use hearken_proto::cell::Cell;
use hearken_proto::ids::Fingerprint;
use hearken_proto::info::VerifiedInfo;
use hearken_proto::payload::Blob;
use hearken_proto::wire::reply;

use super::error::CloseWhy;

/// A session with a relay, of one router. Never used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct SessionId(pub(super) u64);

/// A command in a session, of one router. Never used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct CommandId(pub(super) u64);

/// A link to a first hop, of one router. Never used again: another attempt has another id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct LinkId(pub(super) u64);

/// What the shell shall do, in order.
#[derive(Debug)]
pub(crate) enum RouteAction {
    /// Dial the relay, then call `Router::handle_connected` or `Router::handle_disconnected`.
    Connect {
        /// The link's name.
        link: LinkId,
        /// Whom to dial.
        address: RelayAddress,
    },
    /// Put a cell onto a connected link.
    Transmit {
        /// Onto which.
        link: LinkId,
        /// What.
        cell: Cell,
    },
    /// Hang up, or stop dialling. What was transmitted before goes out first where it can. Nothing more is expected
    /// from this link, and what still comes is ignored.
    Disconnect {
        /// Which.
        link: LinkId,
    },
}

/// What the engine shall know, in order.
#[derive(Debug)]
pub(crate) enum RouteEvent {
    /// The session is open. Commands may have been queued before.
    Opened {
        /// Which.
        session: SessionId,
    },
    /// A relay's information was verified. Its time is kept (per relay, the newest) so that a relay whose clock goes
    /// back is noticed after a restart: `Router::remember_info`.
    InfoSeen {
        /// Of which relay.
        fingerprint: Fingerprint,
        /// What it says.
        info: Arc<VerifiedInfo>,
    },
    /// A cell of an answer.
    Answer {
        /// In which session.
        session: SessionId,
        /// To which command.
        command: CommandId,
        /// The cell's place in the answer, from 0.
        #[allow(dead_code, reason = "cells come in order; tests hold the router to it")]
        index: u32,
        /// Whether the answer is complete with it.
        last: bool,
        /// What it says: of a kind that the command can be answered with, never `Push` or `Opened`.
        reply: reply::Reply,
        /// The blob of a `Delivery` or `Chunk`.
        blob: Option<Blob>,
    },
    /// A blob of the mailbox, or an entry of the feed, that the session watches.
    Push {
        /// In which session.
        session: SessionId,
        /// The blob's position.
        position: u64,
        /// The blob.
        blob: Blob,
    },
    /// The session is old: open another with the same plan, and close this one when that one watches.
    RollOver {
        /// Which.
        session: SessionId,
    },
    /// The session has ended. Commands without a complete answer may or may not have been carried out.
    Closed {
        /// Which.
        session: SessionId,
        /// Why.
        why: CloseWhy,
    },
}

//! A client's session as the other side of what is judged: it opens what the relay seals and holds it to its answers.
//!
//! Judged: answers come only to commands, in their order, as many cells as the command is answered by and of the kinds
//! that it may be, blobs at rising positions behind the one asked for; pushes come only to a watch, at rising positions, at most 16 beyond the last acknowledged.

use std::collections::VecDeque;

use hearken_proto::auth::ObjectSecretKey;
use hearken_proto::cell::{Cell, CloseReason};
use hearken_proto::ids::{ClaimId, FeedId, FeedWriterId, ObjectId, RecvId, SendId};
use hearken_proto::info::VerifiedInfo;
use hearken_proto::limits::{ANSWERS_DUE_MAX, WATCH_WINDOW};
use hearken_proto::payload::{Blob, Payload};
use hearken_proto::seal::{PendingRoute, RouteSeal};
use hearken_proto::wire::command::Command as Ask;
use hearken_proto::wire::reply::Reply as Say;
use hearken_proto::wire::{self, Command, Role};
use rand_chacha::ChaCha20Rng;

/// What a command may be answered by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// `Done`, or refused.
    Done,
    /// Deliveries, then empty cells; or refused.
    Blobs,
    /// `Watching`, or refused.
    Watch,
    /// Chunks, then empty cells; or refused.
    Chunks,
    /// Refused: the command breaks a rule.
    Refused,
}

/// A command that is not wholly answered.
#[derive(Debug)]
pub(super) struct Owed {
    pub(super) cells: u32,
    pub(super) kind: Kind,
    /// Where a `Watch` begins, and whether it is of a feed.
    watches_after: Option<(u64, bool)>,
    /// The position behind which the next delivery stands.
    last: u64,
    answered: u32,
}

/// How far a session is.
pub(super) enum Stage {
    /// Opened by nobody yet.
    Pending(PendingRoute),
    /// Open.
    Open(RouteSeal),
    /// Closed, or broken by what the fuzzer did to its cells: the relay closes it.
    Over,
}

/// A session with the relay at the end of its route.
pub(super) struct Session {
    pub(super) info: VerifiedInfo,
    pub(super) stage: Stage,
    pub(super) owed: VecDeque<Owed>,
    /// Answer cells due; above 16 the relay may refuse the session.
    pub(super) due: u32,
    /// Something was said that the relay may close the session for, or enough time has passed.
    pub(super) may_be_refused: bool,
    /// Seconds have passed since it was opened.
    pub(super) has_aged: bool,
    watch: Option<Watch>,
    /// The last position that was read.
    newest: u64,
}

struct Watch {
    is_of_feed: bool,
    acknowledged: u64,
    pushed: VecDeque<u64>,
    last: u64,
}

impl Session {
    pub(super) fn new(info: VerifiedInfo, pending: PendingRoute) -> Self {
        Self {
            info,
            stage: Stage::Pending(pending),
            owed: VecDeque::new(),
            due: 0,
            may_be_refused: false,
            has_aged: false,
            watch: None,
            newest: 0,
        }
    }

    /// The last position that was read; 0 before any was.
    pub(super) fn newest(&self) -> u64 {
        self.newest
    }

    pub(super) fn is_open(&self) -> bool {
        matches!(self.stage, Stage::Open(_))
    }

    /// The proof of a key for this session; of nothing where it is not open.
    pub(super) fn auth(&self, role: Role, key: &ObjectSecretKey) -> Option<wire::Auth> {
        let Stage::Open(seal) = &self.stage else { return None };
        let public_key = key.public_key();
        let id = match role {
            Role::Send => *SendId::of(&public_key).as_bytes(),
            Role::Claim => *ClaimId::of(&public_key).as_bytes(),
            Role::Write => *ObjectId::of(&public_key).as_bytes(),
            Role::FeedRead => *FeedId::of(&public_key).as_bytes(),
            Role::FeedWrite => *FeedWriterId::of(&public_key).as_bytes(),
            Role::Receive | Role::Unspecified => *RecvId::of(&public_key).as_bytes(),
        };
        let (auth_key, context) = (self.info.auth_key(), self.info.context());
        let mac = key.prove(role, &id, auth_key, context, seal.route_hash())?;
        Some(wire::Auth { role: role.into(), public_key: public_key.into(), mac: mac.into() })
    }

    /// Seals a command, and expects its answer.
    pub(super) fn ask(
        &mut self,
        route: u64,
        command: &Command,
        blob: Option<&Blob>,
        is_sound: bool,
        rng: &mut ChaCha20Rng,
    ) -> Option<Cell> {
        let Stage::Open(seal) = &mut self.stage else { return None };
        let payload = Payload::of_command(command, blob).ok()?;
        let cell = seal.seal(route, payload, rng).ok()?;
        let (cells, kind) = expected(command);
        let watches_after = match &command.command {
            Some(Ask::Watch(watch)) => Some((watch.after, watch.feed)),
            _ => None,
        };
        let last = match &command.command {
            Some(Ask::Get(get)) => get.after,
            Some(Ask::FeedGet(get)) => get.after,
            _ => 0,
        };
        // It counts from when the store has it, which may be before its answer is sealed.
        if let (Some(Ask::Ack(ack)), Some(watch)) = (&command.command, &mut self.watch) {
            watch.acknowledged = watch.acknowledged.max(ack.cursor);
        }
        self.due += cells;
        self.may_be_refused |= !is_sound || self.due > ANSWERS_DUE_MAX;
        self.owed.push_back(Owed { cells, kind, watches_after, last, answered: 0 });
        Some(cell)
    }

    /// Seals any 2,579 bytes. What the relay makes of them is known to the decoder only.
    pub(super) fn ask_anything(
        &mut self,
        route: u64,
        payload: Payload,
        rng: &mut ChaCha20Rng,
    ) -> Option<Cell> {
        match payload.command() {
            Ok((command, blob)) => self.ask(route, &command, blob.as_ref(), false, rng),
            Err(_) => {
                let Stage::Open(seal) = &mut self.stage else { return None };
                self.may_be_refused = true;
                seal.seal(route, payload, rng).ok()
            }
        }
    }

    /// The relay closed the route: for a reason that there is.
    pub(super) fn close(&mut self, reason: CloseReason, is_last_hop: bool) {
        let holds = match reason {
            CloseReason::Refused => self.may_be_refused,
            CloseReason::Busy => true,
            CloseReason::Done | CloseReason::UnknownEpoch => self.has_aged,
            // Only an entry says these.
            CloseReason::Unreachable | CloseReason::OtherKey => !is_last_hop,
        };
        assert!(holds || !is_last_hop, "closed as {reason:?} without a reason");
        self.stage = Stage::Over;
    }

    /// A DATA cell came on the session's route.
    pub(super) fn take(&mut self, cell: Cell) {
        match std::mem::replace(&mut self.stage, Stage::Over) {
            Stage::Over => panic!("a cell on a route that is closed"),
            Stage::Pending(pending) => {
                let (seal, payload) = pending.accept(cell).expect("the first answer opens");
                let (reply, _) = payload.reply().expect("a reply");
                assert!(matches!(reply.reply, Some(Say::Opened(_))), "{reply:?}");
                self.stage = Stage::Open(seal);
            }
            Stage::Open(mut seal) => {
                let payload = seal.open(cell).expect("what the relay seals opens, in order");
                self.stage = Stage::Open(seal);
                let (reply, blob) = payload.reply().expect("a reply");
                self.hear(reply.reply.expect("a reply that says something"), blob.is_some());
            }
        }
    }

    fn hear(&mut self, say: Say, has_blob: bool) {
        if let Say::Push(push) = &say {
            let watch = self.watch.as_mut().expect("a push without a watch");
            assert!(has_blob && push.position > watch.last, "pushes rise");
            watch.last = push.position;
            self.newest = push.position;
            watch.pushed.push_back(push.position);
            let acknowledged = watch.acknowledged;
            watch.pushed.retain(|position| *position > acknowledged);
            assert!(watch.pushed.len() <= WATCH_WINDOW as usize, "a window of 16");
            return;
        }
        self.due -= 1;
        let owed = self.owed.front_mut().expect("an answer without a command");
        let is_refusal = matches!(say, Say::Refused(_));
        if let Say::Delivery(delivery) = &say {
            assert!(has_blob && delivery.position > owed.last, "deliveries rise");
            owed.last = delivery.position;
            self.newest = delivery.position;
        }
        let holds = match owed.kind {
            Kind::Done => matches!(say, Say::Done(_)),
            Kind::Blobs => matches!(say, Say::Delivery(_) | Say::Empty(_)),
            Kind::Watch => matches!(say, Say::Watching(_)),
            Kind::Chunks => matches!(say, Say::Chunk(_) | Say::Empty(_)),
            Kind::Refused => false,
        };
        // The cells of a refusal are one that says why and empty ones.
        let follows = owed.answered > 0 && matches!(say, Say::Empty(_));
        assert!(holds || is_refusal || follows, "{:?} answered by {say:?}", owed.kind);
        owed.answered += 1;
        if let Some((after, is_of_feed)) = owed.watches_after {
            let pushed = VecDeque::new();
            let begun = Watch { is_of_feed, acknowledged: after, pushed, last: after };
            // A watch of what this session has not proven ends none that it has.
            let ends = self.watch.as_ref().is_none_or(|watch| watch.is_of_feed == is_of_feed);
            if !is_refusal || ends {
                self.watch = (!is_refusal).then_some(begun);
            }
        }
        if owed.answered == owed.cells {
            self.owed.pop_front();
        }
    }
}

/// How many cells answer a command, and of what kind.
fn expected(command: &Command) -> (u32, Kind) {
    let cells = match &command.command {
        Some(Ask::Get(get)) => get.max,
        Some(Ask::ObjectGet(get)) => get.max,
        Some(Ask::FeedGet(get)) => get.max,
        _ => 1,
    };
    if !(1..=16).contains(&cells) {
        return (1, Kind::Refused);
    }
    let kind = match &command.command {
        None => Kind::Refused,
        Some(Ask::Get(_) | Ask::FeedGet(_)) => Kind::Blobs,
        Some(Ask::Watch(_)) => Kind::Watch,
        Some(Ask::ObjectGet(_)) => Kind::Chunks,
        Some(_) => Kind::Done,
    };
    (cells, kind)
}

//! One route session at the last relay: its seal, the keys it has proven, its answers in the order of its commands.
//!
//! Guarantees: answers leave in the order of the commands though the store answers out of order; at most 16 answer cells
//! are due; one mailbox, one feed or one object's writer a session, or an object's and a feed's writer, so that an entry
//! can name the object; a read waits for the session's earlier writes.

use std::collections::VecDeque;

use hearken_proto::ids::{FeedId, PutId, RecvId, SendId};
use hearken_proto::limits::ANSWERS_DUE_MAX;
use hearken_proto::seal::{KeyEpoch, RouteSeal};
use hearken_proto::wire::Role;

use super::action::Ticket;
use super::clock::Moment;
use super::command::{Read, SessionNumber, Watched};
use super::reply::Reply;
use super::watch::Watch;

/// How far a session has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Class {
    /// Has proven nothing, and asked for nothing that needs no proof.
    Unproven,
    /// Reads objects.
    Reader,
    /// Has proven a key.
    Proven,
}

/// What an answer means for the session beside its cells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Effect {
    None,
    Create,
    Claim,
    ObjectPut,
    /// The reader came; the mailbox may have to note that.
    Reader(RecvId),
    Put(PutId),
    Ack(u64),
    Watch(Watched),
    FeedCreate,
    FeedPut(PutId),
}

enum State {
    /// Waits for earlier writes of this session.
    Held(Box<Read>),
    /// The store works on it.
    Asked { ticket: Ticket, is_write: bool },
    /// Waits for the answers before it.
    Answered(Vec<Reply>),
}

struct Slot {
    cells: u32,
    effect: Effect,
    state: State,
}

/// What a session has proven, at most one id a role.
#[derive(Default)]
struct Proven {
    ids: Vec<(Role, [u8; 32])>,
    /// The sender that this session's `Claim` named.
    claimed: Option<SendId>,
}

/// A proof for another object than the session's.
pub(super) struct SecondObject;

/// A session.
pub(super) struct Session {
    pub(super) number: SessionNumber,
    pub(super) seal: RouteSeal,
    pub(super) epoch: KeyEpoch,
    pub(super) class: Class,
    pub(super) opened_at: Moment,
    /// The one deadline that is set for this session.
    pub(super) timer: Moment,
    pub(super) watch: Option<Box<Watch>>,
    /// Cells of this session in its link's lane for unproven ones.
    pub(super) in_open_lane: u32,
    /// Nothing more is looked at; the session ends with its last answer.
    pub(super) is_closing: bool,
    proven: Proven,
    slots: VecDeque<Slot>,
    /// Replies to be sealed when the link takes them; whether each is an answer.
    out: VecDeque<(Reply, bool)>,
    /// Answer cells of commands that came and are not on the link yet.
    due: u32,
    /// `Put`s under way, in order.
    putting: VecDeque<PutId>,
    /// The first `Put` that was refused or failed and did not come again: nothing may be stored before it is.
    unstored: Option<PutId>,
}

impl Session {
    pub(super) fn new(
        number: SessionNumber,
        seal: RouteSeal,
        epoch: KeyEpoch,
        opened_at: Moment,
        timer: Moment,
    ) -> Self {
        Self {
            number,
            seal,
            epoch,
            class: Class::Unproven,
            opened_at,
            timer,
            watch: None,
            in_open_lane: 0,
            is_closing: false,
            proven: Proven::default(),
            slots: VecDeque::new(),
            out: VecDeque::new(),
            due: 0,
            putting: VecDeque::new(),
            unstored: None,
        }
    }

    /// The id that this session has proven in a role.
    pub(super) fn id(&self, role: Role) -> Option<[u8; 32]> {
        self.proven.ids.iter().find(|(proven, _)| *proven == role).map(|(_, id)| *id)
    }

    /// What this session may watch: what it reads.
    pub(super) fn watched(&self) -> Option<Watched> {
        let mailbox = || self.id(Role::Receive).map(RecvId::from_bytes).map(Watched::Mailbox);
        let feed = || self.id(Role::FeedRead).map(FeedId::from_bytes).map(Watched::Feed);
        mailbox().or_else(feed)
    }

    /// Whether a proof of `id` in `role` would stay with the session's one object. Claim and sender of one mailbox go
    /// together, since the claim names the sender; an object and the feed that an entry of may name it, since the relay
    /// keeps that anyway.
    pub(super) fn admits(&self, role: Role, id: &[u8; 32]) -> Result<(), SecondObject> {
        let holds = self.proven.ids.iter().all(|(proven, proven_id)| match (*proven, role) {
            (proven, role) if proven == role => proven_id == id,
            (Role::Claim, Role::Send) => {
                self.proven.claimed.is_none_or(|sender| sender.as_bytes() == id)
            }
            (Role::Send, Role::Claim)
            | (Role::Write, Role::FeedWrite)
            | (Role::FeedWrite, Role::Write) => true,
            _ => false,
        });
        if holds { Ok(()) } else { Err(SecondObject) }
    }

    /// A proof held.
    pub(super) fn prove(&mut self, role: Role, id: [u8; 32]) {
        if self.id(role).is_none() {
            self.proven.ids.reserve_exact(1);
            self.proven.ids.push((role, id));
        }
    }

    /// The session claims a mailbox for a sender, which must be the one that it puts as.
    pub(super) fn claim(&mut self, sender: SendId) -> Result<(), SecondObject> {
        let other = self.id(Role::Send).is_some_and(|id| id != *sender.as_bytes())
            || self.proven.claimed.is_some_and(|claimed| claimed != sender);
        if other {
            return Err(SecondObject);
        }
        self.proven.claimed = Some(sender);
        Ok(())
    }

    /// A command that is answered by `cells` cells came. `false` where more than 16 would be due.
    pub(super) fn owe(&mut self, cells: u32) -> bool {
        self.due = self.due.saturating_add(cells);
        self.due <= ANSWERS_DUE_MAX
    }

    /// A `Put` came. Answers those of this session that must be stored before it and are not known to be, in order: at
    /// most one that did not come again and the 16 that may be under way.
    pub(super) fn put(&mut self, put_id: PutId) -> Vec<PutId> {
        self.unstored.take_if(|unstored| *unstored == put_id);
        let before = self.unstored.iter().chain(&self.putting).copied();
        let before = before.filter(|other| *other != put_id).collect();
        self.putting.push_back(put_id);
        before
    }

    /// A `Put` is durable, or it was refused or failed.
    pub(super) fn put_done(&mut self, put_id: PutId, stored: bool) {
        if let Some(at) = self.putting.iter().position(|other| *other == put_id) {
            self.putting.remove(at);
        }
        if !stored {
            self.unstored.get_or_insert(put_id);
        }
    }

    /// Whether the committer may remember a refused `Put` of this session.
    pub(super) fn may_be_blocked(&self) -> bool {
        self.unstored.is_some() || !self.putting.is_empty()
    }

    /// Whether a read must wait for a write of this session.
    pub(super) fn must_hold(&self) -> bool {
        self.slots
            .iter()
            .any(|slot| matches!(slot.state, State::Asked { is_write: true, .. } | State::Held(_)))
    }

    pub(super) fn hold(&mut self, cells: u32, effect: Effect, read: Read) {
        self.slots.push_back(Slot { cells, effect, state: State::Held(Box::new(read)) });
    }

    pub(super) fn ask(&mut self, cells: u32, effect: Effect, ticket: Ticket, is_write: bool) {
        self.slots.push_back(Slot { cells, effect, state: State::Asked { ticket, is_write } });
    }

    /// Answers at once, behind what is due. Answers how many cells can go out.
    pub(super) fn answer(&mut self, replies: Vec<Reply>) -> usize {
        let cells = u32::try_from(replies.len()).unwrap_or(u32::MAX);
        let state = State::Answered(replies);
        self.slots.push_back(Slot { cells, effect: Effect::None, state });
        self.flush()
    }

    /// What the command of a ticket is answered by, and means. `None` where the session has no such command.
    pub(super) fn asked(&self, ticket: Ticket) -> Option<(u32, Effect)> {
        self.slots
            .iter()
            .find(
                |slot| matches!(slot.state, State::Asked { ticket: asked, .. } if asked == ticket),
            )
            .map(|slot| (slot.cells, slot.effect))
    }

    /// Gives the command of a ticket its answer. Answers how many cells can go out.
    pub(super) fn resolve(&mut self, ticket: Ticket, replies: Vec<Reply>) -> usize {
        let slot = self.slots.iter_mut().find(
            |slot| matches!(slot.state, State::Asked { ticket: asked, .. } if asked == ticket),
        );
        if let Some(slot) = slot {
            slot.state = State::Answered(replies);
        }
        self.flush()
    }

    /// The next read that no write of this session is in front of any more; it is asked under `ticket`.
    pub(super) fn release(&mut self, ticket: Ticket) -> Option<(Read, u32)> {
        for slot in &mut self.slots {
            match slot.state {
                State::Asked { is_write: true, .. } => return None,
                State::Held(_) => {
                    let asked = State::Asked { ticket, is_write: false };
                    return match std::mem::replace(&mut slot.state, asked) {
                        State::Held(read) => Some((*read, slot.cells)),
                        _ => None,
                    };
                }
                _ => {}
            }
        }
        None
    }

    /// Pushes a blob.
    pub(super) fn push(&mut self, reply: Reply) {
        self.out.push_back((reply, false));
    }

    /// Cells that can go out.
    pub(super) fn outgoing(&self) -> usize {
        self.out.len()
    }

    /// Whether every command is answered and every answer on the link.
    pub(super) fn is_drained(&self) -> bool {
        self.slots.is_empty() && self.out.is_empty()
    }

    /// The next reply to seal.
    pub(super) fn take(&mut self) -> Option<Reply> {
        let (reply, is_answer) = self.out.pop_front()?;
        if is_answer {
            self.due = self.due.saturating_sub(1);
        }
        if self.watch.is_some() && self.is_drained() {
            // Who watches mostly waits: hundreds of thousands of empty queues would be most of what watches cost.
            (self.slots, self.out) = (VecDeque::new(), VecDeque::new());
        }
        Some(reply)
    }

    fn flush(&mut self) -> usize {
        let before = self.out.len();
        while let Some(Slot { state: State::Answered(_), .. }) = self.slots.front() {
            if let Some(Slot { state: State::Answered(replies), .. }) = self.slots.pop_front() {
                self.out.extend(replies.into_iter().map(|reply| (reply, true)));
            }
        }
        self.out.len() - before
    }
}

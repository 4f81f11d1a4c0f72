//! What a session asks of a feed, and what is asked of the store for it.
//!
//! A reader's confirmation (`Ack`) never reaches the store: it moves the window of the session's own watch, and ends
//! with the session.

use hearken_proto::ids::{FeedId, FeedWriterId, ObjectId, PutId};
use hearken_proto::payload::Blob;
use hearken_proto::pow::Purpose;
use hearken_proto::wire::{self, Reason, Role};

use super::base::Base;
use super::command::{FeedCreate, FeedPut, Permit, Read, Watched, Write};
use super::feed_rows::FeedKind;
use super::last_hop::{LastHop, Now, nobodys, worked};
use super::links::RouteKey;
use super::reply::{Reply, refusal};
use super::request::{array, named_blob};
use super::session::Effect;

/// A command for a feed whose fields hold.
pub(super) enum FeedAsk {
    Create { writer: FeedWriterId, kind: FeedKind, work: u64 },
    Put { put_id: PutId, blob: Blob, names_object: bool },
    Get { after: u64, max: u32 },
    Watch { after: u64 },
    Ack { cursor: u64 },
    Delete,
}

impl FeedAsk {
    pub(super) fn of_create(create: &wire::FeedCreate) -> Result<Self, Reason> {
        let kind = match create.kind() {
            wire::FeedKind::Group => FeedKind::Group,
            wire::FeedKind::Case => FeedKind::Case,
            wire::FeedKind::Unspecified => return Err(Reason::Malformed),
        };
        let writer = FeedWriterId::of(&array(&create.write_public_key)?);
        Ok(Self::Create { writer, kind, work: create.proof_of_work })
    }

    pub(super) fn of_put(put: &wire::FeedPut, blob: Option<Blob>) -> Result<Self, Reason> {
        let (put_id, blob) = named_blob(&put.put_id, blob)?;
        Ok(Self::Put { put_id, blob, names_object: put.names_object })
    }

    /// The role that must be proven.
    pub(super) fn role(&self) -> Role {
        match self {
            Self::Put { .. } => Role::FeedWrite,
            Self::Create { .. }
            | Self::Get { .. }
            | Self::Watch { .. }
            | Self::Ack { .. }
            | Self::Delete => Role::FeedRead,
        }
    }
}

impl LastHop {
    #[allow(clippy::too_many_arguments, reason = "a command with its session, proof and time")]
    pub(super) fn carry_out_feed(
        &mut self,
        base: &mut Base,
        now: Now,
        key: RouteKey,
        cells: u32,
        id: [u8; 32],
        permit: Permit,
        ask: FeedAsk,
    ) {
        let Some(session) = self.sessions.get_mut(&key) else { return };
        let (feed, today, proven) = (FeedId::from_bytes(id), now.wall.day(), permit.proven);
        match ask {
            FeedAsk::Create { writer, kind, work } => {
                let size = kind.entry_days();
                let worked = worked(base, session.epoch, Purpose::Feed, &id, size, work);
                let permit = Permit { worked, ..permit };
                let create = Write::FeedCreate(FeedCreate { feed, writer, kind, permit });
                self.write(base, key, cells, Effect::FeedCreate, create);
            }
            FeedAsk::Put { put_id, blob, names_object } => {
                let before = if proven { session.put(put_id) } else { Vec::new() };
                let effect = if proven { Effect::FeedPut(put_id) } else { Effect::None };
                let proven_object = session.id(Role::Write).unwrap_or_else(|| nobodys([9; 32]));
                let names = names_object.then_some(ObjectId::from_bytes(proven_object));
                let (writer, session) = (FeedWriterId::from_bytes(id), session.number);
                let put = FeedPut { writer, put_id, blob, names, session, before, permit };
                self.write(base, key, cells, effect, Write::FeedPut(put));
            }
            FeedAsk::Get { after, max } => {
                let get = Read::FeedGet { feed, after, max, today, proven };
                self.read(base, key, cells, Effect::None, get);
            }
            FeedAsk::Watch { after } => {
                let effect = self.watch(base, now, key, Watched::Feed(feed), after, proven);
                let read = Read::FeedWatch { feed, after, today, proven };
                self.read(base, key, cells, effect, read);
            }
            FeedAsk::Ack { cursor } => {
                let replies = match session.watch.as_mut().filter(|_| proven) {
                    Some(watch) => {
                        watch.confirm(cursor);
                        vec![Reply::done()]
                    }
                    None => refusal(Reason::NotYours, cells),
                };
                self.answer(base, now, key, replies);
                self.queue_push(key);
            }
            FeedAsk::Delete => {
                let delete = Write::FeedDelete { feed, permit };
                self.write(base, key, cells, Effect::None, delete);
            }
        }
    }
}

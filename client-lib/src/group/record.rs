//! The policy record: how a group decides, who its admins are, and which changes are open. It is an extension of the
//! GroupContext (RFC 9420, 8.1), so every member has the same one in an epoch, and every commit is bound to it.

use std::collections::{BTreeMap, BTreeSet};

use prost::Message;

use super::error::{Forbidden, Malformed};
use super::ids::{MemberId, ProposalId};

/// Type of the extension: in the range for private use (RFC 9420, 17.3).
pub(crate) const RECORD_EXTENSION: u16 = 0xF4E1;
/// Members of a group.
pub(crate) const MEMBERS_MAX: usize = 256;
/// Changes that are open at once.
pub(crate) const PROPOSALS_MAX: usize = 64;
/// Bytes of a group's name or a pseudonym.
pub(crate) const NAME_LEN_MAX: usize = 128;
/// The version of what is encoded.
const VERSION: u32 = 1;

/// How a group decides on adding, removing, promoting and demoting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Policy {
    /// Any admin alone.
    Admin,
    /// So many admins together, or all of them where there are fewer.
    Quorum(u32),
}

impl Policy {
    /// How many of so many admins must agree.
    #[must_use]
    pub(crate) fn needed(self, admins: usize) -> u32 {
        let all = u32::try_from(admins).unwrap_or(u32::MAX);
        match self {
            Self::Admin => 1,
            Self::Quorum(of) => of.min(all).max(1),
        }
    }
}

/// What is proposed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Change {
    /// Somebody whom the proposer will ask, and who is in no group without their own yes.
    Add,
    /// A member goes.
    Remove(MemberId),
    /// A member becomes an admin.
    Promote(MemberId),
    /// An admin is none any more.
    Demote(MemberId),
}

/// A change that waits for approvals or, of an addition, to be carried out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Open {
    pub(crate) change: Change,
    pub(crate) proposer: MemberId,
    /// Approvals that it takes, fixed when it was proposed.
    pub(crate) needed: u32,
    pub(crate) approved: BTreeSet<MemberId>,
    pub(crate) rejected: BTreeSet<MemberId>,
    /// The epoch in which it was proposed: older ones come first.
    pub(crate) since: u64,
}

impl Open {
    /// Whether enough have approved. Of an addition this leaves it to its proposer.
    pub(crate) fn is_approved(&self) -> bool {
        self.approved.len() >= self.needed as usize
    }
}

/// What every member of an epoch agrees on beside the tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Record {
    pub(crate) name: String,
    pub(crate) policy: Policy,
    pub(crate) admins: BTreeSet<MemberId>,
    pub(crate) open: BTreeMap<ProposalId, Open>,
}

impl Record {
    /// That of a new group.
    pub(crate) fn new(name: &str, policy: Policy, creator: MemberId) -> Result<Self, Forbidden> {
        let name = checked_name(name)?;
        Ok(Self { name, policy, admins: BTreeSet::from([creator]), open: BTreeMap::new() })
    }

    /// Takes everything out that speaks of a member who is gone.
    pub(crate) fn forget(&mut self, gone: MemberId) {
        self.admins.remove(&gone);
        self.open.retain(|_, open| {
            open.approved.remove(&gone);
            open.rejected.remove(&gone);
            let about = match open.change {
                Change::Add => open.proposer,
                Change::Remove(who) | Change::Promote(who) | Change::Demote(who) => who,
            };
            about != gone
        });
        self.settle();
    }

    /// Takes changes out that cannot come about any more: too many admins are against them.
    pub(crate) fn settle(&mut self) {
        let admins = &self.admins;
        self.open.retain(|_, open| {
            let for_it = open.approved.len();
            let may_yet = admins
                .iter()
                .filter(|admin| !open.approved.contains(admin) && !open.rejected.contains(admin))
                .count();
            for_it + may_yet >= open.needed as usize
        });
    }

    /// The bytes that stand in the GroupContext. Equal records have equal bytes.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let Self { name, policy, admins, open } = self;
        let ids = |ids: &BTreeSet<MemberId>| ids.iter().map(|id| id.as_bytes().to_vec()).collect();
        let encoded = EncodedRecord {
            version: VERSION,
            name: name.clone(),
            quorum: match policy {
                Policy::Admin => 0,
                Policy::Quorum(of) => *of,
            },
            admins: ids(admins),
            open: open
                .iter()
                .map(|(id, open)| EncodedOpen {
                    id: id.as_bytes().to_vec(),
                    change: Some(EncodedChange::of(open.change)),
                    proposer: open.proposer.as_bytes().to_vec(),
                    needed: open.needed,
                    approved: ids(&open.approved),
                    rejected: ids(&open.rejected),
                    since: open.since,
                })
                .collect(),
        };
        encoded.encode_to_vec()
    }

    /// Reads a record. Only bytes that [`Record::encode`] makes are taken, so that no two members read one differently.
    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, Malformed> {
        let encoded = EncodedRecord::decode(bytes).map_err(|_| Malformed)?;
        let EncodedRecord { version, name, quorum, admins, open } = encoded;
        if version != VERSION || open.len() > PROPOSALS_MAX || admins.len() > MEMBERS_MAX {
            return Err(Malformed);
        }
        let record = Self {
            name: checked_name(&name).map_err(|_| Malformed)?,
            policy: if quorum == 0 { Policy::Admin } else { Policy::Quorum(quorum) },
            admins: read_ids(&admins)?,
            open: open.into_iter().map(EncodedOpen::read).collect::<Result<_, _>>()?,
        };
        if record.encode() == bytes { Ok(record) } else { Err(Malformed) }
    }
}

/// A name of a group or a pseudonym: one line, not empty, at most 128 bytes.
pub(crate) fn checked_name(name: &str) -> Result<String, Forbidden> {
    let is_one = !name.trim().is_empty()
        && name.len() <= NAME_LEN_MAX
        && !name.chars().any(char::is_control);
    is_one.then(|| name.to_owned()).ok_or(Forbidden::BadName)
}

fn read_ids(ids: &[Vec<u8>]) -> Result<BTreeSet<MemberId>, Malformed> {
    ids.iter().map(|id| Ok(id.as_slice().try_into()?)).collect()
}

#[derive(Clone, PartialEq, Message)]
struct EncodedRecord {
    #[prost(uint32, tag = "1")]
    version: u32,
    #[prost(string, tag = "2")]
    name: String,
    /// Zero: any admin alone.
    #[prost(uint32, tag = "3")]
    quorum: u32,
    #[prost(bytes = "vec", repeated, tag = "4")]
    admins: Vec<Vec<u8>>,
    #[prost(message, repeated, tag = "5")]
    open: Vec<EncodedOpen>,
}

#[derive(Clone, PartialEq, Message)]
struct EncodedOpen {
    #[prost(bytes = "vec", tag = "1")]
    id: Vec<u8>,
    #[prost(message, optional, tag = "2")]
    change: Option<EncodedChange>,
    #[prost(bytes = "vec", tag = "3")]
    proposer: Vec<u8>,
    #[prost(uint32, tag = "4")]
    needed: u32,
    #[prost(bytes = "vec", repeated, tag = "5")]
    approved: Vec<Vec<u8>>,
    #[prost(bytes = "vec", repeated, tag = "6")]
    rejected: Vec<Vec<u8>>,
    #[prost(uint64, tag = "7")]
    since: u64,
}

impl EncodedOpen {
    fn read(self) -> Result<(ProposalId, Open), Malformed> {
        let open = Open {
            change: self.change.ok_or(Malformed)?.read()?,
            proposer: self.proposer.as_slice().try_into()?,
            needed: self.needed,
            approved: read_ids(&self.approved)?,
            rejected: read_ids(&self.rejected)?,
            since: self.since,
        };
        Ok((self.id.as_slice().try_into()?, open))
    }
}

/// A change as it is written down, in the record and in commits.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct EncodedChange {
    /// 1 add, 2 remove, 3 promote, 4 demote.
    #[prost(uint32, tag = "1")]
    kind: u32,
    /// Whom it is about; empty of an addition.
    #[prost(bytes = "vec", tag = "2")]
    member: Vec<u8>,
}

impl EncodedChange {
    pub(crate) fn of(change: Change) -> Self {
        let (kind, member) = match change {
            Change::Add => (1, Vec::new()),
            Change::Remove(who) => (2, who.as_bytes().to_vec()),
            Change::Promote(who) => (3, who.as_bytes().to_vec()),
            Change::Demote(who) => (4, who.as_bytes().to_vec()),
        };
        Self { kind, member }
    }

    pub(crate) fn read(&self) -> Result<Change, Malformed> {
        let member = || MemberId::try_from(self.member.as_slice()).map_err(Malformed::from);
        match self.kind {
            1 if self.member.is_empty() => Ok(Change::Add),
            2 => member().map(Change::Remove),
            3 => member().map(Change::Promote),
            4 => member().map(Change::Demote),
            _ => Err(Malformed),
        }
    }
}

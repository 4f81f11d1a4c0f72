//! A command as a session may act on it: the schema's rules hold, and it is known how many cells answer it.
//!
//! A command that breaks a rule is still answered by as many cells as it asked for, where that number is allowed.

use hearken_proto::auth::MAC_LEN;
use hearken_proto::ids::{FeedId, FeedWriterId, ObjectId, PutId, RecvId, SendId};
use hearken_proto::limits::{GET_MAX, OBJECT_CHUNKS_MAX, OBJECT_TTL_HOURS_MAX};
use hearken_proto::payload::Blob;
use hearken_proto::wire::command::Command as Wire;
use hearken_proto::wire::{self, Reason, Role, object_put};

use super::command::Declaration;
use super::feed_asks::FeedAsk;

/// What a client asks for.
pub(super) struct Request {
    /// Cells of the answer, 1 to 16.
    pub(super) cells: u32,
    /// The proof that came with it.
    pub(super) proof: Option<Proof>,
    /// What it asks, or why it is refused before anything is looked up.
    pub(super) ask: Result<Ask, Reason>,
}

/// A proof as it came.
pub(super) struct Proof {
    pub(super) role: Role,
    pub(super) public_key: [u8; 32],
    pub(super) mac: [u8; MAC_LEN],
}

/// A command whose fields hold.
pub(super) enum Ask {
    Create { claim: Option<[u8; 32]>, sender: Option<[u8; 32]>, work: u64 },
    Claim { sender: SendId },
    Put { put_id: PutId, blob: Blob },
    Get { after: u64, max: u32 },
    Watch { after: u64 },
    Ack { cursor: u64 },
    DeleteMailbox,
    DeleteObject,
    Declare { declaration: Declaration, work: u64 },
    Chunk { index: u32, blob: Blob },
    ObjectGet { object: ObjectId, first: u32, max: u32 },
    Feed(FeedAsk),
    Ping,
}

impl Ask {
    /// The role that must be proven.
    pub(super) fn role(&self) -> Option<Role> {
        match self {
            Self::Create { .. }
            | Self::Get { .. }
            | Self::Watch { .. }
            | Self::Ack { .. }
            | Self::DeleteMailbox => Some(Role::Receive),
            Self::Claim { .. } => Some(Role::Claim),
            Self::Put { .. } => Some(Role::Send),
            Self::DeleteObject | Self::Declare { .. } | Self::Chunk { .. } => Some(Role::Write),
            Self::Feed(ask) => Some(ask.role()),
            Self::ObjectGet { .. } | Self::Ping => None,
        }
    }
}

impl Request {
    /// Reads a command and the blob beside it.
    pub(super) fn of(command: wire::Command, blob: Option<Blob>) -> Self {
        let cells = match &command.command {
            Some(Wire::Get(get)) => get.max,
            Some(Wire::ObjectGet(get)) => get.max,
            Some(Wire::FeedGet(get)) => get.max,
            _ => 1,
        };
        let cells_hold = (1..=GET_MAX).contains(&cells);
        let proof = command.auth.map(Proof::of).transpose();
        let ask = match command.command {
            Some(_) if !cells_hold => Err(Reason::Malformed),
            Some(command) => ask(command, blob),
            None => Err(Reason::Unsupported),
        };
        let ask = match (&proof, ask) {
            (Err(reason), _) => Err(*reason),
            // A proof that the command does not need would tie two keys in one session.
            (Ok(Some(proof)), Ok(ask)) if ask.role() != Some(proof.role) => Err(Reason::Malformed),
            (_, ask) => ask,
        };
        Self { cells: if cells_hold { cells } else { 1 }, proof: proof.ok().flatten(), ask }
    }
}

impl Proof {
    fn of(auth: wire::Auth) -> Result<Self, Reason> {
        let role = auth.role();
        match (array(&auth.public_key), array(&auth.mac)) {
            // No command needs a proof of an unknown role, so that one is refused with its command.
            (Ok(public_key), Ok(mac)) => Ok(Self { role, public_key, mac }),
            _ => Err(Reason::Malformed),
        }
    }
}

fn ask(command: Wire, blob: Option<Blob>) -> Result<Ask, Reason> {
    Ok(match command {
        Wire::Create(create) => {
            let claim = optional_array(&create.claim_public_key)?;
            let sender = optional_array(&create.sender_public_key)?;
            if claim.is_some() == sender.is_some() {
                return Err(Reason::Malformed);
            }
            Ask::Create { claim, sender, work: create.proof_of_work }
        }
        Wire::Claim(claim) => Ask::Claim { sender: SendId::of(&array(&claim.sender_public_key)?) },
        Wire::Put(put) => {
            let (put_id, blob) = named_blob(&put.put_id, blob)?;
            Ask::Put { put_id, blob }
        }
        Wire::Get(get) => Ask::Get { after: get.after, max: get.max },
        Wire::Watch(watch) if watch.feed => Ask::Feed(FeedAsk::Watch { after: watch.after }),
        Wire::Watch(watch) => Ask::Watch { after: watch.after },
        Wire::Ack(ack) if ack.feed => Ask::Feed(FeedAsk::Ack { cursor: ack.cursor }),
        Wire::Ack(ack) => Ask::Ack { cursor: ack.cursor },
        Wire::Delete(delete) => match delete.role() {
            Role::Receive => Ask::DeleteMailbox,
            Role::Write => Ask::DeleteObject,
            _ => return Err(Reason::Malformed),
        },
        Wire::ObjectPut(put) => match put.step.ok_or(Reason::Unsupported)? {
            object_put::Step::Declaration(step) => {
                let chunks_hold = (1..=OBJECT_CHUNKS_MAX).contains(&step.chunks);
                let ttl_holds = (1..=OBJECT_TTL_HOURS_MAX).contains(&step.ttl_hours);
                if !chunks_hold || !ttl_holds {
                    return Err(Reason::Malformed);
                }
                let root = array(&step.root)?;
                let (chunks, ttl_hours) = (step.chunks, step.ttl_hours);
                let declaration = Declaration { chunks, root, ttl_hours };
                Ask::Declare { declaration, work: step.proof_of_work }
            }
            object_put::Step::Chunk(chunk) => {
                Ask::Chunk { index: chunk.index, blob: blob.ok_or(Reason::Malformed)? }
            }
        },
        Wire::ObjectGet(get) => {
            let object = ObjectId::from_bytes(array(&get.object_id)?);
            Ask::ObjectGet { object, first: get.first, max: get.max }
        }
        Wire::FeedCreate(create) => Ask::Feed(FeedAsk::of_create(&create)?),
        Wire::FeedPut(put) => Ask::Feed(FeedAsk::of_put(&put, blob)?),
        Wire::FeedGet(get) => Ask::Feed(FeedAsk::Get { after: get.after, max: get.max }),
        Wire::FeedDelete(_) => Ask::Feed(FeedAsk::Delete),
        Wire::Ping(_) => Ask::Ping,
    })
}

/// A blob under the id by which it is put, which must be its own.
pub(super) fn named_blob(put_id: &[u8], blob: Option<Blob>) -> Result<(PutId, Blob), Reason> {
    let blob = blob.ok_or(Reason::Malformed)?;
    let put_id = PutId::from_bytes(array(put_id)?);
    if blob.put_id() == put_id { Ok((put_id, blob)) } else { Err(Reason::Malformed) }
}

pub(super) fn array(bytes: &[u8]) -> Result<[u8; 32], Reason> {
    bytes.try_into().map_err(|_| Reason::Malformed)
}

fn optional_array(bytes: &[u8]) -> Result<Option<[u8; 32]>, Reason> {
    if bytes.is_empty() { Ok(None) } else { array(bytes).map(Some) }
}

/// The id of a key in its role, 32 bytes; of `Role::Unspecified` none.
pub(super) fn id_of(role: Role, public_key: &[u8; 32]) -> [u8; 32] {
    use hearken_proto::ids::ClaimId;
    match role {
        Role::Send => *SendId::of(public_key).as_bytes(),
        Role::Claim => *ClaimId::of(public_key).as_bytes(),
        Role::Write => *ObjectId::of(public_key).as_bytes(),
        Role::FeedRead => *FeedId::of(public_key).as_bytes(),
        Role::FeedWrite => *FeedWriterId::of(public_key).as_bytes(),
        Role::Receive | Role::Unspecified => *RecvId::of(public_key).as_bytes(),
    }
}

#[cfg(test)]
mod tests {
    use hearken_proto::limits::BLOB_LEN;

    use super::*;

    fn of(command: Wire, auth: Option<wire::Auth>, blob: Option<Blob>) -> Request {
        Request::of(wire::Command { auth, command: Some(command) }, blob)
    }

    fn auth(role: Role) -> wire::Auth {
        wire::Auth { role: role.into(), public_key: vec![1; 32], mac: vec![2; 32] }
    }

    #[test]
    fn a_get_is_answered_by_as_many_cells_as_it_asks_for_and_never_by_more_than_sixteen() {
        for (max, cells, holds) in [(0, 1, false), (1, 1, true), (16, 16, true), (17, 1, false)] {
            let request = of(Wire::Get(wire::Get { after: 0, max }), None, None);
            assert_eq!((request.cells, request.ask.is_ok()), (cells, holds), "{max}");
        }
    }

    #[test]
    fn a_put_names_its_blob_by_the_hash() {
        let blob = Blob::new(Box::new([7; BLOB_LEN]));
        let put = |put_id: Vec<u8>| of(Wire::Put(wire::Put { put_id }), None, Some(blob.clone()));
        assert!(put(blob.put_id().as_bytes().to_vec()).ask.is_ok());
        assert!(matches!(put(vec![7; 32]).ask, Err(Reason::Malformed)));
        assert!(matches!(put(vec![7; 31]).ask, Err(Reason::Malformed)));
    }

    #[test]
    fn a_proof_that_the_command_does_not_need_is_refused() {
        let watch = || Wire::Watch(wire::Watch { after: 0, feed: false });
        assert!(of(watch(), Some(auth(Role::Receive)), None).ask.is_ok());
        for role in [Role::Send, Role::Claim, Role::Write, Role::Unspecified] {
            assert!(matches!(of(watch(), Some(auth(role)), None).ask, Err(Reason::Malformed)));
        }
        let ping = of(Wire::Ping(wire::Ping {}), Some(auth(Role::Receive)), None);
        assert!(matches!(ping.ask, Err(Reason::Malformed)));
        let short = wire::Auth { mac: vec![2; 31], ..auth(Role::Receive) };
        assert!(matches!(of(watch(), Some(short), None).ask, Err(Reason::Malformed)));
    }

    #[test]
    fn an_object_declares_one_to_8192_chunks_and_one_to_504_hours() {
        let holds = |chunks, ttl_hours| {
            let root = vec![0; 32];
            let step = wire::ObjectDeclaration { chunks, root, ttl_hours, proof_of_work: 0 };
            let step = Some(object_put::Step::Declaration(step));
            of(Wire::ObjectPut(wire::ObjectPut { step }), None, None).ask.is_ok()
        };
        assert!(holds(1, 1) && holds(8_192, 504));
        assert!(!holds(0, 1) && !holds(8_193, 1) && !holds(1, 0) && !holds(1, 505));
    }

    #[test]
    fn a_create_names_either_a_claim_key_or_a_sender() {
        let holds = |claim: usize, sender: usize| {
            let create = wire::Create {
                claim_public_key: vec![1; claim],
                sender_public_key: vec![2; sender],
                proof_of_work: 0,
            };
            of(Wire::Create(create), None, None).ask.is_ok()
        };
        assert!(holds(32, 0) && holds(0, 32));
        assert!(!holds(0, 0) && !holds(32, 32) && !holds(31, 0) && !holds(0, 33));
    }

    #[test]
    fn a_command_of_a_later_version_is_unsupported() {
        let request = Request::of(wire::Command::default(), None);
        assert!(matches!(request.ask, Err(Reason::Unsupported)));
        assert_eq!(request.cells, 1);
    }
}

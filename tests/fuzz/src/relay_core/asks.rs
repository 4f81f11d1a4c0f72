//! Commands as choices: mostly what an honest client says, at times with a wrong proof, a field out of range, or as the
//! owner of something else.

use hearken_proto::auth::ObjectSecretKey;
use hearken_proto::ids::{ClaimId, FeedId, ObjectId, RecvId};
use hearken_proto::limits::{BLOB_LEN, FEED_CASE_ENTRY_DAYS, FEED_GROUP_ENTRY_DAYS, SEALED_LEN};
use hearken_proto::object::{Root, chunk_hash};
use hearken_proto::payload::{Blob, Payload};
use hearken_proto::pow::{Challenge, Purpose, Search};
use hearken_proto::wire::command::Command as Ask;
use hearken_proto::wire::{self, Command, FeedKind, Role, object_put};

use super::session::Session;
use crate::Choices;

const MAILBOXES: usize = 3;
const FEEDS: usize = 2;

/// The keys of a few mailboxes, feeds and objects.
pub(super) struct Keys {
    receive: Vec<ObjectSecretKey>,
    claim: Vec<ObjectSecretKey>,
    send: Vec<ObjectSecretKey>,
    write: Vec<ObjectSecretKey>,
    feed_read: Vec<ObjectSecretKey>,
    feed_write: Vec<ObjectSecretKey>,
}

/// A command, and whether the relay has no reason to close its session for it.
pub(super) struct Asked {
    pub(super) command: Command,
    pub(super) blob: Option<Blob>,
    pub(super) is_sound: bool,
}

pub(super) fn ping() -> Command {
    Command { auth: None, command: Some(Ask::Ping(wire::Ping {})) }
}

/// A payload of which the choices are the first bytes.
pub(super) fn any_payload(choices: &mut Choices<'_>) -> Payload {
    let mut bytes = Box::new([0; SEALED_LEN]);
    let content = choices.bytes(64);
    bytes[..content.len()].copy_from_slice(content);
    if choices.one_in(2) {
        // A length that holds, so that the protobuf is looked at.
        bytes.copy_within(0..64, 2);
        bytes[..2].copy_from_slice(&u16::try_from(content.len()).unwrap_or(0).to_be_bytes());
    }
    Payload::from_bytes(bytes)
}

fn blob(number: u8) -> Blob {
    Blob::new(Box::new([number; BLOB_LEN]))
}

impl Keys {
    pub(super) fn new() -> Self {
        let keys = |role: u8| -> Vec<ObjectSecretKey> {
            (0..4).map(|at| ObjectSecretKey::from_bytes(&[role * 16 + at + 1; 32])).collect()
        };
        Self {
            receive: keys(1),
            claim: keys(2),
            send: keys(3),
            write: keys(4),
            feed_read: keys(5),
            feed_write: keys(6),
        }
    }

    fn of(&self, role: Role) -> &[ObjectSecretKey] {
        match role {
            Role::Send => &self.send,
            Role::Claim => &self.claim,
            Role::Write => &self.write,
            Role::FeedRead => &self.feed_read,
            Role::FeedWrite => &self.feed_write,
            Role::Receive | Role::Unspecified => &self.receive,
        }
    }

    /// The next command of a session.
    pub(super) fn command(&self, choices: &mut Choices<'_>, session: &Session) -> Asked {
        let mailbox = choices.below(MAILBOXES);
        let (role, ask, blob) = self.ask(choices, mailbox, session);
        // Sessions are tied to one key by their first proof; here any session may say anything.
        let proof = match choices.byte() {
            0..=199 => role,
            200..=239 => None,
            _ => Some([Role::Receive, Role::Send, Role::Claim, Role::Write][choices.below(4)]),
        };
        self.asked(choices, session, proof, mailbox, ask, blob)
    }

    /// The next command of a session, to a feed.
    pub(super) fn feed_command(&self, choices: &mut Choices<'_>, session: &Session) -> Asked {
        const ROLES: [Role; 4] = [Role::FeedRead, Role::FeedWrite, Role::Write, Role::Receive];
        let feed = choices.below(FEEDS);
        let (role, ask, blob) = self.feed_ask(choices, feed, session);
        let proof = match choices.byte() {
            0..=199 => Some(role),
            200..=239 => None,
            _ => Some(ROLES[choices.below(4)]),
        };
        self.asked(choices, session, proof, feed, ask, blob)
    }

    fn asked(
        &self,
        choices: &mut Choices<'_>,
        session: &Session,
        proof: Option<Role>,
        of: usize,
        ask: Ask,
        blob: Option<Blob>,
    ) -> Asked {
        let mut auth = proof.and_then(|role| session.auth(role, &self.of(role)[of]));
        if let Some(auth) = &mut auth
            && choices.byte() > 240
        {
            auth.mac[0] ^= 1;
        }
        // Sound for the session is what can never be a second object in it.
        let is_sound = auth.is_none();
        Asked { command: Command { auth, command: Some(ask) }, blob, is_sound }
    }

    fn ask(
        &self,
        choices: &mut Choices<'_>,
        mailbox: usize,
        session: &Session,
    ) -> (Option<Role>, Ask, Option<Blob>) {
        let receive = Some(Role::Receive);
        match choices.below(14) {
            0 | 1 => (receive, self.create(choices, mailbox, session), None),
            2 | 3 => {
                let sender = if choices.one_in(6) { 3 } else { mailbox };
                let sender_public_key = self.send[sender].public_key().to_vec();
                (Some(Role::Claim), Ask::Claim(wire::Claim { sender_public_key }), None)
            }
            4..=6 => {
                let blob = blob(choices.byte());
                let named = if choices.one_in(10) { [9; 32] } else { *blob.put_id().as_bytes() };
                (Some(Role::Send), Ask::Put(wire::Put { put_id: named.to_vec() }), Some(blob))
            }
            7 => {
                let max = u32::from(choices.byte() % 18);
                (receive, Ask::Get(wire::Get { after: choices.number(), max }), None)
            }
            8 => (receive, Ask::Watch(wire::Watch { after: choices.number(), feed: false }), None),
            9 => (receive, Ask::Ack(wire::Ack { cursor: choices.number(), feed: false }), None),
            10 => {
                let role = [Role::Receive, Role::Write, Role::Send][choices.below(3)];
                (Some(role), Ask::Delete(wire::Delete { role: role.into() }), None)
            }
            11 => self.declare(choices, mailbox, session),
            12 => {
                let index = u32::from(choices.byte() % 4);
                let step = Some(object_put::Step::Chunk(wire::ObjectChunk { index }));
                let blob = blob(u8::try_from(index).unwrap_or(0));
                (Some(Role::Write), Ask::ObjectPut(wire::ObjectPut { step }), Some(blob))
            }
            _ => {
                let id = ObjectId::of(&self.write[mailbox].public_key());
                let (first, max) = (u32::from(choices.byte() % 8), u32::from(choices.byte() % 18));
                let object_id = id.as_bytes().to_vec();
                (None, Ask::ObjectGet(wire::ObjectGet { object_id, first, max }), None)
            }
        }
    }

    fn feed_ask(
        &self,
        choices: &mut Choices<'_>,
        feed: usize,
        session: &Session,
    ) -> (Role, Ask, Option<Blob>) {
        let put = |choices: &mut Choices<'_>, names_object| {
            let blob = blob(choices.byte());
            let put_id = blob.put_id().as_bytes().to_vec();
            (Role::FeedWrite, Ask::FeedPut(wire::FeedPut { put_id, names_object }), Some(blob))
        };
        let position = |choices: &mut Choices<'_>| match choices.below(3) {
            0 => 0,
            1 => session.newest(),
            _ => choices.number(),
        };
        match choices.below(9) {
            0 => (Role::FeedRead, self.feed_create(choices, feed, session), None),
            1 | 2 => put(choices, false),
            3 => put(choices, true),
            4 => {
                let (after, max) = (position(choices), u32::from(choices.byte() % 18));
                (Role::FeedRead, Ask::FeedGet(wire::FeedGet { after, max }), None)
            }
            5 | 6 => {
                let watch = wire::Watch { after: position(choices), feed: true };
                (Role::FeedRead, Ask::Watch(watch), None)
            }
            7 => {
                let ack = wire::Ack { cursor: position(choices), feed: true };
                (Role::FeedRead, Ask::Ack(ack), None)
            }
            _ => (Role::FeedRead, Ask::FeedDelete(wire::FeedDelete {}), None),
        }
    }

    fn feed_create(&self, choices: &mut Choices<'_>, feed: usize, session: &Session) -> Ask {
        let id = *FeedId::of(&self.feed_read[feed].public_key()).as_bytes();
        let (kind, size) = match choices.below(4) {
            0 => (FeedKind::Case, FEED_CASE_ENTRY_DAYS),
            _ => (FeedKind::Group, FEED_GROUP_ENTRY_DAYS),
        };
        Ask::FeedCreate(wire::FeedCreate {
            write_public_key: self.feed_write[feed].public_key().to_vec(),
            kind: kind.into(),
            proof_of_work: work(session, Purpose::Feed, &id, size),
        })
    }

    fn create(&self, choices: &mut Choices<'_>, mailbox: usize, session: &Session) -> Ask {
        let id = *RecvId::of(&self.receive[mailbox].public_key()).as_bytes();
        let proof_of_work = work(session, Purpose::Mailbox, &id, 0);
        let is_claimed = choices.one_in(5);
        let claim = self.claim[mailbox].public_key();
        let _ = ClaimId::of(&claim);
        Ask::Create(wire::Create {
            claim_public_key: if is_claimed { Vec::new() } else { claim.to_vec() },
            sender_public_key: if is_claimed {
                self.send[mailbox].public_key().to_vec()
            } else {
                Vec::new()
            },
            proof_of_work,
        })
    }

    fn declare(
        &self,
        choices: &mut Choices<'_>,
        object: usize,
        session: &Session,
    ) -> (Option<Role>, Ask, Option<Blob>) {
        let id = *ObjectId::of(&self.write[object].public_key()).as_bytes();
        let chunks = if choices.one_in(8) { choices.byte().into() } else { 3 };
        let mut root = Root::new();
        (0..3).for_each(|index| root.push(&chunk_hash(&blob(index))));
        let declaration = wire::ObjectDeclaration {
            chunks,
            root: root.finish().to_vec(),
            ttl_hours: if choices.one_in(8) { 505 } else { u32::from(choices.byte()) },
            proof_of_work: work(session, Purpose::Object, &id, chunks),
        };
        let step = Some(object_put::Step::Declaration(declaration));
        (Some(Role::Write), Ask::ObjectPut(wire::ObjectPut { step }), None)
    }
}

fn work(session: &Session, purpose: Purpose, object_id: &[u8; 32], size: u32) -> u64 {
    let bits = session.info.info().proof_of_work_bits;
    let challenge = Challenge { purpose, context: session.info.context(), object_id, size };
    Search::new(&challenge, bits, 0).and_then(|mut search| search.advance()).unwrap_or(0)
}

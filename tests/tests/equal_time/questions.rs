//! What is asked, of whom, and what is in the store when it is.

use std::collections::HashMap;
use std::time::Duration;

use hearken_proto::auth::ObjectSecretKey;
use hearken_proto::cell::Cell;
use hearken_proto::ids::{ClaimId, FeedId, FeedWriterId, ObjectId, RecvId, SendId};
use hearken_proto::info::VerifiedInfo;
use hearken_proto::limits::{BLOB_LEN, FEED_IDLE_DAYS};
use hearken_proto::object::{Root, chunk_hash};
use hearken_proto::payload::{Blob, Payload};
use hearken_proto::seal::{PendingRoute, RouteSeal};
use hearken_proto::wire::command::Command as Ask;
use hearken_proto::wire::reply::Reply;
use hearken_proto::wire::{
    Ack, Auth, Claim, Command, Create, Delete, FeedCreate, FeedGet, FeedKind, FeedPut, Get,
    ObjectChunk, ObjectDeclaration, ObjectGet, ObjectPut, Put, Reason, Role, Watch, object_put,
};
use hearken_relay::core::LinkId;
use rand_chacha::ChaCha20Rng;
use rand_core::{Rng, SeedableRng};

use super::relay::Relay;

/// Mailboxes and objects of each kind.
const EACH: usize = 64;
const DAY: Duration = Duration::from_secs(24 * 3_600);
const ROUTE: u64 = 1;
/// How often a question is asked again in its session.
const AGAIN: usize = 16;

/// Rows that are read beside one that is slow: about a microsecond.
const MORE_ROWS: usize = 4;

/// Whose rows are slow to read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Slow {
    /// Nobody's.
    Nothing,
    /// Those of what has expired.
    Expired,
    /// Those of what is there.
    #[cfg_attr(not(hearken_planted), allow(dead_code, reason = "see `planted.rs`"))]
    There,
}

/// A command that may be refused as not one's own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Question {
    Get,
    Watch,
    Ack,
    Delete,
    Put,
    Claim,
    ObjectChunk,
    ObjectDelete,
    ObjectGet,
    FeedGet,
    FeedWatch,
    FeedPut,
}

/// All of them.
pub(crate) const QUESTIONS: [Question; 12] = [
    Question::Get,
    Question::Watch,
    Question::Ack,
    Question::Delete,
    Question::Put,
    Question::Claim,
    Question::ObjectChunk,
    Question::ObjectDelete,
    Question::ObjectGet,
    Question::FeedGet,
    Question::FeedWatch,
    Question::FeedPut,
];

/// Why it is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// The key is proven, and nothing has its id.
    Missing,
    /// The key is proven, and what had its id has gone.
    Expired,
    /// The key is known and not proven; what has its id is there.
    WrongKey,
    /// The key is known and not proven, and nothing has its id.
    WrongKeyMissing,
    /// An object of which not every chunk has come.
    Unfinished,
}

impl Kind {
    /// Whether the key that it takes is proven.
    pub(crate) fn is_proven(self) -> bool {
        !matches!(self, Self::WrongKey | Self::WrongKeyMissing)
    }
}

impl Question {
    pub(crate) fn kinds(self) -> &'static [Kind] {
        match self {
            // Needs no key.
            Self::ObjectGet => &[Kind::Missing, Kind::Expired, Kind::Unfinished],
            _ => &[Kind::Missing, Kind::Expired, Kind::WrongKey, Kind::WrongKeyMissing],
        }
    }

    fn role(self) -> Option<Role> {
        match self {
            Self::Get | Self::Watch | Self::Ack | Self::Delete => Some(Role::Receive),
            Self::Put => Some(Role::Send),
            Self::Claim => Some(Role::Claim),
            Self::ObjectChunk | Self::ObjectDelete => Some(Role::Write),
            Self::FeedGet | Self::FeedWatch => Some(Role::FeedRead),
            Self::FeedPut => Some(Role::FeedWrite),
            Self::ObjectGet => None,
        }
    }
}

/// The keys of a mailbox, of an object and of a feed.
struct Keys([ObjectSecretKey; 6]);

impl Keys {
    fn generate(rng: &mut ChaCha20Rng) -> Self {
        Self(std::array::from_fn(|_| ObjectSecretKey::generate(rng)))
    }

    fn of(&self, role: Role) -> &ObjectSecretKey {
        &self.0[match role {
            Role::Receive => 0,
            Role::Send => 1,
            Role::Claim => 2,
            Role::FeedRead => 4,
            Role::FeedWrite => 5,
            _ => 3,
        }]
    }

    fn id(&self, role: Role) -> [u8; 32] {
        let key = self.of(role).public_key();
        match role {
            Role::Receive => *RecvId::of(&key).as_bytes(),
            Role::Send => *SendId::of(&key).as_bytes(),
            Role::Claim => *ClaimId::of(&key).as_bytes(),
            Role::FeedRead => *FeedId::of(&key).as_bytes(),
            Role::FeedWrite => *FeedWriterId::of(&key).as_bytes(),
            _ => *ObjectId::of(&key).as_bytes(),
        }
    }
}

/// A relay with mailboxes, objects and feeds that are there, and others that have gone.
pub(crate) struct World {
    relay: Relay,
    info: VerifiedInfo,
    rng: ChaCha20Rng,
    there: Vec<Keys>,
    expired: Vec<Keys>,
    unfinished: Vec<Keys>,
    blob: Blob,
    _folder: tempfile::TempDir,
}

impl World {
    /// A world in which each row of what `slow` says costs the reads of [`MORE_ROWS`] others.
    pub(crate) fn new(slow: Slow) -> Self {
        let mut rng = ChaCha20Rng::seed_from_u64(11);
        let mut keys = || -> Vec<Keys> { (0..EACH).map(|_| Keys::generate(&mut rng)).collect() };
        let (there, expired, unfinished) = (keys(), keys(), keys());
        let slow = match slow {
            Slow::Nothing => &[],
            Slow::Expired => &expired[..],
            Slow::There => &there[..],
        };
        let mut also = HashMap::new();
        for (at, keys) in slow.iter().enumerate() {
            let others = (1..=MORE_ROWS).map(|more| &there[(at + more) % EACH]);
            let rows = [
                (b'm', Role::Receive),
                (b's', Role::Send),
                (b'c', Role::Claim),
                (b'o', Role::Write),
                (b'f', Role::FeedRead),
                (b'w', Role::FeedWrite),
            ];
            for (letter, role) in rows {
                let row = |keys: &Keys| [&[letter][..], &keys.id(role)].concat();
                also.insert(row(keys), others.clone().map(row).collect());
            }
        }
        let folder = tempfile::tempdir().unwrap();
        let mut relay = Relay::new(&folder.path().join("store"), also);
        let blob = Blob::new(Box::new([5; BLOB_LEN]));
        let info = relay.info();
        let mut world =
            Self { relay, info, rng, there, expired, unfinished, blob, _folder: folder };
        world.fill();
        world
    }

    /// Mailboxes that go for want of a reader and feeds for want of an entry, then others that are there; objects
    /// likewise.
    fn fill(&mut self) {
        for at in 0..EACH {
            self.make_mailbox(at, Kind::Expired);
            self.make_feed(at, Kind::Expired);
        }
        // Longer than a mailbox waits for its reader.
        self.relay.doze(DAY * FEED_IDLE_DAYS);
        self.relay.pass(DAY * 3);
        self.info = self.relay.info();
        for at in 0..EACH {
            self.make_object(at, Kind::Expired, 1, 2);
        }
        self.relay.doze(Duration::from_secs(3 * 3_600));
        self.info = self.relay.info();
        for at in 0..EACH {
            self.make_mailbox(at, Kind::WrongKey);
            self.make_feed(at, Kind::WrongKey);
            self.make_object(at, Kind::WrongKey, 24, 2);
            self.make_object(at, Kind::Unfinished, 24, 1);
        }
    }

    fn keys(&self, kind: Kind, at: usize) -> Keys {
        let keys = match kind {
            Kind::Expired => &self.expired[at],
            Kind::Unfinished => &self.unfinished[at],
            _ => &self.there[at],
        };
        Keys(keys.0.each_ref().map(|key| ObjectSecretKey::from_bytes(&key.to_bytes())))
    }

    fn make_mailbox(&mut self, at: usize, kind: Kind) {
        let keys = self.keys(kind, at);
        let create = Ask::Create(Create {
            claim_public_key: keys.of(Role::Claim).public_key().to_vec(),
            sender_public_key: Vec::new(),
            proof_of_work: 0,
        });
        let sender_public_key = keys.of(Role::Send).public_key().to_vec();
        let claim = Ask::Claim(Claim { sender_public_key });
        let put = Ask::Put(Put { put_id: self.blob.put_id().as_bytes().to_vec() });
        for (role, ask, has_blob) in
            [(Role::Receive, create, false), (Role::Claim, claim, false), (Role::Send, put, true)]
        {
            let reply = self.tell(&keys, role, ask, has_blob);
            assert!(matches!(reply, Reply::Done(_)), "{reply:?}");
        }
    }

    fn make_feed(&mut self, at: usize, kind: Kind) {
        let keys = self.keys(kind, at);
        let create = Ask::FeedCreate(FeedCreate {
            write_public_key: keys.of(Role::FeedWrite).public_key().to_vec(),
            kind: FeedKind::Group.into(),
            proof_of_work: 0,
        });
        let put = self.ask(Question::FeedPut, &keys);
        for (role, ask, has_blob) in [(Role::FeedRead, create, false), (Role::FeedWrite, put, true)]
        {
            let reply = self.tell(&keys, role, ask, has_blob);
            assert!(matches!(reply, Reply::Done(_)), "{reply:?}");
        }
    }

    /// An object of two chunks, of which `come` come.
    fn make_object(&mut self, at: usize, kind: Kind, ttl_hours: u32, come: u32) {
        let keys = self.keys(kind, at);
        let mut root = Root::new();
        (0..2).for_each(|_| root.push(&chunk_hash(&self.blob)));
        let root = root.finish().to_vec();
        let step = ObjectDeclaration { chunks: 2, root, ttl_hours, proof_of_work: 0 };
        let step = Some(object_put::Step::Declaration(step));
        let declare = Ask::ObjectPut(ObjectPut { step });
        let mut reply = self.tell(&keys, Role::Write, declare, false);
        for index in 0..come {
            assert!(matches!(reply, Reply::Done(_)), "{reply:?}");
            reply = self.tell(&keys, Role::Write, chunk(index), true);
        }
        assert!(matches!(reply, Reply::Done(_)), "{reply:?}");
    }

    fn tell(&mut self, keys: &Keys, role: Role, ask: Ask, has_blob: bool) -> Reply {
        let (link, mut seal) = self.open();
        let auth = self.prove(&seal, keys, role);
        let cell = self.seal(&mut seal, Some(auth), ask, has_blob);
        let (_, answers) = self.relay.ask(link, cell);
        self.relay.unlink(link);
        let answer = answers.into_iter().next().unwrap();
        seal.open(answer).unwrap().reply().unwrap().0.reply.unwrap()
    }

    /// The times of `rounds` sessions of each kind, in turn, in nanoseconds: of the first question in a session, and the
    /// shortest of several more.
    pub(crate) fn measure(&mut self, question: Question, rounds: usize) -> [Vec<Vec<f64>>; 2] {
        let kinds = question.kinds();
        let mut first = vec![Vec::with_capacity(rounds); kinds.len()];
        let mut again = first.clone();
        for _ in 0..rounds {
            let mut order: Vec<usize> = (0..kinds.len()).collect();
            for at in (1..order.len()).rev() {
                order.swap(at, self.rng.next_u32() as usize % (at + 1));
            }
            for kind in order {
                let times = self.times(question, kinds[kind]);
                let nanoseconds = times.map(|time| time.as_nanos() as f64);
                first[kind].push(nanoseconds[0]);
                again[kind].push(nanoseconds[1..].iter().copied().fold(f64::MAX, f64::min));
            }
        }
        [first, again]
    }

    /// The times of the questions of one session.
    fn times(&mut self, question: Question, kind: Kind) -> [Duration; 1 + AGAIN] {
        let at = self.rng.next_u32() as usize % EACH;
        let stranger = Keys::generate(&mut self.rng);
        let keys = match kind {
            Kind::Missing | Kind::WrongKeyMissing => stranger,
            _ => self.keys(kind, at),
        };
        let (link, mut seal) = self.open();
        let has_blob =
            matches!(question, Question::Put | Question::ObjectChunk | Question::FeedPut);
        let mut auth = question.role().map(|role| self.prove(&seal, &keys, role));
        if let (Some(auth), Kind::WrongKey | Kind::WrongKeyMissing) = (&mut auth, kind) {
            self.rng.fill_bytes(&mut auth.mac);
        }
        let times = std::array::from_fn(|_| {
            let ask = self.ask(question, &keys);
            let cell = self.seal(&mut seal, auth.clone(), ask, has_blob);
            let (took, answers) = self.relay.ask(link, cell);
            let answer = answers.into_iter().next().unwrap();
            let reply = seal.open(answer).unwrap().reply().unwrap().0.reply.unwrap();
            let Reply::Refused(refused) = reply else {
                panic!("{question:?}, {kind:?}: {reply:?}")
            };
            assert_eq!(refused.reason(), Reason::NotYours);
            took
        });
        self.relay.unlink(link);
        times
    }

    fn ask(&self, question: Question, keys: &Keys) -> Ask {
        match question {
            Question::Get => Ask::Get(Get { after: 0, max: 1 }),
            Question::Watch => Ask::Watch(Watch { after: 0, feed: false }),
            Question::Ack => Ask::Ack(Ack { cursor: 1, feed: false }),
            Question::Delete => Ask::Delete(Delete { role: Role::Receive.into() }),
            Question::Put => Ask::Put(Put { put_id: self.blob.put_id().as_bytes().to_vec() }),
            Question::Claim => {
                let sender_public_key = keys.of(Role::Send).public_key().to_vec();
                Ask::Claim(Claim { sender_public_key })
            }
            Question::ObjectChunk => chunk(0),
            Question::ObjectDelete => Ask::Delete(Delete { role: Role::Write.into() }),
            Question::ObjectGet => {
                let object_id = keys.id(Role::Write).to_vec();
                Ask::ObjectGet(ObjectGet { object_id, first: 0, max: 1 })
            }
            Question::FeedGet => Ask::FeedGet(FeedGet { after: 0, max: 1 }),
            Question::FeedWatch => Ask::Watch(Watch { after: 0, feed: true }),
            Question::FeedPut => {
                let put_id = self.blob.put_id().as_bytes().to_vec();
                Ask::FeedPut(FeedPut { put_id, names_object: false })
            }
        }
    }

    /// A link with an open session.
    fn open(&mut self) -> (LinkId, RouteSeal) {
        let link = self.relay.link();
        let (context, seal_key) = (self.info.context(), self.info.seal_key());
        let (pending, mut cell) = PendingRoute::open(context, seal_key, &mut self.rng).unwrap();
        cell.set_route(ROUTE);
        let (_, answers) = self.relay.ask(link, cell);
        let (seal, _) = pending.accept(answers.into_iter().next().unwrap()).unwrap();
        (link, seal)
    }

    fn prove(&self, seal: &RouteSeal, keys: &Keys, role: Role) -> Auth {
        let (context, auth_key) = (self.info.context(), self.info.auth_key());
        let (key, id) = (keys.of(role), keys.id(role));
        let mac = key.prove(role, &id, auth_key, context, seal.route_hash()).unwrap().to_vec();
        Auth { role: role.into(), public_key: key.public_key().to_vec(), mac }
    }

    fn seal(&mut self, seal: &mut RouteSeal, auth: Option<Auth>, ask: Ask, blob: bool) -> Cell {
        let command = Command { auth, command: Some(ask) };
        let payload = Payload::of_command(&command, blob.then_some(&self.blob)).unwrap();
        seal.seal(ROUTE, payload, &mut self.rng).unwrap()
    }
}

fn chunk(index: u32) -> Ask {
    let step = Some(object_put::Step::Chunk(ObjectChunk { index }));
    Ask::ObjectPut(ObjectPut { step })
}

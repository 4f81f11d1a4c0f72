//! Whatever a command comes to, as many cells pass each way, of the same kinds and in the same order.

mod feeds;

use std::sync::Arc;

use hearken_proto::auth::ObjectSecretKey;
use hearken_proto::cell::Kind;
use hearken_proto::ids::RecvId;
use hearken_proto::payload::Blob;
use hearken_proto::pow::Purpose;
use hearken_proto::wire::command::Command;
use hearken_proto::wire::reply::Reply;
use hearken_proto::wire::{Ack, Claim, Create, Delete, Get, Put, Reason, Role, Watch};
use hearken_tests::load::Path;
use hearken_tests::traffic::checks::{self, Shape};
use hearken_tests::traffic::tls::NEW_SESSION_TICKET;
use hearken_tests::traffic::{
    Frame, From, KeyLog, KnownObject, Proof, Session, Talk, Wired, random_blob,
};
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;

use crate::product::{KEY_LOG, has_keys};
use crate::{leading_on, rewrite};

/// Blobs that a mailbox holds here.
const MAILBOX_BLOBS: usize = 20;
/// Settings of a relay: little work, small mailboxes.
pub(crate) const SETTINGS: [&str; 4] =
    ["--set", "pow_bits=8", "--set", "limits.mailbox_blobs_max=20"];

/// Question and outcome of a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Asked(&'static str, &'static str);

/// A mailbox whose keys are all known.
struct Mailbox {
    reader: ObjectSecretKey,
    claim: ObjectSecretKey,
    sender: ObjectSecretKey,
}

/// A relay, what is stored at it, and what it was asked.
struct World {
    /// The way that is recorded.
    recorded: Path,
    /// The way by which what is asked for is made.
    beside: Path,
    keys: Arc<KeyLog>,
    rng: ChaCha20Rng,
    marker: KnownObject,
    asked: Vec<Asked>,
}

impl World {
    async fn new(recorded: Path, beside: Path) -> Self {
        let mut rng = ChaCha20Rng::seed_from_u64(5);
        let marker = KnownObject::generate(1, &mut rng);
        let (keys, asked) = (Arc::new(KeyLog::default()), Vec::new());
        let world = Self { recorded, beside, keys, rng, marker, asked };
        world.store(&world.marker).await;
        world
    }

    fn key(&mut self) -> ObjectSecretKey {
        ObjectSecretKey::generate(&mut self.rng)
    }

    async fn talk(&self) -> Talk {
        Talk::begin(&self.recorded, &self.keys).await.unwrap()
    }

    async fn talk_beside(&self) -> Talk {
        Talk::begin(&self.beside, &self.keys).await.unwrap()
    }

    async fn store(&self, object: &KnownObject) {
        let mut talk = self.talk_beside().await;
        talk.store(object).await.unwrap();
        talk.end().await;
    }

    /// A mailbox with so many blobs in it; `None`: not even claimed.
    async fn mailbox(&mut self, blobs: Option<usize>) -> Mailbox {
        let mailbox = Mailbox { reader: self.key(), claim: self.key(), sender: self.key() };
        let mut talk = self.talk_beside().await;
        let create = create(&mut talk, &mailbox.reader, &mailbox.claim);
        let reader = Proof::Right(Role::Receive, &mailbox.reader);
        talk.say(reader, create, None).await.unwrap();
        talk.end().await;
        if let Some(blobs) = blobs {
            let mut talk = self.talk_beside().await;
            let claim = Proof::Right(Role::Claim, &mailbox.claim);
            talk.say(claim, claim_for(&mailbox.sender), None).await.unwrap();
            for _ in 0..blobs {
                let blob = random_blob(&mut self.rng);
                let sender = Proof::Right(Role::Send, &mailbox.sender);
                talk.say(sender, put(&blob), Some(&blob)).await.unwrap();
            }
            talk.end().await;
        }
        mailbox
    }

    /// Asks in a link and a session of its own, and looks at what comes.
    async fn ask(
        &mut self,
        asked: Asked,
        proof: Proof<'_>,
        command: Command,
        blob: Option<&Blob>,
        expected: impl Fn(&Reply) -> bool,
    ) {
        let mut talk = self.talk().await;
        let answers = talk.ask(proof, command, blob, &self.marker).await.unwrap();
        assert!(expected(&answers[0].0), "{asked:?}: {:?}", answers[0].0);
        talk.end().await;
        self.asked.push(asked);
    }

    async fn ask_everything(&mut self) {
        self.puts().await;
        self.reads().await;
        self.mailboxes().await;
        self.objects().await;
        // Behind an entry a relay answers what it answers without one, and nothing there knows a feed from a mailbox.
        if self.recorded.entry.is_none() {
            self.feeds().await;
        }
    }

    async fn puts(&mut self) {
        let (some, full) = (self.mailbox(Some(2)).await, self.mailbox(Some(MAILBOX_BLOBS)).await);
        let blob = random_blob(&mut self.rng);
        let stranger = self.key();
        let right = |key| Proof::Right(Role::Send, key);
        let question = "Put";
        for (outcome, proof, expected) in [
            ("stored", right(&some.sender), None),
            ("repeated", right(&some.sender), None),
            ("mailbox full", right(&full.sender), Some(Reason::Full)),
            ("no such mailbox", right(&stranger), Some(Reason::NotYours)),
            ("wrong key", Proof::Wrong(Role::Send, &some.sender), Some(Reason::NotYours)),
            ("no key", Proof::None, Some(Reason::NotYours)),
        ] {
            self.ask(Asked(question, outcome), proof, put(&blob), Some(&blob), said(expected))
                .await;
        }
        let other = put(&random_blob(&mut self.rng));
        let malformed = said(Some(Reason::Malformed));
        self.ask(Asked(question, "malformed"), right(&some.sender), other, Some(&blob), malformed)
            .await;
    }

    async fn reads(&mut self) {
        let (empty, some, full) = (
            self.mailbox(Some(0)).await,
            self.mailbox(Some(3)).await,
            self.mailbox(Some(MAILBOX_BLOBS)).await,
        );
        let stranger = self.key();
        let right = |key| Proof::Right(Role::Receive, key);
        let wrong = Proof::Wrong(Role::Receive, &some.reader);
        let delivered = |reply: &Reply| matches!(reply, Reply::Delivery(_));
        let nothing = |reply: &Reply| matches!(reply, Reply::Empty(_));
        for (question, max) in [("Get 16", 16), ("Get 1", 1)] {
            let get = || Command::Get(Get { after: 0, max });
            self.ask(Asked(question, "empty"), right(&empty.reader), get(), None, nothing).await;
            self.ask(Asked(question, "some"), right(&some.reader), get(), None, delivered).await;
            self.ask(Asked(question, "full"), right(&full.reader), get(), None, delivered).await;
            let not_yours = said(Some(Reason::NotYours));
            self.ask(Asked(question, "missing"), right(&stranger), get(), None, not_yours).await;
            let not_yours = said(Some(Reason::NotYours));
            self.ask(Asked(question, "wrong key"), wrong, get(), None, not_yours).await;
            let malformed = said(Some(Reason::Malformed));
            let other_role = Proof::Right(Role::Send, &some.sender);
            self.ask(Asked(question, "malformed"), other_role, get(), None, malformed).await;
        }
        let question = "Watch";
        let watch = || Command::Watch(Watch { after: 0, feed: false });
        let watching = |reply: &Reply| matches!(reply, Reply::Watching(_));
        self.ask(Asked(question, "empty"), right(&empty.reader), watch(), None, watching).await;
        for (outcome, proof) in [("missing", right(&stranger)), ("wrong key", wrong)] {
            let not_yours = said(Some(Reason::NotYours));
            self.ask(Asked(question, outcome), proof, watch(), None, not_yours).await;
        }
    }

    async fn mailboxes(&mut self) {
        let (fresh, some) = (self.mailbox(None).await, self.mailbox(Some(3)).await);
        let (stranger, late) = (self.key(), self.key());
        let right = |key| Proof::Right(Role::Claim, key);
        for (outcome, proof, sender, expected) in [
            ("set", right(&fresh.claim), &fresh.sender, None),
            ("repeated", right(&fresh.claim), &fresh.sender, None),
            ("claimed by another", right(&fresh.claim), &late, Some(Reason::Claimed)),
            ("no such mailbox", right(&stranger), &late, Some(Reason::NotYours)),
            ("wrong key", Proof::Wrong(Role::Claim, &fresh.claim), &late, Some(Reason::NotYours)),
        ] {
            let (asked, claim) = (Asked("Claim", outcome), claim_for(sender));
            self.ask(asked, proof, claim, None, said(expected)).await;
        }

        let (reader, claim) = (self.key(), self.key());
        let right = Proof::Right(Role::Receive, &reader);
        let wrong = Proof::Wrong(Role::Receive, &reader);
        for (outcome, proof, claim, works, expected) in [
            ("no work", right, &claim, false, Some(Reason::ProofOfWork)),
            ("wrong key", wrong, &claim, true, Some(Reason::NotYours)),
            ("made", right, &claim, true, None),
            ("repeated", right, &claim, true, None),
            ("made otherwise", right, &late, true, Some(Reason::Mismatch)),
        ] {
            let mut talk = self.talk().await;
            let mut create = create(&mut talk, &reader, claim);
            if let (false, Command::Create(create)) = (works, &mut create) {
                let id = RecvId::of(&reader.public_key());
                create.proof_of_work = talk.no_work(Purpose::Mailbox, id.as_bytes(), 0);
            }
            let answers = talk.ask(proof, create, None, &self.marker).await.unwrap();
            assert!(said(expected)(&answers[0].0), "{outcome}: {:?}", answers[0].0);
            talk.end().await;
            self.asked.push(Asked("Create", outcome));
        }

        let right = |key| Proof::Right(Role::Receive, key);
        let wrong = Proof::Wrong(Role::Receive, &some.reader);
        for (question, command) in [
            ("Ack", Command::Ack(Ack { cursor: u64::MAX, feed: false })),
            ("Delete", Command::Delete(Delete { role: Role::Receive.into() })),
        ] {
            for (outcome, proof, expected) in [
                ("wrong key", wrong, Some(Reason::NotYours)),
                ("done", right(&some.reader), None),
                ("missing", right(&stranger), Some(Reason::NotYours)),
            ] {
                let asked = Asked(question, outcome);
                self.ask(asked, proof, command.clone(), None, said(expected)).await;
            }
        }
    }

    async fn objects(&mut self) {
        let [whole, short, begun, missing] =
            [16, 2, 2, 1].map(|chunks| KnownObject::generate(chunks, &mut self.rng));
        self.store(&whole).await;
        self.store(&short).await;

        let right = Proof::Right(Role::Write, &begun.key);
        let wrong = Proof::Wrong(Role::Write, &begun.key);
        let mut other = KnownObject::generate(2, &mut self.rng);
        other.key = ObjectSecretKey::from_bytes(&begun.key.to_bytes());
        for (outcome, proof, object, works, expected) in [
            ("no work", right, &begun, false, Some(Reason::ProofOfWork)),
            ("wrong key", wrong, &begun, true, Some(Reason::NotYours)),
            ("declared", right, &begun, true, None),
            ("repeated", right, &begun, true, None),
            ("declared otherwise", right, &other, true, Some(Reason::Mismatch)),
        ] {
            let mut talk = self.talk().await;
            let id = *object.id().as_bytes();
            let work = if works {
                talk.work(Purpose::Object, &id, 2).unwrap()
            } else {
                talk.no_work(Purpose::Object, &id, 2)
            };
            let declare = object.declaration(work).unwrap();
            let answers = talk.ask(proof, declare, None, &self.marker).await.unwrap();
            assert!(said(expected)(&answers[0].0), "{outcome}: {:?}", answers[0].0);
            talk.end().await;
            self.asked.push(Asked("ObjectPut, declaration", outcome));
        }

        let stranger = Proof::Right(Role::Write, &missing.key);
        let [first, second] = [&begun.chunks[0], &begun.chunks[1]];
        for (outcome, proof, index, chunk, expected) in [
            ("stored", right, 0, first, None),
            ("repeated", right, 0, first, None),
            ("another chunk", right, 0, second, Some(Reason::Mismatch)),
            ("out of bounds", right, 2, second, Some(Reason::Malformed)),
            ("missing", stranger, 0, first, Some(Reason::NotYours)),
            ("wrong key", wrong, 1, second, Some(Reason::NotYours)),
        ] {
            let (asked, command) = (Asked("ObjectPut, chunk", outcome), KnownObject::chunk(index));
            self.ask(asked, proof, command, Some(chunk), said(expected)).await;
        }

        let read = |reply: &Reply| matches!(reply, Reply::Chunk(_));
        for (outcome, object, is_there) in [
            ("whole", &whole, true),
            ("short", &short, true),
            ("unfinished", &begun, false),
            ("missing", &missing, false),
        ] {
            let asked = Asked("ObjectGet 16", outcome);
            let not_yours = said(Some(Reason::NotYours));
            let expected = |reply: &Reply| if is_there { read(reply) } else { not_yours(reply) };
            self.ask(asked, Proof::None, object.read(16), None, expected).await;
        }
    }
}

/// Expects a refusal, or none.
fn said(refusal: Option<Reason>) -> impl Fn(&Reply) -> bool {
    move |reply| match (reply, refusal) {
        (Reply::Refused(refused), Some(reason)) => refused.reason() == reason,
        (Reply::Done(_), None) => true,
        _ => false,
    }
}

fn put(blob: &Blob) -> Command {
    Command::Put(Put { put_id: blob.put_id().as_bytes().to_vec() })
}

fn claim_for(sender: &ObjectSecretKey) -> Command {
    Command::Claim(Claim { sender_public_key: sender.public_key().to_vec() })
}

fn create(talk: &mut Talk, reader: &ObjectSecretKey, claim: &ObjectSecretKey) -> Command {
    let id = RecvId::of(&reader.public_key());
    Command::Create(Create {
        claim_public_key: claim.public_key().to_vec(),
        sender_public_key: Vec::new(),
        proof_of_work: talk.work(Purpose::Mailbox, id.as_bytes(), 0).unwrap(),
    })
}

/// The outcomes of one question that can be told from its first by their shapes.
pub(crate) fn told_apart(asked: &[Asked], shapes: &[Shape]) -> Vec<String> {
    assert_eq!(asked.len(), shapes.len(), "a record of every question");
    let first = |question| asked.iter().position(|other| other.0 == question).unwrap();
    asked
        .iter()
        .zip(shapes)
        .filter(|(asked, shape)| *shape != &shapes[first(asked.0)])
        .map(|(Asked(question, outcome), _)| format!("{question}: {outcome}"))
        .collect()
}

/// Asks everything on the way that is recorded: what was asked, the sessions of it, and the keys.
pub(crate) async fn record(
    recorded: Path,
    beside: Path,
    wired: &Wired,
) -> (Vec<Asked>, Vec<Session>) {
    let mut world = World::new(recorded, beside).await;
    world.ask_everything().await;
    let sessions = Session::all(&wired.tap.recorded(), &world.keys).unwrap();
    (world.asked, sessions)
}

pub(crate) fn shapes(sessions: &[Session]) -> Vec<Shape> {
    sessions.iter().map(|session| checks::shape(session).unwrap()).collect()
}

pub(crate) fn own(wired: &Wired) -> Path {
    Path { relay: wired.relay.address().parse().unwrap(), entry: None }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn every_outcome_of_a_command_has_the_same_cells_each_way() {
    let folder = tempfile::tempdir().unwrap();
    let wired = Wired::start(&folder.path().join("relay"), &SETTINGS, &[]).unwrap();
    let path = Path { relay: wired.address().clone(), entry: None };
    let (asked, mut sessions) = record(path, own(&wired), &wired).await;
    assert_eq!(told_apart(&asked, &shapes(&sessions)), [""; 0]);
    for session in &sessions {
        assert_eq!(checks::leads_on(session).unwrap(), [""; 0]);
    }
    let routes = shapes(&sessions).into_iter().flat_map(|shape| shape.0);
    let cells: usize = routes.map(|route| route.cells()).sum();
    println!("{} outcomes of {} commands, {cells} cells", asked.len(), questions(&asked));

    // The control: one more cell behind a refusal, and a cell that is a byte short, are found.
    let at = asked.iter().position(|asked| *asked == Asked("Get 16", "wrong key")).unwrap();
    let honest = sessions[at].clone();
    rewrite::add_a_cell(&mut sessions[at]);
    assert_eq!(told_apart(&asked, &shapes(&sessions)), ["Get 16: wrong key"]);
    sessions[at] = honest;
    rewrite::shorten(&mut sessions[at]);
    assert!(checks::cells(&sessions[at], From::Relay).is_err());
    // And frames that are not there in any record.
    let path = leading_on::found_with(&sessions[0], From::Relay, Frame::PathChallenge(vec![1; 8]));
    assert_eq!(path, ["a path probed"]);
    let ticket = Frame::Crypto(0, vec![NEW_SESSION_TICKET, 0, 0, 1, 0]);
    let ticket = leading_on::found_with(&sessions[0], From::Relay, ticket);
    assert_eq!(ticket, ["a session ticket"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn every_outcome_of_a_command_has_the_same_cells_behind_an_entry_relay() {
    let folder = tempfile::tempdir().unwrap();
    let key_file = folder.path().join("session-keys");
    let environment = [(KEY_LOG, key_file.as_os_str())];
    let entry = Wired::start(&folder.path().join("entry"), &SETTINGS, &environment).unwrap();
    let mailbox = Wired::start(&folder.path().join("mailbox"), &SETTINGS, &[]).unwrap();
    let path = Path { relay: mailbox.address().clone(), entry: Some(entry.address().clone()) };
    let (asked, sessions) = record(path, own(&mailbox), &entry).await;
    assert_eq!(told_apart(&asked, &shapes(&sessions)), [""; 0]);
    for session in &sessions {
        assert_eq!(checks::leads_on(session).unwrap(), [""; 0]);
    }
    // Between the two relays: one link, whose keys only a build for tests writes down.
    if has_keys() {
        let keys = KeyLog::of_file(&key_file).unwrap();
        let sessions = Session::all(&mailbox.tap.recorded(), &keys).unwrap();
        assert_eq!(sessions.len(), 1);
        assert_eq!(checks::leads_on(&sessions[0]).unwrap(), [""; 0]);
        let mut routes = checks::shape(&sessions[0]).unwrap().0;
        routes.retain(|route| route.begins_with() == Some(Kind::Open));
        let routes: Vec<Shape> = routes.into_iter().map(|route| Shape(vec![route])).collect();
        assert_eq!(told_apart(&asked, &routes), [""; 0]);
    }
}

fn questions(asked: &[Asked]) -> usize {
    asked.iter().map(|asked| asked.0).collect::<std::collections::BTreeSet<_>>().len()
}

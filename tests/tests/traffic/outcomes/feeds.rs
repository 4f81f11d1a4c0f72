//! What each command to a feed comes to.

use hearken_proto::auth::ObjectSecretKey;
use hearken_proto::ids::FeedId;
use hearken_proto::limits::FEED_GROUP_ENTRY_DAYS;
use hearken_proto::payload::Blob;
use hearken_proto::pow::Purpose;
use hearken_proto::wire::command::Command;
use hearken_proto::wire::reply::Reply;
use hearken_proto::wire::{
    Ack, FeedCreate, FeedDelete, FeedGet, FeedKind, FeedPut, Reason, Role, Watch,
};
use hearken_tests::traffic::{Proof, Talk, random_blob};

use super::{Asked, World, said};

/// A feed whose keys are all known.
struct Feed {
    read: ObjectSecretKey,
    write: ObjectSecretKey,
}

impl Feed {
    fn reads(&self) -> Proof<'_> {
        Proof::Right(Role::FeedRead, &self.read)
    }

    fn writes(&self) -> Proof<'_> {
        Proof::Right(Role::FeedWrite, &self.write)
    }

    fn create(&self, talk: &mut Talk) -> Command {
        let id = FeedId::of(&self.read.public_key());
        let work = talk.work(Purpose::Feed, id.as_bytes(), FEED_GROUP_ENTRY_DAYS);
        create(&self.write, work.unwrap())
    }
}

impl World {
    fn feed_keys(&mut self) -> Feed {
        Feed { read: self.key(), write: self.key() }
    }

    /// A feed with so many entries.
    async fn feed(&mut self, entries: usize) -> Feed {
        let feed = self.feed_keys();
        let mut talk = self.talk_beside().await;
        let create = feed.create(&mut talk);
        talk.say(feed.reads(), create, None).await.unwrap();
        talk.end().await;
        let mut talk = self.talk_beside().await;
        for _ in 0..entries {
            let blob = random_blob(&mut self.rng);
            talk.say(feed.writes(), put(&blob, false), Some(&blob)).await.unwrap();
        }
        talk.end().await;
        feed
    }

    pub(super) async fn feeds(&mut self) {
        self.feeds_made().await;
        self.entries_put().await;
        self.feeds_read().await;
    }

    async fn feeds_made(&mut self) {
        let (feed, late) = (self.feed_keys(), self.key());
        let wrong = Proof::Wrong(Role::FeedRead, &feed.read);
        for (outcome, proof, write, works, expected) in [
            ("no work", feed.reads(), &feed.write, false, Some(Reason::ProofOfWork)),
            ("wrong key", wrong, &feed.write, true, Some(Reason::NotYours)),
            ("made", feed.reads(), &feed.write, true, None),
            ("repeated", feed.reads(), &feed.write, true, None),
            ("made otherwise", feed.reads(), &late, true, Some(Reason::Mismatch)),
        ] {
            let mut talk = self.talk().await;
            let id = *FeedId::of(&feed.read.public_key()).as_bytes();
            let work = if works {
                talk.work(Purpose::Feed, &id, FEED_GROUP_ENTRY_DAYS).unwrap()
            } else {
                talk.no_work(Purpose::Feed, &id, FEED_GROUP_ENTRY_DAYS)
            };
            let answers = talk.ask(proof, create(write, work), None, &self.marker).await.unwrap();
            assert!(said(expected)(&answers[0].0), "{outcome}: {:?}", answers[0].0);
            talk.end().await;
            self.asked.push(Asked("FeedCreate", outcome));
        }
        let written = self.feed(1).await;
        for (outcome, proof, expected) in [
            ("wrong key", wrong, Some(Reason::NotYours)),
            ("written to", written.reads(), Some(Reason::Mismatch)),
            ("done", feed.reads(), None),
            ("missing", feed.reads(), Some(Reason::NotYours)),
        ] {
            let delete = Command::FeedDelete(FeedDelete {});
            self.ask(Asked("FeedDelete", outcome), proof, delete, None, said(expected)).await;
        }
    }

    async fn entries_put(&mut self) {
        let (feed, stranger) = (self.feed(2).await, self.feed_keys());
        let wrong = Proof::Wrong(Role::FeedWrite, &feed.write);
        let blob = random_blob(&mut self.rng);
        for (outcome, proof, names, expected) in [
            ("names what is not there", feed.writes(), true, Some(Reason::NoObject)),
            ("stored", feed.writes(), false, None),
            ("repeated", feed.writes(), false, None),
            ("put otherwise", feed.writes(), true, Some(Reason::Mismatch)),
            ("no such feed", stranger.writes(), false, Some(Reason::NotYours)),
            ("wrong key", wrong, false, Some(Reason::NotYours)),
            ("no key", Proof::None, false, Some(Reason::NotYours)),
        ] {
            let (asked, put) = (Asked("FeedPut", outcome), put(&blob, names));
            self.ask(asked, proof, put, Some(&blob), said(expected)).await;
        }
    }

    async fn feeds_read(&mut self) {
        let (empty, some) = (self.feed(0).await, self.feed(3).await);
        let stranger = self.feed_keys();
        let wrong = Proof::Wrong(Role::FeedRead, &some.read);
        let delivered = |reply: &Reply| matches!(reply, Reply::Delivery(_));
        let nothing = |reply: &Reply| matches!(reply, Reply::Empty(_));
        let question = "FeedGet 16";
        let get = |after| Command::FeedGet(FeedGet { after, max: 16 });
        self.ask(Asked(question, "empty"), empty.reads(), get(0), None, nothing).await;
        self.ask(Asked(question, "some"), some.reads(), get(0), None, delivered).await;
        for (outcome, proof, after, reason) in [
            ("gap", some.reads(), 7, Reason::Gap),
            ("missing", stranger.reads(), 0, Reason::NotYours),
            ("wrong key", wrong, 0, Reason::NotYours),
            ("malformed", some.writes(), 0, Reason::Malformed),
        ] {
            let expected = said(Some(reason));
            self.ask(Asked(question, outcome), proof, get(after), None, expected).await;
        }
        let question = "Watch of a feed";
        let watch = |after| Command::Watch(Watch { after, feed: true });
        let watching = |reply: &Reply| matches!(reply, Reply::Watching(_));
        self.ask(Asked(question, "empty"), empty.reads(), watch(0), None, watching).await;
        for (outcome, proof, after, reason) in [
            ("gap", some.reads(), 7, Reason::Gap),
            ("missing", stranger.reads(), 0, Reason::NotYours),
            ("wrong key", wrong, 0, Reason::NotYours),
        ] {
            let expected = said(Some(reason));
            self.ask(Asked(question, outcome), proof, watch(after), None, expected).await;
        }
        for (outcome, proof) in [("not watched", some.reads()), ("wrong key", wrong)] {
            let ack = Command::Ack(Ack { cursor: 1, feed: true });
            let expected = said(Some(Reason::NotYours));
            self.ask(Asked("Ack of a feed", outcome), proof, ack, None, expected).await;
        }
    }
}

fn create(write: &ObjectSecretKey, proof_of_work: u64) -> Command {
    Command::FeedCreate(FeedCreate {
        write_public_key: write.public_key().to_vec(),
        kind: FeedKind::Group.into(),
        proof_of_work,
    })
}

fn put(blob: &Blob, names_object: bool) -> Command {
    Command::FeedPut(FeedPut { put_id: blob.put_id().as_bytes().to_vec(), names_object })
}

//! Feeds over every engine: the committer's and the readers' commands as they are carried out, on disk too.

use hearken_proto::ids::{FeedId, FeedWriterId, ObjectId};
use hearken_proto::limits::BLOB_LEN;
use hearken_proto::object::{Root, chunk_hash};
use hearken_proto::payload::Blob;
use hearken_proto::time::{DAY_MS, UnixMillis};
use hearken_proto::wire::Reason;
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;

use super::command::{
    Answer, Chunk, Declaration, FeedCreate, FeedPut, Permit, Read, SessionNumber, Write,
};
use super::config::CoreConfig;
use super::feed_rows::FeedKind;
use super::{CommandContext, ReadCommand, WriteCommand};
use crate::backup::{Source, write_from};
use crate::folder::Folder;
use crate::restore::restore;
use crate::stop::Stop;
use crate::store::fixture::Fixture;
use crate::store::fjall::test_support::FjallFixture;
use crate::store::{DayKeys, FjallConfig, FjallStore, MemoryStore, Query, run_batch};

const PERMIT: Permit =
    Permit { proven: true, admitted: true, open: true, worked: true, room: true };
const FEED: FeedId = FeedId::from_bytes([1; 32]);
const WRITER: FeedWriterId = FeedWriterId::from_bytes([2; 32]);
const OBJECT: ObjectId = ObjectId::from_bytes([3; 32]);

struct Ground<F> {
    fixture: F,
    context: CommandContext,
    keys: DayKeys,
    now: UnixMillis,
    rng: ChaCha20Rng,
}

impl<F: Fixture> Ground<F> {
    fn new() -> Self {
        let keys = DayKeys::in_memory();
        let limits = CoreConfig::default().command_limits();
        Self {
            fixture: F::new(),
            context: CommandContext::new(keys.clone(), limits),
            keys,
            now: UnixMillis(20_000 * DAY_MS),
            rng: ChaCha20Rng::seed_from_u64(1),
        }
    }

    /// Carries writes out in one group commit.
    fn write(&mut self, writes: Vec<Write>) -> Vec<Answer> {
        let commands = writes.into_iter().map(WriteCommand);
        let Self { fixture, context, now, rng, .. } = self;
        let outcomes = run_batch(fixture.store(), commands, context, *now, rng);
        outcomes.into_iter().map(|outcome| outcome.unwrap().answer).collect()
    }

    fn get(&mut self, after: u64) -> Result<Vec<(u64, Blob)>, Reason> {
        let today = self.now.day();
        let read = Read::FeedGet { feed: FEED, after, max: 16, today, proven: true };
        match ReadCommand(read).run(self.fixture.store(), &mut self.keys).unwrap().answer {
            Answer::Blobs { blobs, .. } => Ok(blobs),
            Answer::Refused(reason) => Err(reason),
            _ => panic!(),
        }
    }

    fn chunk(&mut self) -> Option<Blob> {
        let hour = self.now.hour();
        let read = Read::ObjectGet { object: OBJECT, first: 0, max: 1, hour };
        match ReadCommand(read).run(self.fixture.store(), &mut self.keys).unwrap().answer {
            Answer::Chunks { blobs, .. } => blobs.first().cloned(),
            _ => None,
        }
    }

    fn end_day(&mut self) {
        let today = self.now.day();
        for day in self.fixture.store().days().into_iter().filter(|day| *day < today) {
            self.keys.destroy(day).unwrap();
            self.fixture.store().drop_day(day).unwrap();
        }
    }
}

fn blob(byte: u8) -> Blob {
    Blob::new(Box::new([byte; BLOB_LEN]))
}

fn create() -> Write {
    let (feed, writer, kind) = (FEED, WRITER, FeedKind::Group);
    Write::FeedCreate(FeedCreate { feed, writer, kind, permit: PERMIT })
}

fn put(byte: u8, names: Option<ObjectId>) -> Write {
    let blob = blob(byte);
    let (put_id, session) = (blob.put_id(), SessionNumber(1));
    let before = Vec::new();
    Write::FeedPut(FeedPut { writer: WRITER, put_id, blob, names, session, before, permit: PERMIT })
}

fn object(byte: u8) -> Vec<Write> {
    let mut root = Root::new();
    root.push(&chunk_hash(&blob(byte)));
    let declaration = Declaration { chunks: 1, root: root.finish(), ttl_hours: 1 };
    let chunk = Chunk { object: OBJECT, index: 0, blob: blob(byte), permit: PERMIT };
    let declare = Write::Declare { object: OBJECT, declaration, permit: PERMIT };
    vec![declare, Write::Chunk(chunk)]
}

macro_rules! on_every_engine {
    ($($name:ident),* $(,)?) => {
        mod memory {
            $(#[test] fn $name() { super::$name::<super::MemoryStore>(); })*
        }
        mod fjall {
            $(#[test] fn $name() { super::$name::<super::FjallFixture>(); })*
        }
    };
}

on_every_engine![
    entries_of_one_commit_are_read_in_its_order_after_restart_and_crash,
    an_object_is_named_and_moved_in_one_commit_with_its_entry,
    entries_and_their_objects_go_with_their_day,
];

fn entries_of_one_commit_are_read_in_its_order_after_restart_and_crash<F: Fixture>() {
    let mut ground = Ground::<F>::new();
    let batch = vec![create(), put(1, None), put(2, None), put(1, None), put(3, None)];
    let answers = ground.write(batch);
    assert!(matches!(answers[3], Answer::Done), "the same entry in the same commit");
    for turn in 0..3 {
        let got = ground.get(0).unwrap();
        assert!(got.iter().map(|(_, blob)| blob.as_bytes()[0]).eq([1, 2, 3]), "{turn}");
        assert_eq!(ground.get(got[1].0).unwrap(), got[2..]);
        if turn == 0 { ground.fixture.restart() } else { ground.fixture.crash() }
    }
    assert!(matches!(ground.write(vec![put(2, None)])[0], Answer::Done));
}

fn an_object_is_named_and_moved_in_one_commit_with_its_entry<F: Fixture>() {
    let mut ground = Ground::<F>::new();
    let mut batch = vec![create()];
    batch.extend(object(7));
    batch.extend([put(1, Some(OBJECT)), put(2, Some(OBJECT)), put(1, Some(OBJECT))]);
    let answers = ground.write(batch);
    assert!(matches!(answers[3], Answer::Stored { .. }));
    assert!(matches!(answers[4], Answer::Refused(Reason::Named)));
    assert!(matches!(answers[5], Answer::Done));
    ground.fixture.crash();
    assert_eq!(ground.get(0).unwrap().len(), 1);
    ground.now.0 += 5 * DAY_MS;
    ground.end_day();
    ground.write(vec![Write::Sweep]);
    assert_eq!(ground.chunk(), Some(blob(7)), "it would have gone after an hour");
}

fn entries_and_their_objects_go_with_their_day<F: Fixture>() {
    let mut ground = Ground::<F>::new();
    ground.write(all_of([vec![create(), put(1, None)], object(7), vec![put(2, Some(OBJECT))]]));
    let cursor = ground.get(0).unwrap()[1].0;
    ground.now.0 += DAY_MS;
    ground.write(vec![put(3, None)]);
    ground.now.0 += 21 * DAY_MS;
    ground.end_day();
    ground.write(vec![Write::Sweep]);
    ground.fixture.restart();
    assert_eq!(ground.get(0), Err(Reason::Gap));
    assert!(ground.get(cursor).unwrap().iter().map(|(_, blob)| blob.as_bytes()[0]).eq([3]));
    assert_eq!(ground.chunk(), None);
    // Nothing remembers what went: the same bytes are another entry, behind.
    assert!(matches!(ground.write(vec![put(1, None)])[0], Answer::Stored { .. }));
    assert!(ground.get(cursor).unwrap().iter().map(|(_, blob)| blob.as_bytes()[0]).eq([3, 1]));
}

/// A relay's folder as the committer and the readers see it.
struct Served {
    store: FjallStore,
    context: CommandContext,
    keys: DayKeys,
}

impl Served {
    fn open(folder: &Folder) -> Self {
        let store = FjallStore::open(folder.path(), FjallConfig::default()).unwrap();
        let keys = DayKeys::open(&folder.day_keys()).unwrap();
        let limits = CoreConfig::default().command_limits();
        Self { store, context: CommandContext::new(keys.clone(), limits), keys }
    }

    fn write(&mut self, writes: Vec<Write>, now: UnixMillis) -> Vec<Answer> {
        let mut rng = ChaCha20Rng::seed_from_u64(now.0);
        let commands = writes.into_iter().map(WriteCommand);
        let outcomes = run_batch(&self.store, commands, &mut self.context, now, &mut rng);
        outcomes.into_iter().map(|outcome| outcome.unwrap().answer).collect()
    }

    fn entries(&mut self, now: UnixMillis) -> Vec<u8> {
        let (after, max, today) = (0, 16, now.day());
        let read = Read::FeedGet { feed: FEED, after, max, today, proven: true };
        match ReadCommand(read).run(&self.store, &mut self.keys).unwrap().answer {
            Answer::Blobs { blobs, .. } => {
                blobs.iter().map(|(_, blob)| blob.as_bytes()[0]).collect()
            }
            _ => panic!(),
        }
    }
}

#[test]
fn a_backup_holds_feeds_and_what_their_entries_name_and_a_restored_one_names_nothing_more() {
    let temporary = tempfile::tempdir().unwrap();
    let folder = Folder::new(temporary.path().join("relay"));
    folder.init(None, &[]).unwrap();
    let now = UnixMillis(20_000 * DAY_MS);
    let mut served = Served::open(&folder);
    served
        .write(all_of([vec![create(), put(1, None)], object(7), vec![put(2, Some(OBJECT))]]), now);
    let out = temporary.path().join("backup");
    let source = Source::new(&folder, &served.store, &served.keys, now).unwrap();
    write_from(source, &out, &Stop::default()).unwrap();

    let now = UnixMillis(now.0 + DAY_MS);
    let restored = Folder::new(temporary.path().join("restored"));
    restore(&out, &restored, now, &Stop::default()).unwrap();
    let mut served = Served::open(&restored);
    assert_eq!(served.entries(now), [1, 2]);
    let read = Read::ObjectGet { object: OBJECT, first: 0, max: 1, hour: now.hour() };
    let answer = ReadCommand(read).run(&served.store, &mut served.keys).unwrap().answer;
    assert!(matches!(answer, Answer::Chunks { blobs, .. } if blobs == [blob(7)]));
    let answers = served.write(vec![put(2, Some(OBJECT)), put(3, Some(OBJECT)), put(4, None)], now);
    assert!(matches!(answers[0], Answer::Done), "what it took before is repeated");
    assert!(matches!(answers[1], Answer::Refused(Reason::Restored)));
    assert!(matches!(answers[2], Answer::Stored { .. }));
    assert_eq!(served.entries(now), [1, 2, 4]);
}

fn all_of(writes: [Vec<Write>; 3]) -> Vec<Write> {
    writes.into_iter().flatten().collect()
}

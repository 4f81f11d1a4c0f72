//! Objects from the outside.

use hearken_proto::auth::ObjectSecretKey;
use hearken_proto::ids::ObjectId;
use hearken_proto::object::{Root, chunk_hash};
use hearken_proto::payload::Blob;
use hearken_proto::time::HOUR_MS;
use hearken_proto::wire::command::Command as Ask;
use hearken_proto::wire::reply::Reply as Say;
use hearken_proto::wire::{self, Reason, Role, object_put};

use super::testing::{Client, Net, assert_done, assert_refused, config};
use super::{Admission, CoreConfig};
use crate::store::{Space, Store};

fn declare(chunks: &[Blob], ttl_hours: u32) -> Ask {
    let mut root = Root::new();
    chunks.iter().for_each(|chunk| root.push(&chunk_hash(chunk)));
    let declaration = wire::ObjectDeclaration {
        chunks: u32::try_from(chunks.len()).unwrap(),
        root: root.finish().to_vec(),
        ttl_hours,
        proof_of_work: 0,
    };
    let step = Some(object_put::Step::Declaration(declaration));
    Ask::ObjectPut(wire::ObjectPut { step })
}

fn chunk(index: u32) -> Ask {
    let step = Some(object_put::Step::Chunk(wire::ObjectChunk { index }));
    Ask::ObjectPut(wire::ObjectPut { step })
}

fn delete() -> Ask {
    Ask::Delete(wire::Delete { role: Role::Write.into() })
}

struct Writer {
    key: ObjectSecretKey,
    client: Client,
}

impl Writer {
    fn new(net: &mut Net) -> Self {
        let key = net.key();
        let mut writer = Self { client: Self::session(net), key };
        let reply = net.ask(&mut writer.client, Some((Role::Write, &writer.key)), delete());
        assert_refused(&reply, Reason::NotYours);
        writer
    }

    fn session(net: &mut Net) -> Client {
        let link = net.link(0);
        net.open(0, link)
    }

    fn again(&mut self, net: &mut Net) {
        self.client = Self::session(net);
        // Proves the key; the index is out of range, so that nothing changes.
        let blob = net.blob();
        net.send(&mut self.client, Some((Role::Write, &self.key)), chunk(u32::MAX), Some(&blob));
        net.settle();
        net.reply(&mut self.client);
    }

    fn chunk(&mut self, net: &mut Net, index: u32, blob: &Blob) -> Say {
        net.send(&mut self.client, None, chunk(index), Some(blob));
        net.settle();
        net.reply(&mut self.client).0
    }

    fn read(&self, net: &mut Net, first: u32, max: u32) -> Vec<(Say, Option<Blob>)> {
        let link = net.link(0);
        let mut client = net.open(0, link);
        let object_id = ObjectId::of(&self.key.public_key()).as_bytes().to_vec();
        let ask = Ask::ObjectGet(wire::ObjectGet { object_id, first, max });
        net.send(&mut client, None, ask, None);
        net.settle();
        assert_eq!(net.arrived_len(0, link), max as usize);
        (0..max).map(|_| net.reply(&mut client)).collect()
    }

    fn is_readable(&self, net: &mut Net) -> bool {
        matches!(self.read(net, 0, 1)[0].0, Say::Chunk(_))
    }
}

#[test]
fn an_object_is_readable_once_its_last_chunk_is_in_and_not_before() {
    let mut net = Net::one();
    let mut writer = Writer::new(&mut net);
    let chunks: Vec<_> = (0..5).map(|_| net.blob()).collect();
    assert_done(&net.ask(&mut writer.client, None, declare(&chunks, 24)));
    assert_done(&net.ask(&mut writer.client, None, declare(&chunks, 24)));
    assert_refused(&net.ask(&mut writer.client, None, declare(&chunks, 23)), Reason::Mismatch);
    for index in [4, 2, 0, 1] {
        assert_done(&writer.chunk(&mut net, index, &chunks[index as usize]));
    }
    assert_done(&writer.chunk(&mut net, 2, &chunks[2]));
    assert_refused(&writer.chunk(&mut net, 2, &chunks[3]), Reason::Mismatch);
    assert_refused(&writer.chunk(&mut net, 5, &chunks[3]), Reason::Malformed);
    let replies = writer.read(&mut net, 0, 3);
    assert_refused(&replies[0].0, Reason::NotYours);
    assert!(replies[1..].iter().all(|(say, _)| matches!(say, Say::Empty(_))));
    assert_done(&writer.chunk(&mut net, 3, &chunks[3]));
    let replies = writer.read(&mut net, 1, 6);
    for (at, (say, blob)) in replies[..4].iter().enumerate() {
        let Say::Chunk(read) = say else { panic!("{say:?}") };
        assert_eq!((read.index as usize, read.chunks), (at + 1, 5));
        assert_eq!(blob.as_ref(), Some(&chunks[at + 1]));
    }
    assert!(matches!(replies[4].0, Say::Empty(_)));
    assert!(writer.read(&mut net, u32::MAX, 2).iter().all(|(say, _)| matches!(say, Say::Empty(_))));
}

#[test]
fn chunks_that_do_not_match_the_root_are_forgotten_and_may_come_anew() {
    let mut net = Net::one();
    let mut writer = Writer::new(&mut net);
    let chunks = [net.blob(), net.blob()];
    assert_done(&net.ask(&mut writer.client, None, declare(&chunks, 24)));
    let wrong = net.blob();
    assert_done(&writer.chunk(&mut net, 0, &wrong));
    assert_refused(&writer.chunk(&mut net, 1, &chunks[1]), Reason::Mismatch);
    assert!(!writer.is_readable(&mut net));
    assert_done(&writer.chunk(&mut net, 0, &chunks[0]));
    assert_done(&writer.chunk(&mut net, 1, &chunks[1]));
    assert!(writer.is_readable(&mut net));
}

#[test]
fn an_unfinished_object_goes_an_hour_after_its_last_chunk() {
    let mut net = Net::one();
    let mut writer = Writer::new(&mut net);
    let chunks: Vec<_> = (0..4).map(|_| net.blob()).collect();
    assert_done(&net.ask(&mut writer.client, None, declare(&chunks, 24)));
    assert_done(&writer.chunk(&mut net, 0, &chunks[0]));
    net.pass(3_599);
    writer.again(&mut net);
    assert_done(&writer.chunk(&mut net, 1, &chunks[1]));
    net.pass(3_599);
    writer.again(&mut net);
    assert_done(&writer.chunk(&mut net, 2, &chunks[2]));
    net.pass(2 * 3_600);
    writer.again(&mut net);
    assert_refused(&writer.chunk(&mut net, 3, &chunks[3]), Reason::NotYours);
    let store = net.relays[0].store();
    assert_eq!(store.range(Space::Rows, b"o", b"p", 9).unwrap(), []);
    for day in store.days() {
        assert_eq!(store.range(Space::Day(day), b"h", b"l", 9).unwrap(), []);
    }
}

#[test]
fn a_finished_object_lives_as_long_as_was_said_and_not_a_day_longer() {
    let mut net = Net::one();
    let mut writer = Writer::new(&mut net);
    let chunks: Vec<_> = (0..600).map(|_| net.blob()).collect();
    // Near the end of an hour: what is said counts from then, not from where the hour began.
    net.now.0 += 59 * HOUR_MS / 60;
    writer.again(&mut net);
    assert_done(&net.ask(&mut writer.client, None, declare(&chunks, 30)));
    for (index, blob) in (0..).zip(&chunks) {
        assert_done(&writer.chunk(&mut net, index, blob));
    }
    net.now.0 += 30 * HOUR_MS - 1;
    net.pass(0);
    assert!(writer.is_readable(&mut net));
    let totals = net.relays[0].totals();
    assert_eq!((totals.object_puts, totals.chunks_read), (601, 1));
    net.now.0 += HOUR_MS + 1;
    net.pass(0);
    assert!(!writer.is_readable(&mut net));
    let store = net.relays[0].store();
    assert_eq!(store.range(Space::Rows, b"o", b"p", 9).unwrap(), []);
    for day in store.days() {
        assert_eq!(store.range(Space::Day(day), b"h", b"l", 9).unwrap(), []);
    }
}

#[test]
fn a_copy_from_before_opens_no_chunk_once_the_objects_day_is_over() {
    let mut net = Net::one();
    let mut writer = Writer::new(&mut net);
    let chunks = [net.blob()];
    assert_done(&net.ask(&mut writer.client, None, declare(&chunks, 2)));
    assert_done(&writer.chunk(&mut net, 0, &chunks[0]));
    let copy = net.relays[0].store().snapshot();
    assert!(writer.is_readable(&mut net), "the control: it can be read before");
    let rows = copy.range(Space::Rows, b"o", b"p", 9).unwrap();
    let row = super::rows::ObjectRow::decode(&rows[0].value).unwrap();
    let object = ObjectId::of(&writer.key.public_key());
    let open = |net: &Net| {
        let keys = net.relays[0].day_keys();
        super::object_key::ObjectKey::open(keys, row.key_day, &object, &row.sealed_key).is_ok()
    };
    assert!(open(&net));
    net.pass(36 * 3_600);
    assert!(!open(&net));
}

#[test]
fn a_relay_that_has_closed_takes_no_chunk_of_an_object_that_was_begun_before() {
    let on_ms = super::testing::START.0 + HOUR_MS / 2;
    let notice = wire::Decommission { on_ms, successor: String::new() };
    let mut net = Net::new(vec![CoreConfig { decommission: Some(notice), ..config() }]);
    let mut writer = Writer::new(&mut net);
    let chunks = [net.blob(), net.blob()];
    assert_done(&net.ask(&mut writer.client, None, declare(&chunks, 24)));
    assert_done(&writer.chunk(&mut net, 0, &chunks[0]));
    net.pass(HOUR_MS / 2_000);
    writer.again(&mut net);
    assert_refused(&writer.chunk(&mut net, 1, &chunks[1]), Reason::NotAdmitted);
    // What it acknowledged before is acknowledged again.
    assert_done(&writer.chunk(&mut net, 0, &chunks[0]));
}

#[test]
fn a_deleted_object_is_unreadable_at_once_and_its_id_may_be_declared_again() {
    let mut net = Net::one();
    let mut writer = Writer::new(&mut net);
    let chunks = [net.blob(), net.blob()];
    let all = |net: &mut Net, writer: &mut Writer| {
        assert_done(&net.ask(&mut writer.client, None, declare(&chunks, 24)));
        assert_done(&writer.chunk(net, 0, &chunks[0]));
        assert_done(&writer.chunk(net, 1, &chunks[1]));
        assert!(writer.is_readable(net));
    };
    all(&mut net, &mut writer);
    assert_done(&net.ask(&mut writer.client, None, delete()));
    assert!(!writer.is_readable(&mut net));
    all(&mut net, &mut writer);
}

#[test]
fn an_object_needs_admission_work_and_the_write_key() {
    let closed = CoreConfig { admission: Admission::Closed, ..config() };
    let hard = CoreConfig { proof_of_work_bits: 24, ..config() };
    for (config, reason) in [(closed, Reason::NotAdmitted), (hard, Reason::ProofOfWork)] {
        let mut net = Net::new(vec![config]);
        let mut writer = Writer::new(&mut net);
        let chunks = [net.blob()];
        assert_refused(&net.ask(&mut writer.client, None, declare(&chunks, 1)), reason);
    }
    let mut net = Net::one();
    let chunks = [net.blob()];
    let mut nobody = Writer::session(&mut net);
    assert_refused(&net.ask(&mut nobody, None, declare(&chunks, 1)), Reason::NotYours);
}

#[test]
fn an_object_is_uploaded_within_a_day_and_none_outlives_the_space_of_its_chunks() {
    let mut net = Net::one();
    let mut writer = Writer::new(&mut net);
    let chunks: Vec<_> = (0..40).map(|_| net.blob()).collect();
    assert_done(&net.ask(&mut writer.client, None, declare(&chunks, 24)));
    // From mid-day on, a chunk an hour: its day and the next are long enough for any upload.
    let declared = net.now.day().0;
    for (index, blob) in (0..).zip(&chunks) {
        let reply = writer.chunk(&mut net, index, blob);
        if net.now.day().0 < declared + 2 {
            assert_done(&reply);
        } else {
            assert_refused(&reply, Reason::Mismatch);
            break;
        }
        net.pass(3_600);
        writer.again(&mut net);
    }
    let days: Vec<u32> = net.relays[0].store().days().iter().map(|day| day.0).collect();
    assert_eq!(days, [declared + 2]);
}

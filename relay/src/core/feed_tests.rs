//! Feeds from the outside: whose one is, what is put into it and what its readers get.

use hearken_proto::pow::{Challenge, Purpose, Search};
use hearken_proto::wire::command::Command as Ask;
use hearken_proto::wire::reply::Reply as Say;
use hearken_proto::wire::{self, FeedKind, Reason, Role};

use super::testing::{Net, assert_done, assert_refused, config, get, put};
use super::testing_feeds::{
    Feed, Object, feed_ack, feed_create, feed_delete, feed_get, feed_put, feed_watch,
};
use super::{Admission, CoreConfig};
use crate::store::{Space, Store, StoreError};

#[test]
fn entries_are_got_in_order_by_every_reader_from_a_cursor_of_its_own_and_stay() {
    let mut net = Net::one();
    let mut feed = Feed::group(&mut net);
    let blobs = feed.fill(&mut net, 20);
    let first = feed.get(&mut net, 0, 16).unwrap();
    assert_eq!(
        first.iter().map(|(_, blob)| blob).collect::<Vec<_>>(),
        blobs[..16].iter().collect::<Vec<_>>()
    );
    assert!(first.is_sorted_by(|a, b| a.0 < b.0));
    let rest = feed.get(&mut net, first[15].0, 16).unwrap();
    assert_eq!(
        rest.iter().map(|(_, blob)| blob).collect::<Vec<_>>(),
        blobs[16..].iter().collect::<Vec<_>>()
    );
    assert_eq!(feed.get(&mut net, rest[3].0, 16), Ok(Vec::new()));
    // Another reader has read nothing, and reading took nothing.
    feed.reader = Feed::another_reader(&mut net);
    assert_eq!(feed.get(&mut net, 0, 16), Ok(first));
}

#[test]
fn create_repeated_is_success_and_with_another_writer_or_kind_a_mismatch() {
    let mut net = Net::one();
    let mut feed = Feed::group(&mut net);
    let write = feed.write.public_key();
    assert_done(&net.ask(&mut feed.reader, None, feed_create(&write, FeedKind::Group)));
    for (write, kind) in [(write, FeedKind::Case), ([3; 32], FeedKind::Group)] {
        let other = feed_create(&write, kind);
        assert_refused(&net.ask(&mut feed.reader, None, other), Reason::Mismatch);
    }
    // Another member makes the same feed with the same keys, and what was put is there.
    let blobs = feed.fill(&mut net, 1);
    let mut member = net.session(0);
    let key = Some((Role::FeedRead, &feed.read));
    assert_done(&net.ask(&mut member, key, feed_create(&write, FeedKind::Group)));
    assert_eq!(feed.entries(&mut net), blobs);
    assert_eq!(net.relays[0].totals().feed_creates, 3);
}

#[test]
fn a_writer_of_one_feed_is_never_that_of_another() {
    let mut net = Net::one();
    let mut feed = Feed::group(&mut net);
    let (key, mut thief) = (net.key(), net.session(0));
    let make = feed_create(&feed.write.public_key(), FeedKind::Group);
    assert_refused(&net.ask(&mut thief, Some((Role::FeedRead, &key)), make), Reason::Mismatch);
    let blobs = feed.fill(&mut net, 1);
    assert_eq!(feed.entries(&mut net), blobs);
}

#[test]
fn an_entry_put_again_changes_nothing_and_is_success() {
    let mut net = Net::one();
    let mut feed = Feed::group(&mut net);
    let blobs = feed.fill(&mut net, 3);
    assert_done(&feed.put(&mut net, &blobs[0]));
    feed.again(&mut net);
    assert_done(&feed.put(&mut net, &blobs[1]));
    assert_eq!(feed.entries(&mut net), blobs);
    let totals = net.relays[0].totals();
    assert_eq!((totals.entries_stored, totals.entries_repeated, totals.puts_stored), (3, 2, 0));
}

#[test]
fn an_entry_is_acknowledged_only_after_the_commit_and_keeps_its_writers_order() {
    let mut net = Net::one();
    let mut feed = Feed::group(&mut net);
    let blobs = [net.blob(), net.blob(), net.blob()];
    net.relays[0].hold_store(true);
    net.relays[0].store().fail_commits(1, StoreError::Busy);
    blobs[..2].iter().for_each(|blob| feed.send_put(&mut net, blob));
    net.settle();
    assert_eq!(net.arrived_len(0, feed.writer.link), 0, "acknowledged before the commit");
    net.relays[0].hold_store(false);
    let _ = net.relays[0].run_stalled(net.now, &mut net.rng);
    // What comes behind one whose commit failed waits for it.
    feed.send_put(&mut net, &blobs[2]);
    net.settle();
    for _ in 0..3 {
        assert_refused(&net.reply(&mut feed.writer).0, Reason::Busy);
    }
    assert_eq!(feed.entries(&mut net), []);
    blobs.iter().for_each(|blob| assert_done(&feed.put(&mut net, blob)));
    assert_eq!(feed.entries(&mut net), blobs);
}

#[test]
fn missing_expired_and_wrong_keys_get_one_answer_of_as_many_cells() {
    let mut net = Net::one();
    let feed = Feed::group(&mut net);
    let stranger = net.key();
    let mut reads = Vec::new();
    // Nobody's feed; somebody else's with a proof by another key; no proof at all.
    for which in 0..3 {
        let mut client = net.session(0);
        let mut auth = client.auth(Role::FeedRead, &stranger);
        if which == 1 {
            auth.public_key = feed.read.public_key().to_vec();
        }
        let auth = (which < 2).then_some(auth);
        let command = wire::Command { auth, command: Some(feed_get(0, 3)) };
        let cell = client.seal_command(&command, None, &mut net.rng);
        let before = net.relays[0].store().rows_read();
        net.post(0, client.link, cell);
        net.settle();
        reads.push(net.relays[0].store().rows_read() - before);
        let replies = net.replies(&mut client);
        assert_eq!(replies.len(), 3, "{which}");
        assert_refused(&replies[0], Reason::NotYours);
        assert!(replies[1..].iter().all(|reply| matches!(reply, Say::Empty(_))));
    }
    assert_eq!(reads, [1, 1, 1], "the same work");
    for ask in [feed_watch(0), feed_ack(1), feed_delete(), feed_create(&[1; 32], FeedKind::Group)] {
        let mut client = net.session(0);
        assert_refused(&net.ask(&mut client, None, ask), Reason::NotYours);
    }
    for key in [&stranger, &feed.read] {
        let (mut client, blob) = (net.session(0), net.blob());
        let key = Some((Role::FeedWrite, key));
        net.send(&mut client, key, feed_put(&blob, false), Some(&blob));
        net.settle();
        assert_refused(&net.reply(&mut client).0, Reason::NotYours);
    }
}

#[test]
fn create_needs_work_for_its_kind_admission_and_room() {
    let hard = CoreConfig { proof_of_work_bits: 12, feeds_max: 1, ..config() };
    let closed = CoreConfig { admission: Admission::Closed, ..config() };
    let mut net = Net::new(vec![hard, closed]);
    let (key, mut client) = (net.key(), net.session(0));
    let auth = Some((Role::FeedRead, &key));
    let plain = feed_create(&[1; 32], FeedKind::Group);
    assert_refused(&net.ask(&mut client, auth, plain.clone()), Reason::ProofOfWork);
    let id = super::request::id_of(Role::FeedRead, &key.public_key());
    let context = *client.info.context();
    let challenge =
        Challenge { purpose: Purpose::Feed, context: &context, object_id: &id, size: 21 };
    let mut search = Search::new(&challenge, 12, 0).unwrap();
    let proof_of_work = std::iter::repeat_with(|| search.advance()).flatten().next().unwrap();
    let worked = |kind: FeedKind| {
        let (write_public_key, kind) = (vec![1; 32], kind.into());
        Ask::FeedCreate(wire::FeedCreate { write_public_key, kind, proof_of_work })
    };
    assert_refused(&net.ask(&mut client, None, worked(FeedKind::Case)), Reason::ProofOfWork);
    assert_done(&net.ask(&mut client, None, worked(FeedKind::Group)));
    // Repeated, it needs none.
    assert_done(&net.ask(&mut client, None, plain.clone()));
    let mut refused = net.session(1);
    assert_refused(&net.ask(&mut refused, auth, plain), Reason::NotAdmitted);
}

#[test]
fn feeds_in_all_are_bounded_and_only_one_that_was_never_written_to_is_deleted() {
    let mut net = Net::new(vec![CoreConfig { feeds_max: 1, ..config() }]);
    let mut feed = Feed::group(&mut net);
    let (key, mut client) = (net.key(), net.session(0));
    let auth = Some((Role::FeedRead, &key));
    let make = feed_create(&[1; 32], FeedKind::Group);
    assert_refused(&net.ask(&mut client, auth, make.clone()), Reason::NoRoom);
    let blobs = feed.fill(&mut net, 1);
    assert_refused(&net.ask(&mut feed.reader, None, feed_delete()), Reason::Mismatch);
    assert_eq!(feed.entries(&mut net), blobs);

    let mut net = Net::new(vec![CoreConfig { feeds_max: 1, ..config() }]);
    let mut feed = Feed::group(&mut net);
    assert_done(&net.ask(&mut feed.reader, None, feed_delete()));
    assert_refused(&net.ask(&mut feed.reader, None, feed_get(0, 1)), Reason::NotYours);
    assert_eq!(net.relays[0].store().range(Space::Rows, b"a", b"t", 9).unwrap(), []);
    let mut client = net.session(0);
    assert_done(&net.ask(&mut client, Some((Role::FeedRead, &key)), make));
}

#[test]
fn a_full_feed_says_so_and_still_takes_what_names_an_object() {
    let mut net = Net::new(vec![CoreConfig { feed_entries_max: 3, ..config() }]);
    let mut feed = Feed::group(&mut net);
    let blobs = feed.fill(&mut net, 3);
    let late = net.blob();
    assert_refused(&feed.put(&mut net, &late), Reason::Full);
    // What comes behind it waits for it, and what is there is repeated all the same in another session.
    assert_refused(&feed.put(&mut net, &blobs[0]), Reason::Full);
    feed.again(&mut net);
    assert_done(&feed.put(&mut net, &blobs[0]));
    let mut object = Object::complete(&mut net, 1, 24);
    let entry = net.blob();
    assert_done(&object.name(&mut net, &feed, &entry));
    assert_eq!(feed.entries(&mut net), [blobs, vec![entry]].concat());
}

#[test]
fn a_disk_without_room_and_a_relay_that_has_closed_take_no_entry() {
    let mut net = Net::one();
    let mut feed = Feed::group(&mut net);
    net.relays[0].set_disk_bytes(u64::MAX);
    let blob = net.blob();
    assert_refused(&feed.put(&mut net, &blob), Reason::NoRoom);
    net.relays[0].set_disk_bytes(0);
    assert_done(&feed.put(&mut net, &blob));
    let notice = wire::Decommission { on_ms: net.now.0, successor: String::new() };
    net.relays[0].set_notice(net.now, Some(notice));
    let late = net.blob();
    assert_refused(&feed.put(&mut net, &late), Reason::NotAdmitted);
    assert_eq!(feed.entries(&mut net), [blob]);
}

#[test]
fn one_session_serves_one_feed_and_nothing_of_a_mailbox() {
    for (first, second) in [
        (Role::FeedRead, Role::FeedRead),
        (Role::FeedRead, Role::Receive),
        (Role::FeedRead, Role::FeedWrite),
        (Role::FeedWrite, Role::FeedWrite),
        (Role::FeedWrite, Role::Send),
    ] {
        let mut net = Net::one();
        let (one, two, mut client) = (net.key(), net.key(), net.session(0));
        let blob = net.blob();
        let ask = |role| match role {
            Role::FeedRead => (feed_get(0, 1), None),
            Role::Receive => (get(0, 1), None),
            Role::FeedWrite => (feed_put(&blob, false), Some(&blob)),
            _ => (put(&blob), Some(&blob)),
        };
        let (command, beside) = ask(first);
        net.send(&mut client, Some((first, &one)), command, beside);
        net.settle();
        assert_refused(&net.reply(&mut client).0, Reason::NotYours);
        let (command, beside) = ask(second);
        net.send(&mut client, Some((second, &two)), command, beside);
        net.settle();
        assert_refused(&net.reply(&mut client).0, Reason::Malformed);
        assert!(net.close_of(&client).is_some(), "{first:?} and {second:?}");
    }
}

#[test]
fn a_key_of_a_mailbox_opens_no_feed_nor_the_other_way_round_though_it_is_the_same_key() {
    let mut net = Net::one();
    let mut feed = Feed::group(&mut net);
    let blobs = feed.fill(&mut net, 1);
    let mut mailbox = net.mailbox(0);
    let letter = net.blob();
    assert_done(&net.put(&mut mailbox, &letter));
    let mut client = net.session(0);
    let as_mailbox = Some((Role::Receive, &feed.read));
    assert_refused(&net.ask(&mut client, as_mailbox, get(0, 1)), Reason::NotYours);
    let mut client = net.session(0);
    let as_feed = Some((Role::FeedRead, &mailbox.receive));
    assert_refused(&net.ask(&mut client, as_feed, feed_get(0, 1)), Reason::NotYours);
    assert_eq!(feed.entries(&mut net), blobs);
    assert_eq!(net.waiting(&mut mailbox), [letter]);
}

#[test]
fn an_entry_moved_to_another_position_or_feed_is_given_to_nobody() {
    for between_feeds in [false, true] {
        let mut net = Net::one();
        let mut feeds = [Feed::group(&mut net), Feed::group(&mut net)];
        feeds.iter_mut().for_each(|feed| drop(feed.fill(&mut net, 2)));
        let store = net.relays[0].store();
        let space = Space::Day(store.days()[0]);
        let rows = store.range(space, b"e", b"f", 9).unwrap();
        let with = if between_feeds { 2 } else { 1 };
        let mut moved = crate::store::Batch::default();
        for (at, from) in [(0, with), (with, 0), (3 - with, 3), (3, 3 - with)] {
            moved.put(space, rows[at].key.clone(), rows[from].value.clone());
        }
        store.commit(moved).unwrap();
        for feed in &mut feeds {
            assert_eq!(feed.get(&mut net, 0, 2), Err(Reason::Busy));
        }
    }
}

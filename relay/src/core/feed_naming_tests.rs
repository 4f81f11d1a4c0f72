//! Entries that name an object: once, complete, with its key, and living as long.

use hearken_proto::time::{DAY_MS, HOUR_MS, UnixMillis};
use hearken_proto::wire::{FeedKind, Reason, Role};

use super::testing::{Net, assert_done, assert_refused};
use super::testing_feeds::{Feed, Object, feed_put};
use crate::store::{Space, Store, StoreError};

/// The chunks that lie in each day's space.
fn chunks_by_day(net: &Net) -> Vec<(u32, usize)> {
    let store = net.relays[0].store();
    let days = store.days().into_iter();
    let count = |day| store.range(Space::Day(day), b"k", b"l", 999).unwrap().len();
    days.map(|day| (day.0, count(day))).filter(|(_, chunks)| *chunks > 0).collect()
}

#[test]
fn an_object_that_an_entry_names_lives_to_the_end_of_the_entrys_last_day_and_no_longer() {
    let mut net = Net::one();
    let mut feed = Feed::group(&mut net);
    // It would go after an hour, and its chunks lie in the space of the next day.
    let mut object = Object::complete(&mut net, 3, 1);
    let today = net.now.day().0;
    assert_eq!(chunks_by_day(&net), [(today + 1, 3)]);
    let entry = net.blob();
    assert_done(&object.name(&mut net, &feed, &entry));
    assert_eq!(chunks_by_day(&net), [(today + 21, 3)], "moved with the entry");
    let end = (u64::from(today) + 22) * DAY_MS;
    net.now = UnixMillis(end - HOUR_MS);
    net.pass(0);
    assert!(object.is_readable(&mut net));
    feed.again(&mut net);
    assert_eq!(feed.entries(&mut net), [entry]);
    net.now = UnixMillis(end);
    net.pass(0);
    assert!(!object.is_readable(&mut net));
    feed.again(&mut net);
    assert_eq!(feed.get(&mut net, 0, 1), Err(Reason::Gap));
    assert!(net.relays[0].store().days().iter().all(|day| day.0 > today + 21));
    assert_eq!(net.relays[0].store().range(Space::Rows, b"o", b"p", 9).unwrap(), []);
}

#[test]
fn an_object_that_asked_for_longer_goes_with_the_entry_all_the_same() {
    let mut net = Net::one();
    let feed = Feed::group(&mut net);
    let mut object = Object::complete(&mut net, 1, 504);
    let before = chunks_by_day(&net);
    let entry = net.blob();
    assert_done(&object.name(&mut net, &feed, &entry));
    assert_eq!(chunks_by_day(&net), before, "nothing had to be moved");
    net.now = UnixMillis((u64::from(net.now.day().0) + 22) * DAY_MS);
    net.pass(0);
    assert!(!object.is_readable(&mut net));
}

#[test]
fn a_case_keeps_entry_and_object_four_hundred_days() {
    let mut net = Net::one();
    let mut feed = Feed::new(&mut net, FeedKind::Case);
    let mut object = Object::complete(&mut net, 2, 504);
    let entry = net.blob();
    assert_done(&object.name(&mut net, &feed, &entry));
    let today = u64::from(net.now.day().0);
    net.now = UnixMillis((today + 401) * DAY_MS - 1);
    net.pass(0);
    feed.again(&mut net);
    assert_eq!(feed.entries(&mut net), [entry]);
    assert!(object.is_readable(&mut net));
    net.now = UnixMillis((today + 401) * DAY_MS);
    net.pass(0);
    feed.again(&mut net);
    // The feed went with its last entry's last day.
    assert_eq!(feed.get(&mut net, 0, 1), Err(Reason::NotYours));
    assert!(!object.is_readable(&mut net));
}

#[test]
fn the_same_entry_again_is_success_and_any_other_that_names_the_object_is_refused() {
    let mut net = Net::one();
    let (mut feed, other_feed) = (Feed::group(&mut net), Feed::group(&mut net));
    let mut object = Object::complete(&mut net, 2, 24);
    let entry = net.blob();
    assert_done(&object.name(&mut net, &feed, &entry));
    assert_done(&object.name(&mut net, &feed, &entry));
    let other = net.blob();
    assert_refused(&object.name(&mut net, &feed, &other), Reason::Named);
    // What was refused for good holds nothing back: the same session goes on.
    assert_done(&object.name(&mut net, &feed, &entry));
    assert_done(&object.again(&mut net));
    assert_done(&object.name(&mut net, &feed, &entry));
    assert_done(&object.again(&mut net));
    assert_refused(&object.name(&mut net, &other_feed, &entry), Reason::Named);
    assert_eq!(feed.entries(&mut net), [entry]);
    assert!(object.is_readable(&mut net));
}

#[test]
fn the_same_bytes_that_name_another_object_or_none_are_another_entry() {
    let mut net = Net::one();
    let mut feed = Feed::group(&mut net);
    let (mut one, mut two) = (Object::complete(&mut net, 1, 24), Object::complete(&mut net, 1, 24));
    let (entry, plain) = (net.blob(), net.blob());
    assert_done(&one.name(&mut net, &feed, &entry));
    assert_refused(&two.name(&mut net, &feed, &entry), Reason::Mismatch);
    assert_refused(&feed.put(&mut net, &entry), Reason::Mismatch);
    assert_done(&feed.put(&mut net, &plain));
    assert_refused(&two.name(&mut net, &feed, &plain), Reason::Mismatch);
    assert_eq!(feed.entries(&mut net), [entry, plain]);
    let other = net.blob();
    assert_done(&two.name(&mut net, &feed, &other));
}

#[test]
fn an_object_that_is_incomplete_expired_or_whose_key_was_not_proven_is_named_by_nothing() {
    let mut net = Net::one();
    let mut feed = Feed::group(&mut net);
    let entry = net.blob();
    let mut object = Object::declared(&mut net, 2, 1);
    assert_refused(&object.name(&mut net, &feed, &entry), Reason::NoObject);
    assert_done(&object.put_chunk(&mut net, 0));
    assert_refused(&object.name(&mut net, &feed, &entry), Reason::NoObject);
    assert_done(&object.put_chunk(&mut net, 1));
    // A session without the object's key.
    let mut client = net.session(0);
    let key = Some((Role::FeedWrite, &feed.write));
    net.send(&mut client, key, feed_put(&entry, true), Some(&entry));
    net.settle();
    assert_refused(&net.reply(&mut client).0, Reason::NoObject);
    assert_eq!(feed.entries(&mut net), []);
    net.pass(2 * 3_600);
    // A declaration anew proves the key, and is of another object under the same id that is not complete.
    assert_done(&object.again(&mut net));
    assert_refused(&object.name(&mut net, &feed, &entry), Reason::NoObject);
    feed.again(&mut net);
    assert_eq!(feed.entries(&mut net), []);
    (0..2).for_each(|index| assert_done(&object.put_chunk(&mut net, index)));
    assert_done(&object.name(&mut net, &feed, &entry));
}

#[test]
fn an_object_too_large_to_be_moved_at_once_is_not_named() {
    let mut net = Net::one();
    let feed = Feed::group(&mut net);
    let mut object = Object::complete(&mut net, 513, 24);
    let entry = net.blob();
    assert_refused(&object.name(&mut net, &feed, &entry), Reason::Malformed);
    assert!(object.is_readable(&mut net));
}

#[test]
fn what_an_entry_names_is_not_deleted_by_its_writer_and_takes_its_chunks_again() {
    let mut net = Net::one();
    let feed = Feed::group(&mut net);
    let mut object = Object::complete(&mut net, 2, 1);
    let entry = net.blob();
    assert_done(&object.name(&mut net, &feed, &entry));
    assert_refused(&object.delete(&mut net), Reason::Named);
    assert_done(&object.put_chunk(&mut net, 1));
    assert!(object.is_readable(&mut net));
}

#[test]
fn a_crash_before_the_commit_leaves_neither_entry_nor_name_and_after_it_both() {
    let mut net = Net::one();
    let mut feed = Feed::group(&mut net);
    let mut object = Object::complete(&mut net, 2, 1);
    let (lost, entry) = (net.blob(), net.blob());
    net.relays[0].store().fail_commits(1, StoreError::Busy);
    assert_refused(&object.name(&mut net, &feed, &lost), Reason::Busy);
    let crash = |net: &mut Net| {
        let relay = net.relays.remove(0);
        net.relays.insert(0, relay.crash(net.now, &mut net.rng));
    };
    crash(&mut net);
    feed.again(&mut net);
    assert_eq!(feed.entries(&mut net), []);
    assert_done(&object.again(&mut net));
    assert_done(&object.name(&mut net, &feed, &entry));
    crash(&mut net);
    feed.again(&mut net);
    assert_eq!(feed.entries(&mut net), std::slice::from_ref(&entry));
    net.pass(3 * 3_600);
    assert!(object.is_readable(&mut net), "it lives on as the entry does");
    assert_done(&object.again(&mut net));
    assert_done(&object.name(&mut net, &feed, &entry));
    assert_refused(&object.name(&mut net, &feed, &lost), Reason::Named);
}

//! Watching a mailbox, from the outside: what is pushed, when, to how many, and what it notes.

use hearken_proto::wire::reply::Reply as Say;
use hearken_proto::wire::{Reason, Role};

use super::testing::{Client, Mailbox, Net, ack, assert_done, assert_refused, watch};
use crate::store::{Space, Store, StoreError};

#[test]
fn watch_pushes_sixteen_beyond_the_last_ack_and_goes_on_after_it() {
    let mut net = Net::one();
    let mut mailbox = net.mailbox(0);
    let Say::Watching(watching) = net.ask(&mut mailbox.reader, None, watch(0)) else { panic!() };
    assert_eq!(watching.newest, 0);
    for _ in 0..40 {
        let blob = net.blob();
        assert_done(&net.put(&mut mailbox, &blob));
    }
    let positions = |replies: Vec<Say>| -> Vec<u64> {
        replies
            .into_iter()
            .map(|reply| match reply {
                Say::Push(push) => push.position,
                other => panic!("{other:?}"),
            })
            .collect()
    };
    let replies = net.replies(&mut mailbox.reader);
    let first = positions(replies);
    assert_eq!(first.len(), 16);
    assert_done(&net.ask(&mut mailbox.reader, None, ack(first[4])));
    let replies = net.replies(&mut mailbox.reader);
    let second = positions(replies);
    assert_eq!(second.len(), 5);
    assert!(first.iter().chain(&second).is_sorted_by(|a, b| a < b));
    assert_done(&net.ask(&mut mailbox.reader, None, ack(second[4])));
    let replies = net.replies(&mut mailbox.reader);
    assert_eq!(positions(replies).len(), 16);
}

#[test]
fn a_push_comes_only_after_the_commit() {
    let mut net = Net::one();
    let mut mailbox = net.mailbox(0);
    net.ask(&mut mailbox.reader, None, watch(0));
    net.relays[0].hold_store(true);
    let blob = net.blob();
    net.send_put(&mut mailbox, &blob);
    net.settle();
    assert_eq!(net.arrived_len(0, mailbox.reader.link), 0);
    net.relays[0].store().fail_commits(1, StoreError::Busy);
    net.relays[0].hold_store(false);
    net.settle();
    assert_eq!(net.arrived_len(0, mailbox.reader.link), 0, "a push of what was not committed");
    assert_refused(&net.reply(&mut mailbox.sender).0, Reason::Busy);
    assert_done(&net.put(&mut mailbox, &blob));
    assert!(matches!(net.reply(&mut mailbox.reader).0, Say::Push(_)));
}

#[test]
fn watching_tells_the_newest_that_waits() {
    let mut net = Net::one();
    let mut mailbox = net.mailbox(0);
    let blob = net.blob();
    assert_done(&net.put(&mut mailbox, &blob));
    let position = net.get(&mut mailbox, 0, 1)[0].0;
    let newest = |net: &mut Net, client: &mut Client, after| {
        let Say::Watching(watching) = net.ask(client, None, watch(after)) else { panic!() };
        watching.newest
    };
    assert_eq!(newest(&mut net, &mut mailbox.reader, position), 0);
    assert_eq!(newest(&mut net, &mut mailbox.reader, 0), position);
    net.replies(&mut mailbox.reader);
    assert_done(&net.ask(&mut mailbox.reader, None, ack(position)));
    assert_eq!(newest(&mut net, &mut mailbox.reader, 0), 0);
}

#[test]
fn four_sessions_watch_a_mailbox_and_a_fifth_ends_the_oldest() {
    let mut net = Net::one();
    let mailbox = net.mailbox(0);
    let mut watchers = Vec::new();
    for _ in 0..5 {
        let mut client = net.session(0);
        let key = Some((Role::Receive, &mailbox.receive));
        assert!(matches!(net.ask(&mut client, key, watch(0)), Say::Watching(_)));
        watchers.push(client);
    }
    assert!(net.close_of(&watchers[0]).is_some());
    assert!(watchers[1..].iter().all(|client| net.close_of(client).is_none()));
    assert_eq!(net.relays[0].totals().watches, 4);
}

#[test]
fn a_watch_that_was_refused_watches_nothing() {
    let mut net = Net::one();
    let (key, link) = (net.key(), net.link(0));
    let mut client = net.open(0, link);
    let auth = Some((Role::Receive, &key));
    assert_refused(&net.ask(&mut client, auth, watch(0)), Reason::NotYours);
    assert_eq!(net.relays[0].totals().watches, 0);
}

#[test]
fn a_reader_that_has_come_so_far_is_given_a_blob_without_another_read() {
    let mut net = Net::one();
    let mut mailbox = net.mailbox(0);
    let reply = net.ask(&mut mailbox.reader, None, watch(0));
    assert!(matches!(reply, Say::Watching(_)), "{reply:?}");
    // The first is read: only then is it known that nothing lies before it.
    let first = net.blob();
    assert_done(&net.put(&mut mailbox, &first));
    assert_eq!(net.reply(&mut mailbox.reader).1, Some(first));
    let ranges = net.relays[0].store().ranges();
    for pushed in 2..=4 {
        let blob = net.blob();
        assert_done(&net.put(&mut mailbox, &blob));
        assert_eq!(net.reply(&mut mailbox.reader).1, Some(blob));
        assert_eq!(net.relays[0].totals().deliveries, pushed);
    }
    assert_eq!(net.relays[0].store().ranges(), ranges);
}

#[test]
fn no_watch_has_the_store_asked_for_more_than_it_may_be() {
    let mut net = Net::one();
    let mut mailbox = net.mailbox(0);
    assert!(matches!(net.ask(&mut mailbox.reader, None, watch(0)), Say::Watching(_)));
    // Whoever watches is to have the blob read.
    net.relays[0].set_lie(|_| {});
    let blob = net.blob();
    net.relays[0].hold_store(true);
    net.send_put(&mut mailbox, &blob);
    net.settle();
    net.relays[0].crowd_store(super::STORE_REQUESTS_MAX);
    net.relays[0].hold_store(false);
    net.settle();
    assert_done(&net.reply(&mut mailbox.sender).0);
    assert_eq!(net.arrived_len(0, mailbox.reader.link), 0);
    net.relays[0].crowd_store(0);
    net.pass(0);
    assert_eq!(net.reply(&mut mailbox.reader).1, Some(blob));
}

#[test]
fn a_watch_notes_the_visit_once_a_day() {
    let mut net = Net::one();
    let mut mailbox = net.mailbox(0);
    net.pass(24 * 3_600);
    let commits = [0, 1].map(|_| {
        mailbox.reader = net.session(0);
        let before = net.relays[0].store().totals().commits;
        let key = Some((Role::Receive, &mailbox.receive));
        assert!(matches!(net.ask(&mut mailbox.reader, key, watch(0)), Say::Watching(_)));
        net.relays[0].store().totals().commits - before
    });
    assert_eq!(commits, [1, 0]);
}

#[test]
fn a_push_after_midnight_counts_as_a_visit_once_that_day() {
    let mut net = Net::one();
    let mut mailbox = net.mailbox(0);
    let idle_day = |net: &Net| {
        let rows = net.relays[0].store().range(Space::Rows, b"i", b"j", 9).unwrap();
        assert_eq!(rows.len(), 1);
        u32::from_be_bytes(rows[0].key[1..5].try_into().unwrap())
    };
    // A session that watches from before midnight until after it.
    net.pass(11 * 3_600 + 1_800);
    let today = net.now.day().0;
    mailbox.reader = net.session(0);
    let key = Some((Role::Receive, &mailbox.receive));
    assert!(matches!(net.ask(&mut mailbox.reader, key, watch(0)), Say::Watching(_)));
    // Once one was read, the next are handed on without a read.
    let blob = net.blob();
    mailbox.sender = net.session(0);
    assert_done(&net.put(&mut mailbox, &blob));
    assert_eq!(net.reply(&mut mailbox.reader).1, Some(blob));
    net.pass(1_800 + 60);
    assert_eq!((net.now.day().0, idle_day(&net)), (today + 1, today));
    let put_costs = |net: &mut Net, mailbox: &mut Mailbox| {
        let (before, blob) = (net.relays[0].store().totals().commits, net.blob());
        assert_done(&net.put(mailbox, &blob));
        assert!(matches!(net.reply(&mut mailbox.reader), (Say::Push(_), Some(_))));
        net.relays[0].store().totals().commits - before
    };
    assert_eq!(put_costs(&mut net, &mut mailbox), 2, "the visit is noted");
    assert_eq!(idle_day(&net), today + 1);
    assert_eq!(put_costs(&mut net, &mut mailbox), 1, "noted again");
}

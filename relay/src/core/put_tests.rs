//! Putting into a mailbox, from the outside: after which commit, how often, and in what order behind a refusal.

use hearken_proto::payload::Blob;
use hearken_proto::wire::reply::Reply as Say;
use hearken_proto::wire::{Reason, Role};

use super::CoreConfig;
use super::testing::{
    Mailbox, Net, ack, assert_done, assert_refused, config, create, create_for, delete, get, put,
};
use crate::store::StoreError;

/// Sends puts that one commit takes and that fail with it, and another before their sender learns of that.
fn send_behind_a_failing_commit(
    net: &mut Net,
    mailbox: &mut Mailbox,
    failing: &[Blob],
    behind: &Blob,
) {
    net.relays[0].store().fail_commits(1, StoreError::Full);
    net.relays[0].hold_store(true);
    for blob in failing {
        net.send_put(mailbox, blob);
    }
    net.settle();
    net.relays[0].hold_store(false);
    let _ = net.relays[0].run_stalled(net.now, &mut net.rng);
    net.send_put(mailbox, behind);
    net.settle();
}

#[test]
fn a_put_is_acknowledged_only_after_the_commit() {
    let mut net = Net::one();
    let mut mailbox = net.mailbox(0);
    let blob = net.blob();
    net.relays[0].hold_store(true);
    net.send_put(&mut mailbox, &blob);
    net.settle();
    assert_eq!(net.arrived_len(0, mailbox.sender.link), 0, "acknowledged before the commit");
    net.relays[0].hold_store(false);
    net.settle();
    assert_done(&net.reply(&mut mailbox.sender).0);
}

#[test]
fn a_blob_put_again_changes_nothing_even_after_it_was_acknowledged() {
    let mut net = Net::one();
    let mut mailbox = net.mailbox(0);
    let blob = net.blob();
    assert_done(&net.put(&mut mailbox, &blob));
    assert_done(&net.put(&mut mailbox, &blob));
    let got = net.get(&mut mailbox, 0, 16);
    assert_eq!(got.len(), 1);
    assert_done(&net.ask(&mut mailbox.reader, None, ack(got[0].0)));
    net.pass(20 * 24 * 3_600);
    mailbox.sender = net.session(0);
    mailbox.reader = net.session(0);
    mailbox.has_put = false;
    assert_done(&net.put(&mut mailbox, &blob));
    let key = Some((Role::Receive, &mailbox.receive));
    assert!(matches!(net.ask(&mut mailbox.reader, key, get(0, 1)), Say::Empty(_)));
    assert_eq!(net.relays[0].totals().puts_repeated, 2);
}

#[test]
fn a_mailbox_made_again_takes_a_blob_that_its_predecessor_was_given() {
    let mut net = Net::one();
    let mut mailbox = net.mailbox(0);
    let blob = net.blob();
    assert_done(&net.put(&mut mailbox, &blob));
    assert_done(&net.ask(&mut mailbox.reader, None, delete()));
    assert_refused(&net.put(&mut mailbox, &blob), Reason::NotYours);
    let again = create_for(&mailbox.send.public_key());
    assert_done(&net.ask(&mut mailbox.reader, None, again));
    // A session of its own: the first one must put again what it was refused before anything else.
    let other = net.blob();
    let mut session = net.session(0);
    net.send(&mut session, Some((Role::Send, &mailbox.send)), put(&other), Some(&other));
    net.settle();
    assert_done(&net.reply(&mut session).0);
    assert_done(&net.put(&mut mailbox, &blob));
    assert_eq!(net.waiting(&mut mailbox), [other, blob]);
}

#[test]
fn a_full_mailbox_refuses_and_has_room_again_after_an_ack() {
    let mut net = Net::new(vec![CoreConfig { mailbox_blobs_max: 3, ..config() }]);
    let mut mailbox = net.mailbox(0);
    for _ in 0..3 {
        let blob = net.blob();
        assert_done(&net.put(&mut mailbox, &blob));
    }
    let blob = net.blob();
    assert_refused(&net.put(&mut mailbox, &blob), Reason::Full);
    let got = net.get(&mut mailbox, 0, 16);
    assert_done(&net.ask(&mut mailbox.reader, None, ack(got[0].0)));
    assert_done(&net.put(&mut mailbox, &blob));
}

#[test]
fn behind_a_refused_put_all_are_refused_until_it_comes_again_pipelined_or_not() {
    let mut net = Net::new(vec![CoreConfig { mailbox_blobs_max: 2, ..config() }]);
    let mut mailbox = net.mailbox(0);
    let blobs: Vec<_> = (0..5).map(|_| net.blob()).collect();
    for blob in &blobs[..2] {
        assert_done(&net.put(&mut mailbox, blob));
    }
    let got = net.get(&mut mailbox, 0, 16);
    // The third is refused; room is made while the fourth and fifth are on their way.
    net.relays[0].hold_store(true);
    net.send_put(&mut mailbox, &blobs[2]);
    net.send(&mut mailbox.reader, None, ack(got[1].0), None);
    net.settle();
    net.send_put(&mut mailbox, &blobs[3]);
    net.send_put(&mut mailbox, &blobs[4]);
    net.settle();
    net.relays[0].hold_store(false);
    net.settle();
    for _ in 2..5 {
        assert_refused(&net.reply(&mut mailbox.sender).0, Reason::Full);
    }
    assert_done(&net.reply(&mut mailbox.reader).0);
    assert_refused(&net.put(&mut mailbox, &blobs[3]), Reason::Full);
    assert_done(&net.put(&mut mailbox, &blobs[2]));
    assert_done(&net.put(&mut mailbox, &blobs[3]));
    assert_eq!(net.get(&mut mailbox, 0, 16).len(), 2);
}

#[test]
fn behind_a_put_whose_commit_failed_all_are_refused_until_it_comes_again() {
    let mut net = Net::one();
    let mut mailbox = net.mailbox(0);
    let blobs: Vec<_> = (0..3).map(|_| net.blob()).collect();
    send_behind_a_failing_commit(&mut net, &mut mailbox, &blobs[..1], &blobs[1]);
    assert_refused(&net.reply(&mut mailbox.sender).0, Reason::NoRoom);
    assert_refused(&net.reply(&mut mailbox.sender).0, Reason::Busy);
    assert_refused(&net.put(&mut mailbox, &blobs[2]), Reason::Busy);
    for blob in &blobs {
        assert_done(&net.put(&mut mailbox, blob));
    }
    assert_eq!(net.waiting(&mut mailbox), blobs);
}

#[test]
fn of_two_puts_whose_one_commit_failed_neither_passes_the_other() {
    let mut net = Net::one();
    let mut mailbox = net.mailbox(0);
    let blobs: Vec<_> = (0..3).map(|_| net.blob()).collect();
    send_behind_a_failing_commit(&mut net, &mut mailbox, &blobs[..2], &blobs[2]);
    for reason in [Reason::NoRoom, Reason::NoRoom, Reason::Busy] {
        assert_refused(&net.reply(&mut mailbox.sender).0, reason);
    }
    assert_refused(&net.put(&mut mailbox, &blobs[1]), Reason::Busy);
    for blob in &blobs {
        assert_done(&net.put(&mut mailbox, blob));
    }
    assert_eq!(net.waiting(&mut mailbox), blobs);
}

#[test]
fn a_put_that_was_refused_in_a_batch_whose_commit_failed_passes_none_of_that_batch() {
    let mut net = Net::new(vec![CoreConfig { mailbox_blobs_max: 2, ..config() }]);
    let mut mailbox = net.mailbox(0);
    let blobs: Vec<_> = (0..3).map(|_| net.blob()).collect();
    net.relays[0].store().fail_commits(1, StoreError::Full);
    net.relays[0].hold_store(true);
    // The third finds the mailbox full of two that are never committed.
    for blob in &blobs {
        net.send_put(&mut mailbox, blob);
    }
    net.settle();
    net.relays[0].hold_store(false);
    net.settle();
    for _ in &blobs {
        assert_refused(&net.reply(&mut mailbox.sender).0, Reason::NoRoom);
    }
    assert_refused(&net.put(&mut mailbox, &blobs[2]), Reason::Busy);
    for blob in &blobs[..2] {
        assert_done(&net.put(&mut mailbox, blob));
    }
    assert_refused(&net.put(&mut mailbox, &blobs[2]), Reason::Full);
    assert_eq!(net.waiting(&mut mailbox), blobs[..2]);
}

#[test]
fn a_new_session_is_not_held_to_what_an_earlier_one_was_refused() {
    let mut net = Net::new(vec![CoreConfig { mailbox_blobs_max: 1, ..config() }]);
    let mut mailbox = net.mailbox(0);
    let blobs: Vec<_> = (0..2).map(|_| net.blob()).collect();
    assert_done(&net.put(&mut mailbox, &blobs[0]));
    assert_refused(&net.put(&mut mailbox, &blobs[1]), Reason::Full);
    mailbox.sender = net.session(0);
    mailbox.has_put = false;
    let got = net.get(&mut mailbox, 0, 1);
    assert_done(&net.ask(&mut mailbox.reader, None, ack(got[0].0)));
    let other = net.blob();
    assert_done(&net.put(&mut mailbox, &other));
}

#[test]
fn a_disk_over_its_quota_takes_nothing_and_gives_what_is_there() {
    let mut net = Net::new(vec![CoreConfig { storage_bytes_max: 1_000, ..config() }]);
    let mut mailbox = net.mailbox(0);
    let blobs = [net.blob(), net.blob()];
    assert_done(&net.put(&mut mailbox, &blobs[0]));
    net.relays[0].set_disk_bytes(1_000);
    assert_refused(&net.put(&mut mailbox, &blobs[1]), Reason::NoRoom);
    assert_eq!(net.get(&mut mailbox, 0, 1).len(), 1);
    let (mut client, key) = (net.session(0), net.key());
    let reply = net.ask(&mut client, Some((Role::Receive, &key)), create(&[1; 32]));
    assert_refused(&reply, Reason::NoRoom);
    net.relays[0].set_disk_bytes(999);
    assert_done(&net.put(&mut mailbox, &blobs[1]));
}

#[test]
fn what_one_session_puts_says_nothing_of_what_another_was_refused() {
    let mut net = Net::new(vec![CoreConfig { mailbox_blobs_max: 1, ..config() }]);
    let (mut full, mut other) = (net.mailbox(0), net.mailbox(0));
    let blobs: Vec<_> = (0..4).map(|_| net.blob()).collect();
    assert_done(&net.put(&mut full, &blobs[0]));
    assert_refused(&net.put(&mut full, &blobs[1]), Reason::Full);
    assert_done(&net.put(&mut other, &blobs[2]));
    // The reason of the one before it, which came to another session.
    assert_refused(&net.put(&mut full, &blobs[3]), Reason::Full);
}

//! Mailboxes from the outside: cells in, cells out.

use hearken_proto::time::{DAY_MS, HOUR_MS, UnixMillis};
use hearken_proto::wire::command::Command as Ask;
use hearken_proto::wire::reply::Reply as Say;
use hearken_proto::wire::{self, Reason, Role};

use super::testing::{Net, ack, assert_done, assert_refused, config, get, ping, put, watch};
use super::{Admission, CoreConfig};
use crate::store::{Batch, MemoryStore, Space, Store, StoreError};

fn create(claim: &[u8; 32]) -> Ask {
    Ask::Create(wire::Create { claim_public_key: claim.to_vec(), ..wire::Create::default() })
}

fn claim(sender: &[u8; 32]) -> Ask {
    Ask::Claim(wire::Claim { sender_public_key: sender.to_vec() })
}

#[test]
fn what_is_put_is_got_in_order_and_gone_once_acknowledged() {
    let mut net = Net::one();
    let mut mailbox = net.mailbox(0);
    let blobs: Vec<_> = (0..5).map(|_| net.blob()).collect();
    for blob in &blobs {
        assert_done(&net.put(&mut mailbox, blob));
    }
    let got = net.get(&mut mailbox, 0, 16);
    assert_eq!(
        got.iter().map(|(_, blob)| blob).collect::<Vec<_>>(),
        blobs.iter().collect::<Vec<_>>()
    );
    assert!(got.is_sorted_by(|a, b| a.0 < b.0));
    assert_eq!(net.get(&mut mailbox, got[1].0, 2), got[2..4]);
    assert_done(&net.ask(&mut mailbox.reader, None, ack(got[2].0)));
    assert_eq!(net.get(&mut mailbox, 0, 16), got[3..]);
    assert_done(&net.ask(&mut mailbox.reader, None, ack(u64::MAX)));
    assert_eq!(net.get(&mut mailbox, 0, 16), []);
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
    let link = net.link(0);
    mailbox.sender = net.open(0, link);
    let link = net.link(0);
    mailbox.reader = net.open(0, link);
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
    let delete = Ask::Delete(wire::Delete { role: Role::Receive.into() });
    assert_done(&net.ask(&mut mailbox.reader, None, delete));
    assert_refused(&net.put(&mut mailbox, &blob), Reason::NotYours);
    let again = Ask::Create(wire::Create {
        sender_public_key: mailbox.send.public_key().to_vec(),
        ..wire::Create::default()
    });
    assert_done(&net.ask(&mut mailbox.reader, None, again));
    // A session of its own: the first one must put again what it was refused before anything else.
    let (link, other) = (net.link(0), net.blob());
    let mut session = net.open(0, link);
    net.send(&mut session, Some((Role::Send, &mailbox.send)), put(&other), Some(&other));
    net.settle();
    assert_done(&net.reply(&mut session).0);
    assert_done(&net.put(&mut mailbox, &blob));
    let got: Vec<_> = net.get(&mut mailbox, 0, 16).into_iter().map(|(_, blob)| blob).collect();
    assert_eq!(got, [other, blob]);
}

#[test]
fn create_repeated_is_success_and_with_other_keys_a_mismatch() {
    let mut net = Net::one();
    let mut mailbox = net.mailbox(0);
    let same = create(&mailbox.claim.public_key());
    assert_done(&net.ask(&mut mailbox.reader, None, same));
    let other = create(&net.key().public_key());
    assert_refused(&net.ask(&mut mailbox.reader, None, other), Reason::Mismatch);
    let link = net.link(0);
    let mut thief = net.open(0, link);
    let key = net.key();
    let taken = create(&mailbox.claim.public_key());
    let reply = net.ask(&mut thief, Some((Role::Receive, &key)), taken);
    assert_refused(&reply, Reason::Mismatch);
}

#[test]
fn a_claim_works_once_and_others_are_refused_counted_and_shown() {
    let mut net = Net::one();
    let mut mailbox = net.mailbox(0);
    let same = claim(&mailbox.send.public_key());
    assert_done(&net.ask(&mut mailbox.sender, None, same));
    for _ in 0..2 {
        let link = net.link(0);
        let mut second = net.open(0, link);
        let other = claim(&net.key().public_key());
        let reply = net.ask(&mut second, Some((Role::Claim, &mailbox.claim)), other);
        assert_refused(&reply, Reason::Claimed);
    }
    let Say::Watching(watching) = net.ask(&mut mailbox.reader, None, watch(0)) else { panic!() };
    assert_eq!((watching.claims_refused, watching.claimed), (2, true));
}

#[test]
fn a_sender_of_one_mailbox_is_never_that_of_another() {
    let mut net = Net::one();
    let mut mailbox = net.mailbox(0);
    let (key, claim_key, own) = (net.key(), net.key(), net.key());
    let taken = mailbox.send.public_key();
    let link = net.link(0);
    let mut thief = net.open(0, link);
    let make =
        Ask::Create(wire::Create { sender_public_key: taken.to_vec(), ..wire::Create::default() });
    let reader = Some((Role::Receive, &key));
    assert_refused(&net.ask(&mut thief, reader, make.clone()), Reason::Mismatch);
    assert_done(&net.ask(&mut thief, None, create(&claim_key.public_key())));
    assert_refused(&net.ask(&mut thief, None, make), Reason::Mismatch);
    let link = net.link(0);
    let mut joiner = net.open(0, link);
    let claimer = Some((Role::Claim, &claim_key));
    assert_refused(&net.ask(&mut joiner, claimer, claim(&taken)), Reason::Mismatch);
    let link = net.link(0);
    let mut joiner = net.open(0, link);
    assert_done(&net.ask(&mut joiner, claimer, claim(&own.public_key())));
    let blob = net.blob();
    assert_done(&net.put(&mut mailbox, &blob));
    let came = net.get(&mut mailbox, 0, 16);
    assert_eq!(came.into_iter().map(|(_, blob)| blob).collect::<Vec<_>>(), [blob]);
}

#[test]
fn a_reader_says_who_its_sender_is_where_the_relay_lost_the_claim() {
    let mut net = Net::one();
    let (key, claim_key, sender) = (net.key(), net.key(), net.key());
    let link = net.link(0);
    let mut reader = net.open(0, link);
    let made = create(&claim_key.public_key());
    assert_done(&net.ask(&mut reader, Some((Role::Receive, &key)), made));
    let again = |sender: &[u8; 32]| {
        Ask::Create(wire::Create { sender_public_key: sender.to_vec(), ..wire::Create::default() })
    };
    assert_done(&net.ask(&mut reader, None, again(&sender.public_key())));
    assert_done(&net.ask(&mut reader, None, again(&sender.public_key())));
    assert_refused(&net.ask(&mut reader, None, again(&[8; 32])), Reason::Mismatch);
    let link = net.link(0);
    let mut late = net.open(0, link);
    let reply = net.ask(&mut late, Some((Role::Claim, &claim_key)), claim(&[9; 32]));
    assert_refused(&reply, Reason::Claimed);
    let (link, blob) = (net.link(0), net.blob());
    let mut writer = net.open(0, link);
    net.send(&mut writer, Some((Role::Send, &sender)), put(&blob), Some(&blob));
    net.settle();
    assert_done(&net.reply(&mut writer).0);
}

#[test]
fn a_relay_that_has_closed_takes_no_claim_and_no_put_and_gives_out_what_it_has() {
    let on_ms = super::testing::START.0 + DAY_MS;
    let notice = wire::Decommission { on_ms, successor: String::new() };
    let mut net = Net::new(vec![CoreConfig { decommission: Some(notice), ..config() }]);
    let mut mailbox = net.mailbox(0);
    let (blob, late) = (net.blob(), net.blob());
    assert_done(&net.put(&mut mailbox, &blob));
    let (key, claim_key) = (net.key(), net.key());
    let link = net.link(0);
    let mut reader = net.open(0, link);
    let made = create(&claim_key.public_key());
    assert_done(&net.ask(&mut reader, Some((Role::Receive, &key)), made));
    net.pass(DAY_MS / 1_000);
    let link = net.link(0);
    let mut joiner = net.open(0, link);
    let reply = net.ask(&mut joiner, Some((Role::Claim, &claim_key)), claim(&[9; 32]));
    assert_refused(&reply, Reason::NotAdmitted);
    let (reader_link, sender_link) = (net.link(0), net.link(0));
    mailbox.reader = net.open(0, reader_link);
    mailbox.sender = net.open(0, sender_link);
    mailbox.has_put = false;
    assert_refused(&net.put(&mut mailbox, &late), Reason::NotAdmitted);
    let receive = Some((Role::Receive, &mailbox.receive));
    net.send(&mut mailbox.reader, receive, get(0, 1), None);
    net.settle();
    assert_eq!(net.reply(&mut mailbox.reader).1, Some(blob));
}

#[test]
fn a_mailbox_made_again_for_its_sender_takes_no_claim() {
    let mut net = Net::one();
    let mut mailbox = net.mailbox(0);
    let delete = Ask::Delete(wire::Delete { role: Role::Receive.into() });
    assert_done(&net.ask(&mut mailbox.reader, None, delete));
    let again = Ask::Create(wire::Create {
        sender_public_key: mailbox.send.public_key().to_vec(),
        ..wire::Create::default()
    });
    assert_done(&net.ask(&mut mailbox.reader, None, again));
    let link = net.link(0);
    let mut second = net.open(0, link);
    let other = claim(&net.key().public_key());
    let reply = net.ask(&mut second, Some((Role::Claim, &mailbox.claim)), other);
    assert_refused(&reply, Reason::NotYours);
}

#[test]
fn missing_expired_and_wrong_keys_get_one_answer_of_as_many_cells() {
    let mut net = Net::one();
    let mailbox = net.mailbox(0);
    let stranger = net.key();
    // Nobody's mailbox; somebody else's with a proof by another key; no proof at all.
    for which in 0..3 {
        let link = net.link(0);
        let mut client = net.open(0, link);
        let mut auth = client.auth(Role::Receive, &stranger);
        if which == 1 {
            auth.public_key = mailbox.receive.public_key().to_vec();
        }
        let auth = (which < 2).then_some(auth);
        let command = wire::Command { auth, command: Some(get(0, 3)) };
        let cell = client.seal_command(&command, None, &mut net.rng);
        net.post(0, link, cell);
        net.settle();
        let replies = net.replies(&mut client);
        assert_eq!(replies.len(), 3, "{which}");
        assert_refused(&replies[0], Reason::NotYours);
        assert!(replies[1..].iter().all(|reply| matches!(reply, Say::Empty(_))));
    }
    for ask in [ack(1), watch(0), claim(&[1; 32])] {
        let link = net.link(0);
        let mut client = net.open(0, link);
        assert_refused(&net.ask(&mut client, None, ask), Reason::NotYours);
    }
    let (link, blob) = (net.link(0), net.blob());
    let mut client = net.open(0, link);
    net.send(&mut client, Some((Role::Send, &stranger)), put(&blob), Some(&blob));
    net.settle();
    assert_refused(&net.reply(&mut client).0, Reason::NotYours);
    // Each looked a row up, proven or not: the same work.
    assert!(net.relays[0].store().rows_read() > 0);
}

#[test]
fn a_wrong_key_costs_the_store_as_many_reads_as_a_missing_mailbox() {
    let mut net = Net::one();
    let mailbox = net.mailbox(0);
    let stranger = net.key();
    let mut reads = Vec::new();
    for is_wrong in [false, true] {
        let link = net.link(0);
        let mut client = net.open(0, link);
        let mut auth = client.auth(Role::Receive, &stranger);
        if is_wrong {
            auth.public_key = mailbox.receive.public_key().to_vec();
        }
        let command = wire::Command { auth: Some(auth), command: Some(get(0, 1)) };
        let cell = client.seal_command(&command, None, &mut net.rng);
        let before = net.relays[0].store().rows_read();
        net.post(0, link, cell);
        net.settle();
        reads.push(net.relays[0].store().rows_read() - before);
    }
    assert_eq!(reads[0], reads[1]);
    assert!(reads[0] > 0);
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
    net.relays[0].store().fail_commits(1, StoreError::Full);
    net.relays[0].hold_store(true);
    net.send_put(&mut mailbox, &blobs[0]);
    net.settle();
    net.relays[0].hold_store(false);
    // On its way before the sender learns that the first failed.
    let _ = net.relays[0].run_stalled(net.now, &mut net.rng);
    net.send_put(&mut mailbox, &blobs[1]);
    net.settle();
    assert_refused(&net.reply(&mut mailbox.sender).0, Reason::NoRoom);
    assert_refused(&net.reply(&mut mailbox.sender).0, Reason::Busy);
    assert_refused(&net.put(&mut mailbox, &blobs[2]), Reason::Busy);
    for blob in &blobs {
        assert_done(&net.put(&mut mailbox, blob));
    }
    let got: Vec<_> = net.get(&mut mailbox, 0, 16).into_iter().map(|(_, blob)| blob).collect();
    assert_eq!(got, blobs);
}

#[test]
fn of_two_puts_whose_one_commit_failed_neither_passes_the_other() {
    let mut net = Net::one();
    let mut mailbox = net.mailbox(0);
    let blobs: Vec<_> = (0..3).map(|_| net.blob()).collect();
    net.relays[0].store().fail_commits(1, StoreError::Full);
    net.relays[0].hold_store(true);
    net.send_put(&mut mailbox, &blobs[0]);
    net.send_put(&mut mailbox, &blobs[1]);
    net.settle();
    net.relays[0].hold_store(false);
    // On its way before the sender learns that the two failed.
    let _ = net.relays[0].run_stalled(net.now, &mut net.rng);
    net.send_put(&mut mailbox, &blobs[2]);
    net.settle();
    for reason in [Reason::NoRoom, Reason::NoRoom, Reason::Busy] {
        assert_refused(&net.reply(&mut mailbox.sender).0, reason);
    }
    assert_refused(&net.put(&mut mailbox, &blobs[1]), Reason::Busy);
    for blob in &blobs {
        assert_done(&net.put(&mut mailbox, blob));
    }
    let got: Vec<_> = net.get(&mut mailbox, 0, 16).into_iter().map(|(_, blob)| blob).collect();
    assert_eq!(got, blobs);
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
    let got: Vec<_> = net.get(&mut mailbox, 0, 16).into_iter().map(|(_, blob)| blob).collect();
    assert_eq!(got, blobs[..2]);
}

#[test]
fn a_new_session_is_not_held_to_what_an_earlier_one_was_refused() {
    let mut net = Net::new(vec![CoreConfig { mailbox_blobs_max: 1, ..config() }]);
    let mut mailbox = net.mailbox(0);
    let blobs: Vec<_> = (0..2).map(|_| net.blob()).collect();
    assert_done(&net.put(&mut mailbox, &blobs[0]));
    assert_refused(&net.put(&mut mailbox, &blobs[1]), Reason::Full);
    let link = net.link(0);
    mailbox.sender = net.open(0, link);
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
    let link = net.link(0);
    let (mut client, key) = (net.open(0, link), net.key());
    let reply = net.ask(&mut client, Some((Role::Receive, &key)), create(&[1; 32]));
    assert_refused(&reply, Reason::NoRoom);
    net.relays[0].set_disk_bytes(999);
    assert_done(&net.put(&mut mailbox, &blobs[1]));
}

#[test]
fn create_needs_work_admission_and_room() {
    use hearken_proto::pow::{Challenge, Purpose, Search};
    let hard = CoreConfig { proof_of_work_bits: 12, mailboxes_max: 1, ..config() };
    let closed = CoreConfig { admission: Admission::Closed, ..config() };
    let mut net = Net::new(vec![hard, closed]);
    let key = net.key();
    let link = net.link(0);
    let mut client = net.open(0, link);
    let auth = Some((Role::Receive, &key));
    assert_refused(&net.ask(&mut client, auth, create(&[1; 32])), Reason::ProofOfWork);
    let id = super::request::id_of(Role::Receive, &key.public_key());
    let context = *client.info.context();
    let challenge =
        Challenge { purpose: Purpose::Mailbox, context: &context, object_id: &id, size: 0 };
    let mut search = Search::new(&challenge, 12, 0).unwrap();
    let proof_of_work = std::iter::repeat_with(|| search.advance()).flatten().next().unwrap();
    let worked = |claim: u8| {
        let claim_public_key = vec![claim; 32];
        Ask::Create(wire::Create { claim_public_key, proof_of_work, ..wire::Create::default() })
    };
    assert_done(&net.ask(&mut client, None, worked(1)));
    // It was work for that mailbox, and there is room for one only.
    let link = net.link(0);
    let (mut other, other_key) = (net.open(0, link), net.key());
    let reply = net.ask(&mut other, Some((Role::Receive, &other_key)), worked(2));
    assert_refused(&reply, Reason::ProofOfWork);
    // Repeated, it needs none.
    assert_done(&net.ask(&mut client, None, create(&[1; 32])));
    let link = net.link(1);
    let mut refused = net.open(1, link);
    assert_refused(&net.ask(&mut refused, auth, create(&[1; 32])), Reason::NotAdmitted);
}

#[test]
fn mailboxes_in_all_are_bounded_and_deleting_one_makes_room() {
    let mut net = Net::new(vec![CoreConfig { mailboxes_max: 1, ..config() }]);
    let mut first = net.mailbox(0);
    let link = net.link(0);
    let (mut client, key) = (net.open(0, link), net.key());
    let auth = Some((Role::Receive, &key));
    assert_refused(&net.ask(&mut client, auth, create(&[1; 32])), Reason::NoRoom);
    let delete = Ask::Delete(wire::Delete { role: Role::Receive.into() });
    assert_done(&net.ask(&mut first.reader, None, delete));
    assert_done(&net.ask(&mut client, None, create(&[1; 32])));
}

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
    let newest = |net: &mut Net, client: &mut super::testing::Client, after| {
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
        let link = net.link(0);
        let mut client = net.open(0, link);
        let key = Some((Role::Receive, &mailbox.receive));
        assert!(matches!(net.ask(&mut client, key, watch(0)), Say::Watching(_)));
        watchers.push(client);
    }
    assert!(net.close_of(&watchers[0]).is_some());
    assert!(watchers[1..].iter().all(|client| net.close_of(client).is_none()));
    assert_eq!(net.relays[0].totals().watches, 4);
}

#[test]
fn an_hour_bucket_after_21_days_a_blob_is_not_delivered_and_a_day_later_its_key_is_gone() {
    let mut net = Net::one();
    let mut mailbox = net.mailbox(0);
    let blob = net.blob();
    assert_done(&net.put(&mut mailbox, &blob));
    let backup = net.relays[0].store().snapshot();
    let put_hour = net.now.hour();
    let reread = |net: &mut Net, mailbox: &mut super::testing::Mailbox| {
        let link = net.link(0);
        mailbox.reader = net.open(0, link);
        let key = Some((Role::Receive, &mailbox.receive));
        let reply = net.ask(&mut mailbox.reader, key, get(0, 1));
        matches!(reply, Say::Delivery(_))
    };
    let last_hour = UnixMillis((u64::from(put_hour.0) + 21 * 24) * HOUR_MS + HOUR_MS - 1);
    net.now = last_hour;
    net.pass(0);
    assert!(reread(&mut net, &mut mailbox), "within 21 days");
    net.now.0 += 1;
    net.pass(0);
    assert!(!reread(&mut net, &mut mailbox), "its hour is over");
    let day = last_hour.day();
    assert!(net.relays[0].day_keys().days().contains(&day));
    assert!(net.relays[0].store().days().contains(&day));
    net.now = UnixMillis(day.start().0 + DAY_MS);
    net.pass(0);
    assert!(!net.relays[0].day_keys().days().contains(&day), "the key lives on");
    assert!(!net.relays[0].store().days().contains(&day), "the rows live on");
    // A copy of the folder from before holds rows that nobody opens any more.
    let rows = backup.range(Space::Day(day), b"b", b"c", 10).unwrap();
    assert_eq!(rows.len(), 1);
    let sealed = &rows[0].value[4..];
    let aad = [&rows[0].key[1..33], &rows[0].key[33..]].concat();
    let opened = net.relays[0].day_keys().open_sealed(day, &aad, sealed);
    assert_eq!(opened, Err(StoreError::Expired));
}

#[test]
fn a_mailbox_goes_180_days_after_its_reader_last_came() {
    let mut net = Net::one();
    let mut mailbox = net.mailbox(0);
    let come = |net: &mut Net, mailbox: &mut super::testing::Mailbox| {
        let link = net.link(0);
        mailbox.reader = net.open(0, link);
        let key = Some((Role::Receive, &mailbox.receive));
        net.ask(&mut mailbox.reader, key, watch(0))
    };
    net.pass(179 * 24 * 3_600);
    assert!(matches!(come(&mut net, &mut mailbox), Say::Watching(_)));
    net.pass(180 * 24 * 3_600);
    assert!(matches!(come(&mut net, &mut mailbox), Say::Watching(_)), "the visit was not noted");
    net.pass(181 * 24 * 3_600);
    assert_refused(&come(&mut net, &mut mailbox), Reason::NotYours);
    assert_eq!(net.relays[0].store().range(Space::Rows, b"a", b"t", 9).unwrap(), []);
}

#[test]
fn a_cursor_never_stands_above_a_later_blob_though_the_relay_was_restored() {
    let mut net = Net::one();
    let mut mailbox = net.mailbox(0);
    let blobs: Vec<_> = (0..4).map(|_| net.blob()).collect();
    assert_done(&net.put(&mut mailbox, &blobs[0]));
    let backup = net.relays[0].store().snapshot();
    for blob in &blobs[1..3] {
        assert_done(&net.put(&mut mailbox, blob));
    }
    let cursor = net.get(&mut mailbox, 0, 16)[2].0;
    let relay = net.relays.remove(0);
    let store = MemoryStore::restored_from(&backup);
    net.relays.insert(0, relay.restart_on(store, net.now, &mut net.rng));
    let (reader_link, sender_link) = (net.link(0), net.link(0));
    mailbox.reader = net.open(0, reader_link);
    mailbox.sender = net.open(0, sender_link);
    mailbox.has_put = false;
    assert_done(&net.put(&mut mailbox, &blobs[3]));
    let key = Some((Role::Receive, &mailbox.receive));
    let Say::Delivery(delivery) = net.ask(&mut mailbox.reader, key, get(cursor, 1)) else {
        panic!("hidden below the cursor")
    };
    assert!(delivery.position > cursor);
}

#[test]
fn what_was_acknowledged_survives_a_crash() {
    let mut net = Net::one();
    let mut mailbox = net.mailbox(0);
    let blob = net.blob();
    assert_done(&net.put(&mut mailbox, &blob));
    let relay = net.relays.remove(0);
    net.relays.insert(0, relay.crash(net.now, &mut net.rng));
    let link = net.link(0);
    mailbox.reader = net.open(0, link);
    let key = Some((Role::Receive, &mailbox.receive));
    net.send(&mut mailbox.reader, key, get(0, 1), None);
    net.settle();
    assert_eq!(net.reply(&mut mailbox.reader).1, Some(blob));
}

#[test]
fn answers_come_in_the_order_of_the_commands_and_a_read_sees_the_writes_before_it() {
    let mut net = Net::one();
    let (key, link) = (net.key(), net.link(0));
    let mut client = net.open(0, link);
    net.send(&mut client, Some((Role::Receive, &key)), create(&[1; 32]), None);
    net.send(&mut client, None, watch(0), None);
    net.send(&mut client, None, ping(), None);
    net.send(&mut client, None, get(0, 2), None);
    net.settle();
    let replies = net.replies(&mut client);
    assert!(
        matches!(
            replies[..],
            [Say::Done(_), Say::Watching(_), Say::Done(_), Say::Empty(_), Say::Empty(_)]
        ),
        "{replies:?}"
    );
}

#[test]
fn reading_after_many_acknowledged_blobs_costs_what_a_fresh_mailbox_costs() {
    let mut net = Net::one();
    let mut mailbox = net.mailbox(0);
    let cost = |net: &mut Net, mailbox: &mut super::testing::Mailbox| {
        let before = net.relays[0].store().rows_read();
        net.get(mailbox, 0, 4);
        net.relays[0].store().rows_read() - before
    };
    let fresh = cost(&mut net, &mut mailbox);
    for _ in 0..300 {
        let blob = net.blob();
        assert_done(&net.put(&mut mailbox, &blob));
        let got = net.get(&mut mailbox, 0, 1);
        assert_done(&net.ask(&mut mailbox.reader, None, ack(got[0].0)));
    }
    assert!(cost(&mut net, &mut mailbox) <= 2 * fresh);
}

#[test]
fn an_acknowledgement_that_came_before_is_answered_without_a_commit() {
    let mut net = Net::one();
    let mut mailbox = net.mailbox(0);
    for _ in 0..2 {
        let blob = net.blob();
        assert_done(&net.put(&mut mailbox, &blob));
    }
    let cursor = net.get(&mut mailbox, 0, 1)[0].0;
    assert_done(&net.ask(&mut mailbox.reader, None, ack(cursor)));
    let before = net.relays[0].store().totals().commits;
    assert_done(&net.ask(&mut mailbox.reader, None, ack(cursor)));
    assert_done(&net.ask(&mut mailbox.reader, None, ack(cursor - 1)));
    assert_eq!(net.relays[0].store().totals().commits, before);
    assert_eq!(net.get(&mut mailbox, 0, 16).len(), 1);
}

#[test]
fn a_deleted_mailbox_leaves_no_row_but_what_was_put_and_another_loses_none() {
    let mut net = Net::one();
    let (mut mailbox, mut other) = (net.mailbox(0), net.mailbox(0));
    for day in 0..2 {
        for mailbox in [&mut mailbox, &mut other] {
            let link = net.link(0);
            mailbox.sender = net.open(0, link);
            mailbox.has_put = false;
            let blob = net.blob();
            assert_done(&net.put(mailbox, &blob));
        }
        net.pass((1 - day) * 24 * 3_600);
    }
    let link = net.link(0);
    mailbox.reader = net.open(0, link);
    let delete = Ask::Delete(wire::Delete { role: Role::Receive.into() });
    let key = Some((Role::Receive, &mailbox.receive));
    assert_done(&net.ask(&mut mailbox.reader, key, delete));
    let store = net.relays[0].store();
    let days = store.days();
    let rows = days.iter().map(|day| store.range(Space::Day(*day), b"b", b"c", 9).unwrap());
    assert_eq!(rows.map(|rows| rows.len()).collect::<Vec<_>>(), [1, 1], "of the other one");
    let rows = store.range(Space::Rows, b"a", b"t", 9).unwrap();
    let kinds: Vec<u8> = rows.iter().map(|row| row.key[0]).collect();
    assert_eq!(kinds, *b"cims", "the other's claim, idle day, row and sender");
    let link = net.link(0);
    other.reader = net.open(0, link);
    let key = Some((Role::Receive, &other.receive));
    assert!(matches!(net.ask(&mut other.reader, key, get(0, 1)), Say::Delivery(_)));
}

#[test]
fn a_blob_moved_to_another_position_or_mailbox_is_given_to_nobody() {
    for between_mailboxes in [false, true] {
        let mut net = Net::one();
        let (mut mailbox, mut other) = (net.mailbox(0), net.mailbox(0));
        for mailbox in [&mut mailbox, &mut other] {
            for _ in 0..2 {
                let blob = net.blob();
                assert_done(&net.put(mailbox, &blob));
            }
        }
        let store = net.relays[0].store();
        let space = Space::Day(store.days()[0]);
        let rows = store.range(space, b"b", b"c", 9).unwrap();
        // By mailbox, then by position: both mailboxes give the same ones.
        let with = if between_mailboxes { 2 } else { 1 };
        assert_eq!(rows[0].key[33..] == rows[with].key[33..], between_mailboxes);
        let mut moved = Batch::default();
        for (at, from) in [(0, with), (with, 0), (3 - with, 3), (3, 3 - with)] {
            moved.put(space, rows[at].key.clone(), rows[from].value.clone());
        }
        store.commit(moved).unwrap();
        for mailbox in [&mut mailbox, &mut other] {
            let reply = net.ask(&mut mailbox.reader, None, get(0, 1));
            assert!(matches!(reply, Say::Refused(_)), "{reply:?}");
        }
    }
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
    let link = net.link(0);
    mailbox.reader = net.open(0, link);
    let key = Some((Role::Receive, &mailbox.receive));
    assert!(matches!(net.ask(&mut mailbox.reader, key, watch(0)), Say::Watching(_)));
    net.pass(1_800 + 60);
    assert_eq!((net.now.day().0, idle_day(&net)), (today + 1, today));
    let link = net.link(0);
    mailbox.sender = net.open(0, link);
    let put_costs = |net: &mut Net, mailbox: &mut super::testing::Mailbox| {
        let (before, blob) = (net.relays[0].store().totals().commits, net.blob());
        assert_done(&net.put(mailbox, &blob));
        assert!(matches!(net.reply(&mut mailbox.reader), (Say::Push(_), Some(_))));
        net.relays[0].store().totals().commits - before
    };
    assert_eq!(put_costs(&mut net, &mut mailbox), 2, "the visit is noted");
    assert_eq!(idle_day(&net), today + 1);
    assert_eq!(put_costs(&mut net, &mut mailbox), 1, "noted again");
}

#[test]
fn work_that_was_begun_before_midnight_holds_after_it() {
    use hearken_proto::pow::{Challenge, Purpose, Search};
    let mut net = Net::new(vec![CoreConfig { proof_of_work_bits: 12, ..config() }]);
    let (key, link) = (net.key(), net.link(0));
    let context = *net.open(0, link).info.context();
    let object_id = super::request::id_of(Role::Receive, &key.public_key());
    let challenge =
        Challenge { purpose: Purpose::Mailbox, context: &context, object_id: &object_id, size: 0 };
    let mut search = Search::new(&challenge, 12, 0).unwrap();
    let proof_of_work = std::iter::repeat_with(|| search.advance()).flatten().next().unwrap();
    net.pass(13 * 3_600);
    let link = net.link(0);
    let mut client = net.open(0, link);
    assert_ne!(client.info.context().key_epoch, context.key_epoch);
    let made = Ask::Create(wire::Create {
        claim_public_key: vec![1; 32],
        proof_of_work,
        ..wire::Create::default()
    });
    assert_done(&net.ask(&mut client, Some((Role::Receive, &key)), made));
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

/// New sessions of a mailbox: those from before time passed have ended.
fn come_again(net: &mut Net, mailbox: &mut super::testing::Mailbox) {
    let (reader_link, sender_link) = (net.link(0), net.link(0));
    (mailbox.reader, mailbox.sender) = (net.open(0, reader_link), net.open(0, sender_link));
    mailbox.has_put = false;
    let key = Some((Role::Receive, &mailbox.receive));
    assert_done(&net.ask(&mut mailbox.reader, key, ack(0)));
}

/// What a `Get` costs the store: ranges, and rows beside the mailbox's own.
fn cost_of_get(net: &mut Net, mailbox: &mut super::testing::Mailbox, max: u32) -> (u64, u64) {
    let before = (net.relays[0].store().ranges(), net.relays[0].store().rows_read());
    net.get(mailbox, 0, max);
    let store = net.relays[0].store();
    (store.ranges() - before.0, store.rows_read() - before.1 - 1)
}

#[test]
fn a_get_looks_only_into_days_in_which_something_waits_and_no_further_than_it_has_to() {
    let mut net = Net::one();
    let mut mailbox = net.mailbox(0);
    let put = |net: &mut Net, mailbox: &mut super::testing::Mailbox, count: usize| {
        for _ in 0..count {
            let blob = net.blob();
            assert_done(&net.put(mailbox, &blob));
        }
    };
    put(&mut net, &mut mailbox, 1);
    assert_done(&net.ask(&mut mailbox.reader, None, ack(u64::MAX)));
    assert_eq!(cost_of_get(&mut net, &mut mailbox, 16), (0, 0), "all acknowledged");
    net.pass(24 * 3_600);
    come_again(&mut net, &mut mailbox);
    put(&mut net, &mut mailbox, 9);
    assert_eq!(cost_of_get(&mut net, &mut mailbox, 16), (1, 9));
    assert_eq!(cost_of_get(&mut net, &mut mailbox, 4), (1, 4));
    net.pass(24 * 3_600);
    come_again(&mut net, &mut mailbox);
    put(&mut net, &mut mailbox, 3);
    assert_eq!(cost_of_get(&mut net, &mut mailbox, 4), (1, 4), "the first day had enough");
    assert_eq!(cost_of_get(&mut net, &mut mailbox, 16), (2, 12));
    net.pass(30 * 24 * 3_600);
    come_again(&mut net, &mut mailbox);
    assert_eq!(cost_of_get(&mut net, &mut mailbox, 16), (0, 0), "those days are over");
}

#[test]
fn blobs_come_in_the_order_of_their_positions_though_the_relays_clock_went_back_between() {
    let mut net = Net::one();
    let mut mailbox = net.mailbox(0);
    net.pass(24 * 3_600);
    let mut blobs = Vec::new();
    for at in 0..4 {
        net.now.0 = if at % 2 == 0 { net.now.0 + DAY_MS } else { net.now.0 - DAY_MS };
        net.pass(0);
        come_again(&mut net, &mut mailbox);
        blobs.push(net.blob());
        assert_done(&net.put(&mut mailbox, &blobs[at]));
    }
    for max in 1..=4 {
        let got = net.get(&mut mailbox, 0, max);
        let got: Vec<_> = got.into_iter().map(|(_, blob)| blob).collect();
        assert_eq!(got, blobs[..max as usize]);
    }
}

#[test]
fn a_reader_that_only_gets_keeps_its_mailbox_and_is_noted_once_a_day() {
    let mut net = Net::one();
    let mut mailbox = net.mailbox(0);
    for _ in 0..3 {
        net.pass(179 * 24 * 3_600);
        let link = net.link(0);
        mailbox.reader = net.open(0, link);
        let commits = [0, 1].map(|_| {
            let before = net.relays[0].store().totals().commits;
            let key = Some((Role::Receive, &mailbox.receive));
            let reply = net.ask(&mut mailbox.reader, key, get(0, 1));
            assert!(matches!(reply, Say::Empty(_)), "{reply:?}");
            net.relays[0].store().totals().commits - before
        });
        assert_eq!(commits, [1, 0]);
    }
}

#[test]
fn a_watch_notes_the_visit_once_a_day() {
    let mut net = Net::one();
    let mut mailbox = net.mailbox(0);
    net.pass(24 * 3_600);
    let commits = [0, 1].map(|_| {
        let link = net.link(0);
        mailbox.reader = net.open(0, link);
        let before = net.relays[0].store().totals().commits;
        let key = Some((Role::Receive, &mailbox.receive));
        assert!(matches!(net.ask(&mut mailbox.reader, key, watch(0)), Say::Watching(_)));
        net.relays[0].store().totals().commits - before
    });
    assert_eq!(commits, [1, 0]);
}

#[test]
fn a_get_passes_over_what_has_expired_however_much_it_is() {
    let mut net = Net::one();
    let mut mailbox = net.mailbox(0);
    for _ in 0..4 {
        let blob = net.blob();
        assert_done(&net.put(&mut mailbox, &blob));
    }
    net.pass(2 * 3_600);
    come_again(&mut net, &mut mailbox);
    let last = net.blob();
    assert_done(&net.put(&mut mailbox, &last));
    net.pass((21 * 24 - 1) * 3_600);
    come_again(&mut net, &mut mailbox);
    for max in [1, 2, 3, 4, 5] {
        let got = net.get(&mut mailbox, 0, max);
        assert_eq!(got.into_iter().map(|(_, blob)| blob).collect::<Vec<_>>(), [last.clone()]);
    }
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

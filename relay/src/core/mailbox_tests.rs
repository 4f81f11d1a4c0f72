//! Whose a mailbox is, from the outside: made, claimed and deleted, and what whoever has no right to it is told.

use hearken_proto::pow::{Challenge, Purpose, Search};
use hearken_proto::time::DAY_MS;
use hearken_proto::wire::command::Command as Ask;
use hearken_proto::wire::reply::Reply as Say;
use hearken_proto::wire::{self, Reason, Role};

use super::testing::{
    Net, START, ack, assert_done, assert_refused, claim, config, create, create_for, delete, get,
    put, watch,
};
use super::{Admission, CoreConfig};
use crate::store::{Space, Store};

#[test]
fn create_repeated_is_success_and_with_other_keys_a_mismatch() {
    let mut net = Net::one();
    let mut mailbox = net.mailbox(0);
    let same = create(&mailbox.claim.public_key());
    assert_done(&net.ask(&mut mailbox.reader, None, same));
    let other = create(&net.key().public_key());
    assert_refused(&net.ask(&mut mailbox.reader, None, other), Reason::Mismatch);
    let mut thief = net.session(0);
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
        let mut second = net.session(0);
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
    let mut thief = net.session(0);
    let make = create_for(&taken);
    let reader = Some((Role::Receive, &key));
    assert_refused(&net.ask(&mut thief, reader, make.clone()), Reason::Mismatch);
    assert_done(&net.ask(&mut thief, None, create(&claim_key.public_key())));
    assert_refused(&net.ask(&mut thief, None, make), Reason::Mismatch);
    let mut joiner = net.session(0);
    let claimer = Some((Role::Claim, &claim_key));
    assert_refused(&net.ask(&mut joiner, claimer, claim(&taken)), Reason::Mismatch);
    let mut joiner = net.session(0);
    assert_done(&net.ask(&mut joiner, claimer, claim(&own.public_key())));
    let blob = net.blob();
    assert_done(&net.put(&mut mailbox, &blob));
    assert_eq!(net.waiting(&mut mailbox), [blob]);
}

#[test]
fn a_reader_says_who_its_sender_is_where_the_relay_lost_the_claim() {
    let mut net = Net::one();
    let (key, claim_key, sender) = (net.key(), net.key(), net.key());
    let mut reader = net.session(0);
    let made = create(&claim_key.public_key());
    assert_done(&net.ask(&mut reader, Some((Role::Receive, &key)), made));
    assert_done(&net.ask(&mut reader, None, create_for(&sender.public_key())));
    assert_done(&net.ask(&mut reader, None, create_for(&sender.public_key())));
    assert_refused(&net.ask(&mut reader, None, create_for(&[8; 32])), Reason::Mismatch);
    let mut late = net.session(0);
    let reply = net.ask(&mut late, Some((Role::Claim, &claim_key)), claim(&[9; 32]));
    assert_refused(&reply, Reason::Claimed);
    let blob = net.blob();
    let mut writer = net.session(0);
    net.send(&mut writer, Some((Role::Send, &sender)), put(&blob), Some(&blob));
    net.settle();
    assert_done(&net.reply(&mut writer).0);
}

#[test]
fn a_relay_that_has_closed_takes_no_claim_and_no_put_and_gives_out_what_it_has() {
    let on_ms = START.0 + DAY_MS;
    let notice = wire::Decommission { on_ms, successor: String::new() };
    let mut net = Net::new(vec![CoreConfig { decommission: Some(notice), ..config() }]);
    let mut mailbox = net.mailbox(0);
    let (blob, late) = (net.blob(), net.blob());
    assert_done(&net.put(&mut mailbox, &blob));
    let (key, claim_key) = (net.key(), net.key());
    let mut reader = net.session(0);
    let made = create(&claim_key.public_key());
    assert_done(&net.ask(&mut reader, Some((Role::Receive, &key)), made));
    net.pass(DAY_MS / 1_000);
    let mut joiner = net.session(0);
    let reply = net.ask(&mut joiner, Some((Role::Claim, &claim_key)), claim(&[9; 32]));
    assert_refused(&reply, Reason::NotAdmitted);
    mailbox.reader = net.session(0);
    mailbox.sender = net.session(0);
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
    assert_done(&net.ask(&mut mailbox.reader, None, delete()));
    let again = create_for(&mailbox.send.public_key());
    assert_done(&net.ask(&mut mailbox.reader, None, again));
    let mut second = net.session(0);
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
        let mut client = net.session(0);
        assert_refused(&net.ask(&mut client, None, ask), Reason::NotYours);
    }
    let blob = net.blob();
    let mut client = net.session(0);
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
fn create_needs_work_admission_and_room() {
    let hard = CoreConfig { proof_of_work_bits: 12, mailboxes_max: 1, ..config() };
    let closed = CoreConfig { admission: Admission::Closed, ..config() };
    let mut net = Net::new(vec![hard, closed]);
    let key = net.key();
    let mut client = net.session(0);
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
    let (mut other, other_key) = (net.session(0), net.key());
    let reply = net.ask(&mut other, Some((Role::Receive, &other_key)), worked(2));
    assert_refused(&reply, Reason::ProofOfWork);
    // Repeated, it needs none.
    assert_done(&net.ask(&mut client, None, create(&[1; 32])));
    let mut refused = net.session(1);
    assert_refused(&net.ask(&mut refused, auth, create(&[1; 32])), Reason::NotAdmitted);
}

#[test]
fn work_that_was_begun_before_midnight_holds_after_it() {
    let mut net = Net::new(vec![CoreConfig { proof_of_work_bits: 12, ..config() }]);
    let (key, link) = (net.key(), net.link(0));
    let context = *net.open(0, link).info.context();
    let object_id = super::request::id_of(Role::Receive, &key.public_key());
    let challenge =
        Challenge { purpose: Purpose::Mailbox, context: &context, object_id: &object_id, size: 0 };
    let mut search = Search::new(&challenge, 12, 0).unwrap();
    let proof_of_work = std::iter::repeat_with(|| search.advance()).flatten().next().unwrap();
    net.pass(13 * 3_600);
    let mut client = net.session(0);
    assert_ne!(client.info.context().key_epoch, context.key_epoch);
    let made = Ask::Create(wire::Create {
        claim_public_key: vec![1; 32],
        proof_of_work,
        ..wire::Create::default()
    });
    assert_done(&net.ask(&mut client, Some((Role::Receive, &key)), made));
}

#[test]
fn mailboxes_in_all_are_bounded_and_deleting_one_makes_room() {
    let mut net = Net::new(vec![CoreConfig { mailboxes_max: 1, ..config() }]);
    let mut first = net.mailbox(0);
    let (mut client, key) = (net.session(0), net.key());
    let auth = Some((Role::Receive, &key));
    assert_refused(&net.ask(&mut client, auth, create(&[1; 32])), Reason::NoRoom);
    assert_done(&net.ask(&mut first.reader, None, delete()));
    assert_done(&net.ask(&mut client, None, create(&[1; 32])));
}

#[test]
fn a_deleted_mailbox_leaves_no_row_but_what_was_put_and_another_loses_none() {
    let mut net = Net::one();
    let (mut mailbox, mut other) = (net.mailbox(0), net.mailbox(0));
    for day in 0..2 {
        for mailbox in [&mut mailbox, &mut other] {
            mailbox.sender = net.session(0);
            mailbox.has_put = false;
            let blob = net.blob();
            assert_done(&net.put(mailbox, &blob));
        }
        net.pass((1 - day) * 24 * 3_600);
    }
    mailbox.reader = net.session(0);
    let key = Some((Role::Receive, &mailbox.receive));
    assert_done(&net.ask(&mut mailbox.reader, key, delete()));
    let store = net.relays[0].store();
    let days = store.days();
    let rows = days.iter().map(|day| store.range(Space::Day(*day), b"b", b"c", 9).unwrap());
    assert_eq!(rows.map(|rows| rows.len()).collect::<Vec<_>>(), [1, 1], "of the other one");
    let rows = store.range(Space::Rows, b"a", b"t", 9).unwrap();
    let kinds: Vec<u8> = rows.iter().map(|row| row.key[0]).collect();
    assert_eq!(kinds, *b"cims", "the other's claim, idle day, row and sender");
    other.reader = net.session(0);
    let key = Some((Role::Receive, &other.receive));
    assert!(matches!(net.ask(&mut other.reader, key, get(0, 1)), Say::Delivery(_)));
}

//! Reading a mailbox, from the outside: got in order, acknowledged, and what that costs the store.

use hearken_proto::time::DAY_MS;
use hearken_proto::wire::Role;
use hearken_proto::wire::reply::Reply as Say;

use super::testing::{Mailbox, Net, ack, assert_done, create, get, ping, watch};
use crate::store::Store;

/// New sessions of a mailbox: those from before time passed have ended.
fn come_again(net: &mut Net, mailbox: &mut Mailbox) {
    (mailbox.reader, mailbox.sender) = (net.session(0), net.session(0));
    mailbox.has_put = false;
    let key = Some((Role::Receive, &mailbox.receive));
    assert_done(&net.ask(&mut mailbox.reader, key, ack(0)));
}

/// What a `Get` costs the store: ranges, and rows beside the mailbox's own.
fn cost_of_get(net: &mut Net, mailbox: &mut Mailbox, max: u32) -> (u64, u64) {
    let before = (net.relays[0].store().ranges(), net.relays[0].store().rows_read());
    net.get(mailbox, 0, max);
    let store = net.relays[0].store();
    (store.ranges() - before.0, store.rows_read() - before.1 - 1)
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
fn reading_after_many_acknowledged_blobs_costs_what_a_fresh_mailbox_costs() {
    let mut net = Net::one();
    let mut mailbox = net.mailbox(0);
    let cost = |net: &mut Net, mailbox: &mut Mailbox| {
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
fn a_get_looks_only_into_days_in_which_something_waits_and_no_further_than_it_has_to() {
    let mut net = Net::one();
    let mut mailbox = net.mailbox(0);
    let put = |net: &mut Net, mailbox: &mut Mailbox, count: usize| {
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
        assert_eq!(got.iter().map(|(_, blob)| blob).collect::<Vec<_>>(), [&last]);
    }
}

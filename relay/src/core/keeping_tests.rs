//! How long a relay keeps blobs and mailboxes, and what stands after a crash or a restore.

use hearken_proto::time::{DAY_MS, HOUR_MS, UnixMillis};
use hearken_proto::wire::reply::Reply as Say;
use hearken_proto::wire::{Reason, Role};

use super::testing::{Mailbox, Net, assert_done, assert_refused, get, watch};
use crate::store::{Batch, MemoryStore, Space, Store, StoreError};

#[test]
fn an_hour_bucket_after_21_days_a_blob_is_not_delivered_and_a_day_later_its_key_is_gone() {
    let mut net = Net::one();
    let mut mailbox = net.mailbox(0);
    let blob = net.blob();
    assert_done(&net.put(&mut mailbox, &blob));
    let backup = net.relays[0].store().snapshot();
    let put_hour = net.now.hour();
    let reread = |net: &mut Net, mailbox: &mut Mailbox| {
        mailbox.reader = net.session(0);
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
    let come = |net: &mut Net, mailbox: &mut Mailbox| {
        mailbox.reader = net.session(0);
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
    mailbox.reader = net.session(0);
    mailbox.sender = net.session(0);
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
    mailbox.reader = net.session(0);
    let key = Some((Role::Receive, &mailbox.receive));
    net.send(&mut mailbox.reader, key, get(0, 1), None);
    net.settle();
    assert_eq!(net.reply(&mut mailbox.reader).1, Some(blob));
}

#[test]
fn a_reader_that_only_gets_keeps_its_mailbox_and_is_noted_once_a_day() {
    let mut net = Net::one();
    let mut mailbox = net.mailbox(0);
    for _ in 0..3 {
        net.pass(179 * 24 * 3_600);
        mailbox.reader = net.session(0);
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

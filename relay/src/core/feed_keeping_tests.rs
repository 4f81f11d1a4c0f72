//! How long a relay keeps entries and feeds, what is a gap to a reader, and what stands after a crash or a restore.

use hearken_proto::time::{DAY_MS, UnixMillis};
use hearken_proto::wire::{FeedKind, Reason, Role};

use super::testing::{Net, assert_done, assert_refused};
use super::testing_feeds::{Feed, Object, feed_create, feed_watch};
use crate::store::{MemoryStore, Space, Store, StoreError};

fn days(net: &mut Net, feed: &mut Feed, days: u64) {
    net.pass(days * 24 * 3_600);
    feed.again(net);
}

fn restore(net: &mut Net, backup: &MemoryStore) {
    let relay = net.relays.remove(0);
    let store = MemoryStore::restored_at(backup, net.now);
    net.relays.insert(0, relay.restart_on(store, net.now, &mut net.rng));
}

#[test]
fn an_entry_is_kept_for_21_days_to_the_end_of_the_last_and_then_its_key_is_gone() {
    let mut net = Net::one();
    let mut feed = Feed::group(&mut net);
    let blobs = feed.fill(&mut net, 1);
    let backup = net.relays[0].store().snapshot();
    let (put, end) = (net.now.day(), UnixMillis((u64::from(net.now.day().0) + 22) * DAY_MS));
    net.now = UnixMillis(end.0 - 1);
    net.pass(0);
    feed.again(&mut net);
    assert_eq!(feed.entries(&mut net), blobs);
    net.now = end;
    net.pass(0);
    feed.again(&mut net);
    assert_eq!(feed.get(&mut net, 0, 1), Err(Reason::Gap));
    let day = hearken_proto::time::UnixDay(put.0 + 21);
    assert!(!net.relays[0].day_keys().days().contains(&day), "the key lives on");
    // A copy of the folder from before holds rows that nobody opens any more.
    let rows = backup.range(Space::Day(day), b"e", b"f", 10).unwrap();
    assert_eq!(rows.len(), 1);
    let aad = [b"feed entry", &rows[0].key[1..]].concat();
    let opened = net.relays[0].day_keys().open_sealed(day, &aad, &rows[0].value);
    assert_eq!(opened, Err(StoreError::Expired));
}

#[test]
fn a_cursor_behind_which_an_entry_was_dropped_is_a_gap_and_one_at_the_end_is_not() {
    let mut net = Net::one();
    let mut feed = Feed::group(&mut net);
    let first = feed.fill(&mut net, 3);
    days(&mut net, &mut feed, 10);
    let second = feed.fill(&mut net, 2);
    let all = feed.get(&mut net, 0, 16).unwrap();
    let at: Vec<u64> = all.iter().map(|(position, _)| *position).collect();
    assert_eq!(all.len(), first.len() + second.len());
    days(&mut net, &mut feed, 12);
    // The first three are dropped, the last two are there.
    for cursor in [0, at[0], at[1]] {
        assert_eq!(feed.get(&mut net, cursor, 16), Err(Reason::Gap), "{cursor}");
    }
    assert_eq!(feed.get(&mut net, at[2], 16), Ok(all[3..].to_vec()));
    assert_eq!(feed.get(&mut net, at[3], 16), Ok(all[4..].to_vec()));
    assert_eq!(feed.get(&mut net, at[4], 16), Ok(vec![]));
    days(&mut net, &mut feed, 10);
    // The feed is emptied.
    for cursor in [0, at[0], at[2], at[3]] {
        assert_eq!(feed.get(&mut net, cursor, 16), Err(Reason::Gap), "{cursor}");
    }
    assert_eq!(feed.get(&mut net, at[4], 16), Ok(vec![]), "at the end of an emptied feed");
    // It goes on, and whoever was at its end misses nothing.
    let third = feed.fill(&mut net, 1);
    let got = feed.get(&mut net, at[4], 16).unwrap();
    assert_eq!((got[0].1.clone(), got.len()), (third[0].clone(), 1));
    assert!(got[0].0 > at[4]);
    assert_eq!(feed.get(&mut net, at[3], 16), Err(Reason::Gap));
}

#[test]
fn a_cursor_that_was_never_given_is_a_gap_to_get_and_to_watch() {
    let mut net = Net::one();
    let mut feed = Feed::group(&mut net);
    for cursor in [1, 77, u64::MAX] {
        assert_eq!(feed.get(&mut net, cursor, 1), Err(Reason::Gap), "{cursor}");
        let reply = net.ask(&mut feed.reader, None, feed_watch(cursor));
        assert_refused(&reply, Reason::Gap);
    }
    assert_eq!(net.relays[0].totals().watches, 0);
    assert_eq!(feed.get(&mut net, 0, 1), Ok(vec![]));
    feed.fill(&mut net, 1);
    let position = feed.get(&mut net, 0, 1).unwrap()[0].0;
    assert_eq!(feed.get(&mut net, position + 1, 1), Err(Reason::Gap));
    assert_eq!(feed.get(&mut net, position, 3), Ok(vec![]));
}

#[test]
fn no_gap_is_filled_and_none_is_made_though_the_relays_clock_went_back_between() {
    let mut net = Net::one();
    let mut feed = Feed::group(&mut net);
    net.pass(24 * 3_600);
    let mut blobs = Vec::new();
    for at in 0..6 {
        net.now.0 = if at % 2 == 0 { net.now.0 + DAY_MS } else { net.now.0 - DAY_MS };
        net.pass(0);
        feed.again(&mut net);
        blobs.extend(feed.fill(&mut net, 1));
    }
    for max in 1..=6 {
        let got = feed.get(&mut net, 0, max).unwrap();
        assert!(got.iter().map(|(_, blob)| blob).eq(&blobs[..max as usize]));
        for (at, (cursor, _)) in got.iter().enumerate() {
            let rest = feed.get(&mut net, *cursor, 16).unwrap();
            assert!(rest.iter().map(|(_, blob)| blob).eq(&blobs[at + 1..]));
        }
    }
    let all = feed.get(&mut net, 0, 16).unwrap();
    // The earlier of both days ends: every second entry is dropped, up to the last.
    net.now = UnixMillis((u64::from(net.now.day().0) + 22) * DAY_MS);
    net.pass(0);
    feed.again(&mut net);
    for (cursor, _) in &all[..5] {
        assert_eq!(feed.get(&mut net, *cursor, 16), Err(Reason::Gap));
    }
    assert_eq!(feed.get(&mut net, all[5].0, 16), Ok(vec![]));
}

#[test]
fn a_feed_goes_four_hundred_days_after_its_last_entry_and_leaves_no_row() {
    let mut net = Net::one();
    let mut feed = Feed::group(&mut net);
    days(&mut net, &mut feed, 399);
    feed.fill(&mut net, 1);
    let cursor = feed.get(&mut net, 0, 1).unwrap()[0].0;
    days(&mut net, &mut feed, 400);
    assert_eq!(feed.get(&mut net, cursor, 1), Ok(vec![]), "reading keeps nothing alive");
    days(&mut net, &mut feed, 1);
    assert_eq!(feed.get(&mut net, cursor, 1), Err(Reason::NotYours));
    assert_eq!(net.relays[0].store().range(Space::Rows, b"a", b"t", 9).unwrap(), []);
    // Made again it begins above every cursor into the earlier one, which is a gap and not silence.
    let key = Some((Role::FeedRead, &feed.read));
    let make = feed_create(&feed.write.public_key(), FeedKind::Group);
    assert_done(&net.ask(&mut feed.reader, key, make));
    assert_eq!(feed.get(&mut net, cursor, 1), Err(Reason::Gap));
    feed.fill(&mut net, 1);
    assert!(feed.get(&mut net, 0, 1).unwrap()[0].0 > cursor);
}

#[test]
fn a_feed_that_has_ended_and_was_not_swept_yet_is_missing_and_can_be_made_anew() {
    let mut net = Net::one();
    let mut feed = Feed::group(&mut net);
    feed.fill(&mut net, 1);
    net.relays[0].hold_store(true);
    net.now.0 += 401 * DAY_MS;
    let blob = net.blob();
    net.relays[0].timeout(net.now, &mut net.rng);
    net.settle();
    net.relays[0].store().fail_commits(1, StoreError::Busy);
    net.relays[0].hold_store(false);
    net.settle();
    feed.again(&mut net);
    assert_eq!(feed.get(&mut net, 0, 1), Err(Reason::NotYours));
    assert_refused(&feed.put(&mut net, &blob), Reason::NotYours);
    let make = feed_create(&feed.write.public_key(), FeedKind::Group);
    assert_done(&net.ask(&mut feed.reader, None, make));
    assert_done(&feed.put(&mut net, &blob));
    assert_eq!(feed.entries(&mut net), [blob]);
}

#[test]
fn what_was_acknowledged_survives_a_crash() {
    let mut net = Net::one();
    let mut feed = Feed::group(&mut net);
    let blobs = feed.fill(&mut net, 3);
    let relay = net.relays.remove(0);
    net.relays.insert(0, relay.crash(net.now, &mut net.rng));
    feed.again(&mut net);
    assert_eq!(feed.entries(&mut net), blobs);
}

#[test]
fn a_restored_feed_passes_messages_on_and_takes_no_entry_that_names_an_object() {
    let mut net = Net::one();
    let mut feed = Feed::group(&mut net);
    let first = feed.fill(&mut net, 2);
    let mut named = Object::complete(&mut net, 1, 504);
    let entry = net.blob();
    assert_done(&named.name(&mut net, &feed, &entry));
    let backup = net.relays[0].store().snapshot();
    let lost = feed.fill(&mut net, 2);
    let before = feed.get(&mut net, 0, 16).unwrap();
    restore(&mut net, &backup);
    feed.again(&mut net);
    // Whoever read what was lost is told, also when something stands behind it again.
    assert_eq!(feed.get(&mut net, before[4].0, 16), Err(Reason::Gap));
    assert_done(&feed.put(&mut net, &lost[1]));
    for (cursor, _) in &before[3..] {
        assert_eq!(feed.get(&mut net, *cursor, 16), Err(Reason::Gap));
    }
    let got = feed.get(&mut net, 0, 16).unwrap();
    assert!(got[3].0 > before[4].0, "a cursor stands above a later entry");
    let mut object = Object::complete(&mut net, 1, 504);
    let other = net.blob();
    assert_refused(&object.name(&mut net, &feed, &other), Reason::Restored);
    // What it took before is repeated as ever.
    assert_done(&named.again(&mut net));
    assert_done(&named.name(&mut net, &feed, &entry));
    assert!(named.is_readable(&mut net));
    let expected = [first, vec![entry, lost[1].clone()]].concat();
    assert_eq!(feed.entries(&mut net), expected);
    // A feed made in the restored life takes them.
    let fresh = Feed::group(&mut net);
    assert_done(&object.again(&mut net));
    assert_done(&object.name(&mut net, &fresh, &other));
}

#[test]
fn days_into_which_nothing_is_put_any_more_are_flushed_also_far_behind() {
    let identity = ed25519_dalek::SigningKey::from_bytes(&[1; 32]);
    let keys = super::EpochKeys::new(Vec::new());
    let mut core =
        super::RelayCore::new(super::testing::config(), identity, keys, super::testing::START);
    core.handle_timeout(super::testing::START, &mut Net::one().rng);
    let mut flushed = Vec::new();
    while let Some(action) = core.poll_action() {
        if let super::Action::FlushDays(days) = action {
            flushed.push(days.start.0..days.end.0);
        }
    }
    let today = super::testing::START.day().0;
    // Mailboxes, groups and objects put into the days between, cases into the last.
    assert_eq!(flushed, [0..today + 21, today + 23..today + 400]);
}

//! Watching a feed: many readers, each with a window of its own, and nothing left of one when its session ends.

use hearken_proto::payload::Blob;
use hearken_proto::time::{DAY_MS, HOUR_MS, UnixMillis};
use hearken_proto::wire::reply::Reply as Say;
use hearken_proto::wire::{Reason, Role};
use proptest::prelude::*;

use super::testing::{Client, Net, assert_done, assert_refused};
use super::testing_feeds::{Feed, feed_ack, feed_watch};
use crate::store::{Store, StoreError};

fn watch(net: &mut Net, feed: &Feed, client: &mut Client, after: u64) -> u64 {
    let reply = net.ask(client, Some((Role::FeedRead, &feed.read)), feed_watch(after));
    let Say::Watching(watching) = reply else { panic!("{reply:?}") };
    assert_eq!((watching.claims_refused, watching.claimed), (0, true));
    watching.newest
}

/// What was pushed since the last time.
fn pushed(net: &mut Net, client: &mut Client) -> Vec<(u64, Blob)> {
    let mut pushed = Vec::new();
    while net.arrived_len(client.relay, client.link) > 0 {
        match net.reply(client) {
            (Say::Push(push), Some(blob)) => pushed.push((push.position, blob)),
            (other, _) => panic!("{other:?}"),
        }
    }
    pushed
}

#[test]
fn each_watcher_is_pushed_sixteen_beyond_what_it_confirmed_whatever_others_do() {
    let mut net = Net::one();
    let mut feed = Feed::group(&mut net);
    let (mut slow, mut fast) = (net.session(0), net.session(0));
    assert_eq!(watch(&mut net, &feed, &mut slow, 0), 0);
    assert_eq!(watch(&mut net, &feed, &mut fast, 0), 0);
    let mut got = Vec::new();
    let mut blobs = Vec::new();
    for _ in 0..4 {
        blobs.extend(feed.fill(&mut net, 10));
        got.extend(pushed(&mut net, &mut fast));
        assert_done(&net.ask(&mut fast, None, feed_ack(got.last().unwrap().0)));
    }
    assert!(got.iter().map(|(_, blob)| blob).eq(&blobs));
    let first = pushed(&mut net, &mut slow);
    assert_eq!(first.len(), 16);
    net.send(&mut slow, None, feed_ack(first[4].0), None);
    net.settle();
    assert_done(&net.reply(&mut slow).0);
    let second = pushed(&mut net, &mut slow);
    assert_eq!(second.len(), 5);
    assert!(first.iter().chain(&second).map(|(_, blob)| blob).eq(&blobs[..21]));
}

#[test]
fn a_push_comes_only_after_the_commit() {
    let mut net = Net::one();
    let mut feed = Feed::group(&mut net);
    let mut client = net.session(0);
    watch(&mut net, &feed, &mut client, 0);
    net.relays[0].store().fail_commits(1, StoreError::Busy);
    let blob = net.blob();
    assert_refused(&feed.put(&mut net, &blob), Reason::Busy);
    assert_eq!(pushed(&mut net, &mut client), []);
    assert_done(&feed.put(&mut net, &blob));
    assert_eq!(pushed(&mut net, &mut client)[0].1, blob);
}

#[test]
fn watching_tells_the_newest_that_waits_behind_the_readers_own_cursor() {
    let mut net = Net::one();
    let mut feed = Feed::group(&mut net);
    feed.fill(&mut net, 3);
    let all = feed.get(&mut net, 0, 16).unwrap();
    for (after, newest) in [(0, all[2].0), (all[0].0, all[2].0), (all[2].0, 0)] {
        let mut client = net.session(0);
        assert_eq!(watch(&mut net, &feed, &mut client, after), newest);
        let behind: Vec<_> = all.iter().filter(|(at, _)| *at > after).cloned().collect();
        assert_eq!(pushed(&mut net, &mut client), behind);
    }
}

#[test]
fn a_confirmation_changes_nothing_in_the_store_and_nothing_for_others() {
    let mut net = Net::one();
    let mut feed = Feed::group(&mut net);
    let blobs = feed.fill(&mut net, 3);
    let mut client = net.session(0);
    watch(&mut net, &feed, &mut client, 0);
    let got = pushed(&mut net, &mut client);
    let before = net.relays[0].store().totals().commits;
    // Not even one far beyond what was ever given.
    for cursor in [got[2].0, u64::MAX] {
        assert_done(&net.ask(&mut client, None, feed_ack(cursor)));
    }
    assert_eq!(net.relays[0].store().totals().commits, before);
    assert_eq!(feed.entries(&mut net), blobs);
    let more = feed.fill(&mut net, 2);
    assert!(pushed(&mut net, &mut client).iter().map(|(_, blob)| blob).eq(&more));
}

#[test]
fn nothing_of_a_reader_is_left_when_its_session_ends_and_it_comes_again_from_its_cursor() {
    let mut net = Net::one();
    let mut feed = Feed::group(&mut net);
    let blobs = feed.fill(&mut net, 20);
    let mut client = net.session(0);
    watch(&mut net, &feed, &mut client, 0);
    let first = pushed(&mut net, &mut client);
    net.relays[0].link_closed(net.now, client.link);
    net.settle();
    assert_eq!(net.relays[0].totals().watches, 0);
    let mut client = net.session(0);
    watch(&mut net, &feed, &mut client, first[15].0);
    let rest = pushed(&mut net, &mut client);
    assert!(first.iter().chain(&rest).map(|(_, blob)| blob).eq(&blobs));
    for link in [client.link, feed.reader.link, feed.writer.link] {
        net.relays[0].link_closed(net.now, link);
    }
    net.settle();
    assert_eq!(net.relays[0].leftovers(), [0; 5]);
}

#[test]
fn as_many_watch_a_feed_as_its_bound_says_and_one_more_ends_the_oldest() {
    let mut net = Net::one();
    net.balances = false;
    let feed = Feed::group(&mut net);
    let link = net.link(0);
    let mut oldest = net.open(0, link);
    watch(&mut net, &feed, &mut oldest, 0);
    let links: Vec<_> = (0..8).map(|_| net.link(0)).collect();
    for at in 0..super::bounds::WATCHES_PER_FEED_MAX {
        let mut client = net.open(0, links[at % 8]);
        watch(&mut net, &feed, &mut client, 0);
    }
    assert!(net.close_of(&oldest).is_some());
    assert_eq!(net.relays[0].totals().watches, 1_024);
}

#[test]
fn a_watch_whose_next_entries_expire_is_ended_and_told_of_the_gap_when_it_comes_again() {
    let mut net = Net::one();
    let mut feed = Feed::group(&mut net);
    feed.fill(&mut net, 20);
    // Half an hour before the entries' day is over.
    let end = (u64::from(net.now.day().0) + 22) * DAY_MS;
    net.now = UnixMillis(end - HOUR_MS / 2);
    net.pass(0);
    let mut client = net.session(0);
    watch(&mut net, &feed, &mut client, 0);
    let first = pushed(&mut net, &mut client);
    assert_eq!(first.len(), 16);
    net.pass(1_800);
    assert!(net.close_of(&client).is_none());
    net.send(&mut client, None, feed_ack(first[15].0), None);
    net.settle();
    assert!(net.close_of(&client).is_some(), "it waits for what does not come");
    let mut client = net.session(0);
    let key = Some((Role::FeedRead, &feed.read));
    assert_refused(&net.ask(&mut client, key, feed_watch(first[15].0)), Reason::Gap);
}

/// What may happen next between a feed, its relay and whoever watches it.
#[derive(Clone, Copy, Debug)]
enum Step {
    /// So many entries are put and committed at once.
    Put(u8),
    /// A reader confirms so many of what it was pushed.
    Confirm(usize, u8),
    /// A reader's link is cut, and it comes again from its cursor: the last that it stored, or what it confirmed.
    Return(usize, bool),
    /// The relay loses power. Everybody comes again.
    Crash,
}

const READERS: usize = 3;

/// A reader, and what it stored.
struct Reader {
    client: Client,
    stored: Vec<(u64, Blob)>,
    confirmed: usize,
}

impl Reader {
    fn new(net: &mut Net, feed: &Feed) -> Self {
        let mut client = net.session(0);
        watch(net, feed, &mut client, 0);
        Self { client, stored: Vec::new(), confirmed: 0 }
    }

    fn cursor(&self) -> u64 {
        self.stored.last().map_or(0, |(position, _)| *position)
    }

    fn comes_again(&mut self, net: &mut Net, feed: &Feed) {
        self.client = net.session(0);
        self.confirmed = self.stored.len();
        let cursor = self.cursor();
        watch(net, feed, &mut self.client, cursor);
    }

    fn reads(&mut self, net: &mut Net) {
        let pushed = pushed(net, &mut self.client);
        self.stored.extend(pushed);
        assert!(self.stored.len() - self.confirmed <= 16, "more than the window");
    }

    fn confirms(&mut self, net: &mut Net, count: usize) {
        self.reads(net);
        self.confirmed = self.stored.len().min(self.confirmed + count);
        if let Some(at) = self.confirmed.checked_sub(1) {
            net.send(&mut self.client, None, feed_ack(self.stored[at].0), None);
            net.settle();
            assert_done(&net.reply(&mut self.client).0);
        }
        self.reads(net);
    }
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (1..12_u8).prop_map(Step::Put),
        4 => (0..READERS, 0..17_u8).prop_map(|(reader, count)| Step::Confirm(reader, count)),
        1 => (0..READERS, any::<bool>()).prop_map(|(reader, early)| Step::Return(reader, early)),
        1 => Just(Step::Crash),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_reader_stores_every_entry_once_and_in_order_whatever_happens(
        steps in proptest::collection::vec(step(), 0..24),
    ) {
        let mut net = Net::one();
        let mut feed = Feed::group(&mut net);
        let mut readers: Vec<_> = (0..READERS).map(|_| Reader::new(&mut net, &feed)).collect();
        let mut model = Vec::new();
        for step in steps {
            match step {
                Step::Put(count) => {
                    let blobs: Vec<_> = (0..count).map(|_| net.blob()).collect();
                    blobs.iter().for_each(|blob| feed.send_put(&mut net, blob));
                    net.settle();
                    for _ in &blobs {
                        assert_done(&net.reply(&mut feed.writer).0);
                    }
                    model.extend(blobs);
                }
                Step::Confirm(reader, count) => readers[reader].confirms(&mut net, count.into()),
                Step::Return(reader, early) => {
                    let reader = &mut readers[reader];
                    // What was pushed and not stored is lost with the session.
                    if !early {
                        reader.reads(&mut net);
                    }
                    net.relays[0].link_closed(net.now, reader.client.link);
                    net.settle();
                    reader.comes_again(&mut net, &feed);
                }
                Step::Crash => {
                    let relay = net.relays.remove(0);
                    net.relays.insert(0, relay.crash(net.now, &mut net.rng));
                    feed.again(&mut net);
                    readers.iter_mut().for_each(|reader| reader.comes_again(&mut net, &feed));
                }
            }
        }
        for reader in &mut readers {
            while reader.stored.len() < model.len() {
                let before = reader.stored.len();
                reader.confirms(&mut net, 16);
                prop_assert!(reader.stored.len() > before || reader.confirmed == before, "stalled");
            }
            prop_assert!(reader.stored.iter().map(|(_, blob)| blob).eq(&model));
        }
    }
}

//! The client's ends of feeds and ways of objects against a whole relay.

use hearken_tests::long;
use hearken_tests::simulation::feeds::{FeedPlant, FeedWorld, Happened, Wrong};

const SEEDS: u64 = 40;
const SEEDS_LONG: u64 = 20_000;

#[test]
fn every_reader_stores_one_and_the_same_feed_whatever_is_cut_or_ends() {
    let seeds = long::share(SEEDS_LONG, SEEDS);
    let mut all = Happened::default();
    for seed in seeds.clone() {
        let happened = FeedWorld::new(seed, 3).run(160);
        let happened = happened.unwrap_or_else(|wrong| panic!("seed {seed}: {wrong:?}"));
        all.entries += happened.entries;
        all.objects += happened.objects;
        all.cuts += happened.cuts;
        all.restarts += happened.restarts;
        all.chunks_again += happened.chunks_again;
    }
    println!("{} worlds: {all:?}", seeds.end - seeds.start);
    // What was to be gone through was gone through.
    assert!(all.cuts > 0 && all.restarts > 0 && all.chunks_again > 0 && all.objects > 0);
}

/// What the first seed finds that finds something, where a fault is planted.
fn found(plant: FeedPlant) -> Option<Wrong> {
    (0..12).find_map(|seed| FeedWorld::new(seed, 3).with(plant).run(160).err())
}

#[test]
fn a_planted_relay_that_leaves_syncs_out_withholds_or_reorders_entries_is_found() {
    for plant in [FeedPlant::Syncs, FeedPlant::Withheld, FeedPlant::Reordered] {
        let found = found(plant);
        println!("{plant:?}: {found:?}");
        assert!(found.is_some(), "{plant:?} went unseen");
    }
}

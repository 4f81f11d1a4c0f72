//! The relay's crash points, and the faults that they show.

use std::path::Path;

use hearken_tests::crash::relay::{Found, Told, open};
use hearken_tests::crash::{Loss, Record, What};

use crate::points::{Trial, points};
use crate::scenario::{LOADER, RELAY, scenario};

/// Losses that are tried at each point of the first start.
const SEEDS: u64 = 8;

fn told() -> Told {
    Told::of(&scenario().record, RELAY, LOADER).unwrap()
}

/// Does something with the trial of a relay that told this.
fn with_trial<T>(told: &Told, work: impl FnOnce(Trial<'_, Found>) -> T) -> T {
    work(Trial {
        wanted: &["relay"],
        open: &|folder| {
            let found = open(&folder.join("relay")).map_err(|error| format!("{error:#}"))?;
            let took = found.took;
            Ok((found, took))
        },
        before: None,
        check: &|found, _, len| told.check(found, len).map_err(|error| format!("{error:#}")),
    })
}

#[test]
fn the_relay_recovers_from_every_crash_point_and_has_lost_nothing_that_it_acknowledged() {
    let scenario = scenario();
    let told = told();
    let (acknowledged, epochs, destroyed) = told.amounts();
    assert!(acknowledged as u64 >= 3 * scenario.amount.blobs && epochs >= 2 && destroyed >= 1);
    let points = points(&scenario.record, &[RELAY]);
    with_trial(&told, |trial| trial.try_all("relay", &scenario.record, &points));
}

#[test]
fn a_first_start_that_was_cut_short_is_begun_again_whatever_names_were_lost() {
    let record = &scenario().record;
    let (ready, _) = record.lines(RELAY)[0];
    let points = points(record, &[RELAY]);
    with_trial(&told(), |trial| {
        let mut tried = 0;
        for len in points.into_iter().filter(|len| *len <= ready) {
            for seed in 0..SEEDS {
                trial.try_point(record, len, Loss::Some(seed)).unwrap();
                tried += 1;
            }
        }
        println!("{tried} first starts");
    });
}

/// Whether the fault is noticed that made `record` of the scenario's, or `told` of what was told.
fn is_noticed(record: &Record, told: &Told) -> bool {
    let points = points(record, &[RELAY]);
    with_trial(told, |trial| trial.first_failure(record, &points)).is_some()
}

fn swallowed_sync_is_noticed(swallowed: impl Fn(&Path) -> bool) -> bool {
    is_noticed(&scenario().record.with_swallowed_syncs(swallowed), &told())
}

#[test]
fn a_swallowed_sync_of_the_journal_is_noticed() {
    let is_journal = |path: &Path| path.extension().is_some_and(|end| end == "jnl");
    assert!(swallowed_sync_is_noticed(is_journal));
}

#[test]
fn a_swallowed_sync_of_a_key_file_is_noticed() {
    let is_key = |path: &Path| path.parent().is_some_and(|folder| folder.ends_with("epoch-keys"));
    assert!(swallowed_sync_is_noticed(is_key));
}

#[test]
fn a_folder_of_keys_that_is_not_synced_is_noticed() {
    assert!(swallowed_sync_is_noticed(|path| path.ends_with("day-keys")));
    assert!(swallowed_sync_is_noticed(|path| path.ends_with("epoch-keys")));
}

#[test]
fn names_of_the_data_folder_and_of_keyspaces_that_are_not_synced_are_noticed() {
    assert!(swallowed_sync_is_noticed(|path| path == Path::new("")));
    assert!(swallowed_sync_is_noticed(|path| path.ends_with("keyspaces")));
}

#[test]
fn an_acknowledgement_before_the_commit_is_noticed() {
    assert!(is_noticed(&scenario().record, &told().with_early_acknowledgements()));
}

#[test]
fn a_key_that_is_destroyed_without_a_sync_is_noticed() {
    let is_key = |path: &Path| path.parent().is_some_and(|folder| folder.ends_with("epoch-keys"));
    let record = &scenario().record;
    let mut keys = record.entries.iter().filter_map(|entry| match &entry.what {
        What::FileMade(path, node) if is_key(path) => Some(*node),
        _ => None,
    });
    // The first key of all, which was synced when it was made and when it was overwritten.
    let first = keys.next().unwrap();
    let sync = record
        .entries
        .iter()
        .rposition(|entry| matches!(entry.what, What::Synced { node, .. } if node == first));
    let mut swallowed = record.clone();
    let What::Synced { begun, .. } = &mut swallowed.entries[sync.unwrap()].what else { panic!() };
    *begun = 0;
    assert!(is_noticed(&swallowed, &told()));
}

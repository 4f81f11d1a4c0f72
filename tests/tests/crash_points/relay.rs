//! The relay's crash points, and the faults that they show.

use std::path::Path;
use std::time::Duration;

use hearken_tests::crash::Record;
use hearken_tests::crash::relay::{Told, open};

use crate::points::{first_failure, points, try_all};
use crate::scenario::{LOADER, RELAY, scenario};

fn told() -> Told {
    Told::of(&scenario().record, RELAY, LOADER).unwrap()
}

fn trial(told: &Told, folder: &Path, len: usize) -> Result<Duration, String> {
    let found = open(&folder.join("relay")).map_err(|error| format!("{error:#}"))?;
    told.check(&found, len).map_err(|error| format!("{error:#}"))?;
    Ok(found.took)
}

#[test]
fn the_relay_recovers_from_every_crash_point_and_has_lost_nothing_that_it_acknowledged() {
    let scenario = scenario();
    let told = told();
    let (acknowledged, epochs) = told.amounts();
    assert!(acknowledged as u64 >= 3 * scenario.amount.blobs && epochs >= 2);
    let points = points(&scenario.record, &[RELAY]);
    let trial = |folder: &Path, len| trial(&told, folder, len);
    try_all("relay", &scenario.record, &points, &["relay"], &trial);
}

/// Whether the fault is noticed that made `record` of the scenario's, or `told` of what was told.
fn is_noticed(record: &Record, told: &Told) -> bool {
    let points = points(record, &[RELAY]);
    let trial = |folder: &Path, len| trial(told, folder, len);
    first_failure(record, &points, &["relay"], &trial).is_some()
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

//! The vaults' crash points, and the faults that they show.

use std::path::Path;
use std::time::Duration;

use hearken_tests::crash::Record;
use hearken_tests::crash::vault::{Told, open};

use crate::points::{first_failure, points, try_all};
use crate::scenario::{AMINA, BEN, scenario, text};

const PEOPLE: [(&str, char, char); 2] = [("amina", AMINA, BEN), ("ben", BEN, AMINA)];

fn trial(
    told: &Told,
    who: (&str, char, char),
    folder: &Path,
    len: usize,
) -> Result<Duration, String> {
    let (home, own, other) = who;
    let found = open(&folder.join(home)).map_err(|error| format!("{error:#}"))?;
    told.check(found.as_ref(), len).map_err(|error| format!("{error:#}"))?;
    let Some(found) = found else { return Ok(Duration::ZERO) };
    for (from, texts) in [(own, &found.own), (other, &found.received)] {
        for (number, kept) in (0..).zip(texts) {
            if kept.text != text(from, number) {
                return Err(format!("text {number} of {from} is {:?}", kept.text));
            }
        }
    }
    Ok(found.took)
}

#[test]
fn the_vaults_recover_from_every_crash_point_and_have_lost_nothing_that_was_reported() {
    let scenario = scenario();
    for who in PEOPLE {
        let (home, own, other) = who;
        let told = Told::of(&scenario.record, own, other);
        let texts = usize::try_from(scenario.amount.texts).unwrap();
        let (sent, shown) = told.amounts();
        assert!(shown == texts && sent > texts / 2, "{sent} sent, {shown} shown of {texts}");
        let points = points(&scenario.record, &[own]);
        let trial = |folder: &Path, len| trial(&told, who, folder, len);
        try_all(home, &scenario.record, &points, &[home], &trial);
    }
}

fn swallowed_sync_is_noticed(swallowed: impl Fn(&Path) -> bool) -> bool {
    let record: Record = scenario().record.with_swallowed_syncs(swallowed);
    let who @ (home, own, other) = PEOPLE[0];
    let told = Told::of(&record, own, other);
    let points = points(&record, &[own]);
    let trial = |folder: &Path, len| trial(&told, who, folder, len);
    first_failure(&record, &points, &[home], &trial).is_some()
}

#[test]
fn a_database_that_is_not_synced_is_noticed() {
    assert!(swallowed_sync_is_noticed(|path| path.ends_with("store.db")));
}

#[test]
fn a_rollback_journal_that_is_not_synced_is_noticed() {
    assert!(swallowed_sync_is_noticed(|path| path.ends_with("store.db-journal")));
}

#[test]
fn names_of_home_and_vault_that_are_not_synced_are_noticed() {
    assert!(swallowed_sync_is_noticed(|path| path == Path::new("")));
    assert!(swallowed_sync_is_noticed(|path| path.ends_with("amina")));
}

//! The vaults' crash points, and the faults that they show.

use std::path::Path;
use std::time::Duration;

use hearken_tests::crash::vault::{Found, Text, Told, open, seals_nothing_twice};
use hearken_tests::crash::{Disk, Entry, Loss, Record, What};

use crate::points::{Trial, points};
use crate::scenario::{AMINA, BEN, scenario, scratch, text};

const PEOPLE: [(&str, char, char); 2] = [("amina", AMINA, BEN), ("ben", BEN, AMINA)];

/// Does something with the trial of a person's vault, whose programs and those of the other person told this.
fn with_trial<T>(
    record: &Record,
    told: &Told,
    (home, own, other): (&str, char, char),
    work: impl FnOnce(Trial<'_, Option<Found>>) -> T,
) -> T {
    let left = |entry: &Entry| entry.who == own && entry.what == What::Sent;
    let all_left: Vec<usize> =
        (0..record.entries.len()).filter(|at| left(&record.entries[*at])).collect();
    // The last datagram before a point: what was sealed by then may have left with it.
    let last_left = |len: usize| {
        let before = all_left.partition_point(|at| *at < len);
        before.checked_sub(1).map_or(0, |at| all_left[at])
    };
    work(Trial {
        wanted: &[home],
        open: &|folder| {
            let found = open(&folder.join(home)).map_err(|error| format!("{error:#}"))?;
            let took = found.as_ref().map_or(Duration::ZERO, |found| found.took);
            Ok((found, took))
        },
        before: Some(&last_left),
        check: &|found, left, len| {
            let left = left.and_then(Option::as_ref);
            told.check(found.as_ref(), len)
                .and_then(|()| seals_nothing_twice(found.as_ref(), left))
                .map_err(|error| format!("{error:#}"))?;
            let Some(found) = found else { return Ok(()) };
            in_order(own, &found.own).and_then(|()| in_order(other, &found.received))
        },
    })
}

fn in_order(from: char, texts: &[Text]) -> Result<(), String> {
    let mut all = (0..).zip(texts);
    all.find(|(number, kept)| kept.text != text(from, *number))
        .map_or(Ok(()), |(number, kept)| Err(format!("text {number} of {from} is {:?}", kept.text)))
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
        with_trial(&scenario.record, &told, who, |trial| {
            trial.try_all(home, &scenario.record, &points);
        });
    }
}

fn swallowed_sync_is_noticed(swallowed: impl Fn(&Path) -> bool) -> bool {
    let record = scenario().record.with_swallowed_syncs(swallowed);
    let who @ (_, own, other) = PEOPLE[0];
    let told = Told::of(&record, own, other);
    let points = points(&record, &[own]);
    with_trial(&record, &told, who, |trial| trial.first_failure(&record, &points)).is_some()
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
fn a_vault_that_went_back_behind_a_cell_that_left_or_seals_it_again_is_noticed() {
    let record = &scenario().record;
    let found = |len: usize| {
        let folder = scratch();
        let disk = Disk::after(&record.entries[..len]).unwrap();
        disk.rebuild(folder.path(), Loss::Nothing, &["amina"]).unwrap();
        open(&folder.path().join("amina")).unwrap()
    };
    let left = |entry: &&Entry| entry.who == AMINA && entry.what == What::Sent;
    let last = record.entries.iter().rposition(|entry| left(&entry)).unwrap();
    let points = (0..=last).rev().filter(|at| left(&&record.entries[*at]));
    // A moment at which a cell waits while a datagram leaves.
    let mut founds = points.map(|at| (at, found(at)));
    let (at, waiting) = founds
        .find(|(_, found)| found.as_ref().is_some_and(|found| !found.waiting.is_empty()))
        .unwrap();
    seals_nothing_twice(waiting.as_ref(), waiting.as_ref()).unwrap();
    let before = (0..at).rev().step_by(500).map(found);
    let back = before.into_iter().find(|found| {
        found.as_ref().is_some_and(|found| found.sealed < waiting.as_ref().unwrap().sealed)
    });
    seals_nothing_twice(back.unwrap().as_ref(), waiting.as_ref()).unwrap_err();
    let mut again = found(at).unwrap();
    again.waiting.values_mut().for_each(|cell| cell[100] ^= 1);
    seals_nothing_twice(Some(&again), waiting.as_ref()).unwrap_err();
}

#[test]
fn names_of_home_and_vault_that_are_not_synced_are_noticed() {
    assert!(swallowed_sync_is_noticed(|path| path == Path::new("")));
    assert!(swallowed_sync_is_noticed(|path| path.ends_with("amina")));
}

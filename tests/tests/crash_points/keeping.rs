//! The crash points of somebody who changes the passphrase, makes a copy and destroys the vault, and the faults that they
//! show.

use std::path::Path;
use std::time::Duration;

use hearken_tests::crash::Record;
use hearken_tests::crash::keeping::{Home, Told, open, open_copy};

use crate::points::{Trial, points};
use crate::scenario::{CHIARA, CHIARAS_COPY, PHRASES, scenario};

fn told() -> Told {
    Told::of(&scenario().record, CHIARA).unwrap()
}

fn with_home<T>(told: &Told, work: impl FnOnce(Trial<'_, Home>) -> T) -> T {
    let mut phrases = PHRASES.map(ToOwned::to_owned).to_vec();
    phrases.push(told.recovery.clone());
    work(Trial {
        wanted: &["chiara"],
        open: &|folder| {
            let home = open(&folder.join("chiara"), &phrases);
            home.map(|home| (home.took, home))
                .map(|(took, home)| (home, took))
                .map_err(|error| format!("{error:#}"))
        },
        before: None,
        check: &|home, _, len| told.check(home, len).map_err(|error| format!("{error:#}")),
    })
}

fn with_copy<T>(told: &Told, work: impl FnOnce(Trial<'_, Option<Vec<String>>>) -> T) -> T {
    work(Trial {
        wanted: &[CHIARAS_COPY],
        open: &|folder| {
            let texts = open_copy(&folder.join(CHIARAS_COPY), PHRASES[1], PHRASES[0]);
            Ok((texts.map_err(|error| format!("{error:#}"))?, Duration::ZERO))
        },
        before: None,
        check: &|texts, _, len| {
            told.check_copy(texts.as_deref(), len).map_err(|error| format!("{error:#}"))
        },
    })
}

#[test]
fn one_passphrase_opens_the_vault_at_every_crash_point_and_after_it_was_destroyed_none() {
    let record = &scenario().record;
    with_home(&told(), |trial| trial.try_all("chiara", record, &points(record, &[CHIARA])));
}

#[test]
fn a_copy_is_whole_or_not_there_at_every_crash_point() {
    let record = &scenario().record;
    with_copy(&told(), |trial| trial.try_all("copy", record, &points(record, &[CHIARA])));
}

fn swallowed(swallowed: impl Fn(&Path) -> bool) -> Record {
    scenario().record.with_swallowed_syncs(swallowed)
}

fn is_noticed_at_home(record: &Record) -> bool {
    let points = points(record, &[CHIARA]);
    with_home(&told(), |trial| trial.first_failure(record, &points)).is_some()
}

fn is_noticed_in_the_copy(record: &Record) -> bool {
    let points = points(record, &[CHIARA]);
    with_copy(&told(), |trial| trial.first_failure(record, &points)).is_some()
}

#[test]
fn slots_that_are_not_synced_are_noticed() {
    // Of a change, and of the end, which overwrites them.
    assert!(is_noticed_at_home(&swallowed(|path| path.ends_with("chiara/vault/slots.unfinished"))));
}

#[test]
fn a_change_of_names_that_is_not_synced_is_noticed() {
    assert!(is_noticed_at_home(&swallowed(|path| path.ends_with("chiara/vault.unfinished"))));
}

#[test]
fn an_end_that_is_not_synced_is_noticed() {
    assert!(is_noticed_at_home(&swallowed(|path| path.ends_with("chiara"))));
}

#[test]
fn a_copy_that_is_not_synced_is_noticed() {
    let unfinished = format!("{CHIARAS_COPY}.unfinished");
    assert!(is_noticed_in_the_copy(&swallowed(|path| path == Path::new(&unfinished))));
    assert!(is_noticed_in_the_copy(&swallowed(|path| path == Path::new(""))));
}

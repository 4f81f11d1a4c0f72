//! The crash points of somebody who changes the passphrase, makes a copy and destroys the vault, and the faults that they
//! show.

use std::path::Path;
use std::time::Duration;

use hearken_tests::crash::keeping::{Home, Told, open, open_copy};
use hearken_tests::crash::{Entry, Loss, Node, Record, What};

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

/// The record without the last sync of what was made under this name.
fn without_last_sync(made: &str) -> Record {
    let mut record = scenario().record.clone();
    let nodes: Vec<Node> = record
        .entries
        .iter()
        .filter_map(|entry| match &entry.what {
            What::FileMade(path, node) | What::FolderMade(path, node) => {
                path.ends_with(made).then_some(*node)
            }
            _ => None,
        })
        .collect();
    let sync = record.entries.iter_mut().rev().find_map(|entry| match &mut entry.what {
        What::Synced { node, begun } if nodes.contains(node) => Some(begun),
        _ => None,
    });
    *sync.unwrap() = 0;
    record
}

#[test]
fn slots_that_are_not_synced_are_noticed() {
    assert!(is_noticed_at_home(&swallowed(|path| path.ends_with("chiara/vault/slots.unfinished"))));
}

#[test]
fn a_new_passphrase_whose_slots_are_not_named_durably_is_noticed() {
    // The last sync of the vault's folder is that of the second change: the slots before it are overwritten after.
    assert!(is_noticed_at_home(&without_last_sync("chiara/vault.unfinished")));
}

#[test]
fn an_end_that_does_not_overwrite_durably_is_noticed() {
    // The last sync of a slot file is that of the noise over it. After the last file of the vault has gone, old slots that
    // are still there with less than their database are noticed: some loss among many has them.
    let record = without_last_sync("chiara/vault/slots.unfinished");
    let is_last = |entry: &Entry| entry.who == CHIARA && matches!(entry.what, What::Unlinked(_));
    let len = record.entries.iter().rposition(is_last).unwrap() + 1;
    let is_noticed = with_home(&told(), |trial| {
        (0..200).any(|seed| trial.try_point(&record, len, Loss::Some(seed)).is_err())
    });
    assert!(is_noticed);
}

#[test]
fn an_end_whose_names_do_not_go_durably_is_noticed() {
    let record = without_last_sync("chiara");
    let points = points(&record, &[CHIARA]);
    let failure = with_home(&told(), |trial| trial.first_failure(&record, &points)).unwrap();
    assert!(failure.contains("something is left"), "{failure}");
}

#[test]
fn a_copy_that_is_not_synced_is_noticed() {
    // What is written until the copy is whole is called after it, with random bytes.
    let is_unfinished = |path: &Path| {
        let name = path.to_string_lossy();
        name.starts_with(&format!("{CHIARAS_COPY}.")) && name.ends_with(".unfinished")
    };
    assert!(is_noticed_in_the_copy(&swallowed(is_unfinished)));
    assert!(is_noticed_in_the_copy(&swallowed(|path| path == Path::new(""))));
}

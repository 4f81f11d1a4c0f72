//! What ties two mailboxes together at a relay: no row of its store, and, once links are closed, nothing in its core.

use std::collections::BTreeSet;

use hearken_relay::store::{FjallConfig, FjallStore, Row, Space, Store};
use serde_json::Value;

use crate::scenario::{Scenario, scenario};

/// Rows read at once.
const PAGE: usize = 256;

/// Mailboxes by all their ids and public keys: both people know some of one.
fn mailboxes(scenario: &Scenario) -> Vec<BTreeSet<[u8; 32]>> {
    let mut mailboxes: Vec<BTreeSet<[u8; 32]>> = Vec::new();
    for known in scenario.vaults.iter().flat_map(|vault| &vault.mailboxes) {
        match mailboxes.iter_mut().find(|ids| !ids.is_disjoint(&known.ids)) {
            Some(ids) => ids.extend(&known.ids),
            None => mailboxes.push(known.ids.clone()),
        }
    }
    mailboxes
}

/// Which mailboxes a row names, in its key or its value.
fn named(row: &Row, mailboxes: &[BTreeSet<[u8; 32]>]) -> Vec<usize> {
    let bytes = [&row.key[..], &row.value[..]].concat();
    let windows: BTreeSet<[u8; 32]> =
        bytes.windows(32).filter_map(|window| window.first_chunk().copied()).collect();
    let named = mailboxes.iter().enumerate().filter(|(_, ids)| !ids.is_disjoint(&windows));
    named.map(|(number, _)| number).collect()
}

fn rows(store: &FjallStore) -> Vec<Row> {
    let mut rows = Vec::new();
    let days = store.days().into_iter().map(Space::Day);
    for space in [Space::Rows].into_iter().chain(days) {
        let mut from = Vec::new();
        loop {
            let page = store.range(space, &from, &[0xff], PAGE).unwrap();
            let Some(last) = page.last() else { break };
            from = [&last.key[..], &[0]].concat();
            rows.extend(page);
        }
    }
    rows
}

#[test]
fn no_row_of_the_store_names_two_mailboxes() {
    let scenario = scenario();
    let mailboxes = mailboxes(scenario);
    assert_eq!(mailboxes.len(), 4, "two conversations of two directions");
    let folder = scenario.relay.folder.path().join("relay");
    let rows = rows(&FjallStore::open(&folder, FjallConfig::default()).unwrap());
    let mut named_by = vec![0; mailboxes.len()];
    for row in &rows {
        let named = named(row, &mailboxes);
        assert!(named.len() <= 1, "a row of kind {:?} names {named:?}", row.key.first());
        named.iter().for_each(|number| named_by[*number] += 1);
    }
    // A mailbox's own row, those that lead to it from the writer's and the claimer's id, the reader's day, and blobs.
    assert!(named_by.iter().all(|count| *count >= 5), "{named_by:?} of {} rows", rows.len());

    // One that names two, whichever ids it uses, is found.
    for (one, other) in [(0, 1), (2, 3), (3, 0)] {
        for id in &mailboxes[one] {
            for other in &mailboxes[other] {
                let row = Row { key: [b"s", &id[..]].concat(), value: [&[1], &other[..]].concat() };
                assert_eq!(named(&row, &mailboxes).len(), 2);
            }
        }
    }
}

/// With `direct`, the link that carries two mailboxes of one person ties them together for as long as it is open. Nothing
/// of it outlives it: no link, session, route or watch.
#[test]
fn nothing_of_a_link_that_carried_two_mailboxes_outlives_it() {
    let scenario = scenario();
    let total = |place: usize, name: &str| {
        let stats = String::from_utf8_lossy(&scenario.relay.said[place].bytes).into_owned();
        let stats: Value = serde_json::from_str(stats.lines().next().unwrap()).unwrap();
        stats[name].as_u64().unwrap()
    };
    // The control: they are counted while they are there.
    assert!(total(0, "watches") >= 2 && total(0, "sessions") >= 2 && total(0, "links") >= 2);
    for name in ["watches", "sessions", "routes"] {
        assert_eq!(total(1, name), 0, "{name}");
    }
    assert_eq!(total(1, "links"), 1, "the entry's own");
}

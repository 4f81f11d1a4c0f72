//! Crash points: the writes and syncs of the real programs are recorded, every moment is rebuilt without what was not
//! synced by then, and recovered from.
//!
//! The scenario is recorded once. Faults are planted in the record, where a sync that was swallowed, or an acknowledgement
//! that came too early, is the same as in the program: it could not have told.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a failing test panics")]
#![allow(clippy::print_stdout, reason = "it says what it did")]

mod going_on;
mod keeping;
mod points;
mod relay;
mod scenario;
mod vaults;

use hearken_tests::crash::{Disk, Loss, What};

use self::scenario::{same, scenario, scratch};

const FOLDERS: [&str; 4] = ["relay", "amina", "ben", "chiara"];

#[test]
fn replaying_the_whole_record_gives_every_folder_byte_for_byte() {
    let scenario = scenario();
    let folder = scratch();
    let disk = Disk::after(&scenario.record.entries).unwrap();
    disk.rebuild(folder.path(), Loss::Nothing, &FOLDERS).unwrap();
    for name in FOLDERS {
        same(&scenario.world.join(name), &folder.path().join(name)).unwrap();
    }
}

#[test]
fn one_write_that_was_missed_is_noticed_by_the_replay() {
    let scenario = scenario();
    let mut entries = scenario.record.entries.clone();
    let is_write = |entry: &hearken_tests::crash::Entry| {
        entry.who == scenario::RELAY && matches!(entry.what, What::Written { .. })
    };
    let last = entries.iter().rposition(is_write).unwrap();
    entries[last].what = What::Sent;
    let folder = scratch();
    Disk::after(&entries).unwrap().rebuild(folder.path(), Loss::Nothing, &FOLDERS).unwrap();
    same(&scenario.world.join("relay"), &folder.path().join("relay")).unwrap_err();
}

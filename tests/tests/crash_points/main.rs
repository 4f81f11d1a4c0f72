//! Crash points: the writes and syncs of the real programs are recorded, every moment is rebuilt without what was not
//! synced by then, and recovered from.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout)]

mod relay;
mod scenario;

use std::sync::OnceLock;

use hearken_tests::crash::{Disk, Loss};

use self::scenario::{Amount, Scenario, same, scratch};

/// The one scenario of this run.
fn scenario() -> &'static Scenario {
    static SCENARIO: OnceLock<Scenario> = OnceLock::new();
    SCENARIO.get_or_init(|| scenario::record(Amount::of_this_run()))
}

#[test]
fn replaying_the_whole_record_gives_every_folder_byte_for_byte() {
    let scenario = scenario();
    let folder = scratch();
    let wanted = ["relay", "amina", "ben"];
    let disk = Disk::after(&scenario.record.entries).unwrap();
    disk.rebuild(folder.path(), Loss::Nothing, &wanted).unwrap();
    for name in wanted {
        same(&scenario.world.join(name), &folder.path().join(name)).unwrap();
    }
}

#[test]
fn the_relay_recovers_from_every_crash_point() {
    relay::survives_every_crash_point(scenario());
}

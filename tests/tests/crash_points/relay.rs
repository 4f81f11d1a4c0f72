//! The relay's crash points.

use std::time::{Duration, Instant};

use hearken_tests::crash::relay::{Told, open};
use hearken_tests::crash::{Disk, Entry, Loss, Record, What};
use hearken_tests::long;

use crate::scenario::{LOADER, RELAY, Scenario, scratch};

/// The losses that each crash point is tried with, by the run's depth.
pub(crate) fn losses(point: usize, all: bool) -> Vec<Loss> {
    let seed = point as u64;
    let every = [
        Loss::Everything,
        Loss::Some(seed),
        Loss::Contents,
        Loss::Ordered(seed),
        Loss::Names,
        Loss::Nothing,
    ];
    if all { every.to_vec() } else { vec![every[point % every.len()]] }
}

/// The crash points of a process: before each of its syncs ends, and after it; with `all`, after each entry.
pub(crate) fn points(record: &Record, who: char, all: bool) -> Vec<usize> {
    let mut points = Vec::new();
    for (at, entry) in record.entries.iter().enumerate().filter(|(_, entry)| entry.who == who) {
        match entry.what {
            What::Synced { .. } => points.extend([at, at + 1]),
            What::SyncBegun(_) => {}
            _ if all => points.push(at + 1),
            _ => {}
        }
    }
    points.dedup();
    points
}

/// Tries one crash point with one loss. Answers how long the opening took.
pub(crate) fn try_point(
    entries: &[Entry],
    told: &Told,
    len: usize,
    loss: Loss,
) -> Result<Duration, String> {
    let folder = scratch();
    let place = || format!("crash point {len}, {loss:?}");
    Disk::after(&entries[..len])
        .and_then(|disk| disk.rebuild(folder.path(), loss, &["relay"]))
        .map_err(|error| format!("{}: {error}", place()))?;
    let found = open(&folder.path().join("relay"));
    let found = found.map_err(|error| format!("{}: {error:#}", place()))?;
    told.check(&found, len).map_err(|error| format!("{}: {error:#}", place()))?;
    Ok(found.took)
}

/// Every crash point of the relay in this run's share.
pub(crate) fn survives_every_crash_point(scenario: &Scenario) {
    let told = Told::of(&scenario.record, RELAY, LOADER).unwrap();
    let (acknowledged, epochs) = told.amounts();
    assert!(acknowledged as u64 >= 3 * scenario.amount.blobs && epochs >= 2);
    let all = long::is_long();
    let points = points(&scenario.record, RELAY, all);
    let share = long::share(points.len() as u64, u64::MAX);
    let (mut tried, mut longest) = (0, Duration::ZERO);
    let begun = Instant::now();
    let mut failures = Vec::new();
    for at in share {
        let len = points[usize::try_from(at).unwrap()];
        for loss in losses(len, all) {
            match try_point(&scenario.record.entries, &told, len, loss) {
                Ok(took) => longest = longest.max(took),
                Err(failure) => failures.push(failure),
            }
            tried += 1;
        }
    }
    println!(
        "{} crash points of the relay, {tried} recoveries in {:?}, the longest opening {longest:?}",
        points.len(),
        begun.elapsed()
    );
    assert!(failures.is_empty(), "{} of {tried}:\n{}", failures.len(), failures.join("\n"));
}

//! Crash points and what is done at each of them.

use std::time::{Duration, Instant};

use hearken_tests::crash::{Disk, Loss, Record, What};
use hearken_tests::long;

use crate::scenario::scratch;

/// Longest a store or vault may take to open, of the best of [`TRIES`]: a busy machine is no failure.
const OPENING_TIME_MAX: Duration = Duration::from_secs(1);
const TRIES: usize = 3;

/// Losses, each of another kind.
const KINDS: usize = 6;

fn loss(kind: usize, seed: u64) -> Loss {
    match kind % KINDS {
        0 => Loss::Everything,
        1 => Loss::Some(seed),
        2 => Loss::Contents,
        3 => Loss::Ordered(seed),
        4 => Loss::Names,
        _ => Loss::Nothing,
    }
}

/// The crash points of these processes: before each of their syncs has ended, and after; in a long run after each entry.
pub(crate) fn points(record: &Record, who: &[char]) -> Vec<usize> {
    let mut points = Vec::new();
    for (at, entry) in record.entries.iter().enumerate() {
        match entry.what {
            _ if !who.contains(&entry.who) => {}
            What::Synced { .. } => points.extend([at, at + 1]),
            What::SyncBegun(_) => {}
            _ if long::is_long() => points.push(at + 1),
            _ => {}
        }
    }
    points.dedup();
    points
}

/// What is tried at a crash point: answers how long the opening took.
pub(crate) type Trial<'a> = &'a dyn Fn(&std::path::Path, usize) -> Result<Duration, String>;

/// Rebuilds the folders `wanted` at a crash point and tries them.
pub(crate) fn try_point(
    record: &Record,
    len: usize,
    loss: Loss,
    wanted: &[&str],
    trial: Trial<'_>,
) -> Result<Duration, String> {
    let disk = Disk::after(&record.entries[..len]).map_err(|error| error.to_string())?;
    let mut shortest = Duration::MAX;
    for _ in 0..TRIES {
        let folder = scratch();
        disk.rebuild(folder.path(), loss, wanted).map_err(|error| error.to_string())?;
        let took = trial(folder.path(), len);
        shortest = shortest.min(took.map_err(|why| format!("crash point {len}, {loss:?}: {why}"))?);
        if shortest < OPENING_TIME_MAX {
            return Ok(shortest);
        }
    }
    Err(format!("crash point {len}, {loss:?}: opens in {shortest:?}"))
}

/// Tries every crash point of this run's share; in a long run with every kind of loss, else with one of them in turn.
pub(crate) fn try_all(
    what: &str,
    record: &Record,
    points: &[usize],
    wanted: &[&str],
    trial: Trial<'_>,
) {
    let begun = Instant::now();
    let kinds = if long::is_long() { KINDS } else { 1 };
    let share = long::share(points.len() as u64, u64::MAX);
    let (mut tried, mut longest) = (0_u32, Duration::ZERO);
    let mut failures = Vec::new();
    for index in share.clone() {
        let len = points[usize::try_from(index).unwrap()];
        for kind in 0..kinds {
            let loss = loss(usize::try_from(index).unwrap() + kind, index);
            match try_point(record, len, loss, wanted, trial) {
                Ok(took) => longest = longest.max(took),
                Err(failure) => failures.push(failure),
            }
            tried += 1;
        }
    }
    println!(
        "{what}: {} crash points in {} entries, {tried} recoveries of {share:?} in {:?}, the longest opening {longest:?}",
        points.len(),
        record.entries.len(),
        begun.elapsed()
    );
    assert!(failures.is_empty(), "{} of {tried}:\n{}", failures.len(), failures.join("\n"));
}

/// Whether any of these crash points shows the fault that was planted, and how.
pub(crate) fn first_failure(
    record: &Record,
    points: &[usize],
    wanted: &[&str],
    trial: Trial<'_>,
) -> Option<String> {
    // The fewer the better while it is looked for, and all of them before it counts as unnoticed.
    let strides = [13, 5, 1];
    let order = strides.iter().flat_map(|stride| points.iter().rev().step_by(*stride));
    order
        .enumerate()
        .find_map(|(at, len)| {
            let losses = [Loss::Everything, Loss::Some(at as u64)];
            losses.iter().find_map(|loss| try_point(record, *len, *loss, wanted, trial).err())
        })
        .inspect(|failure| println!("noticed: {failure}"))
}

//! Every target on its committed corpus, on honest inputs, and on changed copies of both: what fuzzing found once is
//! looked for again in every `cargo test`.
//!
//! The changes are seeded; `HEARKEN_LONG=1` makes a hundred times as many. What these cannot show is that no input is
//! left that does harm: that is what hours of `tests/fuzz/run` are for.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a failing test panics")]

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use hearken_fuzz::{TARGETS, Target, named, seeds};
use rand_chacha::ChaCha20Rng;
use rand_core::{Rng, SeedableRng};

#[cfg(hearken_planted)]
#[path = "corpora/planted.rs"]
mod planted;

/// Changed copies of each input.
const CHANGES: usize = 2;

fn corpus_folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus")
}

/// The committed inputs of a target, by name.
fn committed(target: &Target) -> Vec<(String, Vec<u8>)> {
    let Ok(entries) = fs::read_dir(corpus_folder().join(target.name)) else { return Vec::new() };
    let mut inputs: Vec<_> = entries
        .map(|entry| {
            let path = entry.unwrap().path();
            (path.file_name().unwrap().display().to_string(), fs::read(path).unwrap())
        })
        .collect();
    inputs.sort_unstable();
    inputs
}

fn honest(target: &Target) -> Vec<(String, Vec<u8>)> {
    let all = seeds::all().into_iter();
    all.filter(|(name, _, _)| *name == target.name)
        .map(|(_, at, seed)| (format!("honest {at}"), seed))
        .collect()
}

/// Runs a target on an input; what it panics with names the input.
fn run(target: &Target, name: &str, input: &[u8]) {
    if let Err(panic) = catch_unwind(AssertUnwindSafe(|| (target.run)(input))) {
        let what = panic
            .downcast_ref::<String>()
            .map(String::as_str)
            .or_else(|| panic.downcast_ref::<&str>().copied())
            .unwrap_or("a panic without words");
        panic!("{} on {name} ({} bytes): {what}", target.name, input.len());
    }
}

/// A copy with some bytes set, dropped, doubled or moved.
fn changed(input: &[u8], len_max: usize, rng: &mut ChaCha20Rng) -> Vec<u8> {
    let mut copy = input.to_vec();
    for _ in 0..=rng.next_u32() % 4 {
        let at = rng.next_u32() as usize % copy.len().max(1);
        let byte = rng.next_u32() as u8;
        match rng.next_u32() % 6 {
            _ if copy.is_empty() => copy.push(byte),
            0 => copy[at] = byte,
            1 => copy[at] ^= 1 << (byte % 8),
            2 => copy[at] = [0, 1, 0x7f, 0x80, 0xff][usize::from(byte) % 5],
            3 => drop(copy.remove(at)),
            4 => copy.insert(at, byte),
            _ => copy.rotate_left(at),
        }
    }
    copy.truncate(len_max);
    copy
}

fn replay(names: &[&str]) {
    let times = if std::env::var("HEARKEN_LONG").is_ok_and(|value| value == "1") { 100 } else { 1 };
    for name in names {
        let target = named(name).expect("a target");
        let mut rng = ChaCha20Rng::seed_from_u64(7);
        let inputs = [honest(target), committed(target)].concat();
        run(target, "nothing", &[]);
        for (name, input) in &inputs {
            run(target, name, input);
            for at in 0..CHANGES * times {
                let copy = changed(input, target.len_max, &mut rng);
                run(target, &format!("{name}, changed ({at}): {copy:02x?}"), &copy);
            }
        }
    }
}

#[test]
fn every_target_is_replayed_and_every_corpus_has_a_target() {
    let mut replayed: Vec<&str> =
        [PROTO, CLIENT, RELAY, &["relay-core"], &["client-core"], &["client-inbox"]].concat();
    replayed.sort_unstable();
    let mut targets: Vec<&str> = TARGETS.iter().map(|target| target.name).collect();
    targets.sort_unstable();
    assert_eq!(replayed, targets);
    for entry in fs::read_dir(corpus_folder()).expect("a corpus") {
        let name = entry.unwrap().file_name();
        assert!(targets.iter().any(|target| name == *target), "{name:?} is nobody's corpus");
    }
    for target in TARGETS {
        assert!(!committed(target).is_empty(), "{} has no corpus", target.name);
    }
}

#[test]
fn the_committed_corpora_are_small() {
    let bytes: usize = TARGETS.iter().flat_map(committed).map(|(_, input)| input.len()).sum();
    assert!(bytes <= 2 << 20, "{bytes} bytes");
}

const PROTO: &[&str] = &[
    "proto-cell",
    "proto-payload",
    "proto-address",
    "proto-info",
    "proto-hop",
    "proto-ids",
    "proto-seal",
    "proto-auth",
    "proto-pow",
];

const CLIENT: &[&str] = &[
    "client-invitation",
    "client-card",
    "client-first-blob",
    "client-header",
    "client-state",
    "client-slots",
    "client-clean",
    "client-copy",
    "client-packet",
    "client-content",
    "client-records",
];

const RELAY: &[&str] = &[
    "relay-rows",
    "relay-config",
    "relay-key-files",
    "relay-journals",
    "relay-manifests",
    "relay-admin",
    "relay-backup",
];

#[test]
fn decoders_of_the_wire_hold_on_every_known_input() {
    replay(PROTO);
}

#[test]
fn decoders_of_the_client_hold_on_every_known_input() {
    replay(CLIENT);
}

#[test]
fn decoders_of_the_relay_hold_on_every_known_input() {
    replay(RELAY);
}

#[test]
fn the_relays_core_holds_on_every_known_sequence_of_events() {
    replay(&["relay-core"]);
}

#[test]
fn the_clients_core_holds_on_every_known_sequence_of_events() {
    replay(&["client-core"]);
}

#[test]
fn a_vault_holds_on_everything_that_a_peer_with_keys_is_known_to_send() {
    replay(&["client-inbox"]);
}

/// A target that fails where `is_wrong` says, as a fault in a decoder would make it.
fn faulty(input: &[u8]) {
    // A reader of cells that forgets the zeros of the frame.
    if let Ok(array) = <[u8; 4_096]>::try_from(input) {
        let mut forgiving = array;
        forgiving[12..16].fill(0);
        let read = hearken_proto::cell::Cell::parse(&forgiving);
        if let Ok(cell) = read {
            assert_eq!(&cell.as_bytes()[..], input, "a cell that is read is its bytes");
        }
    }
}

/// The control of all others: a decoder with a fault, told from the real one by the committed corpus alone.
#[test]
fn a_decoder_that_takes_what_it_should_refuse_is_found_by_the_committed_corpus() {
    let target = named("proto-cell").expect("a target");
    let planted = Target { run: faulty, ..*target };
    let caught = committed(target)
        .iter()
        .any(|(_, input)| catch_unwind(AssertUnwindSafe(|| (planted.run)(input))).is_err());
    assert!(caught, "the fault went unseen");
}

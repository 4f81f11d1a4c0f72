//! Faults that are planted, each of which the simulation finds: those that a test can make by itself, and, in builds of
//! `tests/planted/run`, those that stand in product code.

use hearken_tests::simulation::script::Script;
use hearken_tests::simulation::shrink::shrink;
use hearken_tests::simulation::{Broken, Plant, run};

/// Seeds that are tried until the fault shows.
const SEEDS_MAX: u64 = 150;
/// Scripts that are tried to make one small.
const TRIES_MAX: usize = 250;
/// Steps that are left of some two hundred.
const SMALL: usize = 40;

/// The first script that breaks something, and what: nothing does that without the plant.
fn found(plant: Plant) -> (Script, Broken) {
    let broken = (0..SEEDS_MAX).find_map(|seed| {
        let script = Script::of_seed(seed);
        run(&script, plant).err().map(|broken| (script, broken))
    });
    let (script, broken) = broken.expect("the planted fault went unseen");
    println!("found: {broken} (seed {})", script.seed);
    (script, broken)
}

#[test]
fn a_planted_relay_that_leaves_syncs_out_is_found_and_its_script_is_made_small() {
    let (script, broken) = found(Plant::RelaySyncs);
    let shrunk = shrink(&script, &broken, Plant::RelaySyncs, TRIES_MAX);
    println!("{}\n{}", shrunk.broken, shrunk.script);
    assert!(shrunk.script.steps.len() <= SMALL, "{} steps are left", shrunk.script.steps.len());
    let again = run(&shrunk.script, Plant::RelaySyncs).expect_err("the small script breaks it too");
    assert_eq!(again, shrunk.broken, "a script replays to the letter");
    assert!(run(&shrunk.script, Plant::Nothing).is_ok(), "and only the plant breaks it");
}

#[test]
fn a_planted_vault_that_leaves_syncs_out_is_found() {
    let (_, broken) = found(Plant::VaultSyncs);
    assert!(!matches!(broken, Broken::Panic(_) | Broken::Spins(_)), "{broken}");
}

#[cfg(hearken_planted)]
mod in_product_code {
    use hearken_proto::planted::with;

    use super::*;

    fn finds(plant: &'static str, is_it: impl Fn(&Broken) -> bool) {
        let (script, broken) = with(plant, || found(Plant::Nothing));
        assert!(is_it(&broken), "{plant}: {broken}");
        assert!(run(&script, Plant::Nothing).is_ok(), "{plant}: seed {} without it", script.seed);
    }

    #[test]
    fn planted_acknowledgement_of_a_client_before_its_commit() {
        finds("ack-before-commit", |broken| matches!(broken, Broken::Lost(_) | Broken::Stuck(_)));
    }

    #[test]
    fn planted_acknowledgement_of_a_relay_before_its_commit() {
        finds("relay-ack-before-commit", |broken| {
            matches!(broken, Broken::Lost(_) | Broken::Stuck(_) | Broken::Errand(_))
        });
    }

    #[test]
    fn planted_message_key_that_seals_twice() {
        finds("message-key-twice", |broken| matches!(broken, Broken::SealedTwice(_)));
    }

    #[test]
    fn planted_nonce_that_seals_twice() {
        finds("nonce-twice", |broken| matches!(broken, Broken::SealedTwice(_)));
    }

    #[test]
    fn planted_state_that_advances_before_the_aead_accepted() {
        finds("state-before-aead", |broken| {
            matches!(broken, Broken::Gaps(_) | Broken::Lost(_) | Broken::Stuck(_))
        });
    }

    #[test]
    fn planted_claim_that_overwrites() {
        finds("claim-overwrites", |broken| matches!(broken, Broken::ClaimOverwritten(_)));
    }
}

//! Faults in the product's own code, each found by the committed corpus of a target. `tests/fuzz/run planted`.

use std::panic::{AssertUnwindSafe, catch_unwind};

use hearken_fuzz::named;
use hearken_proto::planted;

use super::{committed, honest};

/// Whether any known input of `target` fails with `fault` planted, and none does without.
fn finds(target: &str, fault: &'static str) -> bool {
    let target = named(target).expect("a target");
    let inputs = [honest(target), committed(target)].concat();
    let fails = |input: &[u8]| catch_unwind(AssertUnwindSafe(|| (target.run)(input))).is_err();
    assert!(!inputs.iter().any(|(_, input)| fails(input)), "a failure without a fault");
    inputs.iter().any(|(_, input)| planted::with(fault, || fails(input)))
}

#[test]
fn planted_a_row_with_bytes_that_nobody_reads_is_found() {
    assert!(finds("relay-rows", "row-id-unchecked"));
}

#[test]
fn planted_an_answer_that_is_a_cell_short_is_found() {
    assert!(finds("relay-core", "answer-a-cell-short"));
}

#[test]
fn planted_a_ratchet_that_moves_before_the_seal_was_accepted_is_found() {
    assert!(finds("client-inbox", "state-before-aead"));
}

//! Whoever is between the two can change bytes, and gets nothing for it.

use super::*;

#[test]
fn a_changed_bit_anywhere_in_an_ordinary_blob_is_refused_and_changes_nothing() {
    let mut pair = Pair::answered(30);
    pair.round();
    for turns in [false, true] {
        let blob = pair.joiner_says(&[0; 500]);
        for index in 0..BLOB_LEN {
            let mut changed = blob.clone();
            changed[index] ^= 1 << (index % 8);
            let error = refused(&mut pair.inviter, &mut pair.rng, &changed);
            assert_eq!(error, DecryptError::NotOpened, "byte {index}, turns {turns}");
        }
        pair.at_inviter(&blob).expect("the control: unchanged it opens");
    }
}

#[test]
fn a_changed_bit_anywhere_in_an_initial_blob_is_refused_and_changes_nothing() {
    let mut pair = Pair::joined(31);
    let blob = pair.joiner_says(&[0; 500]);
    for index in 0..BLOB_LEN {
        let mut changed = blob.clone();
        changed[index] ^= 1 << (index % 8);
        let error = refused(&mut pair.inviter, &mut pair.rng, &changed);
        assert_eq!(error, DecryptError::NotOpened, "byte {index}");
    }
    pair.at_inviter(&blob).expect("the control: unchanged it opens");
}

#[test]
fn parts_of_two_messages_do_not_make_a_third() {
    let mut pair = Pair::answered(32);
    let one = pair.joiner_says(b"one");
    let two = pair.joiner_says(b"two");
    for cut in [32, 32 + 1_253] {
        let mut mixed = one.clone();
        mixed[cut..].copy_from_slice(&two[cut..]);
        let error = refused(&mut pair.inviter, &mut pair.rng, &mixed);
        assert_eq!(error, DecryptError::NotOpened);
    }
}

#[test]
fn bytes_that_nobody_sealed_are_refused_after_four_trials_at_most() {
    let mut pair = Pair::answered(33);
    // Two earlier chains with keys passed over, so that all four header keys are there.
    for _ in 0..3 {
        let lost = pair.joiner_says(b"lost");
        drop(lost);
        pair.round();
    }
    assert_eq!(pair.inviter.ec.past.len(), 2);
    crate::ratchet::one_time_key::record::clear();
    let garbage = Box::new([0x42; BLOB_LEN]);
    assert_eq!(refused(&mut pair.inviter, &mut pair.rng, &garbage), DecryptError::NotOpened);
    assert_eq!(crate::ratchet::one_time_key::record::opened(), 4);
}

#[test]
fn debug_output_tells_nothing() {
    let mut pair = Pair::joined(34);
    let blob = pair.joiner_says(b"words");
    let opened = pair.at_inviter(&blob).unwrap();
    let text = format!("{:?} {opened:?}", pair.inviter);
    assert_eq!(text, "Ratchet(..) Opened { passed_over: 0, late: false, initial: true, .. }");
}

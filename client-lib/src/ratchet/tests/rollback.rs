//! A key used twice: after a kill at any point, or with a state restored from a snapshot.

use super::*;
use crate::ratchet::one_time_key::record;

fn assert_no_key_twice() {
    let (sealed, different) = record::sealed();
    assert!(sealed > 0);
    assert_eq!(sealed, different, "a key sealed twice");
}

#[test]
fn the_record_sees_a_key_that_is_used_twice() {
    // The control: the same state and the same randomness, which is what `r` is there to prevent.
    let pair = Pair::answered(60);
    record::clear();
    for _ in 0..2 {
        let mut rng = ChaCha20Rng::seed_from_u64(1);
        restarted(&pair.joiner).encrypt(&mut rng, b"again").unwrap();
    }
    let (sealed, different) = record::sealed();
    assert_eq!((sealed, different), (4, 2));
}

#[test]
fn a_sender_rolled_back_seals_under_other_keys() {
    record::clear();
    let mut pair = Pair::answered(61);
    let snapshot = pair.joiner.to_bytes();
    let one = pair.joiner_says(b"one");
    pair.joiner = Ratchet::from_bytes(&snapshot).unwrap();
    let other = pair.joiner_says(b"other");
    assert_ne!(one[..32], other[..32], "r is drawn anew");
    assert_no_key_twice();
    // The receiver takes one of the two and shows the other as what it is: a number that was used.
    pair.at_inviter(&one).unwrap();
    assert_eq!(refused(&mut pair.inviter, &mut pair.rng, &other), DecryptError::Used);
}

#[test]
fn no_key_seals_twice_however_often_both_sides_are_rolled_back() {
    record::clear();
    let mut pair = Pair::answered(62);
    for round in 0..30 {
        let (joiner, inviter) = (pair.joiner.to_bytes(), pair.inviter.to_bytes());
        for _ in 0..4 {
            let there = pair.joiner_says(b"there");
            let _ = pair.at_inviter(&there);
            let back = pair.inviter_says(b"back");
            let _ = pair.at_joiner(&back);
            if round % 2 == 0 {
                pair.joiner = Ratchet::from_bytes(&joiner).unwrap();
            }
            if round % 3 == 0 {
                pair.inviter = Ratchet::from_bytes(&inviter).unwrap();
            }
        }
    }
    assert_no_key_twice();
}

#[test]
fn a_kill_between_sealing_and_storing_repeats_no_key_and_loses_no_later_message() {
    record::clear();
    let mut pair = Pair::joined(63);
    for _ in 0..10 {
        // Sealed, and killed before the transaction: nothing left the device.
        let mut killed = restarted(&pair.joiner);
        killed.encrypt(&mut pair.rng, b"never stored").unwrap();
        let blob = pair.joiner_says(b"stored");
        // Opened, and killed before the transaction: it comes again.
        let mut killed = restarted(&pair.inviter);
        killed.decrypt(&mut pair.rng, TODAY, &blob).unwrap();
        killed.encrypt(&mut pair.rng, b"never stored").unwrap();
        assert_eq!(pair.at_inviter(&blob).unwrap().passed_over, 0);
        let back = pair.inviter_says(b"back");
        assert_eq!(pair.at_joiner(&back).unwrap().passed_over, 0);
    }
    assert_no_key_twice();
}

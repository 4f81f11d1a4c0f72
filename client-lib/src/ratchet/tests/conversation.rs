//! What correct programs do to each other, on a good and on a bad network.

use super::*;
use crate::ratchet::{BODY_MAX, EncryptError, INITIAL_BODY_MAX, ORDINARY_BODY_MAX};

#[test]
fn two_sides_talk_in_turns_and_each_number_is_one_higher() {
    let mut pair = Pair::answered(1);
    for number in 1..40 {
        let there = pair.joiner_says(&[number; 700]);
        let opened = pair.at_inviter(&there).unwrap();
        assert_eq!(&opened.body[..], &[number; 700]);
        assert_eq!((opened.number, opened.passed_over), (u64::from(number), 0));
        assert!(!opened.late);
        let back = pair.inviter_says(b"");
        let opened = pair.at_joiner(&back).unwrap();
        assert!(opened.body.is_empty());
        assert_eq!(opened.number, u64::from(number));
    }
}

#[test]
fn the_longest_body_fits_and_a_byte_more_changes_nothing() {
    let mut pair = Pair::joined(2);
    for (ratchet, max) in
        [(&mut pair.joiner, INITIAL_BODY_MAX), (&mut pair.inviter, ORDINARY_BODY_MAX)]
    {
        let before = ratchet.to_bytes();
        let long = vec![0xab; max + 1];
        assert_eq!(ratchet.encrypt(&mut pair.rng, &long).unwrap_err(), EncryptError::TooLong);
        assert_eq!(
            ratchet.encrypt(&mut pair.rng, &vec![0; 70_000]).unwrap_err(),
            EncryptError::TooLong
        );
        assert_eq!(before[..], ratchet.to_bytes()[..]);
    }
    let longest = vec![0xab; INITIAL_BODY_MAX];
    let blob = pair.joiner_says(&longest);
    assert_eq!(&pair.at_inviter(&blob).unwrap().body[..], longest);
    let longest = vec![0xcd; BODY_MAX];
    let blob = pair.inviter_says(&longest);
    assert_eq!(&pair.at_joiner(&blob).unwrap().body[..], longest);
}

#[test]
fn a_joiner_begins_every_blob_alike_until_it_is_answered_and_none_after() {
    let mut pair = Pair::joined(3);
    let start = *prefix().as_bytes();
    for _ in 0..3 {
        assert!(!pair.joiner.is_answered());
        let blob = pair.joiner_says(b"again");
        assert_eq!(blob[..1_120], start);
        pair.at_inviter(&blob).unwrap();
    }
    assert!(pair.inviter.is_answered());
    let late = pair.joiner_says(b"late");
    let answer = pair.inviter_says(b"answer");
    pair.at_joiner(&answer).unwrap();
    assert!(pair.joiner.is_answered());
    let blob = pair.joiner_says(b"ordinary");
    assert_ne!(blob[..1_120], start);
    assert_eq!(pair.at_inviter(&blob).unwrap().passed_over, 1);
    let opened = pair.at_inviter(&late).unwrap();
    assert!(opened.late, "an initial blob that comes late is still known");
    assert_eq!(&opened.body[..], b"late");
}

#[test]
fn the_first_message_that_opens_makes_the_inviters_side_even_when_others_were_lost() {
    let mut rng = ChaCha20Rng::seed_from_u64(4);
    let mut joiner = fresh_joiner(&mut rng);
    let lost = joiner.encrypt(&mut rng, b"lost").unwrap();
    let second = joiner.encrypt(&mut rng, b"second").unwrap();
    let (mut inviter, opened) = accept(&mut rng, &second).unwrap();
    assert_eq!((opened.number, opened.passed_over), (1, 1));
    let opened = inviter.decrypt(&mut rng, TODAY, &lost).unwrap();
    assert_eq!((opened.number, opened.passed_over, opened.late), (0, 0, true));
}

#[test]
fn what_is_passed_over_is_counted_once_and_fills_its_gap_when_it_comes() {
    let mut pair = Pair::answered(5);
    let blobs: Vec<Blob> = (0..5).map(|n| pair.joiner_says(&[n])).collect();
    assert_eq!(pair.at_inviter(&blobs[3]).unwrap().passed_over, 3);
    assert_eq!(pair.at_inviter(&blobs[4]).unwrap().passed_over, 0);
    for index in [1, 0, 2] {
        let opened = pair.at_inviter(&blobs[index]).unwrap();
        assert_eq!(opened.number, index as u64 + 1);
        assert!(opened.late);
        assert_eq!(opened.passed_over, 0);
    }
}

#[test]
fn the_tail_of_a_chain_that_was_lost_shows_with_the_first_of_the_next() {
    let mut pair = Pair::answered(6);
    let first = pair.joiner_says(b"0");
    pair.at_inviter(&first).unwrap();
    let lost = [pair.joiner_says(b"1"), pair.joiner_says(b"2")];
    let answer = pair.inviter_says(b"answer");
    pair.at_joiner(&answer).unwrap();
    let lost_too = pair.joiner_says(b"3");
    let next = pair.joiner_says(b"4");
    let opened = pair.at_inviter(&next).unwrap();
    assert_eq!(opened.passed_over, 3);
    for blob in [&lost_too, &lost[1], &lost[0]] {
        assert!(pair.at_inviter(blob).unwrap().late);
    }
}

#[test]
fn no_message_opens_twice() {
    let mut pair = Pair::answered(7);
    let old = pair.joiner_says(b"old");
    pair.at_inviter(&old).unwrap();
    assert_eq!(refused(&mut pair.inviter, &mut pair.rng, &old), DecryptError::Used);
    let skipped = pair.joiner_says(b"skipped");
    let newer = pair.joiner_says(b"newer");
    pair.at_inviter(&newer).unwrap();
    pair.at_inviter(&skipped).unwrap();
    assert_eq!(refused(&mut pair.inviter, &mut pair.rng, &skipped), DecryptError::Used);
    for _ in 0..4 {
        pair.round();
    }
    for blob in [&old, &skipped, &newer] {
        refused(&mut pair.inviter, &mut pair.rng, blob);
    }
}

#[test]
fn nobody_opens_what_they_sent_themselves() {
    let mut pair = Pair::answered(8);
    let own = pair.joiner_says(b"mirror");
    assert_eq!(refused(&mut pair.joiner, &mut pair.rng, &own), DecryptError::NotOpened);
}

#[test]
fn a_restart_after_every_step_changes_nothing() {
    let mut pair = Pair::joined(9);
    for _ in 0..12 {
        let lost = pair.joiner_says(b"lost");
        pair.joiner = restarted(&pair.joiner);
        pair.round();
        pair.inviter = restarted(&pair.inviter);
        pair.joiner = restarted(&pair.joiner);
        assert!(pair.at_inviter(&lost).unwrap().late);
        pair.inviter = restarted(&pair.inviter);
    }
}

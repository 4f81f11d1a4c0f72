//! What is kept for late messages is bounded in number and in days.

use super::*;
use crate::ratchet::error::EncryptError;
use crate::ratchet::{
    CHAIN_SKIP_MAX, SKIPPED_DAYS_MAX, SKIPPED_PER_CHAIN_MAX, SKIPPED_PER_CONTACT_MAX,
};

#[test]
fn a_chain_moves_on_by_65536_and_not_by_one_more() {
    let mut pair = Pair::answered(50);
    let first = pair.joiner_says(b"first");
    pair.at_inviter(&first).unwrap();
    let mut last = first;
    for _ in 0..=CHAIN_SKIP_MAX {
        last = pair.joiner_says(b"");
    }
    let beyond = pair.joiner_says(b"");
    let error = refused(&mut pair.inviter, &mut pair.rng, &beyond);
    assert_eq!(error, DecryptError::TooFarAhead);
    let opened = pair.at_inviter(&last).unwrap();
    assert_eq!(opened.passed_over, CHAIN_SKIP_MAX);
    assert_eq!(pair.at_inviter(&beyond).unwrap().passed_over, 0);
}

#[test]
fn of_a_chain_the_newest_256_keys_passed_over_are_kept() {
    let mut pair = Pair::answered(51);
    let blobs: Vec<Blob> = (0..SKIPPED_PER_CHAIN_MAX + 10).map(|_| pair.joiner_says(b"")).collect();
    let last = pair.joiner_says(b"");
    pair.at_inviter(&last).unwrap();
    assert_eq!(pair.inviter.ec.receiving.as_ref().unwrap().skipped.len(), SKIPPED_PER_CHAIN_MAX);
    for (index, blob) in blobs.iter().enumerate() {
        if index < 10 {
            assert_eq!(refused(&mut pair.inviter, &mut pair.rng, blob), DecryptError::Used);
        } else {
            assert!(pair.at_inviter(blob).unwrap().late);
        }
    }
    assert!(pair.inviter.ec.receiving.as_ref().unwrap().skipped.is_empty());
}

#[test]
fn of_a_contact_2000_keys_passed_over_are_kept_whatever_the_other_side_does() {
    let mut pair = Pair::answered(52);
    let mut reached = 0;
    for _ in 0..24 {
        for _ in 0..SKIPPED_PER_CHAIN_MAX {
            pair.joiner_says(b"");
        }
        pair.round();
        let ec = &pair.inviter.ec;
        let kept = ec.receiving.as_ref().unwrap().skipped.len()
            + ec.past.iter().map(|chain| chain.skipped.len()).sum::<usize>();
        assert!(kept <= SKIPPED_PER_CONTACT_MAX);
        assert!(ec.past.len() <= 2);
        assert!(pair.inviter.kem.kept_count() <= SKIPPED_PER_CONTACT_MAX);
        reached = reached.max(pair.inviter.kem.kept_count());
        pair.inviter = restarted(&pair.inviter);
    }
    assert_eq!(reached, SKIPPED_PER_CONTACT_MAX, "the bound was reached");
    assert!(pair.inviter.to_bytes().len() < 130_000);
}

#[test]
fn a_key_passed_over_serves_for_22_days_and_is_gone_after() {
    let mut pair = Pair::answered(53);
    let late = [pair.joiner_says(b"0"), pair.joiner_says(b"1")];
    let newer = pair.joiner_says(b"2");
    pair.at_inviter(&newer).unwrap();
    let last_day = UnixDay(TODAY.0 + SKIPPED_DAYS_MAX);
    assert!(pair.inviter.decrypt(&mut pair.rng, last_day, &late[0]).unwrap().late);
    let next = pair.joiner_says(b"3");
    let day_after = UnixDay(last_day.0 + 1);
    pair.inviter.decrypt(&mut pair.rng, day_after, &next).unwrap();
    assert_eq!(pair.inviter.kem.kept_count(), 0);
    assert_eq!(
        pair.inviter.decrypt(&mut pair.rng, day_after, &late[1]).unwrap_err(),
        DecryptError::Used
    );
}

#[test]
fn a_clock_that_ran_ahead_does_not_keep_keys_for_ever() {
    let mut pair = Pair::answered(54);
    pair.joiner_says(b"lost");
    let newer = pair.joiner_says(b"newer");
    pair.inviter.decrypt(&mut pair.rng, UnixDay(u32::MAX), &newer).unwrap();
    assert_eq!(pair.inviter.kem.kept_count(), 1);
    for (day, kept) in [(TODAY.0, 1), (TODAY.0 + 22, 1), (TODAY.0 + 23, 0)] {
        let next = pair.joiner_says(b"next");
        pair.inviter.decrypt(&mut pair.rng, UnixDay(day), &next).unwrap();
        assert_eq!(pair.inviter.kem.kept_count(), kept, "day {day}");
    }
}

#[test]
fn numbers_that_ran_out_are_refused_and_change_nothing() {
    let mut pair = Pair::answered(55);
    for of_kem in [false, true] {
        let mut last = restarted(&pair.joiner);
        if of_kem {
            last.kem.number = u32::MAX;
        } else {
            last.ec.sending.as_mut().unwrap().number = u32::MAX;
        }
        let before = last.to_bytes();
        assert_eq!(last.encrypt(&mut pair.rng, b"one more").unwrap_err(), EncryptError::Exhausted);
        assert_eq!(before[..], last.to_bytes()[..]);
    }
}

#[test]
fn keys_passed_over_at_several_times_are_bounded_together() {
    let mut pair = Pair::answered(56);
    let mut lost = Vec::new();
    for _ in 0..2 {
        lost.extend((0..200).map(|_| pair.joiner_says(b"lost")));
        let heard = pair.joiner_says(b"heard");
        pair.at_inviter(&heard).unwrap();
    }
    let kept = &pair.inviter.ec.receiving.as_ref().unwrap().skipped;
    assert_eq!((kept.len(), pair.inviter.kem.kept_count()), (256, 256));
    let gone = lost.len() - SKIPPED_PER_CHAIN_MAX;
    assert_eq!(
        refused(&mut pair.inviter, &mut pair.rng, &lost[gone - 1]),
        DecryptError::Used,
        "the oldest go first"
    );
    assert!(pair.at_inviter(&lost[gone]).unwrap().late);
}

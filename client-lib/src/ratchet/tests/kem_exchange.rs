//! The KEM ratchet moves on both ways, whatever is dropped.

use super::*;
use crate::ratchet::header::KemPart;
use crate::ratchet::kem_ratchet::Exchange;

fn part_of(ratchet: &Ratchet) -> &'static str {
    match ratchet.kem.part_to_send() {
        KemPart::Nothing => "nothing",
        KemPart::EncapsulationKey(_) => "ek",
        KemPart::Ciphertext(_) => "ct",
    }
}

#[test]
fn the_epoch_rises_and_both_sides_take_their_turn_to_offer() {
    let mut pair = Pair::joined(20);
    let (mut by_inviter, mut by_joiner) = (0, 0);
    for _ in 0..20 {
        by_inviter += u32::from(part_of(&pair.inviter) == "ek");
        by_joiner += u32::from(part_of(&pair.joiner) == "ek");
        let back = pair.inviter_says(b"back");
        pair.at_joiner(&back).unwrap();
        let there = pair.joiner_says(b"there");
        pair.at_inviter(&there).unwrap();
    }
    assert!(by_inviter >= 5 && by_joiner >= 5, "{by_inviter} {by_joiner}");
    assert!(pair.inviter.kem.epoch >= 10, "{}", pair.inviter.kem.epoch);
    assert!(pair.inviter.kem.epoch.abs_diff(pair.joiner.kem.epoch) <= 1);
}

#[test]
fn an_answer_seals_in_the_epoch_that_it_begins() {
    let mut pair = Pair::answered(21);
    assert_eq!((pair.joiner.kem.epoch, part_of(&pair.joiner)), (1, "ct"));
    assert_eq!((pair.inviter.kem.epoch, part_of(&pair.inviter)), (0, "ek"));
    let blob = pair.joiner_says(b"in epoch 1");
    pair.at_inviter(&blob).unwrap();
    assert_eq!((pair.inviter.kem.epoch, part_of(&pair.inviter)), (1, "nothing"));
    let back = pair.inviter_says(b"in epoch 1 too");
    pair.at_joiner(&back).unwrap();
    assert_eq!(part_of(&pair.joiner), "ek");
}

#[test]
fn whoever_drops_all_but_one_message_of_a_burst_cannot_hold_the_epoch_back() {
    // For each choice of the survivor the epoch rises as fast as without any loss: one exchange in two bursts each way.
    for survivor in 0..5 {
        let mut pair = Pair::joined(22);
        for _ in 0..10 {
            let burst: Vec<Blob> = (0..5).map(|_| pair.inviter_says(b"down")).collect();
            pair.at_joiner(&burst[survivor]).unwrap();
            let burst: Vec<Blob> = (0..5).map(|_| pair.joiner_says(b"up")).collect();
            pair.at_inviter(&burst[4 - survivor]).unwrap();
        }
        assert!(pair.inviter.kem.epoch >= 6, "survivor {survivor}: {}", pair.inviter.kem.epoch);
    }
}

#[test]
fn every_message_of_an_offering_or_answering_side_carries_its_part() {
    let mut pair = Pair::joined(23);
    for _ in 0..5 {
        assert_eq!(part_of(&pair.inviter), "ek");
        pair.inviter_says(b"dropped");
    }
    let one = pair.inviter_says(b"arrives");
    pair.at_joiner(&one).unwrap();
    let Exchange::Answering { ct, .. } = &pair.joiner.kem.exchange else { panic!("no answer") };
    let ct = ct.clone();
    for _ in 0..5 {
        assert_eq!(pair.joiner.kem.part_to_send(), KemPart::Ciphertext(ct.clone()));
        pair.joiner_says(b"dropped");
    }
    let again = pair.inviter_says(b"offers again");
    pair.at_joiner(&again).unwrap();
    let same = KemPart::Ciphertext(ct);
    assert_eq!(pair.joiner.kem.part_to_send(), same, "a repeated offer is answered alike");
    let one = pair.joiner_says(b"arrives");
    pair.at_inviter(&one).unwrap();
    assert_eq!(pair.inviter.kem.epoch, 1);
}

/// Three messages of epoch 0, of which the first has come, and two rounds behind them.
fn three_before_two_rounds(pair: &mut Pair) -> Vec<Blob> {
    let early: Vec<Blob> = (0..3).map(|_| pair.inviter_says(b"epoch 0")).collect();
    pair.at_joiner(&early[0]).unwrap();
    for _ in 0..2 {
        pair.round();
    }
    early
}

#[test]
fn messages_of_an_earlier_epoch_that_come_late_open() {
    let mut pair = Pair::joined(24);
    let early = three_before_two_rounds(&mut pair);
    assert!(pair.joiner.kem.receiving.epoch >= 1);
    for blob in &early[1..] {
        assert!(pair.at_joiner(blob).unwrap().late);
    }
}

#[test]
fn a_late_message_erases_its_own_key_in_both_ratchets_and_no_other() {
    let mut pair = Pair::joined(27);
    let early = three_before_two_rounds(&mut pair);
    let burst: Vec<Blob> = (0..3).map(|_| pair.inviter_says(b"now")).collect();
    pair.at_joiner(&burst[2]).unwrap();
    let kept = |pair: &Pair| {
        let ec = &pair.joiner.ec;
        let past: usize = ec.past.iter().map(|chain| chain.skipped.len()).sum();
        (past + ec.receiving.as_ref().unwrap().skipped.len(), pair.joiner.kem.kept_count())
    };
    assert_eq!(kept(&pair), (4, 4));
    let late = [&burst[0], &early[1], &burst[1], &early[2]];
    for (opened, blob) in late.into_iter().enumerate() {
        assert!(pair.at_joiner(blob).unwrap().late);
        assert_eq!(kept(&pair), (3 - opened, 3 - opened));
        // Not even its header opens once nothing is left of an earlier chain.
        let again = refused(&mut pair.joiner, &mut pair.rng, blob);
        assert!(matches!(again, DecryptError::Used | DecryptError::NotOpened), "{again:?}");
    }
}

#[test]
fn one_ratchet_alone_does_not_open_a_message() {
    // What an attacker has who broke X25519, or ML-KEM, but not both: all of one half of the receiver's state.
    let mut pair = Pair::answered(25);
    pair.round();
    let blob = pair.joiner_says(b"secret");
    let mut whole = restarted(&pair.inviter);
    assert!(whole.decrypt(&mut pair.rng, TODAY, &blob).is_ok());
    let other = Pair::answered(26);
    let mut without_kem = restarted(&pair.inviter);
    without_kem.kem.receiving.chain_key = restarted(&other.inviter).kem.receiving.chain_key;
    if let Exchange::Answering { receiving, .. } = &mut without_kem.kem.exchange {
        *receiving = restarted(&other.inviter).kem.receiving.chain_key;
    }
    if let Exchange::Offering { dk, .. } = &mut without_kem.kem.exchange {
        *dk = crate::ratchet::kem::DecapsulationKey::from_seed(&[9; 64]);
    }
    assert_eq!(
        without_kem.decrypt(&mut pair.rng, TODAY, &blob).unwrap_err(),
        DecryptError::NotOpened
    );
    let mut without_ec = restarted(&pair.inviter);
    without_ec.ec.our_key = card_key();
    assert_eq!(
        without_ec.decrypt(&mut pair.rng, TODAY, &blob).unwrap_err(),
        DecryptError::NotOpened
    );
}

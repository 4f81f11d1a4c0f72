//! The other side has the keys and breaks the rules.

use super::*;
use crate::ratchet::Misbehaviour;
use crate::ratchet::agreement_key::small_order_points;
use crate::ratchet::header::{Header, KemPart};
use crate::ratchet::kem::{DecapsulationKey, EK_LEN, EncapsulationKey};
use crate::ratchet::layout::HEADER_FIXED_LEN;
use crate::ratchet::one_time_key::OneTimeKey;
use crate::ratchet::session::{SealKeys, seal_blob};

/// Seals the next message of `ratchet` with a changed header and a length that may be wrong.
fn forged(ratchet: &Ratchet, change: impl FnOnce(&mut Header), length: u16, body: &[u8]) -> Blob {
    let chain = ratchet.ec.sending.as_ref().unwrap();
    let (ec, _) = ratchet.ec.next_to_send().unwrap();
    let (kem, _) = ratchet.kem.next_to_send().unwrap();
    let mut header = Header {
        ratchet_key: ratchet.ec.our_key.public(),
        previous: ratchet.ec.previous,
        number: chain.number,
        kem_epoch: ratchet.kem.epoch,
        kem_previous: ratchet.kem.previous,
        kem_number: ratchet.kem.number,
        kem: ratchet.kem.part_to_send(),
    };
    change(&mut header);
    let keys = SealKeys { header: &chain.header_key, ec: &ec, kem: &kem };
    seal_blob(&keys, chain.prefix.as_ref(), &[8; 32], &header, length, body)
}

fn misbehaved(pair: &mut Pair, blob: &Blob) -> Misbehaviour {
    match refused(&mut pair.inviter, &mut pair.rng, blob) {
        DecryptError::PeerMisbehaved(how) => how,
        other => panic!("{other:?}"),
    }
}

#[test]
fn every_point_of_small_order_in_a_header_is_refused() {
    let mut pair = Pair::answered(40);
    let honest = forged(&pair.joiner, |_| {}, 2, b"ok");
    for point in small_order_points() {
        let blob = forged(&pair.joiner, |header| header.ratchet_key = point, 2, b"ok");
        assert_eq!(misbehaved(&mut pair, &blob), Misbehaviour::NonContributory);
    }
    pair.at_inviter(&honest).expect("the control opens");
}

#[test]
fn every_point_of_small_order_in_a_first_message_is_refused() {
    let mut rng = ChaCha20Rng::seed_from_u64(41);
    let joiner = fresh_joiner(&mut rng);
    for point in small_order_points() {
        let blob = forged(&joiner, |header| header.ratchet_key = point, 2, b"ok");
        let error = accept(&mut rng, &blob).unwrap_err();
        assert_eq!(error, DecryptError::PeerMisbehaved(Misbehaviour::NonContributory));
    }
    accept(&mut rng, &forged(&joiner, |_| {}, 2, b"ok")).expect("the control opens");
}

#[test]
fn a_card_key_of_small_order_makes_no_joiner() {
    let mut rng = ChaCha20Rng::seed_from_u64(42);
    for point in small_order_points() {
        assert!(Ratchet::joiner(first_keys(), &point, prefix(), &mut rng).is_err());
    }
}

#[test]
fn a_number_too_far_ahead_is_refused_and_changes_nothing() {
    let mut pair = Pair::answered(43);
    pair.round();
    let changes: [fn(&mut Header); 4] = [
        |header| header.number = u32::MAX,
        |header| header.kem_number = u32::MAX,
        |header| header.previous = u32::MAX,
        |header| header.number = 65_537,
    ];
    for change in changes {
        let blob = forged(&pair.joiner, change, 2, b"ok");
        let error = refused(&mut pair.inviter, &mut pair.rng, &blob);
        assert_eq!(error, DecryptError::TooFarAhead);
    }
}

#[test]
fn an_epoch_that_nothing_leads_to_is_refused() {
    let mut pair = Pair::answered(44);
    pair.round();
    let epoch = pair.inviter.kem.receiving.epoch;
    for impossible in [epoch + 1, epoch + 2, u32::MAX] {
        let change = |header: &mut Header| {
            header.kem_epoch = impossible;
            header.kem = KemPart::Nothing;
        };
        let blob = forged(&pair.joiner, change, 2, b"ok");
        assert_eq!(misbehaved(&mut pair, &blob), Misbehaviour::KemEpoch);
    }
}

#[test]
fn a_ciphertext_for_another_key_does_not_open_and_moves_nothing() {
    let mut pair = Pair::answered(45);
    let other = DecapsulationKey::from_seed(&[1; 64]).encapsulation_key();
    let (ct, _) = other.encapsulate(&mut pair.rng);
    let blob = forged(&pair.joiner, |header| header.kem = KemPart::Ciphertext(ct), 2, b"ok");
    assert_eq!(refused(&mut pair.inviter, &mut pair.rng, &blob), DecryptError::NotOpened);
}

#[test]
fn an_encapsulation_key_beyond_the_modulus_is_refused() {
    assert!(EncapsulationKey::from_bytes(&[0xff; EK_LEN]).is_err());
    let mut pair = Pair::answered(46);
    pair.round();
    // Sealed by hand: a key like this has no type.
    let blob = forged(&pair.joiner, |_| {}, 0, b"");
    let mut plain = vec![0; HEADER_FIXED_LEN + EK_LEN];
    let chain = pair.joiner.ec.sending.as_ref().unwrap();
    let key = || chain.header_key.for_message(&[8; 32]);
    key().open(&blob[32..32 + plain.len() + 16], &mut plain).unwrap();
    for (kind, fill, expected) in [
        (1, 0xff, Misbehaviour::EncapsulationKey),
        (3, 0, Misbehaviour::Header),
        (0, 1, Misbehaviour::Header),
        (2, 1, Misbehaviour::Header),
    ] {
        let mut bad = plain.clone();
        bad[HEADER_FIXED_LEN - 1] = kind;
        bad[HEADER_FIXED_LEN..].fill(fill);
        bad.extend_from_slice(&[0; 16]);
        let key: OneTimeKey = pair
            .joiner
            .ec
            .sending
            .as_ref()
            .map(|chain| chain.header_key.for_message(&[8; 32]))
            .unwrap();
        key.seal(&mut bad);
        let mut blob = blob.clone();
        blob[32..32 + bad.len()].copy_from_slice(&bad);
        assert_eq!(misbehaved(&mut pair, &blob), expected);
    }
}

#[test]
fn a_body_with_a_wrong_length_or_without_its_zeros_is_refused() {
    let mut pair = Pair::answered(47);
    for (length, body) in [(u16::MAX, &b"x"[..]), (1_098, b"x"), (1, b"xy")] {
        let blob = forged(&pair.joiner, |_| {}, length, body);
        assert_eq!(misbehaved(&mut pair, &blob), Misbehaviour::Padding, "length {length}");
    }
}

#[test]
fn a_chain_that_claims_to_have_been_shorter_than_it_was_does_no_harm() {
    let mut pair = Pair::answered(48);
    for _ in 0..3 {
        let there = pair.joiner_says(b"there");
        pair.at_inviter(&there).unwrap();
    }
    let back = pair.inviter_says(b"back");
    pair.at_joiner(&back).unwrap();
    let blob = forged(&pair.joiner, |header| header.previous = 1, 2, b"ok");
    let opened = pair.at_inviter(&blob).unwrap();
    assert_eq!((opened.passed_over, opened.number), (0, 4));
}

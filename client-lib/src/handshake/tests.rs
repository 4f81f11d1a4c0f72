//! Tests of card and handshake as a whole.

use hearken_proto::limits::BLOB_LEN;
use hearken_proto::time::{HOUR_MS, UnixDay, UnixHour, UnixMillis};
use proptest::prelude::*;
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng;

use super::transcript::Transcript;
use super::*;
use crate::ratchet::agreement_key::small_order_points;
use crate::ratchet::kem::{CT_LEN, Ciphertext, DecapsulationKey};
use crate::ratchet::prefix::Prefix;
use crate::ratchet::{DecryptError, StateError};

const EXPIRES: UnixHour = UnixHour(500_000);
const NOW: UnixMillis = UnixMillis(499_999 * HOUR_MS);
const TODAY: UnixDay = UnixDay(20_833);
const RELAY: &str = "hearken://aaaa@relay.example:4433";

fn inviter(seed: u64) -> (Inviter, ChaCha20Rng) {
    let mut rng = ChaCha20Rng::seed_from_u64(seed);
    let inviter = Inviter::create(&mut rng, RELAY, &[9; 32], EXPIRES).unwrap();
    (inviter, rng)
}

fn opened_card(inviter: &Inviter) -> InvitationCard {
    let secret = inviter.link_secret();
    let sealed = inviter.card().seal(secret);
    InvitationCard::open(secret, &inviter.card().hash(), &sealed, NOW).unwrap()
}

#[test]
fn a_card_comes_out_of_its_blob_as_it_went_in() {
    let (inviter, _) = inviter(1);
    let card = opened_card(&inviter);
    assert_eq!(card.relay(), RELAY);
    assert_eq!(card.claim_key(), &[9; 32]);
    assert_eq!(card.expires(), EXPIRES);
    assert_eq!(card.hash(), inviter.card().hash());
    assert_eq!(card.encode(), inviter.card().encode());
}

#[test]
fn the_longest_address_fits_and_one_byte_more_or_none_is_refused() {
    let mut rng = ChaCha20Rng::seed_from_u64(2);
    let longest = "a".repeat(CARD_ADDRESS_MAX);
    let inviter = Inviter::create(&mut rng, &longest, &[9; 32], EXPIRES).unwrap();
    assert_eq!(opened_card(&inviter).relay(), longest);
    for address in [String::new(), longest + "a"] {
        let error = Inviter::create(&mut rng, &address, &[9; 32], EXPIRES).unwrap_err();
        assert_eq!(error, CardError::Address);
    }
}

#[test]
fn a_swapped_card_is_refused() {
    let (honest, _) = inviter(3);
    let (secret, hash) = (honest.link_secret(), honest.card().hash());
    let sealed = honest.card().seal(secret);
    // A relay that knows nothing.
    for index in 0..BLOB_LEN {
        let mut changed = sealed.clone();
        changed[index] ^= 1 << (index % 8);
        let error = InvitationCard::open(secret, &hash, &changed, NOW).unwrap_err();
        assert_eq!(error, CardError::Swapped, "byte {index}");
    }
    // A relay that knows the link's secret, but cannot change the link.
    let (other, _) = inviter(4);
    let forged = other.card().seal(secret);
    let error = InvitationCard::open(secret, &hash, &forged, NOW).unwrap_err();
    assert_eq!(error, CardError::Swapped);
    // The right blob for another link.
    let error = InvitationCard::open(other.link_secret(), &hash, &sealed, NOW).unwrap_err();
    assert_eq!(error, CardError::Swapped);
}

#[test]
fn a_card_of_this_hash_that_is_none_is_malformed() {
    let secret = LinkSecret::from_bytes(&[1; 32]);
    let (inviter, _) = inviter(5);
    let good = inviter.card().encode().to_vec();
    let mut other_version = good.clone();
    other_version[0] = 2;
    let mut bad_key = good.clone();
    bad_key[69..69 + 1_184].fill(0xff);
    let mut not_utf8 = good.clone();
    *not_utf8.last_mut().unwrap() = 0xff;
    let cut = good[..good.len() - 1].to_vec();
    for card in [other_version, bad_key, not_utf8, cut, Vec::new()] {
        let (hash, sealed) = sealed_by_hand(&secret, &card, 0);
        let error = InvitationCard::open(&secret, &hash, &sealed, NOW).unwrap_err();
        assert_eq!(error, CardError::Malformed);
    }
    let (hash, sealed) = sealed_by_hand(&secret, &good, 1);
    let error = InvitationCard::open(&secret, &hash, &sealed, NOW).unwrap_err();
    assert_eq!(error, CardError::Malformed, "bytes where zeros belong");
    let (hash, sealed) = sealed_by_hand(&secret, &good, 0);
    InvitationCard::open(&secret, &hash, &sealed, NOW).expect("the control opens");
}

fn sealed_by_hand(secret: &LinkSecret, card: &[u8], fill: u8) -> ([u8; 32], Box<[u8; BLOB_LEN]>) {
    use sha2::{Digest, Sha256};
    let mut blob = Box::new([fill; BLOB_LEN]);
    blob[..2].copy_from_slice(&u16::try_from(card.len()).unwrap().to_be_bytes());
    blob[2..2 + card.len()].copy_from_slice(card);
    secret.sealing_key().seal(&mut blob[..]);
    let hash = Sha256::new().chain_update(b"hearken/1 invitation card").chain_update(card);
    (hash.finalize().into(), blob)
}

#[test]
fn an_expired_card_is_refused_from_its_hour_on() {
    let (inviter, _) = inviter(6);
    let (secret, hash) = (inviter.link_secret(), inviter.card().hash());
    let sealed = inviter.card().seal(secret);
    let last = UnixMillis(EXPIRES.start().0 - 1);
    assert!(InvitationCard::open(secret, &hash, &sealed, last).is_ok());
    let error = InvitationCard::open(secret, &hash, &sealed, EXPIRES.start()).unwrap_err();
    assert_eq!(error, CardError::Expired);
}

#[test]
fn a_joiner_and_the_inviter_hear_each_other_and_see_the_same_code() {
    let (inviter, mut rng) = inviter(7);
    let card = opened_card(&inviter);
    let mut joined = join(&mut rng, inviter.link_secret(), &card).unwrap();
    let first = joined.ratchet.encrypt(&mut rng, b"hello").unwrap();
    let mut accepted = inviter.accept(&mut rng, TODAY, &first).unwrap();
    assert_eq!(&accepted.opened.body[..], b"hello");
    assert_eq!(accepted.safety, joined.safety);
    assert_eq!(accepted.safety.words(), joined.safety.words());
    let answer = accepted.ratchet.encrypt(&mut rng, b"welcome").unwrap();
    let opened = joined.ratchet.decrypt(&mut rng, TODAY, &answer).unwrap();
    assert_eq!(&opened.body[..], b"welcome");
    assert!(joined.ratchet.is_answered());
}

#[test]
fn a_first_message_that_was_changed_leaves_the_invitation_open() {
    let (inviter, mut rng) = inviter(8);
    let mut joined = join(&mut rng, inviter.link_secret(), inviter.card()).unwrap();
    let first = joined.ratchet.encrypt(&mut rng, b"hello").unwrap();
    let before = inviter.to_bytes();
    for index in 0..BLOB_LEN {
        let mut changed = first.clone();
        changed[index] ^= 1 << (index % 8);
        let result = inviter.accept(&mut rng, TODAY, &changed);
        // X25519 ignores the top bit of a public key; the transcript does not.
        assert!(
            matches!(result, Err(HandshakeError::Message(DecryptError::NotOpened))),
            "byte {index}"
        );
    }
    let mut top_bit = first.clone();
    top_bit[31] ^= 0x80;
    assert!(inviter.accept(&mut rng, TODAY, &top_bit).is_err());
    assert_eq!(before[..], inviter.to_bytes()[..]);
    inviter.accept(&mut rng, TODAY, &first).expect("the control: unchanged it opens");
}

#[test]
fn every_point_of_small_order_is_refused_on_both_sides() {
    let (inviter, mut rng) = inviter(9);
    let mut joined = join(&mut rng, inviter.link_secret(), inviter.card()).unwrap();
    let first = joined.ratchet.encrypt(&mut rng, b"hello").unwrap();
    for point in small_order_points() {
        let mut changed = first.clone();
        changed[..32].copy_from_slice(&point);
        let error = inviter.accept(&mut rng, TODAY, &changed).unwrap_err();
        assert_eq!(error, HandshakeError::NonContributory);
        let ek = DecapsulationKey::from_seed(&[1; 64]).encapsulation_key();
        let card = InvitationCard::new(EXPIRES, point, &[9; 32], ek, RELAY).unwrap();
        let error = join(&mut rng, inviter.link_secret(), &card).unwrap_err();
        assert_eq!(error, HandshakeError::NonContributory);
    }
}

#[test]
fn the_transcript_covers_every_byte_of_card_key_and_ciphertext() {
    let (inviter, _) = inviter(10);
    let card = inviter.card().encode();
    let start = Prefix::new(&[1; 32], &Ciphertext::from_bytes(&[2; CT_LEN]));
    let honest = *Transcript::new(&card, &start).as_bytes();
    for index in 0..card.len() {
        let mut changed = card.to_vec();
        changed[index] ^= 1;
        assert_ne!(Transcript::new(&changed, &start).as_bytes(), &honest, "card byte {index}");
    }
    for index in 0..start.as_bytes().len() {
        let mut changed = *start.as_bytes();
        changed[index] ^= 1;
        let changed = Transcript::new(&card, &Prefix::from_bytes(&changed));
        assert_ne!(changed.as_bytes(), &honest, "prefix byte {index}");
        assert_ne!(
            changed.safety_code().as_bytes(),
            Transcript::new(&card, &start).safety_code().as_bytes()
        );
    }
}

#[test]
fn the_keys_depend_on_the_link_secret_on_the_agreement_and_on_the_kem() {
    let (inviter, mut rng) = inviter(11);
    let wrong_secret = LinkSecret::from_bytes(&[0; 32]);
    let mut joined = join(&mut rng, &wrong_secret, inviter.card()).unwrap();
    let first = joined.ratchet.encrypt(&mut rng, b"hello").unwrap();
    let error = inviter.accept(&mut rng, TODAY, &first).unwrap_err();
    assert_eq!(error, HandshakeError::Message(DecryptError::NotOpened));

    // One half of the card replaced, the other honest: whoever holds one private key only cannot read.
    let honest = inviter.card();
    let own_ek = DecapsulationKey::from_seed(&[1; 64]).encapsulation_key();
    let own_key = crate::ratchet::agreement_key::AgreementKey::from_bytes(&[1; 32]).public();
    for card in [
        InvitationCard::new(EXPIRES, *honest.agreement_key(), &[9; 32], own_ek, RELAY),
        InvitationCard::new(EXPIRES, own_key, &[9; 32], honest.encapsulation_key().clone(), RELAY),
    ] {
        let mut joined = join(&mut rng, inviter.link_secret(), &card.unwrap()).unwrap();
        let first = joined.ratchet.encrypt(&mut rng, b"hello").unwrap();
        assert!(inviter.accept(&mut rng, TODAY, &first).is_err());
    }
}

#[test]
fn who_sits_between_two_shows_them_different_codes() {
    let (honest, mut rng) = inviter(12);
    let (between, _) = inviter(13);
    let to_inviter = join(&mut rng, honest.link_secret(), honest.card()).unwrap();
    let from_joiner = join(&mut rng, between.link_secret(), between.card()).unwrap();
    assert_ne!(to_inviter.safety, from_joiner.safety);
}

#[test]
fn an_invitation_is_the_same_after_a_round_trip() {
    let (inviter, mut rng) = inviter(14);
    let stored = inviter.to_bytes();
    let loaded = Inviter::from_bytes(&stored).unwrap();
    assert_eq!(loaded.to_bytes()[..], stored[..]);
    let mut joined = join(&mut rng, inviter.link_secret(), inviter.card()).unwrap();
    let first = joined.ratchet.encrypt(&mut rng, b"hello").unwrap();
    loaded.accept(&mut rng, TODAY, &first).unwrap();
}

#[test]
fn a_damaged_invitation_is_refused_or_loads_and_never_panics() {
    let (inviter, _) = inviter(15);
    let stored = inviter.to_bytes();
    for length in 0..stored.len() {
        // An address cut short is still one: nothing but the length in front tells, and it does.
        assert!(Inviter::from_bytes(&stored[..length]).is_err(), "length {length}");
    }
    let mut newer = stored.to_vec();
    newer[0] = 9;
    assert_eq!(Inviter::from_bytes(&newer).unwrap_err(), StateError::Version);
    let private_keys = 33..33 + 32 + 64;
    for index in private_keys {
        let mut changed = stored.to_vec();
        // A bit that clamping leaves alone.
        changed[index] ^= 0x10;
        let loaded = Inviter::from_bytes(&changed);
        // The seed's second half, `z`, does not show in the public key.
        if index < 33 + 32 + 32 {
            assert_eq!(loaded.unwrap_err(), StateError::Malformed, "byte {index}");
        }
    }
}

#[test]
fn debug_output_tells_nothing() {
    let (inviter, mut rng) = inviter(16);
    let joined = join(&mut rng, inviter.link_secret(), inviter.card()).unwrap();
    assert_eq!(
        format!("{inviter:?} {:?} {:?} {joined:?}", inviter.card(), inviter.link_secret()),
        "Inviter(..) InvitationCard(..) LinkSecret(..) Joined(..)"
    );
    assert_eq!(format!("{:?}", joined.safety), "SafetyCode(..)");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn random_bytes_never_panic(mut bytes in proptest::collection::vec(any::<u8>(), 0..3_000)) {
        let _ = Inviter::from_bytes(&bytes);
        let _ = InvitationCard::decode(&bytes);
        if let Some(version) = bytes.first_mut() {
            *version = 1;
        }
        let _ = Inviter::from_bytes(&bytes);
        let _ = InvitationCard::decode(&bytes);
    }
}

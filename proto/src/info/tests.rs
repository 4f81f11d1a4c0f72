//! What a client takes for a relay's word, and what it does not.

use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;

use super::*;
use crate::hop::HopSecretKey;
use crate::seal::SealSecretKey;
use crate::wire::Admission;

const NOW: UnixMillis = UnixMillis(1_900_000_000_000);

#[test]
fn an_honest_info_goes_through_a_cell_and_is_believed() {
    let cell = answer(9, &sign(&info(), &identity()), &mut rng()).unwrap();
    let cell = Cell::parse(cell.as_bytes()).unwrap();
    assert_eq!((cell.kind(), cell.route()), (Kind::Info, 9));
    let verified = verify(UnverifiedInfo::from_answer(&cell).unwrap(), None, NOW).unwrap();
    assert_eq!(verified.info(), &info());
    assert_eq!(verified.signed_at(), NOW);
    assert_eq!(verified.auth_key(), &[3; 32]);
    assert_eq!(verified.context().fingerprint, fingerprint());
    assert_eq!(verified.context().key_epoch.as_bytes(), &[7; 8]);
    assert_eq!(verified.hop_key().to_bytes().to_vec(), info().hop_public_key);
    assert_eq!(verified.seal_key().to_bytes().to_vec(), info().seal_public_key);
}

#[test]
fn an_info_is_believed_for_three_hours_either_way_and_not_a_millisecond_longer() {
    let valid = INFO_VALID_MINUTES * MINUTE_MS;
    for (now, expected) in [
        (NOW.0 + valid, Ok(())),
        (NOW.0 + valid + 1, Err(InfoError::Expired)),
        (NOW.0 - valid, Ok(())),
        (NOW.0 - valid - 1, Err(InfoError::Expired)),
        (0, Err(InfoError::Expired)),
        (u64::MAX, Err(InfoError::Expired)),
    ] {
        assert_eq!(verify(signed(&info()), None, UnixMillis(now)).map(drop), expected, "{now}");
    }
}

#[test]
fn an_info_is_as_old_as_two_hours_before_the_newest_seen_and_no_older() {
    let back = INFO_ROLLBACK_MINUTES_MAX * MINUTE_MS;
    for (newest, expected) in [
        (NOW.0 + back, Ok(())),
        (NOW.0 + back + 1, Err(InfoError::RolledBack)),
        (NOW.0, Ok(())),
        (0, Ok(())),
        (u64::MAX, Err(InfoError::RolledBack)),
    ] {
        let seen = verify(signed(&info()), Some(UnixMillis(newest)), NOW).map(drop);
        assert_eq!(seen, expected, "{newest}");
    }
}

#[test]
fn a_relay_whose_clock_went_back_is_told_apart_from_an_info_that_expired() {
    let late = UnixMillis(NOW.0 + 10 * 60 * MINUTE_MS);
    assert_eq!(verify(signed(&info()), Some(late), late).unwrap_err(), InfoError::RolledBack);
    assert_eq!(verify(signed(&info()), None, late).unwrap_err(), InfoError::Expired);
}

#[test]
fn an_info_by_another_key_is_another_relays() {
    let other = SigningKey::from_bytes(&[2; 32]);
    let by_other = UnverifiedInfo(sign(&info(), &other));
    assert_eq!(verify(by_other, None, NOW).unwrap_err(), InfoError::OtherKey);
    let mut stolen = sign(&info(), &other);
    stolen.identity_public_key = identity().verifying_key().to_bytes().to_vec();
    assert_eq!(verify(UnverifiedInfo(stolen), None, NOW).unwrap_err(), InfoError::Signature);
}

#[test]
fn a_signature_over_the_same_bytes_without_the_label_does_not_hold() {
    let mut signed = sign(&info(), &identity());
    signed.signature = identity().sign(&signed.relay_info).to_bytes().to_vec();
    assert_eq!(verify(UnverifiedInfo(signed), None, NOW).unwrap_err(), InfoError::Signature);
}

#[test]
fn every_changed_bit_of_a_signed_info_is_refused() {
    let honest = sign(&info(), &identity());
    verify(UnverifiedInfo(honest.clone()), None, NOW).unwrap();
    let fields: [fn(&mut SignedRelayInfo) -> &mut Vec<u8>; 3] = [
        |signed| &mut signed.relay_info,
        |signed| &mut signed.identity_public_key,
        |signed| &mut signed.signature,
    ];
    for field in fields {
        let len = field(&mut honest.clone()).len();
        for bit in 0..len * 8 {
            let mut changed = honest.clone();
            field(&mut changed)[bit / 8] ^= 1 << (bit % 8);
            assert!(verify(UnverifiedInfo(changed), None, NOW).is_err(), "bit {bit}");
        }
        for len in 0..len {
            let mut changed = honest.clone();
            field(&mut changed).truncate(len);
            assert!(verify(UnverifiedInfo(changed), None, NOW).is_err(), "length {len}");
        }
    }
}

#[test]
fn every_changed_bit_of_the_bytes_in_an_answer_is_refused_or_changes_nothing() {
    let honest = sign(&info(), &identity());
    let cell = answer(0, &honest, &mut rng()).unwrap();
    let end = cell.as_bytes().len() - INFO_LEN + 2 + honest.encoded_len();
    let from = cell.as_bytes().len() - INFO_LEN;
    for bit in from * 8..end * 8 {
        let mut bytes = *cell.as_bytes();
        bytes[bit / 8] ^= 1 << (bit % 8);
        let read = UnverifiedInfo::from_answer(&Cell::parse(&bytes).unwrap());
        if let Ok(verified) = read.and_then(|read| verify(read, None, NOW)) {
            assert_eq!(verified.info(), &info(), "bit {bit}");
        }
    }
}

#[test]
fn a_signed_info_whose_fields_are_no_keys_is_malformed() {
    let changes: [fn(&mut RelayInfo); 7] = [
        |info| info.key_epoch.truncate(7),
        |info| info.key_epoch.push(0),
        |info| info.seal_public_key.truncate(1_215),
        |info| info.seal_public_key = vec![0xff; 1_216],
        |info| info.auth_public_key.push(0),
        |info| info.hop_public_key.truncate(31),
        |info| info.hop_public_key.clear(),
    ];
    for (index, change) in changes.into_iter().enumerate() {
        let mut info = info();
        change(&mut info);
        let refused = verify(signed(&info), None, NOW).unwrap_err();
        assert_eq!(refused, InfoError::Malformed, "change {index}");
    }
}

#[test]
fn a_relay_that_speaks_no_version_of_ours_is_told_so() {
    for versions in [vec![], vec![0], vec![2, 3], vec![257]] {
        let info = RelayInfo { versions, ..info() };
        assert_eq!(verify(signed(&info), None, NOW).unwrap_err(), InfoError::Version);
    }
    let info = RelayInfo { versions: vec![9, 1], ..info() };
    verify(signed(&info), None, NOW).unwrap();
}

#[test]
fn an_info_that_fills_a_cell_is_carried_and_one_a_byte_longer_is_not() {
    let padded = |len: usize| {
        let mut signed = sign(&info(), &identity());
        signed.relay_info = vec![1; len];
        signed
    };
    let longest =
        (0..INFO_LEN).rev().find(|len| padded(*len).encoded_len() <= INFO_LEN - 2).unwrap();
    let cell = answer(0, &padded(longest), &mut rng()).unwrap();
    assert_eq!(UnverifiedInfo::from_answer(&cell).unwrap().signed(), &padded(longest));
    for len in [longest + 1, 70_000] {
        assert_eq!(answer(0, &padded(len), &mut rng()).unwrap_err(), InfoError::TooLong);
    }
}

#[test]
fn an_answer_of_random_bytes_is_malformed_or_refused() {
    for seed in 0..256 {
        let cell = Cell::new(Kind::Info, 0, &mut ChaCha20Rng::seed_from_u64(seed));
        let read = UnverifiedInfo::from_answer(&cell);
        assert!(read.and_then(|read| verify(read, None, NOW)).is_err());
    }
}

#[test]
fn a_request_names_the_last_hop_until_it_names_a_next_one() {
    let mut cell = request(3, &mut rng());
    assert!(cell.is_last_hop());
    let routed = set_next_hop(&mut cell, &[0xaa; ROUTING_LEN]);
    assert!(!routed.is_last_hop());
    assert_eq!(routed.routing(), [0xaa; ROUTING_LEN]);
    assert_eq!((routed.kind(), routed.route()), (Kind::Info, 3));
}

fn verify(
    unverified: UnverifiedInfo,
    newest: Option<UnixMillis>,
    now: UnixMillis,
) -> Result<VerifiedInfo, InfoError> {
    unverified.verify(&fingerprint(), newest, now)
}

fn signed(info: &RelayInfo) -> UnverifiedInfo {
    UnverifiedInfo(sign(info, &identity()))
}

fn info() -> RelayInfo {
    RelayInfo {
        signed_at_ms: NOW.0,
        key_epoch: vec![7; 8],
        seal_public_key: SealSecretKey::from_seed(&[1; 32]).public_key().to_bytes().to_vec(),
        auth_public_key: vec![3; 32],
        hop_public_key: HopSecretKey::from_bytes(&[4; 32]).public_key().to_bytes().to_vec(),
        keys_until_ms: NOW.0 + 1,
        admission: Admission::Open.into(),
        proof_of_work_bits: 16,
        mailbox_blobs_max: 512,
        versions: vec![1],
        decommission: None,
        forwards: true,
    }
}

fn identity() -> SigningKey {
    SigningKey::from_bytes(&[1; 32])
}

fn fingerprint() -> Fingerprint {
    Fingerprint::of(identity().verifying_key().as_bytes())
}

fn rng() -> ChaCha20Rng {
    ChaCha20Rng::seed_from_u64(1)
}

//! States as bytes: the same after a round trip, refused when damaged, never a panic.

use proptest::prelude::*;

use super::*;
use crate::ratchet::StateError;

/// States that between them have every optional field.
fn states() -> Vec<Vec<u8>> {
    let mut rng = ChaCha20Rng::seed_from_u64(70);
    let mut states = vec![fresh_joiner(&mut rng).to_bytes().to_vec()];
    let mut pair = Pair::joined(71);
    for _ in 0..4 {
        for _ in 0..2 {
            pair.joiner_says(b"lost");
            pair.inviter_says(b"lost");
        }
        states.push(pair.joiner.to_bytes().to_vec());
        states.push(pair.inviter.to_bytes().to_vec());
        let back = pair.inviter_says(b"back");
        pair.at_joiner(&back).unwrap();
        let there = pair.joiner_says(b"there");
        pair.at_inviter(&there).unwrap();
    }
    states.push(pair.inviter.to_bytes().to_vec());
    states
}

#[test]
fn a_state_is_the_same_after_a_round_trip() {
    for state in states() {
        assert_eq!(Ratchet::from_bytes(&state).unwrap().to_bytes()[..], state[..]);
    }
}

#[test]
fn a_state_is_written_into_memory_that_is_taken_once_so_that_no_part_of_it_stays_behind() {
    let mut pair = Pair::answered(73);
    for lost in [3, 5, 7, 11] {
        for _ in 0..lost {
            pair.joiner_says(b"lost");
        }
        pair.round();
    }
    let (ec, kem) = (&pair.inviter.ec, &pair.inviter.kem);
    let receiving = ec.receiving.as_ref().unwrap().skipped.len();
    let past: usize = ec.past.iter().map(|chain| chain.skipped.len()).sum();
    let (kept, epochs) = (kem.kept_count(), kem.past.len());
    assert!(receiving > 1 && past > 1 && kept > 1 && epochs > 1, "a control");
    let capacity = 8_192 + 40 * (receiving + past + kept) + 6 * epochs;
    assert_eq!(pair.inviter.to_bytes().capacity(), capacity);
}

#[test]
fn a_state_cut_short_or_with_more_behind_it_is_refused() {
    for state in states() {
        for length in (0..state.len()).step_by(7).chain([state.len() - 1]) {
            assert!(Ratchet::from_bytes(&state[..length]).is_err());
        }
        let longer = [&state[..], &[0]].concat();
        assert_eq!(Ratchet::from_bytes(&longer).unwrap_err(), StateError::Malformed);
        let mut newer = state;
        newer[0] = 2;
        assert_eq!(Ratchet::from_bytes(&newer).unwrap_err(), StateError::Version);
    }
}

/// Whatever loads must also work without a panic.
fn exercise(bytes: &[u8]) {
    let Ok(mut ratchet) = Ratchet::from_bytes(bytes) else { return };
    let mut rng = ChaCha20Rng::seed_from_u64(72);
    let _ = ratchet.encrypt(&mut rng, b"words");
    let _ = ratchet.decrypt(&mut rng, TODAY, &Box::new([0; BLOB_LEN]));
    assert_eq!(restarted(&ratchet).to_bytes()[..], ratchet.to_bytes()[..]);
}

#[test]
fn a_changed_byte_anywhere_is_refused_or_works_and_never_panics() {
    for state in states().iter().rev().take(3) {
        for index in 0..state.len() {
            for value in [0, 1, 0x7f, 0xff] {
                let mut changed = state.clone();
                changed[index] = value;
                if changed == *state {
                    continue;
                }
                let _ = Ratchet::from_bytes(&changed);
                if value == 0xff {
                    exercise(&changed);
                }
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn random_bytes_never_panic(mut bytes in proptest::collection::vec(any::<u8>(), 0..4_000)) {
        exercise(&bytes);
        if let Some(version) = bytes.first_mut() {
            *version = 1;
        }
        exercise(&bytes);
    }

    #[test]
    fn states_with_many_changes_never_panic(
        which in 0..9_usize,
        changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..12),
    ) {
        let states = states();
        let mut state = states[which % states.len()].clone();
        for (index, value) in changes {
            let index = index.index(state.len());
            state[index] = value;
        }
        exercise(&state);
    }
}

//! A copy of a vault in one file: bytes as they came, and an honest copy that was damaged, with a checksum that holds or
//! does not.
//!
//! Judged: a vault is made of the honest copy alone, or of one that says the same; of any other nothing is left.

use std::cell::OnceCell;

use hearken_client_lib::VaultError;
use hearken_client_lib::fuzzing::sync;
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;

use crate::Choices;

const TEXT: &str = "what was written";
const CHANGES_MAX: usize = 6;
/// The magic, the salt and the slot file; pages follow.
const HEAD_LEN: usize = 8 + 32 + 916;
const PAGE_LEN: usize = 4_096;

thread_local! {
    static HONEST: OnceCell<Vec<u8>> = const { OnceCell::new() };
}

/// Restores from what the choices make of a copy.
pub(super) fn copy(input: &[u8]) {
    let mut choices = Choices::new(input);
    let honest = HONEST.with(|honest| honest.get_or_init(make).clone());
    let has_right_checksum = choices.one_in(2);
    let mut bytes = if choices.one_in(8) {
        choices.rest().to_vec()
    } else {
        damaged(honest.clone(), &mut choices)
    };
    if has_right_checksum {
        bytes = sync::checked_copy(&bytes);
    }
    let home = tempfile::tempdir().expect("a folder");
    match sync::restored_copy(home.path(), &bytes) {
        Ok(texts) => {
            assert_eq!(texts, [TEXT], "a vault that says something else");
            assert!(bytes == honest || has_right_checksum, "damage that the checksum did not show");
        }
        Err(error) => {
            assert!(bytes != honest, "an honest copy is refused: {error}");
            assert!(matches!(error, VaultError::Damaged { .. }), "{error}");
            let left = home.path().read_dir().expect("a folder").count();
            assert_eq!(left, 0, "something is left of a copy that was refused");
        }
    }
}

fn make() -> Vec<u8> {
    let home = tempfile::tempdir().expect("a folder");
    sync::honest_copy(home.path(), TEXT, &mut ChaCha20Rng::from_seed([4; 32])).expect("a copy")
}

fn damaged(mut bytes: Vec<u8>, choices: &mut Choices<'_>) -> Vec<u8> {
    for _ in 0..CHANGES_MAX {
        if choices.is_over() || bytes.is_empty() {
            break;
        }
        let [high, middle, low] = choices.array();
        let at = u32::from_be_bytes([0, high, middle, low]) as usize % bytes.len();
        match choices.byte() % 8 {
            0..=2 => bytes[at] ^= choices.byte(),
            // In front of the pages, where most of what is read is.
            3 => {
                let head = HEAD_LEN.min(bytes.len());
                bytes[at % head] ^= choices.byte();
            }
            4 => bytes.truncate(at),
            5 => drop(bytes.splice(at..at, choices.bytes(255).iter().copied())),
            6 => {
                let end = at.saturating_add(usize::from(choices.u16())).min(bytes.len());
                bytes.drain(at..end);
            }
            _ => exchange_pages(&mut bytes, at / PAGE_LEN, choices.byte().into()),
        }
    }
    bytes
}

fn exchange_pages(bytes: &mut [u8], one: usize, other: usize) {
    let Some(pages) = bytes.get_mut(HEAD_LEN..) else { return };
    let count = pages.len() / PAGE_LEN;
    if count > 0 {
        for at in 0..PAGE_LEN {
            pages.swap(one % count * PAGE_LEN + at, other % count * PAGE_LEN + at);
        }
    }
}

pub(super) fn seeds() -> Vec<(&'static str, Vec<u8>)> {
    // Whole; whole with the checksum put right; a bit of a page; two pages exchanged; cut short; bytes as they came.
    let seeds: [&[u8]; 6] = [
        &[0, 0],
        &[1, 0],
        &[1, 0, 0, 16, 0, 0, 1],
        &[1, 0, 0, 16, 0, 7, 2],
        &[1, 0, 0, 16, 0, 4],
        &[1, 7, b'H', b'K', b'C', b'O', b'P', b'Y', b'0', b'1'],
    ];
    seeds.map(|seed| ("client-copy", seed.to_vec())).to_vec()
}

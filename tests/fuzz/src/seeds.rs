//! Honest inputs, made and not stored: what the decoders are for, so that a fuzzer begins where bytes are accepted.

use rand_chacha::ChaCha20Rng;
use rand_core::{Rng, SeedableRng};

/// Every honest input: its target, its number there, its bytes.
#[must_use]
pub fn all() -> Vec<(&'static str, usize, Vec<u8>)> {
    let mut all = crate::proto_wire::seeds();
    all.extend(crate::client::seeds());
    all.extend(crate::client_content::seeds());
    all.extend(crate::client_clean::seeds());
    all.extend(crate::client_copy::seeds());
    all.extend(crate::relay::seeds());
    all.extend(sequences());
    let mut numbered = Vec::with_capacity(all.len());
    for (at, (target, seed)) in all.iter().enumerate() {
        let number = all[..at].iter().filter(|(other, _)| other == target).count();
        numbered.push((*target, number, seed.clone()));
    }
    numbered
}

/// Sequences of events: some written by hand that go deep, and some drawn, most of whose events are honest too.
fn sequences() -> Vec<(&'static str, Vec<u8>)> {
    let mut all = vec![
        ("relay-core", mailbox(&[10, 0, 0])),
        ("relay-core", mailbox(&[10, 2, 0])),
        ("relay-core", feed(&[10, 0, 0])),
        ("relay-core", feed(&[10, 2, 0])),
        (
            "client-core",
            [&[0][..], &[0, 24, 255, 255], &[135, 0, 0, 9, 0, 1, 0, 0, 0, 0, 255].repeat(3)]
                .concat(),
        ),
        (
            "client-core",
            [&[1][..], &[20, 0, 7, 0, 255, 208, 255], &[40, 9, 255, 208].repeat(3)].concat(),
        ),
    ];
    for target in [
        "relay-core",
        "client-core",
        "client-inbox",
        "client-content",
        "client-records",
        "proto-seal",
    ] {
        for seed in 0..6 {
            let mut bytes = vec![0; 40 + 30 * usize::from(seed)];
            ChaCha20Rng::from_seed([seed; 32]).fill_bytes(&mut bytes);
            // The first choices are those of a plain configuration.
            bytes[..2].fill(0);
            all.push((target, bytes));
        }
    }
    all
}

/// A mailbox made, claimed, written to, watched and read, and an object, each over a session that `open` opens.
fn mailbox(open: &[u8]) -> Vec<u8> {
    let put = |number: u8| [50, 1, 0, 0, 4, number, 0, 0, 0];
    let chunk = |index: u8| [50, 2, 0, 0, 12, index, 0, 0];
    [
        &[0, 0][..],
        open,
        &[50, 0, 0, 0, 0, 0, 0],
        open,
        &[50, 1, 0, 0, 2, 0, 0, 0],
        &put(1),
        &put(2),
        &[50, 0, 0, 0, 8, 0, 0, 0],
        &put(3),
        &[50, 0, 0, 0, 9, 2, 0, 0],
        &[50, 0, 0, 0, 7, 16, 0, 0, 0],
        open,
        &[50, 2, 0, 0, 11, 0, 0, 24, 0, 0],
        &chunk(0),
        &chunk(1),
        &chunk(2),
        open,
        &[50, 3, 0, 0, 13, 0, 3, 0],
        &[232],
    ]
    .concat()
}

/// A feed made, written to, watched and read, and an object that an entry names, each over a session that `open` opens.
fn feed(open: &[u8]) -> Vec<u8> {
    let put = |number: u8| [250, 1, 0, 0, 1, number, 0, 0];
    let chunk = |index: u8| [50, 2, 0, 0, 12, index, 0, 0];
    [
        &[0, 0][..],
        open,
        &[250, 0, 0, 0, 1, 0, 0],
        open,
        &put(1),
        &put(2),
        &[250, 0, 0, 0, 5, 0, 0, 0],
        &put(3),
        &[250, 0, 0, 0, 7, 1, 0, 0],
        &[250, 0, 0, 0, 4, 0, 16, 0, 0],
        open,
        &[50, 2, 0, 0, 11, 0, 0, 24, 0, 0],
        &chunk(0),
        &chunk(1),
        &chunk(2),
        &[250, 2, 0, 0, 3, 9, 0, 0],
        &[232],
    ]
    .concat()
}

//! What has gone cannot be found in a vault, by somebody who has its data key: every page of every file is decrypted and
//! searched, pages in no use included, and so are copies of the files from before, as a disk may have kept them.

use std::path::Path;

use aws_lc_rs::cipher::{AES_256, DecryptingKey, DecryptionContext, UnboundCipherKey};
use hearken_proto::time::DAY_MS;

use super::*;
use crate::vault::{KdfCost, Vault};

const PAGE_LEN: usize = 4_096;
/// At the end of a page of SQLCipher 4: an IV and an HMAC-SHA-512.
const RESERVED: usize = 16 + 64;
const SALT_LEN: usize = 16;

/// The bytes of the database in the clear, page behind page. AES-256-CBC of each, with the IV behind it.
fn pages(folder: &Path, key: &[u8; 32]) -> Vec<u8> {
    let mut clear = Vec::new();
    for file in std::fs::read_dir(folder).unwrap() {
        let bytes = std::fs::read(file.unwrap().path()).unwrap();
        if bytes.len() < PAGE_LEN {
            continue;
        }
        for (number, page) in bytes.chunks_exact(PAGE_LEN).enumerate() {
            let (sealed, reserved) = page.split_at(PAGE_LEN - RESERVED);
            let sealed = if number == 0 { &sealed[SALT_LEN..] } else { sealed };
            let mut opened = sealed.to_vec();
            let key = UnboundCipherKey::new(&AES_256, key).unwrap();
            let cbc = DecryptingKey::cbc(key).unwrap();
            let iv = DecryptionContext::Iv128(reserved[..16].try_into().unwrap());
            cbc.decrypt(&mut opened, iv).unwrap();
            clear.extend(opened);
        }
    }
    clear
}

fn found(clear: &[u8], needle: &[u8]) -> bool {
    clear.windows(needle.len()).any(|window| window == needle)
}

#[test]
fn what_has_gone_is_in_no_page_of_the_vault_nor_can_it_be_opened_from_any() {
    let folder = tempfile::tempdir().unwrap();
    let mut rng = ChaCha20Rng::seed_from_u64(9);
    let (vault, _) =
        Vault::create(folder.path(), b"x", KdfCost::MINIMUM, MIGRATIONS, &mut rng).unwrap();
    let key = *vault.data_key().unwrap();
    let files = folder.path().join("vault");
    let mut amina = Side::over(vault, 1);
    let mut ben = Side::new(2);

    // Enough of both kinds that pages are split and joined, and words of every length.
    let says = |side: &mut Side, n: u32, kind: &str, now| {
        let words = format!("{kind} number {n:04} {}", "and on ".repeat(n as usize % 400));
        side.says_at(&words, now)
    };
    for n in 0..100 {
        says(&mut amina, n, "kept", NOW);
        says(&mut ben, n, "theirs", NOW);
    }
    for side in [&mut amina, &mut ben] {
        side.does(|tx, thread, rng| set_timer(tx, thread, Some(60), NOW, rng)).unwrap();
    }
    let mut timed = Vec::new();
    for n in 0..100 {
        timed.push(says(&mut amina, n, "timed", NOW));
        says(&mut ben, n, "theirs timed", NOW);
    }
    amina.edits(timed[7], "timed number 0007, edited").unwrap();
    amina.sends();
    let mut carried = ben.sends();
    let last = carried.pop().unwrap();
    // An edit that comes before its message waits sealed too.
    let early = Body::Edit(Edit { target: bytes(last.id), text: "timed but early".into() });
    let early = Content {
        version: VERSION,
        order: 1,
        expires_after_s: 60,
        body: Some(early),
        ..Content::default()
    };
    let early = Carried { id: MessageId::from_bytes([5; 16]), bytes: early.to_bytes().to_vec() };
    amina.takes(&early).unwrap();
    for one in carried {
        amina.takes(&one).unwrap();
    }
    // A part of a long text that has not come whole.
    let contact = amina.contact;
    let part = crate::sync::parts::Part {
        message: MessageId::from_bytes([6; 16]),
        place: 0,
        count: 2,
        body: b"timed, a part of it",
    };
    let arrival = crate::sync::parts::Arrival { passed_over: 0, late: false, today: NOW.day() };
    let rng = &mut amina.rng;
    amina
        .vault
        .transaction(|tx| crate::sync::parts::add(tx, contact, part, arrival, rng).map(drop))
        .unwrap();

    let day_key: Vec<u8> = amina
        .vault
        .database()
        .query_row("SELECT key FROM sealing_key WHERE contact IS NULL", [], |row| row.get(0))
        .unwrap();
    let before = pages(&files, &key);
    assert!(found(&before, b"kept number 0001"), "control: words without an end are found");
    assert!(found(&before, b"theirs number 0042"), "control");
    assert!(found(&before, &day_key), "control: the key is there as long as its day");
    assert!(!found(&before, b"timed"), "words that have an end are nowhere in the clear");
    assert_eq!(search(amina.vault.database(), "timed", NOW).unwrap().len(), 199, "control");

    amina.sweep_at(UnixMillis((later(60_000).0 / DAY_MS + 1) * DAY_MS));
    let after = pages(&files, &key);
    assert!(found(&after, b"kept number 0001"), "control");
    assert!(!found(&after, b"timed"));
    assert!(!found(&after, &day_key), "and the key is in no page");
    // A key that was planted where a database could have left it is found.
    amina
        .vault
        .database()
        .execute("INSERT INTO setting (name, value) VALUES ('planted', ?1)", [&day_key])
        .unwrap();
    assert!(found(&pages(&files, &key), &day_key));
}

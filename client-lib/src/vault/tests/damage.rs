//! Damaged files, and a vault whose making was cut off.

use super::*;

fn damaged(result: Result<Vault, VaultError>) -> Option<Damage> {
    match result {
        Err(VaultError::Damaged { what }) => Some(what),
        _ => None,
    }
}

#[test]
fn every_flipped_bit_of_the_slot_file_is_told_from_a_wrong_passphrase() {
    let home = Home::with_vault();
    let path = home.file(SLOT_FILE);
    let whole = fs::read(&path).unwrap();
    for at in 0..whole.len() {
        let mut flipped = whole.clone();
        flipped[at] ^= 1 << (at % 8);
        fs::write(&path, &flipped).unwrap();
        assert_eq!(damaged(home.open(PASSPHRASE)), Some(Damage::Slots), "byte {at}");
    }
    for len in [0, 1, 52, whole.len() - 1] {
        fs::write(&path, &whole[..len]).unwrap();
        assert_eq!(damaged(home.open(PASSPHRASE)), Some(Damage::Slots), "cut to {len}");
    }
    fs::write(&path, [&whole[..], &[0]].concat()).unwrap();
    assert_eq!(damaged(home.open(PASSPHRASE)), Some(Damage::Slots));
    fs::write(&path, &whole).unwrap();
    home.open(PASSPHRASE).unwrap();
}

#[test]
fn a_slot_file_with_a_mended_checksum_opens_only_where_nothing_that_counts_was_changed() {
    use sha2::{Digest, Sha256};
    let home = Home::with_vault();
    let path = home.file(SLOT_FILE);
    let whole = fs::read(&path).unwrap();
    let content = whole.len() - 32;
    let (mut refused, mut opened) = (0, 0);
    for at in 0..content {
        let mut flipped = whole.clone();
        flipped[at] ^= 0x10;
        let checksum = Sha256::digest(&flipped[..content]);
        flipped[content..].copy_from_slice(&checksum);
        fs::write(&path, &flipped).unwrap();
        match home.open(PASSPHRASE) {
            Ok(_) => opened += 1,
            Err(VaultError::WrongPassphrase | VaultError::Damaged { .. }) => refused += 1,
            Err(other) => panic!("byte {at}: {other:?}"),
        }
    }
    // The header and this phrase's own slot refuse; the seven other slots say nothing to it.
    assert_eq!((refused, opened), (52 + 104, 7 * 104));
}

#[test]
fn a_slot_moved_to_another_place_opens_nothing() {
    use sha2::{Digest, Sha256};
    let home = Home::with_vault();
    let path = home.file(SLOT_FILE);
    let mut bytes = fs::read(&path).unwrap();
    bytes[52..52 + 8 * 104].rotate_left(104);
    let content = bytes.len() - 32;
    let checksum = Sha256::digest(&bytes[..content]);
    bytes[content..].copy_from_slice(&checksum);
    fs::write(&path, &bytes).unwrap();
    assert!(matches!(home.open(PASSPHRASE), Err(VaultError::WrongPassphrase)));
}

#[test]
fn damage_in_any_page_of_the_database_is_reported_and_never_read() {
    let home = Home::with_vault();
    let mut vault = home.open(PASSPHRASE).unwrap();
    let text = "x".repeat(1_000);
    for _ in 0..40 {
        write_note(&mut vault, &text);
    }
    drop(vault);
    let path = home.file(DATABASE_FILE);
    let whole = fs::read(&path).unwrap();
    let pages = whole.len() / 4_096;
    assert!(pages > 10);
    let mut reported = 0;
    for page in 0..pages {
        for at in [20, 2_000, 4_095] {
            let mut flipped = whole.clone();
            flipped[page * 4_096 + at] ^= 4;
            fs::write(&path, &flipped).unwrap();
            match home.open(PASSPHRASE).and_then(|vault| notes(&vault)) {
                Err(VaultError::Damaged { what: Damage::Database }) => reported += 1,
                // A page that nothing here reads, such as the empty table's.
                Ok(read) => assert_eq!(read, vec![text.clone(); 40], "page {page}, byte {at}"),
                Err(other) => panic!("page {page}, byte {at}: {other:?}"),
            }
        }
    }
    assert!(reported >= 3 * (pages - 2), "{reported} of {pages} pages");
}

#[test]
fn a_database_that_is_cut_or_missing_or_of_another_vault_is_reported() {
    let home = Home::with_vault();
    let mut vault = home.open(PASSPHRASE).unwrap();
    for _ in 0..40 {
        write_note(&mut vault, &"x".repeat(1_000));
    }
    drop(vault);
    let path = home.file(DATABASE_FILE);
    let whole = fs::read(&path).unwrap();
    for len in [0, 100, 4_096, whole.len() / 8_192 * 4_096, whole.len() - 1] {
        fs::write(&path, &whole[..len]).unwrap();
        let read = home.open(PASSPHRASE).and_then(|vault| notes(&vault));
        assert!(
            matches!(read, Err(VaultError::Damaged { what: Damage::Database })),
            "cut to {len}: {read:?}"
        );
    }
    fs::remove_file(&path).unwrap();
    assert_eq!(damaged(home.open(PASSPHRASE)), Some(Damage::DatabaseMissing));
    assert!(!path.exists(), "none was made in its place");

    let folder = tempfile::tempdir().unwrap();
    let mut other = ChaCha20Rng::seed_from_u64(21);
    Vault::create(folder.path(), b"p", KdfCost::MINIMUM, MIGRATIONS, &mut other).unwrap();
    fs::copy(folder.path().join(VAULT_FOLDER).join(DATABASE_FILE), &path).unwrap();
    assert_eq!(damaged(home.open(PASSPHRASE)), Some(Damage::Database));

    fs::write(&path, &whole).unwrap();
    assert_eq!(notes(&home.open(PASSPHRASE).unwrap()).unwrap().len(), 40);
    fs::remove_file(home.file(SLOT_FILE)).unwrap();
    assert_eq!(damaged(home.open(PASSPHRASE)), Some(Damage::SlotsMissing));
    let again = Vault::create(home.path(), b"p", KdfCost::MINIMUM, MIGRATIONS, &mut rng());
    assert!(matches!(again, Err(VaultError::AlreadyExists)), "what is left may still be saved");
}

#[test]
fn a_making_cut_off_at_any_step_leaves_no_vault_and_the_next_one_works() {
    // What can be there before the rename: each file absent, cut, or whole, and the journal of the database.
    let whole = Home::with_vault();
    let slots = fs::read(whole.file(SLOT_FILE)).unwrap();
    let database = fs::read(whole.file(DATABASE_FILE)).unwrap();
    let states: [&[(&str, &[u8])]; 6] = [
        &[],
        &[(DATABASE_FILE, &[])],
        &[(DATABASE_FILE, &database[..5_000]), ("store.db-journal", &database[..700])],
        &[(DATABASE_FILE, &database)],
        &[(DATABASE_FILE, &database), (SLOT_FILE, &slots[..100])],
        &[(DATABASE_FILE, &database), (SLOT_FILE, &slots)],
    ];
    for state in states {
        let folder = tempfile::tempdir().unwrap();
        let unfinished = folder.path().join(UNFINISHED_FOLDER);
        fs::create_dir(&unfinished).unwrap();
        for (name, content) in state {
            fs::write(unfinished.join(name), content).unwrap();
        }
        assert!(!Vault::exists(folder.path()));
        let opened = Vault::open(folder.path(), PASSPHRASE, MIGRATIONS);
        assert!(matches!(opened, Err(VaultError::NoVault)));
        let cost = KdfCost::MINIMUM;
        Vault::create(folder.path(), b"next", cost, MIGRATIONS, &mut rng()).unwrap();
        Vault::open(folder.path(), b"next", MIGRATIONS).unwrap();
        assert!(!unfinished.exists());
    }
}

#[test]
fn a_change_of_passphrase_cut_off_leaves_the_old_one_and_can_be_done_again() {
    let home = Home::with_vault();
    let half = &fs::read(home.file(SLOT_FILE)).unwrap()[..300];
    fs::write(home.file(UNFINISHED_SLOT_FILE), half).unwrap();
    let mut vault = home.open(PASSPHRASE).unwrap();
    vault.change_passphrase(b"second", &mut rng()).unwrap();
    drop(vault);
    assert!(!home.file(UNFINISHED_SLOT_FILE).exists());
    home.open(b"second").unwrap();
}

#[test]
fn a_passphrase_is_not_changed_over_a_damaged_slot_file() {
    let home = Home::with_vault();
    let mut vault = home.open(PASSPHRASE).unwrap();
    let mut bytes = fs::read(home.file(SLOT_FILE)).unwrap();
    bytes[400] ^= 1;
    fs::write(home.file(SLOT_FILE), &bytes).unwrap();
    let changed = vault.change_passphrase(b"second", &mut rng());
    assert!(matches!(changed, Err(VaultError::Damaged { what: Damage::Slots })));
    assert_eq!(fs::read(home.file(SLOT_FILE)).unwrap(), bytes);
}

#[test]
fn a_cost_beyond_all_bounds_is_refused_before_it_is_paid() {
    for (memory_kib, passes) in [(0, 1), (63, 1), (1_048_577, 1), (64, 0), (64, 17)] {
        assert!(matches!(KdfCost::new(memory_kib, passes), Err(VaultError::KdfCostOutOfBounds)));
    }
    assert_eq!(KdfCost::new(65_536, 3).unwrap(), KdfCost::default());
}

//! Copies of a vault, and its destruction.

use super::*;

const STATEMENTS: CopyStatements = CopyStatements {
    backup: "CREATE TABLE copy.note AS SELECT text FROM main.note ORDER BY id;",
    restore: "INSERT INTO main.note (text) SELECT text FROM copy.note ORDER BY rowid;",
    version: 3,
};

/// A home whose vault holds notes, and a copy of it.
struct Copied {
    home: Home,
    folder: TempDir,
}

impl Copied {
    fn new(texts: &[&str]) -> Self {
        let home = Home::with_vault();
        let mut vault = home.open(PASSPHRASE).unwrap();
        texts.iter().for_each(|text| write_note(&mut vault, text));
        let copied = Self { home, folder: tempfile::tempdir().unwrap() };
        vault.backup(&copied.file(), STATEMENTS, &mut rng()).unwrap();
        assert_eq!(notes(&vault).unwrap(), texts, "the vault goes on");
        copied
    }

    fn file(&self) -> PathBuf {
        self.folder.path().join("copy")
    }

    fn bytes(&self) -> Vec<u8> {
        fs::read(self.file()).unwrap()
    }

    fn restore(&self, bytes: &[u8], phrase: &[u8]) -> (Result<Vault, VaultError>, TempDir) {
        let folder = tempfile::tempdir().unwrap();
        let restored = Vault::restore(folder.path(), bytes, phrase, MIGRATIONS, STATEMENTS);
        (restored, folder)
    }

    /// Refused, and nothing left of the attempt.
    fn refused(&self, bytes: &[u8]) -> VaultError {
        let (restored, folder) = self.restore(bytes, PASSPHRASE);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
        restored.expect_err("a damaged copy is refused")
    }
}

#[test]
fn a_copy_gives_back_what_was_copied_under_either_phrase() {
    let copied = Copied::new(&["one", "two"]);
    for phrase in [PASSPHRASE, copied.home.recovery.as_bytes()] {
        let (vault, folder) = copied.restore(&copied.bytes(), phrase);
        assert_eq!(notes(&vault.unwrap()).unwrap(), ["one", "two"]);
        for phrase in [PASSPHRASE, copied.home.recovery.as_bytes()] {
            let again = Vault::open(folder.path(), phrase, MIGRATIONS).unwrap();
            assert_eq!(notes(&again).unwrap(), ["one", "two"]);
        }
        let left = |(path, _): (PathBuf, Vec<u8>)| path.ends_with("copy.db");
        assert!(!all_files(folder.path()).into_iter().any(left));
    }
    let (refused, folder) = copied.restore(&copied.bytes(), b"another");
    assert!(matches!(refused, Err(VaultError::WrongPassphrase)));
    assert!(!Vault::exists(folder.path()));
}

#[test]
fn a_copy_is_unreadable_and_its_owners_alone() {
    let secret = "nobody may read this sentence";
    let copied = Copied::new(&[secret]);
    let bytes = copied.bytes();
    assert!(contains(&[&bytes[..], secret.as_bytes()].concat(), secret.as_bytes()), "control");
    assert!(!contains(&bytes, secret.as_bytes()));
    assert!(!contains(&bytes, b"SQLite format 3"));
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        assert_eq!(fs::metadata(copied.file()).unwrap().permissions().mode() & 0o777, 0o600);
    }
    // Nothing of the making stays, in the vault or beside the copy.
    assert_eq!(fs::read_dir(copied.folder.path()).unwrap().count(), 1);
    assert!(!copied.home.file("copy.db").exists());
}

#[test]
fn two_copies_of_one_vault_share_no_page() {
    let copied = Copied::new(&["the same"]);
    let other = copied.folder.path().join("other");
    let mut vault = copied.home.open(PASSPHRASE).unwrap();
    vault.backup(&other, STATEMENTS, &mut ChaCha20Rng::seed_from_u64(21)).unwrap();
    let pages = |bytes: Vec<u8>| -> Vec<Vec<u8>> {
        bytes[8 + 32 + SLOT_FILE_LEN..].chunks(64).map(<[u8]>::to_vec).collect()
    };
    let first = pages(copied.bytes());
    assert!(pages(fs::read(other).unwrap()).iter().all(|chunk| !first.contains(chunk)));
}

#[test]
fn a_file_that_is_there_is_never_written_over() {
    let copied = Copied::new(&["one"]);
    let before = copied.bytes();
    let mut vault = copied.home.open(PASSPHRASE).unwrap();
    let again = vault.backup(&copied.file(), STATEMENTS, &mut rng());
    assert!(matches!(again, Err(VaultError::FileExists)));
    assert_eq!(copied.bytes(), before);
    let (notes_beside, new) =
        (copied.folder.path().join("new.unfinished"), copied.folder.path().join("new"));
    fs::write(&notes_beside, "of the person's own").unwrap();
    vault.backup(&new, STATEMENTS, &mut rng()).unwrap();
    assert_eq!(fs::read(notes_beside).unwrap(), b"of the person's own");
    let nowhere = copied.folder.path().join("missing/copy");
    assert!(matches!(vault.backup(&nowhere, STATEMENTS, &mut rng()), Err(VaultError::Storage(_))));
    assert_eq!(notes(&vault).unwrap(), ["one"]);
}

#[test]
fn a_copy_is_not_made_where_it_would_go_with_the_vault() {
    let home = Home::with_vault();
    let mut vault = home.open(PASSPHRASE).unwrap();
    fs::create_dir(home.path().join("elsewhere")).unwrap();
    let before = all_files(home.path());
    let inside =
        ["vault/slots.unfinished", "vault/copy", "elsewhere/../vault/copy", "vault.unfinished"];
    for place in inside {
        let refused = vault.backup(&home.path().join(place), STATEMENTS, &mut rng());
        assert!(matches!(refused, Err(VaultError::InsideVault)), "{place}: {refused:?}");
    }
    #[cfg(unix)]
    {
        let link = home.path().join("link");
        std::os::unix::fs::symlink(home.path().join(VAULT_FOLDER), &link).unwrap();
        let refused = vault.backup(&link.join("copy"), STATEMENTS, &mut rng());
        assert!(matches!(refused, Err(VaultError::InsideVault)));
        fs::remove_file(link).unwrap();
    }
    assert_eq!(all_files(home.path()), before);
    // Beside the vault, in the home, it stays.
    vault.backup(&home.path().join("copy"), STATEMENTS, &mut rng()).unwrap();
}

#[test]
fn a_vault_that_is_there_is_never_replaced_by_a_copy() {
    let copied = Copied::new(&["one"]);
    let bytes = copied.bytes();
    let over = Vault::restore(copied.home.path(), &bytes[..], PASSPHRASE, MIGRATIONS, STATEMENTS);
    assert!(matches!(over, Err(VaultError::AlreadyExists)));
}

#[test]
fn damage_anywhere_in_a_copy_is_reported_and_makes_no_vault() {
    let copied = Copied::new(&["one"]);
    let bytes = copied.bytes();
    assert!(copied.restore(&bytes, PASSPHRASE).0.is_ok(), "control");
    // Every byte of the head and of the end, and some of every page between.
    let places = (0..bytes.len()).filter(|at| *at < 60 || *at % 509 == 0 || *at + 40 > bytes.len());
    for at in places {
        let mut damaged = bytes.clone();
        damaged[at] ^= 1;
        assert!(matches!(copied.refused(&damaged), VaultError::Damaged { .. }), "byte {at}");
    }
    for len in [0, 1, 8, 39, 40, 955, 956, 1_000, bytes.len() - 4_096, bytes.len() - 1] {
        let cut = copied.refused(&bytes[..len]);
        assert!(matches!(cut, VaultError::Damaged { what: Damage::Copy }), "{len} bytes");
    }
    let longer = [&bytes[..], &[0]].concat();
    assert!(matches!(copied.refused(&longer), VaultError::Damaged { what: Damage::Copy }));
    assert!(matches!(copied.refused(&[7; 100_000]), VaultError::Damaged { what: Damage::Copy }));
}

#[test]
fn pages_exchanged_under_a_right_checksum_are_refused_by_their_macs() {
    use sha2::{Digest, Sha256};
    let copied = Copied::new(&[&"a".repeat(3_000), &"b".repeat(3_000)]);
    let mut bytes = copied.bytes();
    let start = 8 + 32 + SLOT_FILE_LEN;
    let last = bytes.len() - 32;
    let pages = (last - start) / 4_096;
    assert!(pages >= 3, "{pages} pages");
    let (first, second) = (start + 4_096, start + 2 * 4_096);
    let page = bytes[first..first + 4_096].to_vec();
    bytes.copy_within(second..second + 4_096, first);
    bytes[second..second + 4_096].copy_from_slice(&page);
    let checksum = Sha256::digest(&bytes[..last]);
    bytes[last..].copy_from_slice(&checksum);
    assert!(matches!(copied.refused(&bytes), VaultError::Damaged { .. }));
}

#[test]
fn a_copy_of_a_later_version_is_told_apart() {
    let copied = Copied::new(&["one"]);
    let folder = tempfile::tempdir().unwrap();
    let earlier = CopyStatements { version: 2, ..STATEMENTS };
    let bytes = copied.bytes();
    let refused = Vault::restore(folder.path(), &bytes[..], PASSPHRASE, MIGRATIONS, earlier);
    assert!(matches!(refused, Err(VaultError::TooNew)));
    assert!(!Vault::exists(folder.path()));
}

#[test]
fn statements_that_fail_leave_no_file_and_no_vault() {
    let copied = Copied::new(&["one"]);
    let broken = CopyStatements { backup: "CREATE TABLE copy.x AS SELECT nothing;", ..STATEMENTS };
    let mut vault = copied.home.open(PASSPHRASE).unwrap();
    let file = copied.folder.path().join("broken");
    assert!(vault.backup(&file, broken, &mut rng()).is_err());
    assert_eq!(fs::read_dir(copied.folder.path()).unwrap().count(), 1);
    let file = copied.folder.path().join("afterwards");
    vault.backup(&file, STATEMENTS, &mut rng()).unwrap();

    let broken = CopyStatements { restore: "INSERT INTO main.nowhere SELECT 1;", ..STATEMENTS };
    let folder = tempfile::tempdir().unwrap();
    let bytes = copied.bytes();
    assert!(Vault::restore(folder.path(), &bytes[..], PASSPHRASE, MIGRATIONS, broken).is_err());
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn a_destroyed_vault_is_gone_and_its_slots_were_overwritten_first() {
    let home = Home::with_vault();
    let slots = fs::read(home.file(SLOT_FILE)).unwrap();
    // A second name for the same bytes on the disk shows what was done to them before they went.
    let kept = home.path().join("kept");
    fs::hard_link(home.file(SLOT_FILE), &kept).unwrap();
    assert!(matches!(
        Vault::destroy(home.path(), b"another", &mut rng()),
        Err(VaultError::WrongPassphrase)
    ));
    assert_eq!(fs::read(&kept).unwrap(), slots);
    home.open(PASSPHRASE).unwrap();
    let mut other = ChaCha20Rng::seed_from_u64(22);
    Vault::destroy(home.path(), home.recovery.as_bytes(), &mut other).unwrap();
    assert!(!Vault::exists(home.path()));
    let after = fs::read(&kept).unwrap();
    assert!(slots.chunks(16).all(|chunk| !contains(&after, chunk)));
    assert!(matches!(
        Vault::destroy(home.path(), PASSPHRASE, &mut rng()),
        Err(VaultError::NoVault)
    ));
}

#[test]
fn a_destruction_that_was_interrupted_is_finished_without_a_phrase() {
    for torn in [&[][..], &[0xa5; SLOT_FILE_LEN]] {
        let home = Home::with_vault();
        fs::write(home.file(SLOT_FILE), torn).unwrap();
        assert!(matches!(home.open(PASSPHRASE), Err(VaultError::Damaged { .. })));
        Vault::destroy(home.path(), b"whatever", &mut rng()).unwrap();
        assert!(!Vault::exists(home.path()));
    }
}

#[test]
fn an_interrupted_destruction_goes_on_wherever_it_stopped() {
    // Whatever a power cut keeps of the removals, in whichever order.
    let names = [SLOT_FILE, "store.db-journal", DATABASE_FILE];
    for kept in 0..1_u32 << names.len() {
        let home = Home::with_vault();
        fs::write(home.file(SLOT_FILE), [0xa5; SLOT_FILE_LEN]).unwrap();
        for (at, name) in names.iter().enumerate() {
            if kept & (1 << at) == 0 {
                files::remove_if_there(&home.file(name)).unwrap();
            }
        }
        Vault::destroy(home.path(), b"whatever", &mut rng()).unwrap();
        assert!(!Vault::exists(home.path()));
    }
}

#[test]
fn a_folder_that_is_not_a_vault_is_never_destroyed() {
    let foreign: [&[(&str, &[u8])]; 5] = [
        &[("notes/thesis.txt", b"years of work")],
        &[("thesis.txt", b"years of work")],
        &[(SLOT_FILE, b"of something else")],
        &[(SLOT_FILE, b"of something else"), ("notes/thesis.txt", b"years of work")],
        &[(DATABASE_FILE, b"of something else"), ("thesis.txt", b"years of work")],
    ];
    for files in foreign {
        for folder in [VAULT_FOLDER, UNFINISHED_FOLDER] {
            // Beside a vault, where it is the unfinished one that is foreign.
            let home = Home::with_vault();
            if folder == VAULT_FOLDER {
                fs::remove_dir_all(home.path().join(VAULT_FOLDER)).unwrap();
            } else if !files.iter().any(|(name, _)| name.contains("thesis")) {
                continue;
            }
            for (name, content) in files {
                let path = home.path().join(folder).join(name);
                fs::create_dir_all(path.parent().unwrap()).unwrap();
                fs::write(path, content).unwrap();
            }
            let before = all_files(home.path());
            let refused = Vault::destroy(home.path(), PASSPHRASE, &mut rng());
            assert!(matches!(refused, Err(VaultError::NotAVault)), "{files:?}");
            assert_eq!(all_files(home.path()), before, "nothing is touched");
        }
    }
}

#[test]
fn a_vault_beside_which_something_else_lies_is_not_destroyed_and_opens() {
    let home = Home::with_vault();
    fs::write(home.file("thesis.txt"), "years of work").unwrap();
    let refused = Vault::destroy(home.path(), PASSPHRASE, &mut rng());
    assert!(matches!(refused, Err(VaultError::NotAVault)));
    home.open(PASSPHRASE).unwrap();
    fs::remove_file(home.file("thesis.txt")).unwrap();
    Vault::destroy(home.path(), PASSPHRASE, &mut rng()).unwrap();
}

#[cfg(unix)]
#[test]
fn a_vault_behind_a_link_is_not_said_to_be_destroyed() {
    let home = Home::with_vault();
    let linked = tempfile::tempdir().unwrap();
    let target = home.path().join(VAULT_FOLDER);
    for name in [VAULT_FOLDER, UNFINISHED_FOLDER] {
        let link = linked.path().join(name);
        std::os::unix::fs::symlink(&target, &link).unwrap();
        let refused = Vault::destroy(linked.path(), PASSPHRASE, &mut rng());
        assert!(matches!(refused, Err(VaultError::NotAVault | VaultError::NoVault)));
        home.open(PASSPHRASE).unwrap();
        assert!(link.symlink_metadata().unwrap().is_symlink());
        fs::remove_file(link).unwrap();
    }
}

#[test]
fn the_slots_of_a_later_version_are_told_from_damage_and_not_destroyed() {
    let home = Home::with_vault();
    let mut slots = fs::read(home.file(SLOT_FILE)).unwrap();
    slots[7] = b'2';
    slots.extend_from_slice(b"more than this version knows");
    fs::write(home.file(SLOT_FILE), &slots).unwrap();
    assert!(matches!(home.open(PASSPHRASE), Err(VaultError::TooNew)));
    let refused = Vault::destroy(home.path(), b"whatever", &mut rng());
    assert!(matches!(refused, Err(VaultError::TooNew)));
    assert_eq!(fs::read(home.file(SLOT_FILE)).unwrap(), slots);
    assert!(home.file(DATABASE_FILE).exists());
}

#[test]
fn a_process_that_gave_the_home_away_does_not_get_a_destroyed_vault_back() {
    let home = Home::with_vault();
    let suspended = home.open(PASSPHRASE).unwrap().suspend();
    Vault::destroy(home.path(), PASSPHRASE, &mut rng()).unwrap();
    assert!(matches!(suspended.resume(MIGRATIONS), Err(VaultError::NoVault)));
}

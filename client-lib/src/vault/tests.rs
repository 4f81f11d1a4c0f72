//! Tests of the vault as a whole: on real files, with a real second process, through kills and damage.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;
use rusqlite::StatementStatus;
use tempfile::TempDir;

use super::*;

mod copies;
mod damage;
mod turns;

const MIGRATIONS: &[&str] = &[
    "CREATE TABLE note (id INTEGER PRIMARY KEY, text TEXT NOT NULL);",
    "CREATE TABLE answer (note INTEGER NOT NULL REFERENCES note (id), text TEXT NOT NULL);",
];

const PASSPHRASE: &[u8] = "ein  Satz, den niemand rät ".as_bytes();

fn rng() -> ChaCha20Rng {
    ChaCha20Rng::seed_from_u64(20)
}

struct Home {
    folder: TempDir,
    recovery: String,
}

impl Home {
    /// A home with a vault that was made and closed.
    fn with_vault() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (vault, recovery) =
            Vault::create(folder.path(), PASSPHRASE, KdfCost::MINIMUM, MIGRATIONS, &mut rng())
                .unwrap();
        drop(vault);
        Self { folder, recovery: recovery.as_str().to_owned() }
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    fn file(&self, name: &str) -> PathBuf {
        self.path().join(VAULT_FOLDER).join(name)
    }

    fn open(&self, phrase: &[u8]) -> Result<Vault, VaultError> {
        Vault::open(self.path(), phrase, MIGRATIONS)
    }
}

fn write_note(vault: &mut Vault, text: &str) {
    vault
        .transaction(|tx| {
            tx.execute("INSERT INTO note (text) VALUES (?1)", [text])?;
            Ok::<_, VaultError>(())
        })
        .unwrap();
}

fn notes(vault: &Vault) -> Result<Vec<String>, VaultError> {
    let mut statement = vault.database().prepare("SELECT text FROM note ORDER BY id")?;
    let rows = statement.query_map([], |row| row.get(0))?;
    rows.map(|row| Ok(row?)).collect()
}

/// Every file below a folder, with its content.
fn all_files(folder: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(all_files(&path));
        } else {
            found.push((path.clone(), fs::read(path).unwrap()));
        }
    }
    found
}

fn contains(haystack: &[u8], needle: &[u8]) -> bool {
    haystack.windows(needle.len()).any(|window| window == needle)
}

#[test]
fn both_phrases_open_the_vault_and_others_do_not() {
    let home = Home::with_vault();
    write_note(&mut home.open(PASSPHRASE).unwrap(), "kept");
    assert_eq!(notes(&home.open(home.recovery.as_bytes()).unwrap()).unwrap(), ["kept"]);
    let shouted = home.recovery.to_uppercase().replace(' ', "\n  ");
    assert_eq!(notes(&home.open(shouted.as_bytes()).unwrap()).unwrap(), ["kept"]);
    for wrong in [&b"another"[..], PASSPHRASE.trim_ascii(), &home.recovery.as_bytes()[1..]] {
        assert!(matches!(home.open(wrong), Err(VaultError::WrongPassphrase)));
    }
    assert!(matches!(home.open(b""), Err(VaultError::PassphraseEmpty)));
}

#[test]
fn a_changed_passphrase_ends_the_old_one_and_keeps_the_recovery_phrase() {
    let home = Home::with_vault();
    let mut vault = home.open(PASSPHRASE).unwrap();
    write_note(&mut vault, "kept");
    let before = fs::read(home.file(SLOT_FILE)).unwrap();
    vault.change_passphrase(b"second", &mut rng()).unwrap();
    drop(vault);
    assert!(matches!(home.open(PASSPHRASE), Err(VaultError::WrongPassphrase)));
    assert_eq!(notes(&home.open(b"second").unwrap()).unwrap(), ["kept"]);
    assert_eq!(notes(&home.open(home.recovery.as_bytes()).unwrap()).unwrap(), ["kept"]);

    // One slot is another, and none tells which it was by anything but that.
    let after = fs::read(home.file(SLOT_FILE)).unwrap();
    let slots = |file: &[u8]| -> Vec<Vec<u8>> {
        file[52..52 + 8 * 104].chunks(104).map(<[u8]>::to_vec).collect()
    };
    let differing = slots(&before).iter().zip(slots(&after)).filter(|(a, b)| *a != b).count();
    assert_eq!((before.len(), after.len(), differing), (916, 916, 1));
}

#[test]
fn whoever_forgot_the_passphrase_sets_another_with_the_recovery_phrase() {
    let home = Home::with_vault();
    let mut vault = home.open(home.recovery.as_bytes()).unwrap();
    vault.change_passphrase(b"second", &mut rng()).unwrap();
    assert!(matches!(vault.change_passphrase(b"", &mut rng()), Err(VaultError::PassphraseEmpty)));
    drop(vault);
    home.open(b"second").unwrap();
    home.open(home.recovery.as_bytes()).unwrap();
    assert!(matches!(home.open(PASSPHRASE), Err(VaultError::WrongPassphrase)));
}

#[test]
fn a_suspended_vault_is_taken_back_without_the_phrase() {
    let home = Home::with_vault();
    let mut vault = home.open(PASSPHRASE).unwrap();
    write_note(&mut vault, "one");
    let suspended = vault.suspend();
    let mut other = home.open(PASSPHRASE).unwrap();
    write_note(&mut other, "two");
    other.change_passphrase(b"second", &mut rng()).unwrap();
    drop(other);
    let vault = suspended.resume(MIGRATIONS).unwrap();
    assert_eq!(notes(&vault).unwrap(), ["one", "two"]);

    let suspended = vault.suspend();
    fs::remove_dir_all(home.path().join(VAULT_FOLDER)).unwrap();
    assert!(matches!(suspended.resume(MIGRATIONS), Err(VaultError::NoVault)));
}

#[test]
fn a_vault_is_never_made_over_another() {
    let home = Home::with_vault();
    let again = Vault::create(home.path(), b"x", KdfCost::MINIMUM, MIGRATIONS, &mut rng());
    assert!(matches!(again, Err(VaultError::AlreadyExists)));
    home.open(PASSPHRASE).unwrap();
}

#[test]
fn an_empty_passphrase_makes_no_vault() {
    let home = tempfile::tempdir().unwrap();
    let made = Vault::create(home.path(), b"", KdfCost::MINIMUM, MIGRATIONS, &mut rng());
    assert!(matches!(made, Err(VaultError::PassphraseEmpty)));
    assert!(!Vault::exists(home.path()));
    assert!(matches!(Vault::open(home.path(), b"x", MIGRATIONS), Err(VaultError::NoVault)));
}

#[test]
fn a_transaction_that_fails_leaves_nothing() {
    let home = Home::with_vault();
    let mut vault = home.open(PASSPHRASE).unwrap();
    let failed = vault.transaction(|tx| {
        tx.execute("INSERT INTO note (text) VALUES ('half')", [])?;
        Err::<(), _>(VaultError::damaged_record())
    });
    assert!(failed.is_err());
    assert!(notes(&vault).unwrap().is_empty());
    let orphan = vault.transaction(|tx| {
        tx.execute("INSERT INTO answer (note, text) VALUES (9, 'to nothing')", [])?;
        Ok::<_, VaultError>(())
    });
    assert!(matches!(orphan, Err(VaultError::Database(_))), "foreign keys are enforced");
}

#[test]
fn a_commit_is_in_the_files_when_the_transaction_returns() {
    let home = Home::with_vault();
    let mut vault = home.open(PASSPHRASE).unwrap();
    write_note(&mut vault, "first");
    // What a kill at this point leaves behind, since nothing is closed.
    let copy = Home { folder: tempfile::tempdir().unwrap(), recovery: home.recovery.clone() };
    fs::create_dir(copy.path().join(VAULT_FOLDER)).unwrap();
    for entry in fs::read_dir(home.path().join(VAULT_FOLDER)).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), copy.path().join(VAULT_FOLDER).join(entry.file_name())).unwrap();
    }
    assert_eq!(notes(&copy.open(PASSPHRASE).unwrap()).unwrap(), ["first"]);
    drop(vault);
    assert_eq!(notes(&home.open(PASSPHRASE).unwrap()).unwrap(), ["first"]);
}

#[test]
fn migrations_are_applied_once_and_a_later_version_is_not_touched() {
    let folder = tempfile::tempdir().unwrap();
    let (mut vault, _) =
        Vault::create(folder.path(), b"p", KdfCost::MINIMUM, &MIGRATIONS[..1], &mut rng()).unwrap();
    write_note(&mut vault, "kept");
    drop(vault);
    for _ in 0..2 {
        let vault = Vault::open(folder.path(), b"p", MIGRATIONS).unwrap();
        assert_eq!(notes(&vault).unwrap(), ["kept"]);
        vault.database().query_row("SELECT count(*) FROM answer", [], |_| Ok(())).unwrap();
    }
    let older = Vault::open(folder.path(), b"p", &MIGRATIONS[..1]);
    assert!(matches!(older, Err(VaultError::TooNew)));
}

#[test]
fn a_vault_in_memory_does_what_one_on_disk_does() {
    let mut vault = Vault::open_in_memory(MIGRATIONS).unwrap();
    write_note(&mut vault, "here");
    let vault = vault.suspend().resume(MIGRATIONS).unwrap();
    assert_eq!(notes(&vault).unwrap(), ["here"]);
}

#[test]
fn a_statement_that_is_kept_is_planned_once() {
    let mut vault = Vault::open_in_memory(MIGRATIONS).unwrap();
    write_note(&mut vault, "here");
    let database = vault.database();
    for limit in 1..=3_i64 {
        let mut statement = database
            .prepare_cached("SELECT text FROM note WHERE id > ?1 ORDER BY id LIMIT ?2")
            .unwrap();
        let found: String =
            statement.query_row([limit - 1, limit], |row| row.get(0)).unwrap_or_default();
        assert_eq!(found, if limit == 1 { "here" } else { "" });
        assert_eq!(statement.get_status(StatementStatus::RePrepare), 0);
    }
}

#[test]
fn nothing_written_can_be_read_in_the_files() {
    let home = Home::with_vault();
    let planted = "a sentence that stands nowhere else";
    let mut vault = home.open(PASSPHRASE).unwrap();
    for _ in 0..100 {
        write_note(&mut vault, planted);
    }
    // A journal with what was there before, as a kill in the middle of a transaction would leave it.
    let seen = vault.transaction(|tx| {
        tx.execute("UPDATE note SET text = text || ' and more'", [])?;
        tx.cache_flush()?;
        Ok::<_, VaultError>(all_files(home.path()))
    });
    let mut files = seen.unwrap();
    drop(vault);
    files.extend(all_files(home.path()));
    let journal = files.iter().find(|(path, _)| path.ends_with("store.db-journal"));
    assert!(journal.is_some_and(|(_, content)| content.len() > 1_000), "the journal was looked at");

    let secrets: [&[u8]; 5] = [
        planted.as_bytes(),
        PASSPHRASE,
        home.recovery.as_bytes(),
        b"SQLite format 3",
        b"CREATE TABLE",
    ];
    let leaks = |files: &[(PathBuf, Vec<u8>)]| {
        secrets.map(|secret| files.iter().any(|(_, content)| contains(content, secret)))
    };
    assert_eq!(leaks(&files), [false; 5]);

    // The same in the clear is found, so the scan can find.
    let control = tempfile::tempdir().unwrap();
    let clear = rusqlite::Connection::open(control.path().join("clear.db")).unwrap();
    clear.execute_batch(MIGRATIONS[0]).unwrap();
    clear.execute("INSERT INTO note (text) VALUES (?1)", [planted]).unwrap();
    fs::write(control.path().join("phrases"), [PASSPHRASE, home.recovery.as_bytes()].concat())
        .unwrap();
    assert_eq!(leaks(&all_files(control.path())), [true; 5]);
}

#[cfg(unix)]
#[test]
fn a_home_reached_through_a_link_is_a_home_like_any_other() {
    let home = Home::with_vault();
    let parent = tempfile::tempdir().unwrap();
    let link = parent.path().join("link");
    std::os::unix::fs::symlink(home.path(), &link).unwrap();
    Vault::open(&link, PASSPHRASE, MIGRATIONS).unwrap();
}

#[cfg(unix)]
#[test]
fn only_the_owner_may_enter() {
    use std::os::unix::fs::PermissionsExt;
    let parent = tempfile::tempdir().unwrap();
    let home = parent.path().join("a/home");
    let lock = HomeLock::acquire(&home, Duration::ZERO, "test").unwrap();
    let (mut vault, _) =
        Vault::create(&home, PASSPHRASE, KdfCost::MINIMUM, MIGRATIONS, &mut rng()).unwrap();
    write_note(&mut vault, "private");
    vault.change_passphrase(b"second", &mut rng()).unwrap();
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&home), 0o700);
    assert_eq!(mode(&home.join(VAULT_FOLDER)), 0o700);
    let files = all_files(&home);
    assert!(files.len() >= 4);
    for (path, _) in files {
        assert_eq!(mode(&path), 0o600, "{}", path.display());
    }
    drop(lock);
}

#[test]
fn what_is_printed_for_debugging_tells_no_secret() {
    let home = Home::with_vault();
    let vault = home.open(PASSPHRASE).unwrap();
    assert_eq!(format!("{vault:?}"), "Vault(..)");
    assert_eq!(format!("{:?}", vault.suspend()), "Suspended(..)");
    assert_eq!(format!("{:?}", DataKey::generate(&mut rng())), "DataKey(..)");
}

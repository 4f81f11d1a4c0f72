//! Damaged bytes, torn tails, a second process, and what a copy of the folder gives away.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use hearken_proto::time::UnixDay;
use rand_chacha::ChaCha20Rng;
use rand_core::{Rng, SeedableRng};
use tempfile::TempDir;

use super::journal::journals;
use super::test_support::{TEST_CONFIG, copy_folder, open, open_when_free};
use super::*;
use crate::store::{DayKeys, position_key};

const DAY: UnixDay = UnixDay(20_000);
const SPACES: [Space; 2] = [Space::Rows, Space::Day(DAY)];

/// All rows of [`SPACES`].
#[derive(Debug, PartialEq, Eq)]
struct Content(Vec<Vec<Row>>);

fn content(store: &FjallStore) -> Result<Content, StoreError> {
    SPACES
        .into_iter()
        .map(|space| store.range(space, &[], &[0xff; 40], usize::MAX))
        .collect::<Result<_, _>>()
        .map(Content)
}

fn commit(store: &FjallStore, position: u64) {
    let mut batch = Batch::default();
    let blob = vec![u8::try_from(position % 251).unwrap() + 1; 300];
    batch.put(Space::Day(DAY), position_key(b"m", position), blob);
    batch.put(Space::Rows, b"count".to_vec(), position.to_be_bytes().to_vec());
    store.commit(batch).unwrap();
}

/// Tables in two keyspaces, a journal with commits, a clean stop.
fn stopped_store() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    {
        let store = open(folder.path());
        (0..20).for_each(|position| commit(&store, position));
        store.with_engine(Engine::flush_everything).unwrap();
    }
    let store = open(folder.path());
    (20..30).for_each(|position| commit(&store, position));
    drop(store);
    folder
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { found.extend(files(&path)) } else { found.push(path) }
    }
    found.sort();
    found
}

/// What a relay that opens the folder gets to read: everything, or an error.
fn read_all(folder: &Path) -> Result<Content, StoreError> {
    let store = open_when_free(folder)?;
    let content = content(&store)?;
    store.verify()?;
    Ok(content)
}

#[test]
fn a_flipped_byte_anywhere_in_the_folder_is_reported_or_harmless() {
    let folder = stopped_store();
    let truth = read_all(copy_of(folder.path()).path()).unwrap();
    let long = std::env::var_os("HEARKEN_LONG").is_some();
    let flips_per_file = if long { 5_000 } else { 40 };
    let mut rng = ChaCha20Rng::seed_from_u64(7);
    let mut reported: BTreeMap<String, u32> = BTreeMap::new();
    for path in files(folder.path()) {
        let name = path.strip_prefix(folder.path()).unwrap();
        let len = fs::metadata(&path).unwrap().len();
        let offsets: Vec<u64> = if len <= flips_per_file {
            (0..len).collect()
        } else {
            (0..flips_per_file).map(|_| rng.next_u64() % len).collect()
        };
        for offset in offsets {
            let copy = copy_of(folder.path());
            let damaged = copy.path().join(name);
            let mut bytes = fs::read(&damaged).unwrap();
            bytes[usize::try_from(offset).unwrap()] ^= 1 << (rng.next_u32() % 8);
            fs::write(&damaged, bytes).unwrap();
            match read_all(copy.path()) {
                Ok(content) => {
                    assert!(content == truth, "{} at {offset}: read as truth", name.display());
                }
                Err(StoreError::Corrupt { .. } | StoreError::Incompatible { .. }) => {
                    let kind = name.extension().or(name.file_name()).unwrap();
                    *reported.entry(kind.to_string_lossy().into_owned()).or_default() += 1;
                }
                Err(error) => panic!("{} at {offset}: {error}", name.display()),
            }
        }
    }
    for kind in ["jnl", "store-format"] {
        assert!(reported.contains_key(kind), "no damage to {kind} was reported: {reported:?}");
    }
    assert!(reported.len() > 3, "damage to tables and lists was not reported: {reported:?}");
}

fn copy_of(folder: &Path) -> TempDir {
    let copy = tempfile::tempdir().unwrap();
    copy_folder(folder, copy.path());
    copy
}

/// A folder as a power cut leaves it, with 30 commits in its one journal, and the offsets at which each of them ends.
fn interrupted_store() -> (TempDir, PathBuf, Vec<usize>) {
    let folder = tempfile::tempdir().unwrap();
    drop(open(folder.path()));
    let store = open(folder.path());
    let journal = journals(&folder.path().join("engine")).unwrap().pop().unwrap();
    let mut ends = Vec::new();
    for position in 0..30 {
        commit(&store, position);
        ends.push(usize::try_from(fs::metadata(&journal).unwrap().len()).unwrap());
    }
    let copy = copy_of(folder.path());
    let journal = copy.path().join(journal.strip_prefix(folder.path()).unwrap());
    (copy, journal, ends)
}

fn count(folder: &Path) -> Result<u64, StoreError> {
    let content = read_all(folder)?;
    let blobs = content.0[1].len() as u64;
    if let Some(row) = content.0[0].first() {
        assert_eq!(row.value, (blobs - 1).to_be_bytes(), "a commit was torn in two");
    }
    Ok(blobs)
}

#[test]
fn a_torn_last_commit_is_cut_off_and_all_before_it_is_there() {
    let (folder, journal, ends) = interrupted_store();
    let good = fs::read(&journal).unwrap();
    let (begin, end) = (ends[28], ends[29]);
    assert_eq!(count(copy_of(folder.path()).path()), Ok(30), "control");
    let torn = |damage: &dyn Fn(&mut Vec<u8>)| {
        let mut bytes = good.clone();
        damage(&mut bytes);
        fs::write(&journal, bytes).unwrap();
        count(copy_of(folder.path()).path())
    };
    for at in (begin + 1..end).step_by(7) {
        assert_eq!(torn(&|bytes| bytes.truncate(at)), Ok(29), "cut at {at}");
        assert_eq!(torn(&|bytes| bytes[at..].fill(0)), Ok(29), "zeros from {at}");
    }
    for at in (begin..end - 64).step_by(64) {
        assert_eq!(torn(&|bytes| bytes[at..at + 64].fill(0)), Ok(29), "a hole at {at}");
    }
}

#[test]
fn a_store_goes_on_after_a_torn_commit_was_cut_off() {
    let (folder, journal, ends) = interrupted_store();
    let mut bytes = fs::read(&journal).unwrap();
    bytes.truncate(ends[29] - 5);
    fs::write(&journal, bytes).unwrap();
    for last in 29..32 {
        let store = open(folder.path());
        assert_eq!(content(&store).unwrap().0[1].len(), last);
        commit(&store, last as u64);
    }
}

#[test]
fn damage_that_a_later_commit_follows_is_reported_where_fjall_alone_would_lose_it_in_silence() {
    let (folder, journal, ends) = interrupted_store();
    let mut bytes = fs::read(&journal).unwrap();
    bytes[ends[9]] ^= 0x40;
    fs::write(&journal, &bytes).unwrap();

    let control = copy_of(folder.path());
    let alone = ::fjall::Database::builder(control.path().join("engine")).open().unwrap();
    let day = alone.keyspace("day-20000", Default::default).unwrap();
    assert_eq!(day.len().unwrap(), 10, "fjall cut 20 commits off and said nothing");

    assert!(matches!(read_all(folder.path()), Err(StoreError::Corrupt { .. })));
    assert_eq!(fs::read(&journal).unwrap(), bytes, "damage is left as it is, to be looked at");
}

#[test]
fn a_lost_commit_between_two_others_is_reported() {
    let (folder, journal, ends) = interrupted_store();
    let mut bytes = fs::read(&journal).unwrap();
    bytes.drain(ends[9]..ends[10]);
    fs::write(&journal, &bytes).unwrap();
    assert!(matches!(read_all(folder.path()), Err(StoreError::Corrupt { .. })));
}

#[test]
fn after_a_clean_stop_even_the_last_commit_is_certain() {
    let folder = stopped_store();
    let journal = journals(&folder.path().join("engine")).unwrap().pop().unwrap();
    let mut bytes = fs::read(&journal).unwrap();
    let last = bytes.iter().rposition(|byte| *byte != 0).unwrap();
    bytes[last - 8] ^= 1;
    fs::write(&journal, bytes).unwrap();
    assert!(matches!(read_all(folder.path()), Err(StoreError::Corrupt { .. })));
}

#[test]
fn a_lost_format_file_is_reported_and_the_store_not_made_anew() {
    let folder = stopped_store();
    fs::remove_file(folder.path().join("store-format")).unwrap();
    let error = read_all(folder.path()).unwrap_err();
    assert!(matches!(error, StoreError::Corrupt { .. }), "{error}");
    assert!(error.to_string().contains("store-format"), "{error}");
}

#[test]
fn a_first_start_that_was_cut_short_starts_again() {
    let folder = tempfile::tempdir().unwrap();
    drop(open(folder.path()));
    fs::remove_file(folder.path().join("store-format")).unwrap();
    fs::remove_file(folder.path().join("clean-stop")).unwrap();
    fs::remove_file(folder.path().join("engine/version")).unwrap();
    let store = open(folder.path());
    commit(&store, 0);
}

#[test]
fn a_store_of_a_later_format_is_refused_by_name() {
    let folder = stopped_store();
    let data = DataFolder::lock(folder.path()).unwrap();
    data.set_format(folder::FORMAT + 1, 0).unwrap();
    drop(data);
    assert_eq!(
        read_all(folder.path()),
        Err(StoreError::Incompatible { found: folder::FORMAT + 1, known: folder::FORMAT })
    );
}

#[test]
fn a_second_opening_is_refused_and_names_the_folder() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let error = FjallStore::open(folder.path(), TEST_CONFIG).err().unwrap();
    assert_eq!(error, StoreError::Locked { folder: folder.path().to_owned() });
    assert!(error.to_string().contains(&folder.path().display().to_string()));
    drop(store);
    drop(open(folder.path()));
}

#[test]
fn a_copy_taken_after_expiry_cannot_decrypt_what_a_copy_taken_before_can() {
    let folder = tempfile::tempdir().unwrap();
    let mut rng = ChaCha20Rng::seed_from_u64(3);
    let store = open(folder.path());
    let keys = DayKeys::open(&folder.path().join("keys")).unwrap();
    let blob = vec![0x5a; 2_400];
    for day in [DAY, UnixDay(20_001)] {
        let sealed = keys.seal(day, b"place", &blob, &mut rng).unwrap();
        let mut batch = Batch::default();
        batch.put(Space::Day(day), b"blob".to_vec(), sealed);
        store.commit(batch).unwrap();
    }
    // The strongest reader: has the sealed bytes from elsewhere, and tries whatever lies in the folder as a key.
    let sealed = store.read(Space::Day(DAY), b"blob").unwrap().unwrap();
    let opens = |copy: &Path| {
        files(copy).iter().map(|path| fs::read(path).unwrap()).any(|bytes| {
            let used = bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
            bytes[..used].windows(32).any(|window| opens_with(window, &sealed))
        })
    };
    let before = copy_of(folder.path());
    keys.destroy(DAY).unwrap();
    store.drop_day(DAY).unwrap();
    let after = copy_of(folder.path());

    assert!(opens(before.path()), "control: the key is found in a copy taken before");
    assert!(!opens(after.path()));
    assert_eq!(DayKeys::open(&after.path().join("keys")).unwrap().days(), [UnixDay(20_001)]);
    let restored = open(after.path());
    assert_eq!(restored.read(Space::Day(DAY), b"blob"), Ok(None));
    assert!(restored.read(Space::Day(UnixDay(20_001)), b"blob").unwrap().is_some());
}

fn opens_with(key: &[u8], sealed: &[u8]) -> bool {
    use chacha20poly1305::aead::{Aead, Payload};
    use chacha20poly1305::{KeyInit, XChaCha20Poly1305, XNonce};
    let nonce = XNonce::try_from(&sealed[..24]).unwrap();
    let payload = Payload { msg: &sealed[24..], aad: b"place" };
    XChaCha20Poly1305::new_from_slice(key).unwrap().decrypt(&nonce, payload).is_ok()
}

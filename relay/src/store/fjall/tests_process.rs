//! Kills and full disks, with the store in a process of its own: the test program runs itself again as `child`.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};

use hearken_proto::time::UnixDay;
use rand_chacha::ChaCha20Rng;
use rand_core::{Rng, SeedableRng};

use super::test_support::{TEST_CONFIG, open};
use super::*;
use crate::store::position_key;

const CHILD_FOLDER: &str = "HEARKEN_TEST_STORE_FOLDER";
/// Set: the child acknowledges before it commits, which the test of kills must notice.
const CHILD_FAULT: &str = "HEARKEN_TEST_STORE_FAULT";
const CHILD_TEST: &str = "store::fjall::tests_process::child";
const BLOBS_PER_COMMIT: u64 = 32;
const BLOB_LEN: usize = 2_440;
/// Commits alternate between two days, so that kills hit flushes of more than one keyspace.
const DAYS: [UnixDay; 2] = [UnixDay(20_000), UnixDay(20_001)];

/// Commit `number`: some blobs and the count, as a group commit of the relay has them.
fn batch(number: u64) -> Batch {
    let mut batch = Batch::default();
    let day = Space::Day(DAYS[usize::try_from(number % 2).unwrap()]);
    for blob in 0..BLOBS_PER_COMMIT {
        let position = number * BLOBS_PER_COMMIT + blob;
        batch.put(day, position_key(b"m", position), blob_of(position));
    }
    batch.put(Space::Rows, b"count".to_vec(), (number + 1).to_be_bytes().to_vec());
    batch
}

fn blob_of(position: u64) -> Vec<u8> {
    let mut blob = vec![0; BLOB_LEN];
    ChaCha20Rng::seed_from_u64(position).fill_bytes(&mut blob);
    blob
}

/// The number of commits that are there, each of them whole.
fn commits_in(store: &FjallStore) -> u64 {
    let count = store.read(Space::Rows, b"count").unwrap();
    let count = count.map_or(0, |count| u64::from_be_bytes(count.try_into().unwrap()));
    for number in 0..count {
        let day = Space::Day(DAYS[usize::try_from(number % 2).unwrap()]);
        let from = position_key(b"m", number * BLOBS_PER_COMMIT);
        let to = position_key(b"m", (number + 1) * BLOBS_PER_COMMIT);
        let rows = store.range(day, &from, &to, usize::MAX).unwrap();
        assert_eq!(rows.len() as u64, BLOBS_PER_COMMIT, "commit {number} of {count} is torn");
        for (row, position) in rows.iter().zip(number * BLOBS_PER_COMMIT..) {
            assert!(row.value == blob_of(position), "blob {position} is another");
        }
    }
    for day in DAYS {
        let beyond = position_key(b"m", count * BLOBS_PER_COMMIT);
        let rows = store.range(Space::Day(day), &beyond, b"n", usize::MAX).unwrap();
        assert!(rows.is_empty(), "blobs of a commit that is not there");
    }
    count
}

/// Not a test where the variable is not set: the child's side of the tests below. Commits until it is killed or
/// refused, and prints a line for each outcome.
#[test]
fn child() {
    let Some(folder) = std::env::var_os(CHILD_FOLDER) else { return };
    let store = open(Path::new(&folder));
    let mut out = std::io::stdout();
    let begin = store.read(Space::Rows, b"count").unwrap();
    let begin = begin.map_or(0, |count| u64::from_be_bytes(count.try_into().unwrap()));
    let planted_fault = std::env::var_os(CHILD_FAULT).is_some();
    for number in begin.. {
        if planted_fault {
            writeln!(out, "acknowledged {}", number + 1).unwrap();
        }
        match store.commit(batch(number)) {
            Ok(()) => writeln!(out, "acknowledged {}", number + 1).unwrap(),
            Err(error) => {
                writeln!(out, "refused {error}").unwrap();
                for _ in 0..3 {
                    assert_eq!(store.commit(batch(number)), Err(error.clone()), "still refused");
                    assert_eq!(commits_in(&store), number, "what was acknowledged is still read");
                }
                return;
            }
        }
        out.flush().unwrap();
    }
}

fn child_command(folder: &Path) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args([CHILD_TEST, "--exact", "--nocapture", "--test-threads=1"]);
    command.env(CHILD_FOLDER, folder).stdout(Stdio::piped());
    command
}

/// The child's lines that begin with `word`, without it.
fn lines(child: &mut Child, word: &'static str) -> impl Iterator<Item = String> + use<> {
    let stdout: ChildStdout = child.stdout.take().unwrap();
    BufReader::new(stdout)
        .lines()
        .map_while(Result::ok)
        .filter_map(move |line| line.split_once(word).map(|(_, rest)| rest.trim().to_owned()))
}

/// Kills a child somewhere in its first 150 commits. Answers how many commits it had acknowledged, and how many are
/// there.
fn kill_under_load(folder: &Path, rng: &mut ChaCha20Rng, command: &mut Command) -> (u64, u64) {
    let mut child = command.spawn().unwrap();
    let mut acknowledged = lines(&mut child, "acknowledged");
    let before_kill = usize::try_from(1 + rng.next_u64() % 150).unwrap();
    let seen = acknowledged.by_ref().take(before_kill).last();
    child.kill().unwrap();
    child.wait().unwrap();
    // What it printed before it died was acknowledged too.
    let last = acknowledged.last().or(seen).expect("a commit").parse().unwrap();
    (last, commits_in(&open(folder)))
}

#[test]
fn nothing_acknowledged_is_lost_to_kills_under_load() {
    let mut folder = tempfile::tempdir().unwrap();
    let mut rng = ChaCha20Rng::seed_from_u64(11);
    let kills = if std::env::var_os("HEARKEN_LONG").is_some() { 200 } else { 6 };
    for _ in 0..kills {
        let mut command = child_command(folder.path());
        let (acknowledged, there) = kill_under_load(folder.path(), &mut rng, &mut command);
        assert!(there >= acknowledged, "{acknowledged} acknowledged, {there} are there");
        assert!(there <= acknowledged + 1, "at most the one under way may be there too");
        if there > 2_000 {
            // Keeps the checks of a long run short.
            folder = tempfile::tempdir().unwrap();
        }
    }
}

#[test]
fn an_acknowledgement_before_the_commit_is_noticed() {
    let mut rng = ChaCha20Rng::seed_from_u64(12);
    let noticed = (0..40).any(|_| {
        let folder = tempfile::tempdir().unwrap();
        let mut command = child_command(folder.path());
        command.env(CHILD_FAULT, "1");
        let (acknowledged, there) = kill_under_load(folder.path(), &mut rng, &mut command);
        there < acknowledged
    });
    assert!(noticed, "the planted fault went unnoticed, so the test of kills shows nothing");
}

#[test]
fn a_failure_in_the_background_is_survived_without_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    (0..4).for_each(|number| store.commit(batch(number)).unwrap());
    // The engine's threads cannot write tables where there is no folder for them.
    rename_in_keyspaces(folder.path(), "tables", "away");
    store.flush_day(DAYS[0]).unwrap();
    while store.with_engine(|engine| Ok(engine.settled().is_some())).unwrap() {
        std::thread::yield_now();
    }
    assert_eq!(commits_in(&store), 4, "reads go on");
    rename_in_keyspaces(folder.path(), "away", "tables");
    store.commit(batch(4)).unwrap();
    assert_eq!(commits_in(&store), 5);
    drop(store);
    assert_eq!(commits_in(&open(folder.path())), 5);
}

#[test]
fn a_failure_while_tables_are_tidied_ends_the_tidying_and_the_store_works_again() {
    let folder = tempfile::tempdir().unwrap();
    let store = Arc::new(open(folder.path()));
    (0..4).for_each(|number| store.commit(batch(number)).unwrap());
    // So many deleted rows that the day counts as untidy.
    let mut deletions = Batch::default();
    for position in 0..14_000 {
        deletions.delete(Space::Day(DAYS[0]), position_key(b"other", position));
    }
    store.commit(deletions).unwrap();
    rename_in_keyspaces(folder.path(), "tables", "away");
    let tidied = Arc::clone(&store);
    let tidying = std::thread::spawn(move || tidied.tidy());
    while store.with_engine(|engine| Ok(engine.settled().is_some())).unwrap() {
        std::thread::yield_now();
    }
    rename_in_keyspaces(folder.path(), "away", "tables");
    store.commit(batch(4)).unwrap();
    tidying.join().unwrap();
    assert_eq!(commits_in(&store), 5);
    drop(store);
    assert_eq!(commits_in(&open(folder.path())), 5);
}

#[test]
fn while_tables_are_merged_a_failed_store_is_refused_at_once_and_opens_when_they_are() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    store.commit(batch(0)).unwrap();
    rename_in_keyspaces(folder.path(), "tables", "away");
    store.flush_day(DAYS[0]).unwrap();
    while store.with_engine(|engine| Ok(engine.settled().is_some())).unwrap() {
        std::thread::yield_now();
    }
    rename_in_keyspaces(folder.path(), "away", "tables");
    // As a merge does, for as long as it keeps the journal open.
    store.merging.store(true, Ordering::Release);
    let tables = store.with_engine(|engine| Ok(engine.tables_of(DAYS[0]))).unwrap();
    for _ in 0..3 {
        assert_eq!(store.commit(batch(1)), Err(StoreError::Unavailable));
        assert_eq!(store.read(Space::Rows, b"count"), Err(StoreError::Unavailable));
    }
    drop(tables);
    store.merging.store(false, Ordering::Release);
    store.commit(batch(1)).unwrap();
    assert_eq!(commits_in(&store), 2);
}

fn rename_in_keyspaces(store: &Path, from: &str, to: &str) {
    for keyspace in fs::read_dir(store.join("engine/keyspaces")).unwrap() {
        let keyspace = keyspace.unwrap().path();
        if keyspace.join(from).exists() {
            fs::rename(keyspace.join(from), keyspace.join(to)).unwrap();
        }
    }
}

#[test]
fn a_file_size_limit_refuses_and_loses_nothing() {
    let folder = tempfile::tempdir().unwrap();
    // Made without the limit, and opened twice, so that the journal has no room made beforehand.
    drop(open(folder.path()));
    drop(open(folder.path()));
    // The shell ignores SIGXFSZ for the child, as the relay does for itself. 2,048 blocks of at least 512 bytes.
    let child = child_command(folder.path());
    let mut shell = Command::new("sh");
    shell.args(["-c", "trap '' XFSZ; ulimit -f 2048; exec \"$@\"", "sh"]);
    shell.arg(child.get_program()).args(child.get_args());
    shell.env(CHILD_FOLDER, folder.path()).stdout(Stdio::piped());
    let output = shell.output().unwrap();
    let printed = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{}\n{printed}", output.status);
    assert!(printed.contains("refused the disk that holds the store is full"), "{printed}");
    let acknowledged = printed.matches("acknowledged").count() as u64;
    assert!(acknowledged > 0, "{printed}");

    let store = open(folder.path());
    assert_eq!(commits_in(&store), acknowledged, "a refused commit is not there after a restart");
    store.commit(batch(acknowledged)).unwrap();
    assert_eq!(commits_in(&store), acknowledged + 1);
}

/// A small file system, unmounted at the end. `None`, with the reason printed, where mounting is not allowed.
struct SmallDisk(PathBuf, #[expect(dead_code, reason = "holds the mount point")] tempfile::TempDir);

impl SmallDisk {
    fn mount(size: &str) -> Option<Self> {
        let point = tempfile::tempdir().unwrap();
        let path = point.path().to_owned();
        let mount = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &format!("size={size}"), "tmpfs"])
            .arg(&path)
            .output();
        match mount {
            Ok(output) if output.status.success() => Some(Self(path, point)),
            Ok(output) => {
                eprintln!("skipped: {}", String::from_utf8_lossy(&output.stderr).trim());
                None
            }
            Err(error) => {
                eprintln!("skipped: mount: {error}");
                None
            }
        }
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

#[test]
fn a_full_disk_refuses_keeps_what_was_acknowledged_and_works_again_with_room() {
    let Some(disk) = SmallDisk::mount("48m") else { return };
    let ballast = disk.0.join("ballast");
    fs::write(&ballast, vec![1; 24 << 20]).unwrap();
    let data = disk.0.join("data");
    let mut store = open(&data);
    let mut acknowledged = 0;
    let refusal = loop {
        match store.commit(batch(acknowledged)) {
            Ok(()) => acknowledged += 1,
            Err(error) => break error,
        }
    };
    assert_eq!(refusal, StoreError::Full);
    assert!(acknowledged > 20, "{acknowledged} commits before the disk was full");
    for _ in 0..5 {
        // Opening anew may have freed a journal, so that a small commit fits again.
        match store.commit(batch(acknowledged)) {
            Ok(()) => acknowledged += 1,
            Err(error) => assert_eq!(error, StoreError::Full),
        }
        assert_eq!(commits_in(&store), acknowledged);
    }
    drop(store);
    store = open(&data);
    assert_eq!(commits_in(&store), acknowledged, "after a restart on the full disk");

    fs::remove_file(&ballast).unwrap();
    for _ in 0..10 {
        store.commit(batch(acknowledged)).unwrap();
        acknowledged += 1;
    }
    assert_eq!(commits_in(&store), acknowledged);
    drop(store);
    assert_eq!(commits_in(&open(&data)), acknowledged);
}

#[test]
fn the_reserve_refuses_new_blobs_while_acknowledgements_still_get_through() {
    let Some(disk) = SmallDisk::mount("24m") else { return };
    let config = FjallConfig { reserve_bytes: 12 << 20, ..TEST_CONFIG };
    let store = FjallStore::open(&disk.0.join("data"), config).unwrap();
    store.commit(batch(0)).unwrap();
    assert!(store.has_room());
    fs::write(disk.0.join("ballast"), vec![1; 13 << 20]).unwrap();
    assert!(!store.has_room());
    let mut tx = crate::store::Transaction::new(&store);
    let day = Space::Day(DAYS[0]);
    assert_eq!(tx.append(day, b"m", 99, blob_of(99)), Err(StoreError::Full));
    assert_eq!(tx.delete_range(day, b"m", b"n", 5), Ok(5));
    store.commit(tx.into_batch()).unwrap();
    assert_eq!(store.range(day, b"m", b"n", 99).unwrap().len() as u64, BLOBS_PER_COMMIT - 5);
}

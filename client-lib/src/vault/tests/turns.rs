//! Who has the home: handles in one process (file locks belong to the open file), and real processes that are killed.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Command, Stdio};

use super::*;

/// Set for the copy of this test program that takes the home named here and then does nothing.
const HOLD: &str = "HEARKEN_TEST_HOLD_HOME";
/// Set as well when it shall commit notes until it is killed, telling each one.
const WRITE: &str = "HEARKEN_TEST_WRITE_NOTES";

#[test]
fn one_handle_has_the_home_and_the_next_is_told_who() {
    let folder = tempfile::tempdir().unwrap();
    let held = HomeLock::acquire(folder.path(), Duration::ZERO, "up\u{1b}[31m").unwrap();
    assert!(HomeLock::try_acquire(folder.path(), "send").unwrap().is_none());
    match HomeLock::acquire(folder.path(), Duration::ZERO, "send") {
        Err(VaultError::HomeBusy { holder }) => {
            assert_eq!(holder, format!("up[31m (process {})", std::process::id()));
        }
        other => panic!("{other:?}"),
    }
    drop(held);
    HomeLock::acquire(folder.path(), Duration::ZERO, "send").unwrap();
}

#[test]
fn a_holder_sees_who_waits_until_they_stop_waiting() {
    let folder = tempfile::tempdir().unwrap();
    let held = HomeLock::acquire(folder.path(), Duration::ZERO, "up").unwrap();
    assert!(!held.someone_waits());
    let waiting = HomeWait::begin(folder.path()).unwrap();
    let also = HomeWait::begin(folder.path()).unwrap();
    assert!(waiting.try_acquire("send").unwrap().is_none());
    assert!(also.try_acquire("send").unwrap().is_none());
    assert!(held.someone_waits());
    drop(waiting);
    assert!(held.someone_waits(), "the other still does");
    drop(also);
    assert!(!held.someone_waits());
}

#[test]
fn the_home_changes_hands_when_the_holder_gives_way() {
    let folder = tempfile::tempdir().unwrap();
    let held = HomeLock::acquire(folder.path(), Duration::ZERO, "up").unwrap();
    let path = folder.path().to_path_buf();
    let waiter =
        std::thread::spawn(move || HomeLock::acquire(&path, Duration::from_secs(60), "send"));
    while !held.someone_waits() {
        std::thread::yield_now();
    }
    drop(held);
    let taken = waiter.join().unwrap().unwrap();
    assert!(!taken.someone_waits(), "who has it no longer waits");
    assert!(HomeLock::try_acquire(folder.path(), "up").unwrap().is_none());
}

/// Not a test of its own: what the child processes of the tests below do.
#[test]
fn child_process() {
    let Ok(home) = std::env::var(HOLD) else { return };
    let home = Path::new(&home);
    let _lock = HomeLock::acquire(home, Duration::from_secs(60), "child").unwrap();
    let mut out = std::io::stderr();
    if std::env::var(WRITE).is_ok() {
        let mut vault = Vault::open(home, PASSPHRASE, MIGRATIONS).unwrap();
        loop {
            let number = notes(&vault).unwrap().len();
            write_note(&mut vault, &number.to_string());
            writeln!(out, "{number}").unwrap();
        }
    }
    writeln!(out, "held").unwrap();
    // Ends when it is killed, or when the parent's end of the pipe is gone.
    let _ = std::io::stdin().read_line(&mut String::new());
}

/// A second process with the home, and what it tells.
struct Holder {
    child: Child,
    lines: std::io::Lines<BufReader<std::process::ChildStderr>>,
}

impl Holder {
    fn start(home: &Path, write: bool) -> Self {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command
            .args(["--exact", "vault::tests::turns::child_process", "--nocapture"])
            .env(HOLD, home)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped());
        if write {
            command.env(WRITE, "1");
        }
        let mut child = command.spawn().unwrap();
        let lines = BufReader::new(child.stderr.take().unwrap()).lines();
        Self { child, lines }
    }

    fn line(&mut self) -> String {
        self.lines.next().expect("the child tells something").unwrap()
    }
}

impl Drop for Holder {
    fn drop(&mut self) {
        // SIGKILL on Unix: nothing of the child's own runs any more.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn a_killed_holder_frees_the_home() {
    let folder = tempfile::tempdir().unwrap();
    let mut holder = Holder::start(folder.path(), false);
    assert_eq!(holder.line(), "held");
    let pid = holder.child.id();
    match HomeLock::acquire(folder.path(), Duration::ZERO, "test") {
        Err(VaultError::HomeBusy { holder }) => {
            assert_eq!(holder, format!("child (process {pid})"));
        }
        other => panic!("{other:?}"),
    }
    drop(holder);
    HomeLock::acquire(folder.path(), Duration::ZERO, "test").unwrap();
}

#[test]
fn a_waiting_process_is_seen_and_a_killed_one_no_longer() {
    let folder = tempfile::tempdir().unwrap();
    let held = HomeLock::acquire(folder.path(), Duration::ZERO, "test").unwrap();
    let waiter = Holder::start(folder.path(), false);
    while !held.someone_waits() {
        std::thread::yield_now();
    }
    drop(waiter);
    assert!(!held.someone_waits());

    let mut waiter = Holder::start(folder.path(), false);
    while !held.someone_waits() {
        std::thread::yield_now();
    }
    drop(held);
    assert_eq!(waiter.line(), "held");
}

#[test]
fn nothing_that_was_committed_is_lost_by_a_kill() {
    let home = Home::with_vault();
    let mut told = 0;
    for round in 0..4 {
        let mut writer = Holder::start(home.path(), true);
        for _ in 0..=(3 * round) {
            told = writer.line().parse::<usize>().unwrap() + 1;
        }
        drop(writer);
        let _lock = HomeLock::acquire(home.path(), Duration::ZERO, "test").unwrap();
        let kept = notes(&home.open(PASSPHRASE).unwrap()).unwrap();
        assert!(kept.len() >= told);
        assert!(kept.iter().enumerate().all(|(number, text)| *text == number.to_string()));
    }
    assert!(told >= 4 + 3 + 6 + 9);
}

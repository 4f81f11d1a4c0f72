//! Commands in folders that are relative, half made, or open to others; and commands that are told to stop.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod support;

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use support::process::{PROGRAM, relay};

#[test]
fn folders_and_files_may_be_named_as_they_are_seen_from_where_one_stands() {
    let temporary = tempfile::tempdir().unwrap();
    for arguments in [
        &["init", "--data", "relay"][..],
        &["backup", "--data", "relay", "--out", "backup"],
        &["restore", "--data", "restored", "--from", "backup"],
        &["check", "--data", "restored"],
    ] {
        let output =
            Command::new(PROGRAM).args(arguments).current_dir(temporary.path()).output().unwrap();
        assert!(output.status.success(), "{arguments:?} {output:?}");
    }
    assert_eq!(names_in(temporary.path()), ["backup", "relay", "restored"]);
}

fn restore(from: &Path, data: &Path) -> Child {
    spawn(&["restore", "--from", from.to_str().unwrap()], data)
}

fn spawn(arguments: &[&str], data: &Path) -> Child {
    Command::new(PROGRAM)
        .args(arguments)
        .args(["--json", "--data"])
        .arg(data)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

fn names_in(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap();
    let mut names: Vec<String> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort_unstable();
    names
}

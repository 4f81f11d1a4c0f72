//! Commands in folders that are relative, half made, or open to others; and commands that are told to stop.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a failing test panics")]

mod support;

use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use hearken_proto::time::UnixDay;
use hearken_relay::archive::{Encoder, Item};
use hearken_relay::store::{Row, Space};
use rustix::fs::Mode;
use rustix::process::{Pid, Signal, kill_process, umask};
use support::client::now;
use support::process::{PROGRAM, Serving, error_of, objects_of, relay};
use zeroize::Zeroizing;

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

#[test]
fn a_refused_restore_leaves_none_of_the_folders_above_that_it_made() {
    let temporary = tempfile::tempdir().unwrap();
    let bad = temporary.path().join("bad");
    let whole = large(1);
    fs::write(&bad, &whole[..whole.len() - 1]).unwrap();
    fs::create_dir(temporary.path().join("there")).unwrap();
    for data in ["new/deeper/relay", "there/deeper/relay"] {
        let output = restore(&bad, &temporary.path().join(data)).wait_with_output().unwrap();
        failed(&output, "damaged");
        assert_eq!(names_in(temporary.path()), ["bad", "there"]);
        assert!(names_in(&temporary.path().join("there")).is_empty());
    }
}

#[test]
fn a_relay_whose_making_was_interrupted_is_completed_whatever_was_asked_of_it_meanwhile() {
    let temporary = tempfile::tempdir().unwrap();
    let (made, data) = (temporary.path().join("made"), temporary.path().join("relay"));
    assert!(relay(&["init", "--data", made.to_str().unwrap()]).status.success());
    fs::create_dir_all(data.join("keys")).unwrap();
    fs::copy(made.join("keys/identity"), data.join("keys/identity")).unwrap();
    let (data_text, out) = (data.to_str().unwrap(), temporary.path().join("backup"));
    for more in [
        &["check"][..],
        &["stats"],
        &["address"],
        &["backup", "--out", out.to_str().unwrap()],
        &["decommission", "--on", "2099-01-01"],
    ] {
        failed(&relay(&[more, &["--json", "--data", data_text]].concat()), "unfinished");
        assert_eq!(names_in(&data), ["keys"], "{more:?}");
    }
    assert!(relay(&["init", "--data", data_text]).status.success());
    let identity = |data: &Path| fs::read(data.join("keys/identity")).unwrap();
    assert_eq!(identity(&data), identity(&made));
}

#[test]
fn nothing_in_a_folder_that_others_may_enter_can_be_read_by_them_and_check_says_where_it_could() {
    // What a group's members share files with.
    umask(Mode::from_raw_mode(0o002));
    let temporary = tempfile::tempdir().unwrap();
    let (data, out) = (temporary.path().join("relay"), temporary.path().join("backup"));
    let data_text = data.to_str().unwrap();
    fs::create_dir(&data).unwrap();
    fs::set_permissions(&data, fs::Permissions::from_mode(0o755)).unwrap();
    let serving = Serving::start(&data, &[]);
    assert_eq!(open_to_others(&data), [""; 0]);
    serving.terminate();
    assert!(
        relay(&["backup", "--data", data_text, "--out", out.to_str().unwrap()]).status.success()
    );
    assert_eq!(open_to_others(temporary.path()), ["relay"]);

    let warned = || -> Vec<String> {
        let check = relay(&["check", "--json", "--data", data_text]);
        assert!(check.status.success(), "{check:?}");
        let findings = objects_of(&check);
        let findings = findings.iter().filter(|finding| finding["code"] == "permissions");
        findings.map(|finding| finding["where"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(warned(), ["."]);
    fs::set_permissions(&data, fs::Permissions::from_mode(0o700)).unwrap();
    assert!(warned().is_empty());
    for name in ["engine", "lock", "store-format"] {
        let mode = fs::metadata(data.join(name)).unwrap().permissions().mode();
        fs::set_permissions(data.join(name), fs::Permissions::from_mode(mode | 0o044)).unwrap();
        assert_eq!(warned(), [name]);
        fs::set_permissions(data.join(name), fs::Permissions::from_mode(mode)).unwrap();
    }
}

#[test]
fn a_restore_that_is_told_to_stop_leaves_nothing_and_says_so() {
    let temporary = tempfile::tempdir().unwrap();
    let from = temporary.path().join("backup");
    fs::write(&from, large(24)).unwrap();
    for signal in [Signal::TERM, Signal::INT] {
        let (data, there) = (temporary.path().join("relay"), temporary.path().join("there"));
        fs::create_dir(&there).unwrap();
        let stages = [(&data, ".relay.restoring/data"), (&there, "there/.restoring/data")];
        for (data, stage) in stages {
            let child = restore(&from, data);
            while !temporary.path().join(stage).join("day-keys").exists() {
                std::thread::yield_now();
            }
            tell(&child, signal);
            failed(&child.wait_with_output().unwrap(), "interrupted");
        }
        assert_eq!(names_in(temporary.path()), ["backup", "there"]);
        assert!(names_in(&there).is_empty());
        fs::remove_dir(&there).unwrap();
    }
}

#[test]
fn a_backup_that_is_told_to_stop_leaves_no_file_and_says_so() {
    let (temporary, data, slow) = relay_that_is_slow();
    let out = temporary.path().join("backup");
    let child = spawn(&["backup", "--out", out.to_str().unwrap()], &data);
    let (mut stream, _) = slow.accept().unwrap();
    tell(&child, Signal::TERM);
    // It looks whether it is to stop each time that something came.
    let mut encoder = Encoder::new();
    let mut pieces = first_items().into_iter().chain((0..).map(rows));
    while pieces.next().is_some_and(|item| stream.write_all(&encoder.encode(&item)).is_ok()) {}
    failed(&child.wait_with_output().unwrap(), "interrupted");
    assert_eq!(names_in(temporary.path()), ["relay"]);
}

#[test]
fn whatever_else_is_told_to_stop_ends_at_once_with_1() {
    let (_temporary, data, slow) = relay_that_is_slow();
    for signal in [Signal::TERM, Signal::INT] {
        let child = spawn(&["stats"], &data);
        // Never answered.
        let _stream = slow.accept().unwrap();
        tell(&child, signal);
        failed(&child.wait_with_output().unwrap(), "interrupted");
    }
}

#[test]
fn a_limit_of_file_sizes_is_a_full_disk() {
    let temporary = tempfile::tempdir().unwrap();
    let (from, whole) = (temporary.path().join("backup"), temporary.path().join("whole"));
    fs::write(&from, large(4)).unwrap();
    assert!(restore(&from, &whole).wait().unwrap().success());
    let [from, whole, out, data] = ["backup", "whole", "out", "data"]
        .map(|name| temporary.path().join(name).to_str().unwrap().to_owned());
    for arguments in
        [["restore", "--data", &data, "--from", &from], ["backup", "--data", &whole, "--out", &out]]
    {
        let mut limited = Command::new("bash");
        limited.args(["-c", "ulimit -f 2048; exec \"$@\"", "bash", PROGRAM, "--json"]);
        failed(&limited.args(arguments).output().unwrap(), "disk-full");
        assert_eq!(names_in(temporary.path()), ["backup", "whole"]);
    }
}

/// A stopped relay's folder in which somebody answers the other commands, or does not.
fn relay_that_is_slow() -> (tempfile::TempDir, PathBuf, UnixListener) {
    let temporary = tempfile::tempdir().unwrap();
    let data = temporary.path().join("relay");
    assert!(relay(&["init", "--data", data.to_str().unwrap()]).status.success());
    let slow = UnixListener::bind(data.join("admin.sock")).unwrap();
    (temporary, data, slow)
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

fn tell(child: &Child, signal: Signal) {
    kill_process(Pid::from_child(child), signal).unwrap();
}

fn failed(output: &Output, code: &str) {
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert_eq!(error_of(output)["error"], code, "{output:?}");
}

/// A backup with so many MiB of rows.
fn large(frames: u32) -> Vec<u8> {
    let mut encoder = Encoder::new();
    let items = first_items().into_iter().chain((0..frames).map(rows));
    let mut bytes: Vec<u8> = items.flat_map(|item| encoder.encode(&item).to_vec()).collect();
    bytes.extend(encoder.finish());
    bytes
}

fn first_items() -> [Item; 3] {
    let made = now().hour();
    [
        Item::Relay { seed: Zeroizing::new([5; 32]), first_position: 0, made },
        Item::Config("pow_bits = 1\n".to_owned()),
        Item::DayKey { day: in_a_week(), secret: Zeroizing::new(vec![6; 32]) },
    ]
}

fn rows(frame: u32) -> Item {
    let row = |at: u32| Row {
        key: [b"b", &frame.to_be_bytes()[..], &at.to_be_bytes()].concat(),
        value: vec![7; 2_440],
    };
    Item::Rows { space: Space::Day(in_a_week()), rows: (0..430).map(row).collect() }
}

fn in_a_week() -> UnixDay {
    UnixDay(now().day().0 + 7)
}

/// What lies in a folder, at any depth, and can be entered, read or written by others than its owner.
fn open_to_others(folder: &Path) -> Vec<String> {
    let mut open = Vec::new();
    for name in names_in(folder) {
        let path = folder.join(&name);
        let meta = fs::symlink_metadata(&path).unwrap();
        if meta.permissions().mode() & 0o077 != 0 {
            open.push(name.clone());
        }
        if meta.is_dir() {
            let below = open_to_others(&path).into_iter().map(|below| format!("{name}/{below}"));
            open.extend(below);
        }
    }
    open
}

fn names_in(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap();
    let mut names: Vec<String> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort_unstable();
    names
}

//! What the program does without any network: vault, passphrases, relays, contacts, texts; statuses and JSON.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a failing test panics")]

use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;
use tempfile::TempDir;

const RELAY: &str =
    "hearken://aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa@relay.example:4433";

#[test]
fn init_gives_the_home_and_the_recovery_phrase_and_refuses_to_overwrite() {
    let place = Place::new();
    let made = place.run(&["init", "--test-kdf"]);
    assert_eq!(made.status, 0, "{}", made.stderr);
    let line = made.only_line();
    assert_eq!(line["home"], place.home().to_str().unwrap());
    let words = line["recovery_phrase"].as_array().unwrap();
    assert_eq!(words.len(), 12);
    assert!(words.iter().all(|word| word.as_str().is_some_and(|word| !word.is_empty())));

    let again = place.run(&["init", "--test-kdf"]);
    again.refused(1, "vault-exists");
    assert_eq!(place.run(&["contacts"]).status, 0);
}

#[test]
fn a_wrong_passphrase_is_status_4_and_the_recovery_phrase_opens_too() {
    let place = Place::with_vault();
    let wrong = place.file("wrong", b"not it\n");
    place.run_with(&wrong, &["contacts"]).refused(4, "wrong-passphrase");
    let recovery = place.file("recovery", place.recovery.join(" ").as_bytes());
    assert_eq!(place.run_with(&recovery, &["contacts"]).status, 0);
}

#[test]
fn a_passphrase_comes_from_a_descriptor_or_from_standard_input() {
    let place = Place::with_vault();
    let script = "exec \"$0\" contacts --json --home \"$1\" --passphrase-fd 7 7<\"$2\"";
    let status = Command::new("sh")
        .args(["-c", script, env!("CARGO_BIN_EXE_hearken")])
        .args([place.home(), place.passphrase.clone()])
        .status()
        .unwrap();
    assert_eq!(status.code(), Some(0));
    let mut command = place.command(Path::new("-"), &["contacts"]);
    assert_eq!(finish(&mut command, b"open sesame\n").status, 0);
    let mut command = place.command(Path::new("-"), &["send", "ada", "-"]);
    finish(&mut command, b"open sesame\n").refused(2, "usage");
}

#[test]
fn a_passphrase_file_that_is_not_there_and_an_empty_new_passphrase_are_refused() {
    let place = Place::with_vault();
    place.run_with(Path::new("no-such-file"), &["contacts"]).refused(1, "file-unreadable");
    let empty = place.file("empty", b"\n");
    let other = place.folder.path().join("other");
    let arguments = ["init", "--test-kdf", "--home", other.to_str().unwrap()];
    place.run_with(&empty, &arguments).refused(1, "passphrase-empty");
    assert!(!other.exists());
}

#[test]
fn a_changed_passphrase_opens_and_the_old_one_does_not() {
    let place = Place::with_vault();
    let new = place.file("new", b"another one\n");
    let arguments = ["vault", "change-passphrase", "--new-passphrase-file", new.to_str().unwrap()];
    let changed = place.run(&arguments);
    assert_eq!(changed.status, 0, "{}", changed.stderr);
    assert_eq!(changed.only_line()["home"], place.home().to_str().unwrap());
    place.run(&["contacts"]).refused(4, "wrong-passphrase");
    assert_eq!(place.run_with(&new, &["contacts"]).status, 0);
    let recovery = place.file("recovery", place.recovery.join(" ").as_bytes());
    assert_eq!(place.run_with(&recovery, &["contacts"]).status, 0);
}

#[test]
fn a_folder_that_is_not_a_vault_is_not_destroyed() {
    for slots in [None, Some("of something else")] {
        let place = Place::new();
        let thesis = place.home().join("vault/notes/thesis.txt");
        std::fs::create_dir_all(thesis.parent().unwrap()).unwrap();
        std::fs::write(&thesis, "years of work").unwrap();
        if let Some(slots) = slots {
            std::fs::write(place.home().join("vault/slots"), slots).unwrap();
        }
        place.run(&["vault", "destroy"]).refused(1, "not-a-vault");
        assert_eq!(std::fs::read_to_string(&thesis).unwrap(), "years of work");
    }
    let place = Place::with_vault();
    assert_eq!(place.run(&["vault", "destroy"]).status, 0, "the honest way");
    assert!(!place.home().join("vault").exists());
}

#[test]
fn relays_are_added_listed_and_removed() {
    let place = Place::with_vault();
    let fingerprint = "a".repeat(52);
    assert_eq!(place.run(&["relay", "add", RELAY]).only_line()["relay"], fingerprint);
    let listed = place.run(&["relay", "list"]);
    assert_eq!(listed.only_line()["address"], RELAY);
    place.run(&["relay", "add", "relay.example:4433"]).refused(2, "address-malformed");
    place.run(&["relay", "remove", &"b".repeat(52)]).refused(1, "unknown-relay");
    assert_eq!(place.run(&["relay", "remove", &fingerprint]).only_line()["relay"], fingerprint);
    assert!(place.run(&["relay", "list"]).stdout.is_empty());
}

#[test]
fn an_invitation_needs_a_relay_an_entry_or_consent() {
    let place = Place::with_vault();
    place.run(&["invite"]).refused(1, "no-relay");
    assert_eq!(place.run(&["relay", "add", RELAY]).status, 0);
    place.run(&["invite"]).refused(1, "direct-needs-consent");
    place.run(&["invite", "--route", "hop2"]).refused(1, "no-entry");
    assert!(place.run(&["contacts"]).stdout.is_empty());
}

#[test]
fn what_is_no_invitation_is_wrong_usage() {
    let place = Place::with_vault();
    for link in ["hello", "hearken:invite/1#", "hearken:invite/1#AAAA", "hearken:invite/2#AAAA"] {
        place.run(&["join", link]).refused(2, "invitation-malformed");
    }
    let mut command = place.command(&place.passphrase, &["join", "-"]);
    finish(&mut command, b"hearken:invite/1#cut\n").refused(2, "invitation-malformed");
    assert!(place.run(&["contacts"]).stdout.is_empty());
}

#[test]
fn contacts_that_nobody_knows_are_refused_by_every_command() {
    let place = Place::with_vault();
    for arguments in [
        &["send", "ada", "hello"][..],
        &["history", "ada"],
        &["verify", "ada"],
        &["rename", "ada", "bea"],
        &["block", "ada"],
        &["forget", "ada"],
    ] {
        let refused = place.run(arguments);
        refused.refused(1, "unknown-contact");
        assert!(refused.error()["message"].as_str().unwrap().contains("ada"));
    }
}

#[test]
fn texts_that_cannot_be_sent_are_refused_with_status_1() {
    use std::os::unix::ffi::OsStrExt;
    let place = Place::with_vault();
    let empty = place.file("empty", b"");
    let bytes = place.file("bytes", b"\xff\xfe");
    let long = place.file("long", &vec![b'a'; 256 * 1_024 + 1]);
    let send = |file: &Path| place.run(&["send", "ada", "--text-file", file.to_str().unwrap()]);
    send(&empty).refused(1, "text-empty");
    send(&bytes).refused(1, "text-not-utf8");
    send(&long).refused(1, "text-too-long");
    send(Path::new("no-such-file")).refused(1, "file-unreadable");
    place.run(&["send", "ada", ""]).refused(1, "text-empty");
    let mut command = place.command(&place.passphrase, &["send", "ada"]);
    command.arg(std::ffi::OsStr::from_bytes(b"\xff"));
    finish(&mut command, b"").refused(1, "text-not-utf8");
    let mut command = place.command(&place.passphrase, &["send", "ada", "-"]);
    finish(&mut command, b"").refused(1, "text-empty");
}

#[test]
fn a_home_without_anything_has_nothing_new() {
    let place = Place::with_vault();
    let received = place.run(&["receive", "--timeout", "2"]);
    assert_eq!((received.status, received.stdout.as_str()), (0, ""), "{}", received.stderr);
}

#[test]
fn without_json_a_refusal_is_two_lines_and_standard_output_stays_empty() {
    let place = Place::with_vault();
    let mut command = Command::new(env!("CARGO_BIN_EXE_hearken"));
    command.args(["history", "ada", "--lang", "xx", "--home"]).arg(place.home());
    command.arg("--passphrase-file").arg(&place.passphrase);
    let done = finish(&mut command, b"");
    assert_eq!((done.status, done.stdout.as_str()), (1, ""));
    let lines: Vec<&str> = done.stderr.lines().collect();
    assert_eq!(lines.len(), 2, "{lines:?}");
}

#[test]
fn following_gives_way_to_another_process_and_ends_cleanly_when_told() {
    let place = Place::with_vault();
    let mut command = place.command(&place.passphrase, &["receive", "--follow"]);
    let mut following = command.stderr(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(following.stderr.take().unwrap()).lines();
    let mut line = String::new();
    while !line.contains("Waiting for messages") {
        line = lines.next().expect("it says that it waits").unwrap();
    }
    assert_eq!(place.run(&["contacts"]).status, 0);
    let id = following.id().to_string();
    assert!(Command::new("kill").args(["-TERM", &id]).status().unwrap().success());
    assert_eq!(following.wait().unwrap().code(), Some(0));
}

#[test]
fn following_a_vault_that_another_process_destroys_ends_with_no_vault() {
    let place = Place::with_vault();
    let mut command = place.command(&place.passphrase, &["receive", "--follow"]);
    let mut following = command.stderr(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(following.stderr.take().unwrap()).lines();
    let mut line = String::new();
    while !line.contains("Waiting for messages") {
        line = lines.next().expect("it says that it waits").unwrap();
    }
    assert_eq!(place.run(&["vault", "destroy"]).status, 0);
    let last = lines.map(Result::unwrap).last().expect("it says why it ends");
    assert_eq!(serde_json::from_str::<Value>(&last).unwrap()["error"], "no-vault");
    assert_eq!(following.wait().unwrap().code(), Some(1));
}

#[test]
fn being_stopped_is_a_failure_for_what_had_an_end() {
    let place = Place::with_vault();
    let mut command = place.command(&place.passphrase, &["send", "ada", "-"]);
    let mut child = command.stdin(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    // It waits for the text; the first byte is taken once it reads.
    let mut input = child.stdin.take().unwrap();
    input.write_all(&vec![b'a'; 128 * 1_024]).unwrap();
    let id = child.id().to_string();
    assert!(Command::new("kill").args(["-TERM", &id]).status().unwrap().success());
    assert_eq!(child.wait().unwrap().code(), Some(1));
    let mut stderr = String::new();
    child.stderr.take().unwrap().read_to_string(&mut stderr).unwrap();
    let last: Value = serde_json::from_str(stderr.lines().last().unwrap()).unwrap();
    assert_eq!(last["error"], "interrupted");
}

/// A folder with a home and the files of passphrases.
struct Place {
    folder: TempDir,
    passphrase: PathBuf,
    recovery: Vec<String>,
}

impl Place {
    fn new() -> Self {
        let folder = TempDir::new().unwrap();
        let passphrase = folder.path().join("passphrase");
        std::fs::write(&passphrase, b"open sesame\n").unwrap();
        Self { folder, passphrase, recovery: Vec::new() }
    }

    fn with_vault() -> Self {
        let mut place = Self::new();
        let made = place.run(&["init", "--test-kdf"]);
        assert_eq!(made.status, 0, "{}", made.stderr);
        let words = made.only_line()["recovery_phrase"].clone();
        place.recovery = serde_json::from_value(words).unwrap();
        place
    }

    fn home(&self) -> PathBuf {
        self.folder.path().join("home")
    }

    fn file(&self, name: &str, content: &[u8]) -> PathBuf {
        let path = self.folder.path().join(name);
        std::fs::write(&path, content).unwrap();
        path
    }

    fn run(&self, arguments: &[&str]) -> Done {
        self.run_with(&self.passphrase, arguments)
    }

    fn run_with(&self, passphrase: &Path, arguments: &[&str]) -> Done {
        finish(&mut self.command(passphrase, arguments), b"")
    }

    fn command(&self, passphrase: &Path, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_hearken"));
        command.env("HEARKEN_HOME", self.home()).arg("--json");
        command.arg("--passphrase-file").arg(passphrase).args(arguments);
        command
    }
}

/// A command that has ended.
struct Done {
    status: i32,
    stdout: String,
    stderr: String,
}

impl Done {
    fn only_line(&self) -> Value {
        let lines: Vec<&str> = self.stdout.lines().collect();
        assert_eq!(lines.len(), 1, "{} {}", self.stdout, self.stderr);
        serde_json::from_str(lines[0]).unwrap()
    }

    fn error(&self) -> Value {
        serde_json::from_str(self.stderr.lines().last().unwrap()).unwrap()
    }

    fn refused(&self, status: i32, code: &str) {
        assert_eq!(self.status, status, "{} {}", self.stdout, self.stderr);
        let error = self.error();
        assert_eq!(error["error"], code);
        for key in ["message", "advice"] {
            assert!(error[key].as_str().is_some_and(|text| !text.is_empty()));
        }
        assert_eq!(self.stdout, "");
    }
}

fn finish(command: &mut Command, input: &[u8]) -> Done {
    let piped = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = piped.spawn().unwrap();
    // It may end without reading.
    let _ = child.stdin.take().unwrap().write_all(input);
    let output = child.wait_with_output().unwrap();
    Done {
        status: output.status.code().expect("not ended by a signal"),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

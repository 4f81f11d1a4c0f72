//! What befalls a relay befalls a conversation: restored from a backup, closed, moved, as the two people meet it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a failing test panics")]

use std::fs;
use std::io::{BufRead, BufReader};
use std::net::UdpSocket;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant, SystemTime};

use hearken_tests::people::{amina_and_ben, done};
use hearken_tests::programs::{self, Ended, PATIENCE, Person, Relay};

struct Pair {
    folder: tempfile::TempDir,
    relay: Relay,
    amina: Person,
    ben: Person,
}

impl Pair {
    /// Two people whose mailboxes are on one relay, and who have written to each other.
    fn met() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let relay = Relay::start(&folder.path().join("relay")).unwrap();
        Self::met_at(folder, relay)
    }

    fn met_at(folder: tempfile::TempDir, relay: Relay) -> Self {
        let [amina, ben] = amina_and_ben(folder.path(), relay.address());
        let pair = Self { folder, relay, amina, ben };
        pair.say("one", "two");
        pair
    }

    fn receive(&self) {
        done(&self.amina.run(&["receive"]).unwrap());
        done(&self.ben.run(&["receive"]).unwrap());
    }

    /// A message each way arrives, alone.
    fn say(&self, there: &str, back: &str) {
        done(&self.amina.run(&["send", "Ben", there]).unwrap());
        assert_eq!(lines(&self.ben.run(&["receive"]).unwrap()), [there]);
        done(&self.ben.run(&["send", "Amina", back]).unwrap());
        assert_eq!(lines(&self.amina.run(&["receive"]).unwrap()), [back]);
    }

    fn keep(&self, command: &str, more: &[&str]) -> Output {
        keep(command, self.relay.folder(), more)
    }

    /// The relay's machine is lost; what `backup` holds comes back in its place and under its address.
    fn lose_and_restore(&mut self, backup: &Path) {
        self.relay.kill();
        fs::remove_dir_all(self.relay.folder()).unwrap();
        let restored = self.keep("restore", &["--from", backup.to_str().unwrap()]);
        assert!(restored.status.success(), "{restored:?}");
        self.relay.restart().unwrap();
    }
}

fn keep(command: &str, data: &Path, more: &[&str]) -> Output {
    Command::new(programs::folder().unwrap().join("hearken-relay"))
        .args([command, "--json", "--data"])
        .arg(data)
        .args(more)
        .output()
        .unwrap()
}

/// Texts, and gaps as `gap N`.
fn lines(ended: &Ended) -> Vec<String> {
    done(ended);
    let lines = ended.lines.iter().filter_map(|line| match line["kind"].as_str().unwrap() {
        "text" => Some(line["text"].as_str().unwrap().to_owned()),
        "gap" => Some(format!("gap {}", line["missing"])),
        _ => None,
    });
    lines.collect()
}

#[test]
fn a_conversation_goes_on_over_a_restored_relay_and_what_was_lost_is_a_gap() {
    let mut pair = Pair::met();
    // Waits at the relay when it is backed up.
    done(&pair.amina.run(&["send", "Ben", "waits"]).unwrap());
    let backup = pair.folder.path().join("backup");
    assert!(pair.keep("backup", &["--out", backup.to_str().unwrap()]).status.success());
    // Acknowledged after the backup. Ben fetches what was in it and one more, so that his cursor stands beyond it; Amina
    // fetches his answer; what she sends then nobody has fetched when the machine is lost.
    done(&pair.amina.run(&["send", "Ben", "fetched"]).unwrap());
    assert_eq!(lines(&pair.ben.run(&["receive"]).unwrap()), ["waits", "fetched"]);
    done(&pair.ben.run(&["send", "Amina", "fetched, too"]).unwrap());
    assert_eq!(lines(&pair.amina.run(&["receive"]).unwrap()), ["fetched, too"]);
    let lost = pair.amina.run(&["send", "Ben", "lost"]).unwrap();
    assert_eq!(lost.line().unwrap()["state"], "sent");
    pair.lose_and_restore(&backup);

    // What was fetched is not given again, and what is lost is not told before something shows that it is.
    assert!(lines(&pair.ben.run(&["receive"]).unwrap()).is_empty());
    done(&pair.amina.run(&["send", "Ben", "after"]).unwrap());
    assert_eq!(lines(&pair.ben.run(&["receive"]).unwrap()), ["gap 1", "after"]);
    done(&pair.ben.run(&["send", "Amina", "after, too"]).unwrap());
    assert_eq!(lines(&pair.amina.run(&["receive"]).unwrap()), ["after, too"]);
    pair.say("three", "four");
    // The same backup once more: its positions lie above those of the first time.
    pair.lose_and_restore(&backup);
    pair.say("five", "six");
}

#[test]
fn mailboxes_that_are_younger_than_the_backup_are_made_again_by_their_readers() {
    let folder = tempfile::tempdir().unwrap();
    let relay = Relay::start(&folder.path().join("relay")).unwrap();
    let backup = folder.path().join("backup");
    let out = ["--out", backup.to_str().unwrap()];
    assert!(keep("backup", relay.folder(), &out).status.success());
    let mut pair = Pair::met_at(folder, relay);
    pair.lose_and_restore(&backup);
    pair.receive();
    pair.receive();
    pair.say("three", "four");
}

#[test]
fn a_relay_that_closes_is_told_of_new_mailboxes_go_elsewhere_and_nothing_is_lost_in_silence() {
    let pair = Pair::met();
    let other = Relay::start(&pair.folder.path().join("other")).unwrap();
    let given = ["--on", "2099-06-30", "--successor", other.address()];
    assert!(pair.keep("decommission", &given).status.success());

    let told = pair.ben.run(&["receive"]).unwrap();
    done(&told);
    for part in [pair.relay.address(), "2099-07-01", "Amina", other.address()] {
        assert!(told.errors.contains(part), "{part}: {}", told.errors);
    }
    let told = pair.amina.run(&["send", "Ben", "have you seen it?"]).unwrap();
    assert!(told.errors.contains("2099-07-01"), "{}", told.errors);
    let listed = pair.ben.run(&["relay", "list"]).unwrap();
    assert_eq!(listed.line().unwrap()["closes_at"], "2099-07-01T00:00:00Z");
    assert_eq!(listed.line().unwrap()["successor"], other.address());

    // Once there is another, new mailboxes go there; until then, here.
    done(&pair.ben.run(&["invite", "--name", "Chidi"]).unwrap());
    assert_eq!(mailboxes(&other), 0);
    done(&pair.ben.run(&["relay", "add", other.address()]).unwrap());
    done(&pair.ben.run(&["invite", "--name", "Dayo"]).unwrap());
    assert_eq!(mailboxes(&other), 1);

    // The date comes.
    let on = rfc3339(SystemTime::now() + Duration::from_secs(3));
    assert!(pair.keep("decommission", &["--on", &on]).status.success());
    let begun = Instant::now();
    let mut sent = vec!["have you seen it?".to_owned()];
    let refused = loop {
        assert!(begun.elapsed() < PATIENCE, "the date does not come");
        let text = format!("number {}", sent.len());
        let ended = pair.amina.run(&["send", "Ben", &text]).unwrap();
        sent.push(text);
        if ended.status != Some(0) {
            break ended;
        }
    };
    assert_eq!((refused.status, refused.error_code().as_deref()), (Some(3), Some("relay-closed")));
    assert_eq!(refused.lines[0]["state"], "queued");
    assert!(refused.errors.contains("Ben"), "whom it touches: {}", refused.errors);
    // What was acknowledged is still given out. Amina has no other relay, so she makes no new mailbox anywhere.
    let kept = sent.pop().unwrap();
    assert_eq!(lines(&pair.ben.run(&["receive"]).unwrap()), sent);
    let invited = pair.amina.run(&["invite", "--name", "Esi"]).unwrap();
    assert_eq!((invited.status, invited.error_code().as_deref()), (Some(1), Some("not-admitted")));

    // Taken back, what waited goes out.
    assert!(pair.keep("decommission", &["--cancel"]).status.success());
    done(&pair.amina.run(&["receive"]).unwrap());
    let after = pair.ben.run(&["receive"]).unwrap();
    assert_eq!(lines(&after), [kept]);
    assert!(!after.errors.contains("Warning"), "{}", after.errors);
}

/// To the second, by the system's own calendar.
fn rfc3339(time: SystemTime) -> String {
    let seconds = time.duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs();
    let at = format!("@{seconds}");
    let told = Command::new("date").args(["-u", "-d", &at, "+%Y-%m-%dT%H:%M:%SZ"]).output();
    String::from_utf8(told.unwrap().stdout).unwrap().trim().to_owned()
}

fn mailboxes(relay: &Relay) -> u64 {
    let told = keep("stats", relay.folder(), &[]);
    let told: serde_json::Value = serde_json::from_slice(&told.stdout).unwrap();
    told["creates"].as_u64().unwrap()
}

#[test]
fn a_relay_that_moves_is_followed_by_those_who_saw_the_notice() {
    let mut pair = Pair::met();
    let port = UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let (fingerprint, _) = pair.relay.address().split_once('@').unwrap();
    let there = format!("{fingerprint}@127.0.0.1:{port}");
    let given = ["--on", "2099-06-30", "--successor", &there];
    assert!(pair.keep("decommission", &given).status.success());
    let told = pair.amina.run(&["receive"]).unwrap();
    done(&pair.ben.run(&["receive"]).unwrap());
    assert!(!told.errors.contains("Warning"), "it does not close: {}", told.errors);

    // The operator moves it: stopped, backed up, restored on the other machine.
    pair.relay.kill();
    let backup = pair.folder.path().join("backup");
    assert!(pair.keep("backup", &["--out", backup.to_str().unwrap()]).status.success());
    let data = pair.folder.path().join("elsewhere");
    assert!(keep("restore", &data, &["--from", backup.to_str().unwrap()]).status.success());
    let moved = Command::new(programs::folder().unwrap().join("hearken-relay"))
        .args(["serve", "--json", "--host", "127.0.0.1", "--listen"])
        .arg(format!("127.0.0.1:{port}"))
        .arg("--data")
        .arg(&data)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut moved = Killed(moved);
    let mut ready = String::new();
    let out = moved.0.stdout.take().unwrap();
    BufReader::new(out).read_line(&mut ready).unwrap();
    assert!(ready.contains(&there), "{ready}");
    pair.say("three", "four");
}

/// Ended with the test, however that ends.
struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

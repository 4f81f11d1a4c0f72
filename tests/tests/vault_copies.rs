//! Copies of vaults through the real programs: what is in one, what is not, meeting again, and a vault's destruction.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a failing test panics")]

use std::path::{Path, PathBuf};

use hearken_tests::people::{DIRECT, amina_and_ben, done, meet, refused, texts};
use hearken_tests::programs::{Ended, Person, Relay};
use serde_json::Value;

struct Pair {
    folder: tempfile::TempDir,
    relay: Relay,
    amina: Person,
    ben: Person,
}

impl Pair {
    /// Two people who have met and written to each other.
    fn met() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let relay = Relay::start(&folder.path().join("relay")).unwrap();
        let [amina, ben] = amina_and_ben(folder.path(), relay.address());
        let pair = Self { folder, relay, amina, ben };
        done(&pair.amina.run(&["send", "Ben", "before the copy"]).unwrap());
        assert_eq!(texts(&pair.ben.run(&["receive"]).unwrap()), ["before the copy"]);
        done(&pair.ben.run(&["send", "Amina", "an answer"]).unwrap());
        assert_eq!(texts(&pair.amina.run(&["receive"]).unwrap()), ["an answer"]);
        pair
    }

    fn copy(&self) -> PathBuf {
        self.folder.path().join("copy")
    }

    fn back_up(&self) -> Ended {
        self.amina.run(&["vault", "backup", "--out", self.copy().to_str().unwrap()]).unwrap()
    }

    fn restore(&self) -> Ended {
        self.amina.run(&["vault", "restore", "--from", self.copy().to_str().unwrap()]).unwrap()
    }

    fn contact(&self, person: &Person, name: &str) -> Value {
        let listed = person.run(&["contacts"]).unwrap();
        listed.lines.into_iter().find(|line| line["name"] == name).unwrap()
    }
}

fn notices<'a>(ended: &'a Ended, which: &str) -> Vec<&'a Value> {
    ended.lines.iter().filter(|line| line["notice"] == which).collect()
}

fn files_below(folder: &Path) -> usize {
    std::fs::read_dir(folder).map_or(0, Iterator::count)
}

#[test]
fn a_lost_vault_comes_back_from_its_copy_and_its_contacts_meet_again() {
    let pair = Pair::met();
    done(&pair.amina.run(&["verify", "Ben", "--confirm"]).unwrap());
    done(&pair.back_up());
    // The conversation goes on: none of this is in the copy.
    done(&pair.amina.run(&["send", "Ben", "after the copy"]).unwrap());
    assert_eq!(texts(&pair.ben.run(&["receive"]).unwrap()), ["after the copy"]);
    done(&pair.ben.run(&["send", "Amina", "lost with the device"]).unwrap());

    done(&pair.amina.run(&["vault", "destroy"]).unwrap());
    refused(&pair.amina.run(&["receive"]).unwrap(), 1, "no-vault");
    let restored = pair.restore();
    assert_eq!(restored.line().unwrap()["contacts"], 1);

    // No key is there: nothing that waits at the relay can be read, and nothing is sent before they meet.
    let received = pair.amina.run(&["receive"]).unwrap();
    assert!(texts(&received).is_empty());
    assert_eq!(notices(&received, "restored").len(), 1);
    let ben = pair.contact(&pair.amina, "Ben");
    assert_eq!((&ben["state"], &ben["meet_again"]), (&"invited".into(), &true.into()));
    assert_eq!(ben["verified"], false, "who joins next may be somebody else");
    refused(&pair.amina.run(&["verify", "Ben"]).unwrap(), 1, "not-joined");
    let waiting = pair.amina.run(&["send", "Ben", "when we meet"]).unwrap();
    assert_eq!(waiting.line().unwrap()["state"], "queued");

    // They meet again, under the same name on the one side and a free one on the other.
    let link = pair.amina.run(&["invite", "--name", "Ben"]).unwrap();
    let link = link.line().unwrap()["invitation"].as_str().unwrap().to_owned();
    let taken = pair.ben.run_with_input(&["join", "-", "--name", "Amina"], link.as_bytes());
    refused(&taken.unwrap(), 1, "name-taken");
    done(&pair.ben.run(&["rename", "Amina", "Amina before"]).unwrap());
    let joined = pair.ben.run_with_input(&["join", "-", "--name", "Amina"], link.as_bytes());
    joined.unwrap().line().unwrap();
    done(&pair.amina.run(&["receive"]).unwrap());
    assert_eq!(texts(&pair.ben.run(&["receive"]).unwrap()), ["when we meet"]);
    done(&pair.ben.run(&["send", "Amina", "welcome back"]).unwrap());
    assert_eq!(texts(&pair.amina.run(&["receive"]).unwrap()), ["welcome back"]);

    let ben = pair.contact(&pair.amina, "Ben");
    assert_eq!((&ben["state"], &ben["meet_again"]), (&"joined".into(), &false.into()));
    let history = texts(&pair.amina.run(&["history", "Ben"]).unwrap());
    assert_eq!(history, ["before the copy", "an answer", "when we meet", "welcome back"]);
    assert_eq!(pair.amina.run(&["contacts"]).unwrap().lines.len(), 1);
}

#[test]
fn a_join_under_the_same_name_meets_again_too() {
    let pair = Pair::met();
    done(&pair.back_up());
    done(&pair.amina.run(&["vault", "destroy"]).unwrap());
    done(&pair.restore());
    done(&pair.ben.run(&["forget", "Amina"]).unwrap());
    meet(("Amina", &pair.ben), ("Ben", &pair.amina));
    done(&pair.amina.run(&["send", "Ben", "here again"]).unwrap());
    assert_eq!(texts(&pair.ben.run(&["receive"]).unwrap()), ["here again"]);
    let history = texts(&pair.amina.run(&["history", "Ben"]).unwrap());
    assert_eq!(history, ["before the copy", "an answer", "here again"]);
}

#[test]
fn what_had_not_been_sent_is_shown_and_never_sent_from_a_copy() {
    let mut pair = Pair::met();
    pair.relay.kill();
    let unsent = pair.amina.run(&["send", "Ben", "only for the Ben of today"]).unwrap();
    assert_eq!(unsent.status, Some(3), "{}", unsent.errors);
    done(&pair.back_up());
    done(&pair.amina.run(&["vault", "destroy"]).unwrap());
    done(&pair.restore());
    pair.relay.restart().unwrap();

    let history = pair.amina.run(&["history", "Ben"]).unwrap();
    let [notice] = notices(&history, "unsent")[..] else { panic!("{:?}", history.lines) };
    assert!(notice["text"].as_str().unwrap().contains("only for the Ben of today"));
    assert_eq!((&notice["from"], &notice["state"]), (&"me".into(), &"queued".into()));
    assert_eq!(pair.contact(&pair.amina, "Ben")["outbox"], 0);
    done(&pair.ben.run(&["forget", "Amina"]).unwrap());
    meet(("Ben", &pair.amina), ("Amina", &pair.ben));
    assert!(texts(&pair.ben.run(&["receive"]).unwrap()).is_empty());
    assert!(texts(&pair.ben.run(&["history", "Amina"]).unwrap()).is_empty());
}

#[test]
fn wrong_input_to_the_vault_commands_is_refused_by_name_and_changes_nothing() {
    let pair = Pair::met();
    let nobody = Person::new(pair.folder.path(), "nobody", DIRECT).unwrap();
    for words in [&["vault", "backup", "--out", "x"][..], &["vault", "destroy"]] {
        refused(&nobody.run(words).unwrap(), 1, "no-vault");
    }
    refused(&nobody.run(&["vault", "restore", "--from", "missing"]).unwrap(), 1, "file-unreadable");
    done(&pair.back_up());
    refused(&pair.back_up(), 1, "file-exists");
    refused(&pair.restore(), 1, "vault-exists");

    let copy = std::fs::read(pair.copy()).unwrap();
    for damaged in [&copy[..copy.len() - 1], b"not a copy", b""] {
        let refusal = nobody.run_with_input(&["vault", "restore", "--from", "-"], damaged).unwrap();
        refused(&refusal, 1, "copy-damaged");
        refused(&nobody.run(&["contacts"]).unwrap(), 1, "no-vault");
    }
    let wrong = pair.folder.path().join("wrong");
    std::fs::write(&wrong, "another\n").unwrap();
    let with_wrong = |words: &[&str], person: &Person| {
        let flag = ["--passphrase-file", wrong.to_str().unwrap(), "--json", "--home"];
        let mut command =
            std::process::Command::new(hearken_tests::programs::folder().unwrap().join("hearken"));
        command.args(flag).arg(person.home()).args(words).output().unwrap().status.code()
    };
    let path = pair.copy();
    let restore = ["vault", "restore", "--from", path.to_str().unwrap()];
    assert_eq!(with_wrong(&restore, &nobody), Some(4));
    assert!(!nobody.home().join("vault").exists());
    assert_eq!(with_wrong(&["vault", "destroy"], &pair.amina), Some(4));
    assert_eq!(texts(&pair.amina.run(&["history", "Ben"]).unwrap()).len(), 2);

    // The honest way, from standard input.
    done(&nobody.run_with_input(&["vault", "restore", "--from", "-"], &copy).unwrap());
    assert_eq!(texts(&nobody.run(&["history", "Ben"]).unwrap()), ["before the copy", "an answer"]);
    assert_eq!(
        files_below(&nobody.home().join("vault")),
        files_below(&pair.amina.home().join("vault"))
    );
}

//! People at the command line, as tests tell of them: made, met, and what a command of theirs came to.
//!
//! Everything here is said by a test as what must be so, and panics at the caller's line where it is not. What may fail is
//! in [`programs`](crate::programs).
#![allow(clippy::unwrap_used, clippy::missing_panics_doc, reason = "a failing test panics")]

use std::path::Path;

use serde_json::Value;

use crate::programs::{Ended, Person};

/// Goes to relays directly.
pub const DIRECT: &[&str] = &["--route", "direct"];

/// A person with a vault, who goes directly to these relays.
#[must_use]
#[track_caller]
pub fn person(folder: &Path, name: &str, relays: &[&str]) -> Person {
    let person = Person::new(folder, name, DIRECT).unwrap();
    person.init(relays).unwrap().line().unwrap();
    person
}

/// Amina and Ben, who have met over this relay.
#[must_use]
#[track_caller]
pub fn amina_and_ben(folder: &Path, relay: &str) -> [Person; 2] {
    let [amina, ben] = ["amina", "ben"].map(|name| person(folder, name, &[relay]));
    meet(("Ben", &amina), ("Amina", &ben));
    [amina, ben]
}

/// The first, who calls the other `joiner`, invites the second, and both fetch what the other said to it.
#[track_caller]
pub fn meet((joiner, first): (&str, &Person), (inviter, second): (&str, &Person)) {
    join(second, &invite(first, joiner), inviter).line().unwrap();
    for person in [first, second, first, second] {
        done(&person.run(&["receive"]).unwrap());
    }
}

/// The link of an invitation.
#[must_use]
#[track_caller]
pub fn invite(person: &Person, name: &str) -> String {
    let invited = person.run(&["invite", "--name", name]).unwrap();
    invited.line().unwrap()["invitation"].as_str().unwrap().to_owned()
}

/// What joining by a link comes to.
#[must_use]
#[track_caller]
pub fn join(person: &Person, link: &str, name: &str) -> Ended {
    person.run_with_input(&["join", "-", "--name", name], link.as_bytes()).unwrap()
}

/// It succeeded.
#[track_caller]
pub fn done(ended: &Ended) {
    assert_eq!(ended.status, Some(0), "{}", ended.errors);
}

/// It failed with this exit status and this code, and says what happened and what to do.
#[track_caller]
pub fn refused(ended: &Ended, status: i32, code: &str) {
    assert_eq!(ended.error_code().as_deref(), Some(code), "{}", ended.errors);
    assert_eq!(ended.status, Some(status), "{}", ended.errors);
    let last: Value = serde_json::from_str(ended.errors.lines().last().unwrap()).unwrap();
    for part in ["message", "advice"] {
        assert!(!last[part].as_str().unwrap().is_empty(), "{part}");
    }
}

/// The texts that a command which succeeded printed.
#[must_use]
#[track_caller]
pub fn texts(ended: &Ended) -> Vec<String> {
    done(ended);
    let texts = ended.lines.iter().filter(|line| line["kind"] == "text");
    texts.map(|line| line["text"].as_str().unwrap().to_owned()).collect()
}

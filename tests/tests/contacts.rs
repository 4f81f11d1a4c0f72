//! What a person does with contacts, through the real programs: blocking, names, meeting again.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::path::Path;

use hearken_tests::programs::{Ended, Person, Relay};
use serde_json::Value;

const DIRECT: &[&str] = &["--route", "direct"];

fn person(folder: &Path, name: &str, relay: &Relay) -> Person {
    let person = Person::new(folder, name, DIRECT).unwrap();
    person.init(&[relay.address()]).unwrap().line().unwrap();
    person
}

fn done(ended: &Ended) {
    assert_eq!(ended.status, Some(0), "{}", ended.errors);
}

fn refused(ended: &Ended, status: i32, code: &str) {
    assert_eq!(ended.error_code().as_deref(), Some(code), "{}", ended.errors);
    assert_eq!(ended.status, Some(status), "{}", ended.errors);
}

fn texts(ended: &Ended) -> Vec<String> {
    done(ended);
    let texts = ended.lines.iter().filter(|line| line["kind"] == "text");
    texts.map(|line| line["text"].as_str().unwrap().to_owned()).collect()
}

fn contact(person: &Person, name: &str) -> Value {
    let listed = person.run(&["contacts"]).unwrap();
    listed.lines.into_iter().find(|line| line["name"] == name).unwrap()
}

fn invite(person: &Person, name: &str) -> String {
    let invited = person.run(&["invite", "--name", name]).unwrap();
    invited.line().unwrap()["invitation"].as_str().unwrap().to_owned()
}

fn join(person: &Person, link: &str, name: &str) {
    person.run_with_input(&["join", "-", "--name", name], link.as_bytes()).unwrap().line().unwrap();
}

/// The first invites the second as Ben, who calls the first Amina.
fn meet(amina: &Person, ben: &Person) {
    join(ben, &invite(amina, "Ben"), "Amina");
    for person in [amina, ben, amina] {
        done(&person.run(&["receive"]).unwrap());
    }
}

#[test]
fn nothing_goes_to_a_blocked_contact_not_even_what_waited() {
    let folder = tempfile::tempdir().unwrap();
    let mut relay = Relay::start(&folder.path().join("relay")).unwrap();
    let [amina, ben] = ["amina", "ben"].map(|name| person(folder.path(), name, &relay));
    meet(&amina, &ben);
    done(&amina.run(&["send", "Ben", "before"]).unwrap());
    assert_eq!(texts(&ben.run(&["receive"]).unwrap()), ["before"], "control");
    relay.kill();
    refused(&amina.run(&["send", "Ben", "must never reach Ben"]).unwrap(), 3, "unreachable");
    done(&amina.run(&["block", "Ben"]).unwrap());
    relay.restart().unwrap();
    done(&amina.run(&["receive"]).unwrap());
    assert!(texts(&ben.run(&["receive"]).unwrap()).is_empty());
    assert_eq!(texts(&ben.run(&["history", "Amina"]).unwrap()), ["before"]);
    refused(&amina.run(&["send", "Ben", "nor this"]).unwrap(), 1, "contact-blocked");
}

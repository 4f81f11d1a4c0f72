//! Two people, real programs, relays and clients killed at random moments: what was reported `sent` arrives exactly
//! once, in order, byte for byte.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a failing test panics")]
#![allow(clippy::print_stdout, reason = "it says what it did")]

use std::collections::HashSet;
use std::time::Duration;

use hearken_tests::chaos::Chaos;
use hearken_tests::programs::{Person, Relay};
use hearken_tests::texts;
use rand_chacha::ChaCha20Rng;
use rand_core::{Rng, SeedableRng};
use serde_json::Value;

struct Side {
    person: Person,
    contact: &'static str,
    /// Ids that a program said were sent.
    reported: HashSet<String>,
    /// Ids of texts that a program printed on arrival.
    printed: HashSet<String>,
}

impl Side {
    fn send(&mut self, text: &str, life: Option<Duration>) {
        let words = ["send", self.contact, "--text-file", "-"];
        let ended = match life {
            Some(life) => self.person.run_killed(&words, text.as_bytes(), life).unwrap(),
            None => self.person.run_with_input(&words, text.as_bytes()).unwrap(),
        };
        // 3: a relay was down and the text stays in the outbox; none: it was killed.
        assert!(
            matches!(ended.status, Some(0 | 3) | None),
            "send ended {:?}: {}",
            ended.status,
            ended.errors
        );
        for line in ended.lines.iter().filter(|line| line["state"] == "sent") {
            self.reported.insert(line["message"].as_str().unwrap().to_owned());
        }
    }

    fn receive(&mut self, life: Option<Duration>) {
        let words = ["receive", "--timeout", "10"];
        let ended = match life {
            Some(life) => self.person.run_killed(&words, b"", life).unwrap(),
            None => self.person.run(&words).unwrap(),
        };
        assert!(
            matches!(ended.status, Some(0 | 3) | None),
            "receive ended {:?}: {}",
            ended.status,
            ended.errors
        );
        for line in &ended.lines {
            assert_ne!(line["kind"], "gap", "nothing may be missing: {line}");
            if line["kind"] == "text" {
                self.printed.insert(line["message"].as_str().unwrap().to_owned());
            }
        }
    }

    fn history(&self, own: bool) -> Vec<(String, String)> {
        let ended = self.person.run(&["history", self.contact, "--limit", "1000000"]).unwrap();
        assert_eq!(ended.status, Some(0), "{}", ended.errors);
        ended
            .lines
            .iter()
            .filter(|line| line["kind"] == "text" && (line["from"] == "me") == own)
            .map(|line| {
                let part = |key: &str| line[key].as_str().unwrap().to_owned();
                (part("message"), part("text"))
            })
            .collect()
    }

    fn outbox(&self) -> u64 {
        let ended = self.person.run(&["contacts"]).unwrap();
        ended.lines.iter().map(|line: &Value| line["outbox"].as_u64().unwrap()).sum()
    }
}

fn converse(hop2: bool, texts: &[String], seed: u64) {
    let folder = tempfile::tempdir().unwrap();
    let first = Relay::start(&folder.path().join("relay-1")).unwrap();
    let second = Relay::start(&folder.path().join("relay-2")).unwrap();
    let route: &[&str] = if hop2 { &["--route", "hop2"] } else { &["--route", "direct"] };
    let person = |name| Person::new(folder.path(), name, route).unwrap();
    let (amina, ben) = (person("amina"), person("ben"));
    // Each has the mailbox on one relay and reaches it, with hop2, through the other.
    amina.init(&[first.address(), second.address()]).unwrap().line().unwrap();
    ben.init(&[second.address(), first.address()]).unwrap().line().unwrap();
    let invited = amina.run(&["invite", "--name", "Ben"]).unwrap();
    let link = invited.line().unwrap()["invitation"].as_str().unwrap().to_owned();
    let joined = ben.run_with_input(&["join", "-", "--name", "Amina"], link.as_bytes()).unwrap();
    joined.line().unwrap();

    let side = |person, contact| Side {
        person,
        contact,
        reported: HashSet::new(),
        printed: HashSet::new(),
    };
    let mut sides = [side(amina, "Ben"), side(ben, "Amina")];
    // A seed that is printed replays the choices, though not the moments of a real machine.
    println!("seed {seed}");
    let mut rng = ChaCha20Rng::seed_from_u64(seed);
    let chaos = Chaos::begin(vec![first, second], seed);
    let mut life = |one_in: u64| {
        let millis = 5 + rng.next_u64() % 400;
        (rng.next_u64().is_multiple_of(one_in)).then_some(Duration::from_millis(millis))
    };
    for (index, text) in texts.iter().enumerate() {
        sides[index % 2].send(text, life(3));
        if index % 4 == 3 {
            sides[0].receive(life(4));
            sides[1].receive(life(4));
        }
    }
    let (_relays, kills) = chaos.end();
    for _ in 0..30 {
        sides[0].receive(None);
        sides[1].receive(None);
        if sides[0].outbox() + sides[1].outbox() == 0 {
            break;
        }
    }
    // What the last round sent.
    sides[0].receive(None);
    sides[1].receive(None);
    println!("{} texts, {kills} kills of relays", texts.len());
    for (from, to) in [(&sides[0], &sides[1]), (&sides[1], &sides[0])] {
        let sent = from.history(true);
        let arrived = to.history(false);
        assert_eq!(sent.len(), arrived.len(), "as many arrive as were written");
        for (sent, arrived) in sent.iter().zip(&arrived) {
            assert_eq!(sent, arrived, "in order, byte for byte");
        }
        let arrived: HashSet<String> = arrived.into_iter().map(|(id, _)| id).collect();
        assert!(from.reported.is_subset(&arrived), "everything reported sent arrived");
        assert_eq!(arrived, to.printed, "every arrival was printed at least once");
        assert!(!from.reported.is_empty());
    }
}

fn texts() -> Vec<String> {
    let long = std::env::var_os("HEARKEN_LONG").is_some();
    let mut all = texts::own();
    all.extend(texts::published(if long { 1 } else { 12 }).unwrap().unwrap_or_default());
    all
}

#[test]
fn direct_conversations_survive_kills_of_relays_and_clients() {
    converse(false, &texts(), 0x6865_6172);
}

#[test]
fn hop2_conversations_survive_kills_of_relays_and_clients() {
    converse(true, &texts(), 0x6b65_6e21);
}

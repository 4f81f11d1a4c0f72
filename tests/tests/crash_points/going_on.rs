//! After a power cut of everything, the real programs go on: what was sent arrives once, in order, and new texts too.

use std::ffi::OsStr;
use std::path::Path;
use std::time::{Duration, Instant};

use hearken_tests::crash::vault::Told;
use hearken_tests::crash::{Disk, Loss};
use hearken_tests::long;
use hearken_tests::programs::{Person, Relay};
use rand_chacha::ChaCha20Rng;
use rand_core::{Rng, SeedableRng};

use crate::points::points;
use crate::scenario::{AMINA, BEN, RELAY, Scenario, scenario, scratch};

/// Longest a relay may take to serve, of the best of some starts.
const START_TIME_MAX: Duration = Duration::from_secs(1);
const STARTS: u32 = 10;
const ROUNDS: u32 = 8;

/// Starts the relay; answers how long the fastest start took.
fn start(relay: &mut Relay) -> Duration {
    let mut shortest = Duration::MAX;
    for _ in 0..STARTS {
        let begun = Instant::now();
        relay.restart().unwrap();
        shortest = shortest.min(begun.elapsed());
        if shortest < START_TIME_MAX {
            break;
        }
    }
    shortest
}

/// The texts that a person has, and in which direction.
fn history(person: &Person, contact: &str, own: bool) -> Vec<(String, String)> {
    let ended = person.run(&["history", contact, "--limit", "1000000"]).unwrap();
    assert_eq!(ended.status, Some(0), "{}", ended.errors);
    let lines = ended.lines.iter().inspect(|line| assert_ne!(line["kind"], "gap", "{line}"));
    lines
        .filter(|line| line["kind"] == "text" && (line["from"] == "me") == own)
        .map(|line| {
            let part = |key: &str| line[key].as_str().unwrap().to_owned();
            (part("message"), part("text"))
        })
        .collect()
}

fn outbox(person: &Person) -> u64 {
    let ended = person.run(&["contacts"]).unwrap();
    ended.lines.iter().map(|line| line["outbox"].as_u64().unwrap()).sum()
}

fn goes_on(
    scenario: &Scenario,
    told: &[Told; 2],
    len: usize,
    loss: Loss,
    folder: &Path,
) -> Duration {
    let disk = Disk::after(&scenario.record.entries[..len]).unwrap();
    disk.rebuild(folder, loss, &crate::FOLDERS).unwrap();
    let environment = scenario.clock.environment().unwrap();
    let borrowed: Vec<(&str, &OsStr)> =
        environment.iter().map(|(name, value)| (*name, value.as_os_str())).collect();
    let begun = Instant::now();
    let mut relay =
        Relay::start_at(&folder.join("relay"), &scenario.listen, &[], &borrowed).unwrap();
    let mut took = begun.elapsed();
    if took > START_TIME_MAX {
        took = start(&mut relay);
    }
    let people = [("amina", "Ben"), ("ben", "Amina")].map(|(name, contact)| {
        let mut person = Person::new(folder, name, &["--route", "direct"]).unwrap();
        person.set_environment(&environment);
        (person, contact)
    });
    for (person, contact) in &people {
        let words = ["send", contact, "--text-file", "-"];
        let sent = person.run_with_input(&words, b"after the power cut").unwrap();
        assert_eq!(sent.line().unwrap()["state"], "sent");
    }
    for _ in 0..ROUNDS {
        for (person, _) in &people {
            let received = person.run(&["receive", "--timeout", "10"]).unwrap();
            assert_eq!(received.status, Some(0), "{}", received.errors);
        }
        let [(amina, at_amina), (ben, at_ben)] = &people;
        let both = history(amina, at_amina, true).len() == history(ben, at_ben, false).len()
            && history(ben, at_ben, true).len() == history(amina, at_amina, false).len();
        if both && outbox(amina) + outbox(ben) == 0 {
            break;
        }
    }
    for (from, to) in [(0, 1), (1, 0)] {
        let sent = history(&people[from].0, people[from].1, true);
        let arrived = history(&people[to].0, people[to].1, false);
        assert_eq!(sent, arrived, "once, in order, word for word; crash point {len}, {loss:?}");
        assert_eq!(sent.last().unwrap().1, "after the power cut");
        assert!(sent.len() > told[from].sent_before(len), "crash point {len}, {loss:?}");
    }
    took
}

#[test]
fn after_a_power_cut_of_everything_the_conversation_goes_on() {
    let scenario = scenario();
    let told = [Told::of(&scenario.record, AMINA, BEN), Told::of(&scenario.record, BEN, AMINA)];
    let met = told.iter().map(|told| told.met().unwrap()).max().unwrap();
    let mut points = points(&scenario.record, &[RELAY, AMINA, BEN]);
    points.retain(|len| *len > met);
    let mut longest = Duration::ZERO;
    let share = long::share(600, 4);
    for number in share.clone() {
        let mut rng = ChaCha20Rng::seed_from_u64(number);
        let len = points[usize::try_from(rng.next_u64() % points.len() as u64).unwrap()];
        let loss = match number % 3 {
            0 => Loss::Everything,
            1 => Loss::Some(number),
            _ => Loss::Ordered(number),
        };
        let folder = scratch();
        longest = longest.max(goes_on(scenario, &told, len, loss, folder.path()));
    }
    println!("{share:?} conversations went on after a power cut, the longest start {longest:?}");
    assert!(longest < START_TIME_MAX, "a relay takes {longest:?} to start");
}

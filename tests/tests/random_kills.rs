//! The real programs killed at random under load: what was acknowledged is there once, in order, byte for byte, and a relay
//! that was killed serves again within a second.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a failing test panics")]

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use hearken_tests::chaos::Chaos;
use hearken_tests::crash::loader::{self, Heard};
use hearken_tests::crash::relay::open;
use hearken_tests::long;
use hearken_tests::people;
use hearken_tests::programs::{Person, Relay};
use rand_chacha::ChaCha20Rng;
use rand_core::{Rng, SeedableRng};

/// SIGKILLs in all: of the relay, and of a person's program in the midst of a command.
const KILLS: u64 = 1_000;
const KILLS_SCALED: u64 = 20;
/// At least one in these many is the relay's.
const RELAY_ONE_IN: u64 = 3;
/// Longest start after a kill; the machine may be busy, so not the longest of all starts is held against it.
const START_TIME_MAX: Duration = Duration::from_secs(1);
/// Most rounds of `receive` until everything has arrived.
const ROUNDS: u32 = 30;
/// How many clients put at once.
const CLIENTS: u64 = 3;

/// What all clients of the load have heard.
type Shared = Arc<Mutex<Vec<Heard>>>;

fn load(address: &str, stop: &Arc<AtomicBool>, heard: &Shared) -> std::thread::JoinHandle<()> {
    let (address, stop, heard) = (address.parse().unwrap(), stop.clone(), heard.clone());
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(loader::run_until(&address, CLIENTS, &stop, &|said| {
            heard.lock().unwrap().push(said);
        }));
    })
}

/// Whether the relay's folder has every acknowledged blob once and in order, and none that nobody put.
fn check(folder: &std::path::Path, heard: &[Heard]) -> Result<u64, String> {
    let found = open(folder).map_err(|error| format!("{error:#}"))?;
    let mut has: BTreeMap<u64, u64> = BTreeMap::new();
    for blobs in found.mailboxes.values() {
        for (expected, blob) in (0..).zip(blobs.values()) {
            // Mailboxes of people hold other blobs.
            let Some((client, index)) = loader::number_of(blob) else { continue };
            if index != expected {
                return Err(format!(
                    "client {client}: blob {index} stands where {expected} belongs"
                ));
            }
            has.insert(client, index + 1);
        }
    }
    let mut acknowledged = 0;
    for said in heard {
        match *said {
            Heard::Acknowledged(client, index) => {
                acknowledged += 1;
                if has.get(&client).is_none_or(|has| index >= *has) {
                    return Err(format!("client {client}: acknowledged blob {index} is lost"));
                }
            }
            Heard::Putting(..) => {}
        }
    }
    for (client, has) in has {
        if !heard.contains(&Heard::Putting(client, has - 1)) {
            return Err(format!("client {client}: a blob that nobody had put"));
        }
    }
    Ok(acknowledged)
}

/// Texts of a person as their history has them, own ones or the other's.
fn texts(person: &Person, contact: &str, own: bool) -> Vec<(String, String)> {
    let ended = person.run(&["history", contact, "--limit", "1000000"]).unwrap();
    assert_eq!(ended.status, Some(0), "{}", ended.errors);
    let lines = ended.lines.iter().inspect(|line| assert_ne!(line["kind"], "gap", "{line}"));
    let lines = lines.filter(|line| line["kind"] == "text" && (line["from"] == "me") == own);
    let part = |line: &serde_json::Value, key: &str| line[key].as_str().unwrap().to_owned();
    lines.map(|line| (part(line, "message"), part(line, "text"))).collect()
}

/// A command of a person, killed after a while; with what it had reported sent.
fn disturbed(
    person: &Person,
    words: &[&str],
    input: &str,
    rng: &mut ChaCha20Rng,
) -> (bool, Vec<String>) {
    let life = Duration::from_millis(5 + rng.next_u64() % 250);
    let ended = person.run_killed(words, input.as_bytes(), life).unwrap();
    // 3: the relay was down, and what was to be sent stays in the outbox.
    assert!(matches!(ended.status, None | Some(0 | 3)), "{:?}: {}", ended.status, ended.errors);
    let sent = ended.lines.iter().filter(|line| line["state"] == "sent");
    let sent = sent.map(|line| line["message"].as_str().unwrap().to_owned()).collect();
    (ended.status.is_none(), sent)
}

#[test]
fn nothing_acknowledged_is_lost_or_doubled_by_random_kills() {
    let share = long::share(KILLS, KILLS_SCALED);
    let kills = share.end - share.start;
    let mut rng = ChaCha20Rng::seed_from_u64(share.start);
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("relay");
    let relay = Relay::start(&data).unwrap();
    let address = relay.address().to_owned();
    let people = [("amina", "Ben"), ("ben", "Amina")]
        .map(|(name, contact)| (people::person(folder.path(), name, &[&address]), contact));
    let link = people::invite(&people[0].0, "Ben");
    people::join(&people[1].0, &link, "Amina").line().unwrap();

    let (stop, heard) = (Arc::new(AtomicBool::new(false)), Shared::default());
    let load = load(&address, &stop, &heard);
    let chaos = Chaos::begin(vec![relay], share.start);
    let (mut people_killed, mut reported, mut number) = (0, [Vec::new(), Vec::new()], 0);
    while people_killed + chaos.kills() < kills || chaos.kills() < kills / RELAY_ONE_IN {
        let side = usize::try_from(rng.next_u64() % 2).unwrap();
        let (person, contact) = &people[side];
        let (was_killed, sent) = if rng.next_u64() % 3 == 0 {
            disturbed(person, &["receive", "--timeout", "5"], "", &mut rng)
        } else {
            let text = format!("text {number}");
            disturbed(person, &["send", contact, "--text-file", "-"], &text, &mut rng)
        };
        number += 1;
        people_killed += u64::from(was_killed);
        reported[side].extend(sent);
    }
    let (relays, starts) = chaos.end_with_starts();
    stop.store(true, Ordering::Relaxed);
    load.join().unwrap();

    for _ in 0..ROUNDS {
        for (person, _) in &people {
            let received = person.run(&["receive", "--timeout", "10"]).unwrap();
            assert!(matches!(received.status, Some(0 | 3)), "{}", received.errors);
        }
        let arrived = |from: usize, to: usize| {
            let ((from, at_from), (to, at_to)) = (&people[from], &people[to]);
            texts(from, at_from, true).len() == texts(to, at_to, false).len()
        };
        if arrived(0, 1) && arrived(1, 0) {
            break;
        }
    }
    for (from, to) in [(0, 1), (1, 0)] {
        let sent = texts(&people[from].0, people[from].1, true);
        assert_eq!(sent, texts(&people[to].0, people[to].1, false), "once, in order");
        let all_sent = reported[from].iter().all(|id| sent.iter().any(|(sent, _)| sent == id));
        assert!(all_sent, "a text that was reported sent is lost");
    }
    drop(relays);
    let acknowledged = check(&data, &heard.lock().unwrap()).unwrap();
    let relay_killed = starts.len();
    let mut starts = starts;
    starts.sort_unstable();
    let (usual, longest) = (starts[starts.len() / 2], starts[starts.len() - 1]);
    println!(
        "{relay_killed} kills of the relay, {people_killed} of people's programs; {acknowledged} blobs acknowledged, \
         {number} commands; a start takes {usual:?}, at most {longest:?}"
    );
    assert!(usual < START_TIME_MAX, "a start takes {usual:?}");
}

/// Kills a relay under load once; whether it is noticed that each blob was counted when it left its client.
fn early_acknowledgements_are_noticed() -> bool {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("relay");
    let relay = Relay::start(&data).unwrap();
    let (stop, heard) = (Arc::new(AtomicBool::new(false)), Shared::default());
    let load = load(relay.address(), &stop, &heard);
    while heard.lock().unwrap().len() < 50 {
        std::thread::sleep(Duration::from_millis(2));
    }
    drop(relay);
    stop.store(true, Ordering::Relaxed);
    load.join().unwrap();
    let heard = heard.lock().unwrap().clone();
    check(&data, &heard).unwrap();
    let early = heard.iter().map(|said| match *said {
        Heard::Putting(client, index) | Heard::Acknowledged(client, index) => {
            Heard::Acknowledged(client, index)
        }
    });
    let early: Vec<Heard> = early.chain(heard.iter().copied()).collect();
    check(&data, &early).is_err()
}

#[test]
fn acknowledgements_before_the_commit_are_noticed() {
    // A kill may come when nothing is on its way.
    assert!((0..20).any(|_| early_acknowledgements_are_noticed()));
}

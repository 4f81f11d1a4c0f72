//! The scenario whose every moment is a crash point: two people and a load over one relay, across its midnight and the next,
//! when the keys of the first day go; and somebody who changes the passphrase, makes a copy and destroys the vault.
//!
//! It is recorded anew in every run, unless `HEARKEN_RECORDING` names a folder: then once, so that the shards of a long run
//! share out the moments of one record, and every one of them is tried.

use std::ffi::{OsStr, OsString};
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use hearken_tests::crash::{Clock, Record, Recorder, loader};
use hearken_tests::long;
use hearken_tests::programs::{PASSPHRASE, PATIENCE, Person, Relay};

/// Where the loader, which is this program again, finds the relay. Its presence makes a process the loader.
pub(crate) const LOADER_RELAY: &str = "HEARKEN_CRASH_LOADER";
const LOADER_BLOBS: &str = "HEARKEN_CRASH_BLOBS";
const LOADER_TEST: &str = "scenario::loader_process";
const LOADERS: u64 = 3;
/// Most rounds of `receive` at the end.
const ROUNDS: u32 = 10;
const DAY_MS: i64 = 86_400_000;
/// How long before midnight the scenario begins, by the clock of its processes.
const BEFORE_MIDNIGHT_MS: i64 = DAY_MS / 24 * 3;

pub(crate) const RELAY: char = 'R';
pub(crate) const AMINA: char = 'A';
pub(crate) const BEN: char = 'B';
pub(crate) const LOADER: char = 'L';
pub(crate) const CHIARA: char = 'C';
/// The passphrases of Chiara's vault, one after the other.
pub(crate) const PHRASES: [&str; 3] =
    [PASSPHRASE, "a second phrase for the same vault", "and a third, after the copy"];
/// The copy, which is made under the second.
pub(crate) const CHIARAS_COPY: &str = "chiara.copy";

/// How much happens.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Amount {
    /// Texts each way.
    pub(crate) texts: u32,
    /// Blobs of each of the loader's clients.
    pub(crate) blobs: u64,
}

impl Amount {
    fn of_this_run() -> Self {
        if long::is_long() {
            Self { texts: 200, blobs: 200 }
        } else {
            Self { texts: 12, blobs: 24 }
        }
    }
}

/// What was recorded, and the folder as the processes left it.
pub(crate) struct Scenario {
    pub(crate) record: Record,
    pub(crate) world: PathBuf,
    pub(crate) clock: Clock,
    pub(crate) listen: String,
    pub(crate) amount: Amount,
    _folder: Option<tempfile::TempDir>,
}

/// The one scenario of this run.
pub(crate) fn scenario() -> &'static Scenario {
    static SCENARIO: OnceLock<Scenario> = OnceLock::new();
    SCENARIO.get_or_init(|| {
        let amount = Amount::of_this_run();
        let Some(kept) = std::env::var_os("HEARKEN_RECORDING") else {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().canonicalize().unwrap();
            return Scenario { _folder: Some(folder), ..record(&path, amount) };
        };
        std::fs::create_dir_all(&kept).unwrap();
        let folder = Path::new(&kept).canonicalize().unwrap();
        // Written last, so that a record which was interrupted is none.
        let done = folder.join(format!("done-{}-{}", amount.texts, amount.blobs));
        if let Ok(listen) = std::fs::read_to_string(&done) {
            return read(&folder, listen, amount);
        }
        let scenario = record(&folder, amount);
        std::fs::write(done, &scenario.listen).unwrap();
        scenario
    })
}

/// What was recorded in a folder before.
fn read(folder: &Path, listen: String, amount: Amount) -> Scenario {
    let world = folder.join("world");
    Scenario {
        record: Record::read(&folder.join("record"), &world).unwrap(),
        clock: Clock::open(&folder.join("clock")).unwrap(),
        world,
        listen,
        amount,
        _folder: None,
    }
}

/// Runs the real programs. The relay is stopped and started once, its midnights come, and it is killed at the end.
fn record(folder: &Path, amount: Amount) -> Scenario {
    let world = folder.join("world");
    std::fs::create_dir(&world).unwrap();
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis();
    let to_midnight = DAY_MS - i64::try_from(now).unwrap() % DAY_MS;
    let clock = Clock::make(&folder.join("clock"), to_midnight - BEFORE_MIDNIGHT_MS).unwrap();
    let recorder = Recorder::begin(&world, &folder.join("record")).unwrap();
    let environment = |who| {
        let mut environment = clock.environment().unwrap();
        environment.extend(recorder.environment(who));
        environment
    };

    let of_relay = environment(RELAY);
    let of_relay: Vec<(&str, &OsStr)> =
        of_relay.iter().map(|(name, value)| (*name, value.as_os_str())).collect();
    let mut relay = Relay::start_with(&world.join("relay"), &[], &of_relay).unwrap();
    let keys = std::fs::read_dir(world.join("relay/epoch-keys")).unwrap();
    let [first_key] = &keys.map(|key| key.unwrap().path()).collect::<Vec<_>>()[..] else {
        panic!("a relay begins with the keys of one day")
    };
    let person = |name, who| {
        let mut person = Person::new(&world, name, &["--route", "direct"]).unwrap();
        person.set_environment(&environment(who));
        person
    };
    let (amina, ben) = (person("amina", AMINA), person("ben", BEN));
    amina.init(&[relay.address()]).unwrap().line().unwrap();
    ben.init(&[relay.address()]).unwrap().line().unwrap();
    let invited = amina.run(&["invite", "--name", "Ben"]).unwrap();
    let link = invited.line().unwrap()["invitation"].as_str().unwrap().to_owned();
    ben.run_with_input(&["join", "-", "--name", "Amina"], link.as_bytes()).unwrap().line().unwrap();

    keep_house(&person("chiara", CHIARA), &world, relay.address());

    let (third, two_thirds) = (amount.texts / 3, amount.texts / 3 * 2);
    converse(&amina, &ben, 0..third);
    relay.stop().unwrap();
    relay.restart().unwrap();
    let mut load = start_loader(environment(LOADER), relay.address(), amount.blobs);
    converse(&amina, &ben, third..two_thirds);
    let lines = BufReader::new(load.stdout.take().unwrap()).lines().map(Result::unwrap);
    // Each of the loader's clients waits for the keys of the next day, which comes when all do.
    let mut waiting = 0;
    for line in lines {
        waiting += u64::from(line.ends_with(loader::WAITING));
        if line.ends_with(loader::WAITING) && waiting == LOADERS {
            clock.set(to_midnight + 60_000).unwrap();
            converse(&amina, &ben, two_thirds..amount.texts);
        }
    }
    assert!(load.wait().unwrap().success());
    settle([&amina, &ben]);
    clock.set(to_midnight + DAY_MS + 60_000).unwrap();
    let until = Instant::now() + PATIENCE;
    while first_key.exists() {
        assert!(Instant::now() < until, "the keys of the first day do not go");
        std::thread::sleep(Duration::from_millis(20));
    }
    relay.kill();
    Scenario {
        record: recorder.read().unwrap(),
        world,
        clock,
        listen: relay.listen().to_owned(),
        amount,
        _folder: None,
    }
}

/// Changes the passphrase before a copy is made and after, and destroys the vault.
fn keep_house(chiara: &Person, world: &Path, relay: &str) {
    let done = |words: &[&str]| {
        let ended = chiara.run(words).unwrap();
        assert_eq!((ended.status, ended.lines.len()), (Some(0), 1), "{words:?}: {}", ended.errors);
    };
    let change = |phrase: &str| {
        let file = world.join("chiara.next");
        std::fs::write(&file, format!("{phrase}\n")).unwrap();
        done(&["vault", "change-passphrase", "--new-passphrase-file", file.to_str().unwrap()]);
        chiara.set_passphrase(phrase).unwrap();
    };
    chiara.init(&[relay]).unwrap().line().unwrap();
    done(&["invite", "--name", "Dora"]);
    done(&["send", "Dora", "before the change"]);
    change(PHRASES[1]);
    done(&["send", "Dora", "before the copy"]);
    let copy = world.join(CHIARAS_COPY);
    done(&["vault", "backup", "--out", copy.to_str().unwrap()]);
    done(&["send", "Dora", "after the copy"]);
    change(PHRASES[2]);
    done(&["vault", "destroy"]);
}

/// The text of that number in that direction.
pub(crate) fn text(from: char, number: u32) -> String {
    format!("{from} {number}: what may not be lost")
}

fn converse(amina: &Person, ben: &Person, numbers: std::ops::Range<u32>) {
    let sides = [(amina, "Ben", AMINA), (ben, "Amina", BEN)];
    for number in numbers.clone() {
        for (person, contact, who) in sides {
            let text = text(who, number);
            let words = ["send", contact, "--text-file", "-"];
            let sent = person.run_with_input(&words, text.as_bytes()).unwrap();
            // 3: a busy machine was too slow, and the text waits for the next command.
            assert!(matches!(sent.status, Some(0 | 3)), "{:?}: {}", sent.status, sent.errors);
        }
        if number % 4 == 3 || number + 1 == numbers.end {
            for (person, _, _) in sides {
                receive(person);
            }
        }
    }
}

fn receive(person: &Person) {
    let received = person.run(&["receive", "--timeout", "10"]).unwrap();
    assert!(matches!(received.status, Some(0 | 3)), "{}", received.errors);
}

/// Receives until nothing waits any more.
fn settle(people: [&Person; 2]) {
    for _ in 0..ROUNDS {
        people.iter().for_each(|person| receive(person));
        let waits = |person: &&Person| {
            let contacts = person.run(&["contacts"]).unwrap();
            contacts.lines.iter().any(|line| line["outbox"] != 0)
        };
        if !people.iter().any(waits) {
            break;
        }
    }
    people.iter().for_each(|person| receive(person));
}

fn start_loader(
    environment: Vec<(&'static str, OsString)>,
    relay: &str,
    blobs: u64,
) -> std::process::Child {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args([LOADER_TEST, "--exact", "--nocapture", "--test-threads=1"])
        .envs(environment)
        .env(LOADER_RELAY, relay)
        .env(LOADER_BLOBS, blobs.to_string())
        .stdin(Stdio::null())
        .stdout(Stdio::piped());
    command.spawn().unwrap()
}

/// Not a test where the variable is not set: the loader's side.
#[test]
fn loader_process() {
    let Ok(relay) = std::env::var(LOADER_RELAY) else { return };
    let blobs = std::env::var(LOADER_BLOBS).unwrap().parse().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(loader::run(relay.parse().unwrap(), LOADERS, blobs)).unwrap();
}

/// A folder for what is rebuilt: in memory where there is such a file system, since its syncs cost nothing there.
pub(crate) fn scratch() -> tempfile::TempDir {
    let memory = Path::new("/dev/shm");
    if memory.is_dir() {
        tempfile::tempdir_in(memory).unwrap()
    } else {
        tempfile::tempdir().unwrap()
    }
}

/// Whether two folders hold the same, but for sockets: names, and every byte of every file.
pub(crate) fn same(one: &Path, other: &Path) -> Result<(), String> {
    let names = |folder: &Path| -> Vec<(std::ffi::OsString, bool)> {
        let entries = std::fs::read_dir(folder).unwrap().map(Result::unwrap);
        let mut names: Vec<_> = entries
            .map(|entry| (entry.file_name(), entry.file_type().unwrap()))
            .filter(|(_, kind)| kind.is_file() || kind.is_dir())
            .map(|(name, kind)| (name, kind.is_dir()))
            .collect();
        names.sort();
        names
    };
    let found = names(one);
    if found != names(other) {
        return Err(format!("{}: {:?} and {:?}", one.display(), found, names(other)));
    }
    for (name, is_folder) in found {
        let (one, other) = (one.join(&name), other.join(&name));
        if is_folder {
            same(&one, &other)?;
        } else if std::fs::read(&one).unwrap() != std::fs::read(&other).unwrap() {
            return Err(format!("{} differs", one.display()));
        }
    }
    Ok(())
}

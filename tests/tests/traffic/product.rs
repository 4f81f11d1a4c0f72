//! The very programs: two people with entry relays, whose sessions are opened with keys that their builds write down.
//!
//! Only a build by `tests/planted/run` writes session keys; another says that it skips this, and shows that it writes
//! none.

use std::ffi::{OsStr, OsString};
use std::path::PathBuf;

use hearken_tests::programs::Person;
use hearken_tests::traffic::checks;
use hearken_tests::traffic::{From, KeyLog, Session, Wired, connections, shared};

use crate::rewrite;

/// What rustls reads where a program asks it to.
pub(crate) const KEY_LOG: &str = "SSLKEYLOGFILE";

/// Two people, two relays, and what has passed.
struct People {
    _folder: tempfile::TempDir,
    keys: PathBuf,
    relays: [Wired; 2],
    amina: Person,
    ben: Person,
    /// How many connections have begun at each relay.
    seen: [usize; 2],
}

impl People {
    fn meet(route: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let keys = folder.path().join("session-keys");
        let relay = |name| {
            let environment: [(&str, &OsStr); 1] = [(KEY_LOG, keys.as_os_str())];
            Wired::start(&folder.path().join(name), &["--set", "pow_bits=4"], &environment).unwrap()
        };
        let relays = [relay("relay-1"), relay("relay-2")];
        let person = |name| {
            let mut person = Person::new(folder.path(), name, &["--route", route]).unwrap();
            person.set_environment(&[(KEY_LOG, OsString::from(&keys))]);
            person
        };
        let (amina, ben) = (person("amina"), person("ben"));
        let addresses = relays.each_ref().map(|relay| relay.address().to_string());
        // Each has the mailbox on one relay and reaches it, with hop2, through the other.
        amina.init(&[&addresses[0], &addresses[1]]).unwrap().line().unwrap();
        ben.init(&[&addresses[1], &addresses[0]]).unwrap().line().unwrap();
        let mut people =
            Self { keys, relays, amina, ben, seen: Default::default(), _folder: folder };
        let invited = people.amina.run(&["invite", "--name", "Ben"]).unwrap();
        let link = invited.line().unwrap()["invitation"].as_str().unwrap().to_owned();
        let joined =
            people.ben.run_with_input(&["join", "-", "--name", "Amina"], link.as_bytes()).unwrap();
        joined.line().unwrap();
        people.amina.run(&["receive"]).unwrap();
        people.ben.run(&["receive"]).unwrap();
        people.begun();
        people
    }

    /// Connections that have begun at each relay since the last time, by relay and place.
    fn begun(&mut self) -> Vec<(usize, usize)> {
        let mut begun = Vec::new();
        for (at, seen) in self.seen.iter_mut().enumerate() {
            let all = connections(&self.relays[at].tap.recorded()).unwrap().len();
            begun.extend((*seen..all).map(|place| (at, place)));
            *seen = all;
        }
        begun
    }

    /// Runs a command of one of them; the connections that it began.
    fn run(&mut self, is_amina: bool, words: &[&str]) -> Vec<(usize, usize)> {
        let person = if is_amina { &self.amina } else { &self.ben };
        let ended = person.run(words).unwrap();
        assert_eq!(ended.status, Some(0), "{}", ended.errors);
        self.begun()
    }

    /// Everything that passed at both relays, opened.
    fn sessions(&self) -> [Vec<Session>; 2] {
        let keys = KeyLog::of_file(&self.keys).unwrap();
        self.relays.each_ref().map(|relay| Session::all(&relay.tap.recorded(), &keys).unwrap())
    }
}

/// Whether this build writes session keys.
pub(crate) fn has_keys() -> bool {
    if !cfg!(hearken_planted) {
        println!("skipped: needs a build with session keys (tests/planted/run --test traffic)");
    }
    cfg!(hearken_planted)
}

fn of<'a>(sessions: &'a [Vec<Session>; 2], begun: &[(usize, usize)]) -> Vec<&'a Session> {
    begun.iter().map(|(at, place)| &sessions[*at][*place]).collect()
}

/// Two runs of `send` and one of `receive`: every link of one of them against every other.
fn converse(route: &str) {
    let mut people = People::meet(route);
    let runs = [
        people.run(true, &["send", "Ben", "good morning"]),
        people.run(true, &["send", "Ben", "good evening"]),
        people.run(true, &["receive"]),
    ];
    let stranger = people.run(false, &["receive"]);
    let sessions = people.sessions();
    for session in sessions.iter().flatten() {
        assert_eq!(checks::leads_on(session).unwrap(), [""; 0]);
        for from in [From::Client, From::Relay] {
            assert!(!checks::cells(session, from).unwrap().is_empty());
        }
    }
    let own: Vec<&Session> = runs.iter().flat_map(|begun| of(&sessions, begun)).collect();
    // Two links of one process are of two sockets.
    assert!(runs[0].len() == 2 && own[0].client != own[1].client, "{:?}", runs[0]);
    let stranger = of(&sessions, &stranger)[0];
    let mut pairs = 0;
    for (at, one) in own.iter().enumerate() {
        for other in &own[..at] {
            assert_eq!(shared::strings(one, other).unwrap(), [""; 0]);
            assert_eq!(shared::own_fields(one, other, stranger).unwrap(), [""; 0]);
            pairs += 1;
        }
    }
    for constant in shared::CONSTANTS {
        let has = |(_, piece): &(_, Vec<u8>)| {
            piece.windows(constant.bytes.len()).any(|found| found == constant.bytes)
        };
        assert!(shared::pieces(stranger).unwrap().iter().any(has), "{}", constant.why);
    }
    println!("{route}: {pairs} pairs of {} sessions of one client", own.len());
    controls(own[0], own[1], stranger);
}

/// Values that one client has in two sessions are found, wherever they are put.
fn controls(one: &Session, other: &Session, stranger: &Session) {
    for put in [rewrite::reset_token, rewrite::padding, rewrite::random] {
        let (mut one, mut other) = (one.clone(), other.clone());
        put(&mut one);
        put(&mut other);
        assert_eq!(shared::strings(&one, &other).unwrap().len(), 1);
    }
    let (mut one, mut other) = (one.clone(), other.clone());
    rewrite::short_value(&mut one);
    rewrite::short_value(&mut other);
    assert_eq!(shared::own_fields(&one, &other, stranger).unwrap(), ["session id"]);
}

#[test]
fn two_sessions_of_one_client_behind_an_entry_relay_share_nothing_of_its_own() {
    if has_keys() {
        converse("hop2");
    }
}

#[test]
fn two_direct_sessions_of_one_client_share_nothing_of_its_own() {
    if has_keys() {
        converse("direct");
    }
}

#[test]
fn only_a_build_for_tests_writes_session_keys() {
    let people = People::meet("hop2");
    assert_eq!(people.keys.exists(), cfg!(hearken_planted));
}

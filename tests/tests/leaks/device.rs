//! What is on a person's device: in the files of a vault at any time, and in the memory of a program that has closed it.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use hearken_tests::leaks::{Image, LoggingRelay, Needles, Opened, Search, VaultKeys, Watch};
use hearken_tests::people::amina_and_ben;
use hearken_tests::programs::{PASSPHRASE, Person};

use crate::scenario::{Scenario, scenario};

fn readable(scenario: &Scenario) -> Needles {
    let mut needles = scenario.written.clone();
    needles.extend(&scenario.keys);
    for address in &scenario.relay_addresses {
        needles.text("the address of a relay", address);
        let fingerprint = address.trim_start_matches("hearken://").split('@').next().unwrap();
        needles.text("the fingerprint of a relay", fingerprint);
    }
    needles.add("a database in the clear", "header", b"SQLite format 3\0".to_vec());
    needles.add("a database in the clear", "schema", b"CREATE TABLE".to_vec());
    needles
}

#[test]
fn nothing_in_a_persons_home_can_be_read_at_any_time() {
    let scenario = scenario();
    let needles = readable(scenario);
    let journals = scenario.homes.iter().filter(|place| place.name.ends_with("-journal"));
    let journals = journals.filter(|place| place.bytes.len() > 1_000).count();
    let versions = scenario.homes.len();
    println!("{versions} versions of files seen, {journals} of them journals");
    assert!(versions > 40 && journals > 0, "the homes were looked at while they were written to");
    assert_eq!(Search::new(&needles).through(&scenario.homes), []);
}

/// A file with each of the needles, there for a moment only, is seen and everything in it found.
#[test]
fn the_same_search_finds_what_is_readable_for_a_moment() {
    let scenario = scenario();
    let needles = readable(scenario);
    let home = tempfile::tempdir().unwrap();
    let watch = Watch::of(vec![home.path().to_owned()]);
    let clear: Vec<u8> = needles.all().iter().flat_map(|needle| needle.bytes.clone()).collect();
    std::fs::write(home.path().join("store.db-journal"), &clear).unwrap();
    while !watch.seen().iter().any(|place| place.bytes == clear) {
        std::thread::yield_now();
    }
    std::fs::remove_file(home.path().join("store.db-journal")).unwrap();
    assert_eq!(Search::new(&needles).things_in(&watch.seen()), needles.things());
}

/// A program on the library with an open vault.
struct Locked {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

const WORD: &str = "A_WORD_THAT_STAYS_IN_MEMORY";
const TEXT: &str = "under the third plank, wrapped in oilcloth";

impl Locked {
    fn start(person: &Person, contact: &str) -> Self {
        let passphrase = person.home().with_extension("passphrase");
        let mut child = Command::new(env!("CARGO_BIN_EXE_locked_client"))
            .args([person.home(), &passphrase])
            .args([contact, TEXT, &WORD.to_lowercase()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let input = child.stdin.take().unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        Self { child, input, output }
    }

    fn wait_for(&mut self, word: &str) {
        let mut line = String::new();
        self.output.read_line(&mut line).unwrap();
        assert_eq!(line.trim_end(), word);
    }
}

/// Everything that opens a vault or is a key in it. Of a ratchet's state every piece of 16 bytes, since keys lie in it at
/// any place.
fn secrets(person: &Person, opened: &[Opened]) -> Needles {
    let mut needles = Needles::default();
    for (what, key) in VaultKeys::of(person.home(), PASSPHRASE.as_bytes()).unwrap().0 {
        needles.bytes(what, &key);
    }
    for vault in opened {
        for (what, key) in &vault.mailbox_keys {
            needles.bytes(what, key);
        }
        for (what, state) in &vault.conversations {
            for piece in state.windows(16) {
                let distinct: BTreeSet<u8> = piece.iter().copied().collect();
                if distinct.len() >= 12 {
                    needles.add(what, "a piece", piece.to_vec());
                }
            }
        }
    }
    needles.text("passphrase", PASSPHRASE);
    needles
}

#[test]
fn no_key_is_in_the_memory_of_a_program_that_has_closed_its_vault() {
    let folder = tempfile::tempdir().unwrap();
    let relay = LoggingRelay::start(&folder.path().join("relay"), &[], None).unwrap();
    let [amina, ben] = amina_and_ben(folder.path(), relay.address());
    amina.run(&["send", "Ben", "is it still there"]).unwrap().line().unwrap();
    let before = Opened::copy_of(ben.home(), PASSPHRASE.as_bytes()).unwrap();

    let mut program = Locked::start(&ben, "Amina");
    program.wait_for("open");
    let open = Opened::copy_of(ben.home(), PASSPHRASE.as_bytes()).unwrap();
    let Some(image) = Image::of(program.child.id()).unwrap() else { return };
    let needles = secrets(&ben, &[before, open]);
    let control = Search::new(&needles).things_in(&image.0);
    // The control: what the program needs while it is open is found in it by this search.
    for thing in ["data key", "reader's key", "ratchet"] {
        assert!(control.iter().any(|found| found == thing), "{thing} of {control:?}");
    }

    program.input.write_all(b"\n").unwrap();
    program.wait_for("closed");
    let image = Image::of(program.child.id()).unwrap().unwrap();
    let mut word = Needles::default();
    word.text("word", WORD);
    assert_eq!(Search::new(&word).things_in(&image.0), ["word"], "the search still sees");
    assert_eq!(Search::new(&needles).through(&image.0), []);
    drop(program.input);
    assert!(program.child.wait().unwrap().success());
}

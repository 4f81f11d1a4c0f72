//! The scenario: four people, two relays, every way of the first slice.
//!
//! Amina and Ben talk over an entry relay (`hop2`), Cleo and Dora directly. Each connection of each of them comes from an
//! address of its own. The relays log all they can. At the end two people listen, and stop listening.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::{Child, Command};
use std::sync::OnceLock;
use std::time::{Duration, Instant, SystemTime};

use hearken_tests::leaks::{
    FileTime, Image, LoggingRelay, Mask, Masks, Moments, Needles, Opened, Place, Search, Watch,
    folder, written_at,
};
use hearken_tests::programs::{Ended, PASSPHRASE, PATIENCE, Person};

/// Words that stay in the memory of both relays, so that what looks there is known to see. No name, text or key.
pub(crate) const REMEMBERED: [&str; 3] =
    ["remembered_name_quagmire", "remembered_text_zephyr", "remembered_key_5f1d8c0b2a79"];

/// What a relay leaves: its files, its logs, its memory.
pub(crate) struct Left {
    /// Its files, as they were while it ran and after it had ended.
    pub(crate) files: Vec<Place>,
    /// When each of its files was last written, before it was told to stop.
    pub(crate) file_times: Vec<FileTime>,
    /// All that it said: standard output, log, `stats`.
    pub(crate) said: Vec<Place>,
    /// Its memory while clients were listening, where it can be read.
    pub(crate) while_open: Option<Image>,
    /// Its memory after every client's link was closed.
    pub(crate) once_closed: Option<Image>,
    /// The addresses at which it saw clients, and whether each link was still open for the first image.
    pub(crate) masks: Vec<(Mask, bool)>,
    /// Its folder.
    pub(crate) folder: tempfile::TempDir,
}

/// What is left of the scenario.
pub(crate) struct Scenario {
    /// Names of contacts and texts of messages, which are in every vault of the scenario.
    pub(crate) written: Needles,
    /// Private keys of all four: of their mailboxes, and whole states of their conversations in pieces.
    pub(crate) keys: Needles,
    /// The stretch in which clients acted.
    pub(crate) moments: Moments,
    /// Its beginning.
    pub(crate) began: SystemTime,
    /// How many times a client acted on a relay, at the least.
    pub(crate) actions: usize,
    /// The relay of the mailboxes.
    pub(crate) relay: Left,
    /// The relay in front of it.
    pub(crate) entry: Left,
    /// The vaults of the four, at the end.
    pub(crate) vaults: Vec<Opened>,
    /// Every version of every file in the homes of the four that could be seen.
    pub(crate) homes: Vec<Place>,
    /// The two relays as the homes know them.
    pub(crate) relay_addresses: Vec<String>,
}

impl Scenario {
    /// The addresses at which a relay saw clients, as needles.
    pub(crate) fn addresses(left: &Left) -> Needles {
        let mut needles = Needles::default();
        for (number, (Mask(address), _)) in left.masks.iter().enumerate() {
            needles.address(&format!("address {number} of a client"), *address);
        }
        needles
    }
}

/// The scenario, run once.
pub(crate) fn scenario() -> &'static Scenario {
    static SCENARIO: OnceLock<Scenario> = OnceLock::new();
    SCENARIO.get_or_init(|| run(None))
}

/// Four people at their devices.
struct People {
    amina: Person,
    ben: Person,
    cleo: Person,
    dora: Person,
    written: Needles,
    actions: usize,
}

/// Runs it, with a fault planted in both relays in a build that can.
pub(crate) fn run(planted: Option<&str>) -> Scenario {
    let temporary = tempfile::tempdir().unwrap();
    let relay_folder = tempfile::tempdir().unwrap();
    let entry_folder = tempfile::tempdir().unwrap();
    let relay =
        LoggingRelay::start(&relay_folder.path().join("relay"), &REMEMBERED, planted).unwrap();
    let entry =
        LoggingRelay::start(&entry_folder.path().join("relay"), &REMEMBERED, planted).unwrap();
    let relay_masks = Masks::before(relay.listen().unwrap(), 1).unwrap();
    let entry_masks = Masks::before(entry.listen().unwrap(), 2).unwrap();
    let homes = ["amina", "ben", "cleo", "dora"].map(|name| temporary.path().join(name));
    let watch = Watch::of(homes.into());
    let began = SystemTime::now();
    let mut people = People::new(temporary.path(), &relay, &entry, &relay_masks, &entry_masks);
    let early = people.meet();
    people.talk();

    // Two people listen, over a link each; the relays' memory is looked at, and once more when they have gone.
    let listening =
        [&people.ben, &people.dora].map(|person| listen(person, &["receive", "--follow"]));
    relay.wait_for("watches", 2).unwrap();
    let open = |masks: &Masks, before: usize| -> Vec<(Mask, bool)> {
        let given = masks.given().into_iter().enumerate();
        given.map(|(number, mask)| (mask, number >= before)).collect()
    };
    let image = |relay: &LoggingRelay| Image::of(relay.process()).unwrap();
    let counts = [relay_masks.given().len() - 1, entry_masks.given().len() - 1];
    let (relay_open, entry_open) = (image(&relay), image(&entry));
    let said_open = [&relay, &entry].map(|relay| relay.stats().unwrap());
    people.actions += listening.len();
    listening.into_iter().for_each(stop);
    // The entry's own link to the mailbox relay stays for the next client.
    relay.wait_for("links", 1).unwrap();
    entry.wait_for("links", 1).unwrap();
    let moments = Moments::between(began, SystemTime::now());
    let relay_closed = once_forgotten(&relay, &relay_masks, planted);
    let entry_closed = once_forgotten(&entry, &entry_masks, planted);
    let vaults = people.vaults();

    let homes = watch.seen();
    let relay_addresses = vec![relay.address().to_owned(), entry.address().to_owned()];
    let left = |relay: LoggingRelay,
                stats: &str,
                temporary,
                images: (Option<Image>, Option<Image>),
                masks| {
        let mut files = folder(relay.folder()).unwrap();
        let file_times = written_at(relay.folder()).unwrap();
        let path = relay.folder().to_owned();
        let mut said = vec![Place::of_text("stats", stats)];
        said.push(Place::of_text("stats", &relay.stats().unwrap()));
        said.extend(relay.stop().unwrap());
        files.extend(folder(&path).unwrap());
        let (while_open, once_closed) = images;
        Left { files, file_times, said, while_open, once_closed, masks, folder: temporary }
    };
    let relay_left = left(
        relay,
        &said_open[0],
        relay_folder,
        (relay_open, relay_closed),
        open(&relay_masks, counts[0]),
    );
    let entry_left = left(
        entry,
        &said_open[1],
        entry_folder,
        (entry_open, entry_closed),
        open(&entry_masks, counts[1]),
    );
    Scenario {
        keys: keys(early.iter().chain(&vaults), &relay_addresses.concat()),
        written: people.written,
        moments,
        began,
        actions: people.actions,
        relay: relay_left,
        entry: entry_left,
        vaults,
        homes,
        relay_addresses,
    }
}

impl People {
    fn new(
        folder: &Path,
        relay: &LoggingRelay,
        entry: &LoggingRelay,
        relay_masks: &Masks,
        entry_masks: &Masks,
    ) -> Self {
        let over_entry = [relay.address().to_owned(), entry.address_at(entry_masks.place())];
        let direct = relay.address_at(relay_masks.place());
        let person = |name: &str, more: &[&str], relays: &[&str]| {
            let person = Person::new(folder, name, more).unwrap();
            person.init(relays).unwrap().line().unwrap();
            person
        };
        let over_entry: Vec<&str> = over_entry.iter().map(String::as_str).collect();
        let mut written = Needles::default();
        written.text("the passphrase", PASSPHRASE);
        Self {
            amina: person("amina", &[], &over_entry),
            ben: person("ben", &[], &over_entry),
            cleo: person("cleo", &["--route", "direct"], &[&direct]),
            dora: person("dora", &["--route", "direct"], &[]),
            written,
            actions: 0,
        }
    }

    /// Gives the vaults as they were in between.
    fn meet(&mut self) -> Vec<Opened> {
        let mut early = Vec::new();
        let pairs = [
            ("amina", "Benedikt-Kolibri-4711", "ben", "Amina-Sommerregen-0815"),
            ("cleo", "Dorothea-Haselmaus-1848", "dora", "Cleopatra-Windrose-2003"),
        ];
        for (inviter, name, joiner, back) in pairs {
            self.written.text("the name of a contact", name);
            self.written.text("the name of a contact", back);
            let link = done(self.person(inviter).run(&["invite", "--name", name]).unwrap());
            let link = link.line().unwrap()["invitation"].as_str().unwrap().to_owned();
            let secret = link.split_once('#').unwrap().1;
            self.written.text("the secret of an invitation", secret);
            early.push(opened(self.person(inviter)));
            let join = ["join", "-", "--name", back];
            done(self.person(joiner).run_with_input(&join, link.as_bytes()).unwrap());
            early.push(opened(self.person(joiner)));
            done(self.person(inviter).run(&["receive"]).unwrap());
            self.actions += 3;
        }
        early
    }

    fn talk(&mut self) {
        let says = [
            ("ben", "Amina-Sommerregen-0815", "the herons left at dusk, sector fourteen"),
            ("amina", "Benedikt-Kolibri-4711", "bring the blue ledger to the third lighthouse"),
            ("dora", "Cleopatra-Windrose-2003", "marmalade is the word for tomorrow's ferry"),
            ("cleo", "Dorothea-Haselmaus-1848", "nobody followed, the orchard gate is open"),
            ("ben", "Amina-Sommerregen-0815", "quartz under the seventh step, northern stairs"),
            ("cleo", "Dorothea-Haselmaus-1848", "if the lamp burns twice, do not come inside"),
        ];
        let partner = |name: &str| match name {
            "amina" => "ben",
            "ben" => "amina",
            "cleo" => "dora",
            _ => "cleo",
        };
        for (number, (from, to, text)) in says.into_iter().enumerate() {
            self.written.text("the text of a message", text);
            // One is long enough to go in several blobs, each of which says it.
            let whole = if number == 1 { format!("{text}. ").repeat(150) } else { text.to_owned() };
            let send = ["send", to, "--text-file", "-"];
            done(self.person(from).run_with_input(&send, whole.as_bytes()).unwrap());
            let received = done(self.person(partner(from)).run(&["receive"]).unwrap());
            let texts = received.lines.iter().filter_map(|line| line["text"].as_str());
            assert_eq!(texts.collect::<Vec<_>>(), [whole.as_str()], "the scenario is what it says");
            self.actions += 2;
        }
        // What is not fetched yet lies at the relay.
        for (from, to, text) in &says[..4] {
            let text = format!("{text}, again");
            done(self.person(from).run(&["send", to, &text]).unwrap());
            self.actions += 1;
        }
    }

    fn person(&self, name: &str) -> &Person {
        match name {
            "amina" => &self.amina,
            "ben" => &self.ben,
            "cleo" => &self.cleo,
            _ => &self.dora,
        }
    }

    fn vaults(&self) -> Vec<Opened> {
        [&self.amina, &self.ben, &self.cleo, &self.dora].map(opened).into()
    }
}

fn opened(person: &Person) -> Opened {
    Opened::copy_of(person.home(), PASSPHRASE.as_bytes()).unwrap()
}

/// Keys of mailboxes in every spelling; conversations in pieces of 32 bytes, so that any key in them is among them.
/// What a relay says of itself is in them too and is no secret.
fn keys<'a>(vaults: impl Iterator<Item = &'a Opened>, public: &str) -> Needles {
    let mut needles = Needles::default();
    for vault in vaults {
        for (what, key) in &vault.mailbox_keys {
            needles.bytes(what, key);
        }
        for (what, state) in &vault.conversations {
            for piece in state.chunks_exact(16) {
                let distinct: BTreeSet<u8> = piece.iter().copied().collect();
                let is_public = public.as_bytes().windows(16).any(|window| window == piece);
                if distinct.len() >= 12 && !is_public {
                    needles.add(what, "a piece", piece.to_vec());
                }
            }
        }
    }
    needles
}

/// The relay's memory once no address of a client is in it any more, or, where one stays, as it is after a while: the last
/// packets of a connection are waited for.
fn once_forgotten(relay: &LoggingRelay, masks: &Masks, planted: Option<&str>) -> Option<Image> {
    let mut addresses = Needles::default();
    for Mask(address) in masks.given() {
        addresses.address("address", address);
    }
    let search = Search::new(&addresses);
    // One that is built to keep them is not waited for.
    let patience = Duration::from_secs(if planted.is_some() { 0 } else { 20 });
    let patience = Instant::now() + patience;
    loop {
        let image = Image::of(relay.process()).unwrap()?;
        if Instant::now() > patience || search.through(&image.0).is_empty() {
            return Some(image);
        }
        std::thread::sleep(Duration::from_millis(200));
    }
}

fn done(ended: Ended) -> Ended {
    assert_eq!(ended.status, Some(0), "{}", ended.errors);
    ended
}

fn listen(person: &Person, words: &[&str]) -> Child {
    let mut command = person.command(words).unwrap();
    command.stdout(std::process::Stdio::null()).stderr(std::process::Stdio::null());
    command.spawn().unwrap()
}

fn stop(mut listening: Child) {
    Command::new("kill").arg(listening.id().to_string()).status().unwrap();
    let patience = Instant::now() + PATIENCE;
    while listening.try_wait().unwrap().is_none() {
        assert!(Instant::now() < patience, "it does not stop");
        std::thread::sleep(Duration::from_millis(10));
    }
}

//! What the relays wrote: files and their names, the log at its most detailed, standard output, `stats`.

use std::time::Duration;

use hearken_tests::leaks::{Hit, Needles, Place, Search, Written};

use crate::scenario::{Left, Scenario, scenario};

/// Where the store's tables lie, which say when they were made: `engine/keyspaces/…/tables/…`.
const TABLES: &str = "/tables/";
/// How far the time in a table may be from that of its file for both to say the same.
const SAME: Duration = Duration::from_secs(1);

pub(crate) fn both(scenario: &Scenario) -> [(&'static str, &Left); 2] {
    [("mailbox relay", &scenario.relay), ("entry relay", &scenario.entry)]
}

fn search(needles: &Needles, left: &Left) -> Vec<Hit> {
    let search = Search::new(needles);
    [search.through(&left.files), search.through(&left.said)].concat()
}

/// Moments, but for those in the store's tables that are the times of their files once more.
pub(crate) fn moments(scenario: &Scenario, left: &Left) -> Vec<(Written, Hit)> {
    let mut found = scenario.moments.through(&left.files);
    found.extend(scenario.moments.through(&said_of_clients(left)));
    found.retain(|(written, hit)| {
        let made = || left.file_times.iter().find(|file| file.name == hit.place);
        let place = left.files.iter().find(|place| place.name == hit.place);
        let repeats = place.zip(made()).is_some_and(|(place, file)| {
            let number =
                place.bytes.get(hit.at..hit.at + 8).and_then(|bytes| bytes.try_into().ok());
            let nanos = number.map_or(0, u64::from_le_bytes);
            let said = std::time::UNIX_EPOCH + Duration::from_nanos(nanos);
            let apart = said.duration_since(file.written).or(file.written.duration_since(said));
            apart.is_ok_and(|apart| apart < SAME)
        });
        !(*written == Written::Nanos && hit.place.contains(TABLES) && repeats)
    });
    found
}

/// What was said while clients acted: the line that the operator's stop makes comes after them.
fn said_of_clients(left: &Left) -> Vec<Place> {
    let mut said = left.said.clone();
    for place in &mut said {
        let text = String::from_utf8_lossy(&place.bytes);
        let kept = text.lines().filter(|line| !line.ends_with(" INFO stopping"));
        place.bytes = kept.collect::<Vec<_>>().join("\n").into_bytes();
    }
    said
}

#[test]
fn nothing_that_a_relay_writes_holds_a_text_a_name_or_a_clients_key() {
    let scenario = scenario();
    assert!(scenario.written.things().len() >= 4 && scenario.keys.things().len() >= 6);
    for (whose, left) in both(scenario) {
        assert_eq!(search(&scenario.written, left), [], "{whose}");
        assert_eq!(search(&scenario.keys, left), [], "{whose}");
    }
}

#[test]
fn nothing_that_a_relay_writes_holds_an_address_of_a_client() {
    let scenario = scenario();
    for (whose, left) in both(scenario) {
        assert!(left.masks.len() > 5, "{whose}: clients were seen at addresses");
        assert_eq!(search(&Scenario::addresses(left), left), [], "{whose}");
    }
}

#[test]
fn nothing_that_a_relay_writes_holds_a_time_of_what_a_client_did() {
    let scenario = scenario();
    for (whose, left) in both(scenario) {
        assert_eq!(moments(scenario, left), [], "{whose}");
    }
}

/// The log says that a relay stops, and nothing else, whatever clients did. (Its first line is the warning of `serve`
/// about a loopback address.)
#[test]
fn the_log_at_its_most_detailed_says_nothing_of_clients() {
    let scenario = scenario();
    for (whose, left) in both(scenario) {
        let log = left.said.iter().find(|place| place.name == "the log").unwrap();
        let log = String::from_utf8_lossy(&log.bytes);
        let lines: Vec<&str> = log.lines().collect();
        let [warning, stopping] = lines[..] else { panic!("{whose}: {log}") };
        assert!(warning.starts_with("warning: this address is loopback"), "{whose}: {warning}");
        assert!(stopping.ends_with(" INFO stopping"), "{whose}: {stopping}");
    }
}

/// Each needle is put, in its spelling, into a file, a log and a file's name as the relay left them, and found there.
#[test]
fn the_same_searches_find_what_was_put_into_the_same_files() {
    let scenario = scenario();
    let left = &scenario.relay;
    let mut needles = Scenario::addresses(left);
    needles.extend(&scenario.written);
    needles.extend(&scenario.keys);
    let search = Search::new(&needles);
    for places in [&left.files, &left.said] {
        let mut changed = vec![places[places.len() - 1].clone()];
        let middle = changed[0].bytes.len() / 2;
        let planted = needles.all().iter().flat_map(|needle| [&needle.bytes[..], b" | "].concat());
        changed[0].bytes.splice(middle..middle, planted);
        let hits = search.through(&changed);
        for needle in needles.all() {
            let found =
                hits.iter().any(|hit| hit.what == needle.what && hit.spelling == needle.spelling);
            assert!(found, "{needle:?}");
        }
    }
    let during = scenario.began + Duration::from_millis(1_500);
    let millis = u64::try_from(during.duration_since(std::time::UNIX_EPOCH).unwrap().as_millis());
    for bytes in [millis.unwrap().to_be_bytes(), millis.unwrap().to_le_bytes()] {
        let mut changed = left.files.clone();
        let journal = changed.iter_mut().find(|place| place.name.ends_with(".jnl")).unwrap();
        journal.bytes.splice(100..100, bytes);
        assert!(!scenario.moments.through(&changed).is_empty());
    }
}

/// What the times of the store's files say, which SECURITY.md names: how many moments of how many actions. The first
/// action that needs a day of expiry makes that day's files; the last one writes to the journal last.
#[test]
fn the_times_of_the_stores_files_single_out_few_actions() {
    let scenario = scenario();
    let left = &scenario.relay;
    let mut times: Vec<_> = left.file_times.iter().map(|file| file.written).collect();
    times.retain(|time| *time >= scenario.began);
    times.sort_unstable();
    // Files that are made together are written within a second of each other, on a machine that does other things too.
    let together = Duration::from_secs(1);
    times.dedup_by(|next, first| next.duration_since(*first).is_ok_and(|apart| apart < together));
    let actions = scenario.actions;
    println!("{actions} actions of 4 clients left {} times of files", times.len());
    assert!(!times.is_empty(), "the journal was written to");
    assert!(times.len() <= 5, "three days of expiry, the key of each, and the journal");
    assert!(actions >= 4 * times.len(), "the others are grouped under these");
}

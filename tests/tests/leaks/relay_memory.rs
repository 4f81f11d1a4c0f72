//! What is in the relays' memory, as whoever takes over the machine can read it.

use hearken_tests::leaks::{Image, Needles, Search};

use crate::relay_files::both;
use crate::scenario::{Left, REMEMBERED, Scenario, scenario};

fn images(left: &Left) -> impl Iterator<Item = (&'static str, &Image)> {
    let images = [("while links are open", &left.while_open), ("once closed", &left.once_closed)];
    images.into_iter().filter_map(|(when, image)| image.as_ref().map(|image| (when, image)))
}

/// The search sees: what must be in a relay's memory is found in it.
#[test]
fn what_is_known_to_be_in_a_relays_memory_is_found_there() {
    let scenario = scenario();
    for (whose, left) in both(scenario) {
        let mut known = Needles::default();
        for word in REMEMBERED {
            known.text(word, word);
        }
        for (when, image) in images(left) {
            assert_eq!(Search::new(&known).things_in(&image.0), REMEMBERED, "{whose} {when}");
        }
        // The addresses of the links that are open, each of them: what the next but one test does not find.
        let addresses = Scenario::addresses(left);
        let things = addresses.things();
        let open = left.masks.iter().zip(&things).filter(|((_, open), _)| *open);
        let open: Vec<&str> = open.map(|(_, thing)| *thing).collect();
        assert!(!open.is_empty());
        if let Some(image) = &left.while_open {
            let found = Search::new(&addresses).things_in(&image.0);
            assert!(open.iter().all(|thing| found.iter().any(|found| found == thing)), "{whose}");
        }
    }
    // The ids of mailboxes, which the mailbox relay keeps.
    let mut ids = Needles::default();
    for (number, mailbox) in scenario.vaults.iter().flat_map(|vault| &vault.mailboxes).enumerate() {
        mailbox.ids.iter().for_each(|id| ids.add(&number.to_string(), "as it is", id.to_vec()));
    }
    for (when, image) in images(&scenario.relay) {
        assert_eq!(Search::new(&ids).things_in(&image.0), ids.things(), "{when}");
    }
}

#[test]
fn no_text_name_or_key_of_a_client_is_in_a_relays_memory() {
    let scenario = scenario();
    for (whose, left) in both(scenario) {
        for (when, image) in images(left) {
            assert_eq!(Search::new(&scenario.written).through(&image.0), [], "{whose} {when}");
            assert_eq!(Search::new(&scenario.keys).through(&image.0), [], "{whose} {when}");
        }
    }
}

#[test]
fn no_address_of_a_client_is_in_a_relays_memory_once_the_links_are_closed() {
    let scenario = scenario();
    for (whose, left) in both(scenario) {
        let addresses = Scenario::addresses(left);
        if let Some(image) = &left.once_closed {
            assert_eq!(Search::new(&addresses).through(&image.0), [], "{whose}");
        }
    }
}

//! What one contact says of where a relay is, through the real programs: it is theirs alone, so it cannot cut, or watch,
//! what goes over the same relay between others.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a failing test panics")]

use std::net::UdpSocket;

use hearken_tests::people::{invite, join, person};
use hearken_tests::programs::Relay;

/// A place of 127.0.0.2 that is free now.
fn second_place() -> String {
    UdpSocket::bind("127.0.0.2:0").unwrap().local_addr().unwrap().to_string()
}

#[test]
fn a_place_that_one_contact_names_is_not_used_for_another_on_the_same_relay() {
    let folder = tempfile::tempdir().unwrap();
    let own = Relay::start(&folder.path().join("own")).unwrap();
    // A relay that is at two places for a while: the second stands for a place of Mallory's, who can take it away.
    let shared = folder.path().join("shared");
    let mallorys_place = second_place();
    let mut relay = Relay::start_with(&shared, &["--listen", &mallorys_place], &[]).unwrap();
    let honest = relay.address().to_owned();
    let (fingerprint, _) = honest.split_once('@').unwrap();
    let honest = format!("{fingerprint}@{}", relay.listen());
    let hers = format!("{fingerprint}@{mallorys_place}");
    let mallory = person(folder.path(), "mallory", &[&hers]);
    let ben = person(folder.path(), "ben", &[&honest]);
    let [by_card, by_link] =
        ["by-card", "by-link"].map(|name| person(folder.path(), name, &[own.address()]));

    // She joins an invitation of the one, so that her introduction names her place, and invites the other.
    join(&mallory, &invite(&by_card, "Mallory"), "One").line().unwrap();
    assert_eq!(by_card.run(&["receive"]).unwrap().status, Some(0));
    join(&by_link, &invite(&mallory, "Two"), "Mallory").line().unwrap();
    for (person, name) in [(&by_card, "Mallory"), (&by_link, "Mallory")] {
        let sent = person.run(&["send", name, "while it is there"]).unwrap();
        assert_eq!(sent.line().unwrap()["state"], "sent", "control");
    }
    let listen = relay.listen().to_owned();
    relay.stop().unwrap();
    let _relay = Relay::start_at(&shared, &listen, &[], &[]).unwrap();

    join(&ben, &invite(&by_card, "Ben"), "One").line().unwrap();
    by_card.run(&["receive"]).unwrap();
    join(&by_link, &invite(&ben, "Two"), "Ben").line().unwrap();
    for person in [&by_card, &by_link] {
        let sent = person.run(&["send", "Ben", "over the relay's own place"]).unwrap();
        assert_eq!(sent.line().unwrap()["state"], "sent", "{}", sent.errors);
        let to_her = person.run(&["send", "Mallory", "over hers"]).unwrap();
        assert_eq!(to_her.lines[0]["state"], "queued", "control: her place is gone");
    }
}

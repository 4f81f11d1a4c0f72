//! Wrong input through the real programs: each has its exit status, its code on the last line of standard error, and
//! leaves everything as it was. In each test the honest way works first, or after.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a failing test panics")]

use data_encoding::BASE64URL_NOPAD;
use hearken_tests::people::{invite, join, person, refused, texts};
use hearken_tests::programs::{Person, Relay};
use sha2::{Digest, Sha256};

fn contacts(person: &Person) -> Vec<serde_json::Value> {
    person.run(&["contacts"]).unwrap().lines
}

/// The link with its bytes changed and its check made right again, as whoever controls the way of a link could.
fn rewritten(link: &str, change: impl Fn(&mut Vec<u8>)) -> String {
    let (prefix, encoded) = link.split_once('#').unwrap();
    let mut bytes = BASE64URL_NOPAD.decode(encoded.as_bytes()).unwrap();
    bytes.truncate(bytes.len() - 4);
    change(&mut bytes);
    let check = Sha256::new().chain_update(b"hearken/1 invitation check").chain_update(&bytes);
    bytes.extend_from_slice(&check.finalize()[..4]);
    format!("{prefix}#{}", BASE64URL_NOPAD.encode(&bytes))
}

#[test]
fn invitations_that_are_wrong_are_refused_by_name_and_leave_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let relay = Relay::start(&folder.path().join("relay")).unwrap();
    let amina = person(folder.path(), "amina", &[relay.address()]);
    let ben = person(folder.path(), "ben", &[]);
    let link = invite(&amina, "Ben");
    assert!(link.len() <= 320);

    refused(&join(&ben, &link[..link.len() - 3], "Amina"), 2, "invitation-malformed");
    refused(&join(&ben, "hearken:invite/1#", "Amina"), 2, "invitation-malformed");
    // The hash that binds the card: to the joiner a swapped card and a changed hash are the same.
    let swapped = rewritten(&link, |bytes| bytes[40] ^= 1);
    refused(&join(&ben, &swapped, "Amina"), 1, "card-swapped");
    let expired = rewritten(&link, |bytes| bytes[65..69].copy_from_slice(&1_u32.to_be_bytes()));
    refused(&join(&ben, &expired, "Amina"), 1, "invitation-expired");
    let elsewhere = rewritten(&link, |bytes| bytes[5] ^= 1);
    refused(&join(&ben, &elsewhere, "Amina"), 1, "invitation-gone");
    refused(&join(&amina, &link, "Me"), 1, "own-invitation");
    assert!(contacts(&ben).is_empty(), "nothing is kept");

    // The honest way, after all of that, with a link broken by a mail program.
    let broken = format!("  {}\r\n {}\n", &link[..60], &link[60..]);
    join(&ben, &broken, "Amina").line().unwrap();
    let cleo = person(folder.path(), "cleo", &[]);
    refused(&join(&cleo, &link, "Amina"), 1, "invitation-claimed");
    assert!(contacts(&cleo).is_empty());
    // The second claim is shown to the inviter, and harms nothing.
    let received = amina.run(&["receive"]).unwrap();
    assert_eq!(received.status, Some(0), "{}", received.errors);
    let mut shown: Vec<&str> =
        received.lines.iter().filter_map(|line| line["notice"].as_str()).collect();
    shown.sort_unstable();
    assert_eq!(shown, ["joined", "second-claim"]);
    ben.run(&["send", "Amina", "here"]).unwrap().line().unwrap();
    let received = amina.run(&["receive"]).unwrap();
    assert_eq!(texts(&received), ["here"]);
    // Both see the same phrase.
    let phrase = |person: &Person, name| {
        person.run(&["verify", name]).unwrap().line().unwrap()["safety_phrase"].clone()
    };
    assert_eq!(phrase(&amina, "Ben"), phrase(&ben, "Amina"));
}

#[test]
fn a_relay_that_is_gone_or_another_leaves_everything_to_be_sent_later() {
    let folder = tempfile::tempdir().unwrap();
    let mut relay = Relay::start(&folder.path().join("relay")).unwrap();
    let amina = person(folder.path(), "amina", &[relay.address()]);
    let ben = person(folder.path(), "ben", &[]);
    let unused = invite(&amina, "Cleo");
    join(&ben, &invite(&amina, "Ben"), "Amina").line().unwrap();
    amina.run(&["receive"]).unwrap();

    relay.kill();
    refused(&amina.run(&["invite", "--name", "Dora"]).unwrap(), 3, "unreachable");
    let cleo = person(folder.path(), "cleo", &[]);
    refused(&join(&cleo, &unused, "Amina"), 3, "unreachable");
    assert!(contacts(&cleo).is_empty());
    let sent = ben.run(&["send", "Amina", "later"]).unwrap();
    refused(&sent, 3, "unreachable");
    assert_eq!(sent.lines[0]["state"], "queued");
    refused(&amina.run(&["receive"]).unwrap(), 3, "unreachable");
    assert_eq!(contacts(&amina).len(), 2, "no Dora");

    relay.restart().unwrap();
    assert_eq!(ben.run(&["receive"]).unwrap().status, Some(0));
    assert_eq!(texts(&amina.run(&["receive"]).unwrap()), ["later"]);
    join(&cleo, &unused, "Amina").line().unwrap();

    // Another relay at the address of the first.
    let place = relay.address().split_once('@').unwrap().1.to_owned();
    let wrong = format!("hearken://{}@{place}", "a".repeat(52));
    let dora = person(folder.path(), "dora", &[&wrong]);
    refused(&dora.run(&["invite"]).unwrap(), 3, "wrong-fingerprint");
    assert!(contacts(&dora).is_empty());
}

#[test]
fn texts_at_and_beyond_their_bounds_and_a_full_mailbox_lose_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let relay = Relay::start(&folder.path().join("relay")).unwrap();
    let amina = person(folder.path(), "amina", &[relay.address()]);
    let ben = person(folder.path(), "ben", &[]);
    join(&ben, &invite(&amina, "Ben"), "Amina").line().unwrap();
    amina.run(&["receive"]).unwrap();
    let send =
        |text: &[u8]| ben.run_with_input(&["send", "Amina", "--text-file", "-"], text).unwrap();
    refused(&send(b""), 1, "text-empty");
    refused(&send(&[0xff, 0xfe]), 1, "text-not-utf8");
    refused(&send(&vec![b'x'; 256 * 1_024 + 1]), 1, "text-too-long");
    // Two of the longest fit a mailbox of 512 blobs; the third waits.
    let longest = vec![b'y'; 256 * 1_024];
    assert_eq!(send(&longest).line().unwrap()["state"], "sent");
    assert_eq!(send(&longest).line().unwrap()["state"], "sent");
    let third = send(&longest);
    refused(&third, 3, "mailbox-full");
    assert_eq!(third.lines[0]["state"], "queued");
    let mut arrived = Vec::new();
    for _ in 0..4 {
        arrived.extend(texts(&amina.run(&["receive"]).unwrap()));
        assert_eq!(ben.run(&["receive"]).unwrap().status, Some(0));
    }
    assert_eq!(arrived.len(), 3, "each once");
    assert!(arrived.iter().all(|text| text.len() == longest.len()));
}

#[test]
fn routes_are_never_chosen_behind_the_persons_back() {
    let folder = tempfile::tempdir().unwrap();
    let relay = Relay::start(&folder.path().join("relay")).unwrap();
    let entry = Relay::start(&folder.path().join("entry")).unwrap();
    let amina = Person::new(folder.path(), "amina", &[]).unwrap();
    amina.init(&[relay.address()]).unwrap().line().unwrap();
    refused(&amina.run(&["invite"]).unwrap(), 1, "direct-needs-consent");
    refused(&amina.run(&["--route", "hop2", "invite"]).unwrap(), 1, "no-entry");
    amina.run(&["relay", "add", entry.address()]).unwrap().line().unwrap();
    amina.run(&["invite"]).unwrap().line().unwrap();
    // Not built: refused before a passphrase is asked or anything sent.
    refused(&amina.run(&["group", "list"]).unwrap(), 2, "not-built");
    refused(&amina.run(&["--proxy", "socks5://127.0.0.1:1", "receive"]).unwrap(), 2, "not-built");
}

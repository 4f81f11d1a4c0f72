//! Blobs that a contact's ratchet sealed, received into a vault in memory.

use hearken_proto::time::UnixHour;
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;

use super::*;
use crate::handshake;
use crate::sync::MIGRATIONS;
use crate::sync::content::{Body, Text, VERSION};
use crate::sync::records::NewContact;
use crate::sync::thread::SENT_AT_MAX;
use crate::vault::Vault;

const NOW: UnixMillis = UnixMillis(1_800_000_000_000);

fn day_of(day: u64) -> UnixMillis {
    UnixMillis(NOW.0 + day * 86_400_000)
}

/// An inviter's vault, and the ratchet of somebody who has joined.
struct Pair {
    vault: Vault,
    joiner: Ratchet,
    contact: ContactId,
    rng: ChaCha20Rng,
}

impl Pair {
    fn new() -> Self {
        let mut rng = ChaCha20Rng::seed_from_u64(1);
        let mut vault = Vault::open_in_memory(MIGRATIONS).unwrap();
        let contact = ContactId::from_bytes([1; 16]);
        let inviter = Inviter::create(&mut rng, "relay", &[2; 32], UnixHour(u32::MAX)).unwrap();
        let joined = handshake::join(&mut rng, inviter.link_secret(), inviter.card()).unwrap();
        vault
            .transaction(|tx| {
                let new = NewContact {
                    id: contact,
                    name: None,
                    stage: Stage::Invited,
                    link: Some("link"),
                    link_hash: [3; 32],
                    expires_hour: u32::MAX,
                };
                records::insert_contact(tx, &new)?;
                records::set_contact(tx, contact, "inviter", inviter.to_bytes().to_vec())
            })
            .unwrap();
        Self { vault, joiner: joined.ratchet, contact, rng }
    }

    fn says(&mut self, message: u8, sent_at_ms: u64, text: &str) -> Blob {
        let text = Text { text: text.to_owned(), reply_to: Vec::new() };
        let content = Content {
            version: VERSION,
            sent_at_ms,
            body: Some(Body::Text(text)),
            ..Content::default()
        };
        self.seals(message, &content)
    }

    fn seals(&mut self, message: u8, content: &Content) -> Blob {
        let packet = packet::cut([message; 16], &content.to_bytes()).remove(0);
        Blob::new(self.joiner.encrypt(&mut self.rng, &packet.encode_to_vec()).unwrap())
    }

    /// A text of `count` parts, a blob each.
    fn says_long(&mut self, message: u8, count: usize) -> Vec<Blob> {
        let text = Text { text: "x".repeat(FRAGMENT_MAX * (count - 1)), reply_to: Vec::new() };
        let content =
            Content { version: VERSION, body: Some(Body::Text(text)), ..Content::default() };
        let packets = packet::cut([message; 16], &content.to_bytes());
        assert_eq!(packets.len(), count);
        let mut seal = |packet: Packet| self.joiner.encrypt(&mut self.rng, &packet.encode_to_vec());
        packets.into_iter().map(|packet| Blob::new(seal(packet).unwrap())).collect()
    }

    fn receive(&mut self, blob: &Blob) -> Vec<Message> {
        self.receive_on(0, blob)
    }

    fn receive_on(&mut self, day: u64, blob: &Blob) -> Vec<Message> {
        let (contact, rng) = (self.contact, &mut self.rng);
        let received = self.vault.transaction(|tx| {
            let mut received = Received::default();
            receive(tx, contact, blob, day_of(day), rng, &mut received)?;
            Ok::<_, VaultError>(received)
        });
        received.unwrap().messages
    }

    /// The first sync of a day. Nothing but the vault's rows remembers what earlier ones did.
    fn sweep_on(&mut self, day: u64) -> Vec<Message> {
        let rng = &mut self.rng;
        self.vault.transaction(|tx| sweep(tx, day_of(day), rng)).unwrap()
    }

    fn parts_kept(&self) -> u32 {
        let rows = "SELECT count(*) FROM fragment";
        self.vault.database().query_row(rows, [], |row| row.get(0)).unwrap()
    }

    fn missing(&self) -> u32 {
        let lines =
            messages::history(self.vault.database(), self.contact.into(), 100, NOW).unwrap();
        let missing = lines.iter().map(|line| match line.kind {
            MessageKind::Gap { missing } => missing,
            _ => 0,
        });
        missing.sum()
    }
}

#[test]
fn a_writers_clock_may_say_anything() {
    let mut pair = Pair::new();
    let blob = pair.says(1, u64::MAX, "from the end of time");
    let messages = pair.receive(&blob);
    assert_eq!(messages[0].text(), "from the end of time");
    assert_eq!(messages[0].sent_at(), UnixMillis(SENT_AT_MAX));
}

#[test]
fn a_blob_that_comes_again_changes_nothing() {
    let mut pair = Pair::new();
    let blob = pair.says(1, 1, "once");
    assert_eq!(pair.receive(&blob).len(), 1);
    assert!(pair.receive(&blob).is_empty());
    assert_eq!(pair.missing(), 0);
    // A message sealed again after a rollback of its writer has the same id: it is shown once.
    let again = pair.says(1, 1, "once");
    assert!(pair.receive(&again).is_empty());
}

#[test]
fn what_cannot_be_opened_is_one_gap_and_what_comes_after_is_read() {
    let mut pair = Pair::new();
    let (first, lost, next) =
        (pair.says(1, 1, "first"), pair.says(2, 2, "lost"), pair.says(3, 3, "next"));
    pair.receive(&first);
    let mut garbled = *lost.as_bytes();
    garbled[2_000] ^= 1;
    pair.receive(&Blob::new(Box::new(garbled)));
    assert_eq!(pair.missing(), 1);
    assert_eq!(pair.receive(&next)[0].text(), "next");
    assert_eq!(pair.missing(), 1, "the number passed over is the one that was garbled");
    let (dropped, after) = (pair.says(4, 4, "dropped"), pair.says(5, 5, "after"));
    drop(dropped);
    pair.receive(&after);
    assert_eq!(pair.missing(), 2);
}

#[test]
fn a_gap_that_becomes_wider_while_it_is_shown_is_shown_again() {
    let mut pair = Pair::new();
    let (first, lost) = (pair.says(1, 1, "first"), [pair.says(2, 2, "a"), pair.says(3, 3, "b")]);
    pair.receive(&first);
    let [earlier, later] = lost.map(|blob| {
        let mut garbled = *blob.as_bytes();
        garbled[2_000] ^= 1;
        Blob::new(Box::new(garbled))
    });
    let mark_all = |pair: &mut Pair, shown: &[Message]| {
        let marked = |tx: &rusqlite::Transaction<'_>| {
            shown.iter().try_for_each(|line| messages::mark_shown(tx, line))
        };
        pair.vault.transaction(marked).unwrap();
    };
    let unshown = |pair: &Pair| messages::unshown(pair.vault.database(), NOW).unwrap();
    pair.receive(&earlier);
    let shown = unshown(&pair);
    pair.receive(&later);
    mark_all(&mut pair, &shown);
    let left = unshown(&pair);
    assert_eq!(left.len(), 1, "everything else was seen");
    assert_eq!(left[0].kind, MessageKind::Gap { missing: 2 });
    mark_all(&mut pair, &left);
    assert!(unshown(&pair).is_empty());
}

#[test]
fn a_blocked_contact_is_dropped_unseen() {
    let mut pair = Pair::new();
    let (first, second) = (pair.says(1, 1, "first"), pair.says(2, 2, "second"));
    pair.receive(&first);
    let contact = pair.contact;
    pair.vault.transaction(|tx| records::set_contact(tx, contact, "blocked", 1)).unwrap();
    assert!(pair.receive(&second).is_empty());
    let history = messages::history(pair.vault.database(), contact.into(), 100, NOW).unwrap();
    assert!(!history.iter().any(|line| line.text() == "second"));
}

#[test]
fn fragments_that_lie_about_themselves_are_gaps() {
    let mut pair = Pair::new();
    for (index, count) in [(0, 0), (1, 1), (0, FRAGMENTS_MAX + 1), (u32::MAX, 2)] {
        let fragment = Fragment { message: vec![1; 16], index, count, body: vec![1] };
        let packet = Packet { introduction: None, fragment: Some(fragment) };
        let body = packet.encode_to_vec();
        let blob = Blob::new(pair.joiner.encrypt(&mut pair.rng, &body).unwrap());
        pair.receive(&blob);
    }
    assert_eq!(pair.missing(), 4);
}

#[test]
fn a_text_whose_rest_does_not_come_is_one_gap_and_stays_one() {
    let mut pair = Pair::new();
    let parts = pair.says_long(1, 3);
    assert!(pair.receive(&parts[0]).is_empty());
    assert!(pair.sweep_on(22).is_empty(), "the rest may still come");
    let lines = pair.sweep_on(23);
    assert_eq!(lines.len(), 1);
    assert_eq!(lines[0].kind(), MessageKind::Gap { missing: 2 });
    assert!(pair.sweep_on(23).is_empty());
    assert_eq!(messages::unshown(pair.vault.database(), NOW).unwrap().last(), lines.last());
    for part in &parts[1..] {
        assert!(pair.receive_on(24, part).is_empty(), "a text that was given up stays so");
    }
    assert!(pair.sweep_on(60).is_empty());
    let next = pair.says(2, 2, "next");
    assert_eq!(pair.receive_on(60, &next)[0].text(), "next");
    assert_eq!((pair.missing(), pair.parts_kept()), (2, 0));
}

#[test]
fn the_rest_of_a_text_that_was_given_up_is_not_shown_as_missing_again() {
    for came in 0..3 {
        let mut pair = Pair::new();
        let (parts, next) = (pair.says_long(1, 4), pair.says(2, 2, "next"));
        pair.receive(&parts[0]);
        pair.sweep_on(23);
        for part in &parts[1..=came] {
            pair.receive_on(24, part);
        }
        assert_eq!(pair.receive_on(25, &next).len(), 1, "the text, and no gap before it");
        assert_eq!(pair.missing(), 3, "{came} of the rest came");
        // The next loss is another one.
        let (lost, after) = (pair.says(3, 3, "lost"), pair.says(4, 4, "after"));
        drop(lost);
        pair.receive_on(25, &after);
        assert_eq!(pair.missing(), 4, "{came} of the rest came");
    }
}

#[test]
fn parts_that_were_passed_over_are_not_shown_as_missing_again() {
    // What comes of a text of three parts before and after the one that follows it, and what is missing then.
    let before: [&[usize]; 5] = [&[0], &[1], &[2], &[0, 2], &[]];
    for came in before {
        for late in 0..3 {
            let mut pair = Pair::new();
            let (parts, next) = (pair.says_long(1, 3), pair.says(2, 2, "next"));
            came.iter().for_each(|at| drop(pair.receive(&parts[*at])));
            pair.receive_on(10, &next);
            let missing = 3 - u32::try_from(came.len()).unwrap();
            assert_eq!(pair.missing(), missing, "{came:?} came");
            pair.receive_on(30, &parts[late]);
            pair.sweep_on(32);
            pair.sweep_on(53);
            assert_eq!((pair.missing(), pair.parts_kept()), (missing, 0), "{came:?}, then {late}");
        }
    }
}

#[test]
fn a_text_is_whole_however_old_its_first_part_is_while_others_follow() {
    let mut pair = Pair::new();
    let parts = pair.says_long(1, 3);
    pair.receive_on(0, &parts[0]);
    pair.sweep_on(20);
    pair.receive_on(20, &parts[1]);
    pair.sweep_on(40);
    let lines = pair.receive_on(40, &parts[2]);
    assert_eq!(lines[0].text().len(), 2 * FRAGMENT_MAX);
    assert_eq!((pair.missing(), pair.parts_kept()), (0, 0));
}

#[test]
fn texts_that_are_begun_and_left_are_gaps_however_many() {
    let mut pair = Pair::new();
    for message in 1..=9 {
        let fragment = Fragment { message: vec![message; 16], index: 0, count: 2, body: vec![1] };
        let packet = Packet { introduction: None, fragment: Some(fragment) };
        let blob = Blob::new(pair.joiner.encrypt(&mut pair.rng, &packet.encode_to_vec()).unwrap());
        pair.receive(&blob);
    }
    assert_eq!((pair.missing(), pair.parts_kept()), (5, 4));
    pair.sweep_on(23);
    assert_eq!((pair.missing(), pair.parts_kept()), (9, 0));
}

#[test]
fn parts_that_contradict_each_other_are_a_gap() {
    let mut pair = Pair::new();
    for (index, count) in [(0, 2), (1, 3), (2, 3)] {
        let fragment = Fragment { message: vec![1; 16], index, count, body: vec![1] };
        let packet = Packet { introduction: None, fragment: Some(fragment) };
        let blob = Blob::new(pair.joiner.encrypt(&mut pair.rng, &packet.encode_to_vec()).unwrap());
        pair.receive(&blob);
    }
    assert_eq!((pair.missing(), pair.parts_kept()), (1, 0));
}

#[test]
fn what_a_blocked_contact_began_goes_unseen() {
    let mut pair = Pair::new();
    let parts = pair.says_long(1, 2);
    pair.receive(&parts[0]);
    let contact = pair.contact;
    pair.vault.transaction(|tx| records::set_contact(tx, contact, "blocked", 1)).unwrap();
    assert!(pair.sweep_on(23).is_empty());
    assert_eq!((pair.missing(), pair.parts_kept()), (0, 0));
}

//! Two sides of a conversation in vaults in memory, and what one says carried to the other in any order.

use hearken_proto::time::DAY_MS;
use proptest::prelude::*;
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;

use super::*;
use crate::consent::{ConsentId, ConsentState};
use crate::sync::MIGRATIONS;
use crate::sync::content::{Deletion, Edit, Reaction, Receipts};
use crate::sync::records::{NewContact, Stage};
use crate::vault::Vault;

#[path = "vault_bytes.rs"]
mod vault_bytes;

const NOW: UnixMillis = UnixMillis(1_800_000_000_000);

fn later(ms: u64) -> UnixMillis {
    UnixMillis(NOW.0 + ms)
}

/// A content as whatever seals it would carry it.
#[derive(Clone)]
struct Carried {
    id: MessageId,
    bytes: Vec<u8>,
}

/// One side, whose contact has not joined: what it says waits, and is carried by the test.
struct Side {
    vault: Vault,
    contact: ContactId,
    rng: ChaCha20Rng,
}

impl Side {
    fn new(seed: u64) -> Self {
        Self::over(Vault::open_in_memory(MIGRATIONS).unwrap(), seed)
    }

    fn over(mut vault: Vault, seed: u64) -> Self {
        let contact = ContactId::from_bytes([1; 16]);
        let new = NewContact {
            id: contact,
            name: Some("Ben"),
            stage: Stage::Invited,
            link: None,
            link_hash: [3; 32],
            expires_hour: u32::MAX,
        };
        vault.transaction(|tx| records::insert_contact(tx, &new)).unwrap();
        Self { vault, contact, rng: ChaCha20Rng::seed_from_u64(seed) }
    }

    fn does<T>(
        &mut self,
        what: impl FnOnce(&Connection, ThreadId, &mut ChaCha20Rng) -> Result<T, ClientError>,
    ) -> Result<T, ClientError> {
        let (thread, rng) = (ThreadId::from(self.contact), &mut self.rng);
        self.vault.transaction(|tx| what(tx, thread, rng))
    }

    fn says(&mut self, text: &str) -> MessageId {
        self.says_at(text, NOW)
    }

    fn says_at(&mut self, text: &str, now: UnixMillis) -> MessageId {
        self.does(|tx, thread, rng| say_text(tx, thread, text, None, now, rng)).unwrap()
    }

    fn edits(&mut self, target: MessageId, text: &str) -> Result<MessageId, ClientError> {
        self.does(|tx, thread, rng| edit(tx, thread, target, text, NOW, rng))
    }

    fn reacts(&mut self, target: MessageId, emoji: &str) -> Result<React, ClientError> {
        self.does(|tx, thread, rng| react(tx, thread, target, emoji, NOW, rng))
    }

    /// What waits is taken to be on its way.
    fn sends(&mut self) -> Vec<Carried> {
        let thread = ThreadId::from(self.contact);
        self.vault
            .transaction(|tx| {
                let waiting = outbox::waiting(tx, thread)?;
                waiting.iter().try_for_each(|one| outbox::remove_waiting(tx, one.seq))?;
                Ok::<_, VaultError>(waiting)
            })
            .unwrap()
            .into_iter()
            .map(|one| Carried { id: one.message, bytes: one.body.to_vec() })
            .collect()
    }

    fn takes(&mut self, carried: &Carried) -> Option<Vec<Message>> {
        self.takes_at(carried, NOW)
    }

    /// `None`: it is malformed.
    fn takes_at(&mut self, carried: &Carried, now: UnixMillis) -> Option<Vec<Message>> {
        let arrived = Arrived {
            thread: self.contact.into(),
            with: ThreadKind::Contact,
            author: self.contact.into(),
            id: carried.id,
            bytes: &carried.bytes,
        };
        let rng = &mut self.rng;
        match self.vault.transaction(|tx| take(tx, arrived, now, rng)).unwrap() {
            Taken::Lines(lines) => Some(lines),
            Taken::Malformed => None,
        }
    }

    fn history(&self) -> Vec<Message> {
        self.history_at(NOW)
    }

    fn history_at(&self, now: UnixMillis) -> Vec<Message> {
        messages::history(self.vault.database(), self.contact.into(), usize::MAX, now).unwrap()
    }

    fn line(&self, id: MessageId) -> Message {
        self.history().into_iter().find(|line| line.id == id).unwrap()
    }

    fn rows(&self, table: &str) -> u32 {
        let sql = format!("SELECT count(*) FROM {table}");
        self.vault.database().query_row(&sql, [], |row| row.get(0)).unwrap()
    }

    fn sweep_at(&mut self, now: UnixMillis) {
        self.vault.transaction(|tx| messages::sweep(tx, now)).unwrap();
    }

    /// The texts, what became of them, and what is thought of them: the same at both sides in the end.
    fn view(&self) -> Vec<(MessageId, MessageKind, String, bool, Vec<String>)> {
        let of_messages = |line: &Message| !matches!(line.kind, MessageKind::Reaction { .. });
        let mut view: Vec<_> = self
            .history()
            .into_iter()
            .filter(of_messages)
            .map(|line| {
                let mut emojis: Vec<String> =
                    line.reactions.iter().map(|given| given.emoji.clone()).collect();
                emojis.sort();
                (line.id, line.kind, line.text, line.edited, emojis)
            })
            .collect();
        view.sort_by_key(|line| line.0);
        view
    }
}

fn content(id: u8, order: u64, body: Body) -> Carried {
    let content = Content { version: VERSION, order, body: Some(body), ..Content::default() };
    Carried { id: MessageId::from_bytes([id; 16]), bytes: content.to_bytes().to_vec() }
}

fn bytes(id: MessageId) -> Vec<u8> {
    id.as_bytes().to_vec()
}

#[derive(Clone, Debug)]
enum Step {
    Says(u8),
    Edits(usize, u8),
    Reacts(usize, usize),
    TakesBackAll(usize),
    Deletes(usize),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => any::<u8>().prop_map(Step::Says),
        3 => (0..4_usize, any::<u8>()).prop_map(|(at, text)| Step::Edits(at, text)),
        3 => (0..4_usize, 0..3_usize).prop_map(|(at, emoji)| Step::Reacts(at, emoji)),
        1 => (0..4_usize).prop_map(Step::TakesBackAll),
        1 => (0..4_usize).prop_map(Step::Deletes),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn what_one_side_says_comes_to_the_same_in_any_order_and_however_often(
        steps in prop::collection::vec(step(), 1..24),
        seed in any::<u64>(),
    ) {
        let (mut amina, mut ben) = (Side::new(1), Side::new(2));
        let mut said = Vec::new();
        let mut carried = Vec::new();
        for step in steps {
            let at = |at: usize| said.get(at % said.len().max(1)).copied();
            match step {
                Step::Says(text) => said.push(amina.says(&format!("text {text}"))),
                Step::Edits(of, text) => if let Some(id) = at(of) {
                    let _ = amina.edits(id, &format!("edit {text}"));
                },
                Step::Reacts(of, emoji) => if let Some(id) = at(of) {
                    let _ = amina.reacts(id, ["👍", "🙏", "no"][emoji]);
                },
                Step::TakesBackAll(of) => if let Some(id) = at(of) {
                    let _ = amina.reacts(id, "");
                },
                Step::Deletes(of) => if let Some(id) = at(of) {
                    let _ = amina.does(|tx, thread, rng| delete_for_all(tx, thread, id, NOW, rng));
                },
            }
            carried.extend(amina.sends());
        }
        let mut rng = ChaCha20Rng::seed_from_u64(seed);
        let mut on_its_way: Vec<usize> = (0..carried.len()).chain(0..carried.len() / 2).collect();
        while !on_its_way.is_empty() {
            let next = usize::try_from(rng.next_u64() % on_its_way.len() as u64).unwrap();
            prop_assert!(ben.takes(&carried[on_its_way.swap_remove(next)]).is_some());
        }
        prop_assert_eq!(ben.view(), amina.view());
    }

    #[test]
    fn nothing_that_somebody_sends_is_an_error_of_the_vault(
        bytes in prop::collection::vec(any::<u8>(), 0..200),
        tag in 14..40_u8,
    ) {
        let mut side = Side::new(1);
        let _ = side.takes(&Carried { id: MessageId::from_bytes([9; 16]), bytes: bytes.clone() });
        // A version, and a body of any tag that holds the bytes.
        let key = u32::from(tag) << 3 | 2;
        let head = [8, 1, (key & 0x7f) as u8 | 0x80, (key >> 7) as u8];
        let length = [(bytes.len() & 0x7f) as u8 | 0x80, (bytes.len() >> 7) as u8];
        let bytes = [&head[..], &length, &bytes].concat();
        let lines = side.takes(&Carried { id: MessageId::from_bytes([8; 16]), bytes });
        // A tag that this version does not know is shown.
        if !(16..=25).contains(&tag) {
            prop_assert_eq!(lines.unwrap()[0].kind, MessageKind::Notice(Notice::NeedsNewer));
        }
    }
}

/// The property above can fail: where changes held by when they came, the sides would differ.
#[test]
fn changes_that_held_by_when_they_came_would_leave_two_sides_with_two_texts() {
    let (mut amina, mut ben) = (Side::new(1), Side::new(2));
    let id = amina.says("text");
    amina.edits(id, "first").unwrap();
    amina.edits(id, "last").unwrap();
    let mut carried = amina.sends();
    carried.swap(1, 2);
    for (at, one) in (1..).zip(&carried) {
        let content = Content::decode(&one.bytes[..]).unwrap();
        let by_arrival = Content { order: at, ..content }.to_bytes().to_vec();
        ben.takes(&Carried { id: one.id, bytes: by_arrival }).unwrap();
    }
    assert_ne!(ben.view(), amina.view());
}

/// What is asked every day of a vault with many lines goes by an index.
#[test]
fn nothing_but_a_search_reads_every_line() {
    let side = Side::new(1);
    let db = side.vault.database();
    for sql in [
        "UPDATE message SET state = 1 WHERE id = ?1 AND author IS NULL AND state = 0",
        "SELECT thread FROM message WHERE id = ?1 AND author IS NULL",
        "SELECT seq FROM message WHERE thread = ?1 AND id = ?2",
        "SELECT min(expires_at) FROM message WHERE expires_at IS NOT NULL AND kind NOT IN (7, 11, 13)",
        "SELECT thread FROM message WHERE expires_at <= ?1 AND kind NOT IN (7, 11, 13) ORDER BY expires_at",
        "DELETE FROM message WHERE kind = 13 AND max(coalesce(expires_at, 0), sent_at) < ?1",
        "SELECT EXISTS (SELECT 1 FROM message WHERE kind = 6)",
        "SELECT seq FROM message WHERE thread = ?2 AND kind <> 13 ORDER BY seq DESC LIMIT ?3",
        "SELECT seq FROM message WHERE shown = 0 ORDER BY seq",
        "SELECT count(*) FROM message WHERE thread = ?1 AND author IS NULL AND state = 0 AND kind IN (0, 14)",
        "SELECT text FROM message WHERE thread = ?1 AND target = ?2 AND kind = 6 AND missing = 0",
    ] {
        let mut plan = db.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).unwrap();
        let mut rows = plan.raw_query();
        let mut steps: Vec<String> = Vec::new();
        while let Some(row) = rows.next().unwrap() {
            steps.push(row.get(3).unwrap());
        }
        let scans = |step: &String| step.starts_with("SCAN message") && !step.contains("INDEX");
        assert!(!steps.iter().any(scans), "{sql}: {steps:?}");
    }
    let mut plan = db.prepare("EXPLAIN QUERY PLAN SELECT * FROM message WHERE kind = 0").unwrap();
    let control: String = plan.query_row([], |row| row.get(3)).unwrap();
    assert_eq!(control, "SCAN message", "control");
}

#[test]
fn what_a_newer_version_says_is_a_line_and_what_is_none_is_a_gap() {
    let mut side = Side::new(1);
    let newer = Content {
        version: VERSION + 1,
        body: Some(Body::Receipts(Receipts {})),
        ..Content::default()
    };
    let newer = Carried { id: MessageId::from_bytes([1; 16]), bytes: newer.to_bytes().to_vec() };
    let lines = side.takes(&newer).unwrap();
    assert_eq!(lines[0].kind(), MessageKind::Notice(Notice::NeedsNewer));
    assert!(side.takes(&newer).unwrap().is_empty(), "once");
    for bytes in [&b""[..], b"\xff\xff", b"\x10\x01"] {
        let carried = Carried { id: MessageId::from_bytes([2; 16]), bytes: bytes.to_vec() };
        assert!(side.takes(&carried).is_none(), "{bytes:?}");
    }
}

#[test]
fn nobody_changes_or_deletes_what_somebody_else_wrote_and_the_attempt_is_shown() {
    let mut amina = Side::new(1);
    let own = amina.says("mine");
    let edit = Body::Edit(Edit { target: bytes(own), text: "forged".into() });
    let deletion = Body::Deletion(Deletion { target: bytes(own) });
    for (id, body) in [(1, edit), (2, deletion)] {
        let lines = amina.takes(&content(id, u64::MAX, body)).unwrap();
        assert_eq!(lines[0].kind(), MessageKind::Notice(Notice::NotTheirs));
        assert_eq!(amina.line(own).text(), "mine");
    }
    let own_id_again = Carried {
        id: own,
        ..content(0, 0, Body::Text(Text { text: "in its place".into(), reply_to: Vec::new() }))
    };
    assert!(amina.takes(&own_id_again).is_none(), "an id is not used twice");
    // An edit that came before its target does not make it somebody else's to change.
    let mut ben = Side::new(2);
    let text = content(7, 0, Body::Text(Text { text: "theirs".into(), reply_to: Vec::new() }));
    let early = Body::Edit(Edit { target: vec![7; 16], text: "changed".into() });
    ben.takes(&content(3, 1, early)).unwrap();
    assert_eq!(ben.takes(&text).unwrap()[0].text(), "changed");
    // And a person changes only their own.
    let theirs = MessageId::from_bytes([7; 16]);
    assert!(matches!(ben.edits(theirs, "x"), Err(ClientError::NotYours)));
    let deleted = ben.does(|tx, thread, rng| delete_for_all(tx, thread, theirs, NOW, rng));
    assert!(matches!(deleted, Err(ClientError::NotYours)));
}

#[test]
fn ten_thousand_reactions_and_edits_to_nothing_are_bounded() {
    let mut side = Side::new(1);
    let known = side.says("known");
    for n in 0..10_000_u32 {
        let mut target = [0xee; 16];
        target[..4].copy_from_slice(&n.to_be_bytes());
        let mut id = [0xdd; 16];
        id[..4].copy_from_slice(&n.to_be_bytes());
        let target = if n % 2 == 0 { target } else { *known.as_bytes() };
        let body = match n % 4 {
            0 => Body::Edit(Edit { target: target.to_vec(), text: "x".into() }),
            _ => Body::Reaction(Reaction {
                target: target.to_vec(),
                emoji: format!("e{n}"),
                withdrawn: n % 8 > 4,
            }),
        };
        let carried = Carried { id: MessageId::from_bytes(id), ..content(0, n.into(), body) };
        assert!(side.takes(&carried).unwrap().len() <= 1);
    }
    assert!(side.rows("message WHERE kind = 6") <= 256 + 16);
    assert!(side.rows("early") <= 64);
    assert_eq!(side.line(known).reactions().len(), 16);
    // One's own still finds room.
    assert!(!side.reacts(known, "👍").unwrap().withdrawn);
}

#[test]
fn malformed_reactions_edits_and_receipts_are_refused() {
    let mut side = Side::new(1);
    let known = side.says("known");
    let reaction = |emoji: &str| {
        Body::Reaction(Reaction { target: bytes(known), emoji: emoji.into(), withdrawn: false })
    };
    let long = "x".repeat(65);
    for (n, emoji) in ["", "two words", "\u{1b}[2J", &long].into_iter().enumerate() {
        let id = u8::try_from(n).unwrap();
        assert!(side.takes(&content(id, 1, reaction(emoji))).is_none(), "{emoji:?}");
    }
    let text = "x".repeat(TEXT_MAX + 1);
    for body in [
        Body::Edit(Edit { target: vec![1; 15], text: "x".into() }),
        Body::Edit(Edit { target: bytes(known), text: String::new() }),
        Body::Edit(Edit { target: bytes(known), text: text.clone() }),
        Body::Deletion(Deletion { target: Vec::new() }),
        Body::Text(Text { text, reply_to: Vec::new() }),
        Body::Text(Text { text: String::new(), reply_to: Vec::new() }),
        Body::Text(Text { text: "x".into(), reply_to: vec![1; 17] }),
    ] {
        assert!(side.takes(&content(9, 1, body)).is_none());
    }
    for receipts in [vec![1; 15], vec![1; 129 * 16]] {
        let body = Some(Body::Receipts(Receipts {}));
        let content = Content { version: VERSION, receipts, body, ..Content::default() };
        let bytes = content.to_bytes().to_vec();
        assert!(side.takes(&Carried { id: MessageId::from_bytes([9; 16]), bytes }).is_none());
    }
}

#[test]
fn a_deletion_destroys_the_words_and_what_was_thought_of_them_and_is_shown() {
    let (mut amina, mut ben) = (Side::new(1), Side::new(2));
    let id = amina.says("to be regretted");
    let sent = amina.sends();
    ben.takes(&sent[0]).unwrap();
    ben.reacts(id, "👍").unwrap();
    amina.does(|tx, thread, rng| delete_for_all(tx, thread, id, NOW, rng)).unwrap();
    let lines = ben.takes(&amina.sends()[0]).unwrap();
    assert_eq!(lines[0].kind(), MessageKind::Notice(Notice::Deleted));
    assert_eq!(ben.history().len(), 1, "the line that something was deleted, and no reaction");
    assert!(ben.takes(&sent[0]).unwrap().is_empty(), "nothing brings it back");
    assert!(ben.history().iter().all(|line| line.text().is_empty()));
    let missing = ben.does(|tx, thread, rng| say_text(tx, thread, "x", Some(id), NOW, rng));
    assert!(matches!(missing, Err(ClientError::UnknownMessage)), "what is gone is not answered");
    assert!(search(ben.vault.database(), "regretted", NOW).unwrap().is_empty());
}

#[test]
fn what_was_not_sent_is_taken_back_and_nobody_is_told() {
    let mut amina = Side::new(1);
    let id = amina.says("too quick");
    amina.edits(id, "still too quick").unwrap();
    let told = amina.does(|tx, thread, rng| delete_for_all(tx, thread, id, NOW, rng)).unwrap();
    assert_eq!(told, None);
    assert!(amina.sends().is_empty());
    let id = amina.says("never mind");
    amina.does(|tx, thread, _| delete_here(tx, thread, id, NOW)).unwrap();
    assert!(amina.sends().is_empty());
    assert_eq!(amina.history().len(), 1, "the deleted one is a line, the other is not");
}

#[test]
fn the_timer_that_was_set_last_holds_at_both_sides_and_nobody_can_pin_it() {
    let (mut amina, mut ben) = (Side::new(1), Side::new(2));
    let set = |side: &mut Side, seconds, now| {
        side.does(|tx, thread, rng| set_timer(tx, thread, seconds, now, rng)).unwrap();
        side.sends().remove(0)
    };
    let timer_of = |side: &Side| timer(side.vault.database(), side.contact.into()).unwrap();
    let first = set(&mut amina, Some(60), NOW);
    let second = set(&mut ben, Some(3_600), later(1));
    assert!(ben.takes(&first).unwrap().is_empty(), "set before, came after");
    assert_eq!(
        amina.takes(&second).unwrap()[0].kind(),
        MessageKind::Notice(Notice::Timer { seconds: Some(3_600) })
    );
    assert_eq!((timer_of(&amina), timer_of(&ben)), (Some(3_600), Some(3_600)));
    // Two at once: the shorter one, at both.
    let (one, other) = (set(&mut amina, None, later(9_000)), set(&mut ben, Some(5), later(9_000)));
    ben.takes(&one);
    amina.takes(&other);
    assert_eq!((timer_of(&amina), timer_of(&ben)), (Some(5), Some(5)));
    let pinned = Body::Timer(super::content::Timer { seconds: 0 });
    ben.takes(&content(1, u64::MAX, pinned)).unwrap();
    assert_eq!(timer_of(&ben), None);
    set(&mut ben, Some(30), later(9_001));
    assert_eq!(timer_of(&ben), Some(30));
}

#[test]
fn what_is_written_under_a_timer_is_gone_at_its_time_at_each_side() {
    let (mut amina, mut ben) = (Side::new(1), Side::new(2));
    amina.does(|tx, thread, rng| set_timer(tx, thread, Some(60), NOW, rng)).unwrap();
    let id = amina.says("gone in a minute");
    let sent = amina.sends();
    // Ben has not heard of the timer, and gets the text hours later.
    let came = later(7_200_000);
    ben.takes_at(&sent[1], came).unwrap();
    let texts = |side: &Side, now| {
        side.history_at(now).iter().filter(|line| line.kind == MessageKind::Text).count()
    };
    assert_eq!((texts(&amina, later(59_999)), texts(&amina, later(60_000))), (1, 0));
    let gone = UnixMillis(came.0 + 60_000);
    assert_eq!((texts(&ben, UnixMillis(gone.0 - 1)), texts(&ben, gone)), (1, 0));
    assert_eq!(search(ben.vault.database(), "minute", came).unwrap().len(), 1, "control");
    assert!(search(ben.vault.database(), "minute", gone).unwrap().is_empty());
    ben.sweep_at(gone);
    assert!(ben.takes_at(&sent[1], gone).unwrap().is_empty(), "nor does it come again");
    assert_eq!(ben.rows("sealing_key"), 1, "until the end of the day");
    ben.sweep_at(UnixMillis((gone.0 / DAY_MS + 1) * DAY_MS));
    assert_eq!(ben.rows("sealing_key"), 0);
    ben.sweep_at(later(30 * DAY_MS));
    assert_eq!(ben.rows("message"), 0);
    let _ = id;
}

#[test]
fn words_whose_time_is_up_before_they_could_be_sent_are_a_line_and_do_not_go() {
    let mut amina = Side::new(1);
    amina.does(|tx, thread, rng| set_timer(tx, thread, Some(60), NOW, rng)).unwrap();
    amina.sends();
    let id = amina.says("too late");
    amina.sweep_at(later(60_000));
    assert!(amina.sends().is_empty());
    let line = amina.history_at(later(60_000)).into_iter().find(|line| line.id == id).unwrap();
    assert_eq!((line.kind(), line.text()), (MessageKind::Notice(Notice::TimeUpUnsent), ""));
}

#[test]
fn a_receipt_waits_one_to_ten_minutes_or_for_the_next_thing_that_is_said() {
    let mut waits = Vec::new();
    for seed in 0..200 {
        let (mut amina, mut ben) = (Side::new(1), Side::new(1_000 + seed));
        amina.says("hello");
        ben.takes(&amina.sends()[0]).unwrap();
        let due = due_at(ben.vault.database()).unwrap().unwrap().0 - NOW.0;
        assert!((60_000..=600_000).contains(&due), "{due}");
        waits.push(due);
        let queue = |ben: &mut Side, now| {
            ben.does(|tx, _, rng| Ok(queue_due(tx, now, rng)?)).unwrap();
            ben.sends()
        };
        assert!(queue(&mut ben, later(due - 1)).is_empty(), "never before");
        let told = queue(&mut ben, later(due));
        assert_eq!(told.len(), 1);
        assert!(queue(&mut ben, later(due)).is_empty(), "once");
        amina.takes(&told[0]).unwrap();
        assert_eq!(amina.history()[0].state(), MessageState::Delivered);
    }
    // Drawn evenly: the mean of 200 is within five of its standard deviations of the middle.
    let mean = waits.iter().sum::<u64>() / 200;
    assert!((275_000..385_000).contains(&mean), "{mean}");
    assert!(*waits.iter().min().unwrap() < 120_000 && *waits.iter().max().unwrap() > 540_000);
}

#[test]
fn receipts_ride_only_where_there_is_room_and_tell_nothing_where_they_are_off() {
    let (mut amina, mut ben) = (Side::new(1), Side::new(2));
    amina.says("one");
    amina.says("two");
    for carried in amina.sends() {
        ben.takes(&carried).unwrap();
    }
    let rides =
        |ben: &mut Side, room| ben.does(|tx, thread, _| Ok(ride(tx, thread, room)?)).unwrap().len();
    assert_eq!(rides(&mut ben, 15), 0);
    assert_eq!(rides(&mut ben, 31), 16);
    assert_eq!(rides(&mut ben, 1_000), 16);
    ben.does(|tx, thread, _| set_receipts(tx, thread, false)).unwrap();
    amina.says("three");
    ben.takes(&amina.sends()[0]).unwrap();
    assert_eq!(due_at(ben.vault.database()).unwrap(), None);
    // Receipts for what this side never said, or said nothing, change nothing.
    let body = Some(Body::Receipts(Receipts {}));
    let lie = Content { version: VERSION, receipts: vec![7; 32], body, ..Content::default() };
    let lie = Carried { id: MessageId::from_bytes([1; 16]), bytes: lie.to_bytes().to_vec() };
    assert!(amina.takes(&lie).unwrap().is_empty());
}

#[test]
fn a_reply_names_what_it_answers_and_a_reaction_taken_back_before_it_was_seen_is_not_shown() {
    let (mut amina, mut ben) = (Side::new(1), Side::new(2));
    let id = amina.says("question");
    ben.takes(&amina.sends()[0]).unwrap();
    ben.does(|tx, thread, rng| say_text(tx, thread, "answer", Some(id), NOW, rng)).unwrap();
    let lines = amina.takes(&ben.sends()[0]).unwrap();
    assert_eq!(lines[0].target(), Some(id));
    assert!(!ben.reacts(id, "👍").unwrap().withdrawn);
    assert!(ben.reacts(id, "👍").unwrap().withdrawn, "the same again takes it back");
    for carried in ben.sends() {
        amina.takes(&carried).unwrap();
    }
    let unshown = messages::unshown(amina.vault.database(), NOW).unwrap();
    assert_eq!(unshown.len(), 1, "the answer");
    assert!(amina.line(id).reactions().is_empty());
}

// --- consent --------------------------------------------------------------------------------------

fn asks(side: &mut Side, target: MessageId, until: Option<UnixMillis>) -> ConsentId {
    let ask = Ask { target, audience: "the council".into(), purpose: "the hearing".into(), until };
    side.does(|tx, thread, rng| super::ask(tx, thread, ask, NOW, rng)).unwrap()
}

fn decides(side: &mut Side, id: ConsentId, to: ConsentState) -> Result<MessageId, ClientError> {
    side.does(|tx, _, rng| decide(tx, id, to, NOW, rng))
}

fn carry(from: &mut Side, to: &mut Side) {
    for carried in from.sends() {
        to.takes(&carried).unwrap();
    }
}

fn state_of(side: &Side, id: ConsentId) -> ConsentState {
    let all = consents(side.vault.database()).unwrap();
    all.into_iter().find(|consent| consent.id() == id).unwrap().state()
}

/// Ben wrote something, and Amina asked whether she may give it on.
fn asked(until: Option<UnixMillis>) -> (Side, Side, MessageId, ConsentId) {
    asked_of(Side::new(2), until)
}

fn asked_of(mut ben: Side, until: Option<UnixMillis>) -> (Side, Side, MessageId, ConsentId) {
    let mut amina = Side::new(1);
    let id = ben.says("what I saw");
    carry(&mut ben, &mut amina);
    let consent = asks(&mut amina, id, until);
    carry(&mut amina, &mut ben);
    (amina, ben, id, consent)
}

fn may_give(side: &mut Side, id: ConsentId, now: UnixMillis) -> bool {
    match side.does(|tx, _, _| check(tx, id, now)) {
        Ok(words) => {
            assert_eq!(*words, "what I saw");
            true
        }
        Err(ClientError::NotConsented) => false,
        Err(error) => panic!("{error}"),
    }
}

#[test]
fn words_are_given_on_after_a_yes_until_its_end_or_until_it_is_taken_back() {
    let (mut amina, mut ben, _, consent) = asked(Some(later(1_000)));
    assert!(!may_give(&mut amina, consent, NOW), "nobody has answered");
    decides(&mut ben, consent, ConsentState::Given).unwrap();
    carry(&mut ben, &mut amina);
    assert!(may_give(&mut amina, consent, later(999)));
    assert!(!may_give(&mut amina, consent, later(1_000)), "it is over");
    assert!(matches!(
        decides(&mut ben, consent, ConsentState::Refused),
        Err(ClientError::ConsentDecided)
    ));
    decides(&mut ben, consent, ConsentState::Withdrawn).unwrap();
    carry(&mut ben, &mut amina);
    assert!(!may_give(&mut amina, consent, NOW));
    assert_eq!(state_of(&amina, consent), ConsentState::Withdrawn);
    assert_eq!(state_of(&ben, consent), ConsentState::Withdrawn);
    // The other side answers for itself only, and the asker cannot answer for it.
    assert!(matches!(
        decides(&mut amina, consent, ConsentState::Given),
        Err(ClientError::NotYours)
    ));
    let (mut amina, mut ben, _, consent) = asked(None);
    decides(&mut ben, consent, ConsentState::Refused).unwrap();
    carry(&mut ben, &mut amina);
    assert!(!may_give(&mut amina, consent, NOW));
}

#[test]
fn a_consent_is_for_the_words_that_were_asked_about_and_no_others() {
    let (mut amina, mut ben, id, consent) = asked(None);
    decides(&mut ben, consent, ConsentState::Given).unwrap();
    carry(&mut ben, &mut amina);
    assert!(may_give(&mut amina, consent, NOW), "control");
    ben.edits(id, "what I saw, and who").unwrap();
    carry(&mut ben, &mut amina);
    assert!(!may_give(&mut amina, consent, NOW));
    // A yes is not given to words that are not there any more.
    let (mut amina, mut ben, id, consent) = asked(None);
    ben.edits(id, "something else").unwrap();
    assert!(matches!(
        decides(&mut ben, consent, ConsentState::Given),
        Err(ClientError::ConsentOutdated)
    ));
    decides(&mut ben, consent, ConsentState::Refused).unwrap();
    let own = amina.says("mine");
    let ask = |target, audience: &str, until| Ask {
        target,
        audience: audience.into(),
        purpose: "x".into(),
        until,
    };
    for (ask, wanted) in [
        (ask(own, "x", None), ClientError::OwnMessage),
        (ask(MessageId::from_bytes([9; 16]), "x", None), ClientError::UnknownMessage),
        (ask(id, " ", None), ClientError::ConsentInvalid),
        (ask(id, "x", Some(NOW)), ClientError::ConsentInvalid),
    ] {
        let refused = amina.does(|tx, thread, rng| super::ask(tx, thread, ask, NOW, rng));
        assert_eq!(refused.unwrap_err().to_string(), wanted.to_string());
    }
}

#[test]
fn an_answer_that_is_not_signed_by_the_one_key_over_this_question_changes_nothing() {
    let (mut amina, mut ben, _, consent) = asked(None);
    decides(&mut ben, consent, ConsentState::Given).unwrap();
    let answer = ben.sends().remove(0);
    let Content { order, body: Some(Body::ConsentAnswered(honest)), .. } =
        Content::decode(&answer.bytes[..]).unwrap()
    else {
        panic!("an answer")
    };
    let mut changed = [(); 4].map(|()| honest.clone());
    changed[0].signature[5] ^= 1;
    changed[1].decision = ConsentState::Refused.number();
    changed[2].public_key = vec![7; 32];
    changed[3].public_key = Vec::new();
    for answered in changed {
        assert!(amina.takes(&content(1, order, Body::ConsentAnswered(answered))).is_none());
        assert_eq!(state_of(&amina, consent), ConsentState::Asked);
    }
    // The asker's own question cannot be answered by whoever asked.
    let lines = ben.takes(&content(2, u64::MAX, Body::ConsentAnswered(honest.clone()))).unwrap();
    assert_eq!(lines[0].kind(), MessageKind::Notice(Notice::NotTheirs));
    amina.takes(&answer).unwrap();
    assert_eq!(state_of(&amina, consent), ConsentState::Given, "control");
    assert!(amina.takes(&answer).unwrap().is_empty(), "once");
    // Another key of the same person is refused, whatever it signs.
    let (_, mut other, _, _) = asked_of(Side::new(99), None);
    let question = consents(ben.vault.database()).unwrap().remove(0);
    other
        .vault
        .database()
        .execute(
            "UPDATE consent SET id = ?1, hash = ?2, message = ?3",
            [&question.id.as_bytes()[..], &question.hash[..], &question.message.as_bytes()[..]],
        )
        .unwrap();
    decides(&mut other, consent, ConsentState::Refused).unwrap();
    assert!(amina.takes(&other.sends()[0]).is_none());
    assert_eq!(state_of(&amina, consent), ConsentState::Given);
}

#[test]
fn a_withdrawal_that_comes_before_the_yes_holds() {
    let (mut amina, mut ben, _, consent) = asked(None);
    decides(&mut ben, consent, ConsentState::Given).unwrap();
    let given = ben.sends().remove(0);
    decides(&mut ben, consent, ConsentState::Withdrawn).unwrap();
    carry(&mut ben, &mut amina);
    amina.takes(&given).unwrap();
    assert!(!may_give(&mut amina, consent, NOW));
}

#[test]
fn a_withdrawal_has_the_copies_deleted_that_were_given_on() {
    let (mut amina, mut ben, _, consent) = asked(None);
    let cleo = ContactId::from_bytes([2; 16]);
    let new = NewContact {
        id: cleo,
        name: Some("Cleo"),
        stage: Stage::Invited,
        link: None,
        link_hash: [4; 32],
        expires_hour: u32::MAX,
    };
    amina.vault.transaction(|tx| records::insert_contact(tx, &new)).unwrap();
    let quotes =
        |amina: &mut Side| amina.does(|tx, _, rng| quote(tx, consent, cleo.into(), NOW, rng));
    assert!(matches!(quotes(&mut amina), Err(ClientError::NotConsented)));
    decides(&mut ben, consent, ConsentState::Given).unwrap();
    carry(&mut ben, &mut amina);
    let copy = quotes(&mut amina).unwrap();
    let to_cleo = |amina: &mut Side| {
        let contact = core::mem::replace(&mut amina.contact, cleo);
        let sent = amina.sends();
        amina.contact = contact;
        sent
    };
    let mut cleos = Side::new(3);
    cleos.takes(&to_cleo(&mut amina)[0]).unwrap();
    assert_eq!(cleos.line(copy).text(), "what I saw", "control");
    decides(&mut ben, consent, ConsentState::Withdrawn).unwrap();
    carry(&mut ben, &mut amina);
    cleos.takes(&to_cleo(&mut amina)[0]).unwrap();
    assert_eq!(cleos.line(copy).kind(), MessageKind::Notice(Notice::Deleted));
}

/// 2,000 texts, or 100,000 with HEARKEN_LONG=1: says how long a search of all took, in a vault on disk.
#[test]
#[allow(clippy::print_stdout, clippy::disallowed_methods, reason = "it says what it measured")]
fn a_search_reads_every_text_and_finds_those_that_have_the_words() {
    let long = std::env::var("HEARKEN_LONG").is_ok_and(|value| value == "1");
    let count: u32 = if long { 100_000 } else { 2_000 };
    let folder = tempfile::tempdir().unwrap();
    let mut rng = ChaCha20Rng::seed_from_u64(3);
    let cost = crate::vault::KdfCost::MINIMUM;
    let (vault, _) = Vault::create(folder.path(), b"x", cost, MIGRATIONS, &mut rng).unwrap();
    let mut side = Side::over(vault, 1);
    let (contact, rng) = (side.contact, &mut side.rng);
    side.vault
        .transaction(|tx| {
            for n in 0..count {
                let text = match n % 1_000 {
                    7 => format!("Число {n}: ВСТРЕЧА у моста"),
                    _ => format!("number {n}, and some words about nothing, as people write them"),
                };
                let head = own_head(contact.into(), ThreadKind::Contact, 0, 0, NOW, rng);
                messages::insert(tx, &head.line(MessageKind::Text, &text, None), true, rng)?;
            }
            Ok::<_, VaultError>(())
        })
        .unwrap();
    let db = side.vault.database();
    let begun = std::time::Instant::now();
    let found = search(db, "встреча  МОСТ", NOW).unwrap();
    println!("{count} texts searched in {} ms", begun.elapsed().as_millis());
    assert_eq!(found.len(), usize::try_from(count / 1_000).unwrap());
    assert_eq!(
        search(db, "number nothing 1999", NOW).unwrap().len(),
        if long { 10 + 1 } else { 1 }
    );
    assert_eq!(search(db, "nothing", NOW).unwrap().len(), 1_000, "the newest thousand");
    assert!(search(db, "  ", NOW).unwrap().is_empty());
}

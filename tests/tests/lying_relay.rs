//! A relay that lies, through the real programs: each lie is noticed or harmless, and nothing is lost that an honest
//! relay still has. In each test the same relay is honest first, so that the lie is what makes the difference.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a failing test panics")]

use hearken_tests::lying_relay::{Delivery, LyingRelay, OnTheLink, TellingOrder};
use hearken_tests::people::{self, amina_and_ben, done, refused};
use hearken_tests::programs::{Ended, Person};

struct Pair {
    relay: LyingRelay,
    amina: Person,
    ben: Person,
    folder: tempfile::TempDir,
}

impl Pair {
    /// Two people who met while the relay was honest.
    fn met(seed: u8) -> Self {
        let relay = LyingRelay::start(seed).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let [amina, ben] = amina_and_ben(folder.path(), relay.address());
        let pair = Self { relay, amina, ben, folder };
        pair.says("while it is honest");
        assert_eq!(pair.hears().texts, ["while it is honest"]);
        pair
    }

    fn says(&self, text: &str) {
        let sent = self.ben.run(&["send", "Amina", text]).unwrap();
        assert_eq!(sent.line().unwrap()["state"], "sent");
    }

    fn hears(&self) -> Heard {
        Heard::of(&self.amina.run(&["receive"]).unwrap())
    }

    /// After whatever was said: the conversation goes on in both directions.
    fn goes_on(&self) {
        self.says("it goes on");
        assert_eq!(self.hears().texts, ["it goes on"]);
        done(&self.amina.run(&["send", "Ben", "both ways"]).unwrap());
        assert_eq!(Heard::of(&self.ben.run(&["receive"]).unwrap()).texts, ["both ways"]);
    }
}

/// What a `receive` printed.
#[derive(Debug, PartialEq, Eq)]
struct Heard {
    texts: Vec<String>,
    missing: u64,
}

impl Heard {
    fn of(ended: &Ended) -> Self {
        Self {
            texts: people::texts(ended),
            missing: ended.lines.iter().filter_map(|line| line["missing"].as_u64()).sum(),
        }
    }
}

#[test]
fn what_a_relay_withholds_is_a_gap_and_is_read_when_it_comes() {
    let pair = Pair::met(41);
    pair.relay.deliver([Delivery::Withheld]);
    pair.says("withheld");
    pair.says("given");
    let heard = pair.hears();
    assert_eq!((heard.texts, heard.missing), (vec![String::from("given")], 1));
    assert_eq!(pair.relay.deliveries_left(), 0);
    pair.goes_on();
}

#[test]
fn what_a_relay_garbles_or_replaces_is_a_gap_and_never_words() {
    let pair = Pair::met(42);
    for lie in [Delivery::Garbled, Delivery::TheOneBefore] {
        pair.says("whole");
        assert_eq!(pair.hears().texts, ["whole"]);
        pair.relay.deliver([lie]);
        pair.says("changed");
        pair.says("after");
        let heard = pair.hears();
        assert_eq!((heard.texts, heard.missing), (vec![String::from("after")], 1), "{lie:?}");
        assert_eq!(pair.relay.deliveries_left(), 0);
    }
    pair.goes_on();
}

#[test]
fn what_a_relay_tells_twice_is_shown_once() {
    let pair = Pair::met(43);
    pair.relay.tell_in(TellingOrder::Doubled);
    pair.says("one");
    pair.says("two");
    assert_eq!(pair.hears(), Heard { texts: vec!["one".into(), "two".into()], missing: 0 });
    assert_eq!(pair.hears(), Heard { texts: Vec::new(), missing: 0 });
    pair.relay.tell_in(TellingOrder::Honest);
    pair.goes_on();
}

#[test]
fn what_a_relay_tells_in_another_order_is_all_read_once_and_the_gaps_are_shown() {
    let pair = Pair::met(44);
    pair.relay.tell_in(TellingOrder::Reversed);
    let said = ["one", "two", "three"];
    said.iter().for_each(|text| pair.says(text));
    let mut heard = pair.hears();
    heard.texts.sort_unstable_by_key(|text| said.iter().position(|said| said == text));
    assert_eq!(heard.texts, said);
    assert!(heard.missing > 0, "what came too early left a gap when it came");
    assert_eq!(pair.hears().texts, [""; 0]);
    pair.relay.tell_in(TellingOrder::Honest);
    pair.goes_on();
}

#[test]
fn cells_that_a_relay_changes_repeats_or_drops_end_the_session_and_nothing_is_lost() {
    let pair = Pair::met(45);
    for lie in [OnTheLink::Changed, OnTheLink::Twice, OnTheLink::Dropped] {
        pair.says("over a bad link");
        // At the beginning of a session, and later in one.
        for honest in 0..3 {
            let before = std::iter::repeat_n(OnTheLink::Honest, honest);
            pair.relay.on_the_link(before.chain([lie]));
            let received = pair.amina.run(&["receive"]).unwrap();
            // It goes on over another session, or says that the relay does not keep to the rules or does not answer.
            assert!(matches!(received.status, Some(0 | 1 | 3)), "{lie:?}: {}", received.errors);
            pair.relay.on_the_link([]);
            let texts =
                |ended: &Ended| ended.lines.iter().filter(|line| line["kind"] == "text").count();
            let mut arrived = texts(&received);
            arrived += pair.hears().texts.len();
            assert_eq!(arrived, usize::from(honest == 0), "{lie:?} after {honest} cells");
        }
        pair.goes_on();
    }
}

#[test]
fn a_relay_that_promises_more_than_there_is_holds_nobody_for_ever() {
    let pair = Pair::met(46);
    pair.relay.promise_more_than_there_is(true);
    pair.says("all that there is");
    let received = pair.amina.run(&["receive", "--timeout", "2"]).unwrap();
    assert_eq!(Heard::of(&received).texts, ["all that there is"]);
    pair.relay.promise_more_than_there_is(false);
    pair.goes_on();
}

#[test]
fn a_relay_that_swaps_cards_or_counts_chunks_wrong_is_found_out_and_nothing_is_kept() {
    let pair = Pair::met(47);
    let link = people::invite(&pair.amina, "Cleo");
    let cleo = people::person(pair.folder.path(), "cleo", &[pair.relay.address()]);
    let join = || people::join(&cleo, &link, "Amina");

    pair.relay.swap_cards(true);
    refused(&join(), 1, "card-swapped");
    assert!(cleo.run(&["contacts"]).unwrap().lines.is_empty());
    pair.relay.swap_cards(false);
    pair.relay.answer_with_chunks(Some(0));
    assert_eq!(join().status, Some(1));
    assert!(cleo.run(&["contacts"]).unwrap().lines.is_empty());
    pair.relay.answer_with_chunks(None);
    join().line().unwrap();
}

#[test]
fn a_relay_that_rolls_time_back_is_refused_until_its_clock_is_right() {
    let pair = Pair::met(48);
    // INFO is cached for an hour by nobody here: each command is a process of its own.
    pair.relay.set_clock(-4 * 60);
    let received = pair.amina.run(&["receive"]).unwrap();
    refused(&received, 1, "clock-went-back");
    let sent = pair.ben.run(&["send", "Amina", "when it is right again"]).unwrap();
    assert_eq!(sent.lines[0]["state"], "queued");
    pair.relay.set_clock(0);
    done(&pair.ben.run(&["receive"]).unwrap());
    assert_eq!(pair.hears().texts, ["when it is right again"]);
    pair.goes_on();
}

#[test]
fn a_relay_that_forgets_everything_is_survived_by_both_sides() {
    let pair = Pair::met(49);
    pair.says("lost with the relay's memory");
    pair.relay.forget_everything();
    // Whoever reads makes the mailbox again, and names the writer: no claim key works twice.
    for person in [&pair.amina, &pair.ben, &pair.amina, &pair.ben] {
        let _ = person.run(&["receive"]).unwrap();
    }
    pair.says("after");
    let heard = pair.hears();
    assert_eq!(heard.texts, ["after"]);
    assert_eq!(heard.missing, 1, "what the relay had acknowledged and lost is shown");
    pair.goes_on();
}

#[test]
fn a_relay_that_seals_more_or_fewer_answers_than_asked_for_holds_nobody_and_nothing_is_lost() {
    let pair = Pair::met(50);
    for added in [1, 16, -1] {
        pair.says("at the relay");
        pair.relay.set_clock(-4 * 60);
        let sent = pair.ben.run(&["send", "Amina", "on its way"]).unwrap();
        assert_eq!(sent.lines[0]["state"], "queued");
        pair.relay.set_clock(0);

        pair.relay.answer_with_cells_added(added);
        let lied_to =
            [&pair.amina, &pair.ben].map(|one| one.run(&["receive", "--timeout", "2"]).unwrap());
        pair.relay.answer_with_cells_added(0);
        if added > 0 {
            // What is too much comes before the first blob does.
            refused(&lied_to[0], 1, "relay-misbehaved");
        } else {
            // An answer that never comes is waited for, with what comes meanwhile.
            let in_time = |ended: &Ended| !ended.errors.contains("The time was up");
            assert!(!lied_to.iter().any(in_time), "{lied_to:?}");
        }
        done(&pair.ben.run(&["receive"]).unwrap());
        let mut lines = lied_to[0].lines.clone();
        lines.extend(pair.amina.run(&["receive"]).unwrap().lines);
        let texts: Vec<_> = lines.iter().map(|line| line["text"].as_str().unwrap()).collect();
        assert_eq!(texts, ["at the relay", "on its way"], "{added}");
        pair.goes_on();
    }
}

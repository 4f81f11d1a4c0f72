//! What people make of messages, through the real programs: replies, reactions, edits, deletions, timers, search, receipts.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a failing test panics")]

use std::time::Duration;

use hearken_tests::people::{amina_and_ben, done, meet, person, refused, texts};
use hearken_tests::programs::{Person, Relay};
use serde_json::Value;

fn says(person: &Person, words: &[&str]) -> Value {
    let ended = person.run(words).unwrap();
    ended.line().unwrap().clone()
}

/// The id of what a command that said something touched.
fn sent(person: &Person, words: &[&str]) -> String {
    let line = says(person, words);
    assert_eq!(line["state"], "sent", "{line}");
    line["message"].as_str().unwrap().to_owned()
}

/// The one new line of this kind.
fn comes(person: &Person, kind: &str) -> Value {
    let received = person.run(&["receive"]).unwrap();
    done(&received);
    let mut lines = received.lines.iter().filter(|line| line["kind"] == kind);
    let line = lines.next().unwrap_or_else(|| panic!("no {kind} in {:?}", received.lines)).clone();
    assert_eq!(lines.next(), None);
    line
}

fn line_of(person: &Person, with: &str, id: &str) -> Option<Value> {
    let history = person.run(&["history", with]).unwrap();
    done(&history);
    history.lines.into_iter().find(|line| line["message"] == id)
}

#[test]
fn a_conversation_with_everything_that_can_be_said_in_one() {
    let folder = tempfile::tempdir().unwrap();
    let relay = Relay::start(&folder.path().join("relay")).unwrap();
    let [amina, ben] = amina_and_ben(folder.path(), relay.address());

    let question = sent(&amina, &["send", "Ben", "Shall we meet at NOON?"]);
    assert_eq!(comes(&ben, "text")["message"], *question);
    let answer = sent(&ben, &["send", "Amina", "Yes", "--reply-to", &question[..8]]);
    let came = comes(&amina, "text");
    assert_eq!(
        (&came["message"], &came["reply_to"]),
        (&answer.clone().into(), &question.clone().into())
    );
    // The receipt rode on the answer.
    assert_eq!(line_of(&amina, "Ben", &question).unwrap()["state"], "delivered");
    assert_eq!(line_of(&ben, "Amina", &answer).unwrap()["state"], "sent", "never at once");

    let given = says(&ben, &["react", "Amina", &question, "👍"]);
    assert_eq!((&given["message"], &given["withdrawn"]), (&question.clone().into(), &false.into()));
    let reaction = comes(&amina, "reaction");
    assert_eq!((&reaction["text"], &reaction["from"]), (&"👍".into(), &"Ben".into()));
    assert_eq!(reaction["target"], *question);
    let thought = line_of(&amina, "Ben", &question).unwrap()["reactions"].clone();
    assert_eq!(thought, serde_json::json!([{"from": "Ben", "emoji": "👍"}]));
    assert_eq!(says(&ben, &["react", "Amina", &question, "👍"])["withdrawn"], true);
    assert_eq!(comes(&amina, "reaction")["withdrawn"], true);
    assert_eq!(line_of(&amina, "Ben", &question).unwrap().get("reactions"), None);

    sent(&amina, &["edit", "Ben", &question, "Shall we meet at one?"]);
    let edited = comes(&ben, "text");
    assert_eq!(
        (&edited["text"], &edited["edited"]),
        (&"Shall we meet at one?".into(), &true.into())
    );
    assert_eq!(texts(&ben.run(&["history", "Amina"]).unwrap()), ["Shall we meet at one?", "Yes"]);
    refused(&ben.run(&["edit", "Amina", &question, "at two"]).unwrap(), 1, "not-yours");
    refused(&ben.run(&["delete", "Amina", &question, "--both"]).unwrap(), 1, "not-yours");

    assert_eq!(texts(&ben.run(&["search", "MEET", "one"]).unwrap()), ["Shall we meet at one?"]);
    assert!(texts(&ben.run(&["search", "noon"]).unwrap()).is_empty(), "it says so no more");

    let regretted = sent(&amina, &["send", "Ben", "and bring the list"]);
    assert_eq!(texts(&ben.run(&["receive"]).unwrap()), ["and bring the list"], "control");
    sent(&amina, &["delete", "Ben", &regretted, "--both"]);
    let gone = comes(&ben, "notice");
    assert_eq!((&gone["message"], &gone["notice"]), (&regretted.clone().into(), &"deleted".into()));
    for (person, with) in [(&amina, "Ben"), (&ben, "Amina")] {
        assert!(texts(&person.run(&["search", "list"]).unwrap()).is_empty());
        assert_eq!(line_of(person, with, &regretted).unwrap()["kind"], "notice");
    }
    refused(&ben.run(&["react", "Amina", &regretted, "👍"]).unwrap(), 1, "unknown-message");
    refused(
        &ben.run(&["send", "Amina", "?", "--reply-to", &regretted]).unwrap(),
        1,
        "unknown-message",
    );
    // Here only: the other side keeps it.
    done(&ben.run(&["delete", "Amina", &question]).unwrap());
    assert_eq!(line_of(&ben, "Amina", &question), None);
    assert_eq!(line_of(&amina, "Ben", &question).unwrap()["kind"], "text");

    let set = says(&amina, &["timer", "Ben", "2s"]);
    assert_eq!((&set["timer"], &set["state"]), (&2.into(), &"sent".into()));
    assert_eq!(comes(&ben, "notice")["timer"], 2);
    sent(&ben, &["send", "Amina", "gone soon"]);
    let soon = comes(&amina, "text");
    assert_eq!(soon["text"], "gone soon");
    let until = hearken_tests::programs::PATIENCE;
    let begun = std::time::Instant::now();
    while !texts(&amina.run(&["search", "soon"]).unwrap()).is_empty() {
        assert!(begun.elapsed() < until, "it does not disappear");
    }
    let last = |person: &Person, with| texts(&person.run(&["history", with]).unwrap()).pop();
    assert_eq!(last(&amina, "Ben").as_deref(), Some("Yes"));
    assert_eq!(says(&ben, &["timer", "Amina", "off"])["timer"], Value::Null);
    assert_eq!(comes(&amina, "notice")["timer"], Value::Null);
    sent(&amina, &["send", "Ben", "this stays"]);
    let stays = comes(&ben, "text");
    assert_eq!((&stays["text"], stays.get("expires_at")), (&"this stays".into(), None));
}

#[test]
fn consent_is_asked_given_used_and_taken_back_at_everyone_who_got_a_copy() {
    let folder = tempfile::tempdir().unwrap();
    let relay = Relay::start(&folder.path().join("relay")).unwrap();
    let [amina, ben] = amina_and_ben(folder.path(), relay.address());
    let cleo = person(folder.path(), "cleo", &[relay.address()]);
    meet(("Cleo", &amina), ("Amina", &cleo));
    let id = sent(&ben, &["send", "Amina", "what I saw"]);
    comes(&amina, "text");
    let own = sent(&amina, &["send", "Ben", "thank you"]);
    let ask = |message: &str| {
        let words =
            ["consent", "ask", "Ben", "--to", "the council", "--for", "the hearing", message];
        amina.run(&words).unwrap()
    };
    refused(&ask(&own), 1, "own-message");
    let asked = ask(&id[..12]);
    let asked = asked.line().unwrap();
    assert_eq!((&asked["state"], &asked["delivery"]), (&"asked".into(), &"sent".into()));
    let consent = asked["consent"].as_str().unwrap();
    let came = comes(&ben, "consent");
    for (key, value) in [
        ("consent", consent),
        ("consent_state", "asked"),
        ("to", "the council"),
        ("for", "the hearing"),
        ("from", "Amina"),
    ] {
        assert_eq!(came[key], value, "{key}");
    }
    refused(&amina.run(&["send", "Cleo", "--quote", consent]).unwrap(), 1, "not-consented");
    refused(&amina.run(&["consent", "answer", consent, "yes"]).unwrap(), 1, "not-yours");
    refused(&ben.run(&["consent", "withdraw", consent]).unwrap(), 1, "consent-decided");
    assert_eq!(says(&ben, &["consent", "answer", &consent[..8], "yes"])["state"], "given");
    assert_eq!(comes(&amina, "consent")["consent_state"], "given");
    let copy = sent(&amina, &["send", "Cleo", "--quote", consent]);
    assert_eq!(comes(&cleo, "text")["text"], "what I saw");
    assert_eq!(says(&ben, &["consent", "withdraw", consent])["state"], "withdrawn");
    // The asker's program tells everyone who got a copy, in the sync in which it hears of it or the next.
    done(&amina.run(&["receive"]).unwrap());
    done(&amina.run(&["receive"]).unwrap());
    let gone = comes(&cleo, "notice");
    assert_eq!((&gone["message"], &gone["notice"]), (&copy.into(), &"deleted".into()));
    refused(&amina.run(&["send", "Cleo", "--quote", consent]).unwrap(), 1, "not-consented");
    for person in [&amina, &ben] {
        let listed = says(person, &["consent", "list"]);
        assert_eq!(
            (&listed["state"], &listed["message"]),
            (&"withdrawn".into(), &id.clone().into())
        );
    }
    refused(&ben.run(&["consent", "answer", "abcdef", "no"]).unwrap(), 1, "unknown-consent");
    let until = ["--until", "yesterday", &id];
    let words = [&["consent", "ask", "Ben", "--to", "x", "--for", "y"][..], &until].concat();
    refused(&amina.run(&words).unwrap(), 2, "date-invalid");
    let until = ["--until", "2020-01-01", &id];
    let words = [&["consent", "ask", "Ben", "--to", "x", "--for", "y"][..], &until].concat();
    refused(&amina.run(&words).unwrap(), 1, "consent-invalid");
}

#[test]
fn wrong_words_about_messages_are_refused_and_change_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let relay = Relay::start(&folder.path().join("relay")).unwrap();
    let [amina, ben] = amina_and_ben(folder.path(), relay.address());
    let id = sent(&amina, &["send", "Ben", "hello"]);
    comes(&ben, "text");
    for (words, status, code) in [
        (&["react", "Ben", "ffff", "👍"][..], 1, "unknown-message"),
        (&["react", "Ben", "fff", "👍"], 1, "unknown-message"),
        (&["react", "Ben", "%%%%", "👍"], 1, "unknown-message"),
        (&["react", "Nobody", &id, "👍"], 1, "unknown-contact"),
        (&["react", "Ben", &id, "two words"], 1, "emoji-invalid"),
        (&["edit", "Ben", &id, ""], 1, "text-empty"),
        (&["delete", "Ben", "no-id"], 1, "unknown-message"),
        (&["timer", "Ben", "soon"], 2, "timer-invalid"),
        (&["timer", "Ben", "0m"], 2, "timer-invalid"),
        (&["timer", "Ben", "366d"], 2, "timer-invalid"),
        (&["search", ""], 1, "text-empty"),
    ] {
        refused(&amina.run(words).unwrap(), status, code);
    }
    assert!(ben.run(&["receive"]).unwrap().lines.is_empty());
    assert_eq!(texts(&amina.run(&["history", "Ben"]).unwrap()), ["hello"]);
    // What is said to somebody who has not joined waits, and is taken back without a trace.
    done(&amina.run(&["invite", "--name", "Cleo"]).unwrap());
    let waits = says(&amina, &["send", "Cleo", "for later"]);
    assert_eq!(waits["state"], "queued");
    let waits = waits["message"].as_str().unwrap();
    assert_eq!(says(&amina, &["edit", "Cleo", waits, "for later, changed"])["state"], "queued");
    done(&amina.run(&["delete", "Cleo", waits, "--both"]).unwrap());
    refused(&amina.run(&["edit", "Cleo", waits, "again"]).unwrap(), 1, "unknown-message");
}

#[test]
fn what_is_said_about_a_message_arrives_though_everything_is_killed() {
    let folder = tempfile::tempdir().unwrap();
    let mut relay = Relay::start(&folder.path().join("relay")).unwrap();
    let [amina, ben] = amina_and_ben(folder.path(), relay.address());
    let id = sent(&amina, &["send", "Ben", "first"]);
    comes(&ben, "text");
    relay.kill();
    let refused = amina.run_killed(&["edit", "Ben", &id, "second"], b"", Duration::from_secs(2));
    assert_ne!(refused.unwrap().status, Some(0));
    relay.restart().unwrap();
    // Killed at any moment, an edit is made whole or not at all, and the last one holds.
    for (n, life_ms) in [40, 80, 120, 160, 240].into_iter().enumerate() {
        let text = format!("edit {n}");
        let words = ["edit", "Ben", &id, &text];
        amina.run_killed(&words, b"", Duration::from_millis(life_ms)).unwrap();
        ben.run_killed(&["receive"], b"", Duration::from_millis(life_ms)).unwrap();
    }
    sent(&amina, &["edit", "Ben", &id, "last"]);
    for person in [&ben, &amina, &ben] {
        done(&person.run(&["receive"]).unwrap());
    }
    for (person, with) in [(&amina, "Ben"), (&ben, "Amina")] {
        assert_eq!(texts(&person.run(&["history", with]).unwrap()), ["last"]);
    }
}

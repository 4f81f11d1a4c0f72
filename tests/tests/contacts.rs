//! What a person does with contacts, through the real programs: blocking, names, meeting again.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a failing test panics")]

use std::time::Duration;

use hearken_client_lib::{Client, ClientError, KdfCost, Options, RouteChoice, SendOutcome};
use hearken_tests::people::{amina_and_ben, done, invite, join, person, refused, texts};
use hearken_tests::programs::{Person, Relay};
use serde_json::Value;

fn contact(person: &Person, name: &str) -> Value {
    let listed = person.run(&["contacts"]).unwrap();
    listed.lines.into_iter().find(|line| line["name"] == name).unwrap()
}

#[test]
fn nothing_goes_to_a_blocked_contact_not_even_what_waited() {
    let folder = tempfile::tempdir().unwrap();
    let mut relay = Relay::start(&folder.path().join("relay")).unwrap();
    let [amina, ben] = amina_and_ben(folder.path(), relay.address());
    done(&amina.run(&["send", "Ben", "before"]).unwrap());
    assert_eq!(texts(&ben.run(&["receive"]).unwrap()), ["before"], "control");
    relay.kill();
    refused(&amina.run(&["send", "Ben", "must never reach Ben"]).unwrap(), 3, "unreachable");
    done(&amina.run(&["block", "Ben"]).unwrap());
    relay.restart().unwrap();
    done(&amina.run(&["receive"]).unwrap());
    assert!(texts(&ben.run(&["receive"]).unwrap()).is_empty());
    assert_eq!(texts(&ben.run(&["history", "Amina"]).unwrap()), ["before"]);
    refused(&amina.run(&["send", "Ben", "nor this"]).unwrap(), 1, "contact-blocked");
}

/// A home as it is after its vault was lost and made again from a copy.
fn lose_and_restore(person: &Person) {
    let copy = person.home().with_extension("copy");
    let copy = copy.to_str().unwrap();
    done(&person.run(&["vault", "backup", "--out", copy]).unwrap());
    done(&person.run(&["vault", "destroy"]).unwrap());
    done(&person.run(&["vault", "restore", "--from", copy]).unwrap());
    assert_eq!(contact(person, "Ben")["meet_again"], true);
}

#[test]
fn whoever_gets_the_name_of_one_to_be_met_again_takes_their_place() {
    let folder = tempfile::tempdir().unwrap();
    let relay = Relay::start(&folder.path().join("relay")).unwrap();
    let [amina, ben] = amina_and_ben(folder.path(), relay.address());
    let cleo = person(folder.path(), "cleo", &[relay.address()]);
    join(&cleo, &invite(&amina, "Cleo"), "Amina").line().unwrap();
    done(&amina.run(&["receive"]).unwrap());
    done(&amina.run(&["send", "Ben", "before the copy"]).unwrap());
    lose_and_restore(&amina);
    done(&amina.run(&["send", "Ben", "when we meet"]).unwrap());
    refused(&amina.run(&["rename", "Cleo", "Ben"]).unwrap(), 1, "name-taken");
    refused(&amina.run(&["rename", "Ben", "Cleo"]).unwrap(), 1, "name-taken");

    // They met under another name, and the person says who it is.
    done(&ben.run(&["receive"]).unwrap());
    done(&ben.run(&["rename", "Amina", "Amina before"]).unwrap());
    join(&ben, &invite(&amina, "Ben today"), "Amina").line().unwrap();
    done(&amina.run(&["receive"]).unwrap());
    done(&amina.run(&["send", "Ben today", "it is you"]).unwrap());
    done(&amina.run(&["rename", "Ben today", "Ben"]).unwrap());
    assert_eq!(contact(&amina, "Ben")["state"], "joined");
    done(&amina.run(&["receive"]).unwrap());
    assert_eq!(texts(&ben.run(&["receive"]).unwrap()), ["it is you", "when we meet"]);
    let history = texts(&amina.run(&["history", "Ben"]).unwrap());
    assert_eq!(history, ["before the copy", "when we meet", "it is you"]);
    assert_eq!(amina.run(&["contacts"]).unwrap().lines.len(), 2, "Ben, and Cleo who is apart");
}

#[test]
fn an_invitation_that_nobody_answers_does_not_keep_what_was_written() {
    let folder = tempfile::tempdir().unwrap();
    let relay = Relay::start(&folder.path().join("relay")).unwrap();
    let [amina, ben] = amina_and_ben(folder.path(), relay.address());
    done(&amina.run(&["send", "Ben", "before the copy"]).unwrap());
    done(&ben.run(&["receive"]).unwrap());
    lose_and_restore(&amina);
    done(&amina.run(&["send", "Ben", "when we meet"]).unwrap());
    let unanswered = invite(&amina, "Ben");
    done(&amina.run(&["send", "Ben", "and again"]).unwrap());
    done(&ben.run(&["rename", "Amina", "Amina before"]).unwrap());
    join(&ben, &invite(&amina, "Ben"), "Amina").line().unwrap();
    done(&amina.run(&["receive"]).unwrap());
    assert_eq!(texts(&ben.run(&["receive"]).unwrap()), ["when we meet", "and again"]);
    let history = texts(&amina.run(&["history", "Ben"]).unwrap());
    assert_eq!(history, ["before the copy", "when we meet", "and again"]);
    assert_eq!(contact(&amina, "Ben")["state"], "joined");
    // Once somebody has joined, the name is theirs; who has the first link still reaches its maker.
    refused(&amina.run(&["invite", "--name", "Ben"]).unwrap(), 1, "name-taken");
    let late = person(folder.path(), "late", &[relay.address()]);
    join(&late, &unanswered, "Amina").line().unwrap();
    done(&late.run(&["send", "Amina", "with the first link"]).unwrap());
    assert_eq!(texts(&amina.run(&["receive"]).unwrap()), ["with the first link"]);
    assert_eq!(texts(&amina.run(&["history", "Ben"]).unwrap()).len(), 3);
}

#[test]
fn a_name_that_somebody_is_invited_under_for_the_first_time_is_taken() {
    let folder = tempfile::tempdir().unwrap();
    let relay = Relay::start(&folder.path().join("relay")).unwrap();
    let amina = person(folder.path(), "amina", &[relay.address()]);
    let _ = invite(&amina, "Ben");
    refused(&amina.run(&["invite", "--name", "Ben"]).unwrap(), 1, "name-taken");
}

#[tokio::test]
async fn a_message_that_is_forgotten_or_blocked_while_it_waits_is_not_reported_as_sent() {
    let patience = Duration::from_secs(60);
    let folder = tempfile::tempdir().unwrap();
    let mut relay = Relay::start(&folder.path().join("relay")).unwrap();
    let mut clients = Vec::new();
    for name in ["amina", "ben"] {
        let options =
            Options { route: RouteChoice::Direct, kdf: KdfCost::MINIMUM, ..Options::default() };
        let (client, _) = Client::create(&folder.path().join(name), b"x", options).await.unwrap();
        client.add_relay(relay.address().parse().unwrap()).await.unwrap();
        clients.push(client);
    }
    let (amina, ben) = (&clients[0], &clients[1]);
    let mut joined = Vec::new();
    for name in ["first", "second"] {
        let link = ben.invite(Some(name.into()), Duration::from_secs(7_200)).await.unwrap().link;
        joined.push(amina.join(&link, Some(name.into())).await.unwrap().contact.id());
    }
    let control = amina.send_text(joined[0], "while it answers").await.unwrap();
    assert_eq!(amina.wait_sent(control, patience).await.unwrap(), SendOutcome::Sent);
    relay.kill();
    let forgotten = amina.send_text(joined[0], "to be forgotten").await.unwrap();
    let blocked = amina.send_text(joined[1], "to be blocked").await.unwrap();
    let (waited, ()) = tokio::join!(amina.wait_sent(forgotten, patience), async {
        amina.forget(joined[0]).await.unwrap();
    });
    assert!(matches!(waited, Err(ClientError::UnknownContact)), "{waited:?}");
    let (waited, ()) = tokio::join!(amina.wait_sent(blocked, patience), async {
        amina.block(joined[1]).await.unwrap();
    });
    assert!(matches!(waited, Err(ClientError::Blocked)), "{waited:?}");
}

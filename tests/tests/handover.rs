//! A follower that gives the home to another process and takes it back.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a failing test panics")]

use std::path::Path;
use std::time::Duration;

use hearken_client_lib::vault::HomeLock;
use hearken_client_lib::{Client, Event, Events, KdfCost, Options, RouteChoice};
use hearken_tests::programs::{Relay, folder};

const PATIENCE: Duration = Duration::from_secs(60);

async fn follower(home: &Path, relays: &[&Relay]) -> Client {
    let options = Options { route: RouteChoice::Hop2, kdf: KdfCost::MINIMUM, ..Options::default() };
    let (client, _) = Client::create(home, b"x", options).await.unwrap();
    for relay in relays {
        client.add_relay(relay.address().parse().unwrap()).await.unwrap();
    }
    client.invite(None, Duration::from_secs(7_200)).await.unwrap();
    client.follow().await.unwrap();
    client
}

async fn wait_for(events: &mut Events, is_it: impl Fn(&Event) -> bool) -> Vec<Event> {
    let mut seen = Vec::new();
    loop {
        let event = tokio::time::timeout(PATIENCE, events.next()).await.unwrap().unwrap();
        assert!(!matches!(event, Event::RelayUnreachable(_)), "every relay answers");
        seen.push(event);
        if is_it(&seen[seen.len() - 1]) {
            return seen;
        }
    }
}

/// Takes the home as another process would, and gives it back.
async fn take_turn(home: &Path) {
    let home = home.to_owned();
    let taken = tokio::task::spawn_blocking(move || HomeLock::acquire(&home, PATIENCE, "test"));
    drop(taken.await.unwrap().unwrap());
}

fn links_opened(relay: &Relay) -> u64 {
    let program = folder().unwrap().join("hearken-relay");
    let mut command = std::process::Command::new(program);
    command.args(["stats", "--json", "--data"]).arg(relay.folder());
    let told = String::from_utf8(command.output().unwrap().stdout).unwrap();
    let line: serde_json::Value = serde_json::from_str(told.trim()).unwrap();
    line["links_opened"].as_u64().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_handover_of_the_home_is_no_failure_of_a_relay_and_no_reason_for_another_entry() {
    let folder = tempfile::tempdir().unwrap();
    let relay = |name: &str| Relay::start(&folder.path().join(name)).unwrap();
    let (mailboxes, first, second) = (relay("mailboxes"), relay("first"), relay("second"));
    let home = folder.path().join("home");
    let client = follower(&home, &[&mailboxes, &first, &second]).await;
    let mut events = client.events();
    assert!(links_opened(&first) > 0, "control");
    for _ in 0..2 {
        take_turn(&home).await;
        let seen = wait_for(&mut events, |event| matches!(event, Event::TookBack)).await;
        assert!(seen.iter().any(|event| matches!(event, Event::GaveWay)));
        let outcome = client.sync(PATIENCE).await.unwrap();
        assert!(outcome.unreachable.is_empty() && !outcome.left_over, "{outcome:?}");
    }
    // Ends the events, so that all of them are looked at.
    client.close().await;
    while let Some(event) = events.next().await {
        assert!(!matches!(event, Event::RelayUnreachable(_)), "every relay answers");
    }
    assert_eq!(links_opened(&second), 0, "the first entry works, so no other learns the address");
}

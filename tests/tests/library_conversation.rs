//! Two clients of the library and real relays in one process.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a failing test panics")]

use std::path::Path;
use std::time::Duration;

use hearken_client_lib::{Client, KdfCost, MessageKind, Options, RouteChoice, SendOutcome};
use hearken_tests::programs::Relay;

fn options(route: RouteChoice) -> Options {
    Options { route, kdf: KdfCost::MINIMUM, ..Options::default() }
}

async fn person(folder: &Path, name: &str, relays: &[&Relay], route: RouteChoice) -> Client {
    let (client, _) = Client::create(&folder.join(name), b"x", options(route)).await.unwrap();
    for relay in relays {
        client.add_relay(relay.address().parse().unwrap()).await.unwrap();
    }
    client
}

async fn texts(client: &Client) -> Vec<String> {
    client
        .new_messages()
        .await
        .unwrap()
        .iter()
        .filter(|message| message.kind() == MessageKind::Text)
        .map(|message| message.text().to_owned())
        .collect()
}

async fn talk(route: RouteChoice) {
    let folder = tempfile::tempdir().unwrap();
    let first = Relay::start(&folder.path().join("relay-1")).unwrap();
    let second = Relay::start(&folder.path().join("relay-2")).unwrap();
    let amina = person(folder.path(), "amina", &[&first, &second], route).await;
    let ben = person(folder.path(), "ben", &[&second, &first], route).await;
    let invitation = amina.invite(Some("Ben".into()), Duration::from_secs(7_200)).await.unwrap();
    // Written before the other is there: it waits.
    let early = amina.send_text(invitation.contact.id(), "early").await.unwrap();
    assert_eq!(amina.wait_sent(early, Duration::from_secs(60)).await.unwrap(), SendOutcome::Queued);
    let joined = ben.join(&invitation.link, Some("Amina".into())).await.unwrap();
    let hello = ben.send_text(joined.contact.id(), "hello").await.unwrap();
    assert_eq!(ben.wait_sent(hello, Duration::from_secs(60)).await.unwrap(), SendOutcome::Sent);
    let outcome = amina.sync(Duration::from_secs(60)).await.unwrap();
    assert!(outcome.unreachable.is_empty() && !outcome.left_over && outcome.trouble.is_none());
    assert_eq!(texts(&amina).await, ["hello"]);
    ben.sync(Duration::from_secs(60)).await.unwrap();
    assert_eq!(texts(&ben).await, ["early"]);
    let safety = amina.safety(invitation.contact.id()).await.unwrap().unwrap();
    assert_eq!(Some(safety), ben.safety(joined.contact.id()).await.unwrap());
    // Both listen, and a long text goes each way.
    amina.follow().await.unwrap();
    ben.follow().await.unwrap();
    let mut events = ben.events();
    let long = "long ".repeat(50_000);
    let sent = amina.send_text(invitation.contact.id(), &long).await.unwrap();
    assert_eq!(amina.wait_sent(sent, Duration::from_secs(60)).await.unwrap(), SendOutcome::Sent);
    loop {
        if let hearken_client_lib::Event::MessageArrived(message) = events.next().await.unwrap()
            && message.text() == long
        {
            break;
        }
    }
    amina.close().await;
    ben.close().await;
}

#[tokio::test]
async fn two_people_talk_directly() {
    talk(RouteChoice::Direct).await;
}

#[tokio::test]
async fn two_people_talk_through_entry_relays() {
    talk(RouteChoice::Hop2).await;
}

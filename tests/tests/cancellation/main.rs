//! Futures dropped at each of their await points: of the library's calls (send, receive, invite, join, follow), and of
//! whole relays in the middle of sending, watching and forwarding. No message is lost or doubled, no mailbox gets stuck,
//! no task or thread is left.
//!
//! A call is polled as far as its first, second, … await point and dropped there, until one ends by itself. A relay is
//! dropped while one of its tasks stays at its first, second, … await point; that takes a build with planted faults
//! (`tests/planted/run --test cancellation`), and ordinary ones drop relays at moments that they come to. The parts
//! have such tests of their own: `client-lib/src/carrier/quic_tests.rs`, `relay/tests/embedded.rs`, `relay/tests/quic.rs`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a failing test panics")]

#[cfg(hearken_planted)]
mod await_points;
#[cfg(not(hearken_planted))]
mod calls;
#[cfg(not(hearken_planted))]
mod relays;

use std::path::Path;
use std::time::Duration;

use hearken_client_lib::{
    Client, ContactId, Invitation, KdfCost, MessageKind, Options, RouteChoice, SendOutcome,
};
use hearken_relay::choices::Choices;
use hearken_relay::config::Listen;
use hearken_relay::folder::Folder;
use hearken_relay::server::{self, Running, StartError};
use hearken_relay::store::StoreError;

/// Where a test keeps waiting for what should come at once.
const PATIENCE: Duration = Duration::from_secs(60);
/// A relay in this process, on the port that it had.
struct Relay {
    folder: Folder,
    listen: String,
    running: Option<Running>,
}

impl Relay {
    async fn start(folder: &Path) -> Self {
        let folder = Folder::new(folder);
        let mut relay = Self { folder, listen: String::from("127.0.0.1:0"), running: None };
        relay.start_again().await;
        relay
    }

    async fn try_start(&self) -> Result<Running, StartError> {
        let choices = Choices {
            listen: vec![Listen::parse(&self.listen).unwrap()],
            overrides: vec!["pow_bits=1".to_owned()],
            allow_private_peers: true,
            ..Choices::default()
        };
        let config = choices.prepare(&self.folder).unwrap();
        server::start(&self.folder, config).await
    }

    async fn start_again(&mut self) {
        let running = loop {
            match self.try_start().await {
                Ok(running) => break running,
                // What the last one left is let go of by its own threads, a moment after it was dropped.
                Err(StartError::Store(StoreError::Locked { .. }) | StartError::Listen { .. }) => {
                    tokio::task::yield_now().await;
                }
                Err(error) => panic!("{error}"),
            }
        };
        self.listen = running.listen()[0].to_string();
        self.running = Some(running);
    }

    /// Drops it with everything that hangs from it, wherever each of its tasks happens to wait.
    fn drop_it(&mut self) {
        self.running = None;
    }

    fn address(&self) -> hearken_client_lib::RelayAddress {
        self.running.as_ref().unwrap().address().to_string().parse().unwrap()
    }
}

/// Two people who have met.
struct Pair {
    amina: Client,
    ben: Client,
    to_amina: ContactId,
}

fn options(route: RouteChoice) -> Options {
    Options { route, kdf: KdfCost::MINIMUM, ..Options::default() }
}

async fn person(folder: &Path, relays: &[&Relay], route: RouteChoice) -> Client {
    let (client, _) = Client::create(folder, b"x", options(route)).await.unwrap();
    for relay in relays {
        client.add_relay(relay.address()).await.unwrap();
    }
    client
}

async fn invite(client: &Client, name: &str) -> Invitation {
    client.invite(Some(name.into()), Duration::from_secs(7_200)).await.unwrap()
}

impl Pair {
    async fn met(folder: &Path, relays: &[&Relay], route: RouteChoice) -> Self {
        let amina = person(&folder.join("amina"), relays, route).await;
        let ben = person(&folder.join("ben"), relays, route).await;
        let invitation = invite(&amina, "Ben").await;
        let joined = ben.join(&invitation.link, Some("Amina".into())).await.unwrap();
        let to_amina = joined.contact.id();
        for client in [&amina, &ben, &amina] {
            client.sync(PATIENCE).await.unwrap();
            let _ = texts(client).await;
        }
        Self { amina, ben, to_amina }
    }

    async fn close(self) {
        self.amina.close().await;
        self.ben.close().await;
    }
}

/// Sends a text until a relay holds it.
async fn send(client: &Client, contact: ContactId, text: &str) {
    let message = client.send_text(contact, text).await.unwrap();
    assert_eq!(client.wait_sent(message, PATIENCE).await.unwrap(), SendOutcome::Sent);
}

/// What came and was not shown, which is from here on.
async fn texts(client: &Client) -> Vec<String> {
    let messages = client.new_messages().await.unwrap();
    client.mark_shown(&messages).await.unwrap();
    words(&messages)
}

fn words(messages: &[hearken_client_lib::Message]) -> Vec<String> {
    let texts = messages.iter().filter(|message| message.kind() == MessageKind::Text);
    texts.map(|message| message.text().to_owned()).collect()
}

//! Answers every text with the same text, until it is ended.
//!
//! `cargo run -p hearken-client-lib --example echo_bot -- HOME PASSPHRASE-FILE`
//!
//! Shows how to follow: the client watches every mailbox, and the events say when to look.

use std::error::Error;
use std::path::Path;

use hearken_client_lib::{Client, Event, MessageKind, Options};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let [home, passphrase] = &words[..] else {
        return Err("usage: echo_bot HOME PASSPHRASE-FILE".into());
    };
    let passphrase = std::fs::read_to_string(passphrase)?;
    let passphrase = passphrase.strip_suffix('\n').unwrap_or(&passphrase);
    let client = Client::open(Path::new(home), passphrase.as_bytes(), Options::default()).await?;

    // Listen first, then look: nothing that comes in between is missed.
    let mut events = client.events();
    client.follow().await?;
    loop {
        for message in client.new_messages().await? {
            if message.kind() == MessageKind::Text {
                // The answer is stored before the text is marked: a kill in between answers twice, never not at all.
                client.send_text(message.conversation(), message.text()).await?;
            }
            client.mark_shown(std::slice::from_ref(&message)).await?;
        }
        loop {
            match events.next().await {
                Some(Event::MessageArrived(_)) => break,
                Some(_) => {}
                None => return Ok(()),
            }
        }
    }
}

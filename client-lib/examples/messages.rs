//! What can be made of messages: reacts to the last text of a contact, answers it, edits the answer, and lets what follows
//! disappear in a day.
//!
//! `cargo run -p hearken-client-lib --example messages -- HOME PASSPHRASE-FILE CONTACT`
//!
//! The vault is one that `hearken init` made; the contact has written something.

#![allow(clippy::print_stdout, reason = "a program that talks to a person")]

use std::error::Error;
use std::path::Path;
use std::time::Duration;

use hearken_client_lib::{Client, MessageKind, Options};

const PATIENCE: Duration = Duration::from_secs(20);
const A_DAY: Duration = Duration::from_secs(86_400);

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let [home, passphrase, contact] = &words[..] else {
        return Err("usage: messages HOME PASSPHRASE-FILE CONTACT".into());
    };
    let passphrase = std::fs::read_to_string(passphrase)?;
    let passphrase = passphrase.strip_suffix('\n').unwrap_or(&passphrase);
    let client = Client::open(Path::new(home), passphrase.as_bytes(), Options::default()).await?;
    let contact = client.find_contact(contact).await?;
    client.sync(PATIENCE).await?;

    let history = client.history(contact.id(), 100).await?;
    let theirs = history
        .iter()
        .rfind(|message| message.kind() == MessageKind::Text && !message.is_from_me())
        .ok_or("nothing to answer")?;
    client.react(contact.id(), theirs.id(), "👍").await?;
    let answer = client.reply(contact.id(), theirs.id(), "On my way").await?;
    client.edit(contact.id(), answer, "On my way, ten minutes").await?;
    let timer = client.set_timer(contact.id(), Some(A_DAY)).await?;
    // All of it is in the outbox, in order: when the last has gone, everything has.
    println!("{:?}", client.wait_sent_to(contact.id(), timer, PATIENCE).await?);
    for message in client.search("ten minutes").await? {
        println!("{:?}, edited: {}", message.state(), message.is_edited());
    }
    client.close().await;
    Ok(())
}

//! Sends a text to a contact and prints what has come since.
//!
//! `cargo run -p hearken-client-lib --example send_and_receive -- HOME PASSPHRASE-FILE CONTACT TEXT-FILE`
//!
//! The vault is one that `hearken init` made; the contact has joined or been joined.

#![allow(clippy::print_stdout, reason = "a program that talks to a person")]

use std::error::Error;
use std::path::Path;
use std::time::Duration;

use hearken_client_lib::{Client, MessageKind, Options, SendOutcome};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let [home, passphrase, contact, text] = &words[..] else {
        return Err("usage: send_and_receive HOME PASSPHRASE-FILE CONTACT TEXT-FILE".into());
    };
    // A passphrase is never an argument: every process of this machine can read those.
    let passphrase = std::fs::read_to_string(passphrase)?;
    let passphrase = passphrase.strip_suffix('\n').unwrap_or(&passphrase);
    let client = Client::open(Path::new(home), passphrase.as_bytes(), Options::default()).await?;

    let contact = client.find_contact(contact).await?;
    let message = client.send_text(contact.id(), &std::fs::read_to_string(text)?).await?;
    // From here on the text is in the outbox: whatever happens, it goes out sooner or later.
    match client.wait_sent(message, Duration::from_secs(20)).await? {
        SendOutcome::Sent => println!("sent"),
        other => println!("not yet: {other:?}"),
    }

    let outcome = client.sync(Duration::from_secs(10)).await?;
    if !outcome.unreachable.is_empty() {
        println!("{} relays do not answer", outcome.unreachable.len());
    }
    let new = client.new_messages().await?;
    for message in &new {
        match message.kind() {
            MessageKind::Text => println!("> {}", message.text()),
            other => println!("({other:?})"),
        }
    }
    // Only what was really shown is marked, so a kill in between shows it again.
    client.mark_shown(&new).await?;
    client.close().await;
    Ok(())
}

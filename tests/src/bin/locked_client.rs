//! A program on the library that opens a vault, talks, closes it, and lives on: what a locked app is. For the test that
//! looks for keys in its memory then (`tests/tests/leaks/device.rs`).
//!
//! `locked_client HOME PASSPHRASE-FILE CONTACT TEXT WORD`: prints `open` when it has sent TEXT and fetched what there was,
//! goes on at a line on standard input, prints `closed`, and ends with standard input. WORD stays in its memory.
#![forbid(unsafe_code)]
#![allow(clippy::print_stdout, reason = "its output is how the test follows it")]

use std::io::{Read, stdin};
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};
use hearken_client_lib::{Client, Options};
use zeroize::Zeroizing;
use zeroizing_alloc::ZeroAlloc;

/// As in the program that people run.
#[global_allocator]
static MEMORY: ZeroAlloc<std::alloc::System> = ZeroAlloc(std::alloc::System);

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().collect();
    let [_, home, passphrase, contact, text, word] = &arguments[..] else {
        anyhow::bail!("five arguments");
    };
    hearken_client_lib::vault::process::harden();
    let kept = word.to_uppercase();
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    let client = runtime.block_on(talk(home, passphrase, contact, text))?;
    println!("open");
    stdin().read_line(&mut String::new())?;
    runtime.block_on(client.close());
    println!("closed");
    let mut rest = String::new();
    stdin().read_to_string(&mut rest)?;
    anyhow::ensure!(kept != rest, "kept until here");
    Ok(())
}

async fn talk(home: &str, passphrase: &str, contact: &str, text: &str) -> Result<Client> {
    let passphrase = Zeroizing::new(std::fs::read(passphrase)?);
    let passphrase = passphrase.strip_suffix(b"\n").context("a final newline")?;
    let client = Client::open(Path::new(home), passphrase, Options::default()).await?;
    let contact = client.find_contact(contact).await?;
    let message = client.send_text(contact.id(), text).await?;
    client.wait_sent(message, Duration::from_secs(20)).await?;
    client.sync(Duration::from_secs(10)).await?;
    Ok(client)
}

//! The library that integrators embed: end-to-end encrypted conversations over minimal-knowledge relays.
//!
//! [`Client`] opens a vault and drives everything: it joins and makes invitations ([`Client::invite`],
//! [`Client::join`]), sends texts ([`Client::send_text`], [`Client::wait_sent`]), fetches ([`Client::sync`]) or listens
//! ([`Client::follow`], [`Client::events`]). What it gives out are a [`Contact`], a [`Message`], an [`Event`]. Time,
//! sockets and the disk are its own business; the caller only awaits.
//!
//! ```no_run
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! use std::path::Path;
//! use std::time::Duration;
//!
//! use hearken_client_lib::{Client, Options};
//!
//! let client = Client::open(Path::new("/home/me/.hearken"), b"passphrase", Options::default()).await?;
//! let friend = client.find_contact("Amina").await?;
//! let message = client.send_text(friend.id(), "Are you safe?").await?;
//! client.wait_sent(message, Duration::from_secs(20)).await?;
//! client.sync(Duration::from_secs(10)).await?;
//! for message in client.new_messages().await? {
//!     println!("{}", message.text());
//! }
//! # Ok(())
//! # }
//! ```
//!
//! Examples to copy: `examples/send_and_receive.rs`, `examples/echo_bot.rs` and `examples/messages.rs`.
#![forbid(unsafe_code)]

pub(crate) mod carrier;
pub mod clean;
mod client;
mod consent;
mod contact;
mod conversation;
mod driver;
mod error;
mod event;
mod file;
#[doc(hidden)]
pub mod fuzzing;
pub(crate) mod group;
pub mod handshake;
mod id;
mod invitation;
pub mod manual;
mod message;
mod options;
pub mod ratchet;
mod relays;
pub(crate) mod route;
pub mod simulation;
mod sync;
pub mod vault;

pub use client::contacts::NAME_MAX;
pub use client::files::FileOptions;
pub use client::invitations::{Invitation, Joined};
pub use client::messages::Reacted;
pub use client::{Client, Events, OpenError};
pub use consent::{Consent, ConsentId, ConsentState};
pub use contact::{Contact, ContactId, ContactState};
pub use conversation::{Author, Conversation};
pub use error::ClientError;
pub use event::Event;
pub use file::{FILE_MAX, FILE_NAME_MAX};
pub use handshake::SafetyCode;
pub use message::{
    FileInfo, FileState, Message, MessageId, MessageKind, MessageState, Notice, Reaction,
    SendOutcome,
};
pub use options::Options;
pub use relays::{Closing, Relay, RouteAdvice, RouteChoice};
pub use sync::SyncOutcome;
pub use vault::{KdfCost, RecoveryPhrase, VaultError};

/// What callers need of the wire: addresses, fingerprints, time.
pub use hearken_proto::{
    address::{AddressError, HostPort, RelayAddress},
    ids::Fingerprint,
    time::UnixMillis,
};

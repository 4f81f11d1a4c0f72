//! The engine of a client and what it is made of.
//!
//! `engine` brings everything forward; `sender` and `receiver` are the two ends of a contact's mailboxes; `errand` is
//! what needs a session once; `conversation` opens, seals and stores; `records`, `messages` and `parts` are the rows. No network
//! IO: a shell ([`crate::Client`]) carries out what the engine asks for.
#![deny(clippy::disallowed_methods)]

mod backoff;
pub(crate) mod closings;
mod conversation;
mod copies;
mod engine;
mod errand;
pub mod fuzzing;
pub(crate) mod messages;
mod packet;
mod parts;
mod receiver;
pub(crate) mod records;
mod schema;
mod sender;
mod trouble;

pub(crate) use copies::COPIES;
pub(crate) use engine::Engine;
pub use engine::SyncOutcome;
pub(crate) use errand::{ErrandId, ErrandOutcome};
pub(crate) use schema::MIGRATIONS;
pub(crate) use trouble::Trouble;

/// Set where the person agreed to go directly when there is no entry.
pub(crate) const SETTING_DIRECT: &str = "direct";
/// The longest relay address that fits a card and an introduction, in bytes.
pub(crate) const RELAY_ADDRESS_MAX: usize = 512;

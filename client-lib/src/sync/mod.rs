//! The engine of a client and what it is made of.
//!
//! `engine` brings everything forward; `sender` and `receiver` are the two ends of a contact's mailboxes; `errand` is
//! what needs a session once; `feed` and `object` are the ends of a feed and the ways of an object; `conversation` opens, seals and stores a contact's blobs; `content` is what they add up to and
//! `thread` what is made of it, for whatever conversation; `records`, `messages`, `outbox` and `parts` are the rows, and `keys`
//! the keys of those that are to be gone. No network
//! IO: a shell ([`crate::Client`]) carries out what the engine asks for.
#![deny(clippy::disallowed_methods)]

mod backoff;
pub(crate) mod closings;
pub(crate) mod content;
mod conversation;
mod copies;
mod engine;
mod errand;
#[allow(dead_code, unused_imports, reason = "groups stand on it")]
pub(crate) mod feed;
pub(crate) mod files;
pub mod fuzzing;
mod keys;
pub(crate) mod messages;
#[allow(dead_code, unused_imports, reason = "groups stand on parts of it")]
pub(crate) mod object;
pub(crate) mod outbox;
mod packet;
mod parts;
mod receiver;
pub(crate) mod records;
mod schema;
mod sender;
pub(crate) mod thread;
mod trouble;
#[allow(dead_code, reason = "as `feed` and `object`, whose part it is")]
mod visit;

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

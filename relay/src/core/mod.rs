//! The relay's protocol without IO: bytes, time and randomness in, actions out.
//!
//! A `Put` walks down: [`relay`] gives a link its turn, `last_hop` opens the cell and checks the proof, `command` names
//! what is asked of the store, `execute` carries it out on the committer's thread, `outcomes` answers when it is
//! durable. `entry` is the same relay for routes that go on to another.
//!
//! Guarantees: every queue is bounded by a named limit; an acknowledgement speaks of what is durable; one mailbox is
//! never related to another. Deliberately not here: sockets, threads, files, clocks, ambient randomness, and anything
//! that could read a message.
#![deny(clippy::disallowed_methods)]

pub mod action;
mod base;
pub mod bounds;
mod bucket;
mod census;
mod clock;
pub mod command;
pub mod config;
mod entry;
#[cfg(test)]
mod entry_tests;
pub mod epoch_keys;
mod execute;
mod feed;
mod feed_asks;
#[cfg(test)]
mod feed_engine_tests;
#[cfg(test)]
mod feed_keeping_tests;
#[cfg(test)]
mod feed_naming_tests;
mod feed_put;
mod feed_read;
mod feed_rows;
#[cfg(test)]
mod feed_tests;
#[cfg(test)]
mod feed_watch_tests;
mod forward;
#[doc(hidden)]
pub mod fuzzing;
mod housekeeping;
mod info;
#[cfg(test)]
mod keeping_tests;
mod last_hop;
mod links;
mod mailbox;
mod mailbox_read;
#[cfg(test)]
mod mailbox_tests;
mod object;
mod object_key;
mod object_named;
mod object_read;
#[cfg(test)]
mod object_tests;
mod outcomes;
mod peer;
mod peer_info;
mod pool;
mod put;
#[cfg(test)]
mod put_tests;
#[cfg(test)]
mod reading_tests;
pub mod relay;
#[cfg(test)]
mod relay_tests;
mod reply;
mod request;
mod rows;
mod session;
#[cfg(test)]
mod session_tests;
mod sweep;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod testing_books;
#[cfg(test)]
mod testing_feeds;
mod timers;
pub mod totals;
mod watch;
#[cfg(test)]
mod watch_tests;

pub use action::{Action, DialError, DialId, LinkId, Ticket, Warning};
pub use bounds::STORE_REQUESTS_MAX;
pub use command::{CommandContext, Outcome, ReadCommand, Told, WriteCommand};
pub use config::{Admission, CommandLimits, CoreConfig};
pub use epoch_keys::{EpochKey, EpochKeyError, EpochKeys};
pub use relay::RelayCore;
pub use totals::Totals;

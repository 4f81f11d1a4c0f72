//! Groups: MLS (RFC 9420) through openmls, over one opaque feed an epoch at the relay.
//!
//! Guarantees:
//! * Whether a commit is allowed depends on the epoch's policy record, its ratchet tree and the commit, and on nothing
//!   else: no clock, no history, no ratchet state ([`rules`]). So all members judge alike.
//! * The first entry of an epoch's feed that is a valid and allowed commit ends the epoch, also for whoever wrote another
//!   one (`sync/`). Nobody merges a commit before it was read back.
//! * A commit that this member cannot decrypt their part of is neither merged nor passed over: the member is stuck, says
//!   so, and is added anew.
//! * All that changes is written through the transaction that the caller gives ([`storage`]).
//!
//! Deliberately not here: mailboxes, feeds and objects (`sync/`), and what is inside a message.
#![deny(clippy::disallowed_methods)]
#![allow(dead_code, reason = "the engine does not bring groups forward yet")]

mod action;
mod committing;
mod epoch_keys;
mod error;
mod ids;
mod leaf;
mod mls_group;
mod provider;
mod record;
mod rules;
mod storage;
#[cfg(test)]
mod tests;

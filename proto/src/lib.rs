//! What goes over Hearken's wire: cells, schema, addresses, and the route seal that both ends share.
//!
//! Both the relay and the client library stand on this crate, so it holds only what both must agree on: no sockets, no
//! clock, no end-to-end cryptography. Randomness and time are passed in.
#![forbid(unsafe_code)]
#![deny(clippy::disallowed_methods)]

pub mod address;
pub mod aead;
pub mod auth;
pub mod cell;
pub mod hop;
pub mod ids;
pub mod info;
pub mod limits;
pub mod object;
pub mod payload;
#[cfg(hearken_planted)]
pub mod planted;
pub mod pow;
pub mod seal;
pub mod time;
pub mod tls;
pub mod wire;

#[cfg(test)]
mod golden_tests;
#[cfg(test)]
mod round_trips;
#[cfg(test)]
mod vectors;

//! The library that integrators embed: end-to-end encrypted conversations over minimal-knowledge relays.
#![forbid(unsafe_code)]

pub(crate) mod carrier;
pub mod handshake;
pub mod ratchet;
pub(crate) mod route;
pub mod vault;

//! What the programs leave behind: nothing of a scenario between real programs, at the most detailed log, is found where
//! it must not be; and each search finds what was planted for it.
//!
//! One scenario (`scenario.rs`) is run once and looked through by all: what the relays wrote (`relay_files.rs`), what is
//! in their memory (`relay_memory.rs`), what their rows tie together (`relations.rs`), what is on the clients' devices
//! (`device.rs`).
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a failing test panics")]

mod device;
#[cfg(hearken_planted)]
mod planted;
mod relations;
mod relay_files;
mod relay_memory;
mod scenario;

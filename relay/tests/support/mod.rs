//! What the relay's process tests share: a relay as a process, and a client that speaks the wire without client-lib
//! (which the relay must not depend on, in tests neither).
#![allow(
    dead_code,
    unreachable_pub,
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic
)]

pub mod client;
pub mod process;

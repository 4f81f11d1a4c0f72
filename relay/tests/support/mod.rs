//! What the relay's process tests share: a relay as a process, and a client that speaks the wire without client-lib
//! (which the relay must not depend on, in tests neither).
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a failing test panics")]
#![allow(dead_code, unreachable_pub, reason = "each test program uses a part")]

pub mod client;
pub mod process;

//! What passes between clients and relays, recorded and opened with the session keys.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a failing test panics")]
#![allow(clippy::print_stdout, reason = "it says what it did")]

mod leading_on;
mod outcomes;
#[cfg(hearken_planted)]
mod planted;
mod product;
mod record;
mod rewrite;
mod second_opinion;

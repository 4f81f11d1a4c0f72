//! What passes between clients and relays, recorded and opened with the session keys.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout)]

mod leading_on;
mod outcomes;
#[cfg(hearken_planted)]
mod planted;
mod product;
mod record;
mod rewrite;
mod second_opinion;

//! Client and relay in a world of seeded chance: see `hearken_tests::simulation`.
//!
//! `cargo test` runs some hundred seeds, with `HEARKEN_CI=1` 3,000, with `HEARKEN_LONG=1` a shard of 100,000.
//! `HEARKEN_SIMULATION_SEED=n` runs one seed, and prints its script made small where it breaks something.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a failing test panics")]
#![allow(clippy::print_stdout, reason = "it says what it did")]

#[path = "simulation/feeds.rs"]
mod feeds;
#[path = "simulation/found.rs"]
mod found;
#[path = "simulation/planted.rs"]
mod planted;
#[path = "simulation/seeds.rs"]
mod seeds;

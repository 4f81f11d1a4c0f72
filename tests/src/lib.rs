//! What the whole-system tests, simulations and benchmarks of Hearken share.
#![forbid(unsafe_code)]

pub mod vectors;

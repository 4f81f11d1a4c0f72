//! What the whole-system tests, simulations and benchmarks of Hearken share.
#![forbid(unsafe_code)]

pub mod chaos;
pub mod crash;
pub mod leaks;
pub mod load;
pub mod long;
pub mod lying_relay;
pub mod people;
pub mod programs;
pub mod simulation;
pub mod texts;
pub mod traffic;
pub mod vectors;

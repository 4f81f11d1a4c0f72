//! What the whole-system tests, simulations and benchmarks of Hearken share.
#![forbid(unsafe_code)]

pub mod chaos;
pub mod load;
pub mod long;
pub mod lying_relay;
pub mod programs;
pub mod texts;
pub mod vectors;

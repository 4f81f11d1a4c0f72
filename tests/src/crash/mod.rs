//! Crash points: what real processes write and sync is recorded, and rebuilt up to any moment without what was not
//! synced.
//!
//! `tests/crash/record.c` records, [`record`] reads, [`disk`] says what a power cut leaves, [`relay`], [`vault`], [`keeping`] and the tests in
//! `tests/tests/crash_points/` hold it against what the world had been told by then.

pub mod disk;
pub mod keeping;
pub mod loader;
mod opening;
pub mod record;
pub mod recorder;
pub mod relay;
pub mod vault;

pub use disk::{Disk, Loss};
pub use record::{Entry, Node, Record, What};
pub use recorder::{Clock, Recorder};

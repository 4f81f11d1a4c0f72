//! Carriers: what takes cells between this device and a first hop, and decides nothing.
//!
//! A carrier dials a relay whose key it knows, carries cells of 4,096 bytes both ways in order, and says when that ends
//! and whether it was because nobody or somebody else answered. All of it ends with its handles.
//!
//! Deliberately not here: what cells mean, which relay to dial and when to dial again (`route`, the engine).

mod quic;
mod race;

pub(crate) use quic::{CarrierEvent, carry};

//! Hearken's minimal-knowledge relay: it forwards and briefly stores fixed-size sealed cells.
#![forbid(unsafe_code)]

pub mod choices;
pub mod config;
pub mod core;
pub mod folder;
pub mod randomness;
pub mod store;

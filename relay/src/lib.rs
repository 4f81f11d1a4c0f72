//! Hearken's minimal-knowledge relay: it forwards and briefly stores fixed-size sealed cells.
#![forbid(unsafe_code)]

mod actor;
pub mod admin;
pub mod archive;
pub mod backup;
pub mod carrier;
pub mod check;
pub mod choices;
pub mod config;
pub mod core;
pub mod folder;
#[doc(hidden)]
pub mod fuzzing;
mod new_file;
pub mod notice;
pub mod randomness;
pub mod restore;
pub mod server;
pub mod simulation;
pub mod stop;
pub mod store;

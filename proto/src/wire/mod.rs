//! The protobuf schema: `hearken.proto`, and the Rust that is generated from it and committed.
//!
//! `proto/tests/schema.rs` fails when the two differ, and writes the Rust anew with `HEARKEN_REGENERATE=1`.

#[allow(missing_docs, reason = "the schema, from which it is generated, is documented")]
#[rustfmt::skip]
mod generated;

pub use generated::*;

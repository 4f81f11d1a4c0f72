//! What is fuzzed: a target for every decoder, and for both cores a target of event sequences.
//!
//! A target takes any bytes and panics where a property does not hold. libFuzzer calls one in a build of its own
//! (`tests/fuzz/run`, coverage-guided, for hours); `tests/fuzz/tests/corpora.rs` calls all on the committed corpora, and
//! on changed copies of them, in plain `cargo test`. `tests/fuzz/README.md` says how, and what each target shows.
//!
//! Decoders read the bytes as they are. The others read them as *choices* ([`Choices`]): each byte decides what happens
//! next, so that any bytes are a sequence of events, and changing some changes some events.
#![forbid(unsafe_code)]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::missing_panics_doc,
    reason = "a target panics where a property does not hold"
)]

mod choices;
mod client;
mod client_clean;
mod client_content;
mod client_copy;
mod client_core;
mod proto_seal;
mod proto_wire;
mod relay;
mod relay_core;
pub mod seeds;

pub use choices::Choices;

/// One thing to fuzz.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// Its name on the command line, and its corpus folder's.
    pub name: &'static str,
    /// Takes any bytes.
    ///
    /// # Panics
    /// Where a property does not hold.
    pub run: fn(&[u8]),
    /// The longest input that does anything more than a shorter one, in bytes.
    pub len_max: usize,
}

const fn target(name: &'static str, run: fn(&[u8]), len_max: usize) -> Target {
    Target { name, run, len_max }
}

/// Every target.
pub const TARGETS: &[Target] = &[
    target("proto-cell", proto_wire::cell, 4_097),
    target("proto-payload", proto_wire::payload, 2_580),
    target("proto-address", proto_wire::address, 2_048),
    target("proto-info", proto_wire::info, 3_716),
    target("proto-hop", proto_wire::hop, 318),
    target("proto-ids", proto_wire::ids, 256),
    target("proto-seal", proto_seal::session, 512),
    target("proto-auth", proto_seal::auth, 256),
    target("proto-pow", proto_seal::proof_of_work, 64),
    target("client-invitation", client::invitation, 1_280),
    target("client-card", client::card, 2_384),
    target("client-first-blob", client::first_blob, 2_400),
    target("client-header", client::header, 1_237),
    target("client-state", client::state, 16_384),
    target("client-slots", client::slots, 916),
    target("client-clean", client_clean::clean, 65_536),
    target("client-copy", client_copy::copy, 256),
    target("client-packet", client::packet, 1_161),
    target("client-content", client_content::said, 512),
    target("client-records", client_core::damaged_records, 256),
    target("client-inbox", client_core::hostile_peer, 512),
    target("client-core", client_core::events, 512),
    target("relay-rows", relay::rows, 512),
    target("relay-config", relay::config, 4_096),
    target("relay-key-files", relay::key_files, 4_108),
    target("relay-journals", relay::journals, 4_096),
    target("relay-manifests", relay::manifests, 2_048),
    target("relay-admin", relay::admin, 1_024),
    target("relay-backup", relay::backup, 4_096),
    target("relay-core", relay_core::events, 512),
];

/// The target of that name.
#[must_use]
pub fn named(name: &str) -> Option<&'static Target> {
    TARGETS.iter().find(|target| target.name == name)
}

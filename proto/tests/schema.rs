//! The committed Rust is what the committed schema generates.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a failing test panics")]

use std::path::Path;

#[test]
fn the_committed_code_is_generated_from_the_committed_schema() {
    let wire = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/wire");
    let descriptors = protox::compile(["hearken.proto"], [&wire]).unwrap();
    let out = tempfile::tempdir().unwrap();
    prost_build::Config::new().out_dir(out.path()).compile_fds(descriptors).unwrap();
    let generated = std::fs::read_to_string(out.path().join("hearken.v1.rs")).unwrap();
    let committed_at = wire.join("generated.rs");
    if std::env::var_os("HEARKEN_REGENERATE").is_some() {
        std::fs::write(&committed_at, &generated).unwrap();
    }
    let committed = std::fs::read_to_string(&committed_at).unwrap_or_default();
    assert!(
        generated == committed,
        "src/wire/generated.rs is stale: run `HEARKEN_REGENERATE=1 cargo test -p hearken-proto --test schema`"
    );
}

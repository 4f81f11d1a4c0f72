//! The shape of the workspace, held by a test: which way dependencies point, and what every crate and core declares.
//!
//! *The relay contains no code that could read a message* is true because the relay does not depend on client-lib;
//! this file is what keeps it true. Each check is a function over plain data, and is first shown a planted fault that
//! it must find. What it does not check: what the code does inside a crate.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a failing test panics")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use cargo_metadata::{DependencyKind, Metadata, MetadataCommand, Package, TargetKind};

/// What each crate of the workspace may reach of the workspace, directly or through anything else.
const MAY_REACH: [(&str, &[&str]); 6] = [
    ("hearken-proto", &[]),
    ("hearken-client-lib", &["hearken-proto"]),
    ("hearken-relay", &["hearken-proto"]),
    ("hearken", &["hearken-client-lib", "hearken-proto", "hearken-relay"]),
    ("hearken-tests", &["hearken", "hearken-client-lib", "hearken-proto", "hearken-relay"]),
    ("hearken-fuzz", &["hearken-client-lib", "hearken-proto", "hearken-relay"]),
];

/// What must not be anywhere under the crate that holds the wire: it is handed bytes, time and randomness.
const NEVER_UNDER_PROTO: [&str; 7] =
    ["tokio", "quinn", "quinn-proto", "mio", "socket2", "rusqlite", "fjall"];

/// The cores: a folder or file each, whose first file denies the methods that clippy.toml lists.
const CORES: [&str; 6] = [
    "proto/src",
    "relay/src/core",
    "client-lib/src/handshake",
    "client-lib/src/ratchet",
    "client-lib/src/route",
    "client-lib/src/sync",
];

/// Names of crates that each crate reaches; of one version of a name, or of several, all that any of them reaches.
type Reach = BTreeMap<String, BTreeSet<String>>;

#[test]
fn dependencies_between_the_crates_point_one_way() {
    let planted = BTreeMap::from([
        ("hearken-relay".to_owned(), BTreeSet::from(["innocent".to_owned()])),
        ("innocent".to_owned(), BTreeSet::from(["hearken-client-lib".to_owned()])),
    ]);
    let found = wrong_arrows(&planted);
    assert_eq!(found, ["hearken-relay reaches hearken-client-lib"], "the control went unseen");

    assert_eq!(wrong_arrows(&direct_dependencies(&metadata())), Vec::<String>::new());
}

#[test]
fn every_crate_of_the_workspace_has_its_place_in_the_order() {
    let metadata = metadata();
    let members: BTreeSet<_> =
        metadata.workspace_packages().iter().map(|package| package.name.to_string()).collect();
    let listed: BTreeSet<_> = MAY_REACH.iter().map(|(name, _)| (*name).to_owned()).collect();
    assert_eq!(members, listed, "a crate that MAY_REACH does not know would be judged by nothing");
}

#[test]
fn the_wire_crate_stands_on_no_runtime_socket_or_store() {
    let planted = BTreeMap::from([
        ("hearken-proto".to_owned(), BTreeSet::from(["helpful".to_owned()])),
        ("helpful".to_owned(), BTreeSet::from(["tokio".to_owned()])),
    ]);
    assert!(reached(&planted, "hearken-proto").contains("tokio"), "the control went unseen");

    let under = reached(&direct_dependencies(&metadata()), "hearken-proto");
    assert!(under.contains("hpke"), "the tree was not read");
    let unwanted: Vec<_> = NEVER_UNDER_PROTO.iter().filter(|name| under.contains(**name)).collect();
    assert!(unwanted.is_empty(), "hearken-proto reaches {unwanted:?}");
}

#[test]
fn unsafe_code_is_forbidden_in_every_crate_root_and_by_the_lints() {
    assert!(!forbids_unsafe("// #![forbid(unsafe_code)]\nfn main() {}"), "the control went unseen");
    assert!(forbids_unsafe("//! A crate.\n#![forbid(unsafe_code)]\n"));

    let shipped = |kind: &TargetKind| {
        matches!(kind, TargetKind::Lib | TargetKind::Bin | TargetKind::CustomBuild)
    };
    let metadata = metadata();
    let roots: Vec<_> = metadata
        .workspace_packages()
        .into_iter()
        .flat_map(|package| &package.targets)
        .filter(|target| target.kind.iter().any(shipped))
        .map(|target| target.src_path.as_std_path())
        .collect();
    assert!(roots.len() >= 6, "four libraries and two programs at least, not {roots:?}");
    let without: Vec<_> = roots.iter().filter(|root| !forbids_unsafe(&read(root))).collect();
    assert!(without.is_empty(), "no forbid(unsafe_code) in {without:?}");

    // Examples, tests and benchmarks are held by the lint that every member inherits.
    let root = read(&workspace_root().join("Cargo.toml"));
    let lints = entries(&root, "workspace.lints.rust");
    let forbidden =
        lints.iter().any(|(key, value)| key == "unsafe_code" && value.contains("forbid"));
    assert!(forbidden, "the workspace's lints let unsafe code pass");
}

#[test]
fn every_member_inherits_the_lints() {
    assert!(
        !inherits_lints("[lints]\n[lints.clippy]\ntodo = \"warn\"\n"),
        "the control went unseen"
    );
    for package in metadata().workspace_packages() {
        let manifest = read(package.manifest_path.as_std_path());
        assert!(inherits_lints(&manifest), "{} does not inherit the lints", package.name);
    }
}

#[test]
fn every_direct_dependency_has_its_reason_in_the_root_manifest() {
    let planted = "[workspace.dependencies]\na = \"1\" # why\nb = { version = \"1\" }\n\n[profile.dev]\nopt-level = 1\n";
    assert_eq!(without_reason(planted), ["b"], "the control went unseen");
    let planted = "[dependencies]\na.workspace = true\nb = \"1\"\nc = { workspace = true }\n";
    assert_eq!(not_from_the_root(planted), ["b"], "the control went unseen");

    let root = read(&workspace_root().join("Cargo.toml"));
    assert!(entries(&root, "workspace.dependencies").len() > 30, "the list was not read");
    assert_eq!(without_reason(&root), Vec::<String>::new());
    for package in metadata().workspace_packages() {
        let manifest = read(package.manifest_path.as_std_path());
        assert_eq!(not_from_the_root(&manifest), Vec::<String>::new(), "in {}", package.name);
    }
}

/// Whether a file of a core is compiled into its tests only: one in `tests/`, `tests.rs`, `tests_….rs` or `…_tests.rs`.
fn is_test(file: &Path) -> bool {
    let in_folder = file.parent().is_some_and(|folder| folder.ends_with("tests"));
    let name = file.file_stem().and_then(|name| name.to_str()).unwrap_or_default();
    in_folder || name == "tests" || name.starts_with("tests_") || name.ends_with("_tests")
}

#[test]
fn every_core_denies_clocks_tasks_waiting_and_ambient_randomness() {
    assert!(!denies_ambient("#![warn(clippy::disallowed_methods)]"), "the control went unseen");
    assert!(allows_ambient("    #[allow(clippy::disallowed_methods)]"), "the control went unseen");
    assert!(allows_ambient("#![expect(clippy::todo, clippy::disallowed_methods)]"));

    assert!(is_test(Path::new("core/relay_tests.rs")) && is_test(Path::new("tests/mod.rs")));
    assert!(!is_test(Path::new("core/relay.rs")) && !is_test(Path::new("core/latest.rs")));

    let mut faults = Vec::new();
    for core in CORES {
        let Some((first, files)) = core_files(&workspace_root().join(core)) else {
            faults.push(format!("{core} is no module: correct CORES"));
            continue;
        };
        if !denies_ambient(&read(&first)) {
            faults.push(format!("{} does not deny them", first.display()));
        }
        // A test says itself how long it is; what it tests is told.
        let lowered = files.iter().filter(|file| !is_test(file) && allows_ambient(&read(file)));
        faults.extend(lowered.map(|file| format!("{} takes the denial back", file.display())));
    }
    assert!(faults.is_empty(), "{faults:#?}");
    let listed = read(&workspace_root().join("clippy.toml"));
    for method in
        ["std::time::Instant::now", "std::time::SystemTime::now", "tokio::spawn", "getrandom::fill"]
    {
        assert!(listed.contains(&format!("path = \"{method}\"")), "clippy.toml lost {method}");
    }
}

fn workspace_root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("tests/ stands in the workspace")
        .to_owned()
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The resolved dependencies for this machine's platform (what other platforms need may not have been fetched).
fn metadata() -> Metadata {
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let version = Command::new(rustc).arg("-vV").output().expect("rustc tells its version");
    let version = String::from_utf8(version.stdout).expect("in text");
    let host = version.lines().find_map(|line| line.strip_prefix("host: ")).expect("with the host");
    MetadataCommand::new()
        .manifest_path(workspace_root().join("Cargo.toml"))
        .other_options(["--locked".to_owned(), format!("--filter-platform={host}")])
        .exec()
        .expect("cargo metadata")
}

/// Direct dependencies by name: all kinds for the workspace's own crates, without those of tests for any other.
fn direct_dependencies(metadata: &Metadata) -> Reach {
    let resolve = metadata.resolve.as_ref().expect("a resolved graph");
    let names: BTreeMap<_, _> =
        metadata.packages.iter().map(|package| (&package.id, package)).collect();
    let mut direct = Reach::new();
    for node in &resolve.nodes {
        let package: &Package = names[&node.id];
        let own = metadata.workspace_members.contains(&node.id);
        let reaches = direct.entry(package.name.to_string()).or_default();
        for dependency in &node.deps {
            let tests_only =
                dependency.dep_kinds.iter().all(|kind| kind.kind == DependencyKind::Development);
            if own || !tests_only {
                reaches.insert(names[&dependency.pkg].name.to_string());
            }
        }
    }
    direct
}

/// Everything that `from` reaches, itself left out.
fn reached(direct: &Reach, from: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut waiting = vec![from.to_owned()];
    while let Some(name) = waiting.pop() {
        for next in direct.get(&name).into_iter().flatten() {
            if found.insert(next.clone()) {
                waiting.push(next.clone());
            }
        }
    }
    found
}

fn wrong_arrows(direct: &Reach) -> Vec<String> {
    let mut wrong = Vec::new();
    for (name, allowed) in MAY_REACH {
        let reached = reached(direct, name);
        for (other, _) in MAY_REACH {
            if reached.contains(other) && !allowed.contains(&other) {
                wrong.push(format!("{name} reaches {other}"));
            }
        }
    }
    wrong
}

fn forbids_unsafe(source: &str) -> bool {
    source.lines().any(|line| line.trim() == "#![forbid(unsafe_code)]")
}

fn inherits_lints(manifest: &str) -> bool {
    entries(manifest, "lints")
        .iter()
        .any(|(key, value)| key == "workspace" && value.trim() == "true")
}

/// The entries of one section of a manifest: key, and the rest of the line with its comment.
fn entries(manifest: &str, section: &str) -> Vec<(String, String)> {
    let header = format!("[{section}]");
    let lines = manifest.lines().skip_while(|line| line.trim() != header).skip(1);
    lines
        .take_while(|line| !line.starts_with('['))
        .filter(|line| !line.starts_with([' ', '\t', '#', ']', '}']))
        .filter_map(|line| line.split_once('='))
        .map(|(key, value)| (key.trim().to_owned(), value.to_owned()))
        .collect()
}

fn without_reason(root: &str) -> Vec<String> {
    let own = |key: &str| MAY_REACH.iter().any(|(name, _)| *name == key);
    entries(root, "workspace.dependencies")
        .into_iter()
        .filter(|(key, value)| {
            let reason = value.rsplit_once(" # ").map_or("", |(_, reason)| reason.trim());
            reason.is_empty() && !own(key)
        })
        .map(|(key, _)| key)
        .collect()
}

fn not_from_the_root(manifest: &str) -> Vec<String> {
    let sections = ["dependencies", "dev-dependencies", "build-dependencies"];
    sections
        .iter()
        .flat_map(|section| entries(manifest, section))
        .filter(|(key, value)| !key.ends_with(".workspace") && !value.contains("workspace = true"))
        .map(|(key, _)| key)
        .collect()
}

fn denies_ambient(source: &str) -> bool {
    source.lines().any(|line| line.trim() == "#![deny(clippy::disallowed_methods)]")
}

fn allows_ambient(source: &str) -> bool {
    source.lines().any(|line| {
        let lowers = ["allow(", "expect(", "warn("].iter().any(|level| line.contains(level));
        line.trim_start().starts_with('#') && lowers && line.contains("clippy::disallowed_methods")
    })
}

/// The file that stands for the whole core (`lib.rs`, `mod.rs`, or the file beside), and every file of it.
fn core_files(folder: &Path) -> Option<(PathBuf, Vec<PathBuf>)> {
    let beside = folder.with_extension("rs");
    let first = [folder.join("lib.rs"), folder.join("mod.rs"), beside]
        .into_iter()
        .find(|file| file.is_file())?;
    let mut files = vec![first.clone()];
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).into_iter().flatten() {
            let path = entry.expect("a readable folder").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                files.push(path);
            }
        }
    }
    Some((first, files))
}

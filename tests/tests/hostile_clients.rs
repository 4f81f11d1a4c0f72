//! Clients that mean harm to a real relay: they flood, stall, open and leave. The relay's memory stays flat, and honest
//! people are served meanwhile.
//!
//! What bounds them is shown one by one on the core (`relay/src/core/*_tests.rs`); here it is shown that together they hold
//! for the process. That more memory would be seen is shown first, by links that stay.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a failing test panics")]

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use hearken_proto::address::RelayAddress;
use hearken_proto::cell::{Cell, Kind};
use hearken_proto::info;
use hearken_tests::load::{Dialler, Link};
use hearken_tests::people::amina_and_ben;
use hearken_tests::programs::{self, Person, Relay};
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;
use serde_json::Value;
use tokio::runtime::{Builder, Runtime};
use tokio::task::JoinSet;

/// Links that flood at once.
const FLOODERS: u64 = 16;
/// Cells that each of them sends, unless the relay lets it wait.
const CELLS: u64 = 600;
/// Floods until the relay's memory has taken the size that it keeps.
const WARM: usize = 3;
const FLOODS: usize = 9;
/// How long a write may wait before a flooder takes it that the relay does not want more.
const WAITING: Duration = Duration::from_millis(300);
/// What nine floods may add to three, in KiB: pages that an allocator keeps, not what six times as many cells would need
/// (6 × 16 × 600 × 4 KiB = 225 MiB).
const GROWTH_KIB_MAX: u64 = 24 * 1_024;

struct Scene {
    _folder: tempfile::TempDir,
    data: PathBuf,
    relay: Relay,
    amina: Person,
    ben: Person,
}

impl Scene {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("relay");
        let relay = Relay::start(&data).unwrap();
        let [amina, ben] = amina_and_ben(folder.path(), relay.address());
        Self { _folder: folder, data, relay, amina, ben }
    }

    fn address(&self) -> RelayAddress {
        self.relay.address().parse().unwrap()
    }

    /// One message through the relay: an honest person is served.
    fn is_served(&self, text: &str) {
        let sent = self.ben.run(&["send", "Amina", text]).unwrap();
        assert_eq!(sent.line().unwrap()["state"], "sent");
        let received = self.amina.run(&["receive"]).unwrap();
        assert!(received.lines.iter().any(|line| line["text"] == text), "{}", received.errors);
    }

    fn stats(&self) -> Value {
        let program = programs::folder().unwrap().join("hearken-relay");
        let mut stats = Command::new(program);
        stats.args(["stats", "--json", "--data"]).arg(&self.data);
        let output = stats.output().unwrap();
        serde_json::from_slice(&output.stdout).unwrap()
    }

    /// Waits until every link is closed.
    fn is_left_alone(&self) {
        let begun = std::time::Instant::now();
        while self.stats()["links"] != 0 {
            assert!(begun.elapsed() < programs::PATIENCE, "links stay open");
        }
    }

    fn resident_kib(&self) -> u64 {
        let status = format!("/proc/{}/status", self.relay.process().unwrap());
        resident_kib(Path::new(&status))
    }
}

/// `VmRSS` of a process.
fn resident_kib(status: &Path) -> u64 {
    let status = std::fs::read_to_string(status).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

/// A cell of a kind that costs the relay work or memory: INFO, OPEN to nothing, DATA of no session, CLOSE of no route.
fn hostile(turn: u64, link: &mut Link, rng: &mut ChaCha20Rng) -> Cell {
    let route = link.route();
    match turn % 4 {
        0 => info::request(route, rng),
        1 => {
            let mut open = Cell::new(Kind::Open, route, rng);
            open.set_last_hop();
            open
        }
        2 => Cell::new(Kind::Data, route, rng),
        _ => Cell::new(Kind::Close, route, rng),
    }
}

/// Sends without ever reading, until all is sent or the relay lets it wait.
async fn flood(dialler: Arc<Dialler>, seed: u64) -> u64 {
    let mut rng = ChaCha20Rng::seed_from_u64(seed);
    let mut link = dialler.dial().await.unwrap();
    for turn in 0..CELLS {
        let cell = hostile(turn, &mut link, &mut rng);
        link.queue(&cell);
        match tokio::time::timeout(WAITING, link.flush()).await {
            Ok(Ok(())) => {}
            Ok(Err(_)) | Err(_) => return turn,
        }
    }
    CELLS
}

/// Two people and their relay, and what clients that mean harm dial it with.
fn begin() -> (Scene, Runtime, Arc<Dialler>) {
    let scene = Scene::new();
    let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let dialler = runtime.block_on(Dialler::new(&scene.address(), 4)).unwrap();
    (scene, runtime, Arc::new(dialler))
}

#[test]
fn floods_that_never_read_leave_the_relays_memory_flat_and_honest_people_served() {
    if !Path::new("/proc/self/status").exists() {
        println!("skipped: needs /proc (Linux)");
        return;
    }
    let (scene, runtime, dialler) = begin();

    // Control: what stays is seen.
    let before = scene.resident_kib();
    let links: Vec<Link> = runtime.block_on(async {
        let mut links = Vec::new();
        for _ in 0..800 {
            links.push(dialler.dial().await.unwrap());
        }
        links
    });
    let held = scene.resident_kib();
    assert!(held > before + 8 * 1_024, "800 links take memory that is seen: {before} → {held} KiB");
    drop(links);
    scene.is_left_alone();

    let mut warm = 0;
    for round in 1..=FLOODS {
        let mut floods = JoinSet::new();
        for seed in 0..FLOODERS {
            floods.spawn_on(flood(Arc::clone(&dialler), seed), runtime.handle());
        }
        scene.is_served(&format!("during flood {round}"));
        let sent: u64 = runtime.block_on(floods.join_all()).iter().sum();
        assert!(sent > FLOODERS * 64, "more than a link's inbox each: {sent}");
        scene.is_left_alone();
        if round == WARM {
            warm = scene.resident_kib();
        }
    }
    let after = scene.resident_kib();
    assert!(after < warm + GROWTH_KIB_MAX, "{WARM} floods: {warm} KiB, {FLOODS}: {after} KiB");
    runtime.block_on(dialler.close());
}

#[test]
fn clients_that_open_and_leave_are_forgotten_and_their_memory_is_used_again() {
    if !Path::new("/proc/self/status").exists() {
        println!("skipped: needs /proc (Linux)");
        return;
    }
    let (scene, runtime, dialler) = begin();
    let leave = |count: u64| {
        runtime.block_on(async {
            let mut rng = ChaCha20Rng::seed_from_u64(count);
            for _ in 0..count {
                let mut link = dialler.dial().await.unwrap();
                for turn in 0..4 {
                    let cell = hostile(turn, &mut link, &mut rng);
                    link.queue(&cell);
                }
                // Gone in the middle of what it said, or before a word of it arrived.
                let _ = link.flush().await;
            }
        });
        scene.is_left_alone();
        scene.resident_kib()
    };
    let (warm, after) = (leave(300), leave(900));
    assert!(after < warm + GROWTH_KIB_MAX, "300 links: {warm} KiB, 900 more: {after} KiB");
    let stats = scene.stats();
    assert_eq!((&stats["sessions"], &stats["routes"]), (&0.into(), &0.into()));
    scene.is_served("afterwards");
    runtime.block_on(dialler.close());
}

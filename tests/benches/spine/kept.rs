//! What a store that holds much costs: how long a relay takes to start on it, and how much disk it keeps.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant, SystemTime};

use anyhow::{Context, Result, ensure};
use hearken_proto::limits::{BLOB_LEN, BLOB_TTL_DAYS};
use hearken_proto::time::UnixDay;
use hearken_relay::store::{Batch, FjallConfig, FjallStore, Space, Store, position_key};
use rand_chacha::ChaCha20Rng;
use rand_core::{Rng, SeedableRng};

use crate::child::Relay;
use crate::table::Figure;

/// The argument by which this program is told to fill the folder that follows, and to end without closing it.
pub(crate) const FILL: &str = "--fill";
/// Nonce, tag and hour beside a blob at rest.
const SEALED_LEN: usize = BLOB_LEN + 24 + 16 + 4;
const BLOBS_A_MAILBOX: usize = 50;
const BATCH: usize = 512;
/// How often a relay looks at its disk, which is when tables that are not needed any more go.
const LOOK: Duration = Duration::from_secs(5);

/// From the start of a process to a relay that serves, on a store of `blobs` blobs: killed, and stopped in order.
pub(crate) fn start(folder: &Path, blobs: usize) -> Result<Vec<Figure>> {
    let folder = folder.join("kept");
    // Makes the folder.
    Relay::start(&folder)?.stop()?;
    let filled = Command::new(std::env::current_exe()?)
        .arg(FILL)
        .arg(&folder)
        .arg(blobs.to_string())
        .status()?;
    ensure!(!filled.success(), "it was to end as if it were killed");
    let mut figures = Vec::new();
    for how in ["killed", "stopped"] {
        let relay = Relay::start(&folder)?;
        figures.push(Figure::at_most(
            &format!("start on {blobs} stored blobs, {how} before"),
            "s",
            relay.until_ready.as_secs_f64(),
            1.0,
        ));
        relay.stop()?;
    }
    Ok(figures)
}

/// Fills a store, and ends the process as a kill would.
pub(crate) fn fill(folder: &Path, blobs: usize) -> Result<()> {
    let store = open(folder)?;
    put(&store, &mut ChaCha20Rng::seed_from_u64(4), 0..blobs)?;
    std::process::abort()
}

/// Disk a minute after nine of ten blobs were acknowledged, beside what is left.
pub(crate) fn drain(folder: &Path, blobs: usize, wait: Duration) -> Result<Vec<Figure>> {
    let store = open(&folder.join("drained"))?;
    let mut rng = ChaCha20Rng::seed_from_u64(5);
    put(&store, &mut rng, 0..blobs)?;
    let full = store.totals().disk_bytes;
    let mut live = 0;
    for mailbox in 0..blobs / BLOBS_A_MAILBOX {
        let mut batch = Batch::default();
        for blob in mailbox * BLOBS_A_MAILBOX..(mailbox + 1) * BLOBS_A_MAILBOX {
            let rows = Rows::of(blob);
            live += rows.mark.len() + 8;
            if mailbox % 10 == 0 {
                live += rows.blob.len() + SEALED_LEN;
            } else {
                batch.delete(day(), rows.blob);
            }
        }
        store.commit(batch)?;
    }
    let begin = Instant::now();
    while begin.elapsed() < wait {
        std::thread::sleep(LOOK.min(wait));
        store.tidy();
        store.totals();
    }
    let left = store.totals().disk_bytes;
    let mib = |bytes: u64| bytes as f64 / f64::from(1 << 20);
    Ok(vec![
        Figure::only(&format!("disk of {blobs} blobs"), "MiB", mib(full)),
        Figure::only("the same after nine of ten are drained", "MiB", mib(left)),
        Figure::at_most(
            &format!("disk / live data, {} s after a drain", wait.as_secs()),
            "",
            left as f64 / live as f64,
            3.0,
        ),
    ])
}

fn open(folder: &Path) -> Result<FjallStore> {
    FjallStore::open(folder, FjallConfig::default()).context("a store to fill")
}

/// The keys that a `Put` writes.
struct Rows {
    mailbox: Vec<u8>,
    blob: Vec<u8>,
    mark: Vec<u8>,
}

impl Rows {
    fn of(blob: usize) -> Self {
        let mut rng = ChaCha20Rng::seed_from_u64((blob / BLOBS_A_MAILBOX) as u64);
        let mut id = [0; 32];
        rng.fill_bytes(&mut id);
        let mut put_id = [0; 32];
        ChaCha20Rng::seed_from_u64(!(blob as u64)).fill_bytes(&mut put_id);
        let key = |kind: u8| [&[kind][..], &id].concat();
        Self {
            mailbox: key(b'm'),
            blob: position_key(&key(b'b'), blob as u64),
            mark: [&key(b'p')[..], &put_id].concat(),
        }
    }
}

fn put(store: &FjallStore, rng: &mut ChaCha20Rng, blobs: std::ops::Range<usize>) -> Result<()> {
    let mut batch = Batch::default();
    for blob in blobs.clone() {
        let mut sealed = vec![0; SEALED_LEN];
        rng.fill_bytes(&mut sealed);
        let rows = Rows::of(blob);
        batch.put(day(), rows.blob, sealed);
        batch.put(day(), rows.mark, vec![0; 8]);
        batch.put(Space::Rows, rows.mailbox, vec![0; 120]);
        if blob % BATCH == BATCH - 1 || blob + 1 == blobs.end {
            store.commit(std::mem::take(&mut batch))?;
        }
    }
    Ok(())
}

/// The day on which what is put today expires.
fn day() -> Space {
    let now = SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default();
    let today = u32::try_from(now.as_secs() / 86_400).unwrap_or_default();
    Space::Day(UnixDay(today + BLOB_TTL_DAYS))
}

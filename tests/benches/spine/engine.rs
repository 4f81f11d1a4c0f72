//! The store alone: fjall behind the relay's own committer, with rows as a `Put` writes them and none of its sealing.

use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::channel;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use hearken_proto::limits::BLOB_LEN;
use hearken_proto::time::{UnixDay, UnixMillis};
use hearken_relay::store::{
    Command, Committer, CommitterParts, FjallConfig, FjallStore, Space, Store, StoreError,
    Transaction, position_key,
};
use rand_chacha::ChaCha20Rng;
use rand_core::{CryptoRng, Rng, SeedableRng};

use crate::Plan;
use crate::closed_loop::{self, Measured};

const DAY: Space = Space::Day(UnixDay(20_000));
/// Nonce, tag and hour beside a blob at rest.
const SEALED_LEN: usize = BLOB_LEN + 24 + 16 + 4;

/// Reads a mailbox's row, and writes a blob, the mark by which it is recognised, and the row.
struct Append {
    mailbox: u64,
    put_id: [u8; 32],
}

impl Command for Append {
    type Outcome = ();
    type Context = Vec<u8>;

    fn apply(
        self,
        tx: &mut Transaction<'_>,
        blob: &mut Vec<u8>,
        _now: UnixMillis,
        _rng: &mut dyn CryptoRng,
    ) -> Result<(), StoreError> {
        let mut mailbox = [0; 33];
        mailbox[..8].copy_from_slice(&self.mailbox.to_be_bytes());
        let row = tx.read(Space::Rows, &mailbox)?;
        let newest = row.and_then(|row| row.first_chunk().map(|bytes| u64::from_be_bytes(*bytes)));
        let newest = newest.unwrap_or(0) + 1;
        tx.put(DAY, &position_key(&mailbox, newest), blob.clone());
        tx.put(DAY, &[&mailbox[..], &self.put_id].concat(), vec![0; 8]);
        let mut row = vec![0; 80];
        row[..8].copy_from_slice(&newest.to_be_bytes());
        tx.put(Space::Rows, &mailbox, row);
        Ok(())
    }
}

pub(crate) fn measure(folder: &Path, plan: Plan) -> Result<Measured> {
    let config = FjallConfig { reserve_bytes: 0, reopen_interval: Duration::ZERO };
    let store = Arc::new(FjallStore::open(&folder.join("engine"), config)?);
    let mut rng = ChaCha20Rng::seed_from_u64(1);
    let mut blob = vec![0; SEALED_LEN];
    rng.fill_bytes(&mut blob);
    let (tell, done) = channel();
    let committer = Committer::spawn(CommitterParts {
        store: store.clone(),
        context: blob,
        clock: || UnixMillis(0),
        rng: ChaCha20Rng::seed_from_u64(2),
        // Only a failure of the measurement itself leaves nobody who listens.
        deliver: move |writer, outcome: Result<(), StoreError>| match outcome {
            Ok(()) => drop(tell.send(writer)),
            Err(_) => drop(tell.send(usize::MAX)),
        },
    })?;
    let submit = |writer: usize| {
        ensure!(writer < plan.writers(), "a commit failed");
        let mut put_id = [0; 32];
        rng.fill_bytes(&mut put_id);
        // As many mailboxes as clients.
        let mailbox = (writer / plan.in_flight) as u64;
        committer.submit(writer, Append { mailbox, put_id }).context("the committer")
    };
    let (latencies, time) = closed_loop::run(plan.writers(), plan.time, submit, &done)?;
    drop(committer);
    Ok(Measured::new(latencies, time, store.totals().commits))
}

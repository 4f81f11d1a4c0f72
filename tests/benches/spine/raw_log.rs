//! The limit of the disk: blobs appended to one file, as many at once as wait, one fdatasync for all of them.

use std::fs::OpenOptions;
use std::io::Write;
use std::path::Path;
use std::sync::mpsc::{Receiver, Sender, channel, sync_channel};
use std::thread;

use anyhow::{Context, Result};
use hearken_proto::limits::BLOB_LEN;
use hearken_relay::store::committer::{BATCH_MAX, WRITE_QUEUE_MAX};

use crate::Plan;
use crate::closed_loop::{self, Measured};

pub(crate) fn measure(folder: &Path, plan: Plan) -> Result<Measured> {
    let path = folder.join("raw-log");
    let (queue, waiting) = sync_channel(WRITE_QUEUE_MAX);
    let (tell, done) = channel();
    let log = thread::spawn(move || write(&path, &waiting, &tell));
    let submit = |writer| queue.send(writer).context("the log has ended");
    let (latencies, time) = closed_loop::run(plan.writers(), plan.time, submit, &done)?;
    drop(queue);
    let syncs = log.join().ok().context("the log's thread ended badly")??;
    Ok(Measured::new(latencies, time, syncs))
}

fn write(path: &Path, waiting: &Receiver<usize>, tell: &Sender<usize>) -> Result<u64> {
    let mut file = OpenOptions::new().create_new(true).append(true).open(path)?;
    let blob = [0xa5; BLOB_LEN];
    let (mut bytes, mut batch) = (Vec::new(), Vec::new());
    let mut syncs = 0;
    while let Ok(first) = waiting.recv() {
        batch.push(first);
        while batch.len() < BATCH_MAX
            && let Ok(next) = waiting.try_recv()
        {
            batch.push(next);
        }
        batch.iter().for_each(|_| bytes.extend_from_slice(&blob));
        file.write_all(&bytes)?;
        file.sync_data()?;
        bytes.clear();
        syncs += 1;
        batch.drain(..).try_for_each(|writer| tell.send(writer))?;
    }
    Ok(syncs)
}

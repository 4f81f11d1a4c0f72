//! The whole: sealed `Put`s into a relay that serves in this process, each acknowledged when it is durable.

use std::path::Path;

use anyhow::{Context, Result, ensure};
use hearken_relay::config::{Config, Listen};
use hearken_relay::folder::Folder;
use hearken_relay::server;
use hearken_tests::load::{self, Puts};
use tokio::runtime::Runtime;

use crate::Plan;
use crate::closed_loop::{Measured, Threads};

/// Sockets of the clients, for echo and relay alike.
pub(crate) const SOCKETS: usize = 4;

/// With `reads` every blob is read and acknowledged as well, so a `Put` costs a push and an eighth of an `Ack` more.
pub(crate) fn measure(folder: &Path, plan: Plan, reads: bool) -> Result<Measured> {
    let folder = Folder::new(folder.join(if reads { "relay" } else { "relay-unread" }));
    let listen = vec![Listen::parse("127.0.0.1:0").context("an address to serve on")?];
    folder.init(None, &listen)?;
    let mut config = Config { listen, pow_bits: 1, ..Config::default() };
    if !reads {
        config.mailbox_blobs_max = u32::MAX;
    }
    let (ours, theirs) = (runtime("load")?, runtime("relay")?);
    let relay = theirs.block_on(server::start(&folder, config))?;
    let load = Puts {
        path: load::Path { relay: relay.address().clone(), entry: None },
        clients: plan.clients,
        in_flight: plan.in_flight,
        time: plan.time,
        reads,
        sockets: SOCKETS,
    };
    let begin = Threads::now();
    let report = ours.block_on(load::puts(&load))?;
    let threads = Threads::now().since(begin);
    theirs.block_on(relay.stop())?;
    ours.shutdown_background();
    theirs.shutdown_background();
    if let Some(error) = report.failed {
        return Err(error.into());
    }
    ensure!(report.refused == 0, "the relay refused what it has room for");
    ensure!(report.acked > 0, "nothing was acknowledged");
    Ok(Measured::new(report.latencies, report.time, 0).with_threads(threads, report.acked))
}

/// Threads of one side, by its name.
pub(crate) fn runtime(side: &str) -> Result<Runtime> {
    Ok(tokio::runtime::Builder::new_multi_thread().thread_name(side).enable_all().build()?)
}

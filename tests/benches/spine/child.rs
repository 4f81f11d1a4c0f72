//! A relay in a process of its own, so that its memory and its processor time are its own: this program, started again.

use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use hearken_proto::address::RelayAddress;
use hearken_relay::config::{Config, Listen};
use hearken_relay::folder::{Folder, FolderError};
use hearken_relay::server;

use crate::relay::runtime;
use crate::table;

/// The argument by which this program is told to serve the relay in the folder that follows.
pub(crate) const SERVE: &str = "--serve";
/// Ticks of `/proc/<pid>/stat` in a second: what Linux shows, whatever it counts in (proc(5), `USER_HZ`).
const TICKS: u64 = 100;

/// The relay. Dropping it kills it.
pub(crate) struct Relay {
    process: Child,
    pub(crate) address: RelayAddress,
    /// From the start of the process until it said that it serves.
    pub(crate) until_ready: Duration,
}

impl Relay {
    /// Starts the relay of a folder, made where there is none.
    pub(crate) fn start(folder: &Path) -> Result<Self> {
        let begin = Instant::now();
        let mut process = Command::new(std::env::current_exe()?)
            .arg(SERVE)
            .arg(folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .context("a relay in a process of its own")?;
        let output = process.stdout.take().context("its output")?;
        let mut line = String::new();
        BufReader::new(output).read_line(&mut line)?;
        let until_ready = begin.elapsed();
        let address = line.trim().parse().context("the relay did not start")?;
        Ok(Self { process, address, until_ready })
    }

    /// Processor time so far, of all its threads.
    pub(crate) fn processor_time(&self) -> Result<Duration> {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.process.id()))?;
        let fields: Vec<&str> =
            stat.rsplit_once(')').context("a process")?.1.split_whitespace().collect();
        let ticks = |at: usize| -> Result<u64> { Ok(fields.get(at).context("a field")?.parse()?) };
        Ok(Duration::from_millis((ticks(11)? + ticks(12)?) * 1_000 / TICKS))
    }

    /// Memory of its own in bytes: without the program's and libraries' files.
    pub(crate) fn memory(&self) -> Result<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.process.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:"));
        let kib = line.and_then(|line| line.trim().strip_suffix(" kB")).context("its memory")?;
        Ok(kib.parse::<u64>()? * 1_024)
    }

    /// Stops it in order.
    pub(crate) fn stop(mut self) -> Result<()> {
        drop(self.process.stdin.take());
        ensure!(self.process.wait()?.success(), "the relay ended badly");
        Ok(())
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Serves until standard input ends.
pub(crate) fn serve(folder: &Path) -> Result<()> {
    let folder = Folder::new(folder);
    let listen = vec![Listen::parse("127.0.0.1:0").context("an address to serve on")?];
    match folder.init(None, &listen) {
        Ok(()) | Err(FolderError::Exists) => {}
        Err(error) => return Err(error.into()),
    }
    let config = Config { listen, pow_bits: 1, ..Config::default() };
    let runtime = runtime("relay")?;
    let relay = runtime.block_on(server::start(&folder, config))?;
    table::print(&relay.address().to_string())?;
    let _ = std::io::stdin().lock().read(&mut [0]);
    Ok(runtime.block_on(relay.stop())?)
}

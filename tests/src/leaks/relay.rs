//! A relay as a process whose every word is kept: the most detailed log, standard output, standard error.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use super::Place;
use crate::programs;

/// A log filter that asks for everything, of dependencies by name too.
const EVERYTHING: &str = "trace,hearken_relay=trace,hearken_proto=trace,quinn=trace,quinn_proto=trace,quinn_udp=trace,\
    rustls=trace,tokio=trace,mio=trace,fjall=trace,lsm_tree=trace";

/// A relay that logs all it can.
#[derive(Debug)]
pub struct LoggingRelay {
    folder: PathBuf,
    child: Child,
    out: Option<JoinHandle<Vec<u8>>>,
    ready: Value,
}

impl LoggingRelay {
    /// Starts a relay over `folder` on a free port of 127.0.0.1. `remembered` are words that stay in its memory for as
    /// long as it runs (as targets of the log filter, which nothing logs under); `planted` is the fault to plant, in a
    /// build that can.
    ///
    /// # Errors
    /// When it does not become ready.
    pub fn start(folder: &Path, remembered: &[&str], planted: Option<&str>) -> Result<Self> {
        std::fs::create_dir_all(folder)?;
        let mut filter = String::from(EVERYTHING);
        for word in remembered {
            filter.push_str(&format!(",{word}=trace"));
        }
        let mut command = Command::new(programs::folder()?.join("hearken-relay"));
        command
            .args(["serve", "--json", "--allow-private-peers", "--host", "127.0.0.1"])
            .args(["--listen", "127.0.0.1:0", "--data"])
            .arg(folder)
            .env("HEARKEN_LOG", filter)
            .env("RUST_LOG", "trace")
            .env("RUST_BACKTRACE", "full")
            .env_remove("HEARKEN_PLANTED")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(File::create(Self::log_file(folder))?);
        if let Some(fault) = planted {
            command.env("HEARKEN_PLANTED", fault);
        }
        let mut child = command.spawn()?;
        let mut out = BufReader::new(child.stdout.take().context("a piped output")?);
        let mut first = String::new();
        out.read_line(&mut first)?;
        let ready: Value = serde_json::from_str(&first).context("the relay's ready line")?;
        let out = std::thread::spawn(move || {
            let mut bytes = first.into_bytes();
            let _ = out.read_to_end(&mut bytes);
            bytes
        });
        Ok(Self { folder: folder.to_owned(), child, out: Some(out), ready })
    }

    /// Beside the folder, not in it: the log is looked through on its own.
    fn log_file(folder: &Path) -> PathBuf {
        folder.with_extension("log")
    }

    /// Its address.
    #[must_use]
    pub fn address(&self) -> &str {
        self.ready["address"].as_str().unwrap_or_default()
    }

    /// Its address with another place to dial.
    #[must_use]
    pub fn address_at(&self, place: SocketAddr) -> String {
        let identity = self.address().split('@').next().unwrap_or_default();
        format!("{identity}@{place}")
    }

    /// Where it listens.
    ///
    /// # Errors
    /// When it did not say so.
    pub fn listen(&self) -> Result<SocketAddr> {
        Ok(self.ready["listen"][0].as_str().context("where it listens")?.parse()?)
    }

    /// Its folder.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Its process.
    #[must_use]
    pub fn process(&self) -> u32 {
        self.child.id()
    }

    /// What `stats` prints of it.
    ///
    /// # Errors
    /// When the command fails.
    pub fn stats(&self) -> Result<String> {
        let output = Command::new(programs::folder()?.join("hearken-relay"))
            .args(["stats", "--json", "--data"])
            .arg(&self.folder)
            .env("HEARKEN_LOG", EVERYTHING)
            .output()?;
        if !output.status.success() {
            bail!("stats: {}", String::from_utf8_lossy(&output.stderr));
        }
        Ok(String::from_utf8([output.stdout, output.stderr].concat())?)
    }

    /// One of its totals.
    ///
    /// # Errors
    /// When there is no such total.
    pub fn total(&self, name: &str) -> Result<u64> {
        let stats = self.stats()?;
        let first = stats.lines().next().unwrap_or_default();
        let stats: Value = serde_json::from_str(first)?;
        stats[name].as_u64().with_context(|| format!("no total called {name}"))
    }

    /// Waits until a total is `value`.
    ///
    /// # Errors
    /// When it is not after a while.
    pub fn wait_for(&self, name: &str, value: u64) -> Result<()> {
        let patience = Instant::now() + programs::PATIENCE;
        while self.total(name)? != value {
            if Instant::now() > patience {
                bail!("{name} is not {value}");
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        Ok(())
    }

    /// Ends it as an operator would, and gives all that it has said.
    ///
    /// # Errors
    /// When it does not end well.
    pub fn stop(mut self) -> Result<Vec<Place>> {
        let told = Command::new("kill").arg(self.child.id().to_string()).status()?;
        let status = self.child.wait()?;
        if !told.success() || !status.success() {
            bail!("the relay ended with {status}");
        }
        let out = self.out.take().and_then(|out| out.join().ok()).context("its output")?;
        let log = std::fs::read(Self::log_file(&self.folder))?;
        Ok(vec![
            Place { name: String::from("standard output"), bytes: out },
            Place { name: String::from("the log"), bytes: log },
        ])
    }
}

impl Drop for LoggingRelay {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

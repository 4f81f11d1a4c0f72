//! The spine of a relay beside its limits, in one run: `cargo bench -p hearken-tests`. What each line means, the goals
//! and the figures measured so far stand in `tests/benches/README.md`.
//!
//! It fails (status 1) when something does not work, never because something is slow. `HEARKEN_BENCH_SMOKE=1` makes
//! everything so small that it is only tried.
#![forbid(unsafe_code)]

mod closed_loop;
mod echo;
mod engine;
mod message;
mod raw_log;
mod relay;
mod table;

use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result};

use crate::table::Round;

/// What is measured, and how long.
#[derive(Clone, Copy, Debug)]
struct Plan {
    /// Clients, each with a link of its own.
    clients: usize,
    /// Cells or `Put`s that each keeps in flight. Clients times this is the number of writers at log and store.
    in_flight: usize,
    /// Time of each part of a round.
    time: Duration,
    /// Rounds; the median of each line counts.
    rounds: usize,
}

impl Plan {
    fn writers(self) -> usize {
        self.clients * self.in_flight
    }

    /// The plan that the arguments ask for; those that cargo adds are ignored.
    fn read() -> Result<Self> {
        let mut plan = if std::env::var_os("HEARKEN_BENCH_SMOKE").is_some_and(|is| is == "1") {
            Self { clients: 4, in_flight: 2, time: Duration::from_millis(300), rounds: 1 }
        } else {
            Self { clients: 64, in_flight: 4, time: Duration::from_secs(4), rounds: 5 }
        };
        let mut arguments = std::env::args().skip(1);
        while let Some(flag) = arguments.next() {
            let mut number = || -> Result<usize> {
                let value = arguments.next().with_context(|| format!("{flag} needs a number"))?;
                value.parse().with_context(|| format!("{flag} needs a number, not {value}"))
            };
            match flag.as_str() {
                "--clients" => plan.clients = number()?.max(1),
                "--in-flight" => plan.in_flight = number()?.clamp(1, 16),
                "--rounds" => plan.rounds = number()?.max(1),
                "--seconds" => plan.time = Duration::from_secs(number()? as u64),
                _ => {}
            }
        }
        Ok(plan)
    }
}

fn main() -> ExitCode {
    match Plan::read().and_then(run) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            table::complain(&format!("{error:#}"));
            ExitCode::FAILURE
        }
    }
}

fn run(plan: Plan) -> Result<()> {
    table::heading(plan)?;
    // Beside what cargo builds: on a disk, where a sync costs what it costs, and not in memory as /tmp may be.
    let disk = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let mut rounds = Vec::with_capacity(plan.rounds);
    for _ in 0..plan.rounds {
        let folder = tempfile::tempdir_in(disk).context("a folder to measure in")?;
        let round = Round {
            raw_log: raw_log::measure(folder.path(), plan).context("the raw log")?,
            echo: echo::measure(plan).context("the echo")?,
            engine: engine::measure(folder.path(), plan).context("the store alone")?,
            puts: relay::measure(folder.path(), plan, true).context("puts and reads")?,
            only_puts: relay::measure(folder.path(), plan, false).context("puts")?,
        };
        rounds.push(round);
    }
    table::spine(&rounds)?;
    table::messages(&message::measure(plan.time)?)
}

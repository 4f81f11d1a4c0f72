//! The spine of a relay beside its limits, in one run: `cargo bench -p hearken-tests`. What each line means, the goals
//! and the figures measured so far stand in `tests/benches/README.md`.
//!
//! It fails (status 1) when something does not work, never because something is slow. `HEARKEN_BENCH_SMOKE=1` makes
//! everything so small that it is only tried; `HEARKEN_LONG=1` makes what is counted as large as the goals name it.
#![forbid(unsafe_code)]

mod cells;
mod child;
mod closed_loop;
mod echo;
mod engine;
mod idle;
mod kept;
mod message;
mod passed_on;
mod raw_log;
mod relay;
mod table;

use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result};
use hearken_tests::long::is_long;

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
    /// Which of the figures behind the spine are taken.
    amounts: Amounts,
    /// Which parts: `spine`, `idle`, `kept`, or all.
    only: Option<Only>,
}

/// Amounts of what is counted, not timed.
#[derive(Clone, Copy, Debug)]
struct Amounts {
    links: [usize; 2],
    mailboxes: usize,
    handshakes: usize,
    passed_on: usize,
    gets: usize,
    stored: usize,
    drained: usize,
    drain: Duration,
}

impl Amounts {
    const SMOKE: Self = Self {
        links: [8, 16],
        mailboxes: 64,
        handshakes: 32,
        passed_on: 300,
        gets: 3,
        stored: 2_000,
        drained: 2_000,
        drain: Duration::from_secs(1),
    };
    const USUAL: Self = Self {
        links: [1_000, 10_000],
        mailboxes: 20_000,
        handshakes: 3_000,
        passed_on: 50_000,
        gets: 200,
        stored: 1_000_000,
        drained: 400_000,
        drain: Duration::from_secs(60),
    };
    const LONG: Self = Self { mailboxes: 300_000, handshakes: 20_000, ..Self::USUAL };
}

/// A part of everything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Only {
    Spine,
    Idle,
    Kept,
}

impl Plan {
    fn writers(self) -> usize {
        self.clients * self.in_flight
    }

    /// The plan that the arguments ask for; those that cargo adds are ignored.
    fn read() -> Result<Self> {
        let mut plan = if std::env::var_os("HEARKEN_BENCH_SMOKE").is_some_and(|is| is == "1") {
            let time = Duration::from_millis(300);
            Self { clients: 4, in_flight: 2, time, rounds: 1, amounts: Amounts::SMOKE, only: None }
        } else {
            let amounts = if is_long() { Amounts::LONG } else { Amounts::USUAL };
            let time = Duration::from_secs(4);
            Self { clients: 64, in_flight: 4, time, rounds: 5, amounts, only: None }
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
                "--mailboxes" => plan.amounts.mailboxes = number()?.max(64),
                "--only" => {
                    plan.only = match arguments.next().as_deref() {
                        Some("spine") => Some(Only::Spine),
                        Some("idle") => Some(Only::Idle),
                        Some("kept") => Some(Only::Kept),
                        _ => anyhow::bail!("--only needs spine, idle or kept"),
                    };
                }
                "--rounds" => plan.rounds = number()?.max(1),
                "--seconds" => plan.time = Duration::from_secs(number()? as u64),
                _ => {}
            }
        }
        Ok(plan)
    }
}

fn main() -> ExitCode {
    // Relays in processes of their own are this program, started again.
    let mut arguments = std::env::args_os().skip(1);
    let done = match (arguments.next(), arguments.next(), arguments.next()) {
        (Some(flag), Some(folder), _) if flag == child::SERVE => child::serve(Path::new(&folder)),
        (Some(flag), Some(folder), Some(blobs)) if flag == kept::FILL => {
            let blobs = blobs.to_str().and_then(|blobs| blobs.parse().ok());
            blobs
                .context("a number of blobs")
                .and_then(|blobs| kept::fill(Path::new(&folder), blobs))
        }
        _ => Plan::read().and_then(run),
    };
    match done {
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
    let is_asked = |part| plan.only.is_none_or(|only| only == part);
    if is_asked(Only::Spine) {
        spine(plan, disk)?;
    }
    let Amounts { links, mailboxes, handshakes, passed_on, gets, stored, drained, drain } =
        plan.amounts;
    let folder = tempfile::tempdir_in(disk).context("a folder to measure in")?;
    let folder = folder.path();
    if is_asked(Only::Idle) {
        table::print("")?;
        table::figures(&idle::handshakes(folder, handshakes).context("handshakes")?)?;
        table::figures(&idle::links(folder, &links).context("idle links")?)?;
        table::figures(&idle::mailboxes(folder, mailboxes).context("watched mailboxes")?)?;
    }
    if is_asked(Only::Kept) {
        table::print("")?;
        table::figures(&passed_on::measure(folder, passed_on, gets).context("get")?)?;
        table::figures(&kept::start(folder, stored).context("a start")?)?;
        table::figures(&kept::drain(folder, drained, drain).context("a drain")?)?;
    }
    Ok(())
}

fn spine(plan: Plan, disk: &Path) -> Result<()> {
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
    table::messages(&message::measure(plan.time)?)?;
    table::cells(&cells::measure(plan.time)?)
}

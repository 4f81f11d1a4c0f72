//! The figures as lines that can be read and compared.

use std::io::Write;

use anyhow::Result;

use crate::Plan;
use crate::cells::Cells;
use crate::closed_loop::Measured;
use crate::message::{Both, Messages};

/// One measured value and its goal.
#[derive(Debug)]
pub(crate) struct Figure {
    name: String,
    unit: &'static str,
    value: f64,
    goal: Option<(&'static str, f64)>,
}

impl Figure {
    pub(crate) fn at_most(name: &str, unit: &'static str, value: f64, goal: f64) -> Self {
        Self { name: name.to_owned(), unit, value, goal: Some(("<=", goal)) }
    }

    pub(crate) fn at_least(name: &str, unit: &'static str, value: f64, goal: f64) -> Self {
        Self { name: name.to_owned(), unit, value, goal: Some((">=", goal)) }
    }

    pub(crate) fn only(name: &str, unit: &'static str, value: f64) -> Self {
        Self { name: name.to_owned(), unit, value, goal: None }
    }
}

/// Everything that was measured side by side.
#[derive(Debug)]
pub(crate) struct Round {
    pub(crate) raw_log: Measured,
    pub(crate) echo: Measured,
    pub(crate) engine: Measured,
    pub(crate) puts: Measured,
    pub(crate) only_puts: Measured,
}

pub(crate) fn heading(plan: Plan) -> Result<()> {
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let Plan { clients, in_flight, time, rounds, .. } = plan;
    print(&format!(
        "{cores} cores; {clients} clients x {in_flight} in flight; {:.1} s a part, {rounds} rounds, medians",
        time.as_secs_f64()
    ))
}

pub(crate) fn spine(rounds: &[Round]) -> Result<()> {
    print(&format!(
        "{:<38}{:>10}{:>10}{:>10}{:>8}{:>10}{:>10}",
        "", "a second", "p50 ms", "p99 ms", "batch", "relay us", "load us"
    ))?;
    line("raw log + fdatasync", rounds, |round| &round.raw_log)?;
    line("QUIC echo of cells", rounds, |round| &round.echo)?;
    line("store alone (fjall, committer)", rounds, |round| &round.engine)?;
    line("durable Puts, each read as well", rounds, |round| &round.puts)?;
    line("durable Puts, none read", rounds, |round| &round.only_puts)?;

    print("")?;
    ratio("store alone / raw log", ">= 0.2", rounds, |round| {
        round.engine.per_second / round.raw_log.per_second
    })?;
    ratio("Puts, each read / echo", ">= 0.4", rounds, |round| {
        round.puts.per_second / round.echo.per_second
    })?;
    ratio("Puts, none read / echo", ">= 0.4", rounds, |round| {
        round.only_puts.per_second / round.echo.per_second
    })?;
    ratio("CPU of the relay: a Put read / an echo", "", rounds, |round| {
        round.puts.theirs_us / round.echo.theirs_us
    })?;
    let own = |round: &Round| round.echo.p99_ms + round.engine.p99_ms;
    ratio("p99: Puts, each read / (echo + store)", "<= 3", rounds, |round| {
        round.puts.p99_ms / own(round)
    })?;
    ratio("p99: Puts, none read / (echo + store)", "<= 3", rounds, |round| {
        round.only_puts.p99_ms / own(round)
    })
}

pub(crate) fn figures(figures: &[Figure]) -> Result<()> {
    for Figure { name, unit, value, goal } in figures {
        let goal = match goal {
            Some((sign, goal)) => format!("goal {sign} {goal:.0}"),
            None => String::new(),
        };
        print(&format!("{name:<58}{value:>10.2} {unit:<4}{goal:>16}"))?;
    }
    Ok(())
}

pub(crate) fn messages(both: &Both) -> Result<()> {
    print("")?;
    print(&format!("{:<38}{:>10}{:>10}{:>20}", "a 1:1 message", "p50 us", "p99 us", "goal us"))?;
    let Messages { seal, open } = &both.chain;
    time("seal within a chain", seal, Some(100))?;
    time("open within a chain", open, Some(100))?;
    let Messages { seal, open } = &both.step;
    time("seal, first after the other side's", seal, Some(400))?;
    time("open with a ratchet step", open, Some(400))
}

pub(crate) fn cells(cells: &Cells) -> Result<()> {
    print("")?;
    print(&format!("{:<38}{:>10}{:>10}", "a cell", "p50 us", "p99 us"))?;
    time("sealed", &cells.seal, None)?;
    time("opened", &cells.open, None)?;
    time("an OPEN accepted and answered", &cells.accept, None)
}

fn line(name: &str, rounds: &[Round], of: impl Fn(&Round) -> &Measured) -> Result<()> {
    let value = |field: fn(&Measured) -> f64| median(rounds, |round| field(of(round)));
    print(&format!(
        "{name:<38}{:>10.0}{:>10.2}{:>10.2}{:>8}{:>10}{:>10}",
        value(|measured| measured.per_second),
        value(|measured| measured.p50_ms),
        value(|measured| measured.p99_ms),
        match value(|measured| measured.batch) {
            0.0 => String::new(),
            batch => format!("{batch:.0}"),
        },
        processor(value(|measured| measured.theirs_us)),
        processor(value(|measured| measured.ours_us)),
    ))
}

fn processor(us: f64) -> String {
    if us > 0.0 { format!("{us:.1}") } else { String::new() }
}

fn ratio(name: &str, goal: &str, rounds: &[Round], of: impl Fn(&Round) -> f64) -> Result<()> {
    print(&format!(
        "{name:<38}{:>10.2}{:>20}",
        median(rounds, of),
        if goal.is_empty() { String::new() } else { format!("goal {goal}") }
    ))
}

fn time(name: &str, times: &hearken_tests::load::Latencies, goal: Option<u32>) -> Result<()> {
    let mut times = times.clone();
    print(&format!(
        "{name:<38}{:>10.0}{:>10.0}{:>20}",
        times.quantile_ms(0.5) * 1_000.0,
        times.quantile_ms(0.99) * 1_000.0,
        goal.map_or_else(String::new, |goal| format!("<= {goal}"))
    ))
}

fn median(rounds: &[Round], of: impl Fn(&Round) -> f64) -> f64 {
    let mut values: Vec<f64> = rounds.iter().map(of).collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

pub(crate) fn print(line: &str) -> Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{line}")?;
    Ok(out.flush()?)
}

/// A line on standard error. When nobody listens there, nothing better can be done.
pub(crate) fn complain(line: &str) {
    let _ = writeln!(std::io::stderr().lock(), "spine: {line}");
}

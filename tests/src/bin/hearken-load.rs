//! Loads a relay: `puts` of fresh blobs from many clients, or `idle` links that watch mailboxes.
//!
//! Output and exit status as the other programs have them: with `--json` one JSON object on standard output; with every
//! status but 0 the last line on standard error says why. Nothing is stored on this machine.
#![forbid(unsafe_code)]

use std::io::Write;
use std::process::ExitCode;
use std::time::Duration;

use clap::error::ErrorKind;
use clap::{Args, Parser, Subcommand};
use hearken_proto::address::RelayAddress;
use hearken_tests::load::{self, IN_FLIGHT_MAX, Idle, LoadError, Path, Puts};
use serde_json::json;

/// Sockets that all links share.
const SOCKETS: usize = 4;
/// The longest run: a week.
const SECONDS_MAX: f64 = 7.0 * 86_400.0;

/// Brings load to a relay and says what it came to.
#[derive(Parser)]
#[command(name = "hearken-load", version)]
struct CommandLine {
    #[command(subcommand)]
    command: Command,
    /// One JSON object on standard output, errors as JSON.
    #[arg(long, global = true)]
    json: bool,
}

#[derive(Subcommand)]
enum Command {
    /// Clients that put fresh blobs into a mailbox of their own, and read with the other hand.
    Puts {
        #[command(flatten)]
        load: Load,
        /// Puts that each client keeps in flight, 1 to 16.
        #[arg(long, value_name = "K", default_value_t = 4, value_parser = in_flight)]
        in_flight: usize,
    },
    /// Links that watch mailboxes and do nothing else.
    Idle {
        #[command(flatten)]
        load: Load,
        /// Mailboxes watched in all [default: one a link].
        #[arg(long, value_name = "M")]
        mailboxes: Option<usize>,
    },
}

#[derive(Args)]
struct Load {
    /// The relay that has the mailboxes.
    #[arg(long, value_name = "ADDRESS")]
    relay: RelayAddress,
    /// A relay in front of it.
    #[arg(long, value_name = "ADDRESS")]
    entry: Option<RelayAddress>,
    /// Clients, each with a link of its own.
    #[arg(long, value_name = "N", value_parser = clients)]
    clients: usize,
    /// For how long.
    #[arg(long, value_name = "S", value_parser = seconds)]
    seconds: Duration,
}

fn in_flight(text: &str) -> Result<usize, String> {
    let count = text.parse().ok().filter(|count| (1..=IN_FLIGHT_MAX).contains(count));
    count.ok_or_else(|| format!("a number from 1 to {IN_FLIGHT_MAX}"))
}

fn clients(text: &str) -> Result<usize, String> {
    let count = text.parse().ok().filter(|count| (1..=100_000).contains(count));
    count.ok_or_else(|| "a number from 1 to 100000".to_owned())
}

fn seconds(text: &str) -> Result<Duration, String> {
    let seconds = text.parse::<f64>().ok().filter(|seconds| *seconds > 0.0);
    let seconds = seconds.filter(|seconds| *seconds <= SECONDS_MAX);
    seconds.map(Duration::from_secs_f64).ok_or_else(|| "seconds above 0, a week at most".to_owned())
}

/// Why the program ends with another status than 0.
struct Failure {
    code: &'static str,
    message: String,
    advice: String,
    status: u8,
}

impl From<LoadError> for Failure {
    fn from(error: LoadError) -> Self {
        Self {
            code: error.code(),
            message: error.to_string(),
            advice: error.advice().to_owned(),
            status: error.exit_status(),
        }
    }
}

impl Failure {
    fn new(code: &'static str, status: u8, message: &str, advice: &str) -> Self {
        Self { code, message: message.to_owned(), advice: advice.to_owned(), status }
    }
}

fn main() -> ExitCode {
    // A usage error is told the same way, before it is known what was asked.
    let json = std::env::args_os().any(|argument| argument == "--json");
    let done = match CommandLine::try_parse() {
        Ok(line) => run(line),
        Err(error)
            if matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion) =>
        {
            print(error.render().to_string().trim_end())
        }
        Err(error) => {
            let text = error.render().to_string();
            let message = text.lines().next().unwrap_or_default();
            let message = message.strip_prefix("error: ").unwrap_or(message);
            Err(Failure::new("usage", 2, message, "see hearken-load --help"))
        }
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failure { code, message, advice, status }) => {
            let text = if json {
                json!({ "error": code, "message": message, "advice": advice }).to_string()
            } else {
                format!("{message}\n{advice}")
            };
            // Nothing better can be done where nobody listens.
            let _ = writeln!(std::io::stderr().lock(), "{text}");
            ExitCode::from(status)
        }
    }
}

fn run(line: CommandLine) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let no_runtime = Failure::new("internal", 1, "no threads to be had", "close other programs");
    let runtime = runtime.map_err(|_| no_runtime)?;
    let done = runtime.block_on(async {
        tokio::select! {
            done = bring(line) => done,
            () = told_to_stop() => {
                Err(Failure::new("interrupted", 1, "told to stop before the end", "let it finish"))
            }
        }
    });
    runtime.shutdown_background();
    done
}

async fn bring(line: CommandLine) -> Result<(), Failure> {
    match line.command {
        Command::Puts { load, in_flight } => {
            let path = Path { relay: load.relay, entry: load.entry };
            let (clients, time) = (load.clients, load.seconds);
            let plan = Puts { path, clients, in_flight, time, reads: true, sockets: SOCKETS };
            let mut report = load::puts(&plan).await?;
            let per_second = tenths(report.per_second());
            let p50_ms = thousandths(report.latencies.quantile_ms(0.5));
            let p99_ms = thousandths(report.latencies.quantile_ms(0.99));
            let (acked, refused) = (report.acked, report.refused);
            print(&if line.json {
                json!({ "acked": acked, "per_second": per_second, "p50_ms": p50_ms,
                    "p99_ms": p99_ms, "refused": refused })
                .to_string()
            } else {
                format!(
                    "{acked} acknowledged, {per_second} a second, p50 {p50_ms} ms, p99 {p99_ms} ms, \
                     {refused} refused"
                )
            })?;
            report.failed.map_or(Ok(()), |error| Err(error.into()))
        }
        Command::Idle { load, mailboxes } => {
            let path = Path { relay: load.relay, entry: load.entry };
            let (links, time) = (load.clients, load.seconds);
            let mailboxes = mailboxes.unwrap_or(links);
            let plan = Idle { path, links, mailboxes, time, sockets: SOCKETS };
            let report = load::idle(&plan).await?;
            let seconds = thousandths(report.until_watched.as_secs_f64());
            let (links, watched, dropped) = (report.links, report.watched, report.dropped);
            print(&if line.json {
                json!({ "links": links, "watched": watched, "seconds_until_watched": seconds,
                    "dropped": dropped })
                .to_string()
            } else {
                format!(
                    "{links} links, {watched} mailboxes watched after {seconds} s, {dropped} dropped"
                )
            })
        }
    }
}

fn tenths(value: f64) -> f64 {
    (value * 10.0).round() / 10.0
}

fn thousandths(value: f64) -> f64 {
    (value * 1_000.0).round() / 1_000.0
}

fn print(line: &str) -> Result<(), Failure> {
    let mut out = std::io::stdout().lock();
    let written = writeln!(out, "{line}").and_then(|()| out.flush());
    written.map_err(|_| Failure::new("output-closed", 1, "nobody reads the output", "keep it open"))
}

async fn told_to_stop() {
    use tokio::signal::unix::{SignalKind, signal};
    let Ok(mut terminate) = signal(SignalKind::terminate()) else {
        return std::future::pending().await;
    };
    tokio::select! {
        _ = terminate.recv() => {}
        // Without a handler the default action of the signal ends the program.
        Ok(()) = tokio::signal::ctrl_c() => {}
    }
}

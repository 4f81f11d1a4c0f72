//! `hearken-relay`: the relay's program. Reads the command line, carries a command out, and says how it went.
#![forbid(unsafe_code)]

mod arguments;
mod commands;
mod failure;
mod output;
mod signals;

use std::io::{IsTerminal, Write};
use std::process::ExitCode;

use clap::Parser;
use clap::error::ErrorKind;
use tracing_subscriber::filter::FilterFn;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer};

use zeroizing_alloc::ZeroAlloc;

use crate::arguments::Arguments;
use crate::output::{Failure, Output};

/// Memory is erased when it is given back: what passed through is not left for whoever reads the process later.
#[global_allocator]
static MEMORY: ZeroAlloc<std::alloc::System> = ZeroAlloc(std::alloc::System);

fn main() -> ExitCode {
    forbid_core_dumps();
    keep_files_private();
    speak_of_panics();
    // Asked before clap is: a wrong command line is answered in the right form too.
    let json = std::env::args_os().take_while(|arg| arg != "--").any(|arg| arg == "--json");
    let output = Output { json };
    let result = match Arguments::try_parse() {
        Ok(arguments) => {
            start_log(output);
            commands::run(arguments.command, output)
        }
        Err(error) => usage(&error),
    };
    result.unwrap_or_else(|failure| failure.report(output))
}

fn usage(error: &clap::Error) -> Result<ExitCode, Failure> {
    if matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion) {
        let _ = write!(std::io::stdout().lock(), "{}", error.render());
        return Ok(ExitCode::SUCCESS);
    }
    let text = error.render().to_string();
    let message = match error.kind() {
        ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand | ErrorKind::MissingSubcommand => {
            "no command was given"
        }
        _ => text.split("\n\n").next().unwrap_or_default().trim_start_matches("error: "),
    };
    Err(Failure::usage("usage", message, "see `hearken-relay --help`"))
}

/// Logs the project's own targets only, whatever the filter says: a dependency's would hold addresses.
fn start_log(output: Output) {
    let filter = match std::env::var("HEARKEN_LOG") {
        Err(_) => EnvFilter::new("info"),
        Ok(text) => EnvFilter::try_new(&text).unwrap_or_else(|_| {
            output.warning("HEARKEN_LOG is not a log filter; using `info`");
            EnvFilter::new("info")
        }),
    };
    let own = FilterFn::new(|metadata| {
        metadata.target().split("::").next().is_some_and(|root| root.starts_with("hearken"))
    });
    let lines = tracing_subscriber::fmt::layer()
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .with_target(false);
    // Fails only where a log was set up before, and none was.
    let _ =
        tracing_subscriber::registry().with(lines.with_filter(filter).with_filter(own)).try_init();
}

/// A dump of this process would hold keys.
fn forbid_core_dumps() {
    use rustix::process::{Resource, Rlimit, setrlimit};
    let _ = setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) });
    #[cfg(target_os = "linux")]
    let _ = rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::NotDumpable);
}

/// Whatever is made is its owner's only, from the moment it is made, also in a folder that others may enter.
fn keep_files_private() {
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o077));
}

/// Instead of a message that could hold anything, and a backtrace: where in the program it happened.
fn speak_of_panics() {
    std::panic::set_hook(Box::new(|panic| {
        let (file, line) = panic.location().map_or(("?", 0), |at| (at.file(), at.line()));
        let file = file.rsplit('/').next().unwrap_or_default();
        let _ =
            writeln!(std::io::stderr().lock(), "internal error at {file}:{line}; please report it");
    }));
}

//! The program that people run: conversations over Hearken relays, in one command.
//!
//! It says what the library does, in the reader's language or as JSON, and asks the person where the person must
//! decide. It holds no protocol and no cryptography of its own.
#![forbid(unsafe_code)]

mod beside;
mod closings;
mod command;
mod context;
mod conversation;
mod failure;
mod global;
mod language;
mod live;
mod outgoing;
mod output;
mod process;
mod progress;
mod qr;
mod secrets;
mod session;
mod shutdown;
mod terminal;
mod time;

use std::ffi::OsString;
use std::process::ExitCode;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::oneshot;
use zeroizing_alloc::ZeroAlloc;

use crate::command::{CommandLine, Early, Parsed};
use crate::context::Context;
use crate::failure::{Code, Failure};
use crate::language::Language;
use crate::output::Output;
use crate::shutdown::Shutdown;

/// Memory is erased when it is given back: texts and what else passed through do not stay behind in it.
#[global_allocator]
static MEMORY: ZeroAlloc<std::alloc::System> = ZeroAlloc(std::alloc::System);

/// How long a command that was told to stop may take to end in good order: a relay drains for up to 10 s.
const STOP_MAX: Duration = Duration::from_secs(12);

fn main() -> ExitCode {
    // Whatever is made is its owner's only, also in a folder that others may enter: `up` makes a relay's store.
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o077));
    let arguments: Vec<OsString> = std::env::args_os().collect();
    let early = Early::scan(&arguments);
    let language = Language::choose(early.lang.as_deref());
    process::speak_in_panics(language.clone(), early.json);
    hearken_client_lib::vault::process::harden();
    process::start_log();
    let output = Output::new(early.json, language.clone());
    match run(arguments, &output) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            output::complain(&failure.render(&language, early.json));
            ExitCode::from(failure.code().exit_status())
        }
    }
}

fn run(arguments: Vec<OsString>, output: &Output) -> Result<(), Failure> {
    match command::parse(arguments, output.language())? {
        Parsed::Show(text) => output::print(text.trim_end()),
        Parsed::Run(line) => {
            let runtime = tokio::runtime::Builder::new_multi_thread()
                .worker_threads(2)
                .enable_all()
                .build()
                .map_err(|_| Failure::new(Code::Internal))?;
            let done = runtime.block_on(execute(*line, output.clone()));
            // A thread may be waiting for a line that nobody types; the process ends without it.
            runtime.shutdown_background();
            terminal::restore();
            done
        }
    }
}

/// Runs the command on a thread of its own beside the wait for a signal, so that a command that blocks on a file or a
/// terminal can still be stopped: then the process ends without it, as after a kill, which loses nothing.
async fn execute(line: CommandLine, output: Output) -> Result<(), Failure> {
    let (stop, shutdown) = Shutdown::new();
    let CommandLine { global, command, .. } = line;
    let until_stopped = command.runs_until_stopped();
    let context = Context::new(global, command.name(), output, shutdown)?;
    let (tell, mut told) = oneshot::channel();
    let runtime = Handle::current();
    // Before the command begins, which may be told to stop as soon as it says anything.
    let told_to_stop = process::told_to_stop();
    std::thread::spawn(move || {
        // Nobody listens any more when the program was stopped first.
        let _ = tell.send(runtime.block_on(command.run(&context)));
    });
    tokio::select! {
        done = &mut told => return done.unwrap_or_else(|_| Err(Code::Internal.into())),
        () = told_to_stop => {}
    }
    let _ = stop.send(true);
    if !until_stopped {
        return Err(Code::Interrupted.into());
    }
    match tokio::time::timeout(STOP_MAX, told).await {
        Ok(Ok(Err(failure))) if failure.code() != Code::Interrupted => Err(failure),
        _ => Ok(()),
    }
}

//! What the program does to and with the process it is: no panic on the screen, signals, logs.

use std::io;
use std::process;

use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::EnvFilter;

use crate::failure::{Code, Failure};
use crate::language::Language;
use crate::output;
use crate::terminal;

/// The variable of the environment that sets the log filter.
const LOG_VARIABLE: &str = "HEARKEN_LOG";

/// A defect of ours is told like any other failure, without a trace of what was in memory, and ends the program.
pub(crate) fn speak_in_panics(language: Language, json: bool) {
    std::panic::set_hook(Box::new(move |_| {
        terminal::restore();
        let failure = Failure::new(Code::Internal);
        output::complain(&failure.render(&language, json));
        process::exit(i32::from(failure.code().exit_status()));
    }));
}

/// Waits for the first SIGTERM, SIGINT (Ctrl-C) or SIGHUP. From this call on they no longer end the process by themselves.
/// In a runtime.
pub(crate) fn told_to_stop() -> impl Future<Output = ()> {
    let kinds = [SignalKind::terminate(), SignalKind::interrupt(), SignalKind::hangup()];
    let handlers = kinds.map(signal);
    async {
        let [Ok(mut terminate), Ok(mut interrupt), Ok(mut hangup)] = handlers else {
            // Without handlers the signals end the process as they always do.
            return std::future::pending().await;
        };
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
            _ = hangup.recv() => {}
        }
    }
}

/// Logs go to standard error, and only when `HEARKEN_LOG` asks for them; only this project's own targets are heard,
/// since a dependency's log would hold addresses.
pub(crate) fn start_log() {
    let Ok(wanted) = std::env::var(LOG_VARIABLE) else { return };
    let filter = own_targets(&wanted);
    if !filter.is_empty() {
        let subscriber = tracing_subscriber::fmt()
            .with_env_filter(EnvFilter::new(filter))
            .with_writer(io::stderr)
            .with_ansi(false)
            .finish();
        let _ = tracing::subscriber::set_global_default(subscriber);
    }
}

/// The directives of a filter that name this project's targets; a level alone is for all of them.
fn own_targets(wanted: &str) -> String {
    let directives = wanted.split(',').map(str::trim).filter_map(|directive| {
        let target = directive.split(['=', '[']).next().unwrap_or_default();
        if ["off", "error", "warn", "info", "debug", "trace"].contains(&directive) {
            Some(format!("hearken={directive},hearken_client_lib={directive},hearken_relay={directive},hearken_proto={directive}"))
        } else {
            let own = target == "hearken" || target.starts_with("hearken_") || target.starts_with("hearken::");
            own.then(|| directive.to_owned())
        }
    });
    directives.collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_never_reaches_a_dependency() {
        assert_eq!(own_targets("quinn=trace,hearken_relay=debug,rustls"), "hearken_relay=debug");
        assert!(own_targets("trace").split(',').all(|directive| directive.starts_with("hearken")));
        assert_eq!(own_targets(""), "");
    }
}

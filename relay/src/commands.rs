//! The commands, one function each: arguments in, results out, everything decided in the library.

mod dates;
mod decommission;
mod safekeeping;

use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use hearken_proto::time::UnixMillis;
use hearken_relay::admin::{self, Stats};
use hearken_relay::check::{Severity, check};
use hearken_relay::choices::Choices;
use hearken_relay::config::{Config, Listen, PublicHost};
use hearken_relay::folder::{Folder, fingerprint};
use hearken_relay::server::{self, Running};
use hearken_relay::stop::Stop;
use hearken_relay::store::{FjallConfig, FjallStore, Store, StoreError};
use serde::Serialize;
use serde_json::json;
use tokio::signal::unix::{SignalKind, signal};

use crate::arguments::{Command, Data, Init, Place, Serve};
use crate::output::{Failure, Output};
use crate::signals::{self, SIGXFSZ};

/// How long threads that owe nothing to anybody may take to end.
const THREADS_END_TIME_MAX: Duration = Duration::from_secs(1);

/// Carries a command out.
pub(crate) fn run(command: Command, output: Output) -> Result<ExitCode, Failure> {
    let stop = Stop::default();
    match &command {
        // Drains when it is told to stop.
        Command::Serve(_) => {}
        // Remove what is half-made.
        Command::Backup(_) | Command::Restore(_) => {
            let stop = stop.clone();
            signals::watch(move || stop.ask()).map_err(no_runtime)?;
        }
        _ => signals::watch(move || end_at_once(output)).map_err(no_runtime)?,
    }
    match command {
        Command::Init(arguments) => init(&arguments, output),
        Command::Serve(arguments) => serve(&arguments, output),
        Command::Address(arguments) => address(&arguments, output),
        Command::Check(arguments) => check_folder(&arguments, output),
        Command::Stats(arguments) => stats(&arguments, output),
        Command::Backup(arguments) => safekeeping::backup(&arguments, &stop, output),
        Command::Restore(arguments) => safekeeping::restore(&arguments, &stop, output),
        Command::Decommission(arguments) => decommission::decommission(&arguments, output),
    }
    .map(|()| ExitCode::SUCCESS)
}

/// Ends the process as a kill would, which harms nothing, but says so.
fn end_at_once(output: Output) {
    Failure::interrupted().report(output);
    std::process::exit(1);
}

fn init(arguments: &Init, output: Output) -> Result<(), Failure> {
    let place = CheckedPlace::of(&arguments.place)?;
    let folder = Folder::new(&arguments.data);
    folder.init(place.host.as_ref(), &place.listen)?;
    let identity = folder.identity()?;
    let config = Config::read(&folder.config_text()?, &[])?;
    let known = server::address_of(&config, &identity, &addresses(&config));
    let address = known.as_ref().map(ToString::to_string);
    let object = json!({
        "data": arguments.data.display().to_string(),
        "fingerprint": fingerprint(&identity).to_string(),
        "address": address,
    });
    let data = arguments.data.display();
    let told = address.as_deref().unwrap_or("(known once it serves)");
    output.result(
        &object,
        format!(
            "Relay made in {data}\nAddress: {told}\nServe it: hearken-relay serve --data {data}"
        ),
    );
    if known.as_ref().is_some_and(server::is_local) {
        warn_local(output);
    }
    Ok(())
}

fn serve(arguments: &Serve, output: Output) -> Result<(), Failure> {
    let CheckedPlace { host, listen } = CheckedPlace::of(&arguments.place)?;
    let folder = Folder::new(&arguments.data);
    let overrides = arguments.overrides.clone();
    let allow_private_peers = arguments.allow_private_peers;
    let choices = Choices { host, listen, allow_private_peers, overrides };
    let config = choices.prepare(&folder)?;

    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .thread_name("relay")
        .build()
        .map_err(no_runtime)?;
    let served = runtime.block_on(async {
        let shutdown = shutdown()?;
        server::run(&folder, config, |running| ready(running, output), shutdown)
            .await
            .map_err(Failure::from)?
            .map_err(Failure::from)
    });
    // A thread may be merging tables; the process ends without it, as after a kill, which loses nothing.
    runtime.shutdown_timeout(THREADS_END_TIME_MAX);
    served
}

#[derive(Serialize)]
struct Ready {
    event: &'static str,
    address: String,
    listen: Vec<String>,
}

fn ready(running: &Running, output: Output) {
    let address = running.address().to_string();
    let listen: Vec<_> = running.listen().iter().map(ToString::to_string).collect();
    let text = format!("Serving on {}\nAddress: {address}", listen.join(", "));
    if server::is_local(running.address()) {
        warn_local(output);
    }
    output.result(&Ready { event: "ready", address, listen }, text);
}

/// Ready at the first SIGTERM or SIGINT. From here on a file-size limit (SIGXFSZ) makes a write fail, as a full disk
/// does, instead of ending the process.
fn shutdown() -> Result<impl Future<Output = ()>, Failure> {
    let mut terminate = signal(SignalKind::terminate()).map_err(no_runtime)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(no_runtime)?;
    let file_size = signal(SIGXFSZ).map_err(no_runtime)?;
    Ok(async move {
        let _file_size = file_size;
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}

fn address(arguments: &Data, output: Output) -> Result<(), Failure> {
    let folder = Folder::new(&arguments.data);
    let identity = folder.identity()?;
    let handed_out = folder.address(fingerprint(&identity));
    let address = match handed_out {
        Some(address) => Some(address),
        None => {
            let config = Config::read(&folder.config_text()?, &[])?;
            server::address_of(&config, &identity, &addresses(&config))
        }
    };
    let Some(address) = address else {
        let message = "the address is not known before the relay serves: its port is any free one";
        return Err(Failure::failed(
            "no-address",
            message,
            "start it with `serve`, then ask again",
        ));
    };
    output.result(&json!({ "address": address.to_string() }), &address);
    if server::is_local(&address) {
        warn_local(output);
    }
    Ok(())
}

fn check_folder(arguments: &Data, output: Output) -> Result<(), Failure> {
    let folder = Folder::new(&arguments.data);
    let report = check(&folder, now());
    for finding in &report.findings {
        let severity = match finding.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
        };
        let object = json!({
            "finding": severity,
            "code": finding.code,
            "where": finding.place,
            "message": finding.message,
            "advice": finding.advice,
        });
        let text =
            format!("{severity}: {}: {}\n  {}", finding.place, finding.message, finding.advice);
        output.result(&object, text);
    }
    let worst = report.findings.iter().find(|finding| finding.severity == Severity::Error);
    if let Some(worst) = worst {
        return Err(Failure::failed(
            worst.code,
            format!("{}: {}", worst.place, worst.message),
            &worst.advice,
        ));
    }
    let rows = report.rows.unwrap_or_default();
    let object = json!({ "checked": true, "rows": rows, "warnings": report.findings.len() });
    output.result(&object, format!("Configuration, keys and store are sound ({rows} rows read)."));
    Ok(())
}

fn stats(arguments: &Data, output: Output) -> Result<(), Failure> {
    let folder = Folder::new(&arguments.data);
    // Says what is wrong with the folder before anything is made in it.
    folder.identity()?;
    let stats = match admin::ask(&folder) {
        Ok(stats) => stats,
        Err(_) => match FjallStore::open(folder.path(), FjallConfig::default()) {
            Ok(store) => Stats::stopped(&store.totals()),
            Err(error @ StoreError::Locked { .. }) => {
                let advice = "the relay is starting or stopping, or another account's: try again as that account";
                return Err(Failure::failed("locked", error, advice));
            }
            Err(error) => return Err(error.into()),
        },
    };
    let state = if stats.running { "running" } else { "stopped" };
    let mut text =
        format!("{state}\ndisk_bytes {}\nexpiry_days {}", stats.disk_bytes, stats.expiry_days);
    for (name, value) in stats
        .commits
        .map(|count| ("commits", count))
        .into_iter()
        .chain(stats.core.iter().map(|(name, value)| (name.as_str(), *value)))
    {
        text.push_str(&format!("\n{name} {value}"));
    }
    output.result(&stats, text);
    Ok(())
}

fn now() -> UnixMillis {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    UnixMillis(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

/// Host and listening addresses of the command line, checked.
struct CheckedPlace {
    host: Option<PublicHost>,
    listen: Vec<Listen>,
}

impl CheckedPlace {
    fn of(place: &Place) -> Result<Self, Failure> {
        let host = match &place.host {
            None => None,
            Some(host) => Some(PublicHost::parse(host).ok_or_else(|| {
                let message = "--host takes a name or an IP address";
                Failure::usage("usage", message, "give it like relay.example.org")
            })?),
        };
        let listen = place
            .listen
            .iter()
            .map(|text| Listen::parse(text))
            .collect::<Option<Vec<_>>>()
            .ok_or_else(|| {
                let message = "--listen takes an IP address and a port";
                Failure::usage("usage", message, "give it like 0.0.0.0:4433 or [::]:4433")
            })?;
        if listen.len() > hearken_relay::config::LISTEN_MAX {
            let message = "--listen can be given eight times at most";
            return Err(Failure::usage("usage", message, "leave some out"));
        }
        Ok(Self { host, listen })
    }
}

fn addresses(config: &Config) -> Vec<SocketAddr> {
    config.listen.iter().map(|listen| listen.address).collect()
}

fn warn_local(output: Output) {
    output.warning(
        "this address is loopback or private: only this machine or its network reaches it; use --host with the name or \
         address under which others do",
    );
}

fn no_runtime(error: std::io::Error) -> Failure {
    let message = format!("the system does not let the relay run: {}", error.kind());
    Failure::failed("failed", message, "raise the limits of this account (threads, open files)")
}

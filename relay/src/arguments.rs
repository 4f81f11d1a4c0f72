//! The command line of `hearken-relay`: CLI.md's table, as clap reads it.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

/// Hearken's minimal-knowledge relay: it forwards and briefly stores fixed-size sealed cells.
#[derive(Debug, Parser)]
#[command(name = "hearken-relay", version, disable_help_subcommand = true)]
pub(crate) struct Arguments {
    /// Results as one JSON object a line on standard output.
    #[arg(long, global = true)]
    pub(crate) json: bool,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Makes a relay's keys and DIR/relay.toml; overwrites nothing.
    Init(Init),
    /// Serves until SIGTERM or Ctrl-C; makes the relay where DIR is empty.
    Serve(Serve),
    /// Prints the relay's address.
    Address(Data),
    /// Checks configuration and store offline: what is wrong, where, and what to do.
    Check(Data),
    /// Prints the few totals that the relay knows, running or not.
    Stats(Data),
    /// Writes identity, configuration, blobs and their keys to one new FILE, also while the relay serves.
    Backup(Backup),
    /// Makes the relay of a backup in a missing or empty DIR.
    Restore(Restore),
    /// Signs the notice that this relay will close, which clients show and act on; also while it serves.
    Decommission(Decommission),
}

/// A relay's folder.
#[derive(Debug, Args)]
pub(crate) struct Data {
    /// The relay's folder.
    #[arg(long, value_name = "DIR")]
    pub(crate) data: PathBuf,
}

#[derive(Debug, Args)]
pub(crate) struct Backup {
    /// The relay's folder.
    #[arg(long, value_name = "DIR")]
    pub(crate) data: PathBuf,
    /// The file to make; one that is there is not overwritten.
    #[arg(long, value_name = "FILE")]
    pub(crate) out: PathBuf,
}

#[derive(Debug, Args)]
pub(crate) struct Restore {
    /// The folder to make; it may be there, empty.
    #[arg(long, value_name = "DIR")]
    pub(crate) data: PathBuf,
    /// The backup.
    #[arg(long, value_name = "FILE")]
    pub(crate) from: PathBuf,
}

#[derive(Debug, Args)]
#[command(group(clap::ArgGroup::new("what").required(true).args(["on", "cancel"])))]
pub(crate) struct Decommission {
    /// The relay's folder.
    #[arg(long, value_name = "DIR")]
    pub(crate) data: PathBuf,
    /// From when on it takes nothing in: YYYY-MM-DD (the end of that day, UTC) or RFC 3339.
    #[arg(long, value_name = "DATE")]
    pub(crate) on: Option<String>,
    /// A relay to use instead; with this relay's own fingerprint: where it moves to.
    #[arg(long, value_name = "ADDRESS", conflicts_with = "cancel")]
    pub(crate) successor: Option<String>,
    /// Take the notice back.
    #[arg(long)]
    pub(crate) cancel: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Init {
    /// The folder to make.
    #[arg(long, value_name = "DIR")]
    pub(crate) data: PathBuf,
    #[command(flatten)]
    pub(crate) place: Place,
}

#[derive(Debug, Args)]
pub(crate) struct Serve {
    /// The relay's folder.
    #[arg(long, value_name = "DIR")]
    pub(crate) data: PathBuf,
    #[command(flatten)]
    pub(crate) place: Place,
    /// Forward to private and loopback addresses too (for tests).
    #[arg(long)]
    pub(crate) allow_private_peers: bool,
    /// Override a key of relay.toml; a key of a section is written SECTION.KEY.
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub(crate) overrides: Vec<String>,
}

/// Where a relay is.
#[derive(Debug, Args)]
pub(crate) struct Place {
    /// Name or IP address under which others reach the relay.
    #[arg(long, value_name = "NAME")]
    pub(crate) host: Option<String>,
    /// Address to serve on; port 0 takes any free port. May be given several times.
    #[arg(long, value_name = "IP:PORT")]
    pub(crate) listen: Vec<String>,
}

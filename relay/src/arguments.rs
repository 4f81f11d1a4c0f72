//! The command line of `hearken-relay`: CLI.md's table, as clap reads it.

use std::ffi::OsString;
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
    /// (not built yet)
    #[command(disable_help_flag = true)]
    Decommission(Unbuilt),
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

/// Whatever follows the name of a command that is not built.
#[derive(Debug, Args)]
pub(crate) struct Unbuilt {
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, hide = true)]
    pub(crate) rest: Vec<OsString>,
}

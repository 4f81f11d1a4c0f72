//! Flags that stand before or after any command.

use std::path::PathBuf;

use clap::{ArgAction, Args, ValueEnum};

/// Flags that stand before or after any command.
#[derive(Args)]
pub(crate) struct Global {
    #[arg(long, value_name = "DIR", global = true)]
    pub(crate) home: Option<PathBuf>,
    #[arg(long, global = true, overrides_with = "json")]
    pub(crate) json: bool,
    // Read before the rest is parsed, since errors of parsing are told in it.
    #[arg(long, value_name = "TAG", global = true)]
    lang: Option<String>,
    #[arg(long, value_name = "FILE", global = true, conflicts_with = "passphrase_fd")]
    pub(crate) passphrase_file: Option<PathBuf>,
    #[arg(long, value_name = "N", global = true)]
    pub(crate) passphrase_fd: Option<u32>,
    // Codephrases belong to commands that are not built; the flags are accepted everywhere, as all global ones.
    #[arg(long, value_name = "FILE", global = true, conflicts_with = "codephrase_fd")]
    codephrase_file: Option<PathBuf>,
    #[arg(long, value_name = "N", global = true)]
    codephrase_fd: Option<u32>,
    #[arg(long, value_enum, value_name = "ROUTE", global = true)]
    pub(crate) route: Option<Route>,
    #[arg(long, value_name = "socks5://HOST:PORT", global = true)]
    pub(crate) proxy: Option<String>,
    #[arg(long, short = 'h', action = ArgAction::Help, global = true)]
    help: Option<bool>,
}

/// How this command reaches relays.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Route {
    Direct,
    Hop2,
}

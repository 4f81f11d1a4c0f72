//! What a person can ask the program to do: one file a noun.
//!
//! A command's struct is its arguments; its `run` is the command. What every command needs stands in [`Context`].

mod change;
pub(crate) mod consent;
mod contacts;
mod history;
mod init;
mod invite;
mod join;
mod not_built;
mod parse;
mod receive;
mod relay;
mod save;
mod search;
mod send;
mod timer;
mod up;
mod vault;
mod verify;

use clap::{ArgAction, Parser, Subcommand};

use crate::context::Context;
use crate::failure::Failure;
use crate::global::Global;

pub(crate) use parse::{Early, Parsed, parse};

/// The whole command line.
#[derive(Parser)]
#[command(
    name = "hearken",
    bin_name = "hearken",
    version,
    disable_help_flag = true,
    disable_version_flag = true,
    disable_help_subcommand = true,
    infer_long_args = false
)]
pub(crate) struct CommandLine {
    #[command(flatten)]
    pub(crate) global: Global,
    #[arg(long, short = 'V', action = ArgAction::Version)]
    version: Option<bool>,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// The commands that are built; the others are in `not_built`.
#[derive(Subcommand)]
pub(crate) enum Command {
    Up(up::Up),
    Init(init::Init),
    #[command(subcommand)]
    Relay(relay::Relay),
    Invite(invite::Invite),
    Join(join::Join),
    Contacts(contacts::Contacts),
    Verify(verify::Verify),
    Rename(contacts::Rename),
    Block(contacts::Block),
    Forget(contacts::Forget),
    Send(send::Send),
    Receive(receive::Receive),
    Save(save::Save),
    History(history::History),
    Search(search::Search),
    React(change::React),
    Edit(change::Edit),
    Delete(change::Delete),
    Timer(timer::Timer),
    #[command(subcommand)]
    Consent(consent::Consent),
    #[command(subcommand)]
    Vault(vault::Vault),
}

impl Command {
    /// Whether it goes on until it is told to stop, so that being told so is success.
    pub(crate) fn runs_until_stopped(&self) -> bool {
        match self {
            Self::Up(_) => true,
            Self::Receive(receive) => receive.follows(),
            _ => false,
        }
    }

    /// The word that it is called by.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Up(_) => "up",
            Self::Init(_) => "init",
            Self::Relay(_) => "relay",
            Self::Invite(_) => "invite",
            Self::Join(_) => "join",
            Self::Contacts(_) => "contacts",
            Self::Verify(_) => "verify",
            Self::Rename(_) => "rename",
            Self::Block(_) => "block",
            Self::Forget(_) => "forget",
            Self::Send(_) => "send",
            Self::Receive(_) => "receive",
            Self::Save(_) => "save",
            Self::History(_) => "history",
            Self::Search(_) => "search",
            Self::React(_) => "react",
            Self::Edit(_) => "edit",
            Self::Delete(_) => "delete",
            Self::Timer(_) => "timer",
            Self::Consent(_) => "consent",
            Self::Vault(_) => "vault",
        }
    }

    /// Does it.
    pub(crate) async fn run(self, context: &Context) -> Result<(), Failure> {
        match self {
            Self::Up(command) => command.run(context).await,
            Self::Init(command) => command.run(context).await,
            Self::Relay(command) => command.run(context).await,
            Self::Invite(command) => command.run(context).await,
            Self::Join(command) => command.run(context).await,
            Self::Contacts(command) => command.run(context).await,
            Self::Verify(command) => command.run(context).await,
            Self::Rename(command) => command.run(context).await,
            Self::Block(command) => command.run(context).await,
            Self::Forget(command) => command.run(context).await,
            Self::Send(command) => command.run(context).await,
            Self::Receive(command) => command.run(context).await,
            Self::Save(command) => command.run(context).await,
            Self::History(command) => command.run(context).await,
            Self::Search(command) => command.run(context).await,
            Self::React(command) => command.run(context).await,
            Self::Edit(command) => command.run(context).await,
            Self::Delete(command) => command.run(context).await,
            Self::Timer(command) => command.run(context).await,
            Self::Consent(command) => command.run(context).await,
            Self::Vault(command) => command.run(context).await,
        }
    }
}

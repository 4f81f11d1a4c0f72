//! `vault change-passphrase`, `backup`, `restore`, `destroy`. The other verbs are in `not_built`.

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Read};
use std::path::PathBuf;

use clap::{Args, Subcommand};
use fluent_bundle::FluentValue;
use serde::Serialize;

use crate::context::Context;
use crate::failure::{Code, Failure};
use crate::secrets::Source;
use crate::session::{self, Session};
use crate::terminal;

/// What can be done to the vault itself.
#[derive(Subcommand)]
pub(crate) enum Vault {
    ChangePassphrase(ChangePassphrase),
    Backup(Backup),
    Restore(Restore),
    Destroy(Destroy),
}

/// Sets another passphrase. The recovery phrase stays as it is.
#[derive(Args)]
pub(crate) struct ChangePassphrase {
    #[arg(long, value_name = "FILE", conflicts_with = "new_passphrase_fd")]
    new_passphrase_file: Option<PathBuf>,
    #[arg(long, value_name = "N")]
    new_passphrase_fd: Option<u32>,
}

/// Writes a copy without keys.
#[derive(Args)]
pub(crate) struct Backup {
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
}

/// Makes the vault from a copy.
#[derive(Args)]
pub(crate) struct Restore {
    #[arg(long, value_name = "FILE")]
    from: OsString,
}

/// Destroys the vault.
#[derive(Args)]
pub(crate) struct Destroy {}

#[derive(Serialize)]
struct Line {
    home: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    file: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    contacts: Option<usize>,
}

impl Line {
    fn of(context: &Context) -> Self {
        Self { home: context.home.to_string_lossy().into_owned(), file: None, contacts: None }
    }
}

impl Vault {
    pub(crate) async fn run(self, context: &Context) -> Result<(), Failure> {
        match self {
            Self::ChangePassphrase(command) => command.run(context).await,
            Self::Backup(command) => command.run(context).await,
            Self::Restore(command) => command.run(context).await,
            Self::Destroy(command) => command.run(context).await,
        }
    }
}

impl ChangePassphrase {
    async fn run(self, context: &Context) -> Result<(), Failure> {
        let source = Source::new(self.new_passphrase_file, self.new_passphrase_fd);
        if source.is_stdin() && context.passphrase.is_stdin() {
            return Err(stdin_twice(context));
        }
        let session = Session::open(context).await?;
        let new = source.new_one(&context.output, &context.shutdown).await?;
        session.client().change_passphrase(new.as_bytes()).await?;
        session.close().await;
        let line = Line::of(context);
        context.output.result(&line, |language| language.text("say-passphrase-changed"))
    }
}

impl Backup {
    async fn run(self, context: &Context) -> Result<(), Failure> {
        session::need_vault(context)?;
        if self.out.symlink_metadata().is_ok() {
            return Err(Code::FileExists.into());
        }
        let session = Session::open(context).await?;
        session.client().backup(&self.out).await?;
        session.close().await;
        let file = Some(self.out.to_string_lossy().into_owned());
        let line = Line { file, ..Line::of(context) };
        context.output.result(&line, |language| language.text("say-copy-written"))
    }
}

impl Restore {
    async fn run(self, context: &Context) -> Result<(), Failure> {
        session::need_no_vault(context)?;
        let copy: Box<dyn Read + Send> = if self.from == "-" {
            if context.passphrase.is_stdin() {
                return Err(stdin_twice(context));
            }
            Box::new(io::stdin())
        } else {
            Box::new(File::open(&self.from).map_err(|_| Failure::new(Code::FileUnreadable))?)
        };
        let phrase = context
            .passphrase
            .existing(&context.output, &context.shutdown, "ask-passphrase")
            .await?;
        let session = Session::restore(context, copy, &phrase).await?;
        let contacts = session.client().contacts().await?.len();
        session.close().await;
        let line = Line { contacts: Some(contacts), ..Line::of(context) };
        context.output.result(&line, |language| {
            language.text_with("say-restored", &[("n", FluentValue::from(contacts))])
        })
    }
}

impl Destroy {
    async fn run(self, context: &Context) -> Result<(), Failure> {
        session::need_vault(context)?;
        let phrase = context
            .passphrase
            .existing(&context.output, &context.shutdown, "ask-passphrase")
            .await?;
        // Whoever gave the passphrase by a flag has decided; at a terminal a slip of the finger is asked about.
        if terminal::is_there()
            && !context.passphrase.is_given()
            && !context.confirm("ask-destroy").await?
        {
            context.output.say("say-not-destroyed");
            return Err(Code::Interrupted.into());
        }
        Session::destroy(context, &phrase).await?;
        context.output.result(&Line::of(context), |language| language.text("say-destroyed"))?;
        if context.home.join("relay").exists() {
            context.output.say("say-destroyed-relay");
        }
        Ok(())
    }
}

fn stdin_twice(context: &Context) -> Failure {
    let detail = context.output.language().text("usage-stdin-twice");
    Failure::new(Code::Usage).with("detail", detail)
}

//! `vault change-passphrase`. The other verbs are in `not_built`.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use serde::Serialize;

use crate::context::Context;
use crate::failure::{Code, Failure};
use crate::secrets::Source;
use crate::session::Session;

/// What can be done to the vault itself.
#[derive(Subcommand)]
pub(crate) enum Vault {
    ChangePassphrase(ChangePassphrase),
}

/// Sets another passphrase. The recovery phrase stays as it is.
#[derive(Args)]
pub(crate) struct ChangePassphrase {
    #[arg(long, value_name = "FILE", conflicts_with = "new_passphrase_fd")]
    new_passphrase_file: Option<PathBuf>,
    #[arg(long, value_name = "N")]
    new_passphrase_fd: Option<u32>,
}

#[derive(Serialize)]
struct Line {
    home: String,
}

impl Vault {
    pub(crate) async fn run(self, context: &Context) -> Result<(), Failure> {
        let Self::ChangePassphrase(change) = self;
        let source = Source::new(change.new_passphrase_file, change.new_passphrase_fd);
        if source.is_stdin() && context.passphrase.is_stdin() {
            let detail = context.output.language().text("usage-stdin-twice");
            return Err(Failure::new(Code::Usage).with("detail", detail));
        }
        let session = Session::open(context).await?;
        let new = source.new_one(&context.output, &context.shutdown).await?;
        session.client().change_passphrase(new.as_bytes()).await?;
        session.close().await;
        let line = Line { home: context.home.to_string_lossy().into_owned() };
        context.output.result(&line, |language| language.text("say-passphrase-changed"))
    }
}

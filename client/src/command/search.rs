//! `search`: stored texts that have all of the words. No network.

use std::ffi::OsString;

use clap::Args;

use crate::context::Context;
use crate::conversation;
use crate::failure::Failure;
use crate::session::{self, Session};

/// Searches.
#[derive(Args)]
pub(crate) struct Search {
    #[arg(value_name = "WORDS", required = true)]
    words: Vec<OsString>,
}

impl Search {
    pub(crate) async fn run(self, context: &Context) -> Result<(), Failure> {
        session::need_vault(context)?;
        let words = context.text(None, Some(&self.words.join(" ".as_ref())))?;
        let session = Session::open(context).await?;
        let found = session.client().search(&words).await?;
        conversation::show_all(context, &session, &found).await?;
        session.close().await;
        if found.is_empty() {
            context.output.say("say-nothing-found");
        }
        Ok(())
    }
}

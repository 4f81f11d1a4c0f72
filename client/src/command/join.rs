//! `join`: answers an invitation.

use clap::Args;
use serde::Serialize;

use crate::context::Context;
use crate::failure::Failure;
use crate::global::Route;
use crate::progress::while_waiting;
use crate::session::{self, Session};

/// Answers an invitation.
#[derive(Args)]
pub(crate) struct Join {
    #[arg(value_name = "LINK")]
    link: String,
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
}

#[derive(Serialize)]
struct Joined {
    contact: String,
    name: Option<String>,
    mailbox_on_theirs: bool,
}

impl Join {
    pub(crate) async fn run(self, context: &Context) -> Result<(), Failure> {
        session::need_vault(context)?;
        let link = context.link(&self.link)?;
        session::check_link(&link)?;
        let session = Session::open(context).await?;
        let client = session.client();
        let joined = while_waiting(
            &context.output,
            "wait-join",
            session.consenting(context, async || client.join(&link, self.name.clone()).await),
        )
        .await?;
        if context.route == Some(Route::Direct) {
            client.remember_direct().await?;
        }
        session.close().await;
        let contact = joined.contact.id().to_string();
        let name = joined.contact.name().map(str::to_owned);
        let mailbox_on_theirs = joined.mailbox_on_theirs;
        let line = Joined { contact, name, mailbox_on_theirs };
        context.output.result(&line, |_| line.contact.clone())?;
        if mailbox_on_theirs {
            context.output.say("say-mailbox-on-theirs");
        }
        context.output.say("say-joined");
        Ok(())
    }
}

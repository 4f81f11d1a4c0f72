//! `invite`: a link that one person can join with, once.

use std::time::Duration;

use clap::Args;
use serde::Serialize;

use crate::context::Context;
use crate::failure::{Code, Failure};
use crate::output;
use crate::progress::while_waiting;
use crate::qr;
use crate::session::Session;
use crate::time;

/// How long an invitation lasts unless `--expires` says otherwise.
const EXPIRES_DEFAULT: &str = "72";

/// Makes an invitation.
#[derive(Args)]
pub(crate) struct Invite {
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    #[arg(long, value_name = "HOURS", default_value = EXPIRES_DEFAULT, value_parser = time::hours, hide_default_value = true)]
    expires: Duration,
    #[arg(long)]
    qr: bool,
}

#[derive(Serialize)]
struct Made<'a> {
    invitation: &'a str,
    contact: String,
}

impl Invite {
    pub(crate) async fn run(self, context: &Context) -> Result<(), Failure> {
        let session = Session::open(context).await?;
        if session.client().relays().await?.is_empty() {
            return Err(Code::NoRelay.into());
        }
        let client = session.client();
        let made = while_waiting(
            &context.output,
            "wait-invite",
            session
                .consenting(context, async || client.invite(self.name.clone(), self.expires).await),
        )
        .await?;
        session.close().await;
        context.output.say("say-invitation");
        let contact = made.contact.id().to_string();
        let line = Made { invitation: &made.link, contact };
        context.output.result(&line, |_| String::clone(&made.link))?;
        if self.qr {
            show_qr(context, &made.link)?;
        }
        context.output.say("say-invitation-next");
        Ok(())
    }
}

/// The link as a QR code: with the result, or beside it where the result is JSON.
pub(crate) fn show_qr(context: &Context, link: &str) -> Result<(), Failure> {
    match qr::draw(link) {
        Some(drawn) if context.output.is_json() => {
            output::complain(&drawn);
            Ok(())
        }
        Some(drawn) => context.output.show(&drawn),
        None => Ok(()),
    }
}

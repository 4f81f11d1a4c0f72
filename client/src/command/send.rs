//! `send`: a text, byte for byte, to a contact; or somebody else's, as a consent of theirs allows.
//!
//! The text is first kept in the outbox, then handed to the relay. Whatever happens after that, it is not lost: what
//! the relay does not have yet goes out with the next command that reaches it.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::Args;
use serde::Serialize;

use crate::context::Context;
use crate::failure::Failure;
use crate::outgoing;
use crate::session::{self, Session};

/// Sends a text.
#[derive(Args)]
#[command(
    override_usage = "hearken send CONTACT (TEXT | --text-file FILE | --quote CONSENT) [FLAGS]"
)]
#[command(group(clap::ArgGroup::new("content").required(true).args(["text", "text_file", "file", "quote"])))]
pub(crate) struct Send {
    #[arg(value_name = "CONTACT")]
    contact: String,
    #[arg(value_name = "TEXT")]
    text: Option<OsString>,
    #[arg(long, value_name = "FILE")]
    text_file: Option<PathBuf>,
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,
    #[arg(long, value_name = "CONSENT", conflicts_with = "reply_to")]
    quote: Option<String>,
    #[arg(long, value_name = "MESSAGE")]
    reply_to: Option<String>,
    #[arg(long)]
    keep_metadata: bool,
    #[arg(long)]
    keep_name: bool,
}

#[derive(Serialize)]
struct Line {
    message: String,
    state: &'static str,
    contact: String,
}

impl Send {
    pub(crate) async fn run(self, context: &Context) -> Result<(), Failure> {
        if self.file.is_some() || self.keep_metadata || self.keep_name {
            return Err(Failure::not_built("send --file"));
        }
        session::need_vault(context)?;
        let text = match &self.quote {
            Some(_) => String::new(),
            None => context.text(self.text_file.as_deref(), self.text.as_deref())?,
        };
        let session = Session::open(context).await?;
        let client = session.client();
        let contact = session.find(&self.contact).await?;
        session.permit_route(context).await?;
        let message = match (&self.reply_to, &self.quote) {
            (_, Some(given)) => {
                let consent = session.find_consent(given).await?;
                client.quote(contact.id(), consent.id()).await?
            }
            (Some(given), None) => {
                let target = session.find_message(Some(contact.id().into()), given).await?;
                client.reply(contact.id(), target.id(), &text).await?
            }
            (None, None) => client.send_text(contact.id(), &text).await?,
        };
        let delivery = outgoing::deliver(context, &session, &contact, &[message]).await;
        session.close().await;
        let line = Line {
            message: message.to_string(),
            state: delivery.state(),
            contact: contact.id().to_string(),
        };
        context.output.result(&line, |language| language.text(delivery.words()))?;
        delivery.end()
    }
}

//! `send`: a text, byte for byte, or a file, cleaned of what tells who made it, to a contact; or somebody else's words, as a
//! consent of theirs allows.
//!
//! What is sent is first kept in the outbox, then handed to the relay. Whatever happens after that, it is not lost: what
//! the relay does not have yet goes out with the next command that reaches it.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::Args;
use fluent_bundle::FluentValue;
use serde::Serialize;

use crate::context::Context;
use crate::failure::{Code, Failure};
use crate::outgoing;
use crate::progress::{showing_progress, while_waiting};
use crate::session::{self, FileOptions, Session};
use zeroize::Zeroizing;

/// Sends a text.
#[derive(Args)]
#[command(
    override_usage = "hearken send CONTACT (TEXT | --text-file FILE | --file FILE | --quote CONSENT) [FLAGS]"
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

/// What is sent.
enum Content {
    Text(String),
    File(Zeroizing<Vec<u8>>),
    /// Of the consent that was given.
    Quote(String),
}

impl Send {
    fn content(&self, context: &Context) -> Result<Content, Failure> {
        match (&self.file, &self.quote) {
            (Some(path), _) => Ok(Content::File(context.file(path)?)),
            (None, Some(consent)) => Ok(Content::Quote(consent.clone())),
            (None, None) => {
                context.text(self.text_file.as_deref(), self.text.as_deref()).map(Content::Text)
            }
        }
    }

    /// The name that is sent along on purpose.
    fn kept_name(&self) -> Option<String> {
        let name = self.file.as_ref().filter(|_| self.keep_name)?.file_name()?;
        Some(name.to_string_lossy().into_owned())
    }

    pub(crate) async fn run(self, context: &Context) -> Result<(), Failure> {
        if self.file.is_none() && (self.keep_metadata || self.keep_name) {
            // Clap asks for no flag that conflicts with another which is there.
            let missing = [("argument", FluentValue::from("--file"))];
            let detail = context.output.language().text_with("usage-missing", &missing);
            return Err(Failure::new(Code::Usage).with("detail", detail));
        }
        session::need_vault(context)?;
        let content = self.content(context)?;
        let session = Session::open(context).await?;
        let client = session.client();
        let contact = session.find(&self.contact).await?;
        session.permit_route(context).await?;
        let reply_to = match &self.reply_to {
            Some(given) => Some(session.find_message(Some(contact.id().into()), given).await?.id()),
            None => None,
        };
        let events = client.events();
        let message = match (content, reply_to) {
            (Content::Text(text), None) => client.send_text(contact.id(), &text).await?,
            (Content::Text(text), Some(target)) => {
                client.reply(contact.id(), target, &text).await?
            }
            (Content::Quote(given), _) => {
                let consent = session.find_consent(&given).await?;
                client.quote(contact.id(), consent.id()).await?
            }
            (Content::File(file), reply_to) => {
                let (name, keep_metadata) = (self.kept_name(), self.keep_metadata);
                let options = FileOptions { name, keep_metadata, reply_to };
                let sending = client.send_file(contact.id(), file, options);
                while_waiting(&context.output, "wait-clean", sending).await?
            }
        };
        let said = [message];
        let delivering = outgoing::deliver(context, &session, &contact, &said);
        let delivery = showing_progress(&context.output, events, message, delivering).await;
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

//! `send`: a text, byte for byte, to a contact.
//!
//! The text is first kept in the outbox, then handed to the relay. Whatever happens after that, it is not lost: what
//! the relay does not have yet goes out with the next command that reaches it.

use std::ffi::OsString;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use serde::Serialize;

use crate::closings;
use crate::context::Context;
use crate::failure::{Code, Failure};
use crate::progress::while_waiting;
use crate::session::{self, ContactState, SendOutcome, Session, TEXT_MAX};

/// How long a message may wait without any progress.
const PATIENCE: Duration = Duration::from_secs(20);
/// How long to look whether somebody who was invited has joined meanwhile.
const LOOK: Duration = Duration::from_secs(5);

/// Sends a text.
#[derive(Args)]
#[command(override_usage = "hearken send CONTACT (TEXT | --text-file FILE) [FLAGS]")]
#[command(group(clap::ArgGroup::new("content").required(true).args(["text", "text_file", "file"])))]
pub(crate) struct Send {
    #[arg(value_name = "CONTACT")]
    contact: String,
    #[arg(value_name = "TEXT")]
    text: Option<OsString>,
    #[arg(long, value_name = "FILE")]
    text_file: Option<PathBuf>,
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,
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
        if self.reply_to.is_some() {
            return Err(Failure::not_built("send --reply-to"));
        }
        session::need_vault(context)?;
        let text = self.text(context)?;
        let session = Session::open(context).await?;
        let client = session.client();
        let contact = session.find(&self.contact).await?;
        session.permit_route(context).await?;
        let message = client.send_text(contact.id(), &text).await?;
        let outcome = while_waiting(&context.output, "wait-send", async {
            if contact.state() != ContactState::Joined {
                // They may have joined since; whether a relay could be asked is not what this command is about.
                let _ = client.sync(LOOK).await;
            }
            client.wait_sent(message, PATIENCE).await
        })
        .await;
        let warned = closings::warn(context, &session).await;
        session.close().await;
        let sent = matches!(outcome, Ok(SendOutcome::Sent));
        let state = if sent { "sent" } else { "queued" };
        let line = Line { message: message.to_string(), state, contact: contact.id().to_string() };
        context.output.result(&line, |language| {
            language.text(match outcome {
                Ok(SendOutcome::Sent) => "say-sent",
                Ok(SendOutcome::Queued) => "say-queued-until-joined",
                _ => "say-queued",
            })
        })?;
        warned?;
        match outcome? {
            SendOutcome::Sent | SendOutcome::Queued => Ok(()),
            SendOutcome::Unreachable => Err(Code::Unreachable.into()),
            SendOutcome::MailboxFull => Err(Code::MailboxFull.into()),
        }
    }

    fn text(&self, context: &Context) -> Result<String, Failure> {
        // One byte more than the longest text shows that there is more.
        let len_max = TEXT_MAX as u64 + 1;
        let bytes = match (&self.text_file, &self.text) {
            (Some(path), _) if path == Path::new("-") => context.stdin(len_max)?,
            (Some(path), _) => {
                let unreadable = |_| Failure::new(Code::FileUnreadable);
                let mut bytes = Vec::new();
                let file = File::open(path).map_err(unreadable)?;
                file.take(len_max).read_to_end(&mut bytes).map_err(unreadable)?;
                bytes
            }
            (None, Some(text)) if text == "-" => context.stdin(len_max)?,
            (None, Some(text)) => {
                context.output.warn_on_terminal("warn-text-argument");
                text.as_encoded_bytes().to_vec()
            }
            (None, None) => Vec::new(),
        };
        if bytes.is_empty() {
            return Err(Code::TextEmpty.into());
        }
        if bytes.len() > TEXT_MAX {
            return Err(Code::TextTooLong.into());
        }
        String::from_utf8(bytes).map_err(|_| Code::TextNotUtf8.into())
    }
}

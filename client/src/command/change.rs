//! `react`, `edit`, `delete`: what a person makes of a message that is there.

use std::ffi::OsString;

use clap::Args;
use serde::Serialize;

use crate::context::Context;
use crate::failure::Failure;
use crate::outgoing;
use crate::session::{self, Session};

/// Reacts to a message, or takes that back.
#[derive(Args)]
pub(crate) struct React {
    #[arg(value_name = "CONTACT")]
    contact: String,
    #[arg(value_name = "MESSAGE")]
    message: String,
    #[arg(value_name = "EMOJI")]
    emoji: String,
}

/// Replaces the words of an own message.
#[derive(Args)]
pub(crate) struct Edit {
    #[arg(value_name = "CONTACT")]
    contact: String,
    #[arg(value_name = "MESSAGE")]
    message: String,
    #[arg(value_name = "TEXT")]
    text: OsString,
}

/// Deletes a message.
#[derive(Args)]
pub(crate) struct Delete {
    #[arg(value_name = "CONTACT")]
    contact: String,
    #[arg(value_name = "MESSAGE")]
    message: String,
    #[arg(long)]
    both: bool,
}

#[derive(Serialize)]
struct Line<'a> {
    message: String,
    contact: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    emoji: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    withdrawn: Option<bool>,
    /// How far the news of it is; nothing where nobody is told.
    #[serde(skip_serializing_if = "Option::is_none")]
    state: Option<&'static str>,
}

impl React {
    pub(crate) async fn run(self, context: &Context) -> Result<(), Failure> {
        session::need_vault(context)?;
        let session = Session::open(context).await?;
        let contact = session.find(&self.contact).await?;
        let target = session.find_message(Some(contact.id().into()), &self.message).await?;
        session.permit_route(context).await?;
        let reacted = session.client().react(contact.id(), target.id(), &self.emoji).await?;
        let delivery = outgoing::deliver(context, &session, &contact, &reacted.sent_as).await;
        session.close().await;
        let line = Line {
            message: target.id().to_string(),
            contact: contact.id().to_string(),
            emoji: Some(&self.emoji),
            withdrawn: Some(reacted.withdrawn),
            state: Some(delivery.state()),
        };
        context.output.result(&line, |language| language.text(delivery.words()))?;
        delivery.end()
    }
}

impl Edit {
    pub(crate) async fn run(self, context: &Context) -> Result<(), Failure> {
        session::need_vault(context)?;
        let text = context.text(None, Some(&self.text))?;
        let session = Session::open(context).await?;
        let contact = session.find(&self.contact).await?;
        let target = session.find_message(Some(contact.id().into()), &self.message).await?;
        session.permit_route(context).await?;
        let said = session.client().edit(contact.id(), target.id(), &text).await?;
        let delivery = outgoing::deliver(context, &session, &contact, &[said]).await;
        session.close().await;
        let line = Line {
            message: target.id().to_string(),
            contact: contact.id().to_string(),
            emoji: None,
            withdrawn: None,
            state: Some(delivery.state()),
        };
        context.output.result(&line, |language| language.text(delivery.words()))?;
        delivery.end()
    }
}

impl Delete {
    pub(crate) async fn run(self, context: &Context) -> Result<(), Failure> {
        session::need_vault(context)?;
        let session = Session::open(context).await?;
        let client = session.client();
        let contact = session.find(&self.contact).await?;
        let target = session.find_message(Some(contact.id().into()), &self.message).await?;
        let mut line = Line {
            message: target.id().to_string(),
            contact: contact.id().to_string(),
            emoji: None,
            withdrawn: None,
            state: None,
        };
        if !self.both {
            client.delete(contact.id(), target.id()).await?;
            session.close().await;
            return context.output.result(&line, |language| language.text("say-deleted-here"));
        }
        session.permit_route(context).await?;
        let said = client.delete_for_all(contact.id(), target.id()).await?;
        let delivery = outgoing::deliver(context, &session, &contact, said.as_slice()).await;
        session.close().await;
        line.state = said.is_some().then(|| delivery.state());
        let words = if said.is_some() { "say-deleted-both" } else { "say-deleted-unsent" };
        context.output.result(&line, |language| language.text(words))?;
        delivery.end()
    }
}

//! `contacts`, `rename`, `block`, `forget`: whom this side knows. No network.

use clap::Args;
use fluent_bundle::FluentValue;
use serde::Serialize;

use crate::context::Context;
use crate::conversation::state_name;
use crate::failure::{Failure, printable};
use crate::session::{Contact, ContactState, Session};

/// Lists them.
#[derive(Args)]
pub(crate) struct Contacts {}

/// Gives one another name.
#[derive(Args)]
pub(crate) struct Rename {
    #[arg(value_name = "CONTACT")]
    contact: String,
    #[arg(value_name = "NAME")]
    name: String,
}

/// Drops what one sends, unseen.
#[derive(Args)]
pub(crate) struct Block {
    #[arg(value_name = "CONTACT")]
    contact: String,
}

/// Deletes one and all that was written with them.
#[derive(Args)]
pub(crate) struct Forget {
    #[arg(value_name = "CONTACT")]
    contact: String,
}

#[derive(Serialize)]
struct Line<'a> {
    contact: String,
    name: Option<&'a str>,
    state: &'static str,
    verified: bool,
    outbox: u32,
    blocked: bool,
    /// Known from a copy of a vault: `state` is `invited`, since what is written waits, and a new invitation is needed.
    meet_again: bool,
}

#[derive(Serialize)]
struct Touched<'a> {
    contact: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'a str>,
}

impl Contacts {
    pub(crate) async fn run(self, context: &Context) -> Result<(), Failure> {
        let session = Session::open(context).await?;
        let contacts = session.client().contacts().await?;
        session.close().await;
        for contact in &contacts {
            let joined = contact.state() == ContactState::Joined;
            let line = Line {
                contact: contact.id().to_string(),
                name: contact.name(),
                state: if joined { "joined" } else { "invited" },
                verified: contact.is_verified(),
                outbox: contact.outbox(),
                blocked: contact.is_blocked(),
                meet_again: contact.state() == ContactState::Apart,
            };
            context.output.result(&line, |language| {
                let mut marks = vec![language.text(state_name(contact))];
                if line.blocked {
                    marks.push(language.text("say-state-blocked"));
                }
                if line.outbox > 0 {
                    let waiting = [("n", FluentValue::from(line.outbox))];
                    marks.push(language.text_with("say-state-outbox", &waiting));
                }
                let name = printable(line.name.unwrap_or("-"));
                format!("{}  {name}  {}", line.contact, marks.join(", "))
            })?;
        }
        if contacts.is_empty() {
            context.output.say("say-no-contacts");
        }
        Ok(())
    }
}

impl Rename {
    pub(crate) async fn run(self, context: &Context) -> Result<(), Failure> {
        let session = Session::open(context).await?;
        let contact = session.find(&self.contact).await?;
        session.client().rename(contact.id(), &self.name).await?;
        session.close().await;
        touched(context, &contact, Some(&self.name), "say-renamed")
    }
}

impl Block {
    pub(crate) async fn run(self, context: &Context) -> Result<(), Failure> {
        let session = Session::open(context).await?;
        let contact = session.find(&self.contact).await?;
        session.client().block(contact.id()).await?;
        session.close().await;
        touched(context, &contact, None, "say-blocked")
    }
}

impl Forget {
    pub(crate) async fn run(self, context: &Context) -> Result<(), Failure> {
        let session = Session::open(context).await?;
        let contact = session.find(&self.contact).await?;
        session.client().forget(contact.id()).await?;
        session.close().await;
        touched(context, &contact, None, "say-forgotten")
    }
}

fn touched(
    context: &Context,
    contact: &Contact,
    name: Option<&str>,
    key: &'static str,
) -> Result<(), Failure> {
    let line = Touched { contact: contact.id().to_string(), name };
    context.output.result(&line, |_| line.contact.clone())?;
    context.output.say(key);
    Ok(())
}

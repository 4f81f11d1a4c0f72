//! `verify`: the safety phrase that both sides compare, so that nobody sits between them. No network.

use clap::Args;
use serde::Serialize;

use crate::context::Context;
use crate::failure::{Code, Failure, printable};
use crate::session::Session;

/// Shows the safety phrase; `--confirm` records that it is the same.
#[derive(Args)]
pub(crate) struct Verify {
    #[arg(value_name = "CONTACT")]
    contact: String,
    #[arg(long)]
    confirm: bool,
}

#[derive(Serialize)]
struct Line {
    contact: String,
    safety_phrase: Vec<String>,
    safety_number: String,
    verified: bool,
}

impl Verify {
    pub(crate) async fn run(self, context: &Context) -> Result<(), Failure> {
        let session = Session::open(context).await?;
        let contact = session.find(&self.contact).await?;
        let safety = session.client().safety(contact.id()).await?;
        let Some(safety) = safety else {
            return Err(Code::NotJoined.into());
        };
        if self.confirm {
            session.client().confirm_verified(contact.id()).await?;
        }
        session.close().await;
        let line = Line {
            contact: contact.id().to_string(),
            safety_phrase: safety.words().iter().map(|word| (*word).to_string()).collect(),
            safety_number: safety.number().to_string(),
            verified: self.confirm || contact.is_verified(),
        };
        context.output.result(&line, |language| {
            let name = printable(contact.name().unwrap_or(&line.contact));
            format!(
                "{name}\n\n{}\n  {}\n\n{}\n  {}\n",
                language.text("head-safety-phrase"),
                line.safety_phrase.join(" "),
                language.text("head-safety-number"),
                line.safety_number,
            )
        })?;
        context.output.say(if line.verified { "say-verified" } else { "say-verify-how" });
        Ok(())
    }
}

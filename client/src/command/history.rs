//! `history`: what was written with a contact, own messages included, oldest first. No network.

use clap::Args;

use crate::context::Context;
use crate::conversation;
use crate::failure::Failure;
use crate::session::Session;

/// The newest messages shown unless `--limit` says otherwise.
const LIMIT_DEFAULT: u32 = 100;

/// Shows stored messages.
#[derive(Args)]
pub(crate) struct History {
    #[arg(value_name = "CONTACT")]
    contact: String,
    #[arg(long, value_name = "N", default_value_t = LIMIT_DEFAULT, hide_default_value = true)]
    limit: u32,
}

impl History {
    pub(crate) async fn run(self, context: &Context) -> Result<(), Failure> {
        let session = Session::open(context).await?;
        let contact = session.find(&self.contact).await?;
        let limit = usize::try_from(self.limit).unwrap_or(usize::MAX);
        let messages = session.client().history(contact.id(), limit).await?;
        conversation::show_all(context, &session, &messages).await?;
        session.close().await;
        if messages.is_empty() {
            context.output.say("say-no-messages");
        }
        Ok(())
    }
}

//! `timer`: how long what is written from here on stays, at both sides.

use std::time::Duration;

use clap::Args;
use serde::Serialize;

use crate::context::Context;
use crate::failure::{Code, Failure};
use crate::outgoing;
use crate::session::{self, Session};
use crate::time;

/// Sets it.
#[derive(Args)]
pub(crate) struct Timer {
    #[arg(value_name = "CONTACT")]
    contact: String,
    #[arg(value_name = "DURATION|off")]
    duration: String,
}

#[derive(Serialize)]
struct Line {
    contact: String,
    /// Seconds.
    timer: Option<u64>,
    state: &'static str,
}

impl Timer {
    pub(crate) async fn run(self, context: &Context) -> Result<(), Failure> {
        session::need_vault(context)?;
        let timer = match self.duration.as_str() {
            "off" => None,
            given => Some(time::duration(given).ok_or(Code::TimerInvalid)?),
        };
        let session = Session::open(context).await?;
        let contact = session.find(&self.contact).await?;
        session.permit_route(context).await?;
        let said = session.client().set_timer(contact.id(), timer).await?;
        let delivery = outgoing::deliver(context, &session, &contact, &[said]).await;
        session.close().await;
        let line = Line {
            contact: contact.id().to_string(),
            timer: timer.as_ref().map(Duration::as_secs),
            state: delivery.state(),
        };
        let words = if timer.is_some() { "say-timer-on" } else { "say-timer-off" };
        context.output.result(&line, |language| language.text(words))?;
        delivery.end()
    }
}

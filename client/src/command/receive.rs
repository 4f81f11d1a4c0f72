//! `receive`: one sync with everything that is due, or, with `--follow`, all that comes until it is told to stop.
//!
//! A message is marked as shown only after its line has left the program: a kill in between shows it again, never
//! leaves it out.

use std::time::Duration;

use clap::Args;

use crate::closings;
use crate::context::Context;
use crate::conversation;
use crate::failure::{Code, Failure};
use crate::progress::while_waiting;
use crate::session::{Event, Session};
use crate::time;

/// How long one sync takes at most unless `--timeout` says otherwise, in seconds.
const TIMEOUT_DEFAULT: &str = "10";

/// Receives.
#[derive(Args)]
pub(crate) struct Receive {
    #[arg(long)]
    follow: bool,
    #[arg(long, value_name = "SECONDS", default_value = TIMEOUT_DEFAULT, value_parser = time::seconds, hide_default_value = true)]
    timeout: Duration,
}

impl Receive {
    pub(crate) fn follows(&self) -> bool {
        self.follow
    }

    pub(crate) async fn run(self, context: &Context) -> Result<(), Failure> {
        let session = Session::open(context).await?;
        if !session.client().contacts().await?.is_empty() {
            session.permit_route(context).await?;
        }
        if self.follow { follow(context, session).await } else { self.once(context, session).await }
    }

    async fn once(self, context: &Context, session: Session) -> Result<(), Failure> {
        let client = session.client();
        let synced =
            while_waiting(&context.output, "wait-receive", client.sync(self.timeout)).await;
        // Whatever the sync says, what came before it ended is shown.
        let shown = conversation::show_new(context, &session).await;
        let warned = closings::warn(context, &session).await;
        session.close().await;
        let outcome = synced?;
        let shown = shown?;
        warned?;
        if !outcome.unreachable.is_empty() {
            return Err(Code::Unreachable.into());
        }
        if let Some(trouble) = outcome.trouble {
            return Err(trouble.into());
        }
        if outcome.left_over {
            context.output.say("say-out-of-time");
        } else if shown == 0 {
            context.output.say("say-nothing-new");
        }
        Ok(())
    }
}

async fn follow(context: &Context, session: Session) -> Result<(), Failure> {
    let client = session.client();
    let mut events = client.events();
    client.follow().await?;
    context.output.say("say-following");
    closings::warn(context, &session).await?;
    loop {
        conversation::show_new(context, &session).await?;
        let event = tokio::select! {
            event = events.next() => event,
            () = context.shutdown.wait() => break,
        };
        match event {
            Some(Event::RelayUnreachable(_)) => context.output.say("say-relay-unreachable"),
            Some(Event::RelayReached(_)) => context.output.say("say-relay-reached"),
            Some(Event::RelayCloses(_)) => closings::warn(context, &session).await?,
            Some(Event::RelayStays(_)) => context.output.say("say-relay-stays"),
            Some(_) => {}
            None => return Err(session.ended().await),
        }
    }
    session.close().await;
    Ok(())
}

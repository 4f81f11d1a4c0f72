//! What was said goes out: the one way in which commands that say something wait for a relay and tell what came of it.
//!
//! What is said is first kept in the outbox, then handed to the relay. Whatever happens after that, it is not lost: what
//! the relay does not have yet goes out with the next command that reaches it.

use std::time::Duration;

use crate::closings;
use crate::context::Context;
use crate::failure::{Code, Failure};
use crate::progress::while_waiting;
use crate::session::{ClientError, Contact, ContactState, MessageId, SendOutcome, Session};

/// How long a message may wait without any progress.
const PATIENCE: Duration = Duration::from_secs(20);
/// How long to look whether somebody who was invited has joined meanwhile.
const LOOK: Duration = Duration::from_secs(5);

/// What came of it.
pub(crate) struct Delivery {
    outcome: Result<SendOutcome, ClientError>,
    warned: Result<(), Failure>,
}

/// Waits until a relay holds the last of `said`; where there is nothing to be said, it is done.
pub(crate) async fn deliver(
    context: &Context,
    session: &Session,
    contact: &Contact,
    said: &[MessageId],
) -> Delivery {
    let client = session.client();
    let Some(last) = said.last() else {
        return Delivery { outcome: Ok(SendOutcome::Sent), warned: Ok(()) };
    };
    let outcome = while_waiting(&context.output, "wait-send", async {
        if contact.state() != ContactState::Joined {
            // They may have joined since; whether a relay could be asked is not what this command is about.
            let _ = client.sync(LOOK).await;
        }
        client.wait_sent_to(contact.id(), *last, PATIENCE).await
    })
    .await;
    let warned = closings::warn(context, session).await;
    Delivery { outcome, warned }
}

impl Delivery {
    /// `sent` or `queued`.
    pub(crate) fn state(&self) -> &'static str {
        if matches!(self.outcome, Ok(SendOutcome::Sent)) { "sent" } else { "queued" }
    }

    /// The sentence that says so.
    pub(crate) fn words(&self) -> &'static str {
        match self.outcome {
            Ok(SendOutcome::Sent) => "say-sent",
            Ok(SendOutcome::Queued) => "say-queued-until-joined",
            _ => "say-queued",
        }
    }

    /// The end of the command, once its line is printed.
    pub(crate) fn end(self) -> Result<(), Failure> {
        self.warned?;
        match self.outcome? {
            SendOutcome::Sent | SendOutcome::Queued => Ok(()),
            SendOutcome::Unreachable => Err(Code::Unreachable.into()),
            SendOutcome::MailboxFull => Err(Code::MailboxFull.into()),
        }
    }
}

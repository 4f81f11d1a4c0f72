//! Relays that said that they close: told beside every command that reaches them, until the person has moved on.

use fluent_bundle::FluentValue;
use hearken_client_lib::Closing;

use crate::context::Context;
use crate::failure::{Failure, printable};
use crate::session::{Contact, Session};
use crate::time;

/// A line on standard error for each, and whom it touches.
pub(crate) async fn warn(context: &Context, session: &Session) -> Result<(), Failure> {
    let closings = session.client().closings().await?;
    if closings.is_empty() {
        return Ok(());
    }
    let contacts = session.client().contacts().await?;
    for closing in &closings {
        let names = names(closing, &contacts);
        let closed = closing.on() <= time::now();
        let key = match (closed, names.is_empty()) {
            (false, true) => "warn-relay-closes",
            (false, false) => "warn-relay-closes-contacts",
            (true, true) => "warn-relay-closed",
            (true, false) => "warn-relay-closed-contacts",
        };
        let values = [
            ("relay", FluentValue::from(closing.address().to_string())),
            ("date", FluentValue::from(time::for_people(closing.on()))),
            ("names", FluentValue::from(names)),
        ];
        context.output.say_with(key, &values);
        if let Some(successor) = closing.successor() {
            let values = [("address", FluentValue::from(successor.to_string()))];
            context.output.say_with("warn-relay-successor", &values);
        }
    }
    Ok(())
}

fn names(closing: &Closing, contacts: &[Contact]) -> String {
    let touched = contacts.iter().filter(|contact| closing.contacts().contains(&contact.id()));
    let names = touched.map(|contact| match contact.name() {
        Some(name) => printable(name),
        None => contact.id().to_string(),
    });
    names.collect::<Vec<_>>().join(", ")
}

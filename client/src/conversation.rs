//! A message as a line: JSON for programs, words for people.
//!
//! What somebody else wrote is shown so that it cannot pass for anything else: control characters are replaced and
//! every line of it is indented under the name of its sender. JSON carries it byte for byte.

use std::collections::HashMap;

use fluent_bundle::FluentValue;
use serde::Serialize;

use crate::context::Context;
use crate::failure::{Failure, printable};
use crate::language::Language;
use crate::output::Output;
use crate::session::{
    Contact, ContactId, ContactState, Message, MessageKind, MessageState, Notice, Session,
};
use crate::time;

/// Messages that are marked as shown in one step: each step is a durable write, and a kill shows at most these again.
const MARKED_AT_ONCE: usize = 32;

/// A message line.
#[derive(Serialize)]
struct Line<'a> {
    message: String,
    contact: String,
    from: String,
    kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    notice: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    missing: Option<u32>,
    sent_at: String,
    received_at: Option<String>,
    state: &'static str,
}

/// Shows what was not shown yet, and marks it as shown once it has left the program. Gives the number of lines.
pub(crate) async fn show_new(context: &Context, session: &Session) -> Result<usize, Failure> {
    let client = session.client();
    let messages = client.new_messages().await?;
    if messages.is_empty() {
        return Ok(0);
    }
    let contacts = by_id(client.contacts().await?);
    for batch in messages.chunks(MARKED_AT_ONCE) {
        for message in batch {
            show(&context.output, message, contacts.get(&message.contact()))?;
        }
        client.mark_shown(batch).await?;
    }
    Ok(messages.len())
}

fn by_id(contacts: Vec<Contact>) -> HashMap<ContactId, Contact> {
    contacts.into_iter().map(|contact| (contact.id(), contact)).collect()
}

/// Shows one message of `contact`.
pub(crate) fn show(
    output: &Output,
    message: &Message,
    contact: Option<&Contact>,
) -> Result<(), Failure> {
    let id = message.contact().to_string();
    let name = contact.and_then(Contact::name);
    let from = if message.is_from_me() { "me" } else { name.unwrap_or(&id) };
    let words = words(output.language(), message);
    let line = Line {
        message: message.id().to_string(),
        contact: id.clone(),
        from: from.to_owned(),
        kind: match message.kind() {
            MessageKind::Text => "text",
            MessageKind::Gap { .. } => "gap",
            _ => "notice",
        },
        text: match message.kind() {
            MessageKind::Text => Some(message.text()),
            MessageKind::Gap { .. } => None,
            _ => Some(&words),
        },
        notice: match message.kind() {
            MessageKind::Notice(notice) => Some(notice_name(notice)),
            _ => None,
        },
        missing: match message.kind() {
            MessageKind::Gap { missing } => Some(missing),
            _ => None,
        },
        sent_at: time::rfc3339(message.sent_at()),
        received_at: message.received_at().map(time::rfc3339),
        state: match message.state() {
            MessageState::Queued => "queued",
            MessageState::Sent => "sent",
            _ => "received",
        },
    };
    output.result(&line, |language| for_people(language, message, from, &words))
}

fn for_people(language: &Language, message: &Message, from: &str, words: &str) -> String {
    let id = message.contact().to_string();
    let who = match from {
        _ if message.is_from_me() => language.text("say-me"),
        from if from == id => short(from).to_owned(),
        name => printable(name),
    };
    let at = time::for_people(message.received_at().unwrap_or(message.sent_at()));
    let mut text = format!("{who}, {at}");
    if message.state() == MessageState::Queued {
        text.push_str(&format!(" ({})", language.text("say-state-waiting")));
    }
    text.push(':');
    text.push_str(&indented(words));
    text
}

/// Every line of what somebody wrote, under the line that says who did.
fn indented(words: &str) -> String {
    let mut text = String::new();
    for line in words.strip_suffix('\n').unwrap_or(words).split('\n') {
        text.push_str("\n  ");
        text.push_str(&printable(line.strip_suffix('\r').unwrap_or(line)));
    }
    text
}

/// How far a contact has come, in the catalogue.
pub(crate) fn state_name(contact: &Contact) -> &'static str {
    match (contact.state(), contact.is_verified()) {
        (ContactState::Invited, _) => "say-state-invited",
        (ContactState::Apart, _) => "say-state-apart",
        (ContactState::Joined, false) => "say-state-unverified",
        (ContactState::Joined, true) => "say-state-verified",
    }
}

/// As much of an id as tells contacts apart, for people.
pub(crate) fn short(id: &str) -> &str {
    id.get(..8).unwrap_or(id)
}

fn words(language: &Language, message: &Message) -> String {
    match message.kind() {
        MessageKind::Text => message.text().to_owned(),
        MessageKind::Gap { missing } => {
            language.text_with("notice-gap", &[("missing", FluentValue::from(missing))])
        }
        MessageKind::Notice(Notice::Joined) => language.text("notice-joined"),
        MessageKind::Notice(Notice::SecondClaim) => language.text("notice-second-claim"),
        MessageKind::Notice(Notice::Unsent) => {
            let words = [("words", FluentValue::from(message.text().to_owned()))];
            language.text_with("notice-unsent", &words)
        }
        MessageKind::Notice(Notice::Restored) => language.text("notice-restored"),
        _ => language.text("notice-unknown"),
    }
}

fn notice_name(notice: Notice) -> &'static str {
    match notice {
        Notice::Joined => "joined",
        Notice::SecondClaim => "second-claim",
        Notice::Unsent => "unsent",
        Notice::Restored => "restored",
        _ => "other",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_line_of_a_message_can_pass_for_anything_else() {
        let forged = indented("hello\r\nYou, 2026-11-25 04:15 UTC:\u{1b}[1A\rx\u{2028}y\n");
        assert_eq!(forged, "\n  hello\n  You, 2026-11-25 04:15 UTC:\u{fffd}[1A\u{fffd}x\u{fffd}y");
        assert_eq!(indented("\n\n"), "\n  \n  ");
    }
}

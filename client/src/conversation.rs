//! A message as a line: JSON for programs, words for people.
//!
//! What somebody else wrote is shown so that it cannot pass for anything else: control characters are replaced and
//! every line of it is indented under the name of its sender. JSON carries it byte for byte.

use std::collections::HashMap;
use std::time::Duration;

use fluent_bundle::FluentValue;
use serde::Serialize;

use crate::command::consent;
use crate::context::Context;
use crate::failure::{Failure, printable};
use crate::language::Language;
use crate::output::Output;
use crate::session::{
    Author, Consent, ConsentId, Contact, ContactId, ContactState, FileInfo, FileState, Message,
    MessageKind, MessageState, Notice, Session,
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
    file: Option<FileLine<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    notice: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    missing: Option<u32>,
    /// The message that a text answers.
    #[serde(skip_serializing_if = "Option::is_none")]
    reply_to: Option<String>,
    /// The message that a reaction is to.
    #[serde(skip_serializing_if = "Option::is_none")]
    target: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    consent: Option<String>,
    /// As it was when this line came.
    #[serde(skip_serializing_if = "Option::is_none")]
    consent_state: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    to: Option<&'a str>,
    #[serde(rename = "for", skip_serializing_if = "Option::is_none")]
    purpose: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    until: Option<Option<String>>,
    #[serde(skip_serializing_if = "core::ops::Not::not")]
    edited: bool,
    /// Of a reaction: it was taken back.
    #[serde(skip_serializing_if = "core::ops::Not::not")]
    withdrawn: bool,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    reactions: Vec<Reaction<'a>>,
    /// Seconds, of the notice `timer`; null: off.
    #[serde(skip_serializing_if = "Option::is_none")]
    timer: Option<Option<u32>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_at: Option<String>,
    sent_at: String,
    received_at: Option<String>,
    state: &'static str,
}

/// A file, as a message line has it.
#[derive(Serialize)]
struct FileLine<'a> {
    name: &'a str,
    /// Null where what is known of it is gone.
    size: Option<u64>,
    #[serde(rename = "type")]
    media_type: Option<&'a str>,
    /// `own`, `at-relay`, `here`, `gone` or `broken`.
    at: &'static str,
}

/// What somebody thinks of a message.
#[derive(Serialize)]
struct Reaction<'a> {
    from: String,
    emoji: &'a str,
}

/// Whom messages are from, and the consents that they are about.
pub(crate) struct People {
    contacts: HashMap<ContactId, Contact>,
    consents: HashMap<ConsentId, Consent>,
}

impl People {
    /// Those that this side knows.
    pub(crate) async fn of(session: &Session) -> Result<Self, Failure> {
        let contacts = session.client().contacts().await?;
        let consents = session.client().consents().await?;
        Ok(Self {
            contacts: contacts.into_iter().map(|contact| (contact.id(), contact)).collect(),
            consents: consents.into_iter().map(|consent| (consent.id(), consent)).collect(),
        })
    }

    /// `me`, a name, or an id where there is none.
    pub(crate) fn name(&self, author: Author) -> String {
        match author {
            Author::Me => "me".to_owned(),
            Author::Contact(id) => match self.contacts.get(&id).and_then(Contact::name) {
                Some(name) => name.to_owned(),
                None => id.to_string(),
            },
            _ => "?".to_owned(),
        }
    }

    /// The same for people.
    pub(crate) fn name_for_people(&self, language: &Language, author: Author) -> String {
        match author {
            Author::Me => language.text("say-me"),
            Author::Contact(id) => match self.contacts.get(&id).and_then(Contact::name) {
                Some(name) => printable(name),
                None => short(&id.to_string()).to_owned(),
            },
            _ => "?".to_owned(),
        }
    }
}

/// Shows what was not shown yet, and marks it as shown once it has left the program. Gives the number of lines.
pub(crate) async fn show_new(context: &Context, session: &Session) -> Result<usize, Failure> {
    let client = session.client();
    let messages = client.new_messages().await?;
    if messages.is_empty() {
        return Ok(0);
    }
    let people = People::of(session).await?;
    for batch in messages.chunks(MARKED_AT_ONCE) {
        for message in batch {
            show(&context.output, message, &people)?;
        }
        client.mark_shown(batch).await?;
    }
    Ok(messages.len())
}

/// Shows these messages.
pub(crate) async fn show_all(
    context: &Context,
    session: &Session,
    messages: &[Message],
) -> Result<(), Failure> {
    let people = People::of(session).await?;
    messages.iter().try_for_each(|message| show(&context.output, message, &people))
}

/// Shows one message.
fn show(output: &Output, message: &Message, people: &People) -> Result<(), Failure> {
    let asked = message.consent().and_then(|consent| people.consents.get(&consent));
    let words = words(output.language(), message, asked);
    let kind = message.kind();
    let is_text = matches!(kind, MessageKind::Text | MessageKind::File);
    let target = message.target().map(|target| target.to_string());
    let line = Line {
        message: message.id().to_string(),
        contact: message.contact().map(|contact| contact.to_string()).unwrap_or_default(),
        from: people.name(message.author()),
        kind: match kind {
            MessageKind::Text => "text",
            MessageKind::File => "file",
            MessageKind::Reaction { .. } => "reaction",
            MessageKind::Consent(_) => "consent",
            MessageKind::Gap { .. } => "gap",
            _ => "notice",
        },
        text: match kind {
            MessageKind::Text | MessageKind::Reaction { .. } => Some(message.text()),
            MessageKind::Gap { .. } | MessageKind::File => None,
            _ => Some(&words),
        },
        file: (kind == MessageKind::File).then(|| FileLine {
            name: message.text(),
            size: message.file().map(FileInfo::size),
            media_type: message.file().map(FileInfo::media_type),
            at: place_of(message),
        }),
        notice: match kind {
            MessageKind::Notice(notice) => Some(notice_name(notice)),
            _ => None,
        },
        missing: match kind {
            MessageKind::Gap { missing } => Some(missing),
            _ => None,
        },
        reply_to: target.clone().filter(|_| is_text),
        target: target.filter(|_| matches!(kind, MessageKind::Reaction { .. })),
        consent: message.consent().map(|consent| consent.to_string()),
        consent_state: match kind {
            MessageKind::Consent(state) => Some(consent::state_name(state)),
            _ => None,
        },
        to: asked.map(Consent::audience),
        purpose: asked.map(Consent::purpose),
        until: asked.map(|asked| asked.until().map(time::rfc3339)),
        edited: message.is_edited(),
        withdrawn: kind == MessageKind::Reaction { withdrawn: true },
        reactions: message
            .reactions()
            .iter()
            .map(|given| Reaction { from: people.name(given.author()), emoji: given.emoji() })
            .collect(),
        timer: match kind {
            MessageKind::Notice(Notice::Timer { seconds }) => Some(seconds),
            _ => None,
        },
        expires_at: message.expires_at().map(time::rfc3339),
        sent_at: time::rfc3339(message.sent_at()),
        received_at: message.received_at().map(time::rfc3339),
        state: match message.state() {
            MessageState::Queued => "queued",
            MessageState::Sent => "sent",
            MessageState::Delivered => "delivered",
            _ => "received",
        },
    };
    output.result(&line, |language| for_people(language, message, people, &words))
}

fn for_people(language: &Language, message: &Message, people: &People, words: &str) -> String {
    let who = people.name_for_people(language, message.author());
    let at = time::for_people(message.received_at().unwrap_or(message.sent_at()));
    let mut text = format!("{who}, {at}");
    let is_text = matches!(message.kind(), MessageKind::Text | MessageKind::File);
    if is_text {
        text.push_str(&format!(" [{}]", short(&message.id().to_string())));
    }
    let mut marks = Vec::new();
    if message.state() == MessageState::Queued {
        marks.push(language.text("say-state-waiting"));
    }
    if message.is_edited() {
        marks.push(language.text("say-edited"));
    }
    if let Some(target) = message.target().filter(|_| is_text) {
        let id = [("id", FluentValue::from(short(&target.to_string()).to_owned()))];
        marks.push(language.text_with("say-reply-to", &id));
    }
    if !marks.is_empty() {
        text.push_str(&format!(" ({})", marks.join(", ")));
    }
    text.push(':');
    text.push_str(&indented(words));
    for given in message.reactions() {
        let who = people.name_for_people(language, given.author());
        text.push_str(&format!("\n  {} {who}", printable(given.emoji())));
    }
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

/// Where a file is.
fn place_of(message: &Message) -> &'static str {
    match message.file().map(FileInfo::state) {
        Some(FileState::Own) => "own",
        Some(FileState::AtRelay) => "at-relay",
        Some(FileState::Here) => "here",
        Some(FileState::Broken) => "broken",
        _ => "gone",
    }
}

fn file_words(language: &Language, message: &Message) -> String {
    let size = message.file().map_or(0, FileInfo::size);
    let values = [
        ("name", FluentValue::from(printable(message.text()))),
        ("size", FluentValue::from(size.div_ceil(1_000))),
        ("at", FluentValue::from(place_of(message))),
    ];
    language.text_with("say-file", &values)
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

fn words(language: &Language, message: &Message, asked: Option<&Consent>) -> String {
    match message.kind() {
        MessageKind::Text => message.text().to_owned(),
        MessageKind::File => file_words(language, message),
        MessageKind::Reaction { withdrawn } => {
            let target = message.target().map(|target| target.to_string()).unwrap_or_default();
            let values = [
                ("emoji", FluentValue::from(message.text().to_owned())),
                ("id", FluentValue::from(short(&target).to_owned())),
            ];
            language
                .text_with(if withdrawn { "say-reaction-back" } else { "say-reaction" }, &values)
        }
        MessageKind::Consent(state) => {
            let scope = asked.map(|asked| consent::scope(language, asked)).unwrap_or_default();
            let id = message.consent().map(|consent| consent.to_string()).unwrap_or_default();
            let state = language.text(consent::state_key(state));
            format!("{} [{}] {state}\n{scope}", language.text("say-consent"), short(&id))
        }
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
        MessageKind::Notice(Notice::Deleted) => language.text("notice-deleted"),
        MessageKind::Notice(Notice::Timer { seconds: None }) => language.text("notice-timer-off"),
        MessageKind::Notice(Notice::Timer { seconds: Some(seconds) }) => {
            let span = time::span_for_people(Duration::from_secs(seconds.into()));
            language.text_with("notice-timer", &[("span", FluentValue::from(span))])
        }
        MessageKind::Notice(Notice::NotTheirs) => language.text("notice-not-theirs"),
        MessageKind::Notice(Notice::TimeUpUnsent) => language.text("notice-time-up-unsent"),
        _ => language.text("notice-unknown"),
    }
}

fn notice_name(notice: Notice) -> &'static str {
    match notice {
        Notice::Joined => "joined",
        Notice::SecondClaim => "second-claim",
        Notice::Unsent => "unsent",
        Notice::Restored => "restored",
        Notice::Deleted => "deleted",
        Notice::NeedsNewer => "needs-newer",
        Notice::Timer { .. } => "timer",
        Notice::NotTheirs => "not-theirs",
        Notice::TimeUpUnsent => "time-up-unsent",
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

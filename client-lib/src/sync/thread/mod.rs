//! A conversation, whoever takes part in it: what is said in one and what comes.
//!
//! [`say`] turns something into a content that goes out when it can be sealed; [`take`] turns a content that somebody sent
//! into lines and changes of lines. Neither knows whether it is a contact or a group: what seals and opens (`conversation`
//! for a contact) tells whose thread it is and which person of it wrote. Everything happens inside the caller's
//! transaction.
//!
//! What somebody sends may come twice, late and in any order, and may be made up: a change holds by its author's order
//! and never by when it came, applies only to what its author may change, and is bounded in number.

mod amendments;
mod consents;
mod files;
mod reactions;
mod receipts;
mod search;
mod timer;

use hearken_proto::limits::TEXT_MAX;
use hearken_proto::time::UnixMillis;
use prost::Message as _;
use rand_core::CryptoRng;
use rusqlite::{Connection, OptionalExtension, params};

use super::content::{self, Body, Content, Text, VERSION};
use super::{conversation, messages, outbox, records};
use crate::contact::ContactId;
use crate::conversation::{PersonId, ThreadId, ThreadKind};
use crate::error::ClientError;
use crate::message::{Message, MessageId, MessageKind, MessageState, Notice};
use crate::vault::VaultError;

pub(crate) use amendments::{delete_for_all, delete_here, edit, sweep_early};
pub(crate) use consents::{Ask, ask, check, consents, decide, quote};
pub(crate) use files::{SealedFile, file_is_there, say_file};
pub(crate) use reactions::{React, react};
pub(crate) use receipts::{due_at, queue_due, ride, set_receipts};
pub(crate) use search::search;
pub(crate) use timer::{TIMER_S_MAX, set_timer, timer};

/// The last moment that a calendar writes in four digits, 9999-12-31T23:59:59.999Z: a writer's clock may say anything.
pub(crate) const SENT_AT_MAX: u64 = 253_402_300_799_999;

/// The greatest order that the vault holds.
const ORDER_MAX: u64 = i64::MAX as u64;

/// A content that somebody sent, as whatever opened it knows it.
#[derive(Clone, Copy)]
pub(crate) struct Arrived<'a> {
    pub(crate) thread: ThreadId,
    pub(crate) with: ThreadKind,
    pub(crate) author: PersonId,
    pub(crate) id: MessageId,
    pub(crate) bytes: &'a [u8],
}

/// What a content came to.
pub(crate) enum Taken {
    /// Lines that came or changed.
    Lines(Vec<Message>),
    /// It is none, or breaks the rules of the schema: something is missing.
    Malformed,
}

impl From<Option<Message>> for Taken {
    fn from(line: Option<Message>) -> Self {
        Self::Lines(line.into_iter().collect())
    }
}

/// What is known of a content beside its body.
#[derive(Clone, Copy)]
pub(super) struct Head {
    pub(super) thread: ThreadId,
    pub(super) with: ThreadKind,
    /// `None`: this side.
    pub(super) author: Option<PersonId>,
    pub(super) id: MessageId,
    pub(super) order: u64,
    pub(super) sent_at: UnixMillis,
    pub(super) expires_at: Option<UnixMillis>,
    pub(super) now: UnixMillis,
}

impl Head {
    /// A line of this content.
    pub(super) fn line(&self, kind: MessageKind, text: &str, target: Option<MessageId>) -> Message {
        let own = self.author.is_none();
        Message {
            id: self.id,
            thread: self.thread,
            with: self.with,
            author: self.author,
            kind,
            text: text.to_owned(),
            target,
            order: self.order,
            edited: false,
            file: None,
            expires_at: None,
            reactions: Vec::new(),
            sent_at: self.sent_at,
            received_at: (!own).then_some(self.now),
            state: if own { MessageState::Queued } else { MessageState::Received },
        }
    }

    /// Stores a line that tells something, under the content's own id. `None` where it is there.
    pub(super) fn notice(
        &self,
        tx: &Connection,
        notice: Notice,
        rng: &mut (impl CryptoRng + ?Sized),
    ) -> Result<Option<Message>, VaultError> {
        let line = self.line(MessageKind::Notice(notice), "", None);
        Ok(messages::insert(tx, &line, self.author.is_none(), rng)?.then_some(line))
    }
}

/// Takes a content that somebody sent.
pub(crate) fn take(
    tx: &Connection,
    arrived: Arrived<'_>,
    now: UnixMillis,
    rng: &mut (impl CryptoRng + ?Sized),
) -> Result<Taken, VaultError> {
    let Ok(content) = Content::decode(arrived.bytes) else { return Ok(Taken::Malformed) };
    if content.version == 0 {
        return Ok(Taken::Malformed);
    }
    let expires_after_s = content.expires_after_s.min(TIMER_S_MAX);
    let head = Head {
        thread: arrived.thread,
        with: arrived.with,
        author: Some(arrived.author),
        id: arrived.id,
        order: content.order.min(ORDER_MAX),
        sent_at: UnixMillis(content.sent_at_ms.min(SENT_AT_MAX)),
        expires_at: timer::end_of(expires_after_s, now),
        now,
    };
    let body = match content.body {
        Some(body) if content.version <= VERSION => body,
        _ => return Ok(head.notice(tx, Notice::NeedsNewer, rng)?.into()),
    };
    if !receipts::take(tx, head.thread, &content.receipts)? {
        return Ok(Taken::Malformed);
    }
    match body {
        Body::Text(text) => take_text(tx, &head, &text, rng),
        Body::Reaction(reaction) => reactions::take(tx, &head, &reaction, rng),
        Body::Edit(edit) => amendments::take_edit(tx, &head, &edit, rng),
        Body::Deletion(deletion) => amendments::take_deletion(tx, &head, &deletion, rng),
        Body::Timer(timer) => timer::take(tx, &head, timer, rng),
        Body::Receipts(_) => Ok(Taken::Lines(Vec::new())),
        Body::ConsentAsked(asked) => consents::take_asked(tx, &head, asked, rng),
        Body::ConsentAnswered(answered) => consents::take_answered(tx, &head, &answered, rng),
        Body::File(file) => files::take(tx, &head, &file, rng),
    }
}

fn take_text(
    tx: &Connection,
    head: &Head,
    text: &Text,
    rng: &mut (impl CryptoRng + ?Sized),
) -> Result<Taken, VaultError> {
    let reply_to = match &text.reply_to[..] {
        [] => None,
        id => match content::message_id(id) {
            Some(id) => Some(id),
            None => return Ok(Taken::Malformed),
        },
    };
    if text.text.is_empty() || text.text.len() > TEXT_MAX {
        return Ok(Taken::Malformed);
    }
    let line = Message {
        expires_at: head.expires_at,
        ..head.line(MessageKind::Text, &text.text, reply_to)
    };
    if !messages::insert(tx, &line, false, rng)? {
        // The same again, after its writer's vault was set back, or parts of what was given up; but nobody says
        // something under the name of what somebody else said.
        let known = messages::known(tx, head.thread, head.id)?;
        return Ok(match known {
            Some(known) if known.author != head.author => Taken::Malformed,
            _ => Taken::Lines(Vec::new()),
        });
    }
    receipts::note(tx, head, rng)?;
    amendments::apply_early(tx, head, rng)?;
    Ok(messages::message(tx, head.thread, head.id, head.now)?.into())
}

// --- what this side says --------------------------------------------------------------------------

/// Who may be written to.
pub(crate) fn check_may_say(db: &Connection, thread: ThreadId) -> Result<ThreadKind, ClientError> {
    let kind = kind(db, thread)?.ok_or(ClientError::UnknownContact)?;
    match kind {
        ThreadKind::Contact => {
            let contact = ContactId::from_bytes(*thread.as_bytes());
            let contact = records::contact(db, contact)?.ok_or(ClientError::UnknownContact)?;
            if contact.blocked {
                return Err(ClientError::Blocked);
            }
        }
    }
    Ok(kind)
}

/// What a thread is with; `None` where there is none.
pub(crate) fn kind(db: &Connection, thread: ThreadId) -> Result<Option<ThreadKind>, VaultError> {
    let kind: Option<i64> = db
        .prepare_cached("SELECT kind FROM thread WHERE id = ?1")?
        .query_row([&thread.as_bytes()[..]], |row| row.get(0))
        .optional()?;
    kind.map(messages::thread_kind).transpose()
}

/// Stores a text of this side, to go out when it can be sealed. It begins to be gone by the conversation's timer from here
/// on, also while it waits.
pub(crate) fn say_text(
    tx: &Connection,
    thread: ThreadId,
    text: &str,
    reply_to: Option<MessageId>,
    now: UnixMillis,
    rng: &mut (impl CryptoRng + ?Sized),
) -> Result<MessageId, ClientError> {
    let with = check_may_say(tx, thread)?;
    if let Some(target) = reply_to {
        let known = messages::known(tx, thread, target)?.filter(|known| known.is_readable(now));
        known.ok_or(ClientError::UnknownMessage)?;
    }
    let seconds = timer(tx, thread)?.unwrap_or(0);
    let head = own_head(thread, with, 0, seconds, now, rng);
    let line =
        Message { expires_at: head.expires_at, ..head.line(MessageKind::Text, text, reply_to) };
    messages::insert(tx, &line, true, rng)?;
    let reply_to = reply_to.map(|id| id.as_bytes().to_vec()).unwrap_or_default();
    say(tx, &head, seconds, Vec::new(), Body::Text(Text { text: text.to_owned(), reply_to }), rng)?;
    Ok(head.id)
}

/// What something that this side says begins with. `order`: [`next_order`], or 0 for what is new.
pub(super) fn own_head(
    thread: ThreadId,
    with: ThreadKind,
    order: u64,
    expires_after_s: u32,
    now: UnixMillis,
    rng: &mut (impl CryptoRng + ?Sized),
) -> Head {
    let mut id = [0; 16];
    rng.fill_bytes(&mut id);
    Head {
        thread,
        with,
        author: None,
        id: MessageId::from_bytes(id),
        order,
        sent_at: now,
        expires_at: timer::end_of(expires_after_s, now),
        now,
    }
}

/// The order of the next thing that this side says of something that it said: grows, and goes on where a vault made from a
/// copy has forgotten it, since it is no less than the clock.
pub(super) fn next_order(
    tx: &Connection,
    thread: ThreadId,
    now: UnixMillis,
) -> Result<u64, VaultError> {
    let at_least = now.0.min(ORDER_MAX - 1);
    Ok(tx
        .prepare_cached(
            "UPDATE thread SET own_order = max(min(own_order, ?3) + 1, ?2) WHERE id = ?1 RETURNING own_order",
        )?
        .query_row(params![&thread.as_bytes()[..], at_least, ORDER_MAX - 1], |row| row.get(0))?)
}

/// Has a content of this side go out: sealed at once where that can be, else kept until it can.
pub(super) fn say(
    tx: &Connection,
    head: &Head,
    expires_after_s: u32,
    receipts: Vec<u8>,
    body: Body,
    rng: &mut (impl CryptoRng + ?Sized),
) -> Result<(), VaultError> {
    let about = match &body {
        Body::Edit(edit) => content::message_id(&edit.target),
        Body::Reaction(reaction) => content::message_id(&reaction.target),
        _ => None,
    };
    let rides = !matches!(body, Body::Receipts(_));
    let content = Content {
        version: VERSION,
        sent_at_ms: head.sent_at.0,
        order: head.order,
        expires_after_s,
        receipts,
        body: Some(body),
    };
    let bytes = content.to_bytes();
    let sealed = match head.with {
        ThreadKind::Contact => {
            let contact = ContactId::from_bytes(*head.thread.as_bytes());
            conversation::seal_now(tx, contact, head.id, &bytes, rides, rng)?
        }
    };
    if !sealed {
        let ends = head.expires_at.map(UnixMillis::day);
        outbox::wait(tx, head.thread, head.id, about, &bytes, ends, rng)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests;

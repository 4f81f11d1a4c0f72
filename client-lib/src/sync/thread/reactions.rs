//! Reactions: what somebody thinks of a message, each emoji at most once a person.
//!
//! The same emoji again takes it back; none at all takes back all that the person gave. Sixteen different ones a person and
//! message are kept, and 256 a person to messages that are not there, which show when the message comes.

use hearken_proto::time::UnixMillis;
use rand_core::CryptoRng;
use rusqlite::{Connection, OptionalExtension, params};

use super::{Head, Taken, check_may_say, next_order, own_head, say};
use crate::conversation::{PersonId, ThreadId};
use crate::error::ClientError;
use crate::message::{Message, MessageId, MessageKind};
use crate::sync::content::{self, Body, EMOJI_MAX, Reaction};
use crate::sync::messages::{self, REACTION};
use crate::vault::VaultError;

/// Different emoji of one person to one message, those taken back included.
const A_MESSAGE_MAX: u32 = 16;
/// Reactions of one person in one conversation to messages that are not there.
const UNKNOWN_MAX: u32 = 256;

/// What a reaction of this side came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct React {
    /// The contents that tell it, in order.
    pub(crate) ids: Vec<MessageId>,
    /// It was taken back.
    pub(crate) withdrawn: bool,
}

fn is_emoji(emoji: &str) -> bool {
    (1..=EMOJI_MAX).contains(&emoji.len())
        && !emoji.chars().any(|c| c.is_control() || c.is_whitespace())
}

pub(super) fn take(
    tx: &Connection,
    head: &Head,
    reaction: &Reaction,
    rng: &mut (impl CryptoRng + ?Sized),
) -> Result<Taken, VaultError> {
    let Some(target) = content::message_id(&reaction.target) else { return Ok(Taken::Malformed) };
    if !is_emoji(&reaction.emoji) {
        return Ok(Taken::Malformed);
    }
    let line = apply(tx, head, target, &reaction.emoji, reaction.withdrawn, rng)?;
    // What it is to may not be there, or not any more.
    let seen = messages::known(tx, head.thread, target)?.is_some_and(|of| of.is_readable(head.now));
    Ok(line.filter(|_| seen).into())
}

/// Reacts to a message, or takes that back: with the same emoji again, or with none.
pub(crate) fn react(
    tx: &Connection,
    thread: ThreadId,
    target: MessageId,
    emoji: &str,
    now: UnixMillis,
    rng: &mut (impl CryptoRng + ?Sized),
) -> Result<React, ClientError> {
    let with = check_may_say(tx, thread)?;
    let of = messages::known(tx, thread, target)?.filter(|of| of.is_readable(now));
    of.ok_or(ClientError::UnknownMessage)?;
    let given = given(tx, thread, target, None)?;
    let (emojis, withdrawn) = match emoji {
        "" => (given, true),
        emoji if !is_emoji(emoji) => return Err(ClientError::EmojiInvalid),
        emoji => {
            let again = given.iter().any(|given| given == emoji);
            if !again && given.len() >= A_MESSAGE_MAX as usize {
                return Err(ClientError::TooManyReactions);
            }
            (vec![emoji.to_owned()], again)
        }
    };
    let mut ids = Vec::new();
    for emoji in emojis {
        let order = next_order(tx, thread, now)?;
        let head = own_head(thread, with, order, 0, now, rng);
        apply(tx, &head, target, &emoji, withdrawn, rng)?;
        let target = target.as_bytes().to_vec();
        let body = Body::Reaction(Reaction { target, emoji, withdrawn });
        say(tx, &head, 0, Vec::new(), body, rng)?;
        ids.push(head.id);
    }
    Ok(React { ids, withdrawn })
}

/// What somebody thinks of a message at present.
fn given(
    db: &Connection,
    thread: ThreadId,
    target: MessageId,
    author: Option<PersonId>,
) -> Result<Vec<String>, VaultError> {
    let mut statement = db.prepare_cached(
        "SELECT text FROM message
         WHERE thread = ?1 AND target = ?2 AND kind = 6 AND author IS ?3 AND missing = 0 ORDER BY seq",
    )?;
    let rows = statement.query_map(
        params![
            &thread.as_bytes()[..],
            &target.as_bytes()[..],
            author.as_ref().map(|author| &author.as_bytes()[..])
        ],
        |row| row.get(0),
    )?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Gives a line where that changed something.
fn apply(
    tx: &Connection,
    head: &Head,
    target: MessageId,
    emoji: &str,
    withdrawn: bool,
    rng: &mut (impl CryptoRng + ?Sized),
) -> Result<Option<Message>, VaultError> {
    let line = head.line(MessageKind::Reaction { withdrawn }, emoji, Some(target));
    let thread = &head.thread.as_bytes()[..];
    let author = head.author.as_ref().map(|author| &author.as_bytes()[..]);
    let before: Option<(i64, u64, bool)> = tx
        .prepare_cached(
            "SELECT seq, ord, shown FROM message
             WHERE thread = ?1 AND target = ?2 AND kind = 6 AND author IS ?3 AND text = ?4",
        )?
        .query_row(params![thread, &target.as_bytes()[..], author, emoji], |row| {
            Ok((row.get(0)?, row.get(1)?, row.get(2)?))
        })
        .optional()?;
    let Some((seq, order, was_shown)) = before else {
        let is_new =
            has_room(tx, head, target)? && messages::insert(tx, &line, author.is_none(), rng)?;
        return Ok(is_new.then_some(line));
    };
    if head.order <= order || messages::known(tx, head.thread, head.id)?.is_some() {
        return Ok(None);
    }
    // What nobody has seen is not shown as taken back.
    let shown = author.is_none() || (withdrawn && !was_shown);
    tx.prepare_cached(
        "UPDATE message SET id = ?2, ord = ?3, missing = ?4, shown = ?5, sent_at = ?6, received_at = ?7, state = ?8
         WHERE seq = ?1",
    )?
    .execute(params![
        seq,
        &head.id.as_bytes()[..],
        head.order,
        withdrawn,
        shown,
        line.sent_at.0,
        line.received_at.map(|at| at.0),
        if author.is_none() { 0 } else { 2 }
    ])?;
    Ok((!shown || author.is_none()).then_some(line))
}

/// Makes room for one more reaction where there can be: `false` where the message takes none, or none more of this person.
fn has_room(tx: &Connection, head: &Head, target: MessageId) -> Result<bool, VaultError> {
    let thread = &head.thread.as_bytes()[..];
    let author = head.author.as_ref().map(|author| &author.as_bytes()[..]);
    match messages::known(tx, head.thread, target)? {
        Some(of) if !of.is_readable(head.now) => return Ok(false),
        Some(_) => {}
        None => {
            const UNKNOWN: &str = "thread = ?1 AND author IS ?2 AND kind = 6 AND NOT EXISTS (
                SELECT 1 FROM message AS of WHERE of.thread = message.thread AND of.id = message.target)";
            let unknown: u32 = tx
                .prepare_cached(&format!("SELECT count(*) FROM message WHERE {UNKNOWN}"))?
                .query_row(params![thread, author], |row| row.get(0))?;
            if unknown >= UNKNOWN_MAX {
                tx.prepare_cached(&format!(
                    "DELETE FROM message WHERE seq = (SELECT min(seq) FROM message WHERE {UNKNOWN})"
                ))?
                .execute(params![thread, author])?;
            }
        }
    }
    let count = || -> Result<u32, VaultError> {
        Ok(tx
            .prepare_cached(
                "SELECT count(*) FROM message
                 WHERE thread = ?1 AND target = ?2 AND kind = ?4 AND author IS ?3",
            )?
            .query_row(params![thread, &target.as_bytes()[..], author, REACTION], |row| {
                row.get(0)
            })?)
    };
    if count()? < A_MESSAGE_MAX {
        return Ok(true);
    }
    // One that was taken back makes room; should it come again, it comes late.
    tx.prepare_cached(
        "DELETE FROM message WHERE seq = (SELECT seq FROM message
             WHERE thread = ?1 AND target = ?2 AND kind = 6 AND author IS ?3 AND missing = 1
             ORDER BY ord LIMIT 1)",
    )?
    .execute(params![thread, &target.as_bytes()[..], author])?;
    Ok(count()? < A_MESSAGE_MAX)
}

//! Files in a conversation: the line of one is there at once, and its content goes out once the relay has the file.

use hearken_proto::auth::ObjectSecretKey;
use hearken_proto::ids::ObjectId;
use hearken_proto::payload::Blob;
use rand_core::CryptoRng;
use rusqlite::Connection;

use super::{Head, Taken, amendments, check_may_say, own_head, receipts, say, timer};
use crate::conversation::ThreadId;
use crate::error::ClientError;
use crate::file::{self, FILE_MAX, FileKey, MEDIA_TYPE_MAX};
use crate::message::{Message, MessageId, MessageKind};
use crate::sync::content::{self, Body, File};
use crate::sync::files::{self, NewFile, Stage, StoredFile};
use crate::sync::messages;
use crate::vault::VaultError;
use hearken_proto::time::UnixMillis;

/// A file of this side, sealed.
pub(crate) struct SealedFile {
    pub(crate) key: FileKey,
    pub(crate) write_key: ObjectSecretKey,
    pub(crate) chunks: Vec<Blob>,
    pub(crate) size: u64,
    pub(crate) media_type: String,
    pub(crate) name: String,
}

impl SealedFile {
    /// Seals a file of 1 to 19,000,000 bytes; `None` where it is another.
    pub(crate) fn new(
        file: &[u8],
        name: String,
        media_type: String,
        rng: &mut (impl CryptoRng + ?Sized),
    ) -> Option<Self> {
        let count = file::chunks_for(file.len()).filter(|_| !file.is_empty())?;
        let key = FileKey::generate(rng);
        let write_key = ObjectSecretKey::generate(rng);
        let chunks = file::seal(&key, file, count).collect();
        Some(Self { key, write_key, chunks, size: file.len() as u64, media_type, name })
    }
}

/// Stores a file of this side. It goes to the relay first, and what tells of it after that.
pub(crate) fn say_file(
    tx: &Connection,
    thread: ThreadId,
    sealed: &SealedFile,
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
    let line = Message {
        expires_at: head.expires_at,
        ..head.line(MessageKind::File, &sealed.name, reply_to)
    };
    messages::insert(tx, &line, true, rng)?;
    let new = NewFile {
        thread,
        message: head.id,
        object: *ObjectId::of(&sealed.write_key.public_key()).as_bytes(),
        key: &sealed.key,
        write_key: Some(&sealed.write_key),
        root: file::root_of(sealed.chunks.iter()),
        chunks: u32::try_from(sealed.chunks.len()).map_err(|_| VaultError::damaged_record())?,
        size: sealed.size,
        media_type: &sealed.media_type,
        stage: Stage::Uploading,
        sent_at: now,
        ends: head.expires_at.map(UnixMillis::day),
    };
    let seq = files::insert(tx, &new, rng)?;
    files::push_chunks(tx, seq, (0..).zip(sealed.chunks.iter().cloned()))?;
    Ok(head.id)
}

/// The relay has a file of this side: its chunks go, and what tells of it goes out.
pub(crate) fn file_is_there(
    tx: &Connection,
    file: &StoredFile,
    now: UnixMillis,
    rng: &mut (impl CryptoRng + ?Sized),
) -> Result<(), VaultError> {
    let key = files::key(tx, file.seq)?;
    files::set_done(tx, file.seq, file.chunks)?;
    files::set_stage(tx, file.seq, Stage::Uploaded)?;
    files::drop_chunks(tx, file.seq)?;
    let line = messages::message(tx, file.thread, file.message, now)?;
    // Deleted, or its time was up, while it went out.
    let (Some(key), Some(line)) = (key, line) else { return Ok(()) };
    let expires_after_s = line
        .expires_at
        .map_or(0, |at| u32::try_from(at.since(line.sent_at).as_secs()).unwrap_or(u32::MAX));
    let head = Head {
        thread: file.thread,
        with: line.with,
        author: None,
        id: file.message,
        order: 0,
        sent_at: line.sent_at,
        expires_at: line.expires_at,
        now,
    };
    let body = File {
        object: file.object.as_bytes().to_vec(),
        key: key.as_bytes().to_vec(),
        root: file.root.to_vec(),
        chunks: file.chunks,
        size: file.size,
        media_type: file.media_type.clone(),
        name: line.text.clone(),
        reply_to: line.target.map(|id| id.as_bytes().to_vec()).unwrap_or_default(),
    };
    say(tx, &head, expires_after_s, Vec::new(), Body::File(body), rng)
}

/// Takes what tells of a file of somebody else.
pub(super) fn take(
    tx: &Connection,
    head: &Head,
    body: &File,
    rng: &mut (impl CryptoRng + ?Sized),
) -> Result<Taken, VaultError> {
    let reply_to = match &body.reply_to[..] {
        [] => None,
        id => match content::message_id(id) {
            Some(id) => Some(id),
            None => return Ok(Taken::Malformed),
        },
    };
    let (Ok(object), Ok(key), Ok(root)) = (
        <[u8; 32]>::try_from(&body.object[..]),
        <[u8; 32]>::try_from(&body.key[..]),
        <[u8; 32]>::try_from(&body.root[..]),
    ) else {
        return Ok(Taken::Malformed);
    };
    let in_order = body.size > 0
        && body.size <= FILE_MAX as u64
        && file::is_size_class(body.chunks, body.size)
        && body.media_type.len() <= MEDIA_TYPE_MAX
        && body.media_type.bytes().all(|letter| letter.is_ascii_graphic());
    if !in_order {
        return Ok(Taken::Malformed);
    }
    let line = Message {
        expires_at: head.expires_at,
        ..head.line(MessageKind::File, &file::safe_name(&body.name), reply_to)
    };
    if !messages::insert(tx, &line, false, rng)? {
        let known = messages::known(tx, head.thread, head.id)?;
        return Ok(match known {
            Some(known) if known.author != head.author => Taken::Malformed,
            _ => Taken::Lines(Vec::new()),
        });
    }
    let new = NewFile {
        thread: head.thread,
        message: head.id,
        object,
        key: &FileKey::from_bytes(key),
        write_key: None,
        root,
        chunks: body.chunks,
        size: body.size,
        media_type: &body.media_type,
        stage: Stage::There,
        // A sender's clock may say anything.
        sent_at: UnixMillis(head.sent_at.0.min(head.now.0)),
        ends: head.expires_at.map(UnixMillis::day),
    };
    files::insert(tx, &new, rng)?;
    receipts::note(tx, head, rng)?;
    amendments::apply_early(tx, head, rng)?;
    Ok(messages::message(tx, head.thread, head.id, head.now)?.into())
}

#[cfg(test)]
mod tests;

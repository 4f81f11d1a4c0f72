//! Files: cleaned, sealed and sent; fetched and opened. Always in memory, never in a file of this library's own.

use std::time::Duration;

use tokio::sync::oneshot;
use zeroize::Zeroizing;

use super::Client;
use crate::clean::{self, FileKind};
use crate::conversation::Conversation;
use crate::driver::{Wait, system_rng};
use crate::error::ClientError;
use crate::file::{FILE_MAX, sent_name};
use crate::message::{Message, MessageId};
use crate::sync::files;
use crate::sync::thread::SealedFile;

/// How a file is sent.
#[derive(Clone, Debug, Default)]
pub struct FileOptions {
    /// The name that it is to have at the other side, on purpose: only its last part is sent. `None`: one that says what
    /// kind of file it is and nothing else.
    pub name: Option<String>,
    /// Sends the file byte for byte, with whatever it tells of who made it, where and when.
    pub keep_metadata: bool,
    /// The message that it answers.
    pub reply_to: Option<MessageId>,
}

impl Client {
    /// Cleans a file of what tells who made it, seals it and stores it to be sent. It goes out at the next
    /// [`Client::wait_sent`], [`Client::sync`] or while [`Client::follow`] runs: first the file, to the relay, then the
    /// message that tells of it. How far it is comes as [`crate::Event::FileProgress`]; after an interruption it goes on
    /// at the next chunk.
    ///
    /// # Errors
    /// [`ClientError::FileEmpty`], [`ClientError::FileTooLarge`], [`ClientError::CannotClean`] with the reason, and as
    /// [`Client::send_text`]. Nothing is kept then.
    pub async fn send_file(
        &self,
        to: impl Into<Conversation>,
        file: Zeroizing<Vec<u8>>,
        options: FileOptions,
    ) -> Result<MessageId, ClientError> {
        let (to, reply_to) = (to.into(), options.reply_to);
        let (done, sealed) = oneshot::channel();
        // Seconds of work at most: neither on the caller's thread nor on the one that answers everybody.
        std::thread::spawn(move || {
            let _ = done.send(sealed_file(&file, &options));
        });
        let sealed = sealed.await.map_err(|_| self.driver.ended())??;
        self.driver
            .call(move |engine, now, rng| engine.send_file(to, &sealed, reply_to, now, rng))
            .await
    }

    /// Fetches a file that somebody sent, where it is not here yet, and waits until it is or nothing has moved for
    /// `patience`. Files of up to 5,000,000 bytes are fetched by themselves, 200,000,000 bytes of them in all; relays keep
    /// a file for 21 days.
    ///
    /// # Errors
    /// [`ClientError::NotAFile`], [`ClientError::FileGone`], [`ClientError::FileBroken`], [`ClientError::Unreachable`]
    /// where it did not come, and as [`Client::wait_sent`].
    pub async fn fetch_file(
        &self,
        message: &Message,
        patience: Duration,
    ) -> Result<(), ClientError> {
        let (thread, id) = (message.thread, message.id);
        let contact = message.contact().ok_or(ClientError::UnknownContact)?;
        self.driver.call(move |engine, _, _| engine.want_file(thread, id)).await?;
        let (reply, outcome) = oneshot::channel();
        self.driver.wait(Wait::file(thread, id, contact, patience, reply)).await?;
        outcome.await.map_err(|_| self.driver.ended())?
    }

    /// The bytes of a file that is here.
    ///
    /// # Errors
    /// [`ClientError::NotAFile`] where there is none here, [`ClientError::FileBroken`], [`ClientError::Vault`].
    pub async fn read_file(&self, message: &Message) -> Result<Zeroizing<Vec<u8>>, ClientError> {
        let (thread, id) = (message.thread, message.id);
        self.driver
            .call(move |engine, _, _| {
                let database = engine.vault().database();
                let file = files::find(database, thread, id)?;
                let file = file.filter(|file| file.stage == files::Stage::Here);
                let file = file.ok_or(ClientError::NotAFile)?;
                files::open(database, &file)?.ok_or(ClientError::FileBroken)
            })
            .await
    }
}

fn sealed_file(file: &[u8], options: &FileOptions) -> Result<SealedFile, ClientError> {
    if file.is_empty() {
        return Err(ClientError::FileEmpty);
    }
    if file.len() > FILE_MAX {
        return Err(ClientError::FileTooLarge);
    }
    let cleaned;
    let (kind, bytes) = if options.keep_metadata {
        (clean::kind(file).ok(), file)
    } else {
        cleaned = clean::clean(file).map_err(ClientError::CannotClean)?;
        (Some(cleaned.kind), &cleaned.bytes[..])
    };
    let name = sent_name(options.name.as_deref(), kind);
    let media_type = kind.map_or("application/octet-stream", FileKind::media_type).to_owned();
    SealedFile::new(bytes, name, media_type, &mut system_rng()).ok_or(ClientError::FileTooLarge)
}

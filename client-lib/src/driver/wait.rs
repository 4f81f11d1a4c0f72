//! What callers wait for, and when a wait is over.

use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use super::{State, now, system_rng};
use crate::contact::ContactId;
use crate::conversation::ThreadId;
use crate::error::ClientError;
use crate::message::{MessageId, SendOutcome};
use crate::sync::files::{self, Stage};
use crate::sync::{ErrandId, ErrandOutcome, SyncOutcome, Trouble, outbox, records};
use crate::vault::VaultError;

/// Something that a caller waits for.
pub(crate) struct Wait(pub(super) Waiting);

pub(super) enum Waiting {
    Errand {
        id: ErrandId,
        reply: oneshot::Sender<Result<ErrandOutcome, ClientError>>,
    },
    Sync {
        limit: Duration,
        deadline: Option<Instant>,
        reply: oneshot::Sender<Result<SyncOutcome, ClientError>>,
    },
    Sent {
        message: MessageId,
        contact: ContactId,
        patience: Duration,
        deadline: Option<Instant>,
        left: Option<u32>,
        reply: oneshot::Sender<Result<SendOutcome, ClientError>>,
    },
    File {
        thread: ThreadId,
        message: MessageId,
        contact: ContactId,
        patience: Duration,
        deadline: Option<Instant>,
        done: Option<u32>,
        reply: oneshot::Sender<Result<(), ClientError>>,
    },
}

impl Wait {
    pub(crate) fn sync(
        limit: Duration,
        reply: oneshot::Sender<Result<SyncOutcome, ClientError>>,
    ) -> Self {
        Self(Waiting::Sync { limit, deadline: None, reply })
    }

    pub(crate) fn sent(
        message: MessageId,
        contact: ContactId,
        patience: Duration,
        reply: oneshot::Sender<Result<SendOutcome, ClientError>>,
    ) -> Self {
        Self(Waiting::Sent { message, contact, patience, deadline: None, left: None, reply })
    }

    pub(crate) fn file(
        thread: ThreadId,
        message: MessageId,
        contact: ContactId,
        patience: Duration,
        reply: oneshot::Sender<Result<(), ClientError>>,
    ) -> Self {
        let (deadline, done) = (None, None);
        Self(Waiting::File { thread, message, contact, patience, deadline, done, reply })
    }
}

impl State {
    pub(super) fn begin_wait(&mut self, mut wait: Waiting) {
        let begun = Instant::now();
        match &mut wait {
            Waiting::Sync { limit, deadline, .. } => *deadline = Some(begun + *limit),
            Waiting::Sent { patience, deadline, .. } | Waiting::File { patience, deadline, .. } => {
                *deadline = Some(begun + *patience);
            }
            Waiting::Errand { .. } => {}
        }
        self.waits.push(wait);
        let result = self.engine.begin_sync(now(), &mut system_rng());
        self.take(result);
    }

    /// Answers those whose wait is over.
    pub(super) fn answer_waits(&mut self) {
        for wait in core::mem::take(&mut self.waits) {
            match self.answer_wait(wait) {
                Ok(Some(wait)) => self.waits.push(wait),
                Ok(None) => {}
                Err(error) => self.take(Err(error)),
            }
        }
    }

    fn answer_wait(&mut self, wait: Waiting) -> Result<Option<Waiting>, VaultError> {
        match wait {
            Waiting::Errand { .. } => Ok(Some(wait)),
            Waiting::Sync { limit, deadline, reply } => {
                let expired = deadline.is_some_and(|deadline| Instant::now() >= deadline);
                if !expired && !self.engine.is_settled()? {
                    return Ok(Some(Waiting::Sync { limit, deadline, reply }));
                }
                let _ = reply.send(Ok(self.engine.sync_outcome(expired)?));
                Ok(None)
            }
            Waiting::Sent { message, contact, patience, mut deadline, left, reply } => {
                let database = self.engine.vault().database();
                let over = match records::contact(database, contact)? {
                    // Forgotten meanwhile: nobody can say what became of it.
                    None => Some(Err(ClientError::UnknownContact)),
                    Some(_) if !outbox::is_on_its_way(database, message)? => {
                        Some(Ok(SendOutcome::Sent))
                    }
                    Some(contact) if contact.blocked => Some(Err(ClientError::Blocked)),
                    Some(_) => None,
                };
                if let Some(outcome) = over {
                    let _ = reply.send(outcome);
                    return Ok(None);
                }
                let database = self.engine.vault().database();
                let now_left = outbox::len(database, contact)?
                    .saturating_add(files::chunks_left(database, contact.into())?);
                if left.is_none_or(|left| now_left < left) {
                    deadline = Some(Instant::now() + patience);
                }
                let trouble = self
                    .engine
                    .sender_trouble(contact)
                    .or_else(|| self.engine.file_trouble(contact));
                let final_answer = match trouble {
                    Some(Trouble::MailboxFull) => None,
                    Some(trouble) if trouble.is_unreachable() || trouble.patience() > 1 => None,
                    Some(trouble) => Some(Err(trouble.into_error())),
                    None => None,
                };
                if let Some(answer) = final_answer {
                    let _ = reply.send(answer);
                    return Ok(None);
                }
                if deadline.is_some_and(|deadline| Instant::now() >= deadline) {
                    let full = trouble == Some(Trouble::MailboxFull);
                    let outcome =
                        if full { SendOutcome::MailboxFull } else { SendOutcome::Unreachable };
                    let _ = reply.send(Ok(outcome));
                    return Ok(None);
                }
                let left = Some(now_left);
                Ok(Some(Waiting::Sent { message, contact, patience, deadline, left, reply }))
            }
            Waiting::File { thread, message, contact, patience, mut deadline, done, reply } => {
                let file = files::find(self.engine.vault().database(), thread, message)?;
                let Some(file) = file else {
                    let _ = reply.send(Err(ClientError::UnknownMessage));
                    return Ok(None);
                };
                let over = match file.stage {
                    Stage::Here => Some(Ok(())),
                    Stage::Gone => Some(Err(ClientError::FileGone)),
                    Stage::Broken => Some(Err(ClientError::FileBroken)),
                    Stage::Uploading | Stage::Uploaded => Some(Err(ClientError::NotAFile)),
                    Stage::There => None,
                };
                let trouble = self
                    .engine
                    .file_trouble(contact)
                    .filter(|trouble| !trouble.is_unreachable() && trouble.patience() == 1);
                let over = over.or(trouble.map(|trouble| Err(trouble.into_error())));
                if let Some(outcome) = over {
                    let _ = reply.send(outcome);
                    return Ok(None);
                }
                if done != Some(file.done) {
                    deadline = Some(Instant::now() + patience);
                }
                if deadline.is_some_and(|deadline| Instant::now() >= deadline) {
                    let _ = reply.send(Err(ClientError::Unreachable));
                    return Ok(None);
                }
                let done = Some(file.done);
                Ok(Some(Waiting::File {
                    thread,
                    message,
                    contact,
                    patience,
                    deadline,
                    done,
                    reply,
                }))
            }
        }
    }
}

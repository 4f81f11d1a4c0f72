//! Files on their way: to the relay of a contact's mailbox, and from the relay of one's own.
//!
//! Rows of the vault say what is under way; here is what sessions of this run know of it. A few at a time, each in a
//! session of its own. How far one has come is stored with what it brought, so that the next run goes on there.

use std::sync::Arc;

use hearken_proto::ids::Fingerprint;
use hearken_proto::limits::OBJECT_TTL_HOURS_MAX;
use hearken_proto::payload::Blob;
use hearken_proto::time::UnixMillis;
use hearken_proto::wire::reply;
use rand_core::CryptoRng;

use super::{Engine, Mode, Owner};
use crate::contact::ContactId;
use crate::conversation::{Conversation, ThreadId};
use crate::error::ClientError;
use crate::event::Event;
use crate::message::MessageId;
use crate::route::{CommandId, SessionId};
use crate::sync::files::{self, Stage, StoredFile};
use crate::sync::object::{
    DownloadStep, ObjectDownload, ObjectPlan, ObjectUpload, UploadFailure, UploadStep,
};
use crate::sync::records::{self, Mailbox};
use crate::sync::thread::{self, SealedFile};
use crate::sync::trouble::Trouble;
use crate::vault::VaultError;

/// Files that are on their way at once.
const TRANSFERS_MAX: usize = 4;

/// What is known of a file on its way.
pub(super) struct Transfer {
    way: Way,
    contact: ContactId,
    message: MessageId,
    relay: Option<Fingerprint>,
    /// Chunks as they are stored.
    stored: u32,
}

enum Way {
    Up(Box<ObjectUpload>),
    Down(Box<ObjectDownload>),
}

impl Transfer {
    fn progress(&self) -> (u32, u32) {
        match &self.way {
            Way::Up(upload) => upload.progress(),
            Way::Down(download) => download.progress(),
        }
    }

    fn session(&self) -> Option<SessionId> {
        match &self.way {
            Way::Up(upload) => upload.session(),
            Way::Down(download) => download.session(),
        }
    }

    pub(super) fn failure(&self) -> (Option<Trouble>, u32) {
        match &self.way {
            Way::Up(upload) => upload.failure(),
            Way::Down(download) => download.failure(),
        }
    }

    pub(super) fn relay(&self) -> Option<Fingerprint> {
        self.relay
    }

    fn wants_session(&self, now: UnixMillis) -> bool {
        match &self.way {
            Way::Up(upload) => upload.wants_session(now),
            Way::Down(download) => download.wants_session(now),
        }
    }

    pub(super) fn begin_anew(&mut self) {
        match &mut self.way {
            Way::Up(upload) => upload.begin_anew(),
            Way::Down(download) => download.begin_anew(),
        }
    }

    pub(super) fn is_working(&self) -> bool {
        matches!(&self.way, Way::Up(upload) if upload.is_working())
    }

    pub(super) fn poll_timeout(&self) -> Option<UnixMillis> {
        match &self.way {
            Way::Up(upload) => upload.poll_timeout(),
            Way::Down(download) => download.poll_timeout(),
        }
    }

    fn mailbox(&self) -> Mailbox {
        match self.way {
            Way::Up(_) => Mailbox::Outgoing,
            Way::Down(_) => Mailbox::Incoming,
        }
    }
}

/// What an answer made of a transfer.
enum Step {
    Going,
    Uploaded,
    Arrived,
    Missing,
    Failed(Trouble),
    Broken,
}

impl From<UploadStep> for Step {
    fn from(step: UploadStep) -> Self {
        match step {
            UploadStep::Done => Self::Uploaded,
            UploadStep::Failed(UploadFailure::NotAdmitted) => Self::Failed(Trouble::NotAdmitted),
            UploadStep::Failed(_) => Self::Failed(Trouble::RelayMisbehaved),
            UploadStep::Going | UploadStep::FeedMissing | UploadStep::FeedFull => Self::Going,
        }
    }
}

impl From<DownloadStep> for Step {
    fn from(step: DownloadStep) -> Self {
        match step {
            DownloadStep::Going => Self::Going,
            DownloadStep::Complete => Self::Arrived,
            DownloadStep::Missing => Self::Missing,
            DownloadStep::Broken => Self::Broken,
        }
    }
}

impl Engine {
    /// Stores a sealed file and its line; it goes to the relay when its turn comes.
    pub(crate) fn send_file(
        &mut self,
        to: Conversation,
        file: &SealedFile,
        reply_to: Option<MessageId>,
        now: UnixMillis,
        rng: &mut (impl CryptoRng + ?Sized),
    ) -> Result<MessageId, ClientError> {
        let thread = to.thread();
        let message =
            self.vault.transaction(|tx| thread::say_file(tx, thread, file, reply_to, now, rng))?;
        self.files_due = true;
        self.turn(now, rng)?;
        self.look_ahead(now)?;
        Ok(message)
    }

    /// Has a received file fetched, whatever its size.
    pub(crate) fn want_file(
        &mut self,
        thread: ThreadId,
        message: MessageId,
    ) -> Result<(), ClientError> {
        self.files_due = true;
        let file = files::find(self.vault.database(), thread, message)?;
        let file = file.ok_or(ClientError::NotAFile)?;
        match file.stage {
            Stage::Uploading | Stage::Uploaded => Err(ClientError::NotAFile),
            Stage::Gone => Err(ClientError::FileGone),
            Stage::Broken => Err(ClientError::FileBroken),
            Stage::Here => Ok(()),
            Stage::There => Ok(self.vault.transaction(|tx| files::want(tx, file.seq))?),
        }
    }

    /// Why a file of a contact does not get on, where one does not.
    pub(crate) fn file_trouble(&self, contact: ContactId) -> Option<Trouble> {
        let mut of = self.transfers.values().filter(|transfer| transfer.contact == contact);
        let failed = self.failed_files.values().find(|(of, _)| *of == contact);
        of.find_map(|transfer| transfer.failure().0).or(failed.map(|(_, trouble)| *trouble))
    }

    /// Begins with files that are due, a few at a time.
    pub(super) fn adopt_files(&mut self) -> Result<(), VaultError> {
        if self.mode == Mode::Quiet || !core::mem::take(&mut self.files_due) {
            return Ok(());
        }
        for file in files::under_way(self.vault.database())? {
            if self.transfers.len() >= TRANSFERS_MAX {
                break;
            }
            if self.transfers.contains_key(&file.seq) || self.failed_files.contains_key(&file.seq) {
                continue;
            }
            if let Some(transfer) = self.begin_transfer(&file)? {
                self.transfers.insert(file.seq, transfer);
            }
        }
        Ok(())
    }

    fn begin_transfer(&self, file: &StoredFile) -> Result<Option<Transfer>, VaultError> {
        let db = self.vault.database();
        let contact = file.contact();
        let known = records::contact(db, contact)?.filter(|contact| !contact.blocked);
        let way = match file.stage {
            // Who has not joined has no relay yet.
            Stage::Uploading if records::outgoing(db, contact)?.is_some() => {
                let Some(key) = files::write_key(db, file.seq)? else { return Ok(None) };
                let plan = ObjectPlan {
                    write_key: Arc::new(key),
                    chunks: file.chunks,
                    root: file.root,
                    ttl_hours: OBJECT_TTL_HOURS_MAX,
                };
                Way::Up(Box::new(ObjectUpload::new(plan, None, file.done)))
            }
            Stage::There => {
                let hashes = files::hashes(db, file.seq, file.done)?;
                let download = ObjectDownload::new(file.object, file.chunks, file.root, hashes);
                Way::Down(Box::new(download))
            }
            _ => return Ok(None),
        };
        Ok(known.map(|_| Transfer {
            way,
            contact,
            message: file.message,
            relay: None,
            stored: file.done,
        }))
    }

    /// Opens sessions for files that want one.
    pub(super) fn open_transfers(
        &mut self,
        now: UnixMillis,
        rng: &mut (impl CryptoRng + ?Sized),
    ) -> Result<(), VaultError> {
        let wanting: Vec<_> = self
            .transfers
            .iter()
            .filter(|(_, transfer)| transfer.wants_session(now))
            .map(|(seq, transfer)| (*seq, transfer.contact, transfer.mailbox()))
            .collect();
        for (seq, contact, mailbox) in wanting {
            let address = records::mailbox_address(self.vault.database(), contact, mailbox)?;
            let Some(address) = address else {
                self.transfers.remove(&seq);
                continue;
            };
            let opened = self.open(Owner::File(seq), &address, now, rng)?;
            let Some(transfer) = self.transfers.get_mut(&seq) else { continue };
            transfer.relay = Some(address.fingerprint());
            match (opened, &mut transfer.way) {
                (Ok(session), Way::Up(upload)) => upload.opening(session),
                (Ok(session), Way::Down(download)) => download.opening(session),
                (Err(trouble), Way::Up(upload)) => upload.fail(trouble, now, rng),
                (Err(trouble), Way::Down(download)) => download.fail(trouble, now, rng),
            }
        }
        Ok(())
    }

    pub(super) fn handle_file_opened(
        &mut self,
        seq: i64,
        session: SessionId,
        now: UnixMillis,
        rng: &mut (impl CryptoRng + ?Sized),
    ) -> Result<(), VaultError> {
        let Some(transfer) = self.transfers.get_mut(&seq) else { return Ok(()) };
        let step = match &mut transfer.way {
            Way::Up(upload) => upload.handle_opened(session, &mut self.router, rng).into(),
            Way::Down(download) => download.handle_opened(session, &mut self.router).into(),
        };
        self.take_file_step(seq, step, now, rng)
    }

    pub(super) fn handle_file_answer(
        &mut self,
        seq: i64,
        command: CommandId,
        reply: &reply::Reply,
        blob: Option<Blob>,
        now: UnixMillis,
        rng: &mut (impl CryptoRng + ?Sized),
    ) -> Result<(), VaultError> {
        let Some(transfer) = self.transfers.get_mut(&seq) else { return Ok(()) };
        let router = &mut self.router;
        let step = match &mut transfer.way {
            Way::Up(upload) => upload.handle_answer(command, reply, now, router, rng).into(),
            Way::Down(download) => download.handle_answer(reply, blob, now, router, rng).into(),
        };
        self.take_file_step(seq, step, now, rng)
    }

    pub(super) fn handle_file_closed(
        &mut self,
        seq: i64,
        session: SessionId,
        failure: Option<Trouble>,
        now: UnixMillis,
        rng: &mut (impl CryptoRng + ?Sized),
    ) -> Option<Fingerprint> {
        let transfer = self.transfers.get_mut(&seq)?;
        match &mut transfer.way {
            Way::Up(upload) => upload.handle_closed(session, failure, now, rng),
            Way::Down(download) => download.handle_closed(session, failure, now, rng),
        }
        transfer.relay
    }

    /// A session of a file has become old: the file goes on in another.
    pub(super) fn roll_over_file(
        &mut self,
        seq: i64,
        session: SessionId,
        now: UnixMillis,
        rng: &mut (impl CryptoRng + ?Sized),
    ) {
        self.owners.remove(&session);
        self.router.close(now, rng, session);
        self.handle_file_closed(seq, session, None, now, rng);
    }

    fn take_file_step(
        &mut self,
        seq: i64,
        step: Step,
        now: UnixMillis,
        rng: &mut (impl CryptoRng + ?Sized),
    ) -> Result<(), VaultError> {
        match step {
            Step::Going => return Ok(()),
            Step::Missing => {
                // It may be there again, as after a relay's restore; by its time it is gone.
                let file = files::of_seq(self.vault.database(), seq)?;
                if file.is_none_or(|file| file.until > now) {
                    return Ok(());
                }
                self.lose_file(seq, Stage::Gone)?;
            }
            Step::Broken => self.lose_file(seq, Stage::Broken)?,
            Step::Failed(trouble) => {
                // Not again in this run; the next may find the relay of another mind.
                if let Some(transfer) = self.transfers.get(&seq) {
                    self.failed_files.insert(seq, (transfer.contact, trouble));
                }
            }
            Step::Uploaded => self.finish_upload(seq, now, rng)?,
            Step::Arrived => {
                self.store_chunks(seq)?;
                let message = self.transfers.get(&seq).map(|transfer| transfer.message);
                self.vault.transaction(|tx| files::set_stage(tx, seq, Stage::Here))?;
                if let Some(message) = message {
                    self.emit(Event::FileArrived(message));
                }
            }
        }
        self.drop_transfer(seq, now, rng);
        Ok(())
    }

    fn finish_upload(
        &mut self,
        seq: i64,
        now: UnixMillis,
        rng: &mut (impl CryptoRng + ?Sized),
    ) -> Result<(), VaultError> {
        let Some(file) = files::of_seq(self.vault.database(), seq)? else { return Ok(()) };
        self.vault.transaction(|tx| thread::file_is_there(tx, &file, now, rng))?;
        let (message, of) = (file.message, file.chunks);
        self.emit(Event::FileProgress { message, done: of, of });
        Ok(())
    }

    fn lose_file(&mut self, seq: i64, stage: Stage) -> Result<(), VaultError> {
        let file = files::of_seq(self.vault.database(), seq)?;
        self.vault.transaction(|tx| {
            files::drop_chunks(tx, seq)?;
            files::set_done(tx, seq, 0)?;
            files::set_stage(tx, seq, stage)
        })?;
        if let Some(file) = file {
            self.emit(Event::FileLost(file.message));
        }
        Ok(())
    }

    fn drop_transfer(&mut self, seq: i64, now: UnixMillis, rng: &mut (impl CryptoRng + ?Sized)) {
        self.files_due = true;
        if let Some(session) = self.transfers.remove(&seq).and_then(|gone| gone.session()) {
            self.owners.remove(&session);
            self.router.close(now, rng, session);
        }
    }

    /// Ends what is under way of a contact's files.
    pub(super) fn drop_transfers_of(
        &mut self,
        contact: ContactId,
        now: UnixMillis,
        rng: &mut (impl CryptoRng + ?Sized),
    ) {
        let of = |(_, transfer): &(&i64, &Transfer)| transfer.contact == contact;
        let all: Vec<i64> = self.transfers.iter().filter(of).map(|(seq, _)| *seq).collect();
        all.into_iter().for_each(|seq| self.drop_transfer(seq, now, rng));
    }

    /// What came is stored, and what went out is; then more of it goes, until all waits for the relay.
    pub(super) fn move_files(
        &mut self,
        now: UnixMillis,
        rng: &mut (impl CryptoRng + ?Sized),
    ) -> Result<(), VaultError> {
        let all: Vec<i64> = self.transfers.keys().copied().collect();
        for seq in all {
            let is_there = self.store_chunks(seq)?;
            let Some(transfer) = self.transfers.get_mut(&seq) else { continue };
            if !is_there {
                self.drop_transfer(seq, now, rng);
                continue;
            }
            if let Way::Up(upload) = &mut transfer.way {
                upload.work(&mut self.router);
                if let Some((first, count)) = upload.wants_chunks() {
                    let chunks = files::chunks(self.vault.database(), seq, first, count)?;
                    upload.put_chunks(chunks, &mut self.router);
                }
            }
        }
        Ok(())
    }

    /// Stores how far a file has come, and what of it came. `false` where its row is gone.
    fn store_chunks(&mut self, seq: i64) -> Result<bool, VaultError> {
        let Some(transfer) = self.transfers.get_mut(&seq) else { return Ok(true) };
        let chunks = match &mut transfer.way {
            Way::Up(_) => Vec::new(),
            Way::Down(download) => download.take_chunks(&mut self.router),
        };
        let (done, of) = transfer.progress();
        let (message, before) = (transfer.message, transfer.stored);
        if done == before && chunks.is_empty() {
            return Ok(true);
        }
        transfer.stored = done;
        let is_there = self.vault.transaction(|tx| {
            let is_there = files::set_done(tx, seq, done)?;
            if is_there {
                files::push_chunks(tx, seq, chunks)?;
            }
            Ok::<_, VaultError>(is_there)
        })?;
        self.emit(Event::FileProgress { message, done, of });
        Ok(is_there)
    }
}

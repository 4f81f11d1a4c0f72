//! The ends of feeds and the ways of objects, driven over one relay without the engine.
//!
//! What a device would store stands in records here, which [`InlineParts::restart`] keeps and nothing else.

use std::collections::BTreeMap;
use std::sync::Arc;

use hearken_proto::address::RelayAddress;
use hearken_proto::auth::ObjectSecretKey;
use hearken_proto::cell::Cell;
use hearken_proto::ids::ObjectId;
use hearken_proto::object::{Root, chunk_hash};
use hearken_proto::payload::Blob;
use hearken_proto::time::UnixMillis;
use hearken_proto::wire::{FeedKind, reply};
use rand_core::CryptoRng;

use super::{Action, ClientLink, LinkEnd};
use crate::route::{CommandId, LinkFailure, RouteAction, RouteEvent, RoutePlan, Router, SessionId};
use crate::sync::Trouble;
use crate::sync::feed::{
    FeedMaking, FeedReader, FeedReaderStep, FeedWriter, FeedWriterStep, OutEntry,
};
use crate::sync::object::{
    DownloadStep, NamingEntry, ObjectDownload, ObjectPlan, ObjectUpload, UploadStep,
};

/// Hours for which uploads ask their objects to be kept.
const TTL_HOURS: u32 = 504;

/// What became of an upload or a download.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It is under way.
    Going,
    /// It is done.
    Done,
    /// It will not be.
    Failed,
}

/// A device with some parts of feeds and objects at one relay.
pub struct InlineParts {
    relay: RelayAddress,
    router: Router,
    owners: BTreeMap<SessionId, Owner>,
    readers: Vec<Reader>,
    writers: Vec<Writer>,
    uploads: Vec<Upload>,
    downloads: Vec<Download>,
}

#[derive(Clone, Copy)]
enum Owner {
    Reader(usize),
    Writer(usize),
    Upload(usize),
    Download(usize),
}

struct Reader {
    part: FeedReader,
    key: Arc<ObjectSecretKey>,
    making: Option<FeedMaking>,
    stored: Vec<(u64, Blob)>,
    gaps: u32,
    missing: u32,
}

struct Writer {
    part: FeedWriter,
    key: Arc<ObjectSecretKey>,
    outbox: Vec<OutEntry>,
    last: i64,
}

struct Upload {
    part: ObjectUpload,
    plan: ObjectPlan,
    entry: Option<NamingEntry>,
    chunks: Vec<Blob>,
    fate: Fate,
    sent: u64,
}

struct Download {
    part: ObjectDownload,
    object: ObjectId,
    chunks: u32,
    root: [u8; 32],
    stored: Vec<Blob>,
    fate: Fate,
}

impl Reader {
    fn begin(&mut self) {
        let cursor = self.stored.last().map_or(0, |(position, _)| *position);
        self.part = FeedReader::new(Arc::clone(&self.key), cursor);
        if let Some(making) = self.making {
            self.part.make_where_missing(making);
        }
    }
}

impl Upload {
    fn begin(&mut self, acknowledged: u32) {
        self.part = ObjectUpload::new(self.plan.clone(), self.entry.clone(), acknowledged);
    }
}

impl Download {
    fn begin(&mut self) {
        let stored: Vec<_> = self.stored.iter().map(chunk_hash).collect();
        self.part = ObjectDownload::new(self.object, self.chunks, self.root, stored);
    }
}

impl InlineParts {
    /// A device that has nothing to do yet.
    #[must_use]
    pub fn new(relay: RelayAddress) -> Self {
        Self {
            relay,
            router: Router::new(),
            owners: BTreeMap::new(),
            readers: Vec::new(),
            writers: Vec::new(),
            uploads: Vec::new(),
            downloads: Vec::new(),
        }
    }

    /// What a new process finds: what was stored.
    #[must_use]
    pub fn restart(mut self) -> Self {
        self.router = Router::new();
        self.owners.clear();
        self.readers.iter_mut().for_each(Reader::begin);
        for writer in &mut self.writers {
            writer.part = FeedWriter::new(Arc::clone(&writer.key));
        }
        for upload in self.uploads.iter_mut().filter(|upload| upload.fate == Fate::Going) {
            let (acknowledged, _) = upload.part.progress();
            upload.begin(acknowledged);
        }
        let going = |download: &&mut Download| download.fate == Fate::Going;
        self.downloads.iter_mut().filter(going).for_each(Download::begin);
        self
    }

    // --- what is to be done -------------------------------------------------------------------

    /// Reads a feed, and makes it for this writer's public key where it is missing.
    pub fn read(&mut self, read_key: &[u8; 32], makes_for: Option<[u8; 32]>) -> usize {
        let key = Arc::new(ObjectSecretKey::from_bytes(read_key));
        let kind = FeedKind::Group;
        let making = makes_for.map(|write_public_key| FeedMaking { write_public_key, kind });
        let part = FeedReader::new(Arc::clone(&key), 0);
        let mut reader = Reader { part, key, making, stored: Vec::new(), gaps: 0, missing: 0 };
        reader.begin();
        self.readers.push(reader);
        self.readers.len() - 1
    }

    /// Writes to a feed.
    pub fn write(&mut self, write_key: &[u8; 32]) -> usize {
        let key = Arc::new(ObjectSecretKey::from_bytes(write_key));
        let part = FeedWriter::new(Arc::clone(&key));
        self.writers.push(Writer { part, key, outbox: Vec::new(), last: 0 });
        self.writers.len() - 1
    }

    /// Puts an entry in the outbox of a writer.
    pub fn put(&mut self, writer: usize, blob: Blob) {
        let writer = &mut self.writers[writer];
        writer.last += 1;
        writer.outbox.push(OutEntry { seq: writer.last, blob });
    }

    /// Uploads an object, and has an entry of a feed name it where one is given with the feed's writer key.
    pub fn upload(
        &mut self,
        write_key: &[u8; 32],
        chunks: Vec<Blob>,
        entry: Option<(&[u8; 32], Blob)>,
    ) -> usize {
        let plan = ObjectPlan {
            write_key: Arc::new(ObjectSecretKey::from_bytes(write_key)),
            chunks: u32::try_from(chunks.len()).unwrap_or(u32::MAX),
            root: root_of(&chunks),
            ttl_hours: TTL_HOURS,
        };
        let entry = entry.map(|(key, blob)| NamingEntry {
            write_key: Arc::new(ObjectSecretKey::from_bytes(key)),
            blob,
        });
        let part = ObjectUpload::new(plan.clone(), entry.clone(), 0);
        self.uploads.push(Upload { part, plan, entry, chunks, fate: Fate::Going, sent: 0 });
        self.uploads.len() - 1
    }

    /// Downloads an object.
    pub fn download(&mut self, object: ObjectId, chunks: u32, root: [u8; 32]) -> usize {
        let part = ObjectDownload::new(object, chunks, root, []);
        let (stored, fate) = (Vec::new(), Fate::Going);
        self.downloads.push(Download { part, object, chunks, root, stored, fate });
        self.downloads.len() - 1
    }

    // --- what was done ------------------------------------------------------------------------

    /// What a reader stored, with positions.
    #[must_use]
    pub fn entries(&self, reader: usize) -> &[(u64, Blob)] {
        &self.readers[reader].stored
    }

    /// How often a reader was told of a gap, and of a missing feed.
    #[must_use]
    pub fn gaps_and_missing(&self, reader: usize) -> (u32, u32) {
        (self.readers[reader].gaps, self.readers[reader].missing)
    }

    /// Whether a reader watches and has stored everything that waited when its watch began.
    #[must_use]
    pub fn is_drained(&self, reader: usize) -> bool {
        self.readers[reader].part.is_drained()
    }

    /// Entries of a writer that the relay has not acknowledged.
    #[must_use]
    pub fn waiting(&self, writer: usize) -> usize {
        self.writers[writer].outbox.len()
    }

    /// What became of an upload, chunks that the relay has, and chunks that were sent in all.
    #[must_use]
    pub fn uploaded(&self, upload: usize) -> (Fate, u32, u64) {
        let upload = &self.uploads[upload];
        (upload.fate, upload.part.progress().0, upload.sent)
    }

    /// What became of a download, and its chunks.
    #[must_use]
    pub fn downloaded(&self, download: usize) -> (Fate, &[Blob]) {
        (self.downloads[download].fate, &self.downloads[download].stored)
    }

    // --- links and time -----------------------------------------------------------------------

    /// A link that was asked for is there.
    pub fn connected(&mut self, link: ClientLink, now: UnixMillis, rng: &mut dyn CryptoRng) {
        self.router.handle_connected(now, rng, link.0);
        self.turn(now, rng);
    }

    /// A link is not there, or not any more.
    pub fn disconnected(
        &mut self,
        link: ClientLink,
        why: LinkEnd,
        now: UnixMillis,
        rng: &mut dyn CryptoRng,
    ) {
        let why = match why {
            LinkEnd::Unreachable => LinkFailure::Unreachable,
            LinkEnd::OtherKey => LinkFailure::OtherKey,
            LinkEnd::Closed => LinkFailure::Closed,
        };
        self.router.handle_disconnected(now, link.0, why);
        self.turn(now, rng);
    }

    /// A cell of a link.
    pub fn cell(&mut self, link: ClientLink, cell: Cell, now: UnixMillis, rng: &mut dyn CryptoRng) {
        self.router.handle_cell(now, rng, link.0, cell);
        self.turn(now, rng);
    }

    /// Time has passed, or there is work.
    pub fn timeout(&mut self, now: UnixMillis, rng: &mut dyn CryptoRng) {
        self.router.handle_timeout(now, rng);
        for at in 0..self.writers.len() {
            let part = &mut self.writers[at].part;
            part.handle_timeout(now);
            if let Some(session) = part.session().filter(|_| part.is_idle(now)) {
                self.end(session, now, rng);
            }
        }
        self.turn(now, rng);
    }

    /// When [`InlineParts::timeout`] is to be called; it may be past.
    #[must_use]
    pub fn next_timeout(&self) -> Option<UnixMillis> {
        let works = self.readers.iter().any(|reader| reader.part.is_working())
            || self.uploads.iter().any(|upload| upload.part.is_working());
        let readers = self.readers.iter().filter_map(|reader| reader.part.poll_timeout());
        let writers = self.writers.iter().filter_map(|writer| writer.part.poll_timeout());
        let uploads = self.uploads.iter().filter_map(|upload| upload.part.poll_timeout());
        let downloads = self.downloads.iter().filter_map(|download| download.part.poll_timeout());
        let now = works.then_some(UnixMillis(0));
        let due = now.into_iter().chain(readers).chain(writers).chain(uploads).chain(downloads);
        due.chain(self.router.poll_timeout()).min()
    }

    /// What the surroundings shall do.
    pub fn poll_action(&mut self) -> Option<Action> {
        self.router.poll_action().map(|action| match action {
            RouteAction::Connect { link, address } => {
                Action::Connect { link: ClientLink(link), address }
            }
            RouteAction::Transmit { link, cell } => {
                Action::Transmit { link: ClientLink(link), cell }
            }
            RouteAction::Disconnect { link } => Action::Disconnect { link: ClientLink(link) },
        })
    }

    fn turn(&mut self, now: UnixMillis, rng: &mut dyn CryptoRng) {
        loop {
            while let Some(event) = self.router.poll_event() {
                self.handle_event(event, now, rng);
            }
            self.work();
            self.store();
            self.open_sessions(now, rng);
            self.pump(now);
            self.router.flush(now, rng);
            let Some(event) = self.router.poll_event() else { break };
            self.handle_event(event, now, rng);
        }
    }

    fn handle_event(&mut self, event: RouteEvent, now: UnixMillis, rng: &mut dyn CryptoRng) {
        match event {
            RouteEvent::InfoSeen { .. } => {}
            RouteEvent::Opened { session } => self.handle_opened(session, now, rng),
            RouteEvent::Answer { session, command, reply, blob, .. } => {
                self.handle_answer(session, command, &reply, blob, now, rng);
            }
            RouteEvent::Push { session, position, blob } => {
                if let Some(Owner::Reader(at)) = self.owners.get(&session) {
                    self.readers[*at].part.handle_push(session, position, blob);
                }
            }
            RouteEvent::RollOver { session } => self.roll_over(session, now, rng),
            RouteEvent::Closed { session, why } => {
                self.closed(session, Some(Trouble::Route(why)), now, rng);
            }
        }
    }

    fn handle_opened(&mut self, session: SessionId, now: UnixMillis, rng: &mut dyn CryptoRng) {
        let router = &mut self.router;
        match self.owners.get(&session) {
            Some(Owner::Reader(at)) => self.readers[*at].part.handle_opened(session, router),
            Some(Owner::Writer(at)) => self.writers[*at].part.handle_opened(session),
            Some(Owner::Upload(at)) => {
                self.uploads[*at].part.handle_opened(session, router, rng);
            }
            Some(Owner::Download(at)) => {
                self.downloads[*at].part.handle_opened(session, router);
            }
            None => router.close(now, rng, session),
        }
    }

    fn handle_answer(
        &mut self,
        session: SessionId,
        command: CommandId,
        reply: &reply::Reply,
        blob: Option<Blob>,
        now: UnixMillis,
        rng: &mut dyn CryptoRng,
    ) {
        let router = &mut self.router;
        match self.owners.get(&session).copied() {
            Some(Owner::Reader(at)) => {
                let reader = &mut self.readers[at];
                match reader.part.handle_answer(session, reply, now, router, rng) {
                    FeedReaderStep::Gap => reader.gaps += 1,
                    FeedReaderStep::Missing => reader.missing += 1,
                    FeedReaderStep::Nothing | FeedReaderStep::Watching => {}
                }
            }
            Some(Owner::Writer(at)) => {
                let writer = &mut self.writers[at];
                let step = writer.part.handle_answer(command, reply, now, rng);
                if let FeedWriterStep::Acknowledged(seq) | FeedWriterStep::Rejected(seq, _) = step {
                    writer.outbox.retain(|entry| entry.seq != seq);
                }
            }
            Some(Owner::Upload(at)) => {
                let upload = &mut self.uploads[at];
                match upload.part.handle_answer(command, reply, now, router, rng) {
                    UploadStep::Done => upload.fate = Fate::Done,
                    UploadStep::Failed(_) => upload.fate = Fate::Failed,
                    _ => {}
                }
                if upload.fate != Fate::Going {
                    self.end(session, now, rng);
                }
            }
            Some(Owner::Download(at)) => {
                let download = &mut self.downloads[at];
                match download.part.handle_answer(reply, blob, now, router, rng) {
                    DownloadStep::Complete => download.fate = Fate::Done,
                    DownloadStep::Broken => download.fate = Fate::Failed,
                    DownloadStep::Going | DownloadStep::Missing => {}
                }
                let taken = download.part.take_chunks(router);
                download.stored.extend(taken.into_iter().map(|(_, blob)| blob));
                if download.fate != Fate::Going {
                    self.end(session, now, rng);
                }
            }
            None => {}
        }
    }

    fn roll_over(&mut self, session: SessionId, now: UnixMillis, rng: &mut dyn CryptoRng) {
        match self.owners.get(&session).copied() {
            Some(Owner::Reader(at)) if !self.readers[at].part.has_successor() => {
                let successor = self.open(Owner::Reader(at), now, rng);
                self.readers[at].part.opening_successor(successor);
            }
            Some(Owner::Reader(_)) | None => {}
            Some(_) => self.end(session, now, rng),
        }
    }

    /// Closes a session of this side's own wish.
    fn end(&mut self, session: SessionId, now: UnixMillis, rng: &mut dyn CryptoRng) {
        self.router.close(now, rng, session);
        self.closed(session, None, now, rng);
    }

    fn closed(
        &mut self,
        session: SessionId,
        failure: Option<Trouble>,
        now: UnixMillis,
        rng: &mut dyn CryptoRng,
    ) {
        match self.owners.remove(&session) {
            Some(Owner::Reader(at)) => {
                self.readers[at].part.handle_closed(session, failure, now, rng);
            }
            Some(Owner::Writer(at)) => {
                self.writers[at].part.handle_closed(session, failure, now, rng);
            }
            Some(Owner::Upload(at)) => {
                self.uploads[at].part.handle_closed(session, failure, now, rng);
            }
            Some(Owner::Download(at)) => {
                self.downloads[at].part.handle_closed(session, failure, now, rng);
            }
            None => {}
        }
    }

    fn work(&mut self) {
        self.readers.iter_mut().for_each(|reader| reader.part.work(&mut self.router));
        self.uploads.iter_mut().for_each(|upload| upload.part.work(&mut self.router));
    }

    fn store(&mut self) {
        for reader in &mut self.readers {
            let entries = reader.part.take_entries();
            let Some((cursor, _)) = entries.last() else { continue };
            let cursor = *cursor;
            reader.stored.extend(entries);
            reader.part.confirm(cursor, &mut self.router);
        }
    }

    fn open(&mut self, owner: Owner, now: UnixMillis, rng: &mut dyn CryptoRng) -> SessionId {
        let plan = RoutePlan { entry: None, relay: self.relay.clone() };
        let session = self.router.open(now, rng, plan);
        self.owners.insert(session, owner);
        session
    }

    fn open_sessions(&mut self, now: UnixMillis, rng: &mut dyn CryptoRng) {
        for at in 0..self.readers.len() {
            if self.readers[at].part.wants_session(now) {
                let session = self.open(Owner::Reader(at), now, rng);
                self.readers[at].part.opening(session);
            }
        }
        for at in 0..self.writers.len() {
            let writer = &self.writers[at];
            if writer.part.wants_session(now) && !writer.outbox.is_empty() {
                let session = self.open(Owner::Writer(at), now, rng);
                self.writers[at].part.opening(session, now);
            }
        }
        for at in 0..self.uploads.len() {
            if self.uploads[at].part.wants_session(now) {
                let session = self.open(Owner::Upload(at), now, rng);
                self.uploads[at].part.opening(session);
            }
        }
        for at in 0..self.downloads.len() {
            if self.downloads[at].part.wants_session(now) {
                let session = self.open(Owner::Download(at), now, rng);
                self.downloads[at].part.opening(session);
            }
        }
    }

    fn pump(&mut self, now: UnixMillis) {
        for writer in &mut self.writers {
            if let Some((after, room)) = writer.part.wants_entries() {
                let next = writer.outbox.iter().filter(|entry| entry.seq > after).take(room);
                let next: Vec<_> = next.cloned().collect();
                writer.part.put(next, &mut self.router, now);
            }
        }
        for upload in &mut self.uploads {
            if let Some((first, count)) = upload.part.wants_chunks() {
                let chunks = upload.chunks.iter().skip(first as usize).take(count).cloned();
                upload.sent += count as u64;
                upload.part.put_chunks(chunks, &mut self.router);
            }
        }
    }
}

impl core::fmt::Debug for InlineParts {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("InlineParts").field("sessions", &self.owners.len()).finish_non_exhaustive()
    }
}

/// The root of an object of these chunks.
#[must_use]
pub fn root_of(chunks: &[Blob]) -> [u8; 32] {
    let mut root = Root::new();
    chunks.iter().for_each(|chunk| root.push(&chunk_hash(chunk)));
    root.finish()
}

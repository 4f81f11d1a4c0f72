//! An object's download: from the first chunk that is not stored, sixteen at a time, and checked against its root.
//!
//! Guarantees: chunks are handed out in order, each once; `Complete` is said only when all of them together have the root
//! that was promised. What is handed out before that is not to be believed: it may be anything that the relay made up.

use hearken_proto::ids::ObjectId;
use hearken_proto::limits::GET_MAX;
use hearken_proto::object::{Root, chunk_hash};
use hearken_proto::payload::Blob;
use hearken_proto::time::UnixMillis;
use hearken_proto::wire::{ObjectGet, Reason, command, reply};
use rand_core::CryptoRng;

use crate::route::{Router, SessionId};
use crate::sync::trouble::Trouble;
use crate::sync::visit::{Visit, trouble_of};

/// Chunks that were not taken beyond which no more are asked for.
const ARRIVED_MAX: usize = 4 * GET_MAX as usize;

/// What an answer changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum DownloadStep {
    /// Nothing to act upon; [`ObjectDownload::take_chunks`] may have some.
    Going,
    /// All chunks are here and match the root. The session is this side's to close.
    Complete,
    /// There is no such object: unfinished, expired, or withheld. It is asked for again later.
    Missing,
    /// The object is not the one that was promised. Nothing more is asked. The session is this side's to close.
    Broken,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Away,
    /// So many cells of an answer are due.
    Asking(u32),
    /// Open, and waits for what it has to be taken.
    Waiting,
    Over,
}

/// See the module.
pub(crate) struct ObjectDownload {
    object: ObjectId,
    chunks: u32,
    expected_root: [u8; 32],
    root: Root,
    next: u32,
    arrived: Vec<(u32, Blob)>,
    phase: Phase,
    visit: Visit,
}

impl ObjectDownload {
    /// A download of an object of so many chunks with this root, of which the first ones are stored: `stored` are the
    /// `chunk_hash`es of those, in order.
    pub(crate) fn new(
        object: ObjectId,
        chunks: u32,
        root: [u8; 32],
        stored: impl IntoIterator<Item = [u8; 32]>,
    ) -> Self {
        let mut download = Self {
            object,
            chunks,
            expected_root: root,
            root: Root::new(),
            next: 0,
            arrived: Vec::new(),
            phase: Phase::Away,
            visit: Visit::default(),
        };
        for hash in stored.into_iter().take(chunks as usize) {
            download.root.push(&hash);
            download.next += 1;
        }
        download
    }

    /// Chunks that have come, and all of them.
    pub(crate) fn progress(&self) -> (u32, u32) {
        (self.next, self.chunks)
    }

    /// The session that it has.
    pub(crate) fn session(&self) -> Option<SessionId> {
        self.visit.session()
    }

    /// Why it last failed, until it works again, and how often since.
    pub(crate) fn failure(&self) -> (Option<Trouble>, u32) {
        (self.visit.failure(), self.visit.failures())
    }

    /// Whether a session should be opened.
    pub(crate) fn wants_session(&self, now: UnixMillis) -> bool {
        self.phase != Phase::Over && self.visit.is_due(now)
    }

    /// Forgets earlier failures.
    pub(crate) fn begin_anew(&mut self) {
        self.visit.begin_anew();
    }

    /// A session is being opened for it.
    pub(crate) fn opening(&mut self, session: SessionId) {
        self.visit.opening(session);
        self.phase = Phase::Away;
    }

    /// The session is open.
    pub(crate) fn handle_opened(
        &mut self,
        session: SessionId,
        router: &mut Router,
    ) -> DownloadStep {
        if !self.visit.is(session) {
            return DownloadStep::Going;
        }
        if self.next == self.chunks {
            return self.finish();
        }
        self.phase = Phase::Waiting;
        self.ask(router);
        DownloadStep::Going
    }

    /// A cell of an answer came.
    pub(crate) fn handle_answer(
        &mut self,
        reply: &reply::Reply,
        blob: Option<Blob>,
        now: UnixMillis,
        router: &mut Router,
        rng: &mut (impl CryptoRng + ?Sized),
    ) -> DownloadStep {
        let (Phase::Asking(due), Some(session)) = (self.phase, self.visit.session()) else {
            return DownloadStep::Going;
        };
        match (reply, blob) {
            (reply::Reply::Chunk(chunk), Some(blob)) => {
                if chunk.index != self.next || chunk.chunks != self.chunks {
                    return self.break_off();
                }
                self.visit.succeed();
                self.root.push(&chunk_hash(&blob));
                self.arrived.push((self.next, blob));
                self.next += 1;
            }
            // Fewer than all are an object of another size.
            (reply::Reply::Empty(_), _) => return self.break_off(),
            (reply::Reply::Refused(refused), _) => {
                let reason = Reason::try_from(refused.reason).unwrap_or(Reason::Unspecified);
                router.close(now, rng, session);
                self.phase = Phase::Away;
                self.visit.fail(trouble_of(reason), now, rng);
                let is_missing = reason == Reason::NotYours;
                return if is_missing { DownloadStep::Missing } else { DownloadStep::Going };
            }
            _ => return self.break_off(),
        }
        if self.next == self.chunks {
            return self.finish();
        }
        self.phase = if due > 1 { Phase::Asking(due - 1) } else { Phase::Waiting };
        self.ask(router);
        DownloadStep::Going
    }

    /// Hands over the chunks that came since the last call with their places, in order, and asks for more.
    pub(crate) fn take_chunks(&mut self, router: &mut Router) -> Vec<(u32, Blob)> {
        let arrived = core::mem::take(&mut self.arrived);
        self.ask(router);
        arrived
    }

    /// The session ended. `failure` is why, where it was not this side's wish.
    pub(crate) fn handle_closed(
        &mut self,
        session: SessionId,
        failure: Option<Trouble>,
        now: UnixMillis,
        rng: &mut (impl CryptoRng + ?Sized),
    ) {
        if !self.visit.is(session) {
            return;
        }
        if self.phase == Phase::Over {
            return self.visit.end();
        }
        self.phase = Phase::Away;
        match failure {
            Some(failure) => self.visit.fail(failure, now, rng),
            None => self.visit.end(),
        }
    }

    /// No session could be planned.
    pub(crate) fn fail(
        &mut self,
        trouble: Trouble,
        now: UnixMillis,
        rng: &mut (impl CryptoRng + ?Sized),
    ) {
        self.visit.fail(trouble, now, rng);
    }

    /// When a new session is due.
    pub(crate) fn poll_timeout(&self) -> Option<UnixMillis> {
        self.visit.poll_timeout().filter(|_| self.phase != Phase::Over)
    }

    fn ask(&mut self, router: &mut Router) {
        let Some(session) = self.visit.session() else { return };
        if self.phase != Phase::Waiting || self.arrived.len() >= ARRIVED_MAX {
            return;
        }
        let max = self.chunks.saturating_sub(self.next).min(GET_MAX);
        let object_id = self.object.as_bytes().to_vec();
        let get = command::Command::ObjectGet(ObjectGet { object_id, first: self.next, max });
        // A session that cannot take the command reports its end as an event.
        if router.command(session, get, None, None).is_ok() {
            self.phase = Phase::Asking(max);
        }
    }

    fn finish(&mut self) -> DownloadStep {
        self.phase = Phase::Over;
        self.visit.succeed();
        let is_whole = self.root.clone().finish() == self.expected_root;
        if is_whole { DownloadStep::Complete } else { DownloadStep::Broken }
    }

    fn break_off(&mut self) -> DownloadStep {
        self.phase = Phase::Over;
        DownloadStep::Broken
    }
}

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
        self.visit.close(failure, now, rng);
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

#[cfg(test)]
mod tests {
    use hearken_proto::limits::BLOB_LEN;
    use hearken_proto::wire::{Empty, ObjectChunkRead, Refused};
    use rand_chacha::ChaCha20Rng;
    use rand_core::SeedableRng;

    use super::*;
    use crate::route::RoutePlan;

    const NOW: UnixMillis = UnixMillis(1_800_000_000_000);

    struct Ground {
        download: ObjectDownload,
        router: Router,
        rng: ChaCha20Rng,
    }

    fn chunk(index: u32) -> Blob {
        Blob::new(Box::new([u8::try_from(index).unwrap(); BLOB_LEN]))
    }

    fn root(chunks: u32) -> [u8; 32] {
        let mut root = Root::new();
        (0..chunks).for_each(|index| root.push(&chunk_hash(&chunk(index))));
        root.finish()
    }

    impl Ground {
        fn new(chunks: u32, root: [u8; 32], stored: u32) -> Self {
            let mut rng = ChaCha20Rng::seed_from_u64(8);
            let hashes = (0..stored).map(|index| chunk_hash(&chunk(index)));
            let object = ObjectId::from_bytes([2; 32]);
            let mut download = ObjectDownload::new(object, chunks, root, hashes);
            let mut router = Router::new();
            let relay = hearken_proto::ids::Fingerprint::from_bytes([1; 32]);
            let places = vec!["relay.example:4433".parse().unwrap()];
            let relay = hearken_proto::address::RelayAddress::new(relay, places).unwrap();
            let session = router.open(NOW, &mut rng, RoutePlan { entry: None, relay });
            download.opening(session);
            download.handle_opened(session, &mut router);
            Self { download, router, rng }
        }

        fn hear(&mut self, index: u32, chunks: u32, blob: Blob) -> DownloadStep {
            let read = reply::Reply::Chunk(ObjectChunkRead { index, chunks });
            let (router, rng) = (&mut self.router, &mut self.rng);
            self.download.handle_answer(&read, Some(blob), NOW, router, rng)
        }

        fn answer(&mut self, reply: &reply::Reply) -> DownloadStep {
            self.download.handle_answer(reply, None, NOW, &mut self.router, &mut self.rng)
        }
    }

    #[test]
    fn it_goes_on_at_the_chunk_and_is_complete_when_the_root_of_all_is_right() {
        let mut ground = Ground::new(20, root(20), 3);
        assert_eq!(ground.download.phase, Phase::Asking(16));
        for index in 3..19 {
            assert_eq!(ground.hear(index, 20, chunk(index)), DownloadStep::Going);
        }
        assert_eq!(ground.download.phase, Phase::Asking(1), "what is left");
        assert_eq!(ground.download.progress(), (19, 20));
        assert_eq!(ground.hear(19, 20, chunk(19)), DownloadStep::Complete);
        let taken = ground.download.take_chunks(&mut ground.router);
        assert!(taken.iter().map(|(index, _)| *index).eq(3..20));
        assert!(!ground.download.wants_session(UnixMillis(u64::MAX)));
    }

    #[test]
    fn another_chunk_number_size_order_or_root_is_broken() {
        let mut ground = Ground::new(2, root(2), 0);
        ground.hear(0, 2, chunk(0));
        assert_eq!(ground.hear(1, 2, chunk(7)), DownloadStep::Broken);
        let mut ground = Ground::new(2, root(2), 0);
        assert_eq!(ground.hear(1, 2, chunk(1)), DownloadStep::Broken);
        let mut ground = Ground::new(2, root(2), 0);
        assert_eq!(ground.hear(0, 3, chunk(0)), DownloadStep::Broken);
        let mut ground = Ground::new(2, root(2), 0);
        ground.hear(0, 2, chunk(0));
        assert_eq!(ground.answer(&reply::Reply::Empty(Empty {})), DownloadStep::Broken);
        assert!(!ground.download.wants_session(UnixMillis(u64::MAX)));
        // What was stored before counts as well.
        let mut ground = Ground::new(3, root(3), 1);
        ground.download.root = Root::new();
        ground.hear(1, 3, chunk(1));
        assert_eq!(ground.hear(2, 3, chunk(2)), DownloadStep::Broken);
    }

    #[test]
    fn what_is_not_there_is_asked_for_again_later() {
        let mut ground = Ground::new(2, root(2), 1);
        let missing = reply::Reply::Refused(Refused { reason: Reason::NotYours.into() });
        assert_eq!(ground.answer(&missing), DownloadStep::Missing);
        let due = ground.download.poll_timeout().unwrap();
        assert!(!ground.download.wants_session(NOW) && ground.download.wants_session(due));
    }

    #[test]
    fn no_more_is_asked_for_while_too_much_waits_to_be_taken() {
        let mut ground = Ground::new(200, root(200), 0);
        for index in 0..64 {
            ground.hear(index, 200, chunk(index));
        }
        assert_eq!(ground.download.phase, Phase::Waiting);
        assert_eq!(ground.download.take_chunks(&mut ground.router).len(), 64);
        assert_eq!(ground.download.phase, Phase::Asking(16));
    }
}

//! A feed's writer: entries that name nothing go out in order, and again from the first unanswered one after every
//! refusal and every lost session.
//!
//! Guarantees: an entry is acknowledged when the relay said that it is durable; putting it again is safe, since the relay
//! knows it by its hash. Deliberately not: keeping entries. Whoever drives it has them under rising numbers and hands
//! over the next when [`FeedWriter::wants_entries`] says so.

use std::collections::VecDeque;
use std::sync::Arc;

use hearken_proto::auth::ObjectSecretKey;
use hearken_proto::ids::FeedWriterId;
use hearken_proto::limits::ANSWERS_DUE_MAX;
use hearken_proto::payload::Blob;
use hearken_proto::time::UnixMillis;
use hearken_proto::wire::{FeedPut, Reason, Role, command, reply};
use rand_core::CryptoRng;

use crate::route::{CommandId, Router, SessionId};
use crate::sync::trouble::Trouble;
use crate::sync::visit::{Visit, trouble_of};

/// A writer's session that has nothing to do is closed after this many milliseconds, as a mailbox's is.
const IDLE_MS_MAX: u64 = 60_000;

/// An entry to put.
#[derive(Clone, Debug)]
pub(crate) struct OutEntry {
    /// Rises from one entry of this feed to the next.
    pub(crate) seq: i64,
    /// What is put.
    pub(crate) blob: Blob,
}

/// What an answer changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FeedWriterStep {
    /// Nothing to act upon.
    Nothing,
    /// The entry of this number is durable at the relay.
    Acknowledged(i64),
    /// The entry of this number will never be taken, and the next may go.
    Rejected(i64, Reason),
    /// The feed is full. It is tried again later.
    Full,
    /// There is no such feed. It is tried again later.
    Missing,
}

/// The writing side of one feed.
pub(crate) struct FeedWriter {
    write_key: Arc<ObjectSecretKey>,
    visit: Visit,
    is_open: bool,
    in_flight: VecDeque<(CommandId, i64)>,
    put_up_to: i64,
    /// An entry was refused: nothing is put until the wait is over, then from the first unanswered one.
    refused_until: Option<UnixMillis>,
    last_used: UnixMillis,
}

impl FeedWriter {
    pub(crate) fn new(write_key: Arc<ObjectSecretKey>) -> Self {
        Self {
            write_key,
            visit: Visit::default(),
            is_open: false,
            in_flight: VecDeque::new(),
            put_up_to: i64::MIN,
            refused_until: None,
            last_used: UnixMillis::default(),
        }
    }

    /// The session that it writes in.
    pub(crate) fn session(&self) -> Option<SessionId> {
        self.visit.session()
    }

    /// Why it last failed, until it works again, and how often since.
    pub(crate) fn failure(&self) -> (Option<Trouble>, u32) {
        (self.visit.failure(), self.visit.failures())
    }

    /// Whether a session should be opened, when there is an entry to put.
    pub(crate) fn wants_session(&self, now: UnixMillis) -> bool {
        self.visit.is_due(now)
    }

    /// Whether something is under way with the relay.
    pub(crate) fn is_busy(&self) -> bool {
        self.visit.session().is_some() && (!self.is_open || !self.in_flight.is_empty())
    }

    /// Forgets earlier failures, for a new sync.
    pub(crate) fn begin_anew(&mut self) {
        self.visit.begin_anew();
        self.refused_until = None;
    }

    /// A session is being opened for it.
    pub(crate) fn opening(&mut self, session: SessionId, now: UnixMillis) {
        self.visit.opening(session);
        self.last_used = now;
        self.forget_flight();
    }

    /// The session is open: entries may be put.
    pub(crate) fn handle_opened(&mut self, session: SessionId) {
        self.is_open = self.visit.is(session);
    }

    /// How many more entries may be put, and behind which number.
    pub(crate) fn wants_entries(&self) -> Option<(i64, usize)> {
        let room = (ANSWERS_DUE_MAX as usize).saturating_sub(self.in_flight.len());
        (self.is_open && self.refused_until.is_none() && room > 0).then_some((self.put_up_to, room))
    }

    /// Puts the next entries.
    pub(crate) fn put(
        &mut self,
        entries: impl IntoIterator<Item = OutEntry>,
        router: &mut Router,
        now: UnixMillis,
    ) {
        let Some(session) = self.visit.session() else { return };
        for OutEntry { seq, blob } in entries {
            let put_id = blob.put_id().as_bytes().to_vec();
            let id = FeedWriterId::of(&self.write_key.public_key());
            let key = (Role::FeedWrite, *id.as_bytes(), Arc::clone(&self.write_key));
            let put = command::Command::FeedPut(FeedPut { put_id, names_object: false });
            let Ok(command) = router.command(session, put, Some(blob), Some(key)) else { return };
            self.put_up_to = seq;
            self.last_used = now;
            self.in_flight.push_back((command, seq));
        }
    }

    /// An answer came.
    pub(crate) fn handle_answer(
        &mut self,
        command: CommandId,
        reply: &reply::Reply,
        now: UnixMillis,
        rng: &mut (impl CryptoRng + ?Sized),
    ) -> FeedWriterStep {
        let Some((_, seq)) = self.in_flight.front().copied().filter(|(first, _)| *first == command)
        else {
            return FeedWriterStep::Nothing;
        };
        self.in_flight.pop_front();
        self.last_used = now;
        match reply {
            // Behind a refusal nothing counts, or its order would be another.
            reply::Reply::Done(_) if self.refused_until.is_none() => {
                self.visit.succeed();
                FeedWriterStep::Acknowledged(seq)
            }
            reply::Reply::Refused(refused) => {
                let reason = Reason::try_from(refused.reason).unwrap_or(Reason::Unspecified);
                self.handle_refused(seq, reason, now, rng)
            }
            _ => FeedWriterStep::Nothing,
        }
    }

    /// Time has passed: after a wait it begins again from the first unanswered entry.
    pub(crate) fn handle_timeout(&mut self, now: UnixMillis) {
        self.visit.handle_timeout(now);
        if self.refused_until.is_some_and(|at| at <= now) && self.in_flight.is_empty() {
            self.forget_flight();
        }
    }

    /// Whether its session has had nothing to do for a minute: close it, and say so with [`FeedWriter::handle_closed`].
    pub(crate) fn is_idle(&self, now: UnixMillis) -> bool {
        self.is_open
            && self.in_flight.is_empty()
            && now.0 >= self.last_used.0.saturating_add(IDLE_MS_MAX)
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
        self.is_open = false;
        self.forget_flight();
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

    /// When [`FeedWriter::handle_timeout`], a new session or the end of an idle one is due.
    pub(crate) fn poll_timeout(&self) -> Option<UnixMillis> {
        if !self.in_flight.is_empty() {
            return None;
        }
        let idle = self.is_open.then(|| UnixMillis(self.last_used.0.saturating_add(IDLE_MS_MAX)));
        [self.refused_until, self.visit.poll_timeout(), idle].into_iter().flatten().min()
    }

    fn forget_flight(&mut self) {
        self.in_flight.clear();
        self.put_up_to = i64::MIN;
        self.refused_until = None;
    }

    fn handle_refused(
        &mut self,
        seq: i64,
        reason: Reason,
        now: UnixMillis,
        rng: &mut (impl CryptoRng + ?Sized),
    ) -> FeedWriterStep {
        if matches!(reason, Reason::Mismatch | Reason::Malformed) && self.refused_until.is_none() {
            return FeedWriterStep::Rejected(seq, reason);
        }
        if self.refused_until.is_some() {
            return FeedWriterStep::Nothing;
        }
        self.refused_until = Some(self.visit.wait(trouble_of(reason), now, rng));
        match reason {
            Reason::Full => FeedWriterStep::Full,
            Reason::NotYours => FeedWriterStep::Missing,
            _ => FeedWriterStep::Nothing,
        }
    }
}

#[cfg(test)]
mod tests {
    use hearken_proto::limits::BLOB_LEN;
    use hearken_proto::wire::{Done, Refused};
    use rand_chacha::ChaCha20Rng;
    use rand_core::SeedableRng;

    use super::*;
    use crate::route::{CloseWhy, RoutePlan};

    const NOW: UnixMillis = UnixMillis(1_800_000_000_000);
    const DONE: reply::Reply = reply::Reply::Done(Done {});

    struct Ground {
        writer: FeedWriter,
        router: Router,
        rng: ChaCha20Rng,
    }

    impl Ground {
        fn new() -> Self {
            let mut rng = ChaCha20Rng::seed_from_u64(6);
            let writer = FeedWriter::new(Arc::new(ObjectSecretKey::generate(&mut rng)));
            let mut ground = Self { writer, router: Router::new(), rng };
            ground.open();
            ground
        }

        fn open(&mut self) -> SessionId {
            let relay = hearken_proto::ids::Fingerprint::from_bytes([1; 32]);
            let places = vec!["relay.example:4433".parse().unwrap()];
            let relay = hearken_proto::address::RelayAddress::new(relay, places).unwrap();
            let session = self.router.open(NOW, &mut self.rng, RoutePlan { entry: None, relay });
            self.writer.opening(session, NOW);
            self.writer.handle_opened(session);
            session
        }

        fn put(&mut self, seqs: impl IntoIterator<Item = i64>) {
            let blob = Blob::new(Box::new([1; BLOB_LEN]));
            let entries = seqs.into_iter().map(|seq| OutEntry { seq, blob: blob.clone() });
            self.writer.put(entries, &mut self.router, NOW);
        }

        /// The relay answers the first entry in flight.
        fn answer(&mut self, reply: &reply::Reply) -> FeedWriterStep {
            let (first, _) = *self.writer.in_flight.front().unwrap();
            self.writer.handle_answer(first, reply, NOW, &mut self.rng)
        }
    }

    fn refused(reason: Reason) -> reply::Reply {
        reply::Reply::Refused(Refused { reason: reason.into() })
    }

    #[test]
    fn sixteen_are_under_way_at_most_and_each_is_acknowledged_by_its_number() {
        let mut ground = Ground::new();
        assert_eq!(ground.writer.wants_entries(), Some((i64::MIN, 16)));
        ground.put(1..=16);
        assert_eq!(ground.writer.wants_entries(), None);
        assert_eq!(ground.answer(&DONE), FeedWriterStep::Acknowledged(1));
        assert_eq!(ground.writer.wants_entries(), Some((16, 1)));
    }

    #[test]
    fn behind_a_refusal_nothing_counts_and_it_begins_again_from_the_first() {
        for (reason, step) in [
            (Reason::Full, FeedWriterStep::Full),
            (Reason::NotYours, FeedWriterStep::Missing),
            (Reason::Busy, FeedWriterStep::Nothing),
        ] {
            let mut ground = Ground::new();
            ground.put(1..=3);
            assert_eq!(ground.answer(&refused(reason)), step);
            assert_eq!(ground.answer(&refused(reason)), FeedWriterStep::Nothing);
            assert_eq!(ground.answer(&DONE), FeedWriterStep::Nothing);
            assert_eq!(ground.writer.wants_entries(), None);
            let due = ground.writer.poll_timeout().unwrap();
            ground.writer.handle_timeout(due);
            assert_eq!(ground.writer.wants_entries(), Some((i64::MIN, 16)));
        }
    }

    #[test]
    fn what_will_never_be_taken_is_told_and_the_next_goes() {
        let mut ground = Ground::new();
        ground.put(1..=2);
        let rejected = FeedWriterStep::Rejected(1, Reason::Mismatch);
        assert_eq!(ground.answer(&refused(Reason::Mismatch)), rejected);
        assert_eq!(ground.answer(&DONE), FeedWriterStep::Acknowledged(2));
    }

    #[test]
    fn a_lost_session_begins_again_from_the_first_unanswered_and_a_wait_that_is_over_wakes_nobody()
    {
        let mut ground = Ground::new();
        ground.put(1..=3);
        let session = ground.writer.session().unwrap();
        let lost = Some(Trouble::Route(CloseWhy::LinkLost));
        ground.writer.handle_closed(session, lost, NOW, &mut ground.rng);
        assert!(!ground.writer.wants_session(NOW) && ground.writer.wants_entries().is_none());
        let due = ground.writer.poll_timeout().unwrap();
        ground.writer.handle_timeout(due);
        assert_eq!(ground.writer.poll_timeout(), None);
        assert!(ground.writer.wants_session(due));
        ground.open();
        assert_eq!(ground.writer.wants_entries(), Some((i64::MIN, 16)));
    }

    #[test]
    fn a_session_without_work_is_idle_after_a_minute() {
        let mut ground = Ground::new();
        ground.put([1]);
        let later = UnixMillis(NOW.0 + IDLE_MS_MAX);
        assert!(!ground.writer.is_idle(later), "an answer is due");
        ground.answer(&DONE);
        assert!(ground.writer.is_idle(later) && !ground.writer.is_idle(NOW));
        assert_eq!(ground.writer.poll_timeout(), Some(later));
    }
}

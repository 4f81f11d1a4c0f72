//! A feed's reader: watched from its cursor on, told of every entry once and in order, and of a gap where entries are
//! lost to it.
//!
//! Guarantees: what [`FeedReader::take_entries`] hands out rises without a repetition, across sessions; a session is
//! asked for from behind what was handed out, so nothing is skipped either. The cursor is stored by whoever has the
//! entries, in the same transaction; a reader made anew with it goes on. After a gap nothing more is read by itself.

use std::collections::VecDeque;
use std::sync::Arc;

use hearken_proto::auth::ObjectSecretKey;
use hearken_proto::ids::FeedId;
use hearken_proto::limits::{FEED_CASE_ENTRY_DAYS, FEED_GROUP_ENTRY_DAYS, WATCH_WINDOW};
use hearken_proto::payload::Blob;
use hearken_proto::pow::{Challenge, Purpose, Search};
use hearken_proto::time::UnixMillis;
use hearken_proto::wire::{Ack, FeedCreate, FeedKind, Reason, Role, Watch, command, reply};
use rand_core::CryptoRng;

use crate::route::{Router, SessionId};
use crate::sync::trouble::Trouble;
use crate::sync::visit::{Visit, trouble_of};

/// Entries stored after which the relay is told, so that it pushes more: half a window. Fewer than that say nothing.
const CONFIRM_AFTER: usize = WATCH_WINDOW as usize / 2;

/// How a feed is made where it is not there yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FeedMaking {
    /// Whose entries it takes.
    pub(crate) write_public_key: [u8; 32],
    /// How long it keeps them.
    pub(crate) kind: FeedKind,
}

/// What an answer changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FeedReaderStep {
    /// Nothing to act upon.
    Nothing,
    /// The watch has begun: what waits is on its way.
    Watching,
    /// There is no such feed: never made, ended, or lost by the relay. It is asked for again later.
    Missing,
    /// Entries behind the cursor are gone for good. Nothing more is read until [`FeedReader::restart_at`].
    Gap,
}

#[derive(Debug)]
enum Phase {
    /// No session.
    Away,
    /// A session is being opened.
    Opening,
    /// Proof of work for the feed is being searched.
    Working(Search),
    /// The feed is being made.
    Creating,
    /// `Watch` was asked for.
    Asking,
    /// Entries are pushed as they come; everything up to here waited when the watch began.
    Watching { newest: u64 },
    /// Behind a gap.
    Lost,
}

/// The reading side of one feed.
pub(crate) struct FeedReader {
    read_key: Arc<ObjectSecretKey>,
    making: Option<FeedMaking>,
    cursor: u64,
    arrived: Vec<(u64, Blob)>,
    arrived_up_to: u64,
    /// Positions pushed in this session that the relay was not told are stored.
    unconfirmed: VecDeque<u64>,
    phase: Phase,
    visit: Visit,
    /// The session that takes over from one that has grown old, and whether it has asked.
    successor: Option<(SessionId, bool)>,
}

impl FeedReader {
    /// A reader that has stored everything up to `cursor`; 0 is the start.
    pub(crate) fn new(read_key: Arc<ObjectSecretKey>, cursor: u64) -> Self {
        Self {
            read_key,
            making: None,
            cursor,
            arrived: Vec::new(),
            arrived_up_to: cursor,
            unconfirmed: VecDeque::new(),
            phase: Phase::Away,
            visit: Visit::default(),
            successor: None,
        }
    }

    /// Has it make the feed where it is not there, while nothing was ever read from it: a feed that vanished is not made
    /// anew, since what it said is lost.
    pub(crate) fn make_where_missing(&mut self, making: FeedMaking) {
        self.making = Some(making);
    }

    /// The session that it reads in.
    pub(crate) fn session(&self) -> Option<SessionId> {
        self.visit.session()
    }

    /// Its session and the one that will follow.
    pub(crate) fn sessions(&self) -> impl Iterator<Item = SessionId> {
        self.visit.session().into_iter().chain(self.successor.map(|(session, _)| session))
    }

    /// Why it last failed, until it works again, and how often since.
    pub(crate) fn failure(&self) -> (Option<Trouble>, u32) {
        (self.visit.failure(), self.visit.failures())
    }

    /// Whether a session should be opened.
    pub(crate) fn wants_session(&self, now: UnixMillis) -> bool {
        !matches!(self.phase, Phase::Lost) && self.visit.is_due(now)
    }

    /// Whether everything that waited when the watch began is stored.
    pub(crate) fn is_drained(&self) -> bool {
        matches!(self.phase, Phase::Watching { newest } if self.cursor >= newest)
    }

    /// Whether it stands before a gap.
    pub(crate) fn is_lost(&self) -> bool {
        matches!(self.phase, Phase::Lost)
    }

    /// Forgets earlier failures, and asks a watch that is open anew how far there is something: for a new sync.
    pub(crate) fn begin_anew(&mut self, router: &mut Router) {
        self.visit.begin_anew();
        if let (Phase::Watching { .. }, Some(session)) = (&self.phase, self.visit.session()) {
            self.phase = Phase::Asking;
            self.watch(router, session);
        }
    }

    /// Reads on from another cursor, behind a gap say.
    pub(crate) fn restart_at(&mut self, cursor: u64) {
        (self.cursor, self.arrived_up_to) = (cursor, cursor);
        self.arrived.clear();
        if self.is_lost() {
            self.phase = Phase::Away;
            self.visit.begin_anew();
        }
    }

    /// A session is being opened for it.
    pub(crate) fn opening(&mut self, session: SessionId) {
        self.visit.opening(session);
        self.phase = Phase::Opening;
    }

    /// A session is being opened that takes over from the present one once it watches.
    pub(crate) fn opening_successor(&mut self, session: SessionId) {
        self.successor = Some((session, false));
    }

    /// Whether a successor is on its way already.
    pub(crate) fn has_successor(&self) -> bool {
        self.successor.is_some()
    }

    /// A session is open: it asks for what stands behind what came.
    pub(crate) fn handle_opened(&mut self, session: SessionId, router: &mut Router) {
        if self.visit.is(session) {
            self.phase = Phase::Asking;
            self.watch(router, session);
        } else if self.successor == Some((session, false)) {
            self.successor = Some((session, true));
            self.watch(router, session);
        }
    }

    /// An answer came.
    pub(crate) fn handle_answer(
        &mut self,
        session: SessionId,
        reply: &reply::Reply,
        now: UnixMillis,
        router: &mut Router,
        rng: &mut (impl CryptoRng + ?Sized),
    ) -> FeedReaderStep {
        match reply {
            reply::Reply::Watching(watching) => {
                self.begin_watch(session, watching.newest, now, router, rng)
            }
            reply::Reply::Done(_) if self.visit.is(session) => {
                if matches!(self.phase, Phase::Creating) {
                    self.phase = Phase::Asking;
                    self.watch(router, session);
                }
                FeedReaderStep::Nothing
            }
            reply::Reply::Refused(refused) => {
                let reason = Reason::try_from(refused.reason).unwrap_or(Reason::Unspecified);
                self.handle_refused(session, reason, now, router, rng)
            }
            _ => FeedReaderStep::Nothing,
        }
    }

    /// An entry was pushed. One that stands behind the last is kept until it is taken; others came before.
    pub(crate) fn handle_push(&mut self, session: SessionId, position: u64, blob: Blob) {
        let is_current = self.visit.is(session);
        let ours = is_current || self.successor.is_some_and(|(next, _)| next == session);
        if is_current {
            self.unconfirmed.push_back(position);
        }
        // No honest relay gets beyond, and a vault could not store it.
        let storable = i64::try_from(position).is_ok();
        if ours && storable && position > self.arrived_up_to {
            self.arrived_up_to = position;
            self.arrived.push((position, blob));
        }
    }

    /// Hands over what came since the last call, in order.
    pub(crate) fn take_entries(&mut self) -> Vec<(u64, Blob)> {
        core::mem::take(&mut self.arrived)
    }

    /// Everything up to `cursor` is stored. The relay is told now and then, so that it pushes more.
    pub(crate) fn confirm(&mut self, cursor: u64, router: &mut Router) {
        self.cursor = self.cursor.max(cursor);
        let stored = self.unconfirmed.iter().filter(|position| **position <= cursor).count();
        let Some(session) = self.visit.session().filter(|_| stored >= CONFIRM_AFTER) else {
            return;
        };
        self.unconfirmed.retain(|position| *position > cursor);
        self.command(session, command::Command::Ack(Ack { cursor, feed: true }), router);
    }

    /// A session ended. `failure` is why, where it was not this side's wish.
    pub(crate) fn handle_closed(
        &mut self,
        session: SessionId,
        failure: Option<Trouble>,
        now: UnixMillis,
        rng: &mut (impl CryptoRng + ?Sized),
    ) {
        if self.successor.is_some_and(|(next, _)| next == session) {
            self.successor = None;
            return;
        }
        if !self.visit.is(session) {
            return;
        }
        self.unconfirmed.clear();
        if let Some((next, has_asked)) = self.successor.take() {
            self.visit.replace(next);
            self.phase = if has_asked { Phase::Asking } else { Phase::Opening };
            return;
        }
        if !self.is_lost() {
            self.phase = Phase::Away;
        }
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

    /// Whether proof of work is being searched: call [`FeedReader::work`] again soon.
    pub(crate) fn is_working(&self) -> bool {
        matches!(self.phase, Phase::Working(_))
    }

    /// Searches some more, and makes the feed once the proof is found.
    pub(crate) fn work(&mut self, router: &mut Router) {
        let (Phase::Working(search), Some(making)) = (&mut self.phase, self.making) else { return };
        let Some(nonce) = search.advance() else { return };
        let Some(session) = self.visit.session() else { return };
        let create = FeedCreate {
            write_public_key: making.write_public_key.to_vec(),
            kind: making.kind.into(),
            proof_of_work: nonce,
        };
        self.phase = Phase::Creating;
        self.command(session, command::Command::FeedCreate(create), router);
    }

    /// When a new session is due.
    pub(crate) fn poll_timeout(&self) -> Option<UnixMillis> {
        self.visit.poll_timeout().filter(|_| !self.is_lost())
    }

    fn begin_watch(
        &mut self,
        session: SessionId,
        newest: u64,
        now: UnixMillis,
        router: &mut Router,
        rng: &mut (impl CryptoRng + ?Sized),
    ) -> FeedReaderStep {
        if self.successor.is_some_and(|(next, _)| next == session) {
            self.successor = None;
            self.unconfirmed.clear();
            if let Some(old) = self.visit.replace(session) {
                router.close(now, rng, old);
            }
        }
        if !self.visit.is(session) {
            return FeedReaderStep::Nothing;
        }
        self.visit.succeed();
        self.phase = Phase::Watching { newest };
        FeedReaderStep::Watching
    }

    fn handle_refused(
        &mut self,
        session: SessionId,
        reason: Reason,
        now: UnixMillis,
        router: &mut Router,
        rng: &mut (impl CryptoRng + ?Sized),
    ) -> FeedReaderStep {
        if self.successor.is_some_and(|(next, _)| next == session) {
            // It takes over nothing: when the old one ends, a new one is asked.
            router.close(now, rng, session);
            self.successor = None;
            return FeedReaderStep::Nothing;
        }
        if !self.visit.is(session) {
            return FeedReaderStep::Nothing;
        }
        let may_make = self.making.is_some() && self.arrived_up_to == 0;
        if reason == Reason::NotYours
            && may_make
            && matches!(self.phase, Phase::Asking)
            && self.begin_work(session, router, rng)
        {
            return FeedReaderStep::Nothing;
        }
        router.close(now, rng, session);
        self.unconfirmed.clear();
        self.phase = Phase::Away;
        let (trouble, step) = match reason {
            Reason::Gap => {
                self.phase = Phase::Lost;
                (None, FeedReaderStep::Gap)
            }
            Reason::NotYours => (Some(Trouble::RelayBusy), FeedReaderStep::Missing),
            reason => (Some(trouble_of(reason)), FeedReaderStep::Nothing),
        };
        match trouble {
            Some(trouble) => self.visit.fail(trouble, now, rng),
            None => self.visit.end(),
        }
        step
    }

    /// Begins to search the proof of work that the feed needs. `false` where the relay asks for too much.
    fn begin_work(
        &mut self,
        session: SessionId,
        router: &Router,
        rng: &mut (impl CryptoRng + ?Sized),
    ) -> bool {
        let (Some(info), Some(making)) = (router.info(session), self.making) else { return false };
        let size = match making.kind {
            FeedKind::Case => FEED_CASE_ENTRY_DAYS,
            FeedKind::Group | FeedKind::Unspecified => FEED_GROUP_ENTRY_DAYS,
        };
        let id = self.id();
        let (context, object_id) = (info.context(), id.as_bytes());
        let challenge = Challenge { purpose: Purpose::Feed, context, object_id, size };
        let search = Search::new(&challenge, info.info().proof_of_work_bits, rng.next_u64());
        search.map(|search| self.phase = Phase::Working(search)).is_some()
    }

    fn watch(&self, router: &mut Router, session: SessionId) {
        let watch = Watch { after: self.arrived_up_to, feed: true };
        self.command(session, command::Command::Watch(watch), router);
    }

    fn command(&self, session: SessionId, command: command::Command, router: &mut Router) {
        let key = (Role::FeedRead, *self.id().as_bytes(), Arc::clone(&self.read_key));
        // A session that cannot take the command reports its end as an event.
        let _ = router.command(session, command, None, Some(key));
    }

    fn id(&self) -> FeedId {
        FeedId::of(&self.read_key.public_key())
    }
}

#[cfg(test)]
mod tests {
    use hearken_proto::limits::BLOB_LEN;
    use hearken_proto::wire::{Done, Refused, Watching};
    use rand_chacha::ChaCha20Rng;
    use rand_core::SeedableRng;

    use super::*;
    use crate::route::{CloseWhy, RoutePlan};

    const NOW: UnixMillis = UnixMillis(1_800_000_000_000);

    struct Ground {
        reader: FeedReader,
        router: Router,
        rng: ChaCha20Rng,
        session: SessionId,
    }

    impl Ground {
        /// A reader whose session is open.
        fn new(cursor: u64) -> Self {
            let mut rng = ChaCha20Rng::seed_from_u64(5);
            let key = Arc::new(ObjectSecretKey::generate(&mut rng));
            let mut router = Router::new();
            let session = open(&mut router, &mut rng);
            let mut reader = FeedReader::new(key, cursor);
            assert!(reader.wants_session(NOW));
            reader.opening(session);
            reader.handle_opened(session, &mut router);
            Self { reader, router, rng, session }
        }

        fn answer(&mut self, session: SessionId, reply: reply::Reply) -> FeedReaderStep {
            self.reader.handle_answer(session, &reply, NOW, &mut self.router, &mut self.rng)
        }

        fn push(&mut self, session: SessionId, positions: impl IntoIterator<Item = u64>) {
            for position in positions {
                self.reader.handle_push(session, position, Blob::new(Box::new([1; BLOB_LEN])));
            }
        }

        fn taken(&mut self) -> Vec<u64> {
            self.reader.take_entries().into_iter().map(|(position, _)| position).collect()
        }

        fn queued(&self) -> usize {
            self.router.queued(self.session)
        }
    }

    fn open(router: &mut Router, rng: &mut ChaCha20Rng) -> SessionId {
        let relay = hearken_proto::ids::Fingerprint::from_bytes([1; 32]);
        let places = vec!["relay.example:4433".parse().unwrap()];
        let relay = hearken_proto::address::RelayAddress::new(relay, places).unwrap();
        router.open(NOW, rng, RoutePlan { entry: None, relay })
    }

    fn watching(newest: u64) -> reply::Reply {
        reply::Reply::Watching(Watching { newest, claimed: true, claims_refused: 0 })
    }

    fn refused(reason: Reason) -> reply::Reply {
        reply::Reply::Refused(Refused { reason: reason.into() })
    }

    #[test]
    fn entries_are_handed_out_once_and_in_order_whatever_is_pushed() {
        let mut ground = Ground::new(3);
        let session = ground.session;
        assert_eq!(ground.answer(session, watching(7)), FeedReaderStep::Watching);
        assert!(!ground.reader.is_drained());
        ground.push(session, [2, 3, 5, 5, 4, 7, u64::MAX]);
        assert_eq!(ground.taken(), [5, 7]);
        ground.reader.confirm(7, &mut ground.router);
        assert!(ground.reader.is_drained());
        assert_eq!(ground.taken(), [0_u64; 0]);
        let stranger = open(&mut ground.router, &mut ground.rng);
        ground.push(stranger, [8]);
        assert_eq!(ground.taken(), [0_u64; 0], "of a session that is not its own");
    }

    #[test]
    fn the_relay_is_told_after_half_a_window_and_not_of_every_entry() {
        let mut ground = Ground::new(0);
        let session = ground.session;
        ground.answer(session, watching(0));
        let before = ground.queued();
        ground.push(session, 1..=7);
        ground.reader.confirm(7, &mut ground.router);
        assert_eq!(ground.queued(), before);
        ground.push(session, [8]);
        ground.reader.confirm(7, &mut ground.router);
        assert_eq!(ground.queued(), before, "the eighth is not stored");
        ground.reader.confirm(8, &mut ground.router);
        assert_eq!(ground.queued(), before + 1);
        ground.push(session, 9..=15);
        ground.reader.confirm(15, &mut ground.router);
        assert_eq!(ground.queued(), before + 1);
    }

    #[test]
    fn a_gap_ends_it_until_it_is_told_where_to_read_on() {
        let mut ground = Ground::new(9);
        let session = ground.session;
        assert_eq!(ground.answer(session, refused(Reason::Gap)), FeedReaderStep::Gap);
        assert!(ground.reader.is_lost() && ground.reader.session().is_none());
        let later = UnixMillis(NOW.0 + 1_000_000);
        assert!(!ground.reader.wants_session(later));
        assert_eq!(ground.reader.poll_timeout(), None);
        ground.reader.restart_at(20);
        assert!(ground.reader.wants_session(NOW) && !ground.reader.is_lost());
    }

    #[test]
    fn a_feed_that_is_missing_is_asked_for_again_and_made_only_while_nothing_was_read() {
        let making = FeedMaking { write_public_key: [3; 32], kind: FeedKind::Group };
        for (cursor, makes) in [(0, true), (0, false), (4, true)] {
            let mut ground = Ground::new(cursor);
            if makes {
                ground.reader.make_where_missing(making);
            }
            let session = ground.session;
            // The router of this test knows no relay, and so no work that it asks for.
            let step = ground.answer(session, refused(Reason::NotYours));
            assert_eq!(step, FeedReaderStep::Missing);
            let due = ground.reader.poll_timeout().unwrap();
            assert!(!ground.reader.wants_session(NOW) && ground.reader.wants_session(due));
        }
        let mut ground = Ground::new(0);
        ground.reader.make_where_missing(making);
        let search = Search::new(
            &Challenge {
                purpose: Purpose::Feed,
                context: &hearken_proto::seal::RouteContext {
                    fingerprint: hearken_proto::ids::Fingerprint::from_bytes([1; 32]),
                    key_epoch: hearken_proto::seal::KeyEpoch::from_bytes([2; 8]),
                },
                object_id: ground.reader.id().as_bytes(),
                size: FEED_GROUP_ENTRY_DAYS,
            },
            0,
            0,
        );
        ground.reader.phase = Phase::Working(search.unwrap());
        assert!(ground.reader.is_working());
        let before = ground.queued();
        ground.reader.work(&mut ground.router);
        assert_eq!(ground.queued(), before + 1);
        let session = ground.session;
        ground.answer(session, reply::Reply::Done(Done {}));
        assert_eq!(ground.queued(), before + 2, "it watches what it made");
    }

    #[test]
    fn a_successor_takes_over_once_it_watches_and_what_both_push_is_handed_out_once() {
        let mut ground = Ground::new(0);
        let session = ground.session;
        ground.answer(session, watching(0));
        ground.push(session, 1..=3);
        let successor = open(&mut ground.router, &mut ground.rng);
        ground.reader.opening_successor(successor);
        assert!(ground.reader.has_successor());
        ground.reader.handle_opened(successor, &mut ground.router);
        ground.push(successor, [4]);
        ground.push(session, [4, 5]);
        ground.answer(successor, watching(5));
        assert_eq!(ground.reader.session(), Some(successor));
        ground.push(successor, [5, 6]);
        assert_eq!(ground.taken(), [1, 2, 3, 4, 5, 6]);
    }

    #[test]
    fn a_lost_session_is_opened_again_later_and_asks_from_behind_what_came() {
        let mut ground = Ground::new(0);
        let session = ground.session;
        ground.answer(session, watching(0));
        ground.push(session, 1..=2);
        let lost = Some(Trouble::Route(CloseWhy::LinkLost));
        ground.reader.handle_closed(session, lost, NOW, &mut ground.rng);
        let due = ground.reader.poll_timeout().unwrap();
        assert!(!ground.reader.wants_session(NOW) && ground.reader.wants_session(due));
        assert_eq!(ground.reader.failure(), (lost, 1));
        let next = open(&mut ground.router, &mut ground.rng);
        ground.reader.opening(next);
        ground.reader.handle_opened(next, &mut ground.router);
        ground.answer(next, watching(0));
        ground.push(next, [2, 3]);
        assert_eq!(ground.taken(), [1, 2, 3]);
        assert_eq!(ground.reader.failure(), (None, 0));
    }
}

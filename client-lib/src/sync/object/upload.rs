//! An object's upload: declared, filled from the first chunk that the relay has not acknowledged, and at last, where that
//! is wanted, named by an entry of a feed.
//!
//! Guarantees: safe to repeat at every step, since the relay knows the declaration, the chunks and the entry again; after
//! an interruption nothing that was acknowledged is sent twice; where the relay forgot the object (an hour after its last
//! chunk) it begins anew by itself. Deliberately not: chunks. Whoever drives it makes each when it is asked for, so that
//! a large file is never in memory.

use std::collections::VecDeque;
use std::sync::Arc;

use hearken_proto::auth::ObjectSecretKey;
use hearken_proto::ids::{FeedWriterId, ObjectId};
use hearken_proto::limits::ANSWERS_DUE_MAX;
use hearken_proto::payload::Blob;
use hearken_proto::pow::{Challenge, Purpose, Search};
use hearken_proto::time::UnixMillis;
use hearken_proto::wire::{
    FeedPut, ObjectChunk, ObjectDeclaration, ObjectPut, Reason, Role, command, object_put, reply,
};
use rand_core::CryptoRng;

use crate::route::{CommandId, Router, SessionId};
use crate::sync::trouble::Trouble;
use crate::sync::visit::{Visit, trouble_of};

/// What an object will be.
#[derive(Clone)]
pub(crate) struct ObjectPlan {
    /// Whose hash the object's id is.
    pub(crate) write_key: Arc<ObjectSecretKey>,
    /// How many chunks, 1 to 8,192; at most 512 where an entry is to name it.
    pub(crate) chunks: u32,
    /// `hearken_proto::object::Root` over the hashes of all chunks.
    pub(crate) root: [u8; 32],
    /// Hours to keep it, 1 to 504. Where an entry names it, 504 spares the relay the moving of its chunks.
    pub(crate) ttl_hours: u32,
}

/// An entry of a feed that names the object.
#[derive(Clone)]
pub(crate) struct NamingEntry {
    /// The feed's.
    pub(crate) write_key: Arc<ObjectSecretKey>,
    /// The entry.
    pub(crate) blob: Blob,
}

/// Why an upload has ended without what it was for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum UploadFailure {
    /// The relay has the object with another root, or the chunks do not match theirs: the plan is wrong.
    Mismatch,
    /// The relay takes in nothing more of this kind.
    NotAdmitted,
    /// Another entry names the object.
    Named,
    /// The feed was restored from a backup and takes no entry that names an object.
    FeedRestored,
    /// The relay broke the protocol, or asks for more work than a client does.
    RelayMisbehaved,
}

/// What an answer changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum UploadStep {
    /// Nothing to act upon; [`ObjectUpload::progress`] may have changed.
    Going,
    /// The object is complete, and named where it was to be. The session is this side's to close.
    Done,
    /// There is no feed to name it in. It is tried again later.
    FeedMissing,
    /// The feed is full. It is tried again later.
    FeedFull,
    /// It will not be. The session is this side's to close.
    Failed(UploadFailure),
}

enum Phase {
    /// No session, or one that is being opened.
    Away,
    /// Proof of work for the declaration is being searched.
    Working(Search),
    /// The declaration is on its way.
    Declaring(CommandId),
    /// Chunks go out.
    Filling,
    /// The entry is on its way.
    Naming(CommandId),
    /// Nothing more is to be done.
    Over,
}

/// See the module.
pub(crate) struct ObjectUpload {
    plan: ObjectPlan,
    entry: Option<NamingEntry>,
    /// Chunks from the first on that the relay has.
    acknowledged: u32,
    /// The next chunk to put in this session.
    next: u32,
    in_flight: VecDeque<CommandId>,
    /// The relay had the object when last heard: a declaration needs no work.
    is_declared: bool,
    phase: Phase,
    visit: Visit,
}

impl ObjectUpload {
    /// An upload of which the relay has acknowledged so many chunks in an earlier run, 0 where there was none.
    pub(crate) fn new(plan: ObjectPlan, entry: Option<NamingEntry>, acknowledged: u32) -> Self {
        Self {
            acknowledged: acknowledged.min(plan.chunks),
            plan,
            entry,
            next: 0,
            in_flight: VecDeque::new(),
            is_declared: acknowledged > 0,
            phase: Phase::Away,
            visit: Visit::default(),
        }
    }

    /// Chunks that the relay has, and all of them.
    pub(crate) fn progress(&self) -> (u32, u32) {
        (self.acknowledged, self.plan.chunks)
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
        !matches!(self.phase, Phase::Over) && self.visit.is_due(now)
    }

    /// Forgets earlier failures.
    pub(crate) fn begin_anew(&mut self) {
        self.visit.begin_anew();
    }

    /// A session is being opened for it.
    pub(crate) fn opening(&mut self, session: SessionId) {
        self.visit.opening(session);
        self.phase = Phase::Away;
        self.in_flight.clear();
    }

    /// The session is open: the object is declared, which proves its key.
    pub(crate) fn handle_opened(
        &mut self,
        session: SessionId,
        router: &mut Router,
        rng: &mut (impl CryptoRng + ?Sized),
    ) -> UploadStep {
        if !self.visit.is(session) {
            return UploadStep::Going;
        }
        if self.is_declared {
            self.declare(session, 0, router);
            return UploadStep::Going;
        }
        self.begin_work(session, router, rng)
    }

    /// The chunks that may be put now, first and how many; none while nothing may.
    pub(crate) fn wants_chunks(&self) -> Option<(u32, usize)> {
        let room = (ANSWERS_DUE_MAX as usize).saturating_sub(self.in_flight.len());
        let left = self.plan.chunks.saturating_sub(self.next) as usize;
        let count = room.min(left);
        (matches!(self.phase, Phase::Filling) && count > 0).then_some((self.next, count))
    }

    /// Puts the next chunks, those that [`ObjectUpload::wants_chunks`] asked for.
    pub(crate) fn put_chunks(
        &mut self,
        chunks: impl IntoIterator<Item = Blob>,
        router: &mut Router,
    ) {
        let Some(session) = self.visit.session() else { return };
        for blob in chunks {
            let step = object_put::Step::Chunk(ObjectChunk { index: self.next });
            let put = command::Command::ObjectPut(ObjectPut { step: Some(step) });
            let Ok(command) = router.command(session, put, Some(blob), Some(self.key())) else {
                return;
            };
            self.next += 1;
            self.in_flight.push_back(command);
        }
    }

    /// An answer came.
    pub(crate) fn handle_answer(
        &mut self,
        command: CommandId,
        reply: &reply::Reply,
        now: UnixMillis,
        router: &mut Router,
        rng: &mut (impl CryptoRng + ?Sized),
    ) -> UploadStep {
        let Some(session) = self.visit.session() else { return UploadStep::Going };
        let refused = match reply {
            reply::Reply::Done(_) => None,
            reply::Reply::Refused(refused) => {
                Some(Reason::try_from(refused.reason).unwrap_or(Reason::Unspecified))
            }
            _ => return UploadStep::Going,
        };
        match (&self.phase, refused) {
            (Phase::Declaring(declared), None) if *declared == command => {
                self.is_declared = true;
                self.next = self.acknowledged;
                self.phase = Phase::Filling;
                self.go_on(session, router)
            }
            (Phase::Declaring(declared), Some(Reason::ProofOfWork)) if *declared == command => {
                // It is not there any more: everything is to do anew.
                self.forget();
                self.begin_work(session, router, rng)
            }
            (Phase::Declaring(declared), Some(reason)) if *declared == command => {
                self.handle_refused(session, reason, now, router, rng)
            }
            (Phase::Filling, None) if self.in_flight.front() == Some(&command) => {
                self.in_flight.pop_front();
                self.acknowledged += 1;
                self.visit.succeed();
                self.go_on(session, router)
            }
            (Phase::Filling, Some(reason)) if self.in_flight.contains(&command) => {
                self.handle_refused(session, reason, now, router, rng)
            }
            (Phase::Naming(named), None) if *named == command => self.finish(),
            (Phase::Naming(named), Some(reason)) if *named == command => {
                self.handle_unnamed(session, reason, now, router, rng)
            }
            _ => UploadStep::Going,
        }
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
        if matches!(self.phase, Phase::Over) {
            return self.visit.end();
        }
        self.phase = Phase::Away;
        self.in_flight.clear();
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

    /// Whether proof of work is being searched: call [`ObjectUpload::work`] again soon.
    pub(crate) fn is_working(&self) -> bool {
        matches!(self.phase, Phase::Working(_))
    }

    /// Searches some more, and declares the object once the proof is found.
    pub(crate) fn work(&mut self, router: &mut Router) {
        let Phase::Working(search) = &mut self.phase else { return };
        let Some(nonce) = search.advance() else { return };
        if let Some(session) = self.visit.session() {
            self.declare(session, nonce, router);
        }
    }

    /// When a new session is due.
    pub(crate) fn poll_timeout(&self) -> Option<UnixMillis> {
        self.visit.poll_timeout().filter(|_| !matches!(self.phase, Phase::Over))
    }

    fn key(&self) -> (Role, [u8; 32], Arc<ObjectSecretKey>) {
        (Role::Write, *self.id().as_bytes(), Arc::clone(&self.plan.write_key))
    }

    fn id(&self) -> ObjectId {
        ObjectId::of(&self.plan.write_key.public_key())
    }

    fn begin_work(
        &mut self,
        session: SessionId,
        router: &Router,
        rng: &mut (impl CryptoRng + ?Sized),
    ) -> UploadStep {
        let id = self.id();
        let search = router.info(session).and_then(|info| {
            let (context, size) = (info.context(), self.plan.chunks);
            let object_id = id.as_bytes();
            let challenge = Challenge { purpose: Purpose::Object, context, object_id, size };
            Search::new(&challenge, info.info().proof_of_work_bits, rng.next_u64())
        });
        match search {
            Some(search) => {
                self.phase = Phase::Working(search);
                UploadStep::Going
            }
            None => self.give_up(UploadFailure::RelayMisbehaved),
        }
    }

    fn declare(&mut self, session: SessionId, proof_of_work: u64, router: &mut Router) {
        let ObjectPlan { chunks, root, ttl_hours, .. } = &self.plan;
        let declaration = ObjectDeclaration {
            chunks: *chunks,
            root: root.to_vec(),
            ttl_hours: *ttl_hours,
            proof_of_work,
        };
        let step = Some(object_put::Step::Declaration(declaration));
        let put = command::Command::ObjectPut(ObjectPut { step });
        // A session that cannot take the command reports its end as an event.
        if let Ok(command) = router.command(session, put, None, Some(self.key())) {
            self.phase = Phase::Declaring(command);
        }
    }

    /// Where every chunk is there, names the object, or is done.
    fn go_on(&mut self, session: SessionId, router: &mut Router) -> UploadStep {
        if self.acknowledged < self.plan.chunks {
            return UploadStep::Going;
        }
        let Some(entry) = &self.entry else { return self.finish() };
        let put_id = entry.blob.put_id().as_bytes().to_vec();
        let put = command::Command::FeedPut(FeedPut { put_id, names_object: true });
        let id = FeedWriterId::of(&entry.write_key.public_key());
        let key = (Role::FeedWrite, *id.as_bytes(), Arc::clone(&entry.write_key));
        if let Ok(command) = router.command(session, put, Some(entry.blob.clone()), Some(key)) {
            self.phase = Phase::Naming(command);
        }
        UploadStep::Going
    }

    fn finish(&mut self) -> UploadStep {
        self.phase = Phase::Over;
        self.visit.succeed();
        UploadStep::Done
    }

    fn give_up(&mut self, failure: UploadFailure) -> UploadStep {
        self.phase = Phase::Over;
        UploadStep::Failed(failure)
    }

    /// The relay has nothing of the object any more.
    fn forget(&mut self) {
        self.is_declared = false;
        self.acknowledged = 0;
        self.in_flight.clear();
    }

    /// A declaration or a chunk was refused.
    fn handle_refused(
        &mut self,
        session: SessionId,
        reason: Reason,
        now: UnixMillis,
        router: &mut Router,
        rng: &mut (impl CryptoRng + ?Sized),
    ) -> UploadStep {
        match reason {
            Reason::Mismatch => self.give_up(UploadFailure::Mismatch),
            Reason::NotAdmitted => self.give_up(UploadFailure::NotAdmitted),
            // It went an hour after its last chunk.
            Reason::NotYours => {
                self.forget();
                self.begin_work(session, router, rng)
            }
            Reason::NoRoom | Reason::Busy => {
                self.come_again(session, trouble_of(reason), now, router, rng);
                UploadStep::Going
            }
            _ => self.give_up(UploadFailure::RelayMisbehaved),
        }
    }

    /// The entry was refused.
    fn handle_unnamed(
        &mut self,
        session: SessionId,
        reason: Reason,
        now: UnixMillis,
        router: &mut Router,
        rng: &mut (impl CryptoRng + ?Sized),
    ) -> UploadStep {
        let step = match reason {
            Reason::Named => return self.give_up(UploadFailure::Named),
            Reason::Restored => return self.give_up(UploadFailure::FeedRestored),
            Reason::Mismatch => return self.give_up(UploadFailure::Mismatch),
            Reason::NotAdmitted => return self.give_up(UploadFailure::NotAdmitted),
            // The object is gone or was never whole.
            Reason::NoObject => {
                self.forget();
                return self.begin_work(session, router, rng);
            }
            Reason::NotYours => UploadStep::FeedMissing,
            Reason::Full => UploadStep::FeedFull,
            Reason::NoRoom | Reason::Busy => UploadStep::Going,
            _ => return self.give_up(UploadFailure::RelayMisbehaved),
        };
        self.come_again(session, trouble_of(reason), now, router, rng);
        step
    }

    fn come_again(
        &mut self,
        session: SessionId,
        trouble: Trouble,
        now: UnixMillis,
        router: &mut Router,
        rng: &mut (impl CryptoRng + ?Sized),
    ) {
        router.close(now, rng, session);
        self.phase = Phase::Away;
        self.in_flight.clear();
        self.visit.fail(trouble, now, rng);
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
        upload: ObjectUpload,
        router: Router,
        rng: ChaCha20Rng,
    }

    impl Ground {
        /// An upload of 20 chunks that was acknowledged so far, and whose entry names the object.
        fn new(acknowledged: u32) -> Self {
            let mut rng = ChaCha20Rng::seed_from_u64(9);
            let key = |rng: &mut ChaCha20Rng| Arc::new(ObjectSecretKey::generate(rng));
            let write_key = key(&mut rng);
            let plan = ObjectPlan { write_key, chunks: 20, root: [7; 32], ttl_hours: 504 };
            let blob = Blob::new(Box::new([2; BLOB_LEN]));
            let entry = Some(NamingEntry { write_key: key(&mut rng), blob });
            let upload = ObjectUpload::new(plan, entry, acknowledged);
            let mut ground = Self { upload, router: Router::new(), rng };
            ground.open();
            ground
        }

        fn open(&mut self) -> UploadStep {
            let relay = hearken_proto::ids::Fingerprint::from_bytes([1; 32]);
            let places = vec!["relay.example:4433".parse().unwrap()];
            let relay = hearken_proto::address::RelayAddress::new(relay, places).unwrap();
            let plan = RoutePlan { entry: None, relay };
            let session = self.router.open(NOW, &mut self.rng, plan);
            self.upload.opening(session);
            self.upload.handle_opened(session, &mut self.router, &mut self.rng)
        }

        /// Puts every chunk that is wanted; the places of those.
        fn fill(&mut self) -> Vec<u32> {
            let Some((first, count)) = self.upload.wants_chunks() else { return Vec::new() };
            let chunk = Blob::new(Box::new([1; BLOB_LEN]));
            self.upload.put_chunks(vec![chunk; count], &mut self.router);
            (first..).take(count).collect()
        }

        /// The relay answers what is first under way.
        fn answer(&mut self, reply: &reply::Reply) -> UploadStep {
            let first = match &self.upload.phase {
                Phase::Declaring(command) | Phase::Naming(command) => *command,
                _ => *self.upload.in_flight.front().unwrap(),
            };
            self.upload.handle_answer(first, reply, NOW, &mut self.router, &mut self.rng)
        }

        /// Up to where the entry is on its way.
        fn to_naming(acknowledged: u32) -> Self {
            let mut ground = Self::new(acknowledged);
            ground.answer(&DONE);
            while !matches!(ground.upload.phase, Phase::Naming(_)) {
                ground.fill();
                assert_eq!(ground.answer(&DONE), UploadStep::Going);
            }
            ground
        }
    }

    fn refused(reason: Reason) -> reply::Reply {
        reply::Reply::Refused(Refused { reason: reason.into() })
    }

    #[test]
    fn it_goes_on_behind_the_last_acknowledged_chunk_and_names_at_last() {
        let mut ground = Ground::new(5);
        assert_eq!(ground.upload.wants_chunks(), None, "its key is not proven yet");
        ground.answer(&DONE);
        assert_eq!(ground.fill(), (5..20).collect::<Vec<_>>());
        for acknowledged in 6..20 {
            ground.answer(&DONE);
            assert_eq!(ground.upload.progress(), (acknowledged, 20));
        }
        assert_eq!(ground.answer(&DONE), UploadStep::Going);
        assert!(matches!(ground.upload.phase, Phase::Naming(_)));
        assert_eq!(ground.answer(&DONE), UploadStep::Done);
        assert!(!ground.upload.wants_session(UnixMillis(u64::MAX)));
    }

    #[test]
    fn a_lost_session_begins_again_from_the_first_unacknowledged_chunk() {
        let mut ground = Ground::new(1);
        ground.answer(&DONE);
        assert_eq!(ground.fill().len(), 16);
        for _ in 0..3 {
            assert_eq!(ground.answer(&DONE), UploadStep::Going);
        }
        let session = ground.upload.session().unwrap();
        let lost = Some(Trouble::Route(CloseWhy::LinkLost));
        ground.upload.handle_closed(session, lost, NOW, &mut ground.rng);
        let due = ground.upload.poll_timeout().unwrap();
        assert!(!ground.upload.wants_session(NOW) && ground.upload.wants_session(due));
        ground.open();
        ground.answer(&DONE);
        assert_eq!(ground.fill(), (4..20).collect::<Vec<_>>());
    }

    #[test]
    fn an_object_that_the_relay_forgot_begins_anew_with_work() {
        let forgets = [Reason::ProofOfWork, Reason::NotYours];
        for (reason, declared) in [(forgets[0], false), (forgets[1], false), (forgets[1], true)] {
            let mut ground = Ground::new(5);
            if declared {
                ground.answer(&DONE);
                ground.fill();
            }
            // The router of this test knows no relay, and so no work that it asks for.
            let step = ground.answer(&refused(reason));
            assert_eq!(step, UploadStep::Failed(UploadFailure::RelayMisbehaved));
            assert_eq!(ground.upload.progress(), (0, 20));
        }
        let mut ground = Ground::to_naming(19);
        ground.answer(&refused(Reason::NoObject));
        assert_eq!(ground.upload.progress(), (0, 20));
    }

    #[test]
    fn an_entry_that_is_refused_for_good_ends_it_and_one_that_waits_does_not() {
        for (reason, failure) in [
            (Reason::Named, UploadFailure::Named),
            (Reason::Restored, UploadFailure::FeedRestored),
            (Reason::Mismatch, UploadFailure::Mismatch),
            (Reason::NotAdmitted, UploadFailure::NotAdmitted),
            (Reason::Malformed, UploadFailure::RelayMisbehaved),
        ] {
            let mut ground = Ground::to_naming(19);
            assert_eq!(ground.answer(&refused(reason)), UploadStep::Failed(failure));
            assert!(!ground.upload.wants_session(UnixMillis(u64::MAX)));
        }
        for (reason, step) in [
            (Reason::Full, UploadStep::FeedFull),
            (Reason::NotYours, UploadStep::FeedMissing),
            (Reason::Busy, UploadStep::Going),
        ] {
            let mut ground = Ground::to_naming(19);
            assert_eq!(ground.answer(&refused(reason)), step);
            assert_eq!(ground.upload.progress(), (20, 20), "nothing is uploaded again");
            let due = ground.upload.poll_timeout().unwrap();
            assert!(ground.upload.wants_session(due));
            ground.open();
            assert_eq!(ground.answer(&DONE), UploadStep::Going);
            assert!(matches!(ground.upload.phase, Phase::Naming(_)));
        }
    }
}

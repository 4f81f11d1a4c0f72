//! One session: from what it needs before its OPEN, to the commands and answers of an open one.
//!
//! An open session pipelines commands while at most 16 answer cells are due, proves a key with the first command that
//! needs it, and gives each answer cell to the oldest command that still has one due. A reply that its command cannot
//! have, one that nobody asked for, and a cell that does not open are the relay's misbehaviour.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use hearken_proto::auth::{MAC_LEN, ObjectSecretKey};
use hearken_proto::cell::Cell;
use hearken_proto::ids::Fingerprint;
use hearken_proto::info::VerifiedInfo;
use hearken_proto::limits::{
    ANSWERS_DUE_MAX, GET_MAX, SESSION_CELLS_MAX, SESSION_MINUTES_MAX, SESSION_MINUTES_MIN,
    WATCH_WINDOW,
};
use hearken_proto::payload::{Blob, Payload};
use hearken_proto::seal::{PendingRoute, RouteSeal, SealError};
use hearken_proto::time::UnixMillis;
use hearken_proto::wire::{Auth, Command, Role, command, reply};
use rand_core::CryptoRng;

use super::deadline::Deadline;
use super::error::{CloseWhy, RouteError};
use super::event::{CommandId, LinkId};
use super::plan::RoutePlan;

/// Commands that may wait in a session: 2.5 MB of blobs, beyond which the caller reads its outbox too far ahead.
pub(super) const COMMANDS_WAITING_MAX: usize = 1_024;

/// Cells each way after which a session asks to be replaced: an eighth of what it may seal is left for that.
const CELLS_ROLL_OVER: u64 = SESSION_CELLS_MAX / 8 * 7;

/// Cells each way after which nothing more is sent: the relay may still have to answer and to push.
const CELLS_END: u64 = SESSION_CELLS_MAX - (ANSWERS_DUE_MAX + WATCH_WINDOW) as u64 - 1;

/// How long an open session may leave all its answers due. A link that is dead ends by itself much earlier; this bounds
/// an entry that keeps a route and carries nothing. Long enough for 18 sessions with 16 cells each to share 32 kbit/s.
const STALLED: Duration = Duration::from_secs(300);

/// A session and the commands that it has not sent yet.
pub(super) struct Session {
    pub(super) plan: RoutePlan,
    pub(super) link: LinkId,
    pub(super) stage: Stage,
    /// Whether the one retry after an unknown key epoch is spent.
    pub(super) refetched: bool,
    waiting: VecDeque<Waiting>,
}

/// How far a session has come.
pub(super) enum Stage {
    /// It needs the link, information of relays, or its turn.
    Preparing {
        /// The relay whose information is on its way.
        awaits: Option<Fingerprint>,
    },
    /// Its OPEN is sent.
    Opening(Opening),
    /// It is open.
    Open(Box<OpenSession>),
}

/// What relays said of themselves that a route was sealed to.
#[derive(Clone)]
pub(super) struct Infos {
    pub(super) relay: Arc<VerifiedInfo>,
    pub(super) entry: Option<Arc<VerifiedInfo>>,
}

/// A session between OPEN and the first answer.
pub(super) struct Opening {
    /// Spent by the first answer.
    pub(super) pending: Option<PendingRoute>,
    pub(super) infos: Infos,
    pub(super) route: u64,
    pub(super) deadline: Deadline,
    /// Which place of the relay behind an entry it went to.
    pub(super) turn: Option<usize>,
}

/// An open session.
pub(super) struct OpenSession {
    pub(super) infos: Infos,
    pub(super) route: u64,
    seal: RouteSeal,
    due: VecDeque<Due>,
    /// Until when an answer has to come, while one is due.
    answer_by: Option<Deadline>,
    proven: BTreeSet<(Role, [u8; 32])>,
    watches: bool,
    rolls_over: Deadline,
    roll_over_told: bool,
}

struct Waiting {
    id: CommandId,
    command: command::Command,
    blob: Option<Blob>,
    key: Option<Key>,
}

struct Key {
    role: Role,
    object_id: [u8; 32],
    secret: Arc<ObjectSecretKey>,
}

/// A command whose answer is not complete.
struct Due {
    command: CommandId,
    asked: Asked,
    cells: u32,
    come: u32,
    /// The proof that went with it.
    proved: Option<(Role, [u8; 32])>,
}

/// What kind of answer a command can have.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Asked {
    Blobs,
    Chunks,
    Watch,
    Outcome,
}

/// What a cell of an open session said.
pub(super) enum Incoming {
    Answer { command: CommandId, index: u32, last: bool, reply: reply::Reply, blob: Option<Blob> },
    Push { position: u64, blob: Blob },
}

impl Session {
    pub(super) fn new(plan: RoutePlan, link: LinkId) -> Self {
        Self {
            plan,
            link,
            stage: Stage::Preparing { awaits: None },
            refetched: false,
            waiting: VecDeque::new(),
        }
    }

    /// Queues a command, once it is known to fit a cell with its proof.
    pub(super) fn queue(
        &mut self,
        id: CommandId,
        command: command::Command,
        blob: Option<Blob>,
        key: Option<(Role, [u8; 32], Arc<ObjectSecretKey>)>,
    ) -> Result<(), RouteError> {
        if self.waiting.len() >= COMMANDS_WAITING_MAX {
            return Err(RouteError::QueueFull);
        }
        if !(1..=GET_MAX.min(ANSWERS_DUE_MAX)).contains(&answer_cells(&command)) {
            return Err(RouteError::AnswerCells);
        }
        let key = key.map(|(role, object_id, secret)| Key { role, object_id, secret });
        let auth = key.as_ref().map(|key| key.auth([0; MAC_LEN]));
        let whole = Command { auth, command: Some(command) };
        Payload::of_command(&whole, blob.as_ref())?;
        if let Some(command) = whole.command {
            self.waiting.push_back(Waiting { id, command, blob, key });
        }
        Ok(())
    }

    /// Commands that wait to be sent.
    #[allow(dead_code, reason = "as `Router::queued`")]
    pub(super) fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// Whether a command could be sealed and sent.
    pub(super) fn may_send(&self) -> bool {
        match (&self.stage, self.waiting.front()) {
            (Stage::Open(open), Some(waiting)) => open.has_room(&waiting.command),
            _ => false,
        }
    }

    /// Seals the next command, where one waits and its answer would not be one too many.
    ///
    /// # Errors
    /// Why the session has to end.
    pub(super) fn seal_next(
        &mut self,
        now: UnixMillis,
        rng: &mut (impl CryptoRng + ?Sized),
    ) -> Result<Option<Cell>, CloseWhy> {
        if !self.may_send() {
            return Ok(None);
        }
        match (&mut self.stage, self.waiting.pop_front()) {
            (Stage::Open(open), Some(waiting)) => open.seal(waiting, now, rng).map(Some),
            _ => Ok(None),
        }
    }

    /// The route that the session has on its link.
    pub(super) fn route(&self) -> Option<u64> {
        match &self.stage {
            Stage::Preparing { .. } => None,
            Stage::Opening(opening) => Some(opening.route),
            Stage::Open(open) => Some(open.route),
        }
    }

    /// What relays said of themselves that the session is sealed to.
    pub(super) fn infos(&self) -> Option<&Infos> {
        match &self.stage {
            Stage::Preparing { .. } => None,
            Stage::Opening(opening) => Some(&opening.infos),
            Stage::Open(open) => Some(&open.infos),
        }
    }

    pub(super) fn is_open(&self) -> bool {
        matches!(self.stage, Stage::Open(_))
    }
}

impl Opening {
    /// Takes the relay's first answer.
    ///
    /// # Errors
    /// Why the session has to end.
    pub(super) fn accept(
        &mut self,
        now: UnixMillis,
        rng: &mut (impl CryptoRng + ?Sized),
        first_answer: Cell,
    ) -> Result<OpenSession, CloseWhy> {
        let pending = self.pending.take().ok_or(CloseWhy::PeerMisbehaved)?;
        let (seal, payload) = pending.accept(first_answer).map_err(close_why)?;
        let (reply, _) = payload.reply().map_err(|_| CloseWhy::PeerMisbehaved)?;
        if !matches!(reply.reply, Some(reply::Reply::Opened(_))) {
            return Err(CloseWhy::PeerMisbehaved);
        }
        Ok(OpenSession {
            infos: self.infos.clone(),
            route: self.route,
            seal,
            due: VecDeque::new(),
            answer_by: None,
            proven: BTreeSet::new(),
            watches: false,
            rolls_over: Deadline::after(now, lifetime(rng)),
            roll_over_told: false,
        })
    }
}

impl OpenSession {
    fn has_room(&self, command: &command::Command) -> bool {
        let due: u32 = self.due.iter().map(|due| due.cells - due.come).sum();
        due + answer_cells(command) <= ANSWERS_DUE_MAX
    }

    fn seal(
        &mut self,
        waiting: Waiting,
        now: UnixMillis,
        rng: &mut (impl CryptoRng + ?Sized),
    ) -> Result<Cell, CloseWhy> {
        if self.seal.cells() >= CELLS_END {
            return Err(CloseWhy::RollOver);
        }
        let Waiting { id, command, blob, key } = waiting;
        let unproven = key.filter(|key| !self.proven.contains(&(key.role, key.object_id)));
        let proved = unproven.as_ref().map(|key| (key.role, key.object_id));
        let auth = match unproven {
            None => None,
            Some(key) => {
                let info = &self.infos.relay;
                let mac = key.secret.prove(
                    key.role,
                    &key.object_id,
                    info.auth_key(),
                    info.context(),
                    self.seal.route_hash(),
                );
                Some(key.auth(mac.ok_or(CloseWhy::PeerMisbehaved)?))
            }
        };
        let due = Due {
            command: id,
            asked: asked(&command),
            cells: answer_cells(&command),
            come: 0,
            proved,
        };
        let whole = Command { auth, command: Some(command) };
        // That it fits was seen when it was queued.
        let payload = Payload::of_command(&whole, blob.as_ref()).map_err(|_| CloseWhy::Refused)?;
        let cell = self.seal.seal(self.route, payload, rng).map_err(close_why)?;
        self.proven.extend(proved);
        self.watches |= due.asked == Asked::Watch;
        self.answer_by.get_or_insert(Deadline::after(now, STALLED));
        self.due.push_back(due);
        Ok(cell)
    }

    /// Opens a cell and says what it answers.
    ///
    /// # Errors
    /// Why the session has to end.
    pub(super) fn accept(&mut self, now: UnixMillis, cell: Cell) -> Result<Incoming, CloseWhy> {
        let payload = self.seal.open(cell).map_err(close_why)?;
        let (reply, blob) = payload.reply().map_err(|_| CloseWhy::PeerMisbehaved)?;
        match (reply.reply, blob) {
            (Some(reply::Reply::Push(push)), Some(blob)) if self.watches => {
                Ok(Incoming::Push { position: push.position, blob })
            }
            (None | Some(reply::Reply::Push(_)), _) => Err(CloseWhy::PeerMisbehaved),
            (Some(reply), blob) => self.answer(now, reply, blob),
        }
    }

    fn answer(
        &mut self,
        now: UnixMillis,
        reply: reply::Reply,
        blob: Option<Blob>,
    ) -> Result<Incoming, CloseWhy> {
        let due = self.due.front_mut().ok_or(CloseWhy::PeerMisbehaved)?;
        if !can_answer(due.asked, &reply) {
            return Err(CloseWhy::PeerMisbehaved);
        }
        let (command, index) = (due.command, due.come);
        due.come += 1;
        let last = due.come == due.cells;
        if let (reply::Reply::Refused(_), Some(proved)) = (&reply, &due.proved) {
            // Of an object that is not there the relay keeps no proof; one more costs nothing.
            self.proven.remove(proved);
        }
        if last {
            self.due.pop_front();
        }
        self.answer_by = (!self.due.is_empty()).then(|| Deadline::after(now, STALLED));
        Ok(Incoming::Answer { command, index, last, reply, blob })
    }

    /// Whether the session has become old and has not said so before.
    pub(super) fn takes_roll_over(&mut self, now: UnixMillis) -> bool {
        let old = self.rolls_over.has_passed(now) || self.seal.cells() >= CELLS_ROLL_OVER;
        let tells = old && !self.roll_over_told;
        self.roll_over_told |= old;
        tells
    }

    /// Whether an answer is due and none has come for too long.
    pub(super) fn has_stalled(&self, now: UnixMillis) -> bool {
        self.answer_by.is_some_and(|deadline| deadline.has_passed(now))
    }

    /// When the session becomes old or has stalled.
    pub(super) fn poll_timeout(&self) -> Option<UnixMillis> {
        let rolls_over = (!self.roll_over_told).then(|| self.rolls_over.at());
        rolls_over.into_iter().chain(self.answer_by.map(|deadline| deadline.at())).min()
    }
}

impl Key {
    fn auth(&self, mac: [u8; MAC_LEN]) -> Auth {
        Auth {
            role: self.role.into(),
            public_key: self.secret.public_key().to_vec(),
            mac: mac.to_vec(),
        }
    }
}

fn close_why(error: SealError) -> CloseWhy {
    match error {
        SealError::Exhausted => CloseWhy::RollOver,
        _ => CloseWhy::PeerMisbehaved,
    }
}

/// How long a session lives: 30 to 60 minutes, drawn for each, so that no two of one client end together.
fn lifetime(rng: &mut (impl CryptoRng + ?Sized)) -> Duration {
    let span_ms = (SESSION_MINUTES_MAX - SESSION_MINUTES_MIN) * 60_000;
    // The remainder favours none of 1.8 million values by more than 2^-43.
    let drawn_ms = rng.next_u64() % (span_ms + 1);
    Duration::from_millis(SESSION_MINUTES_MIN * 60_000 + drawn_ms)
}

/// Cells in a command's answer.
fn answer_cells(command: &command::Command) -> u32 {
    match command {
        command::Command::Get(get) => get.max,
        command::Command::ObjectGet(get) => get.max,
        command::Command::FeedGet(get) => get.max,
        _ => 1,
    }
}

fn asked(command: &command::Command) -> Asked {
    match command {
        command::Command::Get(_) | command::Command::FeedGet(_) => Asked::Blobs,
        command::Command::ObjectGet(_) => Asked::Chunks,
        command::Command::Watch(_) => Asked::Watch,
        _ => Asked::Outcome,
    }
}

fn can_answer(asked: Asked, reply: &reply::Reply) -> bool {
    match reply {
        reply::Reply::Refused(_) => true,
        reply::Reply::Delivery(_) => asked == Asked::Blobs,
        reply::Reply::Chunk(_) => asked == Asked::Chunks,
        reply::Reply::Watching(_) => asked == Asked::Watch,
        reply::Reply::Empty(_) => asked != Asked::Watch,
        reply::Reply::Done(_) => asked == Asked::Outcome,
        reply::Reply::Opened(_) | reply::Reply::Push(_) => false,
    }
}

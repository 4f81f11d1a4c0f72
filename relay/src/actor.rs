//! The task that owns the core: it brings events in, carries actions out, and decides nothing.
//!
//! Guarantees: everything it waits for is bounded and every wait is safe to drop; a ticket that is handed to the
//! committer or the readers comes back to the core exactly once; dropping the task ends the links, dials and threads
//! that hang from it. Time and randomness enter the core here and nowhere else.

use core::ops::Range;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use data_encoding::HEXLOWER;
use hearken_proto::cell::Cell;
use hearken_proto::seal::KeyEpoch;
use hearken_proto::time::{UnixDay, UnixMillis};
use hearken_proto::wire::Decommission;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::carrier::{Dialler, Event, LinkHandle};
use crate::core::{
    Action, LinkId, Outcome, ReadCommand, RelayCore, Ticket, Totals, Warning, WriteCommand,
};
use crate::randomness::ProcessRng;
use crate::store::{Committer, DayKeys, KeyFolder, Reader, Store, StoreError, StoreTotals};

/// Events taken at once, so that their cells share a round of the core.
const EVENTS_AT_ONCE: usize = 256;
/// Cells that the core processes before its answers are handed out.
const CELLS_AT_ONCE: usize = 256;
/// Cells of all links that wait for the core; beyond it links wait for their turn, first come first served. 32 MiB.
const QUEUED_CELLS_MAX: usize = 8_192;
/// How often the core is told how full the disk is.
const DISK_INTERVAL: Duration = Duration::from_secs(5);
/// The longest sleep: a wall clock that was set is noticed within it.
const SLEEP_MAX: Duration = Duration::from_secs(60);
/// How long a stopping relay waits for what it owes to the store and to links.
const DRAIN_TIME_MAX: Duration = Duration::from_secs(4);

/// The outcome of a store request.
pub(crate) type Delivered = (Ticket, Result<Outcome, StoreError>);

/// Totals of a running relay.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RunningTotals {
    pub(crate) core: Totals,
    pub(crate) store: StoreTotals,
}

/// What the administration socket asks of the core's task.
pub(crate) enum Request {
    /// The totals.
    Totals(oneshot::Sender<RunningTotals>),
    /// The notice of decommissioning has changed.
    Notice(Option<Decommission>, oneshot::Sender<()>),
}

/// A link as the core's task knows it.
struct Link {
    handle: LinkHandle,
    /// Cells given to the core and not processed.
    queued: usize,
    /// The outbox was full, and nobody has said that it is not.
    blocked: bool,
}

/// What a task beside the core has done.
enum Done {
    EpochKey { epoch: KeyEpoch, stored: bool },
    DiskBytes(StoreTotals),
    Maintenance,
}

/// What the core's task is made of. Fields are dropped in this order: queues before the threads that fill them.
pub(crate) struct Actor {
    pub(crate) events: mpsc::Receiver<Event>,
    pub(crate) outcomes: mpsc::Receiver<Delivered>,
    pub(crate) requests: mpsc::Receiver<Request>,
    pub(crate) core: RelayCore,
    pub(crate) rng: ProcessRng,
    pub(crate) dialler: Dialler,
    pub(crate) committer: Committer<Ticket, WriteCommand>,
    pub(crate) reader: Reader<Ticket, ReadCommand>,
    pub(crate) keep: Keep,
    /// Keeps the queue of outcomes open should every thread that fills it have died.
    pub(crate) _outcomes_open: mpsc::Sender<Delivered>,
}

/// What the relay keeps on disk.
#[derive(Clone)]
pub(crate) struct Keep {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) day_keys: DayKeys,
    pub(crate) epoch_keys: KeyFolder,
}

/// What one run of the task holds beside its parts.
#[derive(Default)]
struct State {
    links: HashMap<LinkId, Link>,
    queued: usize,
    tickets_due: usize,
    waiting: Vec<LinkId>,
}

impl Actor {
    /// Runs until told to stop, then until nothing is owed any more or four seconds have passed.
    pub(crate) async fn run(mut self, mut stop: watch::Receiver<bool>, first: Vec<Action>) -> Self {
        let mut state = State::default();
        let mut dials = JoinSet::new();
        let mut tasks = JoinSet::new();
        let mut events = Vec::with_capacity(EVENTS_AT_ONCE);
        let mut outcomes = Vec::with_capacity(EVENTS_AT_ONCE);
        let mut disk = tokio::time::interval(DISK_INTERVAL);
        disk.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut drain_until: Option<Instant> = None;
        for action in first {
            self.perform(action, &mut state, &mut dials, &mut tasks);
        }
        let mut busy = true;
        loop {
            let wake = self.core.poll_timeout().map_or(SLEEP_MAX, |due| due.since(wall_clock()));
            let wake = Instant::now() + wake.min(SLEEP_MAX);
            let wake = drain_until.map_or(wake, |until| until.min(wake));
            tokio::select! {
                biased;
                Some(request) = self.requests.recv() => self.answer(request, &mut tasks),
                Some(done) = tasks.join_next() => {
                    if let Ok(done) = done { self.note(done) }
                }
                Some(_) = dials.join_next() => {}
                changed = stop.changed(), if drain_until.is_none() => {
                    if changed.is_err() || *stop.borrow() {
                        drain_until = Some(Instant::now() + DRAIN_TIME_MAX);
                    }
                }
                _ = self.outcomes.recv_many(&mut outcomes, EVENTS_AT_ONCE) => {}
                _ = self.events.recv_many(&mut events, EVENTS_AT_ONCE),
                    if state.queued < QUEUED_CELLS_MAX => {}
                _ = disk.tick() => {
                    let store = self.keep.store.clone();
                    tasks.spawn_blocking(move || {
                        store.tidy();
                        Done::DiskBytes(store.totals())
                    });
                }
                () = tokio::task::yield_now(), if busy => {}
                () = tokio::time::sleep_until(wake) => {}
            }
            let now = wall_clock();
            busy = !events.is_empty() || !outcomes.is_empty();
            state.tickets_due = state.tickets_due.saturating_sub(outcomes.len());
            self.core.handle_outcomes(now, outcomes.drain(..));
            for event in events.drain(..) {
                self.handle(event, now, &mut state, drain_until.is_some());
            }
            if self.core.poll_timeout().is_some_and(|due| due <= now) {
                self.core.handle_timeout(now, &mut self.rng);
            }
            busy |= self.advance(now, &mut state);
            while let Some(action) = self.core.poll_action() {
                busy = true;
                self.perform(action, &mut state, &mut dials, &mut tasks);
            }
            busy |= self.transmit(now, &mut state);
            if let Some(until) = drain_until
                && (Instant::now() >= until || (!busy && self.owes_nothing(&state)))
            {
                break;
            }
        }
        // Dropping the links closes each after what was handed over is written. No more come, and none of them waits
        // to tell its end.
        drop(state);
        self.events.close();
        while self.events.try_recv().is_ok() {}
        let flushed = tokio::time::timeout(DRAIN_TIME_MAX / 2, async {
            while dials.join_next().await.is_some() {}
            while tasks.join_next().await.is_some() {}
        });
        // What does not end in time ends with its task.
        let _ = flushed.await;
        self
    }

    /// Whoever asked may have gone.
    fn answer(&mut self, request: Request, tasks: &mut JoinSet<Done>) {
        match request {
            Request::Totals(told) => {
                let (core, store) = (self.core.totals(), self.keep.store.clone());
                tasks.spawn_blocking(move || {
                    let store = store.totals();
                    let _ = told.send(RunningTotals { core, store });
                    Done::DiskBytes(store)
                });
            }
            Request::Notice(notice, told) => {
                self.core.handle_notice(wall_clock(), notice);
                let _ = told.send(());
            }
        }
    }

    /// Whether no store request is out and no cell waits for a link.
    fn owes_nothing(&self, state: &State) -> bool {
        state.tickets_due == 0 && self.core.links_to_transmit().next().is_none()
    }

    fn handle(&mut self, event: Event, now: UnixMillis, state: &mut State, draining: bool) {
        match event {
            Event::Opened { link, handle } => {
                state.links.insert(link, Link::new(handle));
                self.core.handle_link_opened(now, link);
            }
            Event::Cell { link, cell } => {
                // What comes while the relay stops is not taken, so never acknowledged.
                let Some(entry) = state.links.get_mut(&link).filter(|_| !draining) else { return };
                entry.queued += 1;
                state.queued += 1;
                self.core.handle_cell(now, link, cell);
            }
            Event::Room(link) => {
                if let Some(entry) = state.links.get_mut(&link) {
                    entry.blocked = false;
                }
            }
            Event::Closed(link) => {
                if state.forget(link) {
                    self.core.handle_link_closed(now, link);
                }
            }
            Event::Dialled { dial, result } => {
                let result = result.map(|(link, handle)| {
                    state.links.insert(link, Link::new(handle));
                    link
                });
                self.core.handle_dialled(now, dial, result);
            }
        }
    }

    /// Has the core process what waits, a bounded number of cells; whether there was any.
    fn advance(&mut self, now: UnixMillis, state: &mut State) -> bool {
        for count in 0..CELLS_AT_ONCE {
            let Some(link) = self.core.advance(now, &mut self.rng) else { return count > 0 };
            if let Some(entry) = state.links.get_mut(&link) {
                entry.queued = entry.queued.saturating_sub(1);
                state.queued = state.queued.saturating_sub(1);
                entry.handle.processed();
            }
        }
        true
    }

    /// Hands out what waits for links that can take it; whether there was any.
    fn transmit(&mut self, now: UnixMillis, state: &mut State) -> bool {
        let mut sent = false;
        let mut waiting = std::mem::take(&mut state.waiting);
        waiting.extend(self.core.links_to_transmit());
        for link in waiting.drain(..) {
            let Some(entry) = state.links.get_mut(&link).filter(|entry| !entry.blocked) else {
                continue;
            };
            loop {
                let Some(place) = entry.handle.reserve() else {
                    entry.blocked = true;
                    break;
                };
                let cell: Option<Cell> = self.core.poll_transmit(now, &mut self.rng, link);
                let Some(cell) = cell else { break };
                place.send(cell);
                sent = true;
            }
        }
        state.waiting = waiting;
        sent
    }

    fn perform(
        &mut self,
        action: Action,
        state: &mut State,
        dials: &mut JoinSet<()>,
        tasks: &mut JoinSet<Done>,
    ) {
        let keep = self.keep.clone();
        match action {
            Action::Dial { dial, hop, allow_private } => {
                let peer = self.dialler.clone().dial(dial, hop, allow_private);
                #[cfg(hearken_planted)]
                let peer = hearken_proto::planted::await_points::staying("peer", peer);
                dials.spawn(peer);
            }
            Action::CloseLink(link) => {
                state.forget(link);
            }
            Action::Write(ticket, command) => {
                state.tickets_due += 1;
                if let Err(error) = self.committer.submit(ticket, command) {
                    self.refuse(ticket, error, state);
                }
            }
            Action::Read(ticket, command) => {
                state.tickets_due += 1;
                if let Err(error) = self.reader.submit(ticket, command) {
                    self.refuse(ticket, error, state);
                }
            }
            Action::StoreEpochKey { epoch, bytes } => {
                tasks.spawn_blocking(move || {
                    let stored = keep.store_epoch_key(epoch, &bytes);
                    Done::EpochKey { epoch, stored }
                });
            }
            Action::DestroyEpochKey(epoch) => {
                tasks.spawn_blocking(move || keep.destroy_epoch_key(epoch));
            }
            Action::DropDaysBefore(day) => {
                tasks.spawn_blocking(move || keep.drop_days_before(day));
            }
            Action::FlushDays(days) => {
                tasks.spawn_blocking(move || keep.flush_days(&days));
            }
            Action::Warn(warning) => warn(&warning),
        }
    }

    fn refuse(&mut self, ticket: Ticket, error: StoreError, state: &mut State) {
        state.tickets_due = state.tickets_due.saturating_sub(1);
        self.core.handle_outcomes(wall_clock(), [(ticket, Err(error))]);
    }

    fn note(&mut self, done: Done) {
        match done {
            Done::EpochKey { epoch, stored } => {
                self.core.handle_epoch_key(wall_clock(), epoch, stored);
            }
            Done::DiskBytes(totals) => self.core.handle_disk_bytes(totals.disk_bytes),
            Done::Maintenance => {}
        }
    }
}

impl Keep {
    /// Writes and syncs the keys of an epoch; whether they may be used.
    pub(crate) fn store_epoch_key(&self, epoch: KeyEpoch, bytes: &[u8]) -> bool {
        match self.epoch_keys.create(&epoch_name(epoch), bytes) {
            Ok(()) => true,
            Err(error) => {
                tracing::error!(%error, "the next day's keys could not be stored");
                false
            }
        }
    }

    fn destroy_epoch_key(&self, epoch: KeyEpoch) -> Done {
        if let Err(error) = self.epoch_keys.destroy(&epoch_name(epoch)) {
            tracing::error!(%error, "keys whose time is over could not be destroyed");
        }
        Done::Maintenance
    }

    fn drop_days_before(&self, day: UnixDay) -> Done {
        let mut days = self.day_keys.days();
        days.extend(self.store.days());
        days.sort_unstable();
        days.dedup();
        for over in days.into_iter().take_while(|each| *each < day) {
            let dropped = self.day_keys.destroy(over).and_then(|()| self.store.drop_day(over));
            if let Err(error) = dropped {
                tracing::warn!(%error, "an expired day could not be dropped; it is tried again");
            }
        }
        Done::Maintenance
    }

    fn flush_days(&self, days: &Range<UnixDay>) -> Done {
        for past in self.store.days().into_iter().filter(|each| days.contains(each)) {
            if let Err(error) = self.store.flush_day(past) {
                tracing::warn!(%error, "a past day could not be flushed; nothing is lost");
            }
        }
        Done::Maintenance
    }
}

impl State {
    /// Lets go of a link; whether it was there.
    fn forget(&mut self, link: LinkId) -> bool {
        let entry = self.links.remove(&link);
        self.queued -= entry.as_ref().map_or(0, |entry| entry.queued);
        entry.is_some()
    }
}

impl Link {
    fn new(handle: LinkHandle) -> Self {
        Self { handle, queued: 0, blocked: false }
    }
}

/// The name of an epoch's key file.
pub(crate) fn epoch_name(epoch: KeyEpoch) -> String {
    format!("epoch-{}", HEXLOWER.encode(epoch.as_bytes()))
}

/// The system's wall clock. One that stands before 1970 is taken as 1970; clients refuse such a relay.
pub(crate) fn wall_clock() -> UnixMillis {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    UnixMillis(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

pub(crate) fn warn(warning: &Warning) {
    match warning {
        Warning::ClockWentBack => {
            tracing::warn!("this machine's clock went back; clients may refuse the relay");
        }
    }
}

//! The thread that drives an engine: it carries out what the engine asks for and decides nothing.
//!
//! One thread with a runtime of its own owns the home's lock, the vault, the engine and every link, so the caller's
//! runtime is never blocked by the disk, and nothing of it outlives the [`Driver`]: dropping it ends the thread.

mod links;
mod wait;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime};

use getrandom::SysRng;
use hearken_proto::address::HostPort;
use hearken_proto::cell::Cell;
use hearken_proto::ids::Fingerprint;
use hearken_proto::time::UnixMillis;
use rand_core::UnwrapErr;
use tokio::sync::{broadcast, mpsc, oneshot};

use self::links::{LinkEvent, Links};
pub(crate) use self::wait::Wait;
use self::wait::Waiting;
use crate::error::ClientError;
use crate::event::Event;
use crate::options::Options;
use crate::relays::RouteChoice;
use crate::route::{LinkId, RouteAction};
use crate::sync::{Engine, ErrandId, ErrandOutcome, MIGRATIONS};
use crate::vault::{HomeLock, HomeWait, RecoveryPhrase, Vault, VaultError};

/// Calls that wait for the thread.
const REQUESTS_MAX: usize = 64;
/// Events that a slow display may be behind.
const EVENTS_MAX: usize = 1_024;
/// Cells of one link that are handled in one turn.
const CELLS_A_TURN: usize = 64;
/// How often a follower looks whether another process waits for the home.
const GIVE_WAY_EVERY: Duration = Duration::from_millis(500);
/// How long a follower keeps the home once it has it, so that two of them do not spend their time on handing it over.
const TENURE_MIN: Duration = Duration::from_secs(3);
/// How long the home stays free for the process that waits for it before this one waits in turn.
const GIVE_WAY_FOR: Duration = Duration::from_millis(300);
/// How often a follower that gave way tries to take the home back.
const TAKE_BACK_EVERY: Duration = Duration::from_millis(200);

/// The system's randomness. A system without any cannot run this.
pub(crate) fn system_rng() -> UnwrapErr<SysRng> {
    UnwrapErr(SysRng)
}

fn now() -> UnixMillis {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    UnixMillis(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

type Request = Box<dyn FnOnce(&mut State) + Send>;

/// Why the thread ended by itself, for whoever asks first.
#[derive(Clone, Default)]
struct Ending(Arc<Mutex<Option<VaultError>>>);

impl Ending {
    fn set(&self, error: VaultError) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
    }

    /// What succeeded; `None`, and the reason is kept, where it did not.
    fn note<T>(&self, result: Result<T, VaultError>) -> Option<T> {
        result.map_err(|error| self.set(error)).ok()
    }

    fn take(&self) -> ClientError {
        let error = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        error.map_or(ClientError::Ended, ClientError::Vault)
    }
}

/// A handle to the thread.
pub(crate) struct Driver {
    requests: Option<mpsc::Sender<Request>>,
    /// The thread has the sender, so that events end with it.
    events: broadcast::WeakSender<Event>,
    ending: Ending,
    thread: Option<JoinHandle<()>>,
}

impl std::fmt::Debug for Driver {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Driver(..)")
    }
}

impl Driver {
    /// Takes the home, opens the vault with `open` and starts the thread.
    pub(crate) async fn start(
        home: &Path,
        options: Options,
        open: impl FnOnce() -> Result<(Vault, Option<RecoveryPhrase>), VaultError> + Send + 'static,
    ) -> Result<(Self, Option<RecoveryPhrase>), VaultError> {
        let (requests, inbox) = mpsc::channel(REQUESTS_MAX);
        let (out, _) = broadcast::channel(EVENTS_MAX);
        let events = out.downgrade();
        let ending = Ending::default();
        let (started, outcome) = oneshot::channel();
        let home = home.to_path_buf();
        let ending_of_thread = ending.clone();
        let thread =
            std::thread::Builder::new().name(String::from("hearken-client")).spawn(move || {
                let opened = HomeLock::acquire(&home, options.wait, &options.who)
                    .and_then(|lock| open().map(|(vault, recovery)| (lock, vault, recovery)));
                let (lock, vault, recovery) = match opened {
                    Ok(opened) => opened,
                    Err(error) => {
                        let _ = started.send(Err(error));
                        return;
                    }
                };
                let begun = tokio::runtime::Builder::new_current_thread()
                    .enable_all()
                    .build()
                    .map_err(VaultError::from)
                    .and_then(|runtime| Ok((runtime, Engine::new(vault, options.route)?)));
                match begun {
                    Ok((runtime, engine)) => {
                        let state = State {
                            home,
                            who: options.who,
                            route: options.route,
                            engine,
                            waits: Vec::new(),
                            links: Links::new(),
                            events: out,
                            following: false,
                            fatal: None,
                            ending: ending_of_thread,
                        };
                        let _ = started.send(Ok(recovery));
                        runtime.block_on(run(state, lock, inbox));
                    }
                    Err(error) => {
                        let _ = started.send(Err(error));
                    }
                }
            })?;
        let driver = Self { requests: Some(requests), events, ending, thread: Some(thread) };
        let recovery = outcome.await.map_err(|_| VaultError::damaged_record())??;
        Ok((driver, recovery))
    }

    /// What happens from here on; nothing where the thread has ended.
    pub(crate) fn events(&self) -> broadcast::Receiver<Event> {
        let events = self.events.upgrade().unwrap_or_else(|| broadcast::channel(1).0);
        events.subscribe()
    }

    /// Why a call was not answered.
    pub(crate) fn ended(&self) -> ClientError {
        self.ending.take()
    }

    async fn submit(&self, request: Request) -> Result<(), ClientError> {
        let requests = self.requests.as_ref().ok_or(ClientError::Ended)?;
        requests.send(request).await.map_err(|_| self.ended())
    }

    /// Runs `call` on the thread.
    pub(crate) async fn call<T: Send + 'static>(
        &self,
        call: impl FnOnce(&mut Engine, UnixMillis, &mut UnwrapErr<SysRng>) -> Result<T, ClientError>
        + Send
        + 'static,
    ) -> Result<T, ClientError> {
        let (reply, outcome) = oneshot::channel();
        let request = Box::new(move |state: &mut State| {
            let _ = reply.send(call(&mut state.engine, now(), &mut system_rng()));
        });
        self.submit(request).await?;
        outcome.await.map_err(|_| self.ended())?
    }

    /// Begins an errand on the thread and waits for its outcome.
    pub(crate) async fn errand(
        &self,
        begin: impl FnOnce(
            &mut Engine,
            UnixMillis,
            &mut UnwrapErr<SysRng>,
        ) -> Result<ErrandId, ClientError>
        + Send
        + 'static,
    ) -> Result<ErrandOutcome, ClientError> {
        let (reply, outcome) = oneshot::channel();
        let request = Box::new(move |state: &mut State| {
            match begin(&mut state.engine, now(), &mut system_rng()) {
                Ok(id) => state.waits.push(Waiting::Errand { id, reply }),
                Err(error) => {
                    let _ = reply.send(Err(error));
                }
            }
        });
        self.submit(request).await?;
        outcome.await.map_err(|_| self.ended())?
    }

    /// Begins a sync where none runs, and has the thread answer when what is waited for has come.
    pub(crate) async fn wait(&self, wait: Wait) -> Result<(), ClientError> {
        self.submit(Box::new(move |state: &mut State| state.begin_wait(wait.0))).await
    }

    /// Dials the relay at `place` from here on, whatever its address says.
    pub(crate) async fn set_beside(
        &self,
        relay: Fingerprint,
        place: HostPort,
    ) -> Result<(), ClientError> {
        self.submit(Box::new(move |state: &mut State| state.links.set_beside(relay, place))).await
    }

    /// From here on the thread follows.
    pub(crate) async fn follow(&self) -> Result<(), ClientError> {
        let (reply, outcome) = oneshot::channel();
        let request = Box::new(move |state: &mut State| {
            state.following = true;
            let begun = state.engine.begin_follow(now(), &mut system_rng());
            let _ = reply.send(begun.map_err(ClientError::from));
        });
        self.submit(request).await?;
        outcome.await.map_err(|_| self.ended())?
    }

    /// Ends the thread and waits for it without blocking the caller's runtime.
    pub(crate) async fn close(mut self) {
        self.requests = None;
        let Some(thread) = self.thread.take() else { return };
        let (ended, wait) = oneshot::channel();
        std::thread::spawn(move || {
            let _ = thread.join();
            let _ = ended.send(());
        });
        let _ = wait.await;
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        self.requests = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

struct State {
    home: PathBuf,
    who: String,
    route: RouteChoice,
    engine: Engine,
    waits: Vec<Waiting>,
    links: Links,
    events: broadcast::Sender<Event>,
    following: bool,
    fatal: Option<VaultError>,
    ending: Ending,
}

async fn run(mut state: State, mut lock: HomeLock, mut requests: mpsc::Receiver<Request>) {
    let mut give_way = tokio::time::interval(GIVE_WAY_EVERY);
    let mut held_since = Instant::now();
    give_way.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        state.carry_out();
        state.answer_waits();
        if let Some(error) = state.fatal.take() {
            // One caller hears why, the others that the client has ended.
            state.ending.set(error);
            return;
        }
        let wake = state.wake_in();
        tokio::select! {
            biased;
            request = requests.recv() => match request {
                Some(request) => request(&mut state),
                None => break,
            },
            Some(event) = state.links.heard() => state.handle_link_events(event),
            () = tokio::time::sleep(wake) => state.handle_timeout(),
            _ = give_way.tick(), if state.following => {
                if held_since.elapsed() >= TENURE_MIN && state.may_give_way() && lock.someone_waits() {
                    match state.give_way(lock).await {
                        Some((back, taken)) => {
                            state = back;
                            lock = taken;
                            held_since = Instant::now();
                        }
                        None => return,
                    }
                }
            }
        }
    }
    // What was said last still goes out: a CLOSE, an acknowledgement.
    state.carry_out();
    let State { engine, links, .. } = state;
    drop(engine);
    drop(lock);
    links.close().await;
}

impl State {
    /// Does what the engine asks for.
    fn carry_out(&mut self) {
        while let Some(action) = self.engine.poll_action() {
            match action {
                RouteAction::Connect { link, address } => self.links.connect(link, address),
                RouteAction::Transmit { link, cell } => self.links.transmit(link, cell),
                RouteAction::Disconnect { link } => self.links.disconnect(link),
            }
        }
        while let Some(event) = self.engine.poll_event() {
            // Nobody has to listen.
            let _ = self.events.send(event);
        }
        while let Some((id, outcome)) = self.engine.poll_finished() {
            let found = self.waits.iter().position(
                |wait| matches!(wait, Waiting::Errand { id: waited, .. } if *waited == id),
            );
            if let Some(at) = found
                && let Waiting::Errand { reply, .. } = self.waits.swap_remove(at)
            {
                let _ = reply.send(outcome);
            }
        }
    }

    fn take(&mut self, result: Result<(), VaultError>) {
        if let Err(error) = result {
            self.fatal.get_or_insert(error);
        }
    }

    /// Takes what links delivered so far: cells of one link that follow each other are one turn of the engine, so that
    /// what they bring is one transaction.
    fn handle_link_events(&mut self, first: LinkEvent) {
        let mut cells: Vec<Cell> = Vec::new();
        let mut cells_of = None;
        let mut next = Some(first);
        for turn in 1..=CELLS_A_TURN {
            let Some(event) = next.take() else { break };
            match event {
                LinkEvent::Cell(link, cell) => {
                    if cells_of.is_some_and(|other| other != link) {
                        self.handle_cells(cells_of, core::mem::take(&mut cells));
                    }
                    cells_of = Some(link);
                    cells.push(cell);
                }
                LinkEvent::Connected(link) => {
                    let result = self.engine.handle_connected(link, now(), &mut system_rng());
                    self.take(result);
                }
                LinkEvent::Closed(link, why) => {
                    self.handle_cells(cells_of.take(), core::mem::take(&mut cells));
                    self.links.disconnect(link);
                    let result =
                        self.engine.handle_disconnected(link, why, now(), &mut system_rng());
                    self.take(result);
                }
            }
            if turn < CELLS_A_TURN {
                next = self.links.heard_already();
            }
        }
        self.handle_cells(cells_of, cells);
    }

    fn handle_cells(&mut self, link: Option<LinkId>, cells: Vec<Cell>) {
        if let Some(link) = link
            && !cells.is_empty()
        {
            let result = self.engine.handle_cells(link, cells, now(), &mut system_rng());
            self.take(result);
        }
    }

    fn handle_timeout(&mut self) {
        let result = self.engine.handle_timeout(now(), &mut system_rng());
        self.take(result);
    }

    /// How long nothing needs doing.
    fn wake_in(&self) -> Duration {
        if self.engine.has_work() {
            return Duration::ZERO;
        }
        let engine = self.engine.poll_timeout().map(|at| at.since(now()));
        let waits = self.waits.iter().filter_map(|wait| match wait {
            Waiting::Sync { deadline, .. }
            | Waiting::Sent { deadline, .. }
            | Waiting::File { deadline, .. } => *deadline,
            Waiting::Errand { .. } => None,
        });
        let waits = waits.map(|deadline| deadline.saturating_duration_since(Instant::now()));
        engine.into_iter().chain(waits).min().unwrap_or(Duration::from_secs(3_600))
    }

    /// Whether everything that is under way goes on after the home was given away. An errand does not.
    fn may_give_way(&self) -> bool {
        !self.waits.iter().any(|wait| matches!(wait, Waiting::Errand { .. }))
    }

    /// Lets another process have the home, and takes it back: the key stays in memory, everything else is read anew. `None`
    /// where it does not come back, or without the vault; why is kept.
    async fn give_way(mut self, lock: HomeLock) -> Option<(Self, HomeLock)> {
        let ending = self.ending.clone();
        let _ = self.events.send(Event::GaveWay);
        let next = self.links.anew();
        let links = core::mem::replace(&mut self.links, next);
        let entry_turns = self.engine.take_entry_turns();
        let suspended = self.engine.into_vault().suspend();
        drop(lock);
        // What was said last still goes out.
        tokio::join!(links.close(), tokio::time::sleep(GIVE_WAY_FOR));
        // Seen waiting from here on, so that another follower gives way in turn.
        let waiting = ending.note(HomeWait::begin(&self.home))?;
        let lock = loop {
            match ending.note(waiting.try_acquire(&self.who))? {
                Some(lock) => break lock,
                None => tokio::time::sleep(TAKE_BACK_EVERY).await,
            }
        };
        drop(waiting);
        let vault = ending.note(suspended.resume(MIGRATIONS))?;
        self.engine = ending.note(Engine::new(vault, self.route))?;
        self.engine.set_entry_turns(entry_turns);
        ending.note(self.engine.begin_follow(now(), &mut system_rng()))?;
        let _ = self.events.send(Event::TookBack);
        Some((self, lock))
    }
}

//! The relay's task: events of the carrier into the core, what the core says through the lies onto the links.

use std::collections::{HashMap, VecDeque};
use std::net::SocketAddr;
use std::sync::mpsc as blocking;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::Result;
use ed25519_dalek::SigningKey;
use hearken_proto::address::{HostPort, RelayAddress};
use hearken_proto::cell::Cell;
use hearken_proto::limits::LINKS_MAX;
use hearken_proto::time::UnixMillis;
use hearken_relay::carrier::{self, EVENTS_MAX, Event, Gate, LinkHandle};
use hearken_relay::core::{CoreConfig, DialError, LinkId};
use hearken_relay::simulation::{self, InlineRelay};
use hearken_relay::store::MemoryStore;
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

use super::lies::Lies;

/// The longest sleep: a clock that was set is noticed at the order that set it.
const SLEEP_MAX: Duration = Duration::from_secs(60);
const MINUTE_MS: u64 = 60_000;

/// What the operator has it do.
#[derive(Debug)]
pub(super) enum Order {
    /// Look at the clock and at what is to be told.
    Look,
    /// End and start again over what is stored.
    Restart,
    /// Lose everything that is stored, and start again.
    Forget,
}

struct Link {
    handle: LinkHandle,
    waiting: VecDeque<Cell>,
}

pub(super) struct Serving {
    relay: Option<InlineRelay>,
    rng: ChaCha20Rng,
    lies: Arc<Mutex<Lies>>,
    links: HashMap<LinkId, Link>,
    events: mpsc::Receiver<Event>,
    /// Dropping these ends the carrier.
    _stop: watch::Sender<bool>,
    _accepting: JoinSet<()>,
}

impl Serving {
    pub(super) fn start(
        seed: u8,
        listen: SocketAddr,
        config: CoreConfig,
        lies: Arc<Mutex<Lies>>,
    ) -> Result<(Self, String, SocketAddr)> {
        let identity = [seed; 32];
        let socket = carrier::bind(listen)?;
        let listen = socket.local_addr()?;
        let endpoint = carrier::server_endpoint(socket, &SigningKey::from_bytes(&identity))?;
        let (sender, events) = mpsc::channel(EVENTS_MAX);
        let (stop, stopped) = watch::channel(false);
        let mut accepting = JoinSet::new();
        accepting.spawn(carrier::accept(endpoint, Gate::new(LINKS_MAX), sender, stopped));
        // Two runs with one identity must not have the same keys.
        let mut rng = ChaCha20Rng::from_seed(fresh_seed(seed, listen));
        let relay = InlineRelay::new(config, &identity, clock(0), &mut rng);
        let place = HostPort::of_ip(listen.ip(), listen.port());
        let address = RelayAddress::new(relay.fingerprint(), vec![place])?.to_string();
        let mut serving = Self {
            relay: Some(relay),
            rng,
            lies,
            links: HashMap::new(),
            events,
            _stop: stop,
            _accepting: accepting,
        };
        serving.begin_to_lie();
        Ok((serving, address, listen))
    }

    /// Serves until nobody can give an order any more.
    pub(super) async fn run(
        mut self,
        mut orders: mpsc::UnboundedReceiver<(Order, blocking::Sender<()>)>,
    ) {
        loop {
            let now = self.now();
            let due = self.relay.as_ref().and_then(InlineRelay::next_timeout);
            let sleep = due.map_or(SLEEP_MAX, |due| due.since(now)).min(SLEEP_MAX);
            let mut carried_out = None;
            tokio::select! {
                order = orders.recv() => {
                    let Some((order, done)) = order else { return };
                    self.carry_out(order);
                    carried_out = Some(done);
                }
                Some(event) = self.events.recv() => self.handle(event),
                () = tokio::time::sleep(sleep) => {}
            }
            self.work();
            if let Some(done) = carried_out {
                let _ = done.send(());
            }
        }
    }

    fn carry_out(&mut self, order: Order) {
        let now = self.now();
        let Some(relay) = self.relay.take() else { return };
        let restarted = match order {
            Order::Look => {
                self.relay = Some(relay);
                return;
            }
            Order::Restart => relay.crash(now, &mut self.rng),
            Order::Forget => relay.restart_on(MemoryStore::new(), now, &mut self.rng),
        };
        self.links.clear();
        self.relay = Some(restarted);
        self.begin_to_lie();
    }

    fn begin_to_lie(&mut self) {
        let lies = Arc::clone(&self.lies);
        if let Some(relay) = &mut self.relay {
            relay.set_lie(move |told| lock(&lies).tell(told));
        }
    }

    fn handle(&mut self, event: Event) {
        let now = self.now();
        let Some(relay) = &mut self.relay else { return };
        match event {
            Event::Opened { link, handle } => {
                self.links.insert(link, Link { handle, waiting: VecDeque::new() });
                relay.link_opened(now, link);
            }
            Event::Cell { link, cell } => {
                if let Some(entry) = self.links.get(&link) {
                    relay.cell(now, link, cell);
                    entry.handle.processed();
                }
            }
            Event::Closed(link) => {
                if self.links.remove(&link).is_some() {
                    relay.link_closed(now, link);
                }
            }
            // It dials nobody; and a link with room is looked at anyway.
            Event::Room(_) | Event::Dialled { .. } => {}
        }
    }

    fn work(&mut self) {
        let now = self.now();
        let Some(relay) = &mut self.relay else { return };
        if relay.next_timeout().is_some_and(|due| due <= now) {
            relay.timeout(now, &mut self.rng);
        }
        loop {
            let events = relay.run(now, &mut self.rng);
            if events.is_empty() {
                break;
            }
            for event in events {
                match event {
                    simulation::Event::Cell(link, cell) => {
                        if let Some(entry) = self.links.get_mut(&link) {
                            entry.waiting.extend(lock(&self.lies).send(cell));
                        }
                    }
                    simulation::Event::Closed(link) => drop(self.links.remove(&link)),
                    simulation::Event::Dial(dial, _) => {
                        relay.dialled(now, dial, Err(DialError::Unreachable));
                    }
                    simulation::Event::Warned(_) => {}
                }
            }
        }
        for link in self.links.values_mut() {
            while !link.waiting.is_empty() {
                let Some(place) = link.handle.reserve() else { break };
                if let Some(cell) = link.waiting.pop_front() {
                    place.send(cell);
                }
            }
        }
    }

    /// What the relay takes for the time.
    fn now(&self) -> UnixMillis {
        clock(lock(&self.lies).minutes_ahead)
    }
}

fn lock(lies: &Mutex<Lies>) -> MutexGuard<'_, Lies> {
    lies.lock().unwrap_or_else(PoisonError::into_inner)
}

fn clock(minutes_ahead: i64) -> UnixMillis {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let right = u64::try_from(since.as_millis()).unwrap_or(u64::MAX);
    let off = minutes_ahead.unsigned_abs().saturating_mul(MINUTE_MS);
    UnixMillis(if minutes_ahead < 0 { right.saturating_sub(off) } else { right + off })
}

fn fresh_seed(seed: u8, listen: SocketAddr) -> [u8; 32] {
    let mut fresh = [seed; 32];
    fresh[..8].copy_from_slice(&clock(0).0.to_be_bytes());
    fresh[8..10].copy_from_slice(&listen.port().to_be_bytes());
    fresh
}

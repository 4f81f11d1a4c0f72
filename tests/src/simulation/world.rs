//! People, relays, links and time, brought forward together.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use hearken_client_lib::simulation::{ClientLink, LinkEnd};
use hearken_client_lib::{RouteChoice, VaultError};
use hearken_proto::address::RelayAddress;
use hearken_proto::cell::Cell;
use hearken_proto::ids::PutId;
use hearken_proto::payload::Blob;
use hearken_proto::seal::KeyEpoch;
use hearken_proto::time::{DAY_MS, UnixMillis};
use hearken_relay::core::{CoreConfig, DialError, DialId, LinkId};
use hearken_relay::simulation::{Event as RelayEvent, InlineRelay};
use hearken_relay::store::MemoryStore;
use rand_chacha::ChaCha8Rng;
use rand_core::{Rng, SeedableRng};

use super::fault::{Fault, Faults};
use super::model::Model;
use super::network::{Arrival, End, Network, Node};
use super::person::Person;
use super::script::Script;
use super::seals::Seals;
use super::{Broken, Plant};

/// When a world begins: noon of some day.
pub const START: u64 = 20_000 * DAY_MS + DAY_MS / 2;
/// Turns at one moment after which something spins.
const TURNS_AT_ONCE_MAX: u32 = 5_000;

/// Whose dial.
#[derive(Clone, Copy, Debug)]
pub(super) enum Dialler {
    Person(usize, u32, ClientLink),
    Relay(usize, u32, DialId),
}

/// A dial under way.
#[derive(Clone, Copy, Debug)]
pub(super) struct Dial {
    pub(super) due: u64,
    pub(super) dialler: Dialler,
    pub(super) relay: Option<usize>,
    /// It has failed, and this is when that is known.
    pub(super) has_failed: bool,
}

/// What a relay is made to do to what it gives out, and did.
#[derive(Debug, Default)]
pub(super) struct Lie {
    pub(super) garbles: bool,
    pub(super) forges: bool,
    pub(super) garbled: Vec<PutId>,
    /// What was made up, and from what.
    pub(super) forged: Vec<(PutId, Blob)>,
}

/// A relay and what stands around it.
pub(super) struct Relay {
    pub(super) core: Option<InlineRelay>,
    pub(super) address: RelayAddress,
    pub(super) process: u32,
    pub(super) skew_ms: i64,
    pub(super) held_until: Option<u64>,
    pub(super) backup: Option<Backup>,
    pub(super) epochs: Vec<KeyEpoch>,
    pub(super) lie: Arc<Mutex<Lie>>,
}

/// A backup of a relay, with what the model knows of it.
pub(super) struct Backup {
    pub(super) store: MemoryStore,
    /// Ciphertexts that were acknowledged by then.
    pub(super) acknowledged: BTreeSet<PutId>,
    pub(super) at: u64,
}

impl Relay {
    pub(super) fn clock(&self, now: u64) -> UnixMillis {
        UnixMillis(now.saturating_add_signed(self.skew_ms))
    }
}

/// See the module.
pub struct World {
    pub(super) now: u64,
    pub(super) rng: ChaCha8Rng,
    pub(super) network: Network,
    pub(super) people: Vec<Person>,
    pub(super) relays: Vec<Relay>,
    pub(super) model: Model,
    pub(super) faults: Faults,
    pub(super) seals: Seals,
    pub(super) plant: Plant,
    pub(super) seed: u64,
    pub(super) dials: Vec<Dial>,
    links: u64,
    turns: (u64, u32),
}

impl World {
    /// The world of a script, before its first step.
    ///
    /// # Errors
    /// [`Broken::Vault`].
    pub fn new(script: &Script, plant: Plant) -> Result<Self, Broken> {
        let mut rng = ChaCha8Rng::seed_from_u64(script.seed);
        let config = CoreConfig {
            proof_of_work_bits: 2,
            allow_private_peers: true,
            mailbox_blobs_max: script.mailbox_blobs,
            ..CoreConfig::default()
        };
        let relays: Vec<Relay> = (0..script.relays)
            .map(|at| {
                let mut identity = [0; 32];
                rng.fill_bytes(&mut identity);
                Relay::new(at, config.clone(), &identity, &mut rng)
            })
            .collect();
        let addresses: Vec<RelayAddress> =
            relays.iter().map(|relay| relay.address.clone()).collect();
        let mut people = Vec::new();
        for who in 0..script.people {
            // Everybody but the first goes over an entry; the first has a relay that some others have as entry.
            let count = if who == 0 { 1 } else { addresses.len() };
            let own: Vec<_> =
                (0..count).map(|at| addresses[(who + at) % addresses.len()].clone()).collect();
            let choice = if who == 0 { RouteChoice::Direct } else { RouteChoice::Remembered };
            people.push(Person::new(choice, &own).map_err(vault)?);
        }
        let mut world = Self {
            now: START,
            rng,
            network: Network::default(),
            model: Model::new(script.people),
            people,
            relays,
            faults: Faults::default(),
            seals: Seals::default(),
            plant,
            seed: script.seed,
            dials: Vec::new(),
            links: 0,
            turns: (0, 0),
        };
        world.plant_syncs()?;
        Ok(world)
    }

    fn plant_syncs(&mut self) -> Result<(), Broken> {
        match self.plant {
            Plant::Nothing => {}
            Plant::RelaySyncs => {
                for relay in self.relays.iter().filter_map(|relay| relay.core.as_ref()) {
                    relay.store().leave_syncs_out();
                }
            }
            Plant::VaultSyncs => {
                for person in &mut self.people {
                    if let Some(client) = &mut person.client {
                        client.leave_syncs_out().map_err(vault)?;
                    }
                }
            }
        }
        Ok(())
    }

    // --- time ---------------------------------------------------------------------------------

    /// Time passes up to `until`, and everything that is due by then is done.
    pub(super) fn pass(&mut self, until: u64) -> Result<(), Broken> {
        while let Some(next) = self.next_due()
            && next <= until
        {
            self.now = self.now.max(next);
            if self.turns.0 != self.now {
                self.turns = (self.now, 0);
            }
            self.turns.1 += 1;
            if self.turns.1 > TURNS_AT_ONCE_MAX {
                return Err(Broken::Spins(self.what_is_due()));
            }
            self.turn()?;
        }
        self.now = self.now.max(until);
        Ok(())
    }

    /// Who is to be called at this moment.
    fn what_is_due(&self) -> String {
        let people: Vec<usize> = (0..self.people.len())
            .filter(|who| self.people[*who].next_timeout(self.now).is_some_and(|at| at <= self.now))
            .collect();
        let relays: Vec<(usize, Option<u64>)> = (0..self.relays.len())
            .map(|at| {
                let due = self.relays[at].core.as_ref().and_then(InlineRelay::next_timeout);
                (at, due.map(|due| due.0.wrapping_sub(self.relays[at].clock(self.now).0)))
            })
            .collect();
        let (arrival, dials) = (self.network.next_arrival(), self.dials.len());
        format!(
            "people {people:?}, relays {relays:?}, arrival {arrival:?} at {}, dials {dials}",
            self.now
        )
    }

    fn next_due(&self) -> Option<u64> {
        let people = self.people.iter().filter_map(|person| person.next_timeout(self.now));
        let relays = self.relays.iter().filter_map(|relay| {
            let due = relay.core.as_ref()?.next_timeout()?;
            Some(due.0.saturating_add_signed(-relay.skew_ms).max(self.now))
        });
        let held = self.relays.iter().filter_map(|relay| relay.held_until);
        let dials = self.dials.iter().map(|dial| dial.due);
        people.chain(relays).chain(held).chain(dials).chain(self.network.next_arrival()).min()
    }

    /// One thing that is due.
    fn turn(&mut self) -> Result<(), Broken> {
        if let Some(arrival) = self.network.arrival(self.now) {
            return match arrival {
                Arrival::Cells(end, cells) => self.deliver(end, cells),
                Arrival::Over(end) => self.over(end),
            };
        }
        if let Some(at) = self.dials.iter().position(|dial| dial.due <= self.now) {
            let dial = self.dials.swap_remove(at);
            return self.dialled(dial);
        }
        for at in 0..self.relays.len() {
            if self.relays[at].held_until.is_some_and(|until| until <= self.now) {
                self.relays[at].held_until = None;
                self.relay(at, |core, _, _| core.hold_store(false))?;
                return Ok(());
            }
            let clock = self.relays[at].clock(self.now);
            let core = self.relays[at].core.as_ref();
            if core.and_then(InlineRelay::next_timeout).is_some_and(|due| due <= clock) {
                self.relay(at, |core, now, rng| core.timeout(now, rng))?;
                return Ok(());
            }
        }
        let due = |person: &Person| person.next_timeout(self.now).is_some_and(|at| at <= self.now);
        if let Some(who) = self.people.iter().position(due) {
            self.client(who, |client, now, rng| Ok(client.timeout(now, rng)?))?;
        }
        Ok(())
    }

    fn deliver(&mut self, end: End, cells: Vec<Cell>) -> Result<(), Broken> {
        match end {
            End::Person(who, process, link) if self.people[who].process == process => {
                self.client(who, |client, now, rng| Ok(client.cells(link, cells, now, rng)?))?;
                Ok(())
            }
            End::Person(..) => Ok(()),
            End::Relay(relay, link) => self.relay(relay, |core, now, _| {
                for cell in cells {
                    core.cell(now, link, cell);
                }
            }),
        }
    }

    fn over(&mut self, end: End) -> Result<(), Broken> {
        match end {
            End::Person(who, process, link) if self.people[who].process == process => {
                self.client(who, |client, now, rng| {
                    Ok(client.disconnected(link, LinkEnd::Closed, now, rng)?)
                })?;
                Ok(())
            }
            End::Person(..) => Ok(()),
            End::Relay(relay, link) => {
                self.relay(relay, |core, now, _| core.link_closed(now, link))
            }
        }
    }

    fn dialled(&mut self, mut dial: Dial) -> Result<(), Broken> {
        let (from, is_there) = match dial.dialler {
            Dialler::Person(who, process, _) => {
                (Node::Person(who), self.people[who].process == process)
            }
            Dialler::Relay(at, process, _) => (Node::Relay(at), self.relays[at].process == process),
        };
        if !is_there {
            return Ok(());
        }
        let reached = dial.relay.filter(|relay| {
            self.relays[*relay].core.is_some() && self.network.reach(from, Node::Relay(*relay))
        });
        let Some(relay) = reached.filter(|_| !dial.has_failed) else {
            if !dial.has_failed {
                self.faults.note(Fault::Partition);
                dial.has_failed = true;
                dial.due = self.now + 5_000;
                self.dials.push(dial);
                return Ok(());
            }
            return self.dial_failed(dial.dialler);
        };
        self.links += 1;
        let theirs = LinkId(self.links);
        self.relay(relay, |core, now, _| core.link_opened(now, theirs))?;
        let delay = 5 + self.rng.next_u64() % 250;
        match dial.dialler {
            Dialler::Person(who, process, link) => {
                let ours = End::Person(who, process, link);
                if self.network.has_leftover(who, process) {
                    self.faults.note(Fault::Duplicated);
                }
                self.network.connect([ours, End::Relay(relay, theirs)], delay);
                self.client(who, |client, now, rng| Ok(client.connected(link, now, rng)?))?;
                Ok(())
            }
            Dialler::Relay(at, _, id) => {
                self.links += 1;
                let ours = LinkId(self.links);
                self.network.connect([End::Relay(at, ours), End::Relay(relay, theirs)], delay);
                self.relay(at, |core, now, _| core.dialled(now, id, Ok(ours)))
            }
        }
    }

    fn dial_failed(&mut self, dialler: Dialler) -> Result<(), Broken> {
        match dialler {
            Dialler::Person(who, _, link) => {
                self.client(who, |client, now, rng| {
                    Ok(client.disconnected(link, LinkEnd::Unreachable, now, rng)?)
                })?;
                Ok(())
            }
            Dialler::Relay(at, _, id) => self.relay(at, |core, now, _| {
                core.dialled(now, id, Err(DialError::Unreachable));
            }),
        }
    }

    // --- relays -------------------------------------------------------------------------------

    /// Tells a relay something and carries out what it does.
    pub(super) fn relay(
        &mut self,
        at: usize,
        tell: impl FnOnce(&mut InlineRelay, UnixMillis, &mut ChaCha8Rng),
    ) -> Result<(), Broken> {
        let clock = self.relays[at].clock(self.now);
        let Some(core) = &mut self.relays[at].core else { return Ok(()) };
        tell(core, clock, &mut self.rng);
        let events = core.run(clock, &mut self.rng);
        let epochs = core.key_epochs();
        let relay = &mut self.relays[at];
        if epochs != relay.epochs {
            if !relay.epochs.is_empty() {
                self.faults.note(Fault::KeyRotation);
            }
            relay.epochs = epochs;
        }
        let process = relay.process;
        self.take_lies(at);
        for event in events {
            match event {
                RelayEvent::Cell(link, cell) => {
                    self.seals
                        .cell(&cell)
                        .map_err(|twice| Broken::SealedTwice(twice.0.to_owned()))?;
                    self.network.send(End::Relay(at, link), cell, self.now);
                }
                RelayEvent::Closed(link) => {
                    self.network.hang_up(End::Relay(at, link), true, self.now);
                }
                RelayEvent::Dial(dial, hop) => {
                    let relay = self.find(&hop.fingerprint);
                    let dialler = Dialler::Relay(at, process, dial);
                    let due = self.now + 20;
                    self.dials.push(Dial { due, dialler, relay, has_failed: false });
                }
                RelayEvent::Warned(_) => {}
            }
        }
        Ok(())
    }

    pub(super) fn find(&self, fingerprint: &hearken_proto::ids::Fingerprint) -> Option<usize> {
        self.relays.iter().position(|relay| relay.address.fingerprint() == *fingerprint)
    }
}

impl Relay {
    fn new(at: usize, config: CoreConfig, identity: &[u8; 32], rng: &mut ChaCha8Rng) -> Self {
        let core = InlineRelay::new(config, identity, UnixMillis(START), rng);
        let text = format!("hearken://{}@relay{at}.example:4433", core.fingerprint());
        let Ok(address) = text.parse() else { unreachable!("an address of a name and a port") };
        let epochs = core.key_epochs();
        Self {
            core: Some(core),
            address,
            process: 0,
            skew_ms: 0,
            held_until: None,
            backup: None,
            epochs,
            lie: Arc::default(),
        }
    }
}

/// A vault that failed though nothing was done to it.
pub(super) fn vault(error: VaultError) -> Broken {
    Broken::Vault(error.to_string())
}

impl std::fmt::Debug for World {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("World").field("now", &self.now).finish_non_exhaustive()
    }
}

//! A whole relay run in one thread over a store in memory, under a clock and randomness that the caller passes in.
//!
//! For simulations and tests of whoever talks to a relay: no sockets, no files, no threads, the same core. A write is
//! carried out in one group commit with all others that wait. [`InlineRelay::crash`] gives what a restart after a power
//! cut finds: committed rows, stored keys, and no link.

use std::collections::BTreeMap;

use ed25519_dalek::SigningKey;
use hearken_proto::cell::Cell;
use hearken_proto::hop::NextHop;
use hearken_proto::ids::Fingerprint;
use hearken_proto::seal::KeyEpoch;
use hearken_proto::time::{UnixDay, UnixMillis};
use rand_core::CryptoRng;
use zeroize::Zeroizing;

use crate::core::{
    Action, CommandContext, CoreConfig, DialError, DialId, EpochKey, EpochKeys, LinkId, Outcome,
    ReadCommand, RelayCore, Ticket, Told, Totals, Warning, WriteCommand,
};
use crate::store::{DayKeys, MemoryStore, Query, Store, StoreError, run_batch};

/// What a relay does that its surroundings see.
#[derive(Debug)]
pub enum Event {
    /// It sends a cell.
    Cell(LinkId, Cell),
    /// It closes a link.
    Closed(LinkId),
    /// It dials another relay; answer with [`InlineRelay::dialled`].
    Dial(DialId, NextHop),
    /// It tells its operator something.
    Warned(Warning),
}

/// A relay with its store and keys.
pub struct InlineRelay {
    config: CoreConfig,
    identity: SigningKey,
    core: RelayCore,
    store: MemoryStore,
    day_keys: DayKeys,
    context: CommandContext,
    key_files: BTreeMap<KeyEpoch, Zeroizing<Vec<u8>>>,
    is_store_held: bool,
    can_store_keys: bool,
    /// What it told its operator when it started.
    started: Vec<Event>,
    writes: Vec<(Ticket, WriteCommand)>,
    reads: Vec<(Ticket, ReadCommand)>,
    #[allow(clippy::type_complexity, reason = "one closure, named once")]
    lie: Option<Box<dyn FnMut(Told<'_>) + Send>>,
}

impl InlineRelay {
    /// A relay on an empty store. `identity` is the seed of its Ed25519 key.
    pub fn new(
        config: CoreConfig,
        identity: &[u8; 32],
        now: UnixMillis,
        rng: &mut dyn CryptoRng,
    ) -> Self {
        let identity = SigningKey::from_bytes(identity);
        let (store, day_keys) = (MemoryStore::new(), DayKeys::in_memory());
        Self::start(config, identity, store, day_keys, BTreeMap::new(), now, rng)
    }

    /// What a restart at `now` after a power cut finds. The old relay can write nothing any more.
    #[must_use]
    pub fn crash(self, now: UnixMillis, rng: &mut dyn CryptoRng) -> Self {
        let Self { config, identity, store, day_keys, key_files, .. } = self;
        Self::start(config, identity, store.crash(), day_keys, key_files, now, rng)
    }

    /// The same relay on another store: one restored from a backup, say.
    #[must_use]
    pub fn restart_on(self, store: MemoryStore, now: UnixMillis, rng: &mut dyn CryptoRng) -> Self {
        let Self { config, identity, day_keys, key_files, .. } = self;
        Self::start(config, identity, store, day_keys, key_files, now, rng)
    }

    fn start(
        config: CoreConfig,
        identity: SigningKey,
        store: MemoryStore,
        day_keys: DayKeys,
        key_files: BTreeMap<KeyEpoch, Zeroizing<Vec<u8>>>,
        now: UnixMillis,
        rng: &mut dyn CryptoRng,
    ) -> Self {
        let stored = key_files.values().filter_map(|bytes| EpochKey::from_bytes(bytes).ok());
        let keys = EpochKeys::new(stored.collect());
        let core = RelayCore::new(config.clone(), identity.clone(), keys, now);
        let context = CommandContext::new(day_keys.clone(), config.command_limits());
        let mut relay = Self {
            config,
            identity,
            core,
            store,
            day_keys,
            context,
            key_files,
            is_store_held: false,
            can_store_keys: true,
            started: Vec::new(),
            writes: Vec::new(),
            reads: Vec::new(),
            lie: None,
        };
        relay.timeout(now, rng);
        relay.started = relay.run(now, rng);
        relay
    }

    /// Who the relay is.
    #[must_use]
    pub fn fingerprint(&self) -> Fingerprint {
        self.core.fingerprint()
    }

    /// Somebody dialled the relay.
    pub fn link_opened(&mut self, now: UnixMillis, link: LinkId) {
        self.core.handle_link_opened(now, link);
    }

    /// A link is gone.
    pub fn link_closed(&mut self, now: UnixMillis, link: LinkId) {
        self.core.handle_link_closed(now, link);
    }

    /// A cell came.
    pub fn cell(&mut self, now: UnixMillis, link: LinkId, cell: Cell) {
        self.core.handle_cell(now, link, cell);
    }

    /// A dial was answered.
    pub fn dialled(&mut self, now: UnixMillis, dial: DialId, result: Result<LinkId, DialError>) {
        self.core.handle_dialled(now, dial, result);
    }

    /// Time has passed.
    pub fn timeout(&mut self, now: UnixMillis, rng: &mut dyn CryptoRng) {
        self.core.handle_timeout(now, rng);
    }

    /// When [`InlineRelay::timeout`] is to be called next.
    #[must_use]
    pub fn next_timeout(&self) -> Option<UnixMillis> {
        self.core.poll_timeout()
    }

    /// Works until nothing is left to do, links taking every cell at once, and tells what was seen.
    pub fn run(&mut self, now: UnixMillis, rng: &mut dyn CryptoRng) -> Vec<Event> {
        let mut events = std::mem::take(&mut self.started);
        loop {
            let mut worked = self.work(now, rng, &mut events);
            let links: Vec<LinkId> = self.core.links_to_transmit().collect();
            for link in links {
                while let Some(cell) = self.core.poll_transmit(now, rng, link) {
                    events.push(Event::Cell(link, cell));
                    worked = true;
                }
            }
            if !worked {
                return events;
            }
        }
    }

    /// As [`InlineRelay::run`], but no link takes a cell.
    pub fn run_stalled(&mut self, now: UnixMillis, rng: &mut dyn CryptoRng) -> Vec<Event> {
        let mut events = Vec::new();
        while self.work(now, rng, &mut events) {}
        events
    }

    /// One cell of a link that takes one just now.
    pub fn transmit(
        &mut self,
        now: UnixMillis,
        rng: &mut dyn CryptoRng,
        link: LinkId,
    ) -> Option<Cell> {
        self.core.poll_transmit(now, rng, link)
    }

    /// Whether the store answers. While it is held, commands wait.
    pub fn hold_store(&mut self, held: bool) {
        self.is_store_held = held;
    }

    /// Whether key files can be written.
    pub fn set_can_store_keys(&mut self, can: bool) {
        self.can_store_keys = can;
    }

    /// Tells the core how much disk is used.
    pub fn set_disk_bytes(&mut self, bytes: u64) {
        self.core.handle_disk_bytes(bytes);
    }

    /// From here on `lie` may change what clients are told, as an operator of another program could. A restart is
    /// honest again.
    pub fn set_lie(&mut self, lie: impl FnMut(Told<'_>) + Send + 'static) {
        self.lie = Some(Box::new(lie));
    }

    /// The store, to look at or to make fail.
    #[must_use]
    pub fn store(&self) -> &MemoryStore {
        &self.store
    }

    /// The keys of the days that are live.
    #[must_use]
    pub fn day_keys(&self) -> &DayKeys {
        &self.day_keys
    }

    /// The key epochs that have a file.
    #[must_use]
    pub fn key_epochs(&self) -> Vec<KeyEpoch> {
        self.key_files.keys().copied().collect()
    }

    /// The few totals.
    #[must_use]
    pub fn totals(&self) -> Totals {
        self.core.totals()
    }

    /// See [`RelayCore::leftovers`].
    #[must_use]
    pub fn leftovers(&self) -> [usize; 5] {
        self.core.leftovers()
    }

    #[cfg(test)]
    pub(crate) fn set_notice(
        &mut self,
        now: UnixMillis,
        notice: Option<hearken_proto::wire::Decommission>,
    ) {
        self.core.handle_notice(now, notice);
    }

    /// Works on one cell, without what follows from it.
    #[cfg(test)]
    pub(crate) fn advance(&mut self, now: UnixMillis, rng: &mut dyn CryptoRng) {
        let _ = self.core.advance(now, rng);
    }

    #[cfg(test)]
    pub(crate) fn crowd_store(&mut self, requests: usize) {
        self.core.crowd_store(requests);
    }

    #[cfg(test)]
    pub(crate) fn leave_room(&mut self, room: usize) {
        self.core.leave_room(room);
    }

    #[cfg(test)]
    pub(crate) fn core(&self) -> &RelayCore {
        &self.core
    }

    fn work(&mut self, now: UnixMillis, rng: &mut dyn CryptoRng, events: &mut Vec<Event>) -> bool {
        let mut worked = false;
        while self.core.advance(now, rng).is_some() {
            worked = true;
        }
        while let Some(action) = self.core.poll_action() {
            worked = true;
            self.act(now, action, events);
        }
        worked | self.answer(now, rng)
    }

    fn act(&mut self, now: UnixMillis, action: Action, events: &mut Vec<Event>) {
        match action {
            Action::Dial { dial, hop, .. } => events.push(Event::Dial(dial, hop)),
            Action::CloseLink(link) => events.push(Event::Closed(link)),
            Action::Write(ticket, write) => self.writes.push((ticket, write)),
            Action::Read(ticket, read) => self.reads.push((ticket, read)),
            Action::StoreEpochKey { epoch, bytes } => {
                if self.can_store_keys {
                    self.key_files.insert(epoch, bytes);
                }
                self.core.handle_epoch_key(now, epoch, self.can_store_keys);
            }
            Action::DestroyEpochKey(epoch) => {
                self.key_files.remove(&epoch);
            }
            Action::DropDaysBefore(first_kept) => self.drop_days(first_kept),
            Action::FlushDays(_) => {}
            Action::Warn(warning) => events.push(Event::Warned(warning)),
        }
    }

    fn drop_days(&mut self, first_kept: UnixDay) {
        let mut days = self.store.days();
        days.extend(self.day_keys.days());
        days.retain(|day| *day < first_kept);
        for day in days {
            // As in the shell, what fails is asked for again within the hour.
            let _ = self.day_keys.destroy(day).and_then(|()| self.store.drop_day(day));
        }
    }

    fn answer(&mut self, now: UnixMillis, rng: &mut dyn CryptoRng) -> bool {
        if self.is_store_held || (self.writes.is_empty() && self.reads.is_empty()) {
            return false;
        }
        // Reads first: they see what was committed before.
        let mut outcomes: Vec<(Ticket, Result<Outcome, StoreError>)> = Vec::new();
        for (ticket, read) in std::mem::take(&mut self.reads) {
            let mut outcome = read.run(&self.store, &mut self.day_keys);
            if let (Some(lie), Ok(outcome)) = (&mut self.lie, &mut outcome)
                && let Some(told) = outcome.told()
            {
                lie(told);
            }
            outcomes.push((ticket, outcome));
        }
        let (tickets, commands): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.writes).into_iter().unzip();
        let mut results = run_batch(&self.store, commands, &mut self.context, now, rng);
        if self.lie.is_some() {
            results.iter_mut().flatten().for_each(Outcome::have_read);
        }
        outcomes.extend(tickets.into_iter().zip(results));
        if let Some(lie) = &mut self.lie {
            let told = outcomes.iter_mut().filter_map(|(_, outcome)| outcome.as_mut().ok());
            told.for_each(|outcome| lie(outcome.told_cells()));
        }
        self.core.handle_outcomes(now, outcomes);
        true
    }
}

impl std::fmt::Debug for InlineRelay {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("InlineRelay").field("totals", &self.totals()).finish_non_exhaustive()
    }
}

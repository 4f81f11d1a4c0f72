//! The relay's core over its store on disk, run in one thread under a clock that the test sets, with a stopwatch.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use ed25519_dalek::SigningKey;
use hearken_proto::cell::Cell;
use hearken_proto::info::{UnverifiedInfo, VerifiedInfo, request};
use hearken_proto::time::{DAY_MS, UnixDay, UnixMillis};
use hearken_relay::core::{
    Action, CommandContext, CoreConfig, EpochKeys, LinkId, RelayCore, Ticket,
};
use hearken_relay::store::{
    DayKeys, FjallConfig, FjallStore, Query, Row, Space, Store, StoreError, StoreTotals, run_batch,
};
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;

/// Mid-day on some day.
const START: UnixMillis = UnixMillis(20_000 * DAY_MS + DAY_MS / 2);

/// A store in which some rows cost the reads of others: the difference that the test must find.
struct Slow {
    store: FjallStore,
    /// By key of [`Space::Rows`], the others that are read as well.
    also: HashMap<Vec<u8>, Vec<Vec<u8>>>,
}

/// A relay.
pub(crate) struct Relay {
    core: RelayCore,
    store: Arc<dyn Store>,
    day_keys: DayKeys,
    context: CommandContext,
    pub(crate) now: UnixMillis,
    pub(crate) rng: ChaCha20Rng,
    last_link: u64,
    answers: Vec<Cell>,
}

impl Relay {
    /// A relay over a store in `folder`; rows of `also` cost it the reads of others.
    pub(crate) fn new(folder: &Path, also: HashMap<Vec<u8>, Vec<Vec<u8>>>) -> Self {
        let store = FjallStore::open(folder, FjallConfig::default()).unwrap();
        let store: Arc<dyn Store> = Arc::new(Slow { store, also });
        let mut rng = ChaCha20Rng::seed_from_u64(3);
        let config = CoreConfig { proof_of_work_bits: 0, ..CoreConfig::default() };
        let (day_keys, limits) = (DayKeys::in_memory(), config.command_limits());
        let context = CommandContext::new(day_keys.clone(), limits);
        let identity = SigningKey::from_bytes(&[7; 32]);
        let mut core = RelayCore::new(config, identity, EpochKeys::new(Vec::new()), START);
        core.handle_timeout(START, &mut rng);
        let (now, last_link, answers) = (START, 0, Vec::new());
        let mut relay = Self { core, store, day_keys, context, now, rng, last_link, answers };
        relay.settle();
        relay
    }

    /// Lets time pass, with everything that becomes due in it.
    pub(crate) fn pass(&mut self, duration: Duration) {
        let until = UnixMillis(self.now.0 + u64::try_from(duration.as_millis()).unwrap());
        while self.now < until {
            let due = self.core.poll_timeout().unwrap_or(until).max(UnixMillis(self.now.0 + 1));
            self.now = due.min(until);
            self.core.handle_timeout(self.now, &mut self.rng);
            self.settle();
        }
    }

    /// Lets time pass without the relay waking up: what is over is still in its store.
    pub(crate) fn doze(&mut self, duration: Duration) {
        self.now = UnixMillis(self.now.0 + u64::try_from(duration.as_millis()).unwrap());
    }

    /// A client dials.
    pub(crate) fn link(&mut self) -> LinkId {
        self.last_link += 1;
        self.core.handle_link_opened(self.now, LinkId(self.last_link));
        LinkId(self.last_link)
    }

    /// A client leaves.
    pub(crate) fn unlink(&mut self, link: LinkId) {
        self.core.handle_link_closed(self.now, link);
        self.settle();
        self.answers.clear();
    }

    /// A cell and every cell that answers it, with the time from the one to the last of the others.
    pub(crate) fn ask(&mut self, link: LinkId, cell: Cell) -> (Duration, Vec<Cell>) {
        self.answers.clear();
        let begun = Instant::now();
        self.core.handle_cell(self.now, link, cell);
        self.settle();
        let took = begun.elapsed();
        (took, std::mem::take(&mut self.answers))
    }

    /// What it says of itself.
    pub(crate) fn info(&mut self) -> VerifiedInfo {
        let link = self.link();
        let cell = request(1, &mut self.rng);
        let (_, answers) = self.ask(link, cell);
        self.unlink(link);
        let info = UnverifiedInfo::from_answer(&answers[0]).unwrap();
        info.verify(&self.core.fingerprint(), None, self.now).unwrap()
    }

    fn settle(&mut self) {
        loop {
            let mut worked = false;
            while self.core.advance(self.now, &mut self.rng).is_some() {
                worked = true;
            }
            while let Some(action) = self.core.poll_action() {
                self.act(action);
                worked = true;
            }
            let links: Vec<LinkId> = self.core.links_to_transmit().collect();
            for link in links {
                while let Some(cell) = self.core.poll_transmit(self.now, &mut self.rng, link) {
                    self.answers.push(cell);
                    worked = true;
                }
            }
            if !worked {
                return;
            }
        }
    }

    fn act(&mut self, action: Action) {
        match action {
            Action::Write(ticket, write) => {
                let (context, rng) = (&mut self.context, &mut self.rng);
                let mut results = run_batch(&*self.store, [write], context, self.now, rng);
                self.tell(ticket, results.remove(0));
            }
            Action::Read(ticket, read) => {
                let result = read.run(&*self.store, &mut self.day_keys);
                self.tell(ticket, result);
            }
            Action::StoreEpochKey { epoch, .. } => {
                self.core.handle_epoch_key(self.now, epoch, true);
            }
            Action::DropDaysBefore(first_kept) => {
                let mut days = self.store.days();
                days.retain(|day| *day < first_kept);
                for day in days {
                    self.day_keys.destroy(day).unwrap();
                    self.store.drop_day(day).unwrap();
                }
            }
            _ => {}
        }
    }

    fn tell(&mut self, ticket: Ticket, result: Result<hearken_relay::core::Outcome, StoreError>) {
        self.core.handle_outcomes(self.now, [(ticket, result)]);
    }
}

impl Slow {
    /// Reads the other rows of a row that has some, where they lie.
    fn read_also(&self, space: Space, key: &[u8]) -> Result<(), StoreError> {
        let others = self.also.get(key).filter(|_| space == Space::Rows);
        for other in others.into_iter().flatten() {
            std::hint::black_box(self.store.read_uncached(space, other)?);
        }
        Ok(())
    }
}

impl Store for Slow {
    fn read(&self, space: Space, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        self.read_also(space, key)?;
        self.store.read(space, key)
    }

    fn read_uncached(&self, space: Space, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        self.read_also(space, key)?;
        self.store.read_uncached(space, key)
    }

    fn range(
        &self,
        space: Space,
        from: &[u8],
        to: &[u8],
        limit: usize,
    ) -> Result<Vec<Row>, StoreError> {
        self.store.range(space, from, to, limit)
    }

    fn commit(&self, batch: hearken_relay::store::Batch) -> Result<(), StoreError> {
        self.store.commit(batch)
    }

    fn drop_day(&self, day: UnixDay) -> Result<(), StoreError> {
        self.store.drop_day(day)
    }

    fn flush_day(&self, day: UnixDay) -> Result<(), StoreError> {
        self.store.flush_day(day)
    }

    fn days(&self) -> Vec<UnixDay> {
        self.store.days()
    }

    fn totals(&self) -> StoreTotals {
        self.store.totals()
    }

    fn has_room(&self) -> bool {
        self.store.has_room()
    }

    fn generation(&self) -> u16 {
        self.store.generation()
    }
}

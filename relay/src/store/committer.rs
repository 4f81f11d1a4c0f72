//! The thread that writes: takes all commands that wait, runs them as one batch, hands the outcomes on in order.
//!
//! Guarantees: commands take effect and outcomes are delivered in the order of submission; an outcome is delivered
//! after its commit, never before; the queue is bounded; dropping the [`Committer`] runs what was accepted, delivers
//! it, and joins the thread. A thin shell: everything decided is decided in [`run_batch`] and in the commands.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread::{self, JoinHandle};

use hearken_proto::time::UnixMillis;
use rand_core::CryptoRng;

use super::{Command, Store, StoreError, run_batch};

/// Commands that wait in front of the committer; [`StoreError::Busy`] beyond it. Some 20 MB of blobs at most.
pub const WRITE_QUEUE_MAX: usize = 8_192;
/// Commands of one group commit: 2.5 MB of blobs, so that a commit stays within some milliseconds of disk time.
pub const BATCH_MAX: usize = 1_024;

/// A handle to the writing thread. `T` is what the caller knows a command by.
pub struct Committer<T: Send + 'static, C: Command> {
    queue: Option<SyncSender<(T, C)>>,
    thread: Option<JoinHandle<()>>,
}

/// What a committer's thread runs with.
pub struct CommitterParts<Context, Clock, Rng, Deliver> {
    /// Where batches are committed.
    pub store: Arc<dyn Store>,
    /// What all commands share.
    pub context: Context,
    /// The time of each batch.
    pub clock: Clock,
    /// The randomness that commands draw.
    pub rng: Rng,
    /// Told of each outcome on the committer's thread: it must not block for long.
    pub deliver: Deliver,
}

impl<T: Send + 'static, C: Command> Committer<T, C> {
    /// Starts the thread.
    ///
    /// # Errors
    /// [`StoreError::Io`] where the system gives no thread.
    pub fn spawn<Clock, Rng, Deliver>(
        parts: CommitterParts<C::Context, Clock, Rng, Deliver>,
    ) -> Result<Self, StoreError>
    where
        Clock: FnMut() -> UnixMillis + Send + 'static,
        Rng: CryptoRng + Send + 'static,
        Deliver: FnMut(T, Result<C::Outcome, StoreError>) + Send + 'static,
    {
        let (queue, waiting) = sync_channel(WRITE_QUEUE_MAX);
        let thread = thread::Builder::new()
            .name("committer".to_owned())
            .spawn(move || run(&waiting, parts))
            .map_err(|error| StoreError::io("starting the committer", &error))?;
        Ok(Self { queue: Some(queue), thread: Some(thread) })
    }

    /// Queues a command.
    ///
    /// # Errors
    /// [`StoreError::Busy`] where the queue is full, [`StoreError::Stopped`] where the thread has ended; nothing will
    /// be delivered for it.
    pub fn submit(&self, ticket: T, command: C) -> Result<(), StoreError> {
        offer(self.queue.as_ref(), (ticket, command))
    }
}

impl<T: Send + 'static, C: Command> Drop for Committer<T, C> {
    fn drop(&mut self) {
        join(&mut self.queue, &mut self.thread);
    }
}

/// Queues `item` without waiting.
pub(super) fn offer<I>(queue: Option<&SyncSender<I>>, item: I) -> Result<(), StoreError> {
    queue.ok_or(StoreError::Stopped)?.try_send(item).map_err(|error| match error {
        TrySendError::Full(_) => StoreError::Busy,
        TrySendError::Disconnected(_) => StoreError::Stopped,
    })
}

/// Closes the queue, so that the thread ends when it is empty, and waits for that.
pub(super) fn join<I>(queue: &mut Option<SyncSender<I>>, thread: &mut Option<JoinHandle<()>>) {
    *queue = None;
    if let Some(thread) = thread.take() {
        // A panic on that thread was printed there; what it held is undelivered, so unacknowledged.
        let _ = thread.join();
    }
}

fn run<T, C, Clock, Rng, Deliver>(
    waiting: &Receiver<(T, C)>,
    mut parts: CommitterParts<C::Context, Clock, Rng, Deliver>,
) where
    C: Command,
    Clock: FnMut() -> UnixMillis,
    Rng: CryptoRng,
    Deliver: FnMut(T, Result<C::Outcome, StoreError>),
{
    while let Ok((ticket, command)) = waiting.recv() {
        let mut tickets = vec![ticket];
        let mut commands = vec![command];
        while commands.len() < BATCH_MAX
            && let Ok((ticket, command)) = waiting.try_recv()
        {
            tickets.push(ticket);
            commands.push(command);
        }
        let now = (parts.clock)();
        let outcomes = run_batch(&*parts.store, commands, &mut parts.context, now, &mut parts.rng);
        for (ticket, outcome) in tickets.into_iter().zip(outcomes) {
            (parts.deliver)(ticket, outcome);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{Receiver, channel};

    use rand_chacha::ChaCha20Rng;
    use rand_core::SeedableRng;

    use super::*;
    use crate::store::{MemoryStore, Space, Transaction};

    /// Counts, in a row, how many came before; waits first where it holds a gate.
    struct Count(Option<Receiver<()>>);

    impl Command for Count {
        type Outcome = u64;
        type Context = ();

        fn apply(
            self,
            tx: &mut Transaction<'_>,
            _context: &mut (),
            _now: UnixMillis,
            _rng: &mut dyn CryptoRng,
        ) -> Result<u64, StoreError> {
            if let Some(gate) = self.0 {
                gate.recv().unwrap();
            }
            let before = tx.read(Space::Rows, b"count")?;
            let before = before.map_or(0, |count| u64::from_be_bytes(count.try_into().unwrap()));
            tx.put(Space::Rows, b"count", (before + 1).to_be_bytes().to_vec());
            Ok(before)
        }
    }

    fn committer(
        store: &MemoryStore,
        deliver: impl FnMut(u64, Result<u64, StoreError>) + Send + 'static,
    ) -> Committer<u64, Count> {
        Committer::spawn(CommitterParts {
            store: Arc::new(store.clone()),
            context: (),
            clock: || UnixMillis(0),
            rng: ChaCha20Rng::seed_from_u64(1),
            deliver,
        })
        .unwrap()
    }

    #[test]
    fn outcomes_come_in_order_and_after_their_commit() {
        let store = MemoryStore::new();
        let (outcomes, delivered) = channel();
        let at_delivery = store.clone();
        let committer = committer(&store, move |ticket, outcome| {
            let committed = at_delivery.read(Space::Rows, b"count").unwrap().unwrap();
            let committed = u64::from_be_bytes(committed.try_into().unwrap());
            assert!(committed > ticket, "delivered before it was committed");
            outcomes.send((ticket, outcome.unwrap())).unwrap();
        });
        (0..3_000).for_each(|ticket| committer.submit(ticket, Count(None)).unwrap());
        drop(committer);
        let delivered: Vec<_> = delivered.iter().collect();
        assert_eq!(delivered, (0..3_000).map(|ticket| (ticket, ticket)).collect::<Vec<_>>());
        assert!(store.totals().commits < 3_000, "commands that wait share a commit");
    }

    #[test]
    fn a_full_queue_is_refused_and_what_was_accepted_is_done_at_the_end() {
        let store = MemoryStore::new();
        let (outcomes, delivered) = channel();
        let committer = committer(&store, move |ticket, outcome| {
            outcomes.send((ticket, outcome)).unwrap();
        });
        let (open_gate, gate) = channel();
        committer.submit(0, Count(Some(gate))).unwrap();
        let mut accepted = 1;
        let refusal = loop {
            match committer.submit(accepted, Count(None)) {
                Ok(()) => accepted += 1,
                Err(error) => break error,
            }
        };
        assert_eq!(refusal, StoreError::Busy);
        assert!(accepted <= (WRITE_QUEUE_MAX + BATCH_MAX) as u64);
        open_gate.send(()).unwrap();
        drop(committer);
        assert_eq!(delivered.iter().count() as u64, accepted);
    }

    #[test]
    fn a_failed_commit_is_delivered_to_each_of_its_commands_and_the_next_batch_works() {
        let store = MemoryStore::new();
        let (outcomes, delivered) = channel();
        let committer = committer(&store, move |ticket, outcome| {
            outcomes.send((ticket, outcome)).unwrap();
        });
        store.fail_commits(1, StoreError::Full);
        committer.submit(0, Count(None)).unwrap();
        assert_eq!(delivered.recv().unwrap(), (0, Err(StoreError::Full)));
        committer.submit(1, Count(None)).unwrap();
        assert_eq!(delivered.recv().unwrap(), (1, Ok(0)));
    }
}

//! The threads that read: `Get`, pushes and `ObjectGet`, against committed state, beside the committer.
//!
//! Guarantees: a bounded queue; each accepted query's outcome is delivered exactly once; dropping the [`Reader`] runs
//! what was accepted and joins its threads. Queries of one reader thread run in order; across threads they do not, so
//! whoever needs an order has one query due at a time.

use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};

use super::committer::{join, offer};
use super::{Store, StoreError};

/// Queries that wait in front of the readers; [`StoreError::Busy`] beyond it. A query holds no blob.
pub const READ_QUEUE_MAX: usize = 8_192;

/// A read command, made by the core and carried out by a reader.
pub trait Query: Send + 'static {
    /// What the core is told.
    type Outcome: Send + 'static;
    /// What all queries share beside the store: day keys.
    type Context: Clone + Send + 'static;

    /// Reads committed state.
    ///
    /// # Errors
    /// A failure of the store or of a day key.
    fn run(
        self,
        store: &dyn Store,
        context: &mut Self::Context,
    ) -> Result<Self::Outcome, StoreError>;
}

/// A handle to the reading threads. `T` is what the caller knows a query by.
pub struct Reader<T: Send + 'static, Q: Query> {
    queue: Option<SyncSender<(T, Q)>>,
    threads: Vec<Option<JoinHandle<()>>>,
}

impl<T: Send + 'static, Q: Query> Reader<T, Q> {
    /// Starts `threads` threads (at least one). `deliver` is told of each outcome on a reader's thread.
    ///
    /// # Errors
    /// [`StoreError::Io`] where the system gives no thread.
    pub fn spawn<Deliver>(
        threads: usize,
        store: &Arc<dyn Store>,
        context: &Q::Context,
        deliver: &Deliver,
    ) -> Result<Self, StoreError>
    where
        Deliver: Fn(T, Result<Q::Outcome, StoreError>) + Clone + Send + 'static,
    {
        let (queue, waiting) = sync_channel(READ_QUEUE_MAX);
        let waiting = Arc::new(Mutex::new(waiting));
        let mut reader = Self { queue: Some(queue), threads: Vec::new() };
        for _ in 0..threads.max(1) {
            let (waiting, store) = (Arc::clone(&waiting), Arc::clone(store));
            let (mut context, deliver) = (context.clone(), deliver.clone());
            let thread = thread::Builder::new()
                .name("reader".to_owned())
                .spawn(move || {
                    while let Some((ticket, query)) = next(&waiting) {
                        deliver(ticket, query.run(&*store, &mut context));
                    }
                })
                .map_err(|error| StoreError::io("starting a reader", &error))?;
            reader.threads.push(Some(thread));
        }
        Ok(reader)
    }

    /// Queues a query.
    ///
    /// # Errors
    /// [`StoreError::Busy`] where the queue is full, [`StoreError::Stopped`] where the threads have ended.
    pub fn submit(&self, ticket: T, query: Q) -> Result<(), StoreError> {
        offer(self.queue.as_ref(), (ticket, query))
    }
}

impl<T: Send + 'static, Q: Query> Drop for Reader<T, Q> {
    fn drop(&mut self) {
        for thread in &mut self.threads {
            join(&mut self.queue, thread);
        }
    }
}

/// Waits for the next query; one thread waits at the queue, the others for their turn at it.
fn next<I>(waiting: &Mutex<Receiver<I>>) -> Option<I> {
    waiting.lock().unwrap_or_else(PoisonError::into_inner).recv().ok()
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;

    use super::*;
    use crate::store::{Batch, MemoryStore, Space};

    struct Lookup(u8);

    impl Query for Lookup {
        type Outcome = Option<Vec<u8>>;
        type Context = ();

        fn run(self, store: &dyn Store, _context: &mut ()) -> Result<Self::Outcome, StoreError> {
            store.read(Space::Rows, &[self.0])
        }
    }

    #[test]
    fn each_accepted_query_is_answered_once_even_when_the_reader_is_dropped() {
        let store = MemoryStore::new();
        let mut batch = Batch::default();
        (0..100_u8).for_each(|key| batch.put(Space::Rows, vec![key], vec![key]));
        store.commit(batch).unwrap();
        let store: Arc<dyn Store> = Arc::new(store);
        let (outcomes, delivered) = channel();
        let deliver = move |ticket: u8, outcome| outcomes.send((ticket, outcome)).unwrap();
        let reader = Reader::spawn(3, &store, &(), &deliver).unwrap();
        (0..101).for_each(|key| reader.submit(key, Lookup(key)).unwrap());
        drop((reader, deliver));
        let mut answers: Vec<_> = delivered.iter().collect();
        answers.sort_by_key(|(ticket, _)| *ticket);
        let wanted = (0..101).map(|key| (key, Ok((key < 100).then(|| vec![key]))));
        assert_eq!(answers, wanted.collect::<Vec<_>>());
    }
}

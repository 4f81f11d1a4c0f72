//! A relay that can be told to lie: the real core behind real QUIC, with an operator who changes what it says.
//!
//! Everything is as in `hearken-relay` but for the store, which is in memory, and the four places where a dishonest
//! operator of another program could step in: the clock, what clients are told of mailboxes, the chunks of objects, and
//! the cells on the link. It is honest until told otherwise. Deliberately not here: forwarding to other relays.

mod lies;
mod serving;

use std::net::SocketAddr;
use std::sync::mpsc as blocking;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use anyhow::{Context, Result};
use hearken_relay::core::CoreConfig;
use tokio::sync::mpsc;

pub use lies::{Delivery, OnTheLink, Order as TellingOrder};

use lies::Lies;
use serving::{Order, Serving};

/// A relay in a thread of its own. Dropping it ends it.
#[derive(Debug)]
pub struct LyingRelay {
    address: String,
    listen: SocketAddr,
    lies: Arc<Mutex<Lies>>,
    orders: Option<mpsc::UnboundedSender<(Order, blocking::Sender<()>)>>,
    thread: Option<JoinHandle<()>>,
}

impl LyingRelay {
    /// An honest relay on a free port of 127.0.0.1, whose identity is made from `seed`.
    ///
    /// # Errors
    /// When it cannot listen.
    pub fn start(seed: u8) -> Result<Self> {
        Self::start_at(seed, SocketAddr::from(([127, 0, 0, 1], 0)), CoreConfig::default())
    }

    /// As [`LyingRelay::start`], where `listen` says and configured as `config` says, but with little proof of work.
    ///
    /// # Errors
    /// When it cannot listen.
    pub fn start_at(seed: u8, listen: SocketAddr, config: CoreConfig) -> Result<Self> {
        let config = CoreConfig { proof_of_work_bits: 4, ..config };
        let lies = Arc::new(Mutex::new(Lies::default()));
        let (orders, taken) = mpsc::unbounded_channel();
        let (ready, started) = blocking::channel();
        let thread = std::thread::spawn({
            let lies = Arc::clone(&lies);
            move || {
                let runtime = tokio::runtime::Builder::new_multi_thread()
                    .worker_threads(1)
                    .enable_all()
                    .build();
                let Ok(runtime) = runtime else { return };
                runtime.block_on(async move {
                    match Serving::start(seed, listen, config, lies) {
                        Ok((serving, address, listen)) => {
                            // Whoever started it waits.
                            let _ = ready.send(Ok((address, listen)));
                            serving.run(taken).await;
                        }
                        Err(error) => drop(ready.send(Err(error))),
                    }
                });
                runtime.shutdown_background();
            }
        });
        let (address, listen) = started.recv().context("the relay's thread ended")??;
        Ok(Self { address, listen, lies, orders: Some(orders), thread: Some(thread) })
    }

    /// Its address.
    #[must_use]
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Where it listens.
    #[must_use]
    pub fn listen(&self) -> SocketAddr {
        self.listen
    }

    /// It is started again over what it has stored, and from here on its clock is so many minutes ahead of the right one,
    /// or behind.
    pub fn set_clock(&self, minutes_ahead: i64) {
        self.lies().minutes_ahead = minutes_ahead;
        self.order(Order::Restart);
    }

    /// What becomes of the next blobs that readers have not been told of yet, in their order; those after them are
    /// told as they are. What was said of a blob is kept to.
    pub fn deliver(&self, deliveries: impl IntoIterator<Item = Delivery>) {
        self.lies().deliveries = deliveries.into_iter().collect();
    }

    /// How many of the last [`LyingRelay::deliver`] have not been reached.
    #[must_use]
    pub fn deliveries_left(&self) -> usize {
        self.lies().deliveries.len()
    }

    /// What was withheld is told from here on.
    pub fn give_back(&self) {
        self.lies().give_back();
        self.order(Order::Look);
    }

    /// Whoever begins to watch is told that the newest blob is at the highest position that there is.
    pub fn promise_more_than_there_is(&self, promise: bool) {
        self.lies().promises_more = promise;
    }

    /// Whether the chunks of objects, so the cards of invitations, are others than were put there.
    pub fn swap_cards(&self, swap: bool) {
        self.lies().swaps_cards = swap;
    }

    /// In which order, and how often, readers are told of blobs from here on.
    pub fn tell_in(&self, order: TellingOrder) {
        self.lies().order = order;
    }

    /// From here on readers of objects are given so many chunks instead of those they asked for.
    pub fn answer_with_chunks(&self, count: Option<usize>) {
        self.lies().chunks = count;
    }

    /// From here on so many cells more than were asked for are sealed as each answer of the store's, or fewer. Those that
    /// are too many say that nothing is there.
    pub fn answer_with_cells_added(&self, added: i32) {
        self.lies().cells_added = added;
    }

    /// What becomes of the next sealed cells that it sends to anybody, in their order.
    pub fn on_the_link(&self, cells: impl IntoIterator<Item = OnTheLink>) {
        self.lies().cells = cells.into_iter().collect();
    }

    /// How many of the last [`LyingRelay::on_the_link`] have not been reached.
    #[must_use]
    pub fn cells_left(&self) -> usize {
        self.lies().cells.len()
    }

    /// Loses every mailbox and object, and all links; its keys stay.
    pub fn forget_everything(&self) {
        self.order(Order::Forget);
    }

    fn lies(&self) -> MutexGuard<'_, Lies> {
        self.lies.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Gives an order and waits until it is carried out.
    fn order(&self, order: Order) {
        let (done, carried_out) = blocking::channel();
        if let Some(orders) = &self.orders
            && orders.send((order, done)).is_ok()
        {
            let _ = carried_out.recv();
        }
    }
}

impl Drop for LyingRelay {
    fn drop(&mut self) {
        drop(self.orders.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

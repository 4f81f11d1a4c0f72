//! Relays that are killed at random moments and started again, until the chaos ends.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rand_chacha::ChaCha20Rng;
use rand_core::{Rng, SeedableRng};

use crate::programs::Relay;

/// Kills relays in the background.
#[derive(Debug)]
pub struct Chaos {
    relays: Arc<Mutex<Vec<Relay>>>,
    stop: Arc<AtomicBool>,
    kills: Arc<AtomicU32>,
    starts: Arc<Mutex<Vec<Duration>>>,
    thread: Option<JoinHandle<()>>,
}

impl Chaos {
    /// Begins to kill one of `relays` every fifth of a second to a second and to start it again.
    #[must_use]
    pub fn begin(relays: Vec<Relay>, seed: u64) -> Self {
        let relays = Arc::new(Mutex::new(relays));
        let stop = Arc::new(AtomicBool::new(false));
        let kills = Arc::new(AtomicU32::new(0));
        let starts = Arc::new(Mutex::new(Vec::new()));
        let thread = std::thread::spawn({
            let (relays, stop, kills) =
                (Arc::clone(&relays), Arc::clone(&stop), Arc::clone(&kills));
            let starts = Arc::clone(&starts);
            move || {
                let mut rng = ChaCha20Rng::seed_from_u64(seed);
                while !stop.load(Ordering::Relaxed) {
                    std::thread::sleep(Duration::from_millis(200 + rng.next_u64() % 800));
                    let mut relays = relays.lock().unwrap_or_else(PoisonError::into_inner);
                    let victim = usize::try_from(rng.next_u64() % relays.len() as u64).unwrap_or(0);
                    relays[victim].kill();
                    kills.fetch_add(1, Ordering::Relaxed);
                    let begun = Instant::now();
                    // A relay that does not come back makes the test fail where it needs it.
                    if let Err(error) = relays[victim].restart() {
                        unreachable!("a killed relay does not start again: {error:#}");
                    }
                    let mut starts = starts.lock().unwrap_or_else(PoisonError::into_inner);
                    starts.push(begun.elapsed());
                }
            }
        });
        Self { relays, stop, kills, starts, thread: Some(thread) }
    }

    /// How often a relay was killed so far.
    #[must_use]
    pub fn kills(&self) -> u64 {
        self.kills.load(Ordering::Relaxed).into()
    }

    /// As [`Chaos::end`], and says how long each start after a kill took until the relay served.
    #[must_use]
    pub fn end_with_starts(self) -> (Vec<Relay>, Vec<Duration>) {
        let starts = Arc::clone(&self.starts);
        let (relays, _) = self.end();
        let starts = std::mem::take(&mut *starts.lock().unwrap_or_else(PoisonError::into_inner));
        (relays, starts)
    }

    /// Ends the killing: every relay is up. Gives the relays back and says how often one was killed.
    #[must_use]
    pub fn end(mut self) -> (Vec<Relay>, u32) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            unreachable!("the chaos ended badly");
        }
        let relays =
            std::mem::take(&mut *self.relays.lock().unwrap_or_else(PoisonError::into_inner));
        (relays, self.kills.load(Ordering::Relaxed))
    }
}

impl Drop for Chaos {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

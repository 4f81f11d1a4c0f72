//! Every state of a folder's files that could be seen while others wrote to them: journals and temporary files too.

use std::collections::HashSet;
use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use super::{Place, folder};

/// Between two looks.
const LOOK_EVERY: Duration = Duration::from_millis(3);

/// Looks at folders again and again from another thread, and keeps each version of each file once.
#[derive(Debug)]
pub struct Watch {
    seen: Arc<Mutex<Vec<Place>>>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Watch {
    /// Begins to look at these folders, which need not be there yet.
    #[must_use]
    pub fn of(folders: Vec<PathBuf>) -> Self {
        let seen = Arc::new(Mutex::new(Vec::new()));
        let stop = Arc::new(AtomicBool::new(false));
        let thread = std::thread::spawn({
            let (seen, stop) = (Arc::clone(&seen), Arc::clone(&stop));
            move || {
                let mut known = HashSet::new();
                while !stop.load(Ordering::Relaxed) {
                    for place in folders.iter().filter_map(|path| folder(path).ok()).flatten() {
                        let mut hasher = DefaultHasher::new();
                        (&place.name, &place.bytes).hash(&mut hasher);
                        if known.insert(hasher.finish()) {
                            seen.lock().unwrap_or_else(PoisonError::into_inner).push(place);
                        }
                    }
                    std::thread::sleep(LOOK_EVERY);
                }
            }
        });
        Self { seen, stop, thread: Some(thread) }
    }

    /// What was seen so far.
    #[must_use]
    pub fn seen(&self) -> Vec<Place> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

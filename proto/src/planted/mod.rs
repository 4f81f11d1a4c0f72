//! Faults that a test plants to show that its proof would find them.
//!
//! Exists only in builds with `--cfg hearken_planted`, which `tests/planted/run` makes; no product is built so. A place
//! where a fault can be planted asks [`is`] for its name. Nothing is planted unless a test says so: for its own thread by
//! [`with`], for all threads by [`everywhere`], for a process it starts by the environment variable `HEARKEN_PLANTED`.

use std::cell::Cell;
use std::sync::{Mutex, OnceLock, PoisonError};

pub mod await_points;

static EVERYWHERE: Mutex<Option<&'static str>> = Mutex::new(None);

thread_local! {
    static HERE: Cell<Option<&'static str>> = const { Cell::new(None) };
}

/// Whether the fault called `name` is planted in this thread or process.
#[must_use]
pub fn is(name: &str) -> bool {
    static PROCESS: OnceLock<Option<String>> = OnceLock::new();
    HERE.get() == Some(name)
        || *EVERYWHERE.lock().unwrap_or_else(PoisonError::into_inner) == Some(name)
        || PROCESS.get_or_init(|| std::env::var("HEARKEN_PLANTED").ok()).as_deref() == Some(name)
}

/// Runs `run` with the fault called `name` planted in this thread.
pub fn with<T>(name: &'static str, run: impl FnOnce() -> T) -> T {
    struct Uproot(Option<&'static str>);
    impl Drop for Uproot {
        fn drop(&mut self) {
            HERE.set(self.0);
        }
    }
    let _uproot = Uproot(HERE.replace(Some(name)));
    run()
}

/// Has the fault called `name` planted in all threads of this process until the value is dropped. One at a time.
#[must_use]
pub fn everywhere(name: &'static str) -> Everywhere {
    *EVERYWHERE.lock().unwrap_or_else(PoisonError::into_inner) = Some(name);
    Everywhere(())
}

/// See [`everywhere`].
#[derive(Debug)]
pub struct Everywhere(());

impl Drop for Everywhere {
    fn drop(&mut self) {
        *EVERYWHERE.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

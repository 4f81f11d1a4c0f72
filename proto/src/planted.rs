//! Faults that a test plants to show that its proof would find them.
//!
//! Exists only in builds with `--cfg hearken_planted`, which `tests/planted/run` makes; no product is built so. A place
//! where a fault can be planted asks [`is`] for its name. Nothing is planted unless a test says so: for its own thread by
//! [`with`], for a process it starts by the environment variable `HEARKEN_PLANTED`.

use std::cell::Cell;
use std::sync::OnceLock;

thread_local! {
    static HERE: Cell<Option<&'static str>> = const { Cell::new(None) };
}

/// Whether the fault called `name` is planted in this thread or process.
#[must_use]
pub fn is(name: &str) -> bool {
    static PROCESS: OnceLock<Option<String>> = OnceLock::new();
    HERE.get() == Some(name)
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

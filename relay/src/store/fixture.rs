//! An engine as tests need it: made empty, ended in good order or by a power cut, and opened again.

use super::{MemoryStore, Store};

/// An engine that can be restarted.
pub(crate) trait Fixture {
    fn new() -> Self;
    fn store(&self) -> &dyn Store;
    /// Closes and opens again.
    fn restart(&mut self);
    /// Power cut: opens what is on disk without closing first.
    fn crash(&mut self);
}

impl Fixture for MemoryStore {
    fn new() -> Self {
        Self::new()
    }

    fn store(&self) -> &dyn Store {
        self
    }

    fn restart(&mut self) {
        *self = self.snapshot();
    }

    fn crash(&mut self) {
        *self = MemoryStore::crash(self);
    }
}

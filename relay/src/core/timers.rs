//! Deadlines in the order in which they fall due. Each is set once and taken back when what it watched has ended.

use std::collections::BTreeSet;

use super::clock::Moment;

/// A set of deadlines, each with what it is for.
#[derive(Debug)]
pub(super) struct Timers<T> {
    due: BTreeSet<(Moment, T)>,
}

impl<T: Ord + Copy> Timers<T> {
    pub(super) fn new() -> Self {
        Self { due: BTreeSet::new() }
    }

    pub(super) fn set(&mut self, at: Moment, what: T) {
        self.due.insert((at, what));
    }

    pub(super) fn cancel(&mut self, at: Moment, what: T) {
        self.due.remove(&(at, what));
    }

    /// Takes one deadline that has passed.
    pub(super) fn pop(&mut self, now: Moment) -> Option<T> {
        let first = *self.due.first()?;
        (first.0 <= now).then(|| {
            self.due.remove(&first);
            first.1
        })
    }

    pub(super) fn next(&self) -> Option<Moment> {
        self.due.first().map(|(at, _)| *at)
    }

    pub(super) fn len(&self) -> usize {
        self.due.len()
    }
}

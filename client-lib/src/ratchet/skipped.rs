//! Keys of messages that were passed over, kept for a while in case they come late.
//!
//! Of one chain the newest 256 are kept, each until 22 days after the day on which it was passed over: a day more
//! than a relay keeps a blob.

use std::collections::BTreeMap;

use hearken_proto::time::UnixDay;

use super::chain_key::SKIPPED_PER_CHAIN_MAX;
use super::message_key::PartialKey;

/// Days that a key passed over is kept.
pub const SKIPPED_DAYS_MAX: u32 = hearken_proto::limits::SKIPPED_DAYS_MAX;

/// The keys passed over of one chain.
#[derive(Debug, Default)]
pub(crate) struct SkippedKeys(BTreeMap<u32, (UnixDay, PartialKey)>);

impl SkippedKeys {
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The key of a number, if it was passed over and is kept.
    pub(crate) fn key(&self, number: u32) -> Option<&PartialKey> {
        self.0.get(&number).map(|(_, key)| key)
    }

    /// Keeps keys passed over on `day`, of all then the newest 256.
    pub(crate) fn keep(&mut self, passed: Vec<(u32, PartialKey)>, day: UnixDay) {
        for (number, key) in passed {
            self.insert(number, day, key);
        }
        while self.0.len() > SKIPPED_PER_CHAIN_MAX {
            self.drop_oldest();
        }
    }

    pub(crate) fn insert(&mut self, number: u32, day: UnixDay, key: PartialKey) {
        self.0.insert(number, (day, key));
    }

    /// Erases the key with the lowest number.
    pub(crate) fn drop_oldest(&mut self) {
        drop(self.0.pop_first());
    }

    /// Erases a key that served.
    pub(crate) fn remove(&mut self, number: u32) {
        drop(self.0.remove(&number));
    }

    /// Erases what was kept long enough. A day in the future, from a clock that was wrong, counts as today: else its
    /// keys would be kept for ever.
    pub(crate) fn expire(&mut self, today: UnixDay) {
        self.0.retain(|_, (day, _)| {
            *day = (*day).min(today);
            today.0 - day.0 <= SKIPPED_DAYS_MAX
        });
    }

    /// Number, day and key of each, in the order of numbers.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (u32, UnixDay, &PartialKey)> {
        self.0.iter().map(|(number, (day, key))| (*number, *day, key))
    }
}

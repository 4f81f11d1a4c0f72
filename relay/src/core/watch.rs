//! What a session that watches has been pushed, and what may be pushed next: 16 blobs beyond the last acknowledged one.

use std::collections::VecDeque;

use hearken_proto::limits::WATCH_WINDOW;

use super::action::Ticket;

/// A session's watch. One a session; another `Watch` begins it anew.
pub(super) struct Watch {
    /// The last position pushed, or where to begin.
    cursor: u64,
    /// Positions pushed and not acknowledged.
    unacknowledged: VecDeque<u64>,
    /// The read under way.
    reading: Option<Ticket>,
    /// There may be something beyond the cursor.
    more: bool,
    /// `Watching` was answered.
    is_started: bool,
    /// Stands in the line of watches to be looked at.
    pub(super) is_queued: bool,
}

impl Watch {
    pub(super) fn new(after: u64) -> Self {
        Self {
            cursor: after,
            unacknowledged: VecDeque::new(),
            reading: None,
            more: true,
            is_started: false,
            is_queued: false,
        }
    }

    pub(super) fn start(&mut self) {
        self.is_started = true;
    }

    /// There is something new in the mailbox.
    pub(super) fn notice(&mut self) {
        self.more = true;
    }

    /// What to read next: after which position, and how many. `None` while a read is under way, nothing is there, or
    /// the window is used up.
    pub(super) fn wants(&self) -> Option<(u64, u32)> {
        let used = u32::try_from(self.unacknowledged.len()).unwrap_or(u32::MAX);
        let window = WATCH_WINDOW.saturating_sub(used);
        let ready = self.is_started && self.more && self.reading.is_none() && window > 0;
        ready.then_some((self.cursor, window))
    }

    /// A read is under way. What comes while it is, is noticed anew.
    pub(super) fn begin(&mut self, ticket: Ticket) {
        self.reading = Some(ticket);
        self.more = false;
    }

    /// A read is answered. `false` where it belongs to an earlier watch of this session.
    pub(super) fn end(&mut self, ticket: Ticket) -> bool {
        self.reading.take_if(|reading| *reading == ticket).is_some()
    }

    /// A blob is pushed.
    pub(super) fn push(&mut self, position: u64) {
        self.cursor = self.cursor.max(position);
        self.unacknowledged.push_back(position);
        // Where this fills the window there may be more behind it.
        self.more |= self.unacknowledged.len() >= WATCH_WINDOW as usize;
    }

    /// A blob was stored at `position`, the one before it at `after`. Whether it is pushed as the next one: everything
    /// before it was, no read is under way, and the window has room.
    pub(super) fn follow(&mut self, after: u64, position: u64) -> bool {
        let window = self.unacknowledged.len() < WATCH_WINDOW as usize;
        let is_next = self.cursor >= after && self.cursor < position;
        if !self.is_started || self.reading.is_some() || !window || !is_next {
            return false;
        }
        self.cursor = position;
        self.unacknowledged.push_back(position);
        // What was noticed before lies before it; what comes behind it is noticed when it comes.
        self.more = false;
        true
    }

    /// The reader has stored everything up to `cursor`.
    pub(super) fn acknowledge(&mut self, cursor: u64) {
        while self.unacknowledged.front().is_some_and(|position| *position <= cursor) {
            self.unacknowledged.pop_front();
        }
        self.cursor = self.cursor.max(cursor);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use super::*;

    #[test]
    fn no_more_than_sixteen_are_pushed_beyond_the_last_acknowledged() {
        let mut watch = Watch::new(10);
        assert_eq!(watch.wants(), None, "before Watching was answered");
        watch.start();
        assert_eq!(watch.wants(), Some((10, 16)));
        watch.begin(Ticket(1));
        assert_eq!(watch.wants(), None, "one read at a time");
        assert!(watch.end(Ticket(1)));
        (11..=26).for_each(|position| watch.push(position));
        assert_eq!(watch.wants(), None, "the window is used up");
        watch.acknowledge(13);
        assert_eq!(watch.wants(), Some((26, 3)));
    }

    #[test]
    fn a_stored_blob_is_pushed_at_once_only_where_everything_before_it_was() {
        let mut watch = Watch::new(10);
        assert!(!watch.follow(10, 11), "before Watching was answered");
        watch.start();
        assert!(!watch.follow(11, 12), "11 has to be read first");
        watch.begin(Ticket(1));
        assert!(!watch.follow(10, 11), "it may be in the read under way");
        watch.push(11);
        assert!(watch.end(Ticket(1)));
        assert!(!watch.follow(10, 11), "pushed already");
        assert!(watch.follow(11, 12) && watch.follow(12, 1 << 48));
        assert_eq!(watch.wants(), None);
        (1..14).for_each(|next| assert!(watch.follow((1 << 48) + next - 1, (1 << 48) + next)));
        assert!(!watch.follow((1 << 48) + 13, (1 << 48) + 14), "the window is used up");
        watch.notice();
        watch.acknowledge(12);
        assert_eq!(watch.wants(), Some(((1 << 48) + 13, 2)));
    }

    #[test]
    fn a_blob_that_comes_during_a_read_is_not_missed() {
        let mut watch = Watch::new(0);
        watch.start();
        watch.begin(Ticket(1));
        watch.notice();
        assert!(watch.end(Ticket(1)));
        assert_eq!(watch.wants(), Some((0, 16)));
        watch.begin(Ticket(2));
        assert!(!watch.end(Ticket(1)), "an answer to an earlier read");
        assert!(watch.end(Ticket(2)));
        assert_eq!(watch.wants(), None);
    }
}

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
    /// The read under way, and how many blobs it asks for.
    reading: Option<(Ticket, u32)>,
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

    /// A read of at most `max` blobs is under way. What comes while it is, is noticed anew.
    pub(super) fn begin(&mut self, ticket: Ticket, max: u32) {
        self.reading = Some((ticket, max));
        self.more = false;
    }

    /// A read has found `found` blobs. `false` where it belongs to an earlier watch of this session.
    pub(super) fn end(&mut self, ticket: Ticket, found: usize) -> bool {
        let Some((_, max)) = self.reading.take_if(|(reading, _)| *reading == ticket) else {
            return false;
        };
        // Behind as many as were asked for there may be more; how many of the window are acknowledged by now says nothing
        // of that.
        self.more |= found >= max as usize;
        true
    }

    /// A blob is pushed.
    pub(super) fn push(&mut self, position: u64) {
        self.cursor = self.cursor.max(position);
        self.unacknowledged.push_back(position);
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

    /// The reader of a feed has stored everything up to `cursor`. It moves the window alone, since nothing was unlinked:
    /// what was not pushed yet still is, whatever the reader says.
    pub(super) fn confirm(&mut self, cursor: u64) {
        while self.unacknowledged.front().is_some_and(|position| *position <= cursor) {
            self.unacknowledged.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn no_more_than_sixteen_are_pushed_beyond_the_last_acknowledged() {
        let mut watch = Watch::new(10);
        assert_eq!(watch.wants(), None, "before Watching was answered");
        watch.start();
        assert_eq!(watch.wants(), Some((10, 16)));
        watch.begin(Ticket(1), 16);
        assert_eq!(watch.wants(), None, "one read at a time");
        assert!(watch.end(Ticket(1), 16));
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
        watch.begin(Ticket(1), 16);
        assert!(!watch.follow(10, 11), "it may be in the read under way");
        assert!(watch.end(Ticket(1), 1));
        watch.push(11);
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
        watch.begin(Ticket(1), 16);
        watch.notice();
        assert!(watch.end(Ticket(1), 0));
        assert_eq!(watch.wants(), Some((0, 16)));
        watch.begin(Ticket(2), 16);
        assert!(!watch.end(Ticket(1), 16), "an answer to an earlier read");
        assert!(watch.end(Ticket(2), 0));
        assert_eq!(watch.wants(), None);
    }

    #[test]
    fn what_lies_behind_a_read_is_read_though_the_window_was_acknowledged_meanwhile() {
        let mut watch = Watch::new(0);
        watch.start();
        watch.begin(Ticket(1), 16);
        assert!(watch.end(Ticket(1), 16));
        (1..=16).for_each(|position| watch.push(position));
        watch.acknowledge(8);
        assert_eq!(watch.wants(), Some((16, 8)));
        watch.begin(Ticket(2), 8);
        watch.acknowledge(16);
        assert!(watch.end(Ticket(2), 8));
        (17..=24).for_each(|position| watch.push(position));
        assert_eq!(watch.wants(), Some((24, 8)));
        watch.begin(Ticket(3), 8);
        assert!(watch.end(Ticket(3), 7), "fewer than asked for: those were the last");
        (25..=31).for_each(|position| watch.push(position));
        watch.acknowledge(31);
        assert_eq!(watch.wants(), None);
    }

    /// What may happen next between a mailbox, its relay and whoever watches it.
    #[derive(Clone, Copy, Debug)]
    enum Step {
        /// A blob is stored; the relay still has it in hand, or not.
        Stored { in_hand: bool },
        /// The relay looks whether to read.
        Looked,
        /// The read under way finds what was there when it began.
        Found,
        /// The reader acknowledges so many of what it was pushed.
        Acknowledged(u8),
    }

    /// A mailbox with positions from 1 on, and its watch.
    struct Mailbox {
        watch: Watch,
        newest: u64,
        reading: Option<Vec<u64>>,
        pushed: Vec<u64>,
        acknowledged: u64,
    }

    impl Mailbox {
        fn take(&mut self, step: Step) {
            match step {
                Step::Stored { in_hand } => {
                    self.newest += 1;
                    if in_hand && self.watch.follow(self.newest - 1, self.newest) {
                        self.pushed.push(self.newest);
                    } else {
                        self.watch.notice();
                    }
                }
                Step::Looked => {
                    if let Some((after, max)) = self.watch.wants() {
                        self.watch.begin(Ticket(1), max);
                        let end = self.newest.min(after + u64::from(max));
                        self.reading = Some((after + 1..=end).collect());
                    }
                }
                Step::Found => {
                    if let Some(found) = self.reading.take() {
                        assert!(self.watch.end(Ticket(1), found.len()));
                        found.iter().for_each(|position| self.watch.push(*position));
                        self.pushed.extend(found);
                    }
                }
                Step::Acknowledged(count) => {
                    let last = self.pushed.last().copied().unwrap_or_default();
                    self.acknowledged = last.min(self.acknowledged + u64::from(count));
                    self.watch.acknowledge(self.acknowledged);
                }
            }
        }
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            4 => any::<bool>().prop_map(|in_hand| Step::Stored { in_hand }),
            1 => Just(Step::Looked),
            1 => Just(Step::Found),
            1 => (0..17_u8).prop_map(Step::Acknowledged),
        ]
    }

    proptest! {
        #[test]
        fn whatever_the_order_every_blob_is_pushed_once_and_in_order(
            steps in proptest::collection::vec(step(), 0..200),
        ) {
            let (mut watch, pushed) = (Watch::new(0), Vec::new());
            watch.start();
            let mut mailbox = Mailbox { watch, newest: 0, reading: None, pushed, acknowledged: 0 };
            for step in steps {
                mailbox.take(step);
                assert!(mailbox.watch.unacknowledged.len() <= WATCH_WINDOW as usize);
            }
            // Nothing more is stored, and the reader keeps reading.
            mailbox.take(Step::Found);
            mailbox.take(Step::Acknowledged(16));
            while mailbox.watch.wants().is_some() {
                mailbox.take(Step::Looked);
                mailbox.take(Step::Found);
                mailbox.take(Step::Acknowledged(16));
            }
            assert!(mailbox.pushed.iter().copied().eq(1..=mailbox.newest), "{:?}", mailbox.pushed);
        }
    }
}

//! What is due by the hour: day keys and spaces of days that are over, mailboxes without a reader, feeds
//! without entries, objects.
//!
//! Guarantees: a day's key is destroyed within the hour after the day, at a start too; what fails is asked for again an
//! hour later.

use hearken_proto::limits::{BLOB_TTL_DAYS, FEED_CASE_ENTRY_DAYS};
use hearken_proto::time::{UnixDay, UnixHour, UnixMillis};

use super::action::Action;
use super::base::Base;
use super::command::{Write, WriteCommand};
use super::last_hop::{LastHop, Now, Pending};
use super::outcomes::Swept;

/// The hour that was seen to.
#[derive(Default)]
pub(super) struct Housekeeping {
    done: Option<UnixHour>,
    is_sweeping: bool,
}

impl Housekeeping {
    pub(super) fn handle_timeout(&mut self, base: &mut Base, last_hop: &mut LastHop, now: Now) {
        let hour = now.wall.hour();
        if self.done == Some(hour) {
            return;
        }
        self.done = Some(hour);
        let today = hour.day();
        base.actions.push_back(Action::DropDaysBefore(today));
        // Mailboxes put blobs into today's last day only; the days before it have had their last.
        let filling = UnixDay(today.0.saturating_add(BLOB_TTL_DAYS));
        base.actions.push_back(Action::FlushDays(UnixDay(0)..filling));
        // Entries of cases go into a day far behind; of those between, objects reach the first.
        let between = UnixDay(filling.0.saturating_add(2));
        let filling = UnixDay(today.0.saturating_add(FEED_CASE_ENTRY_DAYS));
        base.actions.push_back(Action::FlushDays(between..filling));
        if !self.is_sweeping {
            self.sweep(base, last_hop);
        }
    }

    pub(super) fn handle_swept(&mut self, base: &mut Base, last_hop: &mut LastHop, swept: Swept) {
        match swept {
            Swept::More => self.sweep(base, last_hop),
            Swept::Enough => self.is_sweeping = false,
        }
    }

    pub(super) fn next_timeout(&self) -> Option<UnixMillis> {
        self.done.map(|hour| UnixHour(hour.0.saturating_add(1)).start())
    }

    fn sweep(&mut self, base: &mut Base, last_hop: &mut LastHop) {
        self.is_sweeping = true;
        let ticket = last_hop.ticket(Pending::Sweep);
        base.actions.push_back(Action::Write(ticket, WriteCommand(Write::Sweep)));
    }
}

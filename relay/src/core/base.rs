//! What both roles of a relay, the last hop and the entry, stand on: links, timers, keys, and what goes to the shell.

use std::collections::VecDeque;
use std::sync::Arc;

use hearken_proto::cell::{Cell, CloseReason};
use hearken_proto::ids::Fingerprint;
use hearken_proto::wire::SignedRelayInfo;

use super::action::{Action, DialId, LinkId};
use super::clock::{Clock, Moment};
use super::config::CoreConfig;
use super::epoch_keys::EpochKeys;
use super::links::{Control, Links, RouteKey, Stall};
use super::timers::Timers;
use super::totals::Totals;

/// What a deadline is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Timer {
    /// A session proves a key, reads on, or rolls over.
    Session(RouteKey),
    /// A forwarded OPEN is answered.
    HalfOpen(RouteKey),
    /// A dial is answered.
    Dial(DialId),
    /// A peer answers an INFO.
    PeerInfo(LinkId),
    /// A peer link without a route is closed.
    PeerIdle(LinkId),
    /// A link takes a cell.
    Stalled(LinkId),
}

/// The common ground.
pub(super) struct Base {
    pub(super) config: CoreConfig,
    pub(super) fingerprint: Fingerprint,
    pub(super) keys: EpochKeys,
    pub(super) clock: Clock,
    pub(super) links: Links,
    pub(super) timers: Timers<Timer>,
    pub(super) actions: VecDeque<Action>,
    pub(super) totals: Totals,
    pub(super) has_room: bool,
}

impl Base {
    /// Sends a CLOSE.
    pub(super) fn send_close(&mut self, key: RouteKey, reason: CloseReason, now: Moment) {
        self.send(key.link, Control::Close(key.route, reason), now);
    }

    /// Sends a cell in front of those of routes.
    pub(super) fn send_cell(&mut self, link: LinkId, cell: Cell, now: Moment) {
        self.send(link, Control::Cell(cell), now);
    }

    /// Answers an INFO.
    pub(super) fn send_info(&mut self, key: RouteKey, info: Arc<SignedRelayInfo>, now: Moment) {
        self.send(key.link, Control::Info(key.route, info), now);
    }

    /// `count` more cells of routes wait for a link.
    pub(super) fn wait(&mut self, link: LinkId, count: usize, now: Moment) {
        let timer = self.links.wait(link, count, now);
        self.set_stall_timer(link, timer);
    }

    /// Forgets a link in the carrier's sense; its routes are the roles' to end.
    pub(super) fn remove_link(&mut self, link: LinkId) -> bool {
        let Some(timer) = self.links.remove(link) else { return false };
        if let Some(at) = timer {
            self.timers.cancel(at, Timer::Stalled(link));
        }
        true
    }

    /// Whether a link whose stall timer has passed takes nothing.
    pub(super) fn is_stalled(&mut self, link: LinkId, now: Moment) -> bool {
        match self.links.handle_stall_timer(link, now) {
            Stall::Stalled => true,
            Stall::Over => false,
            Stall::Later(at) => {
                self.timers.set(at, Timer::Stalled(link));
                false
            }
        }
    }

    fn send(&mut self, link: LinkId, control: Control, now: Moment) {
        let timer = self.links.control(link, control, now);
        self.set_stall_timer(link, timer);
    }

    fn set_stall_timer(&mut self, link: LinkId, timer: Option<Moment>) {
        if let Some(at) = timer {
            self.timers.set(at, Timer::Stalled(link));
        }
    }
}

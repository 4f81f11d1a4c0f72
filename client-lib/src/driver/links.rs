//! The links of a client, a task each: dialled, fed and ended as the engine says.

use std::collections::HashMap;
use std::time::Duration;

use hearken_proto::address::{HostPort, RelayAddress};
use hearken_proto::cell::Cell;
use hearken_proto::ids::Fingerprint;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use crate::carrier::{self, CarrierEvent};
use crate::route::{LinkFailure, LinkId};

/// Cells that wait for a link: what some 240 sessions may have due. A link that falls behind further is dialled anew.
const LINK_QUEUE_CELLS: usize = 4_096;
/// How long what was said last may take to go out when a client ends.
const FAREWELL: Duration = Duration::from_secs(2);

/// What a link tells.
pub(super) enum LinkEvent {
    Connected(LinkId),
    Cell(LinkId, Cell),
    Closed(LinkId, LinkFailure),
}

/// What is heard of links in one turn, at most.
const EVENTS_MAX: usize = 64;

/// The links of one engine, that are there or being dialled, and what they tell. Each engine has links of its own, since
/// it names them anew: what an earlier one's tell is never taken for them. Dropping this ends them.
pub(super) struct Links {
    queues: HashMap<LinkId, mpsc::Sender<Cell>>,
    tasks: JoinSet<()>,
    events: mpsc::Sender<LinkEvent>,
    heard: mpsc::Receiver<LinkEvent>,
    /// A relay in this process, and where this process reaches it.
    beside: Option<(Fingerprint, HostPort)>,
}

impl Links {
    /// No link yet.
    pub(super) fn new() -> Self {
        let (events, heard) = mpsc::channel(EVENTS_MAX);
        Self { queues: HashMap::new(), tasks: JoinSet::new(), events, heard, beside: None }
    }

    /// Those of another engine of this process: none yet.
    pub(super) fn anew(&self) -> Self {
        Self { beside: self.beside.clone(), ..Self::new() }
    }

    /// What a link tells next. Safe to cancel.
    pub(super) async fn heard(&mut self) -> Option<LinkEvent> {
        self.heard.recv().await
    }

    /// What a link has told already.
    pub(super) fn heard_already(&mut self) -> Option<LinkEvent> {
        self.heard.try_recv().ok()
    }

    /// From here on `relay` is dialled at `place`, whatever its address says.
    pub(super) fn set_beside(&mut self, relay: Fingerprint, place: HostPort) {
        self.beside = Some((relay, place));
    }

    pub(super) fn connect(&mut self, link: LinkId, address: RelayAddress) {
        // Those that have ended are of no more use.
        while self.tasks.try_join_next().is_some() {}
        let (queue, outgoing) = mpsc::channel(LINK_QUEUE_CELLS);
        let events = self.events.clone();
        let address = self.reach(address);
        self.queues.insert(link, queue);
        self.tasks.spawn(async move {
            carrier::carry(&address, outgoing, events, |event| match event {
                CarrierEvent::Connected => LinkEvent::Connected(link),
                CarrierEvent::Cell(cell) => LinkEvent::Cell(link, cell),
                CarrierEvent::Ended(why) => LinkEvent::Closed(link, why),
            })
            .await;
        });
    }

    /// A relay in this process is reached where it listens: its public name may not lead back here.
    fn reach(&self, address: RelayAddress) -> RelayAddress {
        match &self.beside {
            Some((relay, place)) if *relay == address.fingerprint() => {
                RelayAddress::new(*relay, vec![place.clone()]).unwrap_or(address)
            }
            _ => address,
        }
    }

    pub(super) fn transmit(&mut self, link: LinkId, cell: Cell) {
        if self.queues.get(&link).is_some_and(|queue| queue.try_send(cell).is_err()) {
            // It has ended, or is too far behind: it ends, and the engine hears of it.
            self.queues.remove(&link);
        }
    }

    pub(super) fn disconnect(&mut self, link: LinkId) {
        self.queues.remove(&link);
    }

    /// Ends every link once what was queued has gone out, or after two seconds.
    pub(super) async fn close(mut self) {
        self.queues.clear();
        let ended = async { while self.tasks.join_next().await.is_some() {} };
        // What they still tell is of no more use, and must not hold them up.
        let ignored = async { while self.heard.recv().await.is_some() {} };
        let ending = async {
            tokio::select! {
                () = ended => {}
                () = ignored => {}
            }
        };
        let _ = tokio::time::timeout(FAREWELL, ending).await;
    }
}

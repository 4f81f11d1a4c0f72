//! One route of a client through this relay: a bounded queue each way.

use std::collections::VecDeque;

use hearken_proto::cell::Cell;
use hearken_proto::limits::{ROUTE_QUEUE_BACK_MAX, ROUTE_QUEUE_FORWARD_MAX};

use super::action::{DialId, LinkId};
use super::clock::Moment;

/// Where a route goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Via {
    /// The peer is being dialled.
    Dialling(DialId),
    /// A peer link; the route's id there once its OPEN is sent.
    Peer { link: LinkId, route: Option<u64> },
}

/// Who has closed a route whose last cells are still to be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Closing {
    No,
    ByClient,
    ByPeer,
}

/// A route overflows. It is closed: no cell of a route is ever dropped.
pub(super) struct Overflow;

/// A forwarded route.
pub(super) struct Forward {
    pub(super) via: Via,
    pub(super) closing: Closing,
    /// Until the peer answers its OPEN.
    pub(super) half_open: Option<Moment>,
    to_peer: VecDeque<Cell>,
    to_client: VecDeque<Cell>,
}

impl Forward {
    /// A route that begins with its OPEN.
    pub(super) fn new(via: Via, open: Cell, half_open: Moment) -> Self {
        Self {
            via,
            closing: Closing::No,
            half_open: Some(half_open),
            to_peer: VecDeque::from([open]),
            to_client: VecDeque::new(),
        }
    }

    /// Queues a cell towards the peer; `true` where it is the only one.
    pub(super) fn push_to_peer(&mut self, cell: Cell) -> Result<bool, Overflow> {
        push(&mut self.to_peer, cell, ROUTE_QUEUE_FORWARD_MAX)
    }

    /// Queues a cell towards the client; `true` where it is the only one.
    pub(super) fn push_to_client(&mut self, cell: Cell) -> Result<bool, Overflow> {
        push(&mut self.to_client, cell, ROUTE_QUEUE_BACK_MAX)
    }

    /// Queues the CLOSE that ends one direction, behind what waits.
    pub(super) fn end_to_peer(&mut self, close: Cell) {
        self.to_peer.push_back(close);
    }

    /// As [`Forward::end_to_peer`], the other way; `true` where it is the only cell.
    pub(super) fn end_to_client(&mut self, close: Cell) -> bool {
        self.to_client.push_back(close);
        self.to_client.len() == 1
    }

    pub(super) fn take_to_peer(&mut self) -> Option<Cell> {
        self.to_peer.pop_front()
    }

    pub(super) fn take_to_client(&mut self) -> Option<Cell> {
        self.to_client.pop_front()
    }

    /// Forgets what waits for the peer; answers how many cells that were.
    pub(super) fn clear_to_peer(&mut self) -> usize {
        std::mem::take(&mut self.to_peer).len()
    }

    /// Forgets what waits for the client; answers how many cells that were.
    pub(super) fn clear_to_client(&mut self) -> usize {
        std::mem::take(&mut self.to_client).len()
    }

    pub(super) fn waiting_to_peer(&self) -> usize {
        self.to_peer.len()
    }

    pub(super) fn waiting_to_client(&self) -> usize {
        self.to_client.len()
    }
}

fn push(queue: &mut VecDeque<Cell>, cell: Cell, max: usize) -> Result<bool, Overflow> {
    if queue.len() >= max {
        return Err(Overflow);
    }
    queue.push_back(cell);
    Ok(queue.len() == 1)
}

//! The carrier: how cells travel between machines. It decides nothing; it moves cells, one link at a time, in order.
//!
//! Guarantees: whatever arrives on a link is whole cells with a frame that holds, else the link is closed; a link never
//! has more than [`hearken_proto::limits::LINK_INBOX_MAX`] cells that the core has not processed, nor more than
//! [`OUTBOX_CELLS_MAX`] that are not written; everything ends when its owner is dropped. Deliberately not here: an
//! address in any event, error or log. Nothing above the carrier ever learns where a client is.

mod callers;
pub mod dial;
pub mod link;
pub mod quic;

pub use dial::Dialler;
pub use link::{Event, LinkHandle};
pub use quic::{CarrierError, Gate, accept, bind, masked_endpoint, server_endpoint};

/// Cells that wait for a link's writer. With what QUIC holds unacknowledged it is what a slow client costs.
pub const OUTBOX_CELLS_MAX: usize = 32;
/// Events that wait for the core's task; whoever has more to say waits.
pub const EVENTS_MAX: usize = 1_024;

//! Limits that only a relay's core has, with their derivation; those that clients must know are in
//! `hearken_proto::limits`.

use hearken_proto::limits::{
    ANSWERS_DUE_MAX, PEERS_MAX, ROUTE_QUEUE_BACK_MAX, ROUTES_PER_LINK_MAX, UNPROVEN_MAX,
    UNPROVEN_PER_LINK_MAX, WATCH_WINDOW,
};

/// Store commands under way; the core takes no further cell until some are answered. The shell's queues hold as many.
pub const STORE_REQUESTS_MAX: usize = 4_096;
/// Cells that may wait for a link before no further cell *from* it is looked at: a megabyte.
pub(super) const LINK_OUTBOX_MAX: usize = 256;
/// Cells of a client link that may wait for peers before no further cell from it is looked at: a megabyte.
pub(super) const LINK_FORWARD_MAX: usize = 256;
/// Cells that wait in all routes of an entry relay: half a gigabyte. Beyond it routes are closed as busy.
pub(super) const FORWARD_CELLS_MAX: usize = 131_072;
/// Cells of open sessions that are taken from a link before one OPEN that waits there is.
pub(super) const SESSION_CELLS_BEFORE_OPEN: u32 = 16;
/// Sessions that may watch one mailbox: an old one, its successor, and two left over from a network that went away.
pub(super) const WATCHES_PER_MAILBOX_MAX: usize = 4;
/// Sessions of a link that only read objects.
pub(super) const READERS_PER_LINK_MAX: usize = UNPROVEN_PER_LINK_MAX;
/// Sessions in all that only read objects.
pub(super) const READERS_MAX: usize = UNPROVEN_MAX;
/// Seconds between two requests of a session that only reads objects.
pub(super) const READER_SECONDS_MAX: u64 = 10;
/// Minutes that a session is kept beyond the time by which its client has rolled over.
pub(super) const SESSION_MINUTES_GRACE: u64 = 10;
/// Dials that one client link may have under way: it waits for few relays at a time.
pub(super) const DIALS_PER_LINK_MAX: usize = 8;
/// Seconds until an OPEN or INFO that was forwarded must be answered: a dial and a slow network's way there and back.
pub(super) const HALF_OPEN_SECONDS_MAX: u64 = 20;
/// Seconds beyond the shell's own limit after which a dial without an answer is given up.
pub(super) const DIAL_SECONDS_GRACE: u64 = 5;
/// Minutes after which a peer link without a route is closed.
pub(super) const PEER_IDLE_MINUTES_MAX: u64 = 5;
/// Seconds for which a cached `RelayInfo` is kept though its relay did not know the epoch of an OPEN: whoever seals to
/// an invented epoch must not make the entry relay fetch all the time.
pub(super) const INFO_REFETCH_SECONDS_MIN: u64 = 10;
/// Clients that wait for one peer's `RelayInfo`.
pub(super) const INFO_WAITERS_MAX: usize = 1_024;
/// Peers whose `RelayInfo` is cached: 3 MB.
pub(super) const INFOS_CACHED_MAX: usize = PEERS_MAX;

const _: () = {
    assert!(ROUTE_QUEUE_BACK_MAX >= (ANSWERS_DUE_MAX + WATCH_WINDOW) as usize);
    assert!(ROUTES_PER_LINK_MAX <= UNPROVEN_PER_LINK_MAX);
};

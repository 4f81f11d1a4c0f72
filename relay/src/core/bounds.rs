//! The limits that only a relay's core has. They stand with all others, and with what each comes from, in
//! `hearken_proto::limits`.

pub use hearken_proto::limits::STORE_REQUESTS_MAX;
pub(super) use hearken_proto::limits::{
    DIAL_SECONDS_GRACE, DIALS_PER_LINK_MAX, FORWARD_CELLS_MAX, HALF_OPEN_SECONDS_MAX,
    INFO_REFETCH_SECONDS_MIN, INFO_WAITERS_MAX, INFOS_CACHED_MAX, LINK_FORWARD_MAX,
    LINK_OUTBOX_MAX, PEER_IDLE_MINUTES_MAX, READER_SECONDS_MAX, READERS_MAX, READERS_PER_LINK_MAX,
    SESSION_CELLS_BEFORE_OPEN, SESSION_MINUTES_GRACE, WATCHES_PER_FEED_MAX,
    WATCHES_PER_MAILBOX_MAX,
};

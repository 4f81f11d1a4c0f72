//! The few totals that a relay knows. No labels, nothing of one client.

/// Counters since the start, and how much there is just now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Links open now, both ways.
    pub links: u64,
    /// Sessions open now.
    pub sessions: u64,
    /// Routes that are forwarded now.
    pub routes: u64,
    /// Links to peer relays open now.
    pub peers: u64,
    /// Sessions that watch now.
    pub watches: u64,
    /// Links opened, both ways.
    pub links_opened: u64,
    /// Links closed since the other side broke a rule or took nothing.
    pub links_refused: u64,
    /// OPENs that became a session.
    pub sessions_opened: u64,
    /// OPENs that did not: unknown epoch, no room, not opened.
    pub opens_refused: u64,
    /// Sessions closed since the other side broke a rule, or proved nothing in time.
    pub sessions_refused: u64,
    /// OPENs forwarded.
    pub routes_opened: u64,
    /// OPENs and INFOs that were not forwarded: target, limit, peer unreachable.
    pub routes_refused: u64,
    /// Cells taken from links.
    pub cells_received: u64,
    /// Cells given to links.
    pub cells_sent: u64,
    /// Mailboxes created, repeats counted.
    pub creates: u64,
    /// Claims carried out, repeats counted.
    pub claims: u64,
    /// Blobs stored.
    pub puts_stored: u64,
    /// Blobs that were there already.
    pub puts_repeated: u64,
    /// Feeds created, repeats counted.
    pub feed_creates: u64,
    /// Entries of feeds stored.
    pub entries_stored: u64,
    /// Entries that were there already.
    pub entries_repeated: u64,
    /// Blobs and entries pushed or delivered.
    pub deliveries: u64,
    /// Steps of `ObjectPut` carried out.
    pub object_puts: u64,
    /// Chunks read.
    pub chunks_read: u64,
    /// Commands refused.
    pub commands_refused: u64,
    /// Commands that the store failed.
    pub store_failures: u64,
    /// `RelayInfo`s signed.
    pub infos_signed: u64,
    /// Key epochs begun.
    pub key_epochs: u64,
}

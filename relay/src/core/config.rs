//! What an operator decides about a relay, checked.

use hearken_proto::address::RelayAddress;
use hearken_proto::ids::Fingerprint;
use hearken_proto::limits::{FEED_ENTRIES_MAX, MAILBOX_BLOBS_MAX, POW_BITS_MAX};
use hearken_proto::time::UnixMillis;
use hearken_proto::wire::Decommission;

/// Whether the relay takes new mailboxes and objects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admission {
    /// From anyone, for a proof of work.
    Open,
    /// From nobody: what is there is served to its end.
    Closed,
}

/// What the core is configured with.
#[derive(Clone, Debug, PartialEq)]
pub struct CoreConfig {
    /// Who may create mailboxes and objects.
    pub admission: Admission,
    /// Leading zero bits of a proof of work; at most 26, more is cut to that.
    pub proof_of_work_bits: u32,
    /// Blobs that a mailbox holds.
    pub mailbox_blobs_max: u32,
    /// Mailboxes in all.
    pub mailboxes_max: u64,
    /// Entries that a feed holds, and as many more that name an object as `FEED_NAMING_RESERVE` says.
    pub feed_entries_max: u32,
    /// Feeds in all.
    pub feeds_max: u64,
    /// Bytes on disk beyond which nothing is taken until some are given back.
    pub storage_bytes_max: u64,
    /// Whether the relay forwards to others.
    pub forwards: bool,
    /// Whether it forwards to private and loopback addresses (tests only).
    pub allow_private_peers: bool,
    /// The notice that it will close, or that it moves (a successor with the relay's own fingerprint).
    pub decommission: Option<Decommission>,
}

impl Default for CoreConfig {
    /// An open relay that forwards: 18 bits of work (some tenths of a second on an old phone), 512 blobs a mailbox, a
    /// million mailboxes, 8,192 entries a feed, a million feeds, 100 GB.
    fn default() -> Self {
        Self {
            admission: Admission::Open,
            proof_of_work_bits: 18,
            mailbox_blobs_max: MAILBOX_BLOBS_MAX,
            mailboxes_max: 1_000_000,
            feed_entries_max: FEED_ENTRIES_MAX,
            feeds_max: 1_000_000,
            storage_bytes_max: 100_000_000_000,
            forwards: true,
            allow_private_peers: false,
            decommission: None,
        }
    }
}

impl CoreConfig {
    /// The part that the committer's commands need.
    #[must_use]
    pub fn command_limits(&self) -> CommandLimits {
        CommandLimits {
            mailbox_blobs_max: self.mailbox_blobs_max,
            mailboxes_max: self.mailboxes_max,
            feed_entries_max: self.feed_entries_max,
            feeds_max: self.feeds_max,
        }
    }

    /// Whether the relay takes things in: it has no notice, or its date is to come, or it only moves.
    pub(super) fn is_open(&self, own: Fingerprint, now: UnixMillis) -> bool {
        let Some(notice) = self.decommission.as_ref().filter(|notice| notice.on_ms <= now.0) else {
            return true;
        };
        let successor = notice.successor.parse::<RelayAddress>();
        successor.is_ok_and(|successor| successor.fingerprint() == own)
    }

    pub(super) fn work_bits(&self) -> u32 {
        self.proof_of_work_bits.min(POW_BITS_MAX)
    }
}

/// Quotas that are judged where rows are counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CommandLimits {
    /// Blobs that a mailbox holds.
    pub mailbox_blobs_max: u32,
    /// Mailboxes in all.
    pub mailboxes_max: u64,
    /// Entries that a feed holds.
    pub feed_entries_max: u32,
    /// Feeds in all.
    pub feeds_max: u64,
}

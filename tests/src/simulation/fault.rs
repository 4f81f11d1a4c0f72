//! The faults of a run, counted when they had an effect.

use std::collections::BTreeMap;

/// A kind of fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fault {
    /// Cells were lost with their link.
    Loss,
    /// A cell was taken out of the middle of a link.
    Dropped,
    /// A cell came twice, or a link of a process that had ended stood beside its successor's.
    Duplicated,
    /// A cell arrived before one that was sent earlier.
    Reordered,
    /// Two could not reach each other and something waited or was refused for it.
    Partition,
    /// A client's process ended between two calls.
    ClientRestart,
    /// A client's process ended within a commit.
    EndInCommit,
    /// A relay lost power.
    RelayRestart,
    /// An older copy of a vault was put back.
    VaultRolledBack,
    /// A relay was restored from a backup.
    RelayRestored,
    /// A clock was off.
    ClockSkew,
    /// A relay's keys were replaced at midnight.
    KeyRotation,
    /// A mailbox was full.
    MailboxFull,
    /// An invitation had expired.
    InvitationExpired,
    /// Two joined one invitation, and one was refused.
    TwoClaims,
    /// A relay's commits failed.
    StoreFailed,
    /// A relay's store was slow.
    StoreHeld,
    /// A relay changed a blob.
    Garbled,
    /// A relay made a blob up.
    Forged,
    /// A blob was not fetched in time.
    BlobExpired,
}

impl Fault {
    /// All of them.
    pub const ALL: [Self; 20] = [
        Self::Loss,
        Self::Dropped,
        Self::Duplicated,
        Self::Reordered,
        Self::Partition,
        Self::ClientRestart,
        Self::EndInCommit,
        Self::RelayRestart,
        Self::VaultRolledBack,
        Self::RelayRestored,
        Self::ClockSkew,
        Self::KeyRotation,
        Self::MailboxFull,
        Self::InvitationExpired,
        Self::TwoClaims,
        Self::StoreFailed,
        Self::StoreHeld,
        Self::Garbled,
        Self::Forged,
        Self::BlobExpired,
    ];
}

/// How often each happened.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Faults(BTreeMap<Fault, u64>);

impl Faults {
    /// It happened.
    pub fn note(&mut self, fault: Fault) {
        *self.0.entry(fault).or_default() += 1;
    }

    /// Whether it happened.
    #[must_use]
    pub fn has(&self, fault: Fault) -> bool {
        self.0.contains_key(&fault)
    }
}

//! The very cores of client and relay in a world of seeded chance: what no test by hand would think of, and a model of
//! what must hold.
//!
//! A [`Script`] is drawn from a seed and says what happens: people who invite, join, write and fetch, and a network,
//! devices, clocks and operators that fail. A [`World`] carries it out under virtual time with real cryptography; the
//! [`model`] says what must be there, and [`seals`] that no key seals twice. The same script gives the same run. A
//! script that breaks something is made smaller by [`shrink`] as long as it breaks the same thing.
//!
//! The cores are those that the programs link: [`hearken_client_lib::simulation::InlineClient`] and
//! [`hearken_relay::simulation::InlineRelay`]. Not here: threads, sockets, files and real clocks; a crash is a restart
//! from what was committed (that commits reach the disk is shown by the crash-point tests).

mod calls;
pub mod fault;
pub mod feeds;
mod looking;
pub mod model;
pub mod network;
mod operators;
mod people;
pub mod person;
pub mod script;
pub mod seals;
pub mod settle;
pub mod shrink;
pub mod steps;
pub mod world;

use std::panic::{AssertUnwindSafe, catch_unwind};

use self::fault::Faults;
use self::script::Script;
use self::world::World;

/// A fault that is planted to see that it is found. Those of product code stand where they are planted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Plant {
    /// None.
    #[default]
    Nothing,
    /// Relays leave out the sync of what they commit.
    RelaySyncs,
    /// Vaults leave out the sync of what they commit.
    VaultSyncs,
}

/// What does not hold.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Broken {
    /// A blob did not arrive, or arrived and its message is not shown, without a reason.
    #[error("lost: {0}")]
    Lost(String),
    /// Gaps do not add up to what is missing.
    #[error("gaps: {0}")]
    Gaps(String),
    /// A line that nobody wrote.
    #[error("shown and never written: {0:?}")]
    NeverWritten(String),
    /// A message twice.
    #[error("shown twice: {0}")]
    Twice(String),
    /// A message before an earlier one.
    #[error("out of order: {0:?}")]
    OutOfOrder(String),
    /// Lines that were there are not, or are others.
    #[error("a conversation lost lines: {0}")]
    HistoryChanged(String),
    /// What somebody wrote is not in their own history.
    #[error("own messages: {0}")]
    OwnHistory(String),
    /// A message that was sent is queued again.
    #[error("a message that was sent is not any more: {0:?}")]
    StateWentBack(String),
    /// A second claim took an invitation over.
    #[error("a claim was overwritten: {0}")]
    ClaimOverwritten(String),
    /// A second claim was refused and is not shown.
    #[error("a second claim is not shown: {0}")]
    ClaimHidden(String),
    /// An expired invitation was joined.
    #[error("an expired invitation was joined: {0}")]
    JoinedTooLate(String),
    /// A key sealed twice.
    #[error("sealed twice with one key: {0}")]
    SealedTwice(String),
    /// What must come to pass by itself did not.
    #[error("stuck: {0}")]
    Stuck(String),
    /// The core asks to be called again and again.
    #[error("a core spins: {0}")]
    Spins(String),
    /// The vault failed, and nothing had been done to it.
    #[error("a vault failed: {0}")]
    Vault(String),
    /// An errand failed for a reason that it did not have.
    #[error("an errand failed: {0}")]
    Errand(String),
    /// A panic.
    #[error("a panic: {0}")]
    Panic(String),
}

impl Broken {
    /// Whether two are of one kind.
    #[must_use]
    pub fn is_like(&self, other: &Self) -> bool {
        std::mem::discriminant(self) == std::mem::discriminant(other)
    }
}

/// What a run came to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// The faults that had an effect.
    pub faults: Faults,
    /// Steps.
    pub steps: usize,
    /// Messages that were written.
    pub written: usize,
    /// Ciphertexts that arrived.
    pub arrived: usize,
    /// Conversations that both sides had joined, and of these those torn by a rollback.
    pub conversations: (usize, usize),
    /// Ciphertexts and cells that were looked at for keys used twice.
    pub sealed: (usize, usize),
}

/// Runs a script.
///
/// # Errors
/// What does not hold.
pub fn run(script: &Script, plant: Plant) -> Result<Report, Broken> {
    let run = catch_unwind(AssertUnwindSafe(|| World::new(script, plant)?.run(script)));
    run.unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().cloned();
        let text = text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
        Err(Broken::Panic(text.unwrap_or_default()))
    })
}

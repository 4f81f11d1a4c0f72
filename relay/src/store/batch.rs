//! A group commit as a plain function: commands in order over one transaction, one durable commit, then outcomes.
//!
//! Guarantees: an outcome exists only after the commit that it speaks of; a command that fails leaves nothing of
//! itself and harms no other; when the commit fails every command of the batch gets that failure. A failed batch is
//! not retried: whoever sent a command still has it. No thread and no clock here, so the simulation runs the same.

use hearken_proto::time::UnixMillis;
use rand_core::CryptoRng;

use super::{Store, StoreError, Transaction};

/// A write command, made by the core and carried out by the committer.
pub trait Command: Send + 'static {
    /// What the core is told once the command is durable; refusals (full, not yours) are outcomes too.
    type Outcome: Send + 'static;
    /// What all commands share beside the store: day keys, limits.
    type Context: Send + 'static;

    /// Reads and writes through `tx`; nothing else may have an effect, since the commit may still fail.
    ///
    /// # Errors
    /// A failure of the store or of a day key: what this command wrote is taken back.
    fn apply(
        self,
        tx: &mut Transaction<'_>,
        context: &mut Self::Context,
        now: UnixMillis,
        rng: &mut dyn CryptoRng,
    ) -> Result<Self::Outcome, StoreError>;
}

/// Runs `commands` in order and commits them at once; one result a command, in the same order.
///
/// Each result is an `Err` where the command failed, and all are where the commit failed: the caller acknowledges
/// nothing then.
pub fn run_batch<C: Command>(
    store: &dyn Store,
    commands: impl IntoIterator<Item = C>,
    context: &mut C::Context,
    now: UnixMillis,
    rng: &mut dyn CryptoRng,
) -> Vec<Result<C::Outcome, StoreError>> {
    let mut tx = Transaction::new(store);
    let mut outcomes: Vec<_> = commands
        .into_iter()
        .map(|command| {
            let savepoint = tx.savepoint();
            let outcome = command.apply(&mut tx, context, now, rng);
            if outcome.is_err() {
                tx.rollback(savepoint);
            }
            outcome
        })
        .collect();
    if tx.is_empty() {
        return outcomes;
    }
    #[cfg(hearken_planted)]
    if hearken_proto::planted::is("relay-commits-late") {
        late::commit_one_before(store, tx.into_batch());
        return outcomes;
    }
    if let Err(error) = store.commit(tx.into_batch()) {
        // What an acknowledgement before the commit comes to.
        #[cfg(hearken_planted)]
        if hearken_proto::planted::is("relay-ack-before-commit") {
            return outcomes;
        }
        // Outcomes that read what an earlier command of the batch wrote speak of what never became true.
        outcomes.iter_mut().for_each(|outcome| *outcome = Err(error.clone()));
    }
    outcomes
}

/// A planted fault: what a batch wrote is committed with the next one.
#[cfg(hearken_planted)]
mod late {
    use std::cell::RefCell;

    use super::Store;
    use crate::store::Batch;

    thread_local! {
        static LATE: RefCell<Option<Batch>> = const { RefCell::new(None) };
    }

    pub(super) fn commit_one_before(store: &dyn Store, batch: Batch) {
        if let Some(before) = LATE.replace(Some(batch)) {
            // A fault that fails is one more.
            let _ = store.commit(before);
        }
    }
}

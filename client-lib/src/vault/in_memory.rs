//! What a simulation does with a vault in memory: a copy of it as it is now, and commits that stop working.
//!
//! For simulations and tests; nothing in the product calls any of it.

use std::time::Duration;

use rusqlite::backup::Backup;

use super::{Vault, VaultError, database};

/// Pages copied in one step: all of any vault that a simulation has.
const PAGES_A_STEP: i32 = 1 << 20;

impl Vault {
    /// A second vault in memory with what this one, in memory too, has committed.
    ///
    /// # Errors
    /// [`VaultError::Database`], for one when this vault is not in memory: an encrypted database is not copied so.
    pub(crate) fn copy_in_memory(&self) -> Result<Self, VaultError> {
        let mut copy = database::open_in_memory(&[])?;
        Backup::new(&self.database, &mut copy)?.run_to_completion(
            PAGES_A_STEP,
            Duration::ZERO,
            None,
        )?;
        Ok(Self { database: copy, origin: None })
    }

    /// From here on `count` transactions commit, and every later one fails as if the process had ended within it:
    /// nothing of it stays. `None` makes all of them work again.
    ///
    /// # Errors
    /// [`VaultError::Database`].
    pub(crate) fn commit_only(&mut self, count: Option<u32>) -> Result<(), VaultError> {
        let hook = count.map(|mut left| {
            move || {
                let is_over = left == 0;
                left = left.saturating_sub(1);
                is_over
            }
        });
        self.database.commit_hook(hook)?;
        Ok(())
    }
}

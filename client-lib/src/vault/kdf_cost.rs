//! What it costs to try one phrase: Argon2id (RFC 9106) with one lane.

use argon2::{Algorithm, Argon2, Block, Params, Version};
use zeroize::{Zeroize, Zeroizing};

use super::error::VaultError;

/// The smallest and the largest memory that is accepted, in KiB: 64 KiB and 1 GiB. A slot file that names more was
/// tampered with to exhaust this device.
const MEMORY_KIB: std::ops::RangeInclusive<u32> = 64..=1_048_576;

/// The fewest and the most passes that are accepted.
const PASSES: std::ops::RangeInclusive<u32> = 1..=16;

/// The cost of trying one phrase. It is chosen when a vault is made and stands in its slot file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KdfCost {
    memory_kib: u32,
    passes: u32,
}

impl Default for KdfCost {
    /// 64 MiB and 3 passes, the second recommended set of RFC 9106 section 4 with one lane instead of four.
    fn default() -> Self {
        Self { memory_kib: 65_536, passes: 3 }
    }
}

impl KdfCost {
    /// The least that is accepted: 64 KiB and one pass. It protects nothing, and is for tests.
    pub const MINIMUM: Self = Self { memory_kib: *MEMORY_KIB.start(), passes: *PASSES.start() };

    /// A cost of `memory_kib` KiB (64 to 1,048,576) and `passes` passes (1 to 16).
    ///
    /// # Errors
    /// [`VaultError::KdfCostOutOfBounds`].
    pub fn new(memory_kib: u32, passes: u32) -> Result<Self, VaultError> {
        if MEMORY_KIB.contains(&memory_kib) && PASSES.contains(&passes) {
            Ok(Self { memory_kib, passes })
        } else {
            Err(VaultError::KdfCostOutOfBounds)
        }
    }

    /// The memory that one try needs, in KiB.
    #[must_use]
    pub const fn memory_kib(self) -> u32 {
        self.memory_kib
    }

    /// The number of passes over it.
    #[must_use]
    pub const fn passes(self) -> u32 {
        self.passes
    }

    /// Stretches `secret` to 32 bytes. The working memory, from which the result follows, is erased.
    pub(super) fn stretch(
        self,
        secret: &[u8],
        salt: &[u8],
    ) -> Result<Zeroizing<[u8; 32]>, VaultError> {
        let params = Params::new(self.memory_kib, self.passes, 1, Some(32))
            .map_err(|_| VaultError::KdfCostOutOfBounds)?;
        let count = params.block_count();
        let mut memory: Vec<Block> = Vec::new();
        memory.try_reserve_exact(count).map_err(|_| VaultError::OutOfMemory)?;
        memory.resize(count, Block::new());
        let mut stretched = Zeroizing::new([0; 32]);
        let done = Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
            .hash_password_into_with_memory(secret, salt, &mut stretched[..], &mut memory[..]);
        memory.iter_mut().for_each(Zeroize::zeroize);
        done.map_err(|_| VaultError::KdfCostOutOfBounds)?;
        Ok(stretched)
    }
}

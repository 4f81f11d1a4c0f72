//! The relay's randomness: ChaCha20 in the process, seeded and regularly seeded anew by the system.
//!
//! Every cell that goes out carries some 1,500 random bytes, which would be a system call each. Guarantees: the state
//! never leaves the process; each seed is the system's randomness mixed with the generator's own output, so that a
//! failing system source leaves it no worse than it was. Deliberately not for keys on disk: those come from the system.

use core::fmt;

use getrandom::SysRng;
use rand_chacha::ChaCha20Rng;
use rand_core::{Infallible, Rng, SeedableRng, TryCryptoRng, TryRng};
use zeroize::Zeroizing;

/// Bytes drawn from one seed: a state that somebody learned is of use for this much output at most.
const RESEED_BYTES: u64 = 16 * 1_024 * 1_024;

/// A cryptographic generator for one thread.
pub struct ProcessRng {
    generator: ChaCha20Rng,
    left: u64,
}

impl ProcessRng {
    /// A generator seeded by the system.
    ///
    /// # Errors
    /// What the system says when it has no randomness to give.
    pub fn new() -> Result<Self, getrandom::Error> {
        let mut seed = Zeroizing::new([0; 32]);
        SysRng.try_fill_bytes(&mut seed[..])?;
        Ok(Self { generator: ChaCha20Rng::from_seed(*seed), left: RESEED_BYTES })
    }

    fn take(&mut self, bytes: usize) {
        match self.left.checked_sub(bytes as u64) {
            Some(left) => self.left = left,
            None => self.reseed(),
        }
    }

    fn reseed(&mut self) {
        let mut seed = Zeroizing::new([0; 32]);
        let mut own = Zeroizing::new([0; 32]);
        self.generator.fill_bytes(&mut own[..]);
        // Without it the next seed is the generator's own output: as good as before, and tried again soon.
        let refreshed = SysRng.try_fill_bytes(&mut seed[..]).is_ok();
        for (byte, own) in seed.iter_mut().zip(own.iter()) {
            *byte ^= own;
        }
        self.generator = ChaCha20Rng::from_seed(*seed);
        self.left = if refreshed { RESEED_BYTES } else { RESEED_BYTES / 16 };
    }
}

impl TryRng for ProcessRng {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        self.take(4);
        self.generator.try_next_u32()
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        self.take(8);
        self.generator.try_next_u64()
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Infallible> {
        self.take(bytes.len());
        self.generator.try_fill_bytes(bytes)
    }
}

impl TryCryptoRng for ProcessRng {}

impl fmt::Debug for ProcessRng {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ProcessRng(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_generators_differ_and_a_new_seed_changes_what_follows() {
        let mut first = ProcessRng::new().unwrap();
        let mut second = ProcessRng::new().unwrap();
        assert_ne!(first.next_u64(), second.next_u64());

        let mut unseeded = first.generator.clone();
        first.left = 1;
        let mut with_new_seed = [0; 32];
        first.fill_bytes(&mut with_new_seed);
        let mut without = [0; 64];
        unseeded.fill_bytes(&mut without);
        assert!(without.windows(32).all(|window| window != with_new_seed));
        assert_eq!(first.left, RESEED_BYTES);
    }
}

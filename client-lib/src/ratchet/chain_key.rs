//! A chain key: `KDF_CK` of Signal's specification, section 5.2. Both ratchets have chains of this kind.

use super::error::DecryptError;
use super::kdf;
use super::message_key::PartialKey;
use super::secret::secret;

const MESSAGE_LABEL: &[u8] = b"hearken/1 chain message";
const NEXT_LABEL: &[u8] = b"hearken/1 chain next";

/// How far a chain moves on at once; what names a number further ahead is refused.
pub const CHAIN_SKIP_MAX: u32 = hearken_proto::limits::CHAIN_SKIP_MAX;
/// Keys passed over that are kept of one chain: the newest.
pub const SKIPPED_PER_CHAIN_MAX: usize = hearken_proto::limits::SKIPPED_PER_CHAIN_MAX;

secret! {
    /// Gives a message its key and moves on; what it was before cannot be found from what it is.
    ChainKey
}

impl ChainKey {
    /// The key of the message at this place, and the chain key of the next place.
    pub(crate) fn next(&self) -> (PartialKey, Self) {
        let message = PartialKey::from_bytes(*kdf::expand(self.as_bytes(), &[MESSAGE_LABEL]));
        (message, self.following())
    }

    fn following(&self) -> Self {
        Self::from_bytes(*kdf::expand(self.as_bytes(), &[NEXT_LABEL]))
    }

    /// Moves a chain that stands at `from` to `until`; gives the newest keys of those passed over, with their numbers.
    pub(crate) fn skip(
        &self,
        from: u32,
        until: u32,
    ) -> Result<(Self, Vec<(u32, PartialKey)>), DecryptError> {
        if until.saturating_sub(from) > CHAIN_SKIP_MAX {
            return Err(DecryptError::TooFarAhead);
        }
        let keep_from = until.saturating_sub(SKIPPED_PER_CHAIN_MAX as u32).max(from);
        let mut passed = Vec::new();
        // A copy that takes this key's place when what is being opened is accepted, and is erased when it is not.
        let mut chain = Self::from_bytes(*self.as_bytes());
        for number in from..until {
            if number < keep_from {
                chain = chain.following();
            } else {
                let (key, next) = chain.next();
                passed.push((number, key));
                chain = next;
            }
        }
        Ok((chain, passed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn skipping_gives_the_keys_that_stepping_gives() {
        let chain = ChainKey::from_bytes([3; 32]);
        let (at_five, passed) = chain.skip(10, 15).unwrap();
        let mut stepped = ChainKey::from_bytes([3; 32]);
        for (number, key) in passed {
            let (expected, next) = stepped.next();
            assert_eq!((10..15).nth(number as usize - 10).unwrap(), number);
            assert_eq!(key, expected);
            stepped = next;
        }
        assert_eq!(at_five, stepped);
    }

    #[test]
    fn a_chain_moves_on_by_65536_at_once_and_keeps_the_newest_256() {
        let chain = ChainKey::from_bytes([3; 32]);
        let (_, passed) = chain.skip(5, 5 + CHAIN_SKIP_MAX).unwrap();
        assert_eq!(passed.len(), SKIPPED_PER_CHAIN_MAX);
        assert_eq!(passed.last().unwrap().0, 5 + CHAIN_SKIP_MAX - 1);
        assert_eq!(chain.skip(5, 6 + CHAIN_SKIP_MAX).unwrap_err(), DecryptError::TooFarAhead);
    }
}

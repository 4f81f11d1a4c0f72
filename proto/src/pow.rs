//! Proof of work: what creating state at a relay costs, until tokens are there.
//!
//! A partial preimage of SHA-256 (hashcash): the hash of label, command, fingerprint, key epoch, object id, declared
//! size and an 8-byte nonce begins with as many zero bits as the relay's `RelayInfo` asks for. A proof is good for one
//! object at one relay in one key epoch. Finding it takes 2^bits hashes on average, checking it takes one.

use sha2::{Digest, Sha256};

use crate::limits::POW_BITS_MAX;
use crate::seal::RouteContext;

const LABEL: &[u8] = b"hearken/1 proof of work";

/// What the work is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Purpose {
    /// `Create`.
    Mailbox = 1,
    /// `ObjectPut`.
    Object = 2,
    /// `FeedCreate`.
    Feed = 3,
}

/// What is proven.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Challenge<'a> {
    /// What the work is for.
    pub purpose: Purpose,
    /// At which relay, in which key epoch.
    pub context: &'a RouteContext,
    /// Id of the mailbox, object or feed.
    pub object_id: &'a [u8; 32],
    /// Declared size: chunks of an object, days that a feed keeps its entries, else 0.
    pub size: u32,
}

/// Nonces tried in one call of [`Search::advance`]: some milliseconds on an old phone, so that nothing stalls on it.
pub const STEP_HASHES: u32 = 4_096;

/// A search for a proof that its caller can spread over time or give up.
#[derive(Clone, Debug)]
pub struct Search {
    prefix: Sha256,
    bits: u32,
    next: u64,
}

impl Search {
    /// Begins a search from a nonce drawn at random. `None` when more bits are asked for than a client does (26).
    #[must_use]
    pub fn new(challenge: &Challenge<'_>, bits: u32, first_nonce: u64) -> Option<Self> {
        (bits <= POW_BITS_MAX).then(|| Self { prefix: prefix(challenge), bits, next: first_nonce })
    }

    /// Tries the next 4,096 nonces.
    pub fn advance(&mut self) -> Option<u64> {
        for _ in 0..STEP_HASHES {
            let nonce = self.next;
            self.next = self.next.wrapping_add(1);
            if zero_bits(&self.prefix, nonce) >= self.bits {
                return Some(nonce);
            }
        }
        None
    }
}

/// Whether `nonce` proves at least `bits` bits of work.
#[must_use]
pub fn verify(challenge: &Challenge<'_>, bits: u32, nonce: u64) -> bool {
    zero_bits(&prefix(challenge), nonce) >= bits
}

fn prefix(challenge: &Challenge<'_>) -> Sha256 {
    let mut hash = Sha256::new();
    hash.update(LABEL);
    hash.update([challenge.purpose as u8]);
    hash.update(challenge.context.fingerprint.as_bytes());
    hash.update(challenge.context.key_epoch.as_bytes());
    hash.update(challenge.object_id);
    hash.update(challenge.size.to_be_bytes());
    hash
}

fn zero_bits(prefix: &Sha256, nonce: u64) -> u32 {
    let hash = prefix.clone().chain_update(nonce.to_be_bytes()).finalize();
    let mut bits = 0;
    for byte in hash {
        bits += byte.leading_zeros();
        if byte != 0 {
            break;
        }
    }
    bits
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::Fingerprint;
    use crate::seal::KeyEpoch;

    #[test]
    fn a_search_finds_what_verifies_and_no_more_bits_than_it_has() {
        let context = context(1, 2);
        let challenge = challenge(&context);
        let nonce = find(&challenge, 12);
        let bits = zero_bits(&prefix(&challenge), nonce);
        assert!(bits >= 12);
        assert!((0..=bits).all(|bits| verify(&challenge, bits, nonce)));
        assert!(!verify(&challenge, bits + 1, nonce));
        assert!(!verify(&challenge, u32::MAX, nonce));
    }

    #[test]
    fn a_proof_is_bound_to_purpose_relay_epoch_object_and_size() {
        let context = context(1, 2);
        let challenge = challenge(&context);
        let nonce = find(&challenge, 16);
        let (relay, epoch) = (self::context(9, 2), self::context(1, 9));
        for other in [
            Challenge { purpose: Purpose::Mailbox, ..challenge },
            Challenge { purpose: Purpose::Feed, ..challenge },
            Challenge { context: &relay, ..challenge },
            Challenge { context: &epoch, ..challenge },
            Challenge { object_id: &[9; 32], ..challenge },
            Challenge { size: 8, ..challenge },
        ] {
            assert!(!verify(&other, 16, nonce), "{other:?}");
        }
    }

    #[test]
    fn a_search_goes_on_past_the_last_nonce_and_refuses_more_than_a_phone_does() {
        let context = context(1, 2);
        let challenge = challenge(&context);
        let mut search = Search::new(&challenge, 8, u64::MAX).unwrap();
        let nonce = (0..100).find_map(|_| search.advance()).unwrap();
        assert!(verify(&challenge, 8, nonce));
        assert!(Search::new(&challenge, POW_BITS_MAX, 0).is_some());
        assert!(Search::new(&challenge, POW_BITS_MAX + 1, 0).is_none());
    }

    fn find(challenge: &Challenge<'_>, bits: u32) -> u64 {
        let mut search = Search::new(challenge, bits, 0).unwrap();
        (0..10_000).find_map(|_| search.advance()).unwrap()
    }

    fn challenge(context: &RouteContext) -> Challenge<'_> {
        Challenge { purpose: Purpose::Object, context, object_id: &[3; 32], size: 7 }
    }

    fn context(relay: u8, epoch: u8) -> RouteContext {
        RouteContext {
            fingerprint: Fingerprint::from_bytes([relay; 32]),
            key_epoch: KeyEpoch::from_bytes([epoch; 8]),
        }
    }
}

//! The invitation card: what a joiner needs, sealed into one blob on the relay and named by its hash in the link.
//!
//! Bytes: version 1 ‖ hour of expiry 4 ‖ X25519 key 32 ‖ claim private key 32 ‖ ML-KEM-768 key 1,184 ‖ length of the
//! relay's address 2 ‖ address. Sealed: length 2 ‖ card ‖ zeros, 2,384 together, and a tag. The hash is over the card
//! alone, so the relay, which could store another blob, cannot put in its own keys; nor can it tell one card from
//! another by its size.

use core::fmt;

use hearken_proto::limits::{BLOB_LEN, TAG_LEN};
use hearken_proto::time::{UnixHour, UnixMillis};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use super::error::CardError;
use super::link_secret::LinkSecret;
use crate::ratchet::codec::{Reader, Writer};
use crate::ratchet::kem::{EK_LEN, EncapsulationKey};

const VERSION: u8 = 1;
const HASH_LABEL: &[u8] = b"hearken/1 invitation card";
const LENGTH_LEN: usize = 2;
const FIXED_LEN: usize = 1 + 4 + 32 + 32 + EK_LEN + LENGTH_LEN;
const PLAIN_LEN: usize = BLOB_LEN - TAG_LEN;

/// The longest address of a relay that a card has room for, in bytes.
pub const CARD_ADDRESS_MAX: usize = PLAIN_LEN - LENGTH_LEN - FIXED_LEN;

/// A card: made here, or checked against the hash in a link. It holds the claim's private key, so it is a secret.
pub struct InvitationCard {
    expires: UnixHour,
    agreement_key: [u8; 32],
    claim_key: Zeroizing<[u8; 32]>,
    encapsulation_key: EncapsulationKey,
    relay: String,
}

impl InvitationCard {
    pub(super) fn new(
        expires: UnixHour,
        agreement_key: [u8; 32],
        claim_key: &[u8; 32],
        encapsulation_key: EncapsulationKey,
        relay: &str,
    ) -> Result<Self, CardError> {
        if relay.is_empty() || relay.len() > CARD_ADDRESS_MAX {
            return Err(CardError::Address);
        }
        Ok(Self {
            expires,
            agreement_key,
            claim_key: Zeroizing::new(*claim_key),
            encapsulation_key,
            relay: relay.to_owned(),
        })
    }

    /// Opens what a relay gave out for a link.
    ///
    /// # Errors
    /// [`CardError::Swapped`] when it is not the card with this hash, [`CardError::Malformed`] when it is and holds
    /// no card, [`CardError::Expired`] from its hour on.
    pub fn open(
        link_secret: &LinkSecret,
        card_hash: &[u8; 32],
        sealed: &[u8; BLOB_LEN],
        now: UnixMillis,
    ) -> Result<Self, CardError> {
        let mut plain = Zeroizing::new(vec![0; PLAIN_LEN]);
        link_secret.sealing_key().open(sealed, &mut plain).map_err(|_| CardError::Swapped)?;
        let mut reader = Reader::new(&plain);
        let length = reader.u16().ok_or(CardError::Malformed)?;
        let bytes = reader.bytes(length.into()).ok_or(CardError::Malformed)?;
        if !bool::from(hash(bytes).ct_eq(card_hash)) {
            return Err(CardError::Swapped);
        }
        if plain[LENGTH_LEN + bytes.len()..].iter().any(|byte| *byte != 0) {
            return Err(CardError::Malformed);
        }
        let card = Self::decode(bytes).ok_or(CardError::Malformed)?;
        if card.is_expired(now) { Err(CardError::Expired) } else { Ok(card) }
    }

    /// Seals the card into the one blob of its object. The same card and secret give the same bytes.
    #[must_use]
    pub fn seal(&self, link_secret: &LinkSecret) -> Box<[u8; BLOB_LEN]> {
        let card = self.encode();
        let mut blob = Box::new([0; BLOB_LEN]);
        let length = u16::try_from(card.len()).unwrap_or(u16::MAX);
        blob[..LENGTH_LEN].copy_from_slice(&length.to_be_bytes());
        blob[LENGTH_LEN..LENGTH_LEN + card.len()].copy_from_slice(&card);
        link_secret.sealing_key().seal(&mut blob[..]);
        blob
    }

    /// SHA-256 of a label and the card's bytes: what the link names.
    #[must_use]
    pub fn hash(&self) -> [u8; 32] {
        hash(&self.encode())
    }

    /// The private key that claims the inviter's mailbox, 32 bytes.
    #[must_use]
    pub fn claim_key(&self) -> &[u8; 32] {
        &self.claim_key
    }

    /// The address of the relay that has the inviter's mailbox, as the inviter wrote it. Not parsed here.
    #[must_use]
    pub fn relay(&self) -> &str {
        &self.relay
    }

    /// From this hour on nobody joins.
    #[must_use]
    pub fn expires(&self) -> UnixHour {
        self.expires
    }

    /// Whether the invitation's time is over.
    #[must_use]
    pub fn is_expired(&self, now: UnixMillis) -> bool {
        now >= self.expires.start()
    }

    pub(super) fn agreement_key(&self) -> &[u8; 32] {
        &self.agreement_key
    }

    pub(super) fn encapsulation_key(&self) -> &EncapsulationKey {
        &self.encapsulation_key
    }

    pub(super) fn encode(&self) -> Zeroizing<Vec<u8>> {
        let mut out = Writer::with_capacity(FIXED_LEN + self.relay.len());
        out.u8(VERSION);
        out.u32(self.expires.0);
        out.put(&self.agreement_key);
        out.put(&self.claim_key[..]);
        out.put(self.encapsulation_key.as_bytes());
        out.u16(u16::try_from(self.relay.len()).unwrap_or(u16::MAX));
        out.put(self.relay.as_bytes());
        out.finish()
    }

    pub(super) fn decode(bytes: &[u8]) -> Option<Self> {
        let mut reader = Reader::new(bytes);
        if reader.u8()? != VERSION {
            return None;
        }
        let expires = UnixHour(reader.u32()?);
        let agreement_key = *reader.array()?;
        let claim_key = reader.array()?;
        let encapsulation_key = EncapsulationKey::from_bytes(reader.array()?).ok()?;
        let length = reader.u16()?;
        let relay = core::str::from_utf8(reader.bytes(length.into())?).ok()?;
        if !reader.is_empty() {
            return None;
        }
        Self::new(expires, agreement_key, claim_key, encapsulation_key, relay).ok()
    }
}

impl fmt::Debug for InvitationCard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { expires: _, agreement_key: _, claim_key: _, encapsulation_key: _, relay: _ } =
            self;
        f.write_str("InvitationCard(..)")
    }
}

pub(super) fn hash(card: &[u8]) -> [u8; 32] {
    Sha256::new().chain_update(HASH_LABEL).chain_update(card).finalize().into()
}

const _: () = assert!(CARD_ADDRESS_MAX == 1_127);

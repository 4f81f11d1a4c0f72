//! Cards as bytes, for `tests/fuzz`. Not part of the interface.

use hearken_proto::limits::BLOB_LEN;

use super::card::{InvitationCard, hash};
use super::link_secret::LinkSecret;

/// A card's bytes, written again. `None` where they are none.
#[must_use]
pub fn card(bytes: &[u8]) -> Option<Vec<u8>> {
    InvitationCard::decode(bytes).map(|card| card.encode().to_vec())
}

/// What a card's bytes hash to.
#[must_use]
pub fn card_hash(bytes: &[u8]) -> [u8; 32] {
    hash(bytes)
}

/// Seals any 2,384 bytes as a card is sealed.
#[must_use]
pub fn seal_card(link_secret: &LinkSecret, plain: &[u8]) -> Box<[u8; BLOB_LEN]> {
    let mut blob = Box::new([0; BLOB_LEN]);
    let len = plain.len().min(BLOB_LEN - hearken_proto::limits::TAG_LEN);
    blob[..len].copy_from_slice(&plain[..len]);
    link_secret.sealing_key().seal(&mut blob[..]);
    blob
}

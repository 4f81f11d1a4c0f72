//! Decoders that are private otherwise, for `tests/fuzz`. Not part of the interface, and without promise of stability.

pub use crate::clean::fuzzing as clean;
pub use crate::handshake::fuzzing as handshake;
pub use crate::ratchet::fuzzing as ratchet;
pub use crate::sync::fuzzing as sync;
pub use crate::vault::fuzzing as vault;

use crate::invitation::InvitationLink;

/// An invitation link, written again. `None` where it is refused.
#[must_use]
pub fn invitation_link(text: &str) -> Option<String> {
    InvitationLink::parse(text).ok().map(|link| link.to_text().to_string())
}

/// The link secret and the card's hash in a link. `None` where it is refused.
#[must_use]
pub fn link_parts(text: &str) -> Option<([u8; 32], [u8; 32])> {
    InvitationLink::parse(text).ok().map(|link| (link.secret, link.card_hash))
}

/// The link of these bytes, with a check that holds, whatever they are.
#[must_use]
pub fn link_of(body: &[u8]) -> String {
    InvitationLink::text_of(body).to_string()
}

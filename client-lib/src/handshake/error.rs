//! Why an invitation or a handshake was refused.

use crate::ratchet::DecryptError;

/// Why a card was not made or not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CardError {
    /// The relay's address is empty or longer than [`super::CARD_ADDRESS_MAX`].
    #[error("a relay address that does not fit an invitation card")]
    Address,
    /// What the relay gave out is not the card that the link names: damaged, or put there by somebody else.
    #[error("a card other than the one that the link names")]
    Swapped,
    /// The card is the link's, and its bytes are no card: made by another version, or by a broken program.
    #[error("a malformed invitation card")]
    Malformed,
    /// The invitation's time is over.
    #[error("an expired invitation")]
    Expired,
}

/// Why a handshake did not come about. Nothing was changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HandshakeError {
    /// The other side's X25519 key is a point of small order.
    #[error("a point of small order in a handshake")]
    NonContributory,
    /// The blob is no first message to this invitation.
    #[error(transparent)]
    Message(#[from] DecryptError),
}

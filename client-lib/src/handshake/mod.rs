//! The handshake: an invitation card on one side, a joiner on the other, and one shared key.
//!
//! In the shape of PQXDH (Signal, revision 3) without signatures, from fresh ephemerals only. The inviter makes an
//! [`Inviter`] and seals its [`InvitationCard`] into an object; the link carries the [`LinkSecret`] and the card's
//! hash. The joiner opens the card and [`join`]s; [`Inviter::accept`] takes its first blob. `tests/models/README.md`
//! says it byte by byte.
//!
//! Guarantees: the keys depend on the whole card, on the joiner's key and ciphertext, on the link secret, and on both
//! an X25519 agreement and ML-KEM-768; a card other than the one that the link names is refused; a point of small
//! order is refused. Not promised: that the right person joined. Whoever sees the link can be first, which is what
//! the [`SafetyCode`] shows.
//!
//! Not here: links as text, objects, claims, and when keys are destroyed in the vault.
#![deny(clippy::disallowed_methods)]

mod card;
mod error;
#[doc(hidden)]
pub mod fuzzing;
mod inviter;
mod joiner;
mod link_secret;
mod safety_code;
#[cfg(test)]
mod tests;
mod transcript;
#[cfg(test)]
mod vectors;

pub use card::{CARD_ADDRESS_MAX, InvitationCard};
pub use error::{CardError, HandshakeError};
pub use inviter::{Accepted, Inviter};
pub use joiner::{Joined, join};
pub use link_secret::LinkSecret;
pub use safety_code::SafetyCode;

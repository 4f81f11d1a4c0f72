//! The ratchet: what a conversation's messages are sealed with, after a handshake has given it its first keys.
//!
//! Two ratchets side by side, the Double Ratchet with header encryption (Signal's specification, section 4) and one of
//! ML-KEM-768, and a key of each in every message's key: `MK = HKDF(mk_ec ‖ mk_pq, r ‖ header)`. Every message is one
//! blob of 2,400 bytes. `tests/models/README.md` says it byte by byte, and a second model made from that text wrote
//! the vectors that the tests here replay.
//!
//! Guarantees: no key seals two messages, not after a kill and not from a restored snapshot (`r`); a message that does
//! not open changes nothing; each opens once; what is kept for late messages is bounded in number and in days; a
//! point of small order is refused wherever it comes from.
//!
//! Not here: recognising a blob that came before (the caller keeps hashes), fragments, storage, order of sending.
#![deny(clippy::disallowed_methods)]

pub(crate) mod agreement_key;
mod chain_key;
pub(crate) mod codec;
mod ec_ratchet;
mod error;
#[doc(hidden)]
pub mod fuzzing;
mod header;
pub(crate) mod header_key;
pub(crate) mod kdf;
pub(crate) mod kem;
mod kem_ratchet;
pub(crate) mod kem_root_key;
mod layout;
mod message_key;
pub(crate) mod one_time_key;
pub(crate) mod prefix;
mod role;
pub(crate) mod root_key;
pub(crate) mod secret;
pub(crate) mod session;
mod skipped;
mod state;
#[cfg(test)]
pub(crate) mod tests;

pub use chain_key::{CHAIN_SKIP_MAX, SKIPPED_PER_CHAIN_MAX};
pub use error::{DecryptError, EncryptError, Misbehaviour, StateError};
pub use kem_ratchet::SKIPPED_PER_CONTACT_MAX;
pub use layout::{BODY_MAX, INITIAL_BODY_MAX, ORDINARY_BODY_MAX};
pub use session::{Opened, Ratchet};
pub use skipped::SKIPPED_DAYS_MAX;

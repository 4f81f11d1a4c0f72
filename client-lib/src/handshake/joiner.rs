//! The joiner's side: from a checked card to a ratchet that may send.

use core::fmt;

use rand_core::CryptoRng;

use super::card::InvitationCard;
use super::error::HandshakeError;
use super::link_secret::LinkSecret;
use super::safety_code::SafetyCode;
use super::transcript::{SharedKey, Transcript};
use crate::ratchet::agreement_key::AgreementKey;
use crate::ratchet::prefix::Prefix;
use crate::ratchet::session::Ratchet;

/// What joining gives.
pub struct Joined {
    /// The conversation's ratchet. Every blob that it seals begins with the joiner's half of the handshake until it
    /// has opened one ([`Ratchet::is_answered`]).
    pub ratchet: Ratchet,
    /// What the two people compare.
    pub safety: SafetyCode,
}

/// Joins: the joiner's half of the handshake. Draws 32 bytes (X25519 key), 32 (`m` of the encapsulation) and 32 (the
/// first ratchet key). The first two serve here and are gone when this returns.
///
/// # Errors
/// [`HandshakeError::NonContributory`] when the card's X25519 key is a point of small order.
pub fn join(
    rng: &mut (impl CryptoRng + ?Sized),
    link_secret: &LinkSecret,
    card: &InvitationCard,
) -> Result<Joined, HandshakeError> {
    let agreement_key = AgreementKey::generate(rng);
    let agreed =
        agreement_key.agree(card.agreement_key()).map_err(|_| HandshakeError::NonContributory)?;
    let (ct, kem_secret) = card.encapsulation_key().encapsulate(rng);
    let prefix = Prefix::new(&agreement_key.public(), &ct);
    let transcript = Transcript::new(&card.encode(), &prefix);
    let salt = link_secret.handshake_salt();
    let shared_key = SharedKey::agree(&salt, &agreed, &kem_secret, &transcript);
    let ratchet = Ratchet::joiner(shared_key.first_keys(), card.agreement_key(), prefix, rng)
        .map_err(|_| HandshakeError::NonContributory)?;
    Ok(Joined { ratchet, safety: transcript.safety_code() })
}

impl fmt::Debug for Joined {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { ratchet: _, safety: _ } = self;
        f.write_str("Joined(..)")
    }
}

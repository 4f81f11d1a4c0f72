//! The inviter's side: an open invitation with its private keys, until somebody has joined or it expired.

use core::fmt;

use hearken_proto::limits::BLOB_LEN;
use hearken_proto::time::{UnixDay, UnixHour};
use rand_core::CryptoRng;
use zeroize::Zeroizing;

use super::card::InvitationCard;
use super::error::{CardError, HandshakeError};
use super::link_secret::LinkSecret;
use super::safety_code::SafetyCode;
use super::transcript::{SharedKey, Transcript};
use crate::ratchet::StateError;
use crate::ratchet::agreement_key::AgreementKey;
use crate::ratchet::codec::{Reader, Writer};
use crate::ratchet::kem::{DecapsulationKey, SEED_LEN};
use crate::ratchet::prefix::Prefix;
use crate::ratchet::session::{Opened, Ratchet};

const VERSION: u8 = 1;

/// An open invitation: link secret, card, and the private keys of the card. The caller destroys it, in the
/// transaction that stores what [`Inviter::accept`] gave, or at its expiry.
pub struct Inviter {
    link_secret: LinkSecret,
    agreement_key: AgreementKey,
    decapsulation_key: DecapsulationKey,
    card: InvitationCard,
}

/// What the first message that opened gives the inviter.
pub struct Accepted {
    /// The conversation's ratchet; it may send at once.
    pub ratchet: Ratchet,
    /// What the message said.
    pub opened: Opened,
    /// What the two people compare.
    pub safety: SafetyCode,
}

impl Inviter {
    /// Makes an invitation to the mailbox that `claim_key` (its X25519 private key) claims at `relay`. Draws 32 bytes
    /// (link secret), 32 (X25519 key), 64 (ML-KEM-768 seed).
    ///
    /// # Errors
    /// [`CardError::Address`] when `relay` is empty or longer than [`super::CARD_ADDRESS_MAX`].
    pub fn create(
        rng: &mut (impl CryptoRng + ?Sized),
        relay: &str,
        claim_key: &[u8; 32],
        expires: UnixHour,
    ) -> Result<Self, CardError> {
        let link_secret = LinkSecret::generate(rng);
        let agreement_key = AgreementKey::generate(rng);
        let decapsulation_key = DecapsulationKey::generate(rng);
        let card = InvitationCard::new(
            expires,
            agreement_key.public(),
            claim_key,
            decapsulation_key.encapsulation_key(),
            relay,
        )?;
        Ok(Self { link_secret, agreement_key, decapsulation_key, card })
    }

    /// What the link hands over.
    #[must_use]
    pub fn link_secret(&self) -> &LinkSecret {
        &self.link_secret
    }

    /// The card to be sealed into an object.
    #[must_use]
    pub fn card(&self) -> &InvitationCard {
        &self.card
    }

    /// Takes the first message of a joiner. `day` is today. Draws 96 bytes, after the message was accepted: the
    /// inviter's next ratchet key (32) and the ML-KEM seed that it offers first (64).
    ///
    /// # Errors
    /// [`HandshakeError`] when `blob` is no first message to this invitation; the invitation stays open.
    pub fn accept(
        &self,
        rng: &mut (impl CryptoRng + ?Sized),
        day: UnixDay,
        blob: &[u8; BLOB_LEN],
    ) -> Result<Accepted, HandshakeError> {
        let (transcript, shared_key) = self.agree(&Prefix::of(blob))?;
        // A copy: the invitation stays open should the message not be accepted.
        let card_key = AgreementKey::from_bytes(self.agreement_key.as_bytes());
        let (ratchet, opened) =
            Ratchet::inviter(shared_key.first_keys(), card_key, blob, day, rng)?;
        Ok(Accepted { ratchet, opened, safety: transcript.safety_code() })
    }

    pub(super) fn agree(&self, prefix: &Prefix) -> Result<(Transcript, SharedKey), HandshakeError> {
        let agreed = self
            .agreement_key
            .agree(&prefix.agreement_key())
            .map_err(|_| HandshakeError::NonContributory)?;
        let kem_secret = self.decapsulation_key.decapsulate(&prefix.ciphertext());
        let transcript = Transcript::new(&self.card.encode(), prefix);
        let salt = self.link_secret.handshake_salt();
        let shared_key = SharedKey::agree(&salt, &agreed, &kem_secret, &transcript);
        Ok((transcript, shared_key))
    }

    /// The invitation for the vault, all of it secret.
    #[must_use]
    pub fn to_bytes(&self) -> Zeroizing<Vec<u8>> {
        let card = self.card.encode();
        let mut out = Writer::with_capacity(1 + 32 + 32 + SEED_LEN + card.len());
        out.u8(VERSION);
        out.put(self.link_secret.as_bytes());
        out.put(self.agreement_key.as_bytes());
        out.put(self.decapsulation_key.seed());
        out.put(&card);
        out.finish()
    }

    /// Takes an invitation that [`Inviter::to_bytes`] gave.
    ///
    /// # Errors
    /// [`StateError::Version`] for another version, [`StateError::Malformed`] where the card is none or its public
    /// keys are not those of the private keys beside it.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, StateError> {
        let mut reader = Reader::new(bytes);
        if reader.u8().ok_or(StateError::Malformed)? != VERSION {
            return Err(StateError::Version);
        }
        Self::read(reader).ok_or(StateError::Malformed)
    }

    fn read(mut reader: Reader<'_>) -> Option<Self> {
        let link_secret = LinkSecret::from_bytes(reader.array()?);
        let agreement_key = AgreementKey::from_bytes(reader.array()?);
        let decapsulation_key = DecapsulationKey::from_seed(reader.array()?);
        let card = InvitationCard::decode(reader.rest())?;
        let own = agreement_key.public() == *card.agreement_key()
            && decapsulation_key.encapsulation_key() == *card.encapsulation_key();
        own.then_some(Self { link_secret, agreement_key, decapsulation_key, card })
    }
}

impl fmt::Debug for Inviter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { link_secret: _, agreement_key: _, decapsulation_key: _, card: _ } = self;
        f.write_str("Inviter(..)")
    }
}

impl fmt::Debug for Accepted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { ratchet: _, opened: _, safety: _ } = self;
        f.write_str("Accepted(..)")
    }
}

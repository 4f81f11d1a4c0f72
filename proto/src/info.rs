//! `RelayInfo`: what a relay says of itself, signed by its identity key (Ed25519, RFC 8032).
//!
//! [`UnverifiedInfo`] is what an INFO answer carried; [`VerifiedInfo`] is one whose signature, fingerprint, age and
//! keys hold. The signature is over the bytes received, with a label in front.

use ed25519_dalek::{Signature, Signer, SigningKey, VerifyingKey};
use prost::Message;
use rand_core::CryptoRng;

use crate::cell::{Cell, Kind};
use crate::hop::HopPublicKey;
use crate::ids::Fingerprint;
use crate::limits::{INFO_LEN, INFO_ROLLBACK_MINUTES_MAX, INFO_VALID_MINUTES, ROUTING_LEN};
use crate::seal::{KeyEpoch, RouteContext, SealPublicKey, VERSION};
use crate::time::UnixMillis;
use crate::wire::{RelayInfo, SignedRelayInfo};

const SIGNATURE_LABEL: &[u8] = b"hearken/1 relay info";
const MINUTE_MS: u64 = 60_000;

/// Why a `RelayInfo` is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InfoError {
    /// It cannot be read, or a key in it is not one.
    #[error("a malformed relay info")]
    Malformed,
    /// It is another relay's.
    #[error("a relay info by another key than the address names")]
    OtherKey,
    /// The signature does not hold.
    #[error("a relay info whose signature does not hold")]
    Signature,
    /// It was signed over three hours ago, or that far in the future.
    #[error("a relay info that has expired, or a clock that is wrong")]
    Expired,
    /// It was signed over two hours before the newest one seen from this relay.
    #[error("a relay whose clock went back")]
    RolledBack,
    /// The relay speaks no version of the protocol that this program speaks.
    #[error("a relay that speaks another version of the protocol")]
    Version,
    /// It is longer than a cell has room for.
    #[error("a relay info that does not fit a cell")]
    TooLong,
}

/// Signs a `RelayInfo`.
#[must_use]
pub fn sign(info: &RelayInfo, identity: &SigningKey) -> SignedRelayInfo {
    let relay_info = info.encode_to_vec();
    let signature = identity.sign(&[SIGNATURE_LABEL, &relay_info].concat());
    SignedRelayInfo {
        relay_info,
        identity_public_key: identity.verifying_key().to_bytes().to_vec(),
        signature: signature.to_bytes().to_vec(),
    }
}

/// An INFO cell that asks for the `RelayInfo` of the relay that reads it, or, with a sealed next hop, of that one.
#[must_use]
pub fn request(route: u64, rng: &mut (impl CryptoRng + ?Sized)) -> Cell {
    let mut cell = Cell::new(Kind::Info, route, rng);
    cell.set_last_hop();
    cell
}

/// The OPEN or INFO that `cell` becomes when it names a next hop, sealed as `routing`.
#[must_use]
pub fn set_next_hop(cell: &mut Cell, routing: &[u8; ROUTING_LEN]) -> Cell {
    cell.name_next_hop(routing);
    cell.clone()
}

/// An INFO cell that answers with a signed `RelayInfo`.
///
/// # Errors
/// [`InfoError::TooLong`] when it does not fit 3,713 bytes.
pub fn answer(
    route: u64,
    info: &SignedRelayInfo,
    rng: &mut (impl CryptoRng + ?Sized),
) -> Result<Cell, InfoError> {
    let encoded = info.encode_to_vec();
    let prefix = u16::try_from(encoded.len()).map_err(|_| InfoError::TooLong)?;
    if encoded.len() > INFO_LEN - 2 {
        return Err(InfoError::TooLong);
    }
    let mut cell = Cell::new(Kind::Info, route, rng);
    cell.info_mut()[..2].copy_from_slice(&prefix.to_be_bytes());
    cell.info_mut()[2..2 + encoded.len()].copy_from_slice(&encoded);
    Ok(cell)
}

/// A signed `RelayInfo` as it came, about which nothing is known.
#[derive(Clone, Debug)]
pub struct UnverifiedInfo(SignedRelayInfo);

impl UnverifiedInfo {
    /// Reads the answer to an INFO cell.
    ///
    /// # Errors
    /// [`InfoError::Malformed`] when the cell carries none.
    pub fn from_answer(cell: &Cell) -> Result<Self, InfoError> {
        let field = cell.info();
        let len = usize::from(u16::from_be_bytes([field[0], field[1]]));
        let encoded = field.get(2..2 + len).ok_or(InfoError::Malformed)?;
        let signed = SignedRelayInfo::decode(encoded).map_err(|_| InfoError::Malformed)?;
        Ok(Self(signed))
    }

    /// The bytes, for an entry relay's cache.
    #[must_use]
    pub fn signed(&self) -> &SignedRelayInfo {
        &self.0
    }

    /// Checks key, signature, age, version and keys. `newest_seen` is when the newest verified one of this relay was
    /// signed.
    ///
    /// # Errors
    /// [`InfoError`], the first that does not hold.
    pub fn verify(
        self,
        fingerprint: &Fingerprint,
        newest_seen: Option<UnixMillis>,
        now: UnixMillis,
    ) -> Result<VerifiedInfo, InfoError> {
        let identity: [u8; 32] =
            self.0.identity_public_key.as_slice().try_into().map_err(|_| InfoError::Malformed)?;
        if Fingerprint::of(&identity) != *fingerprint {
            return Err(InfoError::OtherKey);
        }
        let key = VerifyingKey::from_bytes(&identity).map_err(|_| InfoError::Malformed)?;
        let signature =
            Signature::from_slice(&self.0.signature).map_err(|_| InfoError::Malformed)?;
        key.verify_strict(&[SIGNATURE_LABEL, &self.0.relay_info].concat(), &signature)
            .map_err(|_| InfoError::Signature)?;
        let info =
            RelayInfo::decode(self.0.relay_info.as_slice()).map_err(|_| InfoError::Malformed)?;
        let signed_at = UnixMillis(info.signed_at_ms);
        if let Some(newest) = newest_seen
            && signed_at.0.saturating_add(INFO_ROLLBACK_MINUTES_MAX * MINUTE_MS) < newest.0
        {
            return Err(InfoError::RolledBack);
        }
        if now.0.abs_diff(signed_at.0) > INFO_VALID_MINUTES * MINUTE_MS {
            return Err(InfoError::Expired);
        }
        if !info.versions.contains(&u32::from(VERSION)) {
            return Err(InfoError::Version);
        }
        let array = |bytes: &[u8]| <[u8; 32]>::try_from(bytes).map_err(|_| InfoError::Malformed);
        let key_epoch = info.key_epoch.as_slice().try_into().map_err(|_| InfoError::Malformed)?;
        Ok(VerifiedInfo {
            context: RouteContext {
                fingerprint: *fingerprint,
                key_epoch: KeyEpoch::from_bytes(key_epoch),
            },
            seal_key: SealPublicKey::from_bytes(&info.seal_public_key)
                .map_err(|_| InfoError::Malformed)?,
            auth_key: array(&info.auth_public_key)?,
            hop_key: HopPublicKey::from_bytes(&info.hop_public_key)
                .map_err(|_| InfoError::Malformed)?,
            signed_at,
            info,
        })
    }
}

/// A `RelayInfo` that the relay signed, recently enough, with keys that are keys.
#[derive(Clone, Debug)]
pub struct VerifiedInfo {
    context: RouteContext,
    seal_key: SealPublicKey,
    auth_key: [u8; 32],
    hop_key: HopPublicKey,
    signed_at: UnixMillis,
    info: RelayInfo,
}

impl VerifiedInfo {
    /// Relay and key epoch.
    #[must_use]
    pub fn context(&self) -> &RouteContext {
        &self.context
    }

    /// The key to seal routes to.
    #[must_use]
    pub fn seal_key(&self) -> &SealPublicKey {
        &self.seal_key
    }

    /// The X25519 key to prove objects' keys against.
    #[must_use]
    pub fn auth_key(&self) -> &[u8; 32] {
        &self.auth_key
    }

    /// The key to seal next hops to.
    #[must_use]
    pub fn hop_key(&self) -> &HopPublicKey {
        &self.hop_key
    }

    /// When it was signed.
    #[must_use]
    pub fn signed_at(&self) -> UnixMillis {
        self.signed_at
    }

    /// Everything else that the relay says.
    #[must_use]
    pub fn info(&self) -> &RelayInfo {
        &self.info
    }
}

#[cfg(test)]
mod tests;

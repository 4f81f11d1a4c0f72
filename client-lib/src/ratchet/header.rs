//! What a message says of its place, before it is sealed.
//!
//! Ratchet key 32 ‖ length of the previous chain, number in this one, KEM epoch, length of the previous KEM epoch,
//! number in this one (4 each, big-endian) ‖ kind of the KEM part 1 ‖ in ordinary blobs 1,184 bytes: nothing and zeros
//! (kind 0), an `ek` (kind 1), or a `ct` and 96 zeros (kind 2).

use super::error::{DecryptError, Misbehaviour};
use super::kem::{CT_LEN, Ciphertext, EK_LEN, EncapsulationKey};
use super::layout::{HEADER_FIXED_LEN, Layout};

const KIND_NONE: u8 = 0;
const KIND_EK: u8 = 1;
const KIND_CT: u8 = 2;

/// What a message does for the KEM ratchet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum KemPart {
    Nothing,
    EncapsulationKey(EncapsulationKey),
    Ciphertext(Ciphertext),
}

/// A header, sealed or opened. Numbers count from 0.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) ratchet_key: [u8; 32],
    pub(crate) previous: u32,
    pub(crate) number: u32,
    pub(crate) kem_epoch: u32,
    pub(crate) kem_previous: u32,
    pub(crate) kem_number: u32,
    pub(crate) kem: KemPart,
}

impl Header {
    /// Writes the header into `out`, whose length is [`Layout::header_len`] and which is zero.
    pub(crate) fn encode(&self, out: &mut [u8]) {
        out[..32].copy_from_slice(&self.ratchet_key);
        let numbers =
            [self.previous, self.number, self.kem_epoch, self.kem_previous, self.kem_number];
        for (place, number) in out[32..].chunks_exact_mut(4).zip(numbers) {
            place.copy_from_slice(&number.to_be_bytes());
        }
        let (kind, part): (u8, &[u8]) = match &self.kem {
            KemPart::Nothing => (KIND_NONE, &[]),
            KemPart::EncapsulationKey(ek) => (KIND_EK, ek.as_bytes()),
            KemPart::Ciphertext(ct) => (KIND_CT, ct.as_bytes()),
        };
        out[HEADER_FIXED_LEN - 1] = kind;
        out[HEADER_FIXED_LEN..HEADER_FIXED_LEN + part.len()].copy_from_slice(part);
    }

    /// Reads a header that was opened.
    pub(crate) fn decode(layout: Layout, bytes: &[u8]) -> Result<Self, DecryptError> {
        let malformed = DecryptError::PeerMisbehaved(Misbehaviour::Header);
        if bytes.len() != layout.header_len() {
            return Err(malformed);
        }
        let mut ratchet_key = [0; 32];
        ratchet_key.copy_from_slice(&bytes[..32]);
        let number = |index: usize| {
            let mut number = [0; 4];
            number.copy_from_slice(&bytes[32 + index * 4..36 + index * 4]);
            u32::from_be_bytes(number)
        };
        let part = &bytes[HEADER_FIXED_LEN..];
        let (kem, zeros) = match (bytes[HEADER_FIXED_LEN - 1], layout) {
            (KIND_NONE, _) => (KemPart::Nothing, part),
            (KIND_EK, Layout::Ordinary) => {
                let (ek, zeros) = part.split_first_chunk::<EK_LEN>().ok_or(malformed)?;
                let ek = EncapsulationKey::from_bytes(ek)
                    .map_err(|_| DecryptError::PeerMisbehaved(Misbehaviour::EncapsulationKey))?;
                (KemPart::EncapsulationKey(ek), zeros)
            }
            (KIND_CT, Layout::Ordinary) => {
                let (ct, zeros) = part.split_first_chunk::<CT_LEN>().ok_or(malformed)?;
                (KemPart::Ciphertext(Ciphertext::from_bytes(ct)), zeros)
            }
            _ => return Err(malformed),
        };
        if zeros.iter().any(|byte| *byte != 0) {
            return Err(malformed);
        }
        Ok(Self {
            ratchet_key,
            previous: number(0),
            number: number(1),
            kem_epoch: number(2),
            kem_previous: number(3),
            kem_number: number(4),
            kem,
        })
    }
}

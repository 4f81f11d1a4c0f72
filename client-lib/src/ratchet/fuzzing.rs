//! Headers as bytes, and messages by a peer who has the keys and says what it likes, for `tests/fuzz`. Not part of the
//! interface.

use hearken_proto::limits::BLOB_LEN;

use super::header::{Header, KemPart};
use super::kem::{CT_LEN, Ciphertext, DecapsulationKey};
use super::layout::Layout;
use super::session::{Ratchet, SealKeys, seal_blob};

/// A header as it stands inside its seal, written again. `None` where it is refused.
#[must_use]
pub fn header(initial: bool, bytes: &[u8]) -> Option<Vec<u8>> {
    let layout = if initial { Layout::Initial } else { Layout::Ordinary };
    let header = Header::decode(layout, bytes).ok()?;
    let mut written = vec![0; layout.header_len()];
    header.encode(&mut written);
    Some(written)
}

/// What a lying peer changes in a header. Numbers are added, wrapping.
#[derive(Clone, Copy, Debug, Default)]
pub struct Lie {
    /// Another ratchet key.
    pub ratchet_key: Option<[u8; 32]>,
    /// To the length of the previous chain, the number, the KEM epoch, the length of the previous one, the number in it.
    pub add: [u32; 5],
    /// 0: the honest KEM part; 1: nothing; 2: a key; 3: a ciphertext of anything.
    pub kem: u8,
    /// Another length before the content.
    pub length: Option<u16>,
    /// The random bytes of the message, which repeat where these do.
    pub r: [u8; 32],
}

/// The next message of `ratchet` with a header that lies. The ratchet stays as it is, so an honest message after it
/// uses the same keys. `None` where there is nothing to send with, or `body` is too long.
#[must_use]
pub fn forge(ratchet: &Ratchet, lie: &Lie, body: &[u8]) -> Option<Box<[u8; BLOB_LEN]>> {
    let chain = ratchet.ec.sending.as_ref()?;
    let (ec, _) = ratchet.ec.next_to_send().ok()?;
    let (kem, _) = ratchet.kem.next_to_send().ok()?;
    let layout = if chain.prefix.is_some() { Layout::Initial } else { Layout::Ordinary };
    let is_ordinary = layout == Layout::Ordinary;
    if body.len() > layout.body_max() {
        return None;
    }
    let header = Header {
        ratchet_key: lie.ratchet_key.unwrap_or_else(|| ratchet.ec.our_key.public()),
        previous: ratchet.ec.previous.wrapping_add(lie.add[0]),
        number: chain.number.wrapping_add(lie.add[1]),
        kem_epoch: ratchet.kem.epoch.wrapping_add(lie.add[2]),
        kem_previous: ratchet.kem.previous.wrapping_add(lie.add[3]),
        kem_number: ratchet.kem.number.wrapping_add(lie.add[4]),
        kem: match lie.kem {
            1 => KemPart::Nothing,
            2 if is_ordinary => {
                KemPart::EncapsulationKey(DecapsulationKey::from_seed(&[7; 64]).encapsulation_key())
            }
            3 if is_ordinary => KemPart::Ciphertext(Ciphertext::from_bytes(&[7; CT_LEN])),
            _ => ratchet.kem.part_to_send(),
        },
    };
    let keys = SealKeys { header: &chain.header_key, ec: &ec, kem: &kem };
    let length = lie.length.unwrap_or(u16::try_from(body.len()).ok()?);
    Some(seal_blob(&keys, chain.prefix.as_ref(), &lie.r, &header, length, body))
}

//! A ratchet as bytes, for the vault. Version 1; read back only where every count and every order holds.

use std::collections::VecDeque;

use zeroize::Zeroizing;

use super::agreement_key::AgreementKey;
use super::chain_key::{ChainKey, SKIPPED_PER_CHAIN_MAX};
use super::codec::{Reader, Writer};
use super::ec_ratchet::{EcRatchet, PAST_CHAINS_MAX, PastChain, ReceivingChain, SendingChain};
use super::error::StateError;
use super::header_key::HeaderKey;
use super::kem::{Ciphertext, DecapsulationKey, EncapsulationKey};
use super::kem_ratchet::{Exchange, KemRatchet, KemReceiving, SKIPPED_PER_CONTACT_MAX};
use super::kem_root_key::KemRootKey;
use super::message_key::PartialKey;
use super::prefix::Prefix;
use super::role::Role;
use super::root_key::RootKey;
use super::session::Ratchet;
use super::skipped::SkippedKeys;

const VERSION: u8 = 1;
/// More than all fields but the keys passed over.
const FIXED_LEN_MAX: usize = 8_192;
/// Number 4, day 4, key 32.
const SKIPPED_LEN: usize = 40;

impl Ratchet {
    /// The state, all of it secret.
    #[must_use]
    pub fn to_bytes(&self) -> Zeroizing<Vec<u8>> {
        let kept = self.kem.kept_count()
            + self.ec.receiving.as_ref().map_or(0, |chain| chain.skipped.len())
            + self.ec.past.iter().map(|chain| chain.skipped.len()).sum::<usize>();
        let epochs = self.kem.past.len() * 6;
        let mut out = Writer::with_capacity(FIXED_LEN_MAX + kept * SKIPPED_LEN + epochs);
        out.u8(VERSION);
        write_ec(&mut out, &self.ec);
        write_kem(&mut out, &self.kem);
        out.finish()
    }

    /// Takes a state that [`Ratchet::to_bytes`] gave.
    ///
    /// # Errors
    /// [`StateError::Version`] for another version, [`StateError::Malformed`] for anything else that does not hold.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, StateError> {
        let mut reader = Reader::new(bytes);
        if reader.u8().ok_or(StateError::Malformed)? != VERSION {
            return Err(StateError::Version);
        }
        let ec = read_ec(&mut reader).ok_or(StateError::Malformed)?;
        let kem = read_kem(&mut reader).ok_or(StateError::Malformed)?;
        if !reader.is_empty() {
            return Err(StateError::Malformed);
        }
        Ok(Self { ec, kem })
    }
}

fn write_ec(out: &mut Writer, ec: &EcRatchet) {
    out.put(ec.root.as_bytes());
    out.put(ec.our_key.as_bytes());
    out.u8(ec.sending.is_some().into());
    if let Some(chain) = &ec.sending {
        out.put(chain.header_key.as_bytes());
        out.put(chain.chain_key.as_bytes());
        out.u32(chain.number);
        write_prefix(out, chain.prefix.as_ref());
    }
    out.u32(ec.previous);
    out.put(ec.next_sending_header.as_bytes());
    out.u8(ec.receiving.is_some().into());
    if let Some(chain) = &ec.receiving {
        out.put(chain.header_key.as_bytes());
        out.put(chain.chain_key.as_bytes());
        out.u32(chain.next);
        out.u64(chain.base);
        write_prefix(out, chain.prefix.as_ref());
        write_skipped(out, &chain.skipped);
    }
    out.put(ec.next_receiving_header.as_bytes());
    out.u8(u8::try_from(ec.past.len()).unwrap_or(u8::MAX));
    for chain in &ec.past {
        out.put(chain.header_key.as_bytes());
        out.u64(chain.base);
        write_prefix(out, chain.prefix.as_ref());
        write_skipped(out, &chain.skipped);
    }
}

fn read_ec(reader: &mut Reader<'_>) -> Option<EcRatchet> {
    let root = RootKey::from_bytes(*reader.array()?);
    let our_key = AgreementKey::from_bytes(reader.array()?);
    // A ratchet that cannot send is never stored.
    if !reader.flag()? {
        return None;
    }
    let sending = Some(SendingChain {
        header_key: HeaderKey::from_bytes(*reader.array()?),
        chain_key: ChainKey::from_bytes(*reader.array()?),
        number: reader.u32()?,
        prefix: read_prefix(reader)?,
    });
    let previous = reader.u32()?;
    let next_sending_header = HeaderKey::from_bytes(*reader.array()?);
    let receiving = if reader.flag()? {
        let header_key = HeaderKey::from_bytes(*reader.array()?);
        let chain_key = ChainKey::from_bytes(*reader.array()?);
        let next = reader.u32()?;
        let base = reader.u64()?;
        let prefix = read_prefix(reader)?;
        let skipped = read_skipped(reader, next)?;
        Some(ReceivingChain { header_key, chain_key, next, base, skipped, prefix })
    } else {
        None
    };
    let next_receiving_header = HeaderKey::from_bytes(*reader.array()?);
    let count = usize::from(reader.u8()?);
    if count > PAST_CHAINS_MAX {
        return None;
    }
    let mut past = Vec::with_capacity(count);
    for _ in 0..count {
        past.push(PastChain {
            header_key: HeaderKey::from_bytes(*reader.array()?),
            base: reader.u64()?,
            prefix: read_prefix(reader)?,
            skipped: read_skipped(reader, u32::MAX)?,
        });
    }
    Some(EcRatchet {
        root,
        our_key,
        sending,
        previous,
        next_sending_header,
        receiving,
        next_receiving_header,
        next_prefix: None,
        past,
    })
}

fn write_kem(out: &mut Writer, kem: &KemRatchet) {
    out.u8(match kem.role {
        Role::Inviter => 0,
        Role::Joiner => 1,
    });
    out.put(kem.root.as_bytes());
    out.u32(kem.epoch);
    out.put(kem.sending.as_bytes());
    out.u32(kem.number);
    out.u32(kem.previous);
    out.u32(kem.receiving.epoch);
    out.put(kem.receiving.chain_key.as_bytes());
    out.u32(kem.receiving.next);
    write_skipped(out, &kem.receiving.skipped);
    out.u16(u16::try_from(kem.past.len()).unwrap_or(u16::MAX));
    for (epoch, kept) in &kem.past {
        out.u32(*epoch);
        write_skipped(out, kept);
    }
    match &kem.exchange {
        Exchange::Awaiting => out.u8(0),
        Exchange::Offering { dk, ek } => {
            out.u8(1);
            out.put(dk.seed());
            out.put(ek.as_bytes());
        }
        Exchange::Answering { ct, receiving } => {
            out.u8(2);
            out.put(ct.as_bytes());
            out.put(receiving.as_bytes());
        }
    }
}

fn read_kem(reader: &mut Reader<'_>) -> Option<KemRatchet> {
    let role = if reader.flag()? { Role::Joiner } else { Role::Inviter };
    let root = KemRootKey::from_bytes(*reader.array()?);
    let epoch = reader.u32()?;
    let sending = ChainKey::from_bytes(*reader.array()?);
    let number = reader.u32()?;
    let previous = reader.u32()?;
    let received_epoch = reader.u32()?;
    let chain_key = ChainKey::from_bytes(*reader.array()?);
    let next = reader.u32()?;
    let skipped = read_skipped(reader, next)?;
    let receiving = KemReceiving { epoch: received_epoch, chain_key, next, skipped };
    let mut past = VecDeque::new();
    let mut above = received_epoch;
    for _ in 0..reader.u16()? {
        let past_epoch = reader.u32()?;
        if past_epoch >= above {
            return None;
        }
        above = past_epoch;
        past.push_back((past_epoch, read_skipped(reader, u32::MAX)?));
    }
    let (exchange, ahead) = match reader.u8()? {
        0 => (Exchange::Awaiting, 0),
        1 => {
            let dk = DecapsulationKey::from_seed(reader.array()?);
            let ek = EncapsulationKey::from_bytes(reader.array()?).ok()?;
            (Exchange::Offering { dk, ek }, 0)
        }
        2 => {
            let ct = Ciphertext::from_bytes(reader.array()?);
            let receiving = ChainKey::from_bytes(*reader.array()?);
            (Exchange::Answering { ct, receiving }, 1)
        }
        _ => return None,
    };
    if received_epoch.checked_add(ahead) != Some(epoch) {
        return None;
    }
    let kem =
        KemRatchet { role, root, epoch, sending, number, previous, receiving, past, exchange };
    (kem.kept_count() <= SKIPPED_PER_CONTACT_MAX).then_some(kem)
}

fn write_prefix(out: &mut Writer, prefix: Option<&Prefix>) {
    out.u8(prefix.is_some().into());
    if let Some(prefix) = prefix {
        out.put(prefix.as_bytes());
    }
}

/// `Some(None)`: there is none.
fn read_prefix(reader: &mut Reader<'_>) -> Option<Option<Prefix>> {
    if reader.flag()? { Some(Some(Prefix::from_bytes(reader.array()?))) } else { Some(None) }
}

fn write_skipped(out: &mut Writer, skipped: &SkippedKeys) {
    out.u16(u16::try_from(skipped.len()).unwrap_or(u16::MAX));
    for (number, day, key) in skipped.iter() {
        out.u32(number);
        out.u32(day.0);
        out.put(key.as_bytes());
    }
}

/// Keys passed over, in the order of their numbers, all below `below`.
fn read_skipped(reader: &mut Reader<'_>, below: u32) -> Option<SkippedKeys> {
    let count = usize::from(reader.u16()?);
    if count > SKIPPED_PER_CHAIN_MAX {
        return None;
    }
    let mut skipped = SkippedKeys::default();
    let mut lowest = 0;
    for _ in 0..count {
        let number = reader.u32()?;
        if number < lowest || number >= below {
            return None;
        }
        lowest = number.checked_add(1)?;
        let day = reader.day()?;
        skipped.insert(number, day, PartialKey::from_bytes(*reader.array()?));
    }
    Some(skipped)
}

const _: () = assert!((PAST_CHAINS_MAX + 1) * SKIPPED_PER_CHAIN_MAX <= SKIPPED_PER_CONTACT_MAX);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_passed_over_rise_and_stay_below_what_the_chain_has_reached() {
        let read = |numbers: &[u32]| {
            let mut out = Writer::with_capacity(SKIPPED_LEN * 4);
            out.u16(u16::try_from(numbers.len()).unwrap_or(u16::MAX));
            for number in numbers {
                out.u32(*number);
                out.u32(20_000);
                out.put(&[7; 32]);
            }
            read_skipped(&mut Reader::new(&out.finish()), 9).map(|skipped| skipped.len())
        };
        assert_eq!(read(&[]), Some(0));
        assert_eq!(read(&[0, 3, 8]), Some(3));
        for numbers in [&[3, 3][..], &[3, 2], &[9], &[8, 9]] {
            assert_eq!(read(numbers), None, "{numbers:?}");
        }
    }
}

//! The slot file: where the data key lies, sealed under each phrase that opens the vault.
//!
//! 8 + 12 + 32 header, then eight slots of 104, then a checksum of 32: 916 bytes in all.
//!
//! ```text
//! "HKSLOTS1" | memory KiB u32 BE | passes u32 BE | lanes u32 BE (1) | salt 32
//! 8 × ( nonce 24 | sealed ( kind u8 | data key 32 | positions 4 | zeros 27 ) 64 | tag 16 )
//! SHA-256 of everything before
//! ```
//!
//! A slot is sealed with XChaCha20-Poly1305 or is random filler, and the two cannot be told apart: the file does not
//! say how many phrases there are, nor which slot belongs to which. Where each kind of phrase has its slot is drawn at
//! random when the vault is made, for all four kinds whether used or not, and stands sealed inside every slot, so that
//! a phrase can be replaced by whoever opened the vault with another one.
//!
//! There is one salt a file, and the key of a slot comes from the stretched phrase by HKDF with the slot's position: one
//! run of Argon2id tries all slots, and opening takes the same work whichever slot it is. This costs nothing in
//! strength: salts of their own would make a guess at the passphrase no dearer (a guesser would aim at one slot), and
//! the recovery phrase has 128 bits. The whole header is authenticated with every slot.
//!
//! The checksum is there to tell damage from a wrong passphrase. It keeps nobody from tampering; the seal of a slot does.

use chacha20poly1305::aead::AeadInOut;
use chacha20poly1305::aead::inout::InOutBuf;
use chacha20poly1305::{KeyInit, Tag, XChaCha20Poly1305, XNonce};
use hkdf::Hkdf;
use rand_core::CryptoRng;
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use super::data_key::{DATA_KEY_LEN, DataKey};
use super::error::{Damage, VaultError};
use super::kdf_cost::KdfCost;
use super::phrase;

const MAGIC: &[u8; 8] = b"HKSLOTS1";
/// What every version's file begins with, before the number of the version.
const MAGIC_OF_ANY: &[u8] = b"HKSLOTS";
const SALT_LEN: usize = 32;
const HEADER_LEN: usize = MAGIC.len() + 3 * 4 + SALT_LEN;
const NONCE_LEN: usize = 24;
const PAYLOAD_LEN: usize = 64;
const TAG_LEN: usize = 16;
const SLOT_LEN: usize = NONCE_LEN + PAYLOAD_LEN + TAG_LEN;
const CHECKSUM_LEN: usize = 32;
const SLOT_LABEL: &[u8] = b"hearken/1 vault slot";

/// Slots in a file, used or not.
const SLOTS: usize = 8;
/// Kinds of phrase.
const KINDS: usize = 4;

/// The length of a slot file, in bytes.
pub(super) const SLOT_FILE_LEN: usize = HEADER_LEN + SLOTS * SLOT_LEN + CHECKSUM_LEN;

const _: () = assert!(1 + DATA_KEY_LEN + KINDS <= PAYLOAD_LEN);
const _: () = assert!(KINDS <= SLOTS && SLOTS <= u8::MAX as usize);
const _: () = assert!(SLOT_FILE_LEN == 916);

/// What a phrase does. The panic and duress phrases have their place in the format; nothing makes them yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum SlotKind {
    /// The phrase that the person chose.
    Passphrase = 1,
    /// The one that was made for them.
    Recovery = 2,
}

impl SlotKind {
    const fn of(byte: u8) -> Option<Self> {
        match byte {
            1 => Some(Self::Passphrase),
            2 => Some(Self::Recovery),
            _ => None,
        }
    }

    /// Its place in the list of positions.
    const fn index(self) -> usize {
        self as usize - 1
    }
}

/// Which slot each kind of phrase has.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Positions([u8; KINDS]);

impl Positions {
    /// Drawn without repetition and without bias.
    fn draw(rng: &mut (impl CryptoRng + ?Sized)) -> Self {
        let mut order = [0u8; SLOTS];
        for (place, at) in order.iter_mut().zip(0..) {
            *place = at;
        }
        // Fisher-Yates; what remains of 2^32 modulo a number up to 8 is a bias below 2^-29.
        for upper in (1..SLOTS).rev() {
            let other = rng.next_u32() as usize % (upper + 1);
            order.swap(upper, other);
        }
        let mut positions = [0; KINDS];
        positions.copy_from_slice(&order[..KINDS]);
        Self(positions)
    }

    fn parse(bytes: [u8; KINDS]) -> Option<Self> {
        let mut seen = [false; SLOTS];
        for position in bytes {
            let seen = seen.get_mut(usize::from(position))?;
            if core::mem::replace(seen, true) {
                return None;
            }
        }
        Some(Self(bytes))
    }

    fn of(self, kind: SlotKind) -> usize {
        usize::from(self.0[kind.index()])
    }
}

impl core::fmt::Debug for Positions {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let Self(_) = self;
        f.write_str("Positions(..)")
    }
}

/// The part of a slot file that stays as it is for as long as the vault exists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Header {
    cost: KdfCost,
    salt: [u8; SALT_LEN],
}

impl Header {
    fn to_bytes(self) -> [u8; HEADER_LEN] {
        let mut bytes = [0; HEADER_LEN];
        let fields = [
            &MAGIC[..],
            &self.cost.memory_kib().to_be_bytes(),
            &self.cost.passes().to_be_bytes(),
            &1u32.to_be_bytes(),
            &self.salt,
        ];
        let mut rest = &mut bytes[..];
        for field in fields {
            let (place, after) = rest.split_at_mut(field.len());
            place.copy_from_slice(field);
            rest = after;
        }
        bytes
    }

    fn parse(bytes: &[u8; HEADER_LEN]) -> Option<Self> {
        let (magic, rest) = bytes.split_first_chunk::<8>()?;
        let (memory_kib, rest) = rest.split_first_chunk::<4>()?;
        let (passes, rest) = rest.split_first_chunk::<4>()?;
        let (lanes, salt) = rest.split_first_chunk::<4>()?;
        if magic != MAGIC || u32::from_be_bytes(*lanes) != 1 {
            return None;
        }
        let cost =
            KdfCost::new(u32::from_be_bytes(*memory_kib), u32::from_be_bytes(*passes)).ok()?;
        Some(Self { cost, salt: salt.try_into().ok()? })
    }

    /// The stretched phrase, from which the keys of all slots come.
    fn stretch(&self, typed: &[u8]) -> Result<Hkdf<Sha256>, VaultError> {
        let secret = phrase::secret_of(typed)?;
        let stretched = self.cost.stretch(&secret, &self.salt)?;
        Hkdf::from_prk(&stretched[..]).map_err(|_| VaultError::KdfCostOutOfBounds)
    }
}

/// What a slot gave.
#[derive(Debug)]
pub(super) struct Opened {
    /// The key of the database.
    pub(super) key: DataKey,
    /// Where the phrases have their slots.
    pub(super) positions: Positions,
}

/// A whole slot file in memory. It holds nothing that the file does not.
pub(super) struct SlotFile {
    header: Header,
    slots: [[u8; SLOT_LEN]; SLOTS],
}

impl SlotFile {
    /// A file for a fresh vault: a slot for the passphrase, one for the recovery phrase, filler in all others.
    pub(super) fn create(
        cost: KdfCost,
        passphrase: &[u8],
        recovery: &[u8],
        key: &DataKey,
        rng: &mut (impl CryptoRng + ?Sized),
    ) -> Result<(Self, Positions), VaultError> {
        let mut header = Header { cost, salt: [0; SALT_LEN] };
        rng.fill_bytes(&mut header.salt);
        let positions = Positions::draw(rng);
        let mut file = Self { header, slots: [[0; SLOT_LEN]; SLOTS] };
        file.slots.iter_mut().for_each(|slot| rng.fill_bytes(slot));
        file.set(SlotKind::Passphrase, passphrase, key, positions, rng)?;
        file.set(SlotKind::Recovery, recovery, key, positions, rng)?;
        Ok((file, positions))
    }

    /// Reads a file.
    ///
    /// # Errors
    /// [`VaultError::TooNew`] for the file of a later version; [`VaultError::Damaged`] for any other length, a wrong
    /// checksum, or a header that this version never wrote.
    pub(super) fn parse(bytes: &[u8]) -> Result<Self, VaultError> {
        let version = bytes.strip_prefix(MAGIC_OF_ANY).and_then(<[u8]>::first);
        if version.is_some_and(|version| (b'2'..=b'9').contains(version)) {
            return Err(VaultError::TooNew);
        }
        Self::parse_whole(bytes).ok_or(VaultError::Damaged { what: Damage::Slots })
    }

    fn parse_whole(bytes: &[u8]) -> Option<Self> {
        if bytes.len() != SLOT_FILE_LEN {
            return None;
        }
        let (content, checksum) = bytes.split_last_chunk::<CHECKSUM_LEN>()?;
        if Sha256::digest(content)[..] != checksum[..] {
            return None;
        }
        let (header, sealed) = content.split_first_chunk::<HEADER_LEN>()?;
        let mut slots = [[0; SLOT_LEN]; SLOTS];
        for (slot, bytes) in slots.iter_mut().zip(sealed.chunks_exact(SLOT_LEN)) {
            slot.copy_from_slice(bytes);
        }
        Some(Self { header: Header::parse(header)?, slots })
    }

    /// The bytes of the file.
    pub(super) fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(SLOT_FILE_LEN);
        bytes.extend_from_slice(&self.header.to_bytes());
        self.slots.iter().for_each(|slot| bytes.extend_from_slice(slot));
        let checksum = Sha256::digest(&bytes);
        bytes.extend_from_slice(&checksum);
        bytes
    }

    /// What stays the same for as long as the vault exists.
    pub(super) const fn header(&self) -> &Header {
        &self.header
    }

    /// Tries a phrase on every slot.
    ///
    /// # Errors
    /// [`VaultError::WrongPassphrase`] when none opens.
    pub(super) fn open(&self, typed: &[u8]) -> Result<Opened, VaultError> {
        let stretched = self.header.stretch(typed)?;
        let mut opened = None;
        for (position, slot) in self.slots.iter().enumerate() {
            // No early end: how long it takes does not tell which slot it was.
            let tried = self.open_slot(&stretched, position, slot)?;
            opened = opened.or(tried);
        }
        opened.ok_or(VaultError::WrongPassphrase)
    }

    fn open_slot(
        &self,
        stretched: &Hkdf<Sha256>,
        position: usize,
        slot: &[u8; SLOT_LEN],
    ) -> Result<Option<Opened>, VaultError> {
        let damaged = || VaultError::Damaged { what: Damage::Slots };
        let (nonce, sealed) = slot.split_first_chunk::<NONCE_LEN>().ok_or_else(damaged)?;
        let (sealed, tag) = sealed.split_last_chunk::<TAG_LEN>().ok_or_else(damaged)?;
        let mut payload = Zeroizing::new([0; PAYLOAD_LEN]);
        payload.copy_from_slice(sealed);
        let opened = slot_cipher(stretched, position)?.decrypt_inout_detached(
            &XNonce::from(*nonce),
            &self.associated(position),
            InOutBuf::from(&mut payload[..]),
            &Tag::from(*tag),
        );
        if opened.is_err() {
            return Ok(None);
        }
        let (kind, rest) = payload.split_first().ok_or_else(damaged)?;
        let (key, rest) = rest.split_first_chunk::<DATA_KEY_LEN>().ok_or_else(damaged)?;
        let positions = rest.first_chunk::<KINDS>().ok_or_else(damaged)?;
        // Sealed by a later version, for a phrase that this one does not know what to do with.
        let kind = SlotKind::of(*kind).ok_or(VaultError::TooNew)?;
        let positions = Positions::parse(*positions).ok_or_else(damaged)?;
        if positions.of(kind) != position {
            return Err(damaged());
        }
        Ok(Some(Opened { key: DataKey::from_slice(key), positions }))
    }

    /// Seals the data key for a phrase, in the place of the one of its kind.
    pub(super) fn set(
        &mut self,
        kind: SlotKind,
        typed: &[u8],
        key: &DataKey,
        positions: Positions,
        rng: &mut (impl CryptoRng + ?Sized),
    ) -> Result<(), VaultError> {
        let stretched = self.header.stretch(typed)?;
        let position = positions.of(kind);
        let mut payload = Zeroizing::new([0; PAYLOAD_LEN]);
        payload[0] = kind as u8;
        payload[1..=DATA_KEY_LEN].copy_from_slice(key.as_bytes());
        payload[1 + DATA_KEY_LEN..][..KINDS].copy_from_slice(&positions.0);
        let mut slot = [0; SLOT_LEN];
        let (nonce, sealed) = slot.split_at_mut(NONCE_LEN);
        let (sealed, tag) = sealed.split_at_mut(PAYLOAD_LEN);
        rng.fill_bytes(nonce);
        let mut fresh = [0; NONCE_LEN];
        fresh.copy_from_slice(nonce);
        let made = slot_cipher(&stretched, position)?
            .encrypt_inout_detached(
                &XNonce::from(fresh),
                &self.associated(position),
                InOutBuf::from(&mut payload[..]),
            )
            .map_err(|_| VaultError::Damaged { what: Damage::Slots })?;
        sealed.copy_from_slice(&payload[..]);
        tag.copy_from_slice(&made);
        if let Some(place) = self.slots.get_mut(position) {
            *place = slot;
        }
        Ok(())
    }

    /// What is authenticated with a slot: the header and the slot's position.
    fn associated(&self, position: usize) -> [u8; HEADER_LEN + 1] {
        let mut bytes = [0; HEADER_LEN + 1];
        bytes[..HEADER_LEN].copy_from_slice(&self.header.to_bytes());
        bytes[HEADER_LEN] = position as u8;
        bytes
    }
}

impl core::fmt::Debug for SlotFile {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let Self { header, slots: _ } = self;
        f.debug_struct("SlotFile").field("header", header).finish_non_exhaustive()
    }
}

fn slot_cipher(stretched: &Hkdf<Sha256>, position: usize) -> Result<XChaCha20Poly1305, VaultError> {
    let mut key = Zeroizing::new([0; 32]);
    stretched
        .expand_multi_info(&[SLOT_LABEL, &[position as u8]], &mut key[..])
        .map_err(|_| VaultError::KdfCostOutOfBounds)?;
    Ok(XChaCha20Poly1305::new(&(*key).into()))
}

//! The ratchet of one contact: both halves, and blobs in and out.

use core::fmt;

use hearken_proto::limits::BLOB_LEN;
use hearken_proto::time::UnixDay;
use rand_core::CryptoRng;
use zeroize::Zeroizing;

use super::agreement_key::{AgreementKey, NonContributory};
use super::ec_ratchet::EcRatchet;
use super::error::{DecryptError, EncryptError, Misbehaviour};
use super::header::Header;
use super::header_key::HeaderKey;
use super::kem_ratchet::KemRatchet;
use super::kem_root_key::KemRootKey;
use super::layout::{BODY_LENGTH_LEN, Layout, R_LEN};
use super::message_key::{PartialKey, message_key};
use super::prefix::Prefix;
use super::role::Role;
use super::root_key::RootKey;

/// What a handshake gives a ratchet to begin with.
pub(crate) struct FirstKeys {
    pub(crate) root: RootKey,
    pub(crate) kem_root: KemRootKey,
    /// Hides the headers of the joiner's first chain.
    pub(crate) joiner_header: HeaderKey,
    /// Hides the headers of the inviter's first chain.
    pub(crate) inviter_header: HeaderKey,
}

/// One side of a conversation between two: what it sends next, and what it can still open.
///
/// Guarantees: [`Ratchet::encrypt`] uses no key twice, not even when an older snapshot of it is used again;
/// [`Ratchet::decrypt`] leaves the state as it was unless header and body were accepted; each message opens once.
/// The caller stores [`Ratchet::to_bytes`] together with what came of a call before it acts on it, and tells blobs
/// that it received before by their hash.
pub struct Ratchet {
    pub(super) ec: EcRatchet,
    pub(super) kem: KemRatchet,
}

/// A message that was opened.
pub struct Opened {
    /// The content, as it was given to [`Ratchet::encrypt`].
    pub body: Zeroizing<Vec<u8>>,
    /// Its place among all messages that the other side sent, from 0.
    pub number: u64,
    /// Messages before it that were passed over, and were not known to be until this one: each is a gap.
    pub passed_over: u32,
    /// Whether it had been passed over itself: it fills a gap.
    pub late: bool,
    /// Whether it came from a joiner who had opened nothing of ours yet when it was sealed.
    pub initial: bool,
}

impl Ratchet {
    /// The joiner's ratchet, which may send at once. Draws 32 bytes (its first ratchet key).
    pub(crate) fn joiner(
        keys: FirstKeys,
        card_key: &[u8; 32],
        prefix: Prefix,
        rng: &mut (impl CryptoRng + ?Sized),
    ) -> Result<Self, NonContributory> {
        let FirstKeys { root, kem_root, joiner_header, inviter_header } = keys;
        let ec = EcRatchet::joiner(&root, card_key, joiner_header, inviter_header, prefix, rng)?;
        Ok(Self { ec, kem: KemRatchet::new(Role::Joiner, kem_root) })
    }

    /// The inviter's ratchet, from the first blob that opens. Draws 32 bytes (its second ratchet key) and 64 (the
    /// first key that it offers), both after the blob was accepted.
    pub(crate) fn inviter(
        keys: FirstKeys,
        card_key: AgreementKey,
        blob: &[u8; BLOB_LEN],
        day: UnixDay,
        rng: &mut (impl CryptoRng + ?Sized),
    ) -> Result<(Self, Opened), DecryptError> {
        let FirstKeys { root, kem_root, joiner_header, inviter_header } = keys;
        let prefix = Prefix::of(blob);
        let ec = EcRatchet::inviter(root, card_key, joiner_header, inviter_header, prefix);
        let mut ratchet = Self { ec, kem: KemRatchet::new(Role::Inviter, kem_root) };
        let opened = ratchet.decrypt(rng, day, blob)?;
        ratchet.kem.offer(rng);
        Ok((ratchet, opened))
    }

    /// Seals `body` into 2,400 bytes. Draws 32 bytes (`r`).
    ///
    /// # Errors
    /// [`EncryptError::TooLong`] above [`super::INITIAL_BODY_MAX`] or [`super::ORDINARY_BODY_MAX`]
    /// ([`super::BODY_MAX`] always fits); [`EncryptError::Exhausted`] when numbers ran out. Nothing changes then.
    pub fn encrypt(
        &mut self,
        rng: &mut (impl CryptoRng + ?Sized),
        body: &[u8],
    ) -> Result<Box<[u8; BLOB_LEN]>, EncryptError> {
        let (ec_key, ec_next) = self.ec.next_to_send()?;
        let (kem_key, kem_next) = self.kem.next_to_send()?;
        let public = self.ec.our_key.public();
        let chain = self.ec.sending.as_mut().ok_or(EncryptError::NoSendingChain)?;
        let layout = if chain.prefix.is_some() { Layout::Initial } else { Layout::Ordinary };
        let length = u16::try_from(body.len()).map_err(|_| EncryptError::TooLong)?;
        if body.len() > layout.body_max() {
            return Err(EncryptError::TooLong);
        }

        let mut r = [0; R_LEN];
        rng.fill_bytes(&mut r);
        // Without `r`, a state that is restored from a snapshot seals under the same keys again.
        #[cfg(hearken_planted)]
        if hearken_proto::planted::is("message-key-twice") {
            r = [0; R_LEN];
        }
        let header = Header {
            ratchet_key: public,
            previous: self.ec.previous,
            number: chain.number,
            kem_epoch: self.kem.epoch,
            kem_previous: self.kem.previous,
            kem_number: self.kem.number,
            kem: self.kem.part_to_send(),
        };
        let keys = SealKeys { header: &chain.header_key, ec: &ec_key, kem: &kem_key };
        let blob = seal_blob(&keys, chain.prefix.as_ref(), &r, &header, length, body);

        chain.chain_key = ec_next;
        chain.number += 1;
        self.kem.sending = kem_next;
        self.kem.number += 1;
        Ok(blob)
    }

    /// Opens what the other side sealed. `day` is today; keys of messages passed over are kept 22 days from it.
    /// Draws, after both seals were accepted: 32 bytes where the other side began a new chain, then 32 where it
    /// offers a KEM key that we answer, or 64 where it is our turn to offer one.
    ///
    /// # Errors
    /// [`DecryptError`]; the ratchet is then exactly as it was.
    pub fn decrypt(
        &mut self,
        rng: &mut (impl CryptoRng + ?Sized),
        day: UnixDay,
        blob: &[u8; BLOB_LEN],
    ) -> Result<Opened, DecryptError> {
        let (place, layout, header) = self.ec.find(blob)?;
        let mut ec = self.ec.stage(place, &header)?;
        let mut kem = self.kem.stage(&header)?;
        let r = layout.r_of(blob);
        let key = message_key(&ec.key, &kem.key, &r, &blob[layout.header()]);
        let mut plain = Zeroizing::new(vec![0; layout.body_len()]);
        let accepted = key.open(&blob[layout.body()], &mut plain);
        #[cfg(hearken_planted)]
        if accepted.is_err() && hearken_proto::planted::is("state-before-aead") {
            ec.draw(rng)?;
            kem.draw(&self.kem, rng)?;
            self.ec.commit(ec, day);
            self.kem.commit(kem, day);
            return Err(DecryptError::NotOpened);
        }
        accepted.map_err(|_| DecryptError::NotOpened)?;
        let body = content(&plain)?;

        ec.draw(rng)?;
        kem.draw(&self.kem, rng)?;
        let opened = Opened {
            body,
            number: ec.message,
            passed_over: ec.passed_over,
            late: ec.is_late(),
            initial: matches!(layout, Layout::Initial),
        };
        self.ec.commit(ec, day);
        self.kem.commit(kem, day);
        Ok(opened)
    }

    #[cfg(test)]
    pub(crate) fn kem_epoch(&self) -> u32 {
        self.kem.epoch
    }

    /// Whether the other side has proved that it has our keys: always so at an inviter; at a joiner from the first
    /// message that it opens. What was needed only to join can be destroyed then.
    #[must_use]
    pub fn is_answered(&self) -> bool {
        self.ec.sending.as_ref().is_some_and(|chain| chain.prefix.is_none())
    }
}

impl fmt::Debug for Ratchet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { ec: _, kem: _ } = self;
        f.write_str("Ratchet(..)")
    }
}

impl fmt::Debug for Opened {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { body: _, number: _, passed_over, late, initial } = self;
        f.debug_struct("Opened")
            .field("passed_over", passed_over)
            .field("late", late)
            .field("initial", initial)
            .finish_non_exhaustive()
    }
}

/// What a blob is sealed with.
pub(super) struct SealKeys<'a> {
    pub(super) header: &'a HeaderKey,
    pub(super) ec: &'a PartialKey,
    pub(super) kem: &'a PartialKey,
}

/// Puts a blob together. `body` fits the layout, and `length` is its length.
pub(super) fn seal_blob(
    keys: &SealKeys<'_>,
    prefix: Option<&Prefix>,
    r: &[u8; R_LEN],
    header: &Header,
    length: u16,
    body: &[u8],
) -> Box<[u8; BLOB_LEN]> {
    let layout = if prefix.is_some() { Layout::Initial } else { Layout::Ordinary };
    let mut blob = Box::new([0; BLOB_LEN]);
    if let Some(prefix) = prefix {
        blob[..prefix.as_bytes().len()].copy_from_slice(prefix.as_bytes());
    }
    blob[layout.r()].copy_from_slice(r);
    let sealed_header = &mut blob[layout.header()];
    header.encode(&mut sealed_header[..layout.header_len()]);
    keys.header.for_message(r).seal(sealed_header);
    let key = message_key(keys.ec, keys.kem, r, sealed_header);
    let sealed_body = &mut blob[layout.body()];
    sealed_body[..BODY_LENGTH_LEN].copy_from_slice(&length.to_be_bytes());
    sealed_body[BODY_LENGTH_LEN..BODY_LENGTH_LEN + body.len()].copy_from_slice(body);
    key.seal(sealed_body);
    blob
}

fn content(plain: &[u8]) -> Result<Zeroizing<Vec<u8>>, DecryptError> {
    let malformed = DecryptError::PeerMisbehaved(Misbehaviour::Padding);
    let (length, rest) = plain.split_first_chunk::<BODY_LENGTH_LEN>().ok_or(malformed)?;
    let length = usize::from(u16::from_be_bytes(*length));
    let (body, zeros) = rest.split_at_checked(length).ok_or(malformed)?;
    if zeros.iter().any(|byte| *byte != 0) {
        return Err(malformed);
    }
    Ok(Zeroizing::new(body.to_vec()))
}

//! Keys under which words lie that are to be gone for good.
//!
//! Deleting a row overwrites it in its page, but a database may have moved rows before and kept the page that they stood
//! in, and so may a file system or flash. So what has an end is sealed (XChaCha20-Poly1305, random nonce of 24 bytes)
//! under a random key of the day on which it ends, and at the end of that day one row of 32 bytes is overwritten in its
//! place: whatever is left of the words anywhere in the vault cannot be opened. Parts of a text that has not come whole
//! lie under a key of that text, since nobody knows yet whether it has an end.
//!
//! Deliberately not here: what has no end. Its deletion is as good as the database's and the disk's.

use chacha20poly1305::aead::{Aead, Payload};
use chacha20poly1305::{KeyInit, XChaCha20Poly1305, XNonce};
use hearken_proto::time::UnixDay;
use rand_core::CryptoRng;
use rusqlite::{Connection, OptionalExtension, params};
use zeroize::Zeroizing;

use crate::contact::ContactId;
use crate::message::MessageId;
use crate::vault::VaultError;

const KEY_LEN: usize = 32;
const NONCE_LEN: usize = 24;

/// Which key.
#[derive(Clone, Copy)]
pub(crate) enum KeyName {
    /// Of what ends on this day.
    Day(UnixDay),
    /// Of the parts of a text.
    Parts(ContactId, MessageId),
}

impl KeyName {
    fn bytes(self) -> Vec<u8> {
        match self {
            Self::Day(day) => [b"day".as_slice(), &day.0.to_be_bytes()].concat(),
            Self::Parts(contact, message) => {
                [b"parts".as_slice(), contact.as_bytes(), message.as_bytes()].concat()
            }
        }
    }

    const fn contact(self) -> Option<ContactId> {
        match self {
            Self::Day(_) => None,
            Self::Parts(contact, _) => Some(contact),
        }
    }
}

/// Seals under a key, which is made where there is none. `place`: what the words are bound to.
pub(crate) fn seal(
    tx: &Connection,
    name: KeyName,
    place: &[u8],
    words: &[u8],
    rng: &mut (impl CryptoRng + ?Sized),
) -> Result<Vec<u8>, VaultError> {
    let key = match find(tx, name)? {
        Some(key) => key,
        None => make(tx, name, rng)?,
    };
    let mut nonce = [0; NONCE_LEN];
    rng.fill_bytes(&mut nonce);
    let sealed = XChaCha20Poly1305::new((&*key).into())
        .encrypt(&XNonce::from(nonce), Payload { msg: words, aad: place })
        .map_err(|_| VaultError::damaged_record())?;
    Ok([&nonce[..], &sealed].concat())
}

/// Opens what was sealed; `None` where the key is gone, and the words with it.
pub(crate) fn open(
    db: &Connection,
    name: KeyName,
    place: &[u8],
    sealed: &[u8],
) -> Result<Option<Zeroizing<Vec<u8>>>, VaultError> {
    let Some(key) = find(db, name)? else { return Ok(None) };
    let (nonce, sealed) =
        sealed.split_first_chunk::<NONCE_LEN>().ok_or_else(VaultError::damaged_record)?;
    let words = XChaCha20Poly1305::new((&*key).into())
        .decrypt(&XNonce::from(*nonce), Payload { msg: sealed, aad: place })
        .map_err(|_| VaultError::damaged_record())?;
    Ok(Some(Zeroizing::new(words)))
}

/// Destroys a key, and what lies under it.
pub(crate) fn destroy(tx: &Connection, name: KeyName) -> Result<(), VaultError> {
    let name = name.bytes();
    // A row that stays as long as it was is overwritten where it stands; the row then goes.
    tx.prepare_cached("UPDATE sealing_key SET key = zeroblob(32) WHERE name = ?1")?
        .execute([&name])?;
    tx.prepare_cached("DELETE FROM sealing_key WHERE name = ?1")?.execute([&name])?;
    Ok(())
}

/// The days before `today` of which there is a key.
pub(crate) fn days_before(db: &Connection, today: UnixDay) -> Result<Vec<UnixDay>, VaultError> {
    let mut statement =
        db.prepare_cached("SELECT name FROM sealing_key WHERE contact IS NULL AND name < ?1")?;
    let rows =
        statement.query_map([KeyName::Day(today).bytes()], |row| row.get::<_, Vec<u8>>(0))?;
    let mut days = Vec::new();
    for name in rows {
        let name = name?;
        let day = name.strip_prefix(b"day").and_then(|day| day.try_into().ok());
        days.extend(day.map(|day| UnixDay(u32::from_be_bytes(day))));
    }
    Ok(days)
}

fn find(db: &Connection, name: KeyName) -> Result<Option<Zeroizing<[u8; KEY_LEN]>>, VaultError> {
    let key: Option<Vec<u8>> = db
        .prepare_cached("SELECT key FROM sealing_key WHERE name = ?1")?
        .query_row([name.bytes()], |row| row.get(0))
        .optional()?;
    let Some(key) = key.map(Zeroizing::new) else { return Ok(None) };
    let key: [u8; KEY_LEN] = key[..].try_into().map_err(|_| VaultError::damaged_record())?;
    Ok(Some(Zeroizing::new(key)))
}

fn make(
    tx: &Connection,
    name: KeyName,
    rng: &mut (impl CryptoRng + ?Sized),
) -> Result<Zeroizing<[u8; KEY_LEN]>, VaultError> {
    let mut key = Zeroizing::new([0; KEY_LEN]);
    rng.fill_bytes(&mut key[..]);
    tx.prepare_cached("INSERT INTO sealing_key (name, contact, key) VALUES (?1, ?2, ?3)")?
        .execute(params![
            name.bytes(),
            name.contact().as_ref().map(|contact| &contact.as_bytes()[..]),
            &key[..]
        ])?;
    Ok(key)
}

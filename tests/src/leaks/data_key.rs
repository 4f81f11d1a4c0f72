//! The keys under which a vault's database lies, taken out of a slot file by a passphrase: what must not stay in memory.
//!
//! Written a second time from the description of the format (`client-lib/src/vault/slots.rs`), since the library gives a
//! data key to nobody.

use std::path::Path;

use anyhow::{Context, Result};
use argon2::{Algorithm, Argon2, Params, Version};
use chacha20poly1305::aead::{Aead, Payload};
use chacha20poly1305::{KeyInit, XChaCha20Poly1305, XNonce};
use hkdf::Hkdf;
use hmac::{Hmac, Mac};
use sha2::{Sha256, Sha512};

const HEADER_LEN: usize = 52;
const SLOT_LEN: usize = 104;
const SLOTS: usize = 8;
/// SQLCipher: what the salt of the database is changed by for the key of its HMACs, and the rounds of PBKDF2 for it.
const HMAC_SALT_MASK: u8 = 0x3a;

/// Every key between a passphrase and the pages of a vault.
#[derive(Clone, Debug)]
pub struct VaultKeys(pub Vec<(&'static str, Vec<u8>)>);

impl VaultKeys {
    /// Of the vault in `home`.
    ///
    /// # Errors
    /// When the files are not what the format says, or the passphrase is wrong.
    pub fn of(home: &Path, passphrase: &[u8]) -> Result<Self> {
        let slots = std::fs::read(home.join("vault/slots"))?;
        let header = slots.get(..HEADER_LEN).context("a header")?;
        let number = |at: usize| -> Result<u32> {
            let bytes = header.get(at..at + 4).context("a number")?;
            Ok(u32::from_be_bytes(bytes.try_into()?))
        };
        let cost = Params::new(number(8)?, number(12)?, number(16)?, Some(32));
        let cost = cost.ok().context("a cost")?;
        let mut stretched = [0; 32];
        Argon2::new(Algorithm::Argon2id, Version::V0x13, cost)
            .hash_password_into(passphrase, &header[20..], &mut stretched)
            .ok()
            .context("a stretched passphrase")?;
        let hkdf = Hkdf::<Sha256>::from_prk(&stretched).ok().context("a key of its length")?;
        for position in 0..SLOTS {
            let at = u8::try_from(position)?;
            let slot = slots.get(HEADER_LEN + position * SLOT_LEN..).context("a slot")?;
            let mut key = [0; 32];
            let info: [&[u8]; 2] = [b"hearken/1 vault slot", &[at]];
            hkdf.expand_multi_info(&info, &mut key).ok().context("a key of its length")?;
            let aad = [header, &[at]].concat();
            let nonce: [u8; 24] = slot[..24].try_into()?;
            let sealed = Payload { msg: &slot[24..SLOT_LEN], aad: &aad };
            let opened = XChaCha20Poly1305::new(&key.into()).decrypt(&XNonce::from(nonce), sealed);
            if let Ok(opened) = opened {
                let data_key = opened.get(1..33).context("a data key")?.to_vec();
                let page_mac_key = page_mac_key(home, &data_key)?;
                return Ok(Self(vec![
                    ("stretched passphrase", stretched.to_vec()),
                    ("key of a slot", key.to_vec()),
                    ("data key", data_key),
                    ("key of the pages' HMACs", page_mac_key),
                ]));
            }
        }
        anyhow::bail!("no slot opens")
    }
}

/// PBKDF2-HMAC-SHA-512 of the data key, two rounds, one block: what SQLCipher 4 derives for a raw key.
fn page_mac_key(home: &Path, data_key: &[u8]) -> Result<Vec<u8>> {
    let database = std::fs::read(home.join("vault/store.db"))?;
    let salt = database.get(..16).context("a salt")?.iter().map(|byte| byte ^ HMAC_SALT_MASK);
    let salt: Vec<u8> = salt.collect();
    let round = |parts: &[&[u8]]| -> Result<[u8; 64]> {
        let mut hmac = Hmac::<Sha512>::new_from_slice(data_key).ok().context("an HMAC")?;
        parts.iter().for_each(|part| hmac.update(part));
        Ok(hmac.finalize().into_bytes().into())
    };
    let first = round(&[&salt, &1_u32.to_be_bytes()])?;
    let second = round(&[&first])?;
    Ok(first.iter().zip(second).take(32).map(|(first, second)| first ^ second).collect())
}

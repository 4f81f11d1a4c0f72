//! The keys that seal blobs at rest: one for each expiry day, destroyed when the day is over.
//!
//! Guarantees: a day's key is durable before anything is sealed with it; each sealing draws a random 24-byte nonce;
//! the caller's AAD (object id ‖ position) ties a blob to its place; after [`DayKeys::destroy`] nothing of that day can
//! be opened, by anybody, from what is left on disk. Deliberately not: expiry by a clock of its own; the core says
//! which days are over, key first and rows after.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use chacha20::{R20, hchacha};
use hearken_proto::aead;
use hearken_proto::limits::TAG_LEN;
use hearken_proto::time::UnixDay;
use rand_core::CryptoRng;
use zeroize::Zeroizing;

use super::StoreError;
use super::key_files::KeyFolder;

/// XChaCha20-Poly1305 key (draft-irtf-cfrg-xchacha).
const KEY_LEN: usize = 32;
/// XChaCha20-Poly1305 nonce: long enough to be drawn at random for every blob of a day.
const NONCE_LEN: usize = 24;
/// What sealing adds: nonce (24) and tag (16).
pub const SEALED_OVERHEAD: usize = NONCE_LEN + TAG_LEN;
/// The part of a nonce that goes into the key of one sealing.
const SUBKEY_NONCE_LEN: usize = 16;
/// Key files are `day-<days since 1970-01-01>`.
const NAME_PREFIX: &str = "day-";

/// Handle to the keys of all live days; clones share them.
#[derive(Clone)]
pub struct DayKeys {
    shared: Arc<Mutex<Shared>>,
}

struct Shared {
    /// `None` in simulations: keys live as long as the handles do.
    folder: Option<KeyFolder>,
    /// A key is erased when the last sealing or opening under way is done.
    live: BTreeMap<UnixDay, Arc<DayKey>>,
    /// Days up to this one were destroyed: they never get a key again.
    destroyed_through: Option<UnixDay>,
}

impl DayKeys {
    /// Reads the keys in `folder`, made if absent.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] where a key file is damaged; those of [`KeyFolder::open`].
    pub fn open(folder: &Path) -> Result<Self, StoreError> {
        let folder = KeyFolder::open(folder)?;
        let mut live = BTreeMap::new();
        for name in folder.names()? {
            let Some(day) = name.strip_prefix(NAME_PREFIX).and_then(|day| day.parse().ok()) else {
                continue;
            };
            if let Some(secret) = folder.read(&name)? {
                live.insert(UnixDay(day), Arc::new(DayKey::read(&name, &secret)?));
            }
        }
        Ok(Self::of(Some(folder), live))
    }

    /// Keys in memory only, for simulations: a clone survives the relay that is crashed.
    #[must_use]
    pub fn in_memory() -> Self {
        Self::of(None, BTreeMap::new())
    }

    /// Seals `plaintext` until the end of `day`: nonce (24) ‖ ciphertext ‖ tag (16). The day's first sealing makes and
    /// syncs its key.
    ///
    /// # Errors
    /// [`StoreError::Expired`] where the day's key was destroyed; those of [`KeyFolder::create`].
    pub fn seal(
        &self,
        day: UnixDay,
        aad: &[u8],
        plaintext: &[u8],
        rng: &mut dyn CryptoRng,
    ) -> Result<Vec<u8>, StoreError> {
        self.seal_behind(&[], day, aad, plaintext, rng)
    }

    /// As [`DayKeys::seal`], behind `head`, which stays as it is.
    ///
    /// # Errors
    /// Those of [`DayKeys::seal`].
    pub fn seal_behind(
        &self,
        head: &[u8],
        day: UnixDay,
        aad: &[u8],
        plaintext: &[u8],
        rng: &mut dyn CryptoRng,
    ) -> Result<Vec<u8>, StoreError> {
        let key = self.lock().live_or_new(day, rng)?;
        let mut nonce = [0; NONCE_LEN];
        rng.fill_bytes(&mut nonce);
        let mut sealed = Vec::with_capacity(head.len() + plaintext.len() + SEALED_OVERHEAD);
        sealed.extend_from_slice(head);
        sealed.extend_from_slice(&nonce);
        sealed.resize(head.len() + plaintext.len() + SEALED_OVERHEAD, 0);
        let (ciphertext, tag) = sealed[head.len() + NONCE_LEN..].split_at_mut(plaintext.len());
        let (key, nonce) = key.of_one(&nonce);
        aead::seal(&key, nonce, aad, plaintext, ciphertext, tag).map_err(|_| StoreError::Io {
            action: "sealing a blob",
            kind: std::io::ErrorKind::InvalidInput,
        })?;
        Ok(sealed)
    }

    /// Opens what [`DayKeys::seal`] made for the same day and AAD.
    ///
    /// # Errors
    /// [`StoreError::Expired`] where the day has no key; [`StoreError::Corrupt`] where the bytes, their day or their
    /// place are not those that were sealed.
    pub fn open_sealed(
        &self,
        day: UnixDay,
        aad: &[u8],
        sealed: &[u8],
    ) -> Result<Vec<u8>, StoreError> {
        let key = self.lock().live.get(&day).cloned().ok_or(StoreError::Expired)?;
        key.open(aad, sealed).ok_or_else(|| StoreError::Corrupt {
            what: "a sealed blob".to_owned(),
            advice: "stop the relay, keep a copy of the folder, and restore the newest backup",
        })
    }

    /// Destroys a day's key, in memory and on disk, and lets neither that day nor an earlier one have a key again. To
    /// be called before the day's rows are dropped. A key that is not there is no error.
    ///
    /// # Errors
    /// [`StoreError::Io`]: the file may still be there, so call again; the key is unusable here all the same.
    pub fn destroy(&self, day: UnixDay) -> Result<(), StoreError> {
        self.lock().destroy(day)
    }

    /// [`DayKeys::destroy`] for `last` and every earlier day that has a key. To be called at a start too: what was due
    /// while the relay was down goes then.
    ///
    /// # Errors
    /// Those of [`DayKeys::destroy`]; the other days' keys are destroyed all the same.
    pub fn destroy_through(&self, last: UnixDay) -> Result<(), StoreError> {
        let mut shared = self.lock();
        let due: Vec<UnixDay> = shared.live.range(..=last).map(|(day, _)| *day).collect();
        let mut result = shared.destroy(last);
        for day in due {
            result = result.and(shared.destroy(day));
        }
        result
    }

    /// A day's key, for a backup; `None` where the day has none, and of keys that are in memory only.
    ///
    /// # Errors
    /// Those of [`KeyFolder::read`].
    pub fn secret(&self, day: UnixDay) -> Result<Option<Zeroizing<Vec<u8>>>, StoreError> {
        let shared = self.lock();
        match &shared.folder {
            Some(folder) if shared.live.contains_key(&day) => folder.read(&name_of(day)),
            _ => Ok(None),
        }
    }

    /// Takes a day's key from a backup, synced when this returns.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] where it is no key; those of [`KeyFolder::create`].
    pub fn adopt(&self, day: UnixDay, secret: &[u8]) -> Result<(), StoreError> {
        let name = name_of(day);
        let adopted = Arc::new(DayKey::read(&name, secret)?);
        let mut shared = self.lock();
        if let Some(folder) = &shared.folder {
            folder.create(&name, secret)?;
        }
        shared.live.insert(day, adopted);
        Ok(())
    }

    /// The days that have a key, ascending.
    #[must_use]
    pub fn days(&self) -> Vec<UnixDay> {
        self.lock().live.keys().copied().collect()
    }

    fn of(folder: Option<KeyFolder>, live: BTreeMap<UnixDay, Arc<DayKey>>) -> Self {
        Self { shared: Arc::new(Mutex::new(Shared { folder, live, destroyed_through: None })) }
    }

    fn lock(&self) -> MutexGuard<'_, Shared> {
        // Every change is one map operation after the files are as they should be: never half-done after a panic.
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for DayKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { shared: _ } = self;
        f.debug_struct("DayKeys").field("days", &self.days()).finish_non_exhaustive()
    }
}

impl Shared {
    fn live_or_new(
        &mut self,
        day: UnixDay,
        rng: &mut dyn CryptoRng,
    ) -> Result<Arc<DayKey>, StoreError> {
        if let Some(key) = self.live.get(&day) {
            return Ok(Arc::clone(key));
        }
        if self.destroyed_through.is_some_and(|through| day <= through) {
            return Err(StoreError::Expired);
        }
        let mut secret = Zeroizing::new([0; KEY_LEN]);
        rng.fill_bytes(secret.as_mut_slice());
        let name = name_of(day);
        if let Some(folder) = &self.folder {
            folder.create(&name, secret.as_slice())?;
        }
        let key = Arc::new(DayKey(secret));
        self.live.insert(day, Arc::clone(&key));
        Ok(key)
    }

    fn destroy(&mut self, day: UnixDay) -> Result<(), StoreError> {
        self.live.remove(&day);
        self.destroyed_through = self.destroyed_through.max(Some(day));
        match &self.folder {
            Some(folder) => folder.destroy(&name_of(day)),
            None => Ok(()),
        }
    }
}

fn name_of(day: UnixDay) -> String {
    format!("{NAME_PREFIX}{}", day.0)
}

/// An XChaCha20-Poly1305 key, in one piece of memory that is erased.
struct DayKey(Zeroizing<[u8; KEY_LEN]>);

impl DayKey {
    fn read(name: &str, secret: &[u8]) -> Result<Self, StoreError> {
        // Straight to where it is erased.
        let mut key = Zeroizing::new([0; KEY_LEN]);
        if secret.len() != KEY_LEN {
            return Err(StoreError::Corrupt {
                what: format!("key file {name}"),
                advice: "restore it from the newest backup; what it sealed cannot be read without it",
            });
        }
        key.copy_from_slice(secret);
        Ok(Self(key))
    }

    /// Key and nonce of one sealing: HChaCha20 over the nonce's first 16 bytes, and four zeros before the other 8.
    fn of_one(&self, nonce: &[u8; NONCE_LEN]) -> (Zeroizing<[u8; KEY_LEN]>, [u8; aead::NONCE_LEN]) {
        let mut input = [0; SUBKEY_NONCE_LEN];
        let mut rest = [0; aead::NONCE_LEN];
        input.copy_from_slice(&nonce[..SUBKEY_NONCE_LEN]);
        rest[aead::NONCE_LEN - (NONCE_LEN - SUBKEY_NONCE_LEN)..]
            .copy_from_slice(&nonce[SUBKEY_NONCE_LEN..]);
        let subkey = hchacha::<R20>((&*self.0).into(), &input.into());
        (Zeroizing::new(subkey.into()), rest)
    }

    fn open(&self, aad: &[u8], sealed: &[u8]) -> Option<Vec<u8>> {
        let (nonce, rest) = sealed.split_first_chunk::<NONCE_LEN>()?;
        let (ciphertext, tag) = rest.split_last_chunk::<TAG_LEN>()?;
        let mut plain = vec![0; ciphertext.len()];
        let (key, nonce) = self.of_one(nonce);
        aead::open(&key, nonce, aad, ciphertext, tag, &mut plain).ok()?;
        Some(plain)
    }
}

#[cfg(test)]
mod tests {
    use rand_chacha::ChaCha20Rng;
    use rand_core::SeedableRng;

    use chacha20poly1305::aead::{Aead, Payload};
    use chacha20poly1305::{KeyInit, XChaCha20Poly1305};

    use super::*;

    const DAY: UnixDay = UnixDay(20_000);
    const BLOB: [u8; 2_400] = [5; 2_400];

    fn rng() -> ChaCha20Rng {
        ChaCha20Rng::seed_from_u64(1)
    }

    #[test]
    fn a_blob_opens_at_its_own_place_and_day_only() {
        let (keys, mut rng) = (DayKeys::in_memory(), rng());
        let sealed = keys.seal(DAY, b"mailbox 1", &BLOB, &mut rng).unwrap();
        keys.seal(UnixDay(20_001), b"mailbox 1", &BLOB, &mut rng).unwrap();
        assert_eq!(sealed.len(), BLOB.len() + SEALED_OVERHEAD);
        assert_eq!(keys.open_sealed(DAY, b"mailbox 1", &sealed).unwrap(), BLOB);
        for (day, aad) in [(DAY, b"mailbox 2"), (UnixDay(20_001), b"mailbox 1")] {
            assert!(matches!(keys.open_sealed(day, aad, &sealed), Err(StoreError::Corrupt { .. })));
        }
        assert!(matches!(
            keys.open_sealed(DAY, b"mailbox 1", &sealed[..10]),
            Err(StoreError::Corrupt { .. })
        ));
    }

    #[test]
    fn it_is_the_cipher_that_another_implementation_knows() {
        let (keys, mut rng) = (DayKeys::in_memory(), rng());
        keys.adopt(DAY, &[3; KEY_LEN]).unwrap();
        let sealed = keys.seal_behind(b"head", DAY, b"aad", &BLOB, &mut rng).unwrap();
        let (head, sealed) = sealed.split_at(4);
        let (nonce, ciphertext) = sealed.split_first_chunk::<NONCE_LEN>().unwrap();
        let other = XChaCha20Poly1305::new(&[3; KEY_LEN].into());
        let opened = other.decrypt(nonce.into(), Payload { msg: ciphertext, aad: b"aad" });
        assert_eq!((head, &opened.unwrap()[..]), (&b"head"[..], &BLOB[..]));
        assert_eq!(keys.open_sealed(DAY, b"aad", sealed).unwrap(), BLOB);
    }

    #[test]
    fn the_same_blob_is_never_sealed_to_the_same_bytes() {
        let (keys, mut rng) = (DayKeys::in_memory(), rng());
        let first = keys.seal(DAY, b"", &BLOB, &mut rng).unwrap();
        let second = keys.seal(DAY, b"", &BLOB, &mut rng).unwrap();
        assert_ne!(first[..NONCE_LEN], second[..NONCE_LEN]);
        assert_ne!(first[NONCE_LEN..], second[NONCE_LEN..]);
    }

    #[test]
    fn a_key_is_on_disk_before_anything_is_sealed_with_it() {
        let temp = tempfile::tempdir().unwrap();
        let sealed = DayKeys::open(temp.path()).unwrap().seal(DAY, b"", &BLOB, &mut rng()).unwrap();
        let reopened = DayKeys::open(temp.path()).unwrap();
        assert_eq!(reopened.days(), [DAY]);
        assert_eq!(reopened.open_sealed(DAY, b"", &sealed).unwrap(), BLOB);
    }

    #[test]
    fn nothing_is_sealed_where_the_key_cannot_be_written() {
        let temp = tempfile::tempdir().unwrap();
        let folder = temp.path().join("keys");
        let keys = DayKeys::open(&folder).unwrap();
        std::fs::remove_dir(&folder).unwrap();
        assert!(matches!(keys.seal(DAY, b"", &BLOB, &mut rng()), Err(StoreError::Io { .. })));
        assert_eq!(keys.days(), []);
    }

    #[test]
    fn a_destroyed_day_opens_nothing_and_gets_no_new_key() {
        let temp = tempfile::tempdir().unwrap();
        let keys = DayKeys::open(temp.path()).unwrap();
        let sealed = keys.seal(DAY, b"", &BLOB, &mut rng()).unwrap();
        let later = keys.seal(UnixDay(20_001), b"", &BLOB, &mut rng()).unwrap();
        keys.destroy_through(DAY).unwrap();
        assert_eq!(keys.open_sealed(DAY, b"", &sealed), Err(StoreError::Expired));
        assert_eq!(keys.seal(DAY, b"", &BLOB, &mut rng()), Err(StoreError::Expired));
        assert_eq!(keys.seal(UnixDay(3), b"", &BLOB, &mut rng()), Err(StoreError::Expired));
        assert_eq!(keys.open_sealed(UnixDay(20_001), b"", &later).unwrap(), BLOB);
        let reopened = DayKeys::open(temp.path()).unwrap();
        assert_eq!(reopened.days(), [UnixDay(20_001)]);
        assert_eq!(reopened.open_sealed(DAY, b"", &sealed), Err(StoreError::Expired));
    }

    #[test]
    fn a_damaged_key_file_is_reported_by_its_name() {
        let temp = tempfile::tempdir().unwrap();
        DayKeys::open(temp.path()).unwrap().seal(DAY, b"", &BLOB, &mut rng()).unwrap();
        let path = temp.path().join("day-20000");
        let mut content = std::fs::read(&path).unwrap();
        content[20] ^= 1;
        std::fs::write(&path, content).unwrap();
        let error = DayKeys::open(temp.path()).unwrap_err();
        assert!(error.to_string().contains("day-20000"), "{error}");
    }

    #[test]
    fn debug_output_names_days_and_no_key() {
        let temp = tempfile::tempdir().unwrap();
        let keys = DayKeys::open(temp.path()).unwrap();
        keys.seal(DAY, b"", &BLOB, &mut rng()).unwrap();
        assert_eq!(format!("{keys:?}"), "DayKeys { days: [UnixDay(20000)], .. }");
    }
}

//! The random key under which the database of a vault is encrypted.

use std::fmt;

use rand_core::CryptoRng;
use zeroize::{Zeroize, ZeroizeOnDrop};

/// The length of a data key, in bytes.
pub const DATA_KEY_LEN: usize = 32;

/// 32 random bytes, made once for a vault and never changed: the slots hold it, the database is encrypted under it.
///
/// Erased on drop and never cloned. Boxed, since whatever holds it is moved about: a move within the stack would leave a
/// copy behind that nothing erases.
pub struct DataKey(Box<[u8; DATA_KEY_LEN]>);

impl DataKey {
    /// A fresh one.
    #[must_use]
    pub fn generate(rng: &mut (impl CryptoRng + ?Sized)) -> Self {
        let mut key = Self(Box::new([0; DATA_KEY_LEN]));
        rng.fill_bytes(&mut key.0[..]);
        key
    }

    pub(super) fn from_slice(bytes: &[u8; DATA_KEY_LEN]) -> Self {
        let mut key = Self(Box::new([0; DATA_KEY_LEN]));
        key.0.copy_from_slice(bytes);
        key
    }

    pub(super) fn as_bytes(&self) -> &[u8; DATA_KEY_LEN] {
        &self.0
    }
}

impl Drop for DataKey {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl ZeroizeOnDrop for DataKey {}

impl fmt::Debug for DataKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(_) = self;
        f.write_str("DataKey(..)")
    }
}

//! What openmls needs from outside: cryptography, randomness, storage.
//!
//! The suite is `MLS_128_MLKEM768X25519_AES256GCM_SHA384_Ed25519` (0x004E): hybrid post-quantum HPKE (X-Wing), so what is
//! recorded stays closed to a later quantum attacker, and Ed25519 signatures, which only have to hold while a group lives.
//! A draft's code point: the versions of openmls are pinned exactly.

use std::cell::RefCell;

use openmls::prelude::{Ciphersuite, SignatureScheme};
use openmls_rust_crypto::RustCrypto;
use openmls_traits::OpenMlsProvider;
use openmls_traits::random::OpenMlsRand;
use openmls_traits::signatures::{Signer, SignerError};
use rand_core::CryptoRng;
use rusqlite::Connection;

use super::ids::GroupId;
use super::storage::Rows;

/// The only suite that groups have.
pub(crate) const SUITE: Ciphersuite = Ciphersuite::MLS_128_MLKEM768X25519_AES256GCM_SHA384_Ed25519;

/// openmls' surroundings for one call.
pub(crate) struct Provider<'a> {
    crypto: RustCrypto,
    random: Random<'a>,
    rows: Rows<'a>,
}

impl<'a> Provider<'a> {
    /// For a group, through the transaction that is open on `db`.
    pub(crate) fn new(db: &'a Connection, group: GroupId, rng: &'a mut dyn CryptoRng) -> Self {
        Self {
            crypto: RustCrypto::default(),
            random: Random(RefCell::new(rng)),
            rows: Rows::new(db, group),
        }
    }

    /// Random bytes from the caller's source.
    pub(crate) fn fill(&self, bytes: &mut [u8]) {
        self.random.0.borrow_mut().fill_bytes(bytes);
    }
}

impl<'a> OpenMlsProvider for Provider<'a> {
    type CryptoProvider = RustCrypto;
    type RandProvider = Random<'a>;
    type StorageProvider = Rows<'a>;

    fn storage(&self) -> &Rows<'a> {
        &self.rows
    }

    fn crypto(&self) -> &RustCrypto {
        &self.crypto
    }

    fn rand(&self) -> &Random<'a> {
        &self.random
    }
}

/// The caller's randomness. What HPKE draws by itself comes from the system.
pub(crate) struct Random<'a>(RefCell<&'a mut dyn CryptoRng>);

impl OpenMlsRand for Random<'_> {
    type Error = core::convert::Infallible;

    fn random_array<const N: usize>(&self) -> Result<[u8; N], Self::Error> {
        let mut bytes = [0; N];
        self.0.borrow_mut().fill_bytes(&mut bytes);
        Ok(bytes)
    }

    fn random_vec(&self, len: usize) -> Result<Vec<u8>, Self::Error> {
        let mut bytes = vec![0; len];
        self.0.borrow_mut().fill_bytes(&mut bytes);
        Ok(bytes)
    }
}

/// A member's signature key, of one group alone.
pub(crate) struct SigningKey(ed25519_dalek::SigningKey);

impl SigningKey {
    /// Length of what is kept.
    pub(crate) const LEN: usize = ed25519_dalek::SECRET_KEY_LENGTH;

    pub(crate) fn from_bytes(bytes: &[u8; Self::LEN]) -> Self {
        Self(ed25519_dalek::SigningKey::from_bytes(bytes))
    }

    /// The public key, 32 bytes.
    pub(crate) fn public(&self) -> [u8; 32] {
        self.0.verifying_key().to_bytes()
    }

    pub(crate) fn sign_bytes(&self, bytes: &[u8]) -> [u8; 64] {
        use ed25519_dalek::Signer as _;
        self.0.sign(bytes).to_bytes()
    }
}

impl Signer for SigningKey {
    fn sign(&self, payload: &[u8]) -> Result<Vec<u8>, SignerError> {
        Ok(self.sign_bytes(payload).to_vec())
    }

    fn signature_scheme(&self) -> SignatureScheme {
        SignatureScheme::ED25519
    }
}

impl core::fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let Self(_) = self;
        f.write_str("SigningKey(..)")
    }
}

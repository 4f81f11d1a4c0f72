//! Copies of the vault, and its end.

use std::io::Read;
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use super::{Client, OpenError};
use crate::driver::{Driver, system_rng};
use crate::error::ClientError;
use crate::options::Options;
use crate::sync::{COPIES, MIGRATIONS};
use crate::vault::{HomeLock, Vault, VaultError};

impl Client {
    /// Writes a copy of the vault to a file that is not there yet: names, relays and what was written, encrypted. It
    /// opens with the passphrase and the recovery phrase of this moment, also after the passphrase was changed. It holds
    /// no key of a conversation: see [`Client::restore`].
    ///
    /// # Errors
    /// [`ClientError::Vault`]; no file is left then.
    pub async fn backup(&self, file: &Path) -> Result<(), ClientError> {
        let file = file.to_path_buf();
        self.driver.call(move |engine, _, rng| Ok(engine.vault().backup(&file, COPIES, rng)?)).await
    }

    /// Makes a vault in `home` from a copy and opens it with either phrase that the copy was made under.
    ///
    /// Its contacts are [apart](crate::ContactState::Apart): no key is in the copy, so none is used again, and each is
    /// met again by a new invitation ([`Client::invite`]) or join under the same name.
    ///
    /// # Errors
    /// [`OpenError`]; no vault is made then.
    pub async fn restore(
        home: &Path,
        copy: impl Read + Send + 'static,
        phrase: &[u8],
        options: Options,
    ) -> Result<Self, OpenError> {
        let phrase = Zeroizing::new(phrase.to_vec());
        let folder = home.to_path_buf();
        let (driver, _) = Driver::start(home, options, move || {
            Vault::restore(&folder, copy, &phrase, MIGRATIONS, COPIES).map(|vault| (vault, None))
        })
        .await?;
        Ok(Self { driver, home: home.to_path_buf() })
    }

    /// Destroys the vault in `home`: what opens it is overwritten, then its files go. Other processes that have it open
    /// give it up or end. Copies are not touched, nor a relay in the same home.
    ///
    /// # Errors
    /// [`OpenError`]: with a wrong phrase, or while another process keeps the home, nothing is touched.
    pub async fn destroy(home: &Path, phrase: &[u8], options: Options) -> Result<(), OpenError> {
        let phrase = Zeroizing::new(phrase.to_vec());
        let home: PathBuf = home.to_path_buf();
        let destroyed = tokio::task::spawn_blocking(move || {
            if !Vault::exists(&home) {
                return Err(VaultError::NoVault);
            }
            let _lock = HomeLock::acquire(&home, options.wait, &options.who)?;
            Vault::destroy(&home, &phrase, &mut system_rng())
        });
        destroyed.await.unwrap_or_else(|error| Err(std::io::Error::other(error).into()))
    }
}

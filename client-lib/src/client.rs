//! [`Client`]: what an integrator holds. A thread of its own drives the engine; dropping the client ends it. What it does
//! with relays, invitations, contacts, messages and copies stands in a file each.

mod consents;
pub(crate) mod contacts;
mod copies;
pub(crate) mod files;
pub(crate) mod invitations;
pub(crate) mod messages;
mod relays;

use std::path::{Path, PathBuf};

use tokio::sync::broadcast;
use zeroize::Zeroizing;

use crate::driver::{Driver, system_rng};
use crate::error::ClientError;
use crate::event::Event;
use crate::options::Options;
use crate::sync::MIGRATIONS;
use crate::vault::{RecoveryPhrase, Vault, VaultError};

/// Why a home did not open.
pub type OpenError = VaultError;

/// What happens, as it happens. A receiver that falls behind loses the oldest events, never a message.
#[derive(Debug)]
pub struct Events(broadcast::Receiver<Event>);

impl Events {
    /// The next event; `None` when the client has ended: any call of it says why. Safe to cancel.
    pub async fn next(&mut self) -> Option<Event> {
        loop {
            match self.0.recv().await {
                Ok(event) => return Some(event),
                Err(broadcast::error::RecvError::Lagged(_)) => {}
                Err(broadcast::error::RecvError::Closed) => return None,
            }
        }
    }
}

/// A person's conversations: the vault on this device, and the relays that it reaches.
///
/// A handle to a thread that does the work. All methods may be called from any asynchronous runtime. Dropping the
/// client, or [`Client::close`], ends the thread; what was stored stays.
#[derive(Debug)]
pub struct Client {
    driver: Driver,
    home: PathBuf,
}

impl Client {
    /// Makes a vault in `home` and opens it. The recovery phrase is given once.
    ///
    /// # Errors
    /// [`OpenError`] when there is a vault already, another process has the home, or it cannot be written.
    pub async fn create(
        home: &Path,
        passphrase: &[u8],
        options: Options,
    ) -> Result<(Self, RecoveryPhrase), OpenError> {
        let passphrase = Zeroizing::new(passphrase.to_vec());
        let cost = options.kdf;
        let folder = home.to_path_buf();
        let (driver, recovery) = Driver::start(home, options, move || {
            Vault::create(&folder, &passphrase, cost, MIGRATIONS, &mut system_rng())
                .map(|(vault, recovery)| (vault, Some(recovery)))
        })
        .await?;
        let recovery = recovery.ok_or_else(VaultError::damaged_record)?;
        Ok((Self { driver, home: home.to_path_buf() }, recovery))
    }

    /// Opens the vault in `home` with the passphrase or the recovery phrase.
    ///
    /// # Errors
    /// [`OpenError`] when there is no vault, the phrase is wrong, another process keeps the home, or it is damaged.
    pub async fn open(home: &Path, phrase: &[u8], options: Options) -> Result<Self, OpenError> {
        let phrase = Zeroizing::new(phrase.to_vec());
        let folder = home.to_path_buf();
        let (driver, _) = Driver::start(home, options, move || {
            Vault::open(&folder, &phrase, MIGRATIONS).map(|vault| (vault, None))
        })
        .await?;
        let client = Self { driver, home: home.to_path_buf() };
        client.let_go().await?;
        Ok(client)
    }

    /// What was to be gone by now goes, before anything is read.
    async fn let_go(&self) -> Result<(), OpenError> {
        match self.driver.call(|engine, now, _| Ok(engine.let_go(now)?)).await {
            Err(ClientError::Vault(error)) => Err(error),
            _ => Ok(()),
        }
    }

    /// Whether there is a vault in `home`.
    #[must_use]
    pub fn exists(home: &Path) -> bool {
        Vault::exists(home)
    }

    /// The home folder.
    #[must_use]
    pub fn home(&self) -> &Path {
        &self.home
    }

    /// Ends the client and waits until its thread is gone and the home is free.
    pub async fn close(self) {
        self.driver.close().await;
    }

    /// What happens from here on.
    #[must_use]
    pub fn events(&self) -> Events {
        Events(self.driver.events())
    }

    /// Replaces the passphrase. The recovery phrase stays.
    ///
    /// # Errors
    /// [`ClientError::Vault`]; the old passphrase holds then.
    pub async fn change_passphrase(&self, new: &[u8]) -> Result<(), ClientError> {
        let new = Zeroizing::new(new.to_vec());
        self.driver
            .call(move |engine, _, rng| Ok(engine.vault().change_passphrase(&new, rng)?))
            .await
    }
}

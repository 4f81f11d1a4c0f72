//! A relay's data folder: what lies where, how it is made, and what may be overwritten (nothing).
//!
//! `relay.toml`, `keys/` (the identity), `epoch-keys/` (seal, auth and hop keys of a day), `day-keys/` (keys of blobs
//! at rest), `address` (as last handed out), `notice` (of decommissioning, while one is given), `admin.sock` (while the
//! relay runs), and what the store makes: `lock`, `store-format`, `engine/`, `clean-stop`. Guarantees: an identity is written once and never replaced; a file is whole or absent; an
//! interrupted `init` is completed by the next. The lock is the store's; `init` takes it too.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use ed25519_dalek::SigningKey;
use getrandom::SysRng;
use hearken_proto::address::RelayAddress;
use hearken_proto::ids::Fingerprint;
use rand_core::TryRng;
use zeroize::Zeroizing;

use crate::config::{Listen, PublicHost};
use crate::store::key_files::{make_folder, sync_folder};
use crate::store::{KeyFolder, StoreError};

/// The configuration that `init` writes: every key, documented, at its default.
const EXAMPLE: &str = include_str!("../../deploy/relay.example.toml");
const EXAMPLE_HOST: &str = "#host = \"relay.example.org\"";
const EXAMPLE_LISTEN: &str = "#listen = [\"0.0.0.0:4433\", \"[::]:4433\"]";

const CONFIG_FILE: &str = "relay.toml";
const ADDRESS_FILE: &str = "address";
const ADMIN_SOCKET: &str = "admin.sock";
/// The store's lock file (`store::fjall`).
pub(crate) const LOCK_FILE: &str = "lock";
/// The notice of decommissioning, while one is given.
const NOTICE_FILE: &str = "notice";
/// Where a restore builds. While it is there, what lies beside it is no relay.
pub(crate) const RESTORING: &str = ".restoring";
const KEYS_FOLDER: &str = "keys";
const IDENTITY: &str = "identity";
const EPOCH_KEYS_FOLDER: &str = "epoch-keys";
const DAY_KEYS_FOLDER: &str = "day-keys";
/// What the store makes first: where it is, there was a relay.
const STORE_FORMAT_FILE: &str = "store-format";
/// What may lie in a folder that counts as empty: a file system's own, and what an interrupted start left.
const NO_CONTENT: [&str; 3] = ["lost+found", LOCK_FILE, ADMIN_SOCKET];
/// What a restore makes; `relay.toml` last, since its presence says that there is a relay.
pub(crate) const RELAY_CONTENT: [&str; 8] = [
    "engine",
    "clean-stop",
    DAY_KEYS_FOLDER,
    KEYS_FOLDER,
    NOTICE_FILE,
    LOCK_FILE,
    STORE_FORMAT_FILE,
    CONFIG_FILE,
];

/// Why a folder cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FolderError {
    /// There is a relay in it already.
    #[error("there is a relay in this folder already")]
    Exists,
    /// There is no relay in it.
    #[error("there is no relay in this folder")]
    NoRelay,
    /// There is something else in it.
    #[error("there is no relay in this folder, and it is not empty")]
    Foreign,
    /// The `init` of the relay in it was interrupted, before anything was served.
    #[error("the making of this relay was interrupted")]
    Unfinished,
    /// A restore into it was interrupted.
    #[error("a restore into this folder was interrupted")]
    Restoring,
    /// A relay was in it, and its identity key is gone.
    #[error("the identity key of this relay is missing")]
    NoIdentity,
    /// A relay was in it, and its configuration is gone.
    #[error("relay.toml is missing")]
    NoConfig,
    /// The notice of decommissioning is not as it was written.
    #[error("the notice of decommissioning is damaged")]
    Notice,
    /// A key file could not be read or written.
    #[error(transparent)]
    Key(#[from] StoreError),
    /// A file could not be read or written.
    #[error("{what} cannot be {action}: {kind}")]
    Io {
        /// Which file, in words.
        what: &'static str,
        /// What was to be done with it.
        action: &'static str,
        /// The system's reason.
        kind: io::ErrorKind,
    },
    /// The system has no randomness to make a key of.
    #[error("the system has no randomness to give")]
    Randomness,
}

/// What is in a folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Content {
    /// Nothing, or no folder.
    Nothing,
    /// An `init` that was interrupted before anything was served.
    Unfinished,
    /// A relay.
    Relay,
    /// A restore that was interrupted, or is under way.
    Restoring,
    /// Something else.
    Foreign,
}

/// A data folder. Making this value touches nothing.
#[derive(Clone, Debug)]
pub struct Folder {
    path: PathBuf,
}

impl Folder {
    /// The folder at a path.
    #[must_use]
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }

    /// The folder's path.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Where the configuration lies.
    #[must_use]
    pub fn config_file(&self) -> PathBuf {
        self.path.join(CONFIG_FILE)
    }

    /// Where the keys of blobs at rest lie.
    #[must_use]
    pub fn day_keys(&self) -> PathBuf {
        self.path.join(DAY_KEYS_FOLDER)
    }

    /// Where seal, auth and hop keys lie.
    #[must_use]
    pub fn epoch_keys(&self) -> PathBuf {
        self.path.join(EPOCH_KEYS_FOLDER)
    }

    /// The name of the administration socket in the folder.
    #[must_use]
    pub fn admin_socket(&self) -> &'static str {
        ADMIN_SOCKET
    }

    /// What is in it.
    ///
    /// # Errors
    /// [`FolderError::Io`] where it cannot be looked into.
    pub fn content(&self) -> Result<Content, FolderError> {
        let failed = io_error("the data folder", "read");
        let entries = match fs::read_dir(&self.path) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Content::Nothing),
            Err(error) => return Err(failed(error)),
        };
        let mut names = Vec::new();
        for entry in entries {
            names.push(entry.map_err(&failed)?.file_name());
        }
        let has = |name: &str| names.iter().any(|entry| entry == name);
        Ok(if has(RESTORING) {
            Content::Restoring
        } else if has(CONFIG_FILE) || has(STORE_FORMAT_FILE) {
            Content::Relay
        } else if has(KEYS_FOLDER) {
            Content::Unfinished
        } else if names.iter().all(|entry| NO_CONTENT.iter().any(|name| entry == name)) {
            Content::Nothing
        } else {
            Content::Foreign
        })
    }

    /// Makes an identity and a configuration where there are none.
    ///
    /// # Errors
    /// [`FolderError::Exists`] where there is a relay; [`FolderError::Io`], [`FolderError::Key`].
    pub fn init(&self, host: Option<&PublicHost>, listen: &[Listen]) -> Result<(), FolderError> {
        self.refuse_made()?;
        make_folder(&self.path).map_err(io_error("the data folder", "made"))?;
        let _lock = self.lock()?;
        // Another process may have been faster.
        self.refuse_made()?;
        let keys = KeyFolder::open(&self.path.join(KEYS_FOLDER))?;
        if keys.read(IDENTITY)?.is_none() {
            let mut seed = Zeroizing::new([0; 32]);
            SysRng.try_fill_bytes(&mut seed[..]).map_err(|_| FolderError::Randomness)?;
            keys.create(IDENTITY, &seed[..])?;
        }
        // Last, since its presence says that there is a relay.
        let config = config_text(host, listen);
        self.write(CONFIG_FILE, &config, "relay.toml")
    }

    fn refuse_made(&self) -> Result<(), FolderError> {
        match self.content()? {
            Content::Relay => Err(FolderError::Exists),
            Content::Restoring => Err(FolderError::Restoring),
            Content::Nothing | Content::Unfinished | Content::Foreign => Ok(()),
        }
    }

    /// Makes a relay of what a backup held, beside the store that was restored there, and answers its identity.
    ///
    /// # Errors
    /// [`FolderError::Io`], [`FolderError::Key`].
    pub(crate) fn adopt(&self, seed: &[u8; 32], config: &str) -> Result<SigningKey, FolderError> {
        KeyFolder::open(&self.path.join(KEYS_FOLDER))?.create(IDENTITY, seed)?;
        self.write(CONFIG_FILE, config, "relay.toml")?;
        Ok(SigningKey::from_bytes(seed))
    }

    /// The text of the notice of decommissioning; `None` where none is given.
    ///
    /// # Errors
    /// [`FolderError::Io`].
    pub(crate) fn notice_text(&self) -> Result<Option<String>, FolderError> {
        match fs::read_to_string(self.path.join(NOTICE_FILE)) {
            Ok(text) => Ok(Some(text)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(io_error("the notice", "read")(error)),
        }
    }

    /// Keeps the notice of decommissioning.
    ///
    /// # Errors
    /// [`FolderError::Io`].
    pub(crate) fn write_notice(&self, text: &str) -> Result<(), FolderError> {
        self.write(NOTICE_FILE, text, "the notice")
    }

    /// Takes the notice of decommissioning back. Where there is none, nothing changes.
    ///
    /// # Errors
    /// [`FolderError::Io`].
    pub fn remove_notice(&self) -> Result<(), FolderError> {
        match fs::remove_file(self.path.join(NOTICE_FILE)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            other => other,
        }
        .and_then(|()| sync_folder(&self.path))
        .map_err(io_error("the notice", "removed"))
    }

    /// Whether there is a whole relay. Nothing may be made in the folder where there is not, but by who makes one.
    ///
    /// # Errors
    /// What there is instead: [`FolderError::NoRelay`], [`FolderError::Foreign`], [`FolderError::Restoring`],
    /// [`FolderError::Unfinished`].
    pub(crate) fn require_relay(&self) -> Result<(), FolderError> {
        match self.content()? {
            Content::Relay => Ok(()),
            Content::Nothing => Err(FolderError::NoRelay),
            Content::Foreign => Err(FolderError::Foreign),
            Content::Restoring => Err(FolderError::Restoring),
            Content::Unfinished => Err(FolderError::Unfinished),
        }
    }

    /// The identity key.
    ///
    /// # Errors
    /// Those of a folder without a relay; [`FolderError::NoIdentity`], [`FolderError::Key`] where it is damaged.
    pub fn identity(&self) -> Result<SigningKey, FolderError> {
        self.require_relay()?;
        let keys = self.path.join(KEYS_FOLDER);
        if !keys.is_dir() {
            return Err(FolderError::NoIdentity);
        }
        let seed = KeyFolder::open(&keys)?.read(IDENTITY)?.ok_or(FolderError::NoIdentity)?;
        let seed: Zeroizing<[u8; 32]> =
            Zeroizing::new(seed.as_slice().try_into().map_err(|_| FolderError::NoIdentity)?);
        Ok(SigningKey::from_bytes(&seed))
    }

    /// The text of the configuration.
    ///
    /// # Errors
    /// Those of a folder without a relay; [`FolderError::NoConfig`], [`FolderError::Io`].
    pub fn config_text(&self) -> Result<String, FolderError> {
        self.require_relay()?;
        crate::config::Config::text_of(&self.config_file()).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => FolderError::NoConfig,
            _ => io_error("relay.toml", "read")(error),
        })
    }

    /// The address that was last handed out; `None` where none was, or where it is not this identity's.
    #[must_use]
    pub fn address(&self, fingerprint: Fingerprint) -> Option<RelayAddress> {
        let text = fs::read_to_string(self.path.join(ADDRESS_FILE)).ok()?;
        let address: RelayAddress = text.trim_end().parse().ok()?;
        (address.fingerprint() == fingerprint).then_some(address)
    }

    /// Keeps the address that is being handed out.
    ///
    /// # Errors
    /// [`FolderError::Io`].
    pub fn write_address(&self, address: &RelayAddress) -> Result<(), FolderError> {
        self.write(ADDRESS_FILE, &format!("{address}\n"), "the address file")
    }

    /// The lock that the store takes as well: nobody else makes or serves this folder meanwhile.
    ///
    /// # Errors
    /// [`StoreError::Locked`] in [`FolderError::Key`]; [`FolderError::Io`].
    pub fn lock(&self) -> Result<File, FolderError> {
        let failed = io_error("the data folder", "locked");
        let path = self.path.join(LOCK_FILE);
        let mut options = OpenOptions::new();
        let file = options.create(true).truncate(false).write(true).open(path).map_err(&failed)?;
        match file.try_lock() {
            Ok(()) => Ok(file),
            Err(TryLockError::WouldBlock) => {
                Err(StoreError::Locked { folder: self.path.clone() }.into())
            }
            Err(TryLockError::Error(error)) => Err(failed(error)),
        }
    }

    /// Writes a file whole or not at all.
    fn write(&self, name: &str, content: &str, what: &'static str) -> Result<(), FolderError> {
        let failed = io_error(what, "written");
        let unfinished = self.path.join(format!("{name}.new"));
        let mut file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&unfinished)
            .map_err(&failed)?;
        file.write_all(content.as_bytes()).and_then(|()| file.sync_all()).map_err(&failed)?;
        fs::rename(&unfinished, self.path.join(name)).map_err(&failed)?;
        File::open(&self.path).and_then(|folder| folder.sync_all()).map_err(&failed)
    }
}

/// The fingerprint of an identity.
#[must_use]
pub fn fingerprint(identity: &SigningKey) -> Fingerprint {
    Fingerprint::of(identity.verifying_key().as_bytes())
}

fn config_text(host: Option<&PublicHost>, listen: &[Listen]) -> String {
    let mut text = EXAMPLE.to_owned();
    if let Some(host) = host {
        let host = toml::Value::String(host.to_string());
        text = text.replacen(EXAMPLE_HOST, &format!("host = {host}"), 1);
    }
    if !listen.is_empty() {
        let value = |listen: &Listen| toml::Value::String(listen.address.to_string());
        let listen: Vec<_> = listen.iter().map(value).collect();
        let listen = toml::Value::Array(listen);
        text = text.replacen(EXAMPLE_LISTEN, &format!("listen = {listen}"), 1);
    }
    text
}

fn io_error(what: &'static str, action: &'static str) -> impl Fn(io::Error) -> FolderError {
    move |error| FolderError::Io { what, action, kind: error.kind() }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;
    use crate::config::Config;

    #[test]
    fn init_makes_a_relay_once_and_never_another_identity() {
        let (_temporary, folder) = folder();
        assert_eq!(folder.content().unwrap(), Content::Nothing);
        assert_eq!(folder.identity().unwrap_err(), FolderError::NoRelay);
        folder.init(None, &[]).unwrap();
        assert_eq!(folder.content().unwrap(), Content::Relay);
        let identity = folder.identity().unwrap();
        assert_eq!(folder.init(None, &[]).unwrap_err(), FolderError::Exists);
        assert_eq!(folder.identity().unwrap(), identity);
        for secret in ["keys", "keys/identity", "relay.toml"] {
            let mode = fs::metadata(folder.path().join(secret)).unwrap().permissions().mode();
            assert_eq!(mode & 0o077, 0, "{secret}");
        }
    }

    #[test]
    fn an_interrupted_init_is_completed_with_the_identity_that_it_made() {
        let (_temporary, folder) = folder();
        folder.init(None, &[]).unwrap();
        let identity = folder.identity().unwrap();
        fs::remove_file(folder.config_file()).unwrap();
        assert_eq!(folder.content().unwrap(), Content::Unfinished);
        assert_eq!(folder.identity().unwrap_err(), FolderError::Unfinished);
        folder.init(None, &[]).unwrap();
        assert_eq!(folder.identity().unwrap(), identity);
    }

    #[test]
    fn a_folder_with_something_else_in_it_or_with_a_lost_identity_is_not_an_empty_one() {
        let (_temporary, folder) = folder();
        fs::create_dir_all(folder.path().join("lost+found")).unwrap();
        assert_eq!(folder.content().unwrap(), Content::Nothing);
        fs::write(folder.path().join("letters.txt"), "x").unwrap();
        assert_eq!(folder.content().unwrap(), Content::Foreign);
        assert_eq!(folder.identity().unwrap_err(), FolderError::Foreign);
        folder.init(None, &[]).unwrap();
        fs::remove_dir_all(folder.path().join("keys")).unwrap();
        assert_eq!(folder.identity().unwrap_err(), FolderError::NoIdentity);
    }

    #[test]
    fn what_init_was_given_stands_in_the_configuration() {
        let (_temporary, folder) = folder();
        let host = PublicHost::parse("[2001:db8::1]:99").unwrap();
        let listen = ["127.0.0.1:0", "[::1]:7"].map(|text| Listen::parse(text).unwrap());
        folder.init(Some(&host), &listen).unwrap();
        let config = Config::read(&folder.config_text().unwrap(), &[]).unwrap();
        assert_eq!(config.host, Some(host));
        let listen: Vec<_> = config.listen.iter().map(|at| at.address.to_string()).collect();
        assert_eq!(listen, ["127.0.0.1:0", "[::1]:7"]);
    }

    #[test]
    fn an_address_of_another_identity_is_not_handed_out() {
        let (_temporary, folder) = folder();
        folder.init(None, &[]).unwrap();
        let own = fingerprint(&folder.identity().unwrap());
        let place = "relay.example:1".parse().unwrap();
        let address = RelayAddress::new(own, vec![place]).unwrap();
        assert_eq!(folder.address(own), None);
        folder.write_address(&address).unwrap();
        assert_eq!(folder.address(own), Some(address));
        assert_eq!(folder.address(Fingerprint::from_bytes([7; 32])), None);
    }

    fn folder() -> (tempfile::TempDir, Folder) {
        let temporary = tempfile::tempdir().unwrap();
        let folder = Folder::new(temporary.path().join("relay"));
        (temporary, folder)
    }
}

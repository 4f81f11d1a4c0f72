//! Every error of the library as the operator meets it: a code for programs, what went wrong, what to do now.

use hearken_relay::choices::PrepareError;
use hearken_relay::config::{ConfigError, Place};
use hearken_relay::folder::FolderError;
use hearken_relay::server::{ServeError, StartError};
use hearken_relay::store::StoreError;

use crate::output::Failure;

const DOCUMENTED: &str = "every key is documented in deploy/relay.example.toml";
const RESTORE: &str = "keep a copy of the folder and restore it from the newest backup";

impl From<ConfigError> for Failure {
    fn from(error: ConfigError) -> Self {
        let message = error.to_string();
        match &error {
            ConfigError::UnknownKey { place: Place::Flag, .. } => {
                Self::usage("unknown-key", message, DOCUMENTED)
            }
            ConfigError::UnknownKey { .. } => Self::failed("unknown-key", message, DOCUMENTED),
            ConfigError::NotBuilt { .. } => {
                Self::usage("not-built", message, "leave it out, or wait for a later version")
            }
            ConfigError::Value { place: Place::Flag, .. } | ConfigError::Override => {
                Self::usage("usage", message, DOCUMENTED)
            }
            _ => Self::failed("config", message, DOCUMENTED),
        }
    }
}

impl From<PrepareError> for Failure {
    fn from(error: PrepareError) -> Self {
        match error {
            PrepareError::Folder(error) => error.into(),
            PrepareError::Config(error) => error.into(),
            other => Self::failed("failed", other, "try again; report it where it happens again"),
        }
    }
}

impl From<FolderError> for Failure {
    fn from(error: FolderError) -> Self {
        let message = error.to_string();
        match error {
            FolderError::Key(error) => error.into(),
            FolderError::Exists => Self::failed(
                "already-exists",
                message,
                "use another folder, or `serve` this one; nothing was overwritten",
            ),
            FolderError::NoRelay => Self::failed(
                "no-relay",
                message,
                "make one with `init` or `serve`, or check --data",
            ),
            FolderError::Foreign => {
                Self::failed("no-relay", message, "check --data, or make a relay there with `init`")
            }
            FolderError::NoIdentity => Self::failed("no-identity", message, RESTORE),
            FolderError::NoConfig => Self::failed(
                "no-config",
                message,
                "restore it, or copy deploy/relay.example.toml there: it works as it is",
            ),
            FolderError::Io { .. } => {
                Self::failed("io", message, "check that the folder is there and this account's own")
            }
            _ => Self::failed("failed", message, "try again; report it where it happens again"),
        }
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        let message = error.to_string();
        match error {
            StoreError::Locked { .. } => {
                Self::failed("locked", message, "only one relay can serve a folder at a time")
            }
            StoreError::Corrupt { advice, .. } => Self::failed("store-damaged", message, advice),
            StoreError::Full => {
                Self::failed("disk-full", message, "make room on that disk; nothing is lost")
            }
            StoreError::Incompatible { .. } => Self::failed(
                "incompatible",
                message,
                "use the version of this program that wrote the folder, or a newer one",
            ),
            _ => Self::failed(
                "storage",
                message,
                "check the disk and that the folder is this account's own, then try again",
            ),
        }
    }
}

impl From<StartError> for Failure {
    fn from(error: StartError) -> Self {
        let message = error.to_string();
        match error {
            StartError::Folder(error) => error.into(),
            StartError::Store(error) => error.into(),
            StartError::Listen { .. } => Self::failed(
                "listen",
                message,
                "choose another --listen, or stop what uses that port",
            ),
            StartError::EpochKeys => {
                Self::failed("storage", message, "make room and check the folder's permissions")
            }
            _ => Self::failed("failed", message, "try again; report it where it happens again"),
        }
    }
}

impl From<ServeError> for Failure {
    fn from(error: ServeError) -> Self {
        Self::failed(
            "failed",
            error,
            "start it again: nothing that was acknowledged is lost; report it where it happens again",
        )
    }
}

//! Every error of the library as the operator meets it: a code for programs, what went wrong, what to do now.

use hearken_relay::archive::ArchiveError;
use hearken_relay::backup::BackupError;
use hearken_relay::choices::PrepareError;
use hearken_relay::config::{ConfigError, Place};
use hearken_relay::folder::FolderError;
use hearken_relay::restore::RestoreError;
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
            FolderError::Notice => Self::failed(
                "notice-damaged",
                message,
                "give it again with `decommission`, or take it back with `decommission --cancel`",
            ),
            FolderError::Unfinished => Self::failed(
                "unfinished",
                message,
                "run `init` or `serve`: it goes on with the identity that was made",
            ),
            FolderError::Restoring => Self::failed(
                "restore-interrupted",
                message,
                "run the restore again: it begins from the start",
            ),
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

const NOTHING_LEFT: &str =
    "no file was left; check the disk and that the folder of --out is this account's to write";

impl From<BackupError> for Failure {
    fn from(error: BackupError) -> Self {
        let message = error.to_string();
        match error {
            BackupError::Exists => Self::failed(
                "already-exists",
                message,
                "give another --out, or move that file away; nothing was overwritten",
            ),
            BackupError::Write(kind) if is_full(kind) => {
                Self::failed("disk-full", message, "make room for the backup; no file was left")
            }
            BackupError::Write(_) => Self::failed("io", message, NOTHING_LEFT),
            BackupError::BrokenOff(_) => Self::failed(
                "broken-off",
                message,
                "try again; where it happens again, look into the relay's log. No file was left",
            ),
            BackupError::Stopped => Self::interrupted(),
            BackupError::Folder(error) => error.into(),
            BackupError::Store(error) => error.into(),
            _ => Self::failed("failed", message, NOTHING_LEFT),
        }
    }
}

impl Failure {
    /// A command that ends by itself was told to stop.
    pub(crate) fn interrupted() -> Self {
        let advice = "run it again; nothing half-made was left";
        Self::failed("interrupted", "it was told to stop before it had ended", advice)
    }
}

impl From<RestoreError> for Failure {
    fn from(error: RestoreError) -> Self {
        let message = error.to_string();
        match error {
            RestoreError::NotEmpty => Self::failed(
                "not-empty",
                message,
                "give a --data that is missing or empty; nothing was changed",
            ),
            RestoreError::UnderWay => {
                Self::failed("locked", message, "wait for it to end, or end it")
            }
            RestoreError::Open(_) => {
                Self::failed("io", message, "check --from; nothing was changed")
            }
            RestoreError::Archive(ArchiveError::Version { .. }) => Self::failed(
                "incompatible",
                message,
                "use the version of this program that made it, or a newer one; nothing was changed",
            ),
            RestoreError::Archive(ArchiveError::Io(_)) => {
                Self::failed("io", message, "check the disk that --from is on; nothing was changed")
            }
            RestoreError::Archive(ArchiveError::Foreign) => {
                Self::failed("damaged", message, "check --from; nothing was changed")
            }
            RestoreError::Archive(_) => Self::failed(
                "damaged",
                message,
                "take another copy of it, or an older backup; nothing was changed",
            ),
            RestoreError::Stopped => Self::interrupted(),
            RestoreError::ClockBehind => Self::failed(
                "clock-behind",
                message,
                "set the clock and run the restore again; nothing was changed",
            ),
            RestoreError::Io(kind) if is_full(kind) => {
                Self::failed("disk-full", message, "make room; nothing was changed")
            }
            RestoreError::Folder(error) => error.into(),
            RestoreError::Store(error) => error.into(),
            _ => Self::failed(
                "io",
                message,
                "check the disk and that the folder is this account's to write; nothing was changed",
            ),
        }
    }
}

fn is_full(kind: std::io::ErrorKind) -> bool {
    use std::io::ErrorKind::{FileTooLarge, QuotaExceeded, StorageFull};
    matches!(kind, StorageFull | QuotaExceeded | FileTooLarge)
}

//! `hearken-relay check`: looks at configuration, keys and store while nothing serves, and says what is wrong, where,
//! and what to do.
//!
//! Guarantees: it repairs nothing and changes nothing but what opening the store for service would; a finding names a
//! file, never a mailbox.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use hearken_proto::address::HostPort;
use hearken_proto::time::UnixMillis;

use crate::config::{Config, ConfigError, DEFAULT_PORT};
use crate::core::EpochKey;
use crate::folder::{Folder, FolderError};
use crate::notice::Notice;
use crate::store::{DayKeys, FjallConfig, FjallStore, KeyFolder, Store, StoreError};

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    /// The relay does not start, or loses something.
    Error,
    /// It serves, and the operator should know.
    Warning,
}

/// Something that is not as it should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// How bad it is.
    pub severity: Severity,
    /// Kebab-case, for programs.
    pub code: &'static str,
    /// The file or folder, relative to the data folder.
    pub place: String,
    /// What is wrong.
    pub message: String,
    /// What to do.
    pub advice: String,
}

/// What was found, and what there is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// What is not as it should be.
    pub findings: Vec<Finding>,
    /// Rows of the store that were read; `None` where it could not be opened.
    pub rows: Option<u64>,
}

const RESTORE: &str = "keep a copy of the folder and restore it from the newest backup";
const NOTICE_AGAIN: &str =
    "give it again with `decommission`, or take it back with `decommission --cancel`";
const INIT_AGAIN: &str = "run `init` or `serve`: it goes on with the identity that was made";
const RESTORE_AGAIN: &str = "run the restore again: it begins from the start";
const MODE: &str = "make it readable by the relay's account only: chmod -R go= on the data folder";

/// Looks at a relay's folder.
#[must_use]
pub fn check(folder: &Folder, now: UnixMillis) -> Report {
    let mut report = Report::default();
    if let Err(error) = folder.require_relay() {
        report.folder_error(&error);
        return report;
    }
    report.check_config(folder);
    report.check_notice(folder, now);
    report.check_modes(folder.path());
    // The lock comes with the store; without it another process may be writing what is read here.
    match FjallStore::open(folder.path(), FjallConfig::default()) {
        Ok(store) => {
            match store.verify() {
                Ok(rows) => report.rows = Some(rows),
                Err(error) => report.store_error("engine", &error),
            }
            report.check_keys(folder, &store, now);
        }
        Err(error) => report.store_error("engine", &error),
    }
    report
}

impl Report {
    /// Whether the relay can serve.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        self.findings.iter().all(|finding| finding.severity == Severity::Warning)
    }

    fn add(
        &mut self,
        severity: Severity,
        code: &'static str,
        place: &str,
        message: impl ToString,
        advice: &str,
    ) {
        let (message, advice) = (message.to_string(), advice.to_owned());
        self.findings.push(Finding { severity, code, place: place.to_owned(), message, advice });
    }

    fn check_config(&mut self, folder: &Folder) {
        let text = match folder.config_text() {
            Ok(text) => text,
            Err(error) => return self.folder_error(&error),
        };
        let config = match Config::read(&text, &[]) {
            Ok(config) => config,
            Err(error) => {
                let (code, advice) = match error {
                    ConfigError::UnknownKey { .. } => {
                        ("unknown-key", "every key is documented in deploy/relay.example.toml")
                    }
                    ConfigError::NotBuilt { .. } => ("not-built", "leave it out"),
                    _ => ("config", "every key is documented in deploy/relay.example.toml"),
                };
                return self.add(Severity::Error, code, "relay.toml", error, advice);
            }
        };
        if config.allow_private_peers {
            let message = "allow_private_peers is on: whoever reaches this relay can make it knock on UDP ports of its \
                           own network";
            self.add(
                Severity::Warning,
                "private-peers",
                "relay.toml",
                message,
                "use it in tests only",
            );
        }
        let private = |place: &HostPort| place.is_private();
        let host = config.host.as_ref().and_then(|host| host.place(DEFAULT_PORT));
        if host.as_ref().is_some_and(private) {
            let message = "the host is loopback or private: nobody outside reaches it";
            let advice = "set host to the name or address under which others reach this machine";
            self.add(Severity::Warning, "local-address", "relay.toml", message, advice);
        }
    }

    fn check_notice(&mut self, folder: &Folder, now: UnixMillis) {
        match Notice::read(folder) {
            Ok(Some(notice)) if notice.on <= now => {
                let message = "the date of its notice is past: unless it moves, this relay takes nothing in any more";
                let advice =
                    "let it run until people have fetched what is there, or take the notice back";
                self.add(Severity::Warning, "decommissioned", "notice", message, advice);
            }
            Ok(_) => {}
            Err(error) => self.folder_error(&error),
        }
    }

    fn check_modes(&mut self, path: &Path) {
        let own =
            ["keys", "epoch-keys", "day-keys", "relay.toml", "engine", "store-format", "lock"];
        for name in ["."].into_iter().chain(own) {
            let open = fs::metadata(path.join(name))
                .is_ok_and(|metadata| metadata.permissions().mode() & 0o077 != 0);
            if open {
                let message = "other accounts of this machine can look into it";
                self.add(Severity::Warning, "permissions", name, message, MODE);
            }
        }
    }

    fn check_keys(&mut self, folder: &Folder, store: &FjallStore, now: UnixMillis) {
        if let Err(error) = folder.identity() {
            self.folder_error(&error);
        }
        match DayKeys::open(&folder.day_keys()) {
            Ok(keys) => {
                let days = keys.days();
                let missing =
                    store.days().into_iter().filter(|day| *day >= now.day() && !days.contains(day));
                for day in missing {
                    let message = format!(
                        "the key of an expiry day that has blobs is missing (day-{})",
                        day.0
                    );
                    self.add(Severity::Error, "day-key-missing", "day-keys", message, RESTORE);
                }
            }
            Err(error) => self.store_error("day-keys", &error),
        }
        let epochs = KeyFolder::open(&folder.epoch_keys()).and_then(|keys| {
            let mut damaged = 0;
            for name in keys.names()? {
                match keys.read(&name) {
                    Ok(Some(bytes)) if EpochKey::from_bytes(&bytes).is_err() => damaged += 1,
                    Ok(_) => {}
                    Err(StoreError::Corrupt { .. }) => damaged += 1,
                    Err(error) => return Err(error),
                }
            }
            Ok(damaged)
        });
        match epochs {
            Ok(0) => {}
            Ok(_) => {
                let message = "a file of daily keys is damaged";
                let advice = "nothing: at its next start the relay destroys it and makes others";
                self.add(Severity::Warning, "epoch-key-damaged", "epoch-keys", message, advice);
            }
            Err(error) => self.store_error("epoch-keys", &error),
        }
    }

    fn folder_error(&mut self, error: &FolderError) {
        let (code, place, advice) = match error {
            FolderError::Key(error) => return self.store_error("keys", error),
            FolderError::NoRelay | FolderError::Foreign => ("no-relay", ".", "check --data"),
            FolderError::Notice => ("notice-damaged", "notice", NOTICE_AGAIN),
            FolderError::Unfinished => ("unfinished", ".", INIT_AGAIN),
            FolderError::Restoring => ("restore-interrupted", ".", RESTORE_AGAIN),
            FolderError::NoIdentity => ("no-identity", "keys", RESTORE),
            FolderError::NoConfig => (
                "no-config",
                "relay.toml",
                "restore it, or copy deploy/relay.example.toml there: it works as it is",
            ),
            _ => ("io", ".", "check that the folder is this account's own"),
        };
        self.add(Severity::Error, code, place, error, advice);
    }

    fn store_error(&mut self, place: &str, error: &StoreError) {
        let (code, advice) = match error {
            StoreError::Locked { .. } => {
                ("locked", "stop the relay that serves it, then check again")
            }
            StoreError::Corrupt { advice, .. } => ("store-damaged", *advice),
            StoreError::Incompatible { .. } => ("incompatible", "use the program that wrote it"),
            StoreError::Full => ("disk-full", "make room on that disk; nothing is lost"),
            _ => ("storage", "check the disk and that the folder is this account's own"),
        };
        self.add(Severity::Error, code, place, error, advice);
    }
}

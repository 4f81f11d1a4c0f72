//! The relay's configuration: `relay.toml` as it is written ([`RawConfig`]), and as it is once checked ([`Config`]).
//!
//! An unknown key, a value of the wrong kind and a value out of range are refused with the line they stand on. Keys
//! for what is not built are refused too, never ignored. `--set KEY=VALUE` overrides a key before the check. Every key
//! is documented in `deploy/relay.example.toml`; a test holds the two together.

use std::net::SocketAddr;
use std::path::Path;

use hearken_proto::address::{Host, HostPort};
use hearken_proto::limits;
use serde::Deserialize;
use toml::de::DeTable;
use toml::{Table, Value};

/// The port that relays serve on unless told otherwise.
pub const DEFAULT_PORT: u16 = 4_433;
/// The longest configuration file in bytes: one that is longer is something else.
pub const CONFIG_LEN_MAX: u64 = 65_536;
/// Addresses that one relay listens on, at most: an address lists as many places.
pub const LISTEN_MAX: usize = hearken_proto::address::PLACES_MAX;
/// Least bytes of storage that a relay can do anything with.
const STORAGE_BYTES_MIN: u64 = 16 * 1_024 * 1_024;
/// Leading zero bits of a proof of work by default: some tenths of a second on an old phone.
const POW_BITS_DEFAULT: u32 = 18;
/// Free disk space by default below which new blobs are refused: what the engine moves in the background needs room.
const DISK_RESERVE_BYTES_DEFAULT: u64 = 256 * 1_024 * 1_024;

/// What is wrong with a configuration. The text names key and line, never a value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// A key that there is not.
    #[error("{place}: unknown key `{key}`")]
    UnknownKey {
        /// File and line, or the flag.
        place: Place,
        /// The key.
        key: String,
    },
    /// A key for something that is not built yet.
    #[error("{place}: `{key}` is for something that is not built yet")]
    NotBuilt {
        /// File and line, or the flag.
        place: Place,
        /// The key, with the value where only that value is not built.
        key: String,
    },
    /// A value out of range or of the wrong kind.
    #[error("{place}: `{key}` {expected}")]
    Value {
        /// File and line, or the flag.
        place: Place,
        /// The key.
        key: String,
        /// What it must be, as the rest of a sentence.
        expected: &'static str,
    },
    /// The file is not TOML.
    #[error("{place}: not readable as TOML: {what}")]
    Syntax {
        /// File and line, or the flag.
        place: Place,
        /// What the parser says.
        what: String,
    },
    /// `--set` without `=`.
    #[error("--set takes KEY=VALUE")]
    Override,
}

/// Where a key stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// A line of `relay.toml`, from 1; 0 where there is no such line.
    Line(usize),
    /// `--set` on the command line.
    Flag,
}

impl core::fmt::Display for Place {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Line(0) => f.write_str("relay.toml"),
            Self::Line(line) => write!(f, "relay.toml, line {line}"),
            Self::Flag => f.write_str("--set"),
        }
    }
}

/// `relay.toml` as it is written: every key optional.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RawConfig {
    /// Name or IP address under which others reach this relay, with or without `:port`.
    pub host: Option<String>,
    /// Addresses to serve on, `ip:port`.
    pub listen: Option<Vec<String>>,
    /// Whether to forward to private and loopback addresses.
    pub allow_private_peers: Option<bool>,
    /// Whether to forward to other relays at all.
    pub forward: Option<bool>,
    /// Who may make mailboxes and objects: `open` or `closed`.
    pub admission: Option<String>,
    /// Leading zero bits of the proof of work that making a mailbox or an object costs.
    pub pow_bits: Option<u32>,
    /// Bounds of what the relay keeps and serves.
    pub limits: RawLimits,
}

/// The section `[limits]`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RawLimits {
    /// Blobs that one mailbox holds.
    pub mailbox_blobs_max: Option<u32>,
    /// Mailboxes in all.
    pub mailboxes_max: Option<u64>,
    /// Entries that one feed holds.
    pub feed_entries_max: Option<u32>,
    /// Feeds in all.
    pub feeds_max: Option<u64>,
    /// Bytes on disk above which new blobs and objects are refused.
    pub storage_bytes_max: Option<u64>,
    /// Free bytes on the disk below which new blobs and objects are refused.
    pub disk_reserve_bytes: Option<u64>,
    /// Links at once.
    pub links_max: Option<usize>,
}

/// Who may make mailboxes and objects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admission {
    /// Anyone, for a proof of work.
    Open,
    /// Nobody: what is there is served to its end.
    Closed,
}

/// Where to serve.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listen {
    /// IP address and UDP port; port 0 is any free one.
    pub address: SocketAddr,
    /// Whether the relay serves without this one where the machine does not have the address family.
    pub optional: bool,
}

impl Listen {
    /// An address that must be there, `ip:port`. `None` when the text is none.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        text.parse().ok().map(|address| Self { address, optional: false })
    }
}

/// A checked configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Under which name or address others reach the relay; `None` for what the listening addresses tell.
    pub host: Option<PublicHost>,
    /// Where to serve, at least one.
    pub listen: Vec<Listen>,
    /// Whether to forward to private and loopback addresses. For tests.
    pub allow_private_peers: bool,
    /// Whether to forward to other relays at all.
    pub forward: bool,
    /// Who may make mailboxes and objects.
    pub admission: Admission,
    /// Leading zero bits of a proof of work.
    pub pow_bits: u32,
    /// Blobs that one mailbox holds.
    pub mailbox_blobs_max: u32,
    /// Mailboxes in all.
    pub mailboxes_max: u64,
    /// Entries that one feed holds.
    pub feed_entries_max: u32,
    /// Feeds in all.
    pub feeds_max: u64,
    /// Bytes on disk above which new blobs and objects are refused.
    pub storage_bytes_max: u64,
    /// Free bytes on the disk below which new blobs and objects are refused.
    pub disk_reserve_bytes: u64,
    /// Links at once.
    pub links_max: usize,
}

/// A name or address that the operator gave, with a port where it differs from the one listened on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicHost {
    host: String,
    port: Option<u16>,
}

impl PublicHost {
    /// Reads `name`, `ip`, `name:port`, `ip:port`, `[ip6]` or `[ip6]:port`. `None` when it is none of them.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        if let Ok(place) = text.parse::<HostPort>() {
            let port = place.port();
            let host = text.rsplit_once(':')?.0.to_owned();
            return Some(Self { host, port: Some(port) });
        }
        let bracketed = text.parse::<core::net::Ipv6Addr>().is_ok().then(|| format!("[{text}]"));
        let host = bracketed.unwrap_or_else(|| text.to_owned());
        let public = Self { host, port: None };
        public.place(DEFAULT_PORT).is_some().then_some(public)
    }

    /// The place that this is, for a relay that listens on `port`. `None` where it is no place.
    #[must_use]
    pub fn place(&self, port: u16) -> Option<HostPort> {
        format!("{}:{}", self.host, self.port.unwrap_or(port)).parse().ok()
    }

    /// Whether it is a name that DNS resolves.
    #[must_use]
    pub fn is_name(&self) -> bool {
        self.place(DEFAULT_PORT).is_some_and(|place| matches!(place.host(), Host::Name(_)))
    }
}

impl core::fmt::Display for PublicHost {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(&self.host)?;
        self.port.map_or(Ok(()), |port| write!(f, ":{port}"))
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            host: None,
            listen: default_listen(),
            allow_private_peers: false,
            forward: true,
            admission: Admission::Open,
            pow_bits: POW_BITS_DEFAULT,
            mailbox_blobs_max: limits::MAILBOX_BLOBS_MAX,
            mailboxes_max: 1_000_000,
            feed_entries_max: limits::FEED_ENTRIES_MAX,
            feeds_max: 1_000_000,
            storage_bytes_max: 100_000_000_000,
            disk_reserve_bytes: DISK_RESERVE_BYTES_DEFAULT,
            links_max: limits::LINKS_MAX,
        }
    }
}

impl Config {
    /// Reads and checks a configuration text, with overrides `KEY=VALUE` on top.
    ///
    /// # Errors
    /// [`ConfigError`], the first that does not hold.
    pub fn read(text: &str, overrides: &[String]) -> Result<Self, ConfigError> {
        let lines = Lines::of(text)?;
        refuse_unbuilt(&lines.table, &lines)?;
        let raw: RawConfig = toml::from_str(text).map_err(|error| lines.error(&error, text))?;
        let mut overridden = Vec::new();
        let raw = if overrides.is_empty() {
            raw
        } else {
            let mut table = lines.table.clone();
            for item in overrides {
                overridden.push(set(&mut table, item)?);
            }
            RawConfig::deserialize(table.clone())
                .map_err(|error| flag_error(&error, &overridden))?
        };
        check(&raw, &|key| {
            if overridden.iter().any(|set| set == key) { Place::Flag } else { lines.place(key) }
        })
    }

    /// Reads `relay.toml` of a folder.
    ///
    /// # Errors
    /// An IO error where there is none to be read, or one that is longer than 64 KiB.
    pub fn text_of(file: &Path) -> std::io::Result<String> {
        if std::fs::metadata(file)?.len() > CONFIG_LEN_MAX {
            return Err(std::io::Error::from(std::io::ErrorKind::FileTooLarge));
        }
        std::fs::read_to_string(file)
    }
}

/// IPv4 always, IPv6 where the machine has it.
fn default_listen() -> Vec<Listen> {
    use core::net::{Ipv4Addr, Ipv6Addr};
    vec![
        Listen { address: (Ipv4Addr::UNSPECIFIED, DEFAULT_PORT).into(), optional: false },
        Listen { address: (Ipv6Addr::UNSPECIFIED, DEFAULT_PORT).into(), optional: true },
    ]
}

/// A parsed text that remembers on which line each key stands.
struct Lines {
    table: Table,
    keys: Vec<(String, usize)>,
}

impl Lines {
    fn of(text: &str) -> Result<Self, ConfigError> {
        let table = text.parse::<Table>().map_err(|error| syntax(&error, text))?;
        let spanned = DeTable::parse(text).map_err(|error| syntax(&error, text))?;
        let mut keys = Vec::new();
        collect(spanned.get_ref(), "", text, &mut keys);
        Ok(Self { table, keys })
    }

    fn place(&self, key: &str) -> Place {
        Place::Line(self.keys.iter().find(|(name, _)| name == key).map_or(0, |(_, line)| *line))
    }

    /// What serde found wrong, in our words.
    fn error(&self, error: &toml::de::Error, text: &str) -> ConfigError {
        let line = error.span().map_or(0, |span| line_at(text, span.start));
        let place = Place::Line(line);
        let key = self.keys.iter().rev().find(|(_, at)| *at == line);
        let key = key.map_or_else(String::new, |(name, _)| name.clone());
        if error.message().starts_with("unknown field") {
            ConfigError::UnknownKey { place, key }
        } else {
            ConfigError::Value { place, key, expected: "has a value of the wrong kind" }
        }
    }
}

fn collect(table: &DeTable<'_>, prefix: &str, text: &str, keys: &mut Vec<(String, usize)>) {
    for (key, value) in table {
        let name = if prefix.is_empty() {
            key.get_ref().to_string()
        } else {
            format!("{prefix}.{}", key.get_ref())
        };
        keys.push((name.clone(), line_at(text, key.span().start)));
        if let toml::de::DeValue::Table(inner) = value.get_ref() {
            collect(inner, &name, text, keys);
        }
    }
}

fn line_at(text: &str, offset: usize) -> usize {
    text.as_bytes().iter().take(offset).filter(|byte| **byte == b'\n').count() + 1
}

fn syntax(error: &toml::de::Error, text: &str) -> ConfigError {
    let line = error.span().map_or(0, |span| line_at(text, span.start));
    ConfigError::Syntax { place: Place::Line(line), what: error.message().to_owned() }
}

/// Keys that the command line's contract names and that are not built.
fn refuse_unbuilt(table: &Table, lines: &Lines) -> Result<(), ConfigError> {
    let Some(desk) = table.get("desk") else { return Ok(()) };
    let key = match desk {
        Value::Table(desk) => desk.keys().next().map(|key| format!("desk.{key}")),
        _ => None,
    };
    let key = key.unwrap_or_else(|| "desk".to_owned());
    Err(ConfigError::NotBuilt { place: lines.place(&key), key })
}

/// Applies one `KEY=VALUE` and tells the key.
fn set(table: &mut Table, item: &str) -> Result<String, ConfigError> {
    let (key, value) = item.split_once('=').ok_or(ConfigError::Override)?;
    let (key, value) = (key.trim(), value.trim());
    if key.is_empty() {
        return Err(ConfigError::Override);
    }
    if key == "desk" || key.starts_with("desk.") {
        return Err(ConfigError::NotBuilt { place: Place::Flag, key: key.to_owned() });
    }
    let unknown = || ConfigError::UnknownKey { place: Place::Flag, key: key.to_owned() };
    // What is no TOML value is a string, so that quotes need not survive a shell.
    let value = format!("value = {value}")
        .parse::<Table>()
        .ok()
        .filter(|parsed| parsed.len() == 1)
        .and_then(|mut parsed| parsed.remove("value"))
        .unwrap_or_else(|| Value::String(value.to_owned()));
    match key.split_once('.') {
        None => {
            table.insert(key.to_owned(), value);
        }
        Some((section, name)) if !name.contains('.') => {
            let section =
                table.entry(section.to_owned()).or_insert_with(|| Value::Table(Table::new()));
            section.as_table_mut().ok_or_else(unknown)?.insert(name.to_owned(), value);
        }
        Some(_) => return Err(unknown()),
    }
    Ok(key.to_owned())
}

/// What serde found wrong after overrides: the file alone had passed, so it is one of them.
fn flag_error(error: &toml::de::Error, overridden: &[String]) -> ConfigError {
    let message = error.message();
    let named = message.split('`').nth(1).unwrap_or_default();
    let is_last = |key: &&String| key.rsplit('.').next() == Some(named) || key.as_str() == named;
    let key = overridden.iter().find(is_last).cloned();
    if message.starts_with("unknown field") {
        let key = key.unwrap_or_else(|| named.to_owned());
        return ConfigError::UnknownKey { place: Place::Flag, key };
    }
    let key = key.unwrap_or_else(|| overridden.join(", "));
    ConfigError::Value { place: Place::Flag, key, expected: "has a value of the wrong kind" }
}

fn check(raw: &RawConfig, place: &dyn Fn(&str) -> Place) -> Result<Config, ConfigError> {
    let default = Config::default();
    let wrong = |key: &str, expected| ConfigError::Value {
        place: place(key),
        key: key.to_owned(),
        expected,
    };
    let host = match &raw.host {
        None => None,
        Some(host) => {
            Some(PublicHost::parse(host).ok_or_else(|| wrong("host", "is not a name or address"))?)
        }
    };
    let listen =
        match &raw.listen {
            None => default.listen,
            Some(listen) => listen
                .iter()
                .map(|text| Listen::parse(text))
                .collect::<Option<Vec<_>>>()
                .ok_or_else(|| wrong("listen", "is a list of addresses like \"0.0.0.0:4433\""))?,
        };
    if listen.is_empty() || listen.len() > LISTEN_MAX {
        return Err(wrong("listen", "lists one to eight addresses"));
    }
    let admission = match raw.admission.as_deref() {
        None | Some("open") => Admission::Open,
        Some("closed") => Admission::Closed,
        Some("invite") => {
            let key = "admission = \"invite\"".to_owned();
            return Err(ConfigError::NotBuilt { place: place("admission"), key });
        }
        Some(_) => return Err(wrong("admission", "is \"open\" or \"closed\"")),
    };
    let pow_bits = raw.pow_bits.unwrap_or(default.pow_bits);
    if pow_bits > limits::POW_BITS_MAX {
        return Err(wrong("pow_bits", "is 0 to 26: clients do no more"));
    }
    let bounds = &raw.limits;
    let mailbox_blobs_max = bounds.mailbox_blobs_max.unwrap_or(default.mailbox_blobs_max);
    if !(1..=65_536).contains(&mailbox_blobs_max) {
        return Err(wrong("limits.mailbox_blobs_max", "is 1 to 65536"));
    }
    let mailboxes_max = bounds.mailboxes_max.unwrap_or(default.mailboxes_max);
    let feed_entries_max = bounds.feed_entries_max.unwrap_or(default.feed_entries_max);
    if !(1..=65_536).contains(&feed_entries_max) {
        return Err(wrong("limits.feed_entries_max", "is 1 to 65536"));
    }
    let feeds_max = bounds.feeds_max.unwrap_or(default.feeds_max);
    let storage_bytes_max = bounds.storage_bytes_max.unwrap_or(default.storage_bytes_max);
    if storage_bytes_max < STORAGE_BYTES_MIN {
        return Err(wrong("limits.storage_bytes_max", "is at least 16777216 (16 MiB)"));
    }
    let links_max = bounds.links_max.unwrap_or(default.links_max);
    if !(1..=limits::LINKS_MAX).contains(&links_max) {
        return Err(wrong("limits.links_max", "is 1 to 20000"));
    }
    Ok(Config {
        host,
        listen,
        allow_private_peers: raw.allow_private_peers.unwrap_or(default.allow_private_peers),
        forward: raw.forward.unwrap_or(default.forward),
        admission,
        pow_bits,
        mailbox_blobs_max,
        mailboxes_max,
        feed_entries_max,
        feeds_max,
        storage_bytes_max,
        disk_reserve_bytes: bounds.disk_reserve_bytes.unwrap_or(default.disk_reserve_bytes),
        links_max,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const EXAMPLE: &str = include_str!("../../deploy/relay.example.toml");

    #[test]
    fn an_empty_file_is_the_default() {
        assert_eq!(Config::read("", &[]).unwrap(), Config::default());
    }

    #[test]
    fn the_example_documents_every_key_and_no_other_and_says_the_defaults() {
        // Every key of the example stands in a comment, so that the file works as it is; here they are uncommented.
        let text: String = EXAMPLE
            .lines()
            .map(|line| match line.strip_prefix("#") {
                Some(rest) if !rest.starts_with(' ') => format!("{rest}\n"),
                _ => format!("{line}\n"),
            })
            .collect();
        let raw: RawConfig = toml::from_str(&text).unwrap();
        let RawConfig { host, listen, allow_private_peers, forward, admission, pow_bits, limits } =
            raw;
        let RawLimits {
            mailbox_blobs_max,
            mailboxes_max,
            feed_entries_max,
            feeds_max,
            storage_bytes_max,
            disk_reserve_bytes,
            links_max,
        } = limits;
        assert_eq!(disk_reserve_bytes, Some(Config::default().disk_reserve_bytes));
        assert!(host.is_some() && listen.is_some());
        assert_eq!(allow_private_peers, Some(Config::default().allow_private_peers));
        assert_eq!(forward, Some(Config::default().forward));
        assert_eq!(admission.as_deref(), Some("open"));
        assert_eq!(pow_bits, Some(Config::default().pow_bits));
        assert_eq!(mailbox_blobs_max, Some(Config::default().mailbox_blobs_max));
        assert_eq!(mailboxes_max, Some(Config::default().mailboxes_max));
        assert_eq!(feed_entries_max, Some(Config::default().feed_entries_max));
        assert_eq!(feeds_max, Some(Config::default().feeds_max));
        assert_eq!(storage_bytes_max, Some(Config::default().storage_bytes_max));
        assert_eq!(links_max, Some(Config::default().links_max));
        assert_eq!(Config::read(EXAMPLE, &[]).unwrap(), Config::default());
    }

    #[test]
    fn an_unknown_key_is_refused_with_its_line() {
        let error = Config::read("host = \"a.example\"\n\nhots = 1\n", &[]).unwrap_err();
        let key = "hots".to_owned();
        assert_eq!(error, ConfigError::UnknownKey { place: Place::Line(3), key });
        let error = Config::read("[limits]\nlinks_max = 5\nlinks = 7\n", &[]).unwrap_err();
        let key = "limits.links".to_owned();
        assert_eq!(error, ConfigError::UnknownKey { place: Place::Line(3), key });
    }

    #[test]
    fn a_value_of_the_wrong_kind_or_out_of_range_is_refused_with_its_line() {
        for (text, line) in [
            ("\nforward = \"yes\"", 2),
            ("pow_bits = 27", 1),
            ("listen = [\"nowhere\"]", 1),
            ("# x\nlisten = []", 2),
            ("host = \"a b\"", 1),
            ("admission = \"ask\"", 1),
            ("[limits]\nlinks_max = 0", 2),
            ("[limits]\nstorage_bytes_max = 1", 2),
            ("[limits]\nmailbox_blobs_max = -1", 2),
            ("[limits]\nfeed_entries_max = -1", 2),
        ] {
            match Config::read(text, &[]).unwrap_err() {
                ConfigError::Value { place, .. } => assert_eq!(place, Place::Line(line), "{text}"),
                other => panic!("{text}: {other:?}"),
            }
        }
        let error = Config::read("a = 1\nb = = 2\n", &[]).unwrap_err();
        assert!(matches!(error, ConfigError::Syntax { place: Place::Line(2), .. }), "{error:?}");
    }

    #[test]
    fn what_is_not_built_is_refused_as_that() {
        for text in ["[desk]\nlog_every_seconds = 5", "admission = \"invite\""] {
            let error = Config::read(text, &[]).unwrap_err();
            assert!(matches!(error, ConfigError::NotBuilt { .. }), "{error:?}");
        }
        let error = Config::read("", &["desk.board_slot_seconds=1".to_owned()]).unwrap_err();
        assert!(matches!(error, ConfigError::NotBuilt { place: Place::Flag, .. }), "{error:?}");
    }

    #[test]
    fn set_overrides_a_key_of_the_file() {
        let set = |items: &[&str]| {
            let items: Vec<_> = items.iter().map(|item| (*item).to_owned()).collect();
            Config::read("pow_bits = 9\n[limits]\nlinks_max = 7\n", &items)
        };
        let config = set(&["pow_bits=3", "limits.mailboxes_max = 5", "admission=closed"]).unwrap();
        assert_eq!((config.pow_bits, config.links_max, config.mailboxes_max), (3, 7, 5));
        assert_eq!(config.admission, Admission::Closed);
        let unknown =
            |key: &str| ConfigError::UnknownKey { place: Place::Flag, key: key.to_owned() };
        assert_eq!(set(&["nonsense=1"]).unwrap_err(), unknown("nonsense"));
        assert_eq!(set(&["limits.nonsense=1"]).unwrap_err(), unknown("limits.nonsense"));
        assert_eq!(set(&["a.b.c=1"]).unwrap_err(), unknown("a.b.c"));
        assert_eq!(set(&["pow_bits"]).unwrap_err(), ConfigError::Override);
        let error = set(&["pow_bits=many"]).unwrap_err();
        assert!(matches!(error, ConfigError::Value { place: Place::Flag, .. }), "{error:?}");
        let error = set(&["pow_bits=99"]).unwrap_err();
        assert!(matches!(error, ConfigError::Value { place: Place::Flag, .. }), "{error:?}");
    }

    #[test]
    fn a_public_host_may_be_a_name_or_an_address_with_or_without_a_port() {
        for (text, place) in [
            ("relay.example", "relay.example:4433"),
            ("relay.example:99", "relay.example:99"),
            ("192.0.2.1", "192.0.2.1:4433"),
            ("192.0.2.1:99", "192.0.2.1:99"),
            ("2001:db8::1", "[2001:db8::1]:4433"),
            ("[2001:db8::1]", "[2001:db8::1]:4433"),
            ("[2001:db8::1]:99", "[2001:db8::1]:99"),
        ] {
            let host = PublicHost::parse(text).unwrap();
            assert_eq!(host.place(DEFAULT_PORT).unwrap().to_string(), place);
        }
        assert!(PublicHost::parse("a b").is_none());
        assert!(PublicHost::parse("").is_none());
    }
}

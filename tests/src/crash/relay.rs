//! What a relay that starts on a folder has, and whether that is all that it may not have lost.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use hearken_proto::ids::Fingerprint;
use hearken_relay::choices::Choices;
use hearken_relay::core::EpochKey;
use hearken_relay::folder::{Folder, fingerprint};
use hearken_relay::store::{DayKeys, FjallConfig, FjallStore, KeyFolder, Row, Space, Store};

use super::loader;
use super::opening::Watch;
use super::record::{Node, Record, What};

/// The most rows read at once.
const ROWS_AT_ONCE: usize = 4_096;
/// The rows of blobs (`relay/src/core/rows.rs`): `b`, the mailbox's id of 32 bytes, the position of 8; the hour of 4, and
/// what is sealed.
const BLOB_KEY_LEN: usize = 1 + 32 + 8;

/// What is found in a relay's folder when it opens.
#[derive(Debug)]
pub struct Found {
    /// Who it is.
    pub fingerprint: Fingerprint,
    /// Its day's keys, by the hexadecimal name of the epoch.
    pub epochs: BTreeSet<String>,
    /// Blobs by mailbox and position, unsealed.
    pub mailboxes: BTreeMap<[u8; 32], BTreeMap<u64, Vec<u8>>>,
    /// What the files of keys of epochs hold, once they were opened.
    pub key_files: Vec<Vec<u8>>,
    /// How long the opening took, but for waiting for a processor.
    pub took: Duration,
}

/// Opens a relay's folder as a start does, with all checks, and reads every blob.
///
/// # Errors
/// When it does not open, or a blob cannot be unsealed.
pub fn open(folder: &Path) -> Result<Found> {
    let watch = Watch::begin();
    let relay = Folder::new(folder);
    Choices::default().prepare(&relay).context("preparing the folder")?;
    let config = FjallConfig { reserve_bytes: 0, ..FjallConfig::default() };
    let store = FjallStore::open(folder, config).context("opening the store")?;
    let identity = relay.identity().context("reading the identity")?;
    let day_keys = DayKeys::open(&relay.day_keys()).context("opening the keys of days")?;
    let keys = KeyFolder::open(&relay.epoch_keys()).context("opening the keys of epochs")?;
    let mut epochs = BTreeSet::new();
    for name in keys.names()? {
        let whole = keys.read(&name)?.is_some_and(|bytes| EpochKey::from_bytes(&bytes).is_ok());
        if whole {
            epochs.insert(name.trim_start_matches("epoch-").to_owned());
        }
    }
    let took = watch.elapsed();
    let files = std::fs::read_dir(relay.epoch_keys())?;
    let key_files = files.map(|file| Ok(std::fs::read(file?.path())?)).collect::<Result<_>>()?;
    let mut mailboxes: BTreeMap<_, BTreeMap<_, _>> = BTreeMap::new();
    for day in store.days() {
        let mut from = b"b".to_vec();
        loop {
            let rows = store.range(Space::Day(day), &from, b"c", ROWS_AT_ONCE)?;
            let Some(last) = rows.last() else { break };
            from = [&last.key[..], &[0]].concat();
            for Row { key, value } in rows {
                let key: &[u8; BLOB_KEY_LEN] = key.as_slice().try_into().context("a blob's key")?;
                let sealed = value.get(4..).context("a blob's row")?;
                let blob =
                    day_keys.open_sealed(day, &key[1..], sealed).context("unsealing a blob")?;
                let (mailbox, position) =
                    key[1..].split_first_chunk::<32>().context("a mailbox")?;
                let position = u64::from_be_bytes(position.try_into()?);
                let twice = mailboxes.entry(*mailbox).or_default().insert(position, blob);
                ensure!(twice.is_none(), "two blobs at one position");
            }
        }
    }
    Ok(Found { fingerprint: fingerprint(&identity), epochs, mailboxes, key_files, took })
}

/// Bytes of a secret that are looked for: the last of a key file, which are those of its private keys.
const SECRET_LEN: usize = 32;

/// A key that the relay destroyed.
#[derive(Debug)]
struct Destroyed {
    epoch: String,
    /// Its last bytes.
    secret: Vec<u8>,
    /// From this entry on it may be gone.
    begun: usize,
    /// From this entry on it is: what overwrote it was synced.
    gone: usize,
}

/// The keys of epochs that a relay took away, as the record shows it.
fn destroyed(record: &Record, relay: char) -> Vec<Destroyed> {
    let is_key =
        |path: &PathBuf| path.parent().is_some_and(|folder| folder.ends_with("epoch-keys"));
    let mut names: BTreeMap<PathBuf, Node> = BTreeMap::new();
    let mut secrets: BTreeMap<Node, Vec<u8>> = BTreeMap::new();
    // The first that overwrote a key, and the first sync after.
    let mut overwritten: BTreeMap<Node, (usize, Option<usize>)> = BTreeMap::new();
    let mut all = Vec::new();
    for (at, entry) in record.entries.iter().enumerate().filter(|(_, entry)| entry.who == relay) {
        match &entry.what {
            What::FileMade(path, node) if is_key(path) => {
                names.insert(path.clone(), *node);
            }
            What::Renamed(from, to) => {
                if let Some(node) = names.remove(from) {
                    names.insert(to.clone(), node);
                }
            }
            What::Written { file, bytes, .. } if names.values().any(|node| node == file) => {
                if bytes.iter().any(|byte| *byte != 0) {
                    secrets.insert(*file, bytes[bytes.len().saturating_sub(SECRET_LEN)..].to_vec());
                } else {
                    overwritten.entry(*file).or_insert((at, None));
                }
            }
            What::Synced { node, begun } => {
                if let Some((from, gone @ None)) = overwritten.get_mut(node)
                    && *from < *begun
                {
                    *gone = Some(at);
                }
            }
            What::Unlinked(path) => {
                let Some(node) = names.remove(path) else { continue };
                let name = path.file_name().unwrap_or_default().to_string_lossy();
                // One that was never overwritten is gone by luck alone, so from the start on.
                let (begun, gone) = overwritten.get(&node).copied().unwrap_or((at, Some(at)));
                all.push(Destroyed {
                    epoch: name.trim_start_matches("epoch-").to_owned(),
                    secret: secrets.remove(&node).unwrap_or_default(),
                    begun,
                    gone: gone.unwrap_or(at),
                });
            }
            _ => {}
        }
    }
    all.retain(|key| key.secret.len() == SECRET_LEN);
    all
}

/// What the world had been told, and by when: taken from a record, to be held against what a relay still has.
#[derive(Debug, Default)]
pub struct Told {
    /// The relay's fingerprint, from when it was ready.
    ready: Option<(usize, String)>,
    /// The key epochs that it had handed out, each from when a datagram with it had left.
    epochs: Vec<(usize, String)>,
    /// The key epochs whose keys it destroyed.
    destroyed: Vec<Destroyed>,
    /// Acknowledged blobs by client and index, each from when the datagram with the acknowledgement had left.
    acknowledged: Vec<(usize, (u64, u64))>,
    /// Blobs that had left their client by then.
    put: Vec<(usize, (u64, u64))>,
}

impl Told {
    /// What a relay `relay` and the client `loader` of [`super::loader`] told.
    ///
    /// # Errors
    /// When the client said what it never says.
    pub fn of(record: &Record, relay: char, loader: char) -> Result<Self> {
        let ready = record.lines(relay).into_iter().find_map(|(at, line)| {
            let line: serde_json::Value = serde_json::from_str(&line).ok()?;
            let address = line["address"].as_str()?;
            Some((at, address.trim_start_matches("hearken://").split('@').next()?.to_owned()))
        });
        let mut told = Self { ready, destroyed: destroyed(record, relay), ..Self::default() };
        // What a client heard left the relay with the last datagram before it, or an earlier one.
        let mut left = Vec::with_capacity(record.entries.len());
        let mut last = 0;
        for (at, entry) in record.entries.iter().enumerate() {
            if entry.who == relay && entry.what == What::Sent {
                last = at;
            }
            left.push(last);
        }
        for (at, line) in record.lines(loader) {
            let words: Vec<&str> = line.split(' ').collect();
            match words[..] {
                ["epoch", name] => told.epochs.push((left[at], name.to_owned())),
                ["putting", client, index] => {
                    told.put.push((at, (client.parse()?, index.parse()?)))
                }
                ["acked", client, index] => {
                    told.acknowledged.push((left[at], (client.parse()?, index.parse()?)));
                }
                // The frame of a test program around it.
                _ => {}
            }
        }
        Ok(told)
    }

    /// How many blobs were acknowledged, how many key epochs handed out, and how many of their keys destroyed.
    #[must_use]
    pub fn amounts(&self) -> (usize, usize, usize) {
        let epochs: BTreeSet<&String> = self.epochs.iter().map(|(_, epoch)| epoch).collect();
        (self.acknowledged.len(), epochs.len(), self.destroyed.len())
    }

    /// The same, of a relay that acknowledged each blob when it had not even left its client.
    #[must_use]
    pub fn with_early_acknowledgements(mut self) -> Self {
        for (at, number) in &mut self.acknowledged {
            if let Some((put_at, _)) = self.put.iter().find(|(_, put)| put == number) {
                *at = *put_at;
            }
        }
        self
    }

    /// Whether `found` has everything that it may not have lost when the first `len` entries of the record had happened,
    /// and nothing twice or out of order.
    ///
    /// # Errors
    /// What it has lost, or has too much.
    pub fn check(&self, found: &Found, len: usize) -> Result<()> {
        if let Some((at, fingerprint)) = &self.ready
            && *at < len
        {
            ensure!(found.fingerprint.to_string() == *fingerprint, "another identity");
        }
        for (at, epoch) in &self.epochs {
            let is_over = self.destroyed.iter().any(|key| key.epoch == *epoch && key.begun < len);
            ensure!(
                *at >= len || is_over || found.epochs.contains(epoch),
                "a key that was handed out is lost"
            );
        }
        for key in self.destroyed.iter().filter(|key| key.gone < len) {
            let is_there = found.epochs.contains(&key.epoch)
                || found
                    .key_files
                    .iter()
                    .any(|file| file.windows(SECRET_LEN).any(|part| part == key.secret));
            ensure!(!is_there, "a key that was destroyed came back");
        }
        let mut has: BTreeMap<u64, u64> = BTreeMap::new();
        for blobs in found.mailboxes.values() {
            let numbers = blobs.values().map(|blob| loader::number_of(blob));
            for (expected, number) in (0..).zip(numbers) {
                // Mailboxes of people hold other blobs.
                let Some((client, index)) = number else { continue };
                if index != expected {
                    bail!("client {client}: blob {index} stands where {expected} belongs");
                }
                has.insert(client, index + 1);
            }
        }
        for (at, (client, index)) in &self.acknowledged {
            let has = has.get(client).copied().unwrap_or(0);
            ensure!(
                *at >= len || *index < has,
                "client {client}: acknowledged blob {index} is lost"
            );
        }
        for (client, has) in has {
            let left =
                self.put.iter().any(|(at, number)| *at < len && *number == (client, has - 1));
            ensure!(left, "client {client}: a blob that nobody had put");
        }
        Ok(())
    }
}

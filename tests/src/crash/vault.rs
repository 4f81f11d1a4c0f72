//! What a vault that opens after a crash has, and whether that is all that it may not have lost.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use hearken_client_lib::vault::{Vault, VaultError};
use serde_json::Value;

use super::opening::Watch;
use super::record::Record;
use crate::programs::PASSPHRASE;

/// As many as the vault has; those of an opened vault were applied by the program that made it.
pub(super) const MIGRATIONS: &[&str] = &[""];

/// A text in a vault.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Text {
    /// Its id, in hexadecimal.
    pub id: String,
    /// Its words.
    pub text: String,
    /// 0 waits for a relay, 1 a relay has it, 2 it was received.
    pub state: i64,
    /// An own one was sealed, so that the ratchet has moved on.
    pub sealed: bool,
}

/// What is found in a home.
#[derive(Debug, Default)]
pub struct Found {
    /// Own texts, oldest first.
    pub own: Vec<Text>,
    /// Texts that came, oldest first.
    pub received: Vec<Text>,
    /// Ids of contacts, in hexadecimal.
    pub contacts: BTreeSet<String>,
    /// How many cells were ever sealed.
    pub sealed: i64,
    /// Those of them that wait for a relay, by number.
    pub waiting: BTreeMap<i64, Vec<u8>>,
    /// How long the opening took, but for waiting for a processor.
    pub took: Duration,
}

/// Opens the vault in a home, checks the whole database, and reads every text. `None` where there is no vault.
///
/// # Errors
/// When there is one and it does not open, or is damaged.
pub fn open(home: &Path) -> Result<Option<Found>> {
    let watch = Watch::begin();
    match Vault::open(home, PASSPHRASE.as_bytes(), MIGRATIONS) {
        Err(VaultError::NoVault) => Ok(None),
        vault => read(&vault.context("opening the vault")?, watch.elapsed()).map(Some),
    }
}

/// Checks the whole database of a vault that took so long to open, and reads every text.
pub(super) fn read(vault: &Vault, took: Duration) -> Result<Found> {
    let db = vault.database();
    let whole: String = db.query_row("PRAGMA integrity_check", [], |row| row.get(0))?;
    ensure!(whole == "ok", "the database is damaged: {whole}");
    let mut found = Found { took, ..Found::default() };
    let mut rows = db.prepare(
        "SELECT lower(hex(id)), author IS NULL, text, state,
             NOT EXISTS (SELECT 1 FROM waiting WHERE waiting.message = message.id)
         FROM message WHERE kind = 0 ORDER BY seq",
    )?;
    let texts = rows.query_map([], |row| {
        let text =
            Text { id: row.get(0)?, text: row.get(2)?, state: row.get(3)?, sealed: row.get(4)? };
        Ok((row.get::<_, bool>(1)?, text))
    })?;
    for text in texts {
        let (from_me, text) = text?;
        if from_me { found.own.push(text) } else { found.received.push(text) }
    }
    let gaps: i64 =
        db.query_row("SELECT count(*) FROM message WHERE kind = 1", [], |row| row.get(0))?;
    ensure!(gaps == 0, "{gaps} gaps");
    let mut rows = db.prepare("SELECT lower(hex(id)) FROM contact")?;
    found.contacts = rows.query_map([], |row| row.get(0))?.collect::<Result<_, _>>()?;
    found.sealed = db.query_row(
        "SELECT coalesce(max(seq), 0) FROM sqlite_sequence WHERE name = 'outbox'",
        [],
        |row| row.get(0),
    )?;
    let mut rows = db.prepare("SELECT seq, blob FROM outbox")?;
    let waiting = rows.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
    found.waiting = waiting.collect::<Result<_, _>>()?;
    Ok(found)
}

/// Whether no key of a cell can be used for another: `found` after a crash knows of each cell that was `sealed` when the last
/// datagram had left, and puts none again but as it was, byte for byte.
///
/// # Errors
/// What it has forgotten or changed.
pub fn seals_nothing_twice(found: Option<&Found>, sealed: Option<&Found>) -> Result<()> {
    let Some(sealed) = sealed else { return Ok(()) };
    let found = found.context("the vault is lost")?;
    ensure!(found.sealed >= sealed.sealed, "a cell that may have left is forgotten");
    for (number, cell) in &found.waiting {
        let same = sealed.waiting.get(number).is_none_or(|before| before == cell);
        ensure!(same, "a cell that may have left is sealed again");
    }
    Ok(())
}

/// What a person's programs had said, and those of the person at the other end, and by when.
#[derive(Debug, Default)]
pub struct Told {
    /// The vault was made.
    made: Option<usize>,
    /// Contacts that were shown.
    contacts: Vec<(usize, String)>,
    /// Own texts that were reported sent.
    sent: Vec<(usize, String)>,
    /// Texts that were shown, with their words.
    shown: Vec<(usize, String, String)>,
    /// Texts of this person that the other one was shown.
    shown_to_other: Vec<(usize, String)>,
}

impl Told {
    /// What the programs of `own` and `other` said.
    #[must_use]
    pub fn of(record: &Record, own: char, other: char) -> Self {
        let mut told = Self::default();
        for (at, line) in lines(record, own) {
            let part = |key: &str| line[key].as_str().map(ToOwned::to_owned);
            if line["recovery_phrase"].is_array() {
                told.made = Some(at);
            }
            if let (Some(contact), None) = (part("contact"), part("kind")) {
                told.contacts.push((at, contact));
            }
            match (part("message"), part("kind"), part("text")) {
                (Some(id), Some(kind), Some(text)) if kind == "text" => {
                    told.shown.push((at, id, text));
                }
                (Some(id), None, _) if line["state"] == "sent" => told.sent.push((at, id)),
                _ => {}
            }
        }
        let texts = lines(record, other).into_iter().filter(|(_, line)| line["kind"] == "text");
        told.shown_to_other = texts
            .filter_map(|(at, line)| Some((at, line["message"].as_str()?.to_owned())))
            .collect();
        told
    }

    /// How many texts were reported sent, and how many shown.
    #[must_use]
    pub fn amounts(&self) -> (usize, usize) {
        (self.sent.len(), self.shown.len())
    }

    /// How many texts were reported sent before entry `len`.
    #[must_use]
    pub fn sent_before(&self, len: usize) -> usize {
        self.sent.iter().filter(|(at, _)| *at < len).count()
    }

    /// From when on there is somebody to write to.
    #[must_use]
    pub fn met(&self) -> Option<usize> {
        self.contacts.first().map(|(at, _)| *at)
    }

    /// Whether `found` has everything that it may not have lost when the first `len` entries of the record had happened.
    ///
    /// # Errors
    /// What it has lost.
    pub fn check(&self, found: Option<&Found>, len: usize) -> Result<()> {
        let Some(found) = found else {
            ensure!(self.made.is_none_or(|at| at >= len), "the vault is lost");
            return Ok(());
        };
        for (_, contact) in self.contacts.iter().filter(|(at, _)| *at < len) {
            ensure!(found.contacts.contains(contact), "a contact is lost");
        }
        let own: BTreeMap<&str, &Text> =
            found.own.iter().map(|text| (text.id.as_str(), text)).collect();
        ensure!(own.len() == found.own.len(), "an own text is there twice");
        for (_, id) in self.sent.iter().filter(|(at, _)| *at < len) {
            let text = own.get(id.as_str()).context("a text that was reported sent is lost")?;
            ensure!(text.state >= 1, "a text that was reported sent waits again");
        }
        // Else the ratchet went back behind what the other side has, and would give the same keys again.
        for (_, id) in self.shown_to_other.iter().filter(|(at, _)| *at < len) {
            let text =
                own.get(id.as_str()).context("a text that the other side has is forgotten")?;
            ensure!(text.sealed, "a text that the other side has is to be sealed again");
        }
        let received: BTreeMap<&str, &str> =
            found.received.iter().map(|text| (text.id.as_str(), text.text.as_str())).collect();
        ensure!(received.len() == found.received.len(), "a text that came is there twice");
        for (_, id, text) in self.shown.iter().filter(|(at, ..)| *at < len) {
            let kept = received.get(id.as_str()).context("a text that was shown is lost")?;
            ensure!(kept == text, "a text that was shown is another");
        }
        Ok(())
    }
}

fn lines(record: &Record, who: char) -> Vec<(usize, Value)> {
    let lines = record.lines(who).into_iter();
    lines.filter_map(|(at, line)| Some((at, serde_json::from_str(&line).ok()?))).collect()
}

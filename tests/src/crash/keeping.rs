//! What a vault that opens after a crash is when its passphrase was changed, a copy was made, and it was destroyed; and what
//! a copy holds.

use std::fs::File;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use hearken_client_lib::vault::{Damage, Vault, VaultError};
use hearken_client_lib::{Client, Options, RouteChoice};
use serde_json::Value;

use super::opening::Watch;
use super::record::Record;
use super::vault::{Found, MIGRATIONS, read};

/// What every slot file begins with.
const SLOTS: &[u8] = b"HKSLOTS1";
/// How many lines of a conversation a copy is asked for.
const LINES_MAX: usize = 1_000;

/// What became of a vault.
#[derive(Debug)]
pub struct Home {
    /// By each phrase in turn: what is there, or why it did not open.
    pub by_phrase: Vec<Opened>,
    /// Something of a vault is there, whole or not.
    pub has_files: bool,
    /// The beginning of a slot file stands somewhere in the home.
    pub has_slots: bool,
    /// How long the longest opening took.
    pub took: Duration,
}

/// What a phrase opens.
#[derive(Debug)]
pub enum Opened {
    /// A vault, whole.
    Whole(Box<Found>),
    /// There is one that it does not open.
    Refused,
    /// There is no vault that anything opens: none, or one whose slots are overwritten or gone.
    Nothing,
}

/// Opens the vault in a home with each of these phrases.
///
/// # Errors
/// When it is neither whole, nor refused, nor plainly destroyed.
pub fn open(home: &Path, phrases: &[String]) -> Result<Home> {
    let mut by_phrase = Vec::new();
    let mut took = Duration::ZERO;
    for phrase in phrases {
        let watch = Watch::begin();
        by_phrase.push(match Vault::open(home, phrase.as_bytes(), MIGRATIONS) {
            Ok(vault) => {
                took = took.max(watch.elapsed());
                Opened::Whole(Box::new(read(&vault, watch.elapsed())?))
            }
            Err(VaultError::WrongPassphrase) => Opened::Refused,
            Err(
                VaultError::NoVault
                | VaultError::Damaged { what: Damage::Slots | Damage::SlotsMissing },
            ) => Opened::Nothing,
            Err(error) => return Err(error).context("opening the vault"),
        });
    }
    let has_files = ["vault", "vault.unfinished"].iter().any(|name| home.join(name).exists());
    Ok(Home { by_phrase, has_files, has_slots: home.exists() && has_slots(home)?, took })
}

fn has_slots(folder: &Path) -> Result<bool> {
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        let has = if entry.file_type()?.is_dir() {
            has_slots(&entry.path())?
        } else {
            std::fs::read(entry.path())?.windows(SLOTS.len()).any(|bytes| bytes == SLOTS)
        };
        if has {
            return Ok(true);
        }
    }
    Ok(false)
}

/// The texts in a copy, oldest first, opened with the passphrase of its day. `None` where there is no file.
///
/// # Errors
/// When there is one that is not whole, or opens with `wrong` too.
pub fn open_copy(copy: &Path, phrase: &str, wrong: &str) -> Result<Option<Vec<String>>> {
    if !copy.exists() {
        return Ok(None);
    }
    let folder = tempfile::tempdir()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let options = || Options { route: RouteChoice::Direct, ..Options::default() };
        let home = folder.path().join("wrong");
        let refused = Client::restore(&home, File::open(copy)?, wrong.as_bytes(), options()).await;
        ensure!(refused.is_err(), "a phrase that is none of the copy's opens it");
        let home = folder.path().join("right");
        let client = Client::restore(&home, File::open(copy)?, phrase.as_bytes(), options())
            .await
            .context("making a vault from the copy")?;
        let mut texts = Vec::new();
        for contact in client.contacts().await? {
            let lines = client.history(contact.id(), LINES_MAX).await?;
            let own = lines.iter().filter(|line| line.is_from_me());
            texts.extend(own.map(|line| line.text().to_owned()));
        }
        client.close().await;
        Ok(Some(texts))
    })
}

/// What a person's programs said while the vault was made, its passphrase changed twice, a copy made in between, and the
/// vault destroyed: when each was reported.
#[derive(Debug, Default)]
pub struct Told {
    /// The phrase that was made for the person.
    pub recovery: String,
    /// When each command was reported done.
    reported: Vec<(usize, Done)>,
}

/// A command that was reported done.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Done {
    Made,
    Invited(String),
    Wrote(String),
    Changed,
    Copied,
    Destroyed,
}

impl Told {
    /// What the programs of `own` said.
    ///
    /// # Errors
    /// When it is none of what the scenario has them do.
    pub fn of(record: &Record, own: char) -> Result<Self> {
        let mut told = Self::default();
        for (at, line) in record.lines(own) {
            let line: Value = serde_json::from_str(&line)?;
            let part = |key: &str| line[key].as_str().map(ToOwned::to_owned);
            let done = if let Some(words) = line["recovery_phrase"].as_array() {
                let words: Vec<&str> = words.iter().filter_map(Value::as_str).collect();
                told.recovery = words.join(" ");
                Done::Made
            } else if let Some(message) = part("message") {
                Done::Wrote(message)
            } else if let Some(contact) = part("contact") {
                Done::Invited(contact)
            } else if part("file").is_some() {
                Done::Copied
            } else if told.reported.iter().filter(|(_, done)| *done == Done::Changed).count() < 2 {
                Done::Changed
            } else {
                Done::Destroyed
            };
            told.reported.push((at, done));
        }
        ensure!(
            matches!(told.reported.last(), Some((_, Done::Destroyed))),
            "nothing was destroyed"
        );
        Ok(told)
    }

    /// What was reported of these before entry `len`, and whether one more of them may be under way: all before it are
    /// reported.
    fn so_far(&self, is_it: impl Fn(&Done) -> bool, len: usize) -> (usize, bool) {
        let reported = self.reported.iter().filter(|(at, _)| *at < len).count();
        let before = self.reported[..reported].iter().filter(|(_, done)| is_it(done)).count();
        (before, self.reported.get(reported).is_some_and(|(_, done)| is_it(done)))
    }

    /// Whether `home`, opened with the passphrases of its life in turn and then the recovery phrase, is what it may be when
    /// the first `len` entries of the record had happened.
    ///
    /// # Errors
    /// What it is that it may not be.
    pub fn check(&self, home: &Home, len: usize) -> Result<()> {
        let (made, making) = self.so_far(|done| *done == Done::Made, len);
        let (changes, changing) = self.so_far(|done| *done == Done::Changed, len);
        let (destroyed, destroying) = self.so_far(|done| *done == Done::Destroyed, len);
        if destroyed > 0 {
            ensure!(!home.has_files && !home.has_slots, "something is left of a destroyed vault");
        }
        let whole: Vec<usize> = (0..home.by_phrase.len())
            .filter(|at| matches!(home.by_phrase[*at], Opened::Whole(_)))
            .collect();
        let refused = home.by_phrase.iter().any(|opened| matches!(opened, Opened::Refused));
        if whole.is_empty() {
            ensure!(!refused, "no phrase opens what is there");
            ensure!(made == 0 || destroyed > 0 || destroying, "the vault is lost");
            return Ok(());
        }
        ensure!(made > 0 || making, "a vault before one was made");
        ensure!(destroyed == 0, "a destroyed vault opens");
        let recovery = home.by_phrase.len() - 1;
        // All phrases see one vault: the recovery phrase opens it too, and one passphrase.
        match whole[..] {
            [passphrase, last] if last == recovery => {
                let may = passphrase == changes || changing && passphrase == changes + 1;
                ensure!(may, "passphrase {passphrase} opens after {changes} changes");
            }
            _ => bail!("phrases {whole:?} open"),
        }
        for at in whole {
            let Opened::Whole(found) = &home.by_phrase[at] else { continue };
            self.has_all(found, len)?;
        }
        Ok(())
    }

    fn has_all(&self, found: &Found, len: usize) -> Result<()> {
        for (_, done) in self.reported.iter().filter(|(at, _)| *at < len) {
            match done {
                Done::Invited(contact) => {
                    ensure!(found.contacts.contains(contact), "a contact is lost");
                }
                Done::Wrote(message) => {
                    ensure!(found.own.iter().any(|text| text.id == *message), "a text is lost");
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Whether the copy that has these `texts` is what it may be when the first `len` entries of the record had happened.
    ///
    /// # Errors
    /// What it is that it may not be.
    pub fn check_copy(&self, texts: Option<&[String]>, len: usize) -> Result<()> {
        let (copied, copying) = self.so_far(|done| *done == Done::Copied, len);
        let Some(texts) = texts else {
            ensure!(copied == 0, "the copy is lost");
            return Ok(());
        };
        ensure!(copied > 0 || copying, "a copy that nobody made");
        let before = self.reported.iter().take_while(|(_, done)| *done != Done::Copied);
        let wrote = before.filter(|(_, done)| matches!(done, Done::Wrote(_))).count();
        ensure!(texts.len() == wrote, "{} of {wrote} texts are in the copy", texts.len());
        Ok(())
    }
}

//! What is in a vault: the keys that must be nowhere else, and the ids of its mailboxes.
//!
//! A copy is opened, so that the home is left as it is, whoever has it.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use hearken_client_lib::vault::Vault;
use hearken_proto::auth::ObjectSecretKey;
use hearken_proto::ids::{ClaimId, RecvId, SendId};

/// As many as no vault has: a copy is brought up to this version, by nothing.
const NO_MIGRATIONS: &[&str] = &[""; 64];

/// The mailbox that one contact writes to and this person reads, or the other way round.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MailboxIds {
    /// Every id and public key by which a relay knows it and that this vault knows.
    pub ids: BTreeSet<[u8; 32]>,
    /// Whether this person reads it.
    pub incoming: bool,
}

/// What is in a vault.
#[derive(Clone, Debug)]
pub struct Opened {
    /// Private keys of mailboxes, 32 bytes each, and what they are for.
    pub mailbox_keys: Vec<(String, Vec<u8>)>,
    /// Secrets of conversations, as they are stored: what is in them is secret for the most part.
    pub conversations: Vec<(String, Vec<u8>)>,
    /// The mailboxes of this person.
    pub mailboxes: Vec<MailboxIds>,
}

impl Opened {
    /// Opens a copy of the vault in `home`.
    ///
    /// # Errors
    /// When it does not open.
    pub fn copy_of(home: &Path, phrase: &[u8]) -> Result<Self> {
        let copy = tempfile::tempdir()?;
        let vault = copy.path().join("vault");
        fs::create_dir(&vault)?;
        for file in fs::read_dir(home.join("vault"))? {
            let file = file?;
            fs::copy(file.path(), vault.join(file.file_name()))?;
        }
        Self::read(&Vault::open(copy.path(), phrase, NO_MIGRATIONS)?)
    }

    fn read(vault: &Vault) -> Result<Self> {
        let database = vault.database();
        let column = |sql: &str| -> Result<Vec<Vec<u8>>> {
            let mut statement = database.prepare(sql)?;
            let rows = statement.query_map([], |row| row.get::<_, Option<Vec<u8>>>(0))?;
            let rows = rows.collect::<Result<Vec<_>, _>>()?;
            Ok(rows.into_iter().flatten().collect())
        };
        let mut opened =
            Self { mailbox_keys: Vec::new(), conversations: Vec::new(), mailboxes: Vec::new() };
        let mut keys = |what: &str, sql: &str| -> Result<()> {
            let keys = column(sql)?.into_iter().map(|key| (what.to_owned(), key));
            opened.mailbox_keys.extend(keys);
            Ok(())
        };
        keys("reader's key", "SELECT receive_key FROM incoming")?;
        keys("writer's key", "SELECT send_key FROM outgoing")?;
        keys("claim key", "SELECT claim_key FROM incoming")?;
        keys("claim key", "SELECT claim_key FROM outgoing")?;
        for (what, sql) in [
            ("ratchet", "SELECT ratchet FROM contact"),
            ("open invitation", "SELECT inviter FROM contact"),
            ("link", "SELECT link FROM contact"),
        ] {
            let stored = column(sql)?.into_iter().map(|bytes| (what.to_owned(), bytes));
            opened.conversations.extend(stored);
        }
        let mut incoming =
            database.prepare("SELECT receive_key, claim_key, sender_public_key FROM incoming")?;
        let rows = incoming.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
        for row in rows {
            let (reader, claim, sender): (Vec<u8>, Option<Vec<u8>>, Option<Vec<u8>>) = row?;
            let mut ids =
                BTreeSet::from([*RecvId::of(&public(&reader)?).as_bytes(), public(&reader)?]);
            if let Some(claim) = claim {
                ids.extend([*ClaimId::of(&public(&claim)?).as_bytes(), public(&claim)?]);
            }
            if let Some(sender) = sender {
                let sender: [u8; 32] = sender.try_into().ok().context("a public key")?;
                ids.extend([*SendId::of(&sender).as_bytes(), sender]);
            }
            opened.mailboxes.push(MailboxIds { ids, incoming: true });
        }
        for key in column("SELECT send_key FROM outgoing")? {
            let public = public(&key)?;
            let ids = BTreeSet::from([*SendId::of(&public).as_bytes(), public]);
            opened.mailboxes.push(MailboxIds { ids, incoming: false });
        }
        Ok(opened)
    }
}

fn public(key: &[u8]) -> Result<[u8; 32]> {
    let key: [u8; 32] = key.try_into().ok().context("a key of 32 bytes")?;
    Ok(ObjectSecretKey::from_bytes(&key).public_key())
}

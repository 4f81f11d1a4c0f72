//! What travels inside the ratchet as bytes, a vault that receives it, and copies of one, for `tests/fuzz`. Not part of
//! the interface.

use std::fs;
use std::path::Path;

use hearken_proto::payload::Blob;
use hearken_proto::time::{UnixHour, UnixMillis};
use prost::Message as _;
use rand_core::CryptoRng;
use rusqlite::types::Value;
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use super::content::{self, Body, Content, Text, VERSION};
use super::conversation::{self, Received};
use super::packet::{Fragment, Introduction, MailboxCard, Packet};
use super::records::{self, NewContact, Stage};
use super::thread::Arrived;
use super::{COPIES, MIGRATIONS, messages, outbox, thread};
use crate::contact::ContactId;
use crate::conversation::ThreadKind;
use crate::error::ClientError;
use crate::handshake::{self, Inviter};
use crate::message::{Message, MessageId, MessageKind, MessageState};
use crate::ratchet::Ratchet;
use crate::vault::{KdfCost, Vault, VaultError};

/// What opens [`honest_copy`].
const COPY_PHRASE: &[u8] = b"passphrase";

/// A packet's bytes, written again. `None` where they are none.
#[must_use]
pub fn packet(bytes: &[u8]) -> Option<Vec<u8>> {
    Packet::decode(bytes).ok().map(|packet| packet.encode_to_vec())
}

/// A message's bytes, written again. `None` where they are none.
#[must_use]
pub fn content(bytes: &[u8]) -> Option<Vec<u8>> {
    Content::decode(bytes).ok().map(|content| content.encode_to_vec())
}

/// A packet with a fragment.
#[must_use]
pub fn fragment(message: &[u8], index: u32, count: u32, body: &[u8]) -> Vec<u8> {
    let fragment = Fragment { message: message.to_vec(), index, count, body: body.to_vec() };
    Packet { introduction: None, fragment: Some(fragment) }.encode_to_vec()
}

/// A packet with an introduction.
#[must_use]
pub fn introduction(sender: &[u8], answer_to: Option<(&str, &[u8])>) -> Vec<u8> {
    let answer_to = answer_to.map(|(relay, claim_secret)| MailboxCard {
        relay: relay.to_owned(),
        claim_secret: claim_secret.to_vec(),
    });
    let introduction = Introduction { sender_public_key: sender.to_vec(), answer_to };
    Packet { introduction: Some(introduction), fragment: None }.encode_to_vec()
}

/// A message.
#[must_use]
pub fn text(sent_at_ms: u64, text: &str) -> Vec<u8> {
    let text = Text { text: text.to_owned(), reply_to: Vec::new() };
    Content { version: VERSION, sent_at_ms, body: Some(Body::Text(text)), ..Content::default() }
        .encode_to_vec()
}

/// What can be said of the message `target`: the kind is one of nine, `flag` and `words` are what it has of such.
#[must_use]
pub fn said(kind: u8, order: u64, target: &[u8], words: &str, flag: bool) -> Vec<u8> {
    let (target, text) = (target.to_vec(), words.to_owned());
    let seconds = u32::try_from(order & 0xffff).unwrap_or(0);
    let body = match kind % 9 {
        0 => Body::Text(Text { text, reply_to: if flag { target } else { Vec::new() } }),
        1 => Body::Reaction(content::Reaction { target, emoji: text, withdrawn: flag }),
        2 => Body::Edit(content::Edit { target, text }),
        3 => Body::Deletion(content::Deletion { target }),
        4 => Body::Timer(content::Timer { seconds }),
        5 => Body::ConsentAsked(content::ConsentAsked {
            target,
            hash: vec![7; if flag { 32 } else { 31 }],
            audience: text.clone(),
            purpose: text,
            until_ms: order,
        }),
        6 => Body::ConsentAnswered(content::ConsentAnswered {
            id: target,
            decision: seconds % 5,
            public_key: vec![1; 32],
            signature: vec![2; 64],
        }),
        7 => Body::File(content::File {
            object: vec![3; 32],
            key: vec![4; 32],
            root: vec![5; if flag { 32 } else { 33 }],
            chunks: 8,
            size: order & 0xffff,
            media_type: "text/plain".to_owned(),
            name: text,
            reply_to: if flag { target } else { Vec::new() },
        }),
        _ => Body::Receipts(content::Receipts {}),
    };
    let content = Content {
        version: if flag && kind > 200 { VERSION + 1 } else { VERSION },
        sent_at_ms: order,
        order,
        expires_after_s: if flag { 0 } else { seconds },
        receipts: if kind > 100 { [1; 16].to_vec() } else { Vec::new() },
        body: Some(body),
    };
    content.to_bytes().to_vec()
}

/// A conversation in a vault, into which contents come as from a contact.
pub struct Talk {
    vault: Vault,
    contact: ContactId,
    own: MessageId,
}

impl Talk {
    /// One in which this side has said `words`.
    ///
    /// # Errors
    /// [`VaultError`].
    pub fn new(words: &str, rng: &mut dyn CryptoRng) -> Result<Self, VaultError> {
        let mut vault = Vault::open_in_memory(MIGRATIONS)?;
        let contact = ContactId::from_bytes([1; 16]);
        let new = NewContact {
            id: contact,
            name: None,
            stage: Stage::Invited,
            link: None,
            link_hash: [3; 32],
            expires_hour: u32::MAX,
        };
        let own = vault.transaction(|tx| {
            records::insert_contact(tx, &new)?;
            thread::say_text(tx, contact.into(), words, None, UnixMillis(0), rng)
        });
        let own = own.map_err(|error| match error {
            ClientError::Vault(error) => error,
            _ => VaultError::damaged_record(),
        })?;
        Ok(Self { vault, contact, own })
    }

    /// The message that this side said.
    #[must_use]
    pub fn own(&self) -> [u8; 16] {
        *self.own.as_bytes()
    }

    /// What it says.
    ///
    /// # Errors
    /// [`VaultError`].
    pub fn own_words(&self, now: UnixMillis) -> Result<Option<String>, VaultError> {
        let message = messages::message(self.vault.database(), self.contact.into(), self.own, now)?;
        Ok(message.map(|message| message.text))
    }

    /// Takes a content, and lets go of what is up.
    ///
    /// # Errors
    /// [`VaultError`]: nothing that somebody sends may be one.
    pub fn take(
        &mut self,
        id: [u8; 16],
        bytes: &[u8],
        now: UnixMillis,
        rng: &mut dyn CryptoRng,
    ) -> Result<(), VaultError> {
        let arrived = Arrived {
            thread: self.contact.into(),
            with: ThreadKind::Contact,
            author: self.contact.into(),
            id: MessageId::from_bytes(id),
            bytes,
        };
        self.vault.transaction(|tx| {
            thread::take(tx, arrived, now, rng)?;
            thread::queue_due(tx, now, rng)?;
            messages::sweep(tx, now)
        })
    }

    /// Reads everything back, and counts the rows of everything that somebody's contents leave.
    ///
    /// # Errors
    /// [`VaultError`].
    pub fn look(&self, now: UnixMillis) -> Result<usize, VaultError> {
        let db = self.vault.database();
        messages::history(db, self.contact.into(), usize::MAX, now)?;
        messages::unshown(db, now)?;
        thread::search(db, "word", now)?;
        thread::consents(db)?;
        thread::timer(db, self.contact.into())?;
        Ok(db.query_row(
            "SELECT (SELECT count(*) FROM message) + (SELECT count(*) FROM early)
                 + (SELECT count(*) FROM receipt) + (SELECT count(*) FROM consent)
                 + (SELECT count(*) FROM signer)",
            [],
            |row| row.get(0),
        )?)
    }
}

impl core::fmt::Debug for Talk {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("Talk(..)")
    }
}

/// A copy of a vault that is made in `home`, in which one contact wrote `text`.
///
/// # Errors
/// [`VaultError`].
pub fn honest_copy(
    home: &Path,
    text: &str,
    rng: &mut dyn CryptoRng,
) -> Result<Vec<u8>, VaultError> {
    let (mut vault, _) = Vault::create(home, COPY_PHRASE, KdfCost::MINIMUM, MIGRATIONS, &mut *rng)?;
    let contact = ContactId::from_bytes([1; 16]);
    let new = NewContact {
        id: contact,
        name: None,
        stage: Stage::Joined,
        link: None,
        link_hash: [3; 32],
        expires_hour: 0,
    };
    let line = Message {
        id: MessageId::from_bytes([2; 16]),
        thread: contact.into(),
        with: ThreadKind::Contact,
        author: Some(contact.into()),
        kind: MessageKind::Text,
        text: text.to_owned(),
        target: None,
        order: 0,
        edited: false,
        file: None,
        expires_at: None,
        reactions: Vec::new(),
        sent_at: UnixMillis(1),
        received_at: Some(UnixMillis(2)),
        state: MessageState::Received,
    };
    vault.transaction(|tx| {
        records::insert_contact(tx, &new)?;
        messages::insert(tx, &line, false, rng).map(drop)
    })?;
    let file = home.join("copy");
    vault.backup(&file, COPIES, rng)?;
    Ok(fs::read(file)?)
}

/// Makes a vault in `home` of a copy, which opens with the phrase of [`honest_copy`], and gives every text in it.
///
/// # Errors
/// As `Vault::restore`.
pub fn restored_copy(home: &Path, copy: &[u8]) -> Result<Vec<String>, VaultError> {
    let vault = Vault::restore(home, copy, COPY_PHRASE, MIGRATIONS, COPIES)?;
    let db = vault.database();
    let mut texts = Vec::new();
    for contact in records::contacts(db)? {
        let lines = messages::history(db, contact.id().into(), usize::MAX, UnixMillis(0))?;
        let lines = lines.into_iter().filter(|line| line.kind == MessageKind::Text);
        texts.extend(lines.map(|line| line.text));
    }
    Ok(texts)
}

/// A copy with its checksum put right, so that more than the checksum is looked at.
#[must_use]
pub fn checked_copy(copy: &[u8]) -> Vec<u8> {
    let content = &copy[..copy.len().saturating_sub(32)];
    [content, &Sha256::digest(content)[..]].concat()
}

/// An inviter's vault, in which one contact's blobs arrive.
pub struct Inbox {
    vault: Vault,
    contact: ContactId,
}

impl Inbox {
    /// A vault with one open invitation, and the ratchet of whoever joined it.
    ///
    /// # Errors
    /// [`VaultError`].
    pub fn new(rng: &mut dyn CryptoRng) -> Result<(Self, Ratchet), VaultError> {
        let mut vault = Vault::open_in_memory(MIGRATIONS)?;
        let contact = ContactId::from_bytes([1; 16]);
        let made = Inviter::create(rng, "relay", &[2; 32], UnixHour(u32::MAX))
            .map_err(|_| VaultError::damaged_record());
        let inviter = made?;
        let joined = handshake::join(rng, inviter.link_secret(), inviter.card())
            .map_err(|_| VaultError::damaged_record())?;
        vault.transaction(|tx| {
            let new = NewContact {
                id: contact,
                name: None,
                stage: Stage::Invited,
                link: Some("link"),
                link_hash: [3; 32],
                expires_hour: u32::MAX,
            };
            records::insert_contact(tx, &new)?;
            records::set_contact(tx, contact, "inviter", inviter.to_bytes().to_vec())
        })?;
        Ok((Self { vault, contact }, joined.ratchet))
    }

    /// Takes a blob and tells how many lines it brought.
    ///
    /// # Errors
    /// [`VaultError`]: nothing that a peer sends may be one.
    pub fn receive(
        &mut self,
        blob: &Blob,
        now: UnixMillis,
        rng: &mut dyn CryptoRng,
    ) -> Result<usize, VaultError> {
        let contact = self.contact;
        self.vault.transaction(|tx| {
            let mut received = Received::default();
            conversation::receive(tx, contact, blob, now, rng, &mut received)?;
            Ok(received.messages.len())
        })
    }

    /// Writes to the peer, where there are keys, and gives all ciphertexts that wait.
    ///
    /// # Errors
    /// [`VaultError`].
    pub fn say(
        &mut self,
        text: &str,
        now: UnixMillis,
        rng: &mut dyn CryptoRng,
    ) -> Result<Vec<Blob>, VaultError> {
        let contact = self.contact;
        self.vault.transaction(|tx| {
            match thread::say_text(tx, contact.into(), text, None, now, rng) {
                Ok(_) => {}
                Err(ClientError::Vault(error)) => return Err(error),
                Err(_) => return Err(VaultError::damaged_record()),
            }
            let waiting = outbox::cells(tx, contact, -1, usize::MAX)?;
            for cell in &waiting {
                outbox::remove(tx, cell.seq)?;
            }
            Ok(waiting.into_iter().map(|cell| cell.blob).collect())
        })
    }

    /// The ratchet as it is stored; `None` before anybody has joined. It changes where a blob was opened, and only there.
    ///
    /// # Errors
    /// [`VaultError`].
    pub fn ratchet(&self) -> Result<Option<Zeroizing<Vec<u8>>>, VaultError> {
        records::contact_secret(self.vault.database(), self.contact, "ratchet")
    }

    /// Reads everything back: lines of the conversation, and parts of messages that are not whole.
    ///
    /// # Errors
    /// [`VaultError`].
    pub fn look(&mut self) -> Result<(Vec<Message>, usize), VaultError> {
        let db = self.vault.database();
        records::contacts(db)?;
        records::incoming(db, self.contact)?;
        records::outgoing(db, self.contact)?;
        messages::unshown(db, UnixMillis(0))?;
        let parts = db.query_row("SELECT count(DISTINCT message) FROM fragment", [], |row| {
            row.get::<_, usize>(0)
        })?;
        Ok((messages::history(db, self.contact.into(), usize::MAX, UnixMillis(0))?, parts))
    }

    /// Damages one column of every row of one table, and reads everything that is ever read of the vault. Whatever the
    /// value, that is an answer or [`VaultError`].
    ///
    /// # Errors
    /// The first of them.
    pub fn damage(&mut self, table: usize, column: usize, value: &[u8]) -> Result<(), VaultError> {
        let value = match value.split_first() {
            None | Some((0, _)) => Value::Null,
            Some((1, number)) => {
                let mut bytes = [0; 8];
                let len = number.len().min(8);
                bytes[..len].copy_from_slice(&number[..len]);
                Value::Integer(i64::from_le_bytes(bytes))
            }
            Some((2, text)) => Value::Text(String::from_utf8_lossy(text).into_owned()),
            Some((3, number)) => Value::Real(f64::from(u8::try_from(number.len()).unwrap_or(0))),
            Some((_, bytes)) => Value::Blob(bytes.to_vec()),
        };
        let db = self.vault.database();
        let mut names = db.prepare("SELECT name FROM sqlite_schema WHERE type = 'table'")?;
        let names: Vec<String> =
            names.query_map([], |row| row.get(0)).and_then(Iterator::collect)?;
        let Some(table) = names.get(table % names.len().max(1)) else { return Ok(()) };
        let statement = db.prepare(&format!("SELECT * FROM \"{table}\""))?;
        let columns: Vec<String> = statement.column_names().map(str::to_owned).collect();
        drop(statement);
        if let Some(column) = columns.get(column % columns.len().max(1)) {
            // A constraint may refuse it.
            let _ = db.execute(&format!("UPDATE \"{table}\" SET \"{column}\" = ?1"), [value]);
        }
        self.read_all()
    }

    fn read_all(&self) -> Result<(), VaultError> {
        let contact = self.contact;
        let db = self.vault.database();
        let looked = [
            records::contacts(db).map(drop),
            records::contact(db, contact).map(drop),
            records::stage(db, contact).map(drop),
            records::incoming(db, contact).map(drop),
            records::outgoing(db, contact).map(drop),
            records::relays(db).map(drop),
            records::newest_infos(db).map(drop),
            records::mailbox_relays(db).map(drop),
            records::farewells(db, hearken_proto::time::UnixDay(20_000)).map(drop),
            records::open_invitations(db, UnixMillis(0)).map(drop),
            records::contact_secret(db, contact, "ratchet").map(drop),
            records::contact_secret(db, contact, "inviter").map(drop),
            messages::unshown(db, UnixMillis(0)).map(drop),
            messages::history(db, contact.into(), usize::MAX, UnixMillis(0)).map(drop),
            outbox::waiting(db, contact.into()).map(drop),
            thread::timer(db, contact.into()).map(drop),
            thread::search(db, "word", UnixMillis(0)).map(drop),
            thread::due_at(db).map(drop),
            messages::is_sweep_due(db, UnixMillis(0)).map(drop),
            outbox::cells(db, contact, -1, usize::MAX).map(drop),
        ];
        looked.into_iter().collect::<Result<(), VaultError>>()?;
        Ok(())
    }
}

impl core::fmt::Debug for Inbox {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("Inbox(..)")
    }
}

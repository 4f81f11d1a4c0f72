//! Contacts, relays and settings as rows of the vault.

use std::sync::Arc;

use hearken_proto::address::RelayAddress;
use hearken_proto::auth::ObjectSecretKey;
use hearken_proto::ids::Fingerprint;
use hearken_proto::time::{UnixDay, UnixHour, UnixMillis};
use rusqlite::types::Value;
use rusqlite::{Connection, OptionalExtension, Row, params};
use zeroize::Zeroizing;

use crate::contact::{Contact, ContactId, ContactState};
use crate::error::ClientError;
use crate::relays::Relay;
use crate::vault::VaultError;

/// A contact's state in the table, with the one that is not shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    /// A join under way.
    Joining = 0,
    /// An open invitation.
    Invited = 1,
    /// Both sides have keys.
    Joined = 2,
    /// Known from a copy, without keys.
    Apart = 3,
}

impl Stage {
    fn of(stored: i64) -> Result<Self, VaultError> {
        Ok(match stored {
            0 => Self::Joining,
            1 => Self::Invited,
            2 => Self::Joined,
            3 => Self::Apart,
            _ => return Err(damaged()),
        })
    }
}

/// The mailbox that this side reads.
pub(crate) struct Incoming {
    pub(crate) relay: Fingerprint,
    pub(crate) receive_key: Arc<ObjectSecretKey>,
    pub(crate) claim_key: Option<ObjectSecretKey>,
    pub(crate) sender_public_key: Option<[u8; 32]>,
    pub(crate) cursor: u64,
    pub(crate) claims_refused: u32,
}

/// The mailbox that this side writes to.
pub(crate) struct Outgoing {
    pub(crate) relay: Fingerprint,
    pub(crate) send_key: Arc<ObjectSecretKey>,
    pub(crate) claim_key: Option<Arc<ObjectSecretKey>>,
    pub(crate) claimed: bool,
}

/// A mailbox to delete at its relay.
pub(crate) struct Farewell {
    pub(crate) seq: i64,
    pub(crate) relay: RelayAddress,
    pub(crate) receive_key: Arc<ObjectSecretKey>,
}

fn damaged() -> VaultError {
    VaultError::damaged_record()
}

fn array<const N: usize>(bytes: &[u8]) -> Result<[u8; N], VaultError> {
    bytes.try_into().map_err(|_| damaged())
}

fn secret_key(bytes: Vec<u8>) -> Result<ObjectSecretKey, VaultError> {
    let bytes = Zeroizing::new(bytes);
    let key = Zeroizing::new(array::<32>(&bytes)?);
    Ok(ObjectSecretKey::from_bytes(&key))
}

fn fingerprint(bytes: &[u8]) -> Result<Fingerprint, VaultError> {
    Ok(Fingerprint::from_bytes(array(bytes)?))
}

// --- settings and relays ----------------------------------------------------------------------

pub(crate) fn setting(db: &Connection, name: &str) -> Result<Option<Vec<u8>>, VaultError> {
    Ok(db
        .prepare_cached("SELECT value FROM setting WHERE name = ?1")?
        .query_row([name], |row| row.get(0))
        .optional()?)
}

pub(crate) fn set_setting(db: &Connection, name: &str, value: &[u8]) -> Result<(), VaultError> {
    db.prepare_cached("INSERT OR REPLACE INTO setting (name, value) VALUES (?1, ?2)")?
        .execute(params![name, value])?;
    Ok(())
}

/// The relays that the person added, in the order in which they did; their own first.
pub(crate) fn relays(db: &Connection) -> Result<Vec<Relay>, VaultError> {
    let mut statement = db.prepare_cached(
        "SELECT address, own FROM relay WHERE added IS NOT NULL ORDER BY own DESC, added",
    )?;
    let rows =
        statement.query_map([], |row| Ok((row.get::<_, String>(0)?, row.get::<_, bool>(1)?)))?;
    rows.map(|row| {
        let (address, own) = row?;
        Ok(Relay { address: address.parse().map_err(|_| damaged())?, own })
    })
    .collect()
}

/// A mailbox of a contact's conversation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mailbox {
    /// The one that this side reads.
    Incoming,
    /// The one that this side writes to.
    Outgoing,
}

impl Mailbox {
    const fn table(self) -> &'static str {
        match self {
            Self::Incoming => "incoming",
            Self::Outgoing => "outgoing",
        }
    }
}

/// Where the relay of a mailbox is: as the person says, where they added it, else as whoever named the mailbox says.
/// What another contact says of the same relay does not count: it could be a place of that contact's own, which would
/// see when this conversation goes over the relay, and could cut it.
pub(crate) fn mailbox_address(
    db: &Connection,
    id: ContactId,
    mailbox: Mailbox,
) -> Result<Option<RelayAddress>, VaultError> {
    let table = mailbox.table();
    let address: Option<String> = db
        .prepare_cached(&format!(
            "SELECT coalesce(relay.address, {table}.address) FROM {table}
             LEFT JOIN relay ON relay.fingerprint = {table}.relay AND relay.added IS NOT NULL
             WHERE contact = ?1"
        ))?
        .query_row([&id.as_bytes()[..]], |row| row.get(0))
        .optional()?;
    address.map(|address| address.parse().map_err(|_| damaged())).transpose()
}

/// Keeps that there is a relay that a contact's mailbox is on. It never serves as entry, and is not dialled at this
/// address: [`mailbox_address`].
pub(crate) fn learn_relay(db: &Connection, address: &RelayAddress) -> Result<(), VaultError> {
    db.prepare_cached("INSERT INTO relay (fingerprint, address) VALUES (?1, ?2) ON CONFLICT (fingerprint) DO NOTHING")?.execute(params![&address.fingerprint().as_bytes()[..], address.to_string()])?;
    Ok(())
}

pub(crate) fn add_relay(
    db: &Connection,
    address: &RelayAddress,
    own: bool,
) -> Result<(), VaultError> {
    db.prepare_cached(
        "INSERT INTO relay (fingerprint, address, added, own)
         VALUES (?1, ?2, (SELECT coalesce(max(added), 0) + 1 FROM relay), ?3)
         ON CONFLICT (fingerprint) DO UPDATE SET address = excluded.address,
             added = coalesce(added, excluded.added), own = max(own, excluded.own)",
    )?
    .execute(params![&address.fingerprint().as_bytes()[..], address.to_string(), own])?;
    Ok(())
}

/// Takes a relay out of those that the person added. Mailboxes that are on it stay known, where the person said it is.
pub(crate) fn remove_relay(db: &Connection, relay: &Fingerprint) -> Result<(), VaultError> {
    for table in ["incoming", "outgoing", "farewell"] {
        db.prepare_cached(&format!(
            "UPDATE {table} SET address = relay.address FROM relay
                 WHERE relay.fingerprint = ?1 AND relay.added IS NOT NULL AND {table}.relay = ?1"
        ))?
        .execute([&relay.as_bytes()[..]])?;
    }
    db.prepare_cached("UPDATE relay SET added = NULL, own = 0 WHERE fingerprint = ?1")?
        .execute([&relay.as_bytes()[..]])?;
    Ok(())
}

pub(crate) fn newest_infos(db: &Connection) -> Result<Vec<(Fingerprint, UnixMillis)>, VaultError> {
    let mut statement = db
        .prepare_cached("SELECT fingerprint, newest_info_ms FROM relay WHERE newest_info_ms > 0")?;
    let rows =
        statement.query_map([], |row| Ok((row.get::<_, Vec<u8>>(0)?, row.get::<_, u64>(1)?)))?;
    rows.map(|row| {
        let (relay, newest) = row?;
        Ok((fingerprint(&relay)?, UnixMillis(newest)))
    })
    .collect()
}

pub(crate) fn set_newest_info(
    db: &Connection,
    relay: &Fingerprint,
    signed_at: UnixMillis,
) -> Result<(), VaultError> {
    db.prepare_cached(
        "UPDATE relay SET newest_info_ms = max(newest_info_ms, ?2) WHERE fingerprint = ?1",
    )?
    .execute(params![&relay.as_bytes()[..], signed_at.0])?;
    Ok(())
}

// --- contacts ---------------------------------------------------------------------------------

const CONTACT_COLUMNS: &str = "id, name, state, verified, blocked,
    (SELECT count(*) FROM message
     WHERE thread = contact.id AND author IS NULL AND state = 0 AND kind IN (0, 14))";

fn contact_of(row: &Row<'_>) -> Result<Contact, VaultError> {
    let id: Vec<u8> = row.get(0)?;
    Ok(Contact {
        id: ContactId::from_bytes(array(&id)?),
        name: row.get(1)?,
        state: match Stage::of(row.get(2)?)? {
            Stage::Joined => ContactState::Joined,
            Stage::Apart => ContactState::Apart,
            Stage::Invited | Stage::Joining => ContactState::Invited,
        },
        verified: row.get(3)?,
        blocked: row.get(4)?,
        outbox: row.get(5)?,
    })
}

/// All contacts that a person sees, oldest first.
pub(crate) fn contacts(db: &Connection) -> Result<Vec<Contact>, VaultError> {
    let mut statement = db.prepare_cached(&format!(
        "SELECT {CONTACT_COLUMNS} FROM contact WHERE state > 0 ORDER BY seq"
    ))?;
    let mut rows = statement.query([])?;
    let mut contacts = Vec::new();
    while let Some(row) = rows.next()? {
        contacts.push(contact_of(row)?);
    }
    Ok(contacts)
}

pub(crate) fn contact(db: &Connection, id: ContactId) -> Result<Option<Contact>, VaultError> {
    let mut statement = db.prepare_cached(&format!(
        "SELECT {CONTACT_COLUMNS} FROM contact WHERE state > 0 AND id = ?1"
    ))?;
    let mut rows = statement.query([&id.as_bytes()[..]])?;
    rows.next()?.map(contact_of).transpose()
}

pub(crate) struct NewContact<'a> {
    pub(crate) id: ContactId,
    pub(crate) name: Option<&'a str>,
    pub(crate) stage: Stage,
    pub(crate) link: Option<&'a str>,
    pub(crate) link_hash: [u8; 32],
    pub(crate) expires_hour: u32,
}

pub(crate) fn insert_contact(db: &Connection, new: &NewContact<'_>) -> Result<(), VaultError> {
    db.prepare_cached("INSERT INTO contact (id, state, link, link_hash, expires_hour) VALUES (?1, ?2, ?3, ?4, ?5)")?.execute(params![
            &new.id.as_bytes()[..],
            new.stage as i64,
            new.link.map(str::as_bytes),
            &new.link_hash[..],
            new.expires_hour
        ])?;
    new.name.map_or(Ok(()), |name| succeed(db, new.id, name))
}

pub(crate) fn stage(db: &Connection, id: ContactId) -> Result<Option<Stage>, VaultError> {
    let stage: Option<i64> = db
        .prepare_cached("SELECT state FROM contact WHERE id = ?1")?
        .query_row([&id.as_bytes()[..]], |row| row.get(0))
        .optional()?;
    stage.map(Stage::of).transpose()
}

/// The contact made by an invitation link, whichever side of it this home is on.
pub(crate) fn contact_of_link(
    db: &Connection,
    link_hash: &[u8; 32],
) -> Result<Option<(ContactId, Stage)>, VaultError> {
    let id: Option<Vec<u8>> = db
        .prepare_cached("SELECT id FROM contact WHERE link_hash = ?1")?
        .query_row([&link_hash[..]], |row| row.get(0))
        .optional()?;
    let Some(id) = id else { return Ok(None) };
    let id = ContactId::from_bytes(array(&id)?);
    Ok(stage(db, id)?.map(|stage| (id, stage)))
}

/// Open invitations that have not expired: contact and link, oldest first.
pub(crate) fn open_invitations(
    db: &Connection,
    now: UnixMillis,
) -> Result<Vec<(ContactId, Zeroizing<String>)>, VaultError> {
    let mut statement = db.prepare_cached(
        "SELECT id, link FROM contact WHERE state = 1 AND link IS NOT NULL AND expires_hour > ?1 ORDER BY seq",
    )?;
    let rows = statement.query_map([now.hour().0], |row| {
        Ok((row.get::<_, Vec<u8>>(0)?, row.get::<_, Vec<u8>>(1)?))
    })?;
    rows.map(|row| {
        let (id, link) = row?;
        let link = String::from_utf8(link).map_err(|_| damaged())?;
        Ok((ContactId::from_bytes(array(&id)?), Zeroizing::new(link)))
    })
    .collect()
}

/// Who is to be met again, as a condition on a contact: one known from a copy, or one invited under the name of such,
/// whom nobody has joined as yet (the line that says so is in what was written), or whose invitation came to nothing.
const TO_BE_MET: &str = "(state = 3 OR (state = 1 AND (inviter IS NULL OR EXISTS (
    SELECT 1 FROM message WHERE message.thread = contact.id AND kind = 5))))";

/// Refuses a name that another contact has, but for one who is to be met again: whoever is met under their name takes
/// their place ([`succeed`]). Nobody is met by giving one who is to be met again the name of another such.
pub(crate) fn check_name_is_free(
    db: &Connection,
    name: Option<&str>,
    except: Option<ContactId>,
) -> Result<(), ClientError> {
    let Some(name) = name else { return Ok(()) };
    let taken: Option<(Vec<u8>, bool)> = db
        .prepare_cached(&format!("SELECT id, {TO_BE_MET} FROM contact WHERE name = ?1"))?
        .query_row([name], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    let Some((taken, is_to_be_met)) = taken else { return Ok(()) };
    match except {
        Some(except) if taken == except.as_bytes() => Ok(()),
        Some(except) if is_to_be_met && stage(db, except)? != Some(Stage::Apart) => Ok(()),
        None if is_to_be_met => Ok(()),
        _ => Err(ClientError::NameTaken),
    }
}

/// Gives a contact its name. A contact of that name who was to be met again has been: what was written with them goes on
/// in this one. Where that was an invitation, it stays open without a name: somebody may have joined it in time.
pub(crate) fn succeed(db: &Connection, id: ContactId, name: &str) -> Result<(), VaultError> {
    let before: Option<Vec<u8>> = db
        .prepare_cached(&format!(
            "SELECT id FROM contact WHERE name = ?1 AND id <> ?2 AND {TO_BE_MET}"
        ))?
        .query_row(params![name, &id.as_bytes()[..]], |row| row.get(0))
        .optional()?;
    if let Some(before) = before {
        // The other side may have said again, in the new conversation, what is known from the one before.
        db.prepare_cached(
            "UPDATE message AS old SET id = randomblob(16) WHERE thread = ?2 AND EXISTS (
                 SELECT 1 FROM message AS new WHERE new.thread = ?1 AND new.id = old.id)",
        )?
        .execute(params![&id.as_bytes()[..], before])?;
        take_over(db, id, &before)?;
        db.prepare_cached("DELETE FROM contact WHERE id = ?1 AND state = 3")?.execute([&before])?;
        db.prepare_cached("UPDATE contact SET name = NULL WHERE id = ?1")?.execute([&before])?;
    }
    set_contact(db, id, "name", name.to_owned())
}

/// What was written in one conversation goes on in another.
fn take_over(db: &Connection, id: ContactId, before: &[u8]) -> Result<(), VaultError> {
    for table in ["message", "waiting", "consent"] {
        db.prepare_cached(&format!("UPDATE {table} SET thread = ?1 WHERE thread = ?2"))?
            .execute(params![&id.as_bytes()[..], before])?;
    }
    db.prepare_cached(
        "UPDATE thread SET timer_s = old.timer_s, timer_order = old.timer_order FROM thread AS old
         WHERE thread.id = ?1 AND old.id = ?2 AND thread.timer_order < old.timer_order",
    )?
    .execute(params![&id.as_bytes()[..], before])?;
    for (table, person) in [("message", "author"), ("consent", "asker"), ("consent", "asked")] {
        db.prepare_cached(&format!(
            "UPDATE {table} SET {person} = ?1 WHERE thread = ?1 AND {person} = ?2"
        ))?
        .execute(params![&id.as_bytes()[..], before])?;
    }
    Ok(())
}

/// Sets one column of a contact; the column is always a literal of this crate.
pub(crate) fn set_contact(
    db: &Connection,
    id: ContactId,
    column: &'static str,
    value: impl Into<Value>,
) -> Result<(), VaultError> {
    db.prepare_cached(&format!("UPDATE contact SET {column} = ?2 WHERE id = ?1"))?
        .execute(params![&id.as_bytes()[..], value.into()])?;
    Ok(())
}

/// Reads one secret column of a contact; the column is always a literal of this crate.
pub(crate) fn contact_secret(
    db: &Connection,
    id: ContactId,
    column: &'static str,
) -> Result<Option<Zeroizing<Vec<u8>>>, VaultError> {
    let value: Option<Option<Vec<u8>>> = db
        .prepare_cached(&format!("SELECT {column} FROM contact WHERE id = ?1"))?
        .query_row([&id.as_bytes()[..]], |row| row.get(0))
        .optional()?;
    Ok(value.flatten().map(Zeroizing::new))
}

/// So many more cells are shown as missing, whose numbers the next that opens may find passed over.
pub(crate) fn count_unopened(db: &Connection, id: ContactId, cells: u32) -> Result<(), VaultError> {
    db.prepare_cached("UPDATE contact SET unopened = unopened + ?2 WHERE id = ?1")?
        .execute(params![&id.as_bytes()[..], cells])?;
    Ok(())
}

/// How many blobs could not be opened since one last did; from here on none.
pub(crate) fn take_unopened(db: &Connection, id: ContactId) -> Result<u32, VaultError> {
    let unopened = db
        .prepare_cached("SELECT unopened FROM contact WHERE id = ?1")?
        .query_row([&id.as_bytes()[..]], |row| row.get(0))?;
    if unopened > 0 {
        set_contact(db, id, "unopened", 0)?;
    }
    Ok(unopened)
}

pub(crate) fn delete_contact(db: &Connection, id: ContactId) -> Result<(), VaultError> {
    db.prepare_cached("DELETE FROM contact WHERE id = ?1")?.execute([&id.as_bytes()[..]])?;
    Ok(())
}

/// Joins that were interrupted and whose invitation has expired since.
pub(crate) fn delete_expired_joins(db: &Connection, now: UnixMillis) -> Result<(), VaultError> {
    db.prepare_cached("DELETE FROM contact WHERE state = 0 AND expires_hour <= ?1")?
        .execute([now.hour().0])?;
    Ok(())
}

/// Invitations that expired by `hour` and whose first message has not come.
pub(crate) fn expired_invitations(
    db: &Connection,
    hour: UnixHour,
) -> Result<Vec<ContactId>, VaultError> {
    let mut statement = db.prepare_cached(
        "SELECT id FROM contact WHERE state < 2 AND inviter IS NOT NULL AND expires_hour <= ?1",
    )?;
    let rows = statement.query_map([hour.0], |row| row.get::<_, Vec<u8>>(0))?;
    rows.map(|row| Ok(ContactId::from_bytes(array(&row?)?))).collect()
}

/// The secrets of an invitation that nobody can use any more go.
pub(crate) fn forget_invitation(db: &Connection, id: ContactId) -> Result<(), VaultError> {
    set_contact(db, id, "inviter", None::<Vec<u8>>)?;
    set_contact(db, id, "link", None::<Vec<u8>>)
}

// --- mailboxes --------------------------------------------------------------------------------

pub(crate) fn incoming(db: &Connection, id: ContactId) -> Result<Option<Incoming>, VaultError> {
    let row = db
        .prepare_cached(
            "SELECT relay, receive_key, claim_key, sender_public_key, cursor, claims_refused
             FROM incoming WHERE contact = ?1",
        )?
        .query_row([&id.as_bytes()[..]], |row| {
            Ok((
                row.get::<_, Vec<u8>>(0)?,
                row.get::<_, Vec<u8>>(1)?,
                row.get::<_, Option<Vec<u8>>>(2)?,
                row.get::<_, Option<Vec<u8>>>(3)?,
                row.get::<_, u64>(4)?,
                row.get::<_, u32>(5)?,
            ))
        })
        .optional()?;
    let Some((relay, receive_key, claim_key, sender, cursor, claims_refused)) = row else {
        return Ok(None);
    };
    Ok(Some(Incoming {
        relay: fingerprint(&relay)?,
        receive_key: Arc::new(secret_key(receive_key)?),
        claim_key: claim_key.map(secret_key).transpose()?,
        sender_public_key: sender.map(|key| array(&key)).transpose()?,
        cursor,
        claims_refused,
    }))
}

/// Forgets the mailbox in which a contact is read.
pub(crate) fn delete_incoming(db: &Connection, id: ContactId) -> Result<(), VaultError> {
    db.prepare_cached("DELETE FROM incoming WHERE contact = ?1")?.execute([&id.as_bytes()[..]])?;
    Ok(())
}

pub(crate) fn insert_incoming(
    db: &Connection,
    id: ContactId,
    relay: &RelayAddress,
    receive_key: &ObjectSecretKey,
    claim_key: &ObjectSecretKey,
) -> Result<(), VaultError> {
    learn_relay(db, relay)?;
    db.prepare_cached(
        "INSERT INTO incoming (contact, relay, address, receive_key, claim_key)
         VALUES (?1, ?2, ?3, ?4, ?5)",
    )?
    .execute(params![
        &id.as_bytes()[..],
        &relay.fingerprint().as_bytes()[..],
        relay.to_string(),
        &receive_key.to_bytes()[..],
        &claim_key.to_bytes()[..]
    ])?;
    Ok(())
}

pub(crate) fn set_cursor(db: &Connection, id: ContactId, cursor: u64) -> Result<(), VaultError> {
    db.prepare_cached("UPDATE incoming SET cursor = max(cursor, ?2) WHERE contact = ?1")?
        .execute(params![&id.as_bytes()[..], cursor])?;
    Ok(())
}

/// The relays of every mailbox that this side reads or writes.
pub(crate) fn mailbox_relays(db: &Connection) -> Result<Vec<Fingerprint>, VaultError> {
    let mut statement = db.prepare_cached(
        "SELECT relay FROM incoming JOIN contact ON contact = id WHERE state > 0
         UNION SELECT relay FROM outgoing JOIN contact ON contact = id WHERE state > 0",
    )?;
    let rows = statement.query_map([], |row| row.get::<_, Vec<u8>>(0))?;
    rows.map(|row| fingerprint(&row?)).collect()
}

/// A mailbox that was made again begins at the relay's first position.
pub(crate) fn reset_cursor(db: &Connection, id: ContactId) -> Result<(), VaultError> {
    db.prepare_cached("UPDATE incoming SET cursor = 0 WHERE contact = ?1")?
        .execute([&id.as_bytes()[..]])?;
    Ok(())
}

pub(crate) fn set_claims_refused(
    db: &Connection,
    id: ContactId,
    count: u32,
) -> Result<(), VaultError> {
    db.prepare_cached("UPDATE incoming SET claims_refused = ?2 WHERE contact = ?1")?
        .execute(params![&id.as_bytes()[..], count])?;
    Ok(())
}

/// The other side told who writes to our mailbox: its claim key is of no more use.
pub(crate) fn set_sender(
    db: &Connection,
    id: ContactId,
    sender: &[u8; 32],
) -> Result<(), VaultError> {
    db.prepare_cached(
        "UPDATE incoming SET sender_public_key = ?2, claim_key = NULL WHERE contact = ?1",
    )?
    .execute(params![&id.as_bytes()[..], &sender[..]])?;
    Ok(())
}

pub(crate) fn outgoing(db: &Connection, id: ContactId) -> Result<Option<Outgoing>, VaultError> {
    let row = db
        .prepare_cached(
            "SELECT relay, send_key, claim_key, claimed FROM outgoing WHERE contact = ?1",
        )?
        .query_row([&id.as_bytes()[..]], |row| {
            Ok((
                row.get::<_, Vec<u8>>(0)?,
                row.get::<_, Vec<u8>>(1)?,
                row.get::<_, Option<Vec<u8>>>(2)?,
                row.get::<_, bool>(3)?,
            ))
        })
        .optional()?;
    let Some((relay, send_key, claim_key, claimed)) = row else { return Ok(None) };
    Ok(Some(Outgoing {
        relay: fingerprint(&relay)?,
        send_key: Arc::new(secret_key(send_key)?),
        claim_key: claim_key.map(secret_key).transpose()?.map(Arc::new),
        claimed,
    }))
}

pub(crate) fn insert_outgoing(
    db: &Connection,
    id: ContactId,
    relay: &RelayAddress,
    send_key: &ObjectSecretKey,
    claim_key: &ObjectSecretKey,
) -> Result<(), VaultError> {
    learn_relay(db, relay)?;
    db.prepare_cached(
        "INSERT INTO outgoing (contact, relay, address, send_key, claim_key)
         VALUES (?1, ?2, ?3, ?4, ?5)",
    )?
    .execute(params![
        &id.as_bytes()[..],
        &relay.fingerprint().as_bytes()[..],
        relay.to_string(),
        &send_key.to_bytes()[..],
        &claim_key.to_bytes()[..]
    ])?;
    Ok(())
}

pub(crate) fn set_claimed(db: &Connection, id: ContactId, claimed: bool) -> Result<(), VaultError> {
    db.prepare_cached("UPDATE outgoing SET claimed = ?2 WHERE contact = ?1")?
        .execute(params![&id.as_bytes()[..], claimed])?;
    Ok(())
}

/// The other side has answered: nothing of the invitation is needed any more.
pub(crate) fn forget_claim_key(db: &Connection, id: ContactId) -> Result<(), VaultError> {
    db.prepare_cached("UPDATE outgoing SET claim_key = NULL WHERE contact = ?1")?
        .execute([&id.as_bytes()[..]])?;
    Ok(())
}

// --- farewells --------------------------------------------------------------------------------

pub(crate) fn insert_farewell(
    db: &Connection,
    relay: &RelayAddress,
    receive_key: &ObjectSecretKey,
    until: UnixDay,
) -> Result<(), VaultError> {
    db.prepare_cached(
        "INSERT INTO farewell (relay, address, receive_key, until_day) VALUES (?1, ?2, ?3, ?4)",
    )?
    .execute(params![
        &relay.fingerprint().as_bytes()[..],
        relay.to_string(),
        &receive_key.to_bytes()[..],
        until.0
    ])?;
    Ok(())
}

pub(crate) fn farewells(db: &Connection, today: UnixDay) -> Result<Vec<Farewell>, VaultError> {
    db.prepare_cached("DELETE FROM farewell WHERE until_day < ?1")?.execute([today.0])?;
    let mut statement = db.prepare_cached(
        "SELECT seq, coalesce(relay.address, farewell.address), receive_key FROM farewell
         LEFT JOIN relay ON relay.fingerprint = farewell.relay AND relay.added IS NOT NULL
         ORDER BY seq",
    )?;
    let rows = statement.query_map([], |row| {
        Ok((row.get::<_, i64>(0)?, row.get::<_, String>(1)?, row.get::<_, Vec<u8>>(2)?))
    })?;
    rows.map(|row| {
        let (seq, relay, key) = row?;
        let relay = relay.parse().map_err(|_| damaged())?;
        Ok(Farewell { seq, relay, receive_key: Arc::new(secret_key(key)?) })
    })
    .collect()
}

pub(crate) fn delete_farewell(db: &Connection, seq: i64) -> Result<(), VaultError> {
    db.prepare_cached("DELETE FROM farewell WHERE seq = ?1")?.execute([seq])?;
    Ok(())
}

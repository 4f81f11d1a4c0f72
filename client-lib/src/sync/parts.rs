//! Parts of texts that are not whole yet, as rows of the vault, and what becomes of texts that never will be.
//!
//! A text is cut into parts that are sealed one after the other. Parts wait here until the last one has come, at most
//! 22 days after the newest, and only those of the four texts begun last. What is then given up is counted: a cell that was
//! passed over has been shown as missing already ([`pass_over`]), every other one is still to be shown ([`GivenUp`]). Parts
//! lie under a key of their text, which goes with them: the text may be one that is to be gone soon.
//!
//! Deliberately not here: how a gap is shown, and that a text once given up stays so; see `conversation`.

use hearken_proto::time::UnixDay;
use rand_core::CryptoRng;
use rusqlite::{Connection, Row, params};
use zeroize::Zeroizing;

use super::keys::{self, KeyName};
use super::outbox::SEEN_DAYS;
use crate::contact::ContactId;
use crate::message::MessageId;
use crate::vault::VaultError;

/// Texts of one contact of which parts are kept at once: they come in order, so one is usual.
const PARTIAL_MESSAGES_MAX: i64 = 4;

/// A part of a text.
#[derive(Clone, Copy)]
pub(crate) struct Part<'a> {
    pub(crate) message: MessageId,
    /// From 0, less than `count`.
    pub(crate) place: u32,
    pub(crate) count: u32,
    pub(crate) body: &'a [u8],
}

/// How the cell of a part came.
#[derive(Clone, Copy)]
pub(crate) struct Arrival {
    /// Cells right before it that have not come.
    pub(crate) passed_over: u32,
    /// It was itself passed over before, and so shown as missing.
    pub(crate) late: bool,
    pub(crate) today: UnixDay,
}

/// What a part made of its text.
pub(crate) enum Joined {
    /// Others are missing.
    Waits,
    /// The text.
    Whole(Zeroizing<Vec<u8>>),
    /// It says another number of parts than those before it: none of them is kept.
    Contradicts,
}

/// A text whose parts were dropped.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct GivenUp {
    pub(crate) contact: ContactId,
    pub(crate) message: MessageId,
    /// Cells of it that have not come and were never shown as missing.
    pub(crate) missing: u32,
}

/// What [`GivenUp`] is read from; behind it the condition.
const GIVEN_UP: &str = "SELECT contact, message, max(count) - count(*) - max(told) FROM fragment";

/// Cells were passed over before one of `part`'s message, or of none: those of unfinished texts among them are shown as
/// missing with them. They can still come for 22 days, and so long the rest is kept.
pub(crate) fn pass_over(
    db: &Connection,
    contact: ContactId,
    part: Option<Part<'_>>,
    arrival: Arrival,
) -> Result<(), VaultError> {
    if arrival.late || arrival.passed_over == 0 {
        return Ok(());
    }
    // Of the text itself only the parts before this one.
    db.prepare_cached(
        "UPDATE fragment AS part SET day = ?3, told = max(told, min(told + ?2,
             (CASE WHEN message = ?4 THEN ?5 ELSE count END)
             - (SELECT count(*) FROM fragment WHERE contact = part.contact AND message = part.message)))
         WHERE contact = ?1",
    )?
    .execute(params![
        &contact.as_bytes()[..],
        arrival.passed_over,
        arrival.today.0,
        part.as_ref().map(|part| &part.message.as_bytes()[..]),
        part.map_or(0, |part| part.place),
    ])?;
    Ok(())
}

/// Keeps a part, and gives the whole when it was the last one missing.
pub(crate) fn add(
    db: &Connection,
    contact: ContactId,
    part: Part<'_>,
    arrival: Arrival,
    rng: &mut (impl CryptoRng + ?Sized),
) -> Result<Joined, VaultError> {
    if part.count == 1 {
        return Ok(Joined::Whole(Zeroizing::new(part.body.to_vec())));
    }
    let key = (&contact.as_bytes()[..], &part.message.as_bytes()[..]);
    let known: Option<u32> = db
        .prepare_cached("SELECT max(told) FROM fragment WHERE contact = ?1 AND message = ?2")?
        .query_row(params![key.0, key.1], |row| row.get(0))?;
    let told = match (known, arrival.late) {
        (Some(told), false) => told,
        (Some(told), true) => told.saturating_sub(1),
        (None, false) => arrival.passed_over.min(part.place),
        // Whatever passed over the first that comes of a text is of another one, and passed over all of it.
        (None, true) => part.count - 1,
    };
    let name = KeyName::Parts(contact, part.message);
    let body = keys::seal(db, name, &part.place.to_be_bytes(), part.body, rng)?;
    db.prepare_cached(
        "INSERT OR IGNORE INTO fragment (contact, message, place, count, day, body)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
    )?
    .execute(params![key.0, key.1, part.place, part.count, arrival.today.0, body])?;
    db.prepare_cached("UPDATE fragment SET told = ?3 WHERE contact = ?1 AND message = ?2")?
        .execute(params![key.0, key.1, told])?;
    let (have, agree): (u32, bool) = db
        .prepare_cached(
            "SELECT count(*), min(count) = max(count) FROM fragment WHERE contact = ?1 AND message = ?2",
        )?
        .query_row(params![key.0, key.1], |row| Ok((row.get(0)?, row.get(1)?)))?;
    if !agree {
        forget(db, contact, part.message)?;
        return Ok(Joined::Contradicts);
    }
    if have < part.count {
        return Ok(Joined::Waits);
    }
    let whole = join(db, contact, part.message)?;
    forget(db, contact, part.message)?;
    Ok(Joined::Whole(whole))
}

fn join(
    db: &Connection,
    contact: ContactId,
    message: MessageId,
) -> Result<Zeroizing<Vec<u8>>, VaultError> {
    let mut statement = db.prepare_cached(
        "SELECT place, body FROM fragment WHERE contact = ?1 AND message = ?2 ORDER BY place",
    )?;
    let mut rows = statement.query(params![&contact.as_bytes()[..], &message.as_bytes()[..]])?;
    let mut whole = Zeroizing::new(Vec::new());
    while let Some(row) = rows.next()? {
        let place: u32 = row.get(0)?;
        let body = row.get_ref(1)?.as_blob().map_err(|_| VaultError::damaged_record())?;
        let name = KeyName::Parts(contact, message);
        let body = keys::open(db, name, &place.to_be_bytes(), body)?;
        whole.extend_from_slice(&body.ok_or_else(VaultError::damaged_record)?);
    }
    Ok(whole)
}

fn forget(db: &Connection, contact: ContactId, message: MessageId) -> Result<(), VaultError> {
    db.prepare_cached("DELETE FROM fragment WHERE contact = ?1 AND message = ?2")?
        .execute(params![&contact.as_bytes()[..], &message.as_bytes()[..]])?;
    keys::destroy(db, KeyName::Parts(contact, message))
}

/// Drops the parts of texts of which nothing has come for 22 days.
pub(crate) fn give_up_old(db: &Connection, today: UnixDay) -> Result<Vec<GivenUp>, VaultError> {
    let oldest = today.0.saturating_sub(SEEN_DAYS);
    give_up(
        db,
        &format!("{GIVEN_UP} GROUP BY contact, message HAVING max(day) < ?1 ORDER BY min(rowid)"),
        [oldest],
    )
}

/// Drops the parts of a contact's texts but of those begun last: older ones cannot become whole any more in a mailbox that
/// is in order.
pub(crate) fn give_up_many(
    db: &Connection,
    contact: ContactId,
) -> Result<Vec<GivenUp>, VaultError> {
    give_up(
        db,
        &format!(
            "{GIVEN_UP} WHERE contact = ?1 GROUP BY message ORDER BY max(rowid) DESC LIMIT -1 OFFSET ?2"
        ),
        params![&contact.as_bytes()[..], PARTIAL_MESSAGES_MAX],
    )
}

fn give_up(
    db: &Connection,
    sql: &str,
    parameters: impl rusqlite::Params,
) -> Result<Vec<GivenUp>, VaultError> {
    let mut statement = db.prepare_cached(sql)?;
    let mut rows = statement.query(parameters)?;
    let mut all = Vec::new();
    while let Some(row) = rows.next()? {
        all.push(given_up_of(row)?);
    }
    for given_up in &all {
        forget(db, given_up.contact, given_up.message)?;
    }
    Ok(all)
}

fn given_up_of(row: &Row<'_>) -> Result<GivenUp, VaultError> {
    let id = |at: usize| -> Result<[u8; 16], VaultError> {
        let bytes: Vec<u8> = row.get(at)?;
        bytes.as_slice().try_into().map_err(|_| VaultError::damaged_record())
    };
    let missing: i64 = row.get(2)?;
    Ok(GivenUp {
        contact: ContactId::from_bytes(id(0)?),
        message: MessageId::from_bytes(id(1)?),
        missing: u32::try_from(missing.max(0)).map_err(|_| VaultError::damaged_record())?,
    })
}

//! Consent, asked for and given inside a conversation.
//!
//! A consent is bound to a message and the words that it had (a hash of both), to whom they are to be given, what for and
//! until when. Only the author of the message decides. The decision is signed (Ed25519) over all of that, with a key made
//! for this conversation alone and told inside it, so that the asker can show later what was agreed, and nobody else can
//! tie the key to anything. The first key of a person holds; another one is refused.
//!
//! [`check`] is the one place that says whether words may be given on: whatever quotes, forwards or exports somebody
//! else's words calls it, and tells [`note_copy`] who got them. A withdrawal reaches the asker, whose program has every
//! copy that it gave out deleted where that can be.
//!
//! Deliberately not here: a means against somebody who copies by hand.

use ed25519_dalek::{Signature, Signer, SigningKey, VerifyingKey};
use hearken_proto::time::UnixMillis;
use rand_core::CryptoRng;
use rusqlite::{Connection, Row, params};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use super::{Head, Taken, amendments, check_may_say, next_order, own_head, say, say_text};
use crate::consent::{Consent, ConsentId, ConsentState};
use crate::conversation::{PersonId, ThreadId};
use crate::error::ClientError;
use crate::message::{MessageId, MessageKind};
use crate::sync::content::{self, Body, CONSENT_LINE_MAX, ConsentAnswered, ConsentAsked};
use crate::sync::messages;
use crate::sync::outbox::id16;
use crate::vault::VaultError;

const STATEMENT_LABEL: &[u8] = b"hearken/1 consent";

/// What is asked.
#[derive(Clone, Debug)]
pub(crate) struct Ask {
    pub(crate) target: MessageId,
    pub(crate) audience: String,
    pub(crate) purpose: String,
    pub(crate) until: Option<UnixMillis>,
}

/// What a consent is bound to: these words of this message.
fn hash_of(message: MessageId, words: &str) -> [u8; 32] {
    let mut hash = Sha256::new_with_prefix(b"hearken/1 words of a message");
    hash.update(message.as_bytes());
    hash.update(words.as_bytes());
    hash.finalize().into()
}

/// The words of a message, where they are those that a consent is about.
fn words_of(
    db: &Connection,
    consent: &Consent,
    now: UnixMillis,
) -> Result<Option<Zeroizing<String>>, VaultError> {
    let message = messages::message(db, consent.thread, consent.message, now)?;
    Ok(message
        .filter(|message| message.kind == MessageKind::Text && message.author == consent.asked)
        .map(|message| Zeroizing::new(message.text))
        .filter(|words| hash_of(consent.message, words) == consent.hash))
}

/// What is signed: label, id, message, hash, audience and purpose behind their lengths (u32 BE), until (u64 BE), decision.
fn statement(consent: &Consent, decision: ConsentState) -> Vec<u8> {
    let mut bytes = STATEMENT_LABEL.to_vec();
    bytes.extend(consent.id.as_bytes());
    bytes.extend(consent.message.as_bytes());
    bytes.extend(consent.hash);
    for line in [&consent.audience, &consent.purpose] {
        bytes.extend(u32::try_from(line.len()).unwrap_or(u32::MAX).to_be_bytes());
        bytes.extend(line.as_bytes());
    }
    bytes.extend(consent.until.map_or(0, |until| until.0).to_be_bytes());
    bytes.push(u8::try_from(decision.number()).unwrap_or(u8::MAX));
    bytes
}

// --- asking and answering -------------------------------------------------------------------------

/// Asks the author of a message whether it may be given on.
pub(crate) fn ask(
    tx: &Connection,
    thread: ThreadId,
    ask: Ask,
    now: UnixMillis,
    rng: &mut (impl CryptoRng + ?Sized),
) -> Result<ConsentId, ClientError> {
    let with = check_may_say(tx, thread)?;
    let is_line = |line: &str| !line.trim().is_empty() && line.len() <= CONSENT_LINE_MAX;
    if !is_line(&ask.audience) || !is_line(&ask.purpose) {
        return Err(ClientError::ConsentInvalid);
    }
    if ask.until.is_some_and(|until| until <= now || until.0 > super::SENT_AT_MAX) {
        return Err(ClientError::ConsentInvalid);
    }
    let message = messages::message(tx, thread, ask.target, now)?
        .filter(|message| message.kind == MessageKind::Text)
        .ok_or(ClientError::UnknownMessage)?;
    if message.author.is_none() {
        return Err(ClientError::OwnMessage);
    }
    let head = own_head(thread, with, 0, 0, now, rng);
    let consent = Consent {
        id: ConsentId::from_bytes(*head.id.as_bytes()),
        thread,
        with,
        asker: None,
        asked: message.author,
        message: ask.target,
        hash: hash_of(ask.target, &message.text),
        audience: ask.audience,
        purpose: ask.purpose,
        until: ask.until,
        state: ConsentState::Asked,
    };
    store(tx, &consent)?;
    let body = Body::ConsentAsked(ConsentAsked {
        target: consent.message.as_bytes().to_vec(),
        hash: consent.hash.to_vec(),
        audience: consent.audience.clone(),
        purpose: consent.purpose.clone(),
        until_ms: consent.until.map_or(0, |until| until.0),
    });
    line(tx, &head, &consent, rng)?;
    say(tx, &head, 0, Vec::new(), body, rng)?;
    Ok(consent.id)
}

/// Answers what somebody asked about a message of this side, or takes a yes back. Gives the content that tells it.
pub(crate) fn decide(
    tx: &Connection,
    id: ConsentId,
    decision: ConsentState,
    now: UnixMillis,
    rng: &mut (impl CryptoRng + ?Sized),
) -> Result<MessageId, ClientError> {
    let consent = own_consent(tx, id, |consent| consent.asked.is_none())?;
    let with = check_may_say(tx, consent.thread)?;
    match (consent.state, decision) {
        (ConsentState::Asked, ConsentState::Refused)
        | (ConsentState::Given, ConsentState::Withdrawn) => {}
        (ConsentState::Asked, ConsentState::Given) => {
            let is_over = consent.until.is_some_and(|until| until <= now);
            if is_over || words_of(tx, &consent, now)?.is_none() {
                return Err(ClientError::ConsentOutdated);
            }
        }
        _ => return Err(ClientError::ConsentDecided),
    }
    let key = signing_key(tx, consent.thread, rng)?;
    let order = next_order(tx, consent.thread, now)?;
    let head = own_head(consent.thread, with, order, 0, now, rng);
    let answered = ConsentAnswered {
        id: id.as_bytes().to_vec(),
        decision: decision.number(),
        public_key: key.verifying_key().to_bytes().to_vec(),
        signature: key.sign(&statement(&consent, decision)).to_bytes().to_vec(),
    };
    set_state(tx, &consent, order, &answered)?;
    let consent = Consent { state: decision, ..consent };
    line(tx, &head, &consent, rng)?;
    say(tx, &head, 0, Vec::new(), Body::ConsentAnswered(answered), rng)?;
    Ok(head.id)
}

/// The key with which this side signs in a conversation, made when it is first needed.
fn signing_key(
    tx: &Connection,
    thread: ThreadId,
    rng: &mut (impl CryptoRng + ?Sized),
) -> Result<SigningKey, VaultError> {
    let stored: Option<Vec<u8>> = tx
        .prepare_cached("SELECT signing_key FROM thread WHERE id = ?1")?
        .query_row([&thread.as_bytes()[..]], |row| row.get(0))?;
    let mut seed = Zeroizing::new([0; 32]);
    match stored.map(Zeroizing::new) {
        Some(stored) => {
            *seed = stored[..].try_into().map_err(|_| VaultError::damaged_record())?;
        }
        None => {
            rng.fill_bytes(&mut seed[..]);
            tx.prepare_cached("UPDATE thread SET signing_key = ?2 WHERE id = ?1")?
                .execute(params![&thread.as_bytes()[..], &seed[..]])?;
        }
    }
    Ok(SigningKey::from_bytes(&seed))
}

pub(super) fn take_asked(
    tx: &Connection,
    head: &Head,
    asked: ConsentAsked,
    rng: &mut (impl CryptoRng + ?Sized),
) -> Result<Taken, VaultError> {
    let (Some(target), Ok(hash)) =
        (content::message_id(&asked.target), <[u8; 32]>::try_from(&asked.hash[..]))
    else {
        return Ok(Taken::Malformed);
    };
    let is_line = |line: &str| !line.trim().is_empty() && line.len() <= CONSENT_LINE_MAX;
    if !is_line(&asked.audience) || !is_line(&asked.purpose) || asked.until_ms > super::SENT_AT_MAX
    {
        return Ok(Taken::Malformed);
    }
    // A message that this side has not, or not any more, may be its own: the answer looks again.
    let known = messages::known(tx, head.thread, target)?;
    let author = known.and_then(|known| known.author);
    if author.is_some() && author == head.author {
        return Ok(Taken::Malformed);
    }
    let consent = Consent {
        id: ConsentId::from_bytes(*head.id.as_bytes()),
        thread: head.thread,
        with: head.with,
        asker: head.author,
        asked: author,
        message: target,
        hash,
        audience: asked.audience,
        purpose: asked.purpose,
        until: (asked.until_ms > 0).then_some(UnixMillis(asked.until_ms)),
        state: ConsentState::Asked,
    };
    if messages::known(tx, head.thread, head.id)?.is_some() {
        return Ok(Taken::Lines(Vec::new()));
    }
    store(tx, &consent)?;
    line(tx, head, &consent, rng)
}

pub(super) fn take_answered(
    tx: &Connection,
    head: &Head,
    answered: &ConsentAnswered,
    rng: &mut (impl CryptoRng + ?Sized),
) -> Result<Taken, VaultError> {
    let decision = ConsentState::of(answered.decision).filter(|of| *of != ConsentState::Asked);
    let (Some(id), Some(decision)) = (content::message_id(&answered.id), decision) else {
        return Ok(Taken::Malformed);
    };
    let found = find(
        tx,
        "thread = ?1 AND id = ?2",
        params![&head.thread.as_bytes()[..], &id.as_bytes()[..]],
    )?;
    let Some((consent, order)) = found.into_iter().next() else {
        return Ok(Taken::Lines(Vec::new()));
    };
    if consent.asked != head.author {
        return Ok(head.notice(tx, crate::message::Notice::NotTheirs, rng)?.into());
    }
    if !is_signed(tx, head, &consent, decision, answered)? {
        return Ok(Taken::Malformed);
    }
    if head.order <= order {
        return Ok(Taken::Lines(Vec::new()));
    }
    set_state(tx, &consent, head.order, answered)?;
    let consent = Consent { state: decision, ..consent };
    if decision != ConsentState::Given && consent.asker.is_none() {
        withdraw_copies(tx, &consent, head.now, rng)?;
    }
    line(tx, head, &consent, rng)
}

/// Whether an answer is signed by the one key of whoever gives it.
fn is_signed(
    tx: &Connection,
    head: &Head,
    consent: &Consent,
    decision: ConsentState,
    answered: &ConsentAnswered,
) -> Result<bool, VaultError> {
    let (Ok(public_key), Ok(signature)) = (
        <[u8; 32]>::try_from(&answered.public_key[..]),
        <[u8; 64]>::try_from(&answered.signature[..]),
    ) else {
        return Ok(false);
    };
    let Ok(key) = VerifyingKey::from_bytes(&public_key) else { return Ok(false) };
    let signature = Signature::from_bytes(&signature);
    if key.verify_strict(&statement(consent, decision), &signature).is_err() {
        return Ok(false);
    }
    let Some(person) = head.author else { return Ok(false) };
    let (thread, person) = (&head.thread.as_bytes()[..], &person.as_bytes()[..]);
    tx.prepare_cached(
        "INSERT OR IGNORE INTO signer (thread, person, public_key) VALUES (?1, ?2, ?3)",
    )?
    .execute(params![thread, person, &public_key[..]])?;
    Ok(tx
        .prepare_cached("SELECT public_key = ?3 FROM signer WHERE thread = ?1 AND person = ?2")?
        .query_row(params![thread, person, &public_key[..]], |row| row.get(0))?)
}

// --- giving words on ------------------------------------------------------------------------------

/// Whether somebody else's words may be given on under this consent at `now`, and which. Everything that quotes, forwards
/// or exports them asks here.
pub(crate) fn check(
    db: &Connection,
    id: ConsentId,
    now: UnixMillis,
) -> Result<Zeroizing<String>, ClientError> {
    let consent = own_consent(db, id, |consent| consent.asker.is_none())?;
    let holds =
        consent.state == ConsentState::Given && consent.until.is_none_or(|until| until > now);
    let words = words_of(db, &consent, now)?.filter(|_| holds);
    words.ok_or(ClientError::NotConsented)
}

/// Keeps who got words under a consent, so that a withdrawal reaches them.
pub(crate) fn note_copy(
    tx: &Connection,
    id: ConsentId,
    thread: ThreadId,
    message: MessageId,
) -> Result<(), VaultError> {
    tx.prepare_cached(
        "INSERT OR IGNORE INTO consent_copy (consent, thread, message) VALUES (?1, ?2, ?3)",
    )?
    .execute(params![&id.as_bytes()[..], &thread.as_bytes()[..], &message.as_bytes()[..]])?;
    Ok(())
}

/// Gives the words of a consent on into a conversation.
pub(crate) fn quote(
    tx: &Connection,
    id: ConsentId,
    to: ThreadId,
    now: UnixMillis,
    rng: &mut (impl CryptoRng + ?Sized),
) -> Result<MessageId, ClientError> {
    let words = check(tx, id, now)?;
    let message = say_text(tx, to, &words, None, now, rng)?;
    note_copy(tx, id, to, message)?;
    Ok(message)
}

/// Has every copy deleted that this side gave out, wherever it can still write to.
fn withdraw_copies(
    tx: &Connection,
    consent: &Consent,
    now: UnixMillis,
    rng: &mut (impl CryptoRng + ?Sized),
) -> Result<(), VaultError> {
    let mut statement =
        tx.prepare_cached("SELECT thread, message FROM consent_copy WHERE consent = ?1")?;
    let rows = statement.query_map([&consent.id.as_bytes()[..]], |row| {
        Ok((row.get::<_, Vec<u8>>(0)?, row.get::<_, Vec<u8>>(1)?))
    })?;
    for row in rows.collect::<Result<Vec<_>, _>>()? {
        let (thread, message) =
            (ThreadId::from_bytes(id16(&row.0)?), MessageId::from_bytes(id16(&row.1)?));
        let told = amendments::delete_for_all(tx, thread, message, now, rng);
        // Any other error: deleted or gone already, or nobody who is written to any more.
        if let Err(ClientError::Vault(error)) = told {
            return Err(error);
        }
    }
    Ok(())
}

// --- rows -----------------------------------------------------------------------------------------

fn store(tx: &Connection, consent: &Consent) -> Result<(), VaultError> {
    tx.prepare_cached(
        "INSERT OR IGNORE INTO consent (thread, id, asker, asked, message, hash, audience, purpose, until)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
    )?
    .execute(params![
        &consent.thread.as_bytes()[..],
        &consent.id.as_bytes()[..],
        consent.asker.as_ref().map(|person| &person.as_bytes()[..]),
        consent.asked.as_ref().map(|person| &person.as_bytes()[..]),
        &consent.message.as_bytes()[..],
        &consent.hash[..],
        consent.audience,
        consent.purpose,
        consent.until.map_or(0, |until| until.0)
    ])?;
    Ok(())
}

fn set_state(
    tx: &Connection,
    consent: &Consent,
    order: u64,
    answered: &ConsentAnswered,
) -> Result<(), VaultError> {
    tx.prepare_cached(
        "UPDATE consent SET state = ?3, ord = ?4, public_key = ?5, signature = ?6
         WHERE thread = ?1 AND id = ?2",
    )?
    .execute(params![
        &consent.thread.as_bytes()[..],
        &consent.id.as_bytes()[..],
        answered.decision,
        order,
        answered.public_key,
        answered.signature
    ])?;
    Ok(())
}

/// The line that shows what became of a consent.
fn line(
    tx: &Connection,
    head: &Head,
    consent: &Consent,
    rng: &mut (impl CryptoRng + ?Sized),
) -> Result<Taken, VaultError> {
    let about = MessageId::from_bytes(*consent.id.as_bytes());
    let line = head.line(MessageKind::Consent(consent.state), "", Some(about));
    Ok(messages::insert(tx, &line, head.author.is_none(), rng)?.then_some(line).into())
}

/// All consents, oldest first.
pub(crate) fn consents(db: &Connection) -> Result<Vec<Consent>, VaultError> {
    Ok(find(db, "1", [])?.into_iter().map(|(consent, _)| consent).collect())
}

/// The consent of this id that `is_own` says is meant.
fn own_consent(
    db: &Connection,
    id: ConsentId,
    is_own: impl Fn(&Consent) -> bool,
) -> Result<Consent, ClientError> {
    let found = find(db, "id = ?1", [&id.as_bytes()[..]])?;
    let mut found = found.into_iter().map(|(consent, _)| consent).peekable();
    if found.peek().is_none() {
        return Err(ClientError::UnknownConsent);
    }
    found.find(is_own).ok_or(ClientError::NotYours)
}

fn find(
    db: &Connection,
    condition: &'static str,
    parameters: impl rusqlite::Params,
) -> Result<Vec<(Consent, u64)>, VaultError> {
    let mut statement = db.prepare_cached(&format!(
        "SELECT thread, (SELECT thread.kind FROM thread WHERE thread.id = consent.thread), id, asker, asked,
             message, hash, audience, purpose, until, state, ord
         FROM consent WHERE {condition} ORDER BY seq"
    ))?;
    let mut rows = statement.query(parameters)?;
    let mut all = Vec::new();
    while let Some(row) = rows.next()? {
        all.push(consent_of(row)?);
    }
    Ok(all)
}

fn consent_of(row: &Row<'_>) -> Result<(Consent, u64), VaultError> {
    let id = |at: usize| -> Result<[u8; 16], VaultError> { id16(&row.get::<_, Vec<u8>>(at)?) };
    let person = |at: usize| -> Result<Option<PersonId>, VaultError> {
        let person: Option<Vec<u8>> = row.get(at)?;
        person.map(|person| Ok(PersonId::from_bytes(id16(&person)?))).transpose()
    };
    let hash: Vec<u8> = row.get(6)?;
    let until: u64 = row.get(9)?;
    let consent = Consent {
        thread: ThreadId::from_bytes(id(0)?),
        with: messages::thread_kind(row.get(1)?)?,
        id: ConsentId::from_bytes(id(2)?),
        asker: person(3)?,
        asked: person(4)?,
        message: MessageId::from_bytes(id(5)?),
        hash: hash[..].try_into().map_err(|_| VaultError::damaged_record())?,
        audience: row.get(7)?,
        purpose: row.get(8)?,
        until: (until > 0).then_some(UnixMillis(until)),
        state: ConsentState::of(row.get(10)?).ok_or_else(VaultError::damaged_record)?,
    };
    Ok((consent, row.get(11)?))
}

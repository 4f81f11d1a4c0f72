//! What happens to a blob that came and to a message that is to go, inside one transaction of the vault.
//!
//! A blob is opened, its ratchet state, its plaintext and its hash are stored together, and only then acknowledged. A
//! message becomes exact ciphertext together with the ratchet state that made it, and only then goes out. A kill
//! between any two lines repeats work and nothing else.

use hearken_proto::address::RelayAddress;
use hearken_proto::auth::ObjectSecretKey;
use hearken_proto::payload::Blob;
use hearken_proto::time::UnixMillis;
use prost::Message as _;
use rand_core::CryptoRng;
use rusqlite::Connection;
use zeroize::Zeroizing;

use super::content::Content;
use super::packet::{
    self, FRAGMENT_MAX, FRAGMENTS_MAX, Fragment, Introduction, MailboxCard, Packet,
};
use super::parts::{self, Arrival, GivenUp, Joined, Part};
use super::records::{self, Mailbox, Stage};
use super::thread::{self, Arrived, Taken};
use super::{RELAY_ADDRESS_MAX, messages, outbox};
use crate::contact::ContactId;
use crate::conversation::{PersonId, ThreadId, ThreadKind};
use crate::handshake::Inviter;
use crate::message::{Message, MessageId, MessageKind, MessageState, Notice};
use crate::ratchet::Ratchet;
use crate::vault::VaultError;

/// What some blobs brought.
#[derive(Debug, Default)]
pub(crate) struct Received {
    /// Lines to show, in order.
    pub(crate) messages: Vec<Message>,
    /// The invited person has joined.
    pub(crate) joined: bool,
    /// The way to answer was set.
    pub(crate) outgoing_changed: bool,
    /// Who writes to our mailbox.
    pub(crate) their_sender: Option<[u8; 32]>,
}

/// A blob that opened.
struct Opened {
    body: Zeroizing<Vec<u8>>,
    passed_over: u32,
    late: bool,
}

/// Opens and stores one blob.
pub(crate) fn receive(
    tx: &Connection,
    id: ContactId,
    blob: &Blob,
    now: UnixMillis,
    rng: &mut (impl CryptoRng + ?Sized),
    received: &mut Received,
) -> Result<(), VaultError> {
    let Some(contact) = records::contact(tx, id)? else { return Ok(()) };
    let hash = *blob.put_id().as_bytes();
    if outbox::is_seen(tx, id, &hash)? {
        return Ok(());
    }
    outbox::mark_seen(tx, id, &hash, now.day())?;
    let mut lines = Vec::new();
    match open(tx, id, blob, now, rng, received)? {
        Some(opened) => lines = read(tx, id, &opened, contact.blocked, now, rng, received)?,
        None => {
            records::count_unopened(tx, id, 1)?;
            lines.extend(gap(tx, id, 1, now, rng)?);
        }
    }
    if !contact.blocked {
        received.messages.extend(lines);
    }
    Ok(())
}

/// Takes what a blob said: lines to show, in order.
fn read(
    tx: &Connection,
    id: ContactId,
    opened: &Opened,
    blocked: bool,
    now: UnixMillis,
    rng: &mut (impl CryptoRng + ?Sized),
    received: &mut Received,
) -> Result<Vec<Message>, VaultError> {
    let mut lines = Vec::new();
    let Opened { passed_over, late, .. } = *opened;
    let arrival = Arrival { passed_over, late, today: now.day() };
    // A number that was passed over may be that of a cell that is shown as missing already: one gap, not two.
    let shown = records::take_unopened(tx, id)?;
    if passed_over > shown {
        lines.extend(gap(tx, id, passed_over - shown, now, rng)?);
    }
    let Ok(packet) = Packet::decode(&opened.body[..]) else {
        parts::pass_over(tx, id, None, arrival)?;
        lines.extend(gap(tx, id, 1, now, rng)?);
        return Ok(lines);
    };
    if let Some(introduction) = packet.introduction {
        meet(tx, id, &introduction, rng, received)?;
    }
    let Some(mut fragment) = packet.fragment else {
        parts::pass_over(tx, id, None, arrival)?;
        return Ok(lines);
    };
    let body = Zeroizing::new(core::mem::take(&mut fragment.body));
    let part = part_of(&fragment, &body);
    parts::pass_over(tx, id, part, arrival)?;
    match part {
        None => lines.extend(gap(tx, id, 1, now, rng)?),
        Some(_) if blocked => {}
        Some(part) if part.count > 1 && messages::known(tx, id.into(), part.message)?.is_some() => {
            // Of a text that was given up, what is behind this part is shown as missing and can still be passed over.
            records::count_unopened(tx, id, shown.saturating_sub(passed_over.saturating_add(1)))?;
        }
        Some(part) => {
            lines.extend(join_part(tx, id, part, arrival, now, rng)?);
            for given_up in parts::give_up_many(tx, id)? {
                lines.extend(give_up(tx, &given_up, now, rng)?);
            }
        }
    }
    Ok(lines)
}

/// Opens a blob and stores the state that it leaves; `None` where it cannot be opened, and then nothing changes.
fn open(
    tx: &Connection,
    id: ContactId,
    blob: &Blob,
    now: UnixMillis,
    rng: &mut (impl CryptoRng + ?Sized),
    received: &mut Received,
) -> Result<Option<Opened>, VaultError> {
    if let Some(state) = records::contact_secret(tx, id, "ratchet")? {
        let mut ratchet = Ratchet::from_bytes(&state).map_err(|_| VaultError::damaged_record())?;
        let Ok(opened) = ratchet.decrypt(rng, now.day(), blob.as_bytes()) else {
            #[cfg(hearken_planted)]
            if hearken_proto::planted::is("state-before-aead") {
                records::set_contact(tx, id, "ratchet", ratchet.to_bytes().to_vec())?;
            }
            return Ok(None);
        };
        records::set_contact(tx, id, "ratchet", ratchet.to_bytes().to_vec())?;
        // What was needed only until the other side had answered.
        let answered = ratchet.is_answered() && !opened.initial;
        if answered && records::outgoing(tx, id)?.is_some_and(|outgoing| outgoing.claimed) {
            records::forget_claim_key(tx, id)?;
        }
        return Ok(Some(Opened {
            body: opened.body,
            passed_over: opened.passed_over,
            late: opened.late,
        }));
    }
    let Some(state) = records::contact_secret(tx, id, "inviter")? else { return Ok(None) };
    let inviter = Inviter::from_bytes(&state).map_err(|_| VaultError::damaged_record())?;
    let Ok(accepted) = inviter.accept(rng, now.day(), blob.as_bytes()) else { return Ok(None) };
    records::set_contact(tx, id, "ratchet", accepted.ratchet.to_bytes().to_vec())?;
    records::set_contact(tx, id, "safety", accepted.safety.as_bytes().to_vec())?;
    records::set_contact(tx, id, "state", Stage::Joined as i64)?;
    records::set_contact(tx, id, "inviter", None::<Vec<u8>>)?;
    records::set_contact(tx, id, "link", None::<Vec<u8>>)?;
    notice(tx, id, Notice::Joined, now, rng)?;
    received.joined = true;
    let opened = accepted.opened;
    Ok(Some(Opened { body: opened.body, passed_over: opened.passed_over, late: opened.late }))
}

/// Takes what the other side says of itself.
fn meet(
    tx: &Connection,
    id: ContactId,
    introduction: &Introduction,
    rng: &mut (impl CryptoRng + ?Sized),
    received: &mut Received,
) -> Result<(), VaultError> {
    if let Ok(sender) = <[u8; 32]>::try_from(introduction.sender_public_key.as_slice()) {
        records::set_sender(tx, id, &sender)?;
        received.their_sender = Some(sender);
    }
    let Some(card) = &introduction.answer_to else { return Ok(()) };
    if records::outgoing(tx, id)?.is_some() || card.relay.len() > RELAY_ADDRESS_MAX {
        return Ok(());
    }
    let (Ok(relay), Ok(claim)) = (
        card.relay.parse::<RelayAddress>(),
        <[u8; 32]>::try_from(card.claim_secret.as_slice()).map(Zeroizing::new),
    ) else {
        return Ok(());
    };
    let send_key = ObjectSecretKey::generate(rng);
    let claim_key = ObjectSecretKey::from_bytes(&claim);
    records::insert_outgoing(tx, id, &relay, &send_key, &claim_key)?;
    received.outgoing_changed = true;
    let answer =
        Introduction { sender_public_key: send_key.public_key().to_vec(), answer_to: None };
    seal(tx, id, rng, [(Packet { introduction: Some(answer), fragment: None }, None)])
}

/// The joiner's first packet: where to answer, and who writes.
pub(crate) fn introduce(
    tx: &Connection,
    id: ContactId,
    own_mailbox: &RelayAddress,
    claim_key: &ObjectSecretKey,
    send_key: &ObjectSecretKey,
    rng: &mut (impl CryptoRng + ?Sized),
) -> Result<(), VaultError> {
    let introduction = Introduction {
        sender_public_key: send_key.public_key().to_vec(),
        answer_to: Some(MailboxCard {
            relay: own_mailbox.to_string(),
            claim_secret: claim_key.to_bytes().to_vec(),
        }),
    };
    seal(tx, id, rng, [(Packet { introduction: Some(introduction), fragment: None }, None)])
}

/// Says again where to answer, before a message to somebody who has not answered yet: what said it first may have
/// expired unread, or be lost with a relay's past, and nobody could ever answer. Not while that still waits here.
fn introduce_again(
    tx: &Connection,
    id: ContactId,
    rng: &mut (impl CryptoRng + ?Sized),
) -> Result<(), VaultError> {
    let state =
        records::contact_secret(tx, id, "ratchet")?.ok_or_else(VaultError::damaged_record)?;
    let ratchet = Ratchet::from_bytes(&state).map_err(|_| VaultError::damaged_record())?;
    if ratchet.is_answered() || outbox::len(tx, id)? > 0 {
        return Ok(());
    }
    let (Some(incoming), Some(outgoing)) = (records::incoming(tx, id)?, records::outgoing(tx, id)?)
    else {
        return Ok(());
    };
    let own_mailbox = records::mailbox_address(tx, id, Mailbox::Incoming)?;
    let (Some(own_mailbox), Some(claim_key)) = (own_mailbox, &incoming.claim_key) else {
        return Ok(());
    };
    introduce(tx, id, &own_mailbox, claim_key, &outgoing.send_key, rng)
}

/// Turns every message of a contact that waits for keys into ciphertext, where there are keys and nobody is blocked.
pub(crate) fn seal_waiting(
    tx: &Connection,
    id: ContactId,
    rng: &mut (impl CryptoRng + ?Sized),
) -> Result<(), VaultError> {
    let is_blocked = records::contact(tx, id)?.is_none_or(|contact| contact.blocked);
    if is_blocked || records::stage(tx, id)? != Some(Stage::Joined) {
        return Ok(());
    }
    for waiting in outbox::waiting(tx, id.into())? {
        seal_content(tx, id, waiting.message, &waiting.body, true, rng)?;
        outbox::remove_waiting(tx, waiting.seq)?;
    }
    Ok(())
}

/// Turns a content into ciphertext where that can be done at once; `false` where it has to wait.
pub(crate) fn seal_now(
    tx: &Connection,
    id: ContactId,
    message: MessageId,
    content: &[u8],
    rides: bool,
    rng: &mut (impl CryptoRng + ?Sized),
) -> Result<bool, VaultError> {
    if records::stage(tx, id)? != Some(Stage::Joined) || outbox::has_waiting(tx, id.into())? {
        return Ok(false);
    }
    seal_content(tx, id, message, content, rides, rng)?;
    Ok(true)
}

/// Seals a content, with receipts that find room beside it where `rides`.
fn seal_content(
    tx: &Connection,
    id: ContactId,
    message: MessageId,
    content: &[u8],
    rides: bool,
    rng: &mut (impl CryptoRng + ?Sized),
) -> Result<(), VaultError> {
    introduce_again(tx, id, rng)?;
    let mut content = Zeroizing::new(content.to_vec());
    if rides {
        // Around the receipts a tag and a length.
        let room = packet::room_behind(&content).saturating_sub(4);
        let receipts = thread::ride(tx, id.into(), room)?;
        if !receipts.is_empty() {
            // Protobuf behind protobuf is one message with the fields of both.
            content.extend(Content { receipts, ..Content::default() }.encode_to_vec());
        }
    }
    let packets = packet::cut(*message.as_bytes(), &content);
    let last = packets.len() - 1;
    let marked = packets
        .into_iter()
        .enumerate()
        .map(|(index, packet)| (packet, (index == last).then_some(message)));
    seal(tx, id, rng, marked)
}

/// Seals packets into the outbox, with the ratchet state that this leaves.
fn seal(
    tx: &Connection,
    id: ContactId,
    rng: &mut (impl CryptoRng + ?Sized),
    packets: impl IntoIterator<Item = (Packet, Option<MessageId>)>,
) -> Result<(), VaultError> {
    let state =
        records::contact_secret(tx, id, "ratchet")?.ok_or_else(VaultError::damaged_record)?;
    let mut ratchet = Ratchet::from_bytes(&state).map_err(|_| VaultError::damaged_record())?;
    for (packet, message) in packets {
        let body = Zeroizing::new(packet.encode_to_vec());
        let blob = ratchet.encrypt(rng, &body).map_err(|_| VaultError::damaged_record())?;
        outbox::push(tx, id, &blob[..], message)?;
    }
    records::set_contact(tx, id, "ratchet", ratchet.to_bytes().to_vec())
}

/// A part that keeps to the limits.
fn part_of<'a>(fragment: &Fragment, body: &'a [u8]) -> Option<Part<'a>> {
    let Fragment { message, index, count, body: _ } = fragment;
    let holds = (1..=FRAGMENTS_MAX).contains(count) && index < count && body.len() <= FRAGMENT_MAX;
    let message = MessageId::from_bytes(message.as_slice().try_into().ok()?);
    holds.then_some(Part { message, place: *index, count: *count, body })
}

fn join_part(
    tx: &Connection,
    id: ContactId,
    part: Part<'_>,
    arrival: Arrival,
    now: UnixMillis,
    rng: &mut (impl CryptoRng + ?Sized),
) -> Result<Vec<Message>, VaultError> {
    let message = part.message;
    let whole = match parts::add(tx, id, part, arrival, rng)? {
        Joined::Waits => return Ok(Vec::new()),
        Joined::Contradicts => {
            let given_up = GivenUp { contact: id, message, missing: 1 };
            return Ok(give_up(tx, &given_up, now, rng)?.into_iter().collect());
        }
        Joined::Whole(whole) => whole,
    };
    let arrived = Arrived {
        thread: ThreadId::from(id),
        with: ThreadKind::Contact,
        author: PersonId::from(id),
        id: message,
        bytes: &whole,
    };
    Ok(match thread::take(tx, arrived, now, rng)? {
        Taken::Lines(lines) => lines,
        Taken::Malformed => gap(tx, id, 1, now, rng)?.into_iter().collect(),
    })
}

/// Shows what is missing of a text whose parts were dropped, unless it was shown when it was passed over. The line has the
/// text's own id, so that a part that comes later is known for what it is, and nothing is made of it.
fn give_up(
    tx: &Connection,
    given_up: &GivenUp,
    now: UnixMillis,
    rng: &mut (impl CryptoRng + ?Sized),
) -> Result<Option<Message>, VaultError> {
    let GivenUp { contact, message, missing } = *given_up;
    let blocked = records::contact(tx, contact)?.is_none_or(|contact| contact.blocked);
    if blocked || missing == 0 {
        return Ok(None);
    }
    records::count_unopened(tx, contact, missing)?;
    let line = Message { id: message, ..line(contact, MessageKind::Gap { missing }, now, rng) };
    messages::insert(tx, &line, false, rng)?;
    Ok(Some(line))
}

/// Drops what is too old to matter: hashes of blobs that no relay holds, and parts of texts whose rest has not come.
/// Lines to show, in order.
pub(crate) fn sweep(
    tx: &Connection,
    now: UnixMillis,
    rng: &mut (impl CryptoRng + ?Sized),
) -> Result<Vec<Message>, VaultError> {
    outbox::sweep_seen(tx, now.day())?;
    thread::sweep_early(tx, now.day())?;
    messages::sweep(tx, now)?;
    let mut lines = Vec::new();
    for given_up in parts::give_up_old(tx, now.day())? {
        lines.extend(give_up(tx, &given_up, now, rng)?);
    }
    Ok(lines)
}

/// Shows that so many cells are missing. Several in a row are one line, and a blocked contact has none.
fn gap(
    tx: &Connection,
    id: ContactId,
    missing: u32,
    now: UnixMillis,
    rng: &mut (impl CryptoRng + ?Sized),
) -> Result<Option<Message>, VaultError> {
    let blocked = records::contact(tx, id)?.is_none_or(|contact| contact.blocked);
    if blocked || messages::widen_gap(tx, id.into(), missing)? {
        return Ok(None);
    }
    let line = line(id, MessageKind::Gap { missing }, now, rng);
    messages::insert(tx, &line, false, rng)?;
    Ok(Some(line))
}

/// Tells something in a conversation.
pub(crate) fn notice(
    tx: &Connection,
    id: ContactId,
    notice: Notice,
    now: UnixMillis,
    rng: &mut (impl CryptoRng + ?Sized),
) -> Result<(), VaultError> {
    let line = line(id, MessageKind::Notice(notice), now, rng);
    messages::insert(tx, &line, false, rng)?;
    Ok(())
}

fn line(
    contact: ContactId,
    kind: MessageKind,
    now: UnixMillis,
    rng: &mut (impl CryptoRng + ?Sized),
) -> Message {
    let mut id = [0; 16];
    rng.fill_bytes(&mut id);
    Message {
        id: MessageId::from_bytes(id),
        thread: ThreadId::from(contact),
        with: ThreadKind::Contact,
        author: Some(PersonId::from(contact)),
        kind,
        text: String::new(),
        target: None,
        order: 0,
        edited: false,
        file: None,
        expires_at: None,
        reactions: Vec::new(),
        sent_at: now,
        received_at: Some(now),
        state: MessageState::Received,
    }
}

#[cfg(test)]
#[path = "conversation_tests.rs"]
mod tests;

//! What happens to a blob that came and to a message that is to go, inside one transaction of the vault.
//!
//! A blob is opened, its ratchet state, its plaintext and its hash are stored together, and only then acknowledged. A
//! message becomes exact ciphertext together with the ratchet state that made it, and only then goes out. A kill
//! between any two lines repeats work and nothing else.

use hearken_proto::address::RelayAddress;
use hearken_proto::auth::ObjectSecretKey;
use hearken_proto::limits::TEXT_MAX;
use hearken_proto::payload::Blob;
use hearken_proto::time::UnixMillis;
use prost::Message as _;
use rand_core::CryptoRng;
use rusqlite::Connection;
use zeroize::Zeroizing;

use super::packet::{
    Content, FRAGMENT_MAX, FRAGMENTS_MAX, Fragment, Introduction, MailboxCard, Packet, Text,
};
use super::records::{self, Mailbox, Stage};
use super::{RELAY_ADDRESS_MAX, messages};
use crate::contact::ContactId;
use crate::handshake::Inviter;
use crate::message::{Message, MessageId, MessageKind, MessageState, Notice};
use crate::ratchet::Ratchet;
use crate::vault::VaultError;

/// The last moment that a calendar writes in four digits, 9999-12-31T23:59:59.999Z: a writer's clock may say anything.
const SENT_AT_MAX: u64 = 253_402_300_799_999;

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
    if messages::is_seen(tx, id, &hash)? {
        return Ok(());
    }
    messages::mark_seen(tx, id, &hash, now.day())?;
    let mut lines = Vec::new();
    match open(tx, id, blob, now, rng, received)? {
        Some(opened) => {
            // A number that was passed over may be that of a blob that came and could not be opened: one gap, not two.
            let passed_over = opened.passed_over.saturating_sub(records::take_unopened(tx, id)?);
            if passed_over > 0 {
                lines.extend(gap(tx, id, passed_over, now, rng)?);
            }
            match Packet::decode(&opened.body[..]) {
                Ok(packet) => {
                    if let Some(introduction) = packet.introduction {
                        meet(tx, id, &introduction, rng, received)?;
                    }
                    if let Some(fragment) = packet.fragment {
                        lines.extend(join_fragment(tx, id, fragment, contact.blocked, now, rng)?);
                    }
                }
                Err(_) => lines.extend(gap(tx, id, 1, now, rng)?),
            }
        }
        None => {
            records::count_unopened(tx, id)?;
            lines.extend(gap(tx, id, 1, now, rng)?);
        }
    }
    if !contact.blocked {
        received.messages.extend(lines);
    }
    Ok(())
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
        return Ok(Some(Opened { body: opened.body, passed_over: opened.passed_over }));
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
    Ok(Some(Opened { body: accepted.opened.body, passed_over: accepted.opened.passed_over }))
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
    if ratchet.is_answered() || messages::outbox_len(tx, id)? > 0 {
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
    for message in messages::unsealed(tx, id)? {
        introduce_again(tx, id, rng)?;
        let content = Content {
            sent_at_ms: message.sent_at.0,
            text: Some(Text { text: message.text.clone() }),
        };
        let packets = content.into_packets(*message.id.as_bytes());
        let last = packets.len() - 1;
        let marked = packets
            .into_iter()
            .enumerate()
            .map(|(index, packet)| (packet, (index == last).then_some(message.id)));
        seal(tx, id, rng, marked)?;
        messages::mark_sealed(tx, id, message.id)?;
    }
    Ok(())
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
        messages::push_outbox(tx, id, &blob[..], message)?;
    }
    records::set_contact(tx, id, "ratchet", ratchet.to_bytes().to_vec())
}

fn join_fragment(
    tx: &Connection,
    id: ContactId,
    fragment: Fragment,
    blocked: bool,
    now: UnixMillis,
    rng: &mut (impl CryptoRng + ?Sized),
) -> Result<Option<Message>, VaultError> {
    let holds = (1..=FRAGMENTS_MAX).contains(&fragment.count)
        && fragment.index < fragment.count
        && fragment.body.len() <= FRAGMENT_MAX;
    let message = <[u8; 16]>::try_from(fragment.message.as_slice());
    let (true, Ok(message)) = (holds, message) else { return gap(tx, id, 1, now, rng) };
    if blocked {
        return Ok(None);
    }
    let message = MessageId::from_bytes(message);
    let body = Zeroizing::new(fragment.body);
    let whole =
        messages::add_fragment(tx, id, message, fragment.index, fragment.count, &body, now.day())?;
    let Some(whole) = whole else { return Ok(None) };
    let content = Content::decode(&whole[..]).ok();
    let text = content.as_ref().and_then(|content| content.text.as_ref());
    let (Some(content), Some(text)) = (&content, text) else { return gap(tx, id, 1, now, rng) };
    if text.text.is_empty() || text.text.len() > TEXT_MAX {
        return gap(tx, id, 1, now, rng);
    }
    let message = Message {
        id: message,
        contact: id,
        from_me: false,
        kind: MessageKind::Text,
        text: text.text.clone(),
        sent_at: UnixMillis(content.sent_at_ms.min(SENT_AT_MAX)),
        received_at: Some(now),
        state: MessageState::Received,
    };
    Ok(messages::insert(tx, &message, true, false)?.then_some(message))
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
    if blocked || messages::widen_gap(tx, id, missing)? {
        return Ok(None);
    }
    let line = line(id, MessageKind::Gap { missing }, now, rng);
    messages::insert(tx, &line, true, false)?;
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
    messages::insert(tx, &line, true, false)?;
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
        contact,
        from_me: false,
        kind,
        text: String::new(),
        sent_at: now,
        received_at: Some(now),
        state: MessageState::Received,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use hearken_proto::time::UnixHour;
    use rand_chacha::ChaCha20Rng;
    use rand_core::SeedableRng;

    use super::*;
    use crate::handshake;
    use crate::sync::MIGRATIONS;
    use crate::sync::records::NewContact;
    use crate::vault::Vault;

    const NOW: UnixMillis = UnixMillis(1_800_000_000_000);

    /// An inviter's vault, and the ratchet of somebody who has joined.
    struct Pair {
        vault: Vault,
        joiner: Ratchet,
        contact: ContactId,
        rng: ChaCha20Rng,
    }

    impl Pair {
        fn new() -> Self {
            let mut rng = ChaCha20Rng::seed_from_u64(1);
            let mut vault = Vault::open_in_memory(MIGRATIONS).unwrap();
            let contact = ContactId::from_bytes([1; 16]);
            let inviter = Inviter::create(&mut rng, "relay", &[2; 32], UnixHour(u32::MAX)).unwrap();
            let joined = handshake::join(&mut rng, inviter.link_secret(), inviter.card()).unwrap();
            vault
                .transaction(|tx| {
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
                })
                .unwrap();
            Self { vault, joiner: joined.ratchet, contact, rng }
        }

        fn says(&mut self, message: u8, sent_at_ms: u64, text: &str) -> Blob {
            let content = Content { sent_at_ms, text: Some(Text { text: text.to_owned() }) };
            let packet = content.into_packets([message; 16]).remove(0);
            Blob::new(self.joiner.encrypt(&mut self.rng, &packet.encode_to_vec()).unwrap())
        }

        fn receive(&mut self, blob: &Blob) -> Vec<Message> {
            let (contact, rng) = (self.contact, &mut self.rng);
            let received = self.vault.transaction(|tx| {
                let mut received = Received::default();
                receive(tx, contact, blob, NOW, rng, &mut received)?;
                Ok::<_, VaultError>(received)
            });
            received.unwrap().messages
        }

        fn missing(&self) -> u32 {
            let lines = messages::history(self.vault.database(), self.contact, 100).unwrap();
            let missing = lines.iter().map(|line| match line.kind {
                MessageKind::Gap { missing } => missing,
                _ => 0,
            });
            missing.sum()
        }
    }

    #[test]
    fn a_writers_clock_may_say_anything() {
        let mut pair = Pair::new();
        let blob = pair.says(1, u64::MAX, "from the end of time");
        let messages = pair.receive(&blob);
        assert_eq!(messages[0].text(), "from the end of time");
        assert_eq!(messages[0].sent_at(), UnixMillis(SENT_AT_MAX));
    }

    #[test]
    fn a_blob_that_comes_again_changes_nothing() {
        let mut pair = Pair::new();
        let blob = pair.says(1, 1, "once");
        assert_eq!(pair.receive(&blob).len(), 1);
        assert!(pair.receive(&blob).is_empty());
        assert_eq!(pair.missing(), 0);
        // A message sealed again after a rollback of its writer has the same id: it is shown once.
        let again = pair.says(1, 1, "once");
        assert!(pair.receive(&again).is_empty());
    }

    #[test]
    fn what_cannot_be_opened_is_one_gap_and_what_comes_after_is_read() {
        let mut pair = Pair::new();
        let (first, lost, next) =
            (pair.says(1, 1, "first"), pair.says(2, 2, "lost"), pair.says(3, 3, "next"));
        pair.receive(&first);
        let mut garbled = *lost.as_bytes();
        garbled[2_000] ^= 1;
        pair.receive(&Blob::new(Box::new(garbled)));
        assert_eq!(pair.missing(), 1);
        assert_eq!(pair.receive(&next)[0].text(), "next");
        assert_eq!(pair.missing(), 1, "the number passed over is the one that was garbled");
        let (dropped, after) = (pair.says(4, 4, "dropped"), pair.says(5, 5, "after"));
        drop(dropped);
        pair.receive(&after);
        assert_eq!(pair.missing(), 2);
    }

    #[test]
    fn a_gap_that_becomes_wider_while_it_is_shown_is_shown_again() {
        let mut pair = Pair::new();
        let (first, lost) =
            (pair.says(1, 1, "first"), [pair.says(2, 2, "a"), pair.says(3, 3, "b")]);
        pair.receive(&first);
        let [earlier, later] = lost.map(|blob| {
            let mut garbled = *blob.as_bytes();
            garbled[2_000] ^= 1;
            Blob::new(Box::new(garbled))
        });
        let mark_all = |pair: &mut Pair, shown: &[Message]| {
            let marked = |tx: &rusqlite::Transaction<'_>| {
                shown.iter().try_for_each(|line| messages::mark_shown(tx, line))
            };
            pair.vault.transaction(marked).unwrap();
        };
        let unshown = |pair: &Pair| messages::unshown(pair.vault.database()).unwrap();
        pair.receive(&earlier);
        let shown = unshown(&pair);
        pair.receive(&later);
        mark_all(&mut pair, &shown);
        let left = unshown(&pair);
        assert_eq!(left.len(), 1, "everything else was seen");
        assert_eq!(left[0].kind, MessageKind::Gap { missing: 2 });
        mark_all(&mut pair, &left);
        assert!(unshown(&pair).is_empty());
    }

    #[test]
    fn a_blocked_contact_is_dropped_unseen() {
        let mut pair = Pair::new();
        let (first, second) = (pair.says(1, 1, "first"), pair.says(2, 2, "second"));
        pair.receive(&first);
        let contact = pair.contact;
        pair.vault.transaction(|tx| records::set_contact(tx, contact, "blocked", 1)).unwrap();
        assert!(pair.receive(&second).is_empty());
        let history = messages::history(pair.vault.database(), contact, 100).unwrap();
        assert!(!history.iter().any(|line| line.text() == "second"));
    }

    #[test]
    fn fragments_that_lie_about_themselves_are_gaps() {
        let mut pair = Pair::new();
        for (index, count) in [(0, 0), (1, 1), (0, FRAGMENTS_MAX + 1), (u32::MAX, 2)] {
            let fragment = Fragment { message: vec![1; 16], index, count, body: vec![1] };
            let packet = Packet { introduction: None, fragment: Some(fragment) };
            let body = packet.encode_to_vec();
            let blob = Blob::new(pair.joiner.encrypt(&mut pair.rng, &body).unwrap());
            pair.receive(&blob);
        }
        assert_eq!(pair.missing(), 4);
    }
}

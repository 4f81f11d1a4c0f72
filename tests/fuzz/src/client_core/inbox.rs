//! A vault that receives what a peer with the keys sends: honest messages, packets that lie, headers that lie, copies,
//! gaps, and bytes that nobody sealed.
//!
//! Judged: nothing of it is an error of the vault or a panic; lines are well-formed; parts of messages that never become
//! whole are kept for four messages at most; what the client writes in between opens at the peer.

use std::collections::BTreeSet;

use hearken_client_lib::fuzzing::ratchet::{self, Lie};
use hearken_client_lib::fuzzing::sync::{self, Inbox};
use hearken_client_lib::{MessageKind, VaultError};
use hearken_proto::limits::{BLOB_LEN, TEXT_MAX};
use hearken_proto::payload::Blob;
use hearken_proto::time::{DAY_MS, UnixMillis};
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;

use crate::Choices;

const STEPS_MAX: usize = 64;
/// Messages of which parts are kept at once.
const PARTIAL_MESSAGES_MAX: usize = 4;

/// How a peer lies in a header, if it does.
pub(super) fn any_lie(choices: &mut Choices<'_>) -> Lie {
    let mut lie = Lie { r: [choices.byte(); 32], ..Lie::default() };
    match choices.below(10) {
        place @ 0..=4 => {
            // Small, since a chain that moves on by tens of thousands takes its time, or far beyond any bound.
            let add = u32::from(choices.byte());
            lie.add[place] = if choices.one_in(4) { 0_u32.wrapping_sub(add) } else { add };
        }
        5 => lie.add = [u32::MAX / 2; 5],
        6 => lie.ratchet_key = Some([choices.byte(); 32]),
        7 => lie.length = Some(choices.u16()),
        kind => lie.kem = u8::try_from(kind - 6).unwrap_or(0) + choices.byte() % 2,
    }
    lie
}

/// Runs what the choices say a peer sends.
pub(crate) fn hostile_peer(input: &[u8]) {
    let mut choices = Choices::new(input);
    let mut rng = ChaCha20Rng::from_seed([1; 32]);
    let (mut inbox, mut peer) = Inbox::new(&mut rng).expect("a vault in memory");
    let mut now = UnixMillis(20_000 * DAY_MS);
    let mut sent: Vec<Sent> = Vec::new();
    let mut has_lied = false;
    for _ in 0..STEPS_MAX {
        if choices.is_over() {
            break;
        }
        match choices.byte() {
            0..=59 => {
                // A text of its own, so that it must be shown when it has come.
                let number = u8::try_from(sent.len()).unwrap_or(u8::MAX);
                let text = sync::text(now.0, &number.to_string());
                let body = sync::fragment(&[number | 0x80; 16], 0, 1, &text);
                let Ok(blob) = peer.encrypt(&mut rng, &body) else { continue };
                let blob = Blob::new(blob);
                let text = (!has_lied).then(|| number.to_string());
                sent.push(Sent { blob: blob.clone(), text: text.clone(), at: now });
                if !choices.one_in(5) {
                    receive(&mut inbox, &blob, now, &mut rng);
                    must_show(&mut inbox, text.as_deref());
                }
            }
            60..=149 => {
                let body = any_body(&mut choices);
                let sealed = if choices.one_in(4) {
                    has_lied = true;
                    ratchet::forge(&peer, &any_lie(&mut choices), &body)
                } else {
                    peer.encrypt(&mut rng, &body).ok()
                };
                // At times it is lost, or comes later.
                let Some(blob) = sealed.map(Blob::new) else { continue };
                sent.push(Sent { blob: blob.clone(), text: None, at: now });
                if !choices.one_in(5) {
                    receive(&mut inbox, &blob, now, &mut rng);
                }
            }
            150..=189 => {
                let Some(again) = sent.get(choices.below(sent.len())) else { continue };
                let mut bytes = *again.blob.as_bytes();
                if choices.one_in(2) {
                    bytes[usize::from(choices.u16()) % BLOB_LEN] ^= choices.byte();
                }
                let blob = Blob::new(Box::new(bytes));
                receive(&mut inbox, &blob, now, &mut rng);
                // What was passed over is opened for 22 days.
                let in_time = now.since(again.at).as_millis() < u128::from(20 * DAY_MS);
                if !has_lied && in_time && blob == again.blob {
                    must_show(&mut inbox, again.text.as_deref());
                }
            }
            190..=229 => {
                let said = inbox.say("an answer", now, &mut rng).expect("a text is stored");
                for blob in said {
                    if !choices.one_in(4) {
                        let opened = peer.decrypt(&mut rng, now.day(), blob.as_bytes());
                        assert!(opened.is_ok(), "what the client seals opens: {:?}", opened.err());
                    }
                }
            }
            230..=245 => now.0 += DAY_MS * u64::from(choices.byte() % 30),
            _ => {
                receive(&mut inbox, &Blob::new(Box::new([choices.byte(); BLOB_LEN])), now, &mut rng)
            }
        }
        judge(&mut inbox);
    }
}

/// A blob that the peer sealed, with the text that the client must show once it has come.
struct Sent {
    blob: Blob,
    text: Option<String>,
    at: UnixMillis,
}

fn must_show(inbox: &mut Inbox, text: Option<&str>) {
    let Some(text) = text else { return };
    let (lines, _) = inbox.look().expect("a history is read");
    assert!(lines.iter().any(|line| line.text() == text), "an honest message is not shown");
}

fn receive(inbox: &mut Inbox, blob: &Blob, now: UnixMillis, rng: &mut ChaCha20Rng) {
    if let Err(error) = inbox.receive(blob, now, rng) {
        panic!("nothing that a peer sends is an error of the vault: {error}");
    }
    let again = inbox.receive(blob, now, rng).expect("nor if it comes again");
    assert_eq!(again, 0, "a blob that came before brings nothing");
}

fn any_body(choices: &mut Choices<'_>) -> Vec<u8> {
    match choices.byte() {
        0..=79 => {
            let (index, count) = match choices.below(4) {
                0 => (0, 1),
                1 => (u32::from(choices.byte() % 4), 3),
                2 => (choices.byte().into(), choices.byte().into()),
                _ => (u32::MAX - u32::from(choices.byte()), choices.u16().into()),
            };
            let id = [choices.byte() % 12; 16];
            let len = if choices.one_in(8) { 15 } else { 16 };
            let text = sync::text(choices.number(), &String::from_utf8_lossy(choices.bytes(32)));
            sync::fragment(&id[..len], index, count, &text)
        }
        80..=119 => {
            let key = [choices.byte(); 33];
            let len = if choices.one_in(4) { choices.below(34) } else { 32 };
            let places = [
                "hearken://a@b:1",
                "",
                "hearken://aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa@h:1",
            ];
            let place = places[choices.below(3)];
            let answer_to = choices.one_in(2).then_some((place, &key[..32]));
            sync::introduction(&key[..len], answer_to)
        }
        120..=129 => vec![choices.byte(); choices.u16() as usize % 1_162],
        _ => choices.bytes(255).to_vec(),
    }
}

fn judge(inbox: &mut Inbox) {
    let (lines, parts) = inbox.look().expect("a vault that received anything is read");
    assert!(parts <= PARTIAL_MESSAGES_MAX, "{parts} messages in parts");
    let mut shown = BTreeSet::new();
    for line in lines.iter().filter(|line| !line.is_from_me()) {
        assert!(line.text().len() <= TEXT_MAX);
        assert!(line.sent_at().0 <= 253_402_300_799_999, "a time that no calendar writes");
        if line.kind() == MessageKind::Text {
            assert!(shown.insert(line.id()), "a message shown twice");
        }
    }
}

/// A vault of which any value is anything: it answers or says that it is damaged.
pub(crate) fn damaged_records(input: &[u8]) {
    let mut choices = Choices::new(input);
    let mut rng = ChaCha20Rng::from_seed([2; 32]);
    let now = UnixMillis(20_000 * DAY_MS);
    let (mut inbox, mut peer) = Inbox::new(&mut rng).expect("a vault in memory");
    for body in [
        sync::introduction(&[1; 32], None),
        sync::fragment(&[1; 16], 0, 1, &sync::text(now.0, "hello")),
        sync::fragment(&[2; 16], 0, 2, b"half"),
    ] {
        let blob = Blob::new(peer.encrypt(&mut rng, &body).expect("it fits"));
        receive(&mut inbox, &blob, now, &mut rng);
    }
    for _ in 0..4 {
        let (table, column) = (choices.byte().into(), choices.byte().into());
        let damaged = inbox.damage(table, column, choices.bytes(40));
        assert!(!matches!(damaged, Err(VaultError::WrongPassphrase)), "damage is no passphrase");
        let blob = Blob::new(peer.encrypt(&mut rng, b"after").expect("it fits"));
        let _ = inbox.receive(&blob, now, &mut rng);
        let _ = inbox.say("after", now, &mut rng);
        if choices.is_over() {
            return;
        }
    }
}

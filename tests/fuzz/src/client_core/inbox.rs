//! A vault that receives what a peer with the keys sends: honest messages, packets that lie, headers that lie, copies,
//! gaps, and bytes that nobody sealed.
//!
//! Judged: nothing of it is an error of the vault or a panic; lines are well-formed; parts of messages that never become
//! whole are kept for four messages at most; what nobody sealed changes no key; a lie that was refused changes nothing
//! for what is honest, so it is shown, and what the client writes in between opens at the peer. A lie that was taken may
//! harm the conversation of whoever told it: an offer of a KEM key that the peer does not hold is answered to that key,
//! and the peer can open nothing more. Nobody can tell from outside whether a peer holds what it offers.

use std::collections::BTreeSet;

use hearken_client_lib::fuzzing::ratchet::{self, Lie};
use hearken_client_lib::fuzzing::sync::{self, Inbox};
use hearken_client_lib::ratchet::Ratchet;
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
        // A key or a ciphertext that the peer has not, or nothing where it has.
        kind => lie.kem = [2, 3, 1][kind - 8 + usize::from(choices.byte() % 2)],
    }
    lie
}

/// Runs what the choices say a peer sends.
pub(crate) fn hostile_peer(input: &[u8]) {
    let mut choices = Choices::new(input);
    let mut scene = Scene::new();
    for _ in 0..STEPS_MAX {
        if choices.is_over() {
            break;
        }
        match choices.byte() {
            0..=59 => scene.peer_says(&mut choices),
            60..=149 => scene.peer_sends(&mut choices),
            150..=189 => scene.comes_again(&mut choices),
            190..=229 => scene.client_says(&mut choices),
            230..=245 => scene.now.0 += DAY_MS * u64::from(choices.byte() % 30),
            _ => {
                let blob = Blob::new(Box::new([choices.byte(); BLOB_LEN]));
                assert!(!scene.receive(&blob), "what nobody sealed changes keys");
            }
        }
        judge(&mut scene.inbox);
    }
}

/// A client and its peer.
struct Scene {
    inbox: Inbox,
    peer: Ratchet,
    rng: ChaCha20Rng,
    now: UnixMillis,
    sent: Vec<Sent>,
    /// A header that lied was taken: the peer's next honest message has a number that was used, at the least.
    lie_taken: bool,
    /// The lie was a KEM key that the peer does not hold: what the client answers to it the peer cannot open.
    is_spoilt: bool,
}

/// A blob that the peer sealed.
#[derive(Clone)]
struct Sent {
    blob: Blob,
    at: UnixMillis,
    /// What the client must show once it has come.
    text: Option<String>,
    lie: Option<Lie>,
}

impl Scene {
    fn new() -> Self {
        let mut rng = ChaCha20Rng::from_seed([1; 32]);
        let (inbox, peer) = Inbox::new(&mut rng).expect("a vault in memory");
        let now = UnixMillis(20_000 * DAY_MS);
        Self { inbox, peer, rng, now, sent: Vec::new(), lie_taken: false, is_spoilt: false }
    }

    /// An honest message, of a text of its own, so that it must be shown when it has come.
    fn peer_says(&mut self, choices: &mut Choices<'_>) {
        let number = u8::try_from(self.sent.len()).unwrap_or(u8::MAX);
        let text = sync::text(self.now.0, &number.to_string());
        let body = sync::fragment(&[number | 0x80; 16], 0, 1, &text);
        let Ok(blob) = self.peer.encrypt(&mut self.rng, &body) else { return };
        let text = (!self.lie_taken).then(|| number.to_string());
        self.send(Sent { blob: Blob::new(blob), at: self.now, text, lie: None }, choices);
    }

    /// A packet that lies, at times under a header that lies.
    fn peer_sends(&mut self, choices: &mut Choices<'_>) {
        let body = any_body(choices);
        let lie = choices.one_in(4).then(|| any_lie(choices));
        let sealed = match &lie {
            Some(lie) => ratchet::forge(&self.peer, lie, &body),
            None => self.peer.encrypt(&mut self.rng, &body).ok(),
        };
        let Some(blob) = sealed.map(Blob::new) else { return };
        self.send(Sent { blob, at: self.now, text: None, lie }, choices);
    }

    /// At times it is lost, or comes later.
    fn send(&mut self, sent: Sent, choices: &mut Choices<'_>) {
        self.sent.push(sent.clone());
        if !choices.one_in(5) {
            self.receive_sent(&sent);
        }
    }

    fn comes_again(&mut self, choices: &mut Choices<'_>) {
        let Some(again) = self.sent.get(choices.below(self.sent.len())).cloned() else { return };
        let mut bytes = *again.blob.as_bytes();
        if choices.one_in(2) {
            bytes[usize::from(choices.u16()) % BLOB_LEN] ^= choices.byte();
        }
        let blob = Blob::new(Box::new(bytes));
        if blob == again.blob {
            self.receive_sent(&again);
        } else {
            assert!(!self.receive(&blob), "what was changed on its way changes keys");
        }
    }

    fn client_says(&mut self, choices: &mut Choices<'_>) {
        let said = self.inbox.say("an answer", self.now, &mut self.rng).expect("a text is stored");
        for blob in said {
            if !choices.one_in(4) {
                let opened = self.peer.decrypt(&mut self.rng, self.now.day(), blob.as_bytes());
                let holds = opened.is_ok() || self.is_spoilt;
                assert!(holds, "what the client seals opens: {:?}", opened.err());
            }
        }
    }

    fn receive_sent(&mut self, sent: &Sent) {
        let opened = self.receive(&sent.blob);
        if let Some(lie) = sent.lie.filter(|_| opened) {
            self.lie_taken = true;
            self.is_spoilt |= lie.kem == 2;
        }
        // What was passed over is opened for 22 days.
        let in_time = self.now.since(sent.at).as_millis() < u128::from(20 * DAY_MS);
        if let Some(text) = sent.text.as_ref().filter(|_| in_time && !self.lie_taken) {
            let (lines, _) = self.inbox.look().expect("a history is read");
            assert!(lines.iter().any(|line| line.text() == text), "an honest message is not shown");
        }
    }

    /// Whether it was opened, so that keys changed.
    fn receive(&mut self, blob: &Blob) -> bool {
        let before = self.inbox.ratchet().expect("keys are read");
        receive(&mut self.inbox, blob, self.now, &mut self.rng);
        before != self.inbox.ratchet().expect("keys are read")
    }
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

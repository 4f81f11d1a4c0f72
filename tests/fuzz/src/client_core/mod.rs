//! Event sequences for the client's core: its engine, its vault and its router, against relays that answer as they
//! should until the choices say otherwise, and peers that have keys.
//!
//! Judged beside what [`relay`] judges, after every step: it never panics; nothing that comes over a link is an error of
//! the vault; the client comes to rest; what it acknowledged, its vault has; it shows no text that was not sent, and
//! each once.

mod inbox;
mod relay;

pub(super) use inbox::{damaged_records, hostile_peer};

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use hearken_client_lib::fuzzing::{self, sync};
use hearken_client_lib::handshake::{self, InvitationCard, Inviter, LinkSecret};
use hearken_client_lib::ratchet::Ratchet;
use hearken_client_lib::simulation::{
    Action, ClientLink, Finished, InlineClient, LinkEnd, VaultImage,
};
use hearken_client_lib::{ClientError, MessageKind, RouteChoice, VaultError};
use hearken_proto::auth::ObjectSecretKey;
use hearken_proto::cell::{Cell, CloseReason, Kind};
use hearken_proto::ids::ObjectId;
use hearken_proto::limits::{BLOB_LEN, SEALED_LEN};
use hearken_proto::payload::{Blob, Payload};
use hearken_proto::time::{DAY_MS, HOUR_MS, UnixHour, UnixMillis};
use hearken_proto::wire::command::Command as Ask;
use hearken_proto::wire::reply::Reply as Say;
use hearken_proto::wire::{self, Reason};
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;

use self::relay::{Heard, Pushed, Relays};
use crate::Choices;

const STEPS_MAX: usize = 64;

/// Runs the events that the choices name.
pub(super) fn events(input: &[u8]) {
    let mut choices = Choices::new(input);
    let first = choices.byte();
    let choice = if first.is_multiple_of(2) { RouteChoice::Direct } else { RouteChoice::Hop2 };
    let mut driver = Driver::new(choice);
    if first % 4 < 2 {
        driver.follow();
    }
    for _ in 0..STEPS_MAX {
        if choices.is_over() {
            break;
        }
        driver.step(&mut choices);
        driver.judge();
    }
    driver.settle();
    driver.judge();
}

/// Somebody whom the client knows, or who has its invitation.
struct Peer {
    inviter: Option<Inviter>,
    ratchet: Option<Ratchet>,
}

struct Driver {
    client: Option<InlineClient>,
    relays: Relays,
    rng: ChaCha20Rng,
    now: UnixMillis,
    /// Links that were asked for and are not there yet, with the relay that each leads to.
    dialling: BTreeMap<ClientLink, usize>,
    links: BTreeMap<ClientLink, usize>,
    /// Cells on their way to the relays.
    sent: VecDeque<(ClientLink, Cell)>,
    /// Sessions with a command that waits.
    waiting: VecDeque<(ClientLink, u64)>,
    peers: Vec<Peer>,
    said: BTreeSet<String>,
    image: Option<VaultImage>,
}

impl Driver {
    fn new(choice: RouteChoice) -> Self {
        let relays = Relays::new();
        let mut client = InlineClient::new(choice).expect("a vault in memory");
        for keys in &relays.keys {
            client.add_relay(&keys.address()).expect("a relay is added");
        }
        Self {
            client: Some(client),
            relays,
            rng: ChaCha20Rng::from_seed([1; 32]),
            now: UnixMillis(20_000 * DAY_MS + 9 * HOUR_MS),
            dialling: BTreeMap::new(),
            links: BTreeMap::new(),
            sent: VecDeque::new(),
            waiting: VecDeque::new(),
            peers: Vec::new(),
            said: BTreeSet::new(),
            image: None,
        }
    }

    fn step(&mut self, choices: &mut Choices<'_>) {
        match choices.byte() {
            0..=19 => self.invite(choices),
            20..=39 => self.join(choices),
            40..=59 => self.send(choices),
            60..=69 => self.follow(),
            70..=84 => self.dial(choices),
            85..=104 => self.serve(),
            105..=134 => self.lie(choices),
            135..=164 => self.push(choices),
            165..=174 => self.any_cell(choices),
            175..=184 => self.hang_up(choices),
            185..=199 => self.pass(choices),
            200..=207 => self.restart(choices),
            208..=213 => self.meet(),
            214..=216 => self.relays.work = [0, 4, 27][choices.below(3)],
            _ => self.settle(),
        }
        self.pump();
    }

    fn client(&mut self) -> &mut InlineClient {
        self.client.as_mut().expect("a client is there but while it restarts")
    }

    /// Does something with the client. Nothing that came to it may be an error of its vault.
    fn with<T>(
        &mut self,
        what: impl FnOnce(&mut InlineClient, UnixMillis, &mut ChaCha20Rng) -> Result<T, VaultError>,
    ) -> T {
        let client = self.client.as_mut().expect("a client");
        what(client, self.now, &mut self.rng).expect("nothing that comes is an error of the vault")
    }

    fn asked<T>(result: Result<T, ClientError>) -> Option<T> {
        if let Err(ClientError::Vault(error)) = &result {
            panic!("nothing that a person asks is an error of the vault: {error}");
        }
        result.ok()
    }

    /// Carries out what the client asks for, until it rests.
    fn pump(&mut self) {
        for round in 0.. {
            assert!(round < 400 || self.relays.work > 0, "the client does not come to rest");
            if round >= 400 {
                return;
            }
            while let Some(action) = self.client().poll_action() {
                self.act(action);
            }
            while self.client().poll_event().is_some() {}
            while let Some((_, finished)) = self.client().poll_finished() {
                self.finished(finished);
            }
            let now = self.now;
            if self.client().next_timeout().is_none_or(|at| at > now) {
                return;
            }
            self.with(|client, now, rng| client.timeout(now, rng));
        }
    }

    fn act(&mut self, action: Action) {
        match action {
            Action::Connect { link, address } => {
                let keys = &self.relays.keys;
                let relay =
                    keys.iter().position(|keys| keys.fingerprint() == address.fingerprint());
                // Any other address is one that a peer made up.
                self.dialling.insert(link, relay.unwrap_or(0));
                assert!(self.dialling.len() + self.links.len() <= 16, "too many links");
            }
            Action::Transmit { link, cell } => {
                assert!(self.links.contains_key(&link), "a cell onto a link that is not there");
                self.sent.push_back((link, cell));
                assert!(self.sent.len() < 10_000, "no end of cells");
            }
            Action::Disconnect { link } => self.drop_link(link),
        }
    }

    fn drop_link(&mut self, link: ClientLink) {
        self.dialling.remove(&link);
        self.links.remove(&link);
        self.sent.retain(|(of, _)| *of != link);
        self.relays.forget_link(Some(link));
    }

    fn finished(&mut self, finished: Result<Finished, ClientError>) {
        if let Some(Finished::Invited { link, .. }) = Self::asked(finished) {
            // Whoever was handed the link opens its card and joins.
            let Some((secret, hash)) = fuzzing::link_parts(&link) else { panic!("a link is read") };
            let secret = LinkSecret::from_bytes(&secret);
            let write = ObjectSecretKey::from_bytes(&secret.object_write_key());
            let id = *ObjectId::of(&write.public_key()).as_bytes();
            let Some(sealed) = self.relays.objects.get(&id).and_then(|chunks| chunks.first())
            else {
                return;
            };
            let card = InvitationCard::open(&secret, &hash, sealed.as_bytes(), self.now);
            let Ok(card) = card else { return };
            let joined = handshake::join(&mut self.rng, &secret, &card).expect("an honest card");
            self.peers.push(Peer { inviter: None, ratchet: Some(joined.ratchet) });
        }
    }

    fn invite(&mut self, choices: &mut Choices<'_>) {
        let hours = u32::from(choices.byte());
        let client = self.client.as_mut().expect("a client");
        Self::asked(client.invite(hours, self.now, &mut self.rng));
    }

    /// Joins an invitation of somebody else's, or what looks like one.
    fn join(&mut self, choices: &mut Choices<'_>) {
        let place = self.relays.keys[choices.below(2)].address();
        let (claim, expires) = ([choices.byte(); 32], UnixHour(self.now.hour().0 + 40));
        let inviter = Inviter::create(&mut self.rng, &place.to_string(), &claim, expires);
        let inviter = inviter.expect("an address that fits");
        let secret = inviter.link_secret();
        let write = ObjectSecretKey::from_bytes(&secret.object_write_key());
        let sealed = inviter.card().seal(secret);
        let places = place.to_string();
        let places = places.split_once('@').map_or("", |(_, places)| places);
        let body = [
            &[1][..],
            secret.as_bytes(),
            &inviter.card().hash(),
            &expires.0.to_be_bytes(),
            place.fingerprint().as_bytes(),
            places.as_bytes(),
        ]
        .concat();
        let link = fuzzing::link_of(&body);
        let id = *ObjectId::of(&write.public_key()).as_bytes();
        if !choices.one_in(8) {
            self.relays.objects.insert(id, vec![Blob::new(sealed)]);
        }
        self.peers.push(Peer { inviter: Some(inviter), ratchet: None });
        let client = self.client.as_mut().expect("a client");
        Self::asked(client.join(&link, self.now, &mut self.rng));
    }

    fn send(&mut self, choices: &mut Choices<'_>) {
        let contacts = self.client().contacts().expect("contacts are read");
        if let Some(contact) = contacts.get(choices.below(contacts.len())) {
            let text = "x".repeat(usize::from(choices.byte()) * 20);
            let client = self.client.as_mut().expect("a client");
            Self::asked(client.send_text(contact.id(), &text, self.now, &mut self.rng));
        }
    }

    fn follow(&mut self) {
        self.with(|client, now, rng| client.begin_follow(now, rng));
    }

    fn dial(&mut self, choices: &mut Choices<'_>) {
        let index = choices.below(self.dialling.len());
        let Some(link) = self.dialling.keys().nth(index).copied() else { return };
        let Some(relay) = self.dialling.remove(&link) else { return };
        match choices.below(6) {
            0 => self.with(|c, now, rng| c.disconnected(link, LinkEnd::Unreachable, now, rng)),
            1 => self.with(|c, now, rng| c.disconnected(link, LinkEnd::OtherKey, now, rng)),
            _ => {
                self.links.insert(link, relay);
                self.with(|client, now, rng| client.connected(link, now, rng));
            }
        }
    }

    fn give(&mut self, link: ClientLink, cells: Vec<Cell>) {
        if self.links.contains_key(&link) && !cells.is_empty() {
            self.with(|client, now, rng| client.cells(link, cells, now, rng));
            self.note_stored(link);
        }
    }

    /// What came over a link is stored as soon as the client has taken it, or never.
    fn note_stored(&mut self, link: ClientLink) {
        let contacts = self.client().contacts().expect("contacts are read");
        let client = self.client.as_mut().expect("a client");
        let sessions = self.relays.sessions.iter_mut().filter(|((of, _), _)| *of == link);
        for pushed in sessions.flat_map(|(_, session)| &mut session.pushed) {
            let mut has = |id| client.has_seen(id, &pushed.blob).expect("a vault is read");
            pushed.is_stored = pushed.is_stored || contacts.iter().any(|c| has(c.id()));
        }
    }

    /// A relay takes a cell that waits, and answers where that needs no choice. `false` where none waits.
    fn hear(&mut self) -> bool {
        let Some((link, cell)) = self.sent.pop_front() else { return false };
        let Some(relay) = self.links.get(&link).copied() else { return true };
        match self.relays.hear(link, relay, cell, self.now, &mut self.rng) {
            Heard::Nothing => {}
            Heard::Answer(cell) => self.give(link, vec![cell]),
            Heard::Command(at) => {
                self.judge_acknowledgement(at);
                self.waiting.push_back(at);
            }
        }
        true
    }

    /// What a client acknowledges, its vault has.
    fn judge_acknowledgement(&mut self, at: (ClientLink, u64)) {
        let Some(session) = self.relays.sessions.get_mut(&at) else { return };
        let Some((command, _)) = session.commands.back() else { return };
        let Some(Ask::Ack(ack)) = command.command else { return };
        let is_stored = |pushed: &Pushed| pushed.is_stored || pushed.position > ack.cursor;
        assert!(session.pushed.iter().all(is_stored), "acknowledged and not stored");
        session.pushed.retain(|pushed| pushed.position > ack.cursor);
    }

    /// A relay takes what waits and answers the oldest command.
    fn serve(&mut self) {
        for _ in 0..8 {
            if !self.hear() {
                break;
            }
        }
        if let Some(at) = self.waiting.pop_front() {
            let cells = self.relays.answer(at, &mut self.rng);
            self.give(at.0, cells);
        }
    }

    /// All that is dialled is reached, and all that waits is answered, as often as it takes.
    fn settle(&mut self) {
        for _ in 0..60 {
            self.pump();
            let idle = self.dialling.is_empty() && self.sent.is_empty() && self.waiting.is_empty();
            if idle {
                return;
            }
            while let Some((link, relay)) = self.dialling.pop_first() {
                self.links.insert(link, relay);
                self.with(|client, now, rng| client.connected(link, now, rng));
            }
            while self.hear() {}
            while let Some(at) = self.waiting.pop_front() {
                let cells = self.relays.answer(at, &mut self.rng);
                self.give(at.0, cells);
            }
        }
    }

    /// The oldest command is answered by something else, or something is said that answers nothing.
    fn lie(&mut self, choices: &mut Choices<'_>) {
        while self.hear() {}
        let index = choices.below(self.relays.sessions.len());
        let any = self.relays.sessions.keys().nth(index).copied();
        let at = if choices.one_in(3) { any } else { self.waiting.pop_front().or(any) };
        let Some(at) = at else { return };
        if choices.one_in(8) {
            let reasons = [
                CloseReason::Done,
                CloseReason::Refused,
                CloseReason::Unreachable,
                CloseReason::OtherKey,
                CloseReason::Busy,
                CloseReason::UnknownEpoch,
            ];
            let cell = self.relays.close(at, reasons[choices.below(6)], &mut self.rng);
            return self.give(at.0, cell.into_iter().collect());
        }
        let Some(session) = self.relays.sessions.get_mut(&at) else { return };
        session.commands.pop_front();
        let mut cells = Vec::new();
        for _ in 0..=choices.byte() % 20 {
            let payload = match choices.below(12) {
                11 => Some(any_payload(choices)),
                kind => {
                    let (say, blob) = any_reply(kind, choices);
                    relay::payload(say, blob.as_ref())
                }
            };
            let Some(payload) = payload else { continue };
            cells.extend(self.relays.say(at, payload, &mut self.rng));
        }
        self.give(at.0, cells);
    }

    /// Blobs come to a watched mailbox: of a peer, honest or not, again, out of order, or of nobody.
    fn push(&mut self, choices: &mut Choices<'_>) {
        while self.hear() {}
        let watched: Vec<_> =
            self.relays.sessions.iter().filter(|(_, session)| session.watches).collect();
        let Some(at) = watched.get(choices.below(watched.len())).map(|(at, _)| **at) else {
            return;
        };
        let mut cells = Vec::new();
        for _ in 0..=choices.byte() % 4 {
            let blob = self.any_blob(choices);
            let told = self.relays.told(at);
            let position = match choices.byte() {
                0..=199 => told.saturating_add(1 + u64::from(choices.byte() % 2)),
                _ => choices.number(),
            };
            let push = relay::payload(Say::Push(wire::Delivery { position }), Some(&blob));
            let Some(push) = push else { continue };
            cells.extend(self.relays.say(at, push, &mut self.rng));
        }
        self.give(at.0, cells);
    }

    fn any_blob(&mut self, choices: &mut Choices<'_>) -> Blob {
        let index = choices.below(self.peers.len());
        let number = choices.byte();
        let rng = &mut self.rng;
        let sealed =
            self.peers.get_mut(index).and_then(|peer| peer.ratchet.as_mut()).and_then(|ratchet| {
                let text = format!("text {index} {number}");
                let body = match choices.below(6) {
                    0 => sync::introduction(&[number; 32], None),
                    1 => {
                        let place = self.relays.keys[choices.below(2)].address().to_string();
                        sync::introduction(&[number; 32], Some((&place, &[number; 32])))
                    }
                    2 => choices.bytes(64).to_vec(),
                    _ => {
                        self.said.insert(text.clone());
                        sync::fragment(&[number; 16], 0, 1, &sync::text(self.now.0, &text))
                    }
                };
                if choices.one_in(6) {
                    let lie = inbox::any_lie(choices);
                    return fuzzing::ratchet::forge(ratchet, &lie, &body);
                }
                ratchet.encrypt(rng, &body).ok()
            });
        sealed.map_or_else(|| Blob::new(Box::new([number; BLOB_LEN])), Blob::new)
    }

    /// Peers read what the client has put for them, as far as it is theirs.
    fn meet(&mut self) {
        while let Some(blob) = self.relays.puts.pop_front() {
            for peer in &mut self.peers {
                let day = self.now.day();
                if let Some(ratchet) = &mut peer.ratchet {
                    let _ = ratchet.decrypt(&mut self.rng, day, blob.as_bytes());
                } else if let Some(inviter) = &peer.inviter
                    && let Ok(accepted) = inviter.accept(&mut self.rng, day, blob.as_bytes())
                {
                    peer.ratchet = Some(accepted.ratchet);
                }
            }
        }
    }

    /// Any frame on any link, random behind it.
    fn any_cell(&mut self, choices: &mut Choices<'_>) {
        let index = choices.below(self.links.len());
        let Some((link, relay)) = self.links.iter().nth(index).map(|(l, r)| (*l, *r)) else {
            return;
        };
        let kinds = [Kind::Info, Kind::Open, Kind::Data, Kind::Close, Kind::Pad];
        let kind = kinds[choices.below(5)];
        let route = choices.number();
        let cell = match choices.below(3) {
            0 => {
                let off = [0, 10_800_001, -10_800_001, 7_200_000][choices.below(4)];
                let signed = self.relays.keys[relay].info(self.now, self.relays.work, off);
                hearken_proto::info::answer(route, &signed, &mut self.rng).expect("an info fits")
            }
            1 => Cell::close(route, CloseReason::UnknownEpoch, &mut self.rng),
            _ => Cell::new(kind, route, &mut self.rng),
        };
        self.give(link, vec![cell]);
    }

    fn hang_up(&mut self, choices: &mut Choices<'_>) {
        let index = choices.below(self.links.len());
        let Some(link) = self.links.keys().nth(index).copied() else { return };
        self.drop_link(link);
        self.with(|client, now, rng| client.disconnected(link, LinkEnd::Closed, now, rng));
    }

    fn pass(&mut self, choices: &mut Choices<'_>) {
        let ms = [1_000, 11_000, 31_000, 15 * 60_000, HOUR_MS, DAY_MS, 23 * DAY_MS, 0];
        match ms[choices.below(8)] {
            0 => self.now.0 -= HOUR_MS,
            ms => self.now.0 += ms,
        }
        self.with(|client, now, rng| client.timeout(now, rng));
    }

    /// The process ends; at times an older copy of the vault is put back.
    fn restart(&mut self, choices: &mut Choices<'_>) {
        if choices.one_in(4) {
            self.image = Some(self.client().image().expect("a copy"));
            return;
        }
        let Some(client) = self.client.take() else { return };
        let again = match &self.image {
            Some(image) if choices.one_in(4) => client.restart_on(image),
            _ => client.restart(),
        };
        self.client = Some(again.expect("a vault that was closed opens"));
        self.dialling.clear();
        self.links.clear();
        self.sent.clear();
        self.waiting.clear();
        self.relays.forget_link(None);
        self.follow();
    }

    /// What holds after every step.
    fn judge(&mut self) {
        for contact in self.client().contacts().expect("contacts are read") {
            let lines = self.client().history(contact.id()).expect("a history is read");
            let mut shown = BTreeSet::new();
            for line in lines.iter().filter(|line| !line.is_from_me()) {
                if line.kind() == MessageKind::Text {
                    assert!(self.said.contains(line.text()), "a text that nobody sent");
                    assert!(shown.insert(line.id()), "a message shown twice");
                }
            }
        }
    }
}

fn any_reply(kind: usize, choices: &mut Choices<'_>) -> (Say, Option<Blob>) {
    let blob = || Some(Blob::new(Box::new([3; BLOB_LEN])));
    match kind {
        0 => (Say::Opened(wire::Opened {}), None),
        1 | 2 => (Say::Done(wire::Done {}), None),
        3 => (Say::Delivery(wire::Delivery { position: choices.number() }), blob()),
        4 => (Say::Empty(wire::Empty {}), None),
        5 | 6 => {
            let reason = i32::from(choices.byte() % 12);
            let reason = Reason::try_from(reason).map_or(reason, i32::from);
            (Say::Refused(wire::Refused { reason }), None)
        }
        7 => {
            let (index, chunks) = (choices.byte().into(), choices.byte().into());
            (Say::Chunk(wire::ObjectChunkRead { index, chunks }), blob())
        }
        8 | 9 => {
            let watching = wire::Watching {
                claims_refused: u32::try_from(choices.number() % (1 << 32)).unwrap_or(0),
                claimed: choices.one_in(2),
                newest: choices.number(),
            };
            (Say::Watching(watching), None)
        }
        _ => (Say::Push(wire::Delivery { position: choices.number() }), blob()),
    }
}

fn any_payload(choices: &mut Choices<'_>) -> Payload {
    let mut bytes = Box::new([0; SEALED_LEN]);
    let content = choices.bytes(32);
    bytes[2..2 + content.len()].copy_from_slice(content);
    bytes[1] = u8::try_from(content.len()).unwrap_or(0);
    Payload::from_bytes(bytes)
}

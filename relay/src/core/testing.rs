//! Test support: relays run in line, joined by links that deliver at once, and a client that speaks raw cells.

use std::collections::{BTreeMap, VecDeque};

use hearken_proto::auth::ObjectSecretKey;
use hearken_proto::cell::{Cell, CloseReason, Kind};
use hearken_proto::hop::NextHop;
use hearken_proto::info::{self, UnverifiedInfo, VerifiedInfo};
use hearken_proto::limits::BLOB_LEN;
use hearken_proto::payload::{Blob, Payload};
use hearken_proto::seal::{PendingRoute, RouteSeal};
use hearken_proto::time::{DAY_MS, UnixMillis};
use hearken_proto::wire::command::Command as Ask;
use hearken_proto::wire::reply::Reply as Say;
use hearken_proto::wire::{self, Reason, Role};
use rand_chacha::ChaCha20Rng;
use rand_core::{Rng, SeedableRng};

use super::request::id_of;
use super::testing_books::assert_balanced;
use super::{CoreConfig, DialError, DialId, LinkId, Warning};
use crate::simulation::{Event, InlineRelay};

/// Mid-day on some day.
pub(super) const START: UnixMillis = UnixMillis(20_000 * DAY_MS + DAY_MS / 2);

/// A configuration without work, that forwards to anybody.
pub(super) fn config() -> CoreConfig {
    CoreConfig { proof_of_work_bits: 0, allow_private_peers: true, ..CoreConfig::default() }
}

/// Relays and the links between them.
pub(super) struct Net {
    pub(super) relays: Vec<InlineRelay>,
    pub(super) rng: ChaCha20Rng,
    pub(super) now: UnixMillis,
    /// Links closed by a relay.
    pub(super) closed: Vec<(usize, LinkId)>,
    pub(super) warned: Vec<Warning>,
    /// Dials that the test answers itself.
    pub(super) dials: Vec<(usize, DialId, NextHop)>,
    pub(super) answers_dials: bool,
    /// Whether all counts are to be right: not where a test has changed one.
    pub(super) balances: bool,
    wires: BTreeMap<(usize, LinkId), (usize, LinkId)>,
    arrived: BTreeMap<(usize, LinkId), VecDeque<Cell>>,
    next_route: BTreeMap<(usize, LinkId), u64>,
    next_link: u64,
}

impl Net {
    pub(super) fn new(configs: Vec<CoreConfig>) -> Self {
        let mut rng = ChaCha20Rng::seed_from_u64(7);
        let relays = configs
            .into_iter()
            .zip(1..)
            .map(|(config, seed)| InlineRelay::new(config, &[seed; 32], START, &mut rng))
            .collect();
        Self {
            relays,
            rng,
            now: START,
            closed: Vec::new(),
            warned: Vec::new(),
            dials: Vec::new(),
            answers_dials: true,
            balances: true,
            wires: BTreeMap::new(),
            arrived: BTreeMap::new(),
            next_route: BTreeMap::new(),
            next_link: 0,
        }
    }

    pub(super) fn one() -> Self {
        Self::new(vec![config()])
    }

    /// A client dials a relay.
    pub(super) fn link(&mut self, relay: usize) -> LinkId {
        self.next_link += 1;
        let link = LinkId(self.next_link);
        self.relays[relay].link_opened(self.now, link);
        link
    }

    pub(super) fn pass(&mut self, seconds: u64) {
        self.now.0 += seconds * 1_000;
        for relay in &mut self.relays {
            relay.timeout(self.now, &mut self.rng);
        }
        self.settle();
    }

    /// Sends a cell to a relay without working on it.
    pub(super) fn post(&mut self, relay: usize, link: LinkId, cell: Cell) {
        self.relays[relay].cell(self.now, link, cell);
    }

    /// Works until nothing moves.
    pub(super) fn settle(&mut self) {
        loop {
            let mut moved = false;
            for at in 0..self.relays.len() {
                for event in self.relays[at].run(self.now, &mut self.rng) {
                    moved = true;
                    self.deliver(at, event);
                }
            }
            if self.balances {
                self.relays.iter().for_each(|relay| assert_balanced(relay.core()));
            }
            if !moved {
                return;
            }
        }
    }

    pub(super) fn deliver(&mut self, at: usize, event: Event) {
        match event {
            Event::Cell(link, cell) => match self.wires.get(&(at, link)) {
                Some((relay, link)) => self.relays[*relay].cell(self.now, *link, cell),
                None => self.arrived.entry((at, link)).or_default().push_back(cell),
            },
            Event::Closed(link) => {
                self.closed.push((at, link));
                if let Some((relay, other)) = self.wires.remove(&(at, link)) {
                    self.wires.remove(&(relay, other));
                    self.relays[relay].link_closed(self.now, other);
                }
            }
            Event::Dial(dial, hop) if self.answers_dials => {
                let found =
                    self.relays.iter().position(|relay| relay.fingerprint() == hop.fingerprint);
                match found {
                    Some(relay) => {
                        self.connect(at, dial, relay);
                    }
                    None => {
                        self.relays[at].dialled(self.now, dial, Err(DialError::Unreachable));
                    }
                }
            }
            Event::Dial(dial, hop) => self.dials.push((at, dial, hop)),
            Event::Warned(warning) => self.warned.push(warning),
        }
    }

    /// Answers a dial by a link to a relay.
    pub(super) fn connect(&mut self, at: usize, dial: DialId, relay: usize) -> LinkId {
        let theirs = self.link(relay);
        self.next_link += 1;
        let ours = LinkId(self.next_link);
        self.wires.insert((at, ours), (relay, theirs));
        self.wires.insert((relay, theirs), (at, ours));
        self.relays[at].dialled(self.now, dial, Ok(ours));
        ours
    }

    /// The pooled link of an entry.
    pub(super) fn peer_link(&self, relay: usize) -> LinkId {
        // Links of clients have no wire.
        let mut ours = self.wires.keys().filter(|(at, _)| *at == relay);
        ours.next().expect("a peer link").1
    }

    /// Every link that was ever made, at each of its ends.
    pub(super) fn all_links(&self) -> Vec<(usize, LinkId)> {
        let every = (0..=self.next_link).map(LinkId);
        every.flat_map(|link| (0..self.relays.len()).map(move |relay| (relay, link))).collect()
    }

    pub(super) fn arrived(&mut self, relay: usize, link: LinkId) -> Option<Cell> {
        self.arrived.get_mut(&(relay, link))?.pop_front()
    }

    pub(super) fn arrived_len(&self, relay: usize, link: LinkId) -> usize {
        self.arrived.get(&(relay, link)).map_or(0, VecDeque::len)
    }

    pub(super) fn new_route(&mut self, relay: usize, link: LinkId) -> u64 {
        let next = self.next_route.entry((relay, link)).or_insert(1);
        *next += 1;
        *next - 1
    }

    /// Where a relay is, as its peers and clients name it.
    pub(super) fn hop_to(&self, relay: usize) -> NextHop {
        NextHop {
            fingerprint: self.relays[relay].fingerprint(),
            host_port: "relay.example:4433".parse().unwrap(),
        }
    }

    /// What a relay says of itself, asked on a link of its own.
    pub(super) fn info(&mut self, relay: usize) -> VerifiedInfo {
        let link = self.link(relay);
        let cell = info::request(1, &mut self.rng);
        self.post(relay, link, cell);
        self.settle();
        let answer = self.arrived(relay, link).expect("an INFO is answered");
        self.relays[relay].link_closed(self.now, link);
        let fingerprint = self.relays[relay].fingerprint();
        UnverifiedInfo::from_answer(&answer).unwrap().verify(&fingerprint, None, self.now).unwrap()
    }

    /// An OPEN for `relay` as it goes onto a link to it.
    pub(super) fn open_cell(&mut self, relay: usize, route: u64) -> (PendingRoute, Cell) {
        let info = self.info(relay);
        let (pending, mut cell) =
            PendingRoute::open(info.context(), info.seal_key(), &mut self.rng).unwrap();
        cell.set_route(route);
        (pending, cell)
    }

    /// Makes a last-hop cell one that goes through `entry` to `relay`.
    pub(super) fn route_through(&mut self, entry: usize, hop: &NextHop, mut cell: Cell) -> Cell {
        let info = self.info(entry);
        let routing = info.hop_key().seal(info.context(), hop, &mut self.rng).unwrap();
        info::set_next_hop(&mut cell, &routing)
    }

    /// A session with a relay over a link of its own.
    pub(super) fn session(&mut self, relay: usize) -> Client {
        let link = self.link(relay);
        self.open(relay, link)
    }

    /// A session with a relay over a link to it.
    pub(super) fn open(&mut self, relay: usize, link: LinkId) -> Client {
        let route = self.new_route(relay, link);
        let info = self.info(relay);
        let (pending, cell) = self.open_cell(relay, route);
        self.post(relay, link, cell);
        self.settle();
        let first = self.arrived(relay, link).expect("an OPEN is answered");
        let (seal, opened) = pending.accept(first).unwrap();
        assert!(matches!(opened.reply().unwrap().0.reply, Some(Say::Opened(_))));
        Client { relay, link, route, seal, info }
    }

    /// A session with a relay over a link to an entry.
    pub(super) fn open_through(&mut self, entry: usize, relay: usize, link: LinkId) -> Client {
        let route = self.new_route(entry, link);
        let info = self.info(relay);
        let (pending, cell) = self.open_cell(relay, route);
        let hop = self.hop_to(relay);
        let cell = self.route_through(entry, &hop, cell);
        self.post(entry, link, cell);
        self.settle();
        let first = self.arrived(entry, link).expect("an OPEN is answered");
        assert_eq!(first.kind(), Kind::Data, "{:?}", first.close_reason());
        let (seal, _) = pending.accept(first).unwrap();
        Client { relay: entry, link, route, seal, info }
    }

    /// Sends a command without working on it.
    pub(super) fn send(
        &mut self,
        client: &mut Client,
        key: Option<(Role, &ObjectSecretKey)>,
        ask: Ask,
        blob: Option<&Blob>,
    ) {
        let auth = key.map(|(role, key)| client.auth(role, key));
        let command = wire::Command { auth, command: Some(ask) };
        let cell = client.seal_command(&command, blob, &mut self.rng);
        self.post(client.relay, client.link, cell);
    }

    /// Sends a command, works, and takes one reply.
    pub(super) fn ask(
        &mut self,
        client: &mut Client,
        key: Option<(Role, &ObjectSecretKey)>,
        ask: Ask,
    ) -> Say {
        self.send(client, key, ask, None);
        self.settle();
        self.reply(client).0
    }

    /// The next reply.
    pub(super) fn reply(&mut self, client: &mut Client) -> (Say, Option<Blob>) {
        let cell = self.arrived(client.relay, client.link).expect("a reply");
        client.open_reply(cell)
    }

    /// The replies that have come, each as it was.
    pub(super) fn replies(&mut self, client: &mut Client) -> Vec<Say> {
        let cells = self.arrived.remove(&(client.relay, client.link)).unwrap_or_default();
        cells.into_iter().map(|cell| client.open_reply(cell).0).collect()
    }

    /// The reason of the CLOSE that has come.
    pub(super) fn close_of(&mut self, client: &Client) -> Option<CloseReason> {
        self.closes(client.relay, client.link, client.route)
    }

    pub(super) fn closes(&mut self, relay: usize, link: LinkId, route: u64) -> Option<CloseReason> {
        let cells = self.arrived.get_mut(&(relay, link))?;
        let at =
            cells.iter().position(|cell| cell.kind() == Kind::Close && cell.route() == route)?;
        cells.remove(at)?.close_reason()
    }

    pub(super) fn key(&mut self) -> ObjectSecretKey {
        ObjectSecretKey::generate(&mut self.rng)
    }

    pub(super) fn blob(&mut self) -> Blob {
        let mut bytes = Box::new([0; BLOB_LEN]);
        self.rng.fill_bytes(&mut bytes[..]);
        Blob::new(bytes)
    }

    /// A mailbox at a relay, with a session of its reader and one of its claimed sender, each over a link of its own.
    pub(super) fn mailbox(&mut self, relay: usize) -> Mailbox {
        let (receive, claim, send) = (self.key(), self.key(), self.key());
        let mut reader = self.session(relay);
        let made = create(&claim.public_key());
        assert_done(&self.ask(&mut reader, Some((Role::Receive, &receive)), made));
        let mut sender = self.session(relay);
        let ask = self::claim(&send.public_key());
        assert_done(&self.ask(&mut sender, Some((Role::Claim, &claim)), ask));
        Mailbox { receive, claim, send, reader, sender, has_put: false }
    }

    /// Puts a blob as the mailbox's sender, without working on it.
    pub(super) fn send_put(&mut self, mailbox: &mut Mailbox, blob: &Blob) {
        let key = (!mailbox.has_put).then_some((Role::Send, &mailbox.send));
        mailbox.has_put = true;
        self.send(&mut mailbox.sender, key, put(blob), Some(blob));
    }

    /// Puts a blob as the mailbox's sender.
    pub(super) fn put(&mut self, mailbox: &mut Mailbox, blob: &Blob) -> Say {
        self.send_put(mailbox, blob);
        self.settle();
        self.reply(&mut mailbox.sender).0
    }

    /// What the reader gets.
    pub(super) fn get(&mut self, mailbox: &mut Mailbox, after: u64, max: u32) -> Vec<(u64, Blob)> {
        self.send(&mut mailbox.reader, None, Ask::Get(wire::Get { after, max }), None);
        self.settle();
        (0..max)
            .filter_map(|_| match self.reply(&mut mailbox.reader) {
                (Say::Delivery(delivery), Some(blob)) => Some((delivery.position, blob)),
                (Say::Empty(_), None) => None,
                (other, _) => panic!("{other:?}"),
            })
            .collect()
    }

    /// The blobs that the reader gets, in their order.
    pub(super) fn waiting(&mut self, mailbox: &mut Mailbox) -> Vec<Blob> {
        self.get(mailbox, 0, 16).into_iter().map(|(_, blob)| blob).collect()
    }
}

/// A mailbox with a session each way.
pub(super) struct Mailbox {
    pub(super) receive: ObjectSecretKey,
    pub(super) claim: ObjectSecretKey,
    pub(super) send: ObjectSecretKey,
    pub(super) reader: Client,
    pub(super) sender: Client,
    pub(super) has_put: bool,
}

/// One session of a client.
pub(super) struct Client {
    /// The relay at the other end of the link: an entry, or the last.
    pub(super) relay: usize,
    pub(super) link: LinkId,
    pub(super) route: u64,
    pub(super) seal: RouteSeal,
    /// Of the last relay.
    pub(super) info: VerifiedInfo,
}

impl Client {
    pub(super) fn auth(&self, role: Role, key: &ObjectSecretKey) -> wire::Auth {
        let public_key = key.public_key();
        let id = id_of(role, &public_key);
        let (info, hash) = (&self.info, self.seal.route_hash());
        let mac = key.prove(role, &id, info.auth_key(), info.context(), hash).unwrap();
        wire::Auth { role: role.into(), public_key: public_key.to_vec(), mac: mac.to_vec() }
    }

    pub(super) fn seal_command(
        &mut self,
        command: &wire::Command,
        blob: Option<&Blob>,
        rng: &mut ChaCha20Rng,
    ) -> Cell {
        let payload = Payload::of_command(command, blob).unwrap();
        self.seal.seal(self.route, payload, rng).unwrap()
    }

    pub(super) fn open_reply(&mut self, cell: Cell) -> (Say, Option<Blob>) {
        assert_eq!(cell.kind(), Kind::Data, "closed: {:?}", cell.close_reason());
        assert_eq!(cell.route(), self.route);
        let (reply, blob) = self.seal.open(cell).unwrap().reply().unwrap();
        (reply.reply.unwrap(), blob)
    }
}

/// Makes a mailbox that whoever has the key may claim.
pub(super) fn create(claim: &[u8; 32]) -> Ask {
    Ask::Create(wire::Create { claim_public_key: claim.to_vec(), ..wire::Create::default() })
}

/// Makes a mailbox for its sender.
pub(super) fn create_for(sender: &[u8; 32]) -> Ask {
    Ask::Create(wire::Create { sender_public_key: sender.to_vec(), ..wire::Create::default() })
}

pub(super) fn claim(sender: &[u8; 32]) -> Ask {
    Ask::Claim(wire::Claim { sender_public_key: sender.to_vec() })
}

/// Deletes a mailbox.
pub(super) fn delete() -> Ask {
    Ask::Delete(wire::Delete { role: Role::Receive.into() })
}

pub(super) fn put(blob: &Blob) -> Ask {
    Ask::Put(wire::Put { put_id: blob.put_id().as_bytes().to_vec() })
}

pub(super) fn ping() -> Ask {
    Ask::Ping(wire::Ping {})
}

pub(super) fn watch(after: u64) -> Ask {
    Ask::Watch(wire::Watch { after, feed: false })
}

pub(super) fn get(after: u64, max: u32) -> Ask {
    Ask::Get(wire::Get { after, max })
}

pub(super) fn ack(cursor: u64) -> Ask {
    Ask::Ack(wire::Ack { cursor, feed: false })
}

#[track_caller]
pub(super) fn assert_done(reply: &Say) {
    assert!(matches!(reply, Say::Done(_)), "{reply:?}");
}

#[track_caller]
pub(super) fn assert_refused(reply: &Say, reason: Reason) {
    assert!(matches!(reply, Say::Refused(refused) if refused.reason() == reason), "{reply:?}");
}

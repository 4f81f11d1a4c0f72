//! Relays for tests, made of the relay's side of `proto`, and a world that carries cells between them and a router.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use ed25519_dalek::SigningKey;
use hearken_proto::address::RelayAddress;
use hearken_proto::auth::{AuthSecretKey, ObjectSecretKey};
use hearken_proto::cell::{Cell, CloseReason, Kind};
use hearken_proto::hop::{HopSecretKey, NextHop};
use hearken_proto::ids::{Fingerprint, RecvId};
use hearken_proto::info;
use hearken_proto::limits::BLOB_LEN;
use hearken_proto::payload::{Blob, Payload};
use hearken_proto::seal::{AcceptedRoute, KeyEpoch, RouteContext, RouteSeal, SealSecretKey};
use hearken_proto::time::UnixMillis;
use hearken_proto::wire::{self, Command, RelayInfo, Reply, Role, command, reply};
use rand_chacha::ChaCha20Rng;
use rand_core::{Rng, SeedableRng};

use super::{CommandId, LinkId, RouteAction, RouteEvent, RoutePlan, Router, SessionId};

pub(super) const START: UnixMillis = UnixMillis(1_800_000_000_000);
pub(super) const MINUTE_MS: u64 = 60_000;

/// A relay with one key epoch, of which a test may change everything.
pub(super) struct ScriptedRelay {
    identity: SigningKey,
    seal: SealSecretKey,
    auth: AuthSecretKey,
    hop: HopSecretKey,
    epoch: KeyEpoch,
    /// Commands as they came, with the route that they came on.
    pub(super) seen: Vec<(u64, Command)>,
    /// Whether proofs hold, as they came.
    pub(super) proofs: Vec<bool>,
    /// Whether commands are answered at once.
    pub(super) answers: bool,
    /// Whether INFO and OPEN are answered.
    pub(super) listens: bool,
    pub(super) forwards: bool,
    pub(super) versions: Vec<u32>,
    /// Added to the time when signing.
    pub(super) clock_off_ms: i64,
    /// What an OPEN or INFO is refused with.
    pub(super) closes: Option<CloseReason>,
    pub(super) infos_asked: usize,
    pub(super) opens_seen: usize,
    pub(super) closes_seen: Vec<u64>,
    sessions: BTreeMap<(LinkId, u64), RouteSeal>,
}

impl ScriptedRelay {
    pub(super) fn new(seed: u8) -> Self {
        let mut rng = ChaCha20Rng::seed_from_u64(u64::from(seed) + 1_000);
        let mut relay = Self {
            identity: SigningKey::from_bytes(&[seed; 32]),
            seal: SealSecretKey::generate(&mut rng).0,
            auth: AuthSecretKey::from_bytes(&[seed; 32]),
            hop: HopSecretKey::from_bytes(&[seed; 32]),
            epoch: KeyEpoch::from_bytes([seed; 8]),
            seen: Vec::new(),
            proofs: Vec::new(),
            answers: true,
            listens: true,
            forwards: true,
            versions: vec![1],
            clock_off_ms: 0,
            closes: None,
            infos_asked: 0,
            opens_seen: 0,
            closes_seen: Vec::new(),
            sessions: BTreeMap::new(),
        };
        relay.rotate(&mut rng);
        relay
    }

    /// New keys; the old ones are destroyed at once, as if two days had passed.
    pub(super) fn rotate(&mut self, rng: &mut ChaCha20Rng) {
        let mut bytes = [0; 32];
        rng.fill_bytes(&mut bytes);
        self.seal = SealSecretKey::generate(rng).0;
        self.auth = AuthSecretKey::from_bytes(&bytes);
        self.hop = HopSecretKey::from_bytes(&bytes);
        self.epoch = KeyEpoch::from_bytes(rng.next_u64().to_be_bytes());
    }

    pub(super) fn fingerprint(&self) -> Fingerprint {
        Fingerprint::of(self.identity.verifying_key().as_bytes())
    }

    pub(super) fn context(&self) -> RouteContext {
        RouteContext { fingerprint: self.fingerprint(), key_epoch: self.epoch }
    }

    pub(super) fn signed_info(&self, now: UnixMillis) -> wire::SignedRelayInfo {
        let signed_at_ms = now.0.checked_add_signed(self.clock_off_ms).unwrap();
        let info = RelayInfo {
            signed_at_ms,
            key_epoch: self.epoch.as_bytes().to_vec(),
            seal_public_key: self.seal.public_key().to_bytes().to_vec(),
            auth_public_key: self.auth.public_key().to_vec(),
            hop_public_key: self.hop.public_key().to_bytes().to_vec(),
            keys_until_ms: signed_at_ms + 1,
            admission: wire::Admission::Open.into(),
            proof_of_work_bits: 8,
            mailbox_blobs_max: 512,
            versions: self.versions.clone(),
            decommission: None,
            forwards: self.forwards,
        };
        info::sign(&info, &self.identity)
    }

    /// What the relay says to a cell for which it is the last hop.
    fn take(
        &mut self,
        link: LinkId,
        cell: Cell,
        now: UnixMillis,
        rng: &mut ChaCha20Rng,
    ) -> Vec<Cell> {
        let route = cell.route();
        match cell.kind() {
            Kind::Info | Kind::Open if !self.listens => vec![],
            Kind::Info | Kind::Open if self.closes.is_some() => {
                vec![Cell::close(route, self.closes.unwrap(), rng)]
            }
            Kind::Info => {
                self.infos_asked += 1;
                vec![info::answer(route, &self.signed_info(now), rng).unwrap()]
            }
            Kind::Open => {
                self.opens_seen += 1;
                let Ok(accepted) = AcceptedRoute::accept(&self.context(), &self.seal, cell, rng)
                else {
                    return vec![Cell::close(route, CloseReason::UnknownEpoch, rng)];
                };
                let opened = reply_of(reply::Reply::Opened(wire::Opened {}));
                let payload = Payload::of_reply(&opened, None).unwrap();
                let (seal, answer) = accepted.answer(route, payload, rng).unwrap();
                self.sessions.insert((link, route), seal);
                vec![answer]
            }
            Kind::Data => {
                let Some(seal) = self.sessions.get_mut(&(link, route)) else { return vec![] };
                let (command, _) = seal.open(cell).unwrap().command().unwrap();
                self.check_proof(link, route, &command);
                self.seen.push((route, command.clone()));
                if self.answers { self.answer(link, route, &command, rng) } else { vec![] }
            }
            Kind::Close => {
                self.sessions.remove(&(link, route));
                self.closes_seen.push(route);
                vec![]
            }
            Kind::Pad => vec![],
        }
    }

    fn check_proof(&mut self, link: LinkId, route: u64, command: &Command) {
        let Some(auth) = &command.auth else { return };
        let public_key: [u8; 32] = auth.public_key.as_slice().try_into().unwrap();
        let holds = self.auth.verify(
            &public_key,
            auth.role(),
            RecvId::of(&public_key).as_bytes(),
            &self.context(),
            self.sessions[&(link, route)].route_hash(),
            &auth.mac,
        );
        self.proofs.push(holds);
    }

    /// The plainest answer that the command can have.
    fn answer(
        &mut self,
        link: LinkId,
        route: u64,
        command: &Command,
        rng: &mut ChaCha20Rng,
    ) -> Vec<Cell> {
        let (reply, cells) = match command.command.as_ref().unwrap() {
            command::Command::Get(get) => (reply::Reply::Empty(wire::Empty {}), get.max),
            command::Command::ObjectGet(get) => (reply::Reply::Empty(wire::Empty {}), get.max),
            command::Command::Watch(_) => (reply::Reply::Watching(wire::Watching::default()), 1),
            _ => (reply::Reply::Done(wire::Done {}), 1),
        };
        (0..cells).map(|_| self.say(link, route, reply, None, rng)).collect()
    }

    /// The session that was opened last, by link and route.
    pub(super) fn newest_session(&self) -> Option<(LinkId, u64)> {
        self.sessions.keys().next_back().copied()
    }

    pub(super) fn say(
        &mut self,
        link: LinkId,
        route: u64,
        reply: reply::Reply,
        blob: Option<&Blob>,
        rng: &mut ChaCha20Rng,
    ) -> Cell {
        let payload = Payload::of_reply(&reply_of(reply), blob).unwrap();
        self.sessions.get_mut(&(link, route)).unwrap().seal(route, payload, rng).unwrap()
    }
}

/// A router, the relays that it may reach, and the time.
pub(super) struct World {
    pub(super) router: Router,
    pub(super) rng: ChaCha20Rng,
    pub(super) now: UnixMillis,
    pub(super) relays: Vec<ScriptedRelay>,
    /// Links that the router wanted, with the relay that each leads to.
    pub(super) links: BTreeMap<LinkId, usize>,
    pub(super) disconnected: BTreeSet<LinkId>,
    /// Cells that the router sent, oldest first.
    pub(super) sent: Vec<(LinkId, Cell)>,
    /// Next hops that an entry was asked for.
    pub(super) hops: Vec<NextHop>,
    /// Whether a wanted link connects at once.
    pub(super) connects: bool,
    forwarded: BTreeMap<(LinkId, u64), usize>,
}

impl World {
    pub(super) fn new() -> Self {
        Self {
            router: Router::new(),
            rng: ChaCha20Rng::seed_from_u64(7),
            now: START,
            relays: vec![ScriptedRelay::new(1), ScriptedRelay::new(2), ScriptedRelay::new(3)],
            links: BTreeMap::new(),
            disconnected: BTreeSet::new(),
            sent: Vec::new(),
            hops: Vec::new(),
            connects: true,
            forwarded: BTreeMap::new(),
        }
    }

    pub(super) fn address(&self, relay: usize) -> RelayAddress {
        let fingerprint = self.relays[relay].fingerprint();
        format!("hearken://{fingerprint}@relay{relay}.example:4100").parse().unwrap()
    }

    pub(super) fn direct(&self, relay: usize) -> RoutePlan {
        RoutePlan { entry: None, relay: self.address(relay) }
    }

    pub(super) fn hop2(&self, entry: usize, relay: usize) -> RoutePlan {
        RoutePlan { entry: Some(self.address(entry)), relay: self.address(relay) }
    }

    pub(super) fn open(&mut self, plan: RoutePlan) -> SessionId {
        self.router.open(self.now, &mut self.rng, plan)
    }

    /// Opens a session, lets everything happen, and expects it to be open.
    pub(super) fn opened(&mut self, plan: RoutePlan) -> SessionId {
        let session = self.open(plan);
        let events = self.run();
        let opened =
            |e: &RouteEvent| matches!(e, RouteEvent::Opened { session: s } if *s == session);
        assert!(events.iter().any(opened), "{events:?}");
        session
    }

    pub(super) fn command(&mut self, session: SessionId, command: command::Command) -> CommandId {
        self.router.command(session, command, None, None).unwrap()
    }

    /// Does what the router asks for and brings it what is said to that, until nothing happens. Returns its events.
    pub(super) fn run(&mut self) -> Vec<RouteEvent> {
        self.router.flush(self.now, &mut self.rng);
        let mut back = VecDeque::new();
        loop {
            while let Some(action) = self.router.poll_action() {
                match action {
                    RouteAction::Connect { link, address } => {
                        let relay = address.fingerprint();
                        let relay = self.relays.iter().position(|r| r.fingerprint() == relay);
                        self.links.insert(link, relay.unwrap());
                        if self.connects {
                            self.router.handle_connected(self.now, &mut self.rng, link);
                        }
                    }
                    RouteAction::Transmit { link, cell } => {
                        self.sent.push((link, cell.clone()));
                        back.extend(self.carry(link, cell).into_iter().map(|cell| (link, cell)));
                    }
                    RouteAction::Disconnect { link } => {
                        assert!(self.disconnected.insert(link), "a link is hung up once");
                    }
                }
            }
            match back.pop_front() {
                Some((link, cell)) => self.deliver(link, cell),
                None => break,
            }
        }
        self.events()
    }

    pub(super) fn events(&mut self) -> Vec<RouteEvent> {
        std::iter::from_fn(|| self.router.poll_event()).collect()
    }

    pub(super) fn deliver(&mut self, link: LinkId, cell: Cell) {
        // Through the bytes, as a carrier does.
        let cell = Cell::parse(cell.as_bytes()).unwrap();
        self.router.handle_cell(self.now, &mut self.rng, link, cell);
    }

    /// Carries a cell to the relay that it is for, and brings back what that one says.
    pub(super) fn carry(&mut self, link: LinkId, mut cell: Cell) -> Vec<Cell> {
        let first = self.links[&link];
        let route = cell.route();
        let mut target = self.forwarded.get(&(link, route)).copied().unwrap_or(first);
        if matches!(cell.kind(), Kind::Open | Kind::Info) && !cell.is_last_hop() {
            let entry = &self.relays[first];
            let Ok(hop) = entry.hop.open(&entry.context(), cell.routing()) else {
                return vec![Cell::close(route, CloseReason::UnknownEpoch, &mut self.rng)];
            };
            let Some(next) = self.relays.iter().position(|r| r.fingerprint() == hop.fingerprint)
            else {
                return vec![Cell::close(route, CloseReason::Unreachable, &mut self.rng)];
            };
            self.hops.push(hop);
            self.forwarded.insert((link, route), next);
            cell.strip_next_hop(&mut self.rng);
            target = next;
        }
        self.relays[target].take(link, cell, self.now, &mut self.rng)
    }

    /// A relay says something in the session that is the only one on `link`.
    pub(super) fn say(&mut self, relay: usize, reply: reply::Reply, blob: Option<&Blob>) -> Cell {
        let (link, route) = self.relays[relay].newest_session().unwrap();
        self.relays[relay].say(link, route, reply, blob, &mut self.rng)
    }

    /// The only link.
    pub(super) fn link(&self) -> LinkId {
        assert_eq!(self.links.len(), 1);
        *self.links.keys().next().unwrap()
    }

    pub(super) fn pass(&mut self, ms: u64) -> Vec<RouteEvent> {
        self.now.0 += ms;
        self.router.handle_timeout(self.now, &mut self.rng);
        self.run()
    }
}

pub(super) fn reply_of(reply: reply::Reply) -> Reply {
    Reply { reply: Some(reply) }
}

pub(super) fn blob(byte: u8) -> Blob {
    Blob::new(Box::new([byte; BLOB_LEN]))
}

pub(super) fn ping() -> command::Command {
    command::Command::Ping(wire::Ping {})
}

pub(super) fn get(max: u32) -> command::Command {
    command::Command::Get(wire::Get { after: 0, max })
}

pub(super) fn put(blob: &Blob) -> command::Command {
    command::Command::Put(wire::Put { put_id: blob.put_id().as_bytes().to_vec() })
}

pub(super) fn watch() -> command::Command {
    command::Command::Watch(wire::Watch { after: 0, feed: false })
}

/// A mailbox reader's or writer's key with the id that scripted relays compute.
pub(super) fn key(seed: u8, role: Role) -> (Role, [u8; 32], Arc<ObjectSecretKey>) {
    let secret = ObjectSecretKey::from_bytes(&[seed; 32]);
    (role, *RecvId::of(&secret.public_key()).as_bytes(), Arc::new(secret))
}

//! A relay of the fuzzer's: it has real keys, so that the client gets deep, and then says what the choices say.
//!
//! Judged of the client: it never has more than 16 answers due in a session, ties one session to one mailbox or object,
//! proves what it commands, and acknowledges only what its vault has.

use std::collections::{BTreeMap, VecDeque};

use ed25519_dalek::SigningKey;
use hearken_client_lib::simulation::ClientLink;
use hearken_proto::address::RelayAddress;
use hearken_proto::auth::AuthSecretKey;
use hearken_proto::cell::{Cell, CloseReason, Kind};
use hearken_proto::hop::HopSecretKey;
use hearken_proto::ids::{ClaimId, FeedId, FeedWriterId, Fingerprint, ObjectId, RecvId, SendId};
use hearken_proto::info;
use hearken_proto::limits::ANSWERS_DUE_MAX;
use hearken_proto::payload::{Blob, Payload};
use hearken_proto::seal::{AcceptedRoute, KeyEpoch, RouteContext, RouteSeal, SealSecretKey};
use hearken_proto::time::UnixMillis;
use hearken_proto::wire::command::Command as Ask;
use hearken_proto::wire::reply::Reply as Say;
use hearken_proto::wire::{self, Command, RelayInfo, Reply, Role, object_put};
use rand_chacha::ChaCha20Rng;

/// One relay's keys.
pub(super) struct RelayKeys {
    identity: SigningKey,
    seal: SealSecretKey,
    auth: AuthSecretKey,
    hop: HopSecretKey,
    epoch: KeyEpoch,
}

impl RelayKeys {
    pub(super) fn new(seed: u8) -> Self {
        Self {
            identity: SigningKey::from_bytes(&[seed; 32]),
            seal: SealSecretKey::from_seed(&[seed; 32]),
            auth: AuthSecretKey::from_bytes(&[seed; 32]),
            hop: HopSecretKey::from_bytes(&[seed; 32]),
            epoch: KeyEpoch::from_bytes([seed; 8]),
        }
    }

    pub(super) fn fingerprint(&self) -> Fingerprint {
        Fingerprint::of(&self.identity.verifying_key().to_bytes())
    }

    pub(super) fn address(&self) -> RelayAddress {
        let address = format!("hearken://{}@relay.example:4433", self.fingerprint());
        address.parse().expect("an address")
    }

    fn context(&self) -> RouteContext {
        RouteContext { fingerprint: self.fingerprint(), key_epoch: self.epoch }
    }

    /// What the relay says of itself, with a wish for work and a time that may be off.
    pub(super) fn info(&self, now: UnixMillis, work: u32, off_ms: i64) -> wire::SignedRelayInfo {
        let content = RelayInfo {
            signed_at_ms: now.0.saturating_add_signed(off_ms),
            key_epoch: self.epoch.as_bytes().to_vec(),
            seal_public_key: self.seal.public_key().to_bytes().to_vec(),
            auth_public_key: self.auth.public_key().to_vec(),
            hop_public_key: self.hop.public_key().to_bytes().to_vec(),
            keys_until_ms: now.0,
            admission: wire::Admission::Open.into(),
            proof_of_work_bits: work,
            mailbox_blobs_max: 512,
            versions: vec![1],
            decommission: None,
            forwards: true,
        };
        info::sign(&content, &self.identity)
    }
}

/// An open session, at the relay's end.
pub(super) struct Session {
    seal: RouteSeal,
    relay: usize,
    /// The keys proven: one, or a claim's and a sender's.
    keys: Vec<(Role, [u8; 32])>,
    /// Answer cells due.
    due: u32,
    /// Commands not answered, oldest first.
    pub(super) commands: VecDeque<(Command, Option<Blob>)>,
    pub(super) watches: bool,
    /// What was pushed and is not acknowledged.
    pub(super) pushed: Vec<Pushed>,
}

/// A blob that the client must have before it acknowledges it.
pub(super) struct Pushed {
    pub(super) position: u64,
    pub(super) blob: Blob,
    /// The client's vault had it once. That a copy of it is told by its hash holds for 22 days only.
    pub(super) is_stored: bool,
}

/// Both relays and their sessions.
pub(super) struct Relays {
    pub(super) keys: [RelayKeys; 2],
    pub(super) sessions: BTreeMap<(ClientLink, u64), Session>,
    /// Objects by id, chunk by chunk.
    pub(super) objects: BTreeMap<[u8; 32], Vec<Blob>>,
    /// The highest position that the client was told of, by the key that reads the mailbox. One mailbox may be read in two
    /// sessions at a time, and the client passes over what does not rise, whichever it comes in.
    told: BTreeMap<[u8; 32], u64>,
    /// Blobs put, oldest first.
    pub(super) puts: VecDeque<Blob>,
    pub(super) work: u32,
}

/// What came of a cell of the client.
pub(super) enum Heard {
    /// Nothing to say.
    Nothing,
    /// An answer that needs no choice.
    Answer(Cell),
    /// A command waits in a session.
    Command((ClientLink, u64)),
}

impl Relays {
    pub(super) fn new() -> Self {
        Self {
            keys: [RelayKeys::new(1), RelayKeys::new(2)],
            sessions: BTreeMap::new(),
            objects: BTreeMap::new(),
            told: BTreeMap::new(),
            puts: VecDeque::new(),
            work: 0,
        }
    }

    /// The links of a client that ended are gone.
    pub(super) fn forget_link(&mut self, link: Option<ClientLink>) {
        self.sessions.retain(|(of, _), _| link.is_some_and(|link| *of != link));
    }

    /// Takes a cell that the client sent to `relay`, which forwards what names a next hop.
    pub(super) fn hear(
        &mut self,
        link: ClientLink,
        relay: usize,
        cell: Cell,
        now: UnixMillis,
        rng: &mut ChaCha20Rng,
    ) -> Heard {
        let route = cell.route();
        match cell.kind() {
            Kind::Info => {
                let signed = self.keys[self.target(relay, &cell)].info(now, self.work, 0);
                Heard::Answer(info::answer(route, &signed, rng).expect("an info fits"))
            }
            Kind::Open => {
                let target = self.target(relay, &cell);
                let keys = &self.keys[target];
                let accepted = AcceptedRoute::accept(&keys.context(), &keys.seal, cell, rng)
                    .expect("the client seals to the keys that it was told");
                let opened = Reply { reply: Some(Say::Opened(wire::Opened {})) };
                let payload = Payload::of_reply(&opened, None).expect("it fits");
                let (seal, answer) = accepted.answer(route, payload, rng).expect("the first cell");
                let session = Session {
                    seal,
                    relay: target,
                    keys: Vec::new(),
                    due: 0,
                    commands: VecDeque::new(),
                    watches: false,
                    pushed: Vec::new(),
                };
                let is_new = self.sessions.insert((link, route), session).is_none();
                assert!(is_new, "a route id used twice on a link");
                Heard::Answer(answer)
            }
            Kind::Data => {
                let Some(session) = self.sessions.get_mut(&(link, route)) else {
                    return Heard::Nothing;
                };
                let payload = session.seal.open(cell).expect("the client seals in order");
                let (command, blob) = payload.command().expect("a command");
                session.judge(&self.keys, &command);
                session.commands.push_back((command, blob));
                Heard::Command((link, route))
            }
            Kind::Close => {
                self.sessions.remove(&(link, route));
                Heard::Nothing
            }
            Kind::Pad => Heard::Nothing,
        }
    }

    /// Which relay a cell is for, that came to `relay`.
    fn target(&self, relay: usize, cell: &Cell) -> usize {
        if cell.is_last_hop() {
            return relay;
        }
        let keys = &self.keys[relay];
        let hop =
            keys.hop.open(&keys.context(), cell.routing()).expect("a hop sealed to the entry");
        assert_ne!(hop.fingerprint, keys.fingerprint(), "an entry is not the mailbox's relay");
        1 - relay
    }

    /// The plainest answer to the oldest command of a session.
    pub(super) fn answer(&mut self, at: (ClientLink, u64), rng: &mut ChaCha20Rng) -> Vec<Cell> {
        let Some(session) = self.sessions.get_mut(&at) else { return Vec::new() };
        let Some((command, blob)) = session.commands.pop_front() else { return Vec::new() };
        let done = || vec![(Say::Done(wire::Done {}), None)];
        let empty = || (Say::Empty(wire::Empty {}), None);
        let answers = match command.command {
            Some(Ask::Get(get)) => (0..get.max).map(|_| empty()).collect(),
            Some(Ask::ObjectGet(get)) => {
                let id = <[u8; 32]>::try_from(&get.object_id[..]).unwrap_or_default();
                let chunks = self.objects.get(&id).cloned().unwrap_or_default();
                let count = u32::try_from(chunks.len()).unwrap_or(0);
                let mut answers: Vec<_> = (get.first..get.first.saturating_add(get.max))
                    .filter_map(|index| Some((index, chunks.get(index as usize)?.clone())))
                    .map(|(index, blob)| {
                        let chunk = wire::ObjectChunkRead { index, chunks: count };
                        (Say::Chunk(chunk), Some(blob))
                    })
                    .collect();
                answers.resize_with(get.max as usize, empty);
                answers
            }
            Some(Ask::Watch(watch)) => {
                session.watches = true;
                if let Some(key) = session.reads() {
                    let told = self.told.entry(key).or_default();
                    *told = watch.after.max(*told);
                }
                let watching = wire::Watching { claimed: true, ..wire::Watching::default() };
                vec![(Say::Watching(watching), None)]
            }
            Some(Ask::Put(_)) => {
                self.puts.extend(blob);
                done()
            }
            Some(Ask::ObjectPut(put)) => {
                if let (Some(object_put::Step::Chunk(_)), Some(blob)) = (put.step, blob)
                    && let Some((_, key)) = session.keys.first()
                {
                    self.objects.entry(*ObjectId::of(key).as_bytes()).or_default().push(blob);
                }
                done()
            }
            _ => done(),
        };
        answers.into_iter().filter_map(|(say, blob)| session.answer(at.1, say, blob, rng)).collect()
    }

    /// The highest position that the client was told of the mailbox that a session reads.
    pub(super) fn told(&self, at: (ClientLink, u64)) -> u64 {
        let key = self.sessions.get(&at).and_then(Session::reads);
        key.and_then(|key| self.told.get(&key)).copied().unwrap_or_default()
    }

    /// Says any bytes in a session, which answer something that is due or not.
    pub(super) fn say(
        &mut self,
        at: (ClientLink, u64),
        payload: Payload,
        rng: &mut ChaCha20Rng,
    ) -> Option<Cell> {
        let session = self.sessions.get_mut(&at)?;
        match payload.reply() {
            Ok((Reply { reply: Some(Say::Push(push)) }, blob)) => {
                let told = session.reads().map(|key| self.told.entry(key).or_default());
                // What does not rise, or what no vault can hold, is passed over by the client and never acknowledged as such.
                if let (Some(told), Some(blob)) = (told, blob)
                    && push.position > *told
                    && i64::try_from(push.position).is_ok()
                {
                    *told = push.position;
                    let pushed = Pushed { position: push.position, blob, is_stored: false };
                    session.pushed.push(pushed);
                }
            }
            // Whatever it is may pass for any number of answers, and the client closes the session or not.
            _ => session.due = session.due.saturating_sub(1),
        }
        session.seal.seal(at.1, payload, rng).ok()
    }

    /// Ends a session at the relay's side.
    pub(super) fn close(
        &mut self,
        at: (ClientLink, u64),
        reason: CloseReason,
        rng: &mut ChaCha20Rng,
    ) -> Option<Cell> {
        self.sessions.remove(&at)?;
        Some(Cell::close(at.1, reason, rng))
    }
}

impl Session {
    /// Holds the client to what it promises of its commands.
    fn judge(&mut self, keys: &[RelayKeys; 2], command: &Command) {
        let cells = match &command.command {
            Some(Ask::Get(get)) => get.max,
            Some(Ask::ObjectGet(get)) => get.max,
            Some(Ask::FeedGet(get)) => get.max,
            _ => 1,
        };
        self.due += cells;
        assert!(self.due <= ANSWERS_DUE_MAX, "{} answers due", self.due);
        let Some(auth) = &command.auth else {
            let needs_none =
                matches!(command.command, Some(Ask::ObjectGet(_) | Ask::Ping(_)) | None);
            assert!(needs_none || !self.keys.is_empty(), "a command without its proof");
            return;
        };
        let role = auth.role();
        let key: [u8; 32] = auth.public_key[..].try_into().expect("32 bytes");
        let id = match role {
            Role::Send => *SendId::of(&key).as_bytes(),
            Role::Claim => *ClaimId::of(&key).as_bytes(),
            Role::Write => *ObjectId::of(&key).as_bytes(),
            Role::FeedRead => *FeedId::of(&key).as_bytes(),
            Role::FeedWrite => *FeedWriterId::of(&key).as_bytes(),
            Role::Receive | Role::Unspecified => *RecvId::of(&key).as_bytes(),
        };
        let relay = &keys[self.relay];
        let hash = self.seal.route_hash();
        assert!(relay.auth.verify(&key, role, &id, &relay.context(), hash, &auth.mac));
        if !self.keys.contains(&(role, key)) {
            self.keys.push((role, key));
        }
        let tied = match self.keys[..] {
            [_] => true,
            [(one, _), (other, _)] => {
                // An entry of a feed names the object that its session filled.
                matches!(
                    (one, other),
                    (Role::Claim, Role::Send)
                        | (Role::Send, Role::Claim)
                        | (Role::Write, Role::FeedWrite)
                )
            }
            _ => false,
        };
        assert!(tied, "a session that serves two mailboxes or objects");
    }

    /// The key of the mailbox that is read here.
    pub(super) fn reads(&self) -> Option<[u8; 32]> {
        self.keys.iter().find(|(role, _)| *role == Role::Receive).map(|(_, key)| *key)
    }

    /// Gives an answer.
    fn answer(
        &mut self,
        route: u64,
        say: Say,
        blob: Option<Blob>,
        rng: &mut ChaCha20Rng,
    ) -> Option<Cell> {
        self.due = self.due.saturating_sub(1);
        self.seal.seal(route, payload(say, blob.as_ref())?, rng).ok()
    }
}

/// What is said, as it goes into the seal.
pub(super) fn payload(say: Say, blob: Option<&Blob>) -> Option<Payload> {
    Payload::of_reply(&Reply { reply: Some(say) }, blob).ok()
}

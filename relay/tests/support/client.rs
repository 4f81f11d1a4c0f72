//! A client in as few lines as the wire allows: a link, INFO, a session, commands.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use hearken_proto::address::{Host, RelayAddress};
use hearken_proto::auth::ObjectSecretKey;
use hearken_proto::cell::{Cell, CloseReason, Kind};
use hearken_proto::hop::NextHop;
use hearken_proto::ids::{ClaimId, Fingerprint, RecvId, SendId};
use hearken_proto::info::{UnverifiedInfo, VerifiedInfo, request, set_next_hop};
use hearken_proto::limits::CELL_LEN;
use hearken_proto::payload::{Blob, Payload};
use hearken_proto::pow::{Challenge, Purpose, Search};
use hearken_proto::seal::{PendingRoute, RouteSeal};
use hearken_proto::time::UnixMillis;
use hearken_proto::tls;
use hearken_proto::wire::{Auth, Claim, Command, Create, Get, Put, Reason, Role, command, reply};
use quinn::crypto::rustls::QuicClientConfig;
use quinn::{
    ClientConfig, Connection, ConnectionError, Endpoint, RecvStream, SendStream, TransportConfig,
};
use rand_chacha::ChaCha20Rng;
use rand_core::{Rng, SeedableRng};

/// Tests do not wait longer than this for anything; it is no measurement.
const PATIENCE: Duration = Duration::from_secs(30);

pub fn rng() -> ChaCha20Rng {
    let mut seed = [0; 32];
    getrandom::fill(&mut seed).unwrap();
    ChaCha20Rng::from_seed(seed)
}

pub fn now() -> UnixMillis {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    UnixMillis(u64::try_from(since.as_millis()).unwrap())
}

pub fn socket_of(address: &RelayAddress) -> SocketAddr {
    let place = &address.places()[0];
    match place.host() {
        Host::Ip(ip) => SocketAddr::new(*ip, place.port()),
        Host::Name(_) => panic!("tests use addresses"),
    }
}

/// Connects as a client does, pinned to a fingerprint.
pub async fn connect(
    socket: SocketAddr,
    fingerprint: Fingerprint,
    transport: TransportConfig,
) -> Result<(Endpoint, Connection), ConnectionError> {
    let endpoint = Endpoint::client((Ipv4Addr::LOCALHOST, 0).into()).unwrap();
    let tls = QuicClientConfig::try_from(tls::client_config(fingerprint).unwrap()).unwrap();
    let mut config = ClientConfig::new(Arc::new(tls));
    config.transport_config(Arc::new(transport));
    let connecting = endpoint.connect_with(config, socket, tls::SERVER_NAME).unwrap();
    let connection = tokio::time::timeout(PATIENCE, connecting).await.unwrap()?;
    Ok((endpoint, connection))
}

/// A link with the routes of one client on it.
pub struct Link {
    _endpoint: Endpoint,
    pub connection: Connection,
    pub send: SendStream,
    pub recv: RecvStream,
    next_route: u64,
    pub rng: ChaCha20Rng,
}

/// An open session.
pub struct Session {
    route: u64,
    seal: RouteSeal,
    info: VerifiedInfo,
}

/// A mailbox's keys.
pub struct MailboxKeys {
    pub reader: ObjectSecretKey,
    pub claim: ObjectSecretKey,
    pub sender: ObjectSecretKey,
}

impl MailboxKeys {
    pub fn new() -> Self {
        let mut rng = rng();
        let mut key = || ObjectSecretKey::generate(&mut rng);
        Self { reader: key(), claim: key(), sender: key() }
    }
}

impl Link {
    pub async fn to(address: &RelayAddress) -> Self {
        let (socket, fingerprint) = (socket_of(address), address.fingerprint());
        let (endpoint, connection) =
            connect(socket, fingerprint, TransportConfig::default()).await.unwrap();
        let (send, recv) = connection.open_bi().await.unwrap();
        Self { _endpoint: endpoint, connection, send, recv, next_route: 1, rng: rng() }
    }

    pub async fn send(&mut self, cell: &Cell) {
        self.send.write_all(cell.as_bytes()).await.unwrap();
    }

    pub async fn receive(&mut self) -> Cell {
        self.try_receive().await.expect("the link was closed")
    }

    /// `None` when the relay has closed the link.
    pub async fn try_receive(&mut self) -> Option<Cell> {
        let mut bytes = Box::new([0; CELL_LEN]);
        let read = tokio::time::timeout(PATIENCE, self.recv.read_exact(&mut bytes[..]));
        read.await.expect("nothing came").ok()?;
        Some(Cell::from_array(bytes).unwrap())
    }

    pub fn route(&mut self) -> u64 {
        self.next_route += 1;
        self.next_route - 1
    }

    /// The relay's own information, checked.
    pub async fn info(&mut self, fingerprint: Fingerprint) -> VerifiedInfo {
        let route = self.route();
        let cell = request(route, &mut self.rng);
        self.send(&cell).await;
        let answer = self.receive().await;
        assert_eq!((answer.kind(), answer.route()), (Kind::Info, route));
        UnverifiedInfo::from_answer(&answer).unwrap().verify(&fingerprint, None, now()).unwrap()
    }

    /// What an entry relay says of another, or why it does not.
    pub async fn info_behind(
        &mut self,
        entry: &VerifiedInfo,
        target: &RelayAddress,
    ) -> Result<VerifiedInfo, CloseReason> {
        let route = self.route();
        let cell = request(route, &mut self.rng);
        let cell = self.routed(cell, entry, target);
        self.send(&cell).await;
        let answer = self.receive().await;
        assert_eq!(answer.route(), route);
        match answer.kind() {
            Kind::Info => Ok(UnverifiedInfo::from_answer(&answer)
                .unwrap()
                .verify(&target.fingerprint(), None, now())
                .unwrap()),
            Kind::Close => Err(answer.close_reason().unwrap()),
            other => panic!("{other:?}"),
        }
    }

    fn routed(&mut self, mut cell: Cell, entry: &VerifiedInfo, target: &RelayAddress) -> Cell {
        let hop = NextHop::of(target);
        let routing = entry.hop_key().seal(entry.context(), &hop, &mut self.rng).unwrap();
        set_next_hop(&mut cell, &routing)
    }

    /// Opens a session at the relay of this link.
    pub async fn open(&mut self, fingerprint: Fingerprint) -> Session {
        let info = self.info(fingerprint).await;
        self.open_with(info, None).await.unwrap()
    }

    /// Opens a session at `target` through the relay of this link.
    pub async fn open_behind(
        &mut self,
        entry: &VerifiedInfo,
        target: &RelayAddress,
    ) -> Result<Session, CloseReason> {
        let info = self.info_behind(entry, target).await?;
        self.open_with(info, Some((entry, target))).await
    }

    async fn open_with(
        &mut self,
        info: VerifiedInfo,
        through: Option<(&VerifiedInfo, &RelayAddress)>,
    ) -> Result<Session, CloseReason> {
        let route = self.route();
        let (pending, mut cell) =
            PendingRoute::open(info.context(), info.seal_key(), &mut self.rng).unwrap();
        cell.set_route(route);
        if let Some((entry, target)) = through {
            cell = self.routed(cell, entry, target);
        }
        self.send(&cell).await;
        let answer = self.receive().await;
        if let Some(reason) = answer.close_reason() {
            return Err(reason);
        }
        let (seal, payload) = pending.accept(answer).unwrap();
        let (reply, _) = payload.reply().unwrap();
        assert!(matches!(reply.reply, Some(reply::Reply::Opened(_))), "{reply:?}");
        Ok(Session { route, seal, info })
    }

    /// Sends a command and takes its first answer.
    pub async fn ask(
        &mut self,
        session: &mut Session,
        auth: Option<Auth>,
        command: command::Command,
        blob: Option<&Blob>,
    ) -> (reply::Reply, Option<Blob>) {
        self.say(session, auth, command, blob).await;
        self.hear(session).await
    }

    pub async fn say(
        &mut self,
        session: &mut Session,
        auth: Option<Auth>,
        command: command::Command,
        blob: Option<&Blob>,
    ) {
        let command = Command { auth, command: Some(command) };
        let payload = Payload::of_command(&command, blob).unwrap();
        let cell = session.seal.seal(session.route, payload, &mut self.rng).unwrap();
        self.send(&cell).await;
    }

    pub async fn hear(&mut self, session: &mut Session) -> (reply::Reply, Option<Blob>) {
        let cell = self.receive().await;
        assert_eq!(cell.route(), session.route, "{:?}", cell.close_reason());
        let (reply, blob) = session.seal.open(cell).unwrap().reply().unwrap();
        (reply.reply.unwrap(), blob)
    }

    /// Makes a mailbox, in a session of its reader.
    pub async fn create(&mut self, reader: &mut Session, keys: &MailboxKeys) {
        assert_eq!(self.try_create(reader, keys).await, None);
    }

    /// Makes a mailbox, or says why it was refused.
    pub async fn try_create(&mut self, reader: &mut Session, keys: &MailboxKeys) -> Option<Reason> {
        let id = RecvId::of(&keys.reader.public_key());
        let create = Create {
            claim_public_key: keys.claim.public_key().to_vec(),
            sender_public_key: Vec::new(),
            proof_of_work: reader.work(Purpose::Mailbox, id.as_bytes(), 0, &mut self.rng),
        };
        let auth = reader.prove(Role::Receive, &keys.reader);
        match self.ask(reader, auth, command::Command::Create(create), None).await.0 {
            reply::Reply::Done(_) => None,
            reply::Reply::Refused(refused) => Some(refused.reason()),
            other => panic!("{other:?}"),
        }
    }

    /// Claims it, in a session of its writer.
    pub async fn claim(&mut self, writer: &mut Session, keys: &MailboxKeys) {
        let claim = Claim { sender_public_key: keys.sender.public_key().to_vec() };
        let auth = writer.prove(Role::Claim, &keys.claim);
        let answer = self.ask(writer, auth, command::Command::Claim(claim), None).await;
        assert!(matches!(answer.0, reply::Reply::Done(_)), "{answer:?}");
    }

    pub async fn put(
        &mut self,
        session: &mut Session,
        auth: Option<Auth>,
        blob: &Blob,
    ) -> reply::Reply {
        let put = Put { put_id: blob.put_id().as_bytes().to_vec() };
        self.ask(session, auth, command::Command::Put(put), Some(blob)).await.0
    }

    /// Every blob of the mailbox that one `Get` of 16 gives.
    pub async fn get(
        &mut self,
        session: &mut Session,
        auth: Option<Auth>,
        after: u64,
    ) -> Vec<(u64, Blob)> {
        self.say(session, auth, command::Command::Get(Get { after, max: 16 }), None).await;
        let mut blobs = Vec::new();
        for _ in 0..16 {
            match self.hear(session).await {
                (reply::Reply::Delivery(delivery), Some(blob)) => {
                    blobs.push((delivery.position, blob));
                }
                (reply::Reply::Empty(_), None) => {}
                other => panic!("{other:?}"),
            }
        }
        blobs
    }
}

impl Session {
    pub fn prove(&self, role: Role, key: &ObjectSecretKey) -> Option<Auth> {
        let public_key = key.public_key();
        let id = match role {
            Role::Receive => *RecvId::of(&public_key).as_bytes(),
            Role::Send => *SendId::of(&public_key).as_bytes(),
            Role::Claim => *ClaimId::of(&public_key).as_bytes(),
            other => panic!("{other:?}"),
        };
        let (context, auth_key) = (self.info.context(), self.info.auth_key());
        let mac = key.prove(role, &id, auth_key, context, self.seal.route_hash()).unwrap();
        Some(Auth { role: role.into(), public_key: public_key.to_vec(), mac: mac.to_vec() })
    }

    fn work(&self, purpose: Purpose, id: &[u8; 32], size: u32, rng: &mut ChaCha20Rng) -> u64 {
        let context = self.info.context();
        let challenge = Challenge { purpose, context, object_id: id, size };
        let bits = self.info.info().proof_of_work_bits;
        let mut search = Search::new(&challenge, bits, rng.next_u64()).unwrap();
        loop {
            if let Some(nonce) = search.advance() {
                return nonce;
            }
        }
    }

    pub fn info(&self) -> &VerifiedInfo {
        &self.info
    }
}

pub fn blob(byte: u8) -> Blob {
    Blob::new(Box::new([byte; hearken_proto::limits::BLOB_LEN]))
}

//! What a client has to say before it can put or watch: INFO, OPEN, proofs, `Create` with its work, `Claim`.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use hearken_proto::address::RelayAddress;
use hearken_proto::auth::ObjectSecretKey;
use hearken_proto::cell::{Cell, CloseReason, Kind};
use hearken_proto::hop::NextHop;
use hearken_proto::ids::{ClaimId, FeedId, FeedWriterId, Fingerprint, ObjectId, RecvId, SendId};
use hearken_proto::info::{UnverifiedInfo, VerifiedInfo, request, set_next_hop};
use hearken_proto::payload::{Blob, Payload};
use hearken_proto::pow::{Challenge, Purpose, Search};
use hearken_proto::seal::{KeyEpoch, PendingRoute, RouteSeal};
use hearken_proto::time::UnixMillis;
use hearken_proto::wire::{Auth, Claim, Command, Create, Reason, Role, command, reply};
use hearken_relay::randomness::ProcessRng;
use rand_chacha::ChaCha20Rng;
use rand_core::{Rng, SeedableRng};

use super::{Link, LoadError};

/// How long one answer may take.
const ANSWER: Duration = Duration::from_secs(60);
/// How often an OPEN or INFO that met a busy relay is tried again.
const TRIES: u32 = 12;

/// Which way commands go.
#[derive(Clone, Debug)]
pub struct Path {
    /// The relay that has the mailboxes.
    pub relay: RelayAddress,
    /// The relay in front of it, if any.
    pub entry: Option<RelayAddress>,
}

impl Path {
    /// The relay to dial.
    #[must_use]
    pub fn first_hop(&self) -> &RelayAddress {
        self.entry.as_ref().unwrap_or(&self.relay)
    }
}

/// A generator of its own for each client.
pub(crate) fn rng() -> Result<ChaCha20Rng, LoadError> {
    let mut seed = [0; 32];
    ProcessRng::new().map_err(|_| LoadError::Machine)?.fill_bytes(&mut seed);
    Ok(ChaCha20Rng::from_seed(seed))
}

/// Keys of a mailbox, of its reader and its writer.
pub(crate) struct MailboxKeys {
    pub(crate) reader: ObjectSecretKey,
    pub(crate) claim: ObjectSecretKey,
    pub(crate) sender: ObjectSecretKey,
}

impl MailboxKeys {
    pub(crate) fn generate(rng: &mut ChaCha20Rng) -> Self {
        let mut key = || ObjectSecretKey::generate(rng);
        Self { reader: key(), claim: key(), sender: key() }
    }
}

/// What the relays of a path say of themselves.
pub(crate) struct Infos {
    relay: VerifiedInfo,
    /// The entry's, and the next hop.
    entry: Option<(VerifiedInfo, NextHop)>,
}

impl Infos {
    pub(crate) async fn fetch(
        link: &mut Link,
        path: &Path,
        rng: &mut ChaCha20Rng,
    ) -> Result<Self, LoadError> {
        let mut entry = None;
        if let Some(address) = &path.entry {
            let info = fetch(link, address.fingerprint(), None, rng).await?;
            if !info.info().forwards {
                return Err(LoadError::EntryRefuses);
            }
            entry = Some((info, NextHop::of(&path.relay)));
        }
        let relay = fetch(link, path.relay.fingerprint(), entry.as_ref(), rng).await?;
        Ok(Self { relay, entry })
    }

    /// The name of the keys to which sessions are sealed.
    pub(crate) fn key_epoch(&self) -> KeyEpoch {
        self.relay.context().key_epoch
    }

    /// What the last relay says of itself.
    pub(crate) fn relay(&self) -> &VerifiedInfo {
        &self.relay
    }

    /// How many blobs a mailbox holds.
    pub(crate) fn mailbox_blobs_max(&self) -> u64 {
        self.relay.info().mailbox_blobs_max.into()
    }
}

async fn fetch(
    link: &mut Link,
    fingerprint: Fingerprint,
    entry: Option<&(VerifiedInfo, NextHop)>,
    rng: &mut ChaCha20Rng,
) -> Result<VerifiedInfo, LoadError> {
    for attempt in 0..TRIES {
        let route = link.route();
        let cell = towards(request(route, rng), entry, rng)?;
        link.queue(&cell);
        link.flush().await?;
        let answer = answer_on(link, route).await?;
        match (answer.kind(), answer.close_reason()) {
            (Kind::Info, _) => {
                let info = UnverifiedInfo::from_answer(&answer)?;
                return Ok(info.verify(&fingerprint, None, now())?);
            }
            (_, Some(CloseReason::Busy)) => pause(attempt, rng).await,
            (_, Some(reason)) => return Err(reason.into()),
            _ => return Err(LoadError::PeerMisbehaved),
        }
    }
    Err(LoadError::Busy)
}

fn towards(
    mut cell: Cell,
    entry: Option<&(VerifiedInfo, NextHop)>,
    rng: &mut ChaCha20Rng,
) -> Result<Cell, LoadError> {
    let Some((info, hop)) = entry else { return Ok(cell) };
    let routing = info.hop_key().seal(info.context(), hop, rng);
    Ok(set_next_hop(&mut cell, &routing.map_err(|_| LoadError::PeerMisbehaved)?))
}

/// The next cell on a route; what comes on others meanwhile is of routes that were closed.
async fn answer_on(link: &mut Link, route: u64) -> Result<Cell, LoadError> {
    let answer = async {
        loop {
            let cell = link.receive().await?;
            if cell.route() == route && cell.kind() != Kind::Pad {
                return Ok(cell);
            }
        }
    };
    tokio::time::timeout(ANSWER, answer).await.unwrap_or(Err(LoadError::Unreachable))
}

async fn pause(attempt: u32, rng: &mut ChaCha20Rng) {
    let longest_ms = 250 << attempt.min(4);
    tokio::time::sleep(Duration::from_millis(50 + rng.next_u64() % longest_ms)).await;
}

/// An open session.
pub(crate) struct Session {
    route: u64,
    seal: RouteSeal,
}

impl Session {
    /// Opens a session and waits for its first answer; no other session of the link may be in use meanwhile.
    pub(crate) async fn open(
        link: &mut Link,
        infos: &Infos,
        rng: &mut ChaCha20Rng,
    ) -> Result<Self, LoadError> {
        for attempt in 0..TRIES {
            let (pending, cell) =
                PendingRoute::open(infos.relay.context(), infos.relay.seal_key(), rng)
                    .map_err(|_| LoadError::PeerMisbehaved)?;
            let route = link.route();
            let mut cell = towards(cell, infos.entry.as_ref(), rng)?;
            cell.set_route(route);
            link.queue(&cell);
            link.flush().await?;
            let answer = answer_on(link, route).await?;
            match answer.close_reason() {
                Some(CloseReason::Busy) => pause(attempt, rng).await,
                Some(reason) => return Err(reason.into()),
                None => {
                    let opened = pending.accept(answer).ok();
                    let (seal, payload) = opened.ok_or(LoadError::PeerMisbehaved)?;
                    return match payload.reply() {
                        Ok((said, None)) if matches!(said.reply, Some(reply::Reply::Opened(_))) => {
                            Ok(Self { route, seal })
                        }
                        _ => Err(LoadError::PeerMisbehaved),
                    };
                }
            }
        }
        Err(LoadError::Busy)
    }

    /// The link's name of this session.
    pub(crate) fn route(&self) -> u64 {
        self.route
    }

    /// Cells sealed in the direction that has sealed more.
    pub(crate) fn cells(&self) -> u64 {
        self.seal.cells()
    }

    /// The proof of a key, for the first command that needs it.
    pub(crate) fn prove(
        &self,
        infos: &Infos,
        role: Role,
        key: &ObjectSecretKey,
    ) -> Result<Auth, LoadError> {
        let public_key = key.public_key();
        let id = match role {
            Role::Receive => *RecvId::of(&public_key).as_bytes(),
            Role::Send => *SendId::of(&public_key).as_bytes(),
            Role::Write => *ObjectId::of(&public_key).as_bytes(),
            Role::FeedRead => *FeedId::of(&public_key).as_bytes(),
            Role::FeedWrite => *FeedWriterId::of(&public_key).as_bytes(),
            _ => *ClaimId::of(&public_key).as_bytes(),
        };
        let (context, auth_key) = (infos.relay.context(), infos.relay.auth_key());
        let mac = key.prove(role, &id, auth_key, context, self.seal.route_hash());
        let mac = mac.ok_or(LoadError::PeerMisbehaved)?.to_vec();
        Ok(Auth { role: role.into(), public_key: public_key.to_vec(), mac })
    }

    /// Seals a command into the link's next write.
    pub(crate) fn say(
        &mut self,
        link: &mut Link,
        auth: Option<Auth>,
        command: command::Command,
        blob: Option<&Blob>,
        rng: &mut ChaCha20Rng,
    ) -> Result<(), LoadError> {
        let command = Command { auth, command: Some(command) };
        let payload = Payload::of_command(&command, blob).map_err(|_| LoadError::PeerMisbehaved)?;
        let cell = self.seal.seal(self.route, payload, rng).map_err(|_| LoadError::Busy)?;
        link.queue(&cell);
        Ok(())
    }

    /// Opens what came on this session's route.
    pub(crate) fn hear(&mut self, cell: Cell) -> Result<(reply::Reply, Option<Blob>), LoadError> {
        if let Some(reason) = cell.close_reason() {
            return Err(reason.into());
        }
        let payload = self.seal.open(cell).map_err(|_| LoadError::PeerMisbehaved)?;
        let (reply, blob) = payload.reply().map_err(|_| LoadError::PeerMisbehaved)?;
        Ok((reply.reply.ok_or(LoadError::PeerMisbehaved)?, blob))
    }

    /// A command and its one answer, with nothing else under way.
    pub(crate) async fn ask(
        &mut self,
        link: &mut Link,
        auth: Option<Auth>,
        command: command::Command,
        rng: &mut ChaCha20Rng,
    ) -> Result<reply::Reply, LoadError> {
        self.say(link, auth, command, None, rng)?;
        link.flush().await?;
        let cell = answer_on(link, self.route).await?;
        match self.hear(cell)?.0 {
            reply::Reply::Refused(refused) => Err(refused_as(refused.reason)),
            reply => Ok(reply),
        }
    }

    /// Makes a mailbox, in a session of its reader. Does the work that the relay asks for.
    pub(crate) async fn create(
        &mut self,
        link: &mut Link,
        infos: &Infos,
        keys: &MailboxKeys,
        rng: &mut ChaCha20Rng,
    ) -> Result<(), LoadError> {
        let id = RecvId::of(&keys.reader.public_key());
        let challenge = Challenge {
            purpose: Purpose::Mailbox,
            context: infos.relay.context(),
            object_id: id.as_bytes(),
            size: 0,
        };
        let bits = infos.relay.info().proof_of_work_bits;
        let search = Search::new(&challenge, bits, rng.next_u64());
        let mut search = search.ok_or(LoadError::PeerMisbehaved)?;
        let proof_of_work = loop {
            if let Some(nonce) = search.advance() {
                break nonce;
            }
            tokio::task::yield_now().await;
        };
        let create = Create {
            claim_public_key: keys.claim.public_key().to_vec(),
            sender_public_key: Vec::new(),
            proof_of_work,
        };
        let auth = self.prove(infos, Role::Receive, &keys.reader)?;
        self.ask(link, Some(auth), command::Command::Create(create), rng).await?;
        Ok(())
    }

    /// Claims a mailbox, in a session of its writer.
    pub(crate) async fn claim(
        &mut self,
        link: &mut Link,
        infos: &Infos,
        keys: &MailboxKeys,
        rng: &mut ChaCha20Rng,
    ) -> Result<(), LoadError> {
        let claim = Claim { sender_public_key: keys.sender.public_key().to_vec() };
        let auth = self.prove(infos, Role::Claim, &keys.claim)?;
        self.ask(link, Some(auth), command::Command::Claim(claim), rng).await?;
        Ok(())
    }

    /// Ends the session.
    pub(crate) fn close(self, link: &mut Link, rng: &mut ChaCha20Rng) {
        link.queue(&Cell::close(self.route, CloseReason::Done, rng));
    }
}

/// What a refusal means for a load.
pub(crate) fn refused_as(reason: i32) -> LoadError {
    Reason::try_from(reason).map_or(LoadError::PeerMisbehaved, LoadError::from)
}

fn now() -> UnixMillis {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    UnixMillis(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

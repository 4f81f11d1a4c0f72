//! A relay that serves: folder and configuration in, a running relay out.
//!
//! [`run`] serves until it is told to stop; [`start`] hands out a [`Running`] relay, for a program that does more beside
//! it, and for tests. Guarantees: when `start` returns, links are accepted, the address is on record, and the day's keys
//! are on disk; after a stop everything that was acknowledged is durable and the folder is unlocked (where tables are being
//! merged, once they are or the process has ended); dropping a [`Running`] relay ends everything at once, and loses
//! nothing that was acknowledged. A stop takes 10 s at most.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::time::Duration;

use ed25519_dalek::SigningKey;
use hearken_proto::address::{HostPort, PLACES_MAX, RelayAddress, is_private};
use quinn::Endpoint;
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{mpsc, watch};
use tokio::task::{JoinError, JoinSet};

use crate::actor::{Actor, Keep, wall_clock, warn};
use crate::admin;
use crate::carrier::{self, CarrierError, Dialler, EVENTS_MAX, Gate};
use crate::config::{self, Config};
use crate::core::{
    Action, CommandContext, CoreConfig, EpochKey, EpochKeys, RelayCore, STORE_REQUESTS_MAX,
};
use crate::folder::{Folder, FolderError, fingerprint};
use crate::notice::Notice;
use crate::randomness::ProcessRng;
use crate::store::{
    Committer, CommitterParts, DayKeys, FjallConfig, FjallStore, KeyFolder, Reader, Store,
    StoreError,
};

/// Threads that read the store beside the committer.
const READER_THREADS: usize = 2;
/// How long links may take to end once the core has let go of them. With the six seconds that the core's task may take,
/// the one of the sockets and the one that `serve` gives to threads that owe nothing, a stop takes ten.
const LINKS_END_TIME_MAX: Duration = Duration::from_secs(2);
/// How long sockets may take to tell peers that they are closed.
const SOCKETS_CLOSE_TIME_MAX: Duration = Duration::from_secs(1);
/// Questions after the totals that wait for the core's task.
const REQUESTS_MAX: usize = 16;

/// Why a relay does not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// The folder: nothing in it, or something missing or damaged.
    #[error(transparent)]
    Folder(#[from] FolderError),
    /// The store: locked by another process, damaged, of another version, full.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// An address cannot be served on.
    #[error("{address} cannot be served on: {kind}")]
    Listen {
        /// The address of the configuration.
        address: SocketAddr,
        /// The system's reason.
        kind: std::io::ErrorKind,
    },
    /// The carrier.
    #[error(transparent)]
    Carrier(#[from] CarrierError),
    /// The keys of the day are damaged and could not be made anew.
    #[error("the relay's daily keys cannot be made or stored")]
    EpochKeys,
    /// The system has no randomness to give.
    #[error("the system has no randomness to give")]
    Randomness,
    /// The administration socket.
    #[error("the administration socket cannot be made: {0}")]
    Admin(std::io::ErrorKind),
    /// A task of the start was ended from outside.
    #[error("the start was interrupted")]
    Interrupted,
}

/// Why a relay that served has ended, other than by being told to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ServeError {
    /// A part of it failed. What was acknowledged is durable.
    #[error("a part of the relay failed")]
    Failed,
}

/// A relay that serves. Dropping it ends it at once; [`Running::stop`] lets it finish what it owes.
#[derive(Debug)]
pub struct Running {
    address: RelayAddress,
    listen: Vec<SocketAddr>,
    stop: watch::Sender<bool>,
    /// Dropping it aborts the relay's one task, from which all others hang.
    task: JoinSet<Result<(), ServeError>>,
}

impl Running {
    /// The address to hand out.
    #[must_use]
    pub fn address(&self) -> &RelayAddress {
        &self.address
    }

    /// The addresses served on, with their real ports.
    #[must_use]
    pub fn listen(&self) -> &[SocketAddr] {
        &self.listen
    }

    /// Lets the relay finish what it owes, within 10 s, and waits for it.
    ///
    /// # Errors
    /// [`ServeError`] when it had failed before.
    pub async fn stop(mut self) -> Result<(), ServeError> {
        // Nobody listens when it has ended already.
        let _ = self.stop.send(true);
        self.ended().await
    }

    /// Waits for the relay to end by itself, which it does only when it fails.
    ///
    /// # Errors
    /// [`ServeError::Failed`].
    pub async fn ended(&mut self) -> Result<(), ServeError> {
        match self.task.join_next().await {
            Some(Ok(result)) => result,
            Some(Err(_)) => Err(ServeError::Failed),
            None => Ok(()),
        }
    }
}

/// Serves until `shutdown` is ready, then finishes what is owed. `ready` is called once links are accepted.
///
/// # Errors
/// [`StartError`] in the outer result, [`ServeError`] in the inner.
pub async fn run(
    folder: &Folder,
    config: Config,
    ready: impl FnOnce(&Running),
    shutdown: impl Future<Output = ()>,
) -> Result<Result<(), ServeError>, StartError> {
    let mut running = start(folder, config).await?;
    ready(&running);
    tokio::select! {
        ended = running.ended() => return Ok(ended),
        () = shutdown => {}
    }
    tracing::info!("stopping");
    Ok(running.stop().await)
}

/// Starts a relay whose folder holds an identity. Must be called inside a multi-threaded tokio runtime.
///
/// # Errors
/// [`StartError`]; nothing keeps running then.
pub async fn start(folder: &Folder, config: Config) -> Result<Running, StartError> {
    let kept = {
        let (folder, config) = (folder.clone(), config.clone());
        tokio::task::spawn_blocking(move || Kept::open(&folder, &config))
            .await
            .map_err(|_: JoinError| StartError::Interrupted)??
    };
    let sockets = bind_all(&config)?;
    let listen: Vec<_> = sockets.iter().filter_map(|socket| socket.local_addr().ok()).collect();
    let address = address_of(&config, &kept.identity, &listen).ok_or(StartError::Interrupted)?;
    let gate = Gate::new(config.links_max);
    let endpoints = sockets
        .into_iter()
        .map(|socket| carrier::masked_endpoint(socket, &kept.identity, &gate))
        .collect::<Result<Vec<_>, _>>()?;

    let (stop, stopped) = watch::channel(false);
    let (events, events_taken) = mpsc::channel(EVENTS_MAX);
    let (outcomes, outcomes_taken) = mpsc::channel(STORE_REQUESTS_MAX);
    let (requests, requests_taken) = mpsc::channel(REQUESTS_MAX);
    let dialler = Dialler::new(&kept.identity, gate.clone(), events.clone())?;
    let rng = || ProcessRng::new().map_err(|_| StartError::Randomness);
    let deliver = {
        let outcomes = outcomes.clone();
        // Only fails when the core's task is gone, and with it whoever waits for the outcome.
        move |ticket, outcome| match outcomes.try_send((ticket, outcome)) {
            Err(TrySendError::Full(waiting)) => drop(outcomes.blocking_send(waiting)),
            Ok(()) | Err(TrySendError::Closed(_)) => {}
        }
    };
    let keep = kept.keep.clone();
    let office = admin::Office { folder: folder.clone(), keep: keep.clone(), requests };
    let committer = Committer::spawn(CommitterParts {
        store: keep.store.clone(),
        context: CommandContext::new(keep.day_keys.clone(), kept.limits),
        clock: wall_clock,
        rng: rng()?,
        deliver: deliver.clone(),
    })?;
    let reader = Reader::spawn(READER_THREADS, &keep.store, &keep.day_keys, &deliver)?;
    let actor = Actor {
        events: events_taken,
        outcomes: outcomes_taken,
        requests: requests_taken,
        core: kept.core,
        rng: rng()?,
        dialler: dialler.clone(),
        committer,
        reader,
        keep,
        _outcomes_open: outcomes,
    };
    let admin = admin::Socket::bind(folder).map_err(|error| StartError::Admin(error.kind()))?;
    folder.write_address(&address)?;

    let mut accepting = JoinSet::new();
    for endpoint in endpoints.clone() {
        let accept = carrier::accept(endpoint, gate.clone(), events.clone(), stopped.clone());
        #[cfg(hearken_planted)]
        let accept = hearken_proto::planted::await_points::staying("accept", accept);
        accepting.spawn(accept);
    }
    let questions = JoinSet::new();
    let parts = Parts { endpoints, dialler, accepting, admin, office, questions };
    let mut task = JoinSet::new();
    let supervise = supervise(actor, parts, stopped, kept.first);
    #[cfg(hearken_planted)]
    let supervise = hearken_proto::planted::await_points::staying("supervisor", supervise);
    task.spawn(supervise);
    Ok(Running { address, listen, stop, task })
}

/// What the relay's one task owns beside the core's task.
struct Parts {
    endpoints: Vec<Endpoint>,
    dialler: Dialler,
    accepting: JoinSet<()>,
    admin: admin::Socket,
    office: admin::Office,
    questions: JoinSet<()>,
}

/// The relay's one task: all others hang from it.
async fn supervise(
    actor: Actor,
    mut parts: Parts,
    stopped: watch::Receiver<bool>,
    first: Vec<Action>,
) -> Result<(), ServeError> {
    let mut core = JoinSet::new();
    let run = actor.run(stopped, first);
    #[cfg(hearken_planted)]
    let run = hearken_proto::planted::await_points::staying("core", run);
    core.spawn(run);
    let ended = tokio::select! {
        ended = core.join_next() => ended,
        () = parts.admin.serve(&parts.office, &mut parts.questions) => None,
    };
    // A backup under way is broken off: it holds the store.
    parts.questions.shutdown().await;
    let Some(Ok(actor)) = ended else { return Err(ServeError::Failed) };
    let links_end = async { while parts.accepting.join_next().await.is_some() {} };
    // Whoever does not end in time is ended by the sockets.
    let _ = tokio::time::timeout(LINKS_END_TIME_MAX, links_end).await;
    parts.dialler.close();
    for endpoint in &parts.endpoints {
        endpoint.close(0_u8.into(), b"");
    }
    let closed = async {
        for endpoint in &parts.endpoints {
            endpoint.wait_idle().await;
        }
    };
    let _ = tokio::time::timeout(SOCKETS_CLOSE_TIME_MAX, closed).await;
    drop(parts);
    // Threads are joined and the store is closed.
    tokio::task::spawn_blocking(move || drop(actor)).await.map_err(|_| ServeError::Failed)
}

/// What is opened from the folder before anything is served.
struct Kept {
    identity: SigningKey,
    keep: Keep,
    core: RelayCore,
    limits: crate::core::CommandLimits,
    /// What the core asked for at its first look at the clock.
    first: Vec<Action>,
}

impl Kept {
    fn open(folder: &Folder, config: &Config) -> Result<Self, StartError> {
        let store_config =
            FjallConfig { reserve_bytes: config.disk_reserve_bytes, ..FjallConfig::default() };
        // The store first: it locks the folder.
        let store: Arc<dyn Store> = Arc::new(FjallStore::open(folder.path(), store_config)?);
        let identity = folder.identity()?;
        let day_keys = DayKeys::open(&folder.day_keys())?;
        let epoch_keys = KeyFolder::open(&folder.epoch_keys())?;
        let stored = stored_epoch_keys(&epoch_keys)?;
        let keep = Keep { store, day_keys, epoch_keys };

        let notice = Notice::read(folder)?;
        let decommission = notice.as_ref().map(Notice::to_wire);
        let core_config = CoreConfig { decommission, ..core_config(config) };
        let limits = core_config.command_limits();
        let now = wall_clock();
        let mut rng = ProcessRng::new().map_err(|_| StartError::Randomness)?;
        let mut core = RelayCore::new(core_config, identity.clone(), EpochKeys::new(stored), now);
        core.handle_disk_bytes(keep.store.totals().disk_bytes);
        core.handle_timeout(now, &mut rng);
        let mut first = Vec::new();
        while let Some(action) = core.poll_action() {
            match action {
                // Nobody can be served before they are on disk.
                Action::StoreEpochKey { epoch, bytes } => {
                    if !keep.store_epoch_key(epoch, &bytes) {
                        return Err(StartError::EpochKeys);
                    }
                    core.handle_epoch_key(now, epoch, true);
                }
                Action::Warn(warning) => warn(&warning),
                other => first.push(other),
            }
        }
        Ok(Self { identity, keep, core, limits, first })
    }
}

/// The daily keys on disk. A damaged one is set aside: new ones are made, and routes that were sealed to it are opened
/// anew by their clients.
fn stored_epoch_keys(keys: &KeyFolder) -> Result<Vec<EpochKey>, StoreError> {
    let mut stored = Vec::new();
    for name in keys.names()? {
        let read = keys.read(&name);
        let key = match read {
            Ok(None) => continue,
            Ok(Some(bytes)) => EpochKey::from_bytes(&bytes).ok(),
            Err(StoreError::Corrupt { .. }) => None,
            Err(error) => return Err(error),
        };
        match key {
            Some(key) => stored.push(key),
            None => {
                tracing::warn!("a file of daily keys is damaged; it is destroyed, others are made");
                keys.destroy(&name)?;
            }
        }
    }
    Ok(stored)
}

fn core_config(config: &Config) -> CoreConfig {
    CoreConfig {
        admission: match config.admission {
            config::Admission::Open => crate::core::Admission::Open,
            config::Admission::Closed => crate::core::Admission::Closed,
        },
        proof_of_work_bits: config.pow_bits,
        mailbox_blobs_max: config.mailbox_blobs_max,
        mailboxes_max: config.mailboxes_max,
        feed_entries_max: config.feed_entries_max,
        feeds_max: config.feeds_max,
        storage_bytes_max: config.storage_bytes_max,
        forwards: config.forward,
        allow_private_peers: config.allow_private_peers,
        decommission: None,
    }
}

fn bind_all(config: &Config) -> Result<Vec<UdpSocket>, StartError> {
    let mut sockets: Vec<UdpSocket> = Vec::new();
    for listen in &config.listen {
        match carrier::bind(listen.address) {
            Ok(socket) => sockets.push(socket),
            Err(error) if listen.optional && is_absent(&error) => {
                tracing::info!("this machine has no IPv6; serving without it");
            }
            Err(error) => {
                return Err(StartError::Listen { address: listen.address, kind: error.kind() });
            }
        }
    }
    Ok(sockets)
}

/// Whether a socket failed because the machine does not have the address family.
fn is_absent(error: &std::io::Error) -> bool {
    let absent = rustix::io::Errno::AFNOSUPPORT.raw_os_error();
    error.raw_os_error() == Some(absent) || error.kind() == std::io::ErrorKind::AddrNotAvailable
}

/// The address to hand out: the operator's host, else what is listened on, else this machine's own addresses. `None`
/// where the port is not known.
#[must_use]
pub fn address_of(
    config: &Config,
    identity: &SigningKey,
    listen: &[SocketAddr],
) -> Option<RelayAddress> {
    let mut places: Vec<HostPort> = Vec::new();
    for socket in listen.iter().filter(|socket| socket.port() != 0) {
        let place = match &config.host {
            Some(host) => host.place(socket.port()),
            None => own_ip(socket.ip()).map(|ip| HostPort::of_ip(ip, socket.port())),
        };
        places.extend(place.filter(|place| !places.contains(place)));
    }
    // What others can reach comes first, and hides what they cannot.
    if places.iter().any(|place| !place.is_private()) {
        places.retain(|place| !place.is_private());
    }
    places.truncate(PLACES_MAX);
    if places.is_empty() {
        let port = listen.iter().map(SocketAddr::port).find(|port| *port != 0)?;
        places.push(HostPort::of_ip(Ipv4Addr::LOCALHOST.into(), port));
    }
    RelayAddress::new(fingerprint(identity), places).ok()
}

/// The IP address under which this machine reaches others, for one that listens on all; nothing is sent.
fn own_ip(listen: IpAddr) -> Option<IpAddr> {
    if !listen.is_unspecified() {
        return Some(listen);
    }
    // Documentation addresses (RFC 5737, RFC 3849): only the route to them is looked up.
    let (any, far) =
        if listen.is_ipv4() { ("0.0.0.0:0", "192.0.2.1:9") } else { ("[::]:0", "[2001:db8::1]:9") };
    let socket = UdpSocket::bind(any).ok()?;
    socket.connect(far).ok()?;
    let ip = socket.local_addr().ok()?.ip();
    // An IPv6 address of the local network is of no use to anybody beside an IPv4 one.
    (listen.is_ipv4() || !is_private(ip)).then_some(ip)
}

/// Whether nobody outside this machine or its network can reach an address.
#[must_use]
pub fn is_local(address: &RelayAddress) -> bool {
    address.places().iter().all(HostPort::is_private)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::PublicHost;

    #[test]
    fn the_operators_host_is_handed_out_with_the_port_listened_on() {
        let config = config(Some("relay.example"));
        assert_eq!(places(&config, &["0.0.0.0:7", "[::]:7"]), ["relay.example:7"]);
        let config = Config { host: PublicHost::parse("relay.example:443"), ..config };
        assert_eq!(places(&config, &["0.0.0.0:7"]), ["relay.example:443"]);
    }

    #[test]
    fn without_a_host_the_addresses_listened_on_are_handed_out_public_ones_before_others() {
        let config = config(None);
        assert_eq!(places(&config, &["127.0.0.1:7"]), ["127.0.0.1:7"]);
        assert_eq!(places(&config, &["127.0.0.1:7", "9.9.9.9:8"]), ["9.9.9.9:8"]);
        assert_eq!(places(&config, &["127.0.0.1:0"]), [""; 0]);
    }

    #[test]
    fn an_address_that_nobody_outside_reaches_is_known_as_that() {
        let identity = SigningKey::from_bytes(&[1; 32]);
        let local = |listen: &str| {
            is_local(&address_of(&config(None), &identity, &[listen.parse().unwrap()]).unwrap())
        };
        assert!(local("127.0.0.1:7"));
        assert!(local("10.0.0.1:7"));
        assert!(!local("9.9.9.9:7"));
    }

    fn config(host: Option<&str>) -> Config {
        Config { host: host.map(|host| PublicHost::parse(host).unwrap()), ..Config::default() }
    }

    fn places(config: &Config, listen: &[&str]) -> Vec<String> {
        let listen: Vec<_> = listen.iter().map(|at| at.parse().unwrap()).collect();
        address_of(config, &SigningKey::from_bytes(&[1; 32]), &listen)
            .map(|address| address.places().iter().map(ToString::to_string).collect())
            .unwrap_or_default()
    }
}

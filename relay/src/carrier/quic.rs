//! QUIC as a relay speaks it (quinn): one bidirectional stream a connection, opened by whoever dialled.
//!
//! Off, because each ties two connections of one person together: 0-RTT, tickets and resumption (`proto::tls`),
//! NEW_TOKEN, connection migration, the spin bit. Off, because nothing here needs them: datagrams, unidirectional
//! streams. Stateless resets (RFC 9000, 10.3) are made with a key that outlives a restart, so that a client finds out at
//! its next packet that its connection is gone, instead of waiting out the idle timeout.

use core::fmt;
use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use ed25519_dalek::SigningKey;
use hearken_proto::limits::CELL_LEN;
use hearken_proto::tls;
use hmac::{Hmac, KeyInit, Mac};
use quinn::crypto::rustls::QuicServerConfig;
use quinn::crypto::{CryptoError, HmacKey};
use quinn::{
    ConnectionId, ConnectionIdGenerator, Endpoint, EndpointConfig, IdleTimeout, Incoming,
    NoneTokenLog, Runtime, ServerConfig, TransportConfig, ValidationTokenConfig, VarInt,
};
use rustix::net::sockopt;
use sha2::Sha256;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use zeroize::ZeroizeOnDrop;

use super::callers::{Callers, FORGET_AFTER, MaskedSocket};
use super::link::{self, Event, queues};
use crate::core::LinkId;

/// A connection on which nothing came for this long is gone; the dialler's keep-alive comes thrice in it.
const IDLE_TIMEOUT_MS: u32 = hearken_proto::limits::LINK_IDLE_MS_MAX;
/// How often the dialler of an idle link shows that it is there.
pub(super) const KEEP_ALIVE: Duration =
    Duration::from_secs(hearken_proto::limits::KEEP_ALIVE_SECONDS);
/// Handshake and first cell of a link that somebody opens.
const OPENING_TIME_MAX: Duration = Duration::from_secs(10);
/// Bytes that a peer may send ahead of what is read, and that may be sent ahead of what it acknowledged: 256 cells, so
/// 10 MB/s over 100 ms, and the most that one slow link can make the relay hold each way.
const WINDOW: u32 = 256 * CELL_LEN as u32;
/// Handshakes under way above which a peer must first show that it is at the address it sends from.
const UNVALIDATED_MAX: usize = 256;
/// Connections that wait for their handshake to begin.
const INCOMING_MAX: usize = 1_024;
/// Bytes that all of those may have sent.
const INCOMING_BYTES_MAX: u64 = 16 * 1_024 * 1_024;
/// Kernel buffers of a socket: bursts of many links at once. What the system does not grant is done without.
const SOCKET_BUFFER: usize = 4 * 1_024 * 1_024;
/// Length of a connection id (RFC 9000, 5.1), random.
const CONNECTION_ID_LEN: usize = 8;

const RESET_KEY_LABEL: &[u8] = b"hearken/1 quic reset key";

/// Why the carrier could not be set up.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CarrierError {
    /// The certificate or the TLS settings.
    #[error(transparent)]
    Tls(#[from] tls::TlsError),
    /// The TLS library offers no cipher suite that QUIC needs.
    #[error("the tls library cannot be used for quic")]
    Suite,
    /// A socket.
    #[error("a udp socket cannot be used")]
    Socket(#[from] std::io::Error),
}

/// A UDP socket for QUIC. An IPv6 one carries IPv6 only, so that both families can have the same port.
///
/// # Errors
/// What the system says: the address in use, not this machine's, or of a family it does not have.
pub fn bind(address: SocketAddr) -> std::io::Result<UdpSocket> {
    use rustix::net::{AddressFamily, SocketFlags, SocketType, bind, ipproto, socket_with};
    let family = if address.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    let flags = SocketFlags::CLOEXEC;
    let socket = socket_with(family, SocketType::DGRAM, flags, Some(ipproto::UDP))?;
    if address.is_ipv6() {
        sockopt::set_ipv6_v6only(&socket, true)?;
    }
    // Best effort: the system caps it.
    let _ = sockopt::set_socket_recv_buffer_size(&socket, SOCKET_BUFFER);
    let _ = sockopt::set_socket_send_buffer_size(&socket, SOCKET_BUFFER);
    bind(&socket, &address)?;
    Ok(UdpSocket::from(socket))
}

/// The endpoint that serves links on a socket and never learns where they come from: that stays with the gate, which is
/// also the one to give to [`accept`]. Must be called inside a tokio runtime.
///
/// # Errors
/// [`CarrierError`].
pub fn masked_endpoint(
    socket: UdpSocket,
    identity: &SigningKey,
    gate: &Gate,
) -> Result<Endpoint, CarrierError> {
    let runtime = Arc::new(quinn::TokioRuntime);
    let socket = runtime.wrap_udp_socket(socket)?;
    let socket = Arc::new(MaskedSocket::new(socket, gate.callers.clone()));
    let (endpoint, server) = (endpoint_config(identity), Some(server_config(identity)?));
    Ok(Endpoint::new_with_abstract_socket(endpoint, server, socket, runtime)?)
}

/// The endpoint that serves links on a socket. Must be called inside a tokio runtime.
///
/// # Errors
/// [`CarrierError`].
pub fn server_endpoint(socket: UdpSocket, identity: &SigningKey) -> Result<Endpoint, CarrierError> {
    endpoint(socket, Some(server_config(identity)?), identity)
}

fn server_config(identity: &SigningKey) -> Result<ServerConfig, CarrierError> {
    let tls = QuicServerConfig::try_from(tls::server_config(identity)?)
        .map_err(|_| CarrierError::Suite)?;
    let mut config = ServerConfig::with_crypto(Arc::new(tls));
    let mut tokens = ValidationTokenConfig::default();
    tokens.sent(0).log(Arc::new(NoneTokenLog));
    config
        .transport_config(Arc::new(transport(1, None)))
        .validation_token_config(tokens)
        .migration(false)
        .max_incoming(INCOMING_MAX)
        .incoming_buffer_size(2 * u64::from(WINDOW))
        .incoming_buffer_size_total(INCOMING_BYTES_MAX);
    Ok(config)
}

/// An endpoint with our connection ids and reset key.
pub(super) fn endpoint(
    socket: UdpSocket,
    server: Option<ServerConfig>,
    identity: &SigningKey,
) -> Result<Endpoint, CarrierError> {
    let runtime = Arc::new(quinn::TokioRuntime);
    Ok(Endpoint::new(endpoint_config(identity), server, socket, runtime)?)
}

fn endpoint_config(identity: &SigningKey) -> EndpointConfig {
    let mut config = EndpointConfig::new(Arc::new(ResetKey::of(identity)));
    config.cid_generator(|| Box::new(RandomIds));
    config
}

/// What both ends of a link agree on; `bidi_streams` is how many the *other* side may open.
pub(super) fn transport(bidi_streams: u32, keep_alive: Option<Duration>) -> TransportConfig {
    let mut config = TransportConfig::default();
    config
        .max_concurrent_bidi_streams(VarInt::from_u32(bidi_streams))
        .max_concurrent_uni_streams(VarInt::from_u32(0))
        .max_idle_timeout(Some(IdleTimeout::from(VarInt::from_u32(IDLE_TIMEOUT_MS))))
        .keep_alive_interval(keep_alive)
        .stream_receive_window(VarInt::from_u32(WINDOW))
        .receive_window(VarInt::from_u32(WINDOW))
        .send_window(u64::from(WINDOW))
        .datagram_receive_buffer_size(None)
        .allow_spin(false);
    config
}

/// Counts links, those being opened included, and names them. Shared by all that make links.
#[derive(Debug)]
pub struct Gate {
    links_max: usize,
    links: AtomicUsize,
    opening: AtomicUsize,
    next: AtomicU64,
    callers: Arc<Callers>,
}

/// A link's place at the gate, given back on drop.
#[derive(Debug)]
pub(super) struct Place(Arc<Gate>);

impl Gate {
    /// A gate for at most `links_max` links at once.
    #[must_use]
    pub fn new(links_max: usize) -> Arc<Self> {
        let zero = AtomicUsize::new(0);
        let next = AtomicU64::new(1);
        let (opening, callers) = (AtomicUsize::new(0), Arc::new(Callers::new()));
        Arc::new(Self { links_max, links: zero, opening, next, callers })
    }

    /// Links at once, those being opened included.
    #[must_use]
    pub fn links(&self) -> usize {
        self.links.load(Ordering::Relaxed)
    }

    pub(super) fn enter(self: &Arc<Self>) -> Option<Place> {
        let place = Place(self.clone());
        let before = self.links.fetch_add(1, Ordering::Relaxed);
        (before < self.links_max).then_some(place)
    }

    pub(super) fn name(&self) -> LinkId {
        LinkId(self.next.fetch_add(1, Ordering::Relaxed))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.links.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Serves every link that comes to an endpoint, until told to stop or the endpoint is closed; then waits for the links
/// to end. Dropping the future ends them all.
pub async fn accept(
    endpoint: Endpoint,
    gate: Arc<Gate>,
    events: mpsc::Sender<Event>,
    mut stop: watch::Receiver<bool>,
) {
    let mut links = JoinSet::new();
    let mut forget = tokio::time::interval(FORGET_AFTER);
    forget.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        let incoming = tokio::select! {
            incoming = endpoint.accept() => incoming,
            Some(_) = links.join_next() => continue,
            _ = forget.tick() => {
                gate.callers.sweep(Instant::now());
                continue;
            }
            _ = stop.changed() => break,
        };
        let Some(incoming) = incoming else { break };
        let Some(place) = gate.enter() else {
            incoming.refuse();
            continue;
        };
        let crowded = gate.opening.load(Ordering::Relaxed) >= UNVALIDATED_MAX;
        if crowded && !incoming.remote_address_validated() && incoming.may_retry() {
            // Only fails where a retry is not possible, which was asked.
            let _ = incoming.retry();
            continue;
        }
        let link = serve(incoming, place, events.clone());
        #[cfg(hearken_planted)]
        let link = hearken_proto::planted::await_points::staying("link", link);
        #[cfg(hearken_planted)]
        if hearken_proto::planted::is("link-without-a-handle") {
            drop(tokio::spawn(link));
            continue;
        }
        links.spawn(link);
    }
    endpoint.set_server_config(None);
    while links.join_next().await.is_some() {}
}

async fn serve(incoming: Incoming, place: Place, events: mpsc::Sender<Event>) {
    let gate = place.0.clone();
    gate.opening.fetch_add(1, Ordering::Relaxed);
    let opening = Opening(&gate.opening);
    let address = incoming.remote_address();
    let caller = gate.callers.hold(&address);
    if caller.is_none() && gate.callers.has_made(&address) {
        // Forgotten already, in a flood of others: nothing that is said to it would arrive. It dials again.
        incoming.ignore();
        return;
    }
    let opened = tokio::time::timeout(OPENING_TIME_MAX, async {
        let connection = incoming.accept().ok()?.await.ok()?;
        let stream = connection.accept_bi().await.ok()?;
        Some((connection, stream))
    })
    .await;
    drop(opening);
    let Ok(Some((connection, stream))) = opened else { return };
    let link = gate.name();
    let (handle, end) = queues();
    if events.send(Event::Opened { link, handle }).await.is_ok() {
        link::run(link, connection, stream, end, events).await;
    }
}

/// Counts a handshake under way, also when its task is dropped.
struct Opening<'a>(&'a AtomicUsize);

impl Drop for Opening<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Random connection ids from the system: nothing in them tells connections of one machine from others.
struct RandomIds;

impl ConnectionIdGenerator for RandomIds {
    fn generate_cid(&mut self) -> ConnectionId {
        let mut bytes = [0; CONNECTION_ID_LEN];
        // Without randomness no handshake succeeds either; ids that repeat only make this one fail.
        let _ = getrandom::fill(&mut bytes);
        ConnectionId::new(&bytes)
    }

    fn cid_len(&self) -> usize {
        CONNECTION_ID_LEN
    }

    fn cid_lifetime(&self) -> Option<Duration> {
        None
    }
}

/// HMAC-SHA-256 key of stateless resets, derived from the identity key.
#[derive(ZeroizeOnDrop)]
struct ResetKey([u8; 32]);

impl ResetKey {
    fn of(identity: &SigningKey) -> Self {
        Self(mac(identity.as_bytes(), RESET_KEY_LABEL))
    }
}

impl HmacKey for ResetKey {
    fn sign(&self, data: &[u8], signature_out: &mut [u8]) {
        signature_out.copy_from_slice(&mac(&self.0, data));
    }

    fn signature_len(&self) -> usize {
        32
    }

    fn verify(&self, data: &[u8], signature: &[u8]) -> Result<(), CryptoError> {
        let Ok(mut hmac) = Hmac::<Sha256>::new_from_slice(&self.0) else { return Err(CryptoError) };
        hmac.update(data);
        hmac.verify_slice(signature).map_err(|_| CryptoError)
    }
}

impl fmt::Debug for ResetKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ResetKey(..)")
    }
}

fn mac(key: &[u8; 32], data: &[u8]) -> [u8; 32] {
    let Ok(mut hmac) = Hmac::<Sha256>::new_from_slice(key) else {
        unreachable!("HMAC takes a key of any length");
    };
    hmac.update(data);
    hmac.finalize().into_bytes().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_families_can_have_the_same_port() {
        let v4 = bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let port = v4.local_addr().unwrap().port();
        // A machine without IPv6 has nothing to show here.
        match bind(SocketAddr::new("::".parse().unwrap(), port)) {
            Ok(v6) => assert_eq!(v6.local_addr().unwrap().port(), port),
            Err(error) => assert_ne!(error.kind(), std::io::ErrorKind::AddrInUse),
        }
        let error = bind(SocketAddr::new("127.0.0.1".parse().unwrap(), port)).unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::AddrInUse);
    }

    #[test]
    fn the_reset_key_outlives_a_restart_and_is_not_another_relays() {
        let key = |seed| ResetKey::of(&SigningKey::from_bytes(&[seed; 32]));
        let mut signature = [0; 32];
        key(1).sign(b"id", &mut signature);
        assert!(key(1).verify(b"id", &signature).is_ok());
        assert!(key(2).verify(b"id", &signature).is_err());
    }

    #[test]
    fn the_gate_lets_in_as_many_as_it_may_and_names_none_twice() {
        let gate = Gate::new(2);
        let first = gate.enter().unwrap();
        let _second = gate.enter().unwrap();
        assert!(gate.enter().is_none());
        drop(first);
        assert!(gate.enter().is_some());
        assert_ne!(gate.name(), gate.name());
    }
}

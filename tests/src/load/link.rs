//! Links to one relay: QUIC with its key pinned, one stream a link, cells back to back, writes and reads coalesced.
//!
//! Many links share a few sockets, which a real client never does (it would tie them together): thousands of links from
//! one machine would otherwise mostly measure that machine's sockets.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use hearken_proto::address::{Host, RelayAddress};
use hearken_proto::cell::Cell;
use hearken_proto::limits::CELL_LEN;
use hearken_proto::tls;
use quinn::crypto::rustls::QuicClientConfig;
use quinn::{
    ClientConfig, Connection, ConnectionError, Endpoint, IdleTimeout, NoneTokenStore, RecvStream,
    SendStream, TransportConfig, VarInt,
};

use super::LoadError;

/// How long a dial may take, at one address.
const DIAL: Duration = Duration::from_secs(10);
/// Dials of one link at a relay that has answered before: where thousands dial at once, datagrams get lost.
const DIALS_MAX: usize = 5;
/// Bytes that may be on their way: 64 cells, as clients have it.
const WINDOW: u32 = 64 * CELL_LEN as u32;
/// The most that one read takes.
const READ_MAX: usize = 32 * CELL_LEN;

/// Dials links to one relay.
#[derive(Debug)]
pub struct Dialler {
    config: ClientConfig,
    places: Vec<SocketAddr>,
    v4: Vec<Endpoint>,
    v6: Vec<Endpoint>,
    next: AtomicUsize,
    /// A link was made before.
    reached: AtomicBool,
}

impl Dialler {
    /// A dialler with `sockets` sockets of its own. Resolves the relay's names. Must be called inside a tokio runtime.
    ///
    /// # Errors
    /// [`LoadError::Unreachable`] where no name resolves, [`LoadError::Machine`] where there is no socket.
    pub async fn new(relay: &RelayAddress, sockets: usize) -> Result<Self, LoadError> {
        Self::with_tls(relay, sockets, |_| {}).await
    }

    /// As [`Dialler::new`], with TLS settings that `change` has changed: a test's session keys, say.
    ///
    /// # Errors
    /// As [`Dialler::new`].
    pub async fn with_tls(
        relay: &RelayAddress,
        sockets: usize,
        change: impl FnOnce(&mut rustls::ClientConfig),
    ) -> Result<Self, LoadError> {
        let mut tls = tls::client_config(relay.fingerprint()).map_err(|_| LoadError::Machine)?;
        change(&mut tls);
        let tls = QuicClientConfig::try_from(tls).map_err(|_| LoadError::Machine)?;
        let mut config = ClientConfig::new(Arc::new(tls));
        config.transport_config(Arc::new(transport())).token_store(Arc::new(NoneTokenStore));
        let mut places = Vec::new();
        for place in relay.places() {
            match place.host() {
                Host::Ip(ip) => places.push(SocketAddr::new(*ip, place.port())),
                Host::Name(name) => {
                    let found = tokio::net::lookup_host((name.as_str(), place.port())).await;
                    places.extend(found.into_iter().flatten());
                }
            }
        }
        if places.is_empty() {
            return Err(LoadError::Unreachable);
        }
        let endpoints = |wanted: bool, local: SocketAddr| {
            let some =
                (0..if wanted { sockets.max(1) } else { 0 }).map(|_| Endpoint::client(local));
            some.collect::<Result<Vec<_>, _>>()
        };
        let v4 =
            endpoints(places.iter().any(SocketAddr::is_ipv4), (Ipv4Addr::UNSPECIFIED, 0).into());
        let v6 =
            endpoints(places.iter().any(SocketAddr::is_ipv6), (Ipv6Addr::UNSPECIFIED, 0).into());
        // A machine may lack one of the two families.
        let (v4, v6) = (v4.unwrap_or_default(), v6.unwrap_or_default());
        if v4.is_empty() && v6.is_empty() {
            return Err(LoadError::Machine);
        }
        Ok(Self {
            config,
            places,
            v4,
            v6,
            next: AtomicUsize::new(0),
            reached: AtomicBool::new(false),
        })
    }

    /// Dials one link, place after place; several times where the relay is known to be there.
    ///
    /// # Errors
    /// [`LoadError::OtherKey`] where somebody with another key answered, else [`LoadError::Unreachable`].
    pub async fn dial(&self) -> Result<Link, LoadError> {
        let mut dialled = self.dial_once().await;
        for _ in 1..DIALS_MAX {
            if !matches!(dialled, Err(LoadError::Unreachable))
                || !self.reached.load(Ordering::Relaxed)
            {
                break;
            }
            dialled = self.dial_once().await;
        }
        dialled
    }

    async fn dial_once(&self) -> Result<Link, LoadError> {
        let mut why = LoadError::Unreachable;
        for place in &self.places {
            let endpoints = if place.is_ipv4() { &self.v4 } else { &self.v6 };
            let turn = self.next.fetch_add(1, Ordering::Relaxed);
            let Some(endpoint) = endpoints.get(turn % endpoints.len().max(1)) else { continue };
            match tokio::time::timeout(DIAL, self.dial_at(endpoint, *place)).await {
                Ok(Ok(link)) => {
                    self.reached.store(true, Ordering::Relaxed);
                    return Ok(link);
                }
                Ok(Err(LoadError::OtherKey)) => why = LoadError::OtherKey,
                Ok(Err(_)) | Err(_) => {}
            }
        }
        Err(why)
    }

    async fn dial_at(&self, endpoint: &Endpoint, place: SocketAddr) -> Result<Link, LoadError> {
        let connecting = endpoint
            .connect_with(self.config.clone(), place, tls::SERVER_NAME)
            .map_err(|_| LoadError::Unreachable)?;
        let connection = connecting.await.map_err(|error| match error {
            ConnectionError::TransportError(error) if tls::is_other_key_code(error.code.into()) => {
                LoadError::OtherKey
            }
            _ => LoadError::Unreachable,
        })?;
        let (send, recv) = connection.open_bi().await.map_err(|_| LoadError::Unreachable)?;
        Ok(Link {
            connection,
            send,
            recv,
            outgoing: Vec::new(),
            incoming: Vec::new(),
            taken: 0,
            next_route: 1,
        })
    }

    /// Tells the relay that all links are over, and waits a moment until it has been told.
    pub async fn close(&self) {
        for endpoint in self.v4.iter().chain(&self.v6) {
            endpoint.close(VarInt::from_u32(0), b"");
        }
        let idle = async {
            for endpoint in self.v4.iter().chain(&self.v6) {
                endpoint.wait_idle().await;
            }
        };
        // Whoever does not hear it finds out by its own timer.
        let _ = tokio::time::timeout(Duration::from_secs(2), idle).await;
    }
}

fn transport() -> TransportConfig {
    let mut transport = TransportConfig::default();
    transport
        .max_concurrent_bidi_streams(VarInt::from_u32(0))
        .max_concurrent_uni_streams(VarInt::from_u32(0))
        .datagram_receive_buffer_size(None)
        .stream_receive_window(VarInt::from_u32(WINDOW))
        .receive_window(VarInt::from_u32(WINDOW))
        .send_window(u64::from(WINDOW))
        .keep_alive_interval(Some(Duration::from_secs(15)))
        .max_idle_timeout(Some(IdleTimeout::from(VarInt::from_u32(45_000))))
        .allow_spin(false);
    transport
}

/// A link. Dropping it closes it.
#[derive(Debug)]
pub struct Link {
    connection: Connection,
    send: SendStream,
    recv: RecvStream,
    outgoing: Vec<u8>,
    incoming: Vec<u8>,
    /// Bytes of `incoming` that were taken already.
    taken: usize,
    next_route: u64,
}

impl Link {
    /// A route id that this link has not used.
    pub fn route(&mut self) -> u64 {
        self.next_route += 1;
        self.next_route - 1
    }

    /// Adds a cell to what the next [`Link::flush`] writes.
    pub fn queue(&mut self, cell: &Cell) {
        self.outgoing.extend_from_slice(cell.as_bytes());
    }

    /// Writes what was queued, at once.
    ///
    /// # Errors
    /// [`LoadError::Unreachable`] when the link is lost.
    pub async fn flush(&mut self) -> Result<(), LoadError> {
        if !self.outgoing.is_empty() {
            let written = self.send.write_all(&self.outgoing).await;
            self.outgoing.clear();
            written.map_err(|_| LoadError::Unreachable)?;
        }
        Ok(())
    }

    /// A cell that has come already.
    ///
    /// # Errors
    /// [`LoadError::PeerMisbehaved`] when it is none.
    pub fn arrived(&mut self) -> Result<Option<Cell>, LoadError> {
        let Some(bytes) = self.incoming.get(self.taken..self.taken + CELL_LEN) else {
            return Ok(None);
        };
        let cell = Cell::parse(bytes).map_err(|_| LoadError::PeerMisbehaved)?;
        self.taken += CELL_LEN;
        if self.taken == self.incoming.len() {
            self.incoming.clear();
            self.taken = 0;
        }
        Ok(Some(cell))
    }

    /// The next cell. Safe to cancel.
    ///
    /// # Errors
    /// [`LoadError::Unreachable`] when the link is lost, [`LoadError::PeerMisbehaved`] for what is no cell.
    pub async fn receive(&mut self) -> Result<Cell, LoadError> {
        loop {
            if let Some(cell) = self.arrived()? {
                return Ok(cell);
            }
            let read = self.recv.read_chunk(READ_MAX, true).await;
            let chunk = read.ok().flatten().ok_or(LoadError::Unreachable)?;
            self.incoming.drain(..self.taken);
            self.taken = 0;
            self.incoming.extend_from_slice(&chunk.bytes);
        }
    }
}

impl Link {
    /// Ends the link once everything that was written has arrived.
    pub async fn finish(mut self) {
        if self.flush().await.is_ok() && self.send.finish().is_ok() {
            // A connection that is lost meanwhile has ended too.
            let _ = self.send.stopped().await;
        }
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.connection.close(VarInt::from_u32(0), b"");
    }
}

//! Dialling peer relays: a place is resolved, judged, reached, and must prove the fingerprint.
//!
//! A name may resolve to this machine or to a private network; each resolved address is judged, not the name, and the
//! address that was judged is the one that is dialled.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs};
use std::sync::Arc;
use std::time::Duration;

use ed25519_dalek::SigningKey;
use hearken_proto::address::{Host, is_private};
use hearken_proto::hop::NextHop;
use hearken_proto::ids::Fingerprint;
use hearken_proto::limits::DIAL_SECONDS_MAX;
use hearken_proto::tls;
use quinn::crypto::rustls::QuicClientConfig;
use quinn::{
    ClientConfig, Connection, ConnectionError, Endpoint, NoneTokenStore, RecvStream, SendStream,
    TransportConfig,
};
use tokio::sync::{Semaphore, mpsc};

use super::link::{self, Event, queues};
use super::quic::{CarrierError, Gate, KEEP_ALIVE, bind, endpoint, transport};
use crate::core::{DialError, DialId};

/// Addresses of one name that are tried.
const ADDRESSES_MAX: usize = 4;
/// Names that are being resolved: each holds a thread, for as long as the system's resolver takes.
const RESOLVING_MAX: usize = 32;

/// Dials from sockets of its own. Cloning shares them.
#[derive(Clone, Debug)]
pub struct Dialler {
    v4: Option<Endpoint>,
    v6: Option<Endpoint>,
    transport: Arc<TransportConfig>,
    resolving: Arc<Semaphore>,
    gate: Arc<Gate>,
    events: mpsc::Sender<Event>,
}

impl Dialler {
    /// A dialler for each address family that the machine has. Must be called inside a tokio runtime.
    ///
    /// # Errors
    /// [`CarrierError`] when there is neither.
    pub fn new(
        identity: &SigningKey,
        gate: Arc<Gate>,
        events: mpsc::Sender<Event>,
    ) -> Result<Self, CarrierError> {
        let socket = |ip: IpAddr| endpoint(bind(SocketAddr::new(ip, 0))?, None, identity);
        let v4 = socket(Ipv4Addr::UNSPECIFIED.into());
        let v6 = socket(Ipv6Addr::UNSPECIFIED.into()).ok();
        let v4 = match (v4, &v6) {
            (Err(error), None) => return Err(error),
            (v4, _) => v4.ok(),
        };
        let transport = Arc::new(transport(0, Some(KEEP_ALIVE)));
        let resolving = Arc::new(Semaphore::new(RESOLVING_MAX));
        Ok(Self { v4, v6, transport, resolving, gate, events })
    }

    /// Dials, tells the result, and carries the link to its end.
    pub async fn dial(self, dial: DialId, hop: NextHop, allow_private: bool) {
        let whole = Duration::from_secs(DIAL_SECONDS_MAX);
        let reached = tokio::time::timeout(whole, self.reach(&hop, allow_private))
            .await
            .unwrap_or(Err(DialError::Unreachable));
        let reached = reached.and_then(|reached| {
            // A peer link counts like any other.
            self.gate.enter().map(|place| (reached, place)).ok_or(DialError::Unreachable)
        });
        match reached {
            Ok(((connection, stream), _place)) => {
                let link = self.gate.name();
                let (handle, end) = queues();
                let result = Ok((link, handle));
                if self.events.send(Event::Dialled { dial, result }).await.is_ok() {
                    link::run(link, connection, stream, end, self.events.clone()).await;
                }
            }
            Err(error) => {
                let _ = self.events.send(Event::Dialled { dial, result: Err(error) }).await;
            }
        }
    }

    async fn reach(
        &self,
        hop: &NextHop,
        allow_private: bool,
    ) -> Result<(Connection, (SendStream, RecvStream)), DialError> {
        let resolved = self.resolve(hop).await?;
        let addresses: Vec<_> = resolved
            .into_iter()
            .filter(|address| allow_private || !is_private(address.ip()))
            .take(ADDRESSES_MAX)
            .collect();
        if addresses.is_empty() {
            return Err(DialError::Private);
        }
        let config = self.config(hop.fingerprint).ok_or(DialError::Unreachable)?;
        let each =
            Duration::from_secs(DIAL_SECONDS_MAX) / u32::try_from(addresses.len()).unwrap_or(1);
        let mut failure = DialError::Unreachable;
        for address in addresses {
            let attempt = self.connect(config.clone(), address);
            match tokio::time::timeout(each, attempt).await {
                Ok(Ok(reached)) => return Ok(reached),
                // That somebody else answered says more than that nobody did.
                Ok(Err(DialError::OtherKey)) => failure = DialError::OtherKey,
                Ok(Err(_)) | Err(_) => {}
            }
        }
        Err(failure)
    }

    async fn connect(
        &self,
        config: ClientConfig,
        address: SocketAddr,
    ) -> Result<(Connection, (SendStream, RecvStream)), DialError> {
        let endpoint = if address.is_ipv4() { &self.v4 } else { &self.v6 };
        let endpoint = endpoint.as_ref().ok_or(DialError::Unreachable)?;
        let connecting = endpoint
            .connect_with(config, address, tls::SERVER_NAME)
            .map_err(|_| DialError::Unreachable)?;
        let connection = connecting.await.map_err(|error| failure(&error))?;
        let stream = connection.open_bi().await.map_err(|_| DialError::Unreachable)?;
        Ok((connection, stream))
    }

    async fn resolve(&self, hop: &NextHop) -> Result<Vec<SocketAddr>, DialError> {
        let port = hop.host_port.port();
        let name = match hop.host_port.host() {
            Host::Ip(ip) => return Ok(vec![SocketAddr::new(*ip, port)]),
            Host::Name(name) => name.clone(),
        };
        // The permit stays with the thread that asks: a dial that gives up does not stop the system's resolver.
        let permit = self.resolving.clone().acquire_owned().await;
        let permit = permit.map_err(|_| DialError::Unreachable)?;
        let resolved = tokio::task::spawn_blocking(move || {
            let addresses = (name.as_str(), port).to_socket_addrs();
            drop(permit);
            addresses.map(Iterator::collect::<Vec<_>>)
        });
        match resolved.await {
            Ok(Ok(addresses)) if !addresses.is_empty() => Ok(addresses),
            _ => Err(DialError::Unreachable),
        }
    }

    fn config(&self, fingerprint: Fingerprint) -> Option<ClientConfig> {
        let tls = QuicClientConfig::try_from(tls::client_config(fingerprint).ok()?).ok()?;
        let mut config = ClientConfig::new(Arc::new(tls));
        config.transport_config(self.transport.clone()).token_store(Arc::new(NoneTokenStore));
        Some(config)
    }

    /// Closes the sockets at once.
    pub fn close(&self) {
        for endpoint in [&self.v4, &self.v6].into_iter().flatten() {
            endpoint.close(0_u8.into(), b"");
        }
    }
}

fn failure(error: &ConnectionError) -> DialError {
    match error {
        ConnectionError::TransportError(error) if tls::is_other_key_code(error.code.into()) => {
            DialError::OtherKey
        }
        _ => DialError::Unreachable,
    }
}

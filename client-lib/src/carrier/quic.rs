//! A link over QUIC: one connection, one bidirectional stream that this side opens, cells back to back.
//!
//! Guarantees: the relay has proven the key that its address names before a cell is sent; what is received is whole
//! cells with a frame that holds, in order, and anything else ends the link; both queues are bounded, so a slow reader
//! slows the relay down and nothing else. Nothing ties two links of one person together: each has a socket of its own,
//! and there are no tickets, no stored tokens, no early data, no server name and no migration. (RFC 9000.)
//!
//! The tasks of a link hang from its [`CellReceiver`]: dropping that ends them and the connection at once. Dropping the
//! [`CellSender`] lets what was sent go out first.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use hearken_proto::address::{Host, HostPort, RelayAddress};
use hearken_proto::cell::Cell;
use hearken_proto::limits::{CELL_LEN, LINK_INBOX_MAX};
use hearken_proto::tls;
use quinn::crypto::rustls::QuicClientConfig;
use quinn::{
    ClientConfig, Connection, ConnectionError, Endpoint, IdleTimeout, NoneTokenStore, RecvStream,
    SendStream, TransportConfig, VarInt,
};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::{net, time};

use super::race::{STAGGER, race};
use crate::route::LinkFailure;

/// How long all attempts at a relay's places may take together.
const CONNECT: Duration = Duration::from_secs(8);
/// How long what was sent may take to go out when a link is ended in good order.
const FINISH: Duration = Duration::from_secs(2);
/// How long the notice that a connection is closed has to leave this device.
const CLOSE: Duration = Duration::from_millis(200);
/// How often an idle link shows that it is there: twice before a NAT or the relay forgets it.
const KEEP_ALIVE: Duration = Duration::from_secs(hearken_proto::limits::KEEP_ALIVE_SECONDS);
/// How long a silent link is believed to be there: three missed keep-alives.
const IDLE_MS: u32 = hearken_proto::limits::LINK_IDLE_MS_MAX;
/// Cells that wait each way between a link and its user: as many as the relay reads ahead.
const QUEUE_CELLS: usize = LINK_INBOX_MAX;
/// Bytes that the relay may send before they are read: 64 cells.
const WINDOW: u32 = 64 * CELL_LEN as u32;
/// The most cells that one write takes together.
const COALESCED_CELLS_MAX: usize = 16;
/// The most addresses of one place that are tried; a name server may list any number.
const ADDRESSES_MAX: usize = 8;
/// The code of a connection that ends as it should.
const DONE: VarInt = VarInt::from_u32(0);

/// The link is closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the link is closed")]
pub(crate) struct LinkClosed;

/// What [`carry`] tells.
#[derive(Debug)]
pub(crate) enum CarrierEvent {
    /// The relay has proven its key; cells flow.
    Connected,
    /// A cell has come.
    Cell(Cell),
    /// There is no link, or no longer. The last event.
    Ended(LinkFailure),
}

/// A link to a relay that has proven its key.
#[derive(Debug)]
pub(crate) struct Carrier {
    sender: CellSender,
    receiver: CellReceiver,
}

/// Sends cells onto a link.
#[derive(Debug)]
pub(crate) struct CellSender(mpsc::Sender<Cell>);

/// Receives the cells of a link, and holds it: dropping this ends the link.
#[derive(Debug)]
pub(crate) struct CellReceiver {
    cells: mpsc::Receiver<Cell>,
    /// Aborted on drop.
    _tasks: JoinSet<()>,
}

impl Carrier {
    /// The two directions.
    pub(crate) fn split(self) -> (CellSender, CellReceiver) {
        (self.sender, self.receiver)
    }
}

impl CellSender {
    /// Queues a cell, waiting while 64 wait already. Safe to cancel: a cell is queued or it is not.
    ///
    /// # Errors
    /// [`LinkClosed`] when the link has ended.
    pub(crate) async fn send(&self, cell: Cell) -> Result<(), LinkClosed> {
        self.0.send(cell).await.map_err(|_| LinkClosed)
    }
}

impl CellReceiver {
    /// The next cell; `None` when the link has ended. Safe to cancel: no cell is lost.
    pub(crate) async fn recv(&mut self) -> Option<Cell> {
        self.cells.recv().await
    }
}

/// Dials a relay at all its places and all their addresses, a quarter of a second apart, and keeps the first link on
/// which it proves its key. Eight seconds at most. Dropping the future ends every attempt.
///
/// # Errors
/// [`LinkFailure::OtherKey`] when somebody answered who did not prove the relay's key and nobody did, else
/// [`LinkFailure::Unreachable`].
pub(crate) async fn connect(address: &RelayAddress) -> Result<Carrier, LinkFailure> {
    connect_within(address, CONNECT).await
}

async fn connect_within(address: &RelayAddress, limit: Duration) -> Result<Carrier, LinkFailure> {
    let config = client_config(address)?;
    let places = address.places().to_vec().into_iter();
    let attempts = places.map(move |place| dial_place(place, config.clone()));
    let dialled = time::timeout(limit, race(attempts, STAGGER)).await;
    Ok(dialled.map_err(|_| LinkFailure::Unreachable)??.start())
}

/// A link from dialling to its end as one future, for a shell that gives it a task: cells from `outgoing` go out, what
/// happens goes to `events` as `event` makes it, [`CarrierEvent::Ended`] last. When `outgoing` is closed, what it held
/// goes out and the link ends, and one that is still being dialled is given up; dropping the future ends it at once.
pub(crate) async fn carry<T>(
    address: &RelayAddress,
    mut outgoing: mpsc::Receiver<Cell>,
    events: mpsc::Sender<T>,
    event: impl Fn(CarrierEvent) -> T,
) {
    let (dialled, early) = dial_while_wanted(address, &mut outgoing).await;
    let why = match dialled {
        Err(why) => why,
        Ok(carrier) => {
            // Where nobody listens any more there is nothing to carry.
            if events.send(event(CarrierEvent::Connected)).await.is_err() {
                return;
            }
            let (sender, mut receiver) = carrier.split();
            let send = async move {
                let mut next = match early {
                    Some(cell) => Some(cell),
                    None => outgoing.recv().await,
                };
                while let Some(cell) = next {
                    if sender.send(cell).await.is_err() {
                        break;
                    }
                    next = outgoing.recv().await;
                }
                drop(sender);
            };
            let receive = async {
                while let Some(cell) = receiver.recv().await {
                    if events.send(event(CarrierEvent::Cell(cell))).await.is_err() {
                        break;
                    }
                }
            };
            tokio::pin!(send, receive);
            // Both directions at once: a relay that does not read until it is read from must not hold up either.
            tokio::select! {
                () = &mut receive => {}
                () = &mut send => receive.await,
            }
            LinkFailure::Closed
        }
    };
    // Nobody listens when this fails.
    let _ = events.send(event(CarrierEvent::Ended(why))).await;
}

/// Dials until it is connected or `outgoing` is closed, and gives the cell that came meanwhile.
async fn dial_while_wanted(
    address: &RelayAddress,
    outgoing: &mut mpsc::Receiver<Cell>,
) -> (Result<Carrier, LinkFailure>, Option<Cell>) {
    let dialling = connect(address);
    tokio::pin!(dialling);
    tokio::select! {
        dialled = &mut dialling => (dialled, None),
        first = outgoing.recv() => match first {
            Some(cell) => (dialling.await, Some(cell)),
            None => (Err(LinkFailure::Closed), None),
        },
    }
}

/// A connection whose stream is open. The endpoint is this connection's alone.
struct Dialled {
    endpoint: Endpoint,
    connection: Connection,
    send: SendStream,
    recv: RecvStream,
}

impl Dialled {
    fn start(self) -> Carrier {
        let (sender, outgoing) = mpsc::channel(QUEUE_CELLS);
        let (incoming, cells) = mpsc::channel(QUEUE_CELLS);
        let mut tasks = JoinSet::new();
        tasks.spawn(run(self, outgoing, incoming));
        Carrier { sender: CellSender(sender), receiver: CellReceiver { cells, _tasks: tasks } }
    }
}

async fn run(link: Dialled, outgoing: mpsc::Receiver<Cell>, incoming: mpsc::Sender<Cell>) {
    let Dialled { endpoint, connection, send, recv } = link;
    let finished = tokio::select! {
        () = read_cells(recv, &incoming) => false,
        () = write_cells(send, outgoing) => true,
    };
    connection.close(DONE, b"");
    if finished {
        // Whoever ended the link may end the program when the receiver says that it is over.
        let _ = time::timeout(CLOSE, endpoint.wait_idle()).await;
    }
}

/// Until the stream ends, carries something other than cells, or nobody receives.
async fn read_cells(mut stream: RecvStream, cells: &mpsc::Sender<Cell>) {
    loop {
        let mut bytes = Box::new([0; CELL_LEN]);
        if stream.read_exact(&mut bytes[..]).await.is_err() {
            return;
        }
        let Ok(cell) = Cell::from_array(bytes) else { return };
        if cells.send(cell).await.is_err() {
            return;
        }
    }
}

/// Until the stream fails, or until the senders are gone and what they sent has arrived. Cells that wait are written
/// together.
async fn write_cells(mut stream: SendStream, mut cells: mpsc::Receiver<Cell>) {
    let mut batch = Vec::with_capacity(COALESCED_CELLS_MAX);
    let mut bytes = Vec::with_capacity(COALESCED_CELLS_MAX * CELL_LEN);
    while cells.recv_many(&mut batch, COALESCED_CELLS_MAX).await > 0 {
        for cell in batch.drain(..) {
            bytes.extend_from_slice(cell.as_bytes());
        }
        if stream.write_all(&bytes).await.is_err() {
            return;
        }
        bytes.clear();
    }
    if stream.finish().is_ok() {
        let _ = time::timeout(FINISH, stream.stopped()).await;
    }
}

/// Resolves one place and dials what it resolves to.
async fn dial_place(place: HostPort, config: ClientConfig) -> Result<Dialled, LinkFailure> {
    let addresses = match place.host() {
        Host::Ip(ip) => vec![SocketAddr::new(*ip, place.port())],
        Host::Name(name) => {
            let resolved = net::lookup_host((name.as_str(), place.port())).await;
            families_in_turn(resolved.map_err(|_| LinkFailure::Unreachable)?)
        }
    };
    let attempts = addresses.into_iter().map(move |address| dial(address, config.clone()));
    race(attempts, STAGGER).await
}

/// IPv6 and IPv4 by turns, in the order in which they came: where one of the two leads nowhere, the second attempt is
/// of the other (RFC 8305, section 4).
fn families_in_turn(addresses: impl Iterator<Item = SocketAddr>) -> Vec<SocketAddr> {
    let (v6, v4): (Vec<_>, Vec<_>) = addresses.partition(SocketAddr::is_ipv6);
    let (mut v6, mut v4) = (v6.into_iter(), v4.into_iter());
    let turns = std::iter::from_fn(|| match (v6.next(), v4.next()) {
        (None, None) => None,
        pair => Some([pair.0, pair.1]),
    });
    turns.flatten().flatten().take(ADDRESSES_MAX).collect()
}

async fn dial(address: SocketAddr, config: ClientConfig) -> Result<Dialled, LinkFailure> {
    let local: SocketAddr = if address.is_ipv6() {
        (Ipv6Addr::UNSPECIFIED, 0).into()
    } else {
        (Ipv4Addr::UNSPECIFIED, 0).into()
    };
    let endpoint = Endpoint::client(local).map_err(|_| LinkFailure::Unreachable)?;
    let connecting = endpoint
        .connect_with(config, address, tls::SERVER_NAME)
        .map_err(|_| LinkFailure::Unreachable)?;
    let connection = connecting.await.map_err(|error| failure(&error))?;
    let (send, recv) = connection.open_bi().await.map_err(|error| failure(&error))?;
    Ok(Dialled { endpoint, connection, send, recv })
}

fn failure(error: &ConnectionError) -> LinkFailure {
    match error {
        ConnectionError::TransportError(error) if tls::is_other_key_code(error.code.into()) => {
            LinkFailure::OtherKey
        }
        _ => LinkFailure::Unreachable,
    }
}

/// What a relay is dialled with.
///
/// # Errors
/// [`LinkFailure::Unreachable`] when the libraries refuse the settings, which are the same for every relay.
fn client_config(address: &RelayAddress) -> Result<ClientConfig, LinkFailure> {
    let tls = tls::client_config(address.fingerprint()).map_err(|_| LinkFailure::Unreachable)?;
    let tls = QuicClientConfig::try_from(tls).map_err(|_| LinkFailure::Unreachable)?;
    let mut config = ClientConfig::new(Arc::new(tls));
    config.transport_config(Arc::new(transport_config()));
    config.token_store(Arc::new(NoneTokenStore));
    Ok(config)
}

fn transport_config() -> TransportConfig {
    let mut transport = TransportConfig::default();
    transport
        // The one stream of a link is opened here.
        .max_concurrent_bidi_streams(VarInt::from_u32(0))
        .max_concurrent_uni_streams(VarInt::from_u32(0))
        .datagram_receive_buffer_size(None)
        .stream_receive_window(VarInt::from_u32(WINDOW))
        .receive_window(VarInt::from_u32(WINDOW))
        .send_window(u64::from(WINDOW))
        .keep_alive_interval(Some(KEEP_ALIVE))
        .max_idle_timeout(Some(IdleTimeout::from(VarInt::from_u32(IDLE_MS))))
        // Lets the network measure a round trip, and so tell apart who is near.
        .allow_spin(false);
    transport
}

#[cfg(test)]
#[path = "quic_tests.rs"]
mod tests;

//! A wire between a client and a relay that passes every datagram on, unchanged, and records it.
//!
//! It stands on loopback in the relay's place, so neither end knows of it, no right to capture is needed, and each
//! datagram is recorded as it arrives: on `lo` itself a capture sees bursts that the kernel cuts up only later. What is
//! recorded can be written as a pcap file, for other programs to read.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

/// The longest datagram.
const DATAGRAM_MAX: usize = 65_535;
/// How soon a thread notices that it is to end.
const TICK: Duration = Duration::from_millis(20);
/// How long the last datagrams of a connection may take.
const SETTLED: Duration = Duration::from_millis(150);
/// Linktype of a pcap file whose packets begin with an IPv4 header.
const LINKTYPE_IPV4: u32 = 228;

/// One datagram as it passed.
#[derive(Clone, Debug)]
pub struct Datagram {
    /// Since the tap was set up.
    pub at: Duration,
    /// The client's port.
    pub client: u16,
    /// Whether the client sent it.
    pub from_client: bool,
    /// Its payload.
    pub bytes: Vec<u8>,
}

/// The wire. Dropping it cuts it.
#[derive(Debug)]
pub struct Tap {
    place: SocketAddr,
    shared: Arc<Shared>,
    front: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct Shared {
    relay: SocketAddr,
    socket: UdpSocket,
    begun: Instant,
    over: AtomicBool,
    record: Mutex<Vec<Datagram>>,
}

impl Tap {
    /// A wire to the relay that listens at `relay`.
    ///
    /// # Errors
    /// When there is no socket.
    pub fn on(relay: SocketAddr) -> Result<Self> {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
        socket.set_read_timeout(Some(TICK))?;
        let place = socket.local_addr()?;
        let (begun, over) = (Instant::now(), AtomicBool::new(false));
        let shared = Arc::new(Shared { relay, socket, begun, over, record: Mutex::default() });
        let front = thread::spawn({
            let shared = Arc::clone(&shared);
            move || shared.carry()
        });
        Ok(Self { place, shared, front: Some(front) })
    }

    /// Where clients find the relay.
    #[must_use]
    pub fn place(&self) -> SocketAddr {
        self.place
    }

    /// What has passed so far, once nothing has passed for a moment.
    #[must_use]
    pub fn recorded(&self) -> Vec<Datagram> {
        let mut seen = usize::MAX;
        loop {
            let record = self.shared.record().clone();
            if record.len() == seen {
                return record;
            }
            seen = record.len();
            thread::sleep(SETTLED);
        }
    }

    /// Forgets what has passed.
    pub fn forget(&self) {
        let _ = self.recorded();
        self.shared.record().clear();
    }
}

impl Drop for Tap {
    fn drop(&mut self) {
        self.shared.over.store(true, Ordering::Relaxed);
        if let Some(front) = self.front.take() {
            let _ = front.join();
        }
    }
}

impl Shared {
    fn record(&self) -> MutexGuard<'_, Vec<Datagram>> {
        self.record.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn note(&self, client: SocketAddr, from_client: bool, bytes: &[u8]) {
        let (at, client, bytes) = (self.begun.elapsed(), client.port(), bytes.to_vec());
        self.record().push(Datagram { at, client, from_client, bytes });
    }

    /// Clients' datagrams to the relay, each client from a port of its own.
    fn carry(self: Arc<Self>) {
        let mut clients: HashMap<SocketAddr, (UdpSocket, JoinHandle<()>)> = HashMap::new();
        let mut buffer = vec![0; DATAGRAM_MAX];
        while !self.over.load(Ordering::Relaxed) {
            let Ok((length, client)) = self.socket.recv_from(&mut buffer) else { continue };
            self.note(client, true, &buffer[..length]);
            let (socket, _) = match clients.entry(client) {
                Entry::Occupied(known) => known.into_mut(),
                Entry::Vacant(new) => {
                    let Ok(lane) = self.lane(client) else { continue };
                    new.insert(lane)
                }
            };
            // A relay that is away loses datagrams, as on any network.
            let _ = socket.send(&buffer[..length]);
        }
        for (_, back) in clients.into_values() {
            let _ = back.join();
        }
    }

    /// The relay's datagrams to one client.
    fn lane(self: &Arc<Self>, client: SocketAddr) -> Result<(UdpSocket, JoinHandle<()>)> {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
        socket.connect(self.relay)?;
        socket.set_read_timeout(Some(TICK))?;
        let (shared, back) = (Arc::clone(self), socket.try_clone()?);
        let thread = thread::spawn(move || {
            let mut buffer = vec![0; DATAGRAM_MAX];
            while !shared.over.load(Ordering::Relaxed) {
                let Ok(length) = back.recv(&mut buffer) else { continue };
                shared.note(client, false, &buffer[..length]);
                let _ = shared.socket.send_to(&buffer[..length], client);
            }
        });
        Ok((socket, thread))
    }
}

/// Writes datagrams as a pcap file, the relay on `relay_port`.
///
/// # Errors
/// When the file cannot be written.
pub fn write_pcap(path: &Path, relay_port: u16, datagrams: &[Datagram]) -> Result<()> {
    let mut file = Vec::new();
    for word in [0xa1b2_c3d4_u32, 0x0004_0002, 0, 0, DATAGRAM_MAX as u32, LINKTYPE_IPV4] {
        file.extend_from_slice(&word.to_le_bytes());
    }
    for datagram in datagrams {
        let udp = u16::try_from(8 + datagram.bytes.len()).context("a datagram's length")?;
        let ports = (datagram.client, relay_port);
        let (from, to) = if datagram.from_client { ports } else { (ports.1, ports.0) };
        let mut packet = vec![0x45, 0, 0, 0, 0, 0, 0, 0, 64, 17, 0, 0];
        packet[2..4].copy_from_slice(&(udp + 20).to_be_bytes());
        packet.extend_from_slice(&[127, 0, 0, 1, 127, 0, 0, 1]);
        for field in [from, to, udp, 0] {
            packet.extend_from_slice(&field.to_be_bytes());
        }
        packet.extend_from_slice(&datagram.bytes);
        let length = u32::try_from(packet.len())?;
        let seconds = u32::try_from(datagram.at.as_secs())?;
        for word in [seconds, datagram.at.subsec_micros(), length, length] {
            file.extend_from_slice(&word.to_le_bytes());
        }
        file.extend_from_slice(&packet);
    }
    std::fs::write(path, file).context("a pcap file")
}

//! Gives every client an address of its own on loopback, so that an address can be looked for.
//!
//! A client dials [`Masks::place`]; its datagrams go on to the relay from a socket on another 127.x.y.z and another port
//! for each socket that it dials from, and the answers come back. The relay sees clients at as many addresses as there
//! were connections, none of which stands anywhere but in what the relay keeps of them. Datagrams go as they are.

use std::collections::{HashMap, HashSet};
use std::io;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use rand_chacha::ChaCha20Rng;
use rand_core::{Rng, SeedableRng};

/// How often a thread looks whether it should end.
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// The longest datagram.
const DATAGRAM_MAX: usize = 65_535;

/// An address at which a relay saw a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mask(pub SocketAddr);

/// A way to a relay on which each client has an address of its own.
#[derive(Debug)]
pub struct Masks {
    place: SocketAddr,
    given: Arc<Mutex<Vec<Mask>>>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Masks {
    /// Stands in front of the relay that listens at `relay`. `seed` draws the addresses; two with different seeds share
    /// none.
    ///
    /// # Errors
    /// When there is no socket to be had.
    pub fn before(relay: SocketAddr, seed: u8) -> io::Result<Self> {
        let front = Arc::new(UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?);
        front.set_read_timeout(Some(LOOK_EVERY))?;
        let place = front.local_addr()?;
        let given = Arc::new(Mutex::new(Vec::new()));
        let stop = Arc::new(AtomicBool::new(false));
        let thread = std::thread::spawn({
            let (given, stop) = (Arc::clone(&given), Arc::clone(&stop));
            move || forward(&front, relay, seed, &given, &stop)
        });
        Ok(Self { place, given, stop, thread: Some(thread) })
    }

    /// Where clients dial.
    #[must_use]
    pub const fn place(&self) -> SocketAddr {
        self.place
    }

    /// The addresses at which the relay has seen clients so far, in the order in which they came.
    #[must_use]
    pub fn given(&self) -> Vec<Mask> {
        self.given.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for Masks {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn forward(
    front: &Arc<UdpSocket>,
    relay: SocketAddr,
    seed: u8,
    given: &Mutex<Vec<Mask>>,
    stop: &Arc<AtomicBool>,
) {
    let mut rng = ChaCha20Rng::from_seed([seed; 32]);
    let mut ports = HashSet::new();
    let mut ways: HashMap<SocketAddr, Arc<UdpSocket>> = HashMap::new();
    let mut backs = Vec::new();
    let mut datagram = vec![0; DATAGRAM_MAX];
    while !stop.load(Ordering::Relaxed) {
        let Ok((len, client)) = front.recv_from(&mut datagram) else { continue };
        let way = match ways.get(&client) {
            Some(way) => Arc::clone(way),
            None => {
                let Ok(way) = mask(relay, seed, &mut rng, &mut ports) else { continue };
                if let Ok(address) = way.local_addr() {
                    given.lock().unwrap_or_else(PoisonError::into_inner).push(Mask(address));
                }
                let way = Arc::new(way);
                ways.insert(client, Arc::clone(&way));
                backs.push(std::thread::spawn({
                    let (front, way, stop) =
                        (Arc::clone(front), Arc::clone(&way), Arc::clone(stop));
                    move || back(&front, &way, client, &stop)
                }));
                way
            }
        };
        // A relay that is not there loses it, as a network would.
        let _ = way.send(&datagram[..len]);
    }
    for back in backs {
        let _ = back.join();
    }
}

fn back(front: &UdpSocket, way: &UdpSocket, client: SocketAddr, stop: &AtomicBool) {
    let mut datagram = vec![0; DATAGRAM_MAX];
    while !stop.load(Ordering::Relaxed) {
        if let Ok(len) = way.recv(&mut datagram) {
            let _ = front.send_to(&datagram[..len], client);
        }
    }
}

/// A socket towards the relay on an address and a port that no other has. No byte of it is 0 or small, and the port has
/// five digits, so that neither is found where it does not stand.
fn mask(
    relay: SocketAddr,
    seed: u8,
    rng: &mut ChaCha20Rng,
    ports: &mut HashSet<u16>,
) -> io::Result<UdpSocket> {
    loop {
        let [one, two, three, four, ..] = rng.next_u64().to_le_bytes();
        let ip =
            Ipv4Addr::new(127, 64 | seed & 7 | (one & 0x38), 32 | two & 0xdf, 33 + three % 200);
        let port = 20_000 + u16::from(four) * 40 + u16::from(seed & 31);
        if !ports.insert(port) {
            continue;
        }
        match UdpSocket::bind((ip, port)) {
            Ok(socket) => {
                socket.connect(relay)?;
                socket.set_read_timeout(Some(LOOK_EVERY))?;
                return Ok(socket);
            }
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => {}
            Err(error) => return Err(error),
        }
    }
}

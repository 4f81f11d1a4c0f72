//! Hides from the QUIC library where clients are.
//!
//! A QUIC library copies the address of a peer into tables, queues and stack frames that keep it long after the
//! connection is gone. So it is never told: [`MaskedSocket`] gives it a made-up address for each real one, and only the
//! one table here, [`Callers`], knows which is which. Guarantees: a real address is in this table and nowhere else, for as
//! long as a link is held or datagrams come, and [`FORGET_AFTER`] to twice that longer; then it is erased, whatever
//! allocator the program has; what the system's calls left of it on the stack is erased after each of them; the table is
//! bounded. A made-up address is a number that is given once, so those of a process tell the order of its callers and
//! nothing else.
//!
//! Deliberately not here: addresses of peers that this relay dials. Those are relays.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::hint::black_box;
use std::io::{self, IoSliceMut};
use std::net::{IpAddr, Ipv6Addr, SocketAddr, SocketAddrV6};
use std::pin::Pin;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use quinn::udp::{RecvMeta, Transmit};
use quinn::{AsyncUdpSocket, UdpPoller};
use zeroize::ZeroizeOnDrop;

/// How long an address outlives the last datagram from it where no link is held: long enough for the answer to a Retry,
/// and for the last packets of a connection.
pub(super) const FORGET_AFTER: Duration = Duration::from_millis(FORGET_AFTER_MS);
const FORGET_AFTER_MS: u64 = 3_000;
/// Addresses without a link; beyond it the one that was not heard for longest is forgotten, and whoever meant it dials
/// again. 3 MiB.
const STRANGERS_MAX: usize = 16_384;
/// Datagrams handed to the system at once. Each connection keeps a buffer of so many, and a cell fills three; the
/// library's ten are 14 KiB an idle link, a third of what one costs.
const SEGMENTS_MAX: usize = 4;
/// What the calls that receive (`recvmmsg` of 32 datagrams) or send may leave on the stack, with room to spare.
const STACK_LEN: usize = 24 * 1_024;

/// A real address, erased on drop. The table holds each by a pointer, so that moving its rows leaves none behind.
#[derive(PartialEq, Eq, Hash, ZeroizeOnDrop)]
struct Place {
    ip: [u8; 16],
    scope: u32,
    port: u16,
    v4: bool,
}

impl Place {
    fn of(address: &SocketAddr) -> Self {
        let (ip, scope, v4) = match address {
            SocketAddr::V4(v4) => (v4.ip().to_ipv6_mapped().octets(), 0, true),
            SocketAddr::V6(v6) => (v6.ip().octets(), v6.scope_id(), false),
        };
        Self { ip, scope, port: address.port(), v4 }
    }

    fn address(&self) -> SocketAddr {
        let ip = Ipv6Addr::from(self.ip);
        match ip.to_ipv4_mapped().filter(|_| self.v4) {
            Some(ip) => SocketAddr::new(IpAddr::V4(ip), self.port),
            None => SocketAddrV6::new(ip, self.port, 0, self.scope).into(),
        }
    }
}

/// A row without padding: what lies between fields is not written by a move, and keeps what the stack held there.
struct Caller {
    place: Arc<Place>,
    links: u64,
    /// When the last datagram came, in milliseconds since the table was made.
    heard: u64,
    /// Its turn among the strangers: the last that it was given.
    turn: u64,
}

const _: () = assert!(size_of::<Caller>() == size_of::<Arc<Place>>() + 24);

/// No step looks at more callers than those that it is about: while one is under way, sends and receives wait.
#[derive(Default)]
struct Table {
    numbers: HashMap<Arc<Place>, u64>,
    callers: HashMap<u64, Caller>,
    /// Callers without a link by their turn: whoever was heard longest ago first.
    strangers: BTreeMap<u64, u64>,
    last: u64,
    last_turn: u64,
}

/// Who is who. One for all sockets of a relay.
pub(super) struct Callers {
    table: RwLock<Table>,
    begun: Instant,
}

/// A caller's row is kept for as long as this is.
pub(super) struct Held {
    callers: Arc<Callers>,
    number: u64,
}

impl Callers {
    /// A table of nobody.
    pub(super) fn new() -> Self {
        Self { table: RwLock::default(), begun: Instant::now() }
    }

    fn millis(&self, now: Instant) -> u64 {
        u64::try_from(now.duration_since(self.begun).as_millis()).unwrap_or(u64::MAX)
    }

    /// The made-up address of a caller.
    fn mask(&self, real: &SocketAddr, now: Instant) -> SocketAddr {
        let place = Place::of(real);
        let known = {
            let table = self.read();
            let number = table.numbers.get(&place).copied();
            // Those with a link are not looked at by the clock.
            number.filter(|number| table.callers.get(number).is_some_and(|caller| caller.links > 0))
        };
        masked(known.unwrap_or_else(|| self.write().number(place, self.millis(now))))
    }

    /// The real address behind a made-up one, unless it was forgotten.
    fn real(&self, masked: &SocketAddr) -> Option<SocketAddr> {
        let table = self.read();
        table.callers.get(&number(masked)?).map(|caller| caller.place.address())
    }

    /// Keeps a caller until the answer is dropped; `None` where it was forgotten, so that nothing reaches it any more.
    pub(super) fn hold(self: &Arc<Self>, masked: &SocketAddr) -> Option<Held> {
        let number = number(masked)?;
        self.write().hold(number).then(|| Held { callers: Arc::clone(self), number })
    }

    /// Whether this made-up address was given to somebody, who may have been forgotten since.
    pub(super) fn has_made(&self, masked: &SocketAddr) -> bool {
        number(masked).is_some_and(|number| (1..=self.read().last).contains(&number))
    }

    /// Forgets whoever has no link and was not heard for [`FORGET_AFTER`].
    pub(super) fn sweep(&self, now: Instant) {
        self.write().sweep(self.millis(now));
    }

    fn read(&self) -> RwLockReadGuard<'_, Table> {
        self.table.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Table> {
        self.table.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Table {
    fn number(&mut self, place: Place, now: u64) -> u64 {
        if let Some(number) = self.numbers.get(&place)
            && let Some(caller) = self.callers.get_mut(number)
        {
            caller.heard = now;
            if caller.links == 0 {
                self.strangers.remove(&caller.turn);
                self.last_turn += 1;
                caller.turn = self.last_turn;
                self.strangers.insert(caller.turn, *number);
            }
            return *number;
        }
        if self.strangers.len() >= STRANGERS_MAX {
            self.forget_first();
        }
        self.last += 1;
        self.last_turn += 1;
        let (place, turn) = (Arc::new(place), self.last_turn);
        self.numbers.insert(Arc::clone(&place), self.last);
        self.callers.insert(self.last, Caller { place, links: 0, heard: now, turn });
        self.strangers.insert(turn, self.last);
        self.last
    }

    /// Whether the caller is known.
    fn hold(&mut self, number: u64) -> bool {
        let Some(caller) = self.callers.get_mut(&number) else { return false };
        caller.links += 1;
        self.strangers.remove(&caller.turn);
        true
    }

    fn let_go(&mut self, number: u64, now: u64) {
        let Some(caller) = self.callers.get_mut(&number) else { return };
        caller.links = caller.links.saturating_sub(1);
        caller.heard = now;
        if caller.links == 0 {
            self.last_turn += 1;
            caller.turn = self.last_turn;
            self.strangers.insert(caller.turn, number);
            if self.strangers.len() > STRANGERS_MAX {
                self.forget_first();
            }
        }
    }

    fn sweep(&mut self, now: u64) {
        while let Some((_, number)) = self.strangers.first_key_value()
            && let Some(caller) = self.callers.get(number)
            && now >= caller.heard.saturating_add(FORGET_AFTER_MS)
        {
            self.forget_first();
        }
    }

    /// Forgets the stranger who was not heard for longest.
    fn forget_first(&mut self) {
        let Some((_, number)) = self.strangers.pop_first() else { return };
        if let Some(caller) = self.callers.remove(&number) {
            self.numbers.remove(&*caller.place);
        }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let now = self.callers.millis(Instant::now());
        self.callers.write().let_go(self.number, now);
    }
}

impl fmt::Debug for Callers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Callers(..)")
    }
}

/// An address of the range for private use (RFC 4193) with the number in it.
fn masked(number: u64) -> SocketAddr {
    let ip = (0xfd_u128 << 120) | u128::from(number);
    SocketAddr::new(Ipv6Addr::from(ip).into(), 1)
}

fn number(masked: &SocketAddr) -> Option<u64> {
    match masked.ip() {
        IpAddr::V6(ip) if ip.octets()[0] == 0xfd => {
            u64::try_from(u128::from(ip) & u128::from(u64::MAX)).ok()
        }
        _ => None,
    }
}

/// A socket that tells nobody where datagrams come from.
#[derive(Debug)]
pub(super) struct MaskedSocket {
    socket: Arc<dyn AsyncUdpSocket>,
    callers: Arc<Callers>,
}

impl MaskedSocket {
    pub(super) fn new(socket: Arc<dyn AsyncUdpSocket>, callers: Arc<Callers>) -> Self {
        Self { socket, callers }
    }

    #[inline(never)]
    fn receive(
        &self,
        cx: &mut Context<'_>,
        bufs: &mut [IoSliceMut<'_>],
        meta: &mut [RecvMeta],
    ) -> Poll<io::Result<usize>> {
        let received = self.socket.poll_recv(cx, bufs, meta);
        if let Poll::Ready(Ok(count)) = received {
            let now = Instant::now();
            for meta in meta.iter_mut().take(count) {
                // Where a client is, in the log and in memory.
                #[cfg(hearken_planted)]
                if hearken_proto::planted::is("relay-leaks") {
                    tracing::trace!(from = %meta.addr, "datagrams");
                    continue;
                }
                meta.addr = self.callers.mask(&meta.addr, now);
            }
        }
        received
    }

    #[inline(never)]
    fn send(&self, transmit: &Transmit<'_>) -> io::Result<()> {
        let real = self.callers.real(&transmit.destination);
        #[cfg(hearken_planted)]
        let real = real.or(Some(transmit.destination));
        // Forgotten: whoever it was for has been gone for a while, and the datagram is lost like any other.
        let Some(destination) = real else { return Ok(()) };
        self.socket.try_send(&Transmit { destination, ..transmit.clone() })
    }
}

impl AsyncUdpSocket for MaskedSocket {
    fn create_io_poller(self: Arc<Self>) -> Pin<Box<dyn UdpPoller>> {
        Arc::clone(&self.socket).create_io_poller()
    }

    fn try_send(&self, transmit: &Transmit<'_>) -> io::Result<()> {
        let sent = self.send(transmit);
        erase_stack();
        sent
    }

    fn poll_recv(
        &self,
        cx: &mut Context<'_>,
        bufs: &mut [IoSliceMut<'_>],
        meta: &mut [RecvMeta],
    ) -> Poll<io::Result<usize>> {
        let received = self.receive(cx, bufs, meta);
        erase_stack();
        received
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()
    }

    fn max_transmit_segments(&self) -> usize {
        self.socket.max_transmit_segments().min(SEGMENTS_MAX)
    }

    fn max_receive_segments(&self) -> usize {
        self.socket.max_receive_segments()
    }

    fn may_fragment(&self) -> bool {
        self.socket.may_fragment()
    }
}

/// Writes over the stack where the call before had its frames: this one's frame takes their place.
#[inline(never)]
fn erase_stack() {
    black_box(&mut [0_u8; STACK_LEN]);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    #[test]
    fn one_caller_has_one_mask_and_another_has_another() {
        let (callers, now) = (Callers::new(), Instant::now());
        let real =
            ["192.0.2.7:4000", "192.0.2.7:4001", "[::ffff:192.0.2.7]:4000", "[2001:db8::7]:4000"];
        let real = real.map(address);
        let masks = real.map(|real| callers.mask(&real, now));
        for (at, mask) in masks.iter().enumerate() {
            assert!(!masks[at + 1..].contains(mask));
            assert_eq!(callers.real(mask), Some(real[at]));
            assert_eq!(callers.mask(&real[at], now), *mask);
        }
        assert_eq!(callers.real(&address("[fd00::99]:1")), None);
        assert_eq!(callers.real(&address("192.0.2.7:4000")), None);
    }

    #[test]
    fn a_caller_is_forgotten_a_while_after_the_last_link_and_datagram() {
        let (callers, now) = (Arc::new(Callers::new()), Instant::now());
        let mask = callers.mask(&address("192.0.2.7:4000"), now);
        let links = [(); 2].map(|()| callers.hold(&mask).unwrap());
        callers.sweep(now + 10 * FORGET_AFTER);
        assert!(callers.real(&mask).is_some(), "links are held");
        drop(links);
        callers.sweep(Instant::now());
        assert!(callers.real(&mask).is_some(), "what was said last may still go out");
        callers.sweep(Instant::now() + FORGET_AFTER);
        assert!(callers.real(&mask).is_none());
        assert!(callers.read().numbers.is_empty());
        assert_ne!(callers.mask(&address("192.0.2.7:4000"), now), mask, "no number is given twice");
    }

    #[test]
    fn strangers_without_end_are_bounded_and_links_stay() {
        let (callers, now) = (Arc::new(Callers::new()), Instant::now());
        let mask = callers.mask(&address("192.0.2.7:4000"), now);
        let _link = callers.hold(&mask).unwrap();
        for number in 0..3 * u32::try_from(STRANGERS_MAX).unwrap() {
            let ip = std::net::Ipv4Addr::from(number);
            callers.mask(&SocketAddr::new(ip.into(), 4000), now);
            assert!(callers.read().callers.len() <= STRANGERS_MAX + 1);
        }
        assert!(callers.real(&mask).is_some());
    }

    #[test]
    fn a_stranger_among_many_forgets_the_one_who_was_silent_longest_and_no_other() {
        let (callers, now) = (Arc::new(Callers::new()), Instant::now());
        let caller = |number: u32| SocketAddr::new(std::net::Ipv4Addr::from(number).into(), 4000);
        let count = u32::try_from(STRANGERS_MAX).unwrap();
        // As many links beside them, which are no strangers.
        let links: Vec<_> = (0..count)
            .map(|number| callers.hold(&callers.mask(&caller(!number), now)).unwrap())
            .collect();
        let masks: Vec<_> = (0..count).map(|number| callers.mask(&caller(number), now)).collect();
        assert!(masks.iter().all(|mask| callers.real(mask).is_some()));
        // Heard again: between a Retry and what answers it, say.
        assert_eq!(callers.mask(&caller(0), now), masks[0]);
        callers.mask(&caller(count), now);
        let forgotten: Vec<_> =
            (0..masks.len()).filter(|at| callers.real(&masks[*at]).is_none()).collect();
        assert_eq!(forgotten, [1]);
        assert!(callers.hold(&masks[1]).is_none(), "a link that nothing would reach");
        assert!(callers.has_made(&masks[1]) && !callers.has_made(&masked(u64::MAX)));
        // Links that end are strangers again, and bounded with them.
        drop(links);
        let table = callers.read();
        assert_eq!((table.strangers.len(), table.callers.len()), (STRANGERS_MAX, STRANGERS_MAX));
        assert_eq!(table.numbers.len(), STRANGERS_MAX);
    }
}

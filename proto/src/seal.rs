//! The route seal: what a client and the *last* relay of a route say is sealed between the two.
//!
//! HPKE base mode (RFC 9180) with X-Wing (KEM 0x647A), HKDF-SHA256, ChaCha20-Poly1305; info is `hearken/1 route`, the
//! relay's fingerprint and the key epoch. An OPEN carries `enc` and a tag over random bytes, and no command. The
//! relay's first answer begins with 32 fresh bytes in the clear; the keys of both directions come from the HPKE
//! exporter *and* those bytes, so a replayed OPEN yields other keys and repeats neither a command nor a nonce. After
//! that each direction seals with its own key and a counter as nonce, accepted once and in order.
//!
//! Not here: who may do what ([`crate::auth`]), and which session a cell belongs to (the cores).

mod held_key;

use core::fmt;

use hkdf::Hkdf;
use hpke::aead::ChaCha20Poly1305 as HpkeAead;
use hpke::kdf::HkdfSha256;
use hpke::kem::XWing;
use hpke::{Deserializable, Kem as _, OpModeR, OpModeS, Serializable};
use rand_core::CryptoRng;
use sha2::Sha256;
use subtle::ConstantTimeEq;
use zeroize::{ZeroizeOnDrop, Zeroizing};

use self::held_key::{HeldKey, HeldXWing};
use crate::aead;
use crate::cell::{Cell, Kind};
use crate::ids::Fingerprint;
use crate::limits::{ENC_LEN, FRESHNESS_LEN, KEY_EPOCH_LEN, SESSION_CELLS_MAX, XWING_PUBLIC_LEN};
use crate::payload::Payload;

/// Version of the protocol, in every AAD.
pub const VERSION: u8 = 1;

const INFO_LABEL: &[u8] = b"hearken/1 route";
const EXPORT_LABEL: &[u8] = b"hearken/1 route keys";
const CLIENT_TO_RELAY_LABEL: &[u8] = b"hearken/1 c2s";
const RELAY_TO_CLIENT_LABEL: &[u8] = b"hearken/1 s2c";
const ROUTE_HASH_LABEL: &[u8] = b"hearken/1 route hash";

/// The name of a relay's seal, auth and hop keys of one day: 8 random bytes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyEpoch([u8; KEY_EPOCH_LEN]);

impl KeyEpoch {
    /// Takes an epoch as it was received, stored or drawn.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; KEY_EPOCH_LEN]) -> Self {
        Self(bytes)
    }

    /// The 8 bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; KEY_EPOCH_LEN] {
        &self.0
    }

    /// The first byte, which stands in an OPEN's frame. No two live epochs of a relay share it.
    #[must_use]
    pub const fn hint(&self) -> u8 {
        self.0[0]
    }
}

impl fmt::Debug for KeyEpoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeyEpoch(..)")
    }
}

/// Why a seal was not made or not accepted. Every failure to open is one variant: no oracle.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SealError {
    /// A public key that is not one.
    #[error("a malformed public key")]
    PublicKey,
    /// What came is not what the key's holder sealed for this place, or it came before.
    #[error("a cell that cannot be opened")]
    NotOpened,
    /// 2^20 cells were sealed in this direction; open a new session.
    #[error("a session that has sealed all the cells it may")]
    Exhausted,
}

/// A relay's X-Wing public key, 1,216 bytes.
#[derive(Clone, PartialEq, Eq)]
pub struct SealPublicKey(<XWing as hpke::Kem>::PublicKey);

impl SealPublicKey {
    /// Takes the 1,216 bytes of a public key.
    ///
    /// # Errors
    /// [`SealError::PublicKey`] when they are not one.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, SealError> {
        Deserializable::from_bytes(bytes).map(Self).map_err(|_| SealError::PublicKey)
    }

    /// The 1,216 bytes.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; XWING_PUBLIC_LEN] {
        self.0.to_bytes().into()
    }
}

impl fmt::Debug for SealPublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SealPublicKey(..)")
    }
}

/// A relay's X-Wing private key of one key epoch. Erased on drop by the library that holds it.
pub struct SealSecretKey(HeldKey);

impl SealSecretKey {
    /// Length of the seed that the key is kept as, in bytes.
    pub const LEN: usize = 32;

    /// Draws a key; the seed is what a relay stores.
    #[must_use]
    pub fn generate(rng: &mut (impl CryptoRng + ?Sized)) -> (Self, Zeroizing<[u8; Self::LEN]>) {
        let mut seed = Zeroizing::new([0; Self::LEN]);
        rng.fill_bytes(&mut seed[..]);
        (Self::from_seed(&seed), seed)
    }

    /// The key of a stored seed.
    #[must_use]
    pub fn from_seed(seed: &[u8; Self::LEN]) -> Self {
        Self(HeldKey::from_seed(seed))
    }

    /// The public key to publish.
    #[must_use]
    pub fn public_key(&self) -> SealPublicKey {
        SealPublicKey(HeldXWing::sk_to_pk(&self.0))
    }
}

impl fmt::Debug for SealSecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SealSecretKey(..)")
    }
}

/// Which relay, and which of its keys, a route is sealed to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RouteContext {
    /// The last relay of the route.
    pub fingerprint: Fingerprint,
    /// The day's keys of that relay.
    pub key_epoch: KeyEpoch,
}

impl RouteContext {
    pub(crate) fn info(&self, label: &[u8]) -> Vec<u8> {
        [label, self.fingerprint.as_bytes(), self.key_epoch.as_bytes()].concat()
    }
}

/// A client's route between its OPEN and the relay's first answer.
#[derive(ZeroizeOnDrop)]
pub struct PendingRoute {
    exported: [u8; 32],
}

impl PendingRoute {
    /// Fills a last-hop OPEN cell of route id 0: the caller sets the route id, and the next hop where there is one.
    ///
    /// # Errors
    /// [`SealError`] when the key cannot be sealed to.
    pub fn open(
        context: &RouteContext,
        seal_key: &SealPublicKey,
        rng: &mut (impl CryptoRng + ?Sized),
    ) -> Result<(Self, Cell), SealError> {
        let mut cell = Cell::new(Kind::Open, 0, rng);
        cell.set_last_hop();
        cell.set_epoch_hint(context.key_epoch.hint());
        // `hpke` takes a sized generator.
        let mut rng = rng;
        let (enc, mut sender) = hpke::setup_sender_with_rng::<HpkeAead, HkdfSha256, XWing>(
            &OpModeS::Base,
            &seal_key.0,
            &context.info(INFO_LABEL),
            &mut rng,
        )
        .map_err(|_| SealError::PublicKey)?;
        cell.enc_mut().copy_from_slice(&enc.to_bytes());
        let tag = sender
            .seal_inout_detached(
                hpke::inout::InOutBuf::from(cell.sealed_mut()),
                &aad(Kind::Open, Direction::ClientToRelay),
            )
            .map_err(|_| SealError::PublicKey)?;
        cell.tag_mut().copy_from_slice(&tag.to_bytes());
        let mut pending = Self { exported: [0; 32] };
        sender.export(EXPORT_LABEL, &mut pending.exported).map_err(|_| SealError::PublicKey)?;
        Ok((pending, cell))
    }

    /// Takes the relay's first answer: its freshness completes the keys, and it is opened with them.
    ///
    /// # Errors
    /// [`SealError::NotOpened`] when the answer was not made by the relay that the OPEN was sealed to.
    pub fn accept(self, first_answer: Cell) -> Result<(RouteSeal, Payload), SealError> {
        let mut seal = RouteSeal::derive(
            &self.exported,
            &first_answer.enc()[..FRESHNESS_LEN],
            Direction::ClientToRelay,
        );
        let payload = seal.open(first_answer)?;
        Ok((seal, payload))
    }
}

impl fmt::Debug for PendingRoute {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PendingRoute(..)")
    }
}

/// A session that a relay has accepted and not yet answered.
pub struct AcceptedRoute {
    seal: RouteSeal,
    freshness: [u8; FRESHNESS_LEN],
}

impl AcceptedRoute {
    /// Opens an OPEN at the last relay.
    ///
    /// # Errors
    /// [`SealError::NotOpened`] when it was not sealed to this key under this context.
    pub fn accept(
        context: &RouteContext,
        seal_key: &SealSecretKey,
        mut open: Cell,
        rng: &mut (impl CryptoRng + ?Sized),
    ) -> Result<Self, SealError> {
        if open.kind() != Kind::Open {
            return Err(SealError::NotOpened);
        }
        let enc = Deserializable::from_bytes(open.enc()).map_err(|_| SealError::NotOpened)?;
        let mut receiver = hpke::setup_receiver::<HpkeAead, HkdfSha256, HeldXWing>(
            &OpModeR::Base,
            &seal_key.0,
            &enc,
            &context.info(INFO_LABEL),
        )
        .map_err(|_| SealError::NotOpened)?;
        let tag = Deserializable::from_bytes(open.tag()).map_err(|_| SealError::NotOpened)?;
        receiver
            .open_inout_detached(
                hpke::inout::InOutBuf::from(open.sealed_mut()),
                &aad(Kind::Open, Direction::ClientToRelay),
                &tag,
            )
            .map_err(|_| SealError::NotOpened)?;
        let mut exported = Zeroizing::new([0; 32]);
        receiver.export(EXPORT_LABEL, &mut exported[..]).map_err(|_| SealError::NotOpened)?;
        let mut freshness = [0; FRESHNESS_LEN];
        rng.fill_bytes(&mut freshness);
        let seal = RouteSeal::derive(&exported, &freshness, Direction::RelayToClient);
        Ok(Self { seal, freshness })
    }

    /// Seals the first answer, which carries the freshness, and gives the session's seal.
    ///
    /// # Errors
    /// None in practice: the counter is at zero.
    pub fn answer(
        mut self,
        route: u64,
        payload: Payload,
        rng: &mut (impl CryptoRng + ?Sized),
    ) -> Result<(RouteSeal, Cell), SealError> {
        let mut cell = self.seal.seal(route, payload, rng)?;
        cell.enc_mut()[..FRESHNESS_LEN].copy_from_slice(&self.freshness);
        Ok((self.seal, cell))
    }
}

impl fmt::Debug for AcceptedRoute {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AcceptedRoute(..)")
    }
}

/// What the authentication codes of a session are computed over. 32 bytes, the same at both ends, never sent.
#[derive(ZeroizeOnDrop)]
pub struct RouteHash([u8; 32]);

impl PartialEq for RouteHash {
    fn eq(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl Eq for RouteHash {}

impl RouteHash {
    /// The 32 bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Debug for RouteHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RouteHash(..)")
    }
}

/// One end of an open session: seals what this side says and opens what the other says, each cell once, in order.
pub struct RouteSeal {
    outgoing: DirectionKey,
    incoming: DirectionKey,
    route_hash: RouteHash,
}

impl RouteSeal {
    fn derive(exported: &[u8; 32], freshness: &[u8], outgoing: Direction) -> Self {
        let keys = Hkdf::<Sha256>::new(Some(freshness), exported);
        let key = |direction: Direction| {
            let label = match direction {
                Direction::ClientToRelay => CLIENT_TO_RELAY_LABEL,
                Direction::RelayToClient => RELAY_TO_CLIENT_LABEL,
            };
            DirectionKey { key: expand(&keys, label), sealed: 0, direction }
        };
        let incoming = match outgoing {
            Direction::ClientToRelay => Direction::RelayToClient,
            Direction::RelayToClient => Direction::ClientToRelay,
        };
        Self {
            outgoing: key(outgoing),
            incoming: key(incoming),
            route_hash: RouteHash(*expand(&keys, ROUTE_HASH_LABEL)),
        }
    }

    /// Seals `payload` into a DATA cell of `route`.
    ///
    /// # Errors
    /// [`SealError::Exhausted`] after 2^20 cells.
    pub fn seal(
        &mut self,
        route: u64,
        payload: Payload,
        rng: &mut (impl CryptoRng + ?Sized),
    ) -> Result<Cell, SealError> {
        let nonce = self.outgoing.next_nonce()?;
        let mut cell = Cell::blank(Kind::Data, route);
        rng.fill_bytes(cell.routing_mut());
        rng.fill_bytes(cell.enc_mut());
        let aad = aad(Kind::Data, self.outgoing.direction);
        let (tag, sealed) = cell.tag_and_sealed_mut();
        aead::seal(&self.outgoing.key, nonce, &aad, &payload.0[..], sealed, tag)
            .map_err(|_| SealError::Exhausted)?;
        Ok(cell)
    }

    /// Opens the next DATA cell. A cell that does not open leaves the counter where it was.
    ///
    /// # Errors
    /// [`SealError::NotOpened`] when it is not the next cell that the other side sealed.
    pub fn open(&mut self, cell: Cell) -> Result<Payload, SealError> {
        if cell.kind() != Kind::Data {
            return Err(SealError::NotOpened);
        }
        let nonce = self.incoming.nonce().ok_or(SealError::Exhausted)?;
        let mut payload = Payload(Box::new([0; crate::limits::SEALED_LEN]));
        let aad = aad(Kind::Data, self.incoming.direction);
        aead::open(&self.incoming.key, nonce, &aad, cell.sealed(), cell.tag(), &mut payload.0[..])
            .map_err(|_| SealError::NotOpened)?;
        self.incoming.sealed += 1;
        Ok(payload)
    }

    /// What authentication codes of this session are computed over.
    #[must_use]
    pub fn route_hash(&self) -> &RouteHash {
        &self.route_hash
    }

    /// Cells sealed so far in the direction that has sealed more. A session rolls over well before 2^20.
    #[must_use]
    pub fn cells(&self) -> u64 {
        self.outgoing.sealed.max(self.incoming.sealed)
    }
}

impl fmt::Debug for RouteSeal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { outgoing: _, incoming: _, route_hash: _ } = self;
        f.debug_struct("RouteSeal").field("cells", &self.cells()).finish_non_exhaustive()
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Direction {
    ClientToRelay,
    RelayToClient,
}

struct DirectionKey {
    key: Zeroizing<[u8; 32]>,
    sealed: u64,
    direction: Direction,
}

impl DirectionKey {
    fn nonce(&self) -> Option<[u8; aead::NONCE_LEN]> {
        if self.sealed >= SESSION_CELLS_MAX {
            return None;
        }
        let mut nonce = [0; aead::NONCE_LEN];
        nonce[4..].copy_from_slice(&self.sealed.to_be_bytes());
        // Both ends count so, and everything works but the seal.
        #[cfg(hearken_planted)]
        if crate::planted::is("nonce-twice") {
            nonce = [0; aead::NONCE_LEN];
        }
        Some(nonce)
    }

    fn next_nonce(&mut self) -> Result<[u8; aead::NONCE_LEN], SealError> {
        let nonce = self.nonce().ok_or(SealError::Exhausted)?;
        self.sealed += 1;
        Ok(nonce)
    }
}

fn aad(kind: Kind, direction: Direction) -> [u8; 3] {
    let direction = match direction {
        Direction::ClientToRelay => 0,
        Direction::RelayToClient => 1,
    };
    [VERSION, kind as u8, direction]
}

fn expand(keys: &Hkdf<Sha256>, label: &[u8]) -> Zeroizing<[u8; 32]> {
    let mut out = Zeroizing::new([0; 32]);
    if keys.expand(label, &mut out[..]).is_err() {
        unreachable!("HKDF-SHA256 expands to 32 bytes");
    }
    out
}

const _: () = assert!(ENC_LEN >= FRESHNESS_LEN);

#[cfg(test)]
pub(crate) mod tests;

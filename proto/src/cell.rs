//! The cell: the one unit on every link, both ways, 4,096 bytes whatever it carries.
//!
//! | bytes | field |
//! | --- | --- |
//! | 0..16 | frame: route id (8, big-endian), kind, flags, key-epoch hint, close reason, four zeros |
//! | 16..381 | routing: a sealed next hop in OPEN and INFO, else random |
//! | 381..1,517 | seal: HPKE `enc` or random bytes (1,120) and a tag (16) |
//! | 1,517..4,096 | sealed: command (128), blob (2,400), padding (51) |
//!
//! In an INFO answer everything behind the routing field is the length-prefixed signed `RelayInfo`.
//!
//! A [`Cell`] is any 4,096 bytes; [`Cell::parse`] is the only way from bytes of a link to one whose frame holds. This
//! module does not encrypt: see [`crate::seal`] and [`crate::hop`].

use core::fmt;

use rand_core::CryptoRng;

use crate::limits::{CELL_LEN, ENC_LEN, FRAME_LEN, INFO_LEN, ROUTING_LEN, SEAL_LEN, SEALED_LEN};

const KIND_AT: usize = 8;
const FLAGS_AT: usize = 9;
const EPOCH_HINT_AT: usize = 10;
const REASON_AT: usize = 11;
const ZERO_AT: usize = 12;
const SEAL_AT: usize = FRAME_LEN + ROUTING_LEN;
const TAG_AT: usize = SEAL_AT + ENC_LEN;
const SEALED_AT: usize = SEAL_AT + SEAL_LEN;

/// Flag of OPEN and INFO: the routing field names no next hop; the relay that reads this is the last.
const FLAG_LAST_HOP: u8 = 1;

/// What a cell is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Kind {
    /// Asks for, or carries, a relay's signed `RelayInfo`.
    Info = 1,
    /// Opens a route.
    Open = 2,
    /// Carries a sealed command or reply.
    Data = 3,
    /// Ends a route.
    Close = 4,
    /// Cover on a link; unread.
    Pad = 5,
}

/// Why a route was closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum CloseReason {
    /// The session ended as it should.
    Done = 0,
    /// The relay does not serve this: a broken rule, or a target that it does not forward to.
    Refused = 1,
    /// The next relay does not answer.
    Unreachable = 2,
    /// Another key answers at that address.
    OtherKey = 3,
    /// A named limit is reached. Try later.
    Busy = 4,
    /// The keys that the OPEN was sealed to are not, or no longer, the relay's: fetch INFO again.
    UnknownEpoch = 5,
}

/// A cell whose frame does not hold. The link that it came from is closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CellError {
    /// It is not 4,096 bytes long.
    #[error("a cell of another length than 4096 bytes")]
    Length,
    /// Its kind is not one of the five.
    #[error("a cell of an unknown kind")]
    Kind,
    /// Flags, epoch hint, reason or the zeros hold something that this kind does not have.
    #[error("a cell with a malformed frame")]
    Frame,
}

/// 4,096 bytes with a frame that holds.
#[derive(Clone, PartialEq, Eq)]
pub struct Cell {
    bytes: Box<[u8; CELL_LEN]>,
    kind: Kind,
}

impl Cell {
    /// A cell of `kind` on `route` whose every byte behind the frame is random.
    #[must_use]
    pub fn new(kind: Kind, route: u64, rng: &mut (impl CryptoRng + ?Sized)) -> Self {
        let mut bytes = Box::new([0; CELL_LEN]);
        rng.fill_bytes(&mut bytes[FRAME_LEN..]);
        bytes[..KIND_AT].copy_from_slice(&route.to_be_bytes());
        bytes[KIND_AT] = kind as u8;
        Self { bytes, kind }
    }

    /// A CLOSE of `route` for `reason`.
    #[must_use]
    pub fn close(route: u64, reason: CloseReason, rng: &mut (impl CryptoRng + ?Sized)) -> Self {
        let mut cell = Self::new(Kind::Close, route, rng);
        cell.bytes[REASON_AT] = reason as u8;
        cell
    }

    /// A cell of zeros for DATA whose every byte the caller overwrites.
    pub(crate) fn blank(kind: Kind, route: u64) -> Self {
        let mut bytes = Box::new([0; CELL_LEN]);
        bytes[..KIND_AT].copy_from_slice(&route.to_be_bytes());
        bytes[KIND_AT] = kind as u8;
        Self { bytes, kind }
    }

    /// Takes a cell as a link delivered it.
    ///
    /// # Errors
    /// [`CellError`] when the length is not 4,096, the kind unknown, or the frame holds what its kind does not have.
    pub fn parse(bytes: &[u8]) -> Result<Self, CellError> {
        let bytes: Box<[u8; CELL_LEN]> =
            bytes.to_vec().into_boxed_slice().try_into().map_err(|_| CellError::Length)?;
        Self::from_array(bytes)
    }

    /// Takes a cell without copying it.
    ///
    /// # Errors
    /// As [`Cell::parse`], but for the length.
    pub fn from_array(bytes: Box<[u8; CELL_LEN]>) -> Result<Self, CellError> {
        let kind = Kind::from_byte(bytes[KIND_AT]).ok_or(CellError::Kind)?;
        let routed = matches!(kind, Kind::Open | Kind::Info);
        let flags_hold =
            if routed { bytes[FLAGS_AT] & !FLAG_LAST_HOP == 0 } else { bytes[FLAGS_AT] == 0 };
        let hint_holds = routed || bytes[EPOCH_HINT_AT] == 0;
        let reason_holds = if kind == Kind::Close {
            CloseReason::from_byte(bytes[REASON_AT]).is_some()
        } else {
            bytes[REASON_AT] == 0
        };
        let zeros_hold = bytes[ZERO_AT..FRAME_LEN] == [0; FRAME_LEN - ZERO_AT];
        if flags_hold && hint_holds && reason_holds && zeros_hold {
            Ok(Self { bytes, kind })
        } else {
            Err(CellError::Frame)
        }
    }

    /// The bytes as they go onto a link.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; CELL_LEN] {
        &self.bytes
    }

    /// What the cell is for.
    #[must_use]
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// The link-local route. 0 in INFO and PAD of a link that has no use for it.
    #[must_use]
    pub fn route(&self) -> u64 {
        let mut id = [0; 8];
        id.copy_from_slice(&self.bytes[..8]);
        u64::from_be_bytes(id)
    }

    /// Gives the cell the route id of the link that it goes out on.
    pub fn set_route(&mut self, route: u64) {
        self.bytes[..8].copy_from_slice(&route.to_be_bytes());
    }

    /// Whether an OPEN or INFO names no next hop.
    #[must_use]
    pub fn is_last_hop(&self) -> bool {
        self.bytes[FLAGS_AT] & FLAG_LAST_HOP != 0
    }

    /// Marks an OPEN or INFO as naming no next hop.
    pub fn set_last_hop(&mut self) {
        self.bytes[FLAGS_AT] |= FLAG_LAST_HOP;
    }

    /// In an OPEN the first byte of the key epoch of the *last* relay, so that it tries one key only.
    #[must_use]
    pub fn epoch_hint(&self) -> u8 {
        self.bytes[EPOCH_HINT_AT]
    }

    /// Sets the epoch hint of an OPEN.
    pub fn set_epoch_hint(&mut self, hint: u8) {
        self.bytes[EPOCH_HINT_AT] = hint;
    }

    /// Why a CLOSE closes; `None` for other kinds.
    #[must_use]
    pub fn close_reason(&self) -> Option<CloseReason> {
        if self.kind() == Kind::Close {
            CloseReason::from_byte(self.bytes[REASON_AT])
        } else {
            None
        }
    }

    /// The 365 bytes in which an OPEN or INFO names the next hop.
    #[must_use]
    pub fn routing(&self) -> &[u8] {
        &self.bytes[FRAME_LEN..SEAL_AT]
    }

    /// The routing field, to be written.
    pub fn routing_mut(&mut self) -> &mut [u8] {
        &mut self.bytes[FRAME_LEN..SEAL_AT]
    }

    /// Makes a last-hop OPEN or INFO one that names a next hop.
    pub(crate) fn name_next_hop(&mut self, routing: &[u8; ROUTING_LEN]) {
        self.bytes[FLAGS_AT] &= !FLAG_LAST_HOP;
        self.routing_mut().copy_from_slice(routing);
    }

    /// What an entry relay does before it forwards an OPEN or INFO: nothing of the next hop goes on.
    pub fn strip_next_hop(&mut self, rng: &mut (impl CryptoRng + ?Sized)) {
        rng.fill_bytes(&mut self.bytes[FRAME_LEN..SEAL_AT]);
        self.set_last_hop();
    }

    /// The 1,120 bytes in front of the tag: HPKE `enc` in OPEN, freshness and random bytes in DATA.
    #[must_use]
    pub fn enc(&self) -> &[u8] {
        &self.bytes[SEAL_AT..TAG_AT]
    }

    pub(crate) fn enc_mut(&mut self) -> &mut [u8] {
        &mut self.bytes[SEAL_AT..TAG_AT]
    }

    pub(crate) fn tag(&self) -> &[u8] {
        &self.bytes[TAG_AT..SEALED_AT]
    }

    pub(crate) fn tag_mut(&mut self) -> &mut [u8] {
        &mut self.bytes[TAG_AT..SEALED_AT]
    }

    pub(crate) fn tag_and_sealed_mut(&mut self) -> (&mut [u8], &mut [u8]) {
        self.bytes[TAG_AT..SEALED_AT + SEALED_LEN].split_at_mut(SEALED_AT - TAG_AT)
    }

    pub(crate) fn sealed(&self) -> &[u8] {
        &self.bytes[SEALED_AT..SEALED_AT + SEALED_LEN]
    }

    pub(crate) fn sealed_mut(&mut self) -> &mut [u8] {
        &mut self.bytes[SEALED_AT..SEALED_AT + SEALED_LEN]
    }

    /// Everything behind the routing field, unsealed: what an INFO answer carries.
    #[must_use]
    pub fn info(&self) -> &[u8] {
        &self.bytes[SEAL_AT..SEAL_AT + INFO_LEN]
    }

    pub(crate) fn info_mut(&mut self) -> &mut [u8] {
        &mut self.bytes[SEAL_AT..SEAL_AT + INFO_LEN]
    }
}

impl fmt::Debug for Cell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cell").field("kind", &self.kind()).finish_non_exhaustive()
    }
}

impl Kind {
    fn from_byte(byte: u8) -> Option<Self> {
        Some(match byte {
            1 => Self::Info,
            2 => Self::Open,
            3 => Self::Data,
            4 => Self::Close,
            5 => Self::Pad,
            _ => return None,
        })
    }
}

impl CloseReason {
    fn from_byte(byte: u8) -> Option<Self> {
        Some(match byte {
            0 => Self::Done,
            1 => Self::Refused,
            2 => Self::Unreachable,
            3 => Self::OtherKey,
            4 => Self::Busy,
            5 => Self::UnknownEpoch,
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use rand_chacha::ChaCha20Rng;
    use rand_core::SeedableRng;

    use super::*;

    const KINDS: [Kind; 5] = [Kind::Info, Kind::Open, Kind::Data, Kind::Close, Kind::Pad];

    #[test]
    fn any_length_but_4096_is_refused() {
        for len in [0, 1, 16, 4_095, 4_097, 8_192] {
            assert_eq!(Cell::parse(&vec![3; len]), Err(CellError::Length));
        }
    }

    #[test]
    fn any_kind_but_the_five_is_refused() {
        let mut bytes = [0; CELL_LEN];
        for byte in 0..=u8::MAX {
            bytes[KIND_AT] = byte;
            match Cell::parse(&bytes) {
                Ok(cell) => assert_eq!(cell.kind() as u8, byte),
                Err(error) => assert!(error == CellError::Kind && !(1..=5).contains(&byte)),
            }
        }
    }

    #[test]
    fn a_frame_holds_what_its_kind_has_and_nothing_else() {
        for kind in KINDS {
            let routed = matches!(kind, Kind::Open | Kind::Info);
            for at in FLAGS_AT..FRAME_LEN {
                for byte in 1..=u8::MAX {
                    let mut bytes = *Cell::new(kind, 1, &mut rng()).as_bytes();
                    bytes[at] = byte;
                    let holds = match at {
                        FLAGS_AT => routed && byte == FLAG_LAST_HOP,
                        EPOCH_HINT_AT => routed,
                        REASON_AT => kind == Kind::Close && byte <= 5,
                        _ => false,
                    };
                    let expected = if holds { Ok(kind) } else { Err(CellError::Frame) };
                    assert_eq!(Cell::parse(&bytes).map(|cell| cell.kind()), expected);
                }
            }
        }
    }

    #[test]
    fn every_cell_made_is_one_that_is_read_and_all_behind_its_frame_is_random() {
        for kind in KINDS {
            let (one, two) = (Cell::new(kind, 7, &mut rng()), Cell::new(kind, 7, &mut other_rng()));
            assert_eq!(Cell::parse(one.as_bytes()).as_ref(), Ok(&one));
            assert_eq!((one.kind(), one.route()), (kind, 7));
            let same = |from: usize| {
                (from..CELL_LEN).filter(|at| one.as_bytes()[*at] == two.as_bytes()[*at]).count()
            };
            // Of 4,080 random bytes about 16 are equal by chance.
            assert!(same(FRAME_LEN) < 64);
        }
    }

    #[test]
    fn a_close_says_why_and_others_say_nothing() {
        for (byte, reason) in (0..).zip([
            CloseReason::Done,
            CloseReason::Refused,
            CloseReason::Unreachable,
            CloseReason::OtherKey,
            CloseReason::Busy,
            CloseReason::UnknownEpoch,
        ]) {
            let cell = Cell::close(u64::MAX, reason, &mut rng());
            assert_eq!(cell.close_reason(), Some(reason));
            assert_eq!((cell.route(), cell.as_bytes()[REASON_AT]), (u64::MAX, byte));
        }
        assert_eq!(Cell::new(Kind::Data, 0, &mut rng()).close_reason(), None);
    }

    #[test]
    fn nothing_of_a_next_hop_goes_on_with_a_stripped_cell() {
        let mut cell = Cell::new(Kind::Open, 1, &mut rng());
        cell.set_last_hop();
        cell.set_epoch_hint(9);
        cell.name_next_hop(&[0xaa; ROUTING_LEN]);
        assert!(!cell.is_last_hop());
        let sealed = cell.as_bytes()[SEAL_AT..].to_vec();
        cell.strip_next_hop(&mut other_rng());
        assert!(cell.is_last_hop());
        assert!(cell.routing().iter().filter(|byte| **byte == 0xaa).count() < 32);
        assert_eq!(&cell.as_bytes()[SEAL_AT..], sealed);
        assert_eq!(cell.epoch_hint(), 9);
        assert!(Cell::parse(cell.as_bytes()).is_ok());
    }

    #[test]
    fn debug_output_is_the_kind_alone() {
        let cell = Cell::new(Kind::Data, 77, &mut rng());
        assert_eq!(format!("{cell:?}"), "Cell { kind: Data, .. }");
    }

    fn rng() -> ChaCha20Rng {
        ChaCha20Rng::seed_from_u64(1)
    }

    fn other_rng() -> ChaCha20Rng {
        ChaCha20Rng::seed_from_u64(2)
    }
}

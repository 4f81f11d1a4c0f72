//! What the core asks of its shell.

use core::ops::Range;

use hearken_proto::hop::NextHop;
use hearken_proto::seal::KeyEpoch;
use hearken_proto::time::UnixDay;
use zeroize::Zeroizing;

use super::command::{ReadCommand, WriteCommand};

/// A link, as the shell names it. Never used for another link.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LinkId(pub u64);

/// A store command under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ticket(pub u64);

/// A dial under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DialId(pub u64);

/// Why a peer relay was not reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DialError {
    /// Nobody answers there.
    #[error("the relay does not answer")]
    Unreachable,
    /// Another key answers there.
    #[error("another key answers at that address")]
    OtherKey,
    /// The name resolves to private or loopback addresses only.
    #[error("the relay's address is private")]
    Private,
}

/// What an operator should be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Warning {
    /// The clock is over two hours behind what this relay signed or stored: clients refuse it until that is mended.
    ClockWentBack,
}

/// What the shell is to do. None of it blocks the core.
#[derive(Debug)]
pub enum Action {
    /// Dial a peer relay, pinned to the fingerprint, and answer with `handle_dialled`.
    Dial {
        /// Name of the dial.
        dial: DialId,
        /// Whom and where.
        hop: NextHop,
        /// Whether addresses of this machine and of private networks may be dialled; otherwise each resolved address
        /// is judged with `hearken_proto::address::is_private`.
        allow_private: bool,
    },
    /// Close a link. The core has forgotten it.
    CloseLink(LinkId),
    /// Carry a write out, in this order, and answer with `handle_outcomes`.
    Write(Ticket, WriteCommand),
    /// Carry a read out and answer with `handle_outcomes`.
    Read(Ticket, ReadCommand),
    /// Store the keys of an epoch, file and folder synced, and answer with `handle_epoch_key`.
    StoreEpochKey {
        /// Name of the epoch.
        epoch: KeyEpoch,
        /// The content of the file, `EpochKey::LEN` bytes.
        bytes: Zeroizing<Vec<u8>>,
    },
    /// Overwrite and unlink the keys of an epoch. None may be there.
    DestroyEpochKey(KeyEpoch),
    /// Destroy the key, then drop the space, of every day before this one. Asked again within the hour, so a failure
    /// needs no answer.
    DropDaysBefore(UnixDay),
    /// Flush the spaces of these days, where there are any: mailboxes and feeds put nothing there any more.
    FlushDays(Range<UnixDay>),
    /// Tell the operator.
    Warn(Warning),
}

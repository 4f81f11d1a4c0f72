//! The rows of the core as bytes in and bytes out, for `tests/fuzz`: `None` where they are refused, else what was read
//! written again. Not part of the interface.

use hearken_proto::ids::ObjectId;

use super::feed_rows::{FeedRow, SeenEntry};
use super::rows::{
    BlobRow, Kind, MailboxRow, ObjectRow, due_key, end_of, position_of, read_due_key, read_id,
    read_total,
};

/// A mailbox's row.
#[must_use]
pub fn mailbox_row(bytes: &[u8]) -> Option<Vec<u8>> {
    MailboxRow::decode(bytes).ok().map(|row| row.encode())
}

/// A blob's row.
#[must_use]
pub fn blob_row(bytes: &[u8]) -> Option<Vec<u8>> {
    let row = BlobRow::decode(bytes).ok()?;
    Some([&BlobRow::head(row.goes)[..], row.sealed].concat())
}

/// An object's row.
#[must_use]
pub fn object_row(bytes: &[u8]) -> Option<Vec<u8>> {
    ObjectRow::decode(bytes).ok().map(|row| row.encode())
}

/// A feed's row.
#[must_use]
pub fn feed_row(bytes: &[u8]) -> Option<Vec<u8>> {
    FeedRow::decode(bytes).ok().map(|row| row.encode())
}

/// What a feed remembers of an entry.
#[must_use]
pub fn seen_entry(bytes: &[u8]) -> Option<Vec<u8>> {
    SeenEntry::decode(bytes).ok().map(|seen| seen.encode())
}

/// The key of an index row, but for its first byte, which the caller's space decides.
#[must_use]
pub fn index_key(bytes: &[u8]) -> Option<Vec<u8>> {
    read_due_key(bytes).ok().map(|(due, id)| due_key(Kind::Idle, due, &id))
}

/// What is read of any other row and key: a total, an id, a position.
#[must_use]
pub fn small_rows(bytes: &[u8]) -> (Option<u64>, Option<[u8; 32]>, Option<u64>) {
    (read_total(Some(bytes)).ok(), read_id(bytes).ok(), position_of(bytes).ok())
}

/// The first key after all that begin with `prefix`.
#[must_use]
pub fn prefix_end(prefix: &[u8]) -> Vec<u8> {
    end_of(prefix)
}

/// An honest row each of a mailbox, an object and a feed, and what a feed remembers of an entry.
#[must_use]
pub fn honest_rows() -> [Vec<u8>; 4] {
    use hearken_proto::ids::{ClaimId, FeedWriterId, SendId};
    use hearken_proto::time::{UnixDay, UnixHour};

    use super::feed_rows::{FeedDay, FeedKind};
    use super::rows::MailboxDay;
    let feed = FeedRow {
        writer: FeedWriterId::of(b"writer"),
        kind: FeedKind::Group,
        incarnation: [2; 8],
        made_in: 0,
        newest: 9,
        dropped: 3,
        last_day: UnixDay(20_000),
        days: vec![FeedDay { day: UnixDay(20_021), first: 4, last: 9, entries: 6 }],
    };
    let seen = SeenEntry { incarnation: [2; 8], names: Some(ObjectId::of(b"object")) };
    let mailbox = MailboxRow {
        claim: Some(ClaimId::of(b"claim")),
        sender: Some(SendId::of(b"sender")),
        claims_refused: 1,
        incarnation: [1; 8],
        head: 2,
        newest: 9,
        newest_goes: UnixHour(480_500),
        reader_day: UnixDay(20_000),
        days: vec![MailboxDay { day: UnixDay(20_021), first: 1, blobs: 7 }],
    };
    let object = ObjectRow {
        chunks: 2,
        root: *ObjectId::of(b"root").as_bytes(),
        ttl_hours: 24,
        space: UnixDay(20_003),
        received: 1,
        complete: false,
        named: false,
        goes: UnixHour(480_001),
        key_day: UnixDay(20_001),
        sealed_key: vec![7; 72],
    };
    [mailbox.encode(), object.encode(), feed.encode(), seen.encode()]
}

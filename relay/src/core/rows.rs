//! How mailboxes and objects lie in the store: keys and values of every row, encoded by hand.
//!
//! | space | key | value |
//! | --- | --- | --- |
//! | rows | `m` ‖ recv id | [`MailboxRow`] |
//! | rows | `s` ‖ send id, `c` ‖ claim id | recv id |
//! | rows | `i` ‖ last reader day ‖ recv id | nothing: mailboxes by idleness |
//! | rows | `o` ‖ object id | [`ObjectRow`] |
//! | rows | `x` ‖ hour ‖ object id | nothing: objects by the hour at which they go |
//! | rows | `t` | number of mailboxes |
//! | day | `b` ‖ recv id ‖ position | [`BlobRow`] |
//! | day | `p` ‖ recv id ‖ put id | incarnation: what was put, acknowledged or not |
//! | day | `h` ‖ object id ‖ index | hash of a chunk |
//! | day | `k` ‖ object id ‖ index | chunk, sealed under its object's key |
//!
//! Feeds are in `feed_rows.rs`.
//!
//! Guarantees: a value that does not decode is [`StoreError::Corrupt`], never a guess; no row names two mailboxes, an
//! address, or a time finer than an hour.

use hearken_proto::ids::{ClaimId, ID_LEN, ObjectId, PutId, RecvId, SendId};
use hearken_proto::time::{UnixDay, UnixHour};

use crate::store::{StoreError, position_key, prefix_end};

/// Which kind of row a key belongs to: the first byte of every key.
#[derive(Clone, Copy)]
pub(super) enum Kind {
    Mailbox = b'm' as isize,
    Sender = b's' as isize,
    Claim = b'c' as isize,
    Idle = b'i' as isize,
    Object = b'o' as isize,
    ObjectGoes = b'x' as isize,
    Total = b't' as isize,
    Blob = b'b' as isize,
    Seen = b'p' as isize,
    ChunkHash = b'h' as isize,
    Chunk = b'k' as isize,
    Feed = b'f' as isize,
    FeedWriter = b'w' as isize,
    FeedIdle = b'j' as isize,
    FeedTotal = b'u' as isize,
    Entry = b'e' as isize,
    SeenEntry = b'q' as isize,
}

/// A key of one id: a row's, or the prefix of an id's rows.
pub(super) fn key(kind: Kind, id: &[u8; ID_LEN]) -> Vec<u8> {
    [&[kind as u8], &id[..]].concat()
}

/// The key of the number of mailboxes.
pub(super) fn total_key() -> Vec<u8> {
    vec![Kind::Total as u8]
}

/// The key of a blob.
pub(super) fn blob_key(mailbox: &RecvId, position: u64) -> Vec<u8> {
    position_key(&key(Kind::Blob, mailbox.as_bytes()), position)
}

/// The first key after every blob of a mailbox.
pub(super) fn blobs_end(mailbox: &RecvId) -> Vec<u8> {
    end_of(&key(Kind::Blob, mailbox.as_bytes()))
}

/// The key under which a mailbox remembers that it was given a blob.
pub(super) fn seen_key(mailbox: &RecvId, put_id: &PutId) -> Vec<u8> {
    [&key(Kind::Seen, mailbox.as_bytes())[..], put_id.as_bytes()].concat()
}

/// The key of an object's chunk, or of its hash.
pub(super) fn chunk_key(kind: Kind, object: &ObjectId, index: u32) -> Vec<u8> {
    [&key(kind, object.as_bytes())[..], &index.to_be_bytes()].concat()
}

/// The key of an index row by day or hour.
pub(super) fn due_key(kind: Kind, due: u32, id: &[u8; ID_LEN]) -> Vec<u8> {
    [&due_prefix(kind, due)[..], &id[..]].concat()
}

/// What index rows of one day or hour begin with; also the first key not before it.
pub(super) fn due_prefix(kind: Kind, due: u32) -> Vec<u8> {
    [&[kind as u8][..], &due.to_be_bytes()].concat()
}

/// The day or hour and the id of an index row.
pub(super) fn read_due_key(key: &[u8]) -> Result<(u32, [u8; ID_LEN]), StoreError> {
    let mut fields = Fields { rest: key, what: "an index row" };
    let _kind = fields.array::<1>()?;
    let due = fields.u32()?;
    let id = fields.array()?;
    fields.end()?;
    Ok((due, id))
}

/// The position in a blob's key.
pub(super) fn position_of(key: &[u8]) -> Result<u64, StoreError> {
    let tail = key.last_chunk::<8>().ok_or_else(|| corrupt("a blob's key"))?;
    Ok(u64::from_be_bytes(*tail))
}

/// The first key after all keys with this prefix.
pub(super) fn end_of(prefix: &[u8]) -> Vec<u8> {
    // Every prefix here begins with an ASCII letter, so there is always an end.
    prefix_end(prefix).unwrap_or_else(|| vec![u8::MAX])
}

/// What a mailbox is, but for its blobs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct MailboxRow {
    /// Who may set the sender; `None` in a mailbox made again for a known sender.
    pub(super) claim: Option<ClaimId>,
    /// Who may put.
    pub(super) sender: Option<SendId>,
    /// Claims by somebody else that were refused.
    pub(super) claims_refused: u32,
    /// Drawn when the mailbox is made, so that what an earlier one with these keys was given does not count as seen.
    pub(super) incarnation: [u8; 8],
    /// The last position acknowledged; reads start behind it.
    pub(super) head: u64,
    /// The last position given.
    pub(super) newest: u64,
    /// The hour from which the newest blob is not delivered.
    pub(super) newest_goes: UnixHour,
    /// The last day on which the reader came.
    pub(super) reader_day: UnixDay,
    /// Each live day in which blobs of this mailbox expire, in the order in which they were first put.
    pub(super) days: Vec<MailboxDay>,
}

/// A mailbox's blobs that expire on one day.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct MailboxDay {
    pub(super) day: UnixDay,
    /// The first position put there.
    pub(super) first: u64,
    /// Blobs not acknowledged: counted, since a difference of positions has jumps where the relay was restored.
    pub(super) blobs: u32,
}

impl MailboxRow {
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut bytes = vec![1];
        for id in [self.claim.map(|id| *id.as_bytes()), self.sender.map(|id| *id.as_bytes())] {
            bytes.push(u8::from(id.is_some()));
            bytes.extend_from_slice(&id.unwrap_or([0; ID_LEN]));
        }
        bytes.extend_from_slice(&self.claims_refused.to_be_bytes());
        bytes.extend_from_slice(&self.incarnation);
        bytes.extend_from_slice(&self.head.to_be_bytes());
        bytes.extend_from_slice(&self.newest.to_be_bytes());
        bytes.extend_from_slice(&self.newest_goes.0.to_be_bytes());
        bytes.extend_from_slice(&self.reader_day.0.to_be_bytes());
        for day in &self.days {
            bytes.extend_from_slice(&day.day.0.to_be_bytes());
            bytes.extend_from_slice(&day.first.to_be_bytes());
            bytes.extend_from_slice(&day.blobs.to_be_bytes());
        }
        bytes
    }

    pub(super) fn decode(bytes: &[u8]) -> Result<Self, StoreError> {
        let mut fields = Fields { rest: bytes, what: "a mailbox row" };
        fields.version()?;
        let claim = fields.optional_id()?.map(ClaimId::from_bytes);
        let sender = fields.optional_id()?.map(SendId::from_bytes);
        let claims_refused = fields.u32()?;
        let incarnation = fields.array()?;
        let head = fields.u64()?;
        let newest = fields.u64()?;
        let newest_goes = UnixHour(fields.u32()?);
        let reader_day = UnixDay(fields.u32()?);
        let mut days = Vec::new();
        while !fields.rest.is_empty() {
            days.push(MailboxDay {
                day: UnixDay(fields.u32()?),
                first: fields.u64()?,
                blobs: fields.u32()?,
            });
        }
        Ok(Self {
            claim,
            sender,
            claims_refused,
            incarnation,
            head,
            newest,
            newest_goes,
            reader_day,
            days,
        })
    }

    /// Blobs that count under the quota: those of days not over yet.
    pub(super) fn blobs(&self, today: UnixDay) -> u32 {
        self.days.iter().filter(|day| day.day >= today).map(|day| day.blobs).sum()
    }

    /// The newest position beyond `after` that a reader can still be given; 0 where there is none.
    pub(super) fn newest_after(&self, after: u64, hour: UnixHour) -> u64 {
        let waits = self.newest > self.head.max(after) && hour < self.newest_goes;
        if waits { self.newest } else { 0 }
    }
}

/// A stored blob: until when it is delivered, and its sealed bytes.
pub(super) struct BlobRow<'a> {
    /// The hour from which it is not delivered.
    pub(super) goes: UnixHour,
    /// Sealed under the key of its expiry day.
    pub(super) sealed: &'a [u8],
}

impl<'a> BlobRow<'a> {
    /// What stands before the sealed bytes.
    pub(super) fn head(goes: UnixHour) -> [u8; 4] {
        goes.0.to_be_bytes()
    }

    pub(super) fn decode(bytes: &'a [u8]) -> Result<Self, StoreError> {
        let mut fields = Fields { rest: bytes, what: "a blob's row" };
        let goes = UnixHour(fields.u32()?);
        Ok(Self { goes, sealed: fields.rest })
    }
}

/// What an object is, but for its chunks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ObjectRow {
    pub(super) chunks: u32,
    pub(super) root: [u8; 32],
    pub(super) ttl_hours: u32,
    /// The day space of its chunks: the last day that the object can reach.
    pub(super) space: UnixDay,
    pub(super) received: u32,
    pub(super) complete: bool,
    /// An entry of a feed names it; only what is complete is named.
    pub(super) named: bool,
    /// The hour from which it is not there.
    pub(super) goes: UnixHour,
    /// The day under whose key the object's own key is sealed.
    pub(super) key_day: UnixDay,
    pub(super) sealed_key: Vec<u8>,
}

impl ObjectRow {
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut bytes = vec![1];
        bytes.extend_from_slice(&self.chunks.to_be_bytes());
        bytes.extend_from_slice(&self.root);
        bytes.extend_from_slice(&self.ttl_hours.to_be_bytes());
        bytes.extend_from_slice(&self.space.0.to_be_bytes());
        bytes.extend_from_slice(&self.received.to_be_bytes());
        bytes.push(u8::from(self.complete) + u8::from(self.named));
        bytes.extend_from_slice(&self.goes.0.to_be_bytes());
        bytes.extend_from_slice(&self.key_day.0.to_be_bytes());
        bytes.extend_from_slice(&self.sealed_key);
        bytes
    }

    pub(super) fn decode(bytes: &[u8]) -> Result<Self, StoreError> {
        let mut fields = Fields { rest: bytes, what: "an object's row" };
        fields.version()?;
        let (chunks, root, ttl_hours) = (fields.u32()?, fields.array()?, fields.u32()?);
        let (space, received) = (UnixDay(fields.u32()?), fields.u32()?);
        let (complete, named) = match fields.array::<1>()? {
            [0] => (false, false),
            [1] => (true, false),
            [2] => (true, true),
            _ => return Err(corrupt(fields.what)),
        };
        Ok(Self {
            chunks,
            root,
            ttl_hours,
            space,
            received,
            complete,
            named,
            goes: UnixHour(fields.u32()?),
            key_day: UnixDay(fields.u32()?),
            sealed_key: fields.rest.to_vec(),
        })
    }
}

/// A u64 row.
pub(super) fn read_total(bytes: Option<&[u8]>) -> Result<u64, StoreError> {
    let Some(bytes) = bytes else { return Ok(0) };
    let mut fields = Fields { rest: bytes, what: "a number of mailboxes or feeds" };
    let total = fields.u64()?;
    fields.end()?;
    Ok(total)
}

/// A row that holds an id.
pub(super) fn read_id(bytes: &[u8]) -> Result<[u8; ID_LEN], StoreError> {
    bytes.try_into().map_err(|_| corrupt("an id's row"))
}

/// Bytes on disk that are not what was written.
pub(super) fn corrupt(what: &str) -> StoreError {
    StoreError::Corrupt { what: what.to_owned(), advice: "restore the newest backup" }
}

/// The fields of a row, read one after another.
pub(super) struct Fields<'a> {
    pub(super) rest: &'a [u8],
    /// What the row is.
    pub(super) what: &'static str,
}

impl Fields<'_> {
    pub(super) fn array<const N: usize>(&mut self) -> Result<[u8; N], StoreError> {
        let (head, rest) = self.rest.split_first_chunk().ok_or_else(|| corrupt(self.what))?;
        self.rest = rest;
        Ok(*head)
    }

    pub(super) fn u32(&mut self) -> Result<u32, StoreError> {
        self.array().map(u32::from_be_bytes)
    }

    pub(super) fn u64(&mut self) -> Result<u64, StoreError> {
        self.array().map(u64::from_be_bytes)
    }

    fn flag(&mut self) -> Result<bool, StoreError> {
        match self.array::<1>()? {
            [0] => Ok(false),
            [1] => Ok(true),
            _ => Err(corrupt(self.what)),
        }
    }

    fn optional_id(&mut self) -> Result<Option<[u8; ID_LEN]>, StoreError> {
        let there = self.flag()?;
        let id = self.array()?;
        // What no reader of the flag alone would see.
        #[cfg(hearken_planted)]
        if hearken_proto::planted::is("row-id-unchecked") {
            return Ok(there.then_some(id));
        }
        if !there && id != [0; ID_LEN] {
            return Err(corrupt(self.what));
        }
        Ok(there.then_some(id))
    }

    pub(super) fn version(&mut self) -> Result<(), StoreError> {
        if self.array::<1>()? == [1] { Ok(()) } else { Err(corrupt(self.what)) }
    }

    pub(super) fn end(&self) -> Result<(), StoreError> {
        if self.rest.is_empty() { Ok(()) } else { Err(corrupt(self.what)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mailbox() -> MailboxRow {
        MailboxRow {
            claim: Some(ClaimId::of(b"claim")),
            sender: None,
            claims_refused: 3,
            incarnation: [9; 8],
            head: 4,
            newest: 17,
            newest_goes: UnixHour(500_000),
            reader_day: UnixDay(20_000),
            days: vec![
                MailboxDay { day: UnixDay(20_001), first: 2, blobs: 5 },
                MailboxDay { day: UnixDay(20_002), first: 9, blobs: 8 },
            ],
        }
    }

    fn object() -> ObjectRow {
        ObjectRow {
            chunks: 12,
            root: [1; 32],
            ttl_hours: 24,
            space: UnixDay(20_003),
            received: 4,
            complete: false,
            named: false,
            goes: UnixHour(480_000),
            key_day: UnixDay(20_000),
            sealed_key: vec![7; 72],
        }
    }

    #[test]
    fn rows_read_back_as_they_were_written() {
        assert_eq!(MailboxRow::decode(&mailbox().encode()).unwrap(), mailbox());
        assert_eq!(ObjectRow::decode(&object().encode()).unwrap(), object());
    }

    #[test]
    fn a_truncated_row_is_corrupt_and_not_a_guess() {
        let mailbox = mailbox().encode();
        let fixed = mailbox.len() - 2 * 16;
        for len in (0..fixed).chain([fixed + 1, fixed + 15, fixed + 17]) {
            assert!(MailboxRow::decode(&mailbox[..len]).is_err(), "{len}");
        }
        let object = object().encode();
        for len in 0..object.len() - 72 {
            assert!(ObjectRow::decode(&object[..len]).is_err(), "{len}");
        }
        let mut other_version = mailbox;
        other_version[0] = 2;
        assert!(MailboxRow::decode(&other_version).is_err());
    }

    #[test]
    fn bytes_in_the_place_of_an_id_that_is_not_there_are_corrupt() {
        let mut row = mailbox().encode();
        let sender_at = 1 + 33 + 1;
        row[sender_at + 7] = 1;
        assert!(MailboxRow::decode(&row).is_err());
    }

    #[test]
    fn a_day_that_is_over_does_not_count_under_the_quota() {
        assert_eq!(mailbox().blobs(UnixDay(20_001)), 13);
        assert_eq!(mailbox().blobs(UnixDay(20_002)), 8);
        assert_eq!(mailbox().blobs(UnixDay(20_003)), 0);
    }

    #[test]
    fn keys_are_those_of_the_table() {
        assert_eq!(total_key(), b"t");
        assert_eq!(key(Kind::Claim, &[7; 32]), [&b"c"[..], &[7; 32]].concat());
        let blob = blob_key(&RecvId::from_bytes([7; 32]), 258);
        assert_eq!(blob, [&b"b"[..], &[7; 32], &[0, 0, 0, 0, 0, 0, 1, 2]].concat());
        assert_eq!(position_of(&blob).unwrap(), 258);
    }

    #[test]
    fn bytes_behind_a_key_or_a_number_are_corrupt() {
        let mut key = due_key(Kind::Idle, 1, &[0; 32]);
        key.push(0);
        assert!(read_due_key(&key).is_err());
        assert_eq!(read_total(Some(&7_u64.to_be_bytes())).unwrap(), 7);
        assert!(read_total(Some(&[0; 9])).is_err());
        assert_eq!(read_total(None).unwrap(), 0);
    }

    #[test]
    fn the_newest_waits_until_its_hour_is_over_or_it_is_behind_the_reader() {
        let (row, hour) = (mailbox(), UnixHour(499_999));
        assert_eq!(row.newest_after(0, hour), 17);
        assert_eq!(row.newest_after(16, hour), 17);
        assert_eq!(row.newest_after(17, hour), 0);
        assert_eq!(row.newest_after(0, UnixHour(500_000)), 0);
        assert_eq!(MailboxRow { head: 17, ..row }.newest_after(0, hour), 0);
    }

    #[test]
    fn index_rows_are_in_the_order_of_their_days() {
        let early = due_key(Kind::Idle, 255, &[255; 32]);
        let late = due_key(Kind::Idle, 256, &[0; 32]);
        assert!(early < late);
        assert!(early < due_prefix(Kind::Idle, 256));
        assert_eq!(read_due_key(&late).unwrap(), (256, [0; 32]));
    }
}

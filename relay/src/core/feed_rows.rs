//! How feeds lie in the store: the row of a feed, and the keys of its entries.
//!
//! | space | key | value |
//! | --- | --- | --- |
//! | rows | `f` ‖ feed id | [`FeedRow`] |
//! | rows | `w` ‖ feed writer id | feed id |
//! | rows | `j` ‖ day of the last entry ‖ feed id | nothing: feeds by idleness |
//! | rows | `u` | number of feeds |
//! | day | `e` ‖ feed id ‖ position | entry, sealed under the key of its expiry day |
//! | day | `q` ‖ feed id ‖ put id | [`SeenEntry`]: what was put, and what it names |
//!
//! Guarantees: as of `rows.rs`; no time finer than a day of an entry, and nothing of who reads.

use hearken_proto::ids::{FeedId, FeedWriterId, ID_LEN, ObjectId, PutId};
use hearken_proto::limits::{
    FEED_CASE_ENTRIES_MAX, FEED_CASE_ENTRY_DAYS, FEED_GROUP_ENTRY_DAYS, FEED_IDLE_DAYS,
};
use hearken_proto::time::UnixDay;

use super::rows::{Fields, Kind, corrupt, key};
use crate::store::{StoreError, position_key};

/// What a feed is for, which says how long its entries are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FeedKind {
    /// An epoch of a group.
    Group,
    /// A case of a desk.
    Case,
}

impl FeedKind {
    /// Entries that a feed holds, where the operator bounds them to `entries_max`.
    pub(super) fn entries_max(self, entries_max: u32) -> u32 {
        match self {
            Self::Group => entries_max,
            Self::Case => entries_max.min(FEED_CASE_ENTRIES_MAX),
        }
    }

    /// Days for which an entry is kept, to the end of the last.
    pub(super) fn entry_days(self) -> u32 {
        match self {
            Self::Group => FEED_GROUP_ENTRY_DAYS,
            Self::Case => FEED_CASE_ENTRY_DAYS,
        }
    }
}

/// What a feed is, but for its entries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct FeedRow {
    /// Who may put.
    pub(super) writer: FeedWriterId,
    pub(super) kind: FeedKind,
    /// Drawn when the feed is made, so that what an earlier one with these keys was given does not count as seen.
    pub(super) incarnation: [u8; 8],
    /// Where the positions of the store's life begin in which the feed was made: in another it was restored.
    pub(super) made_in: u64,
    /// The last position given; where none was, the one before the first.
    pub(super) newest: u64,
    /// The last position that went with a day that is not among `days` any more, 0 where none did.
    pub(super) dropped: u64,
    /// The day of the last entry, or on which the feed was made.
    pub(super) last_day: UnixDay,
    /// Each day in which entries expire, in the order in which they were first put.
    pub(super) days: Vec<FeedDay>,
}

/// A feed's entries that expire on one day.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct FeedDay {
    pub(super) day: UnixDay,
    /// The first position put there.
    pub(super) first: u64,
    /// The last position put there.
    pub(super) last: u64,
    /// Entries: counted, since a difference of positions has jumps where the relay was restored.
    pub(super) entries: u32,
}

impl FeedRow {
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut bytes = vec![1];
        bytes.extend_from_slice(self.writer.as_bytes());
        bytes.push(match self.kind {
            FeedKind::Group => 1,
            FeedKind::Case => 2,
        });
        bytes.extend_from_slice(&self.incarnation);
        bytes.extend_from_slice(&self.made_in.to_be_bytes());
        bytes.extend_from_slice(&self.newest.to_be_bytes());
        bytes.extend_from_slice(&self.dropped.to_be_bytes());
        bytes.extend_from_slice(&self.last_day.0.to_be_bytes());
        for day in &self.days {
            bytes.extend_from_slice(&day.day.0.to_be_bytes());
            bytes.extend_from_slice(&day.first.to_be_bytes());
            bytes.extend_from_slice(&day.last.to_be_bytes());
            bytes.extend_from_slice(&day.entries.to_be_bytes());
        }
        bytes
    }

    pub(super) fn decode(bytes: &[u8]) -> Result<Self, StoreError> {
        let what = "a feed's row";
        let mut fields = Fields { rest: bytes, what };
        fields.version()?;
        let writer = FeedWriterId::from_bytes(fields.array()?);
        let kind = match fields.array::<1>()? {
            [1] => FeedKind::Group,
            [2] => FeedKind::Case,
            _ => return Err(corrupt(what)),
        };
        let incarnation = fields.array()?;
        let (made_in, newest, dropped) = (fields.u64()?, fields.u64()?, fields.u64()?);
        let last_day = UnixDay(fields.u32()?);
        let mut days = Vec::new();
        while !fields.rest.is_empty() {
            days.push(FeedDay {
                day: UnixDay(fields.u32()?),
                first: fields.u64()?,
                last: fields.u64()?,
                entries: fields.u32()?,
            });
        }
        Ok(Self { writer, kind, incarnation, made_in, newest, dropped, last_day, days })
    }

    /// Whether the feed has ended: its last entry is too long ago.
    pub(super) fn is_over(&self, today: UnixDay) -> bool {
        today.0 > self.last_day.0.saturating_add(FEED_IDLE_DAYS)
    }

    /// Whether anything was ever put.
    pub(super) fn was_written(&self) -> bool {
        self.dropped > 0 || !self.days.is_empty()
    }

    /// Entries that count under the quota: those of days not over yet.
    pub(super) fn entries(&self, today: UnixDay) -> u32 {
        self.live(today).map(|day| day.entries).sum()
    }

    /// The days that are not over.
    pub(super) fn live(&self, today: UnixDay) -> impl Iterator<Item = &FeedDay> {
        self.days.iter().filter(move |at| at.day >= today)
    }

    /// The last position whose entry is gone, 0 where all are there. Everything above it is live.
    pub(super) fn dropped(&self, today: UnixDay) -> u64 {
        let over = self.days.iter().filter(|at| at.day < today);
        over.map(|at| at.last).fold(self.dropped, u64::max)
    }

    /// The newest position beyond `after` whose entry is there; 0 where there is none.
    pub(super) fn newest_after(&self, after: u64, today: UnixDay) -> u64 {
        let newest = self.live(today).map(|at| at.last).max().unwrap_or_default();
        if newest > after { newest } else { 0 }
    }

    /// Forgets the days that are over, but for how far they went.
    pub(super) fn prune(&mut self, today: UnixDay) {
        self.dropped = self.dropped(today);
        self.days.retain(|at| at.day >= today);
    }

    /// An entry that expires on `day` stands at `position`.
    pub(super) fn append(&mut self, day: UnixDay, position: u64) {
        self.newest = position;
        match self.days.iter_mut().find(|at| at.day == day) {
            Some(at) => {
                at.last = position;
                at.entries += 1;
            }
            None => {
                self.days.push(FeedDay { day, first: position, last: position, entries: 1 });
            }
        }
    }
}

/// What a feed remembers of an entry that was put.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct SeenEntry {
    /// The feed's.
    pub(super) incarnation: [u8; 8],
    /// The object that the entry names.
    pub(super) names: Option<ObjectId>,
}

impl SeenEntry {
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut bytes = self.incarnation.to_vec();
        bytes.extend(self.names.iter().flat_map(|object| *object.as_bytes()));
        bytes
    }

    pub(super) fn decode(bytes: &[u8]) -> Result<Self, StoreError> {
        let mut fields = Fields { rest: bytes, what: "what a feed was given" };
        let incarnation = fields.array()?;
        let names = match fields.rest.is_empty() {
            true => None,
            false => Some(ObjectId::from_bytes(fields.array()?)),
        };
        fields.end()?;
        Ok(Self { incarnation, names })
    }
}

/// The key of the number of feeds.
pub(super) fn feeds_key() -> Vec<u8> {
    vec![Kind::FeedTotal as u8]
}

/// The key of an entry.
pub(super) fn entry_key(feed: &FeedId, position: u64) -> Vec<u8> {
    position_key(&key(Kind::Entry, feed.as_bytes()), position)
}

/// The key under which a feed remembers that it was given an entry.
pub(super) fn seen_entry_key(feed: &FeedId, put_id: &PutId) -> Vec<u8> {
    [&key(Kind::SeenEntry, feed.as_bytes())[..], put_id.as_bytes()].concat()
}

/// What an entry at rest is bound to: its feed and position.
pub(super) fn aad(feed: &FeedId, position: u64) -> Vec<u8> {
    const LABEL: &[u8] = b"feed entry";
    let mut aad = Vec::with_capacity(LABEL.len() + ID_LEN + 8);
    aad.extend_from_slice(LABEL);
    aad.extend_from_slice(feed.as_bytes());
    aad.extend_from_slice(&position.to_be_bytes());
    aad
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row() -> FeedRow {
        FeedRow {
            writer: FeedWriterId::of(b"writer"),
            kind: FeedKind::Case,
            incarnation: [7; 8],
            made_in: 1 << 48,
            newest: 30,
            dropped: 4,
            last_day: UnixDay(20_000),
            days: vec![
                FeedDay { day: UnixDay(20_020), first: 5, last: 9, entries: 5 },
                FeedDay { day: UnixDay(20_021), first: 10, last: 30, entries: 12 },
            ],
        }
    }

    #[test]
    fn rows_read_back_as_they_were_written() {
        let row = row();
        assert_eq!(FeedRow::decode(&row.encode()).unwrap(), row);
        for names in [None, Some(ObjectId::of(b"object"))] {
            let seen = SeenEntry { incarnation: [3; 8], names };
            assert_eq!(SeenEntry::decode(&seen.encode()).unwrap(), seen);
        }
    }

    #[test]
    fn rows_cut_short_or_of_another_version_or_kind_are_corrupt() {
        let row = row().encode();
        let whole_days = |len: usize| len >= 70 && (len - 70).is_multiple_of(24);
        for len in 0..row.len() {
            let is_whole = len >= row.len() - 48 && whole_days(len - (row.len() - 48) + 70);
            assert_eq!(FeedRow::decode(&row[..len]).is_ok(), is_whole, "{len}");
        }
        for (at, byte) in [(0, 2), (33, 0), (33, 3)] {
            let mut changed = row.clone();
            changed[at] = byte;
            assert!(FeedRow::decode(&changed).is_err());
        }
        for len in [0, 7, 9, 39, 41] {
            assert!(SeenEntry::decode(&vec![1; len]).is_err(), "{len}");
        }
    }

    #[test]
    fn what_is_dropped_ends_with_the_last_position_of_any_day_that_is_over() {
        let mut row = row();
        assert_eq!(row.dropped(UnixDay(20_020)), 4);
        assert_eq!(row.dropped(UnixDay(20_021)), 9);
        assert_eq!(row.dropped(UnixDay(20_022)), 30);
        assert_eq!((row.entries(UnixDay(20_020)), row.entries(UnixDay(20_021))), (17, 12));
        assert_eq!(row.newest_after(29, UnixDay(20_021)), 30);
        assert_eq!(row.newest_after(30, UnixDay(20_021)), 0);
        assert_eq!(row.newest_after(0, UnixDay(20_022)), 0);
        row.prune(UnixDay(20_021));
        assert_eq!((row.dropped, row.days.len()), (9, 1));
        row.append(UnixDay(20_021), 31);
        row.append(UnixDay(20_025), 32);
        assert_eq!(row.days[0], FeedDay { day: UnixDay(20_021), first: 10, last: 31, entries: 13 });
        assert_eq!(row.days[1], FeedDay { day: UnixDay(20_025), first: 32, last: 32, entries: 1 });
    }

    #[test]
    fn a_case_holds_fewer_entries_than_a_group_and_no_feed_more_than_the_operator_says() {
        assert_eq!(
            (FeedKind::Group.entries_max(8_192), FeedKind::Case.entries_max(8_192)),
            (8_192, 1_024)
        );
        assert_eq!((FeedKind::Group.entries_max(3), FeedKind::Case.entries_max(3)), (3, 3));
    }

    #[test]
    fn a_feed_is_over_four_hundred_days_after_its_last_entry() {
        assert!(!row().is_over(UnixDay(20_400)));
        assert!(row().is_over(UnixDay(20_401)));
    }
}

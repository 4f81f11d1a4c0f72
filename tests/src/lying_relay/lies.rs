//! The lies themselves: what is said instead of what is.

use std::collections::VecDeque;

use hearken_proto::cell::{Cell, Kind};
use hearken_proto::limits::{BLOB_LEN, CELL_LEN};
use hearken_proto::payload::Blob;
use hearken_relay::core::Told;

/// A byte of a blob or cell that is changed: inside what is encrypted of either.
const CHANGED_AT: usize = 2_000;

/// What a reader is told of a blob.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delivery {
    /// The blob.
    Honest,
    /// Nothing, as if it had never been put.
    Withheld,
    /// The blob with one bit changed.
    Garbled,
    /// The one told before it, once more.
    TheOneBefore,
}

/// What becomes of a cell on the link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnTheLink {
    /// It is sent.
    Honest,
    /// One bit of it is changed.
    Changed,
    /// It is sent twice.
    Twice,
    /// It is not sent.
    Dropped,
}

/// In which order, and how often, a reader is told of several blobs at once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Order {
    /// As they were put.
    #[default]
    Honest,
    /// The last first, each under the position of another.
    Reversed,
    /// Each twice under its position.
    Doubled,
}

/// What the operator has decided.
#[derive(Debug, Default)]
pub(super) struct Lies {
    pub(super) minutes_ahead: i64,
    pub(super) deliveries: VecDeque<Delivery>,
    pub(super) cells: VecDeque<OnTheLink>,
    pub(super) swaps_cards: bool,
    pub(super) promises_more: bool,
    pub(super) order: Order,
    pub(super) chunks: Option<usize>,
    pub(super) cells_added: i32,
    /// Every blob that was told or withheld, and what was decided about it.
    told: Vec<(Box<[u8; BLOB_LEN]>, Delivery)>,
}

impl Lies {
    pub(super) fn give_back(&mut self) {
        for (_, delivery) in &mut self.told {
            if *delivery == Delivery::Withheld {
                *delivery = Delivery::Honest;
            }
        }
    }

    pub(super) fn tell(&mut self, told: Told<'_>) {
        match told {
            Told::Blobs(blobs) => {
                let honest = core::mem::take(blobs);
                *blobs = honest
                    .into_iter()
                    .filter_map(|(position, blob)| Some((position, self.deliver(blob)?)))
                    .collect();
                self.arrange(blobs);
            }
            Told::Newest(newest) if self.promises_more => *newest = u64::MAX,
            Told::Chunks(chunks) if self.swaps_cards => {
                chunks.iter_mut().for_each(|chunk| *chunk = changed(chunk));
            }
            Told::Chunks(chunks) => {
                if let (Some(count), Some(first)) = (self.chunks, chunks.first().cloned()) {
                    chunks.resize(count, first);
                }
            }
            Told::Cells(added) => *added = self.cells_added,
            Told::Newest(_) => {}
        }
    }

    fn arrange(&self, blobs: &mut Vec<(u64, Blob)>) {
        match self.order {
            Order::Honest => {}
            Order::Reversed => {
                let (positions, mut contents): (Vec<_>, Vec<_>) =
                    core::mem::take(blobs).into_iter().unzip();
                contents.reverse();
                *blobs = positions.into_iter().zip(contents).collect();
            }
            Order::Doubled => {
                *blobs = core::mem::take(blobs)
                    .into_iter()
                    .flat_map(|told| [told.clone(), told])
                    .collect();
            }
        }
    }

    fn deliver(&mut self, blob: Blob) -> Option<Blob> {
        let known = self.told.iter().position(|(told, _)| **told == *blob.as_bytes());
        let at = known.unwrap_or_else(|| {
            let delivery = self.deliveries.pop_front().unwrap_or(Delivery::Honest);
            self.told.push((Box::new(*blob.as_bytes()), delivery));
            self.told.len() - 1
        });
        match self.told[at].1 {
            Delivery::Honest => Some(blob),
            Delivery::Withheld => None,
            Delivery::Garbled => Some(changed(&blob)),
            Delivery::TheOneBefore => {
                at.checked_sub(1).map(|before| Blob::new(self.told[before].0.clone()))
            }
        }
    }

    /// The cells that are sent instead of `cell`. A route begins and ends as it should.
    pub(super) fn send(&mut self, cell: Cell) -> Vec<Cell> {
        if cell.kind() != Kind::Data {
            return vec![cell];
        }
        match self.cells.pop_front().unwrap_or(OnTheLink::Honest) {
            OnTheLink::Honest => vec![cell],
            OnTheLink::Changed => {
                let mut bytes: Box<[u8; CELL_LEN]> = Box::new(*cell.as_bytes());
                bytes[CHANGED_AT] ^= 1;
                Cell::from_array(bytes).into_iter().collect()
            }
            OnTheLink::Twice => vec![cell.clone(), cell],
            OnTheLink::Dropped => Vec::new(),
        }
    }
}

fn changed(blob: &Blob) -> Blob {
    let mut bytes = Box::new(*blob.as_bytes());
    bytes[CHANGED_AT] ^= 1;
    Blob::new(bytes)
}

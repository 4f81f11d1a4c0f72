//! Links between people and relays: cells on their way, links that end early or unnoticed, and who cannot reach whom.
//!
//! A link delivers each way in order or ends, as QUIC does. An end that is gone may take the other end a while to
//! notice, so that two links of one person stand side by side at a relay. Links differ in delay, so cells of different
//! links overtake each other.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use hearken_client_lib::simulation::ClientLink;
use hearken_proto::cell::Cell;
use hearken_relay::core::LinkId;

/// A link that nothing comes over is believed to be there for so long.
pub const NOTICED_MS: u64 = 45_000;

/// A person or a relay.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Node {
    /// By place.
    Person(usize),
    /// By place.
    Relay(usize),
}

/// One end of a link, as whoever stands there names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum End {
    /// Of one run of a person's client.
    Person(usize, u32, ClientLink),
    /// Of a relay.
    Relay(usize, LinkId),
}

impl End {
    /// Who stands there.
    #[must_use]
    pub fn node(self) -> Node {
        match self {
            Self::Person(who, ..) => Node::Person(who),
            Self::Relay(relay, _) => Node::Relay(relay),
        }
    }
}

/// A link. The way of an end is what it sends.
#[derive(Debug)]
pub struct Pipe {
    /// Who dialled, and who was dialled.
    pub ends: [End; 2],
    /// Cells on their way, from each end, with the moment at which they arrive.
    pub ways: [VecDeque<(u64, Cell)>; 2],
    /// When each end hears that the link is over, where it is.
    told_at: [Option<u64>; 2],
    delay: u64,
    frozen_since: Option<u64>,
}

/// What a link brings next.
#[derive(Debug)]
pub enum Arrival {
    /// Cells for an end, in order.
    Cells(End, Vec<Cell>),
    /// The link is over for an end.
    Over(End),
}

/// All links.
#[derive(Debug, Default)]
pub struct Network {
    pipes: BTreeMap<u64, Pipe>,
    by_end: BTreeMap<End, (u64, usize)>,
    parted: BTreeSet<(Node, Node)>,
    next: u64,
    /// Cells that were lost with their link.
    pub lost: u64,
    /// Cells that arrived before one of another link that was sent earlier.
    pub overtaken: u64,
    newest_sent: u64,
}

impl Network {
    /// A link is there.
    pub fn connect(&mut self, ends: [End; 2], delay: u64) {
        self.next += 1;
        for (side, end) in ends.into_iter().enumerate() {
            self.by_end.insert(end, (self.next, side));
        }
        let pipe = Pipe {
            ends,
            ways: [VecDeque::new(), VecDeque::new()],
            told_at: [None, None],
            delay,
            frozen_since: None,
        };
        self.pipes.insert(self.next, pipe);
    }

    /// Whether two can reach each other.
    #[must_use]
    pub fn reach(&self, one: Node, other: Node) -> bool {
        !self.parted.contains(&(one, other)) && !self.parted.contains(&(other, one))
    }

    /// From here on two cannot reach each other; what is on its way between them waits.
    pub fn part(&mut self, one: Node, other: Node, now: u64) {
        self.parted.insert((one, other));
        self.freeze(now);
    }

    /// Everybody can reach everybody. `true` where that was not so.
    pub fn heal(&mut self, now: u64) -> bool {
        let was_parted = !std::mem::take(&mut self.parted).is_empty();
        self.freeze(now);
        was_parted
    }

    fn freeze(&mut self, now: u64) {
        let parted = std::mem::take(&mut self.parted);
        for pipe in self.pipes.values_mut() {
            let [a, b] = pipe.ends.map(End::node);
            let frozen = parted.contains(&(a, b)) || parted.contains(&(b, a));
            if !frozen && pipe.frozen_since.take().is_some() {
                for (at, _) in pipe.ways.iter_mut().flatten() {
                    *at = (*at).max(now + 1);
                }
            }
            if frozen && pipe.frozen_since.is_none() {
                pipe.frozen_since = Some(now);
            }
        }
        self.parted = parted;
    }

    /// An end sends a cell. It is lost where the link is over.
    pub fn send(&mut self, end: End, cell: Cell, now: u64) {
        let Some((id, side)) = self.by_end.get(&end).copied() else { return };
        let Some(pipe) = self.pipes.get_mut(&id) else { return };
        if pipe.told_at.iter().any(Option::is_some) {
            return;
        }
        let last = pipe.ways[side].back().map_or(0, |(at, _)| *at);
        pipe.ways[side].push_back(((now + pipe.delay).max(last), cell));
    }

    /// An end hangs up or is gone: it hears nothing more. The other end hears of it after what was sent has arrived,
    /// or, unnoticed, when it has waited long enough.
    pub fn hang_up(&mut self, end: End, noticed: bool, now: u64) {
        let Some((id, side)) = self.by_end.remove(&end) else { return };
        let Some(pipe) = self.pipes.get_mut(&id) else { return };
        pipe.told_at[side] = Some(0);
        let last = pipe.ways[side].back().map_or(0, |(at, _)| *at).max(now + pipe.delay);
        let when = if noticed { last } else { last.max(now + NOTICED_MS) };
        let other = &mut pipe.told_at[1 - side];
        *other = Some(other.map_or(when, |told| told.min(when)));
        pipe.ways[1 - side].clear();
        self.drop_over(id);
    }

    /// A link ends; of what is on its way only the first `kept` cells each way arrive. One end notices at once, the
    /// other later.
    pub fn lose(&mut self, link: u8, kept: usize, now: u64) -> bool {
        let Some(id) = self.pick(link) else { return false };
        let Some(pipe) = self.pipes.get_mut(&id) else { return false };
        let mut lost = 0;
        for way in &mut pipe.ways {
            lost += way.len().saturating_sub(kept);
            way.truncate(kept);
        }
        self.lost += lost as u64;
        for side in [0, 1] {
            let last = pipe.ways[1 - side].back().map_or(now, |(at, _)| *at);
            let when = if side == 0 { last } else { last.max(now + NOTICED_MS / 2) };
            pipe.told_at[side].get_or_insert(when);
        }
        true
    }

    /// Does something to the cells on one way of a link; `false` where there are none.
    pub fn meddle(&mut self, link: u8, what: impl FnOnce(&mut VecDeque<(u64, Cell)>)) -> bool {
        let ways = self.pipes.values_mut().flat_map(|pipe| &mut pipe.ways);
        let mut busy: Vec<_> = ways.filter(|way| way.len() > 1).collect();
        if busy.is_empty() {
            return false;
        }
        let at = usize::from(link) % busy.len();
        what(busy[at]);
        true
    }

    fn pick(&self, link: u8) -> Option<u64> {
        let count = self.pipes.len();
        (count > 0).then(|| self.pipes.keys().nth(usize::from(link) % count).copied()).flatten()
    }

    /// Every end that somebody holds.
    pub fn ends_of(&self, node: Node) -> Vec<End> {
        self.by_end.keys().filter(|end| end.node() == node).copied().collect()
    }

    /// Whether a link of an earlier process of a person still stands at a relay.
    #[must_use]
    pub fn has_leftover(&self, who: usize, process: u32) -> bool {
        self.pipes.values().any(|pipe| {
            matches!(pipe.ends[0], End::Person(other, earlier, _) if other == who && earlier != process)
                && pipe.told_at[1] != Some(0)
        })
    }

    /// When something arrives next.
    #[must_use]
    pub fn next_arrival(&self) -> Option<u64> {
        self.pipes.values().filter_map(Pipe::next).min()
    }

    /// What arrives at `now`.
    pub fn arrival(&mut self, now: u64) -> Option<Arrival> {
        let (id, _) =
            self.pipes.iter().find(|(_, pipe)| pipe.next().is_some_and(|at| at <= now))?;
        let id = *id;
        let pipe = self.pipes.get_mut(&id)?;
        if pipe.frozen_since.is_some_and(|since| since + NOTICED_MS <= now) {
            self.lost += pipe.ways.iter().map(|way| way.len() as u64).sum::<u64>();
            pipe.ways.iter_mut().for_each(VecDeque::clear);
            pipe.frozen_since = None;
            for side in [0, 1] {
                pipe.told_at[side].get_or_insert(now);
            }
        }
        for side in [0, 1] {
            let way = &mut pipe.ways[side];
            let mut cells = Vec::new();
            while way.front().is_some_and(|(at, _)| *at <= now) {
                cells.extend(way.pop_front().map(|(_, cell)| cell));
            }
            if !cells.is_empty() {
                let sent = now - pipe.delay.min(now);
                self.overtaken += u64::from(sent < self.newest_sent);
                self.newest_sent = self.newest_sent.max(sent);
                return Some(Arrival::Cells(pipe.ends[1 - side], cells));
            }
        }
        for side in [0, 1] {
            if pipe.told_at[side].is_some_and(|at| at > 0 && at <= now) {
                pipe.told_at[side] = Some(0);
                pipe.ways[1 - side].clear();
                let end = pipe.ends[side];
                self.by_end.remove(&end);
                self.drop_over(id);
                return Some(Arrival::Over(end));
            }
        }
        None
    }

    fn drop_over(&mut self, id: u64) {
        if self.pipes.get(&id).is_some_and(|pipe| pipe.told_at == [Some(0), Some(0)]) {
            self.pipes.remove(&id);
        }
    }
}

impl Pipe {
    fn next(&self) -> Option<u64> {
        if let Some(since) = self.frozen_since {
            return Some(since + NOTICED_MS);
        }
        let cells = self.ways.iter().filter_map(|way| way.front().map(|(at, _)| *at));
        let told = self.told_at.iter().flatten().copied().filter(|at| *at > 0);
        cells.chain(told).min()
    }
}

//! Crash points and what is done at each of them.

use std::collections::{HashMap, VecDeque};
use std::path::Path;
use std::rc::Rc;
use std::time::{Duration, Instant};

use hearken_tests::crash::disk::Recipe;
use hearken_tests::crash::{Disk, Loss, Record, What};
use hearken_tests::long;

use crate::scenario::scratch;

/// Longest a store or vault may take to open, of the best of [`TRIES`]: a busy machine is no failure.
const OPENING_TIME_MAX: Duration = Duration::from_secs(1);
const TRIES: usize = 3;
/// Openings that are remembered: those of a few crash points, with every loss.
const RECENT_MAX: usize = 64;

/// Losses, each of another kind.
const KINDS: usize = 6;

fn loss(kind: usize, seed: u64) -> Loss {
    match kind % KINDS {
        0 => Loss::Everything,
        1 => Loss::Some(seed),
        2 => Loss::Contents,
        3 => Loss::Ordered(seed),
        4 => Loss::Names,
        _ => Loss::Nothing,
    }
}

/// The crash points of these processes: before each of their syncs has ended, and after, and after each thing that they said;
/// in a long run after each entry.
pub(crate) fn points(record: &Record, who: &[char]) -> Vec<usize> {
    let mut points = Vec::new();
    for (at, entry) in record.entries.iter().enumerate() {
        match entry.what {
            _ if !who.contains(&entry.who) => {}
            What::Synced { .. } => points.extend([at, at + 1]),
            What::SyncBegun(_) => {}
            What::Said(_) => points.push(at + 1),
            _ if long::is_long() => points.push(at + 1),
            _ => {}
        }
    }
    points.dedup();
    points
}

/// Opens what was rebuilt in a folder; answers what it has, and how long the opening took.
type Open<'a, F> = &'a dyn Fn(&Path) -> Result<(F, Duration), String>;
/// Whether what was found is all that may not be lost when so many entries had happened, beside what it was before.
type Check<'a, F> = &'a dyn Fn(&F, Option<&F>, usize) -> Result<(), String>;

/// What is tried at crash points.
pub(crate) struct Trial<'a, F> {
    /// The folders that it needs, of those at the top.
    pub(crate) wanted: &'a [&'a str],
    pub(crate) open: Open<'a, F>,
    /// An earlier point whose state, as the processes saw it, is held against what is found.
    pub(crate) before: Option<&'a dyn Fn(usize) -> usize>,
    pub(crate) check: Check<'a, F>,
}

/// What opened last, by what it was rebuilt from. Many losses at many points come to the same, byte for byte, and what opens
/// from the same bytes has the same; it is held against what was told by each of the points all the same.
struct Recent<F> {
    found: HashMap<Recipe, Opened<F>>,
    order: VecDeque<Recipe>,
}

/// What opened, and how long it took.
type Opened<F> = Rc<(F, Duration)>;

impl<F> Recent<F> {
    fn new() -> Self {
        Self { found: HashMap::new(), order: VecDeque::new() }
    }

    fn keep(&mut self, recipe: Recipe, opened: Opened<F>) {
        if self.order.len() == RECENT_MAX
            && let Some(oldest) = self.order.pop_front()
        {
            self.found.remove(&oldest);
        }
        self.order.push_back(recipe.clone());
        self.found.insert(recipe, opened);
    }
}

/// A walk along the crash points: the disk at this one, and at the one before it that it is held against.
struct Walk<'a, F> {
    record: &'a Record,
    disk: Disk<'a>,
    before: Disk<'a>,
    recent: Recent<F>,
    opened: u32,
}

impl<'a, F> Walk<'a, F> {
    fn new(record: &'a Record) -> Self {
        let [disk, before] = [(); 2].map(|()| Disk::after(&[]).unwrap());
        Self { record, disk, before, recent: Recent::new(), opened: 0 }
    }
}

/// Brings a disk to a point that is not behind it.
fn go_on<'a>(disk: &mut Disk<'a>, record: &'a Record, len: usize) {
    disk.go_on(&record.entries[disk.len()..len]).unwrap();
}

impl<F> Trial<'_, F> {
    /// Rebuilds the folders at a point after a loss and tries them; answers how long the opening took.
    fn at(&self, walk: &mut Walk<'_, F>, len: usize, loss: Loss) -> Result<Duration, String> {
        let why = |why: String| format!("crash point {len}, {loss:?}: {why}");
        go_on(&mut walk.disk, walk.record, len);
        let before = match self.before {
            None => None,
            Some(before) => {
                go_on(&mut walk.before, walk.record, before(len));
                let opened = self.open_or_remember(&walk.before, Loss::Nothing, &mut walk.recent);
                Some(opened.map_err(why)?.0)
            }
        };
        let opened = self.open_or_remember(&walk.disk, loss, &mut walk.recent);
        let (opened, is_new) = opened.map_err(why)?;
        walk.opened += u32::from(is_new);
        (self.check)(&opened.0, before.as_ref().map(|before| &before.0), len).map_err(why)?;
        Ok(opened.1)
    }

    fn open_or_remember(
        &self,
        disk: &Disk<'_>,
        loss: Loss,
        recent: &mut Recent<F>,
    ) -> Result<(Opened<F>, bool), String> {
        let recipe = disk.recipe(loss, self.wanted);
        if let Some(opened) = recent.found.get(&recipe) {
            return Ok((Rc::clone(opened), false));
        }
        let opened = Rc::new(self.open_once(disk, loss)?);
        recent.keep(recipe, Rc::clone(&opened));
        Ok((opened, true))
    }

    fn open_once(&self, disk: &Disk<'_>, loss: Loss) -> Result<(F, Duration), String> {
        let mut shortest = Duration::MAX;
        for _ in 0..TRIES {
            let folder = scratch();
            disk.rebuild(folder.path(), loss, self.wanted).map_err(|error| error.to_string())?;
            let (found, took) = (self.open)(folder.path())?;
            shortest = shortest.min(took);
            if shortest < OPENING_TIME_MAX {
                return Ok((found, shortest));
            }
        }
        Err(format!("opens in {shortest:?}"))
    }

    /// Tries one crash point.
    pub(crate) fn try_point(&self, record: &Record, len: usize, loss: Loss) -> Result<(), String> {
        self.at(&mut Walk::new(record), len, loss).map(drop)
    }

    /// Tries every crash point of this run's share; in a long run with every kind of loss, else with one of them in turn.
    pub(crate) fn try_all(&self, what: &str, record: &Record, points: &[usize]) {
        let begun = Instant::now();
        let kinds = if long::is_long() { KINDS } else { 1 };
        let share = long::share(points.len() as u64, u64::MAX);
        let (mut tried, mut longest) = (0_u32, Duration::ZERO);
        let mut walk = Walk::new(record);
        let mut failures = Vec::new();
        for index in share.clone() {
            let len = points[usize::try_from(index).unwrap()];
            for kind in 0..kinds {
                let loss = loss(usize::try_from(index).unwrap() + kind, index);
                match self.at(&mut walk, len, loss) {
                    Ok(took) => longest = longest.max(took),
                    Err(failure) => failures.push(failure),
                }
                tried += 1;
            }
        }
        println!(
            "{what}: {} crash points in {} entries, {tried} recoveries of {share:?}, {} of them from bytes of their own, \
             in {:?}, the longest opening {longest:?}",
            points.len(),
            record.entries.len(),
            walk.opened,
            begun.elapsed()
        );
        assert!(failures.is_empty(), "{} of {tried}:\n{}", failures.len(), failures.join("\n"));
    }

    /// Whether any of these crash points shows the fault that was planted, and how.
    pub(crate) fn first_failure(&self, record: &Record, points: &[usize]) -> Option<String> {
        // The fewer the better while it is looked for, and all of them before it counts as unnoticed.
        let strides = [13, 5, 1];
        let order = strides.iter().flat_map(|stride| points.iter().rev().step_by(*stride));
        order
            .enumerate()
            .find_map(|(at, len)| {
                let losses = [Loss::Everything, Loss::Some(at as u64)];
                losses.iter().find_map(|loss| self.try_point(record, *len, *loss).err())
            })
            .inspect(|failure| println!("noticed: {failure}"))
    }
}

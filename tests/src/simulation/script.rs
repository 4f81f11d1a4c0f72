//! What happens in a run, as a list of steps that stays meaningful when some of them are taken out.
//!
//! A step names people, relays and links by numbers that are taken modulo what is there when its turn comes. Each has
//! its own stream of randomness, named by its place in the whole script, so that taking one out leaves the others'
//! randomness as it was.

use std::fmt;

use rand_chacha::ChaCha8Rng;
use rand_core::{Rng, SeedableRng};

/// Something that happens. Numbers are taken modulo what is there.
#[allow(missing_docs, reason = "the fields are what the sentence above each names")]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// A person makes an invitation that lasts so many hours.
    Invite { who: u8, hours: u16 },
    /// A person joins an invitation of somebody else.
    Join { who: u8, invitation: u8 },
    /// Two people join one invitation at once.
    JoinBoth { first: u8, second: u8, invitation: u8 },
    /// A person writes to a contact: so many bytes.
    Send { who: u8, contact: u8, bytes: u16 },
    /// A person syncs.
    Fetch { who: u8 },
    /// A person follows from here on.
    Follow { who: u8 },
    /// So much time passes, and what is due is done.
    Pass { ms: u32 },
    /// All devices sleep for so many hours: their links are gone.
    Sleep { hours: u16 },
    /// Time passes until a minute after the next midnight.
    Midnight,
    /// A link ends, and of what is on its way only so many cells arrive.
    Lose { link: u8, kept: u8 },
    /// A cell on its way is gone, and its link goes on: no honest carrier does this.
    DropCell { link: u8 },
    /// A cell on its way arrives twice: no honest carrier does this.
    RepeatCell { link: u8 },
    /// Two cells of one link change places: no honest carrier does this.
    SwapCells { link: u8 },
    /// A person or relay and a relay cannot reach each other.
    Part { node: u8, relay: u8 },
    /// Everybody can reach everybody.
    Heal,
    /// A person's process ends, and starts again.
    Restart { who: u8 },
    /// A person's process ends within the commit after so many more, and starts again. What it had asked for may still
    /// be carried out.
    RestartInCommit { who: u8, commits: u8, acts: bool },
    /// A relay loses power and starts again.
    RestartRelay { relay: u8 },
    /// Somebody copies a person's vault.
    Copy { who: u8 },
    /// Somebody puts the copy of a person's vault back.
    PutBack { who: u8 },
    /// An operator backs a relay up.
    Backup { relay: u8 },
    /// An operator restores a relay.
    Restore { relay: u8 },
    /// A clock is set to be so many minutes off.
    Skew { node: u8, minutes: i16 },
    /// A relay's next commits fail, as on a full disk.
    FailCommits { relay: u8, count: u8 },
    /// A relay's disk is slow: its store answers after so many milliseconds.
    Hold { relay: u8, ms: u16 },
    /// A relay changes a bit of the next blob that a reader is given.
    Garble { relay: u8 },
    /// A relay makes up a blob from the first of the next mailbox that is read from its beginning, and gives it out first.
    Forge { relay: u8 },
}

/// A world and what happens in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Script {
    /// Where all randomness comes from.
    pub seed: u64,
    /// How many people there are, two to four.
    pub people: usize,
    /// How many relays there are, two or three.
    pub relays: usize,
    /// Blobs that a mailbox holds.
    pub mailbox_blobs: u32,
    /// The steps, each with the number of its stream of randomness.
    pub steps: Vec<(u32, Step)>,
}

/// Steps that every whole script has.
pub const STEPS_MIN: usize = 200;
/// Steps of a whole script that send or fetch.
pub const MESSAGES_MIN: usize = 50;

impl Script {
    /// The script of a seed.
    #[must_use]
    pub fn of_seed(seed: u64) -> Self {
        let mut dice = Dice(ChaCha8Rng::seed_from_u64(seed));
        let people = 3 + usize::from(dice.below(4) == 0);
        let relays = 2 + usize::from(dice.below(3) > 0);
        let mailbox_blobs = if dice.below(3) == 0 { 4 } else { 64 };
        let flavour = Flavour::draw(&mut dice);
        let mut steps = opening(&mut dice, people);
        while steps.len() < STEPS_MIN + 20 || messages(&steps) < MESSAGES_MIN {
            steps.push(flavour.step(&mut dice));
            if dice.below(3) == 0 {
                steps.push(Step::Pass { ms: dice.below(4_000) as u32 });
            }
        }
        let steps = (1..).zip(steps).collect();
        Self { seed, people, relays, mailbox_blobs, steps }
    }
}

/// How many steps send or fetch.
fn messages(steps: &[Step]) -> usize {
    let is_one =
        |step: &&Step| matches!(step, Step::Send { .. } | Step::Fetch { .. } | Step::Follow { .. });
    steps.iter().filter(is_one).count()
}

/// Two invitations and those who join them, in some runs two at once.
fn opening(dice: &mut Dice, people: usize) -> Vec<Step> {
    let mut steps = Vec::new();
    for who in 0..people as u8 - 1 {
        steps.push(Step::Invite { who, hours: 24 * (1 + dice.below(6) as u16) });
        steps.push(Step::Pass { ms: 3_000 });
        let (first, second) = (who + 1, who + 2);
        steps.push(match dice.below(3) {
            0 => Step::JoinBoth { first, second, invitation: who },
            _ => Step::Join { who: first, invitation: who },
        });
        steps.push(Step::Pass { ms: 2_000 + dice.below(4_000) as u32 });
        steps.push(Step::Follow { who: dice.byte() });
    }
    steps
}

/// Which faults a run has: some of them, so that each also meets few others.
struct Flavour(Vec<fn(&mut Dice) -> Step>);

/// Every kind of fault, as a draw of one.
const FAULTS: [fn(&mut Dice) -> Step; 20] = [
    |d| Step::Lose { link: d.byte(), kept: d.byte() % 8 },
    |d| Step::Lose { link: d.byte(), kept: 0 },
    |d| Step::DropCell { link: d.byte() },
    |d| Step::RepeatCell { link: d.byte() },
    |d| Step::SwapCells { link: d.byte() },
    |d| if d.below(2) == 0 { Step::Heal } else { Step::Part { node: d.byte(), relay: d.byte() } },
    |d| Step::Restart { who: d.byte() },
    |d| Step::RestartInCommit { who: d.byte(), commits: d.byte() % 4, acts: d.below(2) == 0 },
    |d| Step::RestartInCommit { who: d.byte(), commits: 0, acts: d.below(2) == 0 },
    |d| Step::RestartRelay { relay: d.byte() },
    |d| {
        if d.below(2) == 0 { Step::Copy { who: d.byte() } } else { Step::PutBack { who: d.byte() } }
    },
    |d| {
        let relay = d.byte();
        if d.below(2) == 0 { Step::Backup { relay } } else { Step::Restore { relay } }
    },
    |d| Step::Skew { node: d.byte(), minutes: d.below(200) as i16 - 100 },
    |d| Step::FailCommits { relay: d.byte(), count: 1 + d.byte() % 3 },
    |d| Step::Hold { relay: d.byte(), ms: d.below(15_000) as u16 },
    |d| Step::Garble { relay: d.byte() },
    |d| Step::Forge { relay: d.byte() },
    |_| Step::Midnight,
    |d| Step::Sleep { hours: [2, 26, 24 * 8, 24 * 22][d.below(4) as usize] },
    |d| Step::Invite { who: d.byte(), hours: 1 + d.below(48) as u16 },
];

impl Flavour {
    fn draw(dice: &mut Dice) -> Self {
        Self(FAULTS.into_iter().filter(|_| dice.below(5) < 2).collect())
    }

    fn step(&self, dice: &mut Dice) -> Step {
        match dice.below(100) {
            0..28 => {
                let bytes = match dice.below(10) {
                    0 => dice.below(5_000) as u16,
                    _ => dice.below(200) as u16,
                };
                Step::Send { who: dice.byte(), contact: dice.byte(), bytes }
            }
            28..40 => Step::Fetch { who: dice.byte() },
            40..48 => Step::Follow { who: dice.byte() },
            48..60 => Step::Pass { ms: dice.below(20_000) as u32 },
            60..62 => Step::Pass { ms: dice.below(90 * 60_000) as u32 },
            62..64 => Step::Join { who: dice.byte(), invitation: dice.byte() },
            64..66 => {
                Step::JoinBoth { first: dice.byte(), second: dice.byte(), invitation: dice.byte() }
            }
            66 => Step::Invite { who: dice.byte(), hours: 1 + dice.below(100) as u16 },
            _ if self.0.is_empty() => Step::Pass { ms: 1_000 },
            _ => {
                let at = dice.below(self.0.len() as u64) as usize;
                self.0[at](dice)
            }
        }
    }
}

struct Dice(ChaCha8Rng);

impl Dice {
    fn below(&mut self, sides: u64) -> u64 {
        self.0.next_u64() % sides
    }

    fn byte(&mut self) -> u8 {
        self.below(256) as u8
    }
}

impl fmt::Display for Script {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { seed, people, relays, mailbox_blobs, steps } = self;
        writeln!(
            f,
            "seed {seed}: {people} people, {relays} relays, {mailbox_blobs} blobs a mailbox, {} steps",
            steps.len()
        )?;
        for (stream, step) in steps {
            writeln!(f, "  {stream:3} {step:?}")?;
        }
        Ok(())
    }
}

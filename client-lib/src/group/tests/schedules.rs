//! Any order of concurrent commits, of reading, and of deaths between two steps: one history for everybody.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

/// What happens next. Numbers are taken modulo what is there.
#[derive(Clone, Copy, Debug)]
enum Step {
    /// A device makes a commit in the epoch that it is in, and it reaches the feed.
    Post { who: u8, what: u8 },
    /// A device dies before its commit reaches the feed; what it had written down about it stays.
    PostAndDie { who: u8, what: u8 },
    /// A device reads the next entry of its epoch's feed.
    Read { who: u8 },
    /// A device reads the next entry, and dies before what came of it is written down.
    ReadAndDie { who: u8 },
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = (0_u8..8, any::<u8>(), any::<u8>()).prop_map(|(kind, who, what)| match kind {
        0..=2 => Step::Post { who, what },
        3 => Step::PostAndDie { who, what },
        4 => Step::ReadAndDie { who },
        _ => Step::Read { who },
    });
    proptest::collection::vec(step, 1..40)
}

/// A group, the feeds of its epochs, and how far each device has read.
struct World {
    devices: Vec<Device>,
    feeds: BTreeMap<u64, Vec<Vec<u8>>>,
    cursors: Vec<usize>,
    /// What each device has made and written down, by the epoch that it is for.
    made: Vec<Option<(u64, Vec<u8>)>>,
    merges_early: bool,
}

impl World {
    fn new(merges_early: bool) -> Self {
        let mut devices = group_of(&["amina", "ben", "chidi"], Policy::Admin);
        for who in 1..3 {
            let member = devices[who].me();
            act(&mut devices, 0, &Action::Propose(Change::Promote(member)));
        }
        Self {
            devices,
            feeds: BTreeMap::new(),
            cursors: vec![0; 3],
            made: vec![None; 3],
            merges_early,
        }
    }

    fn action(&mut self, who: usize, what: u8) -> Action {
        match what % 4 {
            0 => Action::UpdateKeys,
            1 => Action::Propose(Change::Demote(self.devices[(who + 1) % 3].me())),
            2 => Action::Propose(Change::Promote(self.devices[(who + 1) % 3].me())),
            _ => Action::Rename(format!("{who} {what}")),
        }
    }

    fn post(&mut self, who: usize, what: u8, reaches: bool) {
        let action = self.action(who, what);
        let epoch = self.devices[who].with(|group| Ok(group.number())).unwrap();
        match self.devices[who].commit(&action, None) {
            Ok((commit, _)) => self.made[who] = Some((epoch, commit)),
            // That one again: it may have reached the feed or not.
            Err(GroupError::Pending) => {}
            // What the rules do not allow just then is not done.
            Err(_) => return,
        }
        let (of, commit) = self.made[who].clone().unwrap();
        assert_eq!(of, epoch, "what is pending is of the present epoch");
        let feed = self.feeds.entry(epoch).or_default();
        // The same entry again changes nothing.
        if reaches && !feed.contains(&commit) {
            feed.push(commit);
        }
        if self.merges_early {
            self.devices[who].with(|group| group.merge_own()).unwrap();
            self.cursors[who] = 0;
        }
    }

    /// Reads one entry; whether there was one.
    fn read(&mut self, who: usize, dies: bool) -> bool {
        let epoch = self.devices[who].with(|group| Ok(group.number())).unwrap();
        let feed = self.feeds.get(&epoch).map(Vec::as_slice).unwrap_or_default();
        let Some(entry) = feed.get(self.cursors[who]).cloned() else { return false };
        if dies {
            let died = self.devices[who].with(|group| {
                match group.judge(&entry)? {
                    Verdict::Wins(winner) => group.merge(*winner)?,
                    Verdict::Own => group.merge_own()?,
                    Verdict::Void(_) | Verdict::Stuck => {}
                }
                Err::<(), _>(GroupError::Library)
            });
            assert!(died.is_err());
            return true;
        }
        self.cursors[who] = match self.devices[who].read(&entry) {
            Ok(true) => 0,
            Ok(false) => panic!("{} is stuck on an honest commit", self.devices[who].name),
            Err(_) => self.cursors[who] + 1,
        };
        true
    }

    fn step(&mut self, step: Step) {
        match step {
            Step::Post { who, what } => self.post(usize::from(who % 3), what, true),
            Step::PostAndDie { who, what } => self.post(usize::from(who % 3), what, false),
            Step::Read { who } => drop(self.read(usize::from(who % 3), false)),
            Step::ReadAndDie { who } => drop(self.read(usize::from(who % 3), true)),
        }
    }

    /// What was written down and never reached the feed is posted, as a program does when it starts again.
    fn post_what_waits(&mut self) {
        for who in 0..3 {
            if self.devices[who].with(|group| Ok(group.has_pending())).unwrap() {
                self.post(who, 0, true);
            }
        }
    }

    /// Everybody reads to the end; whether they are in one epoch with one history.
    fn agrees(&mut self) -> bool {
        (0..3).for_each(|who| while self.read(who, false) {});
        let first = self.devices[0].authenticator();
        self.devices.iter_mut().all(|device| device.authenticator() == first)
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(), ..ProptestConfig::default() })]

    #[test]
    fn no_schedule_forks_a_group_or_locks_a_member_out(steps in steps()) {
        let mut world = World::new(false);
        steps.into_iter().for_each(|step| world.step(step));
        prop_assert!(world.agrees());
        world.post_what_waits();
        prop_assert!(world.agrees());
        // And it goes on, with whoever is an admin by now.
        let record = world.devices[0].with(|group| Ok(group.epoch()?.record)).unwrap();
        let admin = world.devices.iter_mut().position(|device| record.admins.contains(&device.me()));
        act(&mut world.devices, admin.unwrap(), &Action::Rename("on".into()));
        prop_assert!(world.agrees());
    }
}

#[allow(clippy::disallowed_methods, reason = "a test says how long it runs")]
fn cases() -> u32 {
    if std::env::var("HEARKEN_LONG").is_ok_and(|set| set == "1") { 5_000 } else { 60 }
}

#[test]
fn merging_before_winning_forks_and_is_found() {
    let mut world = World::new(true);
    world.step(Step::Post { who: 0, what: 3 });
    world.step(Step::Post { who: 1, what: 3 });
    let forked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| world.agrees()));
    assert!(!matches!(forked, Ok(true)), "the planted fault went unseen");
}

#[test]
fn whoever_lacks_the_keys_of_a_good_commit_is_stuck_and_passes_nothing_over() {
    let mut devices = group_of(&["amina", "ben", "chidi"], Policy::Admin);
    devices[1].db.execute("DELETE FROM mls WHERE kind = 16", []).unwrap();
    let (commit, _) = devices[0].commit(&Action::UpdateKeys, None).unwrap();
    assert_eq!(devices[2].read(&commit), Ok(true));
    assert_eq!(devices[1].read(&commit), Ok(false), "stuck");
    assert_eq!(devices[1].read(&commit), Ok(false), "and stays so");
    // Somebody adds them anew.
    assert_eq!(devices[0].read(&commit), Ok(true));
    let ben = devices[1].me();
    let package = devices[1].key_package();
    let (commit, welcome) = devices[2].commit(&Action::AddAnew(ben), Some(&package)).unwrap();
    assert_eq!(devices[0].read(&commit), Ok(true));
    assert_eq!(devices[2].read(&commit), Ok(true));
    devices[1].join(&welcome.unwrap());
    agree(&mut devices);
}

//! A script carried out step by step.

use hearken_proto::time::DAY_MS;
use hearken_relay::store::StoreError;
use rand_chacha::ChaCha8Rng;
use rand_core::SeedableRng;

use super::fault::Fault;
use super::network::Node;
use super::operators::lock;
use super::script::{Script, Step};
use super::world::{World, vault};
use super::{Broken, Report};

/// Milliseconds of an hour.
pub(super) const HOUR_MS: u64 = 3_600_000;
/// How often the model looks at everybody.
const LOOK_EVERY: usize = 8;

impl World {
    /// Carries a script out, lets everything settle, and holds all of it against the model.
    ///
    /// # Errors
    /// What does not hold.
    pub fn run(mut self, script: &Script) -> Result<Report, Broken> {
        for at in 0..self.relays.len() {
            self.arm_lies(at);
        }
        for (count, (stream, step)) in script.steps.iter().enumerate() {
            self.draw_from(u64::from(*stream));
            self.step(*step)?;
            self.pass(self.now + 50)?;
            if count % LOOK_EVERY == 0 {
                self.look_all()?;
            }
        }
        self.draw_from(u64::MAX);
        self.settle()?;
        if self.network.lost > 0 {
            self.faults.note(Fault::Loss);
        }
        if self.network.overtaken > 0 {
            self.faults.note(Fault::Reordered);
        }
        Ok(self.report(script))
    }

    pub(super) fn report(&self, script: &Script) -> Report {
        let all = &self.model.conversations;
        let joined = all.iter().filter(|of| of.joiner.is_some());
        Report {
            faults: self.faults.clone(),
            steps: script.steps.len(),
            written: all.iter().map(|of| of.written.len()).sum(),
            arrived: all.iter().flat_map(|of| &of.sealed).filter(|sealed| sealed.seen).count(),
            conversations: (joined.clone().count(), joined.filter(|of| of.torn.is_some()).count()),
            sealed: self.seals.seen(),
        }
    }

    /// From here on randomness comes from a stream of its own, so that no two steps ever draw the same.
    pub(super) fn draw_from(&mut self, stream: u64) {
        self.rng = ChaCha8Rng::seed_from_u64(self.seed);
        self.rng.set_stream(stream);
    }

    pub(super) fn step(&mut self, step: Step) -> Result<(), Broken> {
        let (people, relays) = (self.people.len(), self.relays.len());
        let who = |number: u8| usize::from(number) % people;
        let at = |number: u8| usize::from(number) % relays;
        match step {
            Step::Invite { who: number, hours } => self.invite(who(number), u32::from(hours)),
            Step::Join { who: number, invitation } => self.join_one(who(number), invitation),
            Step::JoinBoth { first, second, invitation } => {
                let (first, second) = (who(first), who(second));
                self.join_one(first, invitation)?;
                self.join_one(second, invitation)
            }
            Step::Send { who: number, contact, bytes } => {
                self.send(who(number), usize::from(contact), usize::from(bytes))
            }
            Step::Fetch { who: number } => {
                self.begin(who(number), |client, now, rng| Ok(client.begin_sync(now, rng)?))
            }
            Step::Follow { who: number } => {
                let number = who(number);
                self.people[number].is_following = true;
                self.begin(number, |client, now, rng| Ok(client.begin_follow(now, rng)?))
            }
            Step::Pass { ms } => self.pass(self.now + u64::from(ms)),
            Step::Sleep { hours } => self.sleep(u64::from(hours) * HOUR_MS),
            Step::Midnight => {
                let midnight = (self.now / DAY_MS + 1) * DAY_MS;
                self.sleep(midnight + 60_000 - self.now)
            }
            Step::Part { node, relay } => {
                let count = self.people.len() + self.relays.len();
                let node = match usize::from(node) % count {
                    person if person < self.people.len() => Node::Person(person),
                    other => Node::Relay(other - self.people.len()),
                };
                self.network.part(node, Node::Relay(at(relay)), self.now);
                Ok(())
            }
            Step::Heal => {
                if self.network.heal(self.now) {
                    self.faults.note(Fault::Partition);
                }
                Ok(())
            }
            Step::Restart { who: number } => {
                self.faults.note(Fault::ClientRestart);
                self.restart(who(number), None)
            }
            Step::RestartInCommit { who: number, commits, acts } => {
                let person = &mut self.people[who(number)];
                person.ends = Some(acts);
                match &mut person.client {
                    Some(client) => client.end_after_commits(u32::from(commits)).map_err(vault),
                    None => Ok(()),
                }
            }
            Step::Copy { who: number } => self.copy(who(number)),
            Step::PutBack { who: number } => self.put_back(who(number)),
            Step::Skew { node, minutes } => {
                self.skew(usize::from(node), i64::from(minutes) * 60_000);
                Ok(())
            }
            other => self.fault(other),
        }
    }

    pub(super) fn fault(&mut self, step: Step) -> Result<(), Broken> {
        let relays = self.relays.len();
        let at = |number: u8| usize::from(number) % relays;
        let noted = match step {
            Step::Lose { link, kept } => {
                let _ = self.network.lose(link, usize::from(kept), self.now);
                None
            }
            Step::DropCell { link } => {
                let dropped = self.network.meddle(link, |way| drop(way.pop_front()));
                dropped.then_some(Fault::Dropped)
            }
            Step::RepeatCell { link } => {
                let repeated = self.network.meddle(link, |way| {
                    if let Some(first) = way.front().cloned() {
                        way.push_front(first);
                    }
                });
                repeated.then_some(Fault::Duplicated)
            }
            Step::SwapCells { link } => {
                let swapped = self.network.meddle(link, |way| {
                    let (first, second) = (way[0].0, way[1].0);
                    way.swap(0, 1);
                    (way[0].0, way[1].0) = (first, second);
                });
                swapped.then_some(Fault::Reordered)
            }
            Step::RestartRelay { relay } => {
                self.restart_relay(at(relay))?;
                Some(Fault::RelayRestart)
            }
            Step::Backup { relay } => {
                self.back_up(at(relay))?;
                None
            }
            Step::Restore { relay } => self.restore(at(relay))?.then_some(Fault::RelayRestored),
            Step::FailCommits { relay, count } => {
                if let Some(core) = &self.relays[at(relay)].core {
                    core.store().fail_commits(u32::from(count), StoreError::Full);
                }
                Some(Fault::StoreFailed)
            }
            Step::Hold { relay, ms } => {
                let relay = &mut self.relays[at(relay)];
                relay.held_until = Some(self.now + u64::from(ms));
                if let Some(core) = &mut relay.core {
                    core.hold_store(true);
                }
                Some(Fault::StoreHeld)
            }
            Step::Garble { relay } => {
                lock(&self.relays[at(relay)].lie).garbles = true;
                None
            }
            Step::Forge { relay } => {
                lock(&self.relays[at(relay)].lie).forges = true;
                None
            }
            _ => None,
        };
        if let Some(fault) = noted {
            self.faults.note(fault);
        }
        Ok(())
    }
}

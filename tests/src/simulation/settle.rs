//! The end of a run: everything works again, and what must have come to pass by itself has.

use super::Broken;
use super::fault::Fault;
use super::model::Model;
use super::world::World;

/// Rounds in which everybody tries again, until nothing waits.
const ROUNDS_MAX: usize = 12;
const ROUND_MS: u64 = 90_000;
/// After this long no relay's clock is behind what it said under a wrong one.
const CLOCKS_MS: u64 = 5 * 3_600_000;

impl World {
    /// Lets everything settle and holds it against the model.
    pub(super) fn settle(&mut self) -> Result<(), Broken> {
        if self.network.heal(self.now) {
            self.faults.note(Fault::Partition);
        }
        for relay in 0..self.relays.len() {
            self.relays[relay].skew_ms = 0;
            self.relays[relay].held_until = None;
            *self.relays[relay].lie.lock().unwrap_or_else(std::sync::PoisonError::into_inner) =
                super::world::Lie::default();
            if let Some(core) = &mut self.relays[relay].core {
                core.hold_store(false);
                core.store().fail_commits(0, hearken_relay::store::StoreError::Full);
            }
        }
        self.people.iter_mut().for_each(|person| person.skew_ms = 0);
        self.sleep(CLOCKS_MS)?;
        self.rounds()?;
        // What is told when a watch begins is told again: a claim that was refused meanwhile.
        self.sleep(60_000)?;
        self.write_to_all()?;
        self.rounds()?;
        self.look_all()?;
        (0..self.model.conversations.len()).try_for_each(|at| self.judge(at))
    }

    fn rounds(&mut self) -> Result<(), Broken> {
        for round in 0..ROUNDS_MAX {
            for who in 0..self.people.len() {
                self.people[who].is_following = true;
                self.begin(who, |client, now, rng| Ok(client.begin_follow(now, rng)?))?;
                for conversation in self.people[who].wants.clone() {
                    let is_begun = self.people[who].errands.values().any(|purpose| {
                        matches!(purpose, super::person::Purpose::Join(of, _) if *of == conversation)
                    });
                    if !is_begun {
                        self.join(who, conversation)?;
                    }
                }
            }
            self.pass(self.now + ROUND_MS)?;
            if round > 0 && self.nothing_waits()? {
                break;
            }
        }
        Ok(())
    }

    fn nothing_waits(&mut self) -> Result<bool, Broken> {
        for person in &mut self.people {
            let Some(client) = &mut person.client else { continue };
            if !person.wants.is_empty() || !client.is_settled().map_err(super::world::vault)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Everybody writes to everybody, so that what is missing before shows.
    fn write_to_all(&mut self) -> Result<(), Broken> {
        for who in 0..self.people.len() {
            self.refresh(who)?;
            for contact in 0..self.model.views[who].contacts.len() {
                self.send(who, contact, 4)?;
            }
        }
        Ok(())
    }

    fn judge(&mut self, at: usize) -> Result<(), Broken> {
        let of = &self.model.conversations[at];
        let (inviter, joiner, refused) = (of.inviter, of.joiner, of.refused.clone());
        if of.torn.is_some() {
            return Ok(());
        }
        let Some(joiner) = joiner else { return Ok(()) };
        for (from, reader) in [(inviter, joiner), (joiner, inviter)] {
            let contact = self.model.views[reader]
                .contacts
                .iter()
                .find(|(_, conversation)| **conversation == at)
                .map(|(contact, _)| *contact);
            let (Some(contact), Some(client)) = (contact, &mut self.people[reader].client) else {
                return Err(Broken::Stuck(format!("conversation {at}: {reader} has no contact")));
            };
            let lines = client.history(contact).map_err(super::world::vault)?;
            let waits = client.outbox(contact, 0).map_err(super::world::vault)?.len();
            if waits > 0 {
                let why = client.sync_outcome(true).map_err(super::world::vault)?;
                return Err(Broken::Stuck(format!(
                    "conversation {at}: {waits} cells wait in the outbox of {reader}: {why:?}"
                )));
            }
            self.model.has_arrived(at, from, &lines)?;
            let of = &self.model.conversations[at];
            if reader == inviter
                && !refused.is_empty()
                && !of.count_lost
                && !Model::shows_second_claim(&lines)
            {
                return Err(Broken::ClaimHidden(format!("conversation {at}")));
            }
        }
        Ok(())
    }
}

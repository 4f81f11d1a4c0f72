//! The end of a run: everything works again, and what must have come to pass by itself has.

use hearken_client_lib::{ContactId, ContactState};
use hearken_proto::limits::MAILBOX_IDLE_DAYS;
use hearken_proto::time::DAY_MS;

use super::Broken;
use super::fault::Fault;
use super::model::Model;
use super::world::World;

/// Rounds in which everybody tries again, until nothing waits.
const ROUNDS_MAX: usize = 12;
const ROUND_MS: u64 = 90_000;
/// Where one of these was, not everything comes to pass with nobody asking again: with clocks that were wrong, relays and
/// clients rightly refuse each other for hours, and what a relay forged, changed or
/// let expire is missed when the next message comes; so is a cell that vanished from a link which goes on.
const UNSETTLING: [Fault; 5] =
    [Fault::ClockSkew, Fault::Garbled, Fault::Forged, Fault::BlobExpired, Fault::Dropped];
/// Bytes of a text that takes three blobs.
const LONG: usize = 5_000;
/// Longer than anybody waits before they try again by themselves.
const UNDISTURBED_MS: u64 = 15 * 60_000;
/// Longer than a receipt waits.
const RECEIPTS_MS: u64 = 11 * 60_000;
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
        if !UNSETTLING.into_iter().any(|fault| self.faults.has(fault)) {
            self.settle_with_links()?;
        }
        self.sleep(CLOCKS_MS)?;
        self.rounds()?;
        // What is told when a watch begins is told again: a claim that was refused meanwhile.
        self.sleep(60_000)?;
        self.write_to_all(4)?;
        self.rounds()?;
        // Receipts of that have all gone after ten minutes, and are answered by none.
        self.pass(self.now + RECEIPTS_MS)?;
        self.rounds()?;
        self.look_all()?;
        for at in 0..self.model.conversations.len() {
            self.judge_messages(at)?;
            self.judge_claims(at)?;
        }
        Ok(())
    }

    /// What comes to pass over links, sessions and watches as they are, with nobody asking again: a watch that got stuck
    /// would be set free by a new link, and by the next message.
    fn settle_with_links(&mut self) -> Result<(), Broken> {
        for who in 0..self.people.len() {
            if !std::mem::replace(&mut self.people[who].is_following, true) {
                self.begin(who, |client, now, rng| Ok(client.begin_follow(now, rng)?))?;
            }
        }
        // Several blobs at once, and nothing after them.
        self.write_to_all(LONG)?;
        self.pass(self.now + UNDISTURBED_MS)?;
        self.look_all()?;
        (0..self.model.conversations.len()).try_for_each(|at| self.judge_messages(at))
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
    fn write_to_all(&mut self, bytes: usize) -> Result<(), Broken> {
        for who in 0..self.people.len() {
            self.refresh(who)?;
            for contact in 0..self.model.views[who].contacts.len() {
                self.send(who, contact, bytes)?;
            }
        }
        Ok(())
    }

    /// Both sides, inviter first, of a conversation that is judged: joined, and not torn by a rollback.
    fn sides(&self, at: usize) -> Option<(usize, usize)> {
        let of = &self.model.conversations[at];
        of.joiner.filter(|_| of.torn.is_none()).map(|joiner| (of.inviter, joiner))
    }

    fn contact(&self, at: usize, who: usize) -> Result<ContactId, Broken> {
        let mut contacts = self.model.views[who].contacts.iter();
        let contact = contacts.find(|(_, conversation)| **conversation == at);
        let contact = contact.map(|(contact, _)| *contact);
        contact.ok_or_else(|| Broken::Stuck(format!("conversation {at}: {who} has no contact")))
    }

    /// Whether the inviter was away for so long after the invitation's end that nobody can be heard by it any more.
    fn is_over(&mut self, at: usize, inviter: usize) -> Result<bool, Broken> {
        let of = &self.model.conversations[at];
        let (link, over) = (of.link.clone(), of.expires + (MAILBOX_IDLE_DAYS as u64) * DAY_MS);
        let Some(client) = &mut self.people[inviter].client else { return Ok(false) };
        let contact = client.contact_of(&link).map_err(super::world::vault)?;
        let is_met = contact.is_none_or(|contact| contact.state() == ContactState::Joined);
        Ok(!is_met && self.now > over)
    }

    /// Everything has left, and arrived. Where an invitation is over, nothing of it is called sent that was not read.
    fn judge_messages(&mut self, at: usize) -> Result<(), Broken> {
        let Some((inviter, joiner)) = self.sides(at) else { return Ok(()) };
        if self.is_over(at, inviter)? {
            return self.judge_unsent(at, joiner);
        }
        for (from, reader) in [(inviter, joiner), (joiner, inviter)] {
            let contact = self.contact(at, reader)?;
            let Some(client) = &mut self.people[reader].client else {
                return Err(Broken::Stuck(format!("conversation {at}: {reader} has no client")));
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
        }
        Ok(())
    }

    /// What somebody wrote after nobody could read it waits, and is not called sent.
    fn judge_unsent(&mut self, at: usize, joiner: usize) -> Result<(), Broken> {
        let of = &self.model.conversations[at];
        let over = of.expires + (MAILBOX_IDLE_DAYS as u64) * DAY_MS;
        let late = of.sealed.iter().filter(|sealed| sealed.from == joiner && sealed.at > over);
        let late = late.count();
        let contact = self.contact(at, joiner)?;
        let Some(client) = &mut self.people[joiner].client else { return Ok(()) };
        let waits = client.outbox(contact, 0).map_err(super::world::vault)?.len();
        if waits >= late {
            return Ok(());
        }
        Err(Broken::Lost(format!(
            "conversation {at}: of {late} blobs that nobody can read {waits} wait"
        )))
    }

    /// The inviter sees that somebody else's claim was refused.
    fn judge_claims(&mut self, at: usize) -> Result<(), Broken> {
        let Some((inviter, _)) = self.sides(at) else { return Ok(()) };
        let of = &self.model.conversations[at];
        if of.refused.is_empty() || of.count_lost {
            return Ok(());
        }
        let contact = self.contact(at, inviter)?;
        let Some(client) = &mut self.people[inviter].client else { return Ok(()) };
        let lines = client.history(contact).map_err(super::world::vault)?;
        if Model::shows_second_claim(&lines) {
            return Ok(());
        }
        Err(Broken::ClaimHidden(format!("conversation {at}")))
    }
}

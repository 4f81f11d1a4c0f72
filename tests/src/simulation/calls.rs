//! Calls of a client, and what it asks for in them: links, cells, errands that came to an end, a process that ended.

use std::collections::BTreeSet;

use hearken_client_lib::simulation::{Action, Finished, InlineClient};
use hearken_client_lib::{ClientError, Event, UnixMillis};
use rand_chacha::ChaCha8Rng;
use rand_core::Rng;

use super::fault::Fault;
use super::model::Conversation;
use super::network::{End, Node};
use super::person::Purpose;
use super::world::{Dial, Dialler, World, vault};
use super::{Broken, Plant};

impl World {
    /// Tells a client something and carries out what it asks for. `None` where its process ended in the call.
    pub(super) fn client<T>(
        &mut self,
        who: usize,
        tell: impl FnOnce(&mut InlineClient, UnixMillis, &mut ChaCha8Rng) -> Result<T, ClientError>,
    ) -> Result<Option<Result<T, ClientError>>, Broken> {
        let person = &mut self.people[who];
        let clock = person.clock(self.now);
        let Some(client) = &mut person.client else { return Ok(None) };
        person.is_dirty = true;
        let told = match tell(client, clock, &mut self.rng) {
            Err(ClientError::Vault(error)) => {
                let Some(acts) = person.ends.take() else { return Err(vault(error)) };
                self.faults.note(Fault::EndInCommit);
                if acts {
                    self.carry_out(who)?;
                }
                self.restart(who, None)?;
                return Ok(None);
            }
            told => told,
        };
        self.carry_out(who)?;
        self.take_finished(who)?;
        self.observe(who)?;
        Ok(Some(told))
    }

    pub(super) fn carry_out(&mut self, who: usize) -> Result<(), Broken> {
        let process = self.people[who].process;
        while let Some(action) =
            self.people[who].client.as_mut().and_then(InlineClient::poll_action)
        {
            match action {
                Action::Connect { link, address } => {
                    let relay = self.find(&address.fingerprint());
                    let dialler = Dialler::Person(who, process, link);
                    let due = self.now + 20;
                    self.dials.push(Dial { due, dialler, relay, has_failed: false });
                }
                Action::Transmit { link, cell } => {
                    self.seals
                        .cell(&cell)
                        .map_err(|twice| Broken::SealedTwice(twice.0.to_owned()))?;
                    self.network.send(End::Person(who, process, link), cell, self.now);
                }
                Action::Disconnect { link } => {
                    self.network.hang_up(End::Person(who, process, link), true, self.now);
                    self.dials.retain(|dial| {
                        !matches!(dial.dialler, Dialler::Person(other, p, l)
                            if (other, p, l) == (who, process, link))
                    });
                }
            }
        }
        while let Some(event) = self.people[who].client.as_mut().and_then(InlineClient::poll_event)
        {
            if let Event::MailboxFull(_) = event {
                self.faults.note(Fault::MailboxFull);
            }
        }
        Ok(())
    }

    pub(super) fn take_finished(&mut self, who: usize) -> Result<(), Broken> {
        while let Some((errand, outcome)) =
            self.people[who].client.as_mut().and_then(InlineClient::poll_finished)
        {
            let Some(purpose) = self.people[who].errands.remove(&errand) else { continue };
            match (purpose, outcome) {
                (Purpose::Invite(hours), Ok(Finished::Invited { link, .. })) => {
                    self.invited(who, &link, hours);
                }
                (Purpose::Join(conversation, _), Ok(Finished::Joined { .. })) => {
                    self.people[who].wants.remove(&conversation);
                    self.model.joined(conversation, who, self.now)?;
                }
                (Purpose::Join(conversation, begun), Err(error)) => {
                    self.join_failed(who, conversation, begun, &error)?;
                }
                (Purpose::Invite(_), Err(error)) => self.errand_failed(&error)?,
                (purpose, Ok(_)) => {
                    return Err(Broken::Errand(format!("{purpose:?} came to something else")));
                }
            }
        }
        Ok(())
    }

    pub(super) fn invited(&mut self, who: usize, link: &str, hours: u32) {
        if self.model.of_link(link).is_some() {
            return;
        }
        let relay = who % self.relays.len();
        self.model.conversations.push(Conversation {
            inviter: who,
            link: link.to_owned(),
            expires: self.now + u64::from(hours) * 3_600_000,
            relay,
            joiner: None,
            joined_at: 0,
            refused: BTreeSet::new(),
            count_lost: false,
            written: Vec::new(),
            sealed: Vec::new(),
            torn: None,
            forged: Vec::new(),
        });
    }

    pub(super) fn join_failed(
        &mut self,
        who: usize,
        conversation: usize,
        begun: u64,
        error: &ClientError,
    ) -> Result<(), Broken> {
        let of = &mut self.model.conversations[conversation];
        match error {
            ClientError::InvitationClaimed => {
                self.people[who].wants.remove(&conversation);
                of.refused.insert(who);
                self.faults.note(Fault::TwoClaims);
                Ok(())
            }
            ClientError::InvitationExpired | ClientError::InvitationGone => {
                self.people[who].wants.remove(&conversation);
                let slack = 4 * 3_600_000;
                if begun.saturating_add(slack) < of.expires && of.torn.is_none() {
                    return Err(Broken::Errand(format!("{error} before it was")));
                }
                self.faults.note(Fault::InvitationExpired);
                Ok(())
            }
            other => self.errand_failed(other),
        }
    }

    pub(super) fn errand_failed(&self, error: &ClientError) -> Result<(), Broken> {
        match error {
            ClientError::Unreachable
            | ClientError::RelayBusy
            | ClientError::RelayFull
            | ClientError::ClocksApart
            | ClientError::ClockWentBack
            | ClientError::EntryRefuses
            | ClientError::RelayMisbehaved
            | ClientError::CardSwapped => Ok(()),
            other => Err(Broken::Errand(other.to_string())),
        }
    }

    /// A process ends, and the next one finds what was committed, or a copy that was put back.
    pub(super) fn restart(&mut self, who: usize, image: Option<()>) -> Result<(), Broken> {
        self.end_process(who);
        let person = &mut self.people[who];
        let Some(client) = person.client.take() else { return Ok(()) };
        let again = match (image, &person.image) {
            (Some(()), Some(image)) => {
                self.model.views[who] = image.view.clone();
                client.restart_on(&image.vault)
            }
            _ => client.restart(),
        };
        person.client = Some(again.map_err(vault)?);
        if self.plant == Plant::VaultSyncs
            && let Some(client) = &mut person.client
        {
            client.leave_syncs_out().map_err(vault)?;
        }
        self.refresh(who)?;
        self.observe(who)?;
        self.look(who)?;
        if self.people[who].is_following {
            self.client(who, |client, now, rng| Ok(client.begin_follow(now, rng)?))?;
        }
        Ok(())
    }

    /// What a process that ends leaves: links that the other end notices at once or later.
    pub(super) fn end_process(&mut self, who: usize) {
        for end in self.network.ends_of(Node::Person(who)) {
            let noticed = self.rng.next_u64().is_multiple_of(2);
            self.network.hang_up(end, noticed, self.now);
        }
        let person = &mut self.people[who];
        person.process += 1;
        person.errands.clear();
        person.ends = None;
    }
}

//! What people do: they invite, join, write, copy their vault and put it back, and sleep.

use std::collections::BTreeMap;

use hearken_client_lib::simulation::InlineClient;
use hearken_client_lib::{ClientError, ContactId, MessageKind, UnixMillis};
use rand_chacha::ChaCha8Rng;

use super::Broken;
use super::fault::Fault;
use super::model::{Conversation, Model, View, Written};
use super::network::NOTICED_MS;
use super::person::{Image, Purpose};
use super::steps::HOUR_MS;
use super::world::{World, vault};

/// How far time goes at once while every device sleeps.
const SLEEP_STEP_MS: u64 = 8 * HOUR_MS;

impl World {
    pub(super) fn begin(
        &mut self,
        who: usize,
        begin: impl FnOnce(&mut InlineClient, UnixMillis, &mut ChaCha8Rng) -> Result<(), ClientError>,
    ) -> Result<(), Broken> {
        match self.client(who, begin)? {
            Some(Err(error)) => Err(Broken::Errand(error.to_string())),
            _ => Ok(()),
        }
    }

    pub(super) fn invite(&mut self, who: usize, hours: u32) -> Result<(), Broken> {
        match self.client(who, |client, now, rng| client.invite(hours, now, rng))? {
            Some(Ok(errand)) => {
                self.people[who].errands.insert(errand, Purpose::Invite(hours));
                Ok(())
            }
            Some(Err(error)) => Err(Broken::Errand(error.to_string())),
            None => Ok(()),
        }
    }

    pub(super) fn join_one(&mut self, who: usize, invitation: u8) -> Result<(), Broken> {
        let others: Vec<usize> = (0..self.model.conversations.len())
            .filter(|at| self.model.conversations[*at].inviter != who)
            .collect();
        if others.is_empty() {
            return Ok(());
        }
        let conversation = others[usize::from(invitation) % others.len()];
        if self.is_known(who, conversation)? {
            return Ok(());
        }
        self.people[who].wants.insert(conversation);
        self.join(who, conversation)
    }

    pub(super) fn is_known(&mut self, who: usize, conversation: usize) -> Result<bool, Broken> {
        let link = &self.model.conversations[conversation].link;
        let Some(client) = &mut self.people[who].client else { return Ok(true) };
        let is_there = client.contact_of(link).map_err(vault)?.is_some();
        let is_begun = self.people[who]
            .errands
            .values()
            .any(|purpose| matches!(purpose, Purpose::Join(of, _) if *of == conversation));
        Ok(is_there || is_begun)
    }

    /// Begins a join that somebody wants, or goes on with it.
    pub(super) fn join(&mut self, who: usize, conversation: usize) -> Result<(), Broken> {
        let link = self.model.conversations[conversation].link.clone();
        let begun = self.people[who].clock(self.now).0;
        match self.client(who, |client, now, rng| client.join(&link, now, rng))? {
            Some(Ok(errand)) => {
                let purpose = Purpose::Join(conversation, begun);
                self.people[who].errands.insert(errand, purpose);
                Ok(())
            }
            // A process that ended after the join was done told nobody.
            Some(Err(ClientError::OwnInvitation)) => Ok(()),
            Some(Err(error)) => self.join_failed(who, conversation, begun, &error),
            None => Ok(()),
        }
    }

    pub(super) fn send(&mut self, who: usize, contact: usize, bytes: usize) -> Result<(), Broken> {
        self.refresh(who)?;
        let contacts: Vec<(ContactId, usize)> =
            self.model.views[who].contacts.iter().map(|(id, of)| (*id, *of)).collect();
        if contacts.is_empty() {
            return Ok(());
        }
        let (contact, conversation) = contacts[contact % contacts.len()];
        let number = self.model.conversations[conversation].written.len();
        let text = format!("{who} {number} {}", "x".repeat(bytes));
        let register = |model: &mut Model, id| {
            let text = text.clone();
            let written = Written { from: who, id, text, sealed: Vec::new() };
            model.conversations[conversation].written.push(written);
        };
        // The model hears of it before the outbox is looked at.
        let Some(client) = &mut self.people[who].client else { return Ok(()) };
        let before = client.history(contact).map_err(vault)?.len();
        let clock = self.people[who].clock(self.now);
        let Some(client) = &mut self.people[who].client else { return Ok(()) };
        let sent = client.send_text(contact, &text, clock, &mut self.rng);
        match sent {
            Ok(id) => {
                register(&mut self.model, id);
                self.client(who, |_, _, _| Ok(()))?;
                Ok(())
            }
            Err(ClientError::Vault(error)) => {
                // Whether the text was stored is seen in what the next process finds.
                let lines = client.history(contact).map_err(vault)?;
                let stored = lines[before.min(lines.len())..]
                    .iter()
                    .find(|line| line.is_from_me() && line.kind() == MessageKind::Text);
                if let Some(line) = stored {
                    register(&mut self.model, line.id());
                }
                self.client::<()>(who, |_, _, _| Err(ClientError::Vault(error)))?;
                Ok(())
            }
            Err(error) => Err(Broken::Errand(error.to_string())),
        }
    }

    pub(super) fn copy(&mut self, who: usize) -> Result<(), Broken> {
        self.look(who)?;
        let view = self.model.views[who].clone();
        let Some(client) = &mut self.people[who].client else { return Ok(()) };
        let mut ratchets = BTreeMap::new();
        for contact in view.contacts.keys() {
            if let Some(ratchet) = client.ratchet(*contact).map_err(vault)? {
                ratchets.insert(*contact, ratchet.to_vec());
            }
        }
        let vault = client.image().map_err(vault)?;
        self.people[who].image = Some(Image { vault, view, ratchets });
        Ok(())
    }

    pub(super) fn put_back(&mut self, who: usize) -> Result<(), Broken> {
        if self.people[who].image.is_none() {
            return Ok(());
        }
        self.look(who)?;
        let contacts = self.model.views[who].contacts.clone();
        for (contact, conversation) in contacts {
            let person = &mut self.people[who];
            let (Some(image), Some(client)) = (&person.image, &mut person.client) else { continue };
            let ratchet = client.ratchet(contact).map_err(vault)?.map(|ratchet| ratchet.to_vec());
            let had = image.view.contacts.contains_key(&contact);
            let of = &mut self.model.conversations[conversation];
            if !had {
                of.tear("a contact that the copy does not have");
            } else if ratchet.as_ref() != image.ratchets.get(&contact) {
                of.tear("a copy from before the conversation moved on");
            } else {
                // What waited for keys is a matter of the vault alone.
                of.count_lost = true;
                if of.torn.is_none() {
                    forget_unsealed(of, &image.view, conversation, who);
                }
            }
        }
        // A join under way whose keys the copy does not have.
        for conversation in self.people[who].wants.clone() {
            self.model.conversations[conversation].tear("a join under way was rolled back");
        }
        self.faults.note(Fault::VaultRolledBack);
        self.restart(who, Some(()))
    }

    pub(super) fn skew(&mut self, node: usize, ms: i64) {
        let count = self.people.len() + self.relays.len();
        match node % count {
            person if person < self.people.len() => self.people[person].skew_ms = ms,
            other => self.relays[other - self.people.len()].skew_ms = ms,
        }
        self.faults.note(Fault::ClockSkew);
    }

    /// Every device sleeps; relays go on.
    pub(super) fn sleep(&mut self, ms: u64) -> Result<(), Broken> {
        self.look_all()?;
        let mut asleep: Vec<Option<InlineClient>> = Vec::new();
        for who in 0..self.people.len() {
            self.end_process(who);
            asleep.push(self.people[who].client.take());
        }
        // What is on its way arrives; after that relays only see to their hours, some at once.
        let wake = self.now + ms;
        self.pass(wake.min(self.now + 2 * NOTICED_MS))?;
        while self.now < wake {
            self.now = wake.min(self.now + SLEEP_STEP_MS);
            self.pass(self.now)?;
        }
        for client in asleep.iter_mut().flatten() {
            self.note_unheard(client)?;
        }
        for (who, client) in asleep.into_iter().enumerate() {
            self.people[who].client = client;
            self.restart(who, None)?;
        }
        Ok(())
    }
}

/// Texts that waited for keys and that the copy does not have were never sealed: they are gone with the vault.
fn forget_unsealed(of: &mut Conversation, view: &View, conversation: usize, who: usize) {
    let lines = view.lines.get(&conversation);
    let there = |written: &Written| {
        lines.is_some_and(|lines| lines.iter().any(|(id, _)| *id == written.id))
    };
    of.written
        .retain(|written| written.from != who || !written.sealed.is_empty() || there(written));
}

//! What the model looks at: contacts, outboxes, conversations.

use hearken_client_lib::simulation::InlineClient;
use hearken_client_lib::{ContactId, ContactState};
use hearken_proto::time::DAY_MS;

use super::Broken;
use super::fault::Fault;
use super::model::{Excuse, Sealed};
use super::steps::HOUR_MS;
use super::world::{World, vault};

/// A blob older than this need not arrive: its TTL, less what clocks may be off.
pub(super) const EXPIRED_MS: u64 = 21 * DAY_MS - 4 * HOUR_MS;

impl World {
    /// Which contacts somebody has.
    pub(super) fn refresh(&mut self, who: usize) -> Result<(), Broken> {
        let clock = self.people[who].clock(self.now);
        let Some(client) = &mut self.people[who].client else { return Ok(()) };
        let open = client.open_invitations(clock).map_err(vault)?;
        for (_, link) in open {
            // One of which the person was not told because the process ended just then lasts as long as any may.
            self.invited(who, &link, 21 * 24);
        }
        for at in 0..self.model.conversations.len() {
            let link = self.model.conversations[at].link.clone();
            let Some(client) = &mut self.people[who].client else { return Ok(()) };
            let Some(contact) = client.contact_of(&link).map_err(vault)? else { continue };
            let is_new = self.model.views[who].contacts.insert(contact.id(), at).is_none();
            if is_new
                && self.model.conversations[at].inviter != who
                && contact.state() == ContactState::Joined
            {
                self.people[who].wants.remove(&at);
                self.model.joined(at, who, self.now)?;
            }
        }
        Ok(())
    }

    /// New rows of somebody's outbox.
    pub(super) fn observe(&mut self, who: usize) -> Result<(), Broken> {
        if !self.people[who].errands.is_empty()
            || self.model.views[who].contacts.len() < self.model.conversations.len()
        {
            self.refresh(who)?;
        }
        let after = self.model.views[who].outbox_seen;
        let contacts: Vec<(ContactId, usize)> =
            self.model.views[who].contacts.iter().map(|(id, of)| (*id, *of)).collect();
        for (contact, conversation) in contacts {
            let Some(client) = &mut self.people[who].client else { return Ok(()) };
            let rows = client.outbox(contact, after).map_err(vault)?;
            for row in &rows {
                self.seals
                    .blob(&row.blob)
                    .map_err(|twice| Broken::SealedTwice(twice.0.to_owned()))?;
            }
            self.model.outbox(who, conversation, rows, self.now);
        }
        Ok(())
    }

    /// Ciphertexts in an outbox that their reader has had for longer than it and the relay remember them.
    pub(super) fn note_unheard(&mut self, client: &mut InlineClient) -> Result<(), Broken> {
        for contact in client.contacts().map_err(vault)? {
            for row in client.outbox(contact.id(), 0).map_err(vault)? {
                let Some((conversation, place)) = self.model.of_blob(&row.blob.put_id()) else {
                    continue;
                };
                let sealed = &mut self.model.conversations[conversation].sealed[place];
                sealed.again |= sealed.seen && self.now - sealed.at >= EXPIRED_MS;
            }
        }
        Ok(())
    }

    pub(super) fn look_all(&mut self) -> Result<(), Broken> {
        (0..self.people.len()).try_for_each(|who| self.look(who))
    }

    /// Holds what somebody sees against the model.
    pub(super) fn look(&mut self, who: usize) -> Result<(), Broken> {
        if !std::mem::take(&mut self.people[who].is_dirty) {
            return Ok(());
        }
        self.refresh(who)?;
        let contacts: Vec<(ContactId, usize)> =
            self.model.views[who].contacts.iter().map(|(id, of)| (*id, *of)).collect();
        for (contact, conversation) in contacts {
            let Some(client) = &mut self.people[who].client else { return Ok(()) };
            let lines = client.history(contact).map_err(vault)?;
            let of = &mut self.model.conversations[conversation];
            let reads = |sealed: &&mut Sealed| sealed.from != who && !sealed.seen;
            for sealed in of.sealed.iter_mut().chain(&mut of.forged).filter(reads) {
                sealed.seen = client.has_seen(contact, &sealed.blob).map_err(vault)?;
                if !sealed.seen && self.now - sealed.at >= EXPIRED_MS {
                    sealed.excuse.get_or_insert(Excuse::Expired);
                    self.faults.note(Fault::BlobExpired);
                }
            }
            self.model.look(who, conversation, &lines)?;
        }
        Ok(())
    }
}

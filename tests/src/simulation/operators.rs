//! What operators do: restart a relay, back it up, restore it, and lie.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use hearken_client_lib::ContactId;
use hearken_proto::ids::PutId;
use hearken_proto::payload::Blob;
use hearken_proto::time::UnixMillis;
use hearken_relay::core::Told;
use hearken_relay::store::MemoryStore;
use rand_core::Rng;

use super::fault::Fault;
use super::looking::EXPIRED_MS;
use super::model::{Excuse, Sealed};
use super::network::Node;
use super::world::{Backup, Lie, World, vault};
use super::{Broken, Plant};

/// The bits of a position in which blobs of one life and day are counted.
const POSITION_COUNT: u64 = 0x1f_ffff;

impl World {
    pub(super) fn stop_relay(&mut self, at: usize) {
        for end in self.network.ends_of(Node::Relay(at)) {
            let noticed = self.rng.next_u64().is_multiple_of(2);
            self.network.hang_up(end, noticed, self.now);
        }
        let relay = &mut self.relays[at];
        relay.process += 1;
        relay.held_until = None;
    }

    pub(super) fn restart_relay(&mut self, at: usize) -> Result<(), Broken> {
        self.stop_relay(at);
        let clock = self.relays[at].clock(self.now);
        let relay = &mut self.relays[at];
        relay.core = relay.core.take().map(|core| core.crash(clock, &mut self.rng));
        self.after_start(at);
        Ok(())
    }

    pub(super) fn after_start(&mut self, at: usize) {
        self.arm_lies(at);
        if self.plant == Plant::RelaySyncs
            && let Some(core) = &self.relays[at].core
        {
            core.store().leave_syncs_out();
        }
    }

    pub(super) fn back_up(&mut self, at: usize) -> Result<(), Broken> {
        let acknowledged = self.acknowledged_at(at)?;
        let Some(core) = &self.relays[at].core else { return Ok(()) };
        let backup = Backup { store: core.store().snapshot(), acknowledged, at: self.now };
        self.relays[at].backup = Some(backup);
        Ok(())
    }

    /// Ciphertexts that were put into mailboxes of a relay and are in no outbox any more.
    pub(super) fn acknowledged_at(&mut self, relay: usize) -> Result<BTreeSet<PutId>, Broken> {
        let mut waiting = BTreeSet::new();
        for who in 0..self.people.len() {
            let contacts: Vec<ContactId> = self.model.views[who].contacts.keys().copied().collect();
            let Some(client) = &mut self.people[who].client else { continue };
            for contact in contacts {
                for row in client.outbox(contact, 0).map_err(vault)? {
                    waiting.insert(*row.blob.put_id().as_bytes());
                }
            }
        }
        let relays = self.relays.len();
        let sealed = self.model.conversations.iter().flat_map(|of| {
            of.sealed.iter().filter(move |sealed| {
                of.reader_of(sealed.from).is_some_and(|reader| reader % relays == relay)
            })
        });
        let ids = sealed.map(|sealed| sealed.blob.put_id());
        Ok(ids.filter(|id| !waiting.contains(id.as_bytes())).collect())
    }

    /// An operator takes a relay down, and restores it once nothing is on its way.
    pub(super) fn restore(&mut self, at: usize) -> Result<bool, Broken> {
        let Some(backup) = self.relays[at].backup.take() else { return Ok(false) };
        self.look_all()?;
        self.stop_relay(at);
        let Some(core) = self.relays[at].core.take() else { return Ok(false) };
        self.pass(self.now + 5_000)?;
        self.look_all()?;
        let lost = self.acknowledged_at(at)?;
        for id in lost.difference(&backup.acknowledged) {
            if let Some((conversation, place)) = self.model.of_blob(id) {
                let sealed = &mut self.model.conversations[conversation].sealed[place];
                sealed.excuse.get_or_insert(Excuse::RelayRestored);
            }
        }
        for of in self.model.conversations.iter_mut().filter(|of| of.relay == at) {
            of.count_lost = true;
            if of.joiner.is_none() || of.joined_at > backup.at {
                of.tear("its claim is newer than the backup");
            }
        }
        let relays = self.relays.len();
        for of in &mut self.model.conversations {
            // The one blob that names a writer may be the one that was changed, or that expired unread; then nobody can
            // name it to this relay.
            let missed = of.sealed.iter().any(|sealed| {
                let expired = !sealed.seen && self.now - sealed.at >= EXPIRED_MS;
                let missed = matches!(sealed.excuse, Some(Excuse::Garbled | Excuse::Expired));
                (expired || missed)
                    && of.reader_of(sealed.from).is_some_and(|reader| reader % relays == at)
            });
            if missed {
                of.tear("a relay of which blobs were missed lost its past as well");
            }
        }
        let clock = self.relays[at].clock(self.now);
        let now = UnixMillis(self.now);
        let store = MemoryStore::restored_at(&backup.store, now);
        self.relays[at].core = Some(core.restart_on(store, clock, &mut self.rng));
        self.relays[at].backup = Some(backup);
        self.after_start(at);
        Ok(true)
    }

    pub(super) fn arm_lies(&mut self, at: usize) {
        let lie = Arc::clone(&self.relays[at].lie);
        let Some(core) = &mut self.relays[at].core else { return };
        core.set_lie(move |told| {
            if let Told::Blobs(blobs) = told {
                tell(&mut lock(&lie), blobs);
            }
        });
    }

    /// What relays did to blobs goes into the model.
    pub(super) fn take_lies(&mut self, at: usize) {
        let (garbled, forged) = {
            let mut lie = lock(&self.relays[at].lie);
            (std::mem::take(&mut lie.garbled), std::mem::take(&mut lie.forged))
        };
        for id in garbled {
            self.faults.note(Fault::Garbled);
            if let Some((conversation, place)) = self.model.of_blob(&id) {
                let sealed = &mut self.model.conversations[conversation].sealed[place];
                sealed.excuse.get_or_insert(Excuse::Garbled);
            }
        }
        for (id, blob) in forged {
            self.faults.note(Fault::Forged);
            if let Some((conversation, place)) = self.model.of_blob(&id) {
                let of = &mut self.model.conversations[conversation];
                if of.forged.iter().any(|twin| twin.blob == blob) {
                    continue;
                }
                let from = of.sealed[place].from;
                let twin =
                    Sealed { from, blob, at: self.now, excuse: None, seen: false, again: false };
                of.forged.push(twin);
            }
        }
    }
}

pub(super) fn lock(lie: &Mutex<Lie>) -> MutexGuard<'_, Lie> {
    lie.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Changes what a reader is told.
fn tell(lie: &mut Lie, blobs: &mut Vec<(u64, Blob)>) {
    let Some((position, first)) = blobs.first().cloned() else { return };
    let mut bytes = Box::new(*first.as_bytes());
    bytes[2_000] ^= 1;
    let other = Blob::new(bytes);
    if std::mem::take(&mut lie.garbles) {
        lie.garbled.push(first.put_id());
        blobs[0].1 = other;
    } else if lie.forges && position & POSITION_COUNT == 1 {
        lie.forges = false;
        lie.forged.push((first.put_id(), other.clone()));
        blobs.insert(0, (position - 1, other));
        blobs.truncate(16);
    }
}

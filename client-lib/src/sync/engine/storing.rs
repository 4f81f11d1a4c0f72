//! What is stored in a turn: what arrived before it is acknowledged, what was acknowledged before it is forgotten.

use std::collections::BTreeSet;

use hearken_proto::time::UnixMillis;
use rand_core::CryptoRng;

use super::Engine;
use crate::contact::ContactId;
use crate::event::Event;
use crate::sync::conversation::{self, Received};
use crate::sync::errand::ErrandId;
use crate::sync::records::{self};
use crate::sync::{messages, outbox};
use crate::vault::VaultError;

impl Engine {
    /// What came is opened and stored, contact by contact, each in one transaction, and only then acknowledged.
    pub(super) fn store_arrivals(
        &mut self,
        now: UnixMillis,
        rng: &mut (impl CryptoRng + ?Sized),
    ) -> Result<(), VaultError> {
        let ids: Vec<ContactId> = self.receivers.keys().copied().collect();
        for id in ids {
            let Some(receiver) = self.receivers.get_mut(&id) else { continue };
            let arrived = receiver.take_arrived();
            let Some(cursor) = arrived.last().map(|(position, _)| *position) else { continue };
            // What an acknowledgement before the commit comes to.
            #[cfg(hearken_planted)]
            if hearken_proto::planted::is("ack-before-commit") {
                receiver.acknowledge(cursor, &mut self.router);
                self.router.flush(now, rng);
            }
            let received = self.vault.transaction(|tx| {
                let mut received = Received::default();
                for (_, blob) in &arrived {
                    conversation::receive(tx, id, blob, now, rng, &mut received)?;
                }
                records::set_cursor(tx, id, cursor)?;
                conversation::seal_waiting(tx, id, rng)?;
                Ok::<_, VaultError>(received)
            })?;
            if let Some(receiver) = self.receivers.get_mut(&id) {
                receiver.acknowledge(cursor, &mut self.router);
                if let Some(sender) = received.their_sender {
                    receiver.set_sender(sender);
                }
            }
            if received.joined {
                self.emit(Event::ContactJoined(id));
            }
            if received.outgoing_changed {
                // A new or changed way to answer: the sender is made from what is stored.
                self.close_sender(id, now, rng);
                self.senders.remove(&id);
            }
            self.files_due = true;
            self.adopt_contacts()?;
            self.look_ahead(now)?;
            for message in received.messages {
                self.emit(Event::MessageArrived(message));
            }
        }
        Ok(())
    }

    /// Cells that the relay has leave the outbox. A kill before this only makes them go out again.
    pub(super) fn store_acknowledgements(&mut self) -> Result<(), VaultError> {
        let mut infos = core::mem::take(&mut self.infos);
        let acknowledged = core::mem::take(&mut self.acknowledged);
        if infos.is_empty() && acknowledged.is_empty() {
            return Ok(());
        }
        self.vault.transaction(|tx| {
            for (relay, signed_at) in &infos {
                records::set_newest_info(tx, relay, *signed_at)?;
            }
            for (_, cell) in &acknowledged {
                outbox::remove(tx, cell.seq)?;
                if let Some(message) = cell.message {
                    messages::mark_sent(tx, message)?;
                }
            }
            Ok::<_, VaultError>(())
        })?;
        infos.clear();
        let contacts: BTreeSet<ContactId> = acknowledged.iter().map(|(id, _)| *id).collect();
        for (_, cell) in acknowledged {
            if let Some(message) = cell.message {
                self.emit(Event::MessageSent(message));
            }
        }
        for contact in contacts {
            let cells_left = outbox::len(self.vault.database(), contact)?;
            self.emit(Event::Progress { contact, cells_left });
        }
        Ok(())
    }

    pub(super) fn work(
        &mut self,
        now: UnixMillis,
        rng: &mut (impl CryptoRng + ?Sized),
    ) -> Result<(), VaultError> {
        for receiver in self.receivers.values_mut() {
            receiver.work(&mut self.router);
        }
        let ids: Vec<ErrandId> = self.errands.keys().copied().collect();
        for id in ids {
            let Some(errand) = self.errands.get_mut(&id) else { continue };
            let step = errand.work(now, &mut self.router);
            self.take_errand_step(id, step, now, rng)?;
        }
        Ok(())
    }
}

//! Which way a mailbox is reached, and the sessions that are due.
//!
//! An entry is a relay that the person added, never the mailbox's own, nor the one that runs beside the vault.

use std::collections::BTreeMap;

use hearken_proto::address::RelayAddress;
use hearken_proto::ids::Fingerprint;
use hearken_proto::time::UnixMillis;
use rand_core::CryptoRng;

use super::{Engine, Mode, Owner};
use crate::contact::ContactId;
use crate::relays::{RouteAdvice, RouteChoice};
use crate::route::{RoutePlan, SessionId};
use crate::sync::errand::{ErrandId, ErrandStep};
use crate::sync::records::{self, Mailbox};
use crate::sync::trouble::Trouble;
use crate::sync::{SETTING_DIRECT, outbox};
use crate::vault::VaultError;

impl Engine {
    /// What will happen when a mailbox on `relay` is reached for.
    pub(crate) fn advise(&self, relay: &Fingerprint) -> Result<RouteAdvice, VaultError> {
        if self.choice == RouteChoice::Direct {
            return Ok(RouteAdvice::Direct);
        }
        if !self.entries(relay)?.is_empty() {
            return Ok(RouteAdvice::Hop2);
        }
        if self.choice == RouteChoice::Hop2 {
            return Ok(RouteAdvice::NoEntry);
        }
        let agreed = records::setting(self.vault.database(), SETTING_DIRECT)?.is_some();
        Ok(if agreed { RouteAdvice::Direct } else { RouteAdvice::NeedsConsent })
    }

    /// Relays that the person added, that are not the mailbox's own, nor run beside this vault.
    pub(super) fn entries(&self, relay: &Fingerprint) -> Result<Vec<RelayAddress>, VaultError> {
        Ok(records::relays(self.vault.database())?
            .into_iter()
            .filter(|entry| !entry.own && entry.address.fingerprint() != *relay)
            .map(|entry| entry.address)
            .collect())
    }

    /// Which entry is used for which relay, for the engine after this one in the same process.
    pub(crate) fn take_entry_turns(&mut self) -> BTreeMap<Fingerprint, usize> {
        core::mem::take(&mut self.entry_turn)
    }

    /// Goes on with the entries that were used before: each further one would see this address too.
    pub(crate) fn set_entry_turns(&mut self, turns: BTreeMap<Fingerprint, usize>) {
        self.entry_turn = turns;
    }

    pub(super) fn plan(
        &self,
        relay: &RelayAddress,
    ) -> Result<Result<RoutePlan, Trouble>, VaultError> {
        let fingerprint = relay.fingerprint();
        Ok(match self.advise(&fingerprint)? {
            RouteAdvice::Direct => Ok(RoutePlan { entry: None, relay: relay.clone() }),
            RouteAdvice::NeedsConsent => Err(Trouble::NeedsConsent),
            RouteAdvice::NoEntry => Err(Trouble::NoEntry),
            RouteAdvice::Hop2 => {
                let entries = self.entries(&fingerprint)?;
                // The same entry for one relay as long as it works: each further one would see this address too.
                let turn = self.entry_turn.get(&fingerprint).copied().unwrap_or(0);
                let entry = entries.get(turn % entries.len().max(1)).cloned();
                Ok(RoutePlan { entry, relay: relay.clone() })
            }
        })
    }

    pub(super) fn open(
        &mut self,
        owner: Owner,
        relay: &RelayAddress,
        now: UnixMillis,
        rng: &mut (impl CryptoRng + ?Sized),
    ) -> Result<Result<SessionId, Trouble>, VaultError> {
        Ok(match self.plan(relay)? {
            Ok(plan) => {
                let session = self.router.open(now, rng, plan);
                self.owners.insert(session, owner);
                Ok(session)
            }
            Err(trouble) => Err(trouble),
        })
    }

    pub(super) fn open_sessions(
        &mut self,
        now: UnixMillis,
        rng: &mut (impl CryptoRng + ?Sized),
    ) -> Result<(), VaultError> {
        let errands: Vec<ErrandId> = self
            .errands
            .iter()
            .filter(|(_, errand)| errand.wants_session(now))
            .map(|(id, _)| *id)
            .collect();
        for id in errands {
            let Some(address) = self.errands.get(&id).map(|errand| errand.address().clone()) else {
                continue;
            };
            match self.open(Owner::Errand(id), &address, now, rng)? {
                Ok(session) => {
                    if let Some(errand) = self.errands.get_mut(&id) {
                        errand.opening(session);
                    }
                }
                Err(trouble) => {
                    let failed = ErrandStep::Failed(trouble.into_error(), None);
                    self.take_errand_step(id, failed, now, rng)?;
                }
            }
        }
        if self.mode == Mode::Quiet {
            return Ok(());
        }
        let receivers: Vec<ContactId> = self
            .receivers
            .iter()
            .filter(|(_, receiver)| receiver.wants_session(now))
            .map(|(id, _)| *id)
            .collect();
        for id in receivers {
            let database = self.vault.database();
            let Some(address) = records::mailbox_address(database, id, Mailbox::Incoming)? else {
                continue;
            };
            let opened = self.open(Owner::Receiver(id), &address, now, rng)?;
            let Some(receiver) = self.receivers.get_mut(&id) else { continue };
            match opened {
                Ok(session) => receiver.opening(session),
                Err(trouble) => receiver.fail(trouble, now, rng),
            }
        }
        self.open_senders(now, rng)?;
        self.open_transfers(now, rng)
    }

    pub(super) fn open_senders(
        &mut self,
        now: UnixMillis,
        rng: &mut (impl CryptoRng + ?Sized),
    ) -> Result<(), VaultError> {
        let mut wanting = Vec::new();
        for (id, sender) in self.senders.iter().filter(|(_, sender)| sender.wants_session(now)) {
            if !sender.is_claimed() || outbox::len(self.vault.database(), *id)? > 0 {
                wanting.push(*id);
            }
        }
        for id in wanting {
            let database = self.vault.database();
            let Some(address) = records::mailbox_address(database, id, Mailbox::Outgoing)? else {
                continue;
            };
            let opened = self.open(Owner::Sender(id), &address, now, rng)?;
            let Some(sender) = self.senders.get_mut(&id) else { continue };
            match opened {
                Ok(session) => sender.opening(session, now),
                Err(trouble) => sender.handle_closed(Some(trouble), now, rng),
            }
        }
        Ok(())
    }

    pub(super) fn pump(&mut self, now: UnixMillis) -> Result<(), VaultError> {
        for (id, sender) in &mut self.senders {
            if let Some((after, room)) = sender.wants_cells() {
                let cells = outbox::cells(self.vault.database(), *id, after, room)?;
                sender.put(cells, &mut self.router, now);
            }
        }
        Ok(())
    }
}

//! The KEM ratchet, the other half of the keys: ML-KEM-768, both sides in turn.
//!
//! One side offers an `ek` in every message until it is answered; the other encapsulates once, sends on the new
//! epoch's chain at once and repeats its `ct` in every message until a message of that epoch comes back; then it is
//! the one that offers. So no message is needed more than any other, and dropping some cannot hold the ratchet back.
//! A side is never more than one epoch ahead of the other. The header key does not depend on this ratchet, so a `ct`
//! can be read before the epoch that it begins is known.

use std::collections::VecDeque;

use hearken_proto::time::UnixDay;
use rand_core::CryptoRng;

use super::chain_key::ChainKey;
use super::error::{DecryptError, EncryptError, Misbehaviour};
use super::header::{Header, KemPart};
use super::kem::{Ciphertext, DecapsulationKey, EncapsulationKey};
use super::kem_root_key::{KemChains, KemRootKey};
use super::message_key::PartialKey;
use super::role::Role;
use super::skipped::SkippedKeys;

/// Keys passed over that are kept of a contact.
pub const SKIPPED_PER_CONTACT_MAX: usize = hearken_proto::limits::SKIPPED_PER_CONTACT_MAX;

/// Where the exchange that leads to the next epoch stands.
#[derive(Debug)]
pub(crate) enum Exchange {
    /// The other side is to offer.
    Awaiting,
    /// We offer, in every message.
    Offering { dk: DecapsulationKey, ek: EncapsulationKey },
    /// We answered and are an epoch ahead; the other side will send on `receiving` when it has the `ct`.
    Answering { ct: Ciphertext, receiving: ChainKey },
}

/// What we receive on.
#[derive(Debug)]
pub(crate) struct KemReceiving {
    pub(crate) epoch: u32,
    pub(crate) chain_key: ChainKey,
    pub(crate) next: u32,
    pub(crate) skipped: SkippedKeys,
}

/// One side's state.
#[derive(Debug)]
pub(crate) struct KemRatchet {
    pub(crate) role: Role,
    pub(crate) root: KemRootKey,
    /// The epoch that we send in: the newest.
    pub(crate) epoch: u32,
    pub(crate) sending: ChainKey,
    pub(crate) number: u32,
    /// Messages that we sent in the epoch before.
    pub(crate) previous: u32,
    pub(crate) receiving: KemReceiving,
    /// Keys passed over in earlier epochs, newest first.
    pub(crate) past: VecDeque<(u32, SkippedKeys)>,
    pub(crate) exchange: Exchange,
}

/// What a message does to the state, once it is accepted.
pub(crate) struct KemStep {
    epoch: u32,
    number: u32,
    pub(crate) key: PartialKey,
    change: Change,
    advance: Option<Advance>,
}

enum Change {
    Kept,
    Along {
        chain_key: ChainKey,
        passed: Vec<(u32, PartialKey)>,
    },
    /// The other side sends in the next epoch.
    Epoch {
        rest: Vec<(u32, PartialKey)>,
        chain_key: ChainKey,
        passed: Vec<(u32, PartialKey)>,
    },
}

/// What follows for the exchange.
enum Advance {
    /// Our offer was answered: we follow into the new epoch.
    Follow {
        root: KemRootKey,
        sending: ChainKey,
    },
    /// Our answer arrived: it is our turn to offer.
    Offer,
    /// An offer arrived.
    Answer(EncapsulationKey),
    Offered {
        dk: DecapsulationKey,
        ek: EncapsulationKey,
    },
    Answered {
        root: KemRootKey,
        sending: ChainKey,
        receiving: ChainKey,
        ct: Ciphertext,
    },
}

fn impossible_epoch() -> DecryptError {
    DecryptError::PeerMisbehaved(Misbehaviour::KemEpoch)
}

impl KemRatchet {
    /// Epoch 0, in which nobody offers yet. The inviter offers first ([`KemRatchet::offer`]).
    pub(crate) fn new(role: Role, root: KemRootKey) -> Self {
        let (sending, chain_key) = by_direction(role, root.first_chains());
        Self {
            role,
            root,
            epoch: 0,
            sending,
            number: 0,
            previous: 0,
            receiving: KemReceiving {
                epoch: 0,
                chain_key,
                next: 0,
                skipped: SkippedKeys::default(),
            },
            past: VecDeque::new(),
            exchange: Exchange::Awaiting,
        }
    }

    /// Begins to offer. Draws 64 bytes.
    pub(crate) fn offer(&mut self, rng: &mut (impl CryptoRng + ?Sized)) {
        let dk = DecapsulationKey::generate(rng);
        let ek = dk.encapsulation_key();
        self.exchange = Exchange::Offering { dk, ek };
    }

    /// The key of the next message to send, and the chain key after it.
    pub(crate) fn next_to_send(&self) -> Result<(PartialKey, ChainKey), EncryptError> {
        if self.number == u32::MAX {
            return Err(EncryptError::Exhausted);
        }
        Ok(self.sending.next())
    }

    /// What the next message to send says.
    pub(crate) fn part_to_send(&self) -> KemPart {
        match &self.exchange {
            Exchange::Awaiting => KemPart::Nothing,
            Exchange::Offering { ek, .. } => KemPart::EncapsulationKey(ek.clone()),
            Exchange::Answering { ct, .. } => KemPart::Ciphertext(ct.clone()),
        }
    }

    /// The step that an opened header asks for. Changes nothing.
    pub(crate) fn stage(&self, header: &Header) -> Result<KemStep, DecryptError> {
        let (epoch, number) = (header.kem_epoch, header.kem_number);
        let current = &self.receiving;
        let (key, change, mut advance) =
            if epoch < current.epoch || epoch == current.epoch && number < current.next {
                let kept = self.kept(epoch).and_then(|kept| kept.key(number));
                let kept = kept.ok_or(DecryptError::Used)?;
                // A copy for the trial; the kept one is erased when the message is accepted.
                (PartialKey::from_bytes(*kept.as_bytes()), Change::Kept, None)
            } else if epoch == current.epoch {
                let (at, passed) = current.chain_key.skip(current.next, number)?;
                let (key, chain_key) = at.next();
                (key, Change::Along { chain_key, passed }, None)
            } else {
                self.stage_epoch(header)?
            };
        if let (None, Exchange::Awaiting, KemPart::EncapsulationKey(ek)) =
            (&advance, &self.exchange, &header.kem)
            && epoch == self.epoch
        {
            advance = Some(Advance::Answer(ek.clone()));
        }
        Ok(KemStep { epoch, number, key, change, advance })
    }

    fn stage_epoch(
        &self,
        header: &Header,
    ) -> Result<(PartialKey, Change, Option<Advance>), DecryptError> {
        let current = &self.receiving;
        if current.epoch.checked_add(1) != Some(header.kem_epoch) {
            return Err(impossible_epoch());
        }
        let ended = header.kem_previous.max(current.next);
        let (_, rest) = current.chain_key.skip(current.next, ended)?;
        let followed;
        let (first, advance) = match (&self.exchange, &header.kem) {
            (Exchange::Answering { receiving, .. }, _) => (receiving, Advance::Offer),
            (Exchange::Offering { dk, ek }, KemPart::Ciphertext(ct)) => {
                let (root, chains) = self.root.step(header.kem_epoch, ek, ct, &dk.decapsulate(ct));
                let (sending, receiving) = by_direction(self.role, chains);
                followed = receiving;
                (&followed, Advance::Follow { root, sending })
            }
            _ => return Err(impossible_epoch()),
        };
        let (at, passed) = first.skip(0, header.kem_number)?;
        let (key, chain_key) = at.next();
        Ok((key, Change::Epoch { rest, chain_key, passed }, Some(advance)))
    }

    fn kept(&self, epoch: u32) -> Option<&SkippedKeys> {
        if epoch == self.receiving.epoch {
            return Some(&self.receiving.skipped);
        }
        self.past.iter().find(|(past, _)| *past == epoch).map(|(_, kept)| kept)
    }

    /// Makes an accepted step that has drawn.
    pub(crate) fn commit(&mut self, step: KemStep, day: UnixDay) {
        match step.change {
            Change::Kept if step.epoch == self.receiving.epoch => {
                self.receiving.skipped.remove(step.number);
            }
            Change::Kept => {
                for (epoch, kept) in &mut self.past {
                    if *epoch == step.epoch {
                        kept.remove(step.number);
                    }
                }
            }
            Change::Along { chain_key, passed } => {
                self.receiving.chain_key = chain_key;
                self.receiving.next = step.number.saturating_add(1);
                self.receiving.skipped.keep(passed, day);
            }
            Change::Epoch { rest, chain_key, passed } => {
                let mut skipped = SkippedKeys::default();
                skipped.keep(passed, day);
                let next = step.number.saturating_add(1);
                let started = KemReceiving { epoch: step.epoch, chain_key, next, skipped };
                let mut ended = core::mem::replace(&mut self.receiving, started);
                ended.skipped.keep(rest, day);
                self.past.push_front((ended.epoch, ended.skipped));
            }
        }
        match step.advance {
            Some(Advance::Follow { root, sending }) => {
                self.enter(root, sending);
                self.exchange = Exchange::Awaiting;
            }
            Some(Advance::Offered { dk, ek }) => self.exchange = Exchange::Offering { dk, ek },
            Some(Advance::Answered { root, sending, receiving, ct }) => {
                self.enter(root, sending);
                self.exchange = Exchange::Answering { ct, receiving };
            }
            Some(Advance::Offer | Advance::Answer(_)) | None => {}
        }
        self.expire(day);
    }

    fn enter(&mut self, root: KemRootKey, sending: ChainKey) {
        self.root = root;
        self.sending = sending;
        self.epoch = self.epoch.saturating_add(1);
        self.previous = self.number;
        self.number = 0;
    }

    fn expire(&mut self, day: UnixDay) {
        self.receiving.skipped.expire(day);
        self.past.retain_mut(|(_, kept)| {
            kept.expire(day);
            !kept.is_empty()
        });
        let mut kept = self.kept_count();
        while kept > SKIPPED_PER_CONTACT_MAX {
            let Some((_, oldest)) = self.past.back_mut() else { break };
            oldest.drop_oldest();
            if oldest.is_empty() {
                self.past.pop_back();
            }
            kept -= 1;
        }
    }

    /// Keys passed over that are kept, of all epochs.
    pub(crate) fn kept_count(&self) -> usize {
        self.receiving.skipped.len() + self.past.iter().map(|(_, kept)| kept.len()).sum::<usize>()
    }
}

impl KemStep {
    /// Draws what the exchange needs: 64 bytes to offer, 32 to answer, else nothing.
    pub(crate) fn draw(
        &mut self,
        ratchet: &KemRatchet,
        rng: &mut (impl CryptoRng + ?Sized),
    ) -> Result<(), DecryptError> {
        self.advance = match self.advance.take() {
            Some(Advance::Offer) => {
                let dk = DecapsulationKey::generate(rng);
                let ek = dk.encapsulation_key();
                Some(Advance::Offered { dk, ek })
            }
            Some(Advance::Answer(ek)) => {
                let epoch = ratchet.epoch.checked_add(1).ok_or_else(impossible_epoch)?;
                let (ct, secret) = ek.encapsulate(rng);
                let (root, chains) = ratchet.root.step(epoch, &ek, &ct, &secret);
                let (sending, receiving) = by_direction(ratchet.role, chains);
                Some(Advance::Answered { root, sending, receiving, ct })
            }
            other => other,
        };
        Ok(())
    }
}

/// What we send on and what we receive on.
fn by_direction(role: Role, chains: KemChains) -> (ChainKey, ChainKey) {
    match role {
        Role::Inviter => (chains.inviter, chains.joiner),
        Role::Joiner => (chains.joiner, chains.inviter),
    }
}

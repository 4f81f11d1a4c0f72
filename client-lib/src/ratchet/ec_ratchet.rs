//! The Double Ratchet with header encryption (Signal's specification, section 4), one half of the keys.
//!
//! Opening is in three steps, so that nothing changes before both seals were accepted: [`EcRatchet::find`] the chain
//! whose header key opens the header, [`EcRatchet::stage`] the step that it asks for, and, when the body was accepted
//! as well, [`EcRatchet::commit`]. At most four header keys are tried: of the chain that is received on, of the one
//! that would follow, and of two earlier ones with keys passed over.

use hearken_proto::limits::BLOB_LEN;
use hearken_proto::time::UnixDay;
use rand_core::CryptoRng;

use super::agreement_key::{AgreementKey, NonContributory};
use super::chain_key::ChainKey;
use super::error::{DecryptError, EncryptError, Misbehaviour};
use super::header::Header;
use super::header_key::HeaderKey;
use super::layout::Layout;
use super::message_key::PartialKey;
use super::prefix::Prefix;
use super::root_key::RootKey;
use super::skipped::SkippedKeys;

/// Earlier chains of which keys passed over are kept.
pub(crate) const PAST_CHAINS_MAX: usize = 2;

/// The chain that we send on. A joiner's first one has a prefix.
#[derive(Debug)]
pub(crate) struct SendingChain {
    pub(crate) header_key: HeaderKey,
    pub(crate) chain_key: ChainKey,
    pub(crate) number: u32,
    pub(crate) prefix: Option<Prefix>,
}

/// The chain that we receive on.
#[derive(Debug)]
pub(crate) struct ReceivingChain {
    pub(crate) header_key: HeaderKey,
    pub(crate) chain_key: ChainKey,
    /// The number that comes next.
    pub(crate) next: u32,
    /// Messages that the other side sent on all chains before.
    pub(crate) base: u64,
    pub(crate) skipped: SkippedKeys,
    pub(crate) prefix: Option<Prefix>,
}

/// What is left of a chain that we received on: keys passed over.
#[derive(Debug)]
pub(crate) struct PastChain {
    pub(crate) header_key: HeaderKey,
    pub(crate) base: u64,
    pub(crate) skipped: SkippedKeys,
    pub(crate) prefix: Option<Prefix>,
}

/// Which chain a header key belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    Receiving,
    Next,
    Past(usize),
}

/// One side's state.
#[derive(Debug)]
pub(crate) struct EcRatchet {
    pub(crate) root: RootKey,
    pub(crate) our_key: AgreementKey,
    pub(crate) sending: Option<SendingChain>,
    /// Messages in our previous sending chain.
    pub(crate) previous: u32,
    pub(crate) next_sending_header: HeaderKey,
    pub(crate) receiving: Option<ReceivingChain>,
    pub(crate) next_receiving_header: HeaderKey,
    /// The prefix of the chain that comes next: at an inviter that has opened nothing yet.
    pub(crate) next_prefix: Option<Prefix>,
    /// Newest first.
    pub(crate) past: Vec<PastChain>,
}

/// What a message does to the state, once it is accepted.
pub(crate) struct EcStep {
    place: Place,
    number: u32,
    pub(crate) key: PartialKey,
    /// The message's place among all that the other side sent, from 0.
    pub(crate) message: u64,
    pub(crate) passed_over: u32,
    change: Change,
}

enum Change {
    /// A key that was passed over served.
    Kept,
    /// The chain moved along.
    Along { chain_key: ChainKey, passed: Vec<(u32, PartialKey)> },
    /// The other side began a new chain, so we do too.
    Turn(Box<Turn>),
}

struct Turn {
    their_key: [u8; 32],
    root: RootKey,
    /// Of the chain that ended.
    rest: Vec<(u32, PartialKey)>,
    base: u64,
    chain_key: ChainKey,
    passed: Vec<(u32, PartialKey)>,
    next_receiving_header: HeaderKey,
    /// Drawn by [`EcStep::draw`].
    reply: Option<Reply>,
}

struct Reply {
    our_key: AgreementKey,
    root: RootKey,
    chain_key: ChainKey,
    next_sending_header: HeaderKey,
}

impl EcRatchet {
    /// The joiner's: sends first, on a chain towards the card's key. Draws 32 bytes.
    pub(crate) fn joiner(
        root: &RootKey,
        card_key: &[u8; 32],
        joiner_header: HeaderKey,
        inviter_header: HeaderKey,
        prefix: Prefix,
        rng: &mut (impl CryptoRng + ?Sized),
    ) -> Result<Self, NonContributory> {
        let our_key = AgreementKey::generate(rng);
        let (root, chain_key, next_sending_header) = root.step(&our_key.agree(card_key)?);
        Ok(Self {
            root,
            our_key,
            sending: Some(SendingChain {
                header_key: joiner_header,
                chain_key,
                number: 0,
                prefix: Some(prefix),
            }),
            previous: 0,
            next_sending_header,
            receiving: None,
            next_receiving_header: inviter_header,
            next_prefix: None,
            past: Vec::new(),
        })
    }

    /// The inviter's: cannot send before it has opened a message that begins with `prefix`.
    pub(crate) fn inviter(
        root: RootKey,
        card_key: AgreementKey,
        joiner_header: HeaderKey,
        inviter_header: HeaderKey,
        prefix: Prefix,
    ) -> Self {
        Self {
            root,
            our_key: card_key,
            sending: None,
            previous: 0,
            next_sending_header: inviter_header,
            receiving: None,
            next_receiving_header: joiner_header,
            next_prefix: Some(prefix),
            past: Vec::new(),
        }
    }

    /// The key of the next message to send, and the chain key after it.
    pub(crate) fn next_to_send(&self) -> Result<(PartialKey, ChainKey), EncryptError> {
        let chain = self.sending.as_ref().ok_or(EncryptError::NoSendingChain)?;
        if chain.number == u32::MAX {
            return Err(EncryptError::Exhausted);
        }
        Ok(chain.chain_key.next())
    }

    /// Opens the header with the chain that it belongs to.
    pub(crate) fn find(
        &self,
        blob: &[u8; BLOB_LEN],
    ) -> Result<(Place, Layout, Header), DecryptError> {
        let receiving = self.receiving.as_ref();
        let receiving =
            receiving.map(|chain| (Place::Receiving, &chain.header_key, chain.prefix.as_ref()));
        let next = (Place::Next, &self.next_receiving_header, self.next_prefix.as_ref());
        let past = self.past.iter().enumerate();
        let past = past
            .map(|(index, chain)| (Place::Past(index), &chain.header_key, chain.prefix.as_ref()));
        for (place, header_key, prefix) in receiving.into_iter().chain([next]).chain(past) {
            let layout = match prefix {
                Some(prefix) if prefix.begins(blob) => Layout::Initial,
                Some(_) => continue,
                None => Layout::Ordinary,
            };
            let mut plain = vec![0; layout.header_len()];
            let key = header_key.for_message(&layout.r_of(blob));
            if key.open(&blob[layout.header()], &mut plain).is_ok() {
                return Ok((place, layout, Header::decode(layout, &plain)?));
            }
        }
        Err(DecryptError::NotOpened)
    }

    /// The step that an opened header asks for. Changes nothing.
    pub(crate) fn stage(&self, place: Place, header: &Header) -> Result<EcStep, DecryptError> {
        match place {
            Place::Past(index) => {
                let chain = self.past.get(index).ok_or(DecryptError::Used)?;
                Self::stage_kept(place, header, chain.base, &chain.skipped)
            }
            Place::Receiving => {
                let chain = self.receiving.as_ref().ok_or(DecryptError::NotOpened)?;
                if header.number < chain.next {
                    return Self::stage_kept(place, header, chain.base, &chain.skipped);
                }
                let (at, passed) = chain.chain_key.skip(chain.next, header.number)?;
                let (key, chain_key) = at.next();
                Ok(EcStep {
                    place,
                    number: header.number,
                    key,
                    message: chain.base.saturating_add(u64::from(header.number)),
                    passed_over: header.number - chain.next,
                    change: Change::Along { chain_key, passed },
                })
            }
            Place::Next => self.stage_turn(header),
        }
    }

    fn stage_kept(
        place: Place,
        header: &Header,
        base: u64,
        skipped: &SkippedKeys,
    ) -> Result<EcStep, DecryptError> {
        let key = skipped.key(header.number).ok_or(DecryptError::Used)?;
        Ok(EcStep {
            place,
            number: header.number,
            // A copy for the trial; the kept one is erased when the message is accepted.
            key: PartialKey::from_bytes(*key.as_bytes()),
            message: base.saturating_add(u64::from(header.number)),
            passed_over: 0,
            change: Change::Kept,
        })
    }

    fn stage_turn(&self, header: &Header) -> Result<EcStep, DecryptError> {
        let (mut base, mut rest, mut passed_over) = (0, Vec::new(), 0);
        if let Some(chain) = &self.receiving {
            let sent = header.previous.max(chain.next);
            rest = chain.chain_key.skip(chain.next, sent)?.1;
            passed_over = sent - chain.next;
            base = chain.base.saturating_add(u64::from(sent));
        }
        let agreed = self.our_key.agree(&header.ratchet_key).map_err(|NonContributory| {
            DecryptError::PeerMisbehaved(Misbehaviour::NonContributory)
        })?;
        let (root, first, next_receiving_header) = self.root.step(&agreed);
        let (at, passed) = first.skip(0, header.number)?;
        let (key, chain_key) = at.next();
        Ok(EcStep {
            place: Place::Next,
            number: header.number,
            key,
            message: base.saturating_add(u64::from(header.number)),
            passed_over: passed_over.saturating_add(header.number),
            change: Change::Turn(Box::new(Turn {
                their_key: header.ratchet_key,
                root,
                rest,
                base,
                chain_key,
                passed,
                next_receiving_header,
                reply: None,
            })),
        })
    }

    /// Makes an accepted step. One that turns must have drawn; else nothing changes.
    pub(crate) fn commit(&mut self, step: EcStep, day: UnixDay) {
        match (step.change, step.place) {
            (Change::Kept, Place::Past(index)) => {
                if let Some(chain) = self.past.get_mut(index) {
                    chain.skipped.remove(step.number);
                }
            }
            (Change::Kept, _) => {
                if let Some(chain) = &mut self.receiving {
                    chain.skipped.remove(step.number);
                }
            }
            (Change::Along { chain_key, passed }, _) => {
                if let Some(chain) = &mut self.receiving {
                    chain.chain_key = chain_key;
                    chain.next = step.number.saturating_add(1);
                    chain.skipped.keep(passed, day);
                }
            }
            (Change::Turn(turn), _) => self.turn(*turn, step.number, day),
        }
        self.expire(day);
    }

    fn turn(&mut self, turn: Turn, number: u32, day: UnixDay) {
        let Some(reply) = turn.reply else { return };
        let mut skipped = SkippedKeys::default();
        skipped.keep(turn.passed, day);
        let header_key =
            core::mem::replace(&mut self.next_receiving_header, turn.next_receiving_header);
        let ended = self.receiving.replace(ReceivingChain {
            header_key,
            chain_key: turn.chain_key,
            next: number.saturating_add(1),
            base: turn.base,
            skipped,
            prefix: self.next_prefix.take(),
        });
        if let Some(mut ended) = ended {
            ended.skipped.keep(turn.rest, day);
            self.past.insert(
                0,
                PastChain {
                    header_key: ended.header_key,
                    base: ended.base,
                    skipped: ended.skipped,
                    prefix: ended.prefix,
                },
            );
        }
        self.our_key = reply.our_key;
        self.root = reply.root;
        self.previous = self.sending.as_ref().map_or(0, |chain| chain.number);
        let header_key =
            core::mem::replace(&mut self.next_sending_header, reply.next_sending_header);
        self.sending =
            Some(SendingChain { header_key, chain_key: reply.chain_key, number: 0, prefix: None });
    }

    fn expire(&mut self, day: UnixDay) {
        if let Some(chain) = &mut self.receiving {
            chain.skipped.expire(day);
        }
        self.past.retain_mut(|chain| {
            chain.skipped.expire(day);
            !chain.skipped.is_empty()
        });
        self.past.truncate(PAST_CHAINS_MAX);
    }
}

impl EcStep {
    /// Whether the message had been passed over.
    pub(crate) fn is_late(&self) -> bool {
        matches!(self.change, Change::Kept)
    }

    /// Draws our next ratchet key (32 bytes) where the step turns.
    pub(crate) fn draw(&mut self, rng: &mut (impl CryptoRng + ?Sized)) -> Result<(), DecryptError> {
        let Change::Turn(turn) = &mut self.change else { return Ok(()) };
        let our_key = AgreementKey::generate(rng);
        let agreed = our_key.agree(&turn.their_key).map_err(|NonContributory| {
            DecryptError::PeerMisbehaved(Misbehaviour::NonContributory)
        })?;
        let (root, chain_key, next_sending_header) = turn.root.step(&agreed);
        turn.reply = Some(Reply { our_key, root, chain_key, next_sending_header });
        Ok(())
    }
}

//! Joining an invitation: the card is fetched and checked, a mailbox of this side's own made, the inviter's claimed.
//!
//! The keys are stored before the claim is sent, since a claim works once: a kill or a lost answer in between leaves a
//! join that goes on when the same link is given again. Until then it is no contact that a person sees.

use std::sync::Arc;

use hearken_proto::address::RelayAddress;
use hearken_proto::auth::ObjectSecretKey;
use hearken_proto::ids::{ClaimId, ObjectId, RecvId};
use hearken_proto::payload::Blob;
use hearken_proto::pow::Purpose;
use hearken_proto::time::UnixMillis;
use hearken_proto::wire::{Claim, Create, ObjectGet, Reason, Role, command, reply};
use rand_core::CryptoRng;
use rusqlite::Connection;
use zeroize::Zeroizing;

use super::{ErrandOutcome, StageStep, Stages, refusal};
use crate::contact::ContactId;
use crate::error::ClientError;
use crate::handshake::{self, CardError, InvitationCard, Joined, LinkSecret};
use crate::invitation::InvitationLink;
use crate::route::{Router, SessionId};
use crate::sync::conversation;
use crate::sync::records::{self, Mailbox, NewContact, Stage};
use crate::vault::VaultError;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum At {
    Card,
    Mailbox,
    Claim,
}

/// Joins an invitation.
pub(crate) struct JoinErrand {
    at: At,
    link: InvitationLink,
    name: Option<String>,
    own_relay: RelayAddress,
    contact: ContactId,
    receive_key: Arc<ObjectSecretKey>,
    our_claim_key: ObjectSecretKey,
    send_key: Arc<ObjectSecretKey>,
    their_claim_key: Option<Arc<ObjectSecretKey>>,
    joined: Option<Joined>,
    /// The claim may have reached the relay: then the keys must stay.
    may_have_claimed: bool,
}

impl JoinErrand {
    /// A join that begins. `own_relay` is where this side's mailbox goes.
    pub(crate) fn new(
        link: InvitationLink,
        name: Option<String>,
        own_relay: RelayAddress,
        rng: &mut (impl CryptoRng + ?Sized),
    ) -> Self {
        let mut id = [0; 16];
        rng.fill_bytes(&mut id);
        Self {
            at: At::Card,
            link,
            name,
            own_relay,
            contact: ContactId::from_bytes(id),
            receive_key: Arc::new(ObjectSecretKey::generate(rng)),
            our_claim_key: ObjectSecretKey::generate(rng),
            send_key: Arc::new(ObjectSecretKey::generate(rng)),
            their_claim_key: None,
            joined: None,
            may_have_claimed: false,
        }
    }

    /// A join that was interrupted after its keys were stored.
    pub(crate) fn resume(
        link: InvitationLink,
        name: Option<String>,
        contact: ContactId,
        tx: &Connection,
    ) -> Result<Self, ClientError> {
        let incoming = records::incoming(tx, contact)?.ok_or_else(VaultError::damaged_record)?;
        let outgoing = records::outgoing(tx, contact)?.ok_or_else(VaultError::damaged_record)?;
        let own_relay = records::mailbox_address(tx, contact, Mailbox::Incoming)?
            .ok_or_else(VaultError::damaged_record)?;
        Ok(Self {
            at: At::Mailbox,
            link,
            name,
            own_relay,
            contact,
            receive_key: incoming.receive_key,
            our_claim_key: incoming.claim_key.ok_or_else(VaultError::damaged_record)?,
            send_key: outgoing.send_key,
            their_claim_key: outgoing.claim_key,
            joined: None,
            may_have_claimed: true,
        })
    }

    /// What names the link that is joined.
    pub(crate) fn link_hash(&self) -> [u8; 32] {
        self.link.hash()
    }

    fn recv_id(&self) -> RecvId {
        RecvId::of(&self.receive_key.public_key())
    }

    fn read_card(
        &mut self,
        blob: Option<&Blob>,
        now: UnixMillis,
        rng: &mut dyn CryptoRng,
    ) -> StageStep {
        let Some(blob) = blob else { return StageStep::Failed(ClientError::RelayMisbehaved) };
        let secret = LinkSecret::from_bytes(&self.link.secret);
        let opened = InvitationCard::open(&secret, &self.link.card_hash, blob.as_bytes(), now);
        let card = match opened {
            Ok(card) => card,
            Err(CardError::Expired) => return StageStep::Failed(ClientError::InvitationExpired),
            Err(_) => return StageStep::Failed(ClientError::CardSwapped),
        };
        // The link and the card were made together: they name one relay.
        let same_relay = card
            .relay()
            .parse::<RelayAddress>()
            .is_ok_and(|relay| relay.fingerprint() == self.link.relay.fingerprint());
        let joined = same_relay.then(|| handshake::join(rng, &secret, &card));
        let Some(Ok(joined)) = joined else { return StageStep::Failed(ClientError::CardSwapped) };
        self.their_claim_key = Some(Arc::new(ObjectSecretKey::from_bytes(card.claim_key())));
        self.joined = Some(joined);
        StageStep::Store
    }
}

impl Stages for JoinErrand {
    fn destination(&self) -> &RelayAddress {
        match self.at {
            At::Card | At::Claim => &self.link.relay,
            At::Mailbox => &self.own_relay,
        }
    }

    fn handle_opened(&mut self, session: SessionId, router: &mut Router) -> StageStep {
        let sent = match self.at {
            At::Card => {
                let secret = LinkSecret::from_bytes(&self.link.secret);
                let write_key = ObjectSecretKey::from_bytes(&secret.object_write_key());
                let id = ObjectId::of(&write_key.public_key());
                let get = ObjectGet { object_id: id.as_bytes().to_vec(), first: 0, max: 1 };
                router.command(session, command::Command::ObjectGet(get), None, None)
            }
            At::Mailbox => {
                return StageStep::Work {
                    purpose: Purpose::Mailbox,
                    object_id: *self.recv_id().as_bytes(),
                    size: 0,
                };
            }
            At::Claim => {
                let Some(claim_key) = &self.their_claim_key else {
                    return StageStep::Failed(ClientError::InvitationGone);
                };
                let id = ClaimId::of(&claim_key.public_key());
                let claim = Claim { sender_public_key: self.send_key.public_key().to_vec() };
                self.may_have_claimed = true;
                router.command(
                    session,
                    command::Command::Claim(claim),
                    None,
                    Some((Role::Claim, *id.as_bytes(), Arc::clone(claim_key))),
                )
            }
        };
        match sent {
            Ok(_) => StageStep::Going,
            Err(_) => StageStep::Failed(ClientError::RelayMisbehaved),
        }
    }

    fn handle_proof(&mut self, session: SessionId, nonce: u64, router: &mut Router) -> StageStep {
        let create = Create {
            claim_public_key: self.our_claim_key.public_key().to_vec(),
            sender_public_key: Vec::new(),
            proof_of_work: nonce,
        };
        let key = (Role::Receive, *self.recv_id().as_bytes(), Arc::clone(&self.receive_key));
        match router.command(session, command::Command::Create(create), None, Some(key)) {
            Ok(_) => StageStep::Going,
            Err(_) => StageStep::Failed(ClientError::RelayMisbehaved),
        }
    }

    fn handle_answer(
        &mut self,
        _: SessionId,
        reply: reply::Reply,
        blob: Option<Blob>,
        _: &mut Router,
        now: UnixMillis,
        rng: &mut dyn CryptoRng,
    ) -> StageStep {
        let not_yours = |refused: &hearken_proto::wire::Refused| {
            Reason::try_from(refused.reason) == Ok(Reason::NotYours)
        };
        let gone = if self.link.expires <= now.hour() {
            ClientError::InvitationExpired
        } else {
            ClientError::InvitationGone
        };
        match (self.at, reply) {
            (At::Card, reply::Reply::Chunk(_)) => self.read_card(blob.as_ref(), now, rng),
            (At::Mailbox, reply::Reply::Done(_)) => {
                self.at = At::Claim;
                StageStep::Next
            }
            (At::Claim, reply::Reply::Done(_)) => StageStep::Store,
            (At::Claim, reply::Reply::Refused(refused))
                if Reason::try_from(refused.reason) == Ok(Reason::Claimed) =>
            {
                self.may_have_claimed = false;
                StageStep::Failed(ClientError::InvitationClaimed)
            }
            (At::Card | At::Claim, reply::Reply::Refused(refused)) if not_yours(&refused) => {
                self.may_have_claimed = false;
                StageStep::Failed(gone)
            }
            (_, reply::Reply::Refused(refused)) => StageStep::Failed(refusal(refused.reason)),
            _ => StageStep::Failed(ClientError::RelayMisbehaved),
        }
    }

    fn store(
        &mut self,
        tx: &Connection,
        _: UnixMillis,
        rng: &mut dyn CryptoRng,
    ) -> Result<Option<ErrandOutcome>, ClientError> {
        if self.at == At::Card {
            let (Some(joined), Some(claim_key)) = (&self.joined, &self.their_claim_key) else {
                return Err(ClientError::RelayMisbehaved);
            };
            records::insert_contact(
                tx,
                &NewContact {
                    id: self.contact,
                    name: None,
                    stage: Stage::Joining,
                    link: None,
                    link_hash: self.link.hash(),
                    expires_hour: self.link.expires.0,
                },
            )?;
            records::insert_incoming(
                tx,
                self.contact,
                &self.own_relay,
                &self.receive_key,
                &self.our_claim_key,
            )?;
            records::insert_outgoing(
                tx,
                self.contact,
                &self.link.relay,
                &self.send_key,
                claim_key,
            )?;
            let ratchet: Zeroizing<Vec<u8>> = joined.ratchet.to_bytes();
            records::set_contact(tx, self.contact, "ratchet", ratchet.to_vec())?;
            records::set_contact(tx, self.contact, "safety", joined.safety.as_bytes().to_vec())?;
            self.joined = None;
            self.at = At::Mailbox;
            return Ok(None);
        }
        records::check_name_is_free(tx, self.name.as_deref(), None)?;
        if let Some(name) = &self.name {
            records::succeed(tx, self.contact, name)?;
        }
        records::set_contact(tx, self.contact, "state", Stage::Joined as i64)?;
        records::set_claimed(tx, self.contact, true)?;
        conversation::introduce(
            tx,
            self.contact,
            &self.own_relay,
            &self.our_claim_key,
            &self.send_key,
            rng,
        )?;
        let mailbox_on_theirs = self.own_relay.fingerprint() == self.link.relay.fingerprint()
            && !records::relays(tx)?
                .iter()
                .any(|relay| relay.address.fingerprint() == self.own_relay.fingerprint());
        Ok(Some(ErrandOutcome::Joined { contact: self.contact, mailbox_on_theirs }))
    }

    fn undo(&mut self, tx: &Connection) -> Result<(), VaultError> {
        if self.may_have_claimed { Ok(()) } else { records::delete_contact(tx, self.contact) }
    }
}

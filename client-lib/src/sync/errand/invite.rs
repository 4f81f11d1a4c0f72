//! An invitation: a mailbox, and a sealed card that leads to it.
//!
//! Nothing is stored here until the relay holds both, so an interruption leaves nothing that a person would see; what
//! it leaves at the relay has no owner and expires.

use std::sync::Arc;

use hearken_proto::address::{AddressError, RelayAddress};
use hearken_proto::auth::ObjectSecretKey;
use hearken_proto::ids::{ObjectId, RecvId};
use hearken_proto::object::{Root, chunk_hash};
use hearken_proto::payload::Blob;
use hearken_proto::pow::Purpose;
use hearken_proto::time::{UnixHour, UnixMillis};
use hearken_proto::wire::{
    Create, ObjectChunk, ObjectDeclaration, ObjectPut, Role, command, object_put, reply,
};
use rand_core::CryptoRng;
use rusqlite::Connection;
use zeroize::Zeroizing;

use super::{ErrandOutcome, StageStep, Stages, refusal};
use crate::contact::ContactId;
use crate::error::ClientError;
use crate::handshake::Inviter;
use crate::invitation::InvitationLink;
use crate::route::{Router, SessionId};
use crate::sync::records::{self, NewContact, Stage};
use crate::vault::VaultError;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum At {
    Mailbox,
    Declaration,
    Chunk,
}

/// Makes an invitation.
pub(crate) struct InviteErrand {
    at: At,
    relay: RelayAddress,
    name: Option<String>,
    hours: u32,
    contact: ContactId,
    receive_key: Arc<ObjectSecretKey>,
    claim_key: ObjectSecretKey,
    inviter: Inviter,
    write_key: Arc<ObjectSecretKey>,
    card: Blob,
    link: Zeroizing<String>,
    link_hash: [u8; 32],
    expires: UnixHour,
}

impl InviteErrand {
    pub(crate) fn new(
        relay: RelayAddress,
        name: Option<String>,
        hours: u32,
        now: UnixMillis,
        rng: &mut (impl CryptoRng + ?Sized),
    ) -> Result<Self, ClientError> {
        let mut id = [0; 16];
        rng.fill_bytes(&mut id);
        let receive_key = ObjectSecretKey::generate(rng);
        let claim_key = ObjectSecretKey::generate(rng);
        // The hour that has begun does not count, so that an hour is one; the relay keeps the card as long.
        let expires = UnixHour(now.hour().0.saturating_add(hours).saturating_add(1));
        let inviter = Inviter::create(rng, &relay.to_string(), &claim_key.to_bytes(), expires)
            .map_err(|_| ClientError::Address(AddressError::Places))?;
        let secret = inviter.link_secret();
        let link = InvitationLink {
            secret: *secret.as_bytes(),
            card_hash: inviter.card().hash(),
            expires,
            relay: relay.clone(),
        };
        let write_key = ObjectSecretKey::from_bytes(&secret.object_write_key());
        let card = Blob::new(inviter.card().seal(secret));
        Ok(Self {
            at: At::Mailbox,
            relay,
            name,
            hours,
            contact: ContactId::from_bytes(id),
            receive_key: Arc::new(receive_key),
            claim_key,
            inviter,
            write_key: Arc::new(write_key),
            card,
            link: link.to_text(),
            link_hash: link.hash(),
            expires,
        })
    }

    fn object_id(&self) -> ObjectId {
        ObjectId::of(&self.write_key.public_key())
    }

    fn recv_id(&self) -> RecvId {
        RecvId::of(&self.receive_key.public_key())
    }

    fn object_put(
        &self,
        session: SessionId,
        step: object_put::Step,
        router: &mut Router,
    ) -> StageStep {
        let blob = matches!(step, object_put::Step::Chunk(_)).then(|| self.card.clone());
        let key = (Role::Write, *self.object_id().as_bytes(), Arc::clone(&self.write_key));
        let put = command::Command::ObjectPut(ObjectPut { step: Some(step) });
        match router.command(session, put, blob, Some(key)) {
            Ok(_) => StageStep::Going,
            Err(_) => StageStep::Failed(ClientError::RelayMisbehaved),
        }
    }
}

impl Stages for InviteErrand {
    fn destination(&self) -> &RelayAddress {
        &self.relay
    }

    fn handle_opened(&mut self, _: SessionId, _: &mut Router) -> StageStep {
        match self.at {
            At::Mailbox => StageStep::Work {
                purpose: Purpose::Mailbox,
                object_id: *self.recv_id().as_bytes(),
                size: 0,
            },
            // A session that was lost between declaration and chunk begins with the declaration again.
            At::Declaration | At::Chunk => {
                self.at = At::Declaration;
                StageStep::Work {
                    purpose: Purpose::Object,
                    object_id: *self.object_id().as_bytes(),
                    size: 1,
                }
            }
        }
    }

    fn handle_proof(&mut self, session: SessionId, nonce: u64, router: &mut Router) -> StageStep {
        if self.at == At::Mailbox {
            let create = Create {
                claim_public_key: self.claim_key.public_key().to_vec(),
                sender_public_key: Vec::new(),
                proof_of_work: nonce,
            };
            let key = (Role::Receive, *self.recv_id().as_bytes(), Arc::clone(&self.receive_key));
            return match router.command(session, command::Command::Create(create), None, Some(key))
            {
                Ok(_) => StageStep::Going,
                Err(_) => StageStep::Failed(ClientError::RelayMisbehaved),
            };
        }
        let mut root = Root::new();
        root.push(&chunk_hash(&self.card));
        let declaration = ObjectDeclaration {
            chunks: 1,
            root: root.finish().to_vec(),
            ttl_hours: self.hours,
            proof_of_work: nonce,
        };
        self.object_put(session, object_put::Step::Declaration(declaration), router)
    }

    fn handle_answer(
        &mut self,
        session: SessionId,
        reply: reply::Reply,
        _: Option<Blob>,
        router: &mut Router,
        _: UnixMillis,
        _: &mut dyn CryptoRng,
    ) -> StageStep {
        match (reply, self.at) {
            (reply::Reply::Done(_), At::Mailbox) => {
                self.at = At::Declaration;
                StageStep::Next
            }
            (reply::Reply::Done(_), At::Declaration) => {
                self.at = At::Chunk;
                self.object_put(session, object_put::Step::Chunk(ObjectChunk { index: 0 }), router)
            }
            (reply::Reply::Done(_), At::Chunk) => StageStep::Store,
            (reply::Reply::Refused(refused), _) => StageStep::Failed(refusal(refused.reason)),
            _ => StageStep::Failed(ClientError::RelayMisbehaved),
        }
    }

    fn store(
        &mut self,
        tx: &Connection,
        _: UnixMillis,
        _: &mut dyn CryptoRng,
    ) -> Result<Option<ErrandOutcome>, ClientError> {
        records::check_name_is_free(tx, self.name.as_deref(), None)?;
        records::insert_contact(
            tx,
            &NewContact {
                id: self.contact,
                name: self.name.as_deref(),
                stage: Stage::Invited,
                link: Some(&self.link),
                link_hash: self.link_hash,
                expires_hour: self.expires.0,
            },
        )?;
        records::insert_incoming(
            tx,
            self.contact,
            &self.relay,
            &self.receive_key,
            &self.claim_key,
        )?;
        records::set_contact(tx, self.contact, "inviter", self.inviter.to_bytes().to_vec())?;
        Ok(Some(ErrandOutcome::Invited { contact: self.contact, link: self.link.clone() }))
    }

    fn undo(&mut self, _: &Connection) -> Result<(), VaultError> {
        Ok(())
    }
}

//! The end of a mailbox whose contact was forgotten.

use hearken_proto::address::RelayAddress;
use hearken_proto::ids::RecvId;
use hearken_proto::payload::Blob;
use hearken_proto::time::UnixMillis;
use hearken_proto::wire::{Delete, Role, command, reply};
use rand_core::CryptoRng;
use rusqlite::Connection;

use super::{ErrandOutcome, StageStep, Stages};
use crate::error::ClientError;
use crate::route::{Router, SessionId};
use crate::sync::records::{self, Farewell};
use crate::vault::VaultError;

/// Deletes one mailbox. A mailbox that is gone already is as good.
pub(super) struct FarewellErrand(Farewell);

impl FarewellErrand {
    pub(super) fn new(farewell: Farewell) -> Self {
        Self(farewell)
    }
}

impl Stages for FarewellErrand {
    fn destination(&self) -> &RelayAddress {
        &self.0.relay
    }

    fn handle_opened(&mut self, session: SessionId, router: &mut Router) -> StageStep {
        let id = RecvId::of(&self.0.receive_key.public_key());
        let key = (Role::Receive, *id.as_bytes(), self.0.receive_key.clone());
        let delete = command::Command::Delete(Delete { role: Role::Receive.into() });
        match router.command(session, delete, None, Some(key)) {
            Ok(_) => StageStep::Going,
            Err(_) => StageStep::Failed(ClientError::RelayMisbehaved),
        }
    }

    fn handle_proof(&mut self, _: SessionId, _: u64, _: &mut Router) -> StageStep {
        StageStep::Going
    }

    fn handle_answer(
        &mut self,
        _: SessionId,
        reply: reply::Reply,
        _: Option<Blob>,
        _: &mut Router,
        _: UnixMillis,
        _: &mut dyn CryptoRng,
    ) -> StageStep {
        match reply {
            reply::Reply::Done(_) | reply::Reply::Refused(_) => StageStep::Store,
            _ => StageStep::Failed(ClientError::RelayMisbehaved),
        }
    }

    fn store(
        &mut self,
        tx: &Connection,
        _: UnixMillis,
        _: &mut dyn CryptoRng,
    ) -> Result<Option<ErrandOutcome>, ClientError> {
        records::delete_farewell(tx, self.0.seq)?;
        Ok(Some(ErrandOutcome::Ended))
    }

    fn undo(&mut self, _: &Connection) -> Result<(), VaultError> {
        // It stays to be tried at the next command that reaches the network.
        Ok(())
    }
}

//! Where openmls keeps its state: rows of the vault, written through the caller's transaction.
//!
//! Nothing is kept in memory between calls and nothing is committed here, so what openmls did and what the caller wrote
//! beside it become durable together or not at all. Each value is encoded by itself (MessagePack); deleting a group's
//! rows deletes all of it, its unused key packages too.

use openmls_traits::storage::{CURRENT_VERSION, Entity, Key, StorageProvider, traits};
use rusqlite::{Connection, OptionalExtension, params};
use serde::Serialize;
use zeroize::Zeroizing;

use super::ids::{GroupId, MemberId};

/// The table. Values are secret as everything in the vault.
pub(crate) const SCHEMA: &str = "
CREATE TABLE mls (
    scope BLOB NOT NULL,
    kind INTEGER NOT NULL,
    key BLOB NOT NULL,
    value BLOB NOT NULL,
    PRIMARY KEY (scope, kind, key)
) WITHOUT ROWID;
";

/// Why openmls' state could not be read or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum StorageError {
    /// The database.
    #[error("the vault's database refused")]
    Database(#[from] rusqlite::Error),
    /// A row that does not decode.
    #[error("a row of the vault is damaged")]
    Decode(#[from] rmp_serde::decode::Error),
    /// A value that does not encode: a fault of this program.
    #[error("a value cannot be encoded")]
    Encode(#[from] rmp_serde::encode::Error),
}

/// What kind of value a row holds. Numbers are never used again.
#[derive(Clone, Copy)]
#[repr(u8)]
enum Kind {
    JoinConfig = 1,
    OwnLeafNodes = 2,
    Proposal = 3,
    ProposalRefs = 4,
    Tree = 5,
    InterimTranscriptHash = 6,
    Context = 7,
    ConfirmationTag = 8,
    GroupState = 9,
    MessageSecrets = 10,
    ResumptionPsks = 11,
    OwnLeafIndex = 12,
    EpochSecrets = 13,
    SignatureKeyPair = 14,
    EncryptionKeyPair = 15,
    EpochKeyPairs = 16,
    KeyPackage = 17,
    Psk = 18,
    Signer = 19,
    PastMember = 20,
}

/// An epoch and a place in its tree, encoded so that their order is that of the bytes.
struct Past(u64, u32);

impl Serialize for Past {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut bytes = [0; 12];
        bytes[..8].copy_from_slice(&self.0.to_be_bytes());
        bytes[8..].copy_from_slice(&self.1.to_be_bytes());
        serializer.serialize_bytes(&bytes)
    }
}

/// The rows of one group.
#[derive(Debug)]
pub(crate) struct Rows<'a> {
    db: &'a Connection,
    group: GroupId,
}

impl<'a> Rows<'a> {
    /// Those of a group in a vault, through the transaction that is open on it.
    pub(crate) fn new(db: &'a Connection, group: GroupId) -> Self {
        Self { db, group }
    }

    /// Deletes everything that openmls keeps for the group.
    pub(crate) fn delete_all(&self) -> Result<(), StorageError> {
        self.db
            .prepare_cached("DELETE FROM mls WHERE scope = ?1")?
            .execute([&self.group.as_bytes()[..]])?;
        Ok(())
    }

    /// The seed of this member's signature key.
    pub(super) fn signer(&self) -> Result<Option<Zeroizing<[u8; 32]>>, StorageError> {
        let seed = self.read_value(Kind::Signer, &())?;
        Ok(seed.map(|seed| rmp_serde::from_slice(&seed)).transpose()?.map(Zeroizing::new))
    }

    pub(super) fn set_signer(&self, seed: &[u8; 32]) -> Result<(), StorageError> {
        self.write(Kind::Signer, &(), seed)
    }

    /// Keeps who was at a place of the tree in an epoch.
    pub(super) fn keep_member(
        &self,
        epoch: u64,
        place: u32,
        member: MemberId,
    ) -> Result<(), StorageError> {
        self.write(Kind::PastMember, &Past(epoch, place), member.as_bytes())
    }

    pub(super) fn member_at(
        &self,
        epoch: u64,
        place: u32,
    ) -> Result<Option<MemberId>, StorageError> {
        let member = self.read_value(Kind::PastMember, &Past(epoch, place))?;
        Ok(member
            .map(|member| rmp_serde::from_slice(&member))
            .transpose()?
            .map(MemberId::from_bytes))
    }

    pub(super) fn forget_members_before(&self, epoch: u64) -> Result<(), StorageError> {
        self.db
            .prepare_cached("DELETE FROM mls WHERE scope = ?1 AND kind = ?2 AND key < ?3")?
            .execute(params![
                &self.group.as_bytes()[..],
                Kind::PastMember as u8,
                rmp_serde::to_vec(&Past(epoch, 0))?
            ])?;
        Ok(())
    }

    fn write(
        &self,
        kind: Kind,
        key: &impl Serialize,
        value: &impl Serialize,
    ) -> Result<(), StorageError> {
        let value = Zeroizing::new(rmp_serde::to_vec(value)?);
        self.db
            .prepare_cached(
                "INSERT OR REPLACE INTO mls (scope, kind, key, value) VALUES (?1, ?2, ?3, ?4)",
            )?
            .execute(params![
                &self.group.as_bytes()[..],
                kind as u8,
                rmp_serde::to_vec(key)?,
                &value[..]
            ])?;
        Ok(())
    }

    fn read<V: Entity<CURRENT_VERSION>>(
        &self,
        kind: Kind,
        key: &impl Serialize,
    ) -> Result<Option<V>, StorageError> {
        Ok(self.read_value(kind, key)?.map(|value| rmp_serde::from_slice(&value)).transpose()?)
    }

    fn read_list<V: serde::de::DeserializeOwned>(
        &self,
        kind: Kind,
        key: &impl Serialize,
    ) -> Result<Vec<V>, StorageError> {
        let value = self.read_value(kind, key)?;
        Ok(value.map(|value| rmp_serde::from_slice(&value)).transpose()?.unwrap_or_default())
    }

    fn read_value(
        &self,
        kind: Kind,
        key: &impl Serialize,
    ) -> Result<Option<Zeroizing<Vec<u8>>>, StorageError> {
        let value = self
            .db
            .prepare_cached("SELECT value FROM mls WHERE scope = ?1 AND kind = ?2 AND key = ?3")?
            .query_row(
                params![&self.group.as_bytes()[..], kind as u8, rmp_serde::to_vec(key)?],
                |row| row.get(0).map(Zeroizing::new),
            )
            .optional()?;
        Ok(value)
    }

    fn delete(&self, kind: Kind, key: &impl Serialize) -> Result<(), StorageError> {
        self.db
            .prepare_cached("DELETE FROM mls WHERE scope = ?1 AND kind = ?2 AND key = ?3")?
            .execute(params![&self.group.as_bytes()[..], kind as u8, rmp_serde::to_vec(key)?])?;
        Ok(())
    }
}

/// A value that there is one of for a key: how it is written, read and deleted.
macro_rules! values {
    ($($kind:ident: $key:ident $value:ident, $write:ident, $read:ident, $delete:ident;)*) => {
        $(
            fn $write<K: traits::$key<CURRENT_VERSION>, V: traits::$value<CURRENT_VERSION>>(
                &self,
                key: &K,
                value: &V,
            ) -> Result<(), StorageError> {
                self.write(Kind::$kind, key, value)
            }

            fn $read<K: traits::$key<CURRENT_VERSION>, V: traits::$value<CURRENT_VERSION>>(
                &self,
                key: &K,
            ) -> Result<Option<V>, StorageError> {
                self.read(Kind::$kind, key)
            }

            fn $delete<K: traits::$key<CURRENT_VERSION>>(&self, key: &K) -> Result<(), StorageError> {
                self.delete(Kind::$kind, key)
            }
        )*
    };
}

/// As `values`, where the trait names the value first.
macro_rules! values_first {
    ($($kind:ident: $key:ident $value:ident, $write:ident, $read:ident, $delete:ident;)*) => {
        $(
            fn $read<V: traits::$value<CURRENT_VERSION>, K: traits::$key<CURRENT_VERSION>>(
                &self,
                key: &K,
            ) -> Result<Option<V>, StorageError> {
                self.read(Kind::$kind, key)
            }

            fn $delete<K: traits::$key<CURRENT_VERSION>>(&self, key: &K) -> Result<(), StorageError> {
                self.delete(Kind::$kind, key)
            }
        )*
    };
}

impl StorageProvider<CURRENT_VERSION> for Rows<'_> {
    type Error = StorageError;

    values! {
        JoinConfig: GroupId MlsGroupJoinConfig, write_mls_join_config, mls_group_join_config, delete_group_config;
        Tree: GroupId TreeSync, write_tree, tree, delete_tree;
        InterimTranscriptHash: GroupId InterimTranscriptHash, write_interim_transcript_hash, interim_transcript_hash,
            delete_interim_transcript_hash;
        Context: GroupId GroupContext, write_context, group_context, delete_context;
        ConfirmationTag: GroupId ConfirmationTag, write_confirmation_tag, confirmation_tag, delete_confirmation_tag;
        MessageSecrets: GroupId MessageSecrets, write_message_secrets, message_secrets, delete_message_secrets;
        ResumptionPsks: GroupId ResumptionPskStore, write_resumption_psk_store, resumption_psk_store,
            delete_all_resumption_psk_secrets;
        OwnLeafIndex: GroupId LeafNodeIndex, write_own_leaf_index, own_leaf_index, delete_own_leaf_index;
        EpochSecrets: GroupId GroupEpochSecrets, write_group_epoch_secrets, group_epoch_secrets,
            delete_group_epoch_secrets;
        SignatureKeyPair: SignaturePublicKey SignatureKeyPair, write_signature_key_pair, signature_key_pair,
            delete_signature_key_pair;
        KeyPackage: HashReference KeyPackage, write_key_package, key_package, delete_key_package;
    }

    values_first! {
        GroupState: GroupId GroupState, write_group_state, group_state, delete_group_state;
        EncryptionKeyPair: EncryptionKey HpkeKeyPair, write_encryption_key_pair, encryption_key_pair,
            delete_encryption_key_pair;
        Psk: PskId PskBundle, write_psk, psk, delete_psk;
    }

    fn write_group_state<
        V: traits::GroupState<CURRENT_VERSION>,
        K: traits::GroupId<CURRENT_VERSION>,
    >(
        &self,
        key: &K,
        value: &V,
    ) -> Result<(), StorageError> {
        self.write(Kind::GroupState, key, value)
    }

    fn write_encryption_key_pair<
        K: traits::EncryptionKey<CURRENT_VERSION>,
        V: traits::HpkeKeyPair<CURRENT_VERSION>,
    >(
        &self,
        key: &K,
        value: &V,
    ) -> Result<(), StorageError> {
        self.write(Kind::EncryptionKeyPair, key, value)
    }

    fn write_psk<K: traits::PskId<CURRENT_VERSION>, V: traits::PskBundle<CURRENT_VERSION>>(
        &self,
        key: &K,
        value: &V,
    ) -> Result<(), StorageError> {
        self.write(Kind::Psk, key, value)
    }

    fn append_own_leaf_node<
        K: traits::GroupId<CURRENT_VERSION>,
        V: traits::LeafNode<CURRENT_VERSION>,
    >(
        &self,
        key: &K,
        value: &V,
    ) -> Result<(), StorageError> {
        let mut nodes: Vec<Vec<u8>> = self.read_list(Kind::OwnLeafNodes, key)?;
        nodes.push(rmp_serde::to_vec(value)?);
        self.write(Kind::OwnLeafNodes, key, &nodes)
    }

    fn own_leaf_nodes<K: traits::GroupId<CURRENT_VERSION>, V: traits::LeafNode<CURRENT_VERSION>>(
        &self,
        key: &K,
    ) -> Result<Vec<V>, StorageError> {
        let nodes: Vec<Vec<u8>> = self.read_list(Kind::OwnLeafNodes, key)?;
        nodes.iter().map(|node| Ok(rmp_serde::from_slice(node)?)).collect()
    }

    fn delete_own_leaf_nodes<K: traits::GroupId<CURRENT_VERSION>>(
        &self,
        key: &K,
    ) -> Result<(), StorageError> {
        self.delete(Kind::OwnLeafNodes, key)
    }

    fn write_encryption_epoch_key_pairs<
        K: traits::GroupId<CURRENT_VERSION>,
        E: traits::EpochKey<CURRENT_VERSION>,
        V: traits::HpkeKeyPair<CURRENT_VERSION>,
    >(
        &self,
        group: &K,
        epoch: &E,
        leaf: u32,
        pairs: &[V],
    ) -> Result<(), StorageError> {
        self.write(Kind::EpochKeyPairs, &(group, epoch, leaf), &pairs)
    }

    fn encryption_epoch_key_pairs<
        K: traits::GroupId<CURRENT_VERSION>,
        E: traits::EpochKey<CURRENT_VERSION>,
        V: traits::HpkeKeyPair<CURRENT_VERSION>,
    >(
        &self,
        group: &K,
        epoch: &E,
        leaf: u32,
    ) -> Result<Vec<V>, StorageError> {
        self.read_list(Kind::EpochKeyPairs, &(group, epoch, leaf))
    }

    fn delete_encryption_epoch_key_pairs<
        K: traits::GroupId<CURRENT_VERSION>,
        E: traits::EpochKey<CURRENT_VERSION>,
    >(
        &self,
        group: &K,
        epoch: &E,
        leaf: u32,
    ) -> Result<(), StorageError> {
        self.delete(Kind::EpochKeyPairs, &(group, epoch, leaf))
    }

    fn queue_proposal<
        K: traits::GroupId<CURRENT_VERSION>,
        R: traits::ProposalRef<CURRENT_VERSION>,
        V: traits::QueuedProposal<CURRENT_VERSION>,
    >(
        &self,
        group: &K,
        reference: &R,
        proposal: &V,
    ) -> Result<(), StorageError> {
        let mut references = self.encoded_refs(group)?;
        references.push(rmp_serde::to_vec(reference)?);
        self.write(Kind::ProposalRefs, group, &references)?;
        self.write(Kind::Proposal, &(group, reference), proposal)
    }

    fn queued_proposal_refs<
        K: traits::GroupId<CURRENT_VERSION>,
        R: traits::ProposalRef<CURRENT_VERSION>,
    >(
        &self,
        group: &K,
    ) -> Result<Vec<R>, StorageError> {
        self.encoded_refs(group)?.iter().map(|of| Ok(rmp_serde::from_slice(of)?)).collect()
    }

    fn queued_proposals<
        K: traits::GroupId<CURRENT_VERSION>,
        R: traits::ProposalRef<CURRENT_VERSION>,
        V: traits::QueuedProposal<CURRENT_VERSION>,
    >(
        &self,
        group: &K,
    ) -> Result<Vec<(R, V)>, StorageError> {
        let mut proposals = Vec::new();
        for reference in self.queued_proposal_refs::<K, R>(group)? {
            if let Some(proposal) = self.read(Kind::Proposal, &(group, &reference))? {
                proposals.push((reference, proposal));
            }
        }
        Ok(proposals)
    }

    fn remove_proposal<
        K: traits::GroupId<CURRENT_VERSION>,
        R: traits::ProposalRef<CURRENT_VERSION>,
    >(
        &self,
        group: &K,
        reference: &R,
    ) -> Result<(), StorageError> {
        let encoded = rmp_serde::to_vec(reference)?;
        let mut references = self.encoded_refs(group)?;
        references.retain(|of| *of != encoded);
        self.write(Kind::ProposalRefs, group, &references)?;
        self.delete(Kind::Proposal, &(group, reference))
    }

    fn clear_proposal_queue<
        K: traits::GroupId<CURRENT_VERSION>,
        R: traits::ProposalRef<CURRENT_VERSION>,
    >(
        &self,
        group: &K,
    ) -> Result<(), StorageError> {
        for reference in self.queued_proposal_refs::<K, R>(group)? {
            self.delete(Kind::Proposal, &(group, &reference))?;
        }
        self.delete(Kind::ProposalRefs, group)
    }
}

impl Rows<'_> {
    fn encoded_refs<K: Key<CURRENT_VERSION>>(
        &self,
        group: &K,
    ) -> Result<Vec<Vec<u8>>, StorageError> {
        self.read_list(Kind::ProposalRefs, group)
    }
}

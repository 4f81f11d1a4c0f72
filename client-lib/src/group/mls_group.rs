//! A group as one member holds it: openmls' state with what this program reads out of it.
//!
//! Loaded from the vault, asked or changed, and written again, all within one transaction of the caller's: after an error
//! the caller rolls back and drops this.

use std::collections::BTreeMap;

use openmls::prelude::tls_codec::{Deserialize as _, Serialize as _};
use openmls::prelude::{
    Extension, Extensions, GroupContext, KeyPackage, MlsGroup, MlsGroupCreateConfig,
    MlsGroupJoinConfig, MlsMessageBodyIn, MlsMessageIn, OpenMlsProvider,
    PURE_PLAINTEXT_WIRE_FORMAT_POLICY, PastEpochDeletionPolicy, ProcessedMessageContent,
    RequiredCapabilitiesExtension, Sender, SenderRatchetConfiguration, StagedWelcome,
    UnknownExtension,
};
use rand_core::CryptoRng;
use rusqlite::Connection;

use super::action::LeaveRequest;
use super::epoch_keys::EpochKeys;
use super::error::{GroupError, Malformed};
use super::ids::{GroupId, MemberId};
use super::leaf::{self, Leaf};
use super::provider::{Provider, SUITE, SigningKey};
use super::record::{Policy, RECORD_EXTENSION, Record};
use super::rules::Epoch;

/// Epochs whose late messages can still be read.
pub(crate) const PAST_EPOCHS: usize = 5;
/// Keys of messages of one member that are kept when they were passed over, in an epoch.
const OUT_OF_ORDER: u32 = 256;
/// How far the messages of one member may run ahead in an epoch.
const FORWARD_MAX: u32 = 65_536;

/// A group, for as long as a transaction is open.
pub(crate) struct Group<'a> {
    pub(super) provider: Provider<'a>,
    pub(super) mls: MlsGroup,
    pub(super) signer: SigningKey,
    id: GroupId,
}

/// What a message on the feed turned out to be.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum OpenedMessage {
    /// Somebody's message, of this epoch or a recent one.
    From { member: MemberId, epoch: u64, content: Vec<u8> },
    /// This member wrote it.
    Own,
}

impl<'a> Group<'a> {
    /// Makes a group of one.
    pub(crate) fn create(
        db: &'a Connection,
        id: GroupId,
        (name, policy, pseudonym): (&str, Policy, &str),
        rng: &'a mut dyn CryptoRng,
    ) -> Result<Self, GroupError> {
        let provider = Provider::new(db, id, rng);
        let signer = new_signer(&provider)?;
        let pseudonym = super::record::checked_name(pseudonym)?;
        let record = Record::new(name, policy, MemberId::of(&signer.public()))?;
        let config = MlsGroupCreateConfig::builder()
            .ciphersuite(SUITE)
            .wire_format_policy(PURE_PLAINTEXT_WIRE_FORMAT_POLICY)
            .set_past_epoch_deletion_policy(PastEpochDeletionPolicy::MaxEpochs(PAST_EPOCHS))
            .sender_ratchet_configuration(ratchets())
            .use_ratchet_tree_extension(true)
            .lifetime(leaf::lifetime())
            .capabilities(leaf::capabilities())
            .with_leaf_node_extensions(leaf::extensions(0)?)
            .map_err(|_| GroupError::Library)?
            .with_group_context_extensions(context_extensions(&record)?)
            .build();
        let mls = MlsGroup::new_with_group_id(
            &provider,
            &signer,
            &config,
            openmls::prelude::GroupId::from_slice(id.as_bytes()),
            leaf::credential(&pseudonym, &signer.public()),
        )
        .map_err(|_| GroupError::Library)?;
        Ok(Self { provider, mls, signer, id })
    }

    /// The group as the vault has it; `None` where it has none.
    pub(crate) fn load(
        db: &'a Connection,
        id: GroupId,
        rng: &'a mut dyn CryptoRng,
    ) -> Result<Option<Self>, GroupError> {
        let provider = Provider::new(db, id, rng);
        let mls_id = openmls::prelude::GroupId::from_slice(id.as_bytes());
        let Some(mls) = MlsGroup::load(provider.storage(), &mls_id)? else { return Ok(None) };
        let signer = provider.storage().signer()?.ok_or(GroupError::Damaged)?;
        Ok(Some(Self { provider, mls, signer: SigningKey::from_bytes(&signer), id }))
    }

    /// Makes what somebody who says yes sends to who asked: a key package, 2.7 kB. Its private keys, and those of its
    /// signature where there is none yet, are written.
    pub(crate) fn key_package(
        db: &'a Connection,
        id: GroupId,
        pseudonym: &str,
        rng: &'a mut dyn CryptoRng,
    ) -> Result<Vec<u8>, GroupError> {
        let provider = Provider::new(db, id, rng);
        let signer = match provider.storage().signer()? {
            Some(bytes) => SigningKey::from_bytes(&bytes),
            None => new_signer(&provider)?,
        };
        let pseudonym = super::record::checked_name(pseudonym)?;
        let package = KeyPackage::builder()
            .key_package_lifetime(leaf::lifetime())
            .leaf_node_capabilities(leaf::capabilities())
            .leaf_node_extensions(leaf::extensions(0)?)
            .build(SUITE, &provider, &signer, leaf::credential(&pseudonym, &signer.public()))
            .map_err(|_| GroupError::Library)?;
        package.key_package().tls_serialize_detached().map_err(|_| GroupError::Library)
    }

    /// Joins by a welcome. State of an earlier membership is replaced. Gives who brought this member in.
    pub(crate) fn join(
        db: &'a Connection,
        id: GroupId,
        welcome: &[u8],
        rng: &'a mut dyn CryptoRng,
    ) -> Result<(Self, MemberId), GroupError> {
        let provider = Provider::new(db, id, rng);
        let signer = provider.storage().signer()?.ok_or(GroupError::NotInvited)?;
        let signer = SigningKey::from_bytes(&signer);
        let message = MlsMessageIn::tls_deserialize_exact(welcome).map_err(|_| Malformed)?;
        let MlsMessageBodyIn::Welcome(welcome) = message.extract() else {
            return Err(Malformed.into());
        };
        let config = MlsGroupJoinConfig::builder()
            .wire_format_policy(PURE_PLAINTEXT_WIRE_FORMAT_POLICY)
            .set_past_epoch_deletion_policy(PastEpochDeletionPolicy::MaxEpochs(PAST_EPOCHS))
            .sender_ratchet_configuration(ratchets())
            .use_ratchet_tree_extension(true)
            .build();
        let staged = StagedWelcome::build_from_welcome(&provider, &config, welcome)
            .and_then(|builder| builder.replace_old_group().skip_lifetime_validation().build())
            .map_err(|_| GroupError::BadWelcome)?;
        let by = staged.welcome_sender().map_err(|_| GroupError::BadWelcome)?;
        let by = Leaf::read(by).map_err(|_| GroupError::BadWelcome)?.id();
        if staged.group_context().group_id().as_slice() != id.as_bytes() {
            return Err(GroupError::BadWelcome);
        }
        let mls = staged.into_group(&provider).map_err(|_| GroupError::BadWelcome)?;
        let group = Self { provider, mls, signer, id };
        // Whatever stands in it is held against the rules before anything is done with it.
        group.epoch().map_err(|_| GroupError::BadWelcome)?;
        Ok((group, by))
    }

    /// The group's id.
    pub(crate) fn id(&self) -> GroupId {
        self.id
    }

    /// The number of the epoch.
    pub(crate) fn number(&self) -> u64 {
        self.mls.epoch().as_u64()
    }

    /// Whether this member is in the group.
    pub(crate) fn is_member(&self) -> bool {
        self.mls.is_active()
    }

    /// This member.
    pub(crate) fn me(&self) -> MemberId {
        MemberId::of(&self.signer.public())
    }

    /// The epoch as the rules see it.
    pub(crate) fn epoch(&self) -> Result<Epoch, Malformed> {
        let members = self.leaves()?.into_values().map(|leaf| (leaf.id(), leaf.member)).collect();
        let record = record_of(self.mls.extensions())?;
        Ok(Epoch { group: self.id, number: self.number(), record, members })
    }

    /// The members' leaves by their place in the tree.
    pub(crate) fn leaves(&self) -> Result<BTreeMap<u32, Leaf>, Malformed> {
        let tree = self.mls.public_group();
        self.mls
            .members()
            .map(|member| {
                let leaf = tree.leaf(member.index).ok_or(Malformed)?;
                Ok((member.index.u32(), Leaf::read(leaf)?))
            })
            .collect()
    }

    /// What the exporter gives this epoch.
    pub(crate) fn keys(&self) -> Result<EpochKeys, GroupError> {
        let bytes = self
            .mls
            .export_secret(self.provider.crypto(), EpochKeys::LABEL, &[], EpochKeys::LEN)
            .map(zeroize::Zeroizing::new)
            .map_err(|_| GroupError::NotMember)?;
        Ok(EpochKeys::from_bytes(&bytes)?)
    }

    /// Equal for all members of an epoch that had one history (RFC 9420, 8.7), 48 bytes.
    pub(crate) fn authenticator(&self) -> Vec<u8> {
        self.mls.epoch_authenticator().as_slice().to_vec()
    }

    /// Seals a message for the epoch: an MLS PrivateMessage. Changes the sender's ratchet.
    pub(crate) fn seal_message(&mut self, content: &[u8]) -> Result<Vec<u8>, GroupError> {
        let message = self
            .mls
            .create_message(&self.provider, &self.signer, content)
            .map_err(|_| GroupError::NotMember)?;
        message.to_bytes().map_err(|_| GroupError::Library)
    }

    /// Opens what [`Group::seal_message`] of some member made, in this epoch or one of the last five.
    ///
    /// # Errors
    /// [`GroupError::Unreadable`]: not for this member, already opened, too old, or nobody's. Nothing changed.
    pub(crate) fn open_message(&mut self, message: &[u8]) -> Result<OpenedMessage, GroupError> {
        let message = MlsMessageIn::tls_deserialize_exact(message).map_err(|_| Malformed)?;
        let MlsMessageBodyIn::PrivateMessage(message) = message.extract() else {
            return Err(Malformed.into());
        };
        let processed = self.mls.process_message(&self.provider, message);
        let processed = processed.map_err(GroupError::of_message)?;
        let epoch = processed.epoch().as_u64();
        let Sender::Member(_) = processed.sender() else { return Err(GroupError::Unreadable) };
        let sender = processed.sender().clone();
        match processed.into_content() {
            ProcessedMessageContent::ApplicationMessage(content) => {
                let member = self.sender_of(&sender, epoch)?;
                Ok(OpenedMessage::From { member, epoch, content: content.into_bytes() })
            }
            ProcessedMessageContent::OwnPrivateMessage => Ok(OpenedMessage::Own),
            _ => Err(GroupError::Unreadable),
        }
    }

    /// A signed wish to go, for another member to carry out.
    pub(crate) fn leave_request(&self) -> LeaveRequest {
        let member = self.me();
        let signature = self.signer.sign_bytes(&LeaveRequest::signed_bytes(self.id, member));
        LeaveRequest { member, signature }
    }

    fn sender_of(&self, sender: &Sender, epoch: u64) -> Result<MemberId, GroupError> {
        let Sender::Member(index) = sender else { return Err(GroupError::Unreadable) };
        if epoch == self.number() {
            let leaf = self.mls.public_group().leaf(*index).ok_or(GroupError::Unreadable)?;
            return Ok(Leaf::read(leaf)?.id());
        }
        self.provider.storage().member_at(epoch, index.u32())?.ok_or(GroupError::Unreadable)
    }
}

/// The record in a group's extensions, which are exactly those of a group of this program.
pub(super) fn record_of(extensions: &Extensions<GroupContext>) -> Result<Record, Malformed> {
    let record = extensions.unknown(RECORD_EXTENSION).ok_or(Malformed)?;
    let record = Record::decode(&record.0)?;
    if *extensions == context_extensions(&record)? { Ok(record) } else { Err(Malformed) }
}

/// The extensions of a group with this record.
pub(super) fn context_extensions(record: &Record) -> Result<Extensions<GroupContext>, Malformed> {
    let types = leaf::extension_types();
    let required = RequiredCapabilitiesExtension::new(&types, &[], &[]);
    Extensions::from_vec(vec![
        Extension::RequiredCapabilities(required),
        Extension::Unknown(RECORD_EXTENSION, UnknownExtension(record.encode())),
    ])
    .map_err(|_| Malformed)
}

fn new_signer(provider: &Provider<'_>) -> Result<SigningKey, GroupError> {
    let mut seed = zeroize::Zeroizing::new([0; SigningKey::LEN]);
    provider.fill(&mut seed[..]);
    provider.storage().set_signer(&seed)?;
    Ok(SigningKey::from_bytes(&seed))
}

fn ratchets() -> SenderRatchetConfiguration {
    SenderRatchetConfiguration::new(OUT_OF_ORDER, FORWARD_MAX)
}

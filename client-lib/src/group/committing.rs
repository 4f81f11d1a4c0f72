//! Commits: made, judged, and merged.
//!
//! A commit is an MLS PublicMessage with all of its proposals inside it (RFC 9420, 12.4) and with the [`Action`] that it
//! carries out as authenticated data. It is judged twice. First by what every member of the epoch has, openmls' public
//! group and the rules: what does not hold there holds for nobody ([`Verdict::Void`]). Then with this member's own
//! secrets: what fails only there leaves this member stuck ([`Verdict::Stuck`]), since others may go on with it.

use std::collections::BTreeSet;

use openmls::prelude::tls_codec::Deserialize as _;
use openmls::prelude::{
    KeyPackage, KeyPackageIn, LeafNodeIndex, LeafNodeParameters, MlsMessageBodyIn, MlsMessageIn,
    MlsMessageOut, OpenMlsProvider, ProcessMessageError, ProcessedMessage, ProcessedMessageContent,
    Proposal, ProposalOrRefType, ProtocolMessage, ProtocolVersion, PublicMessageIn, Sender,
    StageCommitError, StagedCommit, ValidationError,
};

use super::action::Action;
use super::error::{Forbidden, GroupError, Malformed};
use super::ids::MemberId;
use super::leaf::{self, Leaf};
use super::mls_group::{Group, context_extensions, record_of};
use super::rules::{Coming, Epoch, Outcome};

/// A commit of this member's own, that waits to be read back as the first of its epoch.
#[derive(Debug)]
pub(crate) struct NewCommit {
    /// The commit, to be sealed into an object.
    pub(crate) commit: Vec<u8>,
    /// What whoever comes in joins by, where somebody does.
    pub(crate) welcome: Option<Vec<u8>>,
}

/// What a commit on the epoch's feed is worth.
pub(crate) enum Verdict {
    /// Valid and allowed, and not this member's own: it can be merged.
    Wins(Box<Winner>),
    /// This member's own pending one: it can be merged.
    Own,
    /// Nothing to any member: the next one is looked at.
    Void(Why),
    /// Good as far as everyone can see, and this member cannot follow it: neither merged nor passed over.
    Stuck,
}

/// Another member's commit that wins.
pub(crate) struct Winner {
    staged: StagedCommit,
    pub(crate) author: MemberId,
    pub(crate) action: Action,
}

/// Why a commit is nothing to anybody.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Why {
    /// Not a commit of this epoch that MLS would take.
    Invalid,
    /// Not allowed.
    Forbidden(Forbidden),
}

impl From<Malformed> for Why {
    fn from(Malformed: Malformed) -> Self {
        Self::Invalid
    }
}

impl From<Forbidden> for Why {
    fn from(forbidden: Forbidden) -> Self {
        Self::Forbidden(forbidden)
    }
}

impl Group<'_> {
    /// Makes a commit that carries `action` out. It stays pending: nothing of it holds until it was read back first and
    /// [`Group::merge_own`] was called, or another one won. Of an addition, `package` is whom it brings.
    ///
    /// # Errors
    /// [`GroupError::Pending`]: one of before may stand on the feed, and only what is kept of it can read it back; it is
    /// posted again, to the byte. [`GroupError::Forbidden`] where the rules do not allow it, [`GroupError::BadKeyPackage`].
    pub(crate) fn commit(
        &mut self,
        action: &Action,
        package: Option<&[u8]>,
    ) -> Result<NewCommit, GroupError> {
        if self.has_pending() {
            return Err(GroupError::Pending);
        }
        let epoch = self.epoch()?;
        let outcome = epoch.outcome(self.me(), action)?;
        let package = package.map(|package| self.checked_package(&epoch, package)).transpose()?;
        if outcome.comes.is_some() != package.is_some()
            || package.as_ref().is_some_and(|(_, who)| outcome.comes != Some(*who))
        {
            return Err(GroupError::BadKeyPackage);
        }
        let removed = outcome.goes.map(|goes| self.place_of(goes)).transpose()?;
        self.mls.set_aad(action.encode());
        let mut builder =
            self.mls.commit_builder().consume_proposal_store(false).propose_removals(removed);
        if outcome.record != epoch.record {
            let extensions = context_extensions(&outcome.record)?;
            builder = builder
                .propose_group_context_extensions(extensions)
                .map_err(|_| GroupError::Library)?;
        }
        builder = builder.propose_adds(package.map(|(package, _)| package));
        if outcome.keys {
            let parameters = LeafNodeParameters::builder()
                .with_extensions(leaf::extensions(epoch.number + 1)?)
                .build();
            builder = builder.force_self_update(true).leaf_node_parameters(parameters);
        }
        let provider = &self.provider;
        let bundle = builder
            .load_psks(provider.storage())
            .and_then(|builder| {
                builder.build(provider.rand(), provider.crypto(), &self.signer, |_| true)
            })
            .map_err(|_| GroupError::Library)?
            .stage_commit(provider)
            .map_err(|_| GroupError::Library)?;
        let encode = |message: &MlsMessageOut| message.to_bytes().map_err(|_| GroupError::Library);
        Ok(NewCommit {
            commit: encode(bundle.commit())?,
            welcome: bundle.to_welcome_msg().as_ref().map(encode).transpose()?,
        })
    }

    /// What a commit of the epoch's feed is worth. Nothing changes.
    ///
    /// # Errors
    /// The vault's.
    pub(crate) fn judge(&mut self, commit: &[u8]) -> Result<Verdict, GroupError> {
        let epoch = self.epoch()?;
        let (author, action) = match self.judge_publicly(&epoch, commit) {
            Ok(judged) => judged,
            Err(why) => return Ok(Verdict::Void(why)),
        };
        let message = parse(commit)?;
        match self.mls.process_message(&self.provider, message).map(ProcessedMessage::into_content)
        {
            Ok(ProcessedMessageContent::StagedCommitMessage(staged)) => {
                Ok(Verdict::Wins(Box::new(Winner { staged: *staged, author, action })))
            }
            Ok(ProcessedMessageContent::OwnPendingCommit) => Ok(Verdict::Own),
            Ok(_) => Ok(Verdict::Void(Why::Invalid)),
            Err(ProcessMessageError::StorageError(error)) => Err(error.into()),
            // Every member of the epoch has the key of the tag, and whoever could follow the path sees the confirmation
            // fail alike: the path's public keys hold its secrets fast.
            Err(
                ProcessMessageError::ValidationError(
                    ValidationError::InvalidMembershipTag | ValidationError::MissingMembershipTag,
                )
                | ProcessMessageError::InvalidCommit(StageCommitError::ConfirmationTagMismatch),
            ) => Ok(Verdict::Void(Why::Invalid)),
            Err(_) => Ok(Verdict::Stuck),
        }
    }

    /// Goes on to the epoch that another's commit begins.
    pub(crate) fn merge(&mut self, winner: Winner) -> Result<(), GroupError> {
        self.keep_members()?;
        self.mls.merge_staged_commit(&self.provider, winner.staged).map_err(|_| GroupError::Library)
    }

    /// Goes on to the epoch that this member's own pending commit begins.
    pub(crate) fn merge_own(&mut self) -> Result<(), GroupError> {
        self.keep_members()?;
        self.mls.merge_pending_commit(&self.provider).map_err(|_| GroupError::Library)
    }

    /// Whether a commit of this member's own is pending.
    pub(crate) fn has_pending(&self) -> bool {
        self.mls.pending_commit().is_some()
    }

    /// Drops a pending commit that was never posted.
    #[cfg(test)]
    pub(super) fn drop_pending(&mut self) -> Result<(), GroupError> {
        Ok(self.mls.clear_pending_commit(self.provider.storage())?)
    }

    /// What every member of the epoch can judge.
    fn judge_publicly(&self, epoch: &Epoch, commit: &[u8]) -> Result<(MemberId, Action), Why> {
        let processed = self
            .mls
            .public_group()
            .process_message(self.provider.crypto(), parse(commit)?)
            .map_err(|_| Why::Invalid)?;
        let Sender::Member(index) = *processed.sender() else { return Err(Why::Invalid) };
        let action = Action::decode(processed.aad())?;
        if action.encode() != processed.aad() {
            return Err(Why::Invalid);
        }
        let before = self.mls.public_group().leaf(index).ok_or(Malformed).and_then(Leaf::read)?;
        let author = before.id();
        let outcome = epoch.outcome(author, &action)?;
        let ProcessedMessageContent::StagedCommitMessage(staged) = processed.into_content() else {
            return Err(Why::Invalid);
        };
        self.is_what_it_says(epoch, &outcome, &staged, index)?;
        self.is_leaf_allowed(epoch, &outcome, &staged, &before)?;
        Ok((author, action))
    }

    /// Whether a commit's proposals are those, and only those, that come of its action.
    fn is_what_it_says(
        &self,
        epoch: &Epoch,
        outcome: &Outcome,
        staged: &StagedCommit,
        author: LeafNodeIndex,
    ) -> Result<(), Why> {
        let mut removed = BTreeSet::new();
        let mut added = Vec::new();
        for proposal in staged.queued_proposals() {
            let is_inside = proposal.proposal_or_ref_type() == ProposalOrRefType::Proposal
                && *proposal.sender() == Sender::Member(author);
            match proposal.proposal() {
                _ if !is_inside => return Err(Forbidden::Mismatch.into()),
                Proposal::Remove(remove) => drop(removed.insert(remove.removed().u32())),
                Proposal::Add(add) => added.push(self.coming(epoch, add.key_package())?),
                Proposal::GroupContextExtensions(_) => {}
                _ => return Err(Forbidden::Mismatch.into()),
            }
        }
        let goes =
            outcome.goes.map(|goes| self.place_of(goes)).transpose().map_err(|_| Why::Invalid)?;
        let removed_as_said = removed == goes.iter().map(|place| place.u32()).collect();
        let added_as_said = added == outcome.comes.into_iter().collect::<Vec<_>>();
        let record = record_of(staged.group_context().extensions())?;
        let is_as_said = removed_as_said && added_as_said && record == outcome.record;
        if is_as_said { Ok(()) } else { Err(Forbidden::Mismatch.into()) }
    }

    /// Whether the author's leaf changes only as it may.
    fn is_leaf_allowed(
        &self,
        epoch: &Epoch,
        outcome: &Outcome,
        staged: &StagedCommit,
        before: &Leaf,
    ) -> Result<(), Why> {
        let Some(leaf) = staged.update_path_leaf_node() else {
            return if outcome.keys { Err(Forbidden::Mismatch.into()) } else { Ok(()) };
        };
        let leaf = Leaf::read(leaf)?;
        let keys_since = if outcome.keys { epoch.number + 1 } else { before.member.keys_since };
        let is_allowed = leaf.member.signature_key == before.member.signature_key
            && leaf.member.keys_since == keys_since
            && (outcome.keys || leaf.pseudonym == before.pseudonym);
        if is_allowed { Ok(()) } else { Err(Forbidden::Mismatch.into()) }
    }

    /// Who comes in by a key package.
    fn coming(&self, epoch: &Epoch, package: &KeyPackage) -> Result<Coming, Malformed> {
        let who = Leaf::read_package(package)?.id();
        Ok(if epoch.members.contains_key(&who) { Coming::Anew(who) } else { Coming::New })
    }

    fn checked_package(
        &self,
        epoch: &Epoch,
        package: &[u8],
    ) -> Result<(KeyPackage, Coming), GroupError> {
        let package =
            KeyPackageIn::tls_deserialize_exact(package).map_err(|_| GroupError::BadKeyPackage)?;
        let package = package
            .validate(self.provider.crypto(), ProtocolVersion::Mls10)
            .map_err(|_| GroupError::BadKeyPackage)?;
        let who = self.coming(epoch, &package).map_err(|_| GroupError::BadKeyPackage)?;
        Ok((package, who))
    }

    pub(super) fn place_of(&self, member: MemberId) -> Result<LeafNodeIndex, GroupError> {
        let leaves = self.leaves()?;
        let place = leaves.iter().find(|(_, leaf)| leaf.id() == member).map(|(place, _)| *place);
        place.map(LeafNodeIndex::new).ok_or(GroupError::Forbidden(Forbidden::NotMember))
    }

    /// Keeps who was where in the epoch that ends: late messages name places.
    fn keep_members(&self) -> Result<(), GroupError> {
        for (place, leaf) in self.leaves()? {
            self.provider.storage().keep_member(self.number(), place, leaf.id())?;
        }
        let oldest = self.number().saturating_sub(super::mls_group::PAST_EPOCHS as u64);
        Ok(self.provider.storage().forget_members_before(oldest)?)
    }
}

fn parse(commit: &[u8]) -> Result<ProtocolMessage, Malformed> {
    let message = MlsMessageIn::tls_deserialize_exact(commit).map_err(|_| Malformed)?;
    match message.extract() {
        MlsMessageBodyIn::PublicMessage(message) => {
            Ok(ProtocolMessage::from(*Box::<PublicMessageIn>::from(message)))
        }
        _ => Err(Malformed),
    }
}

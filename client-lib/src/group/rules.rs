//! What a group allows: from an epoch's record and members, who acts, and what they do, to what comes of it.
//!
//! One function serves the author of a commit and everyone who judges it. It reads no clock, no history and no ratchet
//! state, so all members of an epoch come to the same answer.

use std::collections::BTreeMap;

use super::action::Action;
use super::error::Forbidden;
use super::ids::{GroupId, MemberId, ProposalId};
use super::record::{Change, MEMBERS_MAX, Open, PROPOSALS_MAX, Record, checked_name};

/// A commit that changes only its author's keys is allowed once in so many epochs a member: else one member could keep the
/// others busy for good.
pub(crate) const KEY_UPDATE_EPOCHS: u64 = 16;

/// A member of an epoch, as the tree has them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Member {
    /// Ed25519 public key, 32 bytes.
    pub(crate) signature_key: Vec<u8>,
    /// The epoch that a change of only this member's keys began; 0 where there was none. It stands in the leaf.
    pub(crate) keys_since: u64,
}

/// An epoch, as far as the rules ask.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Epoch {
    pub(crate) group: GroupId,
    pub(crate) number: u64,
    pub(crate) record: Record,
    pub(crate) members: BTreeMap<MemberId, Member>,
}

/// Who comes in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Coming {
    /// Somebody whose signature key no member has.
    New,
    /// A member, under the signature key that they have.
    Anew(MemberId),
}

/// What an allowed action comes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Outcome {
    /// The next epoch's record.
    pub(crate) record: Record,
    pub(crate) goes: Option<MemberId>,
    pub(crate) comes: Option<Coming>,
    /// Whether the author's leaf gets a new mark, and may get another pseudonym.
    pub(crate) keys: bool,
}

impl Epoch {
    /// What comes of `action` by `author`.
    ///
    /// # Errors
    /// [`Forbidden`].
    pub(crate) fn outcome(&self, author: MemberId, action: &Action) -> Result<Outcome, Forbidden> {
        let me = self.members.get(&author).ok_or(Forbidden::NotMember)?;
        let mut next =
            Outcome { record: self.record.clone(), goes: None, comes: None, keys: false };
        match action {
            Action::UpdateKeys => {
                let since = me.keys_since;
                if since != 0 && self.number + 1 < since.saturating_add(KEY_UPDATE_EPOCHS) {
                    return Err(Forbidden::TooSoon);
                }
                next.keys = true;
            }
            Action::Rename(name) => {
                self.only_admins(author)?;
                if *name == self.record.name {
                    return Err(Forbidden::NothingToDo);
                }
                next.record.name = checked_name(name)?;
            }
            Action::Propose(change) => self.propose(author, *change, &mut next)?,
            Action::Approve(id) => self.approve(author, *id, &mut next)?,
            Action::Reject(id) => self.reject(author, *id, &mut next)?,
            Action::Bring(id) => self.bring(author, *id, &mut next)?,
            Action::Leave(request) => {
                let leaver = self.members.get(&request.member).ok_or(Forbidden::NotMember)?;
                if !request.is_signed_by(self.group, &leaver.signature_key) {
                    return Err(Forbidden::NotSigned);
                }
                self.remove(author, request.member, &mut next)?;
            }
            Action::AddAnew(member) => {
                self.is_member(*member)?;
                // Nobody takes their own leaf out (RFC 9420, 12.4).
                if *member == author {
                    return Err(Forbidden::Own);
                }
                next.goes = Some(*member);
                next.comes = Some(Coming::Anew(*member));
            }
        }
        Ok(next)
    }

    fn propose(
        &self,
        author: MemberId,
        change: Change,
        next: &mut Outcome,
    ) -> Result<(), Forbidden> {
        self.only_admins(author)?;
        self.is_possible(change)?;
        let needed = self.record.policy.needed(self.record.admins.len());
        if needed == 1 {
            return self.carry_out(author, change, next);
        }
        if change != Change::Add && self.record.open.values().any(|open| open.change == change) {
            return Err(Forbidden::Proposed);
        }
        if self.record.open.len() >= PROPOSALS_MAX {
            return Err(Forbidden::Full);
        }
        let open = Open {
            change,
            proposer: author,
            needed,
            approved: [author].into(),
            rejected: Default::default(),
            since: self.number,
        };
        next.record.open.insert(ProposalId::of(self.group, self.number, author), open);
        Ok(())
    }

    fn approve(
        &self,
        author: MemberId,
        id: ProposalId,
        next: &mut Outcome,
    ) -> Result<(), Forbidden> {
        self.only_admins(author)?;
        let open = next.record.open.get_mut(&id).ok_or(Forbidden::NoSuchProposal)?;
        if open.is_approved() || !open.approved.insert(author) {
            return Err(Forbidden::Answered);
        }
        open.rejected.remove(&author);
        if !open.is_approved() || open.change == Change::Add {
            return Ok(());
        }
        let change = open.change;
        next.record.open.remove(&id);
        self.is_possible(change)?;
        self.carry_out(author, change, next)
    }

    fn reject(
        &self,
        author: MemberId,
        id: ProposalId,
        next: &mut Outcome,
    ) -> Result<(), Forbidden> {
        let open = next.record.open.get_mut(&id).ok_or(Forbidden::NoSuchProposal)?;
        if open.proposer == author {
            next.record.open.remove(&id);
            return Ok(());
        }
        self.only_admins(author)?;
        if open.is_approved() || !open.rejected.insert(author) {
            return Err(Forbidden::Answered);
        }
        open.approved.remove(&author);
        next.record.settle();
        Ok(())
    }

    fn bring(
        &self,
        author: MemberId,
        id: Option<ProposalId>,
        next: &mut Outcome,
    ) -> Result<(), Forbidden> {
        match id {
            Some(id) => {
                let open = next.record.open.remove(&id).ok_or(Forbidden::NoSuchProposal)?;
                if open.change != Change::Add || !open.is_approved() {
                    return Err(Forbidden::NoSuchProposal);
                }
                if open.proposer != author {
                    return Err(Forbidden::NotProposer);
                }
            }
            None => {
                self.only_admins(author)?;
                if self.record.policy.needed(self.record.admins.len()) > 1 {
                    return Err(Forbidden::NoSuchProposal);
                }
            }
        }
        if self.members.len() >= MEMBERS_MAX {
            return Err(Forbidden::Full);
        }
        next.comes = Some(Coming::New);
        Ok(())
    }

    /// Whether a change can come about as the epoch is.
    fn is_possible(&self, change: Change) -> Result<(), Forbidden> {
        let is_admin = |who: MemberId| self.record.admins.contains(&who);
        match change {
            Change::Add if self.members.len() >= MEMBERS_MAX => Err(Forbidden::Full),
            Change::Add => Ok(()),
            Change::Remove(who) => self.is_member(who),
            Change::Promote(who) if is_admin(who) => Err(Forbidden::NothingToDo),
            Change::Promote(who) => self.is_member(who),
            Change::Demote(who) if !is_admin(who) => Err(Forbidden::NothingToDo),
            Change::Demote(_) => Ok(()),
        }
    }

    fn carry_out(
        &self,
        author: MemberId,
        change: Change,
        next: &mut Outcome,
    ) -> Result<(), Forbidden> {
        match change {
            // One admin is enough here: whoever is asked comes in by `Bring`, and nothing is proposed.
            Change::Add => Err(Forbidden::NothingToDo),
            Change::Remove(who) => self.remove(author, who, next),
            Change::Promote(who) => {
                next.record.admins.insert(who);
                Ok(())
            }
            Change::Demote(who) => {
                next.record.admins.remove(&who);
                for open in next.record.open.values_mut() {
                    open.approved.remove(&who);
                    open.rejected.remove(&who);
                }
                next.record.settle();
                if next.record.admins.is_empty() { Err(Forbidden::LastAdmin) } else { Ok(()) }
            }
        }
    }

    fn remove(&self, author: MemberId, who: MemberId, next: &mut Outcome) -> Result<(), Forbidden> {
        if who == author {
            return Err(Forbidden::Own);
        }
        next.record.forget(who);
        next.goes = Some(who);
        if next.record.admins.is_empty() { Err(Forbidden::LastAdmin) } else { Ok(()) }
    }

    fn only_admins(&self, author: MemberId) -> Result<(), Forbidden> {
        if self.record.admins.contains(&author) { Ok(()) } else { Err(Forbidden::NotAdmin) }
    }

    fn is_member(&self, who: MemberId) -> Result<(), Forbidden> {
        if self.members.contains_key(&who) { Ok(()) } else { Err(Forbidden::NotMember) }
    }
}

//! Names of groups, members and proposals. They are the same for everyone in a group, and mean nothing outside it.

use sha2::{Digest, Sha256};

use crate::id::id;

const MEMBER_LABEL: &[u8] = b"hearken/1 group member";
const PROPOSAL_LABEL: &[u8] = b"hearken/1 group proposal";

id! {
    /// A group: 16 random bytes.
    pub(crate) GroupId
}

id! {
    /// A member of a group: a hash of the signature key that the member has in this group alone. It outlives changes of the
    /// leaf's other keys, and being added anew.
    pub(crate) MemberId
}

id! {
    /// A change that is open in a group.
    pub(crate) ProposalId
}

impl MemberId {
    /// The member with this signature key.
    #[must_use]
    pub(crate) fn of(signature_key: &[u8]) -> Self {
        Self(shortened(&[MEMBER_LABEL, signature_key]))
    }
}

impl ProposalId {
    /// The proposal that an author makes in an epoch: one commit makes one at most, and an epoch ends with it.
    #[must_use]
    pub(crate) fn of(group: GroupId, epoch: u64, author: MemberId) -> Self {
        Self(shortened(&[PROPOSAL_LABEL, &group.0, &epoch.to_be_bytes(), &author.0]))
    }
}

fn shortened(parts: &[&[u8]]) -> [u8; 16] {
    let mut hash = Sha256::new();
    parts.iter().for_each(|part| hash.update(part));
    let hash: [u8; 32] = hash.finalize().into();
    let mut short = [0; 16];
    short.copy_from_slice(&hash[..16]);
    short
}

//! What a commit says that it does. It stands in the commit's authenticated data, so its author has signed it, and every
//! member holds the proposals of the commit against it.

use ed25519_dalek::{Signature, VerifyingKey};
use prost::Message;

use super::error::Malformed;
use super::ids::{GroupId, MemberId, ProposalId};
use super::record::{Change, EncodedChange};

const LEAVE_LABEL: &[u8] = b"hearken/1 group leave";
const SIGNATURE_LEN: usize = 64;

/// What a commit does. One thing each.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    /// Its author's leaf has new keys, and maybe another pseudonym.
    UpdateKeys,
    /// The group has another name.
    Rename(String),
    /// A change is proposed, and carried out where nobody else has to agree.
    Propose(Change),
    /// An admin is for a proposal, and it is carried out where that is enough.
    Approve(ProposalId),
    /// An admin is against a proposal, or its proposer takes it back.
    Reject(ProposalId),
    /// Somebody comes in who said yes: by an approved proposal, or by an admin alone where one is enough.
    Bring(Option<ProposalId>),
    /// A member goes who asked for it.
    Leave(LeaveRequest),
    /// A member who could not go on gets a new leaf under the same signature key.
    AddAnew(MemberId),
}

/// A member's signed wish to go. It holds for good: who comes back has another signature key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct LeaveRequest {
    pub(crate) member: MemberId,
    /// Ed25519 (RFC 8032).
    pub(crate) signature: [u8; SIGNATURE_LEN],
}

impl LeaveRequest {
    /// What is signed.
    pub(crate) fn signed_bytes(group: GroupId, member: MemberId) -> Vec<u8> {
        [LEAVE_LABEL, group.as_bytes(), member.as_bytes()].concat()
    }

    /// Whether the member with this signature key has signed it.
    pub(crate) fn is_signed_by(&self, group: GroupId, signature_key: &[u8]) -> bool {
        let Ok(key) = signature_key.try_into() else { return false };
        let Ok(key) = VerifyingKey::from_bytes(key) else { return false };
        let signature = Signature::from_bytes(&self.signature);
        MemberId::of(signature_key) == self.member
            && key.verify_strict(&Self::signed_bytes(group, self.member), &signature).is_ok()
    }
}

impl Action {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let id = |bytes: &[u8; 16]| bytes.to_vec();
        let what = match self {
            Self::UpdateKeys => What::UpdateKeys(Empty {}),
            Self::Rename(name) => What::Rename(name.clone()),
            Self::Propose(change) => What::Propose(EncodedChange::of(*change)),
            Self::Approve(of) => What::Approve(id(of.as_bytes())),
            Self::Reject(of) => What::Reject(id(of.as_bytes())),
            Self::Bring(of) => What::Bring(of.map(|of| id(of.as_bytes())).unwrap_or_default()),
            Self::Leave(request) => What::Leave(EncodedLeave {
                member: id(request.member.as_bytes()),
                signature: request.signature.to_vec(),
            }),
            Self::AddAnew(member) => What::AddAnew(id(member.as_bytes())),
        };
        EncodedAction { what: Some(what) }.encode_to_vec()
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, Malformed> {
        let encoded = EncodedAction::decode(bytes).map_err(|_| Malformed)?;
        Ok(match encoded.what.ok_or(Malformed)? {
            What::UpdateKeys(Empty {}) => Self::UpdateKeys,
            What::Rename(name) => Self::Rename(name),
            What::Propose(change) => Self::Propose(change.read()?),
            What::Approve(of) => Self::Approve(of.as_slice().try_into()?),
            What::Reject(of) => Self::Reject(of.as_slice().try_into()?),
            What::Bring(of) if of.is_empty() => Self::Bring(None),
            What::Bring(of) => Self::Bring(Some(of.as_slice().try_into()?)),
            What::Leave(request) => Self::Leave(LeaveRequest {
                member: request.member.as_slice().try_into()?,
                signature: request.signature.as_slice().try_into().map_err(|_| Malformed)?,
            }),
            What::AddAnew(member) => Self::AddAnew(member.as_slice().try_into()?),
        })
    }
}

#[derive(Clone, PartialEq, Message)]
struct EncodedAction {
    #[prost(oneof = "What", tags = "1, 2, 3, 4, 5, 6, 7, 8")]
    what: Option<What>,
}

#[derive(Clone, PartialEq, prost::Oneof)]
enum What {
    #[prost(message, tag = "1")]
    UpdateKeys(Empty),
    #[prost(string, tag = "2")]
    Rename(String),
    #[prost(message, tag = "3")]
    Propose(EncodedChange),
    #[prost(bytes, tag = "4")]
    Approve(Vec<u8>),
    #[prost(bytes, tag = "5")]
    Reject(Vec<u8>),
    #[prost(bytes, tag = "6")]
    Bring(Vec<u8>),
    #[prost(message, tag = "7")]
    Leave(EncodedLeave),
    #[prost(bytes, tag = "8")]
    AddAnew(Vec<u8>),
}

#[derive(Clone, PartialEq, Message)]
struct Empty {}

#[derive(Clone, PartialEq, Message)]
struct EncodedLeave {
    #[prost(bytes = "vec", tag = "1")]
    member: Vec<u8>,
    #[prost(bytes = "vec", tag = "2")]
    signature: Vec<u8>,
}

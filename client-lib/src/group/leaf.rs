//! What a member's leaf says beside its keys: a pseudonym, and since when its keys hold.
//!
//! A leaf is judged by every member alike, so it is taken only as this program makes it: one credential, one extension,
//! fixed capabilities, and of a key package a lifetime without end (its age is checked by whoever adds it: a clock must
//! not decide what a commit is worth).

use openmls::prelude::{
    BasicCredential, Capabilities, CredentialType, CredentialWithKey, Extension, ExtensionType,
    Extensions, KeyPackage, LeafNode, Lifetime, ProposalType, ProtocolVersion, UnknownExtension,
};
use prost::Message;

use super::error::Malformed;
use super::ids::MemberId;
use super::provider::SUITE;
use super::record::{RECORD_EXTENSION, checked_name};
use super::rules::Member;

/// Type of the leaf's extension: in the range for private use (RFC 9420, 17.3).
const LEAF_EXTENSION: u16 = 0xF4E2;

/// The leaf of a member, as far as it is ours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Leaf {
    pub(crate) pseudonym: String,
    pub(crate) member: Member,
}

impl Leaf {
    pub(crate) fn id(&self) -> MemberId {
        MemberId::of(&self.member.signature_key)
    }

    /// Reads a leaf.
    pub(crate) fn read(leaf: &LeafNode) -> Result<Self, Malformed> {
        let credential =
            BasicCredential::try_from(leaf.credential().clone()).map_err(|_| Malformed)?;
        let pseudonym = std::str::from_utf8(credential.identity()).map_err(|_| Malformed)?;
        let pseudonym = checked_name(pseudonym).map_err(|_| Malformed)?;
        if *leaf.capabilities() != capabilities() {
            return Err(Malformed);
        }
        let mark = leaf.extensions().unknown(LEAF_EXTENSION).ok_or(Malformed)?;
        let Mark { keys_since } = Mark::decode(mark.0.as_slice()).map_err(|_| Malformed)?;
        if *leaf.extensions() != extensions(keys_since)? {
            return Err(Malformed);
        }
        let signature_key = leaf.signature_key().as_slice().to_vec();
        Ok(Self { pseudonym, member: Member { signature_key, keys_since } })
    }

    /// Reads the leaf of somebody who comes in.
    pub(crate) fn read_package(package: &KeyPackage) -> Result<Self, Malformed> {
        let leaf = package.leaf_node();
        let is_fresh = package.ciphersuite() == SUITE
            && package.life_time() == &lifetime()
            && package.extensions().iter().next().is_none();
        let leaf = Self::read(leaf)?;
        if is_fresh && leaf.member.keys_since == 0 { Ok(leaf) } else { Err(Malformed) }
    }
}

/// The lifetime of every key package.
pub(crate) fn lifetime() -> Lifetime {
    Lifetime::init(0, u64::MAX)
}

/// The capabilities of every leaf.
pub(crate) fn capabilities() -> Capabilities {
    Capabilities::builder()
        .versions(vec![ProtocolVersion::Mls10])
        .ciphersuites(vec![SUITE])
        .extensions(extension_types().to_vec())
        .proposals(Vec::<ProposalType>::new())
        .credentials(vec![CredentialType::Basic])
        .build()
}

/// The extensions that a member must know.
pub(crate) fn extension_types() -> [ExtensionType; 2] {
    [ExtensionType::Unknown(RECORD_EXTENSION), ExtensionType::Unknown(LEAF_EXTENSION)]
}

/// The extensions of a leaf.
pub(crate) fn extensions(keys_since: u64) -> Result<Extensions<LeafNode>, Malformed> {
    let mark = UnknownExtension(Mark { keys_since }.encode_to_vec());
    Extensions::single(Extension::Unknown(LEAF_EXTENSION, mark)).map_err(|_| Malformed)
}

/// A credential with its key.
pub(crate) fn credential(pseudonym: &str, signature_key: &[u8]) -> CredentialWithKey {
    CredentialWithKey {
        credential: BasicCredential::new(pseudonym.as_bytes().to_vec()).into(),
        signature_key: signature_key.to_vec().into(),
    }
}

#[derive(Clone, PartialEq, Message)]
struct Mark {
    /// The epoch that a change of only this member's keys began; 0 where there was none.
    #[prost(uint64, tag = "1")]
    keys_since: u64,
}

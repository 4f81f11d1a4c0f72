//! Identifiers that certify themselves: each is a hash of the public key that speaks for it.
//!
//! Every kind of id has its own label in front of the hashed bytes, so one key in two roles has two ids that nobody
//! who sees only the ids can tie together. Ids are 32 bytes. They are opaque in `Debug` output: an id in a log would
//! be a trace of who did what.

use core::fmt;

use sha2::{Digest, Sha256};

/// Length of every id in bytes.
pub const ID_LEN: usize = 32;

macro_rules! id {
    ($(#[$doc:meta])* $name:ident, $label:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name([u8; ID_LEN]);

        impl $name {
            /// The label hashed in front of what the id is of.
            pub const LABEL: &'static [u8] = $label;

            /// The id of `bytes`: SHA-256 (FIPS 180-4) of the label and the bytes.
            #[must_use]
            pub fn of(bytes: &[u8]) -> Self {
                let mut hash = Sha256::new();
                hash.update(Self::LABEL);
                hash.update(bytes);
                Self(hash.finalize().into())
            }

            /// Takes an id as it was received or stored.
            #[must_use]
            pub const fn from_bytes(bytes: [u8; ID_LEN]) -> Self {
                Self(bytes)
            }

            /// The 32 bytes of the id.
            #[must_use]
            pub const fn as_bytes(&self) -> &[u8; ID_LEN] {
                &self.0
            }
        }

        impl TryFrom<&[u8]> for $name {
            type Error = core::array::TryFromSliceError;

            fn try_from(bytes: &[u8]) -> Result<Self, Self::Error> {
                Ok(Self(bytes.try_into()?))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(concat!(stringify!($name), "(..)"))
            }
        }
    };
}

id!(
    /// A mailbox as its reader knows it: the hash of the reader's X25519 public key.
    RecvId,
    b"hearken/1 recv id"
);
id!(
    /// A mailbox as its writer knows it: the hash of the writer's X25519 public key.
    SendId,
    b"hearken/1 send id"
);
id!(
    /// The right to become a mailbox's writer: the hash of the claim key's X25519 public key.
    ClaimId,
    b"hearken/1 claim id"
);
id!(
    /// A sealed object: the hash of the X25519 public key that may write its chunks.
    ObjectId,
    b"hearken/1 object id"
);
id!(
    /// A feed as its readers know it: the hash of the X25519 public key that may read it.
    FeedId,
    b"hearken/1 feed id"
);
id!(
    /// A feed as its writers know it: the hash of the X25519 public key that may put entries.
    FeedWriterId,
    b"hearken/1 feed writer id"
);
id!(
    /// A blob as its writer names it in `Put`: the hash of its 2,400 bytes, so a repeated `Put` is recognised.
    PutId,
    b"hearken/1 put id"
);

/// A relay's identity: SHA-256 of its Ed25519 public key, without a label (so that other tools can compute it).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Fingerprint([u8; ID_LEN]);

impl Fingerprint {
    /// Length in bytes.
    pub const LEN: usize = ID_LEN;

    /// The fingerprint of an Ed25519 public key (32 bytes).
    #[must_use]
    pub fn of(identity_public_key: &[u8; 32]) -> Self {
        Self(Sha256::digest(identity_public_key).into())
    }

    /// Takes a fingerprint as it was received or stored.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; ID_LEN]) -> Self {
        Self(bytes)
    }

    /// The 32 bytes of the fingerprint.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; ID_LEN] {
        &self.0
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Fingerprint(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_key_has_another_id_in_every_role() {
        let ids = [
            *RecvId::of(&[1; 32]).as_bytes(),
            *SendId::of(&[1; 32]).as_bytes(),
            *ClaimId::of(&[1; 32]).as_bytes(),
            *ObjectId::of(&[1; 32]).as_bytes(),
            *FeedId::of(&[1; 32]).as_bytes(),
            *FeedWriterId::of(&[1; 32]).as_bytes(),
            *PutId::of(&[1; 32]).as_bytes(),
            *Fingerprint::of(&[1; 32]).as_bytes(),
        ];
        for (index, id) in ids.iter().enumerate() {
            assert!(!ids[index + 1..].contains(id));
        }
        assert_ne!(RecvId::of(&[1; 32]), RecvId::of(&[2; 32]));
    }

    #[test]
    fn ids_are_32_bytes_and_show_nothing() {
        assert!(SendId::try_from(&[0; 31][..]).is_err());
        assert!(SendId::try_from(&[0; 33][..]).is_err());
        let id = SendId::try_from(&[7; 32][..]).unwrap();
        assert_eq!(id.as_bytes(), &[7; 32]);
        assert_eq!(
            format!("{id:?} {:?}", Fingerprint::from_bytes([7; 32])),
            "SendId(..) Fingerprint(..)"
        );
    }
}

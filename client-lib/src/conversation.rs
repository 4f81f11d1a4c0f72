//! Whom a message is exchanged with, and who wrote it: the same for a contact and for a group.

use core::fmt;

use crate::contact::ContactId;

/// A conversation: everything about messages is said of one, whoever takes part in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Conversation {
    /// With one contact.
    Contact(ContactId),
}

impl From<ContactId> for Conversation {
    fn from(contact: ContactId) -> Self {
        Self::Contact(contact)
    }
}

impl Conversation {
    /// The contact, where it is with one.
    #[must_use]
    pub fn contact(self) -> Option<ContactId> {
        match self {
            Self::Contact(contact) => Some(contact),
        }
    }

    pub(crate) fn thread(self) -> ThreadId {
        match self {
            Self::Contact(contact) => ThreadId::from(contact),
        }
    }
}

/// Who wrote something.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Author {
    /// The person here.
    Me,
    /// A contact.
    Contact(ContactId),
}

/// A conversation in the vault: the id of the contact or of the group, 16 bytes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct ThreadId([u8; 16]);

/// What a thread is with. The numbers stand in the vault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ThreadKind {
    /// One contact.
    Contact = 0,
}

/// A person of a conversation in the vault: the id of the contact, or of the member within the group, 16 bytes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct PersonId([u8; 16]);

macro_rules! id16 {
    ($name:ident) => {
        impl $name {
            pub(crate) const fn from_bytes(bytes: [u8; 16]) -> Self {
                Self(bytes)
            }

            pub(crate) const fn as_bytes(&self) -> &[u8; 16] {
                &self.0
            }
        }

        impl From<ContactId> for $name {
            fn from(contact: ContactId) -> Self {
                Self(*contact.as_bytes())
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(concat!(stringify!($name), "(..)"))
            }
        }
    };
}

id16!(ThreadId);
id16!(PersonId);

impl ThreadKind {
    /// The conversation of a thread of this kind, for callers.
    pub(crate) fn conversation(self, thread: ThreadId) -> Conversation {
        match self {
            Self::Contact => Conversation::Contact(ContactId::from_bytes(*thread.as_bytes())),
        }
    }

    /// Somebody of such a thread, for callers; `None` is this side.
    pub(crate) fn author(self, person: Option<PersonId>) -> Author {
        match (self, person) {
            (_, None) => Author::Me,
            (Self::Contact, Some(person)) => {
                Author::Contact(ContactId::from_bytes(*person.as_bytes()))
            }
        }
    }
}

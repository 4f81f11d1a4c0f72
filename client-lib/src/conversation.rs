//! Whom a message is exchanged with, and who wrote it: the same for a contact and for a group.

use crate::contact::ContactId;
use crate::id::id;

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

id! {
    /// A conversation in the vault: the id of the contact or of the group, 16 bytes.
    pub(crate) ThreadId
}

/// What a thread is with. The numbers stand in the vault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ThreadKind {
    /// One contact.
    Contact = 0,
}

id! {
    /// A person of a conversation in the vault: the id of the contact, or of the member within the group, 16 bytes.
    pub(crate) PersonId
}

impl From<ContactId> for ThreadId {
    fn from(contact: ContactId) -> Self {
        Self::from_bytes(*contact.as_bytes())
    }
}

impl From<ContactId> for PersonId {
    fn from(contact: ContactId) -> Self {
        Self::from_bytes(*contact.as_bytes())
    }
}

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

//! Consent: whether what somebody wrote may be given on, to whom, what for and until when.

use core::fmt;

use hearken_proto::time::UnixMillis;

use crate::conversation::{Author, Conversation, PersonId, ThreadId, ThreadKind};
use crate::id::id;
use crate::message::MessageId;

id! {
    /// Names a consent, the same for everyone: 16 random bytes.
    pub ConsentId
}

/// How far a consent has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ConsentState {
    /// Nobody has answered.
    Asked,
    /// The author said yes.
    Given,
    /// The author said no.
    Refused,
    /// The author said yes and took it back.
    Withdrawn,
}

impl ConsentState {
    pub(crate) const fn number(self) -> u32 {
        match self {
            Self::Asked => 0,
            Self::Given => 1,
            Self::Refused => 2,
            Self::Withdrawn => 3,
        }
    }

    pub(crate) const fn of(number: u32) -> Option<Self> {
        match number {
            0 => Some(Self::Asked),
            1 => Some(Self::Given),
            2 => Some(Self::Refused),
            3 => Some(Self::Withdrawn),
            _ => None,
        }
    }
}

/// A consent that was asked for, and what became of it.
#[derive(Clone, PartialEq, Eq)]
pub struct Consent {
    pub(crate) id: ConsentId,
    pub(crate) thread: ThreadId,
    pub(crate) with: ThreadKind,
    pub(crate) asker: Option<PersonId>,
    /// Who wrote the message, and decides.
    pub(crate) asked: Option<PersonId>,
    pub(crate) message: MessageId,
    pub(crate) hash: [u8; 32],
    pub(crate) audience: String,
    pub(crate) purpose: String,
    pub(crate) until: Option<UnixMillis>,
    pub(crate) state: ConsentState,
}

impl Consent {
    /// Its id, the same for everyone.
    #[must_use]
    pub fn id(&self) -> ConsentId {
        self.id
    }

    /// The conversation in which it was asked.
    #[must_use]
    pub fn conversation(&self) -> Conversation {
        self.with.conversation(self.thread)
    }

    /// Who asked.
    #[must_use]
    pub fn asker(&self) -> Author {
        self.with.author(self.asker)
    }

    /// Who wrote the message, and so decides.
    #[must_use]
    pub fn asked(&self) -> Author {
        self.with.author(self.asked)
    }

    /// The message that it is about: these words of it and no others.
    #[must_use]
    pub fn message(&self) -> MessageId {
        self.message
    }

    /// Whom the words are to be given to, as the asker said.
    #[must_use]
    pub fn audience(&self) -> &str {
        &self.audience
    }

    /// What for, as the asker said.
    #[must_use]
    pub fn purpose(&self) -> &str {
        &self.purpose
    }

    /// Until when; `None`: until it is withdrawn.
    #[must_use]
    pub fn until(&self) -> Option<UnixMillis> {
        self.until
    }

    /// How far it has come.
    #[must_use]
    pub fn state(&self) -> ConsentState {
        self.state
    }
}

impl fmt::Debug for Consent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Consent").field("state", &self.state).finish_non_exhaustive()
    }
}

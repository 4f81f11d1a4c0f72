//! Invitations: made, still open, joined.

use std::time::Duration;

use hearken_proto::limits::OBJECT_TTL_HOURS_MAX;
use zeroize::Zeroizing;

use super::Client;
use super::contacts::check_name;
use crate::contact::Contact;
use crate::error::ClientError;
use crate::sync::{ErrandOutcome, records};

/// How long a call that reached the network goes on with what else is due.
const DUE_TIME: Duration = Duration::from_secs(5);

/// An open invitation.
#[derive(Debug)]
pub struct Invitation {
    /// The link to hand over. Whoever sees it can join.
    pub link: Zeroizing<String>,
    /// The contact that it is for.
    pub contact: Contact,
}

/// What a join came to.
#[derive(Debug)]
pub struct Joined {
    /// Whoever made the invitation.
    pub contact: Contact,
    /// Whether the mailbox of this side is on the inviter's relay, because none was added here.
    pub mailbox_on_theirs: bool,
}

impl Client {
    /// Makes a mailbox and an invitation to it, which lasts `expires` (an hour to 21 days, in whole hours), and until the
    /// next full hour after that.
    ///
    /// # Errors
    /// [`ClientError`]; nothing is kept then.
    pub async fn invite(
        &self,
        name: Option<String>,
        expires: Duration,
    ) -> Result<Invitation, ClientError> {
        check_name(name.as_deref())?;
        let hours = expires.as_secs().div_ceil(3_600);
        let hours = u32::try_from(hours).unwrap_or(u32::MAX);
        if hours == 0 || hours > OBJECT_TTL_HOURS_MAX {
            return Err(ClientError::ExpiryInvalid);
        }
        match self
            .driver
            .errand(move |engine, now, rng| engine.invite(name, hours, now, rng))
            .await?
        {
            ErrandOutcome::Invited { contact, link } => {
                self.do_what_is_due().await?;
                Ok(Invitation { link, contact: self.contact(contact).await? })
            }
            _ => Err(ClientError::Ended),
        }
    }

    /// Invitations that nobody has used yet and that have not expired, oldest first.
    ///
    /// # Errors
    /// [`ClientError::Vault`].
    pub async fn open_invitations(&self) -> Result<Vec<Invitation>, ClientError> {
        self.driver
            .call(|engine, now, _| {
                let open = records::open_invitations(engine.vault().database(), now)?;
                let mut invitations = Vec::new();
                for (id, link) in open {
                    if let Some(contact) = records::contact(engine.vault().database(), id)? {
                        invitations.push(Invitation { link, contact });
                    }
                }
                Ok(invitations)
            })
            .await
    }

    /// Joins an invitation. Repeated with the same link after an interruption it goes on where it was, until the invitation
    /// expires.
    ///
    /// # Errors
    /// [`ClientError`]; no contact is kept then.
    pub async fn join(&self, link: &str, name: Option<String>) -> Result<Joined, ClientError> {
        check_name(name.as_deref())?;
        let link = Zeroizing::new(link.to_owned());
        match self.driver.errand(move |engine, now, rng| engine.join(&link, name, now, rng)).await?
        {
            ErrandOutcome::Joined { contact, mailbox_on_theirs } => {
                self.do_what_is_due().await?;
                Ok(Joined { contact: self.contact(contact).await?, mailbox_on_theirs })
            }
            _ => Err(ClientError::Ended),
        }
    }

    /// The network was reached: what waits goes out, a first greeting above all. What cannot, goes another time.
    async fn do_what_is_due(&self) -> Result<(), ClientError> {
        self.sync(DUE_TIME).await.map(|_| ())
    }
}

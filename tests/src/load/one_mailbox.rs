//! One mailbox whose both ends are in one hand: filled, passed on, and read by `Get`.

use std::time::{Duration, Instant};

use hearken_proto::limits::BLOB_LEN;
use hearken_proto::payload::Blob;
use hearken_proto::wire::{Ack, Get, Put, Role, command, reply};
use rand_chacha::ChaCha20Rng;
use rand_core::Rng;

use super::session::{Infos, MailboxKeys, Session, refused_as, rng};
use super::{Dialler, IN_FLIGHT_MAX, Link, LoadError, Path};

/// How long the relay may leave everything unanswered.
const PATIENCE: Duration = Duration::from_secs(30);
/// Blobs that are put before they are acknowledged: well below what a mailbox holds.
const PASSED_ON_AT_ONCE: usize = 256;

/// A mailbox, and sessions of its reader and its writer on one link.
pub struct OneMailbox {
    link: Link,
    rng: ChaCha20Rng,
    writer: Session,
    reader: Session,
}

impl OneMailbox {
    /// Makes a mailbox.
    ///
    /// # Errors
    /// [`LoadError`].
    pub async fn make(dialler: &Dialler, path: &Path) -> Result<Self, LoadError> {
        let mut rng = rng()?;
        let mut link = dialler.dial().await?;
        let infos = Infos::fetch(&mut link, path, &mut rng).await?;
        let keys = MailboxKeys::generate(&mut rng);
        let mut reader = Session::open(&mut link, &infos, &mut rng).await?;
        reader.create(&mut link, &infos, &keys, &mut rng).await?;
        let mut writer = Session::open(&mut link, &infos, &mut rng).await?;
        writer.claim(&mut link, &infos, &keys, &mut rng).await?;
        let proof = writer.prove(&infos, Role::Send, &keys.sender)?;
        let mut mailbox = Self { link, rng, writer, reader };
        mailbox.say_put(Some(proof))?;
        mailbox.hear_done().await?;
        mailbox.acknowledge().await?;
        Ok(mailbox)
    }

    /// Puts `blobs` fresh blobs and has them acknowledged by the reader, some at a time.
    ///
    /// # Errors
    /// [`LoadError`].
    pub async fn pass_on(&mut self, blobs: usize) -> Result<(), LoadError> {
        let mut left = blobs;
        while left > 0 {
            let some = left.min(PASSED_ON_AT_ONCE);
            self.put(some).await?;
            self.acknowledge().await?;
            left -= some;
        }
        Ok(())
    }

    /// Puts `blobs` fresh blobs.
    ///
    /// # Errors
    /// [`LoadError`].
    pub async fn put(&mut self, blobs: usize) -> Result<(), LoadError> {
        let (mut said, mut heard) = (0, 0);
        while heard < blobs {
            while said < blobs && said - heard < IN_FLIGHT_MAX {
                self.say_put(None)?;
                said += 1;
            }
            self.hear_done().await?;
            heard += 1;
        }
        Ok(())
    }

    /// A `Get` of `max` cells from the first blob that is not acknowledged: how many blobs came, and how long from
    /// asking to the last cell.
    ///
    /// # Errors
    /// [`LoadError`].
    pub async fn get(&mut self, max: u32) -> Result<(usize, Duration), LoadError> {
        let begin = Instant::now();
        let get = command::Command::Get(Get { after: 0, max });
        self.reader.say(&mut self.link, None, get, None, &mut self.rng)?;
        let mut blobs = 0;
        for _ in 0..max {
            let cell = self.next_cell().await?;
            match self.reader.hear(cell)? {
                (reply::Reply::Delivery(_), Some(_)) => blobs += 1,
                (reply::Reply::Empty(_), None) => {}
                (reply::Reply::Refused(refused), None) => return Err(refused_as(refused.reason)),
                _ => return Err(LoadError::PeerMisbehaved),
            }
        }
        Ok((blobs, begin.elapsed()))
    }

    async fn acknowledge(&mut self) -> Result<(), LoadError> {
        // Beyond the newest position it means that.
        let ack = command::Command::Ack(Ack { cursor: u64::MAX, feed: false });
        self.reader.say(&mut self.link, None, ack, None, &mut self.rng)?;
        let cell = self.next_cell().await?;
        is_done(self.reader.hear(cell)?)
    }

    fn say_put(&mut self, proof: Option<hearken_proto::wire::Auth>) -> Result<(), LoadError> {
        let mut bytes = Box::new([0; BLOB_LEN]);
        self.rng.fill_bytes(&mut bytes[..]);
        let blob = Blob::new(bytes);
        let put = command::Command::Put(Put { put_id: blob.put_id().as_bytes().to_vec() });
        self.writer.say(&mut self.link, proof, put, Some(&blob), &mut self.rng)
    }

    async fn hear_done(&mut self) -> Result<(), LoadError> {
        let cell = self.next_cell().await?;
        is_done(self.writer.hear(cell)?)
    }

    async fn next_cell(&mut self) -> Result<hearken_proto::cell::Cell, LoadError> {
        self.link.flush().await?;
        let cell = tokio::time::timeout(PATIENCE, self.link.receive()).await;
        cell.map_err(|_| LoadError::Unreachable)?
    }
}

fn is_done((reply, _): (reply::Reply, Option<Blob>)) -> Result<(), LoadError> {
    match reply {
        reply::Reply::Done(_) => Ok(()),
        reply::Reply::Refused(refused) => Err(refused_as(refused.reason)),
        _ => Err(LoadError::PeerMisbehaved),
    }
}

impl std::fmt::Debug for OneMailbox {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("OneMailbox").finish_non_exhaustive()
    }
}

//! Clients that put: each a link, a mailbox, a writing session with `Put`s in flight and a reading one that watches.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use hearken_proto::limits::{BLOB_LEN, SESSION_CELLS_MAX, SESSION_MINUTES_MIN, WATCH_WINDOW};
use hearken_proto::payload::Blob;
use hearken_proto::wire::{Ack, Auth, Put, Reason, Role, Watch, command, reply};
use rand_chacha::ChaCha20Rng;
use rand_core::Rng;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::session::{Infos, MailboxKeys, Session, refused_as, rng};
use super::{Dialler, Latencies, Link, LoadError, Path};

/// The most `Put`s that one session may have in flight.
pub const IN_FLIGHT_MAX: usize = hearken_proto::limits::ANSWERS_DUE_MAX as usize;
/// Clients that prepare at once: the rest would only wait for each other's proofs of work.
const PREPARING_MAX: usize = 64;
/// Pushes after which they are acknowledged: half the window, so that pushing does not stop meanwhile.
const ACK_EVERY: u32 = WATCH_WINDOW / 2;
/// `Ack`s that may be unanswered at once.
const ACKS_DUE_MAX: u32 = 8;
/// How long the relay may leave everything unanswered.
const PATIENCE: Duration = Duration::from_secs(30);
/// How long a client waits before it puts again what was refused.
const AGAIN_AFTER: Duration = Duration::from_millis(20);
/// When a client opens its sessions anew: well before the relay ends them.
const SESSION_AGE_MAX: Duration = Duration::from_secs(SESSION_MINUTES_MIN * 60);
const SESSION_CELLS: u64 = SESSION_CELLS_MAX / 8 * 7;

/// What load to bring.
#[derive(Clone, Debug)]
pub struct Puts {
    /// Which way.
    pub path: Path,
    /// Clients, each with a link and a mailbox of its own.
    pub clients: usize,
    /// `Put`s that each keeps in flight, 1 to 16.
    pub in_flight: usize,
    /// For how long.
    pub time: Duration,
    /// Whether the clients read as well. Without, the relay's mailboxes must hold all that is put.
    pub reads: bool,
    /// Sockets that the links share.
    pub sockets: usize,
}

/// What the load came to.
#[derive(Clone, Debug, Default)]
pub struct PutsReport {
    /// `Put`s that the relay acknowledged.
    pub acked: u64,
    /// Refusals; what was refused was put again.
    pub refused: u64,
    /// From the first `Put` to the last acknowledgement.
    pub time: Duration,
    /// From the first sending of each acknowledged blob to its acknowledgement.
    pub latencies: Latencies,
    /// Why a client ended early, if one did.
    pub failed: Option<LoadError>,
}

impl PutsReport {
    /// Acknowledged `Put`s a second.
    #[must_use]
    pub fn per_second(&self) -> f64 {
        self.acked as f64 / self.time.as_secs_f64().max(f64::MIN_POSITIVE)
    }
}

/// Makes the mailboxes, then brings the load. Dropping the future ends all of it.
///
/// # Errors
/// [`LoadError`] when the mailboxes could not be made. What fails later is in the report.
pub async fn puts(load: &Puts) -> Result<PutsReport, LoadError> {
    let dialler = Arc::new(Dialler::new(load.path.first_hop(), load.sockets).await?);
    let places = Arc::new(Semaphore::new(PREPARING_MAX));
    let mut preparing = JoinSet::new();
    for _ in 0..load.clients {
        let (dialler, places, load) = (dialler.clone(), places.clone(), load.clone());
        preparing.spawn(async move {
            let _place = places.acquire().await;
            Client::prepare(&dialler, &load).await
        });
    }
    let mut clients = Vec::with_capacity(load.clients);
    while let Some(client) = preparing.join_next().await {
        clients.push(client.map_err(|_| LoadError::Machine)??);
    }
    let mut report = PutsReport::default();
    let begin = Instant::now();
    let mut last = begin;
    let mut running = JoinSet::new();
    for client in clients {
        running.spawn(client.run(begin + load.time));
    }
    while let Some(client) = running.join_next().await {
        let mut client = client.map_err(|_| LoadError::Machine)?;
        report.acked += client.acked;
        report.refused += client.refused;
        report.latencies.append(std::mem::take(&mut client.latencies));
        report.failed = report.failed.or(client.failed);
        last = last.max(client.last_ack.unwrap_or(begin));
    }
    report.time = last - begin;
    dialler.close().await;
    Ok(report)
}

/// A blob on its way.
struct Sent {
    blob: Blob,
    /// When it was first sent.
    at: Instant,
}

/// What a client has counted.
#[derive(Default)]
struct Counts {
    acked: u64,
    refused: u64,
    latencies: Latencies,
    last_ack: Option<Instant>,
    failed: Option<LoadError>,
}

struct Client {
    link: Link,
    keys: MailboxKeys,
    path: Path,
    rng: ChaCha20Rng,
    sessions: Sessions,
    in_flight_max: usize,
    /// Blobs that the mailbox may hold before the writer waits for the reader.
    backlog_max: u64,
    reads: bool,
    template: [u8; BLOB_LEN],
    /// Blobs made so far; each carries its number.
    made: u64,
    in_flight: VecDeque<Sent>,
    /// Refused, to be put again in this order.
    again: VecDeque<Sent>,
    /// Blobs pushed so far, each the next of those made.
    pushed: u64,
    /// Position of the last.
    cursor: u64,
    counts: Counts,
}

struct Sessions {
    writer: Session,
    /// Of the writer's key, for its first `Put`.
    proof: Option<Auth>,
    reader: Option<Session>,
    opened: Instant,
    /// Pushes since the last `Ack`.
    unacked: u32,
    acks_due: u32,
}

impl Sessions {
    fn are_old(&self) -> bool {
        let cells = self.reader.as_ref().map_or(0, Session::cells).max(self.writer.cells());
        cells >= SESSION_CELLS || self.opened.elapsed() >= SESSION_AGE_MAX
    }
}

impl Client {
    async fn prepare(dialler: &Dialler, load: &Puts) -> Result<Self, LoadError> {
        let mut rng = rng()?;
        let mut link = dialler.dial().await?;
        let infos = Infos::fetch(&mut link, &load.path, &mut rng).await?;
        let keys = MailboxKeys::generate(&mut rng);
        let mut reader = Session::open(&mut link, &infos, &mut rng).await?;
        reader.create(&mut link, &infos, &keys, &mut rng).await?;
        let mut writer = Session::open(&mut link, &infos, &mut rng).await?;
        writer.claim(&mut link, &infos, &keys, &mut rng).await?;
        writer.close(&mut link, &mut rng);
        reader.close(&mut link, &mut rng);
        let sessions = open(&mut link, &infos, &keys, load.reads, 0, &mut rng).await?;
        let mut template = [0; BLOB_LEN];
        rng.fill_bytes(&mut template);
        Ok(Self {
            link,
            keys,
            path: load.path.clone(),
            rng,
            sessions,
            in_flight_max: load.in_flight.clamp(1, IN_FLIGHT_MAX),
            backlog_max: infos.mailbox_blobs_max() / 2,
            reads: load.reads,
            template,
            made: 0,
            in_flight: VecDeque::new(),
            again: VecDeque::new(),
            pushed: 0,
            cursor: 0,
            counts: Counts::default(),
        })
    }

    async fn run(mut self, until: Instant) -> Counts {
        if let Err(error) = self.put_and_read(until).await {
            self.counts.failed = Some(error);
        }
        self.counts
    }

    async fn put_and_read(&mut self, until: Instant) -> Result<(), LoadError> {
        loop {
            if self.sessions.are_old() && self.in_flight.is_empty() && self.sessions.acks_due == 0 {
                self.open_anew().await?;
            }
            if self.in_flight.is_empty() && !self.again.is_empty() {
                tokio::time::sleep(AGAIN_AFTER).await;
                self.put_again()?;
            }
            self.put_more(until)?;
            self.acknowledge()?;
            self.link.flush().await?;
            let over = Instant::now() >= until;
            if over && self.in_flight.is_empty() {
                return Ok(());
            }
            // The writer may be waiting for the reader, so something is always due, or pushed.
            let cell = tokio::time::timeout(PATIENCE, self.link.receive()).await;
            let mut next = Some(cell.map_err(|_| LoadError::Unreachable)??);
            while let Some(cell) = next {
                self.take(cell)?;
                next = self.link.arrived()?;
            }
        }
    }

    fn put_more(&mut self, until: Instant) -> Result<(), LoadError> {
        let now = Instant::now();
        if now >= until || !self.again.is_empty() || self.sessions.are_old() {
            return Ok(());
        }
        while self.in_flight.len() < self.in_flight_max
            && (!self.reads || self.made - self.pushed < self.backlog_max)
        {
            let mut bytes = Box::new(self.template);
            bytes[..8].copy_from_slice(&self.made.to_be_bytes());
            self.rng.fill_bytes(&mut bytes[8..32]);
            self.made += 1;
            self.put(Sent { blob: Blob::new(bytes), at: now })?;
        }
        Ok(())
    }

    fn put_again(&mut self) -> Result<(), LoadError> {
        while self.in_flight.len() < self.in_flight_max
            && let Some(sent) = self.again.pop_front()
        {
            self.put(sent)?;
        }
        Ok(())
    }

    fn put(&mut self, sent: Sent) -> Result<(), LoadError> {
        let put = Put { put_id: sent.blob.put_id().as_bytes().to_vec() };
        let (link, rng) = (&mut self.link, &mut self.rng);
        let Sessions { writer, proof, .. } = &mut self.sessions;
        writer.say(link, proof.take(), command::Command::Put(put), Some(&sent.blob), rng)?;
        self.in_flight.push_back(sent);
        Ok(())
    }

    fn acknowledge(&mut self) -> Result<(), LoadError> {
        let Sessions { reader: Some(reader), unacked, acks_due, .. } = &mut self.sessions else {
            return Ok(());
        };
        if *unacked >= ACK_EVERY && *acks_due < ACKS_DUE_MAX {
            let ack = command::Command::Ack(Ack { cursor: self.cursor, feed: false });
            reader.say(&mut self.link, None, ack, None, &mut self.rng)?;
            *unacked = 0;
            *acks_due += 1;
        }
        Ok(())
    }

    fn take(&mut self, cell: hearken_proto::cell::Cell) -> Result<(), LoadError> {
        if cell.route() == self.sessions.writer.route() {
            let (reply, _) = self.sessions.writer.hear(cell)?;
            return self.answered(&reply);
        }
        match &mut self.sessions.reader {
            Some(reader) if cell.route() == reader.route() => match reader.hear(cell)? {
                (reply::Reply::Push(push), Some(blob)) => self.pushed(push.position, &blob),
                (reply::Reply::Done(_), None) => {
                    let due = self.sessions.acks_due.checked_sub(1);
                    self.sessions.acks_due = due.ok_or(LoadError::PeerMisbehaved)?;
                    Ok(())
                }
                (reply::Reply::Refused(refused), None) => Err(refused_as(refused.reason)),
                _ => Err(LoadError::PeerMisbehaved),
            },
            // Of a session that was closed.
            _ => Ok(()),
        }
    }

    fn answered(&mut self, reply: &reply::Reply) -> Result<(), LoadError> {
        let sent = self.in_flight.pop_front().ok_or(LoadError::PeerMisbehaved)?;
        match reply {
            reply::Reply::Done(_) => {
                let now = Instant::now();
                self.counts.latencies.note(now - sent.at);
                self.counts.acked += 1;
                self.counts.last_ack = Some(now);
                Ok(())
            }
            reply::Reply::Refused(refused) => {
                self.counts.refused += 1;
                match Reason::try_from(refused.reason) {
                    Ok(Reason::Full | Reason::NoRoom | Reason::Busy) => {
                        self.again.push_back(sent);
                        Ok(())
                    }
                    _ => Err(refused_as(refused.reason)),
                }
            }
            _ => Err(LoadError::PeerMisbehaved),
        }
    }

    fn pushed(&mut self, position: u64, blob: &Blob) -> Result<(), LoadError> {
        if position <= self.cursor || blob.as_bytes()[..8] != self.pushed.to_be_bytes() {
            return Err(LoadError::PeerMisbehaved);
        }
        self.pushed += 1;
        self.cursor = position;
        self.sessions.unacked += 1;
        Ok(())
    }

    async fn open_anew(&mut self) -> Result<(), LoadError> {
        let (link, rng) = (&mut self.link, &mut self.rng);
        let infos = Infos::fetch(link, &self.path, rng).await?;
        let new = open(link, &infos, &self.keys, self.reads, self.cursor, rng).await?;
        let old = std::mem::replace(&mut self.sessions, new);
        old.writer.close(link, rng);
        if let Some(reader) = old.reader {
            reader.close(link, rng);
        }
        Ok(())
    }
}

/// New sessions of writer and reader; the reader's watches.
async fn open(
    link: &mut Link,
    infos: &Infos,
    keys: &MailboxKeys,
    reads: bool,
    after: u64,
    rng: &mut ChaCha20Rng,
) -> Result<Sessions, LoadError> {
    let writer = Session::open(link, infos, rng).await?;
    let proof = writer.prove(infos, Role::Send, &keys.sender)?;
    let mut reader = None;
    if reads {
        let mut session = Session::open(link, infos, rng).await?;
        let auth = session.prove(infos, Role::Receive, &keys.reader)?;
        let watch = command::Command::Watch(Watch { after, feed: false });
        session.ask(link, Some(auth), watch, rng).await?;
        reader = Some(session);
    }
    let proof = Some(proof);
    Ok(Sessions { writer, proof, reader, opened: Instant::now(), unacked: 0, acks_due: 0 })
}

//! Links that watch mailboxes and are otherwise idle.

use std::sync::Arc;
use std::time::{Duration, Instant};

use hearken_proto::cell::Kind;
use hearken_proto::wire::{Role, Watch, command, reply};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::session::{Infos, MailboxKeys, Session, rng};
use super::{Dialler, Link, LoadError, Path};

/// Links that make their mailboxes at once.
const MAKING_MAX: usize = 64;
/// Links that are dialled and watch at once: what more would do is wait in the relay's queue of handshakes.
const WATCHING_MAX: usize = 256;

/// What load to bring.
#[derive(Clone, Debug)]
pub struct Idle {
    /// Which way.
    pub path: Path,
    /// Links.
    pub links: usize,
    /// Mailboxes that they watch in all, spread evenly.
    pub mailboxes: usize,
    /// For how long they stay, once all are watched.
    pub time: Duration,
    /// Sockets that the links share.
    pub sockets: usize,
}

/// What the load came to.
#[derive(Clone, Copy, Debug, Default)]
pub struct IdleReport {
    /// Links that were there when all mailboxes were watched.
    pub links: usize,
    /// Mailboxes that were watched.
    pub watched: usize,
    /// From the first dial to the last answer to a `Watch`: of mailboxes that were there already.
    pub until_watched: Duration,
    /// Links and watches that were lost while idle.
    pub dropped: usize,
}

/// Makes the mailboxes, leaves, comes back over new links that watch them, and stays. Dropping the future ends it all.
///
/// # Errors
/// [`LoadError`] when not all mailboxes could be made and watched.
pub async fn idle(load: &Idle) -> Result<IdleReport, LoadError> {
    let mailboxes = make_mailboxes(load).await?;
    let watching = watch_mailboxes(load, &mailboxes).await?;
    let mut report = IdleReport {
        links: watching.links(),
        watched: watching.watched(),
        until_watched: watching.until_watched,
        dropped: 0,
    };
    report.dropped = watching.stay(load.time).await?;
    Ok(report)
}

/// Keys of mailboxes that a relay has, by the link that is to watch them.
pub struct Mailboxes(Vec<Arc<Vec<MailboxKeys>>>);

impl Mailboxes {
    /// None, for `links` links that are to watch nothing.
    #[must_use]
    pub fn none(links: usize) -> Self {
        Self((0..links).map(|_| Arc::new(Vec::new())).collect())
    }
}

/// Makes a load's mailboxes over links of their own, which are closed again.
///
/// # Errors
/// [`LoadError`] when not all could be made.
pub async fn make_mailboxes(load: &Idle) -> Result<Mailboxes, LoadError> {
    let dialler = Arc::new(Dialler::new(load.path.first_hop(), load.sockets).await?);
    let shares = (0..load.links).map(|link| load.share(link));
    let made = each(load, MAKING_MAX, shares, |count, load| {
        let dialler = dialler.clone();
        async move { make(&dialler, &load.path, count).await }
    })
    .await?;
    dialler.close().await;
    Ok(Mailboxes(made.into_iter().map(Arc::new).collect()))
}

/// Links that watch. Dropping it closes them.
pub struct Watching {
    dialler: Arc<Dialler>,
    links: Vec<(Link, Vec<Session>)>,
    /// From the first dial to the last answer to a `Watch`.
    pub until_watched: Duration,
}

/// Watches mailboxes that are there, over new links.
///
/// # Errors
/// [`LoadError`] when not all could be watched.
pub async fn watch_mailboxes(load: &Idle, mailboxes: &Mailboxes) -> Result<Watching, LoadError> {
    let dialler = Arc::new(Dialler::new(load.path.first_hop(), load.sockets).await?);
    let begin = Instant::now();
    let links = each(load, WATCHING_MAX, mailboxes.0.iter().cloned(), |keys, load| {
        let dialler = dialler.clone();
        async move { watch(&dialler, &load.path, &keys).await }
    })
    .await?;
    Ok(Watching { dialler, links, until_watched: begin.elapsed() })
}

impl Watching {
    /// Links that are there.
    #[must_use]
    pub fn links(&self) -> usize {
        self.links.len()
    }

    /// Mailboxes that are watched.
    #[must_use]
    pub fn watched(&self) -> usize {
        self.links.iter().map(|(_, sessions)| sessions.len()).sum()
    }

    /// Stays for `time`, then leaves; answers how many links and watches were lost before.
    ///
    /// # Errors
    /// [`LoadError::Machine`] when this program failed.
    pub async fn stay(self, time: Duration) -> Result<usize, LoadError> {
        let until = tokio::time::Instant::now() + time;
        let mut staying = JoinSet::new();
        for (link, sessions) in self.links {
            staying.spawn(stay(link, sessions.len(), until));
        }
        let mut lost = 0;
        while let Some(dropped) = staying.join_next().await {
            lost += dropped.map_err(|_| LoadError::Machine)?;
        }
        self.dialler.close().await;
        Ok(lost)
    }
}

impl std::fmt::Debug for Mailboxes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Mailboxes").field("links", &self.0.len()).finish_non_exhaustive()
    }
}

impl std::fmt::Debug for Watching {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Watching").field("links", &self.links.len()).finish_non_exhaustive()
    }
}

impl Idle {
    /// Mailboxes of one link.
    fn share(&self, link: usize) -> usize {
        let links = self.links.max(1);
        self.mailboxes / links + usize::from(link < self.mailboxes % links)
    }
}

/// Runs `work` for each item, at most `at_once` together; the first failure ends all.
async fn each<I, T, F>(
    load: &Idle,
    at_once: usize,
    items: impl Iterator<Item = I>,
    work: impl Fn(I, Idle) -> F,
) -> Result<Vec<T>, LoadError>
where
    T: Send + 'static,
    F: Future<Output = Result<T, LoadError>> + Send + 'static,
{
    let places = Arc::new(Semaphore::new(at_once));
    let mut tasks = JoinSet::new();
    for item in items {
        let (places, work) = (places.clone(), work(item, load.clone()));
        tasks.spawn(async move {
            let _place = places.acquire().await;
            work.await
        });
    }
    let mut done = Vec::with_capacity(tasks.len());
    while let Some(result) = tasks.join_next().await {
        done.push(result.map_err(|_| LoadError::Machine)??);
    }
    Ok(done)
}

async fn make(dialler: &Dialler, path: &Path, count: usize) -> Result<Vec<MailboxKeys>, LoadError> {
    let mut rng = rng()?;
    let mut link = dialler.dial().await?;
    let infos = Infos::fetch(&mut link, path, &mut rng).await?;
    let mut made = Vec::with_capacity(count);
    for _ in 0..count {
        let keys = MailboxKeys::generate(&mut rng);
        let mut session = Session::open(&mut link, &infos, &mut rng).await?;
        session.create(&mut link, &infos, &keys, &mut rng).await?;
        session.close(&mut link, &mut rng);
        made.push(keys);
    }
    link.flush().await?;
    Ok(made)
}

async fn watch(
    dialler: &Dialler,
    path: &Path,
    mailboxes: &[MailboxKeys],
) -> Result<(Link, Vec<Session>), LoadError> {
    let mut rng = rng()?;
    let mut link = dialler.dial().await?;
    let infos = Infos::fetch(&mut link, path, &mut rng).await?;
    let mut sessions = Vec::with_capacity(mailboxes.len());
    for keys in mailboxes {
        let mut session = Session::open(&mut link, &infos, &mut rng).await?;
        let auth = session.prove(&infos, Role::Receive, &keys.reader)?;
        let watch = command::Command::Watch(Watch { after: 0, feed: false });
        match session.ask(&mut link, Some(auth), watch, &mut rng).await? {
            reply::Reply::Watching(_) => sessions.push(session),
            _ => return Err(LoadError::PeerMisbehaved),
        }
    }
    Ok((link, sessions))
}

/// Stays until a moment, and says how many watches, or the link with all of them, were lost before it.
async fn stay(mut link: Link, watches: usize, until: tokio::time::Instant) -> usize {
    let mut closed = 0;
    loop {
        match tokio::time::timeout_at(until, link.receive()).await {
            Err(_) => return closed,
            Ok(Ok(cell)) => closed += usize::from(cell.kind() == Kind::Close),
            // The link itself counts where it watched nothing.
            Ok(Err(_)) => return watches.max(1),
        }
    }
}

//! The administration socket `DIR/admin.sock`: how the operator's other commands reach a relay that serves.
//!
//! One JSON line asks; one answers, or the bytes of a backup. The socket is readable and writable by the relay's own
//! account only (0600): from the moment that it is made where the program's umask says so, which both programs' do.
//! Guarantees: a question is answered or dropped within
//! five seconds, a backup once its reader takes nothing for a minute; answers hold totals, never an id or an address;
//! a backup holds what `crate::backup` says, and no more than two of its pieces are in memory.

use std::collections::BTreeMap;
use std::fs::{self, File, Permissions};
use std::io::{self, BufRead, BufReader, Write};
use std::os::fd::AsRawFd;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixListener;
use tokio::net::unix::OwnedWriteHalf;
use tokio::sync::{mpsc, oneshot};
use tokio::task::{JoinSet, block_in_place};

use crate::actor::{Keep, Request, RunningTotals, wall_clock};
use crate::backup::{BackupError, Source};
use crate::core::Totals;
use crate::folder::Folder;
use crate::notice::Notice;

/// The longest question in bytes.
const QUESTION_LEN_MAX: u64 = 1_024;
/// How long one question may take.
const ANSWER_TIME_MAX: Duration = Duration::from_secs(5);
/// How long a backup waits for its reader, or a reader for the next piece.
const PIECE_TIME_MAX: Duration = Duration::from_secs(60);
/// Questions at once.
const QUESTIONS_MAX: usize = 8;

/// What is asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "request")]
pub enum Question {
    /// The totals.
    Stats,
    /// A backup, as bytes until the end; see [`backup`].
    Backup,
    /// The notice of decommissioning in the folder has changed: read it again. Only this account can write into the folder,
    /// so the file says it as well as the socket could, and survives a kill in between.
    Notice,
}

/// The few totals that a relay knows. Those of links and sessions are there only while it runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stats {
    /// Whether the relay is running.
    pub running: bool,
    /// Bytes on disk, journals included.
    pub disk_bytes: u64,
    /// Expiry days that hold blobs.
    pub expiry_days: u32,
    /// Group commits since the relay was started.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub commits: Option<u64>,
    /// Counters of the relay's core since it was started, by name.
    #[serde(flatten)]
    pub core: BTreeMap<String, u64>,
}

/// The listening socket. Dropping it removes the file.
#[derive(Debug)]
pub(crate) struct Socket {
    listener: UnixListener,
    path: PathBuf,
}

impl Socket {
    /// Listens. The folder is locked, so a socket that lies there is left from a relay that was killed.
    pub(crate) fn bind(folder: &Folder) -> io::Result<Self> {
        let path = folder.path().join(folder.admin_socket());
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let listener = short_path(folder, UnixListener::bind)?;
        fs::set_permissions(&path, Permissions::from_mode(0o600))?;
        Ok(Self { listener, path })
    }

    /// Answers until dropped. What is being answered then stays in `questions`.
    pub(crate) async fn serve(&self, office: &Office, questions: &mut JoinSet<()>) {
        loop {
            tokio::select! {
                accepted = self.listener.accept() => match accepted {
                    Ok((stream, _)) if questions.len() < QUESTIONS_MAX => {
                        let office = office.clone();
                        // Whoever asked may have gone before the answer.
                        questions.spawn(async move {
                            let _ = answer(stream, office).await;
                        });
                    }
                    Ok(_) => {}
                    // Out of file descriptors, most likely; not a reason to stop serving links.
                    Err(_) => tokio::time::sleep(Duration::from_secs(1)).await,
                },
                Some(_) = questions.join_next() => {}
            }
        }
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        // A file that stays is removed at the next start.
        let _ = fs::remove_file(&self.path);
    }
}

/// What answers are made of.
#[derive(Clone)]
pub(crate) struct Office {
    pub(crate) folder: Folder,
    pub(crate) keep: Keep,
    pub(crate) requests: mpsc::Sender<Request>,
}

async fn answer(stream: tokio::net::UnixStream, office: Office) -> Option<()> {
    let (reader, mut writer) = stream.into_split();
    let mut line = String::new();
    let mut reader = tokio::io::BufReader::new(reader.take(QUESTION_LEN_MAX));
    let read = reader.read_line(&mut line);
    tokio::time::timeout(ANSWER_TIME_MAX, read).await.ok()?.ok()?;
    match serde_json::from_str(&line).ok()? {
        Question::Stats => {
            let told = tell_totals(&mut writer, &office);
            tokio::time::timeout(ANSWER_TIME_MAX, told).await.ok()?
        }
        Question::Backup => send_backup(&mut writer, &office).await,
        Question::Notice => {
            let taken = take_notice(&mut writer, &office);
            tokio::time::timeout(ANSWER_TIME_MAX, taken).await.ok()?
        }
    }
}

async fn tell_totals(writer: &mut OwnedWriteHalf, office: &Office) -> Option<()> {
    let (sender, totals) = oneshot::channel();
    office.requests.send(Request::Totals(sender)).await.ok()?;
    let mut line = serde_json::to_vec(&Stats::of(&totals.await.ok()?)).ok()?;
    line.push(b'\n');
    writer.write_all(&line).await.ok()
}

async fn take_notice(writer: &mut OwnedWriteHalf, office: &Office) -> Option<()> {
    let notice = block_in_place(|| Notice::read(&office.folder)).ok()?;
    let (sender, taken) = oneshot::channel();
    let notice = notice.as_ref().map(Notice::to_wire);
    office.requests.send(Request::Notice(notice, sender)).await.ok()?;
    taken.await.ok()?;
    tracing::info!("the notice of decommissioning has changed");
    writer.write_all(b"{}\n").await.ok()
}

/// A backup that does not come to its end is cut off, which its reader notices.
async fn send_backup(writer: &mut OwnedWriteHalf, office: &Office) -> Option<()> {
    // The store is read where this task is, so that nothing of it outlives the task.
    let Keep { store, day_keys, .. } = &office.keep;
    let made = block_in_place(|| Source::new(&office.folder, &**store, day_keys, wall_clock()));
    let mut source = made.inspect_err(broken_off).ok()?;
    while let Some(piece) = block_in_place(|| source.next_piece()).inspect_err(broken_off).ok()? {
        let written = writer.write_all(&piece);
        tokio::time::timeout(PIECE_TIME_MAX, written).await.ok()?.ok()?;
    }
    tracing::info!("a backup was made");
    Some(())
}

fn broken_off(error: &BackupError) {
    tracing::warn!(%error, "a backup was broken off");
}

/// Asks the relay that serves a folder for its totals. Blocks for five seconds at most.
///
/// # Errors
/// `NotFound` or `ConnectionRefused` where none serves; what the system says otherwise.
pub fn ask(folder: &Folder) -> io::Result<Stats> {
    let mut answer = String::new();
    let stream = connect(folder, &Question::Stats, ANSWER_TIME_MAX)?;
    BufReader::new(stream).read_line(&mut answer)?;
    Ok(serde_json::from_str(&answer)?)
}

/// The bytes of a backup of the relay that serves a folder.
///
/// # Errors
/// As [`ask`].
pub fn backup(folder: &Folder) -> io::Result<impl io::Read> {
    connect(folder, &Question::Backup, PIECE_TIME_MAX)
}

/// Has the relay that serves a folder read its notice of decommissioning again, and sign it.
///
/// # Errors
/// As [`ask`]; `UnexpectedEof` where it could not.
pub fn renew_notice(folder: &Folder) -> io::Result<()> {
    let mut answer = String::new();
    let stream = connect(folder, &Question::Notice, ANSWER_TIME_MAX)?;
    BufReader::new(stream).read_line(&mut answer)?;
    if answer.is_empty() { Err(io::ErrorKind::UnexpectedEof.into()) } else { Ok(()) }
}

fn connect(folder: &Folder, question: &Question, patience: Duration) -> io::Result<UnixStream> {
    let mut stream = short_path(folder, UnixStream::connect)?;
    stream.set_read_timeout(Some(patience))?;
    stream.set_write_timeout(Some(patience))?;
    let mut line = serde_json::to_vec(question)?;
    line.push(b'\n');
    stream.write_all(&line)?;
    Ok(stream)
}

/// Calls with a path of the socket that is short enough for a socket address (108 bytes), however deep the folder is.
fn short_path<T>(folder: &Folder, call: impl FnOnce(PathBuf) -> io::Result<T>) -> io::Result<T> {
    let path = folder.path().join(folder.admin_socket());
    if path.as_os_str().len() < 100 {
        return call(path);
    }
    let open = File::open(folder.path())?;
    let short = Path::new("/proc/self/fd").join(open.as_raw_fd().to_string());
    call(short.join(folder.admin_socket()))
}

impl Stats {
    fn of(totals: &RunningTotals) -> Self {
        Self {
            running: true,
            disk_bytes: totals.store.disk_bytes,
            expiry_days: totals.store.days,
            commits: Some(totals.store.commits),
            core: named(&totals.core),
        }
    }

    /// What is known of a relay that does not run.
    #[must_use]
    pub fn stopped(store: &crate::store::StoreTotals) -> Self {
        Self {
            running: false,
            disk_bytes: store.disk_bytes,
            expiry_days: store.days,
            commits: None,
            core: BTreeMap::new(),
        }
    }
}

/// Every total by its name. Destructured, so that none is left out.
fn named(totals: &Totals) -> BTreeMap<String, u64> {
    macro_rules! by_name {
        ($($name:ident),* $(,)?) => {{
            let Totals { $($name),* } = *totals;
            [$((stringify!($name), $name)),*]
        }};
    }
    let named = by_name!(
        links,
        sessions,
        routes,
        peers,
        watches,
        links_opened,
        links_refused,
        sessions_opened,
        opens_refused,
        sessions_refused,
        routes_opened,
        routes_refused,
        cells_received,
        cells_sent,
        creates,
        claims,
        puts_stored,
        puts_repeated,
        feed_creates,
        entries_stored,
        entries_repeated,
        deliveries,
        object_puts,
        chunks_read,
        commands_refused,
        store_failures,
        infos_signed,
        key_epochs,
    );
    named.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

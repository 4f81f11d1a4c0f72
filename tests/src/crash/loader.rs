//! A client that puts blobs whose every byte its test can make again, and says each acknowledgement as it hears it.
//!
//! It says, a line each: `epoch HEX` when it has learned a relay's key epoch, `putting CLIENT INDEX` before a blob leaves
//! and `acked CLIENT INDEX` when the relay has acknowledged it. Half-way it says [`WAITING`] and waits for the relay's next
//! key epoch.

use std::io::Write;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Poll;
use std::time::Duration;

use data_encoding::HEXLOWER;
use hearken_proto::address::RelayAddress;
use hearken_proto::limits::BLOB_LEN;
use hearken_proto::payload::Blob;
use hearken_proto::wire::{Put, Reason, Role, command, reply};
use rand_chacha::ChaCha20Rng;
use rand_core::{Rng, SeedableRng};

use crate::load::session::{Infos, MailboxKeys, Session, rng};
use crate::load::{Dialler, Link, LoadError, Path};

/// What every blob of this load begins with.
const MARK: &[u8; 8] = b"crashpt\n";
/// What a client says that waits for the relay's next key epoch.
pub const WAITING: &str = "waiting";
/// Between two questions for the relay's key epoch.
const ASK_EVERY: Duration = Duration::from_millis(100);

/// The blob of that number of that client.
#[must_use]
pub fn blob(client: u64, index: u64) -> Box<[u8; BLOB_LEN]> {
    let mut bytes = Box::new([0; BLOB_LEN]);
    ChaCha20Rng::seed_from_u64(client << 32 | index).fill_bytes(&mut bytes[..]);
    bytes[..8].copy_from_slice(MARK);
    bytes[8..16].copy_from_slice(&client.to_be_bytes());
    bytes[16..24].copy_from_slice(&index.to_be_bytes());
    bytes
}

/// Which client's and which of its blobs this is; `None` where it is none of this load, in every byte.
#[must_use]
pub fn number_of(bytes: &[u8]) -> Option<(u64, u64)> {
    let (mark, rest) = bytes.split_first_chunk::<8>()?;
    let (client, rest) = rest.split_first_chunk()?;
    let (index, _) = rest.split_first_chunk()?;
    let (client, index) = (u64::from_be_bytes(*client), u64::from_be_bytes(*index));
    (mark == MARK && bytes == &blob(client, index)[..]).then_some((client, index))
}

/// Puts `blobs` blobs for each of `clients` clients at once.
///
/// # Errors
/// [`LoadError`], at the first client that fails.
pub async fn run(relay: RelayAddress, clients: u64, blobs: u64) -> Result<(), LoadError> {
    let mut running = tokio::task::JoinSet::new();
    for client in 0..clients {
        running.spawn(put_all(relay.clone(), client, blobs));
    }
    while let Some(ended) = running.join_next().await {
        ended.map_err(|_| LoadError::Machine)??;
    }
    Ok(())
}

async fn put_all(relay: RelayAddress, client: u64, blobs: u64) -> Result<(), LoadError> {
    let mut rng = rng()?;
    let dialler = Dialler::new(&relay, 1).await?;
    let mut link = dialler.dial().await?;
    let path = Path { relay, entry: None };
    let mut infos = Infos::fetch(&mut link, &path, &mut rng).await?;
    say(&format!("epoch {}", HEXLOWER.encode(infos.key_epoch().as_bytes())))?;
    let keys = MailboxKeys::generate(&mut rng);
    let mut reader = Session::open(&mut link, &infos, &mut rng).await?;
    reader.create(&mut link, &infos, &keys, &mut rng).await?;
    let mut claimer = Session::open(&mut link, &infos, &mut rng).await?;
    claimer.claim(&mut link, &infos, &keys, &mut rng).await?;
    let mut writer = Session::open(&mut link, &infos, &mut rng).await?;
    let mut proof = Some(writer.prove(&infos, Role::Send, &keys.sender)?);
    let first_epoch = infos.key_epoch();
    for index in 0..blobs {
        if index == blobs / 2 {
            say(WAITING)?;
            while infos.key_epoch() == first_epoch {
                tokio::time::sleep(ASK_EVERY).await;
                infos = Infos::fetch(&mut link, &path, &mut rng).await?;
            }
            say(&format!("epoch {}", HEXLOWER.encode(infos.key_epoch().as_bytes())))?;
            writer = Session::open(&mut link, &infos, &mut rng).await?;
            proof = Some(writer.prove(&infos, Role::Send, &keys.sender)?);
        }
        say(&format!("putting {client} {index}"))?;
        put(&mut link, &mut writer, proof.take(), client, index, &mut rng).await?;
        say(&format!("acked {client} {index}"))?;
    }
    dialler.close().await;
    Ok(())
}

async fn put(
    link: &mut Link,
    writer: &mut Session,
    mut proof: Option<hearken_proto::wire::Auth>,
    client: u64,
    index: u64,
    rng: &mut ChaCha20Rng,
) -> Result<(), LoadError> {
    let blob = Blob::new(blob(client, index));
    loop {
        let put = Put { put_id: blob.put_id().as_bytes().to_vec() };
        writer.say(link, proof.take(), command::Command::Put(put), Some(&blob), rng)?;
        link.flush().await?;
        let cell = loop {
            let cell = link.receive().await?;
            if cell.route() == writer.route() {
                break cell;
            }
        };
        match writer.hear(cell)?.0 {
            reply::Reply::Done(_) => return Ok(()),
            reply::Reply::Refused(refused)
                if Reason::try_from(refused.reason) == Ok(Reason::Busy) => {}
            _ => return Err(LoadError::PeerMisbehaved),
        }
    }
}

/// What a client of [`run_until`] did and heard: client and index of the blob.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Heard {
    /// A blob is about to leave its client, for the first time.
    Putting(u64, u64),
    /// The relay acknowledged it.
    Acknowledged(u64, u64),
}

/// Puts blobs for `clients` clients at once until told to stop, through every end of the relay: whoever loses the link dials
/// again and puts again what was not acknowledged. A client that has put `BLOBS_MAX` goes on as another.
pub async fn run_until(
    relay: &RelayAddress,
    clients: u64,
    stop: &AtomicBool,
    hear: &(impl Fn(Heard) + Sync),
) {
    let clients = (0..clients).map(|client| keep_putting(relay, client, stop, hear));
    let mut running: Vec<_> = clients.map(Box::pin).collect();
    std::future::poll_fn(|context| {
        running.retain_mut(|client| client.as_mut().poll(context).is_pending());
        if running.is_empty() { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
}

/// Below what a mailbox holds.
const BLOBS_MAX: u64 = 500;
/// Numbers of clients that go on as others are this far apart.
const NEXT_CLIENT: u64 = 1_000;
/// Longest wait for an answer before the link counts as lost.
const ANSWER: Duration = Duration::from_secs(2);
const DIAL_AGAIN: Duration = Duration::from_millis(20);

async fn keep_putting(
    relay: &RelayAddress,
    first: u64,
    stop: &AtomicBool,
    hear: &(impl Fn(Heard) + Sync),
) {
    let mut client = first;
    while !stop.load(Ordering::Relaxed) {
        let Ok(mut rng) = rng() else { return };
        let keys = MailboxKeys::generate(&mut rng);
        let mut progress = Progress { client, keys, made: false, next: 0, said: false };
        while progress.next < BLOBS_MAX && !stop.load(Ordering::Relaxed) {
            // However the link was lost, the next one goes on.
            let _ = put_over_a_link(relay, &mut progress, stop, hear, &mut rng).await;
            tokio::time::sleep(DIAL_AGAIN).await;
        }
        client += NEXT_CLIENT;
    }
}

/// How far a client is, whatever becomes of its link.
struct Progress {
    client: u64,
    keys: MailboxKeys,
    /// The mailbox was made and claimed.
    made: bool,
    /// The blob that is to be put.
    next: u64,
    /// It was said that it is.
    said: bool,
}

async fn put_over_a_link(
    relay: &RelayAddress,
    progress: &mut Progress,
    stop: &AtomicBool,
    hear: &(impl Fn(Heard) + Sync),
    rng: &mut ChaCha20Rng,
) -> Result<(), LoadError> {
    let lost = |_| LoadError::Unreachable;
    let dialler = Dialler::new(relay, 1).await?;
    let mut link = tokio::time::timeout(ANSWER, dialler.dial()).await.map_err(lost)??;
    let path = Path { relay: relay.clone(), entry: None };
    let opening = async {
        let infos = Infos::fetch(&mut link, &path, rng).await?;
        if !progress.made {
            let mut reader = Session::open(&mut link, &infos, rng).await?;
            // Made or claimed by an earlier link whose answer was lost: the relay says the same again to who has the keys.
            reader.create(&mut link, &infos, &progress.keys, rng).await?;
            let mut claimer = Session::open(&mut link, &infos, rng).await?;
            claimer.claim(&mut link, &infos, &progress.keys, rng).await?;
            progress.made = true;
        }
        let writer = Session::open(&mut link, &infos, rng).await?;
        let proof = writer.prove(&infos, Role::Send, &progress.keys.sender)?;
        Ok::<_, LoadError>((writer, proof))
    };
    let (mut writer, proof) = tokio::time::timeout(ANSWER * 3, opening).await.map_err(lost)??;
    let mut proof = Some(proof);
    while progress.next < BLOBS_MAX && !stop.load(Ordering::Relaxed) {
        if !progress.said {
            hear(Heard::Putting(progress.client, progress.next));
            progress.said = true;
        }
        let putting =
            put(&mut link, &mut writer, proof.take(), progress.client, progress.next, rng);
        tokio::time::timeout(ANSWER, putting).await.map_err(lost)??;
        hear(Heard::Acknowledged(progress.client, progress.next));
        progress.next += 1;
        progress.said = false;
    }
    Ok(())
}

/// One write a line, so that lines of several clients do not mix.
fn say(line: &str) -> Result<(), LoadError> {
    let line = format!("{line}\n");
    let mut out = std::io::stdout().lock();
    out.write_all(line.as_bytes()).and_then(|()| out.flush()).map_err(|_| LoadError::Machine)
}

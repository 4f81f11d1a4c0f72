//! What cryptography costs at the two ends of a route: cells sealed and opened, and an OPEN accepted.

use std::time::{Duration, Instant};

use anyhow::Result;
use hearken_proto::ids::Fingerprint;
use hearken_proto::limits::BLOB_LEN;
use hearken_proto::payload::{Blob, Payload};
use hearken_proto::seal::{AcceptedRoute, KeyEpoch, PendingRoute, RouteContext, SealSecretKey};
use hearken_proto::wire::{Command, Opened, Put, Reply, command, reply};
use hearken_relay::randomness::ProcessRng;
use hearken_tests::load::Latencies;

/// Times of each, one by one.
#[derive(Debug, Default)]
pub(crate) struct Cells {
    pub(crate) seal: Latencies,
    pub(crate) open: Latencies,
    pub(crate) accept: Latencies,
}

/// Cells of one session.
const CELLS: usize = 64;

pub(crate) fn measure(time: Duration) -> Result<Cells> {
    let mut rng = ProcessRng::new()?;
    let (secret, _) = SealSecretKey::generate(&mut rng);
    let public = secret.public_key();
    let fingerprint = Fingerprint::from_bytes([1; Fingerprint::LEN]);
    let context = RouteContext { fingerprint, key_epoch: KeyEpoch::from_bytes([2; 8]) };
    let blob = Blob::new(Box::new([3; BLOB_LEN]));
    let put = Put { put_id: blob.put_id().as_bytes().to_vec() };
    let put = Command { auth: None, command: Some(command::Command::Put(put)) };
    let opened = Reply { reply: Some(reply::Reply::Opened(Opened {})) };
    let mut cells = Cells::default();
    let begin = Instant::now();
    while begin.elapsed() < time {
        let (pending, open) = PendingRoute::open(&context, &public, &mut rng)?;
        let asked = Instant::now();
        let accepted = AcceptedRoute::accept(&context, &secret, open, &mut rng)?;
        let answer = Payload::of_reply(&opened, None)?;
        let (mut relay, first) = accepted.answer(1, answer, &mut rng)?;
        cells.accept.note(asked.elapsed());
        let (mut client, _) = pending.accept(first)?;
        for _ in 0..CELLS {
            let payload = Payload::of_command(&put, Some(&blob))?;
            let asked = Instant::now();
            let cell = client.seal(1, payload, &mut rng)?;
            let sealed = Instant::now();
            relay.open(cell)?;
            cells.open.note(sealed.elapsed());
            cells.seal.note(sealed - asked);
        }
    }
    Ok(cells)
}

//! The limit of the wire: the same cells over as many links, sent back as they came. TLS, transport settings and
//! sockets are the relay's own and the load client's own; nothing is opened, sealed or stored.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use ed25519_dalek::SigningKey;
use hearken_proto::address::{HostPort, RelayAddress};
use hearken_proto::cell::{Cell, Kind};
use hearken_proto::ids::Fingerprint;
use hearken_proto::limits::CELL_LEN;
use hearken_relay::carrier;
use hearken_tests::load::{Dialler, Latencies, Link};
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;
use tokio::task::JoinSet;

use crate::Plan;
use crate::closed_loop::{Measured, Threads};
use crate::relay::{SOCKETS, runtime};

pub(crate) fn measure(plan: Plan) -> Result<Measured> {
    // Both ends have threads of their own, as two programs have.
    let (ours, theirs) = (runtime("load")?, runtime("relay")?);
    let identity = SigningKey::from_bytes(&[7; 32]);
    let socket = carrier::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))?;
    let place = socket.local_addr()?;
    let fingerprint = Fingerprint::of(identity.verifying_key().as_bytes());
    let places = vec![HostPort::of_ip(place.ip(), place.port())];
    let address = RelayAddress::new(fingerprint, places)?;
    let entered = theirs.enter();
    let endpoint = carrier::server_endpoint(socket, &identity)?;
    drop(entered);
    theirs.spawn(serve(endpoint));
    let measured = ours.block_on(load(plan, &address));
    ours.shutdown_background();
    theirs.shutdown_background();
    measured
}

async fn serve(endpoint: quinn::Endpoint) {
    let mut links = JoinSet::new();
    while let Some(incoming) = endpoint.accept().await {
        links.spawn(async move {
            let connection = incoming.await.ok()?;
            let (mut send, mut recv) = connection.accept_bi().await.ok()?;
            while let Some(chunk) = recv.read_chunk(32 * CELL_LEN, true).await.ok()? {
                send.write_chunk(chunk.bytes).await.ok()?;
            }
            Some(())
        });
    }
}

async fn load(plan: Plan, address: &RelayAddress) -> Result<Measured> {
    let dialler = Arc::new(Dialler::new(address, SOCKETS).await?);
    let mut links = Vec::with_capacity(plan.clients);
    for _ in 0..plan.clients {
        links.push(dialler.dial().await?);
    }
    let (begin, before) = (Instant::now(), Threads::now());
    let mut running = JoinSet::new();
    for link in links {
        running.spawn(send_and_receive(link, plan.in_flight, begin + plan.time));
    }
    let mut latencies = Latencies::default();
    while let Some(of_one) = running.join_next().await {
        latencies.append(of_one.context("a client ended badly")??);
    }
    let (time, threads) = (begin.elapsed(), Threads::now().since(before));
    ensure!(latencies.count() > 0, "nothing came back");
    let count = latencies.count() as u64;
    Ok(Measured::new(latencies, time, 0).with_threads(threads, count))
}

async fn send_and_receive(mut link: Link, in_flight: usize, until: Instant) -> Result<Latencies> {
    let cell = Cell::new(Kind::Pad, 1, &mut ChaCha20Rng::seed_from_u64(1));
    let mut latencies = Latencies::default();
    let mut sent = std::collections::VecDeque::with_capacity(in_flight);
    loop {
        let now = Instant::now();
        while now < until && sent.len() < in_flight {
            link.queue(&cell);
            sent.push_back(now);
        }
        if sent.is_empty() {
            return Ok(latencies);
        }
        link.flush().await?;
        let answer = tokio::time::timeout(Duration::from_secs(30), link.receive()).await??;
        ensure!(answer == cell, "another cell came back");
        let now = Instant::now();
        latencies.note(now - sent.pop_front().context("a cell too many")?);
        while link.arrived()?.is_some() {
            latencies.note(now - sent.pop_front().context("a cell too many")?);
        }
    }
}

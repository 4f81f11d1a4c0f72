//! Relays inside another program, as `hearken up` runs one: started, stopped, dropped, started again.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a failing test panics")]

mod support;

use hearken_proto::wire::{Ping, Role, command, reply};
use hearken_relay::choices::Choices;
use hearken_relay::config::Listen;
use hearken_relay::folder::Folder;
use hearken_relay::server::{self, Running, StartError};
use hearken_relay::store::StoreError;
use support::client::{Link, MailboxKeys, blob};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stopped_relay_starts_again_with_the_same_identity_and_blobs() {
    let temporary = tempfile::tempdir().unwrap();
    let folder = Folder::new(temporary.path().join("relay"));
    let keys = MailboxKeys::new();
    let running = start(&folder).await;
    let first = running.address().clone();
    let mut link = Link::to(&first).await;
    let mut reader = link.open(first.fingerprint()).await;
    link.create(&mut reader, &keys).await;
    let mut writer = link.open(first.fingerprint()).await;
    link.claim(&mut writer, &keys).await;
    let auth = writer.prove(Role::Send, &keys.sender);
    let answer = link.put(&mut writer, auth, &blob(9)).await;
    assert!(matches!(answer, reply::Reply::Done(_)), "{answer:?}");
    running.stop().await.unwrap();
    // The client was told, and did not have to find out.
    assert!(link.try_receive().await.is_none());

    let running = start(&folder).await;
    let second = running.address().clone();
    assert_eq!(second.fingerprint(), first.fingerprint());
    let mut link = Link::to(&second).await;
    let mut session = link.open(second.fingerprint()).await;
    let auth = session.prove(Role::Receive, &keys.reader);
    assert_eq!(link.get(&mut session, auth, 0).await[0].1, blob(9));
    running.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stop_answers_what_was_taken_before_it() {
    let temporary = tempfile::tempdir().unwrap();
    let folder = Folder::new(temporary.path().join("relay"));
    let running = start(&folder).await;
    let address = running.address().clone();
    let keys = MailboxKeys::new();
    let mut link = Link::to(&address).await;
    let mut reader = link.open(address.fingerprint()).await;
    link.create(&mut reader, &keys).await;
    let mut writer = link.open(address.fingerprint()).await;
    link.claim(&mut writer, &keys).await;
    let mut auth = writer.prove(Role::Send, &keys.sender);
    for byte in 0..16 {
        let blob = blob(byte);
        let put = hearken_proto::wire::Put { put_id: blob.put_id().as_bytes().to_vec() };
        link.say(&mut writer, auth.take(), command::Command::Put(put), Some(&blob)).await;
    }
    let first = link.hear(&mut writer).await;
    assert!(matches!(first.0, reply::Reply::Done(_)));
    let stopped = tokio::spawn(running.stop());
    // Whatever was acknowledged, in this run, is there in the next; how many that are is a matter of timing.
    let mut acknowledged = 1;
    while let Some(cell) = link.try_receive().await {
        if cell.close_reason().is_none() {
            acknowledged += 1;
        }
    }
    stopped.await.unwrap().unwrap();

    let running = start(&folder).await;
    let mut link = Link::to(running.address()).await;
    let mut session = link.open(address.fingerprint()).await;
    let auth = session.prove(Role::Receive, &keys.reader);
    assert!(link.get(&mut session, auth, 0).await.len() >= acknowledged);
    running.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dropped_relay_ends_everything_that_hangs_from_it() {
    let temporary = tempfile::tempdir().unwrap();
    let folder = Folder::new(temporary.path().join("relay"));
    let running = start(&folder).await;
    let listen = running.listen()[0];
    let mut link = Link::to(running.address()).await;
    let mut session = link.open(running.address().fingerprint()).await;
    let answer = link.ask(&mut session, None, command::Command::Ping(Ping {}), None).await;
    assert!(matches!(answer.0, reply::Reply::Done(_)));
    drop(running);
    // The link, the port and the folder are let go of; each of these waits for just that.
    assert!(link.try_receive().await.is_none());
    while std::net::UdpSocket::bind(listen).is_err() {
        tokio::task::yield_now().await;
    }
    let again = loop {
        match try_start(&folder).await {
            Ok(running) => break running,
            Err(StartError::Store(StoreError::Locked { .. })) => tokio::task::yield_now().await,
            Err(error) => panic!("{error}"),
        }
    };
    again.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_start_that_is_given_up_at_any_point_leaves_the_folder_free() {
    let temporary = tempfile::tempdir().unwrap();
    let folder = Folder::new(temporary.path().join("relay"));
    for polls in 0..8 {
        let mut start = Box::pin(try_start(&folder));
        let given_up = async {
            for _ in 0..polls {
                tokio::select! {
                    biased;
                    started = &mut start => return Some(started),
                    () = tokio::task::yield_now() => {}
                }
            }
            None
        };
        drop(given_up.await);
    }
    let running = loop {
        match try_start(&folder).await {
            Ok(running) => break running,
            Err(StartError::Store(StoreError::Locked { .. })) => tokio::task::yield_now().await,
            Err(error) => panic!("{error}"),
        }
    };
    running.stop().await.unwrap();
}

async fn start(folder: &Folder) -> Running {
    try_start(folder).await.unwrap()
}

async fn try_start(folder: &Folder) -> Result<Running, StartError> {
    let listen = vec![Listen::parse("127.0.0.1:0").unwrap()];
    let overrides = vec!["pow_bits=1".to_owned()];
    let choices = Choices { listen, overrides, ..Choices::default() };
    let config = choices.prepare(folder).unwrap();
    server::start(folder, config).await
}

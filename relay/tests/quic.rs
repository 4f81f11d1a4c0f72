//! A relay process over real QUIC, spoken to by a client that knows the wire and nothing else.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a failing test panics")]

mod support;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use hearken_proto::address::RelayAddress;
use hearken_proto::cell::{Cell, CloseReason, Kind};
use hearken_proto::ids::Fingerprint;
use hearken_proto::info::request;
use hearken_proto::limits::{BLOB_LEN, CELL_LEN, OPENS_PER_LINK_BURST};
use hearken_proto::payload::Blob;
use hearken_proto::tls;
use hearken_proto::wire::{Ping, Reason, Role, command, reply};
use quinn::crypto::rustls::QuicClientConfig;
use quinn::{ConnectionError, Endpoint, TransportConfig, VarInt};
use rand_core::Rng;
use support::client::{Link, MailboxKeys, blob, connect, rng, socket_of};
use support::process::{Serving, objects_of, relay};

#[tokio::test]
async fn a_mailbox_is_made_written_and_read_over_a_direct_route() {
    let (_temporary, data) = folder();
    let serving = Serving::start(&data, &[]);
    let address = serving.address();
    let keys = MailboxKeys::new();

    let mut link = Link::to(&address).await;
    let mut reader = link.open(address.fingerprint()).await;
    ping(&mut link, &mut reader).await;
    link.create(&mut reader, &keys).await;

    // The writer comes on a link of its own, as another person would.
    let mut other = Link::to(&address).await;
    let mut writer = other.open(address.fingerprint()).await;
    other.claim(&mut writer, &keys).await;
    let mut auth = writer.prove(Role::Send, &keys.sender);
    for byte in 0..5 {
        let answer = other.put(&mut writer, auth.take(), &blob(byte)).await;
        assert!(matches!(answer, reply::Reply::Done(_)), "{answer:?}");
    }
    let blobs = link.get(&mut reader, None, 0).await;
    let bytes: Vec<_> = blobs.iter().map(|(_, blob)| blob.as_bytes()[0]).collect();
    assert_eq!(bytes, [0, 1, 2, 3, 4]);
    assert!(blobs.is_sorted_by(|(a, _), (b, _)| a < b));
}

#[tokio::test]
async fn a_mailbox_is_used_through_an_entry_relay() {
    let (_temporary, data) = folder();
    let mailbox = Serving::start(&data.join("mailbox"), &[]);
    let entry = Serving::start(&data.join("entry"), &["--allow-private-peers"]);
    let keys = MailboxKeys::new();

    let mut link = Link::to(&entry.address()).await;
    let info = link.info(entry.address().fingerprint()).await;
    let mut session = link.open_behind(&info, &mailbox.address()).await.unwrap();
    assert_eq!(session.info().context().fingerprint, mailbox.address().fingerprint());
    link.create(&mut session, &keys).await;
    let mut writer = link.open_behind(&info, &mailbox.address()).await.unwrap();
    link.claim(&mut writer, &keys).await;
    let auth = writer.prove(Role::Send, &keys.sender);
    let answer = link.put(&mut writer, auth, &blob(7)).await;
    assert!(matches!(answer, reply::Reply::Done(_)), "{answer:?}");
    let blobs = link.get(&mut session, None, 0).await;
    assert_eq!(blobs.len(), 1);
    assert_eq!(blobs[0].1, blob(7));
}

#[tokio::test]
async fn an_entry_relay_refuses_private_targets_other_keys_and_silence_each_by_name() {
    let (_temporary, data) = folder();
    let mailbox = Serving::start(&data.join("mailbox"), &[]);
    let strict = Serving::start(&data.join("strict"), &[]);
    let mut link = Link::to(&strict.address()).await;
    let info = link.info(strict.address().fingerprint()).await;
    let refused = link.info_behind(&info, &mailbox.address()).await;
    assert_eq!(refused.unwrap_err(), CloseReason::Refused);

    let entry = Serving::start(&data.join("entry"), &["--allow-private-peers"]);
    let mut link = Link::to(&entry.address()).await;
    let info = link.info(entry.address().fingerprint()).await;
    let places = mailbox.address().places().to_vec();
    let other = RelayAddress::new(Fingerprint::from_bytes([7; 32]), places).unwrap();
    assert_eq!(link.info_behind(&info, &other).await.unwrap_err(), CloseReason::OtherKey);

    // A socket that never answers.
    let silent = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let place = silent.local_addr().unwrap().to_string().parse().unwrap();
    let nobody = RelayAddress::new(Fingerprint::from_bytes([8; 32]), vec![place]).unwrap();
    assert_eq!(link.info_behind(&info, &nobody).await.unwrap_err(), CloseReason::Unreachable);
    // The link has survived all of it.
    link.info_behind(&info, &mailbox.address()).await.unwrap();
}

#[tokio::test]
async fn another_fingerprint_is_refused_by_the_client_and_told_apart() {
    let (_temporary, data) = folder();
    let serving = Serving::start(&data, &[]);
    let socket = socket_of(&serving.address());
    let other = Fingerprint::from_bytes([7; 32]);
    match connect(socket, other, TransportConfig::default()).await {
        Err(ConnectionError::TransportError(error)) => {
            assert!(tls::is_other_key_code(error.code.into()), "{error}");
        }
        other => panic!("{:?}", other.map(|_| ())),
    }
}

#[tokio::test]
async fn whatever_is_not_a_cell_closes_its_link_and_no_other() {
    let (_temporary, data) = folder();
    let serving = Serving::start(&data, &[]);
    let address = serving.address();
    let mut bystander = Link::to(&address).await;
    let mut session = bystander.open(address.fingerprint()).await;

    let mut rng = rng();
    let mut garbage = vec![0; CELL_LEN];
    rng.fill_bytes(&mut garbage);
    garbage[8] = 0xff;
    let mut reserved = Cell::new(Kind::Pad, 0, &mut rng).as_bytes().to_vec();
    reserved[12] = 1;
    for (bytes, finish) in [(&garbage[..], false), (&reserved[..], false), (&garbage[..100], true)]
    {
        let mut link = Link::to(&address).await;
        link.send.write_all(bytes).await.unwrap();
        if finish {
            link.send.finish().unwrap();
        }
        assert!(link.try_receive().await.is_none());
        let closed = link.connection.closed().await;
        assert!(matches!(closed, ConnectionError::ApplicationClosed(_)), "{closed}");
    }
    ping(&mut bystander, &mut session).await;
}

#[tokio::test]
async fn a_link_has_one_stream() {
    let (_temporary, data) = folder();
    let serving = Serving::start(&data, &[]);
    let address = serving.address();
    let mut link = Link::to(&address).await;
    let mut session = link.open(address.fingerprint()).await;
    let connection = link.connection.clone();
    let answered = async {
        for _ in 0..20 {
            ping(&mut link, &mut session).await;
        }
    };
    // Without credit for another stream its opening waits, however often the first is answered.
    tokio::select! {
        biased;
        _ = connection.open_bi() => panic!("a second stream"),
        _ = connection.open_uni() => panic!("a stream of another kind"),
        () = answered => {}
    }
    assert_eq!(connection.max_datagram_size(), None);
}

#[tokio::test]
async fn nothing_that_ties_two_connections_together_is_given_out() {
    let (_temporary, data) = folder();
    let serving = Serving::start(&data, &[]);
    let address = serving.address();
    let kept = Arc::new(Kept::default());
    let mut tls = tls::client_config(address.fingerprint()).unwrap();
    // A client that would keep whatever it is given.
    tls.resumption = rustls::client::Resumption::store(kept.clone());
    tls.enable_early_data = true;
    let tls = QuicClientConfig::try_from(tls).unwrap();
    let mut config = quinn::ClientConfig::new(Arc::new(tls));
    config.token_store(kept.clone());
    let endpoint = Endpoint::client("127.0.0.1:0".parse().unwrap()).unwrap();
    for _ in 0..2 {
        let socket = socket_of(&address);
        let connecting = endpoint.connect_with(config.clone(), socket, tls::SERVER_NAME).unwrap();
        // Nothing to send early data with.
        let Err(connecting) = connecting.into_0rtt() else { panic!("0-RTT is offered") };
        let connection = connecting.await.unwrap();
        let (mut send, mut recv) = connection.open_bi().await.unwrap();
        send.write_all(request(1, &mut rng()).as_bytes()).await.unwrap();
        let mut answer = [0; CELL_LEN];
        recv.read_exact(&mut answer).await.unwrap();
        connection.close(0_u8.into(), b"");
    }
    // The control: the store was asked each time for something to resume with.
    assert_eq!(kept.asked.load(Ordering::Relaxed), 2);
    assert_eq!(kept.tickets.load(Ordering::Relaxed), 0);
    assert_eq!(kept.tokens.load(Ordering::Relaxed), 0);
}

#[tokio::test]
async fn a_client_that_never_reads_does_not_keep_others_waiting() {
    let (_temporary, data) = folder();
    let serving = Serving::start(&data, &[]);
    let address = serving.address();
    let mut narrow = TransportConfig::default();
    narrow.stream_receive_window(VarInt::from_u32(CELL_LEN as u32));
    let (_endpoint, connection) =
        connect(socket_of(&address), address.fingerprint(), narrow).await.unwrap();
    let (mut send, _recv) = connection.open_bi().await.unwrap();
    let mut rng = rng();
    for route in 0..u64::from(OPENS_PER_LINK_BURST) {
        send.write_all(request(route, &mut rng).as_bytes()).await.unwrap();
    }
    let mut link = Link::to(&address).await;
    let mut session = link.open(address.fingerprint()).await;
    for _ in 0..100 {
        ping(&mut link, &mut session).await;
    }
    assert!(connection.close_reason().is_none());
    assert_eq!(serving.terminate().0.code(), Some(0));
}

#[tokio::test]
async fn clients_that_come_and_leave_at_any_point_leave_nothing_behind() {
    let (_temporary, data) = folder();
    let serving = Serving::start(&data, &[]);
    let address = serving.address();
    for round in 0..30 {
        let socket = socket_of(&address);
        let transport = TransportConfig::default();
        let (_endpoint, connection) =
            connect(socket, address.fingerprint(), transport).await.unwrap();
        let (mut send, _recv) = connection.open_bi().await.unwrap();
        let cell = request(1, &mut rng());
        let some = [0, 1, CELL_LEN / 2, CELL_LEN][round % 4];
        send.write_all(&cell.as_bytes()[..some]).await.unwrap();
        connection.close(0_u8.into(), b"");
    }
    let arguments = ["stats", "--json", "--data", data.to_str().unwrap()];
    loop {
        let stats = &objects_of(&relay(&arguments))[0];
        if stats["links"] == 0 && stats["sessions"] == 0 {
            break;
        }
        tokio::task::yield_now().await;
    }
    let mut link = Link::to(&address).await;
    let mut session = link.open(address.fingerprint()).await;
    ping(&mut link, &mut session).await;
}

#[tokio::test]
async fn what_was_acknowledged_is_there_after_a_kill() {
    let (_temporary, data) = folder();
    let serving = Serving::start(&data, &[]);
    let address = serving.address();
    let keys = MailboxKeys::new();
    let mut link = Link::to(&address).await;
    let mut session = link.open(address.fingerprint()).await;
    link.create(&mut session, &keys).await;
    let mut writer = link.open(address.fingerprint()).await;
    link.claim(&mut writer, &keys).await;
    let mut auth = writer.prove(Role::Send, &keys.sender);
    for byte in 0..16 {
        let answer = link.put(&mut writer, auth.take(), &blob(byte)).await;
        assert!(matches!(answer, reply::Reply::Done(_)), "{answer:?}");
    }
    serving.kill();

    let serving = Serving::start(&data, &[]);
    let address = serving.address();
    let mut link = Link::to(&address).await;
    let mut session = link.open(address.fingerprint()).await;
    let auth = session.prove(Role::Receive, &keys.reader);
    let blobs = link.get(&mut session, auth, 0).await;
    let bytes: Vec<_> = blobs.iter().map(|(_, blob)| blob.as_bytes()[0]).collect();
    assert_eq!(bytes, (0..16).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_full_disk_is_a_refusal_and_nothing_acknowledged_is_lost() {
    let (_temporary, data) = folder();
    // A file-size limit is a disk that is full for the journal; 2 MiB is soon reached. The store's files are made before
    // there is one.
    Serving::start(&data, &[]).terminate();
    let serving = Serving::start_limited(&data, 2 * 1_024);
    let address = serving.address();
    let keys = MailboxKeys::new();
    let mut link = Link::to(&address).await;
    let mut reader = link.open(address.fingerprint()).await;
    link.create(&mut reader, &keys).await;
    let mut writer = link.open(address.fingerprint()).await;
    link.claim(&mut writer, &keys).await;
    let mut auth = writer.prove(Role::Send, &keys.sender);
    let mut acknowledged = 0;
    let refused = loop {
        match link.put(&mut writer, auth.take(), &numbered(acknowledged)).await {
            reply::Reply::Done(_) => acknowledged += 1,
            other => break other,
        }
    };
    let reply::Reply::Refused(refused) = refused else { panic!("{refused:?}") };
    assert_eq!(refused.reason(), Reason::NoRoom, "after {acknowledged}");
    assert!(acknowledged > 0);
    // It lives, and says so.
    ping(&mut link, &mut reader).await;
    assert_eq!(serving.terminate().0.code(), Some(0));

    let serving = Serving::start(&data, &["--set", "limits.mailbox_blobs_max=65536"]);
    let address = serving.address();
    let mut link = Link::to(&address).await;
    let mut session = link.open(address.fingerprint()).await;
    let mut auth = session.prove(Role::Receive, &keys.reader);
    let (mut after, mut found) = (0, 0);
    loop {
        let blobs = link.get(&mut session, auth.take(), after).await;
        let Some((last, _)) = blobs.last() else { break };
        after = *last;
        for (_, blob) in &blobs {
            assert_eq!(*blob, numbered(found));
            found += 1;
        }
    }
    assert_eq!(found, acknowledged);
}

#[tokio::test]
async fn a_client_learns_at_once_that_the_relay_was_restarted() {
    let (_temporary, data) = folder();
    let serving = Serving::start(&data, &[]);
    let listen = serving.ready["listen"][0].as_str().unwrap().to_owned();
    let mut link = Link::to(&serving.address()).await;
    link.info(serving.address().fingerprint()).await;
    serving.kill();
    let _again = Serving::start(&data, &["--listen", &listen]);
    let cell = request(9, &mut link.rng);
    link.send(&cell).await;
    assert!(matches!(link.connection.closed().await, ConnectionError::Reset));
}

#[tokio::test]
async fn the_log_holds_lifecycle_only_whatever_the_filter_asks_for() {
    let (_temporary, data) = folder();
    let serving = Serving::start_with(&data, &[], &[("HEARKEN_LOG", "trace,quinn=trace")]);
    let address = serving.address();
    let mut link = Link::to(&address).await;
    let mut session = link.open(address.fingerprint()).await;
    let keys = MailboxKeys::new();
    link.create(&mut session, &keys).await;
    let mut stranger = Link::to(&address).await;
    stranger.send.write_all(&[0xff; CELL_LEN]).await.unwrap();
    assert!(stranger.try_receive().await.is_none());
    let (status, said) = serving.terminate();
    assert_eq!(status.code(), Some(0));
    // The control: the log is on, and at this level.
    assert!(said.contains("INFO stopping"), "{said}");
    for line in said.lines() {
        assert!(!line.contains("127.0.0.1"), "{line}");
        assert!(!line.contains("TRACE") && !line.contains("DEBUG"), "{line}");
    }
}

/// Stores that count what they are given.
#[derive(Debug, Default)]
struct Kept {
    asked: AtomicUsize,
    tickets: AtomicUsize,
    tokens: AtomicUsize,
}

impl rustls::client::ClientSessionStore for Kept {
    fn set_kx_hint(&self, _: rustls::pki_types::ServerName<'static>, _: rustls::NamedGroup) {}

    fn kx_hint(&self, _: &rustls::pki_types::ServerName<'_>) -> Option<rustls::NamedGroup> {
        None
    }

    fn set_tls12_session(
        &self,
        _: rustls::pki_types::ServerName<'static>,
        _: rustls::client::Tls12ClientSessionValue,
    ) {
        self.tickets.fetch_add(1, Ordering::Relaxed);
    }

    fn tls12_session(
        &self,
        _: &rustls::pki_types::ServerName<'_>,
    ) -> Option<rustls::client::Tls12ClientSessionValue> {
        None
    }

    fn remove_tls12_session(&self, _: &rustls::pki_types::ServerName<'static>) {}

    fn insert_tls13_ticket(
        &self,
        _: rustls::pki_types::ServerName<'static>,
        _: rustls::client::Tls13ClientSessionValue,
    ) {
        self.tickets.fetch_add(1, Ordering::Relaxed);
    }

    fn take_tls13_ticket(
        &self,
        _: &rustls::pki_types::ServerName<'static>,
    ) -> Option<rustls::client::Tls13ClientSessionValue> {
        self.asked.fetch_add(1, Ordering::Relaxed);
        None
    }
}

impl quinn::TokenStore for Kept {
    fn insert(&self, _: &str, _: bytes::Bytes) {
        self.tokens.fetch_add(1, Ordering::Relaxed);
    }

    fn take(&self, _: &str) -> Option<bytes::Bytes> {
        None
    }
}

/// A blob that no other of a test is equal to.
fn numbered(number: u32) -> Blob {
    let mut bytes = Box::new([0; BLOB_LEN]);
    bytes[..4].copy_from_slice(&number.to_be_bytes());
    Blob::new(bytes)
}

async fn ping(link: &mut Link, session: &mut support::client::Session) {
    let (answer, _) = link.ask(session, None, command::Command::Ping(Ping {}), None).await;
    assert!(matches!(answer, reply::Reply::Done(_)), "{answer:?}");
}

fn folder() -> (tempfile::TempDir, PathBuf) {
    let temporary = tempfile::tempdir().unwrap();
    let data = temporary.path().join("relays");
    (temporary, data)
}

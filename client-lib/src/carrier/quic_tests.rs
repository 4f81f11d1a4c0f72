use std::future::{Future, poll_fn};
use std::net::UdpSocket;
use std::pin::pin;
use std::task::Poll;

use ed25519_dalek::SigningKey;
use hearken_proto::cell::Kind;
use hearken_proto::ids::Fingerprint;
use quinn::ServerConfig;
use quinn::crypto::rustls::QuicServerConfig;
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;

use super::*;

/// More than the queues and windows of both ends hold together.
const MANY: u64 = 1_000;

#[tokio::test]
async fn cells_come_back_whole_and_in_order() {
    let relay = Relay::listen(1);
    let echo = async {
        let (_connection, mut send, mut recv) = relay.accept().await;
        let mut bytes = [0; CELL_LEN];
        while recv.read_exact(&mut bytes).await.is_ok() {
            send.write_all(&bytes).await.unwrap();
        }
    };
    let talk = async {
        let (sender, mut receiver) = connect(&relay.address()).await.unwrap().split();
        let send = async {
            for route in 1..=MANY {
                sender.send(cell(route)).await.unwrap();
            }
        };
        let receive = async {
            for route in 1..=MANY {
                assert_eq!(receiver.recv().await.unwrap(), cell(route));
            }
        };
        tokio::join!(send, receive);
        drop(sender);
        assert!(receiver.recv().await.is_none());
    };
    tokio::join!(echo, talk);
}

#[tokio::test]
async fn a_relay_with_another_key_is_told_apart_from_none() {
    let relay = Relay::listen(1);
    let refused = async { relay.endpoint.accept().await.unwrap().await.is_err() };
    let dialled = address(fingerprint(2), &[relay.port()]);
    let (refused, failure) = tokio::join!(refused, connect(&dialled));
    assert!(refused);
    assert_eq!(failure.unwrap_err(), LinkFailure::OtherKey);
}

#[tokio::test]
async fn a_place_where_nobody_answers_is_unreachable() {
    let silent = Silent::new();
    let dialled = address(fingerprint(1), &[silent.port()]);
    let failure = connect_within(&dialled, Duration::from_millis(100)).await.unwrap_err();
    assert_eq!(failure, LinkFailure::Unreachable);
    assert!(silent.was_dialled());
}

#[tokio::test]
async fn a_silent_place_and_one_with_another_key_do_not_hide_the_relay() {
    let (silent, other, relay) = (Silent::new(), Relay::listen(2), Relay::listen(1));
    let dialled = address(relay.fingerprint, &[silent.port(), other.port(), relay.port()]);
    let others = async { other.endpoint.accept().await.unwrap().await.is_err() };
    let relays = async { relay.endpoint.accept().await.unwrap().await };
    let (refused, accepted, carrier) = tokio::join!(others, relays, connect(&dialled));
    assert!(refused && accepted.is_ok() && carrier.is_ok() && silent.was_dialled());
}

#[tokio::test]
async fn what_is_not_whole_cells_ends_the_link() {
    let mut unknown_kind = cell(1).as_bytes().to_vec();
    unknown_kind[8] = 9;
    let one_and_a_bit = [&cell(1).as_bytes()[..], &[7; 100]].concat();
    for (bytes, cells) in
        [(vec![7; 100], 0), (one_and_a_bit, 1), (unknown_kind, 0), (Vec::new(), 0)]
    {
        let relay = Relay::listen(1);
        let serve = async {
            let (connection, mut send, _recv) = relay.accept().await;
            send.write_all(&bytes).await.unwrap();
            send.finish().unwrap();
            connection.closed().await
        };
        let talk = async {
            let (sender, mut receiver) = connect(&relay.address()).await.unwrap().split();
            sender.send(cell(1)).await.unwrap();
            let mut come = 0;
            while receiver.recv().await.is_some() {
                come += 1;
            }
            // The link is closed although both handles are there.
            (come, sender, receiver)
        };
        let (closed, (come, ..)) = tokio::join!(serve, talk);
        assert_eq!(come, cells);
        assert!(
            matches!(closed, ConnectionError::ApplicationClosed(close) if close.error_code == DONE)
        );
    }
}

#[tokio::test]
async fn dropping_the_receiver_ends_the_link_at_once() {
    let relay = Relay::listen(1);
    let talk = async {
        let (sender, receiver) = connect(&relay.address()).await.unwrap().split();
        sender.send(cell(1)).await.unwrap();
        (sender, receiver)
    };
    let ((connection, ..), (sender, receiver)) = tokio::join!(relay.accept(), talk);
    drop(receiver);
    connection.closed().await;
    while sender.send(cell(2)).await.is_ok() {}
}

#[tokio::test]
async fn dropping_the_sender_lets_what_was_sent_go_out() {
    let relay = Relay::listen(1);
    let count = async {
        let (_connection, _send, mut recv) = relay.accept().await;
        let (mut bytes, mut cells) = ([0; CELL_LEN], 0);
        while recv.read_exact(&mut bytes).await.is_ok() {
            cells += 1;
        }
        cells
    };
    let talk = async {
        let (sender, mut receiver) = connect(&relay.address()).await.unwrap().split();
        for route in 1..=MANY {
            sender.send(cell(route)).await.unwrap();
        }
        drop(sender);
        assert!(receiver.recv().await.is_none());
    };
    assert_eq!(tokio::join!(count, talk).0, MANY);
}

#[tokio::test]
async fn a_relay_that_goes_away_ends_the_link() {
    let relay = Relay::listen(1);
    let talk = async {
        let (sender, mut receiver) = connect(&relay.address()).await.unwrap().split();
        sender.send(cell(1)).await.unwrap();
        assert!(receiver.recv().await.is_none());
    };
    let serve = async { relay.accept().await.0.close(DONE, b"") };
    tokio::join!(serve, talk);
}

#[tokio::test]
async fn a_receive_that_is_given_up_loses_no_cell() {
    let relay = Relay::listen(1);
    let serve = async {
        let (connection, mut send, _recv) = relay.accept().await;
        for route in 1..=200 {
            send.write_all(cell(route).as_bytes()).await.unwrap();
        }
        connection.closed().await
    };
    let talk = async {
        let (sender, mut receiver) = connect(&relay.address()).await.unwrap().split();
        sender.send(cell(1)).await.unwrap();
        let mut next = 1;
        while next <= 200 {
            // Polled once and dropped, again and again.
            match once(receiver.recv()).await {
                Some(come) => {
                    assert_eq!(come.unwrap(), cell(next));
                    next += 1;
                }
                None => tokio::task::yield_now().await,
            }
        }
    };
    tokio::join!(serve, talk);
}

#[tokio::test]
async fn an_attempt_that_is_given_up_at_any_point_leaves_nothing_open() {
    let relay = Relay::listen(1);
    let dialled = relay.address();
    // As far as the first, the second … await point, and dropped there.
    for polls in 0..12 {
        let mut dial = Box::pin(connect(&dialled));
        for _ in 0..polls {
            if once(dial.as_mut()).await.is_some() {
                break;
            }
            tokio::task::yield_now().await;
        }
    }
    let accept = async {
        let mut open = Vec::new();
        loop {
            let connection = relay.endpoint.accept().await.unwrap().await;
            let Ok(connection) = connection else { continue };
            let Ok((mut send, mut recv)) = connection.accept_bi().await else { continue };
            let mut bytes = [0; CELL_LEN];
            if recv.read_exact(&mut bytes).await.is_ok() {
                send.write_all(&bytes).await.unwrap();
                open.push((connection, send, recv));
                return open;
            }
        }
    };
    let talk = async {
        let (sender, mut receiver) = connect(&dialled).await.unwrap().split();
        sender.send(cell(1)).await.unwrap();
        receiver.recv().await.unwrap()
    };
    let (open, come) = tokio::join!(accept, talk);
    assert_eq!((open.len(), come), (1, cell(1)));
}

#[tokio::test]
async fn a_link_that_is_carried_tells_what_happens_until_its_end() {
    let relay = Relay::listen(1);
    let serve = async {
        let (_connection, mut send, mut recv) = relay.accept().await;
        let mut bytes = [0; CELL_LEN];
        while recv.read_exact(&mut bytes).await.is_ok() {
            send.write_all(&bytes).await.unwrap();
        }
    };
    let (to_link, outgoing) = mpsc::channel(4);
    let (events, mut told) = mpsc::channel(4);
    let dialled = relay.address();
    let link = carry(&dialled, outgoing, events, |event| event);
    let talk = async move {
        assert!(matches!(told.recv().await, Some(CarrierEvent::Connected)));
        for route in 1..=20 {
            to_link.send(cell(route)).await.unwrap();
            assert!(matches!(told.recv().await, Some(CarrierEvent::Cell(c)) if c == cell(route)));
        }
        drop(to_link);
        assert!(matches!(told.recv().await, Some(CarrierEvent::Ended(LinkFailure::Closed))));
        assert!(told.recv().await.is_none());
    };
    tokio::join!(serve, link, talk);
}

#[tokio::test]
async fn a_link_that_cannot_be_carried_says_why() {
    let relay = Relay::listen(1);
    let dialled = address(fingerprint(2), &[relay.port()]);
    let (_to_link, outgoing) = mpsc::channel(4);
    let (events, mut told) = mpsc::channel(4);
    let serve = async { relay.endpoint.accept().await.unwrap().await.is_err() };
    tokio::join!(serve, carry(&dialled, outgoing, events, |event| event));
    assert!(matches!(told.recv().await, Some(CarrierEvent::Ended(LinkFailure::OtherKey))));
    assert!(told.recv().await.is_none());
}

#[tokio::test]
async fn a_link_that_nobody_wants_any_more_is_not_dialled_on() {
    let silent = Silent::new();
    let dialled = address(fingerprint(1), &[silent.port()]);
    let (to_link, outgoing) = mpsc::channel(4);
    let (events, mut told) = mpsc::channel(4);
    let mut link = Box::pin(carry(&dialled, outgoing, events, |event| event));
    assert!(once(link.as_mut()).await.is_none());
    drop(to_link);
    link.await;
    assert!(matches!(told.recv().await, Some(CarrierEvent::Ended(LinkFailure::Closed))));
}

#[tokio::test]
async fn what_is_handed_over_while_a_link_is_dialled_goes_out_first() {
    let relay = Relay::listen(1);
    let (to_link, outgoing) = mpsc::channel(4);
    let (events, _told) = mpsc::channel(4);
    for route in 1..=3 {
        to_link.send(cell(route)).await.unwrap();
    }
    drop(to_link);
    let read = async {
        let (_connection, _send, mut recv) = relay.accept().await;
        let (mut bytes, mut routes) = ([0; CELL_LEN], Vec::new());
        while recv.read_exact(&mut bytes).await.is_ok() {
            routes.push(Cell::parse(&bytes).unwrap().route());
        }
        routes
    };
    let dialled = relay.address();
    let (routes, ()) = tokio::join!(read, carry(&dialled, outgoing, events, |event| event));
    assert_eq!(routes, [1, 2, 3]);
}

#[test]
fn addresses_of_both_families_take_turns() {
    let of = |text: &str| text.parse::<SocketAddr>().unwrap();
    let (a, b, c) = (of("192.0.2.1:1"), of("192.0.2.2:1"), of("192.0.2.3:1"));
    let v6 = of("[2001:db8::1]:1");
    assert_eq!(families_in_turn([a, b, v6, c].into_iter()), [v6, a, b, c]);
    let many = (0..100).map(|port| SocketAddr::from(([192, 0, 2, 1], port)));
    assert_eq!(families_in_turn(many).len(), ADDRESSES_MAX);
}

struct Relay {
    endpoint: Endpoint,
    fingerprint: Fingerprint,
}

impl Relay {
    fn listen(seed: u8) -> Self {
        let tls = tls::server_config(&SigningKey::from_bytes(&[seed; 32])).unwrap();
        let tls = QuicServerConfig::try_from(tls).unwrap();
        let mut config = ServerConfig::with_crypto(Arc::new(tls));
        let mut transport = TransportConfig::default();
        transport
            .max_concurrent_bidi_streams(VarInt::from_u32(1))
            .max_concurrent_uni_streams(VarInt::from_u32(0));
        config.transport_config(Arc::new(transport));
        let endpoint = Endpoint::server(config, (Ipv4Addr::LOCALHOST, 0).into()).unwrap();
        Self { endpoint, fingerprint: fingerprint(seed) }
    }

    fn port(&self) -> u16 {
        self.endpoint.local_addr().unwrap().port()
    }

    fn address(&self) -> RelayAddress {
        address(self.fingerprint, &[self.port()])
    }

    /// The next link, once its first bytes are there.
    async fn accept(&self) -> (Connection, SendStream, RecvStream) {
        let connection = self.endpoint.accept().await.unwrap().await.unwrap();
        let (send, recv) = connection.accept_bi().await.unwrap();
        (connection, send, recv)
    }
}

/// A place where somebody receives and nobody answers.
struct Silent(UdpSocket);

impl Silent {
    fn new() -> Self {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        socket.set_nonblocking(true).unwrap();
        Self(socket)
    }

    fn port(&self) -> u16 {
        self.0.local_addr().unwrap().port()
    }

    fn was_dialled(&self) -> bool {
        self.0.recv(&mut [0; 2_048]).is_ok()
    }
}

fn fingerprint(seed: u8) -> Fingerprint {
    Fingerprint::of(SigningKey::from_bytes(&[seed; 32]).verifying_key().as_bytes())
}

fn address(fingerprint: Fingerprint, ports: &[u16]) -> RelayAddress {
    let places = ports.iter().map(|port| HostPort::of_ip(Ipv4Addr::LOCALHOST.into(), *port));
    RelayAddress::new(fingerprint, places.collect()).unwrap()
}

/// A cell that is the same whenever it is made for the same route.
fn cell(route: u64) -> Cell {
    Cell::new(Kind::Data, route, &mut ChaCha20Rng::seed_from_u64(route))
}

/// Polls a future once.
async fn once<T>(future: impl Future<Output = T>) -> Option<T> {
    let mut future = pin!(future);
    poll_fn(|context| match future.as_mut().poll(context) {
        Poll::Ready(value) => Poll::Ready(Some(value)),
        Poll::Pending => Poll::Ready(None),
    })
    .await
}

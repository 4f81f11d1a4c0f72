//! What a record is cut into.

use std::sync::Arc;

use hearken_tests::load::Path;
use hearken_tests::traffic::{KeyLog, Session, Talk, Wired};

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_port_that_the_kernel_gives_out_again_is_another_connection() {
    let folder = tempfile::tempdir().unwrap();
    let wired = Wired::start(&folder.path().join("relay"), &["--set", "pow_bits=0"], &[]).unwrap();
    let path = Path { relay: wired.address().clone(), entry: None };
    let keys = Arc::new(KeyLog::default());
    for _ in 0..2 {
        Talk::begin(&path, &keys).await.unwrap().end().await;
    }
    let mut datagrams = wired.tap.recorded();
    let opened = |session: &Session| (session.packets.len(), session.client_hello.random.clone());
    let of_two_ports = Session::all(&datagrams, &keys).unwrap();
    assert_eq!(of_two_ports.len(), 2);

    let port = datagrams[0].client;
    for datagram in &mut datagrams {
        datagram.client = port;
    }
    let of_one_port = Session::all(&datagrams, &keys).unwrap();
    assert!(of_one_port.iter().map(opened).eq(of_two_ports.iter().map(opened)));
}

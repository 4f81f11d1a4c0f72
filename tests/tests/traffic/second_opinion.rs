//! Another reader of the same record: tshark, with the same keys, sees the same frames and the same stream.

use std::path::Path as Folder;
use std::process::Command;
use std::sync::Arc;

use hearken_proto::auth::ObjectSecretKey;
use hearken_proto::wire::command::Command as Ask;
use hearken_proto::wire::{Get, Role};
use hearken_tests::load::Path;
use hearken_tests::traffic::{
    Frame, KeyLog, KnownObject, Proof, Session, Talk, Wired, connections, write_pcap,
};
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;

/// What a datagram holds: the client's port, whether the client sent it, its frames, its stream's bytes.
type Seen = Vec<(bool, Vec<&'static str>, Vec<u8>)>;

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn tshark_reads_the_same_frames_and_the_same_stream() {
    if Command::new("tshark").arg("--version").output().is_err() {
        assert!(std::env::var_os("HEARKEN_CI").is_none(), "tshark is not installed");
        println!("skipped: needs tshark");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let wired = Wired::start(&folder.path().join("relay"), &["--set", "pow_bits=0"], &[]).unwrap();
    let path = Path { relay: wired.address().clone(), entry: None };
    let keys = Arc::new(KeyLog::default());
    let mut rng = ChaCha20Rng::seed_from_u64(8);
    let (object, reader) =
        (KnownObject::generate(3, &mut rng), ObjectSecretKey::generate(&mut rng));
    let mut talk = Talk::begin(&path, &keys).await.unwrap();
    talk.store(&object).await.unwrap();
    talk.end().await;
    let mut talk = Talk::begin(&path, &keys).await.unwrap();
    let get = Ask::Get(Get { after: 0, max: 16 });
    let marker = KnownObject { chunks: object.chunks[..1].to_vec(), key: object.key };
    talk.ask(Proof::Right(Role::Receive, &reader), get, None, &marker).await.unwrap();
    talk.end().await;

    let datagrams = wired.tap.recorded();
    let sessions = Session::all(&datagrams, &keys).unwrap();
    assert_eq!(sessions.len(), 2);
    let port = wired.tap.place().port();
    let (pcap, key_file) = (folder.path().join("record.pcap"), folder.path().join("keys"));
    std::fs::write(&key_file, keys.to_text()).unwrap();
    for (session, own) in sessions.iter().zip(connections(&datagrams).unwrap()) {
        write_pcap(&pcap, port, &own).unwrap();
        let (ours, theirs) = (ours(session), theirs(&pcap, &key_file, port));
        assert!(ours.iter().any(|(_, _, stream)| !stream.is_empty()));
        assert_eq!(ours, theirs);
    }
}

/// By datagram, what this test's own reader sees.
fn ours(session: &Session) -> Seen {
    let mut seen = Seen::new();
    let mut last = None;
    for packet in &session.packets {
        let datagram = (packet.at, packet.from_client);
        if last != Some(datagram) {
            seen.push((packet.from_client, Vec::new(), Vec::new()));
            last = Some(datagram);
        }
        let (_, names, stream) = seen.last_mut().unwrap();
        for frame in &packet.frames {
            names.push(name(frame));
            if let Frame::Stream(_, _, bytes, _) = frame {
                stream.extend_from_slice(bytes);
            }
        }
    }
    seen
}

fn name(frame: &Frame) -> &'static str {
    match frame {
        Frame::Padding(_) => "padding",
        Frame::Ping => "ping",
        Frame::Ack(_) => "ack",
        Frame::Crypto(..) => "crypto",
        Frame::Stream(..) => "stream",
        Frame::NewConnectionId(..) => "new connection id",
        Frame::RetireConnectionId(_) => "retire connection id",
        Frame::Close(..) => "close",
        Frame::HandshakeDone => "handshake done",
        Frame::Flow(..) => "flow",
        Frame::AckFrequency(..) => "ack frequency",
        other => panic!("{other:?}"),
    }
}

/// By datagram, what tshark sees.
fn theirs(pcap: &Folder, keys: &Folder, port: u16) -> Seen {
    let output = Command::new("tshark")
        .arg("-r")
        .arg(pcap)
        .arg("-o")
        .arg(format!("tls.keylog_file:{}", keys.display()))
        .args(["-d", &format!("udp.port=={port},quic"), "-T", "fields", "-e", "udp.srcport"])
        .args(["-e", "quic.frame_type", "-e", "quic.stream_data", "-e", "quic.decryption_failed"])
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines().map(|line| datagram(line, port)).collect()
}

fn datagram(line: &str, port: u16) -> (bool, Vec<&'static str>, Vec<u8>) {
    let fields: Vec<&str> = line.split('\t').collect();
    let [source, frames, stream, failed] = fields[..] else { panic!("{line}") };
    assert_eq!(failed, "");
    let kind = |frame: &str| match frame.parse().unwrap() {
        0 => "padding",
        1 => "ping",
        2 | 3 => "ack",
        6 => "crypto",
        8..16 => "stream",
        16..24 => "flow",
        24 => "new connection id",
        25 => "retire connection id",
        28 | 29 => "close",
        30 => "handshake done",
        31 | 175 => "ack frequency",
        other => panic!("a frame of type {other}"),
    };
    // A frame that only ends the stream has no bytes.
    let stream = stream.replace("<MISSING>", "").replace(',', "");
    let stream = data_encoding::HEXLOWER.decode(stream.as_bytes()).unwrap();
    (source != port.to_string(), frames.split(',').map(kind).collect(), stream)
}

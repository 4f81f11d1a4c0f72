//! Files through the real programs and the library: cleaned, sealed, sent, interrupted, gone on with, saved, refused.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a failing test panics")]

use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use hearken_client_lib::{Client, Event, FileOptions, FileState, KdfCost, Options, RouteChoice};
use hearken_tests::people::{amina_and_ben, done, refused};
use hearken_tests::programs::{Person, Relay};
use rand_chacha::ChaCha20Rng;
use rand_core::{Rng, SeedableRng};
use serde_json::Value;

fn sample(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("vectors/clean").join(name)
}

/// Words that nobody can guess or compress, as a text file of so many bytes.
fn words(len: usize) -> Vec<u8> {
    let mut bytes = vec![0; len];
    ChaCha20Rng::seed_from_u64(len as u64).fill_bytes(&mut bytes);
    bytes.iter_mut().for_each(|byte| *byte = b'a' + *byte % 26);
    bytes
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

fn sent(person: &Person, words: &[&str]) -> String {
    let ended = person.run(words).unwrap();
    let line = ended.line().unwrap().clone();
    assert_eq!(line["state"], "sent", "{line}");
    line["message"].as_str().unwrap().to_owned()
}

/// The one file line that comes.
fn comes(person: &Person) -> Value {
    let received = person.run(&["receive", "--timeout", "60"]).unwrap();
    done(&received);
    let mut lines = received.lines.iter().filter(|line| line["kind"] == "file");
    let line = lines.next().unwrap_or_else(|| panic!("no file in {:?}", received.lines)).clone();
    assert_eq!(lines.next(), None);
    line
}

fn has(bytes: &[u8], word: &str) -> bool {
    bytes.windows(word.len()).any(|window| window == word.as_bytes())
}

#[test]
fn a_photo_arrives_without_its_place_and_name_and_is_saved_where_its_person_says() {
    let folder = tempfile::tempdir().unwrap();
    let relay = Relay::start(&folder.path().join("relay")).unwrap();
    let [amina, ben] = amina_and_ben(folder.path(), relay.address());
    let photo = folder.path().join("amina at home.jpg");
    fs::copy(sample("photo.jpg"), &photo).unwrap();
    assert!(has(&fs::read(&photo).unwrap(), "PlantedMaker"), "control");

    let id = sent(&amina, &["send", "Ben", "--file", text(&photo)]);
    let came = comes(&ben);
    assert_eq!(came["message"], *id);
    assert_eq!(
        (&came["file"]["name"], &came["file"]["type"]),
        (&"photo.jpg".into(), &"image/jpeg".into())
    );
    let out = folder.path().join("saved.jpg");
    let saved = ben.run(&["save", &id[..8], "--out", text(&out)]).unwrap();
    assert_eq!(saved.line().unwrap()["message"], *id);
    let bytes = fs::read(&out).unwrap();
    assert_eq!(came["file"]["size"], bytes.len());
    assert!(!has(&bytes, "Planted") && bytes.starts_with(&[0xff, 0xd8]));
    assert_eq!(fs::metadata(&out).unwrap().permissions().mode() & 0o777, 0o600);

    // Not over what is there, and not what brought no file.
    refused(&ben.run(&["save", &id, "--out", text(&out)]).unwrap(), 1, "file-exists");
    assert_eq!(fs::read(&out).unwrap(), bytes);
    let other = folder.path().join("other");
    refused(&amina.run(&["save", &id, "--out", text(&other)]).unwrap(), 1, "not-a-file");
    sent(&amina, &["send", "Ben", "words"]);
    let received = ben.run(&["receive"]).unwrap();
    let words = received.lines[0]["message"].as_str().unwrap().to_owned();
    refused(&ben.run(&["save", &words, "--out", text(&other)]).unwrap(), 1, "not-a-file");
    let nowhere = folder.path().join("no folder/file");
    refused(&ben.run(&["save", &id, "--out", text(&nowhere)]).unwrap(), 1, "file-unwritable");
    assert!(!other.exists());

    // Kept on purpose: the bytes and the name, of which a path is no part.
    sent(&amina, &["send", "Ben", "--file", text(&photo), "--keep-metadata", "--keep-name"]);
    let came = comes(&ben);
    assert_eq!(came["file"]["name"], "amina at home.jpg");
    let whole = folder.path().join("whole.jpg");
    let id = came["message"].as_str().unwrap();
    done(&ben.run(&["save", id, "--out", text(&whole)]).unwrap());
    assert_eq!(fs::read(&whole).unwrap(), fs::read(&photo).unwrap());

    // Deleted for both, it cannot be saved any more.
    let id = id.to_owned();
    sent(&amina, &["delete", "Ben", &id, "--both"]);
    done(&ben.run(&["receive"]).unwrap());
    let gone = folder.path().join("gone.jpg");
    refused(&ben.run(&["save", &id, "--out", text(&gone)]).unwrap(), 1, "unknown-message");
}

#[test]
fn what_is_no_file_to_send_is_refused_and_nothing_goes_out() {
    let folder = tempfile::tempdir().unwrap();
    let relay = Relay::start(&folder.path().join("relay")).unwrap();
    let [amina, ben] = amina_and_ben(folder.path(), relay.address());
    let path = |name: &str, bytes: &[u8]| {
        let path = folder.path().join(name);
        fs::write(&path, bytes).unwrap();
        path
    };
    let empty = path("empty", b"");
    let film = path("film.mp4", b"\0\0\0\x18ftypmp42\0\0\0\0mp42isom");
    let noise = path("noise.jpg", &[0x80; 100]);
    let large = path("large.txt", &vec![b'x'; 19_000_001]);
    let missing = folder.path().join("missing");
    for (file, code) in [
        (&empty, "file-empty"),
        (&film, "cannot-clean"),
        (&noise, "cannot-clean"),
        (&large, "file-too-large"),
        (&missing, "file-unreadable"),
        (&folder.path().to_path_buf(), "file-unreadable"),
    ] {
        refused(&amina.run(&["send", "Ben", "--file", text(file)]).unwrap(), 1, code);
    }
    let both = amina.run(&["send", "Ben", "words", "--file", text(&film)]).unwrap();
    refused(&both, 2, "usage");
    refused(&amina.run(&["send", "Ben", "words", "--keep-name"]).unwrap(), 2, "usage");
    let received = ben.run(&["receive"]).unwrap();
    assert!(received.lines.is_empty(), "{:?}", received.lines);
    // Insisted on, it goes, under a name that says nothing.
    sent(&amina, &["send", "Ben", "--file", text(&film), "--keep-metadata"]);
    let came = comes(&ben);
    assert_eq!((&came["file"]["name"], &came["file"]["size"]), (&"file.bin".into(), &24.into()));
}

#[test]
fn a_large_file_goes_on_after_a_kill_and_is_fetched_when_it_is_saved() {
    let folder = tempfile::tempdir().unwrap();
    let relay = Relay::start(&folder.path().join("relay")).unwrap();
    let [amina, ben] = amina_and_ben(folder.path(), relay.address());
    let bytes = words(5_200_000);
    let file = folder.path().join("long.txt");
    fs::write(&file, &bytes).unwrap();

    // Killed once a part of it is at the relay, which standard error tells.
    let mut command = amina.command(&["send", "Ben", "--file", text(&file)]).unwrap();
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let errors = BufReader::new(child.stderr.take().unwrap());
    let told =
        errors.lines().map_while(Result::ok).find(|line| line.contains("20") && line.contains('%'));
    child.kill().unwrap();
    let ended = child.wait_with_output().unwrap();
    assert!(told.is_some(), "no progress was shown");
    assert!(ended.stdout.is_empty(), "it was killed in time");

    // What waits goes out with any command; the other side hears of it only then.
    assert!(ben.run(&["receive"]).unwrap().lines.is_empty());
    done(&amina.run(&["receive", "--timeout", "60"]).unwrap());
    let came = comes(&ben);
    assert_eq!(came["file"]["size"], bytes.len());
    assert_eq!(came["file"]["at"], "at-relay", "too large to be fetched by itself");
    let out = folder.path().join("out.txt");
    let id = came["message"].as_str().unwrap();
    done(&ben.run(&["save", id, "--out", text(&out)]).unwrap());
    assert!(fs::read(&out).unwrap() == bytes);
    let history = amina.run(&["history", "Ben"]).unwrap();
    assert_eq!(history.lines.iter().filter(|line| line["kind"] == "file").count(), 1);
}

fn options() -> Options {
    Options { route: RouteChoice::Direct, kdf: KdfCost::MINIMUM, ..Options::default() }
}

#[tokio::test]
async fn an_upload_goes_on_at_the_chunk_at_which_it_was_interrupted() {
    let folder = tempfile::tempdir().unwrap();
    let relay = Relay::start(&folder.path().join("relay")).unwrap();
    let [home, other] = ["amina", "ben"].map(|name| folder.path().join(name));
    let (first, _) = Client::create(&home, b"x", options()).await.unwrap();
    first.add_relay(relay.address().parse().unwrap()).await.unwrap();
    let (ben, _) = Client::create(&other, b"x", options()).await.unwrap();
    let invitation = first.invite(Some("Ben".into()), Duration::from_secs(7_200)).await.unwrap();
    ben.join(&invitation.link, Some("Amina".into())).await.unwrap();
    for client in [&ben, &first, &ben, &first] {
        client.sync(Duration::from_secs(60)).await.unwrap();
    }
    let mut events = first.events();
    let file = words(2_000_000).into();
    first.send_file(invitation.contact.id(), file, FileOptions::default()).await.unwrap();
    let reached = async {
        loop {
            match events.next().await.unwrap() {
                Event::FileProgress { done, .. } if done >= 200 => break done,
                _ => {}
            }
        }
    };
    let reached = tokio::select! {
        biased;
        reached = reached => reached,
        _ = first.sync(Duration::from_secs(60)) => panic!("it was not interrupted"),
    };
    first.close().await;

    let second = Client::open(&home, b"x", options()).await.unwrap();
    let mut events = second.events();
    second.sync(Duration::from_secs(60)).await.unwrap();
    second.close().await;
    let mut progress = Vec::new();
    while let Some(event) = events.next().await {
        if let Event::FileProgress { done, of, .. } = event {
            progress.push((done, of));
        }
    }
    let (begin, of) = progress[0];
    // What was acknowledged is not sent again: an upload from the beginning would say so with its first answers.
    assert!(begin >= reached, "went on at {begin} of {of}, after {reached}");
    assert!(begin < of, "all of it went out before it was interrupted");
    assert_eq!(progress.last(), Some(&(of, of)));
    ben.sync(Duration::from_secs(60)).await.unwrap();
    let came =
        ben.new_messages().await.unwrap().into_iter().find(|message| message.file().is_some());
    let came = came.unwrap();
    assert_eq!(
        came.file().unwrap().state(),
        FileState::Here,
        "small enough to be fetched by itself"
    );
    assert!(ben.read_file(&came).await.unwrap()[..] == words(2_000_000)[..]);
    ben.close().await;
}

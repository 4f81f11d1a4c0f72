//! Backups and restores, drilled with real processes: under load, elsewhere, damaged, killed half-way.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a failing test panics")]

mod support;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use hearken_proto::address::RelayAddress;
use hearken_proto::payload::Blob;
use hearken_proto::wire::{Role, reply};
use hearken_relay::archive::{Encoder, Item};
use hearken_relay::store::{Row, Space};
use rand_core::Rng;
use support::client::{Link, MailboxKeys, Session, now, rng};
use support::process::{PROGRAM, Serving, error_of, objects_of, relay};
use zeroize::Zeroizing;

/// One mailbox of a relay that serves, and a session each for its two sides.
struct Mailbox {
    link: Link,
    reader: Session,
    writer: Session,
    keys: MailboxKeys,
}

impl Mailbox {
    async fn at(address: &RelayAddress, keys: MailboxKeys, make: bool) -> Self {
        let mut link = Link::to(address).await;
        let mut reader = link.open(address.fingerprint()).await;
        let mut writer = link.open(address.fingerprint()).await;
        if make {
            link.create(&mut reader, &keys).await;
            link.claim(&mut writer, &keys).await;
        }
        Self { link, reader, writer, keys }
    }

    async fn put(&mut self, number: u64) {
        let auth = self.writer.prove(Role::Send, &self.keys.sender);
        let answer = self.link.put(&mut self.writer, auth, &numbered(number)).await;
        assert!(matches!(answer, reply::Reply::Done(_)), "{answer:?}");
    }

    /// Positions and numbers of what lies behind a position.
    async fn all_after(&mut self, mut after: u64) -> Vec<(u64, u64)> {
        let mut all = Vec::new();
        loop {
            let auth = self.reader.prove(Role::Receive, &self.keys.reader);
            let page = self.link.get(&mut self.reader, auth, after).await;
            let Some((last, _)) = page.last() else { return all };
            after = *last;
            all.extend(page.iter().map(|(position, blob)| (*position, number_of(blob))));
        }
    }
}

fn numbered(number: u64) -> Blob {
    let mut bytes = [0x5a; hearken_proto::limits::BLOB_LEN];
    bytes[..8].copy_from_slice(&number.to_be_bytes());
    Blob::new(Box::new(bytes))
}

fn number_of(blob: &Blob) -> u64 {
    u64::from_be_bytes(blob.as_bytes()[..8].try_into().unwrap())
}

fn backup(data: &Path, out: &Path) -> std::process::Output {
    let (data, out) = (data.to_str().unwrap(), out.to_str().unwrap());
    relay(&["backup", "--json", "--data", data, "--out", out])
}

fn restore(from: &Path, data: &Path) -> std::process::Output {
    let (data, from) = (data.to_str().unwrap(), from.to_str().unwrap());
    relay(&["restore", "--json", "--data", data, "--from", from])
}

fn succeeded(output: &std::process::Output) -> serde_json::Value {
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    objects_of(output).pop().unwrap()
}

fn refused(output: &std::process::Output, code: &str) {
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert_eq!(error_of(output)["error"], code);
    assert!(output.stdout.is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_relay_backed_up_under_load_goes_on_elsewhere_with_a_prefix_of_what_it_acknowledged() {
    let temporary = tempfile::tempdir().unwrap();
    let (data, out) = (temporary.path().join("relay"), temporary.path().join("backup"));
    let serving = Serving::start(&data, &[]);
    let address = serving.address();
    let mut mailbox = Mailbox::at(&address, MailboxKeys::new(), true).await;
    for number in 0..20 {
        mailbox.put(number).await;
    }
    // The backup is made by a process of its own while puts go on.
    let out_in_thread = out.clone();
    let data_in_thread = data.clone();
    let backing_up = tokio::task::spawn_blocking(move || backup(&data_in_thread, &out_in_thread));
    let mut acknowledged = 20;
    while !backing_up.is_finished() && acknowledged < 400 {
        mailbox.put(acknowledged).await;
        acknowledged += 1;
    }
    let made = succeeded(&backing_up.await.unwrap());
    assert_eq!(made["fingerprint"].as_str().unwrap(), address.fingerprint().to_string());
    assert_eq!(made["bytes"].as_u64().unwrap(), fs::metadata(&out).unwrap().len());
    assert_eq!(fs::metadata(&out).unwrap().permissions().mode() & 0o777, 0o600);
    mailbox.put(acknowledged).await;
    acknowledged += 1;
    let before = mailbox.all_after(0).await;
    assert_eq!(before.len() as u64, acknowledged);
    // A reader that has read everything, also what came after the backup.
    let cursor = before.last().unwrap().0;
    serving.kill();
    fs::remove_dir_all(&data).unwrap();

    let elsewhere = temporary.path().join("elsewhere");
    let restored = succeeded(&restore(&out, &elsewhere));
    assert_eq!(restored["fingerprint"], made["fingerprint"]);
    assert_eq!(restored["rows"], made["rows"]);
    let serving = Serving::start(&elsewhere, &[]);
    assert_eq!(serving.address().fingerprint(), address.fingerprint());
    let mut mailbox = Mailbox::at(&serving.address(), mailbox.keys, false).await;
    let after = mailbox.all_after(0).await;
    assert!(after.len() >= 20, "what was acknowledged before the backup began is in it");
    assert_eq!(after, before[..after.len()], "one moment: no hole, the same positions");
    assert!((after.len() as u64) < acknowledged, "what came after it is not");

    assert!(mailbox.all_after(cursor).await.is_empty(), "nothing is given twice");
    mailbox.put(1_000).await;
    let fresh = mailbox.all_after(cursor).await;
    assert_eq!(fresh.len(), 1, "the cursor hides what came after the restore");
    assert_eq!(fresh[0].1, 1_000);
    serving.terminate();
    assert_eq!(relay(&["check", "--data", elsewhere.to_str().unwrap()]).status.code(), Some(0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_cursor_of_any_life_hides_a_later_blob_and_a_restore_that_kept_positions_would_be_seen()
{
    let temporary = tempfile::tempdir().unwrap();
    let (data, out) = (temporary.path().join("relay"), temporary.path().join("backup"));
    let serving = Serving::start(&data, &[]);
    let mut mailbox = Mailbox::at(&serving.address(), MailboxKeys::new(), true).await;
    mailbox.put(0).await;
    succeeded(&backup(&data, &out));
    mailbox.put(1).await;
    mailbox.put(2).await;
    let mut cursor = mailbox.all_after(0).await.last().unwrap().0;
    serving.kill();
    // The same backup, again and again: each life loses what the one before it took in, and hides nothing.
    for life in 0..3_u64 {
        let data = temporary.path().join(format!("life-{life}"));
        succeeded(&restore(&out, &data));
        let serving = Serving::start(&data, &[]);
        mailbox = Mailbox::at(&serving.address(), mailbox.keys, false).await;
        mailbox.put(100 + life).await;
        let fresh = mailbox.all_after(cursor).await;
        assert_eq!(fresh.iter().map(|(_, number)| *number).collect::<Vec<_>>(), [100 + life]);
        cursor = fresh[0].0;
        serving.kill();
    }
    // Planted: a restored store that says that its positions begin where they did. The new blob lies below the cursor.
    let planted = temporary.path().join("planted");
    succeeded(&restore(&out, &planted));
    fs::copy(data.join("store-format"), planted.join("store-format")).unwrap();
    let serving = Serving::start(&planted, &[]);
    mailbox = Mailbox::at(&serving.address(), mailbox.keys, false).await;
    mailbox.put(200).await;
    assert!(mailbox.all_after(cursor).await.is_empty(), "the check above cannot fail");
    assert_eq!(mailbox.all_after(0).await.last().unwrap().1, 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_holds_the_identity_and_the_day_keys_and_not_one_of_seal_auth_and_hop() {
    let temporary = tempfile::tempdir().unwrap();
    let (data, out) = (temporary.path().join("relay"), temporary.path().join("backup"));
    let serving = Serving::start(&data, &[]);
    let mut mailbox = Mailbox::at(&serving.address(), MailboxKeys::new(), true).await;
    mailbox.put(0).await;
    succeeded(&backup(&data, &out));
    let backup = fs::read(&out).unwrap();
    let secrets = |folder: &str| -> Vec<Vec<u8>> {
        let files = fs::read_dir(data.join(folder)).unwrap();
        // Behind the format's mark and checksum.
        files.map(|file| fs::read(file.unwrap().path()).unwrap()[12..].to_vec()).collect()
    };
    let holds = |secret: &[u8]| backup.windows(secret.len()).any(|window| window == secret);
    for kept in ["keys", "day-keys"] {
        assert!(!secrets(kept).is_empty());
        assert!(secrets(kept).iter().all(|secret| holds(secret)), "{kept}");
    }
    // Any 16 bytes of what must not be in it.
    let left_out = secrets("epoch-keys");
    assert!(!left_out.is_empty());
    for secret in left_out {
        assert!(secret.windows(16).all(|part| !holds(part)));
    }
}

#[test]
fn a_backup_of_a_stopped_relay_is_the_same_and_refuses_to_overwrite() {
    let temporary = tempfile::tempdir().unwrap();
    let (data, out) = (temporary.path().join("relay"), temporary.path().join("backup"));
    refused(&backup(&data, &out), "no-relay");
    assert!(!data.exists() && !out.exists());
    Serving::start(&data, &["--set", "pow_bits=2"]).terminate();
    succeeded(&backup(&data, &out));
    let first = fs::read(&out).unwrap();
    refused(&backup(&data, &out), "already-exists");
    assert_eq!(fs::read(&out).unwrap(), first);
    refused(&backup(&data, &temporary.path().join("missing/backup")), "io");
    refused(&restore(&out, &data), "not-empty");
    refused(&restore(&temporary.path().join("none"), &temporary.path().join("new")), "io");
    let foreign = temporary.path().join("foreign");
    fs::create_dir(&foreign).unwrap();
    fs::write(foreign.join("letters"), "x").unwrap();
    refused(&restore(&out, &foreign), "not-empty");
    let names: Vec<_> =
        fs::read_dir(temporary.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names.len(), 3, "{names:?}");

    let elsewhere = temporary.path().join("new/deeper");
    succeeded(&restore(&out, &elsewhere));
    for name in ["keys/identity", "relay.toml"] {
        assert_eq!(fs::read(data.join(name)).unwrap(), fs::read(elsewhere.join(name)).unwrap());
    }
    assert!(!elsewhere.join("epoch-keys").exists());
    for private in ["", "keys", "relay.toml", "day-keys"] {
        let mode = fs::metadata(elsewhere.join(private)).unwrap().permissions().mode();
        assert_eq!(mode & 0o077, 0, "{private}");
    }
}

#[test]
fn a_damaged_backup_is_refused_and_the_folder_stays_as_it_was() {
    let temporary = tempfile::tempdir().unwrap();
    let good = synthetic(4, 40);
    let bad = temporary.path().join("bad");
    let (missing, empty) = (temporary.path().join("missing"), temporary.path().join("empty"));
    fs::create_dir(&empty).unwrap();
    fs::set_permissions(&empty, fs::Permissions::from_mode(0o750)).unwrap();
    let check = |bytes: &[u8], code: &str, what: &str| {
        fs::write(&bad, bytes).unwrap();
        for data in [&missing, &empty] {
            let output = restore(&bad, data);
            assert_eq!(output.status.code(), Some(1), "{what}");
            assert_eq!(error_of(&output)["error"], code, "{what}");
        }
        assert_eq!(names_in(temporary.path()), ["bad", "empty"], "{what}");
        assert!(names_in(&empty).is_empty(), "{what}");
        assert_eq!(fs::metadata(&empty).unwrap().permissions().mode() & 0o777, 0o750, "{what}");
    };
    // Every byte is flipped in the archive's own tests; here, through the program, some of each part.
    let mut places: Vec<usize> = vec![16, 17, 40, 70, 100, good.len() - 33, good.len() - 1];
    places.extend((0..6).map(|part| 200 + part * (good.len() - 300) / 6));
    for at in places {
        let mut flipped = good.clone();
        flipped[at] ^= 0x10;
        check(&flipped, "damaged", &format!("byte {at}"));
    }
    for len in [0, 15, 16, 100, good.len() / 2, good.len() - 1] {
        check(&good[..len], "damaged", &format!("{len} bytes"));
    }
    check(&[&good[..], b"x"].concat(), "damaged", "a trailing byte");
    let mut later = good.clone();
    later[15] = 2;
    check(&later, "incompatible", "a later version");
    fs::write(&bad, &good).unwrap();
    succeeded(&restore(&bad, &empty));
    assert_eq!(fs::metadata(&empty).unwrap().permissions().mode() & 0o777, 0o750);
}

#[test]
fn a_restore_killed_at_any_moment_leaves_nothing_that_serves_or_the_whole() {
    let temporary = tempfile::tempdir().unwrap();
    let from = temporary.path().join("backup");
    fs::write(&from, synthetic(6, 1_000)).unwrap();
    let begun = Instant::now();
    succeeded(&restore(&from, &temporary.path().join("whole")));
    let whole = begun.elapsed();
    let (mut killed, mut finished) = (0, 0);
    for round in 0..8_u32 {
        let data = temporary.path().join(format!("round-{round}"));
        let exists = round % 2 == 0;
        if exists {
            fs::create_dir(&data).unwrap();
        }
        let words = ["restore", "--data", data.to_str().unwrap(), "--from", from.to_str().unwrap()];
        let ended = killed_after(whole.mul_f64(f64::from(round) / 7.0), &words);
        let check = relay(&["check", "--json", "--data", data.to_str().unwrap()]);
        match check.status.code() {
            Some(0) => finished += 1,
            _ => {
                assert!(!ended, "it said that it had succeeded");
                killed += 1;
                let error = error_of(&check)["error"].clone();
                assert!(error == "no-relay" || error == "restore-interrupted", "{error}");
                if error == "restore-interrupted" {
                    let listen = ["--listen", "127.0.0.1:0"];
                    let serve = ["serve", "--json", "--data", data.to_str().unwrap()];
                    refused(&relay(&[&serve[..], &listen].concat()), "restore-interrupted");
                }
                // It begins from the start, and what lay about is gone.
                succeeded(&restore(&from, &data));
            }
        }
        assert!(!names_in(temporary.path()).iter().any(|name| name.starts_with('.')));
        assert!(!names_in(&data).iter().any(|name| name.starts_with('.')));
        let check = relay(&["check", "--json", "--data", data.to_str().unwrap()]);
        assert_eq!(check.status.code(), Some(0), "{check:?}");
    }
    assert!(killed > 0, "every kill came too late ({finished} finished)");
}

#[test]
fn a_backup_killed_at_any_moment_leaves_no_file_or_a_whole_one_and_the_relay_unharmed() {
    let temporary = tempfile::tempdir().unwrap();
    let data = synthetic_relay(temporary.path(), 6, 1_000);
    let backups = temporary.path().join("backups");
    fs::create_dir(&backups).unwrap();
    let mut serving = Some(Serving::start(&data, &[]));
    let begun = Instant::now();
    succeeded(&backup(&data, &backups.join("whole")));
    let whole = begun.elapsed();
    let mut killed = 0;
    for round in 0..12_u32 {
        // Half of them of a relay that serves, half of one that is stopped.
        if round == 6 {
            serving.take().unwrap().terminate();
        }
        let out = backups.join(format!("round-{round}"));
        let words = ["backup", "--data", data.to_str().unwrap(), "--out", out.to_str().unwrap()];
        killed_after(whole.mul_f64(f64::from(round % 6) / 5.0), &words);
        if out.exists() {
            succeeded(&restore(&out, &temporary.path().join(format!("restored-{round}"))));
            fs::remove_file(&out).unwrap();
        } else {
            killed += 1;
        }
        assert_eq!(names_in(&backups), ["whole"]);
    }
    assert!(killed > 0, "every kill came too late");
    succeeded(&backup(&data, &backups.join("last")));
}

#[test]
fn a_relay_that_dies_during_its_backup_leaves_no_file() {
    let temporary = tempfile::tempdir().unwrap();
    let data = synthetic_relay(temporary.path(), 12, 2_000);
    let out = temporary.path().join("backup");
    for round in 0..6 {
        let serving = Serving::start(&data, &[]);
        let (data_text, out_text) = (data.to_str().unwrap(), out.to_str().unwrap());
        let child = Command::new(PROGRAM)
            .args(["backup", "--json", "--data", data_text, "--out", out_text])
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        wait_some(Duration::from_millis(4 * round));
        // A stop by SIGTERM does not wait for it either.
        if round % 2 == 0 {
            serving.kill()
        } else {
            drop(serving.terminate())
        }
        let output = child.wait_with_output().unwrap();
        if output.status.success() {
            fs::remove_file(&out).unwrap();
        } else {
            assert_eq!(output.status.code(), Some(1));
            let code = error_of(&output)["error"].clone();
            assert!(code == "broken-off" || code == "locked", "{code}");
            assert!(!out.exists());
        }
        assert_eq!(names_in(temporary.path()), ["first", "relay"]);
    }
}

/// The folder of a relay that was restored from such a backup (`first`, beside it).
fn synthetic_relay(beside: &Path, frames: u64, count: u64) -> PathBuf {
    let (data, from) = (beside.join("relay"), beside.join("first"));
    fs::write(&from, synthetic(frames, count)).unwrap();
    succeeded(&restore(&from, &data));
    data
}

/// A backup with rows of a day a week ahead: `count` rows of 2,440 bytes in each of `frames` frames.
fn synthetic(frames: u64, count: u64) -> Vec<u8> {
    let mut encoder = Encoder::new();
    let day = hearken_proto::time::UnixDay(now().day().0 + 7);
    let mut secret = vec![0; 32];
    rng().fill_bytes(&mut secret);
    let mut seed = Zeroizing::new([0; 32]);
    rng().fill_bytes(&mut seed[..]);
    let mut bytes = Vec::new();
    for item in [
        Item::Relay { seed, first_position: 0, made: now().hour() },
        Item::Config("pow_bits = 1\n".to_owned()),
        Item::DayKey { day, secret: Zeroizing::new(secret) },
    ] {
        bytes.extend_from_slice(&encoder.encode(&item));
    }
    let mut value = vec![0; 2_440];
    rng().fill_bytes(&mut value);
    for frame in 0..frames {
        let rows = (0..count).map(|at| Row {
            key: [&b"b"[..], &[3; 32], &(frame * count + at).to_be_bytes()].concat(),
            value: value.clone(),
        });
        let item = Item::Rows { space: Space::Day(day), rows: rows.collect() };
        bytes.extend_from_slice(&encoder.encode(&item));
    }
    bytes.extend(encoder.finish());
    bytes
}

fn names_in(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort_unstable();
    names
}

/// Runs the program and kills it after `life`, wherever it then is; whether it had succeeded before.
fn killed_after(life: Duration, words: &[&str]) -> bool {
    let mut child = Command::new(PROGRAM)
        .args(words)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    wait_some(life);
    child.kill().unwrap();
    child.wait().unwrap().success()
}

/// Lets a child run for a while, to be killed wherever it then is.
fn wait_some(time: Duration) {
    std::thread::sleep(time);
}

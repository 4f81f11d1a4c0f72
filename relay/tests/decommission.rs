//! A relay that closes: its notice, its date, and that it can be taken back; serving and stopped.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a failing test panics")]

mod support;

use std::path::Path;
use std::time::Duration;

use hearken_proto::address::RelayAddress;
use hearken_proto::time::UnixMillis;
use hearken_proto::wire::{Admission, Decommission, Reason, Role, reply};
use support::client::{Link, MailboxKeys, blob, now};
use support::process::{Serving, error_of, objects_of, relay};

/// How soon a notice is due: a program starts in less, also on a busy machine, or its date would have passed.
const DUE_MS: u64 = 4_000;

/// A time as the command line takes it.
fn rfc3339(time: UnixMillis) -> String {
    jiff::Timestamp::from_millisecond(i64::try_from(time.0).unwrap()).unwrap().to_string()
}

fn decommission(data: &Path, more: &[&str]) -> std::process::Output {
    relay(&[&["decommission", "--json", "--data", data.to_str().unwrap()], more].concat())
}

fn succeeded(output: &std::process::Output) -> serde_json::Value {
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    objects_of(output).pop().unwrap()
}

async fn notice_of(address: &RelayAddress) -> (Option<Decommission>, i32) {
    let info = Link::to(address).await.info(address.fingerprint()).await;
    (info.info().decommission.clone(), info.info().admission)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_notice_is_signed_at_once_survives_restarts_and_backups_and_is_taken_back() {
    let temporary = tempfile::tempdir().unwrap();
    let data = temporary.path().join("relay");
    let serving = Serving::start(&data, &[]);
    assert_eq!(notice_of(&serving.address()).await.0, None);
    let successor = serving.address().to_string().replace("127.0.0.1", "127.0.0.9");
    let given = succeeded(&decommission(&data, &["--on", "2099-06-30", "--successor", &successor]));
    assert_eq!(given["closes_at"], "2099-07-01T00:00:00Z");
    assert_eq!(given["successor"], *successor);
    let notice = Decommission { on_ms: 4_086_547_200_000, successor };
    let (found, admission) = notice_of(&serving.address()).await;
    assert_eq!((found, admission), (Some(notice.clone()), Admission::Open.into()));
    serving.kill();

    let serving = Serving::start(&data, &[]);
    assert_eq!(notice_of(&serving.address()).await.0, Some(notice.clone()));
    let out = temporary.path().join("backup");
    let (data_text, out_text) = (data.to_str().unwrap(), out.to_str().unwrap());
    succeeded(&relay(&["backup", "--json", "--data", data_text, "--out", out_text]));
    let taken_back = succeeded(&decommission(&data, &["--cancel"]));
    assert!(taken_back["closes_at"].is_null());
    assert_eq!(notice_of(&serving.address()).await.0, None);
    serving.terminate();

    let elsewhere = temporary.path().join("elsewhere");
    let elsewhere_text = elsewhere.to_str().unwrap();
    succeeded(&relay(&["restore", "--json", "--data", elsewhere_text, "--from", out_text]));
    let serving = Serving::start(&elsewhere, &[]);
    assert_eq!(notice_of(&serving.address()).await.0, Some(notice), "as of the backup");
    serving.terminate();
    // Of a stopped relay too, and where there is none it is no error.
    for _ in 0..2 {
        succeeded(&decommission(&elsewhere, &["--cancel"]));
    }
    let serving = Serving::start(&elsewhere, &[]);
    assert_eq!(notice_of(&serving.address()).await.0, None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn from_its_date_on_a_relay_takes_nothing_in_and_still_gives_out_what_it_has() {
    let temporary = tempfile::tempdir().unwrap();
    let data = temporary.path().join("relay");
    let serving = Serving::start(&data, &[]);
    let address = serving.address();
    let keys = MailboxKeys::new();
    let mut link = Link::to(&address).await;
    let mut reader = link.open(address.fingerprint()).await;
    let mut writer = link.open(address.fingerprint()).await;
    link.create(&mut reader, &keys).await;
    link.claim(&mut writer, &keys).await;
    let auth = writer.prove(Role::Send, &keys.sender);
    let answer = link.put(&mut writer, auth, &blob(0)).await;
    assert!(matches!(answer, reply::Reply::Done(_)), "{answer:?}");
    // A notice that is not due changes nothing.
    succeeded(&decommission(&data, &["--on", "2099-06-30"]));
    let answer = link.put(&mut writer, None, &blob(1)).await;
    assert!(matches!(answer, reply::Reply::Done(_)), "{answer:?}");

    let soon = now().0 + DUE_MS;
    succeeded(&decommission(&data, &["--on", &rfc3339(UnixMillis(soon))]));
    has_passed(soon).await;
    assert_eq!(reason(link.put(&mut writer, None, &blob(2)).await), Some(Reason::NotAdmitted));
    // What it acknowledged before is acknowledged again, and given out.
    let mut writer = link.open(address.fingerprint()).await;
    let auth = writer.prove(Role::Send, &keys.sender);
    assert_eq!(reason(link.put(&mut writer, auth, &blob(1)).await), None);
    let auth = reader.prove(Role::Receive, &keys.reader);
    let blobs: Vec<_> = link.get(&mut reader, auth, 0).await.into_iter().map(|(_, b)| b).collect();
    assert_eq!(blobs, [blob(0), blob(1)]);
    // No mailbox is made, and no object declared.
    let mut session = link.open(address.fingerprint()).await;
    assert_eq!(link.try_create(&mut session, &MailboxKeys::new()).await, Some(Reason::NotAdmitted));
    // A restart signs that nobody is admitted; taken back, everything goes on.
    serving.terminate();
    let serving = Serving::start(&data, &[]);
    assert_eq!(notice_of(&serving.address()).await.1, i32::from(Admission::Closed));
    let check = relay(&["stats", "--json", "--data", data.to_str().unwrap()]);
    assert_eq!(objects_of(&check)[0]["running"], true);
    succeeded(&decommission(&data, &["--cancel"]));
    assert_eq!(notice_of(&serving.address()).await, (None, Admission::Open.into()));
    let mut link = Link::to(&serving.address()).await;
    let mut writer = link.open(address.fingerprint()).await;
    let auth = writer.prove(Role::Send, &keys.sender);
    assert_eq!(reason(link.put(&mut writer, auth, &blob(2)).await), None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_relay_that_moves_stays_open_after_its_date() {
    let temporary = tempfile::tempdir().unwrap();
    let data = temporary.path().join("relay");
    let serving = Serving::start(&data, &[]);
    let address = serving.address();
    let own = address.to_string().replace("127.0.0.1", "127.0.0.9");
    let soon = now().0 + DUE_MS;
    let on = rfc3339(UnixMillis(soon));
    succeeded(&decommission(&data, &["--on", &on, "--successor", &own]));
    has_passed(soon).await;
    let mut link = Link::to(&address).await;
    let mut session = link.open(address.fingerprint()).await;
    assert_eq!(link.try_create(&mut session, &MailboxKeys::new()).await, None);
}

#[test]
fn dates_and_successors_that_are_wrong_are_refused_and_change_nothing() {
    let temporary = tempfile::tempdir().unwrap();
    let data = temporary.path().join("relay");
    let none = decommission(&data, &["--on", "2099-01-01"]);
    assert_eq!((none.status.code(), &error_of(&none)["error"]), (Some(1), &"no-relay".into()));
    Serving::start(&data, &[]).terminate();
    let address = "hearken://nonsense";
    for (more, status, code) in [
        (&["--on", "2001-01-01"][..], 1, "date-past"),
        (&["--on", "2099-02-30"], 2, "usage"),
        (&["--on", "soon"], 2, "usage"),
        (&["--on", ""], 2, "usage"),
        (&["--on", "2099-01-01", "--successor", address], 2, "usage"),
        (&["--on", "2099-01-01", "--cancel"], 2, "usage"),
        (&["--cancel", "--successor", address], 2, "usage"),
        (&[], 2, "usage"),
    ] {
        let refused = decommission(&data, more);
        assert_eq!(refused.status.code(), Some(status), "{more:?}");
        assert_eq!(error_of(&refused)["error"], code, "{more:?}");
        assert!(refused.stdout.is_empty() && !data.join("notice").exists(), "{more:?}");
    }
}

#[test]
fn a_successor_that_is_the_relay_where_it_is_is_refused_since_nothing_would_close_or_move() {
    let temporary = tempfile::tempdir().unwrap();
    let data = temporary.path().join("relay");
    let serving = Serving::start(&data, &[]);
    let address = serving.address().to_string();
    for stopped in [None, Some(serving)].map(|serving| serving.map(Serving::terminate)) {
        let refused = decommission(&data, &["--on", "2099-01-01", "--successor", &address]);
        assert_eq!(refused.status.code(), Some(1), "{stopped:?}");
        assert_eq!(error_of(&refused)["error"], "same-address");
        assert!(!data.join("notice").exists());
    }
}

fn reason(reply: reply::Reply) -> Option<Reason> {
    match reply {
        reply::Reply::Refused(refused) => Some(refused.reason()),
        reply::Reply::Done(_) => None,
        other => panic!("{other:?}"),
    }
}

/// Waits for what the test is about, which no relay announces: the date of a notice has passed.
async fn has_passed(date: u64) {
    while now().0 <= date {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

//! A relay that answers a refusal with one cell more: found on the wire. Run by `tests/planted/run --test traffic`.

use std::ffi::OsStr;

use hearken_tests::load::Path;
use hearken_tests::traffic::Wired;

use crate::outcomes::{SETTINGS, own, record, shapes, told_apart};

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_planted_cell_more_in_refusals_is_found_on_the_wire() {
    let folder = tempfile::tempdir().unwrap();
    let plant: [(&str, &OsStr); 1] = [("HEARKEN_PLANTED", OsStr::new("one-more-answer-cell"))];
    let wired = Wired::start(&folder.path().join("relay"), &SETTINGS, &plant).unwrap();
    let path = Path { relay: wired.address().clone(), entry: None };
    let (asked, sessions) = record(path, own(&wired), &wired).await;
    let found = told_apart(&asked, &shapes(&sessions));
    for outcome in ["Put: mailbox full", "Get 16: wrong key", "Claim: claimed by another"] {
        assert!(found.iter().any(|found| found == outcome), "{outcome}: {found:?}");
    }
}

//! Whole relays, dropped in the middle of what they do.

use super::calls::{AWAIT_POINTS_MAX, dropped_at};
use super::*;

/// Messages of a run; after each number of them that the relay acknowledged, it is dropped once.
const MESSAGES: usize = 12;

/// Tasks of this runtime, the test's own included.
fn tasks() -> usize {
    tokio::runtime::Handle::current().metrics().num_alive_tasks()
}

/// Sends messages while each of `relays` in turn is dropped, and reads them all at the end.
async fn talk_through(pair: &Pair, relays: &mut [Relay], tasks_before: usize) {
    pair.amina.follow().await.unwrap();
    pair.ben.follow().await.unwrap();
    for number in 0..MESSAGES {
        let message = pair.ben.send_text(pair.to_amina, &number.to_string()).await.unwrap();
        let which = number % relays.len();
        // Its tasks wait wherever this message has brought them: before the first cell, with one under way, in a commit.
        for _ in 0..number * 7 {
            tokio::task::yield_now().await;
        }
        relays[which].drop_it();
        if relays.len() == 1 {
            wait_for_tasks(tasks_before).await;
        }
        relays[which].start_again().await;
        assert_eq!(pair.ben.wait_sent(message, PATIENCE).await.unwrap(), SendOutcome::Sent);
    }
    let mut arrived = Vec::new();
    let mut events = pair.amina.events();
    while arrived.len() < MESSAGES {
        arrived.extend(texts(&pair.amina).await);
        let _ = tokio::time::timeout(Duration::from_millis(100), events.next()).await;
    }
    let numbers: Vec<String> = (0..MESSAGES).map(|number| number.to_string()).collect();
    assert_eq!(arrived, numbers, "each once, in order");
}

/// Waits until no more tasks are alive than there were.
async fn wait_for_tasks(before: usize) {
    let begun = std::time::Instant::now();
    while tasks() > before {
        assert!(begun.elapsed() < PATIENCE, "{} tasks are left", tasks() - before);
        tokio::task::yield_now().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_relay_dropped_while_it_stores_and_watches_loses_nothing_and_leaves_no_task() {
    let before = tasks();
    let folder = tempfile::tempdir().unwrap();
    let mut relays = [Relay::start(&folder.path().join("relay")).await];
    assert!(tasks() > before, "control: the tasks of a relay are counted");
    let pair = Pair::met(folder.path(), &[&relays[0]], RouteChoice::Direct).await;
    talk_through(&pair, &mut relays, before).await;
    pair.close().await;
    relays[0].drop_it();
    wait_for_tasks(before).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn relays_dropped_while_they_forward_lose_nothing_and_leave_no_task() {
    let before = tasks();
    let folder = tempfile::tempdir().unwrap();
    let mailbox = Relay::start(&folder.path().join("mailbox")).await;
    let entry = Relay::start(&folder.path().join("entry")).await;
    let pair = Pair::met(folder.path(), &[&mailbox, &entry], RouteChoice::Hop2).await;
    let mut relays = [entry, mailbox];
    talk_through(&pair, &mut relays, before).await;
    pair.close().await;
    relays.iter_mut().for_each(Relay::drop_it);
    wait_for_tasks(before).await;
}

/// Threads of this process that belong to clients of the library.
#[cfg(target_os = "linux")]
fn client_threads() -> usize {
    let tasks = std::fs::read_dir("/proc/self/task").unwrap();
    let name = |task: std::io::Result<std::fs::DirEntry>| {
        std::fs::read_to_string(task.unwrap().path().join("comm")).unwrap_or_default()
    };
    tasks.map(name).filter(|name| name.starts_with("hearken-client")).count()
}

#[cfg(target_os = "linux")]
#[test]
fn a_client_that_is_opened_and_given_up_at_any_point_leaves_no_thread_and_a_free_home() {
    // In a process of its own: other tests of this file have clients too.
    if std::env::var_os("HEARKEN_ALONE").is_none() {
        let name = "relays::a_client_that_is_opened_and_given_up_at_any_point_leaves_no_thread_and_a_free_home";
        let mut alone = std::process::Command::new(std::env::current_exe().unwrap());
        let status = alone.args(["--exact", name]).env("HEARKEN_ALONE", "1").status().unwrap();
        assert!(status.success());
        return;
    }
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let folder = tempfile::tempdir().unwrap();
    runtime.block_on(async {
        let (client, _) =
            Client::create(folder.path(), b"x", options(RouteChoice::Direct)).await.unwrap();
        assert_eq!(client_threads(), 1, "control: a client's thread is counted");
        client.close().await;
        for point in 1..AWAIT_POINTS_MAX {
            let opening = Client::open(folder.path(), b"x", options(RouteChoice::Direct));
            if let Some(client) = dropped_at(point, opening).await {
                client.unwrap().close().await;
                break;
            }
            assert!(point < AWAIT_POINTS_MAX - 1, "an opening that never ends");
        }
        let begun = std::time::Instant::now();
        while client_threads() > 0 {
            assert!(begun.elapsed() < PATIENCE, "a thread is left");
            tokio::task::yield_now().await;
        }
        let again = Client::open(folder.path(), b"x", options(RouteChoice::Direct)).await;
        again.unwrap().close().await;
    });
}

//! Relays dropped while one of their tasks stays at its first, second, … await point of an exchange.
//!
//! An exchange is a text that somebody sends to somebody who watches, until it has arrived. Everything between is
//! forwarded by an entry relay, so the tasks are: the cores of both relays, what carries a client's link or the entry's
//! at the relay that took it, what carries the link that the entry dialled, what accepts links, and what all hang from.

use hearken_proto::planted::{await_points, everywhere};

use hearken_client_lib::MessageId;

use super::*;

/// The tasks of a relay, as they are called where they are begun.
const TASKS: [&str; 5] = ["core", "link", "peer", "accept", "supervisor"];
/// Await points of an exchange at which late commits are looked for: it has more.
const LATE_POINTS: usize = 8;
/// How long what is sent after the planted fault may take: much longer than it does where it arrives at all.
const LAST_WAIT: Duration = Duration::from_secs(10);
/// An exchange waits less often than this in any kind of task.
const POINTS_MAX: usize = 2_000;

/// Two relays and two people who have met over them and watch.
struct Exchange {
    relays: [Relay; 2],
    pair: Pair,
    tasks_before: usize,
    sent: Vec<String>,
    arrived: Vec<(MessageId, String)>,
    _folder: tempfile::TempDir,
}

impl Exchange {
    async fn new() -> Self {
        let tasks_before = alive();
        let folder = tempfile::tempdir().unwrap();
        let relays = [
            Relay::start(&folder.path().join("mailbox")).await,
            Relay::start(&folder.path().join("entry")).await,
        ];
        assert!(alive() > tasks_before, "control: the tasks of a relay are counted");
        let both = [&relays[0], &relays[1]];
        let pair = Pair::met(folder.path(), &both, RouteChoice::Hop2).await;
        pair.amina.follow().await.unwrap();
        pair.ben.follow().await.unwrap();
        let (sent, arrived) = (Vec::new(), Vec::new());
        Self { relays, pair, tasks_before, sent, arrived, _folder: folder }
    }

    /// Reads until what was sent last has arrived.
    async fn arrival(&mut self) {
        let mut events = self.pair.amina.events();
        loop {
            let new = self.pair.amina.new_messages().await.unwrap();
            // Kept before it is called shown: this is given up at any of its await points too.
            for message in new.iter().filter(|message| message.kind() == MessageKind::Text) {
                if !self.arrived.iter().any(|(id, _)| *id == message.id()) {
                    self.arrived.push((message.id(), message.text().to_owned()));
                }
            }
            self.pair.amina.mark_shown(&new).await.unwrap();
            if self.arrived.last().map(|(_, text)| text) == self.sent.last() {
                return;
            }
            // An event tells of it; the time is for those that are left out where many come.
            let _ = tokio::time::timeout(Duration::from_millis(200), events.next()).await;
        }
    }

    /// Sends a text, and drops both relays when a task of this name has come to `point`; whether it came to it before the
    /// text arrived. Ends when nothing is left of them but what stays.
    async fn drop_relays_at(&mut self, task: &'static str, point: usize) -> (bool, MessageId) {
        let mut hold = Box::pin(await_points::hold(task, point));
        let text = format!("{task} {point}");
        let message = self.pair.ben.send_text(self.pair.to_amina, &text).await.unwrap();
        self.sent.push(text);
        let either = async {
            tokio::select! {
                biased;
                () = self.arrival() => false,
                () = &mut hold => true,
            }
        };
        let reached = tokio::time::timeout(PATIENCE, either).await;
        let reached =
            reached.unwrap_or_else(|_| panic!("{task} {point}: neither arrives nor waits"));
        self.relays.iter_mut().for_each(Relay::drop_it);
        // Before there are others, whose tasks it would hold.
        drop(hold);
        let left = || alive() <= self.tasks_before + await_points::how_many_stay();
        wait_for("tasks are left", left).await;
        (reached, message)
    }

    /// As [`Exchange::drop_relays_at`], and ends when the relays are there again and hold the text.
    async fn dropped_at(&mut self, task: &'static str, point: usize) -> bool {
        let (reached, message) = self.drop_relays_at(task, point).await;
        for relay in &mut self.relays {
            relay.start_again().await;
        }
        let sent = self.pair.ben.wait_sent(message, PATIENCE).await.unwrap();
        assert_eq!(sent, SendOutcome::Sent, "{task} {point}");
        reached
    }

    async fn close(mut self) -> (Vec<String>, Vec<String>) {
        self.pair.close().await;
        self.relays.iter_mut().for_each(Relay::drop_it);
        (self.sent, self.arrived.into_iter().map(|(_, text)| text).collect())
    }
}

/// Tasks of this runtime, the test's own included.
fn alive() -> usize {
    tokio::runtime::Handle::current().metrics().num_alive_tasks()
}

async fn wait_for(what: &str, mut is_so: impl FnMut() -> bool) {
    let begun = std::time::Instant::now();
    while !is_so() {
        assert!(begun.elapsed() < PATIENCE, "{what}");
        tokio::task::yield_now().await;
    }
}

/// The point after this one: the next where the whole is asked for, else ever fewer of the later ones.
fn after(point: usize) -> usize {
    if hearken_tests::long::is_long() { point + 1 } else { point + 1 + point / 2 }
}

async fn no_point_loses_anything() {
    let mut exchange = Exchange::new().await;
    for task in TASKS {
        let (mut point, mut tried) = (1, 0);
        while exchange.dropped_at(task, point).await {
            wait_for("a task stays", || await_points::how_many_stay() == 0).await;
            tokio::time::timeout(PATIENCE, exchange.arrival())
                .await
                .unwrap_or_else(|_| panic!("{task} {point}: the mailbox is stuck"));
            tried += 1;
            point = after(point);
            assert!(point < POINTS_MAX, "{task}: an exchange that never ends");
        }
        println!("{task}: dropped at {tried} await points, the last of an exchange before {point}");
    }
    let (sent, arrived) = exchange.close().await;
    assert_eq!(arrived, sent, "each once, in order");
}

async fn a_late_commit_is_found() {
    let mut exchange = Exchange::new().await;
    let mut promised = Vec::new();
    {
        let _planted = everywhere("relay-commits-late");
        for point in 1..=LATE_POINTS {
            if !exchange.dropped_at("core", point).await {
                break;
            }
            promised.push(exchange.sent.last().unwrap().clone());
        }
        // What was committed late by the last of these relays is lost with it too.
        exchange.relays.iter_mut().for_each(Relay::drop_it);
    }
    for relay in &mut exchange.relays {
        relay.start_again().await;
    }
    let last = exchange.pair.ben.send_text(exchange.pair.to_amina, "last").await.unwrap();
    exchange.sent.push("last".into());
    assert_eq!(exchange.pair.ben.wait_sent(last, PATIENCE).await.unwrap(), SendOutcome::Sent);
    // Where a position was given twice, not even this one arrives.
    let _ = tokio::time::timeout(LAST_WAIT, exchange.arrival()).await;
    let (_, arrived) = exchange.close().await;
    assert!(promised.iter().any(|text| !arrived.contains(text)), "the planted fault went unseen");
}

async fn a_link_without_a_handle_is_found() {
    let _planted = everywhere("link-without-a-handle");
    let mut exchange = Exchange::new().await;
    let (reached, _) = exchange.drop_relays_at("link", 1).await;
    assert!(reached);
    assert_eq!(await_points::how_many_stay(), 1, "the planted fault went unseen");
    exchange.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_relay_dropped_at_any_await_point_of_any_task_loses_nothing_and_leaves_no_task() {
    no_point_loses_anything().await;
    a_late_commit_is_found().await;
    // Last, since what it leaves behind stays.
    a_link_without_a_handle_is_found().await;
}

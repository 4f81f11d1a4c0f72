//! The library's calls.

use std::future::{Future, poll_fn};
use std::task::Poll;

use super::*;

/// More await points than any call has: a call that never ends by itself is a fault.
pub(super) const AWAIT_POINTS_MAX: usize = 500;

/// Polls a future as far as its await point number `point`, counted from 1, and drops it there. `Some` where it ended
/// before.
pub(super) async fn dropped_at<T>(point: usize, future: impl Future<Output = T>) -> Option<T> {
    let mut future = Box::pin(future);
    let mut reached = 0;
    poll_fn(move |context| match future.as_mut().poll(context) {
        Poll::Ready(value) => Poll::Ready(Some(value)),
        Poll::Pending => {
            reached += 1;
            if reached == point { Poll::Ready(None) } else { Poll::Pending }
        }
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_send_given_up_at_any_point_loses_nothing_and_doubles_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let relay = Relay::start(&folder.path().join("relay")).await;
    let pair = Pair::met(folder.path(), &[&relay], RouteChoice::Direct).await;
    let (mut promised, mut possible) = (Vec::new(), Vec::new());
    for point in 1..AWAIT_POINTS_MAX {
        let text = format!("given up at {point}");
        possible.push(text.clone());
        let whole = async {
            let message = pair.ben.send_text(pair.to_amina, &text).await.unwrap();
            // From here on the message is in the outbox, whatever becomes of this future.
            promised.push(text.clone());
            pair.ben.wait_sent(message, PATIENCE).await.unwrap()
        };
        if dropped_at(point, whole).await.is_some() {
            break;
        }
        assert!(point < AWAIT_POINTS_MAX - 1, "a send that never ends");
    }
    assert!(possible.len() > 2, "a send has several await points");
    send(&pair.ben, pair.to_amina, "last").await;
    pair.amina.sync(PATIENCE).await.unwrap();
    let arrived = texts(&pair.amina).await;
    assert_eq!(arrived.last().unwrap(), "last");
    let mut in_order = possible.iter();
    for text in &arrived[..arrived.len() - 1] {
        assert!(in_order.any(|possible| possible == text), "{text}: doubled or out of order");
    }
    assert!(promised.iter().all(|text| arrived.contains(text)), "{promised:?}: {arrived:?}");
    pair.close().await;
}

/// Receives as a display does: shows, then marks as shown.
async fn receive(client: &Client, shown: &std::cell::RefCell<Vec<String>>) {
    client.sync(PATIENCE).await.unwrap();
    let messages = client.new_messages().await.unwrap();
    shown.borrow_mut().extend(words(&messages));
    client.mark_shown(&messages).await.unwrap();
}

/// A display that marks first and shows then: what a cancelled call must not be able to do.
async fn receive_carelessly(client: &Client, shown: &std::cell::RefCell<Vec<String>>) {
    client.sync(PATIENCE).await.unwrap();
    let messages = client.new_messages().await.unwrap();
    client.mark_shown(&messages).await.unwrap();
    tokio::task::yield_now().await;
    shown.borrow_mut().extend(words(&messages));
}

/// Receives one message for each await point, giving up there, and gives those that were never shown.
async fn lost_by(
    pair: &Pair,
    receive: impl AsyncFn(&Client, &std::cell::RefCell<Vec<String>>),
) -> Vec<String> {
    let shown = std::cell::RefCell::new(Vec::new());
    let mut sent = Vec::new();
    for point in 1..AWAIT_POINTS_MAX {
        let text = format!("read up to {point}");
        send(&pair.ben, pair.to_amina, &text).await;
        sent.push(text);
        if dropped_at(point, receive(&pair.amina, &shown)).await.is_some() {
            break;
        }
        assert!(point < AWAIT_POINTS_MAX - 1, "a receive that never ends");
    }
    assert!(sent.len() > 2, "a receive has several await points");
    receive(&pair.amina, &shown).await;
    let shown = shown.into_inner();
    sent.into_iter().filter(|text| !shown.contains(text)).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_receive_given_up_at_any_point_leaves_out_no_message() {
    let folder = tempfile::tempdir().unwrap();
    let relay = Relay::start(&folder.path().join("relay")).await;
    let pair = Pair::met(folder.path(), &[&relay], RouteChoice::Direct).await;
    assert_eq!(lost_by(&pair, receive).await, [""; 0]);
    // The same search finds what a display loses that marks before it shows.
    assert_ne!(lost_by(&pair, receive_carelessly).await, [""; 0]);
    pair.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_watch_given_up_at_any_point_loses_no_message() {
    let folder = tempfile::tempdir().unwrap();
    let relay = Relay::start(&folder.path().join("relay")).await;
    let pair = Pair::met(folder.path(), &[&relay], RouteChoice::Direct).await;
    for point in 1..AWAIT_POINTS_MAX {
        if dropped_at(point, pair.amina.follow()).await.is_some() {
            break;
        }
        assert!(point < AWAIT_POINTS_MAX - 1, "a call that never ends");
    }
    let mut arrived = Vec::new();
    let mut events = pair.amina.events();
    for number in 0..20 {
        send(&pair.ben, pair.to_amina, &number.to_string()).await;
        // Given up again and again while the next event comes.
        while arrived.len() <= number {
            let _ = dropped_at(1, events.next()).await;
            arrived.extend(texts(&pair.amina).await);
        }
    }
    let numbers: Vec<String> = (0..20).map(|number| number.to_string()).collect();
    assert_eq!(arrived, numbers);
    pair.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_invitation_or_a_join_given_up_at_any_point_can_be_made_again() {
    let folder = tempfile::tempdir().unwrap();
    let relay = Relay::start(&folder.path().join("relay")).await;
    let amina = person(&folder.path().join("amina"), &[&relay], RouteChoice::Direct).await;
    let ben = person(&folder.path().join("ben"), &[&relay], RouteChoice::Direct).await;
    let expires = Duration::from_secs(7_200);
    for point in 1..AWAIT_POINTS_MAX {
        let inviting = amina.invite(Some(format!("given up {point}")), expires);
        if dropped_at(point, inviting).await.is_some() {
            break;
        }
        assert!(point < AWAIT_POINTS_MAX - 1, "an invitation that never ends");
    }
    let mut joined = 0;
    for point in 1..AWAIT_POINTS_MAX {
        let invitation = invite(&amina, &format!("Ben {point}")).await;
        let name = format!("Amina {point}");
        let ended =
            dropped_at(point, ben.join(&invitation.link, Some(name.clone()))).await.is_some();
        if !ended {
            // The same link again: it goes on where it was, or has been joined meanwhile.
            match ben.join(&invitation.link, Some(name.clone())).await {
                Ok(_) | Err(hearken_client_lib::ClientError::OwnInvitation) => {}
                Err(error) => panic!("point {point}: {error}"),
            }
        }
        let contact = ben.find_contact(&name).await.unwrap();
        send(&ben, contact.id(), &format!("joined {point}")).await;
        amina.sync(PATIENCE).await.unwrap();
        assert_eq!(texts(&amina).await, [format!("joined {point}")]);
        joined += 1;
        if ended {
            break;
        }
    }
    assert!(joined > 2, "a join has several await points");
    amina.close().await;
    ben.close().await;
}

//! Several attempts at one thing, begun one after another, of which the first success counts (in the manner of RFC
//! 8305).

use std::future::Future;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time;

use crate::route::LinkFailure;

/// How long an attempt has before the next one begins beside it (RFC 8305, section 5: the connection attempt delay).
pub(super) const STAGGER: Duration = Duration::from_millis(250);

/// Begins the attempts in order, each as soon as `stagger` has passed since the last or one has failed, and ends all
/// others when one succeeds. Dropping the future ends all.
///
/// # Errors
/// When all have failed: [`LinkFailure::OtherKey`] if one of them met another key, else [`LinkFailure::Unreachable`].
pub(super) async fn race<T, F>(
    attempts: impl IntoIterator<Item = F>,
    stagger: Duration,
) -> Result<T, LinkFailure>
where
    T: Send + 'static,
    F: Future<Output = Result<T, LinkFailure>> + Send + 'static,
{
    let mut waiting = attempts.into_iter().peekable();
    let mut running = JoinSet::new();
    let mut failure = LinkFailure::Unreachable;
    loop {
        if let Some(attempt) = waiting.next() {
            running.spawn(attempt);
        }
        let next_is_due = async {
            match waiting.peek() {
                Some(_) => time::sleep(stagger).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            joined = running.join_next() => match joined {
                Some(Ok(Ok(success))) => return Ok(success),
                Some(Ok(Err(LinkFailure::OtherKey))) => failure = LinkFailure::OtherKey,
                // A failure, or an attempt that was aborted.
                Some(_) => {}
                None if waiting.peek().is_none() => return Err(failure),
                None => {}
            },
            () = next_is_due => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use std::pin::Pin;

    use tokio::sync::oneshot;

    use super::*;

    type Attempt = Pin<Box<dyn Future<Output = Result<u8, LinkFailure>> + Send>>;

    const NEVER: Duration = Duration::from_secs(3_600);

    #[tokio::test]
    async fn a_failure_begins_the_next_attempt_at_once() {
        let attempts: Vec<Attempt> = vec![
            Box::pin(async { Err(LinkFailure::Unreachable) }),
            Box::pin(async { Err(LinkFailure::OtherKey) }),
            Box::pin(async { Ok(3) }),
        ];
        assert_eq!(race(attempts, NEVER).await, Ok(3));
    }

    #[tokio::test]
    async fn one_that_hangs_does_not_keep_the_next_from_beginning() {
        let (tell, told) = oneshot::channel();
        let attempts: Vec<Attempt> = vec![
            Box::pin(async move {
                let _dropped_with_this_attempt: oneshot::Sender<()> = tell;
                std::future::pending().await
            }),
            Box::pin(async { Ok(2) }),
        ];
        assert_eq!(race(attempts, Duration::ZERO).await, Ok(2));
        assert!(told.await.is_err(), "the loser is ended");
    }

    #[tokio::test]
    async fn another_key_outweighs_nobody() {
        let attempts: Vec<Attempt> = vec![
            Box::pin(async { Err(LinkFailure::OtherKey) }),
            Box::pin(async { Err(LinkFailure::Unreachable) }),
        ];
        assert_eq!(race(attempts, NEVER).await, Err(LinkFailure::OtherKey));
        assert_eq!(race(Vec::<Attempt>::new(), NEVER).await, Err(LinkFailure::Unreachable));
    }
}

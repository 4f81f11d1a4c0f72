//! Links that are made and closed again: what a handshake costs.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use hearken_proto::address::RelayAddress;
use tokio::task::JoinSet;

use super::{Dialler, LoadError};

/// Makes `count` links to a relay one after the other, `at_once` of them beside each other, and closes each.
///
/// # Errors
/// [`LoadError`] at the first that cannot be made.
pub async fn handshakes(
    relay: &RelayAddress,
    count: usize,
    at_once: usize,
    sockets: usize,
) -> Result<(), LoadError> {
    let dialler = Arc::new(Dialler::new(relay, sockets).await?);
    let left = Arc::new(AtomicUsize::new(count));
    let mut dialling = JoinSet::new();
    for _ in 0..at_once {
        let (dialler, left) = (dialler.clone(), left.clone());
        dialling.spawn(async move {
            let take = || {
                let taken = left
                    .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1));
                taken.is_ok()
            };
            while take() {
                drop(dialler.dial().await?);
            }
            Ok::<(), LoadError>(())
        });
    }
    while let Some(done) = dialling.join_next().await {
        done.map_err(|_| LoadError::Machine)??;
    }
    dialler.close().await;
    Ok(())
}

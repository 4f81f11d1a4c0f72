//! Being asked to stop.

use tokio::sync::watch;

/// Tells everything that waits that the program was asked to stop.
#[derive(Clone)]
pub(crate) struct Shutdown(watch::Receiver<bool>);

impl Shutdown {
    /// The two ends; sending `true` asks to stop.
    pub(crate) fn new() -> (watch::Sender<bool>, Self) {
        let (sender, receiver) = watch::channel(false);
        (sender, Self(receiver))
    }

    /// Ends when the program was asked to stop. Safe to cancel.
    pub(crate) async fn wait(&self) {
        let mut receiver = self.0.clone();
        // When the sender is gone, the program is ending anyway.
        let _ = receiver.wait_for(|stop| *stop).await;
    }
}

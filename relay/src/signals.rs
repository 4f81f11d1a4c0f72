//! Signals, for the commands that end by themselves.
//!
//! From [`watch`] on, SIGTERM and SIGINT do what they are told to do instead of ending the process without a word, and a
//! limit of file sizes (SIGXFSZ) makes a write fail, as a full disk does.

use std::io;

use tokio::runtime::Builder;
use tokio::signal::unix::{SignalKind, signal};

/// Linux's number of SIGXFSZ, of which tokio knows no name.
pub(crate) const SIGXFSZ: SignalKind = SignalKind::from_raw(25);

/// Calls `stop`, on a thread of its own, at the first SIGTERM or SIGINT.
pub(crate) fn watch(stop: impl FnOnce() + Send + 'static) -> io::Result<()> {
    let runtime = Builder::new_current_thread().enable_io().build()?;
    let (mut terminate, mut interrupt) = {
        let _inside = runtime.enter();
        // What was taken once stays taken.
        let _file_size = signal(SIGXFSZ)?;
        (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?)
    };
    let wait = async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        stop();
    };
    std::thread::Builder::new().spawn(move || runtime.block_on(wait)).map(drop)
}

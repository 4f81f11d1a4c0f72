//! One link: cells off its stream into the core's task, cells from there onto it.
//!
//! Both halves run in one task. Each cell read takes a permit that the core's task gives back when it has processed
//! it, so a flooder waits for the core and not the other way round. Writes are coalesced: what waits goes out at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use hearken_proto::cell::Cell;
use hearken_proto::limits::{CELL_LEN, LINK_INBOX_MAX};
use quinn::{Connection, RecvStream, SendStream, VarInt};
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{Semaphore, mpsc};

use super::OUTBOX_CELLS_MAX;
use crate::core::{DialError, DialId, LinkId};

/// Close code of a link that ended in order.
const DONE: VarInt = VarInt::from_u32(0);
/// Close code of a link that carried something else than cells.
const MALFORMED: VarInt = VarInt::from_u32(1);
/// How long a link that is being closed may take to hand over what was written.
const FLUSH_TIME_MAX: Duration = Duration::from_secs(2);

/// What the carrier tells the core's task.
#[derive(Debug)]
pub enum Event {
    /// Somebody opened a link.
    Opened {
        /// Its name in this process.
        link: LinkId,
        /// The way back to it.
        handle: LinkHandle,
    },
    /// A link delivered a cell.
    Cell {
        /// Which link.
        link: LinkId,
        /// The cell; it holds one of the link's permits.
        cell: Cell,
    },
    /// A link whose outbox was full can take cells again.
    Room(LinkId),
    /// A link ended. Nothing more comes from it.
    Closed(LinkId),
    /// A dial ended.
    Dialled {
        /// Which dial.
        dial: DialId,
        /// The link that it made.
        result: Result<(LinkId, LinkHandle), DialError>,
    },
}

/// What both ends of a link's queues share.
#[derive(Debug)]
struct Flow {
    /// Cells that may still be given to the core.
    inbox: Semaphore,
    /// Set when the core found the outbox full, so that the writer says when it is not.
    starved: AtomicBool,
}

/// The core's end of a link. Dropping it closes the link, after what was handed over is written.
#[derive(Debug)]
pub struct LinkHandle {
    outbox: mpsc::Sender<Cell>,
    flow: Arc<Flow>,
}

/// The carrier's end of a link.
#[derive(Debug)]
pub(super) struct LinkEnd {
    outbox: mpsc::Receiver<Cell>,
    flow: Arc<Flow>,
}

/// The two ends of a link's queues.
pub(super) fn queues() -> (LinkHandle, LinkEnd) {
    let (sender, receiver) = mpsc::channel(OUTBOX_CELLS_MAX);
    let flow =
        Arc::new(Flow { inbox: Semaphore::new(LINK_INBOX_MAX), starved: AtomicBool::new(false) });
    (LinkHandle { outbox: sender, flow: flow.clone() }, LinkEnd { outbox: receiver, flow })
}

impl LinkHandle {
    /// A place for one cell in the outbox. `None` when there is none: an [`Event::Room`] tells when there is.
    #[must_use]
    pub fn reserve(&self) -> Option<mpsc::Permit<'_, Cell>> {
        if let Ok(permit) = self.outbox.try_reserve() {
            return Some(permit);
        }
        self.flow.starved.store(true, Ordering::SeqCst);
        // The writer may have made room before it could see the mark.
        match self.outbox.try_reserve() {
            Ok(permit) => {
                self.flow.starved.store(false, Ordering::SeqCst);
                Some(permit)
            }
            Err(TrySendError::Full(()) | TrySendError::Closed(())) => None,
        }
    }

    /// Says that the core has processed one cell of this link.
    pub fn processed(&self) {
        self.flow.inbox.add_permits(1);
    }
}

impl Drop for LinkHandle {
    fn drop(&mut self) {
        self.flow.inbox.close();
    }
}

/// Carries a link until either side ends it, then says so. The caller has announced the link.
pub(super) async fn run(
    link: LinkId,
    connection: Connection,
    (send, recv): (SendStream, RecvStream),
    end: LinkEnd,
    events: mpsc::Sender<Event>,
) {
    let LinkEnd { outbox, flow } = end;
    let code = tokio::select! {
        code = read_cells(link, recv, &flow, &events) => code,
        () = write_cells(link, send, outbox, &flow, &events) => DONE,
    };
    connection.close(code, b"");
    // The core's task is gone when nobody takes it.
    let _ = events.send(Event::Closed(link)).await;
}

/// Reads until the stream ends or carries something else than cells.
async fn read_cells(
    link: LinkId,
    mut stream: RecvStream,
    flow: &Flow,
    events: &mpsc::Sender<Event>,
) -> VarInt {
    loop {
        match flow.inbox.acquire().await {
            Ok(permit) => permit.forget(),
            // The core has let go of the link; the writer hands over the rest and ends it.
            Err(_) => std::future::pending().await,
        }
        let first = match stream.read_chunk(CELL_LEN, true).await {
            Ok(Some(chunk)) => chunk.bytes,
            Ok(None) | Err(_) => return DONE,
        };
        // Only now: an idle link holds no buffer.
        let mut bytes = Box::new([0; CELL_LEN]);
        bytes[..first.len()].copy_from_slice(&first);
        if stream.read_exact(&mut bytes[first.len()..]).await.is_err() {
            return MALFORMED;
        }
        let Ok(cell) = Cell::from_array(bytes) else { return MALFORMED };
        if events.send(Event::Cell { link, cell }).await.is_err() {
            return DONE;
        }
    }
}

/// Writes until the core lets go of the link or the peer takes no more.
async fn write_cells(
    link: LinkId,
    mut stream: SendStream,
    mut outbox: mpsc::Receiver<Cell>,
    flow: &Flow,
    events: &mpsc::Sender<Event>,
) {
    // A cell at a time into a buffer that is freed when the peer has it: an idle link holds none.
    while let Some(first) = outbox.recv().await {
        let mut buffer = Vec::with_capacity(CELL_LEN * (1 + outbox.len()));
        buffer.extend_from_slice(first.as_bytes());
        while let Ok(cell) = outbox.try_recv() {
            buffer.extend_from_slice(cell.as_bytes());
            if buffer.len() >= CELL_LEN * OUTBOX_CELLS_MAX {
                break;
            }
        }
        if flow.starved.swap(false, Ordering::SeqCst)
            && events.send(Event::Room(link)).await.is_err()
        {
            return;
        }
        if stream.write_chunk(buffer.into()).await.is_err() {
            return;
        }
    }
    if stream.finish().is_ok() {
        let _ = tokio::time::timeout(FLUSH_TIME_MAX, stream.stopped()).await;
    }
}

#[cfg(test)]
mod tests {
    use hearken_proto::cell::Kind;
    use rand_chacha::ChaCha20Rng;
    use rand_core::SeedableRng;

    use super::*;

    #[test]
    fn an_outbox_takes_as_many_cells_as_it_may_and_marks_that_it_was_full() {
        let mut rng = ChaCha20Rng::seed_from_u64(1);
        let (handle, mut end) = queues();
        for _ in 0..OUTBOX_CELLS_MAX {
            handle.reserve().unwrap().send(Cell::new(Kind::Pad, 0, &mut rng));
        }
        assert!(!end.flow.starved.load(Ordering::SeqCst));
        assert!(handle.reserve().is_none());
        assert!(end.flow.starved.load(Ordering::SeqCst));
        end.outbox.try_recv().unwrap();
        assert!(handle.reserve().is_some());
    }

    #[test]
    fn a_link_whose_core_is_gone_gets_no_more_permits() {
        let (handle, end) = queues();
        end.flow.inbox.try_acquire_many(64).unwrap().forget();
        assert!(end.flow.inbox.try_acquire().is_err());
        handle.processed();
        end.flow.inbox.try_acquire().unwrap().forget();
        drop(handle);
        assert!(end.flow.inbox.is_closed());
    }
}

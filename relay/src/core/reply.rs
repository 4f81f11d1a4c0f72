//! Answers: exactly as many replies as the command is answered by, whatever the outcome.

use hearken_proto::payload::Blob;
use hearken_proto::wire::reply::Reply as Wire;
use hearken_proto::wire::{self, Reason};

use super::command::Answer;
use crate::store::StoreError;

/// A reply that waits to be sealed, with its blob.
pub(super) struct Reply {
    wire: Wire,
    blob: Option<Blob>,
}

impl Reply {
    pub(super) fn opened() -> Self {
        Self { wire: Wire::Opened(wire::Opened {}), blob: None }
    }

    pub(super) fn done() -> Self {
        Self { wire: Wire::Done(wire::Done {}), blob: None }
    }

    pub(super) fn push(position: u64, blob: Blob) -> Self {
        Self { wire: Wire::Push(wire::Delivery { position }), blob: Some(blob) }
    }

    pub(super) fn into_parts(self) -> (wire::Reply, Option<Blob>) {
        (wire::Reply { reply: Some(self.wire) }, self.blob)
    }

    fn empty() -> Self {
        Self { wire: Wire::Empty(wire::Empty {}), blob: None }
    }

    fn refused(reason: Reason) -> Self {
        Self { wire: Wire::Refused(wire::Refused { reason: reason.into() }), blob: None }
    }
}

/// A refusal in `cells` cells.
pub(super) fn refusal(reason: Reason, cells: u32) -> Vec<Reply> {
    fill(vec![Reply::refused(reason)], cells)
}

/// The answer to a command that the store has carried out, or has not.
pub(super) fn answer(result: Result<Answer, StoreError>, cells: u32) -> Vec<Reply> {
    let replies = match result {
        Ok(Answer::Done | Answer::Stored { .. } | Answer::Swept { .. }) => vec![Reply::done()],
        Ok(Answer::Refused(reason)) => vec![Reply::refused(reason)],
        Ok(Answer::Blobs { blobs, .. }) => blobs
            .into_iter()
            .map(|(position, blob)| Reply {
                wire: Wire::Delivery(wire::Delivery { position }),
                blob: Some(blob),
            })
            .collect(),
        Ok(Answer::Watching { claims_refused, claimed, newest, .. }) => vec![Reply {
            wire: Wire::Watching(wire::Watching { claims_refused, claimed, newest }),
            blob: None,
        }],
        Ok(Answer::Chunks { first, chunks, blobs }) => blobs
            .into_iter()
            .zip(first..)
            .map(|(blob, index)| Reply {
                wire: Wire::Chunk(wire::ObjectChunkRead { index, chunks }),
                blob: Some(blob),
            })
            .collect(),
        Err(error) => vec![Reply::refused(reason_of(&error))],
    };
    fill(replies, cells)
}

/// What a sender is told of a failure of the store.
pub(super) fn reason_of(error: &StoreError) -> Reason {
    match error {
        StoreError::Full => Reason::NoRoom,
        _ => Reason::Busy,
    }
}

fn fill(mut replies: Vec<Reply>, cells: u32) -> Vec<Reply> {
    // An answer whose number of cells tells its outcome: tests/tests/traffic must find it.
    #[cfg(hearken_planted)]
    if hearken_proto::planted::is("one-more-answer-cell")
        && replies.iter().any(|reply| matches!(reply.wire, Wire::Refused(_)))
    {
        replies.resize_with(cells as usize + 1, Reply::empty);
        return replies;
    }
    // An answer of many cells that stops before its last: whoever counts them could tell it from a full one.
    #[cfg(hearken_planted)]
    let cells = if hearken_proto::planted::is("answer-a-cell-short") && cells > 1 {
        cells - 1
    } else {
        cells
    };
    replies.resize_with(cells as usize, Reply::empty);
    replies
}

#[cfg(test)]
mod tests {
    use hearken_proto::limits::BLOB_LEN;

    use super::*;

    #[test]
    fn full_empty_and_refused_answers_have_the_same_number_of_cells() {
        let blob = Blob::new(Box::new([1; BLOB_LEN]));
        let blobs = |count| Answer::Blobs {
            blobs: (0..count).map(|at| (at, blob.clone())).collect(),
            touch: false,
        };
        let outcomes = [
            Ok(blobs(0)),
            Ok(blobs(3)),
            Ok(blobs(16)),
            Ok(Answer::Refused(Reason::NotYours)),
            Err(StoreError::Busy),
            Ok(Answer::Chunks { first: 9, chunks: 10, blobs: vec![blob.clone()] }),
        ];
        for outcome in outcomes {
            assert_eq!(answer(outcome, 16).len(), 16);
        }
        assert_eq!(refusal(Reason::Malformed, 16).len(), 16);
    }

    #[test]
    fn a_full_disk_is_no_room_and_any_other_failure_is_busy() {
        assert_eq!(reason_of(&StoreError::Full), Reason::NoRoom);
        assert_eq!(reason_of(&StoreError::Unavailable), Reason::Busy);
        assert_eq!(reason_of(&StoreError::Expired), Reason::Busy);
    }
}

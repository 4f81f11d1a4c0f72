//! The two ends of a feed at a relay: a reader with a cursor of its own, and a writer. They know keys, positions and
//! opaque entries, and nothing of groups or cases.
//!
//! Neither owns a session. Whoever drives them opens one where `wants_session` says so, with a plan of its own, hands
//! over what the router tells of it, and closes nothing behind their back:
//!
//! | the router says | the part is told |
//! | --- | --- |
//! | (a session was asked for) | `opening`, or `fail` where none could be planned |
//! | `Opened` | `handle_opened` |
//! | `Answer` | `handle_answer`, each cell |
//! | `Push` | `handle_push` (reader) |
//! | `RollOver` | reader: open another and `opening_successor`; writer: close it and `handle_closed` |
//! | `Closed` | `handle_closed` |
//!
//! An entry that names an object is not put by the writer here but by the upload of its object (`object.rs`): the relay
//! wants both keys proven in one session.

mod reader;
mod writer;

pub(crate) use reader::{FeedMaking, FeedReader, FeedReaderStep};
pub(crate) use writer::{FeedWriter, FeedWriterStep, OutEntry};

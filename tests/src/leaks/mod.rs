//! What must not be found, where it is looked for, and how: the parts of the proofs about leaks (`tests/tests/leaks/`).
//!
//! A [`Needle`] is something that must not be there, in one of the ways in which it could be written; a [`Place`] is bytes
//! that are looked through: a file, its name, a log, a piece of a process's memory. [`Search`] finds needles and
//! [`Moments`] finds moments in places. None of this proves that something is not there in a form that nobody thought of
//! (compressed, encrypted under a key beside it); each proof says which forms it looks for by planting one of each.

mod data_key;
mod masks;
mod memory;
mod needles;
mod places;
mod relay;
mod search;
mod times;
mod vault;
mod watch;

pub use data_key::VaultKeys;
pub use masks::{Mask, Masks};
pub use memory::Image;
pub use needles::{Needle, Needles, Strength};
pub use places::{FileTime, Place, folder, written_at};
pub use relay::LoggingRelay;
pub use search::{Hit, Search};
pub use times::{Moments, Written};
pub use vault::{MailboxIds, Opened};
pub use watch::Watch;

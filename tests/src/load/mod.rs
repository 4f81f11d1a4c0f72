//! A client that does nothing but load a relay: links, sessions, `Put`s of fresh blobs, watches.
//!
//! It speaks the protocol as any client does (TLS pinned to the fingerprint, `RelayInfo` verified, routes sealed, keys
//! proven, work done) and through nothing but `hearken-proto` and quinn, so that what it measures is the relay and the
//! wire. Guarantees: it counts only what the relay acknowledged, keeps what was refused and puts it again in order, and
//! checks that every blob comes back once and in order.
//!
//! Deliberately not here: end-to-end encryption, a vault, patience. A link that is lost is not dialled again.

mod error;
mod handshakes;
mod idle;
mod latency;
mod link;
mod one_mailbox;
mod puts;
pub(crate) mod session;

pub use error::LoadError;
pub use handshakes::handshakes;
pub use idle::{Idle, IdleReport, Mailboxes, Watching, idle, make_mailboxes, watch_mailboxes};
pub use latency::Latencies;
pub use link::{Dialler, Link};
pub use one_mailbox::OneMailbox;
pub use puts::{IN_FLIGHT_MAX, Puts, PutsReport, puts};
pub use session::Path;

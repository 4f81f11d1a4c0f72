//! Traffic as somebody on the wire sees it who also has the session keys: recorded, opened, looked at.
//!
//! [`Tap`] records, [`Session`] opens, [`checks`] says what must not be there, [`shared`] what two sessions have in
//! common. Deliberately not here: what is inside the seal of a cell, which those keys do not open.

pub mod checks;
mod frame;
mod keys;
mod packet;
mod session;
pub mod shared;
mod talk;
mod tap;
pub mod tls;
mod wired;

pub use frame::Frame;
pub use keys::KeyLog;
pub use packet::{Packet, Space};
pub use session::{From, Session, connections};
pub use talk::{KnownObject, Proof, Talk, random_blob};
pub use tap::{Datagram, Tap, write_pcap};
pub use wired::{Wired, through};

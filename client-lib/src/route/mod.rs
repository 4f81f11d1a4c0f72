//! Routes: links to first hops, and the sealed sessions with relays that are carried over them. Sans-IO.
//!
//! [`Router`] is given what links deliver, the time and randomness, and hands out what links shall carry and what the
//! engine above shall know. It opens `direct` and `hop2` sessions (information of the relay first, verified), sends at
//! most as many commands as 16 answer cells allow, proves a key with the first command that needs it, and matches
//! answers to commands in order.
//!
//! Guarantees: a relay's information is used only when its signature, key, age and time hold, and only on the kind of
//! route that it came over; every cell is accepted once and in order; a relay that breaks a rule ends its own sessions
//! and no others; whatever waits for a relay waits for a bounded time.
//!
//! Deliberately not here: sockets (`carrier`), which relay to use as entry, when to open a session again, and what a
//! command means (the engine). A session that ends is never opened again by itself.
#![deny(clippy::disallowed_methods)]

mod deadline;
mod error;
mod event;
mod incoming;
mod info_cache;
mod link;
mod opening;
mod plan;
mod router;
mod session;

pub(crate) use error::{CloseWhy, LinkFailure};
pub(crate) use event::{CommandId, LinkId, RouteAction, RouteEvent, SessionId};
pub(crate) use plan::RoutePlan;
pub(crate) use router::Router;

#[cfg(test)]
mod scripted_relay;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod tests_chaos;

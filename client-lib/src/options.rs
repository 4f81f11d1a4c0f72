//! How a client is opened.

use std::time::Duration;

use crate::relays::RouteChoice;
use crate::vault::KdfCost;

/// How a client is opened.
#[derive(Clone, Debug)]
pub struct Options {
    /// What other processes are told has the home, such as the name of the command.
    pub who: String,
    /// How long to wait for a home that another process has.
    pub wait: Duration,
    /// What a new vault's phrases cost to try; an existing vault says so itself.
    pub kdf: KdfCost,
    /// How relays are reached.
    pub route: RouteChoice,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            who: String::from("hearken"),
            wait: Duration::from_secs(30),
            kdf: KdfCost::default(),
            route: RouteChoice::Remembered,
        }
    }
}

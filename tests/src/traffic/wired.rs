//! A real relay that can be reached only through a tap.

use std::ffi::OsStr;
use std::net::SocketAddr;
use std::path::Path;

use anyhow::{Context, Result};
use hearken_proto::address::{Host, HostPort, RelayAddress};

use super::Tap;
use crate::programs::Relay;

/// The relay and the wire to it.
#[derive(Debug)]
pub struct Wired {
    /// The program.
    pub relay: Relay,
    /// The wire.
    pub tap: Tap,
    address: RelayAddress,
}

impl Wired {
    /// Starts a relay; see [`Relay::start_with`].
    ///
    /// # Errors
    /// When it does not become ready.
    pub fn start(folder: &Path, more: &[&str], environment: &[(&str, &OsStr)]) -> Result<Self> {
        let relay = Relay::start_with(folder, more, environment)?;
        let own: RelayAddress = relay.address().parse().context("the relay's address")?;
        let tap = Tap::on(place_of(&own)?)?;
        let address = through(&own, &tap)?;
        Ok(Self { relay, tap, address })
    }

    /// The address by which clients reach it: its fingerprint, at the tap.
    #[must_use]
    pub fn address(&self) -> &RelayAddress {
        &self.address
    }
}

/// The address of a relay with the tap's place instead of its own.
///
/// # Errors
/// None in practice: it has one place.
pub fn through(relay: &RelayAddress, tap: &Tap) -> Result<RelayAddress> {
    let place = HostPort::of_ip(tap.place().ip(), tap.place().port());
    RelayAddress::new(relay.fingerprint(), vec![place]).context("an address of one place")
}

fn place_of(address: &RelayAddress) -> Result<SocketAddr> {
    let place = address.places().first().context("a place")?;
    match place.host() {
        Host::Ip(ip) => Ok(SocketAddr::new(*ip, place.port())),
        Host::Name(_) => anyhow::bail!("tests use addresses"),
    }
}

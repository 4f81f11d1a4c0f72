//! A relay's address, which names the relay by its key so that no certificate authority is trusted.
//!
//! `hearken://<fingerprint>@host:port[,host:port…]`: the fingerprint is the SHA-256 of the relay's Ed25519 public key
//! in lower-case base32 (RFC 4648) without padding, 52 characters; each host is a DNS name, an IPv4 address or a
//! bracketed IPv6 address.

use core::fmt;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use core::str::FromStr;

use data_encoding::Specification;

use crate::ids::Fingerprint;
use crate::limits::HOST_PORT_MAX;

/// How an address begins.
pub const SCHEME: &str = "hearken://";
/// Characters of a fingerprint.
pub const FINGERPRINT_CHARS: usize = 52;
/// The most places that one address lists.
pub const PLACES_MAX: usize = 8;

/// What is wrong with an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AddressError {
    /// It does not begin with `hearken://`.
    #[error("a relay address begins with hearken://")]
    Scheme,
    /// The fingerprint is not 52 characters of lower-case base32.
    #[error("the fingerprint is not 52 characters of lower-case base32")]
    Fingerprint,
    /// There is no place, or there are more than eight.
    #[error("a relay address lists one to eight places")]
    Places,
    /// A place is not `host:port`.
    #[error("a place is not host:port")]
    Place,
}

/// A host: a DNS name or an IP address.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Host {
    /// A DNS name in lower case, letters, digits, hyphens and dots.
    Name(String),
    /// An IP address.
    Ip(IpAddr),
}

/// Where a relay listens. At most 268 bytes as text.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct HostPort {
    host: Host,
    port: u16,
}

impl HostPort {
    /// A place by IP address.
    #[must_use]
    pub fn of_ip(ip: IpAddr, port: u16) -> Self {
        Self { host: Host::Ip(ip), port }
    }

    /// The host.
    #[must_use]
    pub fn host(&self) -> &Host {
        &self.host
    }

    /// The UDP port, never 0.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Whether this is an address of this machine or of a private network (RFC 1918, RFC 4193, RFC 6598, loopback,
    /// link-local, unspecified, multicast), which an entry relay does not forward to. A name is judged by what it
    /// resolves to: ask [`is_private`] of each address.
    #[must_use]
    pub fn is_private(&self) -> bool {
        match &self.host {
            Host::Ip(ip) => is_private(*ip),
            Host::Name(name) => name == "localhost" || name.ends_with(".localhost"),
        }
    }
}

impl FromStr for HostPort {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        if text.len() > HOST_PORT_MAX {
            return Err(AddressError::Place);
        }
        let (host, port) = text.rsplit_once(':').ok_or(AddressError::Place)?;
        let digits = !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit());
        let port: u16 = port.parse().map_err(|_| AddressError::Place)?;
        if port == 0 || !digits {
            return Err(AddressError::Place);
        }
        let host = if let Some(inner) = host.strip_prefix('[') {
            let inner = inner.strip_suffix(']').ok_or(AddressError::Place)?;
            Host::Ip(IpAddr::V6(inner.parse::<Ipv6Addr>().map_err(|_| AddressError::Place)?))
        } else if let Ok(ip) = host.parse::<Ipv4Addr>() {
            Host::Ip(IpAddr::V4(ip))
        } else if is_dns_name(host) {
            Host::Name(host.to_ascii_lowercase())
        } else {
            return Err(AddressError::Place);
        };
        Ok(Self { host, port })
    }
}

impl fmt::Display for HostPort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.host {
            Host::Name(name) => write!(f, "{name}:{}", self.port),
            Host::Ip(IpAddr::V4(ip)) => write!(f, "{ip}:{}", self.port),
            Host::Ip(IpAddr::V6(ip)) => write!(f, "[{ip}]:{}", self.port),
        }
    }
}

/// A relay: who it is, and where it may be reached.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct RelayAddress {
    fingerprint: Fingerprint,
    places: Vec<HostPort>,
}

impl RelayAddress {
    /// An address of its parts.
    ///
    /// # Errors
    /// [`AddressError::Places`] when there is no place, or more than eight.
    pub fn new(fingerprint: Fingerprint, places: Vec<HostPort>) -> Result<Self, AddressError> {
        if places.is_empty() || places.len() > PLACES_MAX {
            return Err(AddressError::Places);
        }
        Ok(Self { fingerprint, places })
    }

    /// Who the relay is.
    #[must_use]
    pub fn fingerprint(&self) -> Fingerprint {
        self.fingerprint
    }

    /// Where it may be reached, in order of preference; at least one.
    #[must_use]
    pub fn places(&self) -> &[HostPort] {
        &self.places
    }
}

impl FromStr for RelayAddress {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        let rest = text.strip_prefix(SCHEME).ok_or(AddressError::Scheme)?;
        let (fingerprint, places) = rest.split_once('@').ok_or(AddressError::Fingerprint)?;
        let fingerprint = fingerprint.parse()?;
        let places = places.split(',').map(str::parse).collect::<Result<Vec<_>, _>>()?;
        Self::new(fingerprint, places)
    }
}

impl fmt::Display for RelayAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{SCHEME}{}@", self.fingerprint)?;
        for (index, place) in self.places.iter().enumerate() {
            if index > 0 {
                f.write_str(",")?;
            }
            write!(f, "{place}")?;
        }
        Ok(())
    }
}

impl FromStr for Fingerprint {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        if text.len() != FINGERPRINT_CHARS {
            return Err(AddressError::Fingerprint);
        }
        let bytes = base32().decode(text.as_bytes()).map_err(|_| AddressError::Fingerprint)?;
        let bytes: [u8; Self::LEN] = bytes.try_into().map_err(|_| AddressError::Fingerprint)?;
        Ok(Self::from_bytes(bytes))
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&base32().encode(self.as_bytes()))
    }
}

/// Whether an address belongs to this machine or to a private network. An IPv4 address inside IPv6 is judged as itself.
#[must_use]
pub fn is_private(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => {
            let [a, b, ..] = ip.octets();
            ip.is_private()
                || ip.is_loopback()
                || ip.is_link_local()
                || ip.is_unspecified()
                || ip.is_multicast()
                || ip.is_broadcast()
                || ip.is_documentation()
                || a == 0
                // IETF protocol assignments (RFC 6890) and the 6to4 relays (RFC 7526).
                || ip.octets()[..3] == [192, 0, 0]
                || ip.octets()[..3] == [192, 88, 99]
                || (a == 100 && (64..128).contains(&b))
                || (a == 198 && (18..20).contains(&b))
                || a >= 240
        }
        IpAddr::V6(ip) => {
            embedded_ipv4(ip).map_or_else(|| is_private_v6(ip), |v4| is_private(IpAddr::V4(v4)))
        }
    }
}

/// The IPv4 address that a packet to `ip` ends up at: compatible and mapped (RFC 4291), translated (RFC 2765),
/// well-known NAT64 (RFC 6052) and 6to4 (RFC 3056) addresses carry one.
fn embedded_ipv4(ip: Ipv6Addr) -> Option<Ipv4Addr> {
    let [.., a, b, c, d] = ip.octets();
    let last = Ipv4Addr::new(a, b, c, d);
    match ip.segments() {
        [0, 0, 0, 0, 0 | 0xffff, 0, _, _]
        | [0, 0, 0, 0, 0, 0xffff, _, _]
        | [0x64, 0xff9b, 0, 0, 0, 0, _, _] => Some(last),
        [0x2002, high, low, ..] => {
            let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
            Some(Ipv4Addr::new(a, b, c, d))
        }
        _ => None,
    }
}

fn is_private_v6(ip: Ipv6Addr) -> bool {
    let segments = ip.segments();
    let first = segments[0];
    ip.is_multicast()
        // Unique local (RFC 4193), link-local (RFC 4291), site-local (RFC 3879).
        || first & 0xfe00 == 0xfc00
        || first & 0xffc0 == 0xfe80
        || first & 0xffc0 == 0xfec0
        // NAT64 of a network's own (RFC 8215) and Teredo (RFC 4380), which go on to hidden IPv4 addresses.
        || segments[..3] == [0x64, 0xff9b, 1]
        || segments[..2] == [0x2001, 0]
        // Documentation (RFC 3849, RFC 9637) and discard-only (RFC 6666).
        || segments[..2] == [0x2001, 0xdb8]
        || (first == 0x3fff && segments[1] < 0x1000)
        || segments[..4] == [0x100, 0, 0, 0]
}

fn is_dns_name(name: &str) -> bool {
    let labels_hold = name.split('.').all(|label| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    });
    // A last label of digits only would be an IPv4 address in disguise.
    let numeric_end =
        name.rsplit('.').next().is_some_and(|label| label.bytes().all(|b| b.is_ascii_digit()));
    labels_hold && !numeric_end && name.len() <= 253
}

fn base32() -> data_encoding::Encoding {
    let mut specification = Specification::new();
    specification.symbols.push_str("abcdefghijklmnopqrstuvwxyz234567");
    match specification.encoding() {
        Ok(encoding) => encoding,
        Err(_) => unreachable!("32 distinct symbols make a base32"),
    }
}

#[cfg(test)]
mod tests;

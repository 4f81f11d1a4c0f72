//! What must not be found, in every way in which it could be written.

use std::net::{IpAddr, SocketAddr};

use data_encoding::{BASE32_NOPAD, BASE64_NOPAD, BASE64URL_NOPAD, Encoding, HEXLOWER, HEXUPPER};

/// How much one hit says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Strength {
    /// Six bytes or more: chance does not write it.
    Strong,
    /// Four bytes: chance writes it once in 4 GiB, so it takes two hits to say something.
    Weak,
}

/// One way to write something that must not be found.
#[derive(Clone, Debug)]
pub struct Needle {
    /// What it is, in words; needles of one thing share it.
    pub what: String,
    /// How it is written here.
    pub spelling: &'static str,
    /// The bytes.
    pub bytes: Vec<u8>,
    /// What a hit says.
    pub strength: Strength,
}

/// Things that must not be found, each in all its spellings.
#[derive(Clone, Debug, Default)]
pub struct Needles(Vec<Needle>);

impl Needles {
    /// All spellings of all things.
    #[must_use]
    pub fn all(&self) -> &[Needle] {
        &self.0
    }

    /// The things, each once, in the order in which they were added.
    #[must_use]
    pub fn things(&self) -> Vec<&str> {
        let mut things: Vec<&str> = Vec::new();
        for needle in &self.0 {
            if !things.contains(&needle.what.as_str()) {
                things.push(&needle.what);
            }
        }
        things
    }

    /// A text that stands nowhere else: as it is, in UTF-16, in hex, base32 and base64 from any byte on.
    pub fn text(&mut self, what: &str, text: &str) {
        let wide: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
        self.add(what, "UTF-16", wide);
        self.bytes(what, text.as_bytes());
    }

    /// Bytes that stand nowhere else, a key above all: as they are and backwards, in hex, base32 and base64.
    pub fn bytes(&mut self, what: &str, bytes: &[u8]) {
        self.add(what, "as it is", bytes.to_vec());
        self.add(what, "backwards", bytes.iter().rev().copied().collect());
        self.add(what, "hex", HEXLOWER.encode(bytes).into_bytes());
        self.add(what, "HEX", HEXUPPER.encode(bytes).into_bytes());
        self.aligned(what, "base64", bytes, 3, &BASE64_NOPAD);
        self.aligned(what, "base64url", bytes, 3, &BASE64URL_NOPAD);
        self.aligned(what, "BASE32", bytes, 5, &BASE32_NOPAD);
        let lower = |encoded: Vec<u8>| encoded.to_ascii_lowercase();
        for at in 0..5 {
            self.add(what, "base32", lower(encode(bytes, at, 5, &BASE32_NOPAD)));
        }
    }

    /// An address and port of IPv4: as text, beside each other in both byte orders, as the system's structures have them,
    /// mapped into IPv6, and each part alone where it can be told from chance.
    pub fn address(&mut self, what: &str, address: SocketAddr) {
        let IpAddr::V4(ip) = address.ip() else { return };
        let (forward, mut backward) = (ip.octets(), ip.octets());
        backward.reverse();
        let port = address.port();
        for ip in [forward, backward] {
            for port in [port.to_be_bytes(), port.to_le_bytes()] {
                self.add(what, "ip and port", [&ip[..], &port[..]].concat());
                self.add(what, "port and ip", [&port[..], &ip[..]].concat());
            }
        }
        self.add(what, "mapped", [&[0xff, 0xff][..], &forward[..]].concat());
        self.add(what, "text", ip.to_string().into_bytes());
        self.add(
            what,
            "mapped, text",
            ip.to_ipv6_mapped().segments()[6..]
                .iter()
                .map(|part| format!("{part:x}"))
                .collect::<Vec<_>>()
                .join(":")
                .into_bytes(),
        );
        self.add(what, "port, text", format!("{port}").into_bytes());
        self.add(what, "hex", HEXLOWER.encode(&forward).into_bytes());
        self.add(what, "HEX", HEXUPPER.encode(&forward).into_bytes());
        let both = [&forward[..], &port.to_be_bytes()[..]].concat();
        self.add(what, "base64", BASE64_NOPAD.encode(&both).into_bytes());
        self.add(what, "base32", BASE32_NOPAD.encode(&both).to_ascii_lowercase().into_bytes());
        self.add(what, "ip", forward.to_vec());
        self.add(what, "ip, backwards", backward.to_vec());
    }

    /// Everything that `other` looks for too.
    pub fn extend(&mut self, other: &Self) {
        self.0.extend(other.0.iter().cloned());
    }

    /// Only those things for which `keep` says so.
    #[must_use]
    pub fn only(&self, keep: impl Fn(&Needle) -> bool) -> Self {
        Self(self.0.iter().filter(|needle| keep(needle)).cloned().collect())
    }

    /// Exactly these bytes and nothing like them.
    pub fn add(&mut self, what: &str, spelling: &'static str, bytes: Vec<u8>) {
        let strength = match bytes.len() {
            0..4 => return,
            4 => Strength::Weak,
            _ => Strength::Strong,
        };
        if !self.0.iter().any(|needle| needle.bytes == bytes) {
            self.0.push(Needle { what: what.to_owned(), spelling, bytes, strength });
        }
    }

    /// What stands in an encoding of something longer: the part that does not depend on what is around it, for each
    /// place within a group at which it could begin.
    fn aligned(
        &mut self,
        what: &str,
        spelling: &'static str,
        bytes: &[u8],
        group: usize,
        encoding: &Encoding,
    ) {
        for at in 0..group {
            self.add(what, spelling, encode(bytes, at, group, encoding));
        }
    }
}

fn encode(bytes: &[u8], at: usize, group: usize, encoding: &Encoding) -> Vec<u8> {
    let rest = bytes.get(at..).unwrap_or_default();
    let whole = rest.len() - rest.len() % group;
    // A short rest could be a word of its own.
    if whole < 2 * group { Vec::new() } else { encoding.encode(&rest[..whole]).into_bytes() }
}

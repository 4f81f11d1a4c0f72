//! QUIC packets in a datagram (RFC 9000, 17): where one ends and what its header says.

use std::time::Duration;

use anyhow::{Result, bail, ensure};

use super::frame::{Bytes, Frame};
use super::keys::Opener;

/// QUIC version 1.
const VERSION: u64 = 1;

/// Which keys protect a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Space {
    /// Keys that everybody knows who sees the first packet.
    Initial,
    /// Keys of an earlier connection: data before the handshake.
    ZeroRtt,
    /// Keys of the handshake.
    Handshake,
    /// Keys of the connection.
    Application,
}

/// A packet, opened.
#[derive(Clone, Debug)]
pub struct Packet {
    /// Since the record began.
    pub at: Duration,
    /// Whether the client sent it.
    pub from_client: bool,
    /// Its keys.
    pub space: Space,
    /// Its number.
    pub number: u64,
    /// Connection id that it is sent to.
    pub to: Vec<u8>,
    /// Connection id that it is sent from; none in a short header.
    pub from: Vec<u8>,
    /// Token of an Initial.
    pub token: Vec<u8>,
    /// What it carries.
    pub frames: Vec<Frame>,
    /// The same in bytes.
    pub payload: Vec<u8>,
}

/// A header, still protected, and where its packet ends.
pub(super) struct Header {
    pub(super) space: Space,
    pub(super) to: Vec<u8>,
    pub(super) from: Vec<u8>,
    pub(super) token: Vec<u8>,
    number_at: usize,
    pub(super) end: usize,
}

impl Header {
    /// Reads the header at the front of `bytes`; `id_len` is how long the receiver's connection ids are. The fixed bit
    /// is drawn at random by both ends (RFC 9287).
    pub(super) fn read(bytes: &[u8], id_len: usize) -> Result<Self> {
        let mut rest = Bytes(bytes);
        let first = rest.number(1)?;
        if first & 0x80 == 0 {
            let to = rest.take(id_len)?.to_vec();
            let (number_at, end) = (1 + id_len, bytes.len());
            let (from, token, space) = (Vec::new(), Vec::new(), Space::Application);
            return Ok(Self { space, to, from, token, number_at, end });
        }
        ensure!(rest.number(4)? == VERSION, "a packet of another version");
        let mut id = || -> Result<Vec<u8>> {
            let length = usize::try_from(rest.number(1)?)?;
            Ok(rest.take(length)?.to_vec())
        };
        let (to, from) = (id()?, id()?);
        let (space, token) = match first >> 4 & 3 {
            0 => (Space::Initial, rest.counted()?.to_vec()),
            1 => (Space::ZeroRtt, Vec::new()),
            2 => (Space::Handshake, Vec::new()),
            _ => bail!("a retry, which hands out a token"),
        };
        let length = usize::try_from(rest.varint()?)?;
        let number_at = bytes.len() - rest.0.len();
        ensure!(length <= rest.0.len(), "a packet that is cut off");
        Ok(Self { space, to, from, token, number_at, end: number_at + length })
    }

    /// Opens the packet in `bytes`; `largest` is the largest number before it.
    pub(super) fn open(
        self,
        bytes: &[u8],
        opener: &mut Opener,
        largest: Option<u64>,
        at: Duration,
        from_client: bool,
    ) -> Result<Packet> {
        let mut header = bytes[..self.end].to_vec();
        let sample = self.number_at + 4..self.number_at + 4 + opener.header.sample_len();
        let sample = bytes[..self.end].get(sample).ok_or(anyhow::anyhow!("no sample"))?.to_vec();
        let (first, rest) = header.split_at_mut(1);
        let number = &mut rest[self.number_at - 1..self.number_at + 3];
        let unprotected = opener.header.decrypt_in_place(&sample, &mut first[0], number);
        unprotected.map_err(|_| anyhow::anyhow!("a header that does not open"))?;
        let first = header[0];
        let reserved = if first & 0x80 == 0 { 0x18 } else { 0x0c };
        ensure!(first & reserved == 0, "reserved bits that are set");
        let length = 1 + usize::from(first & 3);
        let sent = Bytes(&header[self.number_at..]).number(length)?;
        let number = whole_number(sent, 8 * length, largest);
        header.truncate(self.number_at + length);
        let is_short = first & 0x80 == 0;
        let sealed = &bytes[self.number_at + length..self.end];
        let phase = is_short && first & 0x04 != 0;
        let payload = opener.open(number, phase, &header, sealed)?;
        let frames = Frame::all(&payload)?;
        let Self { space, to, from, token, .. } = self;
        Ok(Packet { at, from_client, space, number, to, from, token, frames, payload })
    }
}

/// The packet number of which `bits` bits were sent (RFC 9000, A.3).
fn whole_number(sent: u64, bits: usize, largest: Option<u64>) -> u64 {
    let expected = largest.map_or(0, |largest| largest + 1);
    let window = 1_u64 << bits;
    let candidate = expected & !(window - 1) | sent;
    if candidate + window / 2 <= expected {
        candidate + window
    } else if candidate > expected + window / 2 && candidate >= window {
        candidate - window
    } else {
        candidate
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_packet_number_is_completed_by_the_largest_before_it() {
        // RFC 9000, A.3.
        assert_eq!(whole_number(0x9b32, 16, Some(0xa82f_30ea)), 0xa82f_9b32);
        assert_eq!(whole_number(0, 8, None), 0);
        assert_eq!(whole_number(0xff, 8, Some(0x100)), 0xff);
        assert_eq!(whole_number(1, 8, Some(0xff)), 0x101);
    }
}

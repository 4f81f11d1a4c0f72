//! The frames of a decrypted QUIC packet (RFC 9000, 19), read to the last byte: what is not known is a fault.

use anyhow::{Result, bail, ensure};

/// Reads a packet's payload from the front.
#[derive(Debug)]
pub(super) struct Bytes<'a>(pub(super) &'a [u8]);

/// A frame, with what the checks look at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Frame {
    /// So many zero bytes.
    Padding(usize),
    /// Asks for an acknowledgement.
    Ping,
    /// Acknowledges; the highest packet number.
    Ack(u64),
    /// A stream was given up.
    ResetStream(u64),
    /// A stream is no longer read.
    StopSending(u64),
    /// Handshake bytes at an offset.
    Crypto(u64, Vec<u8>),
    /// An address token for a later connection.
    NewToken(Vec<u8>),
    /// Stream, offset, bytes, whether they are the last.
    Stream(u64, u64, Vec<u8>, bool),
    /// Flow control: frame type and its numbers.
    Flow(u64, Vec<u64>),
    /// Sequence number, connection id and stateless reset token.
    NewConnectionId(u64, Vec<u8>, Vec<u8>),
    /// Sequence number.
    RetireConnectionId(u64),
    /// 8 bytes that show a path.
    PathChallenge(Vec<u8>),
    /// 8 bytes that answer.
    PathResponse(Vec<u8>),
    /// Frame type, code and reason.
    Close(u64, u64, Vec<u8>),
    /// The server has confirmed the handshake.
    HandshakeDone,
    /// An unreliable datagram (RFC 9221).
    Datagram(Vec<u8>),
    /// How acknowledgements are to come (draft-ietf-quic-ack-frequency): frame type and its numbers.
    AckFrequency(u64, Vec<u64>),
}

impl<'a> Bytes<'a> {
    /// The next `count` bytes.
    ///
    /// # Errors
    /// When there are fewer.
    pub(super) fn take(&mut self, count: usize) -> Result<&'a [u8]> {
        ensure!(count <= self.0.len(), "{count} bytes of {}", self.0.len());
        let (taken, rest) = self.0.split_at(count);
        self.0 = rest;
        Ok(taken)
    }

    /// A big-endian number of `count` bytes.
    ///
    /// # Errors
    /// When there are fewer.
    pub(super) fn number(&mut self, count: usize) -> Result<u64> {
        Ok(self.take(count)?.iter().fold(0, |number, byte| number << 8 | u64::from(*byte)))
    }

    /// A variable-length integer (RFC 9000, 16).
    ///
    /// # Errors
    /// When it is cut off.
    pub(super) fn varint(&mut self) -> Result<u64> {
        let Some(first) = self.0.first() else { bail!("no byte of a number") };
        let count = 1 << (first >> 6);
        Ok(self.number(count)? & (u64::MAX >> 2 >> (64 - 8 * count)))
    }

    /// Bytes behind a variable-length count of them.
    ///
    /// # Errors
    /// When they are cut off.
    pub(super) fn counted(&mut self) -> Result<&'a [u8]> {
        let count = self.varint()?;
        self.take(usize::try_from(count)?)
    }
}

impl Frame {
    /// Every frame of a payload.
    ///
    /// # Errors
    /// Where one is cut off or of a type that QUIC version 1 and its datagrams do not have.
    pub fn all(payload: &[u8]) -> Result<Vec<Self>> {
        let mut bytes = Bytes(payload);
        let mut frames = Vec::new();
        while !bytes.0.is_empty() {
            frames.push(Self::next(&mut bytes)?);
        }
        Ok(frames)
    }

    fn next(bytes: &mut Bytes<'_>) -> Result<Self> {
        let kind = bytes.varint()?;
        Ok(match kind {
            0x00 => {
                let more = bytes.0.iter().take_while(|byte| **byte == 0).count();
                bytes.take(more)?;
                Self::Padding(more + 1)
            }
            0x01 => Self::Ping,
            0x02 | 0x03 => {
                let (highest, _delay) = (bytes.varint()?, bytes.varint()?);
                let (ranges, _first) = (bytes.varint()?, bytes.varint()?);
                let ecn = if kind == 0x03 { 3 } else { 0 };
                for _ in 0..2 * ranges + ecn {
                    bytes.varint()?;
                }
                Self::Ack(highest)
            }
            0x04 => {
                let (stream, _code, _size) = (bytes.varint()?, bytes.varint()?, bytes.varint()?);
                Self::ResetStream(stream)
            }
            0x05 => {
                let (stream, _code) = (bytes.varint()?, bytes.varint()?);
                Self::StopSending(stream)
            }
            0x06 => Self::Crypto(bytes.varint()?, bytes.counted()?.to_vec()),
            0x07 => Self::NewToken(bytes.counted()?.to_vec()),
            0x08..=0x0f => Self::stream(kind, bytes)?,
            0x10 | 0x12..=0x14 | 0x16 | 0x17 => Self::Flow(kind, vec![bytes.varint()?]),
            0x11 | 0x15 => Self::Flow(kind, vec![bytes.varint()?, bytes.varint()?]),
            0x18 => {
                let (sequence, _retire) = (bytes.varint()?, bytes.varint()?);
                let length = usize::try_from(bytes.number(1)?)?;
                let id = bytes.take(length)?.to_vec();
                Self::NewConnectionId(sequence, id, bytes.take(16)?.to_vec())
            }
            0x19 => Self::RetireConnectionId(bytes.varint()?),
            0x1a => Self::PathChallenge(bytes.take(8)?.to_vec()),
            0x1b => Self::PathResponse(bytes.take(8)?.to_vec()),
            0x1c => {
                let (code, _frame) = (bytes.varint()?, bytes.varint()?);
                Self::Close(kind, code, bytes.counted()?.to_vec())
            }
            0x1d => Self::Close(kind, bytes.varint()?, bytes.counted()?.to_vec()),
            0x1e => Self::HandshakeDone,
            0x1f => Self::AckFrequency(kind, Vec::new()),
            0xaf => {
                let numbers = (0..4).map(|_| bytes.varint()).collect::<Result<_>>()?;
                Self::AckFrequency(kind, numbers)
            }
            0x30 => Self::Datagram(bytes.take(bytes.0.len())?.to_vec()),
            0x31 => Self::Datagram(bytes.counted()?.to_vec()),
            _ => bail!("a frame of type {kind:#x}"),
        })
    }

    fn stream(kind: u64, bytes: &mut Bytes<'_>) -> Result<Self> {
        let stream = bytes.varint()?;
        let offset = if kind & 0x04 == 0 { 0 } else { bytes.varint()? };
        let data =
            if kind & 0x02 == 0 { bytes.take(bytes.0.len())? } else { bytes.counted()? }.to_vec();
        Ok(Self::Stream(stream, offset, data, kind & 0x01 != 0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_every_length_are_read() {
        // RFC 9000, A.1.
        let read = |bytes: &[u8]| Bytes(bytes).varint().unwrap();
        assert_eq!(
            read(&[0xc2, 0x19, 0x7c, 0x5e, 0xff, 0x14, 0xe8, 0x8c]),
            151_288_809_941_952_652
        );
        assert_eq!(read(&[0x9d, 0x7f, 0x3e, 0x7d]), 494_878_333);
        assert_eq!(read(&[0x7b, 0xbd]), 15_293);
        assert_eq!(read(&[0x25]), 37);
        assert!(Bytes(&[0x40]).varint().is_err());
    }

    #[test]
    fn a_payload_is_read_to_its_last_byte_or_refused() {
        let payload = [0, 0, 1, 7, 2, 9, 9, 0x0e, 0, 4, 1, 5];
        let frames = Frame::all(&payload).unwrap();
        let stream = Frame::Stream(0, 4, vec![5], false);
        assert_eq!(frames, [Frame::Padding(2), Frame::Ping, Frame::NewToken(vec![9, 9]), stream]);
        assert!(Frame::all(&payload[..11]).is_err());
        assert!(Frame::all(&[0x21]).is_err());
    }
}

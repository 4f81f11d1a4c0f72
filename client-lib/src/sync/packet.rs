//! What travels inside the ratchet: packets in blobs, and the content that fragments of them add up to.
//!
//! A packet fills one blob: an introduction where the other side needs one, and a fragment of a message. The fragments
//! of a message, joined in order, are a [`Content`]. Nothing is compressed.

use hearken_proto::limits::TEXT_MAX;
use prost::Message;

use crate::ratchet::BODY_MAX;

/// What one blob carries, inside both seals.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct Packet {
    /// What the receiver needs to answer and to make its mailbox again.
    #[prost(message, optional, tag = "1")]
    pub(crate) introduction: Option<Introduction>,
    /// A part of a message.
    #[prost(message, optional, tag = "2")]
    pub(crate) fragment: Option<Fragment>,
}

/// Sent by each side in its first packet, and by the joiner before every message until it is answered.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct Introduction {
    /// Public key with which the sender of this puts blobs into the receiver's mailbox, 32 bytes.
    #[prost(bytes = "vec", tag = "1")]
    pub(crate) sender_public_key: Vec<u8>,
    /// By the joiner: the mailbox to answer to.
    #[prost(message, optional, tag = "2")]
    pub(crate) answer_to: Option<MailboxCard>,
}

/// A mailbox that can be claimed.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct MailboxCard {
    /// Address of its relay.
    #[prost(string, tag = "1")]
    pub(crate) relay: String,
    /// Private key of the claim, 32 bytes.
    #[prost(bytes = "vec", tag = "2")]
    pub(crate) claim_secret: Vec<u8>,
}

/// A part of a message.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct Fragment {
    /// The message, 16 bytes.
    #[prost(bytes = "vec", tag = "1")]
    pub(crate) message: Vec<u8>,
    /// Its place, from 0.
    #[prost(uint32, tag = "2")]
    pub(crate) index: u32,
    /// How many there are.
    #[prost(uint32, tag = "3")]
    pub(crate) count: u32,
    /// The bytes.
    #[prost(bytes = "vec", tag = "4")]
    pub(crate) body: Vec<u8>,
}

/// A message.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct Content {
    /// When it was written, by the writer's clock: milliseconds since 1970.
    #[prost(uint64, tag = "1")]
    pub(crate) sent_at_ms: u64,
    /// The words.
    #[prost(message, optional, tag = "2")]
    pub(crate) text: Option<Text>,
}

/// Words that somebody wrote.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct Text {
    /// Byte for byte as written.
    #[prost(string, tag = "1")]
    pub(crate) text: String,
}

/// Tags and lengths around a fragment's bytes: 3 for the packet, 18 for the id, 2 × 6 for the numbers, 3 for the bytes.
const FRAGMENT_OVERHEAD: usize = 3 + 18 + 12 + 3;
/// Bytes of a message in one fragment.
pub(crate) const FRAGMENT_MAX: usize = BODY_MAX - FRAGMENT_OVERHEAD;
/// Tags, lengths and time around a text.
const CONTENT_OVERHEAD: usize = 64;
/// Fragments of the longest message.
pub(crate) const FRAGMENTS_MAX: u32 = (TEXT_MAX + CONTENT_OVERHEAD).div_ceil(FRAGMENT_MAX) as u32;

const _: () = {
    assert!(FRAGMENT_MAX >= 1_000);
    // The longest text fits twice into a mailbox.
    assert!(FRAGMENTS_MAX * 2 + 2 <= hearken_proto::limits::MAILBOX_BLOBS_MAX);
};

impl Content {
    /// Cuts the message into packets.
    pub(crate) fn into_packets(self, message: [u8; 16]) -> Vec<Packet> {
        let bytes = zeroize::Zeroizing::new(self.encode_to_vec());
        let count = bytes.len().div_ceil(FRAGMENT_MAX).max(1);
        (0..count)
            .map(|index| {
                let body = bytes[index * FRAGMENT_MAX..bytes.len().min((index + 1) * FRAGMENT_MAX)]
                    .to_vec();
                let number = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
                Packet {
                    introduction: None,
                    fragment: Some(Fragment {
                        message: message.to_vec(),
                        index: number(index),
                        count: number(count),
                        body,
                    }),
                }
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_text_is_cut_into_packets_that_fit() {
        let text = "x".repeat(TEXT_MAX);
        let content = Content { sent_at_ms: u64::MAX, text: Some(Text { text }) };
        let packets = content.clone().into_packets([0xff; 16]);
        assert!(packets.len() <= FRAGMENTS_MAX as usize);
        let mut joined = Vec::new();
        for packet in packets {
            assert!(packet.encoded_len() <= BODY_MAX);
            joined.extend(packet.fragment.unwrap().body);
        }
        assert_eq!(Content::decode(joined.as_slice()).unwrap(), content);
    }

    #[test]
    fn an_introduction_with_the_longest_address_fits_one_packet() {
        let packet = Packet {
            introduction: Some(Introduction {
                sender_public_key: vec![1; 32],
                answer_to: Some(MailboxCard {
                    relay: "x".repeat(crate::sync::RELAY_ADDRESS_MAX),
                    claim_secret: vec![2; 32],
                }),
            }),
            fragment: None,
        };
        assert!(packet.encoded_len() <= BODY_MAX);
    }
}

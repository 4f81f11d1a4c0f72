//! What travels inside the ratchet: packets in blobs, and the content that fragments of them add up to.
//!
//! A packet fills one blob: an introduction where the other side needs one, and a fragment of a message. The fragments
//! of a message, joined in order, are a [`Content`](super::content::Content). Nothing is compressed.

use prost::Message;

use super::content::CONTENT_MAX;
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

/// Tags and lengths around a fragment's bytes: 3 for the packet, 18 for the id, 2 × 6 for the numbers, 3 for the bytes.
const FRAGMENT_OVERHEAD: usize = 3 + 18 + 12 + 3;
/// Bytes of a message in one fragment.
pub(crate) const FRAGMENT_MAX: usize = BODY_MAX - FRAGMENT_OVERHEAD;
/// Fragments of the longest message.
pub(crate) const FRAGMENTS_MAX: u32 = CONTENT_MAX.div_ceil(FRAGMENT_MAX) as u32;

const _: () = {
    assert!(FRAGMENT_MAX >= 1_000);
    // The longest text fits twice into a mailbox.
    assert!(FRAGMENTS_MAX * 2 + 2 <= hearken_proto::limits::MAILBOX_BLOBS_MAX);
};

/// Cuts a content into packets.
pub(crate) fn cut(message: [u8; 16], content: &[u8]) -> Vec<Packet> {
    let count = content.len().div_ceil(FRAGMENT_MAX).max(1);
    (0..count)
        .map(|index| {
            let end = content.len().min((index + 1) * FRAGMENT_MAX);
            let number = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
            Packet {
                introduction: None,
                fragment: Some(Fragment {
                    message: message.to_vec(),
                    index: number(index),
                    count: number(count),
                    body: content[index * FRAGMENT_MAX..end].to_vec(),
                }),
            }
        })
        .collect()
}

/// Bytes that can be added to a content without one fragment more.
pub(crate) fn room_behind(content: &[u8]) -> usize {
    content.len().div_ceil(FRAGMENT_MAX).max(1) * FRAGMENT_MAX - content.len()
}

#[cfg(test)]
mod tests {
    use hearken_proto::limits::TEXT_MAX;

    use super::*;
    use crate::sync::content::{Body, Content, RECEIPTS_MAX, Text, VERSION};

    #[test]
    fn the_longest_text_is_cut_into_packets_that_fit() {
        let text = Text { text: "x".repeat(TEXT_MAX), reply_to: vec![0xff; 16] };
        let content = Content {
            version: VERSION,
            sent_at_ms: u64::MAX,
            order: u64::MAX,
            expires_after_s: u32::MAX,
            receipts: vec![0xff; RECEIPTS_MAX * 16],
            body: Some(Body::Text(text)),
        };
        assert!(content.encoded_len() <= CONTENT_MAX);
        let packets = cut([0xff; 16], &content.encode_to_vec());
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

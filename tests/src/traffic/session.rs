//! A recorded connection, opened: its packets, its handshake and its streams in both directions.
//!
//! Guarantees: every byte of every datagram is accounted for; a packet that does not open, a frame that is not known,
//! and two different bytes for one place of a stream are errors, so nothing is passed over.

use std::collections::BTreeMap;

use anyhow::{Context, Result, bail, ensure};

use super::frame::Frame;
use super::keys::{KeyLog, Opener, Suite};
use super::packet::{Header, Packet, Space};
use super::tap::Datagram;
use super::tls::{ClientHello, Message, ServerHello};

/// The longest stream that is put together, in bytes.
const STREAM_MAX: usize = 64 << 20;

/// Bytes put together from pieces.
#[derive(Clone, Debug, Default)]
struct Pieces(Vec<Option<u8>>);

/// A connection between a client and a relay.
#[derive(Clone, Debug)]
pub struct Session {
    /// The client's port.
    pub client: u16,
    /// Every packet, in the order in which they passed.
    pub packets: Vec<Packet>,
    /// The first TLS message.
    pub client_hello: ClientHello,
    /// Whether both ends knew the keys of an earlier connection.
    pub data_before_handshake: bool,
}

/// Which end speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum From {
    /// The client.
    Client,
    /// The relay.
    Relay,
}

impl Pieces {
    fn add(&mut self, offset: u64, bytes: &[u8]) -> Result<()> {
        let offset = usize::try_from(offset)?;
        let end = offset + bytes.len();
        ensure!(end <= STREAM_MAX, "a stream longer than any here");
        if self.0.len() < end {
            self.0.resize(end, None);
        }
        for (place, byte) in self.0[offset..end].iter_mut().zip(bytes) {
            ensure!(place.is_none_or(|before| before == *byte), "a stream that says two things");
            *place = Some(*byte);
        }
        Ok(())
    }

    /// What is there from the first byte on.
    fn bytes(&self) -> Vec<u8> {
        self.0.iter().map_while(|byte| *byte).collect()
    }
}

impl Session {
    /// Opens every connection of a record, in the order in which they began.
    ///
    /// # Errors
    /// Where anything does not open or cannot be read.
    pub fn all(datagrams: &[Datagram], keys: &KeyLog) -> Result<Vec<Self>> {
        let open = |own: Vec<Datagram>| Opening::default().run(&own, keys);
        connections(datagrams)?.into_iter().map(open).collect()
    }

    /// The packets that one end sent.
    pub fn sent_by(&self, from: From) -> impl Iterator<Item = &Packet> {
        self.packets.iter().filter(move |packet| packet.from_client == (from == From::Client))
    }

    /// The handshake bytes that one end sent in a space.
    ///
    /// # Errors
    /// When they contradict each other.
    pub fn handshake(&self, from: From, space: Space) -> Result<Vec<u8>> {
        let mut pieces = Pieces::default();
        for packet in self.sent_by(from).filter(|packet| packet.space == space) {
            for frame in &packet.frames {
                if let Frame::Crypto(offset, bytes) = frame {
                    pieces.add(*offset, bytes)?;
                }
            }
        }
        Ok(pieces.bytes())
    }

    /// The TLS messages that one end sent in a space.
    ///
    /// # Errors
    /// When they cannot be read.
    pub fn messages(&self, from: From, space: Space) -> Result<Vec<Message>> {
        Message::all(&self.handshake(from, space)?)
    }

    /// What one end sent on its streams, by stream, with whether it sent the end.
    ///
    /// # Errors
    /// When it contradicts itself.
    pub fn streams(&self, from: From) -> Result<BTreeMap<u64, (Vec<u8>, bool)>> {
        let mut streams: BTreeMap<u64, (Pieces, bool)> = BTreeMap::new();
        for frame in self.sent_by(from).flat_map(|packet| &packet.frames) {
            if let Frame::Stream(stream, offset, bytes, last) = frame {
                let (pieces, ended) = streams.entry(*stream).or_default();
                pieces.add(*offset, bytes)?;
                *ended |= *last;
            }
        }
        let whole =
            |(stream, (pieces, ended)): (u64, (Pieces, bool))| (stream, (pieces.bytes(), ended));
        Ok(streams.into_iter().map(whole).collect())
    }
}

/// The datagrams of a record by connection, in the order in which the connections began.
///
/// The kernel may give a port that one socket left to the next one, so a port is not a connection: a new one begins where
/// a client's first packet is sent to an id that nobody has named on its port (RFC 9000, 7.2).
///
/// # Errors
/// When a header cannot be read.
pub fn connections(datagrams: &[Datagram]) -> Result<Vec<Vec<Datagram>>> {
    let mut all: Vec<Vec<Datagram>> = Vec::new();
    // By port: which connection it carries, and the ids of its relay.
    let mut latest: BTreeMap<u16, (usize, Vec<Vec<u8>>)> = BTreeMap::new();
    for datagram in datagrams {
        if datagram.bytes.first().is_some_and(|first| first & 0x80 != 0) {
            let header = Header::read(&datagram.bytes, 0)?;
            let is_named = |(_, ids): &(usize, Vec<Vec<u8>>)| ids.contains(&header.to);
            if !datagram.from_client {
                let named =
                    latest.get_mut(&datagram.client).context("a client before its relay")?;
                named.1.push(header.from);
            } else if header.space == Space::Initial
                && !latest.get(&datagram.client).is_some_and(is_named)
            {
                latest.insert(datagram.client, (all.len(), vec![header.to]));
                all.push(Vec::new());
            }
        }
        let (at, _) = latest.get(&datagram.client).context("a connection without a beginning")?;
        all[*at].push(datagram.clone());
    }
    Ok(all)
}

/// What is known while a connection is read.
#[derive(Default)]
struct Opening {
    packets: Vec<Packet>,
    /// By direction and space.
    openers: BTreeMap<(From, Space), Opener>,
    largest: BTreeMap<(From, Space), u64>,
    id_lens: BTreeMap<From, usize>,
    client_hello: Option<ClientHello>,
    has_application_keys: bool,
    data_before_handshake: bool,
}

impl Opening {
    fn run(mut self, datagrams: &[Datagram], keys: &KeyLog) -> Result<Session> {
        let client = datagrams.first().context("a connection without a datagram")?.client;
        for datagram in datagrams {
            let mut rest = &datagram.bytes[..];
            while !rest.is_empty() {
                let taken = self.packet(datagram, rest, keys).with_context(|| {
                    let from = if datagram.from_client { "client" } else { "relay" };
                    format!("packet {} of port {client}, from the {from}", self.packets.len())
                })?;
                rest = &rest[taken..];
            }
        }
        Ok(Session {
            client,
            packets: self.packets,
            client_hello: self.client_hello.context("a ClientHello")?,
            data_before_handshake: self.data_before_handshake,
        })
    }

    /// Reads the packet at the front of `bytes`; says how long it is.
    fn packet(&mut self, datagram: &Datagram, bytes: &[u8], keys: &KeyLog) -> Result<usize> {
        let (from, to) = if datagram.from_client {
            (From::Client, From::Relay)
        } else {
            (From::Relay, From::Client)
        };
        let header = Header::read(bytes, self.id_lens.get(&to).copied().unwrap_or(0))?;
        let (space, end) = (header.space, header.end);
        if space != Space::Application {
            self.id_lens.insert(from, header.from.len());
        }
        if space == Space::ZeroRtt {
            // Its keys are of no interest: that it is there is the finding.
            self.data_before_handshake = true;
            return Ok(end);
        }
        if space == Space::Initial && self.openers.is_empty() {
            let [client, relay] = Opener::initial(&header.to)?;
            self.openers.insert((From::Client, Space::Initial), client);
            self.openers.insert((From::Relay, Space::Initial), relay);
        }
        let opener = self.openers.get_mut(&(from, space)).context("keys of a packet")?;
        let largest = self.largest.get(&(from, space)).copied();
        let packet =
            header.open(&bytes[..end], opener, largest, datagram.at, datagram.from_client)?;
        self.largest.insert((from, space), largest.unwrap_or(0).max(packet.number));
        self.packets.push(packet);
        if space == Space::Initial && !self.has_application_keys {
            self.learn(keys)?;
        }
        Ok(end)
    }

    /// Looks for both hellos, and with them for the secrets of the connection.
    fn learn(&mut self, keys: &KeyLog) -> Result<()> {
        let hello = |from: From| -> Result<Option<Message>> {
            let mut pieces = Pieces::default();
            for packet in self.packets.iter().filter(|packet| {
                packet.space == Space::Initial && packet.from_client == (from == From::Client)
            }) {
                for frame in &packet.frames {
                    if let Frame::Crypto(offset, bytes) = frame {
                        pieces.add(*offset, bytes)?;
                    }
                }
            }
            Ok(Message::first(&pieces.bytes()))
        };
        if self.client_hello.is_none()
            && let Some(message) = hello(From::Client)?
        {
            self.client_hello = Some(ClientHello::read(&message)?);
        }
        let (Some(client_hello), Some(message)) = (&self.client_hello, hello(From::Relay)?) else {
            return Ok(());
        };
        let suite = Suite::of(ServerHello::read(&message)?.suite)?;
        for (from, name) in [(From::Client, "CLIENT"), (From::Relay, "SERVER")] {
            for (space, label) in [
                (Space::Handshake, "HANDSHAKE_TRAFFIC_SECRET"),
                (Space::Application, "TRAFFIC_SECRET_0"),
            ] {
                let secret = keys.secret(&format!("{name}_{label}"), &client_hello.random);
                let Some(secret) = secret else { bail!("no {label} in the key log") };
                self.openers.insert((from, space), Opener::of(suite, secret)?);
            }
        }
        self.has_application_keys = true;
        Ok(())
    }
}

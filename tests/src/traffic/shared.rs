//! What two sessions of one client have in common on the wire.
//!
//! Two questions. [`strings`]: is there a string of eight bytes or more that the client sends in both, anywhere in its
//! packets, but for those that [`CONSTANTS`] spells out? Eight bytes that are drawn at random are the same by chance once
//! in 10^9 such comparisons. [`fields`]: is a named field, however short, the same in both sessions of one client and
//! another in a session of somebody else? Deliberately not compared: times, sizes, addresses, what the relay chose, and
//! whether QUIC leaves out the first packet number, which it does once in 64.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Result;
use hearken_proto::limits::{CELL_LEN, FRAME_LEN};

use super::frame::{Bytes, Frame};
use super::packet::Space;
use super::session::{From, Session};
use super::tls::{ClientHello, KEY_SHARE, TRANSPORT_PARAMETERS, transport_parameters};

/// The shortest string that counts, in bytes.
const STRING_MIN: usize = 8;

/// A string that every client sends, and why.
#[derive(Clone, Copy, Debug)]
pub struct Constant {
    /// The bytes.
    pub bytes: &'static [u8],
    /// What they are.
    pub why: &'static str,
}

/// Strings of eight bytes or more that every session of every client has. The rest of a ClientHello is shorter values,
/// which [`own_fields`] compares.
pub const CONSTANTS: &[Constant] =
    &[Constant { bytes: b"\x00\x0a\x09hearken/1", why: "the protocol, in the ClientHello" }];

/// What a client sends that can hold a string: by what it is called, without the frames of cells, which are compared as
/// fields.
///
/// # Errors
/// When the session cannot be read.
pub fn pieces(session: &Session) -> Result<Vec<(&'static str, Vec<u8>)>> {
    let mut pieces: Vec<(&'static str, Vec<u8>)> = Vec::new();
    for packet in session.sent_by(From::Client) {
        pieces.push(("a connection id of its own", packet.from.clone()));
        pieces.push(("a token", packet.token.clone()));
        for frame in &packet.frames {
            match frame {
                Frame::NewConnectionId(_, id, reset_token) => {
                    pieces.push(("a connection id to come", id.clone()));
                    pieces.push(("a reset token", reset_token.clone()));
                }
                Frame::PathChallenge(bytes) | Frame::PathResponse(bytes) => {
                    pieces.push(("a path's bytes", bytes.clone()));
                }
                Frame::Close(_, _, reason) => pieces.push(("a reason", reason.clone())),
                Frame::NewToken(bytes) | Frame::Datagram(bytes) => {
                    pieces.push(("an unexpected frame", bytes.clone()));
                }
                _ => {}
            }
        }
    }
    // To whom the first packet was: the client drew it.
    let first = session.sent_by(From::Client).next();
    pieces.extend(first.map(|packet| ("the first connection id", packet.to.clone())));
    pieces.extend(hello(&session.client_hello)?);
    for space in [Space::Handshake, Space::Application] {
        for message in session.messages(From::Client, space)? {
            pieces.push(("a handshake message", message.body));
        }
    }
    for (bytes, _) in session.streams(From::Client)?.into_values() {
        let cells = bytes.chunks(CELL_LEN);
        pieces.extend(cells.map(|cell| ("a cell", cell[FRAME_LEN.min(cell.len())..].to_vec())));
    }
    pieces.sort();
    pieces.dedup();
    Ok(pieces)
}

/// Every value in a ClientHello. Types and lengths between them are the protocol's; their order is drawn each time.
fn hello(hello: &ClientHello) -> Result<Vec<(&'static str, Vec<u8>)>> {
    let mut values = vec![
        ("the client's random", hello.random.clone()),
        ("a session id", hello.session_id.clone()),
        ("the cipher suites", hello.suites.clone()),
    ];
    for (kind, body) in &hello.extensions {
        if *kind == KEY_SHARE {
            // Length of all, then group and length of each.
            let mut shares = Bytes(body.get(2..).unwrap_or_default());
            while !shares.0.is_empty() {
                let (_group, length) = (shares.number(2)?, shares.number(2)?);
                values.push(("a key share", shares.take(usize::try_from(length)?)?.to_vec()));
            }
        } else if *kind != TRANSPORT_PARAMETERS {
            values.push(("an extension", body.clone()));
        }
    }
    for (_, value) in transport_parameters(&hello.extensions)? {
        values.push(("a transport parameter", value));
    }
    Ok(values)
}

/// Strings that both sessions' clients send, but for the constants, each with where it stands.
///
/// # Errors
/// When a session cannot be read.
pub fn strings(one: &Session, other: &Session) -> Result<Vec<String>> {
    let (one, other) = (pieces(one)?, pieces(other)?);
    let mut known: BTreeMap<[u8; STRING_MIN], &'static str> = BTreeMap::new();
    for (what, bytes) in &one {
        for part in without_constants(bytes) {
            known.extend(grams(part).map(|gram| (gram, *what)));
        }
    }
    let mut found = Vec::new();
    for (what, bytes) in &other {
        for part in without_constants(bytes) {
            let mut run: Option<(usize, &'static str)> = None;
            // A gram behind the last ends a run that goes to the end.
            for (at, gram) in grams(part).map(Some).chain([None]).enumerate() {
                match (gram.and_then(|gram| known.get(&gram)), run) {
                    (Some(before), None) => run = Some((at, before)),
                    (None, Some((from, before))) => {
                        let string = &part[from..at + STRING_MIN - 1];
                        let hex = data_encoding::HEXLOWER.encode(string);
                        found.push(format!("{hex} in {before} and {what}"));
                        run = None;
                    }
                    _ => {}
                }
            }
        }
    }
    found.sort();
    found.dedup();
    Ok(found)
}

fn grams(bytes: &[u8]) -> impl Iterator<Item = [u8; STRING_MIN]> + '_ {
    bytes.windows(STRING_MIN).filter_map(|window| window.try_into().ok())
}

/// The parts of a piece between constants.
fn without_constants(bytes: &[u8]) -> Vec<&[u8]> {
    let mut parts = vec![bytes];
    for constant in CONSTANTS {
        let whole = std::mem::take(&mut parts);
        for mut rest in whole {
            let length = constant.bytes.len();
            while let Some(at) = rest.windows(length).position(|found| found == constant.bytes) {
                parts.push(&rest[..at]);
                rest = &rest[at + length..];
            }
            parts.push(rest);
        }
    }
    parts
}

/// Fields of what a client sends, by name.
///
/// # Errors
/// When the session cannot be read.
pub fn fields(session: &Session) -> Result<BTreeMap<String, Vec<u8>>> {
    let hello = &session.client_hello;
    let mut fields = BTreeMap::new();
    fields.insert("random".to_owned(), hello.random.clone());
    fields.insert("session id".to_owned(), hello.session_id.clone());
    fields.insert("cipher suites".to_owned(), hello.suites.clone());
    for (kind, body) in &hello.extensions {
        if *kind != TRANSPORT_PARAMETERS {
            fields.insert(format!("extension {kind}"), body.clone());
        }
    }
    for (id, value) in transport_parameters(&hello.extensions)? {
        // Ids of this form are drawn at random so that none is relied on, with their values, which may be empty (RFC 9000,
        // 18.1): both together tell.
        let (name, value) = if id % 31 == 27 {
            ("reserved".to_owned(), [&id.to_be_bytes()[..], &value].concat())
        } else {
            (format!("{id:#x}"), value)
        };
        fields.insert(format!("transport parameter {name}"), value);
    }
    let mut spaces = BTreeSet::new();
    for packet in session.sent_by(From::Client) {
        if spaces.insert(packet.space) {
            // A number is left out at random now and then (RFC 9000, 21.4), and it may be the first.
            let number = packet.number.saturating_sub(1);
            let name = format!("first packet number, {:?}", packet.space);
            fields.insert(name, number.to_be_bytes().to_vec());
        }
        for frame in &packet.frames {
            if let Frame::Flow(kind, numbers) = frame {
                let bytes: Vec<u8> =
                    numbers.iter().flat_map(|number| number.to_be_bytes()).collect();
                fields.entry(format!("first flow control frame {kind:#x}")).or_insert(bytes);
            }
        }
    }
    for (bytes, _) in session.streams(From::Client)?.into_values() {
        let route = bytes.get(..8).unwrap_or_default().to_vec();
        fields.insert("first route id".to_owned(), route);
        for cell in bytes.chunks_exact(CELL_LEN) {
            let name = format!("zeros of cells of kind {}", cell[8]);
            fields.entry(name).or_insert_with(|| cell[12..FRAME_LEN].to_vec());
        }
    }
    Ok(fields)
}

/// Fields that are the same in two sessions of one client and not in one of somebody else, where it has them.
///
/// # Errors
/// When a session cannot be read.
pub fn own_fields(one: &Session, other: &Session, stranger: &Session) -> Result<Vec<String>> {
    let (one, other, stranger) = (fields(one)?, fields(other)?, fields(stranger)?);
    let same = one.into_iter().filter(|(name, value)| other.get(name) == Some(value));
    let others = |(name, value): &(String, Vec<u8>)| {
        stranger.get(name).is_some_and(|others| others != value)
    };
    Ok(same.filter(others).map(|(name, _)| name).collect())
}

//! What must hold of every recorded connection: whole cells, and nothing by which a later one is known.
//!
//! Each check gives what it found, in words; none is no finding. That each finds what it is for is shown on records with
//! the fault in them (`tests/tests/traffic/`).

use hearken_proto::cell::{Cell, CloseReason, Kind};
use hearken_proto::limits::CELL_LEN;

use super::frame::Frame;
use super::packet::Space;
use super::session::{From, Session};
use super::tls::{
    EARLY_DATA, ENCRYPTED_EXTENSIONS, NEW_SESSION_TICKET, PRE_SHARED_KEY, SERVER_NAME, ServerHello,
    encrypted_extensions, transport_parameters,
};
use anyhow::Result;

/// Transport parameter `disable_active_migration` (RFC 9000, 18.2).
const DISABLE_ACTIVE_MIGRATION: u64 = 0x0c;
/// Transport parameter `preferred_address`.
const PREFERRED_ADDRESS: u64 = 0x0d;
/// The stream of cells: the first that a client opens.
const STREAM: u64 = 0;

/// The cells that one end sent.
///
/// # Errors
/// When a byte of it belongs to no whole cell, or stands in another stream.
pub fn cells(session: &Session, from: From) -> Result<Vec<Cell>> {
    let mut cells = Vec::new();
    for (stream, (bytes, _)) in session.streams(from)? {
        anyhow::ensure!(stream == STREAM, "a stream {stream}");
        let chunks = bytes.chunks_exact(CELL_LEN);
        anyhow::ensure!(
            chunks.remainder().is_empty(),
            "{} bytes that are no whole cell",
            chunks.remainder().len()
        );
        for chunk in chunks {
            cells.push(Cell::parse(chunk)?);
        }
    }
    Ok(cells)
}

/// What can be counted on a link without opening a seal: for each route, in the order in which they began, the cells each
/// way with their kinds and reasons, in the order in which they were sent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Shape(pub Vec<RouteShape>);

/// What passed on one route: what the client sent, and what the relay did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RouteShape([Vec<(Kind, Option<CloseReason>)>; 2]);

impl RouteShape {
    /// Cells in both directions.
    #[must_use]
    pub fn cells(&self) -> usize {
        self.0.iter().map(Vec::len).sum()
    }

    /// The kind of the client's first cell.
    #[must_use]
    pub fn begins_with(&self) -> Option<Kind> {
        self.0[0].first().map(|(kind, _)| *kind)
    }
}

/// The shape of what passed on a link.
///
/// # Errors
/// As [`cells`].
pub fn shape(session: &Session) -> Result<Shape> {
    let mut routes: Vec<u64> = Vec::new();
    let mut shape = Shape::default();
    for (at, from) in [From::Client, From::Relay].into_iter().enumerate() {
        for cell in cells(session, from)? {
            let route = routes.iter().position(|route| *route == cell.route());
            let route = route.unwrap_or_else(|| {
                routes.push(cell.route());
                shape.0.push(RouteShape::default());
                routes.len() - 1
            });
            shape.0[route].0[at].push((cell.kind(), cell.close_reason()));
        }
    }
    Ok(shape)
}

/// What a connection shows or hands out by which another of the same client could be told.
///
/// # Errors
/// When the handshake cannot be read.
pub fn leads_on(session: &Session) -> Result<Vec<String>> {
    let mut found = Vec::new();
    let mut note = |holds: bool, what: &str| {
        if holds {
            found.push(what.to_owned());
        }
    };
    let hello = &session.client_hello;
    let has = |kind| hello.extensions.iter().any(|(found, _)| *found == kind);
    note(has(SERVER_NAME), "a server name");
    note(has(PRE_SHARED_KEY), "a key of an earlier session");
    note(has(EARLY_DATA), "early data announced");
    note(!hello.session_id.is_empty(), "a session id");
    note(session.data_before_handshake, "0-RTT packets");

    for message in session.messages(From::Relay, Space::Initial)? {
        let resumed = ServerHello::read(&message)?.extensions;
        note(resumed.iter().any(|(kind, _)| *kind == PRE_SHARED_KEY), "a session resumed");
    }
    let answer = session.messages(From::Relay, Space::Handshake)?;
    let Some(extensions) = answer.iter().find(|message| message.kind == ENCRYPTED_EXTENSIONS)
    else {
        anyhow::bail!("no EncryptedExtensions");
    };
    let extensions = encrypted_extensions(extensions)?;
    note(extensions.iter().any(|(kind, _)| *kind == EARLY_DATA), "early data accepted");
    let parameters = transport_parameters(&extensions)?;
    let has = |wanted| parameters.iter().any(|(id, _)| *id == wanted);
    note(!has(DISABLE_ACTIVE_MIGRATION), "migration allowed");
    note(has(PREFERRED_ADDRESS), "another address preferred");

    for from in [From::Client, From::Relay] {
        for message in session.messages(from, Space::Application)? {
            note(message.kind == NEW_SESSION_TICKET, "a session ticket");
            note(message.kind != NEW_SESSION_TICKET, "a TLS message after the handshake");
        }
    }
    for packet in &session.packets {
        note(!packet.token.is_empty(), "a token shown");
        for frame in &packet.frames {
            note(matches!(frame, Frame::NewToken(_)), "a token handed out");
            note(
                matches!(frame, Frame::PathChallenge(_) | Frame::PathResponse(_)),
                "a path probed",
            );
            note(matches!(frame, Frame::Datagram(_)), "a datagram");
        }
    }
    found.dedup();
    Ok(found)
}

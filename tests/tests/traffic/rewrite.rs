//! Faults put into a record that was opened: what the checks must find.

use hearken_proto::cell::{Cell, Kind};
use hearken_tests::traffic::{Frame, From, Packet, Session, Space};
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;

/// The last packet that one end sent with the keys of the connection, to be changed.
fn last(session: &mut Session, from: From) -> &mut Packet {
    session
        .packets
        .iter_mut()
        .rfind(|packet| {
            packet.space == Space::Application && packet.from_client == (from == From::Client)
        })
        .unwrap()
}

/// The relay sends one more cell on the route of its last one.
pub(crate) fn add_a_cell(session: &mut Session) {
    let (bytes, _) = session.streams(From::Relay).unwrap().remove(&0).unwrap();
    let route = Cell::parse(&bytes[bytes.len() - 4_096..]).unwrap().route();
    let cell = Cell::new(Kind::Data, route, &mut ChaCha20Rng::seed_from_u64(1));
    let frame = Frame::Stream(0, bytes.len() as u64, cell.as_bytes().to_vec(), false);
    last(session, From::Relay).frames.push(frame);
}

/// The relay sends a cell that is one byte short.
pub(crate) fn shorten(session: &mut Session) {
    let (bytes, _) = session.streams(From::Relay).unwrap().remove(&0).unwrap();
    let cell = vec![0; 4_095];
    let frame = Frame::Stream(0, bytes.len() as u64, cell, false);
    last(session, From::Relay).frames.push(frame);
}

/// Somebody sends a frame that they did not.
pub(crate) fn add_a_frame(session: &mut Session, from: From, frame: Frame) {
    last(session, from).frames.push(frame);
}

/// The client gives out a connection id with a reset token of its own.
pub(crate) fn reset_token(session: &mut Session) {
    let mut id = session.client_hello.random[..8].to_vec();
    id[0] ^= 1;
    add_a_frame(session, From::Client, Frame::NewConnectionId(99, id, vec![0xa5; 16]));
}

/// The client pads a cell with bytes of its own.
pub(crate) fn padding(session: &mut Session) {
    let stream = session
        .packets
        .iter_mut()
        .filter(|packet| packet.from_client)
        .flat_map(|packet| &mut packet.frames)
        .find_map(|frame| match frame {
            Frame::Stream(_, 0, bytes, _) => Some(bytes),
            _ => None,
        });
    let at = 100 + usize::from(session.client.to_be_bytes()[1]);
    stream.unwrap()[at..at + 8].copy_from_slice(&[0xc3, 1, 2, 3, 4, 5, 6, 7]);
}

/// The client draws the same random.
pub(crate) fn random(session: &mut Session) {
    session.client_hello.random = (0..32).collect();
}

/// The client has a value of four bytes of its own.
pub(crate) fn short_value(session: &mut Session) {
    session.client_hello.session_id = vec![4, 3, 2, 1];
}

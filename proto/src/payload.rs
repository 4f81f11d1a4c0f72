//! What is inside the seal of a cell: a protobuf command or reply, at most one blob, and zeros.
//!
//! The command area begins with the protobuf's length (2 bytes, big-endian). A message with a blob has 126 bytes, one
//! without extends into the blob's place and has 2,526. Unused bytes are zero and are checked, so that padding
//! carries nothing. Fields that a reader does not know are skipped, as protobuf has it.

use core::fmt;

use prost::Message;
use zeroize::ZeroizeOnDrop;

use crate::limits::{
    BLOB_LEN, COMMAND_ALONE_MAX, COMMAND_LEN, COMMAND_PREFIX_LEN, COMMAND_WITH_BLOB_MAX, SEALED_LEN,
};
use crate::wire::{Command, Reply, command, object_put, reply};

/// What a mailbox stores and delivers: 2,400 bytes, opaque to relays.
#[derive(Clone, PartialEq, Eq)]
pub struct Blob(Box<[u8; BLOB_LEN]>);

impl Blob {
    /// Takes 2,400 bytes.
    #[must_use]
    pub fn new(bytes: Box<[u8; BLOB_LEN]>) -> Self {
        Self(bytes)
    }

    /// The 2,400 bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; BLOB_LEN] {
        &self.0
    }

    /// The id under which a mailbox recognises this blob when it comes again.
    #[must_use]
    pub fn put_id(&self) -> crate::ids::PutId {
        crate::ids::PutId::of(&self.0[..])
    }
}

impl TryFrom<&[u8]> for Blob {
    type Error = PayloadError;

    fn try_from(bytes: &[u8]) -> Result<Self, PayloadError> {
        bytes.to_vec().into_boxed_slice().try_into().map(Self).map_err(|_| PayloadError::Blob)
    }
}

impl fmt::Debug for Blob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Blob(..)")
    }
}

/// A payload that breaks a rule. In a session this is the peer's misbehaviour, and the session is closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PayloadError {
    /// The message does not fit: 126 bytes beside a blob, 2,526 alone.
    #[error("a message that is too long for its cell")]
    TooLong,
    /// The length prefix, the protobuf or the zeros do not hold.
    #[error("a malformed message in a cell")]
    Malformed,
    /// A message without its blob, with one that it does not have, or a blob of another length.
    #[error("a message with a wrong blob")]
    Blob,
}

/// 2,579 bytes: command, blob, padding, before sealing or after opening.
#[derive(ZeroizeOnDrop)]
pub struct Payload(pub(crate) Box<[u8; SEALED_LEN]>);

impl Payload {
    /// Any 2,579 bytes, for tests of whoever is sealed nonsense. Not part of the interface.
    #[doc(hidden)]
    #[must_use]
    pub fn from_bytes(bytes: Box<[u8; SEALED_LEN]>) -> Self {
        Self(bytes)
    }

    /// The 2,579 bytes. Not part of the interface.
    #[doc(hidden)]
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; SEALED_LEN] {
        &self.0
    }

    /// The payload of a command.
    ///
    /// # Errors
    /// [`PayloadError`] when the message is too long or its blob missing or too many.
    pub fn of_command(command: &Command, blob: Option<&Blob>) -> Result<Self, PayloadError> {
        if command_has_blob(command) != blob.is_some() {
            return Err(PayloadError::Blob);
        }
        Self::encode(command, blob)
    }

    /// The payload of a reply.
    ///
    /// # Errors
    /// As [`Payload::of_command`].
    pub fn of_reply(reply: &Reply, blob: Option<&Blob>) -> Result<Self, PayloadError> {
        if reply_has_blob(reply) != blob.is_some() {
            return Err(PayloadError::Blob);
        }
        Self::encode(reply, blob)
    }

    /// Reads a command and its blob.
    ///
    /// # Errors
    /// [`PayloadError`] when the bytes are not a command with its blob and zeros behind them.
    pub fn command(&self) -> Result<(Command, Option<Blob>), PayloadError> {
        self.decode(command_has_blob)
    }

    /// Reads a reply and its blob.
    ///
    /// # Errors
    /// As [`Payload::command`].
    pub fn reply(&self) -> Result<(Reply, Option<Blob>), PayloadError> {
        self.decode(reply_has_blob)
    }

    fn encode(message: &impl Message, blob: Option<&Blob>) -> Result<Self, PayloadError> {
        let len = message.encoded_len();
        let max = if blob.is_some() { COMMAND_WITH_BLOB_MAX } else { COMMAND_ALONE_MAX };
        let prefix = u16::try_from(len).map_err(|_| PayloadError::TooLong)?;
        if len > max {
            return Err(PayloadError::TooLong);
        }
        let mut bytes = Box::new([0; SEALED_LEN]);
        bytes[..COMMAND_PREFIX_LEN].copy_from_slice(&prefix.to_be_bytes());
        let mut rest = &mut bytes[COMMAND_PREFIX_LEN..];
        message.encode(&mut rest).map_err(|_| PayloadError::TooLong)?;
        if let Some(blob) = blob {
            bytes[COMMAND_LEN..COMMAND_LEN + BLOB_LEN].copy_from_slice(blob.as_bytes());
        }
        Ok(Self(bytes))
    }

    fn decode<M: Message + Default>(
        &self,
        has_blob: impl Fn(&M) -> bool,
    ) -> Result<(M, Option<Blob>), PayloadError> {
        let len = usize::from(u16::from_be_bytes([self.0[0], self.0[1]]));
        let end = COMMAND_PREFIX_LEN + len;
        if len > COMMAND_ALONE_MAX {
            return Err(PayloadError::Malformed);
        }
        let message =
            M::decode(&self.0[COMMAND_PREFIX_LEN..end]).map_err(|_| PayloadError::Malformed)?;
        let (blob, unused_from) = if has_blob(&message) {
            if end > COMMAND_LEN || self.0[end..COMMAND_LEN].iter().any(|byte| *byte != 0) {
                return Err(PayloadError::Malformed);
            }
            let blob = Blob::try_from(&self.0[COMMAND_LEN..COMMAND_LEN + BLOB_LEN])?;
            (Some(blob), COMMAND_LEN + BLOB_LEN)
        } else {
            (None, end)
        };
        if self.0[unused_from..].iter().any(|byte| *byte != 0) {
            return Err(PayloadError::Malformed);
        }
        Ok((message, blob))
    }
}

impl fmt::Debug for Payload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Payload(..)")
    }
}

fn command_has_blob(command: &Command) -> bool {
    match &command.command {
        Some(command::Command::Put(_) | command::Command::FeedPut(_)) => true,
        Some(command::Command::ObjectPut(put)) => {
            matches!(put.step, Some(object_put::Step::Chunk(_)))
        }
        _ => false,
    }
}

fn reply_has_blob(reply: &Reply) -> bool {
    matches!(
        reply.reply,
        Some(reply::Reply::Delivery(_) | reply::Reply::Push(_) | reply::Reply::Chunk(_))
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::{
        Auth, Delivery, Empty, FeedGet, FeedPut, ObjectChunk, ObjectChunkRead, ObjectDeclaration,
        ObjectPut, Ping, Put,
    };

    #[test]
    fn a_blob_comes_with_the_messages_that_have_one_and_with_no_other() {
        for (command, has_blob) in [
            (command::Command::Put(Put { put_id: vec![1; 32] }), true),
            (command::Command::FeedPut(FeedPut::default()), true),
            (command::Command::FeedGet(FeedGet { after: 1, max: 1 }), false),
            (object_put(object_put::Step::Chunk(ObjectChunk { index: 1 })), true),
            (object_put(object_put::Step::Declaration(ObjectDeclaration::default())), false),
            (command::Command::ObjectPut(ObjectPut { step: None }), false),
            (command::Command::Ping(Ping {}), false),
        ] {
            let command = Command { auth: None, command: Some(command) };
            let (right, wrong) = if has_blob { (Some(blob()), None) } else { (None, Some(blob())) };
            let refused = Payload::of_command(&command, wrong.as_ref());
            assert_eq!(refused.unwrap_err(), PayloadError::Blob);
            let payload = Payload::of_command(&command, right.as_ref()).unwrap();
            assert_eq!(payload.command().unwrap(), (command, right));
        }
        for (reply, has_blob) in [
            (reply::Reply::Delivery(Delivery { position: u64::MAX }), true),
            (reply::Reply::Push(Delivery { position: 1 }), true),
            (reply::Reply::Chunk(ObjectChunkRead { index: 0, chunks: 1 }), true),
            (reply::Reply::Empty(Empty {}), false),
        ] {
            let reply = Reply { reply: Some(reply) };
            let (right, wrong) = if has_blob { (Some(blob()), None) } else { (None, Some(blob())) };
            let refused = Payload::of_reply(&reply, wrong.as_ref());
            assert_eq!(refused.unwrap_err(), PayloadError::Blob);
            let payload = Payload::of_reply(&reply, right.as_ref()).unwrap();
            assert_eq!(payload.reply().unwrap(), (reply, right));
        }
    }

    #[test]
    fn the_longest_commands_with_a_blob_have_their_proof_beside_them() {
        let put_id = vec![3; 32];
        for put in [
            command::Command::Put(Put { put_id: put_id.clone() }),
            command::Command::FeedPut(FeedPut { put_id, names_object: true }),
        ] {
            let auth = Auth { role: 6, public_key: vec![1; 32], mac: vec![2; 32] };
            let command = Command { auth: Some(auth), command: Some(put) };
            assert!(command.encoded_len() <= COMMAND_WITH_BLOB_MAX);
            let payload = Payload::of_command(&command, Some(&blob())).unwrap();
            assert_eq!(payload.command().unwrap(), (command, Some(blob())));
        }
    }

    #[test]
    fn a_message_fits_to_the_byte_and_not_a_byte_more() {
        for (max, blob) in [(COMMAND_WITH_BLOB_MAX, Some(blob())), (COMMAND_ALONE_MAX, None)] {
            let longest =
                (0..max).rev().find(|len| long(*len, &blob).encoded_len() <= max).unwrap();
            assert_eq!(long(longest, &blob).encoded_len(), max);
            let payload = Payload::of_command(&long(longest, &blob), blob.as_ref()).unwrap();
            assert_eq!(payload.command().unwrap(), (long(longest, &blob), blob.clone()));
            for len in [longest + 1, 70_000] {
                let refused = Payload::of_command(&long(len, &blob), blob.as_ref());
                assert_eq!(refused.unwrap_err(), PayloadError::TooLong);
            }
        }
    }

    #[test]
    fn a_length_that_does_not_hold_and_bytes_that_should_be_zero_are_malformed() {
        let put = command::Command::Put(Put { put_id: vec![1; 32] });
        let with_blob = Command { auth: None, command: Some(put) };
        let ping = Command { auth: None, command: Some(command::Command::Ping(Ping {})) };
        for (command, blob) in [(with_blob, Some(blob())), (ping, None)] {
            let used = COMMAND_PREFIX_LEN + command.encoded_len();
            let blob_at = COMMAND_LEN..COMMAND_LEN + BLOB_LEN;
            for at in used..SEALED_LEN {
                let mut payload = Payload::of_command(&command, blob.as_ref()).unwrap();
                payload.0[at] ^= 1;
                let unread = blob.is_some() && blob_at.contains(&at);
                assert_eq!(payload.command().is_ok(), unread, "byte {at}");
            }
            for len in [COMMAND_ALONE_MAX + 1, usize::from(u16::MAX)] {
                let mut payload = Payload::of_command(&command, blob.as_ref()).unwrap();
                payload.0[..2].copy_from_slice(&u16::try_from(len).unwrap().to_be_bytes());
                assert_eq!(payload.command().unwrap_err(), PayloadError::Malformed);
            }
        }
        let mut long_with_blob = Payload::of_command(&long(200, &None), None).unwrap();
        long_with_blob.0[2] = 0x22; // `Put` in the place of `Create`
        assert_eq!(long_with_blob.command().unwrap_err(), PayloadError::Malformed);
    }

    #[test]
    fn a_blob_is_2400_bytes() {
        for len in [0, 1, 2_399, 2_401] {
            assert_eq!(Blob::try_from(&vec![0; len][..]), Err(PayloadError::Blob));
        }
        assert_eq!(Blob::try_from(&[6; 2_400][..]), Ok(blob()));
    }

    #[test]
    fn a_payloads_bytes_are_those_that_it_was_made_of() {
        let bytes: Vec<u8> = (0..SEALED_LEN).map(|at| (at % 251) as u8).collect();
        let bytes: Box<[u8; SEALED_LEN]> = bytes.into_boxed_slice().try_into().unwrap();
        assert_eq!(Payload::from_bytes(bytes.clone()).as_bytes(), &*bytes);
    }

    #[test]
    fn debug_output_shows_no_content() {
        let ping = Command { auth: None, command: Some(command::Command::Ping(Ping {})) };
        let payload = Payload::of_command(&ping, None).unwrap();
        assert_eq!(format!("{payload:?} {:?}", blob()), "Payload(..) Blob(..)");
    }

    fn object_put(step: object_put::Step) -> command::Command {
        command::Command::ObjectPut(ObjectPut { step: Some(step) })
    }

    /// A command that is as long as its claim key.
    fn long(len: usize, blob: &Option<Blob>) -> Command {
        let command = match blob {
            Some(_) => command::Command::Put(Put { put_id: vec![1; len] }),
            None => command::Command::Create(crate::wire::Create {
                claim_public_key: vec![1; len],
                ..Default::default()
            }),
        };
        Command { auth: None, command: Some(command) }
    }

    fn blob() -> Blob {
        Blob::new(Box::new([6; BLOB_LEN]))
    }
}

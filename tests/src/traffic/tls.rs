//! TLS 1.3 handshake messages (RFC 8446, 4) as far as the checks look at them.

use anyhow::{Context, Result, ensure};

use super::frame::Bytes;

/// `ClientHello`.
pub const CLIENT_HELLO: u8 = 1;
/// `ServerHello`.
pub const SERVER_HELLO: u8 = 2;
/// `NewSessionTicket`.
pub const NEW_SESSION_TICKET: u8 = 4;
/// `EncryptedExtensions`.
pub const ENCRYPTED_EXTENSIONS: u8 = 8;
/// Extension `server_name`.
pub const SERVER_NAME: u16 = 0;
/// Extension `pre_shared_key`.
pub const PRE_SHARED_KEY: u16 = 41;
/// Extension `early_data`.
pub const EARLY_DATA: u16 = 42;
/// Extension `key_share`.
pub const KEY_SHARE: u16 = 51;
/// Extension `quic_transport_parameters` (RFC 9001, 8.2).
pub const TRANSPORT_PARAMETERS: u16 = 57;

/// A handshake message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// Its type.
    pub kind: u8,
    /// What is behind its length.
    pub body: Vec<u8>,
}

/// The message with which a client begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientHello {
    /// 32 bytes.
    pub random: Vec<u8>,
    /// Of the session to be resumed in earlier versions.
    pub session_id: Vec<u8>,
    /// Two bytes each.
    pub suites: Vec<u8>,
    /// In the order in which they came.
    pub extensions: Vec<(u16, Vec<u8>)>,
}

/// The message with which a relay answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerHello {
    /// The cipher suite chosen.
    pub suite: u16,
    /// In the order in which they came.
    pub extensions: Vec<(u16, Vec<u8>)>,
}

impl Message {
    /// The first message of `bytes`, once it is whole.
    #[must_use]
    pub fn first(bytes: &[u8]) -> Option<Self> {
        Self::next(&mut Bytes(bytes)).ok()
    }

    /// Every message of `bytes`.
    ///
    /// # Errors
    /// When one is cut off.
    pub fn all(bytes: &[u8]) -> Result<Vec<Self>> {
        let mut bytes = Bytes(bytes);
        let mut messages = Vec::new();
        while !bytes.0.is_empty() {
            messages.push(Self::next(&mut bytes)?);
        }
        Ok(messages)
    }

    fn next(bytes: &mut Bytes<'_>) -> Result<Self> {
        let kind = u8::try_from(bytes.number(1)?)?;
        let length = usize::try_from(bytes.number(3)?)?;
        Ok(Self { kind, body: bytes.take(length)?.to_vec() })
    }
}

/// The extensions of an `EncryptedExtensions`.
///
/// # Errors
/// When they cannot be read.
pub fn encrypted_extensions(message: &Message) -> Result<Vec<(u16, Vec<u8>)>> {
    extensions(&mut Bytes(&message.body))
}

/// The transport parameters among extensions, in the order in which they came (RFC 9000, 18).
///
/// # Errors
/// Where there are none, or they cannot be read.
pub fn transport_parameters(extensions: &[(u16, Vec<u8>)]) -> Result<Vec<(u64, Vec<u8>)>> {
    let extension = extensions.iter().find(|(kind, _)| *kind == TRANSPORT_PARAMETERS);
    let (_, encoded) = extension.context("no transport parameters")?;
    let mut bytes = Bytes(encoded);
    let mut parameters = Vec::new();
    while !bytes.0.is_empty() {
        parameters.push((bytes.varint()?, bytes.counted()?.to_vec()));
    }
    Ok(parameters)
}

fn extensions(bytes: &mut Bytes<'_>) -> Result<Vec<(u16, Vec<u8>)>> {
    let length = usize::try_from(bytes.number(2)?)?;
    let mut rest = Bytes(bytes.take(length)?);
    let mut extensions = Vec::new();
    while !rest.0.is_empty() {
        let kind = u16::try_from(rest.number(2)?)?;
        let length = usize::try_from(rest.number(2)?)?;
        extensions.push((kind, rest.take(length)?.to_vec()));
    }
    Ok(extensions)
}

impl ClientHello {
    /// Reads it to the last byte.
    ///
    /// # Errors
    /// When it is another message or cannot be read.
    pub fn read(message: &Message) -> Result<Self> {
        ensure!(message.kind == CLIENT_HELLO, "message {} instead of a ClientHello", message.kind);
        let mut bytes = Bytes(&message.body);
        ensure!(bytes.number(2)? == 0x0303, "another legacy version");
        let random = bytes.take(32)?.to_vec();
        let length = usize::try_from(bytes.number(1)?)?;
        let session_id = bytes.take(length)?.to_vec();
        let length = usize::try_from(bytes.number(2)?)?;
        let suites = bytes.take(length)?.to_vec();
        ensure!(bytes.take(2)? == [1, 0], "compression");
        let extensions = extensions(&mut bytes)?;
        ensure!(bytes.0.is_empty(), "bytes behind a ClientHello");
        Ok(Self { random, session_id, suites, extensions })
    }
}

impl ServerHello {
    /// Reads it to the last byte.
    ///
    /// # Errors
    /// When it is another message or cannot be read.
    pub fn read(message: &Message) -> Result<Self> {
        ensure!(message.kind == SERVER_HELLO, "message {} instead of a ServerHello", message.kind);
        let mut bytes = Bytes(&message.body);
        let _version_and_random = bytes.take(34)?;
        let length = usize::try_from(bytes.number(1)?)?;
        let _session_id = bytes.take(length)?;
        let suite = u16::try_from(bytes.number(2)?)?;
        let _compression = bytes.take(1)?;
        let extensions = extensions(&mut bytes)?;
        ensure!(bytes.0.is_empty(), "bytes behind a ServerHello");
        Ok(Self { suite, extensions })
    }
}

//! Why a message was not made or not opened.

/// Why a message was not sealed. The ratchet is as it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EncryptError {
    /// The body is longer than the blob has room for; [`super::BODY_MAX`] bytes always fit.
    #[error("a body that is too long for its blob")]
    TooLong,
    /// 2^32 - 1 messages in one chain, or as many KEM epochs: numbers never wrap.
    #[error("a chain whose numbers are used up")]
    Exhausted,
    /// The ratchet has no chain to send on. No ratchet that this crate hands out is like that.
    #[error("a ratchet without a sending chain")]
    NoSendingChain,
}

/// Why a blob was not opened. The ratchet is as it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DecryptError {
    /// Nothing that this ratchet can read: forged, damaged, or older than what is kept. One variant for every seal
    /// that does not open.
    #[error("a message that cannot be opened")]
    NotOpened,
    /// Its number was used, or its key is kept no longer.
    #[error("a message whose number is used")]
    Used,
    /// Its number is more than 65,536 ahead in its chain.
    #[error("a message too far ahead")]
    TooFarAhead,
    /// The other side sealed what no correct program seals.
    #[error("the other side broke the protocol: {0}")]
    PeerMisbehaved(Misbehaviour),
}

/// How the other side broke the protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Misbehaviour {
    /// A Diffie-Hellman point of small order.
    #[error("a point of small order")]
    NonContributory,
    /// A header with an unknown kind, or bytes where zeros belong.
    #[error("a malformed header")]
    Header,
    /// A KEM epoch that cannot follow from what was said.
    #[error("an impossible epoch")]
    KemEpoch,
    /// Bytes that are no ML-KEM-768 encapsulation key.
    #[error("an invalid encapsulation key")]
    EncapsulationKey,
    /// A length that does not fit, or bytes where zeros belong.
    #[error("malformed padding")]
    Padding,
}

/// Stored bytes that are no state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StateError {
    /// Written by a version that this one does not know.
    #[error("a stored state of an unknown version")]
    Version,
    /// Damaged.
    #[error("a damaged stored state")]
    Malformed,
}

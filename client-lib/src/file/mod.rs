//! A file as it travels: sealed into the chunks of one object, of one of few sizes, under a name that tells nothing.
//!
//! Bytes in, bytes out: no rows, no network. A file has a key of its own ([`FileKey`]), from which each chunk is sealed
//! with its place as nonce; whoever has the key and the object's root reads it, and nobody can put in another chunk, not
//! even somebody who has the key and the relay's help, since the root is the hash over the sealed chunks. The key by which
//! the object is written is another one and stays with the sender.

mod name;
mod seal;
mod size_class;

pub(crate) use name::{safe_name, sent_name};
pub(crate) use seal::{FileKey, Opener, root_of, seal};
pub(crate) use size_class::{chunks_for, is_size_class};

/// The largest file that is sent, in bytes.
pub const FILE_MAX: usize = 19_000_000;
/// The longest name of a file, in bytes.
pub const FILE_NAME_MAX: usize = 120;
/// The longest media type (RFC 6838, section 4.2: two names of at most 127 characters), in bytes.
pub(crate) const MEDIA_TYPE_MAX: usize = 255;

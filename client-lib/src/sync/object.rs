//! Sealed objects at a relay: upload and download in chunks of 2,400 bytes, each gone on with at the chunk after an
//! interruption. They know keys, roots and opaque chunks, and nothing of what those hold.
//!
//! Driven like the ends of a feed (`feed.rs`): whoever drives them opens sessions where `wants_session` says so. An
//! upload may end with an entry of a feed that names the object, put in the same session, since the relay wants both
//! keys proven there.

mod download;
mod upload;

pub(crate) use download::{DownloadStep, ObjectDownload};
pub(crate) use upload::{NamingEntry, ObjectPlan, ObjectUpload, UploadFailure, UploadStep};

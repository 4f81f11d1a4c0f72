//! Decoders that are private otherwise, for `tests/fuzz`. Not part of the interface, and without promise of stability.

pub use crate::core::fuzzing as rows;
pub use crate::store::fjall::fuzzing as store;

use crate::admin::Question;
use crate::notice::Notice;

/// A line on the administration socket, written again as it was understood.
#[must_use]
pub fn admin_question(line: &str) -> Option<String> {
    let question: Question = serde_json::from_str(line).ok()?;
    serde_json::to_string(&question).ok()
}

/// A notice of decommissioning as it lies in a folder or a backup, written again. `None` where it is refused.
#[must_use]
pub fn notice(text: &str) -> Option<String> {
    Notice::parse(text)?.to_text()
}

/// The secret in a key file's content, where it is intact; the other way round with [`key_file_of`].
#[must_use]
pub fn key_file(content: &[u8]) -> Option<Vec<u8>> {
    crate::store::key_files::secret_of(content).map(|secret| secret.to_vec())
}

/// A key file's content.
#[must_use]
pub fn key_file_of(secret: &[u8]) -> Vec<u8> {
    crate::store::key_files::content_of(secret).to_vec()
}

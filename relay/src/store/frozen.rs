//! All rows of a store as they were at one moment, read page by page while the store goes on.

use hearken_proto::time::UnixDay;

use super::{Row, Space, StoreError};

/// A view of one moment. While it lives, what is overwritten since keeps its room on disk: it is for minutes, not days.
///
/// Guarantees: pages of all spaces belong to the same moment, between two commits. A day that was dropped since reads
/// as empty: its key is destroyed, so its blobs are gone for everybody.
pub trait Frozen: Send {
    /// The days that had a space, ascending.
    fn days(&self) -> Vec<UnixDay>;

    /// The rows after `after` (from the first where it is `None`), ascending, at least one where there is any, and no
    /// more once `bytes` of keys and values are reached.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] where the store failed or was closed since: the view is lost.
    /// [`StoreError::Corrupt`], [`StoreError::Io`].
    fn page(
        &self,
        space: Space,
        after: Option<&[u8]>,
        bytes: usize,
    ) -> Result<Vec<Row>, StoreError>;
}

/// The first rows of `rows` that reach `bytes` of keys and values.
pub(super) fn page_of<E>(
    rows: impl Iterator<Item = Result<Row, E>>,
    bytes: usize,
) -> Result<Vec<Row>, E> {
    let (mut page, mut size) = (Vec::new(), 0);
    for row in rows {
        let row = row?;
        size += row.key.len() + row.value.len();
        page.push(row);
        if size >= bytes {
            break;
        }
    }
    Ok(page)
}

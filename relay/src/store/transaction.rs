//! The reads and writes of one group commit: an overlay over committed state.
//!
//! Guarantees: every command of the batch reads what earlier commands of it wrote; a command that fails half-way is
//! rolled back to its savepoint and leaves nothing; until [`Transaction::into_batch`] is committed nobody else sees
//! anything. Deliberately not: isolation from other writers (there is one committer).

use std::collections::BTreeMap;

use super::{Batch, Row, Space, Store, StoreError, position_key};

/// A place to roll back to; valid within the transaction that gave it, until an earlier one is rolled back to.
#[derive(Clone, Copy, Debug)]
pub struct Savepoint(usize);

/// What an overlay said of a key before a write: `None` where it said nothing.
struct Undo {
    space: Space,
    key: Vec<u8>,
    before: Option<Option<Vec<u8>>>,
}

/// An overlay over a store's committed state.
pub struct Transaction<'a> {
    store: &'a dyn Store,
    overlay: BTreeMap<Space, BTreeMap<Vec<u8>, Option<Vec<u8>>>>,
    undo: Vec<Undo>,
    has_room: bool,
}

impl<'a> Transaction<'a> {
    /// An empty overlay over `store`.
    #[must_use]
    pub fn new(store: &'a dyn Store) -> Self {
        Self { store, overlay: BTreeMap::new(), undo: Vec::new(), has_room: store.has_room() }
    }

    /// Where the positions of this life of the store begin.
    #[must_use]
    pub fn first_position(&self) -> u64 {
        self.store.first_position()
    }

    /// The value of a key, as this transaction leaves it so far.
    ///
    /// # Errors
    /// Those of [`Store::read`].
    pub fn read(&self, space: Space, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        match self.overlay.get(&space).and_then(|rows| rows.get(key)) {
            Some(value) => Ok(value.clone()),
            None => self.store.read(space, key),
        }
    }

    /// As [`Transaction::read`], but see [`Store::read_uncached`].
    ///
    /// # Errors
    /// Those of [`Store::read`].
    pub fn read_uncached(&self, space: Space, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        match self.overlay.get(&space).and_then(|rows| rows.get(key)) {
            Some(value) => Ok(value.clone()),
            None => self.store.read_uncached(space, key),
        }
    }

    /// At most `limit` rows with `from <= key < to`, ascending, as this transaction leaves them so far.
    ///
    /// # Errors
    /// Those of [`Store::range`].
    pub fn range(
        &self,
        space: Space,
        from: &[u8],
        to: &[u8],
        limit: usize,
    ) -> Result<Vec<Row>, StoreError> {
        if from >= to || limit == 0 {
            return Ok(Vec::new());
        }
        let overlay: BTreeMap<&[u8], Option<&[u8]>> = self
            .overlay
            .get(&space)
            .map(|rows| {
                rows.range::<[u8], _>((
                    std::ops::Bound::Included(from),
                    std::ops::Bound::Excluded(to),
                ))
                .map(|(key, value)| (key.as_slice(), value.as_deref()))
                .collect()
            })
            .unwrap_or_default();
        // Each overlaid row hides at most one committed row, so this many committed rows are always enough.
        let committed = self.store.range(space, from, to, limit.saturating_add(overlay.len()))?;

        let mut rows = Vec::with_capacity(limit.min(committed.len() + overlay.len()));
        let mut overlay = overlay.into_iter().peekable();
        let mut committed = committed.into_iter().peekable();
        while rows.len() < limit {
            let overlay_is_next = match (overlay.peek(), committed.peek()) {
                (None, None) => break,
                (Some(_), None) => true,
                (None, Some(_)) => false,
                (Some((key, _)), Some(row)) => *key <= row.key.as_slice(),
            };
            if overlay_is_next {
                let Some((key, value)) = overlay.next() else { break };
                let _hidden = committed.next_if(|row| row.key.as_slice() == key);
                if let Some(value) = value {
                    rows.push(Row { key: key.to_vec(), value: value.to_vec() });
                }
            } else {
                rows.extend(committed.next());
            }
        }
        Ok(rows)
    }

    /// Sets a row.
    pub fn put(&mut self, space: Space, key: &[u8], value: Vec<u8>) {
        self.write(space, key, Some(value));
    }

    /// Sets a row that is not there yet. `false`, and nothing changes, where it is.
    ///
    /// # Errors
    /// [`StoreError::Full`] for a new row of a [`Space::Day`] where the disk has no room (see [`Store::has_room`]);
    /// those of [`Store::read`].
    pub fn put_if_absent(
        &mut self,
        space: Space,
        key: &[u8],
        value: Vec<u8>,
    ) -> Result<bool, StoreError> {
        if self.read(space, key)?.is_some() {
            return Ok(false);
        }
        if !self.has_room && matches!(space, Space::Day(_)) {
            return Err(StoreError::Full);
        }
        self.write(space, key, Some(value));
        Ok(true)
    }

    /// Sets the row at `prefix` ‖ `position`, which must be free: the caller counts positions in a row of its own and
    /// writes that row in the same transaction.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] where the position is taken: the caller's count is wrong, and going on would
    /// overwrite a blob. Those of [`Transaction::put_if_absent`].
    pub fn append(
        &mut self,
        space: Space,
        prefix: &[u8],
        position: u64,
        value: Vec<u8>,
    ) -> Result<(), StoreError> {
        if self.put_if_absent(space, &position_key(prefix, position), value)? {
            Ok(())
        } else {
            Err(StoreError::Corrupt {
                what: "a count of positions".to_owned(),
                advice: "restore the newest backup",
            })
        }
    }

    /// Deletes a row; one that is not there is no error.
    pub fn delete(&mut self, space: Space, key: &[u8]) {
        self.write(space, key, None);
    }

    /// Deletes at most `limit` rows with `from <= key < to`, in ascending order; answers how many there were. A
    /// result of `limit` means that there may be more.
    ///
    /// # Errors
    /// Those of [`Store::range`]; nothing was deleted then.
    pub fn delete_range(
        &mut self,
        space: Space,
        from: &[u8],
        to: &[u8],
        limit: usize,
    ) -> Result<usize, StoreError> {
        let rows = self.range(space, from, to, limit)?;
        for row in &rows {
            self.write(space, &row.key, None);
        }
        Ok(rows.len())
    }

    /// Marks where the next command begins.
    #[must_use]
    pub fn savepoint(&self) -> Savepoint {
        Savepoint(self.undo.len())
    }

    /// Takes back every write since `savepoint`.
    pub fn rollback(&mut self, savepoint: Savepoint) {
        while self.undo.len() > savepoint.0 {
            let Some(Undo { space, key, before }) = self.undo.pop() else { return };
            let rows = self.overlay.entry(space).or_default();
            match before {
                Some(value) => rows.insert(key, value),
                None => rows.remove(&key),
            };
        }
    }

    /// Whether nothing was written, so that there is nothing to commit.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.overlay.values().all(BTreeMap::is_empty)
    }

    /// Everything written, for [`Store::commit`].
    #[must_use]
    pub fn into_batch(self) -> Batch {
        Batch { writes: self.overlay }
    }

    fn write(&mut self, space: Space, key: &[u8], value: Option<Vec<u8>>) {
        let before = self.overlay.entry(space).or_default().insert(key.to_vec(), value);
        self.undo.push(Undo { space, key: key.to_vec(), before });
    }
}

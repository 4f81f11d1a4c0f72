//! What a file holds, in memory.

use std::fs::File;
use std::io::{self, Write};
use std::path::Path;

use rand_chacha::ChaCha20Rng;
use rand_core::{Rng, SeedableRng};

use super::{Change, Part};

/// What a disk writes whole.
pub(super) const SECTOR: usize = 512;

/// A file's bytes, and zeros behind them up to its length.
#[derive(Clone, Default)]
pub(super) struct Image {
    bytes: Vec<u8>,
    len: u64,
}

impl Image {
    pub(super) fn apply(&mut self, change: Change<'_>, part: Part) {
        match (change, part) {
            (_, Part::None) => {}
            (Change::Truncated(len), _) => {
                self.bytes.truncate(usize::try_from(len).unwrap_or(usize::MAX));
                self.len = len;
            }
            (Change::Extended(len), _) => self.len = self.len.max(len),
            (Change::Written(offset, bytes), Part::All) => self.write(offset, bytes),
            (Change::Written(offset, bytes), Part::Torn(seed)) => {
                self.len = self.len.max(offset + bytes.len() as u64);
                let mut rng = ChaCha20Rng::seed_from_u64(seed);
                let mut from = 0;
                while from < bytes.len() {
                    // To the next border of a sector of the file, not of the write.
                    let within =
                        usize::try_from((offset + from as u64) % SECTOR as u64).unwrap_or(0);
                    let to = bytes.len().min(from + SECTOR - within);
                    if rng.next_u64() % 2 == 0 {
                        self.write(offset + from as u64, &bytes[from..to]);
                    }
                    from = to;
                }
            }
        }
    }

    fn write(&mut self, offset: u64, bytes: &[u8]) {
        let from = usize::try_from(offset).unwrap_or(usize::MAX);
        let to = from.saturating_add(bytes.len());
        if self.bytes.len() < to {
            self.bytes.resize(to, 0);
        }
        self.bytes[from..to].copy_from_slice(bytes);
        self.len = self.len.max(to as u64);
    }

    pub(super) fn write_to(&self, path: &Path) -> io::Result<()> {
        let mut file = File::create_new(path)?;
        file.write_all(&self.bytes)?;
        if self.len != self.bytes.len() as u64 {
            file.set_len(self.len)?;
        }
        Ok(())
    }
}

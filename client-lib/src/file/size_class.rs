//! How many chunks the object of a file has: one of twelve numbers, so that a relay learns little of its size.
//!
//! Up to 512 chunks (1.2 MB) a class is at most four times the one before, above that at most twice: an upload costs as
//! much as it is padded to.

use hearken_proto::limits::OBJECT_CHUNKS_MAX;

use super::FILE_MAX;
use super::seal::CHUNK_PLAIN_LEN;

/// Chunks of 2,400 bytes.
const CLASSES: [u32; 12] = [8, 32, 128, 256, 512, 1_024, 1_536, 2_048, 3_072, 4_096, 6_144, 8_192];

/// Chunks of the object for a file of `size` bytes; `None` above [`FILE_MAX`].
pub(crate) fn chunks_for(size: usize) -> Option<u32> {
    if size > FILE_MAX {
        return None;
    }
    let needed = size.div_ceil(CHUNK_PLAIN_LEN);
    CLASSES.into_iter().find(|class| usize::try_from(*class).is_ok_and(|class| class >= needed))
}

/// Whether a file of `size` bytes has so many chunks.
pub(crate) fn is_size_class(chunks: u32, size: u64) -> bool {
    usize::try_from(size).is_ok_and(|size| chunks_for(size) == Some(chunks))
}

const _: () = {
    assert!(CLASSES[CLASSES.len() - 1] == OBJECT_CHUNKS_MAX);
    assert!(CLASSES[CLASSES.len() - 1] as usize * CHUNK_PLAIN_LEN >= FILE_MAX);
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_size_has_the_least_class_that_holds_it() {
        for pair in CLASSES.windows(2) {
            let full = pair[0] as usize * CHUNK_PLAIN_LEN;
            assert_eq!(chunks_for(full), Some(pair[0]));
            assert_eq!(chunks_for(full + 1), Some(pair[1]));
            assert!(is_size_class(pair[0], full as u64) && !is_size_class(pair[1], full as u64));
            assert!(pair[1] <= pair[0] * if pair[0] < 512 { 4 } else { 2 });
        }
        assert_eq!(chunks_for(1), Some(8));
        assert_eq!(chunks_for(FILE_MAX), Some(8_192));
        assert_eq!(chunks_for(FILE_MAX + 1), None);
    }
}

//! What a sealed object declares: the hash over its chunks.

use sha2::{Digest, Sha256};

use crate::payload::Blob;

const CHUNK_LABEL: &[u8] = b"hearken/1 chunk";
const ROOT_LABEL: &[u8] = b"hearken/1 object root";

/// The hash of one chunk, 32 bytes.
#[must_use]
pub fn chunk_hash(chunk: &Blob) -> [u8; 32] {
    Sha256::new().chain_update(CHUNK_LABEL).chain_update(&chunk.as_bytes()[..]).finalize().into()
}

/// The root over the hashes of all chunks in order, with their number. Not a tree: whoever checks it has them all.
#[derive(Clone, Debug)]
pub struct Root {
    hash: Sha256,
    chunks: u32,
}

impl Root {
    /// A root over no chunk yet.
    #[must_use]
    pub fn new() -> Self {
        Self { hash: Sha256::new().chain_update(ROOT_LABEL), chunks: 0 }
    }

    /// Adds the hash of the next chunk.
    pub fn push(&mut self, chunk_hash: &[u8; 32]) {
        self.hash.update(chunk_hash);
        self.chunks += 1;
    }

    /// The root, 32 bytes.
    #[must_use]
    pub fn finish(self) -> [u8; 32] {
        self.hash.chain_update(self.chunks.to_be_bytes()).finalize().into()
    }
}

impl Default for Root {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn order_number_and_content_of_the_chunks_all_count() {
        let hashes = [[1; 32], [2; 32]];
        let root = |hashes: &[[u8; 32]]| {
            let mut root = Root::default();
            hashes.iter().for_each(|hash| root.push(hash));
            root.finish()
        };
        let whole = root(&hashes);
        assert_eq!(whole, root(&hashes));
        for other in [&[][..], &hashes[..1], &[[2; 32], [1; 32]], &[[1; 32], [2; 32], [2; 32]]] {
            assert_ne!(whole, root(other));
        }
    }

    #[test]
    fn a_chunk_is_not_hashed_like_a_blob_that_is_put() {
        let blob = Blob::new(Box::new([1; 2_400]));
        assert_ne!(chunk_hash(&blob), *blob.put_id().as_bytes());
        let mut changed = [1; 2_400];
        changed[2_399] = 0;
        assert_ne!(chunk_hash(&blob), chunk_hash(&Blob::new(Box::new(changed))));
    }
}

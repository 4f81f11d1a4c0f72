use hearken_proto::time::UnixDay;
use rand_chacha::ChaCha20Rng;
use rand_core::{Rng, SeedableRng};

use super::test_support::open;
use crate::store::{Batch, Space, Store};

const DAY: Space = Space::Day(UnixDay(20_000));
const BLOBS: u32 = 20_000;
/// One of so many is left.
const LEFT: u32 = 20;

#[test]
fn a_store_at_rest_gives_back_what_a_drain_has_left_and_keeps_every_other_row() {
    let temp = tempfile::tempdir().unwrap();
    let store = open(temp.path());
    let blob = |key: u32| {
        let mut blob = vec![0; 2_400];
        ChaCha20Rng::seed_from_u64(key.into()).fill_bytes(&mut blob);
        blob
    };
    for keys in (0..BLOBS).collect::<Vec<_>>().chunks(500) {
        let mut batch = Batch::default();
        keys.iter().for_each(|key| batch.put(DAY, key.to_be_bytes().to_vec(), blob(*key)));
        store.commit(batch).unwrap();
    }
    let mut batch = Batch::default();
    let gone = (0..BLOBS).filter(|key| key % LEFT != 0);
    gone.for_each(|key| batch.delete(DAY, key.to_be_bytes().to_vec()));
    store.commit(batch).unwrap();

    let tables = || {
        let engine = temp.path().join("engine").join("keyspaces");
        super::disk_bytes(if engine.exists() { &engine } else { temp.path() })
    };
    let before = tables();
    store.tidy();
    store.totals();
    assert!(tables() < before / 3, "{} of {before} bytes are left", tables());
    let rows = store.range(DAY, &[], &[0xff; 5], BLOBS as usize).unwrap();
    assert_eq!(rows.len(), (BLOBS / LEFT) as usize);
    for row in rows {
        let key = u32::from_be_bytes(row.key[..].try_into().unwrap());
        assert!(key % LEFT == 0 && row.value == blob(key));
    }
}

//! What every engine must do: one suite, run against each, and a model of random operations.

use std::collections::BTreeMap;

use hearken_proto::time::{UnixDay, UnixMillis};
use proptest::prelude::*;
use rand_chacha::ChaCha20Rng;
use rand_core::{CryptoRng, SeedableRng};

use super::fixture::Fixture;
use super::fjall::test_support::FjallFixture;
use super::*;

const DAY: Space = Space::Day(UnixDay(20_000));
const NEXT_DAY: Space = Space::Day(UnixDay(20_001));
const SPACES: [Space; 3] = [Space::Rows, DAY, NEXT_DAY];

macro_rules! conformance {
    ($($name:ident),* $(,)?) => {
        mod memory {
            $(#[test] fn $name() { super::$name::<super::MemoryStore>(); })*
        }
        mod fjall {
            $(#[test] fn $name() { super::$name::<super::FjallFixture>(); })*
        }
    };
}

conformance![
    a_committed_batch_is_read_back_after_restart_and_crash,
    spaces_never_meet,
    a_range_is_ordered_bounded_and_limited,
    deleting_removes_and_is_no_error_where_nothing_is,
    a_dropped_day_is_gone_for_good_and_can_be_written_again,
    an_uncommitted_transaction_is_not_read,
    a_transaction_reads_its_own_writes,
    a_transactions_range_merges_overlay_and_committed_rows,
    a_rollback_takes_back_to_the_savepoint,
    put_if_absent_and_append_never_overwrite,
    a_failing_command_leaves_nothing_and_harms_no_other,
    a_frozen_view_is_of_one_moment_and_comes_in_pages,
];

fn put(store: &dyn Store, space: Space, key: &[u8], value: &[u8]) {
    let mut batch = Batch::default();
    batch.put(space, key.to_vec(), value.to_vec());
    store.commit(batch).unwrap();
}

fn everything(store: &dyn Store, space: Space) -> Vec<(Vec<u8>, Vec<u8>)> {
    let rows = store.range(space, &[], &[0xff; 40], usize::MAX).unwrap();
    rows.into_iter().map(|row| (row.key, row.value)).collect()
}

fn keys(rows: Vec<Row>) -> Vec<Vec<u8>> {
    rows.into_iter().map(|row| row.key).collect()
}

fn a_frozen_view_is_of_one_moment_and_comes_in_pages<F: Fixture>() {
    let mut fixture = F::new();
    for position in 0..10_u64 {
        put(fixture.store(), DAY, &position_key(b"m", position), &[1; 100]);
    }
    put(fixture.store(), NEXT_DAY, b"gone", b"soon");
    let frozen = fixture.store().freeze().unwrap();
    // What comes after the moment is not in it: changed, deleted and added rows, in a space of their own too.
    put(fixture.store(), DAY, &position_key(b"m", 4), b"changed");
    let mut batch = Batch::default();
    batch.delete(DAY, position_key(b"m", 5));
    batch.put(DAY, position_key(b"m", 11), vec![2]);
    batch.put(Space::Day(UnixDay(20_002)), b"new".to_vec(), vec![3]);
    fixture.store().commit(batch).unwrap();

    assert_eq!(frozen.days(), [UnixDay(20_000), UnixDay(20_001)]);
    let mut seen = Vec::new();
    loop {
        let after = seen.last().map(|row: &Row| row.key.clone());
        let page = frozen.page(DAY, after.as_deref(), 250).unwrap();
        assert!(page.len() <= 3, "{} rows in a page of 250 bytes", page.len());
        if page.is_empty() {
            break;
        }
        seen.extend(page);
    }
    assert_eq!(keys(seen.clone()), (0..10).map(|at| position_key(b"m", at)).collect::<Vec<_>>());
    assert!(seen.iter().all(|row| row.value == [1; 100]));
    assert_eq!(frozen.page(DAY, None, 0).unwrap().len(), 1, "a page is never empty too early");
    assert!(frozen.page(Space::Rows, None, 100).unwrap().is_empty());
    drop(frozen);
    fixture.restart();
    assert_eq!(everything(fixture.store(), DAY).len(), 10);
}

fn a_committed_batch_is_read_back_after_restart_and_crash<F: Fixture>() {
    let mut fixture = F::new();
    let mut batch = Batch::default();
    batch.put(Space::Rows, b"mailbox".to_vec(), b"row".to_vec());
    batch.put(DAY, b"blob".to_vec(), vec![7; 2_440]);
    fixture.store().commit(batch).unwrap();
    for round in 0..3 {
        let store = fixture.store();
        assert_eq!(store.read(Space::Rows, b"mailbox").unwrap().unwrap(), b"row", "{round}");
        assert_eq!(store.read(DAY, b"blob").unwrap().unwrap(), vec![7; 2_440], "{round}");
        assert_eq!(store.days(), [UnixDay(20_000)]);
        if round == 0 { fixture.restart() } else { fixture.crash() }
    }
}

fn spaces_never_meet<F: Fixture>() {
    let fixture = F::new();
    for (space, value) in SPACES.into_iter().zip([b"a", b"b", b"c"]) {
        put(fixture.store(), space, b"key", value);
    }
    for (space, value) in SPACES.into_iter().zip([b"a", b"b", b"c"]) {
        assert_eq!(fixture.store().read(space, b"key").unwrap().unwrap(), value);
    }
    assert_eq!(fixture.store().read(Space::Day(UnixDay(1)), b"key").unwrap(), None);
    assert_eq!(fixture.store().days(), [UnixDay(20_000), UnixDay(20_001)]);
}

fn a_range_is_ordered_bounded_and_limited<F: Fixture>() {
    let fixture = F::new();
    for position in [5_u64, 1, 300, 2, 255] {
        put(fixture.store(), DAY, &position_key(b"m", position), b"");
    }
    put(fixture.store(), DAY, b"l", b"");
    put(fixture.store(), DAY, b"n", b"");
    let range = |from: u64, to: &[u8], limit| {
        keys(fixture.store().range(DAY, &position_key(b"m", from), to, limit).unwrap())
    };
    let positions = |wanted: &[u64]| -> Vec<Vec<u8>> {
        wanted.iter().map(|position| position_key(b"m", *position)).collect()
    };
    let end = prefix_end(b"m").unwrap();
    assert_eq!(range(0, &end, 10), positions(&[1, 2, 5, 255, 300]));
    assert_eq!(range(2, &position_key(b"m", 255), 10), positions(&[2, 5]));
    assert_eq!(range(2, &end, 2), positions(&[2, 5]));
    assert_eq!(range(2, &end, 0), positions(&[]));
    assert_eq!(range(301, &end, 9), positions(&[]));
    assert_eq!(range(3, &position_key(b"m", 2), 9), positions(&[]));
}

fn deleting_removes_and_is_no_error_where_nothing_is<F: Fixture>() {
    let mut fixture = F::new();
    put(fixture.store(), Space::Rows, b"a", b"1");
    let mut batch = Batch::default();
    batch.delete(Space::Rows, b"a".to_vec());
    batch.delete(DAY, b"never".to_vec());
    fixture.store().commit(batch).unwrap();
    for _ in 0..2 {
        assert_eq!(fixture.store().read(Space::Rows, b"a").unwrap(), None);
        assert_eq!(everything(fixture.store(), Space::Rows), []);
        fixture.restart();
    }
}

fn a_dropped_day_is_gone_for_good_and_can_be_written_again<F: Fixture>() {
    let mut fixture = F::new();
    for space in SPACES {
        put(fixture.store(), space, b"a", b"1");
    }
    fixture.store().flush_day(UnixDay(20_000)).unwrap();
    fixture.store().drop_day(UnixDay(20_000)).unwrap();
    fixture.store().drop_day(UnixDay(20_000)).unwrap();
    for round in 0..3 {
        assert_eq!(everything(fixture.store(), DAY), [], "{round}");
        assert_eq!(fixture.store().days(), [UnixDay(20_001)]);
        assert_eq!(everything(fixture.store(), NEXT_DAY).len(), 1);
        if round == 0 { fixture.crash() } else { fixture.restart() }
    }
    put(fixture.store(), DAY, b"b", b"2");
    fixture.crash();
    assert_eq!(everything(fixture.store(), DAY), [(b"b".to_vec(), b"2".to_vec())]);
}

fn an_uncommitted_transaction_is_not_read<F: Fixture>() {
    let fixture = F::new();
    let mut tx = Transaction::new(fixture.store());
    tx.put(Space::Rows, b"a", b"1".to_vec());
    assert_eq!(fixture.store().read(Space::Rows, b"a").unwrap(), None);
    let batch = tx.into_batch();
    assert_eq!(fixture.store().read(Space::Rows, b"a").unwrap(), None);
    fixture.store().commit(batch).unwrap();
    assert_eq!(fixture.store().read(Space::Rows, b"a").unwrap().unwrap(), b"1");
}

fn a_transaction_reads_its_own_writes<F: Fixture>() {
    let fixture = F::new();
    put(fixture.store(), Space::Rows, b"a", b"old");
    let mut tx = Transaction::new(fixture.store());
    tx.put(Space::Rows, b"a", b"new".to_vec());
    tx.delete(Space::Rows, b"b");
    assert_eq!(tx.read(Space::Rows, b"a").unwrap().unwrap(), b"new");
    tx.delete(Space::Rows, b"a");
    assert_eq!(tx.read(Space::Rows, b"a").unwrap(), None);
    assert_eq!(fixture.store().read(Space::Rows, b"a").unwrap().unwrap(), b"old");
}

fn a_transactions_range_merges_overlay_and_committed_rows<F: Fixture>() {
    let fixture = F::new();
    for key in [b"b", b"d", b"f", b"h"] {
        put(fixture.store(), DAY, key, b"old");
    }
    let mut tx = Transaction::new(fixture.store());
    tx.delete(DAY, b"b");
    tx.put(DAY, b"c", b"new".to_vec());
    tx.put(DAY, b"d", b"new".to_vec());
    tx.put(DAY, b"i", b"new".to_vec());
    let rows = |from: &[u8], to: &[u8], limit| {
        let rows = tx.range(DAY, from, to, limit).unwrap().into_iter();
        rows.map(|row| format!("{}{}", row.key[0] as char, row.value[0] as char))
            .collect::<Vec<_>>()
            .join(" ")
    };
    assert_eq!(rows(b"a", b"z", 9), "cn dn fo ho in");
    assert_eq!(rows(b"a", b"z", 3), "cn dn fo");
    assert_eq!(rows(b"d", b"h", 9), "dn fo");
    assert_eq!(rows(b"z", b"a", 9), "");
    assert_eq!(tx.delete_range(DAY, b"d", b"z", 2).unwrap(), 2);
    assert_eq!(keys(tx.range(DAY, b"a", b"z", 9).unwrap()), [b"c", b"h", b"i"]);
    fixture.store().commit(tx.into_batch()).unwrap();
    assert_eq!(keys(fixture.store().range(DAY, b"a", b"z", 9).unwrap()), [b"c", b"h", b"i"]);
}

fn a_rollback_takes_back_to_the_savepoint<F: Fixture>() {
    let fixture = F::new();
    put(fixture.store(), Space::Rows, b"committed", b"1");
    let mut tx = Transaction::new(fixture.store());
    tx.put(Space::Rows, b"first", b"1".to_vec());
    let savepoint = tx.savepoint();
    tx.put(Space::Rows, b"first", b"2".to_vec());
    tx.delete(Space::Rows, b"first");
    tx.delete(Space::Rows, b"committed");
    tx.put(DAY, b"second", b"1".to_vec());
    tx.rollback(savepoint);
    assert_eq!(tx.read(Space::Rows, b"first").unwrap().unwrap(), b"1");
    assert_eq!(tx.read(Space::Rows, b"committed").unwrap().unwrap(), b"1");
    fixture.store().commit(tx.into_batch()).unwrap();
    assert_eq!(everything(fixture.store(), Space::Rows).len(), 2);
    assert_eq!(everything(fixture.store(), DAY), []);
}

fn put_if_absent_and_append_never_overwrite<F: Fixture>() {
    let fixture = F::new();
    put(fixture.store(), DAY, &position_key(b"m", 1), b"first");
    let mut tx = Transaction::new(fixture.store());
    assert!(!tx.put_if_absent(DAY, &position_key(b"m", 1), b"x".to_vec()).unwrap());
    assert!(tx.put_if_absent(DAY, &position_key(b"m", 2), b"y".to_vec()).unwrap());
    assert!(!tx.put_if_absent(DAY, &position_key(b"m", 2), b"z".to_vec()).unwrap());
    assert!(matches!(tx.append(DAY, b"m", 2, b"x".to_vec()), Err(StoreError::Corrupt { .. })));
    tx.append(DAY, b"m", 3, b"third".to_vec()).unwrap();
    fixture.store().commit(tx.into_batch()).unwrap();
    let values: Vec<_> = everything(fixture.store(), DAY).into_iter().map(|row| row.1).collect();
    assert_eq!(values, [b"first".to_vec(), b"y".to_vec(), b"third".to_vec()]);
}

/// Writes a row, then fails if told so.
pub(super) struct WriteThen(pub(super) &'static [u8], pub(super) Result<(), StoreError>);

impl Command for WriteThen {
    type Outcome = Option<Vec<u8>>;
    type Context = u32;

    fn apply(
        self,
        tx: &mut Transaction<'_>,
        applied: &mut u32,
        _now: UnixMillis,
        _rng: &mut dyn CryptoRng,
    ) -> Result<Self::Outcome, StoreError> {
        *applied += 1;
        let before = tx.read(Space::Rows, self.0)?;
        tx.put(Space::Rows, self.0, applied.to_be_bytes().to_vec());
        self.1.map(|()| before)
    }
}

fn a_failing_command_leaves_nothing_and_harms_no_other<F: Fixture>() {
    let fixture = F::new();
    let mut rng = ChaCha20Rng::seed_from_u64(1);
    let commands = [
        WriteThen(b"a", Ok(())),
        WriteThen(b"a", Err(StoreError::Expired)),
        WriteThen(b"a", Ok(())),
        WriteThen(b"b", Err(StoreError::Expired)),
    ];
    let outcomes = run_batch(fixture.store(), commands, &mut 0, UnixMillis(0), &mut rng);
    let first = 1_u32.to_be_bytes().to_vec();
    assert_eq!(
        outcomes,
        [Ok(None), Err(StoreError::Expired), Ok(Some(first)), Err(StoreError::Expired)]
    );
    let third = 3_u32.to_be_bytes().to_vec();
    assert_eq!(everything(fixture.store(), Space::Rows), [(b"a".to_vec(), third)]);
    assert_eq!(fixture.store().totals().commits, 1, "one commit for the whole batch");
}

#[test]
fn a_failed_commit_refuses_every_command_and_leaves_nothing() {
    let store = MemoryStore::new();
    let mut rng = ChaCha20Rng::seed_from_u64(1);
    store.fail_commits(1, StoreError::Full);
    let run = |rng: &mut ChaCha20Rng| {
        let commands = [WriteThen(b"a", Ok(())), WriteThen(b"b", Ok(()))];
        run_batch(&store, commands, &mut 0, UnixMillis(0), rng)
    };
    assert_eq!(run(&mut rng), [Err(StoreError::Full), Err(StoreError::Full)]);
    assert_eq!(everything(&store, Space::Rows), []);
    assert_eq!(run(&mut rng), [Ok(None), Ok(None)]);
}

#[test]
fn a_full_disk_refuses_new_blobs_one_by_one_and_lets_deletes_through() {
    let store = MemoryStore::new();
    put(&store, DAY, b"old", b"blob");
    store.set_full(true);
    let mut tx = Transaction::new(&store);
    assert_eq!(tx.put_if_absent(DAY, b"new", b"blob".to_vec()), Err(StoreError::Full));
    assert_eq!(tx.append(DAY, b"new", 1, b"blob".to_vec()), Err(StoreError::Full));
    assert_eq!(tx.put_if_absent(DAY, b"old", b"blob".to_vec()), Ok(false));
    tx.delete(DAY, b"old");
    tx.put(Space::Rows, b"mailbox", b"row".to_vec());
    store.commit(tx.into_batch()).unwrap();
    assert_eq!(everything(&store, DAY), []);
}

#[test]
fn a_crashed_relays_handle_cannot_write_past_its_death() {
    let store = MemoryStore::new();
    put(&store, DAY, b"a", b"1");
    let survivor = store.crash();
    let mut batch = Batch::default();
    batch.put(DAY, b"b".to_vec(), b"2".to_vec());
    assert_eq!(store.commit(batch), Err(StoreError::Stopped));
    assert_eq!(everything(&survivor, DAY).len(), 1);
    put(&survivor, DAY, b"c", b"3");
}

#[test]
fn a_read_from_a_cursor_looks_at_nothing_before_it() {
    let store = MemoryStore::new();
    for position in 0..1_000 {
        put(&store, DAY, &position_key(b"m", position), b"blob");
    }
    let before = store.rows_read();
    let end = prefix_end(b"m").unwrap();
    store.range(DAY, &position_key(b"m", 990), &end, 16).unwrap();
    assert_eq!(store.rows_read() - before, 10);
}

#[derive(Clone, Debug)]
enum Op {
    Commit(Vec<(usize, u8, Option<Vec<u8>>)>),
    Drop(usize),
    Flush(usize),
    Restart,
    Crash,
}

fn op() -> impl Strategy<Value = Op> {
    let value = prop::option::weighted(0.7, prop::collection::vec(any::<u8>(), 0..3_000));
    let writes = prop::collection::vec((0..SPACES.len(), 0..24_u8, value), 1..8);
    prop_oneof![
        10 => writes.prop_map(Op::Commit),
        1 => (1..SPACES.len()).prop_map(Op::Drop),
        1 => (1..SPACES.len()).prop_map(Op::Flush),
        1 => Just(Op::Restart),
        1 => Just(Op::Crash),
    ]
}

fn carry_out<F: Fixture>(fixture: &mut F, op: &Op) {
    let day_of = |space: usize| match SPACES[space] {
        Space::Day(day) => day,
        Space::Rows => panic!("rows are no day"),
    };
    match op {
        Op::Commit(writes) => {
            let mut batch = Batch::default();
            for (space, key, value) in writes {
                match value {
                    Some(value) => batch.put(SPACES[*space], vec![*key], value.clone()),
                    None => batch.delete(SPACES[*space], vec![*key]),
                }
            }
            fixture.store().commit(batch).unwrap();
        }
        Op::Drop(space) => fixture.store().drop_day(day_of(*space)).unwrap(),
        Op::Flush(space) => fixture.store().flush_day(day_of(*space)).unwrap(),
        Op::Restart => fixture.restart(),
        Op::Crash => fixture.crash(),
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: if std::env::var_os("HEARKEN_LONG").is_some() { 400 } else { 12 },
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn both_engines_agree_with_a_map_through_restarts_and_crashes(
        ops in prop::collection::vec(op(), 1..40)
    ) {
        let mut model: BTreeMap<(Space, Vec<u8>), Vec<u8>> = BTreeMap::new();
        let (mut memory, mut fjall) = (<MemoryStore as Fixture>::new(), FjallFixture::new());
        for op in &ops {
            carry_out(&mut memory, op);
            carry_out(&mut fjall, op);
            match op {
                Op::Commit(writes) => for (space, key, value) in writes {
                    let at = (SPACES[*space], vec![*key]);
                    match value {
                        Some(value) => model.insert(at, value.clone()),
                        None => model.remove(&at),
                    };
                },
                Op::Drop(space) => model.retain(|(at, _), _| *at != SPACES[*space]),
                Op::Flush(_) | Op::Restart | Op::Crash => {}
            }
            for space in SPACES {
                let rows: Vec<_> = model
                    .iter()
                    .filter(|((at, _), _)| *at == space)
                    .map(|((_, key), value)| (key.clone(), value.clone()))
                    .collect();
                prop_assert_eq!(&everything(memory.store(), space), &rows);
                prop_assert_eq!(&everything(fjall.store(), space), &rows);
            }
        }
    }
}

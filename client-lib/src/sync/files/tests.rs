//! Rows of files: chunks come back as they went in, and go with their line and its key.

use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;

use super::*;
use crate::file;
use crate::sync::MIGRATIONS;
use crate::vault::Vault;

fn rng() -> ChaCha20Rng {
    ChaCha20Rng::from_seed([3; 32])
}

const THREAD: ThreadId = ThreadId::from_bytes([1; 16]);
const MESSAGE: MessageId = MessageId::from_bytes([2; 16]);

/// A vault with a conversation and the line of a file in it.
fn vault() -> Vault {
    let mut vault = Vault::open_in_memory(MIGRATIONS).unwrap();
    vault
        .transaction(|tx| {
            tx.execute("INSERT INTO contact (id, state) VALUES (?1, 2)", [&[1_u8; 16][..]])?;
            tx.execute(
                "INSERT INTO message (thread, id, kind, text, sent_at, state) VALUES (?1, ?2, 14, 'x', 0, 2)",
                params![&[1_u8; 16][..], &[2_u8; 16][..]],
            )?;
            Ok::<_, VaultError>(())
        })
        .unwrap();
    vault
}

fn stored_file(vault: &mut Vault, bytes: &[u8], ends: Option<UnixDay>) -> StoredFile {
    let key = FileKey::generate(&mut rng());
    let count = file::chunks_for(bytes.len()).unwrap();
    let chunks: Vec<_> = file::seal(&key, bytes, count).collect();
    let new = NewFile {
        thread: THREAD,
        message: MESSAGE,
        object: [9; 32],
        key: &key,
        write_key: None,
        root: file::root_of(chunks.iter()),
        chunks: count,
        size: bytes.len() as u64,
        media_type: "text/plain",
        stage: Stage::There,
        sent_at: UnixMillis(5),
        ends,
    };
    let seq = vault
        .transaction(|tx| {
            let seq = insert(tx, &new, &mut rng())?;
            // As they may come: a few at a time, over the edges of rows.
            let mut place = 0;
            for part in chunks.chunks(5) {
                push_chunks(tx, seq, (place..).zip(part.iter().cloned()))?;
                place += part.len() as u32;
            }
            set_done(tx, seq, count)?;
            Ok::<_, VaultError>(seq)
        })
        .unwrap();
    of_seq(vault.database(), seq).unwrap().unwrap()
}

fn rows(vault: &Vault, table: &str) -> u32 {
    let count = format!("SELECT count(*) FROM {table}");
    vault.database().query_row(&count, [], |row| row.get(0)).unwrap()
}

#[test]
fn a_file_is_read_as_it_was_whatever_pieces_it_came_in() {
    let mut vault = vault();
    let bytes: Vec<u8> = (0..50_000).map(|at| (at % 251) as u8).collect();
    let file = stored_file(&mut vault, &bytes, None);
    assert_eq!(&open(vault.database(), &file).unwrap().unwrap()[..], &bytes[..]);
    let some = chunks(vault.database(), file.seq, 14, 5).unwrap();
    assert_eq!(some.len(), 5);
    let hashes = hashes(vault.database(), file.seq, file.chunks).unwrap();
    assert_eq!(hashes[15], chunk_hash(&some[1]));
    // All but one row of it.
    vault
        .transaction(|tx| {
            Ok::<_, VaultError>(tx.execute("DELETE FROM file_chunk WHERE at % 512 = 1", [])?)
        })
        .unwrap();
    assert!(open(vault.database(), &file).unwrap().is_none());
}

#[test]
fn a_file_goes_with_its_line_and_with_its_conversation() {
    for gone in ["UPDATE message SET kind = 13", "DELETE FROM message", "DELETE FROM contact"] {
        let mut vault = vault();
        stored_file(&mut vault, &[1; 9_000], None);
        assert_eq!((rows(&vault, "file"), rows(&vault, "file_chunk") > 0), (1, true));
        vault.transaction(|tx| Ok::<_, VaultError>(tx.execute(gone, [])?)).unwrap();
        assert_eq!((rows(&vault, "file"), rows(&vault, "file_chunk")), (0, 0), "{gone}");
    }
}

#[test]
fn what_is_to_be_gone_opens_until_its_day_is_over_and_never_after() {
    let mut vault = vault();
    let day = UnixDay(20_000);
    let file = stored_file(&mut vault, b"words", Some(day));
    assert!(open(vault.database(), &file).unwrap().is_some());
    vault.transaction(|tx| keys::destroy(tx, KeyName::Day(day))).unwrap();
    assert!(open(vault.database(), &file).unwrap().is_none());
}

#[test]
fn few_and_small_files_are_fetched_by_themselves() {
    let mut vault = vault();
    let file = stored_file(&mut vault, b"words", None);
    assert_eq!(under_way(vault.database()).unwrap().len(), 1);
    vault
        .transaction(|tx| {
            tx.execute("UPDATE file SET size = ?1, message = zeroblob(16)", [FETCHED_TOTAL_MAX])?;
            Ok::<_, VaultError>(())
        })
        .unwrap();
    let second = stored_file(&mut vault, b"words", None);
    assert_ne!(file.seq, second.seq);
    assert_eq!(under_way(vault.database()).unwrap().len(), 1, "there are enough");
    vault.transaction(|tx| want(tx, second.seq)).unwrap();
    assert_eq!(under_way(vault.database()).unwrap().len(), 2);
}

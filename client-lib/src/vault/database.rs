//! The encrypted database: SQLCipher through rusqlite, opened so that a commit is durable and nothing lies in the clear.
//!
//! * The key is raw (32 random bytes), so SQLCipher derives nothing from a password. Every page is encrypted and carries
//!   an HMAC, so a damaged page is an error and never data.
//! * `journal_mode=TRUNCATE` with `synchronous=FULL`: durable on commit (SQLite syncs the journal, the database and the
//!   emptied journal), and the journal, which holds encrypted pages from before, is emptied with each one. Not WAL, though
//!   a commit there takes a quarter of the time: SQLite takes damage in a write-ahead log for its end, so transactions
//!   that were committed would vanish without a word, and the log would keep what was deleted.
//! * `secure_delete`: what is deleted is overwritten in its page. Flash memory and file systems may keep older copies
//!   of blocks; those are encrypted under the same data key.
//! * Temporary tables in memory, a locked database (the home lock already lets in only one process), SQLCipher's own
//!   log off (it would write to standard error) and its memory wiped when freed.

use std::path::Path;
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags, TransactionBehavior};
use zeroize::Zeroizing;

use super::data_key::DataKey;
use super::error::{Damage, VaultError};

/// Says that a database is a vault: "HKVT".
const APPLICATION_ID: i32 = 0x484b_5654;

/// How long SQLite tries when a program that does not take the home lock, such as a backup, reads the file.
const BUSY_WAIT: Duration = Duration::from_secs(5);

/// How many prepared statements are kept: more than there are, so that none is parsed twice. Bound values are cleared
/// when a statement goes back.
const STATEMENTS_KEPT: usize = 256;

/// Opens the database in a file that is there.
///
/// # Errors
/// [`VaultError::Damaged`] where it is not a vault under this key, [`VaultError::TooNew`].
pub(super) fn open(
    path: &Path,
    key: &DataKey,
    migrations: &[&str],
) -> Result<Connection, VaultError> {
    let mut database = open_keyed(path, key)?;
    let id: i32 = database.pragma_query_value(None, "application_id", |row| row.get(0))?;
    if id != APPLICATION_ID {
        // An emptied file reads as an empty database under any key.
        return Err(VaultError::Damaged { what: Damage::Database });
    }
    migrate(&mut database, migrations)?;
    Ok(database)
}

/// Makes the database in an empty file and closes it.
pub(super) fn create(path: &Path, key: &DataKey, migrations: &[&str]) -> Result<(), VaultError> {
    let mut database = open_keyed(path, key)?;
    mark(&mut database)?;
    migrate(&mut database, migrations)?;
    database.close().map_err(|(_, error)| error.into())
}

/// A database that is gone when it is closed.
pub(super) fn open_in_memory(migrations: &[&str]) -> Result<Connection, VaultError> {
    let mut database = Connection::open_in_memory()?;
    check(&database)?;
    configure(&database)?;
    mark(&mut database)?;
    migrate(&mut database, migrations)?;
    Ok(database)
}

fn open_keyed(path: &Path, key: &DataKey) -> Result<Connection, VaultError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let database = Connection::open_with_flags(path, flags)?;
    quieten(&database)?;
    database.execute_batch(&key_pragma(key))?;
    database.execute_batch("PRAGMA locking_mode = EXCLUSIVE;")?;
    // The first page that is read is where a wrong key shows.
    database.query_row("SELECT count(*) FROM sqlite_schema", [], |_| Ok(()))?;
    configure(&database)?;
    Ok(database)
}

/// As [`check`], and has SQLCipher's memory locked and wiped. A vault in memory does without: it is for simulations,
/// of which that would be most of the time.
fn quieten(database: &Connection) -> Result<(), VaultError> {
    check(database)?;
    database.execute_batch("PRAGMA cipher_memory_security = ON;")?;
    Ok(())
}

/// Checks that this is SQLCipher, and silences its log.
fn check(database: &Connection) -> Result<(), VaultError> {
    database.busy_timeout(BUSY_WAIT)?;
    let mut version = String::new();
    // Plain SQLite does not know the pragma, and gives no row.
    database.pragma_query(None, "cipher_version", |row| {
        version = row.get(0)?;
        Ok(())
    })?;
    if version.is_empty() {
        return Err(VaultError::NotEncrypted);
    }
    database.execute_batch("PRAGMA cipher_log_level = NONE;")?;
    Ok(())
}

fn configure(database: &Connection) -> Result<(), VaultError> {
    database.set_prepared_statement_cache_capacity(STATEMENTS_KEPT);
    // Without it SQLite plans a kept statement anew with each value bound to a limit or an indexed column.
    database.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    database.execute_batch(
        "PRAGMA journal_mode = TRUNCATE;
         PRAGMA synchronous = FULL;
         PRAGMA secure_delete = ON;
         PRAGMA temp_store = MEMORY;
         PRAGMA foreign_keys = ON;
         PRAGMA trusted_schema = OFF;",
    )?;
    Ok(())
}

fn mark(database: &mut Connection) -> Result<(), VaultError> {
    database.pragma_update(None, "application_id", APPLICATION_ID)?;
    Ok(())
}

/// Applies those migrations that were not, each in a transaction of its own with its number.
fn migrate(database: &mut Connection, migrations: &[&str]) -> Result<(), VaultError> {
    let version: u32 = database.pragma_query_value(None, "user_version", |row| row.get(0))?;
    let pending = migrations.get(version as usize..).ok_or(VaultError::TooNew)?;
    for (number, migration) in (version + 1..).zip(pending) {
        let tx = database.transaction_with_behavior(TransactionBehavior::Immediate)?;
        tx.execute_batch(migration)?;
        tx.pragma_update(None, "user_version", number)?;
        tx.commit()?;
    }
    Ok(())
}

/// `PRAGMA key = "x'…'"`, sized beforehand so that no copy is left behind when it grows.
fn key_pragma(key: &DataKey) -> Zeroizing<String> {
    let mut pragma = Zeroizing::new(String::with_capacity(96));
    pragma.push_str("PRAGMA key = \"");
    pragma.push_str(&key_literal(key));
    pragma.push_str("\";");
    pragma
}

/// `x'…'`: how SQLCipher is given a raw key.
pub(super) fn key_literal(key: &DataKey) -> Zeroizing<String> {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    let mut literal = Zeroizing::new(String::with_capacity(80));
    literal.push_str("x'");
    for byte in key.as_bytes() {
        literal.push(char::from(HEX[usize::from(byte >> 4)]));
        literal.push(char::from(HEX[usize::from(byte & 15)]));
    }
    literal.push('\'');
    literal
}

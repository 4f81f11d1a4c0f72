//! A restore: a relay made of a backup, in a folder where there is nothing.
//!
//! Guarantees: the folder is a whole relay or as it was, whenever this ends and however (see `stage`); nothing of a
//! file that is damaged, cut or longer than it should be is kept; positions begin above every position that a reader
//! can have a cursor at, where the clock is right ([`life`]), and with a clock that is known to be wrong, since it stands
//! before the backup, nothing is restored; keys and blobs of days that are over are left out; seal, auth and hop keys are
//! made anew at the first start, since a backup has none. Memory is bounded by one frame and the store's own buffers.
//!
//! What no restore can give back: what was put, claimed or deleted after the backup. Lost messages are a gap at their
//! readers, mailboxes made since are made again by their readers; deploy/README.md tells the operator.

mod stage;

use std::fs::File;
use std::io::{self, BufReader};
use std::path::Path;

use hearken_proto::ids::Fingerprint;
use hearken_proto::time::{UnixDay, UnixHour, UnixMillis};

use self::stage::Stage;
use crate::archive::{ArchiveError, Decoder, Item};
use crate::folder::{Folder, FolderError, fingerprint};
use crate::stop::Stop;
use crate::store::{Batch, DayKeys, FjallConfig, FjallStore, Row, Space, Store, StoreError, life};

/// Why nothing was restored. The folder is as it was.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RestoreError {
    /// There is something in the folder.
    #[error("the folder is not empty")]
    NotEmpty,
    /// Another process has the folder: a restore, an `init`, a relay.
    #[error("another process is at work in this folder")]
    UnderWay,
    /// The file is not there, or cannot be read.
    #[error("the backup cannot be opened: {0}")]
    Open(io::ErrorKind),
    /// The file is not a whole backup.
    #[error(transparent)]
    Archive(#[from] ArchiveError),
    /// This machine's clock stands before the backup. Positions would begin where an earlier restore's did, and readers
    /// acknowledge up to a position: what they never saw would go.
    #[error("this machine's clock stands before the time of the backup")]
    ClockBehind,
    /// The folder cannot be made or written.
    #[error("the folder cannot be made: {0}")]
    Io(io::ErrorKind),
    /// It was told to stop.
    #[error("the restore was told to stop")]
    Stopped,
    /// What was written does not read back.
    #[error(
        "what was written does not read back: the disk or the memory of this machine is at fault"
    )]
    Verify,
    /// A file of the folder.
    #[error(transparent)]
    Folder(#[from] FolderError),
    /// The store or a key.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What was restored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Restored {
    /// Whose relay it is.
    pub fingerprint: Fingerprint,
    /// When the backup was made.
    pub made: UnixHour,
    /// Rows of the store.
    pub rows: u64,
    /// Rows left out since their day is over.
    pub rows_expired: u64,
}

/// Makes the relay of the backup in file `from`. Looks between two frames whether it is to stop.
///
/// # Errors
/// [`RestoreError`]; nothing is left then.
pub fn restore(
    from: &Path,
    folder: &Folder,
    now: UnixMillis,
    stop: &Stop,
) -> Result<Restored, RestoreError> {
    let file = File::open(from).map_err(|error| RestoreError::Open(error.kind()))?;
    let stage = Stage::begin(folder)?;
    let restored = build(BufReader::new(file), &Folder::new(stage.data()), now, stop)?;
    go_on(stop)?;
    stage.finish()?;
    Ok(restored)
}

fn build(
    from: impl io::Read,
    folder: &Folder,
    now: UnixMillis,
    stop: &Stop,
) -> Result<Restored, RestoreError> {
    let mut backup = Decoder::new(from);
    let Some(Item::Relay { seed, first_position, made }) = backup.next()? else {
        return Err(ArchiveError::Damaged.into());
    };
    let Some(Item::Config(config)) = backup.next()? else {
        return Err(ArchiveError::Damaged.into());
    };
    if now.hour() < made {
        return Err(RestoreError::ClockBehind);
    }
    let first_position = life::restored(first_position, now);
    let store = FjallStore::begin(folder.path(), FjallConfig::default(), first_position)?;
    let day_keys = DayKeys::open(&folder.day_keys())?;
    let (mut rows, mut rows_expired) = (0, 0);
    while let Some(item) = backup.next()? {
        go_on(stop)?;
        match item {
            Item::Notice(text) => folder.write_notice(&text)?,
            Item::DayKey { day, secret } if is_live(day, now) => day_keys.adopt(day, &secret)?,
            Item::Rows { space: Space::Day(day), rows: over } if !is_live(day, now) => {
                rows_expired += over.len() as u64;
            }
            Item::Rows { space, rows: kept } => {
                rows += kept.len() as u64;
                store.commit(batch_of(space, kept))?;
            }
            Item::DayKey { .. } => {}
            Item::Relay { .. } | Item::Config(_) => return Err(ArchiveError::Damaged.into()),
        }
    }
    // Beside them the store counts the row of its last commit.
    let found = store.verify()?;
    if found != rows + u64::from(rows > 0) {
        return Err(RestoreError::Verify);
    }
    drop(store);
    let identity = folder.adopt(&seed, &config)?;
    Ok(Restored { fingerprint: fingerprint(&identity), made, rows, rows_expired })
}

fn go_on(stop: &Stop) -> Result<(), RestoreError> {
    if stop.is_asked() { Err(RestoreError::Stopped) } else { Ok(()) }
}

fn is_live(day: UnixDay, now: UnixMillis) -> bool {
    day >= now.day()
}

fn batch_of(space: Space, rows: Vec<Row>) -> Batch {
    let mut batch = Batch::default();
    for row in rows {
        batch.put(space, row.key, row.value);
    }
    batch
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::PathBuf;

    use super::*;
    use crate::backup::{Source, write_from};
    use crate::folder::{Content, RESTORING};

    /// A restore that nobody stops.
    fn restore(from: &Path, folder: &Folder, now: UnixMillis) -> Result<Restored, RestoreError> {
        super::restore(from, folder, now, &Stop::default())
    }

    const DAY: u64 = 86_400_000;
    const NOW: UnixMillis = UnixMillis(20_000 * DAY);

    /// A folder with a stopped relay that has rows of two expiry days, and its backup.
    fn backed_up() -> (tempfile::TempDir, PathBuf) {
        let temporary = tempfile::tempdir().unwrap();
        let folder = Folder::new(temporary.path().join("relay"));
        folder.init(None, &[]).unwrap();
        let store = FjallStore::open(folder.path(), FjallConfig::default()).unwrap();
        let day_keys = DayKeys::open(&folder.day_keys()).unwrap();
        for day in [20_001, 20_009] {
            day_keys.adopt(UnixDay(day), &[7; 32]).unwrap();
            let rows = (0..3_000_u64)
                .map(|at| Row { key: at.to_be_bytes().to_vec(), value: vec![9; 1_000] });
            store.commit(batch_of(Space::Day(UnixDay(day)), rows.collect())).unwrap();
        }
        let row = Row { key: b"mailbox".to_vec(), value: b"row".to_vec() };
        store.commit(batch_of(Space::Rows, vec![row])).unwrap();
        let out = temporary.path().join("backup");
        let source = Source::new(&folder, &store, &day_keys, NOW).unwrap();
        let written = write_from(source, &out, &Stop::default()).unwrap();
        assert_eq!(written.rows, 6_001);
        assert_eq!(written.bytes, fs::metadata(&out).unwrap().len());
        (temporary, out)
    }

    #[test]
    fn what_expired_since_the_backup_is_left_out_and_everything_else_is_there() {
        let (temporary, out) = backed_up();
        for (name, now, days) in [
            ("at once", NOW, &[20_001, 20_009][..]),
            ("later", UnixMillis(20_005 * DAY), &[20_009]),
            ("much later", UnixMillis(20_010 * DAY), &[]),
        ] {
            let folder = Folder::new(temporary.path().join(name));
            let restored = restore(&out, &folder, now).unwrap();
            assert_eq!(restored.rows, 1 + 3_000 * days.len() as u64, "{name}");
            assert_eq!(restored.rows + restored.rows_expired, 6_001, "{name}");
            let days: Vec<UnixDay> = days.iter().map(|day| UnixDay(*day)).collect();
            let store = FjallStore::open(folder.path(), FjallConfig::default()).unwrap();
            assert_eq!(store.days(), days, "{name}");
            assert_eq!(DayKeys::open(&folder.day_keys()).unwrap().days(), days, "{name}");
            assert_eq!(store.read(Space::Rows, b"mailbox").unwrap().unwrap(), b"row");
            assert_eq!(store.first_position(), now.0 << 21, "the moment of the restore");
            for day in days {
                let rows = store.range(Space::Day(day), &[], &[255], usize::MAX).unwrap();
                assert_eq!(rows.len(), 3_000);
            }
        }
    }

    #[test]
    fn a_clock_before_the_backup_restores_nothing_since_an_earlier_restore_may_have_given_the_positions()
     {
        let (temporary, out) = backed_up();
        let earlier = Folder::new(temporary.path().join("earlier"));
        restore(&out, &earlier, UnixMillis(NOW.0 + 5 * DAY)).unwrap();
        let folder = Folder::new(temporary.path().join("new"));
        for now in [UnixMillis(5 * DAY), UnixMillis(NOW.0 - 1)] {
            assert_eq!(restore(&out, &folder, now).unwrap_err(), RestoreError::ClockBehind);
            assert!(!folder.path().exists(), "nothing is left");
        }
        // Within the hour of the backup the clock may be right.
        restore(&out, &folder, NOW).unwrap();
    }

    #[test]
    fn an_interrupted_restore_is_no_relay_and_the_next_one_sweeps_it() {
        let (temporary, out) = backed_up();
        let folder = Folder::new(temporary.path().join("new"));
        fs::create_dir(folder.path()).unwrap();
        // Killed while files were moved up: an identity and half a store.
        let half = Folder::new(temporary.path().join("half"));
        restore(&out, &half, NOW).unwrap();
        fs::create_dir_all(folder.path().join(RESTORING).join("data")).unwrap();
        for name in ["engine", "keys", "relay.toml"] {
            fs::rename(half.path().join(name), folder.path().join(name)).unwrap();
        }
        assert_eq!(folder.content().unwrap(), Content::Restoring);
        assert_eq!(folder.identity().unwrap_err(), FolderError::Restoring);
        assert_eq!(folder.init(None, &[]).unwrap_err(), FolderError::Restoring);
        restore(&out, &folder, NOW).unwrap();
        assert_eq!(folder.content().unwrap(), Content::Relay);
        assert!(!folder.path().join(RESTORING).exists());
        assert_eq!(
            restore(&out, &folder, NOW).unwrap_err(),
            RestoreError::NotEmpty,
            "a relay is never replaced"
        );
    }

    #[test]
    fn two_restores_into_one_folder_do_not_meet() {
        let (temporary, out) = backed_up();
        for exists in [false, true] {
            let folder = Folder::new(temporary.path().join(format!("new-{exists}")));
            if exists {
                fs::create_dir(folder.path()).unwrap();
            }
            let first = Stage::begin(&folder).unwrap();
            assert_eq!(restore(&out, &folder, NOW).unwrap_err(), RestoreError::UnderWay);
            drop(first);
            restore(&out, &folder, NOW).unwrap();
        }
    }

    #[test]
    fn a_folder_in_which_another_process_makes_a_relay_is_not_touched() {
        let temporary = tempfile::tempdir().unwrap();
        let folder = Folder::new(temporary.path());
        let held = folder.lock().unwrap();
        assert_eq!(Stage::begin(&folder).err(), Some(RestoreError::UnderWay));
        assert!(!folder.path().join(RESTORING).exists());
        // It came to its end between the first look and the lock.
        drop(held);
        folder.init(None, &[]).unwrap();
        let identity = folder.identity().unwrap();
        assert_eq!(Stage::take(&folder).err(), Some(RestoreError::NotEmpty));
        assert_eq!(folder.identity().unwrap(), identity);
        assert!(!folder.path().join(RESTORING).exists());
    }
}

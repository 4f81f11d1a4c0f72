//! Checks what the engine trusts unseen at an opening: lists of tables, and tables' own tables of contents.
//!
//! lsm-tree 3.1 writes each keyspace's list of tables to `v<number>` and that number with the XXH3-128 of the list to
//! `current`, and compares the two nowhere: a flipped bit in the list would hide a table, or change the order of
//! writes. And it makes room for as many sections as a file says to have before it compares that file's checksum: a
//! flipped bit could ask for all memory. Blocks carry checksums that the engine does compare when it reads them.
//!
//! The formats, integers little-endian: `current` = list's number u64 ‖ XXH3-128 u128 ‖ checksum type u8 (0). A list or
//! table ends with `SFA!` ‖ 1 ‖ 0 ‖ XXH3-128 of its contents u128 ‖ their offset u64 ‖ their length u64, and the contents
//! are `TOC!` ‖ sections u32 ‖ per section offset u64, length u64, name's length u16, name. A list's section `tables`:
//! levels u8 ‖ per level runs u8 ‖ per run tables u32 ‖ per table id u64, checksum type u8, checksum u128, seqno u64.

use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;

use xxhash_rust::xxh3::xxh3_128;

use super::bytes::Bytes;
use super::folder::RESTORE;
use crate::store::StoreError;

const TRAILER_LEN: usize = 4 + 1 + 1 + 16 + 8 + 8;
/// Far above the some ten sections of a table, far below what would hurt.
const CONTENTS_LEN_MAX: u64 = 65_536;

/// Compares every keyspace's list of tables, and the contents of every table in it, with their checksums.
pub(super) fn check(engine: &Path) -> Result<(), StoreError> {
    let failed = |error: io::Error| StoreError::io("reading the store's lists of tables", &error);
    for keyspace in fs::read_dir(engine.join("keyspaces")).map_err(failed)? {
        let keyspace = keyspace.map_err(failed)?;
        let name = keyspace.file_name();
        match check_keyspace(&keyspace.path()) {
            Ok(()) => {}
            Err(error) if is_damage(error.kind()) => {
                return Err(StoreError::Corrupt {
                    what: format!("{} of keyspace {}", error, name.display()),
                    advice: RESTORE,
                });
            }
            Err(error) => return Err(failed(error)),
        }
    }
    Ok(())
}

fn is_damage(kind: io::ErrorKind) -> bool {
    matches!(
        kind,
        io::ErrorKind::InvalidData | io::ErrorKind::NotFound | io::ErrorKind::UnexpectedEof
    )
}

fn check_keyspace(folder: &Path) -> io::Result<()> {
    let current = match fs::read(folder.join("current")) {
        Ok(current) => current,
        // A keyspace that was being made or dropped; the engine finishes that.
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    let damaged = || io::Error::new(io::ErrorKind::InvalidData, "the list of tables");
    let (number, checksum) = parse_current(&current).ok_or_else(damaged)?;
    let list =
        fs::read(folder.join(format!("v{number}"))).map_err(|error| named(&error, damaged()))?;
    if xxh3_128(&list) != checksum {
        return Err(damaged());
    }
    for id in parse_list(&list).ok_or_else(damaged)? {
        let damaged = || io::Error::new(io::ErrorKind::InvalidData, format!("table {id}"));
        let table = folder.join("tables").join(id.to_string());
        let whole = File::open(table).and_then(contents_are_whole);
        match whole {
            Ok(true) => {}
            Ok(false) => return Err(damaged()),
            Err(error) => return Err(named(&error, damaged())),
        }
    }
    Ok(())
}

/// An error that says which file is meant, where the file is at fault.
fn named(error: &io::Error, damaged: io::Error) -> io::Error {
    if is_damage(error.kind()) { damaged } else { error.kind().into() }
}

pub(super) fn parse_current(current: &[u8]) -> Option<(u64, u128)> {
    let mut rest = Bytes(current);
    let parsed = (u64::from_le_bytes(rest.take()?), u128::from_le_bytes(rest.take()?));
    (rest.0 == [0]).then_some(parsed)
}

/// The ids of all tables in a list whose checksum was compared.
pub(super) fn parse_list(list: &[u8]) -> Option<Vec<u64>> {
    let trailer = list.last_chunk::<TRAILER_LEN>()?;
    let (_, offset, len) = parse_trailer(trailer)?;
    let mut contents = Bytes(slice(list, offset, len)?);
    let [b'T', b'O', b'C', b'!'] = contents.take()? else { return None };
    let mut tables = None;
    for _ in 0..u32::from_le_bytes(contents.take()?) {
        let (offset, len) =
            (u64::from_le_bytes(contents.take()?), u64::from_le_bytes(contents.take()?));
        let name_len = u16::from_le_bytes(contents.take()?);
        if contents.slice(usize::from(name_len))? == b"tables" {
            tables = Some(slice(list, offset, len)?);
        }
    }
    let mut rest = Bytes(tables?);
    let mut ids = Vec::new();
    for _ in 0..u8::from_le_bytes(rest.take()?) {
        for _ in 0..u8::from_le_bytes(rest.take()?) {
            for _ in 0..u32::from_le_bytes(rest.take()?) {
                ids.push(u64::from_le_bytes(rest.take()?));
                rest.take::<25>()?;
            }
        }
    }
    Some(ids)
}

fn slice(bytes: &[u8], offset: u64, len: u64) -> Option<&[u8]> {
    let from = usize::try_from(offset).ok()?;
    bytes.get(from..from.checked_add(usize::try_from(len).ok()?)?)
}

/// Checksum, offset and length of a file's contents.
fn parse_trailer(trailer: &[u8; TRAILER_LEN]) -> Option<(u128, u64, u64)> {
    let mut rest = Bytes(trailer);
    let [b'S', b'F', b'A', b'!', 1, 0] = rest.take()? else { return None };
    Some((
        u128::from_le_bytes(rest.take()?),
        u64::from_le_bytes(rest.take()?),
        u64::from_le_bytes(rest.take()?),
    ))
}

fn contents_are_whole(mut table: File) -> io::Result<bool> {
    let end = table.metadata()?.len().saturating_sub(TRAILER_LEN as u64);
    table.seek(SeekFrom::Start(end))?;
    let mut trailer = [0; TRAILER_LEN];
    table.read_exact(&mut trailer)?;
    let Some((checksum, offset, len)) = parse_trailer(&trailer) else { return Ok(false) };
    if len > CONTENTS_LEN_MAX || offset.checked_add(len) != Some(end) {
        return Ok(false);
    }
    table.seek(SeekFrom::Start(offset))?;
    let mut contents = Vec::new();
    table.take(len).read_to_end(&mut contents)?;
    Ok(xxh3_128(&contents) == checksum)
}

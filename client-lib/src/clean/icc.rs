//! Colour profiles (ICC.1:2022, and version 2 before it): the numbers by which colours look right, and nothing else.
//!
//! A profile also names its maker, the device, its serial number and the second it was made, and those of a screen are
//! made for one device. Kept are white point, primaries, curves and tables; date, ids and names become zero or "colour".
//! What cannot be read is dropped: such a picture is shown as sRGB.

use std::collections::BTreeMap;

use super::limits::{PROFILE_MAX, PROFILE_TAGS_MAX};

const HEADER_LEN: usize = 128;
const NAME: &str = "colour";
/// Tags that are numbers.
const TAGS: [&[u8; 4]; 21] = [
    b"rXYZ", b"gXYZ", b"bXYZ", b"rTRC", b"gTRC", b"bTRC", b"kTRC", b"wtpt", b"bkpt", b"chad",
    b"A2B0", b"A2B1", b"A2B2", b"B2A0", b"B2A1", b"B2A2", b"gamt", b"cicp", b"D2B0", b"B2D0",
    b"lumi",
];
/// Types of tags that hold numbers only.
const TYPES: [&[u8; 4]; 10] =
    [b"XYZ ", b"curv", b"para", b"sf32", b"mft1", b"mft2", b"mAB ", b"mBA ", b"cicp", b"mpet"];

/// A profile with the same colours that names nobody. `None` where it cannot be read.
pub(super) fn clean(profile: &[u8]) -> Option<Vec<u8>> {
    if profile.len() > PROFILE_MAX || profile.get(36..40)? != b"acsp" {
        return None;
    }
    let mut header = [0; HEADER_LEN];
    header.copy_from_slice(profile.get(..HEADER_LEN)?);
    let version = header[8];
    // Size, CMM, date, platform, maker, model, creator and everything reserved; flags and attributes say nothing of use.
    for range in [0..8, 24..36, 40..64, 80..HEADER_LEN] {
        header[range].fill(0);
    }
    let mut tags = vec![(*b"desc", description(version)), (*b"cprt", copyright(version))];
    let numbers = numbers(profile)?;
    if numbers.is_empty() {
        return None;
    }
    tags.extend(numbers);
    Some(written(header, &tags))
}

/// The tags that are numbers, each once, in the order of the profile.
fn numbers(profile: &[u8]) -> Option<Vec<([u8; 4], Vec<u8>)>> {
    let u32_at = |at: usize| {
        let bytes: [u8; 4] = profile.get(at..at.checked_add(4)?)?.try_into().ok()?;
        usize::try_from(u32::from_be_bytes(bytes)).ok()
    };
    let count = u32_at(HEADER_LEN)?;
    if count > PROFILE_TAGS_MAX {
        return None;
    }
    let mut tags: Vec<([u8; 4], Vec<u8>)> = Vec::new();
    for at in (0..count).map(|tag| HEADER_LEN + 4 + tag * 12) {
        let name: [u8; 4] = profile.get(at..at + 4)?.try_into().ok()?;
        let (offset, len) = (u32_at(at + 4)?, u32_at(at + 8)?);
        let data = profile.get(offset..offset.checked_add(len)?)?;
        let known = TAGS.contains(&&name) && TYPES.iter().any(|kind| data.starts_with(*kind));
        if known && tags.iter().all(|(other, _)| *other != name) {
            tags.push((name, data.to_vec()));
        }
    }
    Some(tags)
}

/// Tags with the same content share it, as in the original: three curves are often one.
fn written(mut header: [u8; HEADER_LEN], tags: &[([u8; 4], Vec<u8>)]) -> Vec<u8> {
    let mut table = Vec::with_capacity(4 + tags.len() * 12);
    let mut data: Vec<u8> = Vec::new();
    let begin = HEADER_LEN + 4 + tags.len() * 12;
    let mut places: BTreeMap<&[u8], usize> = BTreeMap::new();
    table.extend(number(tags.len()));
    for (name, content) in tags {
        let place = *places.entry(content).or_insert_with(|| {
            let place = begin + data.len();
            data.extend(content);
            data.resize(data.len().next_multiple_of(4), 0);
            place
        });
        table.extend(name);
        table.extend(number(place));
        table.extend(number(content.len()));
    }
    header[..4].copy_from_slice(&number(begin + data.len()));
    [&header[..], &table, &data].concat()
}

fn number(value: usize) -> [u8; 4] {
    u32::try_from(value).unwrap_or(u32::MAX).to_be_bytes()
}

fn description(version: u8) -> Vec<u8> {
    if version >= 4 {
        return localised();
    }
    // textDescriptionType: the words with their NUL, then neither Unicode nor ScriptCode.
    let mut tag = b"desc\0\0\0\0".to_vec();
    tag.extend(number(NAME.len() + 1));
    tag.extend(NAME.as_bytes());
    tag.extend([0; 1 + 4 + 4 + 2 + 1 + 67]);
    tag
}

fn copyright(version: u8) -> Vec<u8> {
    if version >= 4 { localised() } else { [b"text\0\0\0\0", NAME.as_bytes(), b"\0"].concat() }
}

fn localised() -> Vec<u8> {
    let words: Vec<u8> = NAME.encode_utf16().flat_map(u16::to_be_bytes).collect();
    let mut tag = b"mluc\0\0\0\0\0\0\0\x01\0\0\0\x0cenUS".to_vec();
    tag.extend(number(words.len()));
    tag.extend(number(28));
    tag.extend(words);
    tag
}

//! What a file is, by its first bytes and, for packages, by what is in them.

use super::package::Package;
use super::{CannotClean, FileKind};

/// Beginnings of texts that are a format of their own, with a maker's name in them. Compared without case.
const MARKUP: [&str; 7] = ["{\\rtf", "<?xml", "<!doctype", "<html", "<svg", "%!ps", "%pdf"];

pub(super) fn kind(bytes: &[u8]) -> Result<FileKind, CannotClean> {
    let starts = |magic: &[u8]| bytes.starts_with(magic);
    let at = |offset: usize, magic: &[u8]| {
        bytes.get(offset..).is_some_and(|rest| rest.starts_with(magic))
    };
    if starts(&[0xff, 0xd8, 0xff]) {
        return Ok(FileKind::Jpeg);
    }
    if starts(b"\x89PNG\r\n\x1a\n") {
        return Ok(FileKind::Png);
    }
    if starts(b"RIFF") && at(8, b"WEBP") {
        return Ok(FileKind::WebP);
    }
    if starts(b"%PDF-") {
        return Ok(FileKind::Pdf);
    }
    if starts(b"PK\x03\x04") {
        return Package::kind(bytes);
    }
    if starts(b"PK") || archive(bytes) || at(257, b"ustar") {
        return Err(CannotClean::Archive);
    }
    if starts(&[0xd0, 0xcf, 0x11, 0xe0, 0xa1, 0xb1, 0x1a, 0xe1]) {
        return Err(old_office(bytes));
    }
    if media(bytes) {
        return Err(CannotClean::Media);
    }
    text(bytes)
}

fn archive(bytes: &[u8]) -> bool {
    [
        &[0x1f, 0x8b][..],
        b"BZh",
        b"7z\xbc\xaf\x27\x1c",
        b"Rar!",
        &[0xfd, b'7', b'z', b'X', b'Z', 0],
        &[0x28, 0xb5, 0x2f, 0xfd],
    ]
    .iter()
    .any(|magic| bytes.starts_with(magic))
}

fn media(bytes: &[u8]) -> bool {
    let brand = bytes.get(8..12).unwrap_or_default();
    // HEIC and AVIF are pictures in the same box as films.
    let picture = [&b"heic"[..], b"heix", b"mif1", b"msf1", b"avif", b"hevc"].contains(&brand);
    let film = bytes.get(4..8) == Some(b"ftyp") && !picture;
    let riff = bytes.starts_with(b"RIFF") && (brand == b"AVI " || brand == b"WAVE");
    film || riff
        || [
            &[0x1a, 0x45, 0xdf, 0xa3][..],
            b"OggS",
            b"fLaC",
            b"ID3",
            b"FLV\x01",
            b"\x30\x26\xb2\x75",
        ]
        .iter()
        .any(|magic| bytes.starts_with(magic))
}

/// The box of old documents also holds encrypted new ones, under a name in UTF-16.
fn old_office(bytes: &[u8]) -> CannotClean {
    let name: Vec<u8> = "EncryptedPackage".encode_utf16().flat_map(u16::to_le_bytes).collect();
    if bytes.windows(name.len()).any(|window| window == name) {
        CannotClean::Encrypted
    } else {
        CannotClean::OldOffice
    }
}

fn text(bytes: &[u8]) -> Result<FileKind, CannotClean> {
    let text = core::str::from_utf8(bytes).map_err(|_| CannotClean::UnknownKind)?;
    let plain =
        |letter: char| !letter.is_control() || matches!(letter, '\n' | '\r' | '\t' | '\x0c');
    let begin = text.trim_start_matches('\u{feff}').trim_start();
    let markup = MARKUP.iter().any(|markup| {
        begin.get(..markup.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(markup))
    });
    if markup || !text.chars().all(plain) {
        Err(CannotClean::UnknownKind)
    } else {
        Ok(FileKind::Text)
    }
}

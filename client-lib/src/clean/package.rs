//! A package: the zip file that OOXML (ECMA-376 part 2) and ODF (part 2) are, unpacked in memory within limits.
//!
//! Written with every timestamp at the beginning of zip's calendar and nothing about the system.

use std::collections::BTreeMap;
use std::io::{Cursor, Read as _, Write as _};

use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipArchive, ZipWriter};

use super::limits::{PARTS_MAX, UNPACKED_MAX};
use super::{CannotClean, FileKind};

const MIMETYPE: &str = "mimetype";
const CONTENT_TYPES: &str = "[Content_Types].xml";

/// The parts of a package by name, in the order of their names.
#[derive(Default)]
pub(super) struct Package {
    parts: BTreeMap<String, Vec<u8>>,
}

impl Package {
    /// What a package is. One that is no document is an archive.
    pub(super) fn kind(bytes: &[u8]) -> Result<FileKind, CannotClean> {
        let mut archive = open(bytes)?;
        if let Some(kind) = part(&mut archive, MIMETYPE) {
            return match &kind[..] {
                b"application/vnd.oasis.opendocument.text" => Ok(FileKind::Odt),
                b"application/vnd.oasis.opendocument.spreadsheet" => Ok(FileKind::Ods),
                b"application/vnd.oasis.opendocument.presentation" => Ok(FileKind::Odp),
                _ => Err(CannotClean::UnknownKind),
            };
        }
        let Some(types) = part(&mut archive, CONTENT_TYPES) else {
            return Err(CannotClean::Archive);
        };
        let types = String::from_utf8_lossy(&types);
        if types.contains("macroEnabled") {
            return Err(CannotClean::Macros);
        }
        let main = |name: &str| types.contains(&format!("{name}.main+xml"));
        if main("wordprocessingml.document") {
            Ok(FileKind::Docx)
        } else if main("spreadsheetml.sheet") {
            Ok(FileKind::Xlsx)
        } else if main("presentationml.presentation") {
            Ok(FileKind::Pptx)
        } else {
            Err(CannotClean::UnknownKind)
        }
    }

    /// Unpacks all of it.
    pub(super) fn read(bytes: &[u8]) -> Result<Self, CannotClean> {
        let mut archive = open(bytes)?;
        let mut package = Self::default();
        let mut left = UNPACKED_MAX;
        for index in 0..archive.len() {
            let entry = archive.by_index(index).map_err(|error| refusal(&error))?;
            let name = entry.name().map_err(|_| CannotClean::Damaged)?.into_owned();
            if entry.is_dir() {
                continue;
            }
            let mut content = Vec::new();
            entry.take(left + 1).read_to_end(&mut content).map_err(|_| CannotClean::Damaged)?;
            left = left
                .checked_sub(u64::try_from(content.len()).unwrap_or(u64::MAX))
                .ok_or(CannotClean::TooIntricate)?;
            let plain = !name.starts_with('/') && !name.contains('\\') && !name.contains("..");
            if !plain || package.parts.insert(name, content).is_some() {
                return Err(CannotClean::Damaged);
            }
        }
        Ok(package)
    }

    /// Takes a part out.
    pub(super) fn take(&mut self, name: &str) -> Option<Vec<u8>> {
        self.parts.remove(name)
    }

    /// Whether there is such a part.
    pub(super) fn has(&self, name: &str) -> bool {
        self.parts.contains_key(name)
    }

    /// Puts a part in.
    pub(super) fn put(&mut self, name: &str, content: Vec<u8>) {
        self.parts.insert(name.to_owned(), content);
    }

    /// The names of its parts, in order.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.parts.keys().map(String::as_str)
    }

    /// The package as a file. `mimetype` comes first and unpacked, as ODF asks.
    pub(super) fn written(&self) -> Result<Vec<u8>, CannotClean> {
        self.pack().map_err(|_| CannotClean::TooIntricate)
    }

    fn pack(&self) -> zip::result::ZipResult<Vec<u8>> {
        let deflated = SimpleFileOptions::default()
            .compression_method(CompressionMethod::Deflated)
            .last_modified_time(zip::DateTime::default())
            .unix_permissions(0o644);
        let stored = deflated.compression_method(CompressionMethod::Stored);
        let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
        if let Some(kind) = self.parts.get(MIMETYPE) {
            writer.start_file(MIMETYPE, stored)?;
            writer.write_all(kind)?;
        }
        for (name, content) in self.parts.iter().filter(|(name, _)| *name != MIMETYPE) {
            writer.start_file(name.as_str(), deflated)?;
            writer.write_all(content)?;
        }
        Ok(writer.finish()?.into_inner())
    }
}

fn open(bytes: &[u8]) -> Result<ZipArchive<Cursor<&[u8]>>, CannotClean> {
    let archive = ZipArchive::new(Cursor::new(bytes)).map_err(|error| refusal(&error))?;
    if archive.len() > PARTS_MAX { Err(CannotClean::TooIntricate) } else { Ok(archive) }
}

/// A part that says what the package is: short, or it says something else.
fn part(archive: &mut ZipArchive<Cursor<&[u8]>>, name: &str) -> Option<Vec<u8>> {
    const SHORT_MAX: u64 = 1_024 * 1_024;
    let mut content = Vec::new();
    archive.by_name(name).ok()?.take(SHORT_MAX).read_to_end(&mut content).ok()?;
    Some(content)
}

fn refusal(error: &zip::result::ZipError) -> CannotClean {
    use zip::result::ZipError;
    match error {
        ZipError::UnsupportedArchive(ZipError::PASSWORD_REQUIRED) => CannotClean::Encrypted,
        ZipError::UnsupportedArchive(_) => CannotClean::UnknownKind,
        _ => CannotClean::Damaged,
    }
}

//! What is left in a cleaned file, as another program sees it: Debian's `exiftool`, over our own samples and, where they
//! are at hand, over published ones of many devices and programs.
//!
//! Every tag that it finds must be on a list of those that say how a picture is stored and no more. First it finds what was
//! planted in the originals. What it does not look into (pictures and XML in packages, streams of PDF) is looked through
//! here: packages are unpacked before, and planted words are searched in all bytes.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a failing test panics")]
#![allow(clippy::print_stdout, reason = "it says what it could not do")]

use std::collections::BTreeMap;
use std::fs;
use std::io::{Cursor, Read as _};
use std::path::{Path, PathBuf};
use std::process::Command;

use hearken_client_lib::clean::{CannotClean, FileKind, clean};
use hearken_tests::vectors;

/// Tags that say how something is stored, and those that exiftool makes of the file's place and of others.
const STRUCTURE: &[&str] = &[
    "File:FileType",
    "File:FileTypeExtension",
    "File:MIMEType",
    "File:ExifByteOrder",
    "File:ImageWidth",
    "File:ImageHeight",
    "File:EncodingProcess",
    "File:BitsPerSample",
    "File:ColorComponents",
    "File:YCbCrSubSampling",
    "JFIF:JFIFVersion",
    "JFIF:ResolutionUnit",
    "JFIF:XResolution",
    "JFIF:YResolution",
    "IFD0:Orientation",
    "Adobe:DCTEncodeVersion",
    "Adobe:APP14Flags0",
    "Adobe:APP14Flags1",
    "Adobe:ColorTransform",
    "PNG:ImageWidth",
    "PNG:ImageHeight",
    "PNG:BitDepth",
    "PNG:ColorType",
    "PNG:Compression",
    "PNG:Filter",
    "PNG:Interlace",
    "PNG:Gamma",
    "PNG:SRGBRendering",
    "PNG:SignificantBits",
    "PNG-pHYs:PixelsPerUnitX",
    "PNG-pHYs:PixelsPerUnitY",
    "PNG-pHYs:PixelUnits",
    "RIFF:ImageWidth",
    "RIFF:ImageHeight",
    "RIFF:WebP_Flags",
    "RIFF:VP8Version",
    "RIFF:HorizontalScale",
    "RIFF:VerticalScale",
    "PDF:PDFVersion",
    "PDF:Linearized",
    "PDF:PageCount",
    "PDF:Language",
    "PDF:TaggedPDF",
    "PDF:PageLayout",
    "PDF:PageMode",
    "PDF:EmbeddedImage",
    "PDF:EmbeddedImageColorSpace",
    "PDF:EmbeddedImageFilter",
    "PDF:EmbeddedImageHeight",
    "PDF:EmbeddedImageWidth",
    "ZIP:ZipRequiredVersion",
    "ZIP:ZipBitFlag",
    "ZIP:ZipCompression",
    "ZIP:ZipCRC",
    "ZIP:ZipCompressedSize",
    "ZIP:ZipUncompressedSize",
    "ZIP:ZipFileName",
    "Composite:ImageSize",
    "Composite:Megapixels",
];
/// Tags that may stand there with one value only.
const VALUES: &[(&str, &str)] = &[
    ("ZIP:ZipModifyDate", "1980:01:01 00:00:00"),
    ("PDF:HasXFA", "No"),
    ("PNG:ProfileName", "icc"),
    ("ICC-header:ProfileDateTime", "0000:00:00 00:00:00"),
    ("ICC-header:ProfileCMMType", ""),
    ("ICC-header:PrimaryPlatform", "Unknown ()"),
    ("ICC-header:DeviceManufacturer", ""),
    ("ICC-header:DeviceModel", ""),
    ("ICC-header:ProfileCreator", ""),
    ("ICC-header:ProfileID", "0"),
    ("ICC-header:CMMFlags", "Not Embedded, Independent"),
    ("ICC-header:DeviceAttributes", "Reflective, Glossy, Positive, Color"),
    ("ICC_Profile:ProfileDescription", "colour"),
    ("ICC_Profile:ProfileCopyright", "colour"),
];
/// The numbers of a profile.
const COLOURS: &[&str] = &[
    "ICC-header:ProfileVersion",
    "ICC-header:ProfileClass",
    "ICC-header:ColorSpaceData",
    "ICC-header:ProfileConnectionSpace",
    "ICC-header:ProfileFileSignature",
    "ICC-header:RenderingIntent",
    "ICC-header:ConnectionSpaceIlluminant",
    "ICC_Profile:MediaWhitePoint",
    "ICC_Profile:MediaBlackPoint",
    "ICC_Profile:RedMatrixColumn",
    "ICC_Profile:GreenMatrixColumn",
    "ICC_Profile:BlueMatrixColumn",
    "ICC_Profile:RedTRC",
    "ICC_Profile:GreenTRC",
    "ICC_Profile:BlueTRC",
    "ICC_Profile:GrayTRC",
    "ICC_Profile:ChromaticAdaptation",
    "ICC_Profile:Luminance",
    "ICC_Profile:AToB0",
    "ICC_Profile:AToB1",
    "ICC_Profile:AToB2",
    "ICC_Profile:BToA0",
    "ICC_Profile:BToA1",
    "ICC_Profile:BToA2",
    "ICC_Profile:Gamut",
];
/// Words planted in every one of our samples.
const PLANTED: &[&str] = &[
    "Planted",
    "PLANTED4711",
    "PlantedProgram",
    "planted-document-id",
    "LibreOffice",
    "2026-02-03",
    "2026:02:03",
];

type Tags = BTreeMap<String, String>;

/// Files by name, with their bytes.
type Files = Vec<(String, Vec<u8>)>;

fn read_all(folder: &Path, endings: &[&str], files: &mut Files) {
    let mut entries: Vec<_> =
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    entries.sort_unstable();
    for path in entries {
        if path.is_dir() {
            read_all(&path, endings, files);
        } else if path
            .extension()
            .is_some_and(|ending| endings.iter().any(|wanted| ending == *wanted))
        {
            files.push((path.file_name().unwrap().display().to_string(), fs::read(&path).unwrap()));
        }
    }
}

fn own() -> Files {
    let mut files = Files::new();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("vectors/clean");
    let kinds = ["jpg", "png", "webp", "pdf", "docx", "xlsx", "pptx", "odt", "ods", "odp"];
    read_all(&folder, &kinds, &mut files);
    assert_eq!(files.len(), 11);
    files
}

fn published() -> Files {
    let mut files = Files::new();
    if let Some(folder) = vectors::folder("published photos and documents to clean") {
        for (group, endings) in [
            ("exif-samples", &["jpg", "jpeg"][..]),
            ("pdf-samples", &["pdf"]),
            ("docx-samples", &["docx"]),
        ] {
            read_all(&folder.join(group), endings, &mut files);
        }
        assert!(files.len() > 45, "{}", files.len());
    }
    files
}

/// Whether exiftool is there. In CI it must be.
fn is_exiftool_there() -> bool {
    if Command::new("exiftool").arg("-ver").output().is_ok_and(|output| output.status.success()) {
        return true;
    }
    assert!(std::env::var_os("HEARKEN_CI").is_none(), "exiftool is not installed");
    println!("skipped: needs exiftool");
    false
}

/// What exiftool finds in each file of a folder, without what it says of the file itself.
fn tags(folder: &Path) -> BTreeMap<PathBuf, Tags> {
    let output = Command::new("exiftool")
        .args(["-j", "-G1", "-a", "-u", "-ee", "-r"])
        .arg(folder)
        .output()
        .unwrap();
    let found: Vec<serde_json::Map<String, serde_json::Value>> =
        serde_json::from_slice(&output.stdout).unwrap();
    found
        .into_iter()
        .map(|tags| {
            let text =
                |value: &serde_json::Value| value.as_str().map_or(value.to_string(), str::to_owned);
            let place = text(&tags["SourceFile"]);
            let tags = tags.iter().map(|(name, value)| (name.clone(), text(value)));
            let own = |name: &str| {
                name == "SourceFile"
                    || ["System:", "ExifTool:ExifToolVersion"]
                        .iter()
                        .any(|own| name.starts_with(own))
            };
            (PathBuf::from(place), tags.filter(|(name, _)| !own(name)).collect())
        })
        .collect()
}

/// Tags that say more than how something is stored.
fn telling(tags: &Tags) -> Vec<String> {
    tags.iter()
        .filter(|(name, value)| {
            let fixed = VALUES.iter().find(|(tag, _)| tag == name);
            let structural = STRUCTURE.contains(&name.as_str()) || COLOURS.contains(&name.as_str());
            !fixed.map_or(structural, |(_, wanted)| wanted == value)
        })
        .map(|(name, value)| format!("{name} = {value}"))
        .collect()
}

fn put(folder: &Path, name: &str, bytes: &[u8]) {
    fs::create_dir_all(folder).unwrap();
    fs::write(folder.join(name), bytes).unwrap();
}

/// The parts of a package; of anything else nothing.
fn parts(bytes: &[u8]) -> Files {
    let Ok(mut archive) = zip::ZipArchive::new(Cursor::new(bytes)) else { return Files::new() };
    (0..archive.len())
        .map(|index| {
            let mut entry = archive.by_index(index).unwrap();
            let mut content = Vec::new();
            entry.read_to_end(&mut content).unwrap();
            (entry.name().unwrap().replace('/', "_"), content)
        })
        .collect()
}

/// Cleans all, writes each beside its original in `folder`, packages with their parts. How many were cleaned.
fn clean_into(folder: &Path, files: &Files) -> usize {
    let mut cleaned_files = 0;
    for (index, (name, bytes)) in files.iter().enumerate() {
        let cleaned = match clean(bytes) {
            Ok(cleaned) => cleaned.bytes,
            Err(reason) => {
                assert!(expected_refusals().contains(&(name.as_str(), reason)), "{name}: {reason}");
                continue;
            }
        };
        cleaned_files += 1;
        put(&folder.join("before"), &format!("{index}-{name}"), bytes);
        put(&folder.join("after"), &format!("{index}-{name}"), &cleaned);
        for (part, content) in parts(&cleaned)
            .iter()
            .filter(|(part, _)| part.contains("media_") || part.contains("Pictures_"))
        {
            put(&folder.join("after"), &format!("{index}-{name}-{part}"), content);
        }
    }
    cleaned_files
}

/// What of the published files cannot be cleaned for sure.
fn expected_refusals() -> Vec<(&'static str, CannotClean)> {
    vec![("libreoffice-writer-password.pdf", CannotClean::Encrypted)]
}

#[test]
fn exiftool_finds_nothing_in_cleaned_files_but_how_they_are_stored() {
    if !is_exiftool_there() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let files = [own(), published()].concat();
    let cleaned = clean_into(folder.path(), &files);
    assert!(cleaned + expected_refusals().len() >= files.len());
    // The controls: it finds who and where in the originals.
    let before = tags(&folder.path().join("before"));
    let told: Vec<_> = before.values().map(telling).filter(|told| !told.is_empty()).collect();
    assert!(told.len() * 10 >= cleaned * 8, "{} of {cleaned} say something", told.len());
    for control in [
        "GPS:GPSLatitude",
        "IFD0:Artist",
        "PDF:Author",
        "XMP-dc:Creator",
        "XML:LastModifiedBy",
        "ExifIFD:SerialNumber",
        "PNG:Author",
    ] {
        assert!(
            told.iter().flatten().any(|tag| tag.starts_with(control)),
            "{control} was not found"
        );
    }
    let after = tags(&folder.path().join("after"));
    assert!(after.len() >= cleaned);
    let left: Vec<_> = after
        .iter()
        .map(|(file, tags)| (file, telling(tags)))
        .filter(|(_, told)| !told.is_empty())
        .collect();
    assert!(left.is_empty(), "{left:#?}");
}

/// The words anywhere in a file, its parts and the streams that are not pictures.
fn has_word(bytes: &[u8], word: &str) -> bool {
    bytes.windows(word.len()).any(|window| window == word.as_bytes())
        || parts(bytes)
            .iter()
            .any(|(_, part)| part.windows(word.len()).any(|window| window == word.as_bytes()))
}

#[test]
fn no_planted_word_is_left_and_what_a_person_reads_is() {
    for (name, bytes) in own() {
        let cleaned = clean(&bytes).unwrap();
        let planted = PLANTED.iter().filter(|word| has_word(&bytes, word)).count();
        assert!(
            planted > 0 || name.ends_with(".pdf") || name.starts_with("progressive"),
            "{name} holds none"
        );
        for word in PLANTED.iter().chain(&["Exif\0\0II", "http://ns.adobe.com", "Photoshop"]) {
            assert!(!has_word(&cleaned.bytes, word), "{name}: {word}");
        }
        if !parts(&bytes).is_empty() {
            assert!(has_word(&cleaned.bytes, "The words that stay"), "{name}");
            assert!(
                name.starts_with("table")
                    || has_word(&cleaned.bytes, "put in")
                    || name.starts_with("slides"),
                "{name}"
            );
        }
        // A second cleaning finds nothing to do.
        let again = clean(&cleaned.bytes).unwrap();
        assert_eq!(again.kind, cleaned.kind);
        if matches!(cleaned.kind, FileKind::Jpeg | FileKind::Png | FileKind::WebP) {
            assert!(again.bytes == cleaned.bytes, "{name} changed again");
        }
    }
}

#[test]
fn published_files_that_are_cleaned_are_cleaned_files() {
    for (name, bytes) in published() {
        if let Ok(cleaned) = clean(&bytes) {
            let again = clean(&cleaned.bytes);
            assert_eq!(again.map(|again| again.kind), Ok(cleaned.kind), "{name}");
        }
    }
}

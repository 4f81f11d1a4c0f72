//! The cleaner of files: any bytes as a file, and as a part of an honest package.

use std::path::Path;

use hearken_client_lib::clean::{self, FileKind};
use hearken_client_lib::fuzzing::clean::package;

const TYPES: &[u8] = b"<Types xmlns='http://schemas.openxmlformats.org/package/2006/content-types'>\
    <Override PartName='/word/document.xml' ContentType='application/vnd.openxmlformats-officedocument.wordprocessingml.document.main+xml'/></Types>";
const RELATIONSHIPS: &[u8] = b"<Relationships><Relationship Id='rId1' Type='http://schemas.openxmlformats.org/officeDocument/2006/relationships/officeDocument' Target='word/document.xml'/></Relationships>";
const OPEN_DOCUMENT: &[u8] = b"application/vnd.oasis.opendocument.text";

/// The first byte says what the others are.
pub(super) fn clean(input: &[u8]) {
    let Some((choice, rest)) = input.split_first() else { return };
    let file = match choice {
        0 => package(&[
            ("[Content_Types].xml", TYPES),
            ("_rels/.rels", RELATIONSHIPS),
            ("word/document.xml", rest),
        ]),
        1 => package(&[
            ("[Content_Types].xml", TYPES),
            ("_rels/.rels", RELATIONSHIPS),
            ("word/document.xml", b"<w:document/>"),
            ("word/_rels/document.xml.rels", rest),
            ("word/media/image1.jpg", rest),
            ("word/styles.xml", rest),
        ]),
        2 => package(&[
            ("mimetype", OPEN_DOCUMENT),
            ("META-INF/manifest.xml", b"<manifest/>"),
            ("content.xml", rest),
        ]),
        3 => package(&[
            ("mimetype", OPEN_DOCUMENT),
            ("META-INF/manifest.xml", rest),
            ("content.xml", b"<x/>"),
            ("Pictures/1", rest),
        ]),
        4 => Some([b"%PDF-1.7\n", rest].concat()),
        _ => Some(rest.to_vec()),
    };
    if let Some(file) = file {
        whole(&file);
    }
}

fn whole(file: &[u8]) {
    let Ok(cleaned) = clean::clean(file) else { return };
    let again = clean::clean(&cleaned.bytes).expect("what was cleaned is cleaned again");
    assert_eq!(again.kind, cleaned.kind);
    if matches!(cleaned.kind, FileKind::Jpeg | FileKind::WebP | FileKind::Text) {
        assert!(again.bytes == cleaned.bytes, "a picture changed again");
    }
}

/// The committed samples, and documents by hand.
pub(super) fn seeds() -> Vec<(&'static str, Vec<u8>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../vectors/clean");
    let files = [
        "photo.jpg",
        "progressive.jpg",
        "picture.png",
        "picture.webp",
        "document.pdf",
        "document.docx",
        "document.odt",
        "table.xlsx",
    ];
    let mut all: Vec<_> = files
        .iter()
        .filter_map(|name| std::fs::read(folder.join(name)).ok())
        .map(|bytes| [&[9], &bytes[..]].concat())
        .collect();
    let pdf = b"\x041 0 obj<</Type/Catalog/Pages 2 0 R/Names<</EmbeddedFiles 9 0 R>>>>endobj 2 0 obj<</Type/Pages/Kids[3 0 R]/Count 1>>endobj \
        3 0 obj<</Type/Page/Parent 2 0 R/Annots[<</Subtype/Link/A<</S/URI/URI(http://x)>>>>]>>endobj trailer<</Root 1 0 R>>";
    let docx = b"\0<w:document xmlns:w='w'><w:ins w:author='a'><w:r><w:t>x</w:t></w:r></w:ins><w:del/><w:fldSimple w:instr='PAGE'/></w:document>";
    let rels = b"\x01<Relationships><Relationship Id='a' Type='x/image' Target='media/image1.jpg'/><Relationship Id='b' Type='x/hyperlink' Target='https://x' TargetMode='External'/></Relationships>";
    let odt = b"\x02<office:document><text:tracked-changes/><text:a xlink:href='file:///x'>x</text:a></office:document>";
    all.extend([pdf.to_vec(), docx.to_vec(), rels.to_vec(), odt.to_vec()]);
    all.into_iter().map(|seed| ("client-clean", seed)).collect()
}

//! What is refused, and why; what passes as it is. What cleaning does to real files is shown with another program's eyes
//! in `tests/tests/cleaning/`.

use proptest::prelude::*;

use super::*;

#[test]
fn plain_words_pass_as_they_are_and_markup_does_not() {
    for words in ["hello", "\u{feff}Zażółć\tgęślą\r\n", "", "1 < 2 & <3"] {
        let cleaned = clean(words.as_bytes()).unwrap();
        assert_eq!((cleaned.kind, &cleaned.bytes[..]), (FileKind::Text, words.as_bytes()));
    }
    for markup in [
        "{\\rtf1{\\info{\\author Amina}}}",
        "<?xml version='1.0'?><svg/>",
        " \n<!DOCTYPE html><meta name=author content=Amina>",
        "<SVG xmlns='http://www.w3.org/2000/svg'/>",
        "%!PS-Adobe-3.0\n%%Creator: Amina",
        "nul\0",
        "\u{1b}[2J",
    ] {
        assert_eq!(clean(markup.as_bytes()), Err(CannotClean::UnknownKind), "{markup}");
    }
    assert_eq!(clean(&[0xff, 0xfe, b'h', 0]), Err(CannotClean::UnknownKind));
}

#[test]
fn what_cannot_be_cleaned_is_refused_with_its_reason() {
    let film = b"\0\0\0\x18ftypmp42\0\0\0\0";
    let photo = b"\0\0\0\x18ftypheic\0\0\0\0";
    let old = [0xd0, 0xcf, 0x11, 0xe0, 0xa1, 0xb1, 0x1a, 0xe1, 0, 0];
    let name: Vec<u8> = "EncryptedPackage".encode_utf16().flat_map(u16::to_le_bytes).collect();
    let locked = [&old[..], &name].concat();
    for (bytes, reason) in [
        (&film[..], CannotClean::Media),
        (b"OggS\0", CannotClean::Media),
        (b"RIFF\0\0\0\0WAVE", CannotClean::Media),
        (photo, CannotClean::UnknownKind),
        (&[0x1f, 0x8b, 8][..], CannotClean::Archive),
        (b"7z\xbc\xaf\x27\x1c", CannotClean::Archive),
        (&old, CannotClean::OldOffice),
        (&locked, CannotClean::Encrypted),
        (b"GIF89a\x01\0\x01\0\0\0\0", CannotClean::UnknownKind),
        (b"\xff\xd8\xff\xd9", CannotClean::Damaged),
        (b"\x89PNG\r\n\x1a\n", CannotClean::Damaged),
        (b"RIFF\x04\0\0\0WEBP", CannotClean::Damaged),
        (b"%PDF-1.7\n", CannotClean::Damaged),
        (b"PK\x03\x04", CannotClean::Damaged),
    ] {
        assert_eq!(clean(bytes), Err(reason), "{bytes:?}");
    }
}

#[test]
fn an_archive_that_is_no_document_is_an_archive() {
    let mut package = package::Package::default();
    package.put("letter.txt", b"words".to_vec());
    assert_eq!(clean(&package.written().unwrap()), Err(CannotClean::Archive));
}

/// A Word document of one part, with this between the tags of its body.
fn docx(body: &str) -> Vec<u8> {
    let mut package = package::Package::default();
    let types = "<Types xmlns='http://schemas.openxmlformats.org/package/2006/content-types'>\
        <Default Extension='rels' ContentType='application/vnd.openxmlformats-package.relationships+xml'/>\
        <Override PartName='/word/document.xml' ContentType='application/vnd.openxmlformats-officedocument.wordprocessingml.document.main+xml'/></Types>";
    let rels = "<Relationships xmlns='http://schemas.openxmlformats.org/package/2006/relationships'>\
        <Relationship Id='rId1' Type='http://schemas.openxmlformats.org/officeDocument/2006/relationships/officeDocument' Target='word/document.xml'/></Relationships>";
    let document = format!(
        "<w:document xmlns:w='http://schemas.openxmlformats.org/wordprocessingml/2006/main'><w:body>{body}</w:body></w:document>"
    );
    package.put("[Content_Types].xml", types.into());
    package.put("_rels/.rels", rels.into());
    package.put("word/document.xml", document.into_bytes());
    package.written().unwrap()
}

fn body_of(cleaned: &[u8]) -> String {
    let mut package = package::Package::read(cleaned).unwrap();
    String::from_utf8(package.take("word/document.xml").unwrap()).unwrap()
}

#[test]
fn changes_are_accepted_comments_go_and_people_are_not_named() {
    let body = "<w:p w:rsidR='00AB12CD'><w:ins w:id='1' w:author='Amina' w:date='2026-01-01T00:00:00Z'>\
        <w:r><w:t>put in</w:t></w:r></w:ins><w:del w:id='2' w:author='Amina'><w:r><w:delText>taken out</w:delText></w:r>\
        </w:del><w:commentRangeStart w:id='3'/><w:r><w:t> and kept &amp; safe</w:t></w:r><w:commentRangeEnd w:id='3'/>\
        <!-- by Amina --></w:p>";
    let cleaned = clean(&docx(body)).unwrap();
    assert_eq!(cleaned.kind, FileKind::Docx);
    let left = body_of(&cleaned.bytes);
    for gone in ["Amina", "taken out", "2026", "AB12", "comment"] {
        assert!(body.contains(gone) && !left.contains(gone), "{gone}: {left}");
    }
    assert!(left.contains("put in") && left.contains(" and kept &amp; safe"), "{left}");
}

#[test]
fn fields_that_fetch_are_refused_however_they_are_cut() {
    let cut = "<w:p><w:r><w:fldChar w:fldCharType='begin'/></w:r><w:r><w:instrText> INCLUDE</w:instrText></w:r>\
        <w:r><w:instrText>PICTURE \"http://example.org/me.png\"</w:instrText></w:r><w:r><w:fldChar w:fldCharType='end'/></w:r></w:p>";
    let simple = "<w:p><w:fldSimple w:instr='INCLUDETEXT \"c:/x\"'/></w:p>";
    for body in [cut, simple] {
        assert_eq!(clean(&docx(body)), Err(CannotClean::FetchesElsewhere));
    }
    let harmless = "<w:p><w:fldSimple w:instr='PAGE'/><w:fldSimple w:instr=' HYPERLINK \"https://example.org\"'/></w:p>";
    assert!(clean(&docx(harmless)).is_ok());
}

#[test]
fn embedded_objects_and_other_documents_are_refused() {
    for body in ["<w:altChunk/>", "<w:object><o:OLEObject xmlns:o='o'/></w:object>", "<w:control/>"]
    {
        assert_eq!(clean(&docx(body)), Err(CannotClean::Embedded));
    }
}

#[test]
fn entities_depth_and_bombs_are_refused_in_bounded_room() {
    let laughs = "<!DOCTYPE x [<!ENTITY a 'ha'><!ENTITY b '&a;&a;&a;'>]>";
    let mut rules = odf_rules();
    assert_eq!(
        xml::filter(format!("{laughs}<x>&b;</x>").as_bytes(), &mut rules),
        Err(CannotClean::TooIntricate)
    );
    let deep = "<a>".repeat(limits::XML_DEPTH_MAX + 1);
    assert_eq!(xml::filter(deep.as_bytes(), &mut rules), Err(CannotClean::TooIntricate));
    let attributes: String =
        (0..=limits::XML_ATTRIBUTES_MAX).map(|n| format!(" a{n}=''")).collect();
    assert_eq!(
        xml::filter(format!("<x{attributes}/>").as_bytes(), &mut rules),
        Err(CannotClean::TooIntricate)
    );
    // 200 MB of zeros in some 200 KB.
    let mut package = package::Package::default();
    package.put("mimetype", b"application/vnd.oasis.opendocument.text".to_vec());
    package.put("META-INF/manifest.xml", b"<manifest/>".to_vec());
    for part in 0..4 {
        package.put(&format!("Pictures/{part}.png"), vec![0; 30 << 20]);
    }
    let bomb = package.written().unwrap();
    assert!(bomb.len() < 1 << 20);
    assert_eq!(clean(&bomb), Err(CannotClean::TooIntricate));
}

fn odf_rules() -> impl xml::Rules {
    struct Everything;
    impl xml::Rules for Everything {
        fn element(&mut self, _tag: &xml::Tag<'_>, _parent: &str) -> xml::Element {
            xml::Element::Keep
        }
        fn attribute(&mut self, _tag: &xml::Tag<'_>, _name: &str, _value: &str) -> xml::Value {
            xml::Value::Keep
        }
    }
    Everything
}

/// Beginnings by which something is read further.
const BEGINNINGS: [&[u8]; 8] = [
    b"\xff\xd8\xff\xe1\0\x10Exif\0\0MM\0*\0\0\0\x08",
    b"\xff\xd8\xff\xda\0\x08",
    b"\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR",
    b"RIFF\x40\0\0\0WEBPVP8X\x0a\0\0\0",
    b"%PDF-1.5\n1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj\n",
    b"PK\x03\x04\x14\0\0\0\x08\0",
    b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1",
    b"",
];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn no_input_panics_and_what_comes_out_stays_as_it_is(
        begin in 0..BEGINNINGS.len(),
        rest in proptest::collection::vec(any::<u8>(), 0..600),
    ) {
        let bytes = [BEGINNINGS[begin], &rest].concat();
        if let Ok(cleaned) = clean(&bytes) {
            let again = clean(&cleaned.bytes);
            prop_assert_eq!(again.map(|again| again.kind), Ok(cleaned.kind));
        }
    }

    #[test]
    fn no_colour_profile_panics(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        let mut profile = vec![0; 128];
        profile[36..40].copy_from_slice(b"acsp");
        profile.extend(&bytes);
        let _ = icc::clean(&profile);
        let _ = jp2::clean(&[&b"\0\0\0\x0cjP  \r\n\x87\n"[..], &bytes].concat());
        let _ = jp2::clean(&[&[0xff, 0x4f, 0xff, 0x51][..], &bytes].concat());
    }
}

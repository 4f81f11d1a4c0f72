//! A PDF with something planted wherever one can be, and what is left of it.

use lopdf::{Document, Object};

use super::*;

/// Each holds the word that must go in a place of its own.
const OBJECTS: &[&str] = &[
    "1 0 obj<</Type/Catalog/Pages 2 0 R/Outlines 20 0 R/AcroForm 21 0 R/OpenAction<</S/JavaScript/JS(PlantedOpen)>>\
     /Names<</EmbeddedFiles<</Names[(PlantedName)9 0 R]>>/JavaScript<</Names[(x)<</S/JavaScript/JS(PlantedScript)>>]>>\
     /Dests<</Names[(kept)[3 0 R/Fit]]>>>>/Metadata 8 0 R/PieceInfo<</PlantedProgram<<>>>>\
     /OCProperties<</OCGs[24 0 R]/D<</Creator(PlantedLayers)>>>>/Lang(en)/StructTreeRoot 25 0 R>>endobj",
    "2 0 obj<</Type/Pages/Kids[3 0 R]/Count 1>>endobj",
    "3 0 obj<</Type/Page/Parent 2 0 R/MediaBox[0 0 9 9]/Contents 4 0 R/LastModified(PlantedDate)/Thumb 5 0 R\
     /AA<</O<</S/JavaScript/JS(PlantedPageScript)>>>>/VP[<</Measure<</Subtype/GEO/GPTS[52.5 13.4]/Name(PlantedPlace)>>>>]\
     /Resources<</XObject<</Planted1 5 0 R/F1 6 0 R>>/Font<</AA 7 0 R>>>>\
     /Annots[10 0 R 11 0 R 12 0 R 13 0 R 14 0 R 15 0 R 16 0 R]>>endobj",
    "7 0 obj<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>endobj",
    "9 0 obj<</Type/Filespec/F(PlantedFile)/EF<</F 18 0 R>>>>endobj",
    "10 0 obj<</Type/Annot/Subtype/Text/Contents(PlantedNote)/T(PlantedAuthor)/Rect[0 0 1 1]>>endobj",
    "11 0 obj<</Type/Annot/Subtype/Link/Rect[0 0 1 1]/A<</S/URI/URI(file:///home/planted/PlantedPath)>>>>endobj",
    "12 0 obj<</Type/Annot/Subtype/Link/Rect[0 0 1 1]/NM(PlantedId)/M(PlantedTime)\
     /A<</S/URI/URI(https://kept.example/)/Next<</S/Launch/F(PlantedLaunch)>>>>>>endobj",
    "13 0 obj<</Type/Annot/Subtype/FileAttachment/FS 9 0 R/Rect[0 0 1 1]>>endobj",
    "14 0 obj<</Type/Annot/Subtype/Widget/FT/Sig/T(sig)/V 19 0 R/Rect[0 0 1 1]/AP<</N 6 0 R>>>>endobj",
    "15 0 obj<</Subtype/FreeText/Contents(typed and kept)/T(PlantedTypist)/DA(/F 9 Tf)/Rect[0 0 1 1]>>endobj",
    "16 0 obj<</Type/Annot/Subtype/Highlight/Contents(PlantedRemark)/T(PlantedReader)/QuadPoints[0 0]/Rect[0 0 1 1]>>endobj",
    "17 0 obj<</Author(PlantedAuthor)/Producer(PlantedProducer)>>endobj",
    "19 0 obj<</Type/Sig/Name(PlantedSigner)/Reason(PlantedReason)/ByteRange[0 1 2 3]>>endobj",
    "20 0 obj<</Type/Outlines/First 22 0 R/Last 22 0 R/Count 1>>endobj",
    "21 0 obj<</Fields[14 0 R 23 0 R]/SigFlags 3/DA(/F 9 Tf)>>endobj",
    "22 0 obj<</Title(kept title)/Parent 20 0 R/A<</S/Launch/F(PlantedProgramToStart)>>>>endobj",
    "23 0 obj<</FT/Tx/T(field)/V(kept answer)/AA<</K<</S/JavaScript/JS(PlantedKey)>>>>>>endobj",
    "24 0 obj<</Type/OCG/Name(layer)/Usage<</CreatorInfo<</Creator(PlantedDrawer)>>>>>>endobj",
    "25 0 obj<</Type/StructTreeRoot/K 26 0 R/IDTree<</Names[(PlantedElement)26 0 R]>>>>endobj",
    "26 0 obj<</S/P/P 25 0 R/T(PlantedElementTitle)/ID(PlantedElementId)/Alt(kept description)>>endobj",
];

fn stream(id: u32, head: &str, content: &[u8]) -> Vec<u8> {
    let begin = format!("{id} 0 obj<<{head}/Length {}>>stream\n", content.len());
    [begin.as_bytes(), content, b"\nendstream endobj\n"].concat()
}

fn photo() -> Vec<u8> {
    let exif = b"\xff\xe1\x00\x16Exif\0\0PlantedCamera!";
    [&b"\xff\xd8"[..], exif, b"\xff\xda\x00\x04\x01\x02pixels\xff\xd9PlantedTrailer"].concat()
}

fn planted() -> Vec<u8> {
    let mut pdf = b"%PDF-1.4\n%PlantedComment\n".to_vec();
    OBJECTS.iter().for_each(|object| pdf.extend([object.as_bytes(), b"\n"].concat()));
    pdf.extend(stream(4, "", b"BT /AA 9 Tf (words) Tj ET"));
    let image = "/Type/XObject/Subtype/Image/Width 1/Height 1/ColorSpace/DeviceGray/BitsPerComponent 8\
        /Filter/DCTDecode/Metadata 8 0 R/Name(PlantedImage)";
    pdf.extend(stream(5, image, &photo()));
    let form = "/Type/XObject/Subtype/Form/BBox[0 0 1 1]/PTEX.FileName(PlantedFigure)/PieceInfo<</PlantedTool<<>>>>";
    pdf.extend(stream(6, form, b"q Q"));
    pdf.extend(stream(8, "/Type/Metadata/Subtype/XML", b"<x:xmpmeta>PlantedXmp</x:xmpmeta>"));
    pdf.extend(stream(18, "/Type/EmbeddedFile", b"PlantedContent"));
    pdf.extend(b"trailer<</Root 1 0 R/Info 17 0 R/ID[(PlantedId1)(PlantedId2)]/Size 27>>\n%%EOF\n");
    pdf
}

/// Everything that a document says, streams unpacked.
fn said(bytes: &[u8]) -> String {
    let document = Document::load_mem(bytes).unwrap();
    let mut said = format!("{:?}", document.trailer);
    for object in document.objects.values() {
        said.push_str(&format!("{object:?}"));
        if let Object::Stream(stream) = object {
            let content = stream.decompressed_content().unwrap_or_else(|_| stream.content.clone());
            said.push_str(&String::from_utf8_lossy(&content));
        }
    }
    said
}

#[test]
fn of_everything_that_can_be_planted_in_a_pdf_nothing_is_left_and_the_page_is() {
    let planted = planted();
    let control = said(&planted).matches("Planted").count();
    assert!(control >= 30, "{control} are found before");
    let cleaned = clean(&planted).unwrap();
    let left = said(&cleaned);
    // The name that a page gives its picture is what the page calls it by.
    let left = left.replace("Planted1", "");
    let at = left.find("Planted").map(|at| &left[at.saturating_sub(80)..(at + 60).min(left.len())]);
    assert_eq!(at, None);
    for kept in [
        "kept.example",
        "typed and kept",
        "kept title",
        "kept answer",
        "kept description",
        "Helvetica",
        "pixels",
        "words",
    ] {
        assert!(left.contains(kept), "{kept} went");
    }
    for gone in
        ["JavaScript", "Launch", "EmbeddedFile", "52.5", "ByteRange", "FileAttachment", "xmpmeta"]
    {
        assert!(!left.contains(gone), "{gone} is left");
    }
    let whole = String::from_utf8_lossy(&cleaned).replace("Planted1", "");
    assert!(!whole.contains("Planted"));
}

#[test]
fn a_dynamic_form_and_an_encrypted_document_are_refused() {
    let with = |word: &str, other: &str| {
        let planted = planted();
        let at = planted.windows(word.len()).position(|window| window == word.as_bytes()).unwrap();
        [&planted[..at], other.as_bytes(), &planted[at + word.len()..]].concat()
    };
    let form = with("/SigFlags 3", "/XFA[(x)8 0 R]");
    assert_eq!(clean(&form), Err(CannotClean::DynamicForm));
    let locked = with("/Info 17 0 R", "/Encrypt<</Filter/Standard/V 1/R 2/O(x)/U(x)/P 0>>");
    assert_eq!(clean(&locked), Err(CannotClean::Encrypted));
}

#[test]
fn a_picture_that_cannot_be_cleaned_is_not_passed_on() {
    let broken: Vec<u8> = planted();
    let at = broken.windows(4).position(|window| window == b"\xff\xda\x00\x04").unwrap();
    let mut broken = broken;
    broken[at + 1] = 0xee;
    assert_eq!(clean(&broken), Err(CannotClean::Damaged));
}

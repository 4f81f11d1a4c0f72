//! What is taken out of the XML of an OOXML part.

use std::collections::BTreeSet;

use super::super::xml::{self, Element, Rules, Tag, Value, is_path, is_plain_link};
use super::super::{CannotClean, FileKind};

/// Elements that go with all that is in them.
const DROPPED: [&str; 77] = [
    // comments and those who wrote them
    "commentRangeStart",
    "commentRangeEnd",
    "commentReference",
    "annotationRef",
    "cmAuthorLst",
    "presenceInfo",
    "legacyDrawing",
    "legacyDrawingHF",
    "person",
    // tracked changes: what was taken out, and what something looked like before
    "del",
    "delText",
    "delInstrText",
    "moveFrom",
    "moveFromRangeStart",
    "moveFromRangeEnd",
    "moveToRangeStart",
    "moveToRangeEnd",
    "rPrChange",
    "pPrChange",
    "sectPrChange",
    "tblPrChange",
    "tblPrExChange",
    "trPrChange",
    "tcPrChange",
    "tblGridChange",
    "numberingChange",
    "cellIns",
    "cellDel",
    "cellMerge",
    "customXmlInsRangeStart",
    "customXmlInsRangeEnd",
    "customXmlDelRangeStart",
    "customXmlDelRangeEnd",
    "customXmlMoveFromRangeStart",
    "customXmlMoveFromRangeEnd",
    "customXmlMoveToRangeStart",
    "customXmlMoveToRangeEnd",
    // ids of documents, of sessions, of objects; programs and their versions; where the file lay
    "rsids",
    "docId",
    "creationId",
    "modId",
    "revisionPtr",
    "absPath",
    "fileVersion",
    "fileSharing",
    "rowId",
    "colId",
    "proofState",
    "proofErr",
    "lastEdited",
    "docVars",
    "customWorkbookViews",
    "webPublishing",
    "smartTagPr",
    "smartTags",
    "xmlPr",
    // what the document fetches, or is filled from
    "attachedTemplate",
    "mailMerge",
    "dataBinding",
    "externalData",
    "autoUpdate",
    "saveThroughXslt",
    "pivotCaches",
    "pivotTables",
    "slicerCaches",
    "timelineCacheRefs",
    // what nothing that stays names any more
    "notesMasterIdLst",
    "handoutMasterIdLst",
    "custDataLst",
    "tags",
    "embeddedFontLst",
    "embedRegular",
    "embedBold",
    "embedItalic",
    "embedBoldItalic",
    "svgBlip",
    "imgProps",
];
/// Elements that go, and whose content stays: what was put in is accepted.
const UNWRAPPED: [&str; 4] = ["ins", "moveTo", "smartTag", "customXml"];
/// Attributes that name people, times, sessions.
const ATTRIBUTES: [&str; 24] = [
    "author",
    "initials",
    "rsidR",
    "rsidRPr",
    "rsidRDefault",
    "rsidP",
    "rsidDel",
    "rsidSect",
    "rsidTr",
    "paraId",
    "textId",
    "dateUtc",
    "userName",
    "userId",
    "providerId",
    "lastModifiedBy",
    "refreshedBy",
    "refreshedDate",
    "documentId",
    "uid",
    "durableId",
    "editedBy",
    "lastEdited",
    "codeName",
];
/// Elements that describe a drawn object, in words and by name.
const DESCRIBED: [&str; 2] = ["docPr", "cNvPr"];
/// Attributes that name a relationship.
const REFERENCES: [&str; 12] =
    ["id", "embed", "link", "pict", "href", "dm", "lo", "qs", "cs", "relid", "blip", "topLeft"];
/// Fields of Word that fetch when they are brought up to date.
const FETCHING: [&str; 7] =
    ["INCLUDEPICTURE", "INCLUDETEXT", "DDE", "DDEAUTO", "LINK", "IMPORT", "DATABASE"];

pub(super) struct Part<'a> {
    kind: FileKind,
    dropped: &'a BTreeSet<String>,
    /// The code of a field, which Word may cut in pieces.
    code: String,
}

impl<'a> Part<'a> {
    /// Rules for a part whose relationships of these ids went.
    pub(super) fn new(kind: FileKind, dropped: &'a BTreeSet<String>) -> Self {
        Self { kind, dropped, code: String::new() }
    }

    pub(super) fn clean(&mut self, xml: &[u8]) -> Result<Vec<u8>, CannotClean> {
        let out = xml::filter(xml, self)?;
        self.judge_code()?;
        Ok(out)
    }

    /// A picture, a link or anything else that a relationship led to which is gone.
    fn leads_nowhere(&self, name: &str, value: &str) -> bool {
        REFERENCES.contains(&name) && self.dropped.contains(value)
    }

    fn judge_code(&mut self) -> Result<(), CannotClean> {
        let fetches = self
            .code
            .split(|letter: char| !letter.is_ascii_alphabetic())
            .any(|word| FETCHING.iter().any(|field| word.eq_ignore_ascii_case(field)));
        self.code.clear();
        if fetches { Err(CannotClean::FetchesElsewhere) } else { Ok(()) }
    }
}

impl Rules for Part<'_> {
    fn element(&mut self, tag: &Tag<'_>, _parent: &str) -> Element {
        match tag.name {
            "oleObj" | "OLEObject" | "oleObject" | "oleObjects" | "altChunk" | "control"
            | "controls" | "videoFile" | "audioFile" | "quickTimeFile" | "wavAudioFile" => {
                Element::Refuse(CannotClean::Embedded)
            }
            "externalReferences" => Element::Refuse(CannotClean::FetchesElsewhere),
            "fldChar" | "fldSimple" => {
                // A field's code ends with the mark behind it.
                self.code.push_str(tag.value("instr").unwrap_or_default());
                match self.judge_code() {
                    Ok(()) => Element::Keep,
                    Err(reason) => Element::Refuse(reason),
                }
            }
            // Office draws a form where it finds an object for which no picture stands.
            "blip" if tag.value("embed").is_some_and(|id| self.dropped.contains(id)) => {
                Element::Refuse(CannotClean::EmbeddedPicture)
            }
            name if DROPPED.contains(&name) => Element::Drop,
            name if UNWRAPPED.contains(&name) && self.kind == FileKind::Docx => Element::Unwrap,
            _ => Element::Keep,
        }
    }

    fn attribute(&mut self, tag: &Tag<'_>, name: &str, value: &str) -> Value {
        if ATTRIBUTES.contains(&name) || self.leads_nowhere(name, value) {
            return Value::Drop;
        }
        let described = DESCRIBED.contains(&tag.name);
        match name {
            "name" if described => Value::Set(String::new()),
            "descr" | "title" | "alt" if is_path(value) => Value::Set(String::new()),
            // Links inside the document have no scheme.
            "href" if value.contains(':') && !is_plain_link(value) => Value::Drop,
            _ => Value::Keep,
        }
    }

    fn text(&mut self, text: &str, parent: &str) -> Result<(), CannotClean> {
        if parent == "instrText" {
            self.code.push_str(text);
        }
        Ok(())
    }
}

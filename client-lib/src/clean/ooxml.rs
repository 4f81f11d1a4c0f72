//! OOXML (ECMA-376): docx, xlsx, pptx.
//!
//! A part stays only if a relationship of a known kind leads to it from the document; its XML goes through [`Part`]. So
//! properties, thumbnails, comments, people, revisions, custom XML, printer settings, fonts, signatures and macros go,
//! because nothing that stays names them. Tracked changes are accepted. Charts stay with the numbers they show, without
//! the workbook behind them.

mod part;

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::limits::RELATIONSHIPS_MAX;
use super::package::Package;
use super::xml::{self, Element, Rules, Tag, Value, is_plain_link};
use super::{CannotClean, FileKind, picture};
use part::Part;

const CONTENT_TYPES: &str = "[Content_Types].xml";
const TYPES_NAMESPACE: &str = "http://schemas.openxmlformats.org/package/2006/content-types";
const RELATIONSHIPS_NAMESPACE: &str =
    "http://schemas.openxmlformats.org/package/2006/relationships";

/// Relationships whose parts are XML that stays, by the last word of their type.
const PARTS: [&str; 22] = [
    "officeDocument",
    "styles",
    "stylesWithEffects",
    "settings",
    "webSettings",
    "fontTable",
    "theme",
    "themeOverride",
    "numbering",
    "footnotes",
    "endnotes",
    "header",
    "footer",
    "slide",
    "slideMaster",
    "slideLayout",
    "presProps",
    "viewProps",
    "tableStyles",
    "worksheet",
    "chartsheet",
    "sharedStrings",
];
/// More of them: what draws.
const DRAWINGS: [&str; 9] = [
    "drawing",
    "chart",
    "chartUserShapes",
    "chartStyle",
    "chartColorStyle",
    "diagramData",
    "diagramLayout",
    "diagramQuickStyle",
    "diagramColors",
];
/// And these.
const MORE: [&str; 2] = ["diagramDrawing", "table"];

/// What becomes of a relationship.
enum Kind {
    Xml,
    Picture,
    Link,
    Gone,
    Refused(CannotClean),
}

/// A relationship, as a part's `.rels` states it.
struct Relationship {
    id: String,
    kind: String,
    target: String,
    external: bool,
}

pub(super) fn clean(bytes: &[u8], kind: FileKind) -> Result<Vec<u8>, CannotClean> {
    let mut from = Package::read(bytes)?;
    let types = ContentTypes::read(&from.take(CONTENT_TYPES).ok_or(CannotClean::Damaged)?)?;
    if from.names().any(|name| name.to_ascii_lowercase().contains("vbaproject")) {
        return Err(CannotClean::Macros);
    }
    let names = from.names().map(str::to_owned).collect();
    let mut house =
        House { from, names, to: Package::default(), types, overrides: BTreeMap::new() };
    house.walk(kind)?;
    let declared = house.types.written(&house.to, &house.overrides)?;
    house.to.put(CONTENT_TYPES, declared);
    house.to.written()
}

/// A package on its way from one state to the other.
struct House {
    from: Package,
    /// What was there at the beginning.
    names: BTreeSet<String>,
    to: Package,
    types: ContentTypes,
    overrides: BTreeMap<String, String>,
}

impl House {
    /// From the package's own relationships to everything that stays.
    fn walk(&mut self, kind: FileKind) -> Result<(), CannotClean> {
        let mut waiting = VecDeque::new();
        let mut seen = BTreeSet::new();
        self.relationships("", kind, &mut waiting)?;
        while let Some((name, xml)) = waiting.pop_front() {
            if !seen.insert(name.clone()) {
                continue;
            }
            let dropped =
                if xml { self.relationships(&name, kind, &mut waiting)? } else { BTreeSet::new() };
            let content = self.from.take(&name).ok_or(CannotClean::Damaged)?;
            let content =
                if xml { Part::new(kind, &dropped).clean(&content)? } else { picture(&content)? };
            if let Some(declared) = self.types.of(&name) {
                self.overrides.insert(name.clone(), declared);
            }
            self.to.put(&name, content);
        }
        Ok(())
    }

    /// Reads a part's relationships and writes those that stay. The ids of the others.
    fn relationships(
        &mut self,
        part: &str,
        kind: FileKind,
        waiting: &mut VecDeque<(String, bool)>,
    ) -> Result<BTreeSet<String>, CannotClean> {
        let (folder, file) = part.rsplit_once('/').unwrap_or(("", part));
        let place = if folder.is_empty() { String::new() } else { format!("{folder}/") };
        let name = format!("{place}_rels/{file}.rels");
        let Some(rels) = self.from.take(&name) else { return Ok(BTreeSet::new()) };
        let mut dropped = BTreeSet::new();
        let mut kept = Vec::new();
        for relationship in read_relationships(&rels)? {
            let target = resolve(folder, &relationship.target);
            match judged(&relationship, part, kind) {
                Kind::Refused(reason) => return Err(reason),
                Kind::Link => kept.push(relationship),
                Kind::Xml if self.names.contains(&target) => {
                    waiting.push_back((target, true));
                    kept.push(relationship);
                }
                // Vector pictures of Office come with a bitmap beside them; where none is, the part is refused below.
                Kind::Picture if self.names.contains(&target) && !target.ends_with(".svg") => {
                    waiting.push_back((target, false));
                    kept.push(relationship);
                }
                Kind::Xml | Kind::Picture | Kind::Gone => {
                    dropped.insert(relationship.id);
                }
            }
        }
        self.to.put(&name, write_relationships(&kept)?);
        Ok(dropped)
    }
}

fn judged(relationship: &Relationship, part: &str, kind: FileKind) -> Kind {
    let word = relationship.kind.rsplit('/').next().unwrap_or_default();
    if relationship.external {
        return match word {
            "hyperlink" if is_plain_link(&relationship.target) => Kind::Link,
            "frame" | "externalLinkPath" => Kind::Refused(CannotClean::FetchesElsewhere),
            // A picture elsewhere, a template, a source of letters: nothing is fetched if nobody knows whence.
            _ => Kind::Gone,
        };
    }
    match word {
        _ if PARTS.contains(&word) || DRAWINGS.contains(&word) || MORE.contains(&word) => Kind::Xml,
        "image" => Kind::Picture,
        "vbaProject" => Kind::Refused(CannotClean::Macros),
        // The workbook behind a chart; the chart shows its own copy of the numbers.
        "package" if part.contains("/charts/") => Kind::Gone,
        "oleObject" | "package" | "control" | "aFChunk" | "subDocument" | "video" | "audio"
        | "media" => Kind::Refused(CannotClean::Embedded),
        "externalLink" | "connections" | "queryTable" if kind == FileKind::Xlsx => {
            Kind::Refused(CannotClean::FetchesElsewhere)
        }
        _ => Kind::Gone,
    }
}

/// The name of the part that a relationship leads to.
fn resolve(folder: &str, target: &str) -> String {
    let mut path: Vec<&str> =
        if target.starts_with('/') { Vec::new() } else { folder.split('/').collect() };
    for step in target.split('/') {
        match step {
            "" | "." => {}
            ".." => {
                path.pop();
            }
            step => path.push(step),
        }
    }
    path.retain(|step| !step.is_empty());
    path.join("/")
}

fn read_relationships(xml: &[u8]) -> Result<Vec<Relationship>, CannotClean> {
    let mut reader = Listed { element: "Relationship", found: Vec::new() };
    xml::filter(xml, &mut reader)?;
    if reader.found.len() > RELATIONSHIPS_MAX {
        return Err(CannotClean::TooIntricate);
    }
    let value = |found: &BTreeMap<String, String>, name: &str| {
        found.get(name).cloned().ok_or(CannotClean::Damaged)
    };
    let read = |found: &BTreeMap<String, String>| {
        Ok(Relationship {
            id: value(found, "Id")?,
            kind: value(found, "Type")?,
            target: value(found, "Target")?,
            external: found.get("TargetMode").is_some_and(|mode| mode == "External"),
        })
    };
    reader.found.iter().map(read).collect()
}

fn write_relationships(kept: &[Relationship]) -> Result<Vec<u8>, CannotClean> {
    let elements: Vec<_> = kept
        .iter()
        .map(|kept| {
            let mut attributes = vec![
                ("Id", kept.id.as_str()),
                ("Type", kept.kind.as_str()),
                ("Target", kept.target.as_str()),
            ];
            if kept.external {
                attributes.push(("TargetMode", "External"));
            }
            ("Relationship", attributes)
        })
        .collect();
    xml::list("Relationships", RELATIONSHIPS_NAMESPACE, &elements)
}

/// What kinds parts are of, as `[Content_Types].xml` states it.
struct ContentTypes {
    defaults: BTreeMap<String, String>,
    overrides: BTreeMap<String, String>,
}

impl ContentTypes {
    fn read(xml: &[u8]) -> Result<Self, CannotClean> {
        let all = |element, key: &str| {
            let mut reader = Listed { element, found: Vec::new() };
            xml::filter(xml, &mut reader)?;
            let entries = reader.found.into_iter().filter_map(|mut found| {
                let key = found.remove(key)?;
                Some((key.trim_start_matches('/').to_owned(), found.remove("ContentType")?))
            });
            Ok::<BTreeMap<_, _>, CannotClean>(entries.collect())
        };
        Ok(Self { defaults: all("Default", "Extension")?, overrides: all("Override", "PartName")? })
    }

    /// What a part is declared to be, where it is declared by itself.
    fn of(&self, name: &str) -> Option<String> {
        self.overrides.get(name).cloned()
    }

    fn written(
        &self,
        package: &Package,
        overrides: &BTreeMap<String, String>,
    ) -> Result<Vec<u8>, CannotClean> {
        let endings: BTreeSet<String> = package
            .names()
            .filter_map(|name| name.rsplit_once('.'))
            .map(|(_, ending)| ending.to_ascii_lowercase())
            .collect();
        let parts: Vec<_> =
            overrides.iter().map(|(name, kind)| (format!("/{name}"), kind.as_str())).collect();
        let mut elements: Vec<_> = self
            .defaults
            .iter()
            .filter(|(ending, _)| endings.contains(&ending.to_ascii_lowercase()))
            .map(|(ending, kind)| {
                ("Default", vec![("Extension", ending.as_str()), ("ContentType", kind.as_str())])
            })
            .collect();
        elements.extend(parts.iter().map(|(name, kind)| {
            ("Override", vec![("PartName", name.as_str()), ("ContentType", *kind)])
        }));
        xml::list("Types", TYPES_NAMESPACE, &elements)
    }
}

/// Rules that collect the attributes of one element and change nothing.
struct Listed {
    element: &'static str,
    found: Vec<BTreeMap<String, String>>,
}

impl Rules for Listed {
    fn element(&mut self, tag: &Tag<'_>, _parent: &str) -> Element {
        if tag.name == self.element {
            self.found.push(tag.attributes.iter().cloned().collect());
        }
        Element::Keep
    }

    fn attribute(&mut self, _tag: &Tag<'_>, _name: &str, _value: &str) -> Value {
        Value::Keep
    }
}

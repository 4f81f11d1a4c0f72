//! ODF (ISO/IEC 26300): odt, ods, odp.
//!
//! Kept: the content, the styles, and pictures and charts that the manifest lists. Gone: `meta.xml`, `settings.xml`
//! (printers), thumbnails, RDF, scripts, signatures, letters, replacement pictures of objects, which are drawn anew.

use super::package::Package;
use super::xml::{self, Element, Rules, Tag, Value, is_path, is_plain_link};
use super::{CannotClean, FileKind, picture};

const MIMETYPE: &str = "mimetype";
const MANIFEST: &str = "META-INF/manifest.xml";
const MANIFEST_NAMESPACE: &str = "urn:oasis:names:tc:opendocument:xmlns:manifest:1.0";

/// Elements that go with all that is in them.
const DROPPED: [&str; 19] = [
    // comments, changes, notes of the speaker
    "annotation",
    "annotation-end",
    "tracked-changes",
    "change",
    "change-start",
    "change-end",
    "notes",
    // programs in the document, and what starts them
    "scripts",
    "event-listeners",
    "event-listener",
    // who, when, with what
    "meta",
    "creator",
    "date",
    "generator",
    "printer",
    "config-item-set",
    "font-face-src",
    "forms-data",
    "rdf-content",
];
/// Fields that name people, times and files: their words stay, and are words from then on.
const UNWRAPPED: [&str; 18] = [
    "author-name",
    "author-initials",
    "initial-creator",
    "printed-by",
    "creation-date",
    "creation-time",
    "print-date",
    "print-time",
    "modification-date",
    "modification-time",
    "editing-cycles",
    "editing-duration",
    "file-name",
    "template-name",
    "sender-firstname",
    "sender-lastname",
    "sender-email",
    "user-defined",
];
/// Elements that fetch from elsewhere, or hold what is no document.
const FETCHING: [&str; 6] = [
    "dde-connection-decl",
    "dde-source",
    "dde-link",
    "table-source",
    "cell-range-source",
    "section-source",
];
const EMBEDDED: [&str; 5] = ["object-ole", "plugin", "applet", "floating-frame", "video"];

pub(super) fn clean(bytes: &[u8], kind: FileKind) -> Result<Vec<u8>, CannotClean> {
    let mut from = Package::read(bytes)?;
    let manifest = from.take(MANIFEST).ok_or(CannotClean::Damaged)?;
    xml::filter(&manifest, &mut Unencrypted)?;
    let mut to = Package::default();
    let names: Vec<String> = from.names().map(str::to_owned).collect();
    let mut listed = vec![("/".to_owned(), kind.media_type())];
    for name in names {
        let content = from.take(&name).unwrap_or_default();
        if let Some((content, media_type)) = part(&name, &content)? {
            to.put(&name, content);
            listed.push((name, media_type));
        }
    }
    if !to.has("content.xml") {
        return Err(CannotClean::Damaged);
    }
    // A chart is a document in a folder: the manifest says what the folder is.
    let objects = objects(&manifest)?;
    for (path, media_type) in &objects {
        if listed.iter().any(|(name, _)| name.starts_with(path.as_str())) {
            listed.push((path.clone(), media_type));
        }
    }
    to.put(MANIFEST, written(&listed)?);
    to.put(MIMETYPE, kind.media_type().as_bytes().to_vec());
    to.written()
}

/// What is left of a part, and its media type; `None` where nothing is.
fn part(name: &str, content: &[u8]) -> Result<Option<(Vec<u8>, &'static str)>, CannotClean> {
    let (folder, file) = name.rsplit_once('/').unwrap_or(("", name));
    let top = folder.split('/').next().unwrap_or_default();
    if [
        "META-INF",
        "Thumbnails",
        "Configurations2",
        "Basic",
        "Scripts",
        "Dialogs",
        "ObjectReplacements",
        "Fonts",
    ]
    .contains(&top)
        || name.starts_with("Object Replacements")
    {
        return Ok(None);
    }
    if folder == "Pictures" || folder.ends_with("/Pictures") {
        // A vector picture of the office programs comes beside a bitmap; the manifest forgets it.
        let content = picture(content)?;
        let media_type = super::kind(&content)?.media_type();
        return Ok(Some((content, media_type)));
    }
    match file {
        "content.xml" | "styles.xml" => {
            Ok(Some((xml::filter(content, &mut Document)?, "text/xml")))
        }
        // An object that is no document: what another program made.
        _ if top.is_empty() && name.starts_with("Object ") => Err(CannotClean::Embedded),
        "embeddings" => Err(CannotClean::Embedded),
        _ if top == "media" || top == "Media" || top == "embeddings" => Err(CannotClean::Embedded),
        _ => Ok(None),
    }
}

/// Rules for the words and styles of a document.
struct Document;

impl Rules for Document {
    fn element(&mut self, tag: &Tag<'_>, _parent: &str) -> Element {
        match tag.name {
            name if DROPPED.contains(&name) => Element::Drop,
            name if UNWRAPPED.contains(&name) => Element::Unwrap,
            name if FETCHING.contains(&name) => Element::Refuse(CannotClean::FetchesElsewhere),
            name if EMBEDDED.contains(&name) => Element::Refuse(CannotClean::Embedded),
            // A picture that lies elsewhere is not fetched.
            "image" | "fill-image" if tag.value("href").is_some_and(leads_outside) => Element::Drop,
            "object" if tag.value("href").is_some_and(leads_outside) => {
                Element::Refuse(CannotClean::FetchesElsewhere)
            }
            _ => Element::Keep,
        }
    }

    fn attribute(&mut self, tag: &Tag<'_>, name: &str, value: &str) -> Value {
        match name {
            "rsid" | "paragraph-rsid" | "creator" | "generator" | "author" => Value::Drop,
            // Links within the document begin with its mark, or are paths in the package.
            "href" if tag.name == "a" && !value.starts_with('#') && !is_plain_link(value) => {
                Value::Drop
            }
            // Where a picture came from before it lay in the document.
            "filter-name" => Value::Drop,
            "href" if tag.name != "a" && leads_outside(value) => {
                Value::Refuse(CannotClean::FetchesElsewhere)
            }
            // What the author, or the program after a file, called a picture.
            "name" if tag.name == "frame" => Value::Drop,
            "name" | "title" | "desc" if is_path(value) => Value::Set(String::new()),
            _ => Value::Keep,
        }
    }
}

/// Whether a path or link leads out of the package.
fn leads_outside(link: &str) -> bool {
    link.contains(':') || link.starts_with('/') || link.starts_with("..") || link.starts_with('\\')
}

/// Rules that refuse a manifest of encrypted parts.
struct Unencrypted;

impl Rules for Unencrypted {
    fn element(&mut self, tag: &Tag<'_>, _parent: &str) -> Element {
        if tag.name == "encryption-data" {
            Element::Refuse(CannotClean::Encrypted)
        } else {
            Element::Keep
        }
    }

    fn attribute(&mut self, _tag: &Tag<'_>, _name: &str, _value: &str) -> Value {
        Value::Keep
    }
}

/// Rules that collect the folders of a manifest with their media types, as far as they are objects of ODF.
#[derive(Default)]
struct Folders(Vec<(String, &'static str)>);

impl Rules for Folders {
    fn element(&mut self, tag: &Tag<'_>, _parent: &str) -> Element {
        const OBJECTS: [&str; 6] = [
            "application/vnd.oasis.opendocument.chart",
            "application/vnd.oasis.opendocument.formula",
            "application/vnd.oasis.opendocument.graphics",
            "application/vnd.oasis.opendocument.text",
            "application/vnd.oasis.opendocument.spreadsheet",
            "application/vnd.oasis.opendocument.presentation",
        ];
        if let (Some(path), Some(kind)) = (tag.value("full-path"), tag.value("media-type"))
            && path.ends_with('/')
            && path != "/"
            && let Some(kind) = OBJECTS.iter().find(|object| **object == kind)
        {
            self.0.push((path.to_owned(), kind));
        }
        Element::Keep
    }

    fn attribute(&mut self, _tag: &Tag<'_>, _name: &str, _value: &str) -> Value {
        Value::Keep
    }
}

fn objects(manifest: &[u8]) -> Result<Vec<(String, &'static str)>, CannotClean> {
    let mut folders = Folders::default();
    xml::filter(manifest, &mut folders)?;
    // No more than there can be parts.
    folders.0.truncate(super::limits::PARTS_MAX);
    Ok(folders.0)
}

fn written(listed: &[(String, &'static str)]) -> Result<Vec<u8>, CannotClean> {
    let elements: Vec<_> = listed
        .iter()
        .map(|(name, kind)| {
            (
                "file-entry",
                vec![("manifest:full-path", name.as_str()), ("manifest:media-type", *kind)],
            )
        })
        .collect();
    xml::list("manifest:manifest", MANIFEST_NAMESPACE, &elements)
}

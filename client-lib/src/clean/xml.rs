//! XML (1.0) of a document, read as events and written without what [`Rules`] take out.
//!
//! Elements and attributes go by their local name. Comments and processing instructions always go. A document type is
//! refused (entities that multiply are declared there), as is what lies too deep or is not UTF-8.

use quick_xml::escape::escape;
use quick_xml::events::attributes::Attribute;
use quick_xml::events::{BytesDecl, BytesStart, Event};
use quick_xml::{Reader, Writer};

use super::CannotClean;
use super::limits::{XML_ATTRIBUTES_MAX, XML_DEPTH_MAX};

/// What becomes of an element.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Element {
    /// It stays.
    Keep,
    /// It goes with all that is in it.
    Drop,
    /// It goes, and what is in it stays.
    Unwrap,
    /// The document is refused.
    Refuse(CannotClean),
}

/// What becomes of an attribute.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Value {
    /// It stays.
    Keep,
    /// It goes.
    Drop,
    /// It gets this value.
    Set(String),
    /// The document is refused.
    Refuse(CannotClean),
}

/// An element's name and attributes, as rules see them: local names, and values without escapes.
pub(super) struct Tag<'a> {
    pub(super) name: &'a str,
    pub(super) attributes: &'a [(String, String)],
}

impl Tag<'_> {
    /// The value of the attribute with this local name.
    pub(super) fn value(&self, name: &str) -> Option<&str> {
        self.attributes.iter().find(|(other, _)| other == name).map(|(_, value)| value.as_str())
    }
}

/// What is taken out of a document's XML.
pub(super) trait Rules {
    /// What becomes of an element inside the one named `parent`.
    fn element(&mut self, tag: &Tag<'_>, parent: &str) -> Element;
    /// What becomes of an attribute of an element that stays.
    fn attribute(&mut self, tag: &Tag<'_>, name: &str, value: &str) -> Value;
    /// Reads text inside the element named `parent`; an error refuses the document.
    fn text(&mut self, _text: &str, _parent: &str) -> Result<(), CannotClean> {
        Ok(())
    }
}

/// Where a reader stands: the elements around, and whether each is written.
#[derive(Default)]
struct Around {
    names: Vec<(String, bool)>,
    /// How many elements deep in one that is dropped.
    dropped: usize,
}

/// The document without what the rules take out.
pub(super) fn filter(xml: &[u8], rules: &mut impl Rules) -> Result<Vec<u8>, CannotClean> {
    let text = core::str::from_utf8(xml).map_err(|_| CannotClean::Damaged)?;
    let mut reader = Reader::from_str(text.trim_start_matches('\u{feff}'));
    let mut writer = Writer::new(Vec::with_capacity(xml.len()));
    let mut around = Around::default();
    loop {
        match reader.read_event().map_err(|_| CannotClean::Damaged)? {
            Event::Eof => break,
            Event::DocType(_) => return Err(CannotClean::TooIntricate),
            Event::Comment(_) | Event::PI(_) => {}
            Event::Decl(_) => {
                let declaration = BytesDecl::new("1.0", Some("UTF-8"), Some("yes"));
                write(&mut writer, Event::Decl(declaration))?;
            }
            Event::Start(start) => around.start(&start, rules, &mut writer)?,
            Event::Empty(start) => around.empty(&start, rules, &mut writer)?,
            Event::End(end) => {
                if around.end() {
                    write(&mut writer, Event::End(end))?;
                }
            }
            event => {
                if around.dropped == 0 {
                    if let Event::Text(text) = &event {
                        rules.text(text, around.parent())?;
                    }
                    write(&mut writer, event)?;
                }
            }
        }
    }
    if around.names.is_empty() && around.dropped == 0 {
        Ok(writer.into_inner())
    } else {
        Err(CannotClean::Damaged)
    }
}

impl Around {
    fn parent(&self) -> &str {
        self.names.last().map_or("", |(name, _)| name)
    }

    fn start(
        &mut self,
        start: &BytesStart<'_>,
        rules: &mut impl Rules,
        writer: &mut Writer<Vec<u8>>,
    ) -> Result<(), CannotClean> {
        if self.dropped > 0 {
            self.dropped += 1;
            return Ok(());
        }
        if self.names.len() == XML_DEPTH_MAX {
            return Err(CannotClean::TooIntricate);
        }
        let name = start.local_name().as_ref().to_owned();
        match self.judge(start, rules)? {
            Element::Refuse(reason) => return Err(reason),
            Element::Drop => self.dropped = 1,
            Element::Unwrap => self.names.push((name, false)),
            Element::Keep => {
                let start = attributes(start, rules)?;
                write(writer, Event::Start(start))?;
                self.names.push((name, true));
            }
        }
        Ok(())
    }

    fn empty(
        &mut self,
        start: &BytesStart<'_>,
        rules: &mut impl Rules,
        writer: &mut Writer<Vec<u8>>,
    ) -> Result<(), CannotClean> {
        if self.dropped > 0 {
            return Ok(());
        }
        match self.judge(start, rules)? {
            Element::Refuse(reason) => Err(reason),
            Element::Drop | Element::Unwrap => Ok(()),
            Element::Keep => write(writer, Event::Empty(attributes(start, rules)?)),
        }
    }

    /// Whether the end tag is written.
    fn end(&mut self) -> bool {
        if self.dropped > 0 {
            self.dropped -= 1;
            return false;
        }
        self.names.pop().is_some_and(|(_, written)| written)
    }

    fn judge(
        &self,
        start: &BytesStart<'_>,
        rules: &mut impl Rules,
    ) -> Result<Element, CannotClean> {
        let attributes = read(start)?;
        let tag = Tag { name: start.local_name().into_inner(), attributes: &attributes };
        Ok(rules.element(&tag, self.parent()))
    }
}

/// The attributes with their local names; those that declare namespaces are not among them.
fn read(start: &BytesStart<'_>) -> Result<Vec<(String, String)>, CannotClean> {
    let mut all = Vec::new();
    // Checks for duplicates compare each with each.
    for attribute in start.attributes().with_checks(false) {
        let attribute = attribute.map_err(|_| CannotClean::Damaged)?;
        if all.len() == XML_ATTRIBUTES_MAX {
            return Err(CannotClean::TooIntricate);
        }
        all.push((local(&attribute).to_owned(), unescaped(&attribute)?));
    }
    Ok(all)
}

fn local<'a>(attribute: &Attribute<'a>) -> &'a str {
    if attribute.key.as_namespace_binding().is_some() {
        "xmlns"
    } else {
        attribute.key.local_name().into_inner()
    }
}

fn unescaped(attribute: &Attribute<'_>) -> Result<String, CannotClean> {
    quick_xml::escape::unescape(&attribute.value)
        .map(std::borrow::Cow::into_owned)
        .map_err(|_| CannotClean::Damaged)
}

fn attributes(
    start: &BytesStart<'_>,
    rules: &mut impl Rules,
) -> Result<BytesStart<'static>, CannotClean> {
    let all = read(start)?;
    let tag = Tag { name: start.local_name().into_inner(), attributes: &all };
    let mut written = BytesStart::new(start.name().as_ref().to_owned());
    for attribute in start.attributes().with_checks(false) {
        let attribute = attribute.map_err(|_| CannotClean::Damaged)?;
        let value = if attribute.key.as_namespace_binding().is_some() {
            Value::Keep
        } else {
            rules.attribute(&tag, local(&attribute), &unescaped(&attribute)?)
        };
        match value {
            Value::Keep => written.push_attribute(attribute),
            Value::Set(value) => {
                written.push_attribute(Attribute { key: attribute.key, value: escape(value) })
            }
            Value::Drop => {}
            Value::Refuse(reason) => return Err(reason),
        }
    }
    Ok(written)
}

fn write(writer: &mut Writer<Vec<u8>>, event: Event<'_>) -> Result<(), CannotClean> {
    writer.write_event(event).map_err(|_| CannotClean::TooIntricate)
}

/// Whether a link leads somewhere that a person goes on purpose, and names no folder of the author's.
pub(super) fn is_plain_link(link: &str) -> bool {
    let link = link.trim_start().to_ascii_lowercase();
    ["http://", "https://", "mailto:"].iter().any(|scheme| link.starts_with(scheme))
}

/// Whether words that describe a picture are really where it lay on the author's disk, or the name of its file.
pub(super) fn is_path(words: &str) -> bool {
    const ENDINGS: [&str; 12] = [
        ".jpg", ".jpeg", ".png", ".gif", ".bmp", ".tif", ".tiff", ".webp", ".heic", ".svg", ".emf",
        ".wmf",
    ];
    let lower = words.trim().to_ascii_lowercase();
    words.contains('\\')
        || lower.starts_with('/')
        || lower.contains("file:")
        || ENDINGS.iter().any(|ending| lower.ends_with(ending))
}

/// A document of one element that lists others, each with attributes.
pub(super) fn list(
    root: &str,
    namespace: &str,
    elements: &[(&str, Vec<(&str, &str)>)],
) -> Result<Vec<u8>, CannotClean> {
    let mut writer = Writer::new(Vec::new());
    let declaration = BytesDecl::new("1.0", Some("UTF-8"), Some("yes"));
    write(&mut writer, Event::Decl(declaration))?;
    let mut start = BytesStart::new(root);
    start.push_attribute(("xmlns", namespace));
    let end = start.to_end().into_owned();
    write(&mut writer, Event::Start(start.clone()))?;
    for (name, attributes) in elements {
        let element = BytesStart::new(*name).with_attributes(attributes.iter().copied());
        write(&mut writer, Event::Empty(element))?;
    }
    write(&mut writer, Event::End(end))?;
    Ok(writer.into_inner())
}

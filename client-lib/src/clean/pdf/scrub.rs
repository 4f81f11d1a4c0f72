//! The walk over the objects of a PDF from its catalogue: each is judged once, in place.

use std::collections::BTreeSet;

use lopdf::{Dictionary, Document, Object, ObjectId, Stream};

use super::super::limits::{PDF_DEPTH_MAX, PDF_PICTURE_MAX};
use super::super::xml::is_plain_link;
use super::super::{CannotClean, icc, jp2, jpeg};
use super::dictionary::{Role, holds_names, prune, role};

/// Marks on a page that stay, without what was written beside them.
const DRAWN: &[&[u8]] = &[
    b"Link",
    b"Widget",
    b"FreeText",
    b"Line",
    b"Square",
    b"Circle",
    b"Polygon",
    b"PolyLine",
    b"Ink",
    b"Stamp",
    b"Highlight",
    b"Underline",
    b"Squiggly",
    b"StrikeOut",
    b"Watermark",
];

/// Where the walk stands.
struct Walk<'a> {
    document: &'a mut Document,
    seen: BTreeSet<ObjectId>,
    waiting: Vec<(ObjectId, Role)>,
}

/// Judges everything that the catalogue leads to.
pub(super) fn walk(document: &mut Document, root: ObjectId) -> Result<(), CannotClean> {
    let mut walk = Walk { document, seen: BTreeSet::new(), waiting: vec![(root, Role::Catalog)] };
    while let Some((id, found)) = walk.waiting.pop() {
        if !walk.seen.insert(id) {
            continue;
        }
        // Taken out while it is judged, and put back: what it refers to lies beside it.
        let Some(mut object) = walk.document.objects.remove(&id) else { continue };
        walk.judge(&mut object, found, 0)?;
        walk.document.objects.insert(id, object);
    }
    // What was not reached, or was judged to nothing, is not written.
    let seen = walk.seen;
    document.objects.retain(|id, _| seen.contains(id));
    Ok(())
}

impl Walk<'_> {
    fn judge(&mut self, object: &mut Object, found: Role, depth: usize) -> Result<(), CannotClean> {
        if depth > PDF_DEPTH_MAX {
            return Err(CannotClean::TooIntricate);
        }
        match object {
            Object::Reference(id) => self.waiting.push((*id, found)),
            Object::Array(array) => {
                if let Some(device) = self.profile_of(array)? {
                    *object = device;
                    return Ok(());
                }
                let found = if found == Role::Names { Role::Other } else { found };
                for item in array {
                    self.judge(item, found, depth + 1)?;
                }
            }
            Object::Dictionary(dictionary) => self.dictionary(dictionary, false, found, depth)?,
            Object::Stream(stream) => self.stream(stream, found, depth)?,
            _ => {}
        }
        Ok(())
    }

    fn dictionary(
        &mut self,
        dictionary: &mut Dictionary,
        is_stream: bool,
        found: Role,
        depth: usize,
    ) -> Result<(), CannotClean> {
        let role = role(dictionary, is_stream, found);
        if role == Role::FormOfFields && dictionary.has(b"XFA") {
            return Err(CannotClean::DynamicForm);
        }
        // A text typed onto the page is what the page says.
        let typed = role == Role::Annotation
            && dictionary
                .get(b"Subtype")
                .is_ok_and(|kind| kind.as_name().is_ok_and(|kind| kind == b"FreeText"));
        let words = if typed { dictionary.get(b"Contents").ok().cloned() } else { None };
        prune(dictionary, role);
        if let Some(words) = words {
            dictionary.set("Contents", words);
        }
        match role {
            Role::Catalog => self.only_destinations(dictionary),
            Role::Page => self.only_drawn(dictionary),
            Role::Field => self.without_signature(dictionary),
            _ => {}
        }
        if role != Role::StructureElement && role != Role::Names && !self.is_harmless(dictionary) {
            dictionary.remove(b"A");
        }
        // What an action leads to next may be anything.
        if dictionary.has(b"S")
            && !matches!(role, Role::Outline | Role::StructureElement | Role::Names)
        {
            dictionary.remove(b"Next");
        }
        let picture_profile = dictionary.get(b"DestOutputProfile").and_then(Object::as_reference);
        if let Ok(id) = picture_profile
            && !self.clean_profile(id)?
        {
            dictionary.remove(b"DestOutputProfile");
        }
        for (key, value) in dictionary.iter_mut() {
            let found = found_under(key, value, role);
            self.judge(value, found, depth + 1)?;
        }
        Ok(())
    }

    fn stream(
        &mut self,
        stream: &mut Stream,
        found: Role,
        depth: usize,
    ) -> Result<(), CannotClean> {
        // A stream that lies in another file, or is one.
        let is_file = stream
            .dict
            .get(b"Type")
            .is_ok_and(|kind| kind.as_name().is_ok_and(|kind| kind == b"EmbeddedFile"));
        let is_script = stream
            .dict
            .get(b"Subtype")
            .is_ok_and(|kind| kind.as_name().is_ok_and(|kind| kind == b"PS"));
        if stream.dict.has(b"F") || is_file || is_script {
            stream.dict = Dictionary::new();
            stream.set_content(Vec::new());
            return Ok(());
        }
        // A stream's own filters are names in it, or arrays of them; a reference here is resolved for the pictures.
        self.dictionary(&mut stream.dict, true, found, depth)?;
        picture(stream, self.document)
    }

    /// Whether the action of an annotation, a field or an outline is a jump or a plain link.
    fn is_harmless(&self, dictionary: &Dictionary) -> bool {
        let Ok(action) = dictionary.get(b"A") else { return true };
        let Ok((_, Object::Dictionary(action))) = self.document.dereference(action) else {
            return true;
        };
        let name = |key: &[u8]| action.get(key).ok().and_then(|value| value.as_name().ok());
        match name(b"S") {
            None | Some(b"GoTo" | b"Named") => true,
            Some(b"URI") => action
                .get(b"URI")
                .ok()
                .and_then(|link| self.document.dereference(link).ok())
                .and_then(|(_, link)| link.as_str().ok())
                .is_some_and(|link| is_plain_link(&String::from_utf8_lossy(link))),
            _ => false,
        }
    }

    /// Of the catalogue's trees of names, the one of places in the document.
    fn only_destinations(&mut self, catalog: &mut Dictionary) {
        let destinations = catalog
            .get(b"Names")
            .ok()
            .and_then(|names| self.document.dereference(names).ok())
            .and_then(|(_, names)| names.as_dict().ok())
            .and_then(|names| names.get(b"Dests").ok())
            .cloned();
        catalog.remove(b"Names");
        if let Some(destinations) = destinations {
            let mut names = Dictionary::new();
            names.set("Dests", destinations);
            catalog.set("Names", names);
        }
    }

    /// Of a page's marks, those that are drawn.
    fn only_drawn(&mut self, page: &mut Dictionary) {
        let Ok(marks) = page.get(b"Annots") else { return };
        let Ok((_, Object::Array(marks))) = self.document.dereference(marks) else {
            page.remove(b"Annots");
            return;
        };
        let drawn: Vec<Object> = marks
            .iter()
            .filter(|mark| {
                let Ok((_, Object::Dictionary(mark))) = self.document.dereference(mark) else {
                    return false;
                };
                mark.get(b"Subtype")
                    .is_ok_and(|kind| kind.as_name().is_ok_and(|kind| DRAWN.contains(&kind)))
            })
            .cloned()
            .collect();
        page.set("Annots", drawn);
    }

    /// A signature says who signed, when, and with what.
    fn without_signature(&mut self, field: &mut Dictionary) {
        let kind = |dictionary: &Dictionary| {
            dictionary.get(b"FT").ok().and_then(|kind| kind.as_name().ok()).map(<[u8]>::to_vec)
        };
        let own = kind(field);
        let inherited = || {
            let parent = self.document.dereference(field.get(b"Parent").ok()?).ok()?.1;
            kind(parent.as_dict().ok()?)
        };
        if own.or_else(inherited).as_deref() == Some(b"Sig") {
            field.remove(b"V");
            field.remove(b"AP");
        }
    }

    /// Cleans the profile of a colour space by profile; one that cannot be read is replaced by the device's colours.
    fn profile_of(&mut self, array: &[Object]) -> Result<Option<Object>, CannotClean> {
        let [Object::Name(name), Object::Reference(id)] = array else { return Ok(None) };
        if name != b"ICCBased" || self.clean_profile(*id)? {
            return Ok(None);
        }
        let components = match self.document.objects.get(id) {
            Some(Object::Stream(stream)) => {
                stream.dict.get(b"N").and_then(Object::as_i64).unwrap_or(3)
            }
            _ => 3,
        };
        let device: &[u8] = match components {
            1 => b"DeviceGray",
            4 => b"DeviceCMYK",
            _ => b"DeviceRGB",
        };
        Ok(Some(Object::Name(device.to_vec())))
    }

    /// Whether the profile could be cleaned.
    fn clean_profile(&mut self, id: ObjectId) -> Result<bool, CannotClean> {
        if self.seen.contains(&id) {
            return Ok(true);
        }
        let Some(Object::Stream(stream)) = self.document.objects.get_mut(&id) else {
            return Ok(false);
        };
        let Ok(profile) = stream.get_plain_content_with_limit(PDF_PICTURE_MAX) else {
            return Ok(false);
        };
        let Some(profile) = icc::clean(&profile) else { return Ok(false) };
        stream.set_plain_content(profile);
        stream
            .dict
            .as_hashmap_mut()
            .retain(|key, _| [&b"N"[..], b"Length", b"Range"].contains(&&key[..]));
        stream.compress().map_err(|_| CannotClean::TooIntricate)?;
        self.seen.insert(id);
        Ok(true)
    }
}

/// What the value under a key is taken for, where it does not say so itself.
fn found_under(key: &[u8], value: &Object, role: Role) -> Role {
    match key {
        b"AP" if matches!(role, Role::Annotation | Role::Field) => Role::Appearance,
        b"Pages" | b"Kids" | b"Parent" if matches!(role, Role::Catalog | Role::Page) => Role::Page,
        b"Outlines" | b"First" | b"Last" | b"Next" | b"Prev"
            if matches!(role, Role::Catalog | Role::Outline) =>
        {
            Role::Outline
        }
        b"Parent" if role == Role::Outline => Role::Outline,
        b"AcroForm" if role == Role::Catalog => Role::FormOfFields,
        b"Fields" if role == Role::FormOfFields => Role::Field,
        b"Kids" | b"Parent" if role == Role::Field => Role::Field,
        b"Annots" => Role::Annotation,
        b"StructTreeRoot" => Role::StructureElement,
        b"K" | b"P" | b"ParentTree" | b"Kids" | b"Nums" if role == Role::StructureElement => {
            Role::StructureElement
        }
        // Appearances: by state, or a form alone, which says that it is one.
        _ if holds_names(key, role) && !matches!(value, Object::Array(_)) => Role::Names,
        _ => Role::Other,
    }
}

/// Cleans a picture that is stored as a picture file would be.
fn picture(stream: &mut Stream, document: &Document) -> Result<(), CannotClean> {
    let Ok(filter) = stream.dict.get(b"Filter") else { return Ok(()) };
    let (_, filter) = document.dereference(filter).map_err(|_| CannotClean::Damaged)?;
    let filters: Vec<Vec<u8>> = match filter {
        Object::Name(name) => vec![name.clone()],
        Object::Array(names) => {
            names.iter().filter_map(|name| name.as_name().ok()).map(<[u8]>::to_vec).collect()
        }
        _ => return Err(CannotClean::Damaged),
    };
    let Some((last, around)) = filters.split_last() else { return Ok(()) };
    if around.iter().any(|filter| is_picture(filter)) {
        return Err(CannotClean::Damaged);
    }
    if !is_picture(last) {
        return Ok(());
    }
    let content = if around.is_empty() {
        stream.content.clone()
    } else {
        let mut dictionary = Dictionary::new();
        let names = around.iter().cloned().map(Object::Name).collect();
        dictionary.set("Filter", Object::Array(names));
        Stream::new(dictionary, stream.content.clone())
            .decompressed_content_with_limit(PDF_PICTURE_MAX)
            .map_err(|_| CannotClean::TooIntricate)?
    };
    let clean =
        if last.starts_with(b"JPX") { jp2::clean(&content)? } else { jpeg::clean(&content)? };
    let parameters = match stream.dict.get(b"DecodeParms") {
        Ok(Object::Array(parameters)) => parameters.last().cloned(),
        Ok(parameters) if around.is_empty() => Some(parameters.clone()),
        _ => None,
    };
    stream.dict.set("Filter", Object::Name(last.clone()));
    match parameters.filter(|parameters| !parameters.is_null()) {
        Some(parameters) => stream.dict.set("DecodeParms", parameters),
        None => {
            stream.dict.remove(b"DecodeParms");
        }
    }
    stream.set_content(clean);
    Ok(())
}

fn is_picture(filter: &[u8]) -> bool {
    [&b"DCTDecode"[..], b"DCT", b"JPXDecode"].contains(&filter)
}

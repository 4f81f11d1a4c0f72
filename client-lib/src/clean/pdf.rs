//! PDF (ISO 32000-2): a document is written anew with the objects that its pages need.
//!
//! The trailer keeps the root alone; [`scrub`] walks from it and takes out what tells of the maker; what the walk does
//! not reach is not written, nor is any earlier state of the document. Drawn marks stay without their author, date and
//! words; notes, attached files, scripts, actions but jumps and plain links, signatures, and layers' makers go. Pictures
//! in a page are cleaned like pictures. A hidden layer is not removed: it is a part of what was drawn.

mod budget;
mod dictionary;
mod scrub;

use lopdf::{Dictionary, Document, LoadOptions, Object, SaveOptions};

use super::CannotClean;
use super::limits::PDF_UNPACKED_MAX;

pub(super) fn clean(bytes: &[u8]) -> Result<Vec<u8>, CannotClean> {
    budget::check(bytes)?;
    let options = LoadOptions {
        max_decompressed_size: usize::try_from(PDF_UNPACKED_MAX).ok(),
        ..LoadOptions::default()
    };
    let mut document =
        Document::load_mem_with_options(bytes, options).map_err(|error| refusal(&error))?;
    if document.is_encrypted() || document.was_encrypted() || document.trailer.has(b"Encrypt") {
        return Err(CannotClean::Encrypted);
    }
    let root = document.trailer.get(b"Root").cloned().map_err(|_| CannotClean::Damaged)?;
    document.trailer = Dictionary::new();
    let Object::Reference(id) = root else { return Err(CannotClean::Damaged) };
    document.trailer.set("Root", id);
    scrub::walk(&mut document, id)?;
    if document.get_pages().is_empty() {
        return Err(CannotClean::Damaged);
    }
    document.prune_objects();
    document.renumber_objects();
    written(document)
}

fn written(mut document: Document) -> Result<Vec<u8>, CannotClean> {
    // Which bytes stand here tells one program from another.
    document.binary_mark = vec![0xe2, 0xe3, 0xcf, 0xd3];
    let plain = ["1.5", "1.6", "1.7", "2.0"].contains(&document.version.as_str());
    if !plain {
        document.version = "1.7".to_owned();
    }
    let options = SaveOptions::builder().use_object_streams(true).use_xref_streams(true).build();
    let mut out = Vec::new();
    document.save_with_options(&mut out, options).map_err(|_| CannotClean::TooIntricate)?;
    Ok(out)
}

fn refusal(error: &lopdf::Error) -> CannotClean {
    match error {
        lopdf::Error::Decryption(_) | lopdf::Error::InvalidPassword => CannotClean::Encrypted,
        _ => CannotClean::Damaged,
    }
}

#[cfg(test)]
mod tests;

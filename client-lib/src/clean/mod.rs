//! Takes out of a file what tells who made it, where, when and with what.
//!
//! Bytes in, cleaned bytes out, or a reason why not: [`clean`]. What a file is is told by its content, never by its name.
//!
//! Taken out: location, device, author, comments, tracked changes (accepted), thumbnails, programs' names, timestamps,
//! ids of documents, speaker's notes, macros, signatures, scripts, attached files. Pictures inside documents are cleaned
//! like pictures. What cannot be cleaned for sure is refused.
//!
//! Kept: what a person sees; how a picture is turned (that one tag); colour profiles, of which only the numbers are
//! kept (`icc`); links to `http`, `https` and `mailto` that a reader must follow on purpose.
//!
//! Guarantees: in memory only, never a file; what is read of a hostile file is bounded ([`limits`]); no recursion that
//! the input deepens without bound.
//! Deliberately not: pixels, words and drawings are not looked at (a face, a name in the text, what lies under a cropped
//! picture's edge, a sensor's noise), and nothing is decoded to pixels, so that dimensions cost nothing.

mod exif;
#[doc(hidden)]
pub mod fuzzing;
mod icc;
mod jp2;
mod jpeg;
pub mod limits;
mod odf;
mod ooxml;
mod package;
mod pdf;
mod png;
mod sniff;
mod webp;
mod xml;

/// What a file is, told by its content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum FileKind {
    /// UTF-8 words.
    Text,
    /// A photo.
    Jpeg,
    /// A picture.
    Png,
    /// A picture.
    WebP,
    /// A document.
    Pdf,
    /// A Word document.
    Docx,
    /// An Excel workbook.
    Xlsx,
    /// A PowerPoint presentation.
    Pptx,
    /// An OpenDocument text.
    Odt,
    /// An OpenDocument spreadsheet.
    Ods,
    /// An OpenDocument presentation.
    Odp,
}

impl FileKind {
    /// Its media type (RFC 6838).
    #[must_use]
    pub const fn media_type(self) -> &'static str {
        match self {
            Self::Text => "text/plain",
            Self::Jpeg => "image/jpeg",
            Self::Png => "image/png",
            Self::WebP => "image/webp",
            Self::Pdf => "application/pdf",
            Self::Docx => "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
            Self::Xlsx => "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
            Self::Pptx => {
                "application/vnd.openxmlformats-officedocument.presentationml.presentation"
            }
            Self::Odt => "application/vnd.oasis.opendocument.text",
            Self::Ods => "application/vnd.oasis.opendocument.spreadsheet",
            Self::Odp => "application/vnd.oasis.opendocument.presentation",
        }
    }

    /// A name that says what it is and nothing of whose it is.
    #[must_use]
    pub const fn neutral_name(self) -> &'static str {
        match self {
            Self::Text => "text.txt",
            Self::Jpeg => "photo.jpg",
            Self::Png => "picture.png",
            Self::WebP => "picture.webp",
            Self::Pdf => "document.pdf",
            Self::Docx => "document.docx",
            Self::Xlsx => "table.xlsx",
            Self::Pptx => "slides.pptx",
            Self::Odt => "document.odt",
            Self::Ods => "table.ods",
            Self::Odp => "slides.odp",
        }
    }
}

/// A file without what tells of its maker.
#[derive(Clone, PartialEq, Eq)]
pub struct Cleaned {
    /// What it is.
    pub kind: FileKind,
    /// What is left of it.
    pub bytes: Vec<u8>,
}

impl core::fmt::Debug for Cleaned {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let Self { kind, bytes: _ } = self;
        f.debug_struct("Cleaned").field("kind", kind).finish_non_exhaustive()
    }
}

/// Why a file cannot be cleaned for sure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CannotClean {
    /// Not one of the kinds that can be cleaned.
    #[error("not a kind of file that can be cleaned")]
    UnknownKind,
    /// A film or a sound.
    #[error("films and sounds cannot be cleaned")]
    Media,
    /// An archive, whose content could be anything.
    #[error("archives cannot be cleaned")]
    Archive,
    /// A document of an old kind, from before 2007.
    #[error("documents of this old kind cannot be cleaned")]
    OldOffice,
    /// Encrypted, or protected by a password.
    #[error("what is encrypted cannot be cleaned")]
    Encrypted,
    /// Damaged, or not what it says it is.
    #[error("the file is damaged")]
    Damaged,
    /// Larger or more intricate than a file of its kind should be.
    #[error("the file is too intricate")]
    TooIntricate,
    /// Another document, program or film lies inside it.
    #[error("something else is embedded in the document")]
    Embedded,
    /// A picture inside it is of a kind that cannot be cleaned.
    #[error("a picture in the document is of a kind that cannot be cleaned")]
    EmbeddedPicture,
    /// It is made to run programs.
    #[error("the document carries macros")]
    Macros,
    /// It draws on other files or places when it is opened.
    #[error("the document fetches from elsewhere when it is opened")]
    FetchesElsewhere,
    /// A PDF form of the kind that only one maker's programs show.
    #[error("a form of a kind that cannot be cleaned")]
    DynamicForm,
}

/// Takes out of a file what tells of its maker. The result is as good as the original to whoever looks at it.
///
/// # Errors
/// [`CannotClean`], with the reason. Nothing of the file is in it.
pub fn clean(bytes: &[u8]) -> Result<Cleaned, CannotClean> {
    let kind = sniff::kind(bytes)?;
    let bytes = match kind {
        FileKind::Text => bytes.to_vec(),
        FileKind::Jpeg => jpeg::clean(bytes)?,
        FileKind::Png => png::clean(bytes)?,
        FileKind::WebP => webp::clean(bytes)?,
        FileKind::Pdf => pdf::clean(bytes)?,
        FileKind::Docx | FileKind::Xlsx | FileKind::Pptx => ooxml::clean(bytes, kind)?,
        FileKind::Odt | FileKind::Ods | FileKind::Odp => odf::clean(bytes, kind)?,
    };
    Ok(Cleaned { kind, bytes })
}

/// What a file is.
///
/// # Errors
/// [`CannotClean`] where it is none of the kinds.
pub fn kind(bytes: &[u8]) -> Result<FileKind, CannotClean> {
    sniff::kind(bytes)
}

/// Cleans a picture that lies in a document.
fn picture(bytes: &[u8]) -> Result<Vec<u8>, CannotClean> {
    match sniff::kind(bytes) {
        Ok(FileKind::Jpeg) => jpeg::clean(bytes),
        Ok(FileKind::Png) => png::clean(bytes),
        Ok(FileKind::WebP) => webp::clean(bytes),
        _ => Err(CannotClean::EmbeddedPicture),
    }
}

#[cfg(test)]
mod tests;

//! How much of a hostile file is read. Sizes are bytes of what has been unpacked.

/// What a package (OOXML, ODF) may unpack to in all: some five times the largest file that is sent.
pub const UNPACKED_MAX: u64 = 96 * 1_024 * 1_024;
/// Parts of a package.
pub const PARTS_MAX: usize = 4_096;
/// Relationships of one part of OOXML: Excel allows 65,530 links on a sheet.
pub const RELATIONSHIPS_MAX: usize = 66_000;
/// How deep the elements of a document's XML may lie in each other.
pub const XML_DEPTH_MAX: usize = 256;
/// Attributes of one element.
pub const XML_ATTRIBUTES_MAX: usize = 512;
/// What all object and cross-reference streams of a PDF may unpack to together.
pub const PDF_UNPACKED_MAX: u64 = 32 * 1_024 * 1_024;
/// Tokens of a PDF, its streams counted as if they were some: each object costs a hundred bytes and more.
pub const PDF_TOKENS_MAX: u64 = 3_000_000;
/// How deep the objects of a PDF may lie in each other, counted without references.
pub const PDF_DEPTH_MAX: usize = 64;
/// A picture or a colour profile in a PDF, unpacked from the filters around it.
pub const PDF_PICTURE_MAX: usize = 32 * 1_024 * 1_024;
/// A colour profile: the largest of printers are a few megabytes.
pub const PROFILE_MAX: usize = 4 * 1_024 * 1_024;
/// Tags of a colour profile.
pub const PROFILE_TAGS_MAX: usize = 100;
/// Scans of a photo: a hundred components could not be told apart in more.
pub const SCANS_MAX: usize = 1_000;

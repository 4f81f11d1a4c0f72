//! PNG (third edition, with animations): the chunks that make the picture, its orientation, its colours, and no other.

use img_parts::Bytes;
use img_parts::ImageICC;
use img_parts::png::{Png, PngChunk};

use super::{CannotClean, exif, icc};

/// Chunks that are the picture or how it is shown.
const KEPT: [&[u8; 4]; 18] = [
    b"IHDR", b"PLTE", b"IDAT", b"IEND", b"tRNS", b"gAMA", b"cHRM", b"sRGB", b"sBIT", b"bKGD",
    b"hIST", b"pHYs", b"cICP", b"mDCV", b"cLLI", b"acTL", b"fcTL", b"fdAT",
];

pub(super) fn clean(bytes: &[u8]) -> Result<Vec<u8>, CannotClean> {
    let mut png =
        Png::from_bytes(Bytes::copy_from_slice(bytes)).map_err(|_| CannotClean::Damaged)?;
    let kinds = |png: &Png| {
        (png.chunks().first().map(PngChunk::kind), png.chunks().last().map(PngChunk::kind))
    };
    if kinds(&png) != (Some(*b"IHDR"), Some(*b"IEND")) {
        return Err(CannotClean::Damaged);
    }
    let profile = png.icc_profile().and_then(|profile| icc::clean(&profile));
    let orientation =
        png.chunk_by_type(*b"eXIf").and_then(|chunk| exif::orientation(chunk.contents()));
    // The chunk of a profile has a name of its own: it is written anew.
    png.chunks_mut().retain(|chunk| KEPT.contains(&&chunk.kind()));
    if let Some(profile) = profile {
        png.set_icc_profile(Some(profile.into()));
    }
    if let Some(orientation) = orientation {
        let tiff = Bytes::copy_from_slice(&exif::with_orientation(orientation));
        png.chunks_mut().insert(1, PngChunk::new(*b"eXIf", tiff));
    }
    Ok(png.encoder().bytes().to_vec())
}

//! WebP (RFC 9649): the chunks that make the picture, its orientation, its colours, and no other.

use img_parts::Bytes;
use img_parts::riff::{RiffChunk, RiffContent};

use super::{CannotClean, exif, icc};

const PROFILE_FLAG: u8 = 0x20;
const EXIF_FLAG: u8 = 0x08;
const XMP_FLAG: u8 = 0x04;
/// Place, size, duration and blending of an animation's frame; then come chunks.
const FRAME_HEADER_LEN: usize = 16;

pub(super) fn clean(bytes: &[u8]) -> Result<Vec<u8>, CannotClean> {
    let riff =
        RiffChunk::from_bytes(Bytes::copy_from_slice(bytes)).map_err(|_| CannotClean::Damaged)?;
    let (kind, chunks) = riff.content().list().ok_or(CannotClean::Damaged)?;
    if kind != Some(*b"WEBP") {
        return Err(CannotClean::Damaged);
    }
    let data = |name: [u8; 4]| {
        chunks.iter().find(|chunk| chunk.id() == name).and_then(|chunk| chunk.content().data())
    };
    let profile = data(*b"ICCP").and_then(|profile| icc::clean(profile));
    let orientation = data(*b"EXIF")
        .and_then(|tiff| exif::orientation(tiff.strip_prefix(b"Exif\0\0").unwrap_or(tiff)));
    let mut kept = Vec::new();
    for chunk in chunks {
        let content = chunk.content().data().ok_or(CannotClean::Damaged)?;
        match &chunk.id() {
            b"VP8X" => {
                let mut header = content.to_vec();
                let flags = header.first_mut().ok_or(CannotClean::Damaged)?;
                *flags &= !(PROFILE_FLAG | EXIF_FLAG | XMP_FLAG);
                *flags |= if profile.is_some() { PROFILE_FLAG } else { 0 };
                *flags |= if orientation.is_some() { EXIF_FLAG } else { 0 };
                kept.push(new(*b"VP8X", header));
                // In the order of RFC 9649: the profile before the picture, EXIF behind it.
                kept.extend(profile.clone().map(|profile| new(*b"ICCP", profile)));
            }
            b"ANMF" => kept.push(new(*b"ANMF", frame(content)?)),
            b"VP8 " | b"VP8L" | b"ALPH" | b"ANIM" => kept.push(chunk.clone()),
            _ => {}
        }
    }
    if !kept.iter().any(|chunk| [*b"VP8 ", *b"VP8L", *b"ANMF"].contains(&chunk.id())) {
        return Err(CannotClean::Damaged);
    }
    // Without a VP8X there is no place for either.
    if kept.first().is_some_and(|chunk| chunk.id() == *b"VP8X") {
        kept.extend(
            orientation.map(|turned| new(*b"EXIF", exif::with_orientation(turned).to_vec())),
        );
    }
    let riff =
        RiffChunk::new(*b"RIFF", RiffContent::List { kind: Some(*b"WEBP"), subchunks: kept });
    Ok(riff.encoder().bytes().to_vec())
}

fn new(id: [u8; 4], content: Vec<u8>) -> RiffChunk {
    RiffChunk::new(id, RiffContent::Data(content.into()))
}

/// A frame of an animation, which may carry unknown chunks of its own.
fn frame(content: &[u8]) -> Result<Vec<u8>, CannotClean> {
    let (header, mut rest) =
        content.split_at_checked(FRAME_HEADER_LEN).ok_or(CannotClean::Damaged)?;
    let mut out = header.to_vec();
    while let Some((head, behind)) = rest.split_first_chunk::<8>() {
        let length = u32::from_le_bytes([head[4], head[5], head[6], head[7]]);
        let length = usize::try_from(length).map_err(|_| CannotClean::Damaged)?;
        let padded = length.checked_add(length % 2).ok_or(CannotClean::Damaged)?;
        let data = behind.get(..length).ok_or(CannotClean::Damaged)?;
        if [&b"VP8 "[..], b"VP8L", b"ALPH"].contains(&&head[..4]) {
            out.extend(head);
            out.extend(data);
            out.resize(out.len() + length % 2, 0);
        }
        rest = behind.get(padded..).unwrap_or_default();
    }
    Ok(out)
}

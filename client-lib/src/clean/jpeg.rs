//! JPEG (ITU-T T.81): the segments that decoders need, and no other.
//!
//! Kept: frames, tables, scans; the density of JFIF without its thumbnail; Adobe's mark, by which colours are told apart;
//! the orientation ([`exif`]); the colour profile's numbers ([`icc`]). Not kept: EXIF, XMP, IPTC, Photoshop's blocks,
//! comments, makers' segments, and whatever lies behind the picture's end (previews, films, second pictures).
//! Read here and not by a library: those keep everything from the first scan on as one piece.

use super::CannotClean;
use super::exif::{self, Orientation};
use super::icc;
use super::limits::SCANS_MAX;

const SOI: u8 = 0xd8;
const EOI: u8 = 0xd9;
const SOS: u8 = 0xda;
const APP0: u8 = 0xe0;
const APP1: u8 = 0xe1;
const APP2: u8 = 0xe2;
const APP14: u8 = 0xee;
const JFIF: &[u8] = b"JFIF\0";
const EXIF: &[u8] = b"Exif\0\0";
const ICC: &[u8] = b"ICC_PROFILE\0";
const ADOBE: &[u8] = b"Adobe";
/// What of a profile fits into a segment, beside length, label, number and count.
const ICC_PART_MAX: usize = 65_535 - 2 - ICC.len() - 2;

/// What is kept of what stands before the picture.
#[derive(Default)]
struct Kept<'a> {
    density: Option<&'a [u8]>,
    orientation: Option<Orientation>,
    profile: Vec<(u8, &'a [u8])>,
    adobe: Option<&'a [u8]>,
    picture: Vec<u8>,
    scans: usize,
}

pub(super) fn clean(bytes: &[u8]) -> Result<Vec<u8>, CannotClean> {
    let mut kept = Kept::default();
    let mut at = 2;
    while let Some(marker) = next_marker(bytes, &mut at) {
        match marker {
            EOI => break,
            // Filling, and what stands alone outside of a scan.
            0x01 | 0xd0..=SOI => continue,
            _ => {}
        }
        let length: [u8; 2] = bytes
            .get(at..at + 2)
            .and_then(|length| length.try_into().ok())
            .ok_or(CannotClean::Damaged)?;
        let end = at + usize::from(u16::from_be_bytes(length));
        let content = bytes.get(at + 2..end).ok_or(CannotClean::Damaged)?;
        at = end;
        kept.segment(marker, content);
        if marker == SOS {
            let end = end_of_scan(bytes, at);
            kept.picture.extend(&bytes[at..end]);
            at = end;
            if kept.scans > SCANS_MAX {
                return Err(CannotClean::TooIntricate);
            }
        }
    }
    if kept.scans == 0 { Err(CannotClean::Damaged) } else { Ok(kept.written()) }
}

/// The next marker from `at` on, which then stands behind it. Some cameras leave bytes between segments.
fn next_marker(bytes: &[u8], at: &mut usize) -> Option<u8> {
    loop {
        *at += bytes.get(*at..)?.iter().position(|byte| *byte == 0xff)?;
        *at += bytes[*at..].iter().position(|byte| *byte != 0xff)?;
        let marker = bytes[*at];
        *at += 1;
        if marker != 0 {
            return Some(marker);
        }
    }
}

/// Where a scan that begins at `from` ends: at a marker that is neither a stuffed byte nor a restart.
fn end_of_scan(bytes: &[u8], from: usize) -> usize {
    let mut at = from;
    while let Some(found) = bytes[at..].iter().position(|byte| *byte == 0xff) {
        at += found;
        match bytes.get(at + 1) {
            Some(0 | 0xd0..=0xd7) => at += 2,
            // Filling before a marker.
            Some(0xff) => at += 1,
            _ => return at,
        }
    }
    bytes.len()
}

impl<'a> Kept<'a> {
    fn segment(&mut self, marker: u8, content: &'a [u8]) {
        match marker {
            // Frames, Huffman and arithmetic tables; quantisation, number of lines, restarts; scans.
            0xc0..=0xc7 | 0xc9..=0xcf | 0xdb..=0xdd | SOS => {
                self.scans += usize::from(marker == SOS);
                push(&mut self.picture, marker, &[content]);
            }
            APP0 if content.starts_with(JFIF) => self.density = content.get(5..12),
            APP1 => {
                if let Some(tiff) = content.strip_prefix(EXIF) {
                    self.orientation = self.orientation.or(exif::orientation(tiff));
                }
            }
            APP2 => {
                if let Some([number, _, part @ ..]) = content.strip_prefix(ICC) {
                    self.profile.push((*number, part));
                }
            }
            APP14 if content.starts_with(ADOBE) => self.adobe = content.get(5..12),
            _ => {}
        }
    }

    fn written(mut self) -> Vec<u8> {
        let mut out = vec![0xff, SOI];
        if let Some(density) = self.density {
            push(&mut out, APP0, &[JFIF, density, &[0, 0]]);
        }
        if let Some(orientation) = self.orientation {
            push(&mut out, APP1, &[EXIF, &exif::with_orientation(orientation)]);
        }
        self.profile.sort_by_key(|(number, _)| *number);
        let profile: Vec<u8> = self.profile.iter().flat_map(|(_, part)| *part).copied().collect();
        let profile = icc::clean(&profile).unwrap_or_default();
        let count = u8::try_from(profile.len().div_ceil(ICC_PART_MAX)).unwrap_or(0);
        for (number, part) in (1..=count).zip(profile.chunks(ICC_PART_MAX)) {
            push(&mut out, APP2, &[ICC, &[number, count], part]);
        }
        if let Some(adobe) = self.adobe {
            push(&mut out, APP14, &[ADOBE, adobe]);
        }
        out.extend(self.picture);
        out.extend([0xff, EOI]);
        out
    }
}

/// A segment of at most 65,533 bytes of content.
fn push(out: &mut Vec<u8>, marker: u8, content: &[&[u8]]) {
    let length: usize = 2 + content.iter().map(|part| part.len()).sum::<usize>();
    out.extend([0xff, marker]);
    out.extend(u16::try_from(length).unwrap_or(u16::MAX).to_be_bytes());
    content.iter().for_each(|part| out.extend(*part));
}

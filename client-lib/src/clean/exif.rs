//! How a picture is turned: the one tag of its EXIF that is kept (TIFF 6.0, EXIF 2.32, tag 0x0112).
//!
//! The picture's pixels stay as they are and the tag with them, so it looks right wherever it did.

const ORIENTATION: u16 = 0x0112;
const SHORT: u16 = 3;
const ENTRY_LEN: usize = 12;

/// 2 to 8: turned or mirrored. 1, upright, is what no tag says too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Orientation(u8);

/// The orientation in the TIFF structure that EXIF is, where it says another one than upright.
pub(super) fn orientation(tiff: &[u8]) -> Option<Orientation> {
    let little = match tiff.get(..4)? {
        b"II*\0" => true,
        b"MM\0*" => false,
        _ => return None,
    };
    let u16_at = |at: usize| {
        let bytes: [u8; 2] = tiff.get(at..at.checked_add(2)?)?.try_into().ok()?;
        Some(if little { u16::from_le_bytes(bytes) } else { u16::from_be_bytes(bytes) })
    };
    let bytes: [u8; 4] = tiff.get(4..8)?.try_into().ok()?;
    let first = if little { u32::from_le_bytes(bytes) } else { u32::from_be_bytes(bytes) };
    let first = usize::try_from(first).ok()?;
    let entries = usize::from(u16_at(first)?);
    (0..entries)
        .filter_map(|entry| first.checked_add(2 + entry * ENTRY_LEN))
        .take_while(|at| at.checked_add(ENTRY_LEN).is_some_and(|end| end <= tiff.len()))
        .find(|at| u16_at(*at) == Some(ORIENTATION) && u16_at(at + 2) == Some(SHORT))
        .and_then(|at| u16_at(at + 8))
        .and_then(|value| u8::try_from(value).ok())
        .filter(|value| (2..=8).contains(value))
        .map(Orientation)
}

/// A TIFF structure, 26 bytes, that says the orientation and nothing else.
pub(super) fn with_orientation(orientation: Orientation) -> [u8; 26] {
    let mut tiff = *b"MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\0\0\0\0\0\0\0";
    tiff[19] = orientation.0;
    tiff
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        for value in 2..=8 {
            let tiff = with_orientation(Orientation(value));
            assert_eq!(orientation(&tiff), Some(Orientation(value)));
        }
        let upright = with_orientation(Orientation(1));
        assert_eq!(orientation(&upright), None);
        for cut in 0..upright.len() {
            let _ = orientation(&with_orientation(Orientation(6))[..cut]);
        }
    }

    #[test]
    fn both_byte_orders_are_read() {
        let little = b"II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0\0\0\0\0";
        assert_eq!(orientation(little), Some(Orientation(6)));
    }
}

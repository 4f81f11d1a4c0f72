//! JPEG 2000 (ITU-T T.800) as PDF has it: the boxes that make the picture, and inside the code stream no comment.

use super::CannotClean;

const SIGNATURE: &[u8] = b"\0\0\0\x0cjP  \r\n\x87\n";
const CODE_STREAM: &[u8] = &[0xff, 0x4f, 0xff, 0x51];
/// A code stream's comment (COM).
const COMMENT: [u8; 2] = [0xff, 0x64];
/// The first tile part (SOT): the main header ends there.
const TILE: [u8; 2] = [0xff, 0x90];

pub(super) fn clean(bytes: &[u8]) -> Result<Vec<u8>, CannotClean> {
    if bytes.starts_with(CODE_STREAM) {
        return code_stream(bytes);
    }
    if !bytes.starts_with(SIGNATURE) {
        return Err(CannotClean::Damaged);
    }
    let mut out = SIGNATURE.to_vec();
    let mut rest = &bytes[SIGNATURE.len()..];
    while let Some((head, _)) = rest.split_first_chunk::<8>() {
        let declared = u32::from_be_bytes([head[0], head[1], head[2], head[3]]);
        let (length, head_len) = match declared {
            0 => (rest.len(), 8),
            // A length of 64 bits: no picture that is sent needs it.
            1..=7 => return Err(CannotClean::Damaged),
            length => (usize::try_from(length).map_err(|_| CannotClean::Damaged)?, 8),
        };
        let content = rest.get(head_len..length).ok_or(CannotClean::Damaged)?;
        let content = match &head[4..8] {
            b"ftyp" | b"jp2h" => Some(content.to_vec()),
            b"jp2c" => Some(code_stream(content)?),
            _ => None,
        };
        if let Some(content) = content {
            let length = u32::try_from(content.len() + 8).map_err(|_| CannotClean::Damaged)?;
            out.extend(length.to_be_bytes());
            out.extend(&head[4..8]);
            out.extend(content);
        }
        rest = &rest[length..];
    }
    Ok(out)
}

fn code_stream(bytes: &[u8]) -> Result<Vec<u8>, CannotClean> {
    let mut out = bytes.get(..2).ok_or(CannotClean::Damaged)?.to_vec();
    let mut at = 2;
    loop {
        let marker = bytes.get(at..at + 2).ok_or(CannotClean::Damaged)?;
        if marker == TILE {
            out.extend(&bytes[at..]);
            return Ok(out);
        }
        let length = bytes.get(at + 2..at + 4).ok_or(CannotClean::Damaged)?;
        let end = at + 2 + usize::from(u16::from_be_bytes([length[0], length[1]]));
        if marker != COMMENT {
            out.extend(bytes.get(at..end).ok_or(CannotClean::Damaged)?);
        }
        at = end;
    }
}

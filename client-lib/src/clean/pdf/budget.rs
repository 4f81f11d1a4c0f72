//! How much a PDF asks of its reader, found before it is read: the library bounds each stream that it unpacks and each
//! nesting, and not their sum.

use flate2::{Decompress, FlushDecompress, Status};

use super::super::CannotClean;
use super::super::limits::{PDF_TOKENS_MAX, PDF_UNPACKED_MAX};

/// Whether the file can be read with what a phone has.
pub(super) fn check(bytes: &[u8]) -> Result<(), CannotClean> {
    let mut tokens = Tokens::default();
    tokens.count(bytes);
    let mut unpacked = 0;
    for (head, body) in streams(bytes) {
        if !holds_objects(head) {
            continue;
        }
        if is_plain_flate(head) {
            unpacked += inflated(body, PDF_UNPACKED_MAX.saturating_sub(unpacked), &mut tokens);
        } else if has(head, b"Filter") || head.contains(&b'#') {
            // Filters upon filters may make of it what they like.
            unpacked += PDF_UNPACKED_MAX / 8;
        }
        if unpacked >= PDF_UNPACKED_MAX {
            return Err(CannotClean::TooIntricate);
        }
    }
    if tokens.seen > PDF_TOKENS_MAX { Err(CannotClean::TooIntricate) } else { Ok(()) }
}

/// Words and marks: each may become an object.
#[derive(Default)]
struct Tokens {
    seen: u64,
    inside: bool,
}

impl Tokens {
    fn count(&mut self, bytes: &[u8]) {
        for byte in bytes {
            match byte {
                0 | b'\t' | b'\n' | b'\x0c' | b'\r' | b' ' => self.inside = false,
                b'[' | b'<' | b'(' | b'/' => {
                    self.seen += 1;
                    self.inside = true;
                }
                b']' | b'>' | b')' | b'{' | b'}' | b'%' => self.inside = false,
                _ => {
                    self.seen += u64::from(!self.inside);
                    self.inside = true;
                }
            }
        }
    }
}

/// Every place that could be a stream: what stands before it, back to the last object, and what follows.
fn streams(bytes: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    const HEAD_MAX: usize = 4_096;
    const WORD: &[u8] = b"stream";
    let mut from = 0;
    core::iter::from_fn(move || {
        loop {
            let found = from + find(bytes.get(from..)?, WORD)?;
            from = found + WORD.len();
            let head = &bytes[found.saturating_sub(HEAD_MAX)..found];
            if head.ends_with(b"end") {
                continue;
            }
            let begin = rfind(head, b"obj").unwrap_or(0);
            let body = &bytes[from..];
            let body = body.strip_prefix(b"\r").unwrap_or(body);
            return Some((&head[begin..], body.strip_prefix(b"\n").unwrap_or(body)));
        }
    })
}

/// Streams that are unpacked while a document is read. A name may be written in escapes.
fn holds_objects(head: &[u8]) -> bool {
    has(head, b"ObjStm") || has(head, b"XRef") || head.contains(&b'#')
}

fn is_plain_flate(head: &[u8]) -> bool {
    let Some(at) = find(head, b"/Filter") else { return false };
    let rest = head[at + 7..].trim_ascii_start();
    let rest = rest.strip_prefix(b"[").unwrap_or(rest).trim_ascii_start();
    let Some(rest) = rest.strip_prefix(b"/FlateDecode") else { return false };
    // Not one of several.
    let rest = rest.trim_ascii_start();
    !head.contains(&b'#') && !rest.starts_with(b"/FlateDecode") && !rest.starts_with(b"/LZW")
}

fn has(head: &[u8], word: &[u8]) -> bool {
    find(head, word).is_some()
}

/// What a stream unpacks to, up to `max`, and the tokens in it.
fn inflated(body: &[u8], max: u64, tokens: &mut Tokens) -> u64 {
    let mut inflate = Decompress::new(true);
    let mut out = [0; 16_384];
    loop {
        let (read, written) = (inflate.total_in(), inflate.total_out());
        let Some(rest) = usize::try_from(read).ok().and_then(|read| body.get(read..)) else {
            break;
        };
        let status = inflate.decompress(rest, &mut out, FlushDecompress::None);
        let step = usize::try_from(inflate.total_out() - written).unwrap_or(out.len());
        tokens.count(&out[..step.min(out.len())]);
        let stuck = step == 0 && inflate.total_in() == read;
        if !matches!(status, Ok(Status::Ok)) || stuck || inflate.total_out() > max {
            break;
        }
    }
    inflate.total_out()
}

fn find(bytes: &[u8], word: &[u8]) -> Option<usize> {
    bytes.windows(word.len()).position(|window| window == word)
}

fn rfind(bytes: &[u8], word: &[u8]) -> Option<usize> {
    bytes.windows(word.len()).rposition(|window| window == word)
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    fn deflated(content: &[u8]) -> Vec<u8> {
        let mut encoder =
            flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::default());
        encoder.write_all(content).unwrap();
        encoder.finish().unwrap()
    }

    fn object_stream(filter: &str, content: &[u8]) -> Vec<u8> {
        [
            b"1 0 obj <</Type/ObjStm/Filter",
            filter.as_bytes(),
            b">> stream\r\n",
            content,
            b"\nendstream",
        ]
        .concat()
    }

    #[test]
    fn streams_of_objects_that_unpack_to_too_much_together_are_refused() {
        let large = deflated(&vec![b'a'; 20 << 20]);
        let one = object_stream("/FlateDecode", &large);
        assert_eq!(check(&one), Ok(()));
        assert_eq!(check(&[one.clone(), one].concat()), Err(CannotClean::TooIntricate));
        // A filter upon a filter is taken for an eighth of what is allowed.
        let twice = object_stream("[/FlateDecode /FlateDecode]", b"x");
        assert_eq!(check(&twice.repeat(7)), Ok(()));
        assert_eq!(check(&twice.repeat(8)), Err(CannotClean::TooIntricate));
    }

    #[test]
    fn more_tokens_than_a_phone_has_room_for_are_refused_packed_or_not() {
        let many = b"1 ".repeat(3_100_000);
        assert_eq!(check(&many), Err(CannotClean::TooIntricate));
        let packed = object_stream("/FlateDecode", &deflated(&many));
        assert_eq!(check(&packed), Err(CannotClean::TooIntricate));
    }
}

//! The chunked coding of an answer (RFC 9112 §7.1), read strictly: what another parser could read differently is an
//! error. Extensions and trailers are read and dropped.

use bytes::{Buf, Bytes, BytesMut};
use http::{HeaderName, HeaderValue};

/// The longest line of a chunk's size with its extensions, in bytes.
const SIZE_LINE_MAX: usize = 512;
/// The most bytes of trailers.
const TRAILERS_MAX: usize = 16 * 1024;

/// The bytes are no chunked coding; the text says where.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Malformed(pub &'static str);

/// What one step of decoding gave.
#[derive(Debug, PartialEq, Eq)]
pub enum Step {
    /// A piece of the body.
    Data(Bytes),
    /// Nothing until more bytes arrive.
    NeedMore,
    /// The body is complete.
    End,
}

/// Where in the coding the decoder stands.
#[derive(Debug)]
pub enum Decoder {
    /// Before a size line.
    Size,
    /// Inside a chunk, so many bytes before its end.
    Data(u64),
    /// Before the CRLF that ends a chunk.
    DataEnd,
    /// Among the trailers, so many bytes of them seen.
    Trailers(usize),
    /// Behind the end.
    End,
}

impl Decoder {
    /// Takes what can be taken from the front of `buf`.
    pub fn step(&mut self, buf: &mut BytesMut) -> Result<Step, Malformed> {
        loop {
            match self {
                Self::Size => {
                    let Some(line) = take_line(buf, SIZE_LINE_MAX)? else { return Ok(Step::NeedMore) };
                    *self = match chunk_size(&line)? {
                        0 => Self::Trailers(0),
                        size => Self::Data(size),
                    };
                }
                Self::Data(left) => {
                    if buf.is_empty() {
                        return Ok(Step::NeedMore);
                    }
                    let count = buf.len().min(usize::try_from(*left).unwrap_or(usize::MAX));
                    *left -= count as u64;
                    if *left == 0 {
                        *self = Self::DataEnd;
                    }
                    return Ok(Step::Data(buf.split_to(count).freeze()));
                }
                Self::DataEnd => {
                    match &**buf {
                        [b'\r', b'\n', ..] => buf.advance(2),
                        [] | [b'\r'] => return Ok(Step::NeedMore),
                        _ => return Err(Malformed("a chunk is longer than its size says")),
                    }
                    *self = Self::Size;
                }
                Self::Trailers(seen) => {
                    let room = TRAILERS_MAX.saturating_sub(*seen);
                    let Some(line) = take_line(buf, room)? else { return Ok(Step::NeedMore) };
                    *seen += line.len() + 2;
                    if line.is_empty() {
                        *self = Self::End;
                    } else if !is_field(&line) {
                        return Err(Malformed("a trailer is no field"));
                    }
                }
                Self::End => return Ok(Step::End),
            }
        }
    }
}

/// Takes a line that ends with CRLF; `None` while it is incomplete.
fn take_line(buf: &mut BytesMut, max: usize) -> Result<Option<BytesMut>, Malformed> {
    let Some(end) = buf.iter().take(max + 2).position(|byte| *byte == b'\n') else {
        let too_long = buf.len() >= max + 2;
        return if too_long { Err(Malformed("a line of the chunked coding is too long")) } else { Ok(None) };
    };
    let mut line = buf.split_to(end + 1);
    if !line.ends_with(b"\r\n") {
        return Err(Malformed("a line of the chunked coding ends without CR"));
    }
    line.truncate(line.len() - 2);
    if line.iter().any(|byte| matches!(byte, b'\r' | 0)) {
        return Err(Malformed("a line of the chunked coding has control bytes"));
    }
    Ok(Some(line))
}

/// Whether a line has a field's name, and a value without control bytes.
fn is_field(line: &[u8]) -> bool {
    let Some(colon) = line.iter().position(|byte| *byte == b':') else { return false };
    let (name, value) = line.split_at_checked(colon).unwrap_or_default();
    HeaderName::from_bytes(name).is_ok() && HeaderValue::from_bytes(value).is_ok()
}

fn chunk_size(line: &[u8]) -> Result<u64, Malformed> {
    let end = line.iter().position(|byte| matches!(byte, b';' | b' ' | b'\t')).unwrap_or(line.len());
    let (digits, extension) = line.split_at_checked(end).unwrap_or((line, b""));
    if !extension.trim_ascii_start().starts_with(b";") && !extension.is_empty() {
        return Err(Malformed("a chunk size is followed by something else than an extension"));
    }
    if digits.is_empty() || digits.len() > 15 || !digits.iter().all(u8::is_ascii_hexdigit) {
        return Err(Malformed("a chunk size is not a hexadecimal number"));
    }
    std::str::from_utf8(digits)
        .ok()
        .and_then(|digits| u64::from_str_radix(digits, 16).ok())
        .ok_or(Malformed("a chunk size is not a hexadecimal number"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Decodes `wire` arriving `step` bytes at a time; the body and what is left behind its end.
    fn decode(wire: &[u8], step: usize) -> Result<(Vec<u8>, Vec<u8>), Malformed> {
        let (mut decoder, mut buf, mut body) = (Decoder::Size, BytesMut::new(), Vec::new());
        let mut rest = wire.chunks(step);
        loop {
            match decoder.step(&mut buf)? {
                Step::Data(data) => body.extend_from_slice(&data),
                Step::End => {
                    buf.extend(rest.flatten());
                    return Ok((body, buf.to_vec()));
                }
                Step::NeedMore => match rest.next() {
                    Some(piece) => buf.extend_from_slice(piece),
                    None => return Err(Malformed("cut off")),
                },
            }
        }
    }

    #[test]
    fn a_body_is_the_same_however_its_bytes_arrive() {
        let wire = b"4\r\nWiki\r\n6;name=\"v\"\r\npedia \r\n00E \r\n".to_vec();
        assert_eq!(
            decode(&wire, 3),
            Err(Malformed("a chunk size is followed by something else than an extension"))
        );
        let wire =
            b"4\r\nWiki\r\n6;name=\"v\"\r\npedia \r\n00d\r\nin \r\n\r\nchunks\r\n0\r\nX: y\r\n\r\nnext";
        for step in 1..wire.len() {
            let (body, rest) = decode(wire, step).unwrap();
            assert_eq!(body, b"Wikipedia in \r\n\r\nchunks");
            assert_eq!(rest, b"next");
        }
    }

    #[test]
    fn what_another_parser_could_read_differently_is_refused() {
        for wire in [
            &b"4\nWiki\r\n0\r\n\r\n"[..],
            b"4\r\nWikiX\r\n0\r\n\r\n",
            b"0x4\r\nWiki\r\n0\r\n\r\n",
            b"+4\r\nWiki\r\n0\r\n\r\n",
            b"-1\r\n\r\n",
            b"\r\nWiki\r\n0\r\n\r\n",
            b" 4\r\nWiki\r\n0\r\n\r\n",
            b"4 4\r\nWiki\r\n0\r\n\r\n",
            b"ffffffffffffffff\r\n",
            b"10000000000000000\r\n",
            b"4;a\rb\r\nWiki\r\n0\r\n\r\n",
            b"0\r\nX: y\n\r\n",
            b"0\r\nnonsense\r\n\r\n",
            b"0\r\nX : y\r\n\r\n",
            b"0\r\n X: y\r\n\r\n",
            b"0\r\nX: y\r\n z\r\n\r\n",
            b"0\r\n: y\r\n\r\n",
            b"0\r\nX: \x01\r\n\r\n",
            b"4\r\nWiki\n0\r\n\r\n",
        ] {
            assert!(decode(wire, 1).is_err(), "{}", wire.escape_ascii());
        }
        assert!(decode(&[b'1'; SIZE_LINE_MAX + 10], 7).is_err());
        assert!(decode(&[b"0\r\n".to_vec(), vec![b'a'; TRAILERS_MAX + 10]].concat(), 7).is_err());
        let endless = [b"0\r\n".to_vec(), b"a: b\r\n".repeat(TRAILERS_MAX / 6 + 2)].concat();
        assert!(decode(&endless, 100).is_err());
    }
}

//! The chunked coding (RFC 9112 §7.1): an answer's is read strictly, what another parser could read differently is an
//! error; a request's is written. Extensions are read and dropped.

use bytes::{Buf, Bytes, BytesMut};
use http::{HeaderMap, HeaderName, HeaderValue};
use memchr::memchr;

/// The longest line of a chunk's size with its extensions, in bytes.
const SIZE_LINE_MAX: usize = 512;
/// The most bytes of trailers.
const TRAILERS_MAX: usize = 16 * 1024;
/// The most trailers.
const TRAILER_COUNT_MAX: usize = 128;

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
    /// The body is complete; with its trailers, if it has any.
    End(Option<Box<HeaderMap>>),
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
    /// Among the trailers.
    Trailers(Trailers),
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
                        0 => Self::Trailers(Trailers::default()),
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
                Self::Trailers(trailers) => {
                    let room = TRAILERS_MAX.saturating_sub(trailers.seen);
                    let Some(line) = take_line(buf, room)? else { return Ok(Step::NeedMore) };
                    if line.is_empty() {
                        let fields = trailers.fields.take();
                        *self = Self::End;
                        return Ok(Step::End(fields));
                    }
                    trailers.add(line)?;
                }
                Self::End => return Ok(Step::End(None)),
            }
        }
    }
}

/// The trailers that have been read.
#[derive(Debug, Default)]
pub struct Trailers {
    /// Bytes of them.
    seen: usize,
    /// None, where there are none: in nearly every body.
    fields: Option<Box<HeaderMap>>,
}

impl Trailers {
    fn add(&mut self, line: BytesMut) -> Result<(), Malformed> {
        self.seen += line.len() + 2;
        let line = line.freeze();
        let colon = memchr(b':', &line).ok_or(Malformed("a trailer has no colon"))?;
        let name = HeaderName::from_bytes(line.get(..colon).unwrap_or_default())
            .map_err(|_| Malformed("a trailer has no proper name"))?;
        let value = without_blanks(line.get(colon + 1..).unwrap_or_default());
        let value = HeaderValue::from_maybe_shared(line.slice_ref(value))
            .map_err(|_| Malformed("a trailer has control bytes"))?;
        let fields = self.fields.get_or_insert_default();
        if fields.len() >= TRAILER_COUNT_MAX {
            return Err(Malformed("it has too many trailers"));
        }
        fields.append(name, value);
        Ok(())
    }
}

/// A value without the spaces and tabs around it; any other control byte stays, to be refused.
fn without_blanks(mut value: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] | [rest @ .., b' ' | b'\t'] = value {
        value = rest;
    }
    value
}

/// Writes the line that precedes a chunk of `size` bytes.
pub fn write_size(out: &mut Vec<u8>, size: usize) {
    let mut digits = [0_u8; 16];
    let mut rest = size;
    let mut used = 0;
    for digit in digits.iter_mut().rev() {
        *digit = b"0123456789abcdef".get(rest & 15).copied().unwrap_or(b'0');
        rest >>= 4;
        used += 1;
        if rest == 0 {
            break;
        }
    }
    out.extend_from_slice(digits.get(16 - used..).unwrap_or_default());
    out.extend_from_slice(b"\r\n");
}

/// Writes the end of a body: the last chunk, its trailers, the empty line.
pub fn write_end(out: &mut Vec<u8>, trailers: &HeaderMap) {
    out.extend_from_slice(b"0\r\n");
    for (name, value) in trailers {
        out.extend_from_slice(name.as_str().as_bytes());
        out.extend_from_slice(b": ");
        out.extend_from_slice(value.as_bytes());
        out.extend_from_slice(b"\r\n");
    }
    out.extend_from_slice(b"\r\n");
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

    /// A body, what is left behind its end, and its trailers.
    type Decoded = (Vec<u8>, Vec<u8>, Vec<(String, String)>);

    /// Decodes `wire` arriving `step` bytes at a time.
    fn decode(wire: &[u8], step: usize) -> Result<Decoded, Malformed> {
        let (mut decoder, mut buf, mut body) = (Decoder::Size, BytesMut::new(), Vec::new());
        let mut rest = wire.chunks(step);
        loop {
            match decoder.step(&mut buf)? {
                Step::Data(data) => body.extend_from_slice(&data),
                Step::End(trailers) => {
                    buf.extend(rest.flatten());
                    let text = |(name, value): (&HeaderName, &HeaderValue)| {
                        (name.to_string(), value.as_bytes().escape_ascii().to_string())
                    };
                    let trailers = trailers.iter().flat_map(|fields| fields.iter().map(text)).collect();
                    return Ok((body, buf.to_vec(), trailers));
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
            b"4\r\nWiki\r\n6;name=\"v\"\r\npedia \r\n00d\r\nin \r\n\r\nchunks\r\n0\r\nX: y\r\nX:\t z\xfc \r\nEmpty:\r\n\r\nnext";
        for step in 1..wire.len() {
            let (body, rest, trailers) = decode(wire, step).unwrap();
            assert_eq!(body, b"Wikipedia in \r\n\r\nchunks");
            assert_eq!(rest, b"next");
            let trailers: Vec<_> = trailers.iter().map(|(name, value)| (&**name, &**value)).collect();
            assert_eq!(trailers, [("x", "y"), ("x", "z\\xfc"), ("empty", "")]);
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
            b"0\r\nX: y\rZ: a\r\n\r\n",
            b"0\r\nX: y\0\r\n\r\n",
            b"0\r\nX: y\x01\r\n\r\n",
            b"0\r\nX: y\x0c\r\n\r\n",
            b"0\r\nX y\r\n\r\n",
            b"0\r\nnonsense\r\n\r\n",
            b"0\r\nX : y\r\n\r\n",
            b"0\r\n X: y\r\n\r\n",
            b"0\r\nX: y\r\n z\r\n\r\n",
            b"0\r\n: y\r\n\r\n",
            b"0\r\n:status: 200\r\n\r\n",
            b"0\r\nX\xfc: y\r\n\r\n",
            b"0\r\n\n",
            b"4\r\nWiki\n0\r\n\r\n",
        ] {
            assert!(decode(wire, 1).is_err(), "{}", wire.escape_ascii());
        }
        assert!(decode(&[b'1'; SIZE_LINE_MAX + 10], 7).is_err());
        assert!(decode(&[b"0\r\n".to_vec(), vec![b'a'; TRAILERS_MAX + 10]].concat(), 7).is_err());
        let endless = [b"0\r\n".to_vec(), b"a: b\r\n".repeat(TRAILERS_MAX / 6 + 2)].concat();
        assert!(decode(&endless, 100).is_err());
        let many = |count| [b"0\r\n".to_vec(), b"a: b\r\n".repeat(count), b"\r\n".to_vec()].concat();
        assert_eq!(decode(&many(TRAILER_COUNT_MAX), 100).unwrap().2.len(), TRAILER_COUNT_MAX);
        assert!(decode(&many(TRAILER_COUNT_MAX + 1), 100).is_err());
    }

    #[test]
    fn what_is_written_reads_the_same() {
        for size in [1, 9, 10, 15, 16, 255, 256, 65_536, usize::MAX] {
            let mut out = Vec::new();
            write_size(&mut out, size);
            assert_eq!(out, format!("{size:x}\r\n").into_bytes());
        }
        let mut trailers = HeaderMap::new();
        trailers.append("x", HeaderValue::from_static("1"));
        trailers.append("x", HeaderValue::from_static("2"));
        let mut out = Vec::new();
        write_end(&mut out, &trailers);
        assert_eq!(out, b"0\r\nx: 1\r\nx: 2\r\n\r\n");
        out.clear();
        write_end(&mut out, &HeaderMap::new());
        assert_eq!(out, b"0\r\n\r\n");
    }
}

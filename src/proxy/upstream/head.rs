//! Reading the fields of an answer, strictly.

use std::mem::MaybeUninit;

use bytes::{Buf, Bytes, BytesMut};
use http::header::{CONTENT_LENGTH, SET_COOKIE, TRAILER};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use memchr::memchr_iter;

use super::failure::Failure;
use crate::message::fields::{self, ResponseFate};
use crate::message::framing::{self, Asked, Protocol, ResponseFraming};
use crate::message::trailers::{self, Nominated};
use crate::message::upgrade;
use crate::web::cookies;

/// The most bytes of an answer's fields.
const HEAD_MAX: usize = 64 * 1024;
/// The most fields of an answer.
pub(super) const FIELDS_MAX: usize = 128;
/// As many elements as its `Connection` and its `Trailer` may have together: each is held against each.
const ELEMENTS_MAX: usize = 64;
/// As many as most answers have.
const FIELDS_FEW: usize = 24;

/// The fields of an answer, with what they say of its body and its connection.
#[derive(Debug)]
pub struct Head {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub framing: ResponseFraming,
    pub keep_alive: bool,
    /// Of a 101 the protocol that it names.
    pub protocol: Option<Box<[u8]>>,
    /// What its trailers may not be, besides.
    pub nominated: Nominated,
}

/// Interim answers that came before the final one, which is told of by a few of them at most.
#[derive(Debug, Default)]
pub struct Interim(u8);

impl Interim {
    const MOST: u8 = 100;

    /// Counts another.
    pub(super) fn one_more(&mut self) -> Result<(), Failure> {
        self.0 += 1;
        if self.0 > Self::MOST {
            Err(Failure::Malformed("it never gets past interim answers"))
        } else {
            Ok(())
        }
    }
}

/// Takes the fields of a final answer from the front of `buf`; `None` while they are incomplete. Interim answers are
/// dropped.
pub fn take(buf: &mut BytesMut, asked: Asked, interim: &mut Interim) -> Result<Option<Head>, Failure> {
    loop {
        match take_one(buf, asked)? {
            None => return Ok(None),
            Some(head) if head.status == StatusCode::SWITCHING_PROTOCOLS => {
                return match asked {
                    Asked::Upgrade => Ok(Some(head)),
                    Asked::Head | Asked::Other => Err(Failure::Malformed("it switches protocols unasked")),
                };
            }
            Some(head) if head.status.is_informational() => interim.one_more()?,
            Some(head) => return Ok(Some(head)),
        }
    }
}

fn take_one(buf: &mut BytesMut, asked: Asked) -> Result<Option<Head>, Failure> {
    let mut fields = [const { MaybeUninit::uninit() }; FIELDS_MAX];
    let mut answer = httparse::Response::new(&mut []);
    let parsed =
        httparse::ParserConfig::default().parse_response_with_uninit_headers(&mut answer, buf, &mut fields);
    let length = match parsed {
        Ok(httparse::Status::Complete(length)) if length <= HEAD_MAX => length,
        Ok(httparse::Status::Partial) if buf.len() < HEAD_MAX => return Ok(None),
        Ok(_) => return Err(Failure::Malformed("its fields are too large")),
        Err(httparse::Error::TooManyHeaders) => return Err(Failure::Malformed("it has too many fields")),
        Err(_) => return Err(Failure::Malformed("it is not HTTP/1.1")),
    };
    let Some(status) = answer.code.and_then(|code| StatusCode::from_u16(code).ok()) else {
        return Err(Failure::Malformed("its status is not a number from 100 to 999"));
    };
    // The parser skips empty lines, and takes a bare LF for the end of one; another parser may not.
    if !buf.starts_with(b"HTTP/") {
        return Err(Failure::Malformed("empty lines stand before it"));
    }
    // Status line, fields, empty line.
    let lines = answer.headers.len() + 2;
    let block = buf.get(..length).unwrap_or_default();
    if memchr_iter(b'\r', block).count() != lines {
        return Err(Failure::Malformed("a line of its fields ends without CR"));
    }
    let protocol = if answer.version == Some(1) { Protocol::Http11 } else { Protocol::Http10 };
    let pairs = answer.headers.iter().map(|field| (field.name.as_bytes(), field.value));
    let framing = framing::response(asked, status.as_u16(), protocol, pairs.clone())
        .map_err(|why| Failure::Malformed(why.0))?;
    let announced = match status {
        StatusCode::SWITCHING_PROTOCOLS => upgrade::announced(pairs).map(Box::from),
        _ => None,
    };
    let (mut few, mut many) = ([Span::default(); FIELDS_FEW], Vec::new());
    let spans = match few.get_mut(..answer.headers.len()) {
        Some(enough) => enough,
        None => {
            many.resize(answer.headers.len(), Span::default());
            many.as_mut_slice()
        }
    };
    let origin = buf.as_ptr().addr();
    for (span, field) in spans.iter_mut().zip(answer.headers.iter()) {
        *span = Span::of(origin, field);
    }
    let block = buf.split_to(length).freeze();
    let (headers, persistence, nominated) = collect(&block, spans.iter(), framing)?;
    let keep_alive = persistence.unwrap_or(protocol == Protocol::Http11);
    let keep_alive = keep_alive && framing != ResponseFraming::Close;
    Ok(Some(Head { status, headers, framing, keep_alive, nominated, protocol: announced }))
}

/// Where a field lies in the block of fields; offsets fit because the block is bounded by [`HEAD_MAX`].
#[derive(Clone, Copy, Default)]
struct Span {
    name: (u32, u32),
    value: (u32, u32),
}

impl Span {
    fn of(origin: usize, field: &httparse::Header<'_>) -> Self {
        let within = |part: &[u8]| {
            let start = part.as_ptr().addr().saturating_sub(origin);
            (start as u32, (start + part.len()) as u32)
        };
        Self { name: within(field.name.as_bytes()), value: within(field.value) }
    }
}

fn cut(block: &Bytes, (start, end): (u32, u32)) -> Bytes {
    block.slice(start as usize..end as usize)
}

/// A length that was read, without the zeros before it: a reader could take it for an octal number.
pub(super) fn canonical(mut value: Bytes) -> Bytes {
    let zeros = value.iter().take_while(|digit| **digit == b'0').count();
    value.advance(zeros.min(value.len().saturating_sub(1)));
    value
}

/// The end-to-end fields, their values sharing the block, and what `Connection` says: of keeping the connection, and of
/// other fields.
fn collect<'a>(
    block: &Bytes,
    spans: impl ExactSizeIterator<Item = &'a Span> + Clone,
    framing: ResponseFraming,
) -> Result<(HeaderMap, Option<bool>, Nominated), Failure> {
    let mut headers = HeaderMap::with_capacity(spans.len() + 4);
    let (mut connection, mut announced) = (Vec::new(), Vec::new());
    for span in spans {
        let value = cut(block, span.value);
        let name = block.get(span.name.0 as usize..span.name.1 as usize).unwrap_or_default();
        let name = match fields::response_fate(name) {
            ResponseFate::HopByHop if name.eq_ignore_ascii_case(b"connection") => {
                connection.push(value);
                continue;
            }
            ResponseFate::Trailer if framing == ResponseFraming::Chunked => {
                announced.push(value);
                continue;
            }
            ResponseFate::HopByHop
            | ResponseFate::Trailer
            | ResponseFate::RequestId
            | ResponseFate::CredentialExpires => continue,
            ResponseFate::Framing if !name.eq_ignore_ascii_case(b"content-length") => continue,
            ResponseFate::Framing | ResponseFate::RateLimit | ResponseFate::Pass => {
                HeaderName::from_bytes(name)
            }
        };
        let name = name.map_err(|_| Failure::Malformed("it has a field without a proper name"))?;
        if name == SET_COOKIE && cookies::sets_own(&value) {
            continue;
        }
        let value = if name == CONTENT_LENGTH { canonical(value) } else { value };
        let value = HeaderValue::from_maybe_shared(value)
            .map_err(|_| Failure::Malformed("it has a field with control bytes"))?;
        if name == CONTENT_LENGTH {
            // Equal repetitions are one.
            headers.insert(name, value);
        } else {
            headers.append(name, value);
        }
    }
    let elements = connection.iter().chain(&announced).map(|value| memchr_iter(b',', value).count() + 1);
    if elements.sum::<usize>() > ELEMENTS_MAX {
        return Err(Failure::Malformed("its Connection or its Trailer field has too many elements"));
    }
    let (mut persistence, mut nominated) = (None, Nominated::default());
    for option in
        connection.iter().flat_map(|value| value.split(|byte| *byte == b',')).map(<[u8]>::trim_ascii)
    {
        match option {
            close if close.eq_ignore_ascii_case(b"close") => persistence = Some(false),
            keep if keep.eq_ignore_ascii_case(b"keep-alive") => persistence = persistence.or(Some(true)),
            named => {
                if let Ok(name) = HeaderName::from_bytes(named) {
                    headers.remove(name);
                    nominated.note(named);
                }
            }
        }
    }
    if !announced.is_empty() && !nominated.has(&TRAILER) {
        let fields = announced.iter().map(|value| &**value);
        let announcement = trailers::announcement(fields, &nominated, trailers::passes_down);
        headers.extend(announcement.map(|names| (TRAILER, names)));
    }
    Ok((headers, persistence, nominated))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(bytes: &[u8], step: usize) -> (Result<Option<Head>, Failure>, Vec<u8>) {
        let (mut buf, mut interim) = (BytesMut::new(), Interim::default());
        for piece in bytes.chunks(step) {
            buf.extend_from_slice(piece);
            match take(&mut buf, Asked::Other, &mut interim) {
                Ok(None) => {}
                outcome => return (outcome, buf.to_vec()),
            }
        }
        (Ok(None), buf.to_vec())
    }

    #[test]
    fn a_head_is_the_same_however_its_bytes_arrive() {
        let wire = b"HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\nHTTP/1.1 404 Not Found\r\nSet-Cookie: a\r\nset-cookie: b\r\n\
            connection: x-near , keep-alive\r\nx-near: 1\r\nkeep-alive: timeout=5\r\nx-request-id: theirs\r\n\
            content-length: 4\r\nContent-Length: 4\r\n\r\n";
        for step in 1..=wire.len() {
            let (outcome, rest) = read(wire, step);
            let head = outcome.unwrap().expect("it is whole");
            assert_eq!(rest, b"");
            assert_eq!(
                (head.status, head.framing, head.keep_alive),
                (StatusCode::NOT_FOUND, ResponseFraming::Length(4), true)
            );
            let fields: Vec<_> =
                head.headers.iter().map(|(name, value)| (name.as_str(), value.to_str().unwrap())).collect();
            assert_eq!(fields, [("set-cookie", "a"), ("set-cookie", "b"), ("content-length", "4")]);
        }
    }

    #[test]
    fn a_length_is_passed_on_in_one_spelling() {
        for (sent, canonical) in [("3", "3"), ("003", "3"), ("0", "0"), ("000", "0"), ("0100", "100")] {
            let (outcome, _) =
                read(format!("HTTP/1.1 200 OK\r\nContent-Length: {sent}\r\n\r\n").as_bytes(), 100);
            assert_eq!(outcome.unwrap().expect("it is whole").headers["content-length"], canonical, "{sent}");
        }
    }

    #[test]
    fn fields_without_end_are_not_collected() {
        for filler in [&b"x"[..], b"x: y\r\n", b"\r\n", b"HTTP/1.1 103 Early Hints\r\nx: "] {
            let wire = [b"HTTP/1.1 200 OK\r\n", filler.repeat(HEAD_MAX).as_slice()].concat();
            let (outcome, _) = read(&wire, 1000);
            assert!(!matches!(outcome, Ok(None)), "{}", filler.escape_ascii());
        }
    }

    proptest::proptest! {
        #[test]
        fn no_bytes_upset_it(noise: Vec<u8>, at in 0..80_usize) {
            let head = b"HTTP/1.1 200 OK\r\nconnection: close\r\ntransfer-encoding: chunked\r\nx: y\r\n\r\n";
            let (before, after) = head.split_at(at.min(head.len()));
            for wire in [&noise, &[before, &noise, after].concat()] {
                // Whole or in pieces, it has one meaning.
                let (at_once, in_pieces) = (read(wire, wire.len().max(1)).0, read(wire, 1).0);
                let meaning = |outcome: Result<Option<Head>, Failure>| {
                    outcome.ok().map(|head| head.map(|head| (head.status, head.headers, head.framing, head.keep_alive)))
                };
                proptest::prop_assert_eq!(meaning(at_once), meaning(in_pieces));
            }
        }
    }
}

//! What an upstream answers: `proxy::upstream`'s readers beside a strict one, and beside themselves with other pieces.

use bytes::BytesMut;
use keyward::message::framing::{Asked, ResponseFraming};
use keyward::proxy::upstream::chunked::{Decoder, Step};
use keyward::proxy::upstream::head::{self, Interim};

use super::pieces::Manner;
use super::strict::{self, Framing, Head, Read};

/// Takes the input's rest as what an upstream sends.
pub fn run(data: &[u8]) {
    let Some((manner, wire)) = Manner::split(data) else { return };
    let asked = if manner.first() { Asked::Head } else { Asked::Other };
    let whole = read(wire, usize::MAX, asked);
    assert_eq!(whole, read(wire, manner.piece(), asked), "the pieces make a difference");
    if let Some(answer) = whole {
        hold_against_strict(&answer, wire, asked);
    }
}

#[derive(Debug, PartialEq, Eq)]
struct Answer {
    head: Vec<(String, Vec<u8>)>,
    status: u16,
    framing: ResponseFraming,
    keep_alive: bool,
    body: Body,
}

#[derive(Debug, PartialEq, Eq)]
enum Body {
    /// With what stands behind it.
    Whole(Vec<u8>, Vec<u8>),
    Part(Vec<u8>),
    Bad(Vec<u8>),
}

/// The answer, if its head is one.
fn read(wire: &[u8], piece: usize, asked: Asked) -> Option<Answer> {
    let mut pieces = wire.chunks(piece);
    let (mut buf, mut interim) = (BytesMut::new(), Interim::default());
    let head = loop {
        buf.extend_from_slice(pieces.next()?);
        match head::take(&mut buf, asked, &mut interim) {
            Ok(None) => {}
            Ok(Some(head)) => break head,
            Err(_) => return None,
        }
    };
    let fields =
        head.headers.iter().map(|(name, value)| (name.as_str().to_owned(), value.as_bytes().to_vec()));
    Some(Answer {
        status: head.status.as_u16(),
        head: fields.collect(),
        framing: head.framing,
        keep_alive: head.keep_alive,
        body: match head.framing {
            ResponseFraming::Chunked => chunks(buf, pieces),
            other => {
                buf.extend(pieces.flatten());
                plain(&buf, other)
            }
        },
    })
}

fn chunks<'a>(mut buf: BytesMut, mut pieces: impl Iterator<Item = &'a [u8]>) -> Body {
    let mut decoder = Decoder::Size;
    let mut body = Vec::new();
    loop {
        match decoder.step(&mut buf) {
            Ok(Step::Data(data)) => {
                assert!(!data.is_empty(), "an empty piece would look like the end");
                body.extend_from_slice(&data);
            }
            Ok(Step::End(_)) => {
                buf.extend(pieces.flatten());
                return Body::Whole(body, buf.to_vec());
            }
            Ok(Step::NeedMore) => match pieces.next() {
                Some(piece) => buf.extend_from_slice(piece),
                None => return Body::Part(body),
            },
            Err(_) => return Body::Bad(body),
        }
    }
}

fn plain(bytes: &[u8], framing: ResponseFraming) -> Body {
    let length = match framing {
        ResponseFraming::None => 0,
        ResponseFraming::Length(length) => usize::try_from(length).unwrap_or(usize::MAX),
        ResponseFraming::Close | ResponseFraming::Chunked => return Body::Part(bytes.to_vec()),
    };
    match bytes.split_at_checked(length) {
        Some((body, rest)) => Body::Whole(body.to_vec(), rest.to_vec()),
        None => Body::Part(bytes.to_vec()),
    }
}

fn hold_against_strict(answer: &Answer, wire: &[u8], asked: Asked) {
    let mut rest = wire;
    let head = loop {
        match strict::answer(rest) {
            Read::Whole(head, length) => {
                rest = &rest[length..];
                if !head.line[1].starts_with(b"1") {
                    break head;
                }
            }
            other => panic!("taken, and strictly it is {other:?}"),
        }
    };
    let status = std::str::from_utf8(head.line[1]).expect("digits");
    assert_eq!(answer.status.to_string(), status);
    assert_eq!(answer.framing, framing(&head, answer.status, asked), "where it ends");
    assert_eq!(
        answer.keep_alive,
        is_kept(&head) && answer.framing != ResponseFraming::Close,
        "what becomes of its connection"
    );
    hold_fields(answer, &head);
    if answer.framing == ResponseFraming::Chunked {
        hold_chunks(&answer.body, rest);
    }
}

fn framing(head: &Head<'_>, status: u16, asked: Asked) -> ResponseFraming {
    // Equal lengths are one (RFC 9110 §8.6), in an answer.
    let name = b"content-length";
    let mut lengths: Vec<_> =
        head.all("content-length").into_iter().map(|value| written(name, value)).collect();
    lengths.dedup();
    assert!(lengths.len() < 2, "two lengths");
    let bare: Vec<_> =
        head.fields.iter().filter(|(name, _)| !name.eq_ignore_ascii_case(b"content-length")).collect();
    assert!(
        lengths.is_empty() || !bare.iter().any(|(name, _)| name.eq_ignore_ascii_case(b"transfer-encoding"))
    );
    let mut fields: Vec<_> = bare.into_iter().copied().collect();
    fields.extend(lengths.first().map(|length| (&b"content-length"[..], *length)));
    let said = Head { line: head.line, fields }.framing().expect("framing that is not in doubt");
    assert!(said != Framing::Chunked || head.line[0] == b"HTTP/1.1", "chunks in HTTP/1.0");
    match (status, said) {
        (204, Framing::Chunked | Framing::Length(1..)) => panic!("a body where none can be"),
        (204 | 304, _) => ResponseFraming::None,
        _ if asked == Asked::Head => ResponseFraming::None,
        (_, Framing::Chunked) => ResponseFraming::Chunked,
        (_, Framing::Length(length)) => ResponseFraming::Length(length),
        (_, Framing::Silent) => ResponseFraming::Close,
    }
}

fn options<'a>(head: &'a Head<'_>) -> impl Iterator<Item = &'a [u8]> + use<'a> {
    let values = head.fields.iter().filter(|(name, _)| name.eq_ignore_ascii_case(b"connection"));
    values.flat_map(|(_, value)| value.split(|byte| *byte == b',')).map(<[u8]>::trim_ascii)
}

fn is_kept(head: &Head<'_>) -> bool {
    let has = |option: &str| options(head).any(|named| named.eq_ignore_ascii_case(option.as_bytes()));
    !has("close") && (head.line[0] == b"HTTP/1.1" || has("keep-alive"))
}

/// What must not go on, and what may not be missing.
fn hold_fields(answer: &Answer, head: &Head<'_>) {
    let ends_here = |name: &[u8]| {
        let folded = super::fields::folded(name);
        matches!(
            folded.as_str(),
            "connection" | "keep-alive" | "upgrade" | "http2-settings" | "transfer-encoding"
        ) || folded.starts_with("proxy-auth")
            || folded == "proxy-connection"
            || folded == "content-length" && !name.eq_ignore_ascii_case(b"content-length")
            || options(head).any(|named| named.eq_ignore_ascii_case(name) && !is_option(named))
    };
    for (name, value) in &answer.head {
        assert!(!ends_here(name.as_bytes()), "{name} goes on");
        let sent = head.all(name);
        assert!(sent.iter().any(|sent| written(name.as_bytes(), sent) == &**value), "{name} was not sent so");
    }
    for (name, value) in &head.fields {
        let may_end = ["te", "trailer", "x-request-id"].contains(&super::fields::folded(name).as_str());
        let goes_on = || {
            answer.head.iter().any(|(sent, with)| {
                name.eq_ignore_ascii_case(sent.as_bytes()) && with == written(name, value)
            })
        };
        assert!(may_end || ends_here(name) || goes_on(), "{} is missing", name.escape_ascii());
    }
}

/// A value as it is written anew: a length has one spelling.
fn written<'a>(name: &[u8], value: &'a [u8]) -> &'a [u8] {
    if !name.eq_ignore_ascii_case(b"content-length") {
        return value;
    }
    let zeros = value.iter().take_while(|digit| **digit == b'0').count();
    &value[zeros.min(value.len().saturating_sub(1))..]
}

/// Options that are no names of fields here.
fn is_option(named: &[u8]) -> bool {
    named.eq_ignore_ascii_case(b"close")
}

fn hold_chunks(body: &Body, rest: &[u8]) {
    match (body, strict::chunked(rest)) {
        (Body::Whole(body, behind), Read::Whole(strictly, length)) => {
            assert_eq!((body, &**behind), (&strictly, &rest[length..]));
        }
        (Body::Whole(..), other) => panic!("a whole body, and strictly it is {other:?}"),
        // There are limits that a strict reader has not, and it can tell earlier that a line is bad.
        (Body::Bad(_), _) | (Body::Part(_), Read::Part | Read::Bad(_)) => {}
        (Body::Part(_), other) => panic!("part of a body, and strictly it is {other:?}"),
    }
}

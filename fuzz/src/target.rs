//! The path of a request: `message::target` beside a decoder that knows no more than RFC 3986.

use std::borrow::Cow;

use keyward::auth::refusal::Ambiguity;
use keyward::message::target::{self, Path, Quirks};

/// Takes the input as a path.
pub fn run(data: &[u8]) {
    let raw = target::check_raw(data);
    let clean = !data.iter().any(|byte| matches!(byte, b'#' | 0..=0x20 | 0x7F));
    assert_eq!(raw.is_ok(), clean, "the raw target");
    let Ok(path) = std::str::from_utf8(data) else { return };
    match target::canonical(path) {
        Ok(read) => accepted(path, &read),
        Err(why) => assert!(!is_plain(path), "{why:?}, for nothing"),
    }
}

fn accepted(sent: &str, read: &Path<'_>) {
    let text = read.as_str();
    let again = target::canonical(text).expect("what is canonical is accepted");
    assert_eq!((again.as_str(), again.quirks()), (text, read.quirks()), "not canonical at once");
    assert!(text.starts_with('/'));
    assert!(text.bytes().all(|byte| matches!(byte, b'!'..=b'~') && !matches!(byte, b'#' | b'?')));

    let (bytes, escaped) = decode(text).expect("no escape is broken");
    assert_eq!(decode(sent).map(|(bytes, _)| bytes), Some(bytes.clone()), "it means something else now");
    assert!(escaped.iter().all(|byte| !is_unreserved(*byte)), "an unreserved character is still escaped");
    assert!(bytes.iter().all(|byte| !matches!(byte, 0..=0x1F | 0x7F)), "a control byte");
    assert!(escaped.iter().all(|byte| !matches!(byte, b'#' | b'?')), "another query, or a fragment");
    assert!(segments(&bytes).all(|segment| !is_dots(without_parameters(segment))), "a dot segment");

    for (quirk, present) in [
        (Ambiguity::EncodedSlash, escaped.contains(&b'/')),
        (Ambiguity::Semicolon, bytes.contains(&b';')),
        (Ambiguity::EncodedPercent, escaped.contains(&b'%')),
        (Ambiguity::Backslash, bytes.contains(&b'\\')),
        (Ambiguity::NonUtf8, std::str::from_utf8(&bytes).is_err()),
        (Ambiguity::DoubleSlash, has_empty_segment(&bytes)),
    ] {
        assert_eq!(has(read.quirks(), quirk), present, "{quirk:?} of {text}");
    }
    most_careless(read);
}

/// Decoded as often as there is an escape, split at every slash: how the most careless backend reads a path.
fn most_careless(read: &Path<'_>) {
    let mut bytes = Cow::Borrowed(read.as_str().as_bytes());
    while let Some(less) = decode_where_it_matters(&bytes) {
        bytes = Cow::Owned(less);
    }
    let dotted = segments(&bytes).any(|segment| is_dots(without_parameters(segment)));
    match read.other_readings().collect::<Result<Vec<_>, _>>() {
        Err(_) => {}
        Ok(others) => {
            assert!(!dotted, "a dot segment in the most careless reading");
            let segments: Vec<_> = segments(&bytes)
                .map(|segment| String::from_utf8_lossy(without_parameters(segment)).into_owned())
                .filter(|segment| !segment.is_empty())
                .collect();
            let folder = !segments.is_empty() && matches!(&*bytes, [.., b'/' | b'\\']);
            let expected = format!("/{}{}", segments.join("/"), if folder { "/" } else { "" });
            let found = read.as_str() == expected || others.contains(&expected);
            assert!(found, "{expected}, the most careless reading of {}, is not told", read.as_str());
        }
    }
}

/// One pass; `None` when there was nothing left to decode.
fn decode_where_it_matters(bytes: &[u8]) -> Option<Vec<u8>> {
    let mut out = Vec::new();
    let mut rest = bytes;
    while let [first, tail @ ..] = rest {
        if let [b'%', high, low, tail @ ..] = rest
            && let Some(byte) = hex(*high, *low)
            && (is_unreserved(byte) || matches!(byte, b'/' | b'\\' | b';' | b'%'))
        {
            out.push(byte);
            rest = tail;
        } else {
            out.push(*first);
            rest = tail;
        }
    }
    (out.len() < bytes.len()).then_some(out)
}

/// A path of nothing but unreserved characters in segments that are neither empty nor dots: nobody reads it otherwise.
fn is_plain(path: &str) -> bool {
    path.len() > 1
        && path.starts_with('/')
        && path.bytes().all(|byte| byte == b'/' || is_unreserved(byte))
        && path[1..].split('/').all(|segment| !matches!(segment, "" | "." | ".."))
}

/// The bytes that a path spells, and those of them that it spells as escapes; `None` where an escape is broken.
fn decode(path: &str) -> Option<(Vec<u8>, Vec<u8>)> {
    let (mut bytes, mut escaped) = (Vec::new(), Vec::new());
    let mut rest = path.as_bytes();
    while let [first, tail @ ..] = rest {
        rest = tail;
        if *first != b'%' {
            bytes.push(*first);
            continue;
        }
        let [high, low, tail @ ..] = tail else { return None };
        rest = tail;
        let byte = hex(*high, *low)?;
        bytes.push(byte);
        escaped.push(byte);
    }
    Some((bytes, escaped))
}

fn hex(high: u8, low: u8) -> Option<u8> {
    let digits = [high, low];
    let text =
        std::str::from_utf8(&digits).ok().filter(|_| high.is_ascii_hexdigit() && low.is_ascii_hexdigit())?;
    u8::from_str_radix(text, 16).ok()
}

fn segments(bytes: &[u8]) -> impl DoubleEndedIterator<Item = &[u8]> {
    bytes.split(|byte| matches!(byte, b'/' | b'\\'))
}

fn without_parameters(segment: &[u8]) -> &[u8] {
    segment.split(|byte| *byte == b';').next().unwrap_or_default()
}

/// Whether one stands before another slash; the last may be empty.
fn has_empty_segment(path: &[u8]) -> bool {
    let Some((_, rest)) = path.split_first() else { return false };
    segments(rest).rev().skip(1).any(|segment| without_parameters(segment).is_empty())
}

fn is_dots(segment: &[u8]) -> bool {
    matches!(segment, b"." | b"..")
}

fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~".contains(&byte)
}

fn has(quirks: Quirks, quirk: Ambiguity) -> bool {
    const ALL: [Ambiguity; 6] = [
        Ambiguity::EncodedSlash,
        Ambiguity::DoubleSlash,
        Ambiguity::Semicolon,
        Ambiguity::EncodedPercent,
        Ambiguity::Backslash,
        Ambiguity::NonUtf8,
    ];
    let others: Vec<_> = ALL.into_iter().filter(|other| *other != quirk).collect();
    quirks.outside(Quirks::from(&*others)) == Some(quirk)
}

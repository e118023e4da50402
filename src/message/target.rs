//! The canonical path: the one that is matched is the one that is forwarded.
//!
//! An escape of an unreserved character is decoded, other escapes get upper-case hex, nothing else changes
//! (RFC 3986 §6.2.2). What two parsers could read differently is refused, or noted as a quirk that a route may allow.

use std::borrow::Cow;

use crate::auth::refusal::Ambiguity;

mod quirks;
mod readings;
#[cfg(test)]
mod tests;
mod utf8;

pub use quirks::Quirks;
use utf8::Utf8;

/// A canonical path, and what about it a route has to allow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Path<'a> {
    text: Cow<'a, str>,
    quirks: Quirks,
}

impl Path<'_> {
    /// The canonical path; begins with `/`.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// What a route has to allow.
    #[must_use]
    pub const fn quirks(&self) -> Quirks {
        self.quirks
    }

    /// The path as careless backends read it, each in its way: which spellings of a slash split, whether doubled ones are
    /// one, when parameters are dropped, how often escapes are decoded. None for a path that all read alike.
    ///
    /// # Errors
    /// Where a reading has a dot segment, or they would take too long.
    pub fn other_readings(&self) -> impl Iterator<Item = Result<String, Ambiguity>> {
        let is_plain = self.quirks == Quirks::NONE;
        let readings = if is_plain { None } else { readings::each(&self.text) };
        let too_many = self.quirks.outside(Quirks::NONE).filter(|_| readings.is_none()).map(Err);
        let others = readings.into_iter().flatten().filter(|reading| reading.as_deref() != Ok(&*self.text));
        too_many.into_iter().chain(others)
    }
}

const PERCENT: u8 = 1;
const SEMICOLON: u8 = 1 << 1;
const BACKSLASH: u8 = 1 << 2;
const HASH: u8 = 1 << 3;
const ILLEGAL: u8 = 1 << 4;
/// `/` or `.`, of interest right after a `/`.
const SEGMENT: u8 = 1 << 5;
/// What of the above asks for a closer look wherever it stands.
const CLOSER: u8 = PERCENT | SEMICOLON | BACKSLASH | HASH | ILLEGAL;

const CLASS: [u8; 256] = classes();

#[expect(clippy::indexing_slicing, reason = "the index is below the length; evaluated at compile time")]
const fn classes() -> [u8; 256] {
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < table.len() {
        table[byte] = match byte {
            0x25 => PERCENT,
            0x3B => SEMICOLON,
            0x5C => BACKSLASH,
            0x23 => HASH,
            0x2E | 0x2F => SEGMENT,
            0x00..=0x20 | 0x3F | 0x7F..=0xFF => ILLEGAL,
            _ => 0,
        };
        byte += 1;
    }
    table
}

/// Brings a path, without its query, into canonical form. Borrows when nothing changes.
///
/// # Errors
/// What is refused on every route: dot segments in any spelling, control bytes, `#` and `?` plain or escaped, bytes
/// outside ASCII, broken escapes. A path that does not begin with `/` is relative, as a dot segment is.
pub fn canonical(path: &str) -> Result<Path<'_>, Ambiguity> {
    let Some(rest) = path.strip_prefix('/') else { return Err(Ambiguity::DotSegment) };
    let seen = scan(rest);
    if seen == 0 {
        return Ok(Path { text: Cow::Borrowed(path), quirks: Quirks::NONE });
    }
    if seen & ILLEGAL != 0 {
        return Err(Ambiguity::ControlByte);
    }
    if seen & HASH != 0 {
        return Err(Ambiguity::Fragment);
    }
    let mut quirks = Quirks::NONE;
    let mut text = Cow::Borrowed(path);
    if seen & PERCENT != 0 {
        let (found, form) = escapes(path)?;
        quirks = found;
        if form == Form::Changes {
            text = Cow::Owned(rewrite(path));
        }
    }
    if seen & SEMICOLON != 0 {
        quirks = quirks.with(Quirks::SEMICOLON);
    }
    if seen & BACKSLASH != 0 {
        quirks = quirks.with(Quirks::BACKSLASH);
    }
    quirks = quirks.with(segments(&text)?);
    Ok(Path { text, quirks })
}

/// Judges a target as it stands on the wire, path and query, before [`http::Uri`] reads it: that drops a fragment without
/// a word.
///
/// # Errors
/// When it has a `#`, a control byte or a space.
pub fn check_raw(target: &[u8]) -> Result<(), Ambiguity> {
    for byte in target {
        match byte {
            b'#' => return Err(Ambiguity::Fragment),
            0x00..=0x20 | 0x7F => return Err(Ambiguity::ControlByte),
            _ => {}
        }
    }
    Ok(())
}

/// The classes of everything after the first `/`; 0 = canonical and without quirks.
#[expect(clippy::indexing_slicing, reason = "a byte indexes 256 entries")]
fn scan(rest: &str) -> u8 {
    let mut seen = 0;
    let mut after_slash = true;
    for &byte in rest.as_bytes() {
        let class = CLASS[usize::from(byte)];
        seen |= if after_slash { class } else { class & CLOSER };
        after_slash = byte == b'/';
    }
    seen
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    Canonical,
    Changes,
}

/// Reads every escape: the quirks among them, and whether the canonical form is another.
fn escapes(path: &str) -> Result<(Quirks, Form), Ambiguity> {
    let mut quirks = Quirks::NONE;
    let mut form = Form::Canonical;
    let mut utf8 = Utf8::START;
    let mut rest = path.as_bytes();
    while let [first, tail @ ..] = rest {
        rest = tail;
        if *first != b'%' {
            utf8.end_of_run();
            continue;
        }
        let [high, low, tail @ ..] = tail else { return Err(Ambiguity::BrokenEscape) };
        let Some(byte) = decode(*high, *low) else { return Err(Ambiguity::BrokenEscape) };
        rest = tail;
        quirks = quirks.with(escaped_quirk(byte)?);
        utf8.escaped(byte)?;
        if is_unreserved(byte) || high.is_ascii_lowercase() || low.is_ascii_lowercase() {
            form = Form::Changes;
        }
    }
    utf8.end_of_run();
    if !utf8.valid {
        quirks = quirks.with(Quirks::NON_UTF8);
    }
    Ok((quirks, form))
}

fn escaped_quirk(byte: u8) -> Result<Quirks, Ambiguity> {
    match byte {
        0x00..=0x1F | 0x7F => Err(Ambiguity::ControlByte),
        // A backend that decodes before it splits would see another query or a fragment.
        b'#' | b'?' => Err(Ambiguity::Fragment),
        b'/' => Ok(Quirks::ENCODED_SLASH),
        b';' => Ok(Quirks::SEMICOLON),
        b'%' => Ok(Quirks::ENCODED_PERCENT),
        b'\\' => Ok(Quirks::BACKSLASH),
        _ => Ok(Quirks::NONE),
    }
}

/// Writes the canonical form of a path whose escapes have been read.
fn rewrite(path: &str) -> String {
    let mut out = String::with_capacity(path.len());
    let mut pieces = path.split('%');
    out.push_str(pieces.next().unwrap_or_default());
    for piece in pieces {
        let (Some(digits), Some(rest)) = (piece.get(..2), piece.get(2..)) else { continue };
        match digits.as_bytes() {
            [high, low] => match decode(*high, *low) {
                Some(byte) if is_unreserved(byte) => out.push(char::from(byte)),
                _ => {
                    out.push('%');
                    out.push(char::from(high.to_ascii_uppercase()));
                    out.push(char::from(low.to_ascii_uppercase()));
                }
            },
            _ => continue,
        }
        out.push_str(rest);
    }
    out
}

/// RFC 3986 §2.3.
const fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~')
}

fn decode(high: u8, low: u8) -> Option<u8> {
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|value| u8::try_from(value).ok());
    Some(digit(high)? << 4 | digit(low)?)
}

/// A segment as a backend sees it that splits at every spelling of a slash and drops `;` parameters.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Segment {
    Empty,
    Dot,
    DotDot,
    Other,
}

/// Refuses dot segments and finds empty ones in a path whose escapes are canonical.
fn segments(path: &str) -> Result<Quirks, Ambiguity> {
    let mut quirks = Quirks::NONE;
    let mut segment = Segment::Empty;
    let mut in_parameters = false;
    let mut rest = path.as_bytes().get(1..).unwrap_or_default();
    while let [first, tail @ ..] = rest {
        let (byte, tail) = match rest {
            [b'%', b'2', b'F', tail @ ..] | [b'%', b'5', b'C', tail @ ..] => (b'/', tail),
            [b'%', b'3', b'B', tail @ ..] => (b';', tail),
            _ => (*first, tail),
        };
        rest = tail;
        segment = match (byte, segment) {
            (b'/' | b'\\', Segment::Dot | Segment::DotDot) => return Err(Ambiguity::DotSegment),
            (b'/' | b'\\', _) => {
                if segment == Segment::Empty {
                    quirks = quirks.with(Quirks::DOUBLE_SLASH);
                }
                in_parameters = false;
                Segment::Empty
            }
            (b';', _) => {
                in_parameters = true;
                segment
            }
            _ if in_parameters => segment,
            (b'.', Segment::Empty) => Segment::Dot,
            (b'.', Segment::Dot) => Segment::DotDot,
            _ => Segment::Other,
        };
    }
    match segment {
        Segment::Dot | Segment::DotDot => Err(Ambiguity::DotSegment),
        Segment::Empty | Segment::Other => Ok(quirks),
    }
}

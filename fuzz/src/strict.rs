//! HTTP/1.1 as the strictest reader of RFC 9112 takes it: CRLF alone ends a line, every byte has its place, framing has
//! one form. Slow and simple, and it shares nothing with what it is held against.

/// What a reader finds at the front of some bytes.
#[derive(Debug, PartialEq, Eq)]
pub enum Read<T> {
    /// It, and how many bytes it takes.
    Whole(T, usize),
    /// Its beginning.
    Part,
    /// Something else.
    Bad(&'static str),
}

/// The lines before a body.
#[derive(Debug, PartialEq, Eq)]
pub struct Head<'a> {
    /// The first line in its three parts.
    pub line: [&'a [u8]; 3],
    /// Names as sent, values without the white space around them.
    pub fields: Vec<(&'a [u8], &'a [u8])>,
}

/// Where a body ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// No field says.
    Silent,
    /// After so many bytes.
    Length(u64),
    /// After the last chunk.
    Chunked,
}

impl Head<'_> {
    /// The values of a field, its name in any case.
    pub fn all(&self, name: &str) -> Vec<&[u8]> {
        let named = self.fields.iter().filter(|(sent, _)| sent.eq_ignore_ascii_case(name.as_bytes()));
        named.map(|(_, value)| *value).collect()
    }

    /// What the fields say of the body's end, if they say one thing.
    pub fn framing(&self) -> Result<Framing, &'static str> {
        match (&*self.all("content-length"), &*self.all("transfer-encoding")) {
            ([], []) => Ok(Framing::Silent),
            ([length], []) => number(length, 10).map(Framing::Length).ok_or("a length that is no number"),
            ([], [coding]) if coding.eq_ignore_ascii_case(b"chunked") => Ok(Framing::Chunked),
            _ => Err("framing in doubt"),
        }
    }
}

/// Reads a request's head.
pub fn request(bytes: &[u8]) -> Read<Head<'_>> {
    head(bytes, |line| {
        let [method, target, version] = parts(line)?;
        let proper = !method.is_empty()
            && method.iter().all(|byte| is_token(*byte))
            && !target.is_empty()
            && target.iter().all(u8::is_ascii_graphic)
            && matches!(version, b"HTTP/1.1" | b"HTTP/1.0");
        proper.then_some([method, target, version])
    })
}

/// Reads an answer's head; its reason may be empty, or absent with its space.
pub fn answer(bytes: &[u8]) -> Read<Head<'_>> {
    head(bytes, |line| {
        let (version, rest) = line.split_at_checked(8)?;
        let (status, reason) = rest.strip_prefix(b" ")?.split_at_checked(3)?;
        let reason = if reason.is_empty() { reason } else { reason.strip_prefix(b" ")? };
        let proper = matches!(version, b"HTTP/1.1" | b"HTTP/1.0")
            && status.iter().all(u8::is_ascii_digit)
            && reason.iter().all(|byte| is_text(*byte));
        proper.then_some([version, status, reason])
    })
}

fn head(bytes: &[u8], first: impl Fn(&[u8]) -> Option<[&[u8]; 3]>) -> Read<Head<'_>> {
    let mut at = 0;
    let (line, end) = match line(bytes) {
        Read::Whole(line, end) => (line, end),
        Read::Part => return Read::Part,
        Read::Bad(why) => return Read::Bad(why),
    };
    at += end;
    let Some(line) = first(line) else { return Read::Bad("the first line") };
    match fields(&bytes[at..]) {
        Read::Whole(fields, length) => Read::Whole(Head { line, fields }, at + length),
        Read::Part => Read::Part,
        Read::Bad(why) => Read::Bad(why),
    }
}

/// Fields and the empty line behind them.
fn fields(bytes: &[u8]) -> Read<Vec<(&[u8], &[u8])>> {
    let mut fields = Vec::new();
    let mut at = 0;
    loop {
        let (text, length) = match line(&bytes[at..]) {
            Read::Whole(text, length) => (text, length),
            Read::Part => return Read::Part,
            Read::Bad(why) => return Read::Bad(why),
        };
        at += length;
        if text.is_empty() {
            return Read::Whole(fields, at);
        }
        let Some(colon) = text.iter().position(|byte| *byte == b':') else { return Read::Bad("no colon") };
        let (name, value) = (&text[..colon], trim(&text[colon + 1..]));
        if name.is_empty()
            || !name.iter().all(|byte| is_token(*byte))
            || !value.iter().all(|byte| is_text(*byte))
        {
            return Read::Bad("a field");
        }
        fields.push((name, value));
    }
}

/// Reads a chunked body to behind its trailers, of which only the lines are looked at.
pub fn chunked(bytes: &[u8]) -> Read<Vec<u8>> {
    let mut body = Vec::new();
    let mut at = 0;
    loop {
        let (text, length) = match line(&bytes[at..]) {
            Read::Whole(text, length) => (text, length),
            Read::Part => return Read::Part,
            Read::Bad(why) => return Read::Bad(why),
        };
        at += length;
        let end = text.iter().position(|byte| !byte.is_ascii_hexdigit()).unwrap_or(text.len());
        // White space before an extension is "bad" and legal (RFC 9112 §7.1.1).
        let extension = trim(&text[end..]);
        let Some(size) = number(&text[..end], 16) else { return Read::Bad("a chunk size") };
        if !extension.is_empty() && !extension.starts_with(b";") {
            return Read::Bad("something behind a chunk size");
        }
        if size == 0 {
            return match trailers(&bytes[at..]) {
                Read::Whole((), length) => Read::Whole(body, at + length),
                Read::Part => Read::Part,
                Read::Bad(why) => Read::Bad(why),
            };
        }
        let size = usize::try_from(size).unwrap_or(usize::MAX);
        let Some(data) = bytes[at..].get(..size) else { return Read::Part };
        body.extend_from_slice(data);
        at += size;
        match &bytes[at..] {
            [b'\r', b'\n', ..] => at += 2,
            [] | [b'\r'] => return Read::Part,
            _ => return Read::Bad("a chunk longer than its size"),
        }
    }
}

/// Lines to behind the empty one.
fn trailers(bytes: &[u8]) -> Read<()> {
    let mut at = 0;
    loop {
        match line(&bytes[at..]) {
            Read::Whole(text, length) => {
                at += length;
                if text.is_empty() {
                    return Read::Whole((), at);
                }
            }
            Read::Part => return Read::Part,
            Read::Bad(why) => return Read::Bad(why),
        }
    }
}

/// A line without its CRLF. A CR or LF anywhere else is bad.
fn line(bytes: &[u8]) -> Read<&[u8]> {
    match bytes.iter().position(|byte| matches!(byte, b'\r' | b'\n')) {
        None => Read::Part,
        Some(at) => match &bytes[at..] {
            [b'\r', b'\n', ..] => Read::Whole(&bytes[..at], at + 2),
            [b'\r'] => Read::Part,
            _ => Read::Bad("the end of a line"),
        },
    }
}

/// Three parts with one space between each.
fn parts(line: &[u8]) -> Option<[&[u8]; 3]> {
    let parts: Vec<_> = line.split(|byte| *byte == b' ').collect();
    <[&[u8]; 3]>::try_from(parts).ok()
}

/// Digits alone, below 2^63.
fn number(digits: &[u8], radix: u32) -> Option<u64> {
    let text = std::str::from_utf8(digits).ok()?;
    let proper = !text.is_empty() && text.chars().all(|digit| digit.is_digit(radix));
    u64::from_str_radix(text, radix).ok().filter(|number| proper && *number < 1 << 63)
}

fn trim(mut value: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] | [rest @ .., b' ' | b'\t'] = value {
        value = rest;
    }
    value
}

fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

fn is_text(byte: u8) -> bool {
    matches!(byte, b'\t' | b' '..=b'~' | 0x80..=0xFF)
}

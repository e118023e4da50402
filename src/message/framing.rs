//! Where a message ends (RFC 9112 §6): one reading, or a refusal.
//!
//! Works on names and values as bytes, so that it judges what any parser found.

use http::Method;

use super::names::{disguises, elements};

#[cfg(test)]
mod tests;

/// Where a request's body ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// There is no body.
    None,
    /// After this many bytes.
    Length(u64),
    /// The transport tells: the last chunk, or the end of an HTTP/2 stream (which may have no body at all).
    Chunked,
}

impl Framing {
    /// The same for a request of which the transport has told that no body follows (END_STREAM on its fields).
    pub(super) fn without_body(self, method: &Method) -> Self {
        match self {
            // Its framing in HTTP/1.1 says so, where one is expected (RFC 9110 §8.6).
            Self::Chunked if matches!(*method, Method::POST | Method::PUT | Method::PATCH) => Self::Length(0),
            Self::Chunked => Self::None,
            told => told,
        }
    }
}

/// Where an answer's body ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ResponseFraming {
    /// There is no body.
    None,
    /// After this many bytes.
    Length(u64),
    /// After the last chunk.
    Chunked,
    /// With the connection.
    Close,
}

/// The version of HTTP that a message came in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// HTTP/1.0.
    Http10,
    /// HTTP/1.1.
    Http11,
    /// HTTP/2.
    Http2,
}

/// Why a message's end is in doubt: what to tell, for a client or for the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct InDoubt(pub &'static str);

const BAD_LENGTH: InDoubt =
    InDoubt("The Content-Length field is not one plain decimal number. Send exactly one.");
const SEVERAL_LENGTHS: InDoubt = InDoubt("The Content-Length field is repeated. Send exactly one.");
const BAD_CODING: InDoubt =
    InDoubt("The Transfer-Encoding is not exactly chunked, the only one that is read here.");
const BOTH: InDoubt = InDoubt("The message has both Content-Length and Transfer-Encoding. Send one of them.");
const CODING_IN_VERSION: InDoubt = InDoubt("Transfer-Encoding does not exist in this version of HTTP.");
const DISGUISED: InDoubt = InDoubt(
    "A field name reads as a framing field when _ and . are taken for -. Send the field under its own name.",
);
const BODY_ON_204: InDoubt = InDoubt("An answer that has no body names the end of one.");

/// Fields that decide where a message ends or what happens to its connection and have a name that can be disguised.
const FRAMING_NAMES: [&str; 5] =
    ["content-length", "transfer-encoding", "keep-alive", "proxy-connection", "http2-settings"];

/// What the fields of one message say about its end, gathered in one pass.
#[derive(Clone, Copy, Debug, Default)]
pub struct Fields {
    length: Option<u64>,
    chunked: bool,
}

impl Fields {
    /// Takes note of a request's `Content-Length`.
    ///
    /// # Errors
    /// When it is malformed or the second one, equal or not.
    pub fn request_length(&mut self, value: &[u8]) -> Result<(), InDoubt> {
        if self.length.is_some() {
            return Err(SEVERAL_LENGTHS);
        }
        self.length = Some(parse_length(value).ok_or(BAD_LENGTH)?);
        Ok(())
    }

    /// Takes note of an answer's `Content-Length`; equal ones are one (RFC 9110 §8.6).
    fn response_length(&mut self, value: &[u8]) -> Result<(), InDoubt> {
        let length = parse_length(value).ok_or(BAD_LENGTH)?;
        match self.length.replace(length) {
            Some(other) if other != length => Err(SEVERAL_LENGTHS),
            _ => Ok(()),
        }
    }

    /// Takes note of a `Transfer-Encoding`.
    ///
    /// # Errors
    /// When it is anything but `chunked` (in any case), or the second one.
    pub fn coding(&mut self, value: &[u8]) -> Result<(), InDoubt> {
        if self.chunked || !value.eq_ignore_ascii_case(b"chunked") {
            return Err(BAD_CODING);
        }
        self.chunked = true;
        Ok(())
    }

    /// Whether a field says where the message ends.
    pub(super) const fn is_given(self) -> bool {
        self.length.is_some() || self.chunked
    }

    /// Where the request ends.
    ///
    /// # Errors
    /// When two fields contradict, or one does not exist in this version.
    pub fn request(self, protocol: Protocol) -> Result<Framing, InDoubt> {
        match (self.length, self.chunked) {
            (Some(_), true) => Err(BOTH),
            (None, true) if protocol != Protocol::Http11 => Err(CODING_IN_VERSION),
            (Some(length), false) => Ok(Framing::Length(length)),
            (None, true) => Ok(Framing::Chunked),
            (None, false) if protocol == Protocol::Http2 => Ok(Framing::Chunked),
            (None, false) => Ok(Framing::None),
        }
    }
}

/// Where an answer over HTTP/1 ends. `asked` says what it answers, `fields` are its names and values.
///
/// # Errors
/// When its end is in doubt: its connection cannot be used again, and nothing of it may be passed on.
pub fn response<'a>(
    asked: Asked,
    status: u16,
    protocol: Protocol,
    fields: impl IntoIterator<Item = (&'a [u8], &'a [u8])>,
) -> Result<ResponseFraming, InDoubt> {
    let mut seen = Fields::default();
    for (name, value) in fields {
        if name.eq_ignore_ascii_case(b"content-length") {
            seen.response_length(value)?;
        } else if name.eq_ignore_ascii_case(b"transfer-encoding") {
            seen.coding(value)?;
        }
    }
    if seen.chunked && protocol == Protocol::Http10 {
        return Err(CODING_IN_VERSION);
    }
    if seen.chunked && seen.length.is_some() {
        return Err(BOTH);
    }
    match status {
        // Should a body follow nevertheless, it would be read as the next answer.
        100..=199 | 204 if seen.chunked || seen.length.is_some_and(|length| length > 0) => Err(BODY_ON_204),
        100..=199 | 204 | 304 => Ok(ResponseFraming::None),
        _ if asked == Asked::Head => Ok(ResponseFraming::None),
        _ if seen.chunked => Ok(ResponseFraming::Chunked),
        _ => Ok(seen.length.map_or(ResponseFraming::Close, ResponseFraming::Length)),
    }
}

/// What an answer answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asked {
    /// `HEAD`: the answer has no body, whatever its fields say.
    Head,
    /// To leave HTTP for another protocol, too.
    Upgrade,
    /// Any other method.
    Other,
}

/// Whether a name is a framing field's in disguise (`Transfer_Encoding`).
///
/// # Errors
/// When it is.
pub fn undisguised(name: &[u8]) -> Result<(), InDoubt> {
    match name {
        [b'c' | b'C' | b't' | b'T' | b'k' | b'K' | b'p' | b'P' | b'h' | b'H', ..]
            if FRAMING_NAMES.iter().any(|plain| disguises(name, plain.as_bytes())) =>
        {
            Err(DISGUISED)
        }
        _ => Ok(()),
    }
}

/// One plain decimal number below 2^63: digits alone, at most 19 of them.
fn parse_length(value: &[u8]) -> Option<u64> {
    if value.is_empty() || value.len() > 19 {
        return None;
    }
    let mut length: u64 = 0;
    for byte in value {
        let digit = char::from(*byte).to_digit(10)?;
        length = length.checked_mul(10)?.checked_add(u64::from(digit))?;
    }
    (length < 1 << 63).then_some(length)
}

/// Whether `value` of an `Expect` field is `100-continue` and nothing else.
pub(super) fn is_continue(value: &[u8]) -> bool {
    value.eq_ignore_ascii_case(b"100-continue")
}

/// Whether an `Upgrade` field offers HTTP/2, which would be read past Keyward.
pub(super) fn offers_h2c(value: &[u8]) -> bool {
    elements(value).any(|protocol| {
        let name = protocol.split(|byte| *byte == b'/').next().unwrap_or_default();
        name.eq_ignore_ascii_case(b"h2c") || name.eq_ignore_ascii_case(b"h2")
    })
}

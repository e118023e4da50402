//! Judging the fields of an answer as strictly as those that come over HTTP/1.1.

use bytes::Bytes;
use http::header::{CONTENT_LENGTH, SET_COOKIE, TRAILER};
use http::response::Parts;
use http::{HeaderMap, HeaderName, HeaderValue};

use crate::message::fields::{self, ResponseFate};
use crate::message::framing::{self, Asked, Protocol};
use crate::message::trailers::{self, Nominated};
use crate::proxy::upstream::failure::Failure;
use crate::proxy::upstream::head::{self, FIELDS_MAX, Head};
use crate::web::cookies;

/// What of an answer's fields passes, and what they say of its body. Fields of a connection do not come this far: h2 takes
/// them for a breach of the protocol, as it is one (RFC 9113 §8.2.2).
pub(super) fn judge(parts: Parts, asked: Asked) -> Result<Head, Failure> {
    let Parts { status, mut headers, .. } = parts;
    if headers.len() > FIELDS_MAX {
        return Err(Failure::Malformed("it has too many fields"));
    }
    let pairs = headers.iter().map(|(name, value)| (name.as_str().as_bytes(), value.as_bytes()));
    let framing = framing::response(asked, status.as_u16(), Protocol::Http2, pairs)
        .map_err(|why| Failure::Malformed(why.0))?;
    let nominated = Nominated::default();
    let announced = headers.get_all(TRAILER).into_iter().map(HeaderValue::as_bytes);
    let announcement = trailers::announcement(announced, &nominated, trailers::passes_down);
    let dropped: Vec<HeaderName> = headers.keys().filter(|name| !passes(name)).cloned().collect();
    for name in dropped {
        headers.remove(name);
    }
    keep_cookies(&mut headers);
    tell_length_once(&mut headers);
    headers.extend(announcement.map(|names| (TRAILER, names)));
    Ok(Head { status, headers, framing, keep_alive: true, nominated, protocol: None })
}

fn passes(name: &HeaderName) -> bool {
    match fields::response_fate(name.as_str().as_bytes()) {
        ResponseFate::Pass | ResponseFate::RateLimit => true,
        ResponseFate::Framing => *name == CONTENT_LENGTH,
        ResponseFate::HopByHop
        | ResponseFate::Trailer
        | ResponseFate::RequestId
        | ResponseFate::CredentialExpires => false,
    }
}

/// Takes out whatever would set a cookie of ours.
fn keep_cookies(headers: &mut HeaderMap) {
    let all = headers.get_all(SET_COOKIE);
    if !all.iter().any(|value| cookies::sets_own(value.as_bytes())) {
        return;
    }
    let others = all.iter().filter(|value| !cookies::sets_own(value.as_bytes()));
    let others: Vec<HeaderValue> = others.cloned().collect();
    headers.remove(SET_COOKIE);
    headers.extend(others.into_iter().map(|value| (SET_COOKIE, value)));
}

/// Equal repetitions are one, without zeros before it; others have been refused.
fn tell_length_once(headers: &mut HeaderMap) {
    let Some(length) = headers.get(CONTENT_LENGTH) else { return };
    let length = head::canonical(Bytes::copy_from_slice(length.as_bytes()));
    if let Ok(length) = HeaderValue::from_maybe_shared(length) {
        headers.insert(CONTENT_LENGTH, length);
    }
}

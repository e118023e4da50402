//! Answers of routes without an upstream: where a client is sent, or what is always the same.

use bytes::Bytes;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE, LOCATION, X_CONTENT_TYPE_OPTIONS};
use http::{HeaderValue, Method, Response, StatusCode};

use crate::config::{FixedAnswer, Redirect, Served};

/// What such a route answers; nothing of one that has an upstream.
#[must_use]
pub fn answer(served: &Served, method: &Method, path: &str, query: Option<&str>) -> Response<Bytes> {
    match served {
        Served::Redirect(to) => redirect(to, path, query),
        Served::Answer(answer) => fixed(answer, method),
        Served::Upstream(_) => Response::new(Bytes::new()),
    }
}

/// Sends a client on, with what is to be kept of the path and the query that it asked for.
///
/// The host is the configuration's: the path that is kept follows one slash, and no browser can take what follows for a
/// host.
#[must_use]
pub fn redirect(redirect: &Redirect, path: &str, query: Option<&str>) -> Response<Bytes> {
    let mut location = redirect.to.to_string();
    if redirect.keep_path {
        location.truncate(location.trim_end_matches('/').len());
        location.push('/');
        location.push_str(&path.trim_start_matches('/').replace('\\', "%5C"));
    }
    if let Some(query) = query.filter(|_| redirect.keep_query) {
        location.push('?');
        location.push_str(query);
    }
    let mut answer = Response::new(Bytes::new());
    *answer.status_mut() = redirect.status;
    let fields = answer.headers_mut();
    fields.insert(CONTENT_LENGTH, HeaderValue::from_static("0"));
    // A URL of visible ASCII, a canonical path and a query that was read: no other character is among them.
    if let Ok(location) = HeaderValue::try_from(location) {
        fields.insert(LOCATION, location);
    }
    answer
}

/// What is always the same; to `HEAD` without the body.
#[must_use]
pub fn fixed(fixed: &FixedAnswer, method: &Method) -> Response<Bytes> {
    let mut answer = Response::new(Bytes::new());
    *answer.status_mut() = fixed.status;
    if fixed.status == StatusCode::NO_CONTENT {
        return answer;
    }
    let fields = answer.headers_mut();
    fields.insert(CONTENT_TYPE, fixed.content_type.clone());
    fields.insert(CONTENT_LENGTH, fixed.body.len().into());
    fields.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    if method != Method::HEAD {
        *answer.body_mut() = fixed.body.clone();
    }
    answer
}

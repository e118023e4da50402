//! What the pages load: one style, one script that nothing depends on, one picture.

use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE, X_CONTENT_TYPE_OPTIONS};
use http::{HeaderValue, Response};

/// The file of this name.
pub(super) fn find(name: &str) -> Option<Response<Bytes>> {
    let (content_type, text) = match name {
        "style.css" => ("text/css; charset=utf-8", include_str!("pages/style.css")),
        "console.js" => ("text/javascript; charset=utf-8", include_str!("pages/console.js")),
        "icon.svg" => ("image/svg+xml", include_str!("pages/icon.svg")),
        _ => return None,
    };
    let mut response = Response::new(Bytes::from_static(text.as_bytes()));
    let fields = response.headers_mut();
    fields.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    fields.insert(CONTENT_LENGTH, HeaderValue::from(text.len()));
    // Short, because a new version has new files under the same names.
    fields.insert(CACHE_CONTROL, HeaderValue::from_static("max-age=300"));
    fields.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    Some(response)
}

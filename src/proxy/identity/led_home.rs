//! The console under another name of this machine than its public URL has: cookies and forms are bound to that one.

use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_LENGTH, LOCATION};
use http::{HeaderValue, Response, StatusCode};

use crate::config::Identity;
use crate::message::Admission;
use crate::web::endpoint::Endpoint;
use crate::web::errand::Reply;

/// Where a browser finds the same page; `None` when it is there already, or it is no page that is asked for.
pub(super) fn place(
    endpoint: Endpoint<'_>,
    identity: Option<&Identity>,
    admission: &Admission<'_>,
) -> Option<HeaderValue> {
    let identity = identity?;
    let host = admission.host.name();
    if !matches!(endpoint, Endpoint::Console(_)) || !identity.other_names.iter().any(|name| **name == *host) {
        return None;
    }
    let (site, path) = (identity.public_url.as_str(), admission.path.as_str());
    let query = admission.query.map(|query| format!("?{query}")).unwrap_or_default();
    HeaderValue::from_str(&format!("{site}{path}{query}")).or_else(|_| HeaderValue::from_str(site)).ok()
}

/// Leads a browser there.
pub(super) fn answer(place: &HeaderValue) -> Reply {
    let mut response = Response::new(Bytes::new());
    *response.status_mut() = StatusCode::SEE_OTHER;
    let fields = response.headers_mut();
    fields.insert(LOCATION, place.clone());
    fields.insert(CONTENT_LENGTH, HeaderValue::from(0));
    fields.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Reply { response, code: None, caller: None }
}

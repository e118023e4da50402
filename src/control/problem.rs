//! Refusals of the control plane, as problem bodies (RFC 9457).

use std::sync::Arc;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderName};
use http::{HeaderValue, StatusCode};
use serde_json::json;
use uuid::Uuid;

use super::Control;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// No such path.
pub(super) async fn not_found(State(control): State<Arc<Control>>) -> Response {
    let detail = "This listener has nothing at this path. Check the URL.";
    problem(&control, StatusCode::NOT_FOUND, "not_found", "There is nothing here", detail)
}

/// The path is known, the method is not; the router adds `Allow`.
pub(super) async fn method_not_allowed(State(control): State<Arc<Control>>) -> Response {
    let detail = "Use one of the methods that the Allow field names.";
    let title = "The method is not allowed here";
    problem(&control, StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", title, detail)
}

fn problem(control: &Control, status: StatusCode, code: &str, title: &str, detail: &str) -> Response {
    let request_id = Uuid::now_v7().to_string();
    let body = json!({
        "type": format!("{}{code}", control.type_base.load()),
        "title": title,
        "status": status.as_u16(),
        "detail": detail,
        "instance": format!("urn:uuid:{request_id}"),
        "code": code,
        "request_id": request_id,
    });
    let mut fields = vec![
        (CONTENT_TYPE, HeaderValue::from_static("application/problem+json")),
        (CACHE_CONTROL, HeaderValue::from_static("no-store")),
    ];
    if let Ok(value) = HeaderValue::from_str(&request_id) {
        fields.push((REQUEST_ID, value));
    }
    let mut response = (status, body.to_string()).into_response();
    response.headers_mut().extend(fields);
    response
}

//! `/metrics`: everything that is counted, in Prometheus' text format.

use std::sync::Arc;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderValue, StatusCode};

use super::Control;

pub(super) async fn metrics(State(control): State<Arc<Control>>) -> Response {
    match control.metrics.render() {
        Ok(text) => {
            let fields = [
                (CONTENT_TYPE, HeaderValue::from_static("text/plain; version=0.0.4")),
                (CACHE_CONTROL, HeaderValue::from_static("no-store")),
            ];
            (fields, text).into_response()
        }
        Err(error) => {
            tracing::error!(error = &error as &dyn std::error::Error, "/metrics cannot be answered");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}

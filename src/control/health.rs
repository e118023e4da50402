//! `/livez` and `/readyz`: whether to restart this process, and whether to send it traffic.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::{RawQuery, State};
use axum::response::{IntoResponse, Response};
use http::header::CACHE_CONTROL;
use http::{HeaderValue, StatusCode};
use serde_json::{Value, json};

use super::Control;
use crate::clock::Timestamp;

/// How the process is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Health {
    /// In one word.
    pub status: Status,
    /// What the word rests on; told on `?verbose`.
    pub checks: Checks,
}

/// How the process is, in one word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// It has not loaded yet what it needs to judge a request.
    Starting,
    /// It judges and forwards.
    Ready,
    /// It goes on with what it knew, because the store is away.
    Degraded,
    /// It is ending; new requests should go elsewhere.
    Draining,
    /// It cannot judge requests.
    Unavailable,
}

impl Status {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Ready => "ready",
            Self::Degraded => "degraded",
            Self::Draining => "draining",
            Self::Unavailable => "unavailable",
        }
    }

    /// Whether traffic should come here.
    const fn http(self) -> StatusCode {
        match self {
            Self::Ready | Self::Degraded => StatusCode::OK,
            Self::Starting | Self::Draining | Self::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        }
    }
}

/// What a status rests on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checks {
    /// Whether the store answered lately.
    pub store_up: bool,
    /// Time since the last confirmed read of the change feed; `None` before the first.
    pub feed_age: Option<Duration>,
    /// When the configuration in force was loaded; `None` before the first.
    pub config_loaded: Option<Timestamp>,
    /// Workers that run.
    pub workers_running: usize,
    /// Workers that should.
    pub workers: usize,
    /// Upstreams of which no endpoint is well. That is no reason to send no traffic here.
    pub upstreams_down: Vec<Arc<str>>,
    /// When the certificates of the listeners end, and those that upstreams are shown.
    pub certificates: Vec<CertificateEnd>,
}

/// When a certificate ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertificateEnd {
    /// Where it is shown.
    pub shown: Shown,
    /// Where it came from.
    pub file: String,
    /// Its end.
    pub expires: Timestamp,
}

/// Where a certificate is shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Shown {
    /// To the clients of this listener.
    Listener(Arc<str>),
    /// To the servers of this upstream.
    Upstream(Arc<str>),
}

impl CertificateEnd {
    fn json(&self) -> Value {
        let (key, name) = match &self.shown {
            Shown::Listener(name) => ("listener", name),
            Shown::Upstream(name) => ("upstream", name),
        };
        json!({ key: &**name, "file": self.file, "expires": self.expires.rfc3339() })
    }
}

impl Checks {
    fn json(&self) -> Value {
        json!({
            "store": if self.store_up { "up" } else { "down" },
            "feed_age_seconds": self.feed_age.map(|age| age.as_secs_f64()),
            "config_loaded": self.config_loaded.map(Timestamp::rfc3339),
            "upstreams_down": self.upstreams_down.iter().map(|name| &**name).collect::<Vec<_>>(),
            "workers": { "running": self.workers_running, "expected": self.workers },
            "certificates": self.certificates.iter().map(CertificateEnd::json).collect::<Vec<_>>(),
        })
    }
}

/// The process lives and its control plane answers.
pub(super) async fn livez() -> impl IntoResponse {
    ([(CACHE_CONTROL, HeaderValue::from_static("no-store"))], "ok")
}

/// Whether traffic should come here, as a status and in words.
pub(super) async fn readyz(State(control): State<Arc<Control>>, RawQuery(query): RawQuery) -> Response {
    let health = (control.health)();
    let mut body = json!({ "status": health.status.as_str() });
    if is_verbose(query.as_deref())
        && let Some(members) = body.as_object_mut()
    {
        members.insert("checks".to_owned(), health.checks.json());
    }
    let fresh = [(CACHE_CONTROL, HeaderValue::from_static("no-store"))];
    (health.status.http(), fresh, Json(body)).into_response()
}

fn is_verbose(query: Option<&str>) -> bool {
    let mut names = query.unwrap_or_default().split('&').map(|pair| pair.split('=').next());
    names.any(|name| name == Some("verbose"))
}

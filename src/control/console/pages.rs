//! The pages as templates want them. Every text is escaped there but for times, which are made here.

use askama::Template;
use bytes::Bytes;
use http::header::{
    CACHE_CONTROL, CONTENT_LENGTH, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderName, REFERRER_POLICY,
    X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
use http::{HeaderValue, Response, StatusCode};

use crate::clock::Timestamp;

/// What surrounds a page of somebody who is logged in.
pub(super) struct Frame {
    /// Which of the menu's pages it is.
    pub place: &'static str,
    /// What its forms carry.
    pub form: String,
    pub email: String,
}

#[derive(Template)]
#[template(path = "login.html", config = "src/control/console/askama.toml")]
pub(super) struct Login {
    pub email: String,
    pub done: Option<&'static str>,
    pub problems: Vec<String>,
}

/// A key as a list shows it.
pub(super) struct Key {
    pub id: String,
    pub name: String,
    /// Its prefix and last four characters.
    pub shown: String,
    pub status: &'static str,
    pub created: String,
    pub expires: String,
    pub used: String,
    /// Where it stands to limits of its own, if it has some.
    pub limits: Option<String>,
}

/// A scope that can be chosen, or was.
pub(super) struct Scope {
    pub name: String,
    pub description: String,
    pub chosen: bool,
}

/// A life that can be chosen.
pub(super) struct Life {
    pub seconds: u64,
    pub words: String,
    pub chosen: bool,
}

/// What was asked for and did not work.
#[derive(Default)]
pub(super) struct Asked {
    pub name: String,
    pub addresses: String,
}

#[derive(Template)]
#[template(path = "keys.html", config = "src/control/console/askama.toml")]
pub(super) struct Keys {
    pub frame: Frame,
    pub done: Option<&'static str>,
    pub problems: Vec<String>,
    /// Where the account stands to its limits, if it has some.
    pub limits: Option<String>,
    pub keys: Vec<Key>,
    pub is_first_page: bool,
    pub next: Option<String>,
    pub scopes: Vec<Scope>,
    pub lives: Vec<Life>,
    pub asked: Asked,
    pub once: String,
}

#[derive(Template)]
#[template(path = "made.html", config = "src/control/console/askama.toml")]
pub(super) struct Made {
    pub frame: Frame,
    pub name: String,
    pub secret: Option<String>,
    pub curl: String,
    /// What becomes of the key that it replaces.
    pub old: Option<String>,
}

#[derive(Template)]
#[template(path = "key.html", config = "src/control/console/askama.toml")]
pub(super) struct OneKey {
    pub frame: Frame,
    pub key: Key,
    pub scopes: Vec<Scope>,
    pub addresses: Vec<String>,
    pub once: String,
    /// The id of the key in its place.
    pub replaced_by: Option<String>,
}

#[derive(Template)]
#[template(path = "password.html", config = "src/control/console/askama.toml")]
pub(super) struct Password {
    pub frame: Frame,
    pub done: Option<&'static str>,
    pub problems: Vec<String>,
    pub min_length: usize,
}

/// A session as the list shows it.
pub(super) struct Session {
    pub id: String,
    pub agent: String,
    pub address: String,
    pub is_this: bool,
    pub began: String,
    pub used: String,
    pub ends: String,
}

#[derive(Template)]
#[template(path = "sessions.html", config = "src/control/console/askama.toml")]
pub(super) struct Sessions {
    pub frame: Frame,
    pub done: Option<&'static str>,
    /// Whether there may be more, older ones.
    pub is_cut: bool,
    pub sessions: Vec<Session>,
}

#[derive(Template)]
#[template(path = "reset.html", config = "src/control/console/askama.toml")]
pub(super) struct Reset {
    pub problems: Vec<String>,
    /// The link's secret; `None` = it is no good.
    pub token: Option<String>,
    pub min_length: usize,
}

#[derive(Template)]
#[template(path = "message.html", config = "src/control/console/askama.toml")]
pub(super) struct Message<'a> {
    pub title: &'a str,
    pub detail: &'a str,
    pub request_id: &'a str,
}

/// Nothing but the site's own files, forms that go nowhere else, and no frame around it.
const POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; form-action 'self'; \
                      base-uri 'none'; frame-ancestors 'none'";

/// The page as an answer.
pub(super) fn answer(status: StatusCode, page: &impl Template) -> Response<Bytes> {
    let (status, text) = match page.render() {
        Ok(text) => (status, text),
        Err(error) => {
            tracing::error!(%error, "a page cannot be rendered");
            (StatusCode::INTERNAL_SERVER_ERROR, "This page cannot be shown.\n".to_owned())
        }
    };
    let mut response = guarded(status);
    let fields = response.headers_mut();
    fields.insert(CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
    fields.insert(CONTENT_LENGTH, HeaderValue::from(text.len()));
    *response.body_mut() = text.into();
    response
}

/// An empty answer that nobody keeps, frames or guesses at.
pub(super) fn guarded(status: StatusCode) -> Response<Bytes> {
    let mut response = Response::new(Bytes::new());
    *response.status_mut() = status;
    let fields = response.headers_mut();
    for (name, value) in [
        (CACHE_CONTROL, "no-store"),
        (CONTENT_SECURITY_POLICY, POLICY),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (X_FRAME_OPTIONS, "DENY"),
        // Not less: browsers would then send forms without telling their origin.
        (REFERRER_POLICY, "same-origin"),
        (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
        (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    ] {
        fields.insert(name, HeaderValue::from_static(value));
    }
    response
}

/// What somebody typed, to be shown to them again: without what is no text.
pub(super) fn typed(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() && !matches!(c, '\r' | '\n' | '\t') { '\u{FFFD}' } else { c })
        .collect()
}

/// A time for people and programs.
pub(super) fn time(at: Timestamp) -> String {
    let full = at.rfc3339();
    let short = full.get(..16).unwrap_or_default().replace('T', " ");
    format!(r#"<time datetime="{full}">{short} UTC</time>"#)
}

/// A time and how far it is from now, to the nearest day.
pub(super) fn time_from(now: Timestamp, at: Timestamp) -> String {
    const DAY: i64 = 24 * 60 * 60 * 1000;
    let left = at.millis().saturating_sub(now.millis());
    let words = match left.saturating_add(DAY / 2).div_euclid(DAY) {
        _ if left < 0 => return time(at),
        ..=0 => "within a day".to_owned(),
        1 => "in a day".to_owned(),
        days => format!("in {days} days"),
    };
    format!("{} <span class=\"soft-inline\">({words})</span>", time(at))
}

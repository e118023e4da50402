//! Cross-origin requests (Fetch §3.2): which of them are preflights, and what answers say of who may read them.

use bytes::Bytes;
use http::header::{
    ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS,
    ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE,
    ACCESS_CONTROL_REQUEST_METHOD, ORIGIN, VARY,
};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Response, StatusCode};

/// Which pages of other origins may use something, compiled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cors {
    /// Whose pages.
    pub origins: Origins,
    /// Methods that they may use, as one value.
    pub methods: HeaderValue,
    /// Fields that they may send, as one value.
    pub headers: HeaderValue,
    /// Fields of answers that they may read, as one value.
    pub exposed: Option<HeaderValue>,
    /// Whether they may send cookies.
    pub credentials: bool,
    /// How long a browser may remember this, in seconds.
    pub max_age: HeaderValue,
}

/// Whose pages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origins {
    /// Everybody's.
    Any,
    /// Those of these.
    These(Box<[Origin]>),
}

/// An origin, or many, as browsers write them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// `https://app.example.com`.
    Exact(Box<str>),
    /// `https://*.example.com`: `https://` and `.example.com`, with one label between them.
    Wildcard(Box<str>, Box<str>),
}

impl Origin {
    fn is(&self, sent: &[u8]) -> bool {
        match self {
            Self::Exact(origin) => origin.as_bytes() == sent,
            Self::Wildcard(scheme, rest) => {
                let label = sent.strip_prefix(scheme.as_bytes());
                let label = label.and_then(|label| label.strip_suffix(rest.as_bytes()));
                label.is_some_and(is_label)
            }
        }
    }
}

/// Browsers write hosts in lower case.
fn is_label(text: &[u8]) -> bool {
    let of_one =
        |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'-' | b'_');
    !text.is_empty() && text.iter().all(of_one)
}

/// The method that a preflight asks about; `None` for any other request.
#[must_use]
pub fn preflight(method: &Method, headers: &HeaderMap) -> Option<Method> {
    if method != Method::OPTIONS || !headers.contains_key(ORIGIN) {
        return None;
    }
    let asked = headers.get(ACCESS_CONTROL_REQUEST_METHOD)?;
    Method::from_bytes(asked.as_bytes()).ok()
}

impl Cors {
    /// The answer to a preflight with these fields.
    #[must_use]
    pub fn answer(&self, asked: &HeaderMap) -> Response<Bytes> {
        let mut answer = Response::new(Bytes::new());
        *answer.status_mut() = StatusCode::NO_CONTENT;
        let fields = answer.headers_mut();
        if self.admit(asked, fields) {
            fields.insert(ACCESS_CONTROL_ALLOW_METHODS, self.methods.clone());
            fields.insert(ACCESS_CONTROL_ALLOW_HEADERS, self.headers.clone());
            fields.insert(ACCESS_CONTROL_MAX_AGE, self.max_age.clone());
        }
        answer
    }

    /// Says in an answer's fields who may read it, in place of whatever they said before.
    pub fn tell(&self, asked: &HeaderMap, fields: &mut HeaderMap) {
        let theirs: Vec<HeaderName> = fields.keys().filter(|name| is_ours(name)).cloned().collect();
        for name in theirs {
            fields.remove(name);
        }
        if self.admit(asked, fields)
            && let Some(exposed) = &self.exposed
        {
            fields.insert(ACCESS_CONTROL_EXPOSE_HEADERS, exposed.clone());
        }
    }

    /// Names the origin, if it is one of those that may.
    fn admit(&self, asked: &HeaderMap, fields: &mut HeaderMap) -> bool {
        let Origins::These(origins) = &self.origins else {
            fields.insert(ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
            return true;
        };
        // Also where it is not admitted: a cache must not give that answer to one that is.
        fields.append(VARY, HeaderValue::from_static("origin"));
        let mut sent = asked.get_all(ORIGIN).iter();
        let (Some(origin), None) = (sent.next(), sent.next()) else { return false };
        if !origins.iter().any(|known| known.is(origin.as_bytes())) {
            return false;
        }
        fields.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
        if self.credentials {
            fields.insert(ACCESS_CONTROL_ALLOW_CREDENTIALS, HeaderValue::from_static("true"));
        }
        true
    }
}

fn is_ours(name: &HeaderName) -> bool {
    name.as_str().starts_with("access-control-")
}
